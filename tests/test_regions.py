"""Where an attribute is, by occlusion, and what a change of a code changes outside."""

import torch
from torch import nn

from models.regions import around, occlusion, outside, reach
from models.styles import partners

SEEN = (slice(4, 8), slice(8, 12))


def test_occlusion_finds_the_place_that_is_looked_at() -> None:
    x = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) + 1

    def log_odds(pictures: torch.Tensor) -> torch.Tensor:
        return pictures[:, 0, *SEEN].mean((1, 2)) * 4

    lost = occlusion(log_odds, x, torch.zeros(3, 16, 16), cells=4)
    expected = torch.zeros(4, 4)
    expected[1, 2] = log_odds(x).mean()
    assert torch.allclose(lost, expected)
    wide = occlusion(log_odds, x, torch.zeros(3, 16, 16), cells=4, size=2)
    assert wide[1, 2] == wide.max()
    assert wide[3, 0] == 0


def test_outside_is_nought_at_the_place_and_one_far_from_it() -> None:
    lost = torch.zeros(16, 16)
    lost[6:8, 3:5] = 1
    weight = outside(lost, 64, 64)
    assert weight.shape == (64, 64)
    assert float(weight[28, 16]) == 0
    assert float(weight[28, 47]) == 0  # and in the mirror
    assert float(weight[50, 32]) == 1
    assert bool((outside(torch.zeros(16, 16), 64, 64) == 1).all())


def test_around_is_what_is_seen_outside() -> None:
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    weight = torch.ones(64, 64)
    weight[32:48, :8] = 0
    seen = around(x, weight).unflatten(1, (3, 8, 8))
    assert torch.allclose(seen[1, 2, 3, 7], x[1, 2, 24:32, 56:].mean())
    assert bool((seen[:, :, 4:6, 0] == 0).all())


class _Linear(nn.Module):
    """A decoder that is linear in its code, D -> 1×4×4."""

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.matrix = matrix

    def forward(self, s: torch.Tensor) -> torch.Tensor:
        return (s @ self.matrix.T).view(-1, 1, 4, 4)


def test_reach_measures_changes_of_a_linear_decoder_exactly() -> None:
    noise = torch.Generator().manual_seed(1)
    matrix, steps = torch.randn(16, 5, generator=noise), torch.randn(5, 5, generator=noise)
    weights = torch.stack([torch.ones(4, 4), torch.rand(4, 4, generator=noise)])
    s, d = torch.randn(3, 5, generator=noise), torch.randn(5, generator=noise)
    decoder = _Linear(matrix)
    for metric, weight in zip(reach(decoder, s, steps, weights), weights, strict=True):
        change = decoder(s[:1] + steps @ d) - decoder(s[:1])
        assert torch.allclose(d @ metric @ d, (weight * change.square()).mean(), rtol=1e-3)


def test_partners_are_allowed_ones() -> None:
    group = torch.tensor([2, 0, 2, 1, 0, 2, 0, 0])
    allowed = (group[:, None] == group).fill_diagonal_(False)
    noise = torch.Generator().manual_seed(2)
    drawn = torch.stack([partners(allowed, noise) for _ in range(50)])
    assert bool((group[drawn] == group).all())
    assert bool((drawn[:, 3] == 3).all())  # alone
    assert {tuple(sorted(set(column.tolist()))) for column in drawn.T[[0, 1]]} == {(2, 5), (4, 6, 7)}
