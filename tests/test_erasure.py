"""Linear erasure and shifting, against linear probes and by their own promises."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from models.erasure import linear_eraser, linear_shift
from models.kind import build


def leaking(seed: int, rows: int = 400, dim: int = 6, labels: int = 2) -> tuple[Tensor, Tensor]:
    """Codes of dimensions that hang together, with every label along a direction of its own."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (rows, labels), generator=generator)
    mixed = torch.randn(rows, dim, generator=generator) @ torch.randn(dim, dim, generator=generator)
    return mixed + 2 * y.float() @ torch.randn(labels, dim, generator=generator), y


def erased(z: Tensor, y: Tensor) -> Tensor:
    mean, matrix = linear_eraser(z, y)
    return z - (z - mean) @ matrix.T


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_no_label_has_a_covariance_with_any_coordinate_left(seed, labels):
    z, y = leaking(seed, labels=labels)
    left = erased(z, y)
    for label in range(labels):
        present = y[:, label] == 1
        before = (z[present].mean(0) - z[~present].mean(0)).norm()
        after = (left[present].mean(0) - left[~present].mean(0)).norm()
        assert after < 1e-4 * before
    torch.testing.assert_close(left.mean(0), z.mean(0), atol=1e-4, rtol=0)


def test_a_linear_probe_reads_nothing_any_more():
    z, y = leaking(3)
    probe = LogisticRegression(max_iter=1000)
    assert probe.fit(z.numpy(), y[:, 0].numpy()).score(z.numpy(), y[:, 0].numpy()) > 0.75
    left = erased(z, y).numpy()
    majority = max(np.bincount(y[:, 0].numpy())) / len(y)
    assert probe.fit(left, y[:, 0].numpy()).score(left, y[:, 0].numpy()) == pytest.approx(majority, abs=0.02)


def test_what_it_takes_out_is_what_must_go():
    # Uncorrelated coordinates, the label in the first alone: that is flattened, the others stay.
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([0, 1]).repeat(500)[:, None]
    z = torch.randn(1000, 3, generator=generator)
    z[:, 1:] -= (z[:, 1:] * (2 * y - 1)).mean(0) * (2 * y - 1)  # exactly no covariance with the label
    z[:, 0] = 2.0 * y[:, 0]
    left = erased(z, y)
    assert left[:, 0].std() < 0.05
    assert (left[:, 1:] - z[:, 1:]).abs().max() < 0.2
    again = erased(left, y)
    torch.testing.assert_close(again, left, atol=1e-4, rtol=0)


def test_unknown_labels_and_dimensions_at_rest_do_no_harm():
    z, y = leaking(5, labels=1)
    z[:, 2] = 0
    y[:100] = -1
    left = erased(z, y)
    assert left.isfinite().all()
    assert left[:, 2].abs().max() < 1e-12
    known = y[:, 0] >= 0
    kept, labels = left[known], y[known, 0] == 1
    torch.testing.assert_close(kept[labels].mean(0), kept[~labels].mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(erased(z, torch.full_like(y, -1)), z)


def said(seed: int, rows: int, way: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(z, t, y): t says the labels, with noise; z is noise, and what they take along by way (D×k)."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (rows, way.shape[1]), generator=generator)
    y[:, 1:] |= y[:, :1] & torch.randint(0, 2, (rows, 1), generator=generator)  # the labels hang together
    t = 4.0 * y - 2 + 0.7 * torch.randn(y.shape, generator=generator)
    z = torch.randn(rows, len(way), generator=generator) + (4.0 * y - 2) @ way.T
    return z, t, y


def test_a_shift_is_found_label_by_label_though_they_hang_together():
    way = torch.zeros(5, 2)
    way[0, 0], way[3, 0] = 0.5, -0.25  # the second label takes nothing along
    shift = linear_shift(*said(0, 20_000, way))
    torch.testing.assert_close(shift, way, atol=0.02, rtol=0)
    assert shift[:, 1].norm() < 0.01


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_classes_that_differ_by_chance_are_left_alone(seed):
    z, t, y = said(seed, 300, torch.zeros(200, 1))
    centred = y - y.float().mean(0)
    unshrunk = z.T @ centred / (t.T @ centred)
    assert linear_shift(z, t, y).norm() < 0.5 * unshrunk.norm()


def test_what_is_left_is_as_likely_chance():
    way = torch.full((8, 1), 0.2)
    z, t, y = said(1, 2000, way)
    left = z - t @ linear_shift(z, t, y).T
    gap = left[y[:, 0] == 1].mean(0) - left[y[:, 0] == 0].mean(0)
    assert gap.norm() < 2 * (8 * 4 / 2000) ** 0.5  # two standard errors; before it was 0.8 in every number
    assert not linear_shift(left, t, y).any()


def test_labels_of_which_one_is_told_by_the_others_are_shifted_too():
    label = torch.arange(900) % 3
    y = torch.nn.functional.one_hot(label, 3)
    generator = torch.Generator().manual_seed(0)
    way = torch.randn(4, 3, generator=generator)
    z = 2.0 * y @ way.T + 0.1 * torch.randn(900, 4, generator=generator)
    left = z - 2.0 * y @ linear_shift(z, 2.0 * y, y).T
    means = torch.stack([left[label == one].mean(0) for one in range(3)])
    assert (means - means.mean(0)).abs().max() < 0.02


def test_rows_of_which_a_label_is_unknown_say_nothing_of_it():
    z, t, y = said(2, 4000, torch.tensor([[0.5, 0.0], [0.0, -0.5]]))
    y[:2000, 0] = -1
    shift = linear_shift(z, t, y)
    torch.testing.assert_close(shift, torch.tensor([[0.5, 0.0], [0.0, -0.5]]), atol=0.05, rtol=0)
    z[:2000] = z[:2000].flip(0)  # what these people's z and t say of the second label goes
    assert (linear_shift(z, t, y)[:, 0] - shift[:, 0]).abs().max() < 0.1
    assert linear_shift(z, t, torch.full_like(y, -1)).isfinite().all()


def test_a_settled_csvae_gives_codes_that_are_erased_and_trains_on_whole_ones():
    torch.manual_seed(0)
    model = build("csvae", shape=(3,), labels=1, network="points", latent_dim=4).eval()
    y = torch.randint(0, 2, (300, 1), generator=torch.Generator().manual_seed(1))
    x = torch.randn(300, 3, generator=torch.Generator().manual_seed(2)) + 3 * y
    with torch.no_grad():
        model.z_head.weight.mul_(20)  # no dimension is to be put to rest
        raw = model.encode(x).z_mu
        model.settle(raw, y)
        settled = model.encode(x).z_mu
        present = y[:, 0] == 1
        gap, before = ((codes[present].mean(0) - codes[~present].mean(0)).norm() for codes in (settled, raw))
        assert gap < 1e-3 * before
        model.wake()
        assert torch.equal(model.encode(x).z_mu, raw)
        model.settle(raw, y)
        model.train()
        assert torch.equal(model.encode(x).z_mu, raw)
