"""What the styles of an attribute are: how those who have it differ from one another, and others do not."""

import torch
from torch import Tensor, nn

from models.evenly import evenly

_COMPONENTS, _RIDGE, _LIGHTS = 200, 0.3, 4

_CLEAR, _LEAST = 1.6, 1.4
"""How many times as much those with an attribute vary in a style; and in one that cannot be the light."""


def contrast(
    present: Tensor, absent: Tensor, count: int, around: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """(matrix D×count, offset count): features @ matrix + offset are the styles, whitened over `present`.

    present, absent: features N×D and M×D of pictures with and without the attribute. The directions are those
    in which the first vary most for the variance of the second (generalised eigenvectors, as in common
    spatial patterns, Koles et al. 1990, and contrastive PCA, Abid et al. 2018), within the widest 200
    principal components of both together. A direction in which the first vary less than 1.6 times as much as
    the second is no style: it is 0 for all. All are 0 where either is fewer than two pictures. The caller's
    random state (the CPU's) is left as it was.

    around: what the same pictures show elsewhere, N×e and M×e. Where there are fewer styles than asked for,
    they are hardly told from the light (facial hair): then all are sought among directions that say nothing
    of it, uncorrelated, with both groups about their means, with its four widest principal components; and
    1.4 times is enough.
    """
    present, absent = present.float(), absent.float()
    if min(len(present), len(absent)) < 2:
        return present.new_zeros(present.shape[1], count), present.new_zeros(count)
    centre, spread = absent.mean(0), absent.std(0)
    spread = spread + 0.05 * spread.mean() + 1e-4
    both = (torch.cat([present, absent]) - centre) / spread
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, _, basis = torch.pca_lowrank(both, q=min(_COMPONENTS, *both.shape), niter=3)
    with_it, without = both[: len(present)], both[len(present) :]
    ratios, chosen = _widest(with_it @ basis, without @ basis, count)
    least = _CLEAR
    if around is not None and bool((ratios < _CLEAR).any()):
        basis = basis @ _silent(both @ basis, torch.cat([group - group.mean(0) for group in around]))
        ratios, chosen = _widest(with_it @ basis, without @ basis, count)
        least = _LEAST
    matrix = (basis @ chosen) / spread[:, None]
    styles = (present - centre) @ matrix
    matrix = matrix / (styles.std(0) + 1e-8) * (ratios >= least)
    matrix = nn.functional.pad(matrix, (0, count - matrix.shape[1]))  # so few pictures have fewer directions
    return matrix, -(present @ matrix).mean(0)


def _widest(present: Tensor, absent: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(ratios, directions D×count) in which the first (N×D) vary most for the variance of the second (M×D).

    The largest ratio first; fewer than `count` where D is less.
    """
    side = present.shape[1]  # of a single direction cov is no matrix
    wide, narrow = (torch.cov(group.T).reshape(side, side) for group in (present, absent))
    ridge = _RIDGE * narrow.diagonal().mean() + 1e-8
    root = torch.linalg.cholesky(narrow + ridge * torch.eye(len(narrow), device=narrow.device))
    half = torch.linalg.solve_triangular(root, wide, upper=False)
    ratios, vectors = torch.linalg.eigh(torch.linalg.solve_triangular(root, half.T, upper=False))
    directions = torch.linalg.solve_triangular(root.T, vectors[:, -count:].flip(1), upper=True)
    return ratios[-count:].flip(0), directions


def _silent(features: Tensor, elsewhere: Tensor) -> Tensor:
    """Directions of features (N×D) that say nothing of the widest four of `elsewhere` (N×e), D×(D − 4).

    elsewhere: about its means, so that those of the features do not count.
    """
    count = min(_LIGHTS, elsewhere.shape[1], features.shape[1] - 1)
    _, axes = torch.linalg.eigh(elsewhere.T @ elsewhere)
    told: Tensor = torch.linalg.svd(features.T @ (elsewhere @ axes[:, -count:])).U
    return told[:, count:]


def alike(y: Tensor, attribute: int, kept: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Rows with the attribute, and as many at most without it for every combination of the kept labels.

    y: N×k; kept: the columns of labels that edits leave alone; most: how many of either. Of more, every so
    many rows, since rows may be sorted by what they show.
    """
    combination = combinations(y[:, kept])
    present, absent = ((y[:, attribute] == label).nonzero()[:, 0] for label in (1, 0))
    present = evenly(present, most)
    chosen = [absent[:0]]
    for number in combination[present].unique().tolist():
        room = int((combination[present] == number).sum())
        chosen.append(evenly(absent[combination[absent] == number], room))
    return present, torch.cat(chosen)


def combinations(y: Tensor) -> Tensor:
    """A number for each row of labels (N×k), the same where the same labels are present, N."""
    numbers = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    for column in range(y.shape[1]):
        numbers = 2 * numbers + (y[:, column] == 1)
    return numbers


def partners(allowed: Tensor, noise: torch.Generator | None) -> Tensor:
    """For each row a column of its own that is allowed, at random; itself where none is, N.

    allowed: bool N×N.
    """
    chance = torch.rand(allowed.shape, generator=noise, device=allowed.device).masked_fill(~allowed, -1)
    best = chance.max(1)
    return torch.where(best.values >= 0, best.indices, torch.arange(len(allowed), device=allowed.device))
