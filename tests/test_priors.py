"""Gaussians and the priors of W, against torch.distributions and by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from models.priors import (
    kl_gaussian,
    kl_standard,
    known_cross_entropy,
    label_prior,
    log_normal,
    sample,
)

means = st.floats(-10, 10)
log_vars = st.floats(-12, 6)
stds = st.floats(0.05, 5)
orientations = pytest.mark.parametrize("orientation", ["offset", "printed"])
# What the paper's Section 4.2 says of the two priors, (mean, standard deviation) of absent and of present.
BY_HAND = {"offset": ((0.0, 0.1), (3.0, 1.0)), "printed": ((3.0, 1.0), (0.0, 0.1))}


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def normals(orientation, dim):
    """The priors of absent and of present, as distributions of a W_i of that dimension."""
    return [
        Independent(Normal(torch.full((dim,), mean).double(), number(std)), 1)
        for mean, std in BY_HAND[orientation]
    ]


def mixture(orientation, dim):
    return MixtureSameFamily(
        Categorical(probs=torch.tensor([0.5, 0.5]).double()),
        Independent(
            Normal(
                torch.tensor([[mean] * dim for mean, _ in BY_HAND[orientation]]).double(),
                torch.tensor([[std] * dim for _, std in BY_HAND[orientation]]).double(),
            ),
            1,
        ),
    )


def codes(count, dim, seed=0):
    """mu, log_var and a sample of them, around both priors."""
    generator = torch.Generator().manual_seed(seed)
    mu = 4 * torch.rand(count, dim, generator=generator, dtype=torch.float64) - 0.5
    log_var = torch.randn(count, dim, generator=generator, dtype=torch.float64) - 2
    return mu, log_var, sample(mu, log_var, generator)


@settings(max_examples=50)
@given(means, log_vars)
def test_kl_to_the_standard_normal_is_that_of_torch(mu, log_var):
    q = Normal(number(mu), number(log_var).mul(0.5).exp())
    expected = kl_divergence(q, Normal(number(0.0), number(1.0)))
    torch.testing.assert_close(kl_standard(number(mu), number(log_var)), expected)


@settings(max_examples=50)
@given(means, log_vars, means, stds)
def test_kl_between_gaussians_is_that_of_torch(mu, log_var, mean, std):
    q = Normal(number(mu), number(log_var).mul(0.5).exp())
    expected = kl_divergence(q, Normal(number(mean), number(std)))
    torch.testing.assert_close(
        kl_gaussian(number(mu), number(log_var), mean, std), expected, rtol=1e-7, atol=1e-9
    )


@settings(max_examples=50)
@given(means, means, stds)
def test_the_log_density_is_that_of_torch(w, mean, std):
    expected = Normal(number(mean), number(std)).log_prob(number(w))
    torch.testing.assert_close(log_normal(number(w), mean, std), expected)


def test_a_sample_has_the_mean_and_the_variance_it_was_asked_for():
    mu, log_var = torch.tensor([1.0, -2.0]).expand(20_000, 2), torch.tensor([-3.0, 1.0]).expand(20_000, 2)
    drawn = sample(mu, log_var, torch.Generator().manual_seed(0))
    std = (log_var[0] / 2).exp()
    assert ((drawn.mean(0) - mu[0]).abs() < 5 * std / math.sqrt(20_000)).all()
    torch.testing.assert_close(drawn.std(0), std, rtol=0.03, atol=0)


def test_a_sample_sends_gradients_to_mean_and_variance():
    mu, log_var = torch.zeros(3, 2, requires_grad=True), torch.zeros(3, 2, requires_grad=True)
    drawn = sample(mu, log_var, torch.Generator().manual_seed(0))
    drawn.sum().backward()
    torch.testing.assert_close(mu.grad, torch.ones(3, 2))
    torch.testing.assert_close(log_var.grad, drawn.detach() / 2)  # d(e^{l/2} ε)/dl at l = 0


def test_offset_puts_absent_narrowly_at_the_origin_and_present_widely_away_from_it():
    prior = label_prior("offset")
    assert (prior.absent_mean, prior.absent_std) == (0, 0.1)
    assert (prior.present_mean, prior.present_std) == (3, 1)


def test_printed_puts_present_narrowly_at_the_origin_and_absent_widely_away_from_it():
    prior = label_prior("printed")
    assert (prior.present_mean, prior.present_std) == (0, 0.1)
    assert (prior.absent_mean, prior.absent_std) == (3, 1)


@orientations
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_log_prob_is_the_labels_own_gaussian_and_the_even_mixture_where_it_is_unknown(orientation, dim):
    _, _, w = codes(30, dim)
    y = torch.tensor([1, 0, -1], dtype=torch.int8).repeat(10)
    absent, present = normals(orientation, dim)
    found = label_prior(orientation).log_prob(w, y)
    torch.testing.assert_close(found[y == 1], present.log_prob(w[y == 1]))
    torch.testing.assert_close(found[y == 0], absent.log_prob(w[y == 0]))
    torch.testing.assert_close(found[y == -1], mixture(orientation, dim).log_prob(w[y == -1]))


@orientations
def test_the_density_of_an_unknown_label_integrates_to_one(orientation):
    w = torch.linspace(-10, 15, 20_001, dtype=torch.float64)
    density = label_prior(orientation).log_prob(w[:, None], torch.full((len(w),), -1)).exp()
    assert float(torch.trapezoid(density, w)) == pytest.approx(1, abs=1e-6)


@orientations
@pytest.mark.parametrize("dim", [1, 3])
def test_kl_of_known_labels_is_the_closed_form_of_torch(orientation, dim):
    mu, log_var, w = codes(20, dim)
    y = torch.tensor([1, 0], dtype=torch.int8).repeat(10)
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    absent, present = (kl_divergence(q, p.expand((20,))) for p in normals(orientation, dim))
    found = label_prior(orientation).kl(mu, log_var, w, y)
    torch.testing.assert_close(found, torch.where(y == 1, present, absent))


@orientations
@pytest.mark.parametrize(("mu", "std"), [(0.05, 0.12), (1.0, 0.5), (2.5, 0.8), (0.4, 1.5)])
def test_kl_of_unknown_labels_is_right_on_average(orientation, mu, std):
    w = torch.linspace(mu - 10 * std, mu + 10 * std, 20_001, dtype=torch.float64)
    q = Normal(number(mu), number(std))
    gap = q.log_prob(w) - mixture(orientation, 1).log_prob(w[:, None])
    expected = float(torch.trapezoid(q.log_prob(w).exp() * gap, w))

    count = 30_000
    mus = torch.full((count, 1), mu, dtype=torch.float64)
    log_vars = torch.full((count, 1), 2 * math.log(std), dtype=torch.float64)
    drawn = sample(mus, log_vars, torch.Generator().manual_seed(1))
    estimates = label_prior(orientation).kl(mus, log_vars, drawn, torch.full((count,), -1))
    error = float(estimates.std()) / math.sqrt(count)
    assert float(estimates.mean()) == pytest.approx(expected, abs=5 * error)
    assert error < 0.03


@orientations
def test_rows_without_a_label_leave_those_with_one_as_they_are(orientation):
    prior = label_prior(orientation)
    mu, log_var, w = codes(6, 2)
    w[3:] = 1000.0  # as far out as a sample could ever be
    y = torch.tensor([1, 0, 1, -1, -1, -1], dtype=torch.int8)
    mu.requires_grad_()
    log_var.requires_grad_()
    together = prior.kl(mu, log_var, w, y)
    torch.testing.assert_close(together[:3], prior.kl(mu[:3], log_var[:3], w[:3], y[:3]), rtol=0, atol=0)

    together[:3].sum().backward()
    for gradient in (mu.grad, log_var.grad):
        assert gradient.isfinite().all()
        assert (gradient[:3] != 0).all()
        assert (gradient[3:] == 0).all()


@orientations
def test_an_unknown_label_pulls_a_code_to_the_nearer_prior(orientation):
    prior = label_prior(orientation)
    w = torch.tensor([[0.2], [2.0], [4.5]], requires_grad=True)
    prior.kl(w.detach(), torch.full((3, 1), -4.0), w, torch.full((3,), -1)).sum().backward()
    downhill = -w.grad.flatten()
    assert downhill[0] < 0  # to 0
    assert downhill[1] > 0  # to 3
    assert downhill[2] < 0  # to 3


def test_cross_entropy_counts_known_labels_only():
    logits = torch.tensor([[math.log(3), 5.0], [math.log(3), 0.0], [9.0, -9.0]])
    y = torch.tensor([[1, -1], [0, 1], [-1, -1]], dtype=torch.int8)
    # sigmoid(log 3) = 3/4: −log 3/4 in the first row; −log 1/4 − log 1/2 in the second; nothing in the third.
    expected = (math.log(4 / 3) + math.log(4) + math.log(2) + 0) / 3
    assert float(known_cross_entropy(logits, y)) == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_sends_nothing_to_the_logits_of_unknown_labels():
    logits = torch.tensor([[0.3, -0.2], [1.0, 2.0]], requires_grad=True)
    known_cross_entropy(logits, torch.tensor([[1, -1], [-1, 0]], dtype=torch.int8)).backward()
    assert (logits.grad != 0).tolist() == [[True, False], [False, True]]
