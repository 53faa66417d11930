"""The invertible map, its priors, and CSVAE by likelihood."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from models.flow import Flow
from models.flow_csvae import AUTOENCODER, EDITS, PLAIN_READER, READER
from models.kind import MAP, Codes, build
from models.priors import ClassGaussians

POINTS = {"network": "points", "shape": (3,)}


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def stirred(dim, seed=0):
    """A flow far from the identity, whitened by skewed codes."""
    torch.manual_seed(seed)
    flow = Flow(dim, couplings=6, hidden=16)
    for coupling in flow.couplings:
        torch.nn.init.normal_(coupling.layers[-1].weight, std=0.5)
    codes = torch.randn(500, dim) @ torch.randn(dim, dim) + 3
    flow.whiten_by(codes)
    with torch.no_grad():
        flow.linear.add_(0.3 * torch.randn(dim, dim))
    return flow, codes


@given(dim=st.integers(1, 9), seed=st.integers(0, 50))
def test_the_inverse_is_exact_to_float_precision(dim, seed):
    flow, codes = stirred(dim, seed)
    with torch.no_grad():
        u, _ = flow(codes[:20])
        assert torch.allclose(flow.inverse(u), codes[:20], rtol=1e-3, atol=1e-3 * float(codes.abs().max()))


def test_an_inverse_that_is_kept_stays_in_its_place_and_up_to_date():
    """A step that a GPU has recorded reads it from there."""
    flow, codes = stirred(4)
    with torch.no_grad():
        u, _ = flow(codes)
        flow.inverse(u)
        kept = [square._inverse.data_ptr() for square in (flow._of_linear, flow._of_whitening)]
        flow.linear.mul_(2)
        flow.whitening.mul_(0.5)
        assert torch.allclose(flow.inverse(flow(codes)[0]), codes, rtol=1e-3, atol=1e-3)
    assert [square._inverse.data_ptr() for square in (flow._of_linear, flow._of_whitening)] == kept


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_log_det_is_that_of_the_jacobian(dim):
    flow, codes = stirred(dim)
    for s in codes[:4]:
        jacobian = torch.autograd.functional.jacobian(lambda v: flow(v[None])[0][0], s)
        expected = torch.linalg.slogdet(jacobian.double()).logabsdet
        assert flow(s[None])[1].item() == pytest.approx(expected.item(), abs=1e-3)


def test_precision_around_a_map_is_taken_where_it_is_asked_for_alone():
    flow, codes = stirred(8)
    with torch.no_grad():
        exact, log_det = flow(codes)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert torch.equal(flow(codes)[0], exact)
        u, lowered = flow(codes, lowered=True)
        back = flow.inverse(u, lowered=True)
    assert not torch.equal(u, exact)
    assert float((u - exact).norm() / exact.norm()) < 0.02
    assert float((lowered - log_det).abs().mean()) < 0.02 * float(log_det.std())
    assert float((back - codes).norm() / codes.norm()) < 0.005


def test_whitened_codes_have_the_identity_as_covariance():
    flow, codes = stirred(4)
    white = (codes - flow.mean) @ flow.whitening.T
    assert torch.allclose(torch.cov(white.T), torch.eye(4), atol=1e-3)
    assert torch.allclose(white.mean(0), torch.zeros(4), atol=1e-4)


def test_rotations_are_rotations_and_the_same_wherever_they_are_made():
    first, again = Flow(7).rotations, Flow(7).rotations
    assert torch.equal(first, again)
    assert torch.allclose(first @ first.transpose(1, 2), torch.eye(7).expand(12, 7, 7), atol=1e-5)
    assert "rotations" not in Flow(7).state_dict()


def test_class_gaussians_are_the_normal_densities_and_their_mixture():
    torch.manual_seed(0)
    prior = ClassGaussians(3)
    with torch.no_grad():
        prior.mean.normal_()
        prior.log_std.normal_(std=0.3)
    w, odds = torch.randn(5, 3), 0.7
    each = [Normal(prior.mean[i], prior.log_std[i].exp()).log_prob(w).sum(1) for i in (0, 1)]
    assert torch.allclose(prior.log_prob(w, torch.zeros(5), odds), each[0], atol=1e-5)
    assert torch.allclose(prior.log_prob(w, torch.ones(5), odds), each[1], atol=1e-5)
    share = 1 / (1 + math.exp(-odds))
    mixture = torch.log((1 - share) * each[0].exp() + share * each[1].exp())
    assert torch.allclose(prior.log_prob(w, -torch.ones(5), odds), mixture, atol=1e-5)
    assert torch.allclose(prior.evidence(w), each[1] - each[0], atol=1e-5)


def made(**options):
    torch.manual_seed(0)
    model = build("flow-csvae", **{**POINTS, "labels": 2, "latent_dim": 1, "w_dims": (1, 2), **options})
    return model.eval()


def test_decoding_the_codes_of_a_picture_is_decoding_its_code_s():
    model = made(network="light", shape=(3, 32, 32), latent_dim=12, w_dims=(3, 2))
    x = torch.rand(4, 3, 32, 32, generator=noise())
    with torch.no_grad():
        codes = model.encode(x)
        assert torch.allclose(
            model.decode(codes.z_mu, codes.w_mu), model.decoder(model.code(x)[0]), atol=1e-4
        )


def test_the_map_does_not_see_labels():
    model, x = made(), torch.rand(4, 3, generator=noise())
    with torch.no_grad():
        told, blind = model.encode(x, torch.ones(4, 2, dtype=torch.int8)), model.encode(x)
    assert torch.equal(told.z_mu, blind.z_mu)
    assert all(map(torch.equal, told.w_mu, blind.w_mu))


def test_with_an_identity_map_the_likelihood_is_the_priors_own():
    model = made(code_noise=0.0)
    s = torch.randn(6, 4, generator=noise())
    y = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]], dtype=torch.int8)
    with torch.no_grad():
        for coupling in model.flow.couplings:
            coupling.layers[-1].weight.zero_()
        turned = torch.eye(4)
        for rotation in model.flow.rotations:
            turned = rotation @ turned
        model.flow.linear.copy_(turned.T)
        found = model.map_terms(s, y, noise())["nll"]
    expected = torch.zeros(6)
    for row in range(6):
        means, stds = [torch.zeros(1)], [torch.ones(1)]
        for label, prior in zip(y[row].tolist(), model.priors, strict=True):
            means.append(prior.mean[label].detach())
            stds.append(prior.log_std[label].detach().exp())
        density = MultivariateNormal(torch.cat(means), torch.diag(torch.cat(stds).square()))
        expected[row] = density.log_prob(s[row])
    assert float(found) == pytest.approx(-float(expected.mean()), abs=1e-3)


def test_an_unknown_label_is_marginalised():
    """exp of the likelihood without a label is the sum over labels of p(y) times the likelihood with it."""
    model, s = made(code_noise=0.0), torch.randn(1, 4, generator=noise())
    model.expect(torch.tensor([[1, 1]] * 3 + [[0, 0]] * 5, dtype=torch.int8))

    def likelihood(first, second):
        y = torch.tensor([[first, second]], dtype=torch.int8)
        with torch.no_grad():
            return float(torch.exp(-model.map_terms(s, y, noise())["nll"]))

    share = torch.sigmoid(model.log_odds[0])
    expected = share * likelihood(1, 0) + (1 - share) * likelihood(0, 0)
    assert likelihood(-1, 0) == pytest.approx(float(expected), rel=1e-4)


def exclusive_of_three():
    model = made(code_noise=0.0, labels=3, w_dims=(1, 2, 1), exclusive=True)
    model.expect(torch.eye(3, dtype=torch.int8)[[0] * 2 + [1] * 3 + [2] * 5])
    return model


def log_likelihood(model, s, *labels):
    y = torch.tensor([labels], dtype=torch.int8)
    with torch.no_grad():
        return -float(model.map_terms(s, y, noise())["nll"])


def test_exclusive_labels_are_as_likely_as_each_by_itself_where_they_are_known():
    model, s = exclusive_of_three(), torch.randn(1, 5, generator=noise())
    by_itself = made(code_noise=0.0, labels=3, w_dims=(1, 2, 1))
    for label in torch.eye(3, dtype=torch.int8).tolist():
        expected = log_likelihood(by_itself, s, *label)
        assert log_likelihood(model, s, *label) == pytest.approx(expected, rel=1e-5)


def test_unknown_exclusive_labels_are_marginalised_over_the_classes_that_are_left():
    model, s = exclusive_of_three(), torch.randn(1, 5, generator=noise())
    each = [math.exp(log_likelihood(model, s, *label)) for label in torch.eye(3, dtype=torch.int8).tolist()]
    shares = torch.sigmoid(model.log_odds).tolist()

    def marginal(*classes):
        whole = sum(shares[c] for c in classes)
        return math.log(sum(shares[c] / whole * each[c] for c in classes))

    assert log_likelihood(model, s, -1, -1, -1) == pytest.approx(marginal(0, 1, 2), abs=1e-4)
    assert log_likelihood(model, s, 0, -1, -1) == pytest.approx(marginal(1, 2), abs=1e-4)
    assert log_likelihood(model, s, -1, 1, -1) == pytest.approx(math.log(each[1]), abs=1e-4)


def test_probabilities_of_exclusive_labels_are_those_of_equally_likely_classes():
    model, w = exclusive_of_three(), [torch.randn(4, d, generator=noise()) for d in (1, 2, 1)]
    joint = torch.ones(4, 3)
    for c in range(3):
        for i, (prior, w_i) in enumerate(zip(model.priors, w, strict=True)):
            joint[:, c] *= prior.log_prob(w_i, torch.full((4,), int(i == c)), 0.0).detach().exp()
    expected = joint / joint.sum(1, keepdim=True)
    assert torch.allclose(model.label_probabilities(w), expected, atol=1e-5)


def test_stages_train_their_own_terms_alone():
    model = build("flow-csvae", network="light", shape=(3, 32, 32), labels=1, latent_dim=6, w_dims=(2,))
    x, y = torch.rand(4, 3, 32, 32), torch.tensor([[1], [0], [1], [0]], dtype=torch.int8)
    for stage, group in {"reader": "reader", "autoencoder": "autoencoder", "plain-reader": "reader"}.items():
        model.stage = stage
        assert {model.owners[name] for name in model.terms(x, y, noise())} == {group}
    found = model.map_terms(model.code(x)[0].detach(), y, noise())
    assert {model.owners[name] for name in found} == {MAP}


def test_edits_are_of_people_alike_and_train_the_decoder_alone():
    torch.manual_seed(0)
    options = {"network": "light", "shape": (3, 32, 32), "labels": 2, "latent_dim": 6, "styled": 1}
    model = build("flow-csvae", **options)
    model.stage = EDITS
    # Nobody alike has the label and nobody alike lacks it: nothing is edited, and nothing moves.
    x, alone = torch.rand(4, 3, 32, 32), torch.tensor([[1, 1], [0, 0], [1, 1], [0, 0]], dtype=torch.int8)
    still = model.terms(x, alone, noise())
    assert still["hold"].item() == pytest.approx(0, abs=1e-4)
    assert still["shown"].item() == pytest.approx(0, abs=1e-4)
    found = model.terms(x, torch.tensor([[1, 1], [0, 1], [1, 1], [0, 1]], dtype=torch.int8), noise())
    assert found["shown"].item() > 1e-3
    torch.stack(list(found.values())).sum().backward()
    moved = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert moved == {"decoder"}


def test_what_a_reader_sees_in_pictures_is_compared_with_what_it_sees_in_them_decoded():
    torch.manual_seed(0)
    options = {"network": "light", "shape": (3, 32, 32), "labels": 2, "latent_dim": 6, "styled": 1}
    model = build("flow-csvae", **options).eval()
    model.stage = EDITS
    torch.nn.init.normal_(model.reader.head.weight, std=100)
    x, y = torch.rand(4, 3, 32, 32), torch.tensor([[1, 1], [0, 1], [1, 0], [0, 0]], dtype=torch.int8)
    seen, drawn = (Bernoulli(logits=model.reader.logits(p)) for p in (x, model.decoder(model.mu(x))))
    expected = kl_divergence(seen, drawn).sum(1).mean().item()
    assert expected > 1e-3
    assert model.terms(x, y, noise())["seen"].item() == pytest.approx(expected, rel=1e-3)


def apart_along_the_first():
    """W_2 of 3 dimensions, classes apart along the first; deviations 1, and of "present" 2, 1 and √2."""
    model = made(w_dims=(1, 3))
    prior = model.priors[1]
    with torch.no_grad():
        prior.mean.copy_(torch.tensor([[-20.0, 1.0, 0.0], [20.0, 1.0, 0.0]]))
        prior.log_std.copy_(torch.tensor([[0.0] * 3, [math.log(2), 0.0, math.log(2) / 2]]))
    return model


def test_an_edit_puts_a_style_on_in_the_persons_own_light():
    model = apart_along_the_first()
    bare, wearer = torch.tensor([-21.0, 4.0, 1.0]), torch.tensor([22.0, 5.0, -2.0])
    style = torch.tensor([19.0, -3.0, 2.0])
    found = model.wearing(1, torch.stack([bare, wearer]), style)
    # The second dimension varies as much without it: light. Half of the variance of the third is style.
    expected = torch.tensor([[19.0, 4.0 - 4.0, 1.0 + 2.0], [19.0, 5.0, 0.5 * -2.0 + 0.5 * 2.0]])
    torch.testing.assert_close(found, expected)
    off = model.anchors(1)[0]
    assert off[0] < -20
    expected = torch.tensor([[float(off[0]), 4.0, 1.0], [float(off[0]), 5.0, -1.0]])
    torch.testing.assert_close(model.wearing(1, torch.stack([bare, wearer]), off), expected)


def test_their_own_style_leaves_people_as_they_are():
    model = apart_along_the_first()
    w = torch.randn(50, 3, generator=noise()) * torch.tensor([15.0, 2.0, 2.0])
    torch.testing.assert_close(model.wearing(1, w, w), w)


def test_half_an_edit_is_half_way_from_the_own_w():
    model = apart_along_the_first()
    w = (torch.randn(4, 1, generator=noise()), torch.tensor([[-21.0, 4.0, 1.0]]).repeat(4, 1))
    z = torch.randn(4, 1, generator=noise(1))
    codes = Codes(z, torch.zeros_like(z), w, tuple(map(torch.zeros_like, w)))
    style = torch.tensor([19.0, -3.0, 2.0])
    worn = model.wearing(1, w[1], style)
    for strength, at in ((0.0, w[1]), (0.5, (w[1] + worn) / 2), (1.0, worn), (2.0, 2 * worn - w[1])):
        found = model.switch(codes, {1: style}, strength=strength)
        torch.testing.assert_close(found, model.decode(z, [w[0], at]))


def test_where_w_has_no_room_for_styles_a_style_is_a_point():
    model = made()
    w = torch.randn(5, 2, generator=noise())
    point = torch.tensor([1.0, -2.0])
    assert torch.equal(model.wearing(1, w, point), point.expand(5, 2))


def test_an_edit_costs_what_it_changes_outside():
    torch.manual_seed(0)
    options = {"network": "light", "shape": (3, 32, 32), "labels": 1, "latent_dim": 6, "styled": 1}
    model = build("flow-csvae", **options, code_noise=0)
    codes, y = torch.randn(8, model.code_dim + model.w_dims[0]), torch.zeros(8, 1, dtype=torch.int8)
    y[:3] = 1
    model.get_buffer("beyond_0").copy_(torch.eye(model.code_dim))
    # With f(s) = s, those with and those without exchange their last coordinates, which are w.
    model.flow = Flow(model.code_dim, couplings=0)
    w = codes[:, 6:8]
    apart = [[math.log1p(float((one - other).square().sum())) for other in w[3:]] for one in w[:3]]
    found = [model.map_terms(codes, y, noise(seed))["outside"].item() for seed in range(200)]
    # Each of the three takes from any of five, and each of the five from any of three.
    pairs = [pair for row in apart for pair in row]
    assert sum(found) / len(found) == pytest.approx(sum(pairs) / len(pairs), rel=0.05)


def test_the_critic_sees_ones_own_z_with_the_givers_style_and_label():
    options = {"network": "light", "shape": (3, 32, 32), "labels": 1, "latent_dim": 6, "styled": 1}
    model = build("flow-csvae", **options, code_noise=0)
    model.flow = Flow(model.code_dim, couplings=0)  # f(s) = s
    for parameter in model.critic.parameters():
        torch.nn.init.zeros_(parameter)
    codes, y = torch.zeros(2, model.code_dim + model.w_dims[0]), torch.tensor([[1], [0]], dtype=torch.int8)
    z, w, label = 0, 6, model.code_dim
    codes[:, [z, w]] = torch.tensor([[1.0], [-1.0]])
    for other in (w, label):
        with torch.no_grad():
            model.critic.linear.weight.zero_()
            model.critic.linear.weight[0, [z, other]] = 3.0
        found = model.map_terms(codes, y, noise())
        # Their own codes are at 6 and −6 for it; exchanged, z and the other cancel.
        own = 0.5 * (math.log1p(math.exp(-6)) + math.log1p(math.exp(6)))
        assert found["natural"].item() == pytest.approx(math.log(2), rel=1e-5)
        assert found["critic"].item() == pytest.approx(own + math.log(2), rel=1e-5)


def test_a_label_of_which_few_are_known_is_heard_more_by_the_root():
    model = build("flow-csvae", **POINTS, labels=2, latent_dim=3)
    y = torch.full((16, 2), -1)
    y[:, 0] = torch.arange(16) % 2  # all are known, and half present
    y[:4, 1] = torch.tensor([0, 1, 0, 1])  # a quarter is
    before = model.map_terms(torch.randn(16, model.code_dim, generator=noise()), y, noise())["label"]
    model.expect(y)
    after = model.map_terms(torch.randn(16, model.code_dim, generator=noise()), y, noise())["label"]
    w_alone = y.clone()
    w_alone[:, 0] = -1
    second = model.map_terms(torch.randn(16, model.code_dim, generator=noise()), w_alone, noise())["label"]
    # The first label's part is as it was, the second's is twice what it was: the root of 16 / 4.
    assert torch.allclose(after - before, second / 2, atol=1e-5)


def test_at_the_end_the_map_takes_to_w_what_z_still_says_of_a_label():
    model = made(shape=(3,), labels=2, latent_dim=6, w_dims=(3, 2))
    generator = noise(1)
    y = torch.randint(0, 2, (2000, 2), generator=generator)
    s = torch.randn(2000, 11, generator=generator)
    s[:, 6] += 4 * y[:, 0]  # the first of w_1's numbers
    s[:, 9] += 4 * y[:, 1]
    s[:, :6] += 0.4 * y[:, :1]
    model.flow.whiten_by(s)
    with torch.no_grad():
        model.flow.linear += 0.1 * torch.randn(11, 11, generator=generator)
        before, log_det = model.flow(s)
        model.end_map(s, y)
        after, log_det_after = model.flow(s)

        def gap(u):
            return (u[y[:, 0] == 1, :6].mean(0) - u[y[:, 0] == 0, :6].mean(0)).norm()

        assert gap(after) < 0.3 * gap(before)
        torch.testing.assert_close(after[:, 6:], before[:, 6:])
        torch.testing.assert_close(log_det_after, log_det)
        torch.testing.assert_close(model.flow.inverse(after), s, atol=1e-4, rtol=1e-4)
        ended = model.flow.linear.clone()
        model.end_map(s, y)  # what is left is as likely chance
        torch.testing.assert_close(model.flow.linear, ended, atol=1e-3, rtol=0)


def of_pictures():
    torch.manual_seed(0)
    return build(
        "flow-csvae", network="light", shape=(3, 32, 32), labels=1, latent_dim=6, w_dims=(2,), styled=1
    )


def test_the_reader_learns_in_its_own_stages_and_only_looks_in_others():
    model = of_pictures()
    x, y = torch.rand(8, 3, 32, 32), torch.tensor([[1], [0]] * 4, dtype=torch.int8)
    for stage in (AUTOENCODER, EDITS, READER):
        model.stage = stage
        model.train()
        before = {name: t.clone() for name, t in model.reader.named_buffers()}
        sum(model.terms(x, y, torch.Generator().manual_seed(0)).values()).backward()
        moved = any(not torch.equal(t, before[name]) for name, t in model.reader.named_buffers())
        assert moved == (stage == READER), stage
    model.eval()
    assert not model.reader.training


def with_several_readers():
    torch.manual_seed(0)
    options = {"network": "light", "shape": (3, 32, 32), "labels": 1, "latent_dim": 6, "w_dims": (2,)}
    return build("flow-csvae", **options, styled=1, several_readers=True)


def test_further_readers_are_taught_for_the_edits_alone():
    model = with_several_readers()
    x, y = torch.rand(8, 3, 32, 32), torch.tensor([[1], [0]] * 4, dtype=torch.int8)
    further = {f"further_readers.{name}" for name in model.further_readers}
    assert len(further) > 1
    for stage in (READER, AUTOENCODER, PLAIN_READER, EDITS):
        model.stage = stage
        model.train()
        model.zero_grad()
        drawn = torch.random.get_rng_state()
        sum(model.terms(x, y, noise()).values()).backward()
        # All that is random is drawn from the training's own noise, which checkpoints keep.
        assert torch.equal(torch.random.get_rng_state(), drawn)
        moved = {name for name, p in model.named_parameters() if p.grad is not None}
        learning = {name for name in further if any(one.startswith(name) for one in moved)}
        assert learning == (further if stage == PLAIN_READER else set()), stage
    assert not any(module.training for module in model.further_readers.modules())
    grouped = [p for group in model.groups().values() for p in group]
    assert len(grouped) == len(set(grouped)) == len(list(model.parameters()))


def test_what_is_validated_is_what_the_reader_reads_and_no_other():
    model = with_several_readers().eval()
    model.stage = None
    x, y = torch.rand(8, 3, 32, 32), torch.tensor([[1], [0]] * 4, dtype=torch.int8)
    before = model.terms(x, y, noise())["reading"]
    for p in model.further_readers.parameters():
        torch.nn.init.normal_(p)
    assert model.terms(x, y, noise(1))["reading"] == before


def test_every_reader_holds_its_share_of_the_edits():
    model = with_several_readers()
    model.stage = EDITS
    model.train()
    x, y = torch.rand(10, 3, 32, 32), torch.tensor([[1], [0]] * 5, dtype=torch.int8)
    before = model.terms(x, y, noise())["shown"].item()
    for reader in (model.reader, *model.further_readers.values()):
        kept = {name: t.clone() for name, t in reader.state_dict().items()}
        for p in reader.parameters():
            torch.nn.init.normal_(p, std=0.3)
        assert model.terms(x, y, noise())["shown"].item() != pytest.approx(before, rel=1e-3)
        reader.load_state_dict(kept)
    assert model.terms(x, y, noise())["shown"].item() == pytest.approx(before, rel=1e-5)


def test_plain_pictures_are_read_by_a_reader_that_has_seen_nothing_else():
    model, other = with_several_readers(), with_several_readers()
    for stage in (READER, AUTOENCODER, EDITS):
        model.stage = stage
        before = {name: t.clone() for name, t in model.state_dict().items()}
        model.begin_stage(0)
        assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    torch.rand(3)
    drawn = torch.random.get_rng_state()
    model.stage = other.stage = PLAIN_READER
    for reader in (other.reader, other.further_readers["residual"]):
        reader.head.weight.data.zero_()  # whatever it was
    for one in (model, other):
        one.begin_stage(0)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    for name, t in model.state_dict().items():
        assert torch.equal(t, other.state_dict()[name]), name
    for name in ("reader.head.weight", "further_readers.residual.head.weight"):
        assert not torch.equal(model.state_dict()[name], before[name])
    other.begin_stage(1)  # another seed's is another one
    assert not torch.equal(model.reader.head.weight, other.reader.head.weight)
