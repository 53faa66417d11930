"""A fresh classifier on frozen codes: it finds what is there, and nothing where nothing is."""

import math

import pytest
import torch

from models.probe import balanced_accuracy, fit_probe


def noise(rows, columns, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def labels(rows, share=0.5, seed=100):
    draw = torch.rand(rows, 1, generator=torch.Generator().manual_seed(seed))
    return (draw < share).to(torch.int8)


def score(codes, y, train, **options):
    """Balanced accuracy of the first label on the rows after `train`."""
    probe = fit_probe(codes[:train], y[:train], **{"seed": 0, "epochs": 30, **options})
    return balanced_accuracy(probe.logits(codes[train:]) > 0, y[train:])[0]


def test_a_label_that_is_in_the_codes_is_read():
    y = labels(1200)
    codes = noise(1200, 4)
    codes[:, 2] += 5.0 * y[:, 0]
    assert score(codes, y, 800) > 0.95


def test_a_label_that_is_not_in_the_codes_is_not_read():
    assert score(noise(3000, 4), labels(3000), 1000) == pytest.approx(0.5, abs=0.06)


def test_a_label_that_no_straight_cut_finds_is_read():
    codes = noise(3000, 3)
    y = ((codes[:, 0] > 0) ^ (codes[:, 1] > 0)).to(torch.int8)[:, None]
    assert score(codes, y, 2000) > 0.9


def test_a_label_cannot_hide_by_being_small_or_far_away():
    y = labels(1200)
    codes = noise(1200, 4)
    codes[:, 2] = 1e-3 * (codes[:, 2] + 5.0 * y[:, 0])
    codes[:, 3] += 1000.0
    assert score(codes, y, 800) > 0.95


def test_codes_that_say_nothing_score_a_half_however_rare_the_label():
    y = labels(1000, share=0.1)
    assert score(torch.full((1000, 3), 0.7), y, 600) == 0.5


def test_both_classes_weigh_the_same_however_rare_the_label():
    y = labels(4000, share=0.1)
    codes = noise(4000, 1) + y
    # Two unit Gaussians one apart: the even cut reads Φ(½) of both; uneven, absent would win nearly always.
    even = 0.5 * (1 + math.erf(0.5 / math.sqrt(2)))
    assert score(codes, y, 2000) == pytest.approx(even, abs=0.05)


def test_several_labels_are_read_each_by_itself():
    y = torch.cat([labels(1500, seed=1), labels(1500, seed=2)], dim=1)
    codes = noise(1500, 3)
    codes[:, 0] += 5.0 * y[:, 1]
    probe = fit_probe(codes[:1000], y[:1000], seed=0, epochs=30)
    first, second = balanced_accuracy(probe.logits(codes[1000:]) > 0, y[1000:])
    assert first == pytest.approx(0.5, abs=0.1)
    assert second > 0.95


def test_unknown_labels_teach_nothing():
    y = torch.tensor([1, 0] * 400 + [-1] * 1600, dtype=torch.int8)[:, None]
    # The unknown ones look like present. Taken for absent, they would outnumber it; counted as absent, they
    # would make the probe say "present" nearly always. Two Gaussians two apart read Φ(1) = 0.84.
    codes = noise(2400, 1) + torch.where(y == 0, -1.0, 1.0)
    shuffled = torch.randperm(2400, generator=torch.Generator().manual_seed(0))
    assert score(codes[shuffled], y[shuffled], 1800) > 0.78


def test_a_probe_is_the_same_for_the_same_seed_and_another_for_another():
    codes, y = noise(200, 2), labels(200)
    torch.manual_seed(1)
    first = fit_probe(codes, y, seed=7, epochs=2).logits(codes)
    torch.manual_seed(2)
    assert torch.equal(fit_probe(codes, y, seed=7, epochs=2).logits(codes), first)
    assert not torch.equal(fit_probe(codes, y, seed=8, epochs=2).logits(codes), first)


def test_the_callers_random_state_is_left_as_it_was():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fit_probe(noise(100, 2), labels(100), seed=0, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_probe_learns_within_no_grad_and_moves_no_encoder():
    y = labels(600)
    codes = noise(600, 2)
    codes[:, 0] += 5.0 * y[:, 0]
    with torch.no_grad():
        assert score(codes, y, 400) > 0.95
        assert not torch.is_grad_enabled()
    assert not fit_probe(codes, y, seed=0, epochs=1).logits(codes).requires_grad


def test_balanced_accuracy_by_hand():
    seen = torch.tensor([[1, 1], [0, 1], [1, 0], [0, 0], [0, 0], [1, 1]]).bool()
    y = torch.tensor([[1, 1], [1, 0], [0, 0], [0, 0], [0, 0], [-1, -1]], dtype=torch.int8)
    # First: 1 of 2 present, 2 of 3 absent. Second: 1 of 1 and 3 of 4. The last row counts nowhere.
    assert balanced_accuracy(seen, y) == pytest.approx([(1 / 2 + 2 / 3) / 2, (1 + 3 / 4) / 2])


def test_a_label_with_one_class_has_no_score():
    y = torch.tensor([[1, 1], [1, 0]], dtype=torch.int8)
    scores = balanced_accuracy(torch.tensor([[True, True], [True, False]]), y)
    assert math.isnan(scores[0])
    assert scores[1] == 1
