"""Search over W: the grid, the principal components of present codes, and typical styles."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.precision import exact


@dataclass(frozen=True)
class SubspaceStatistics:
    """What is known of W_i from the codes of training pictures with the attribute.

    present_mean, absent_mean: d_i, means of μ_w over pictures with and without (but see `describe`);
    axes: d_i×d_i, the principal axes of the present codes as rows, the widest first; stds: d_i, the standard
    deviations along them; typical: T×d_i, codes of real pictures that stand for the styles there are, the
    most common first.
    """

    present_mean: Tensor
    absent_mean: Tensor
    axes: Tensor
    stds: Tensor
    typical: Tensor


def describe(w_mu: Tensor, y: Tensor, typical: int = 6, strength: Tensor | None = None) -> SubspaceStatistics:
    """Statistics of W_i from μ_w (N×d_i) and labels y (N) of training pictures; both classes must occur.

    strength: a direction (d_i) along which an attribute is only more or less clear: it becomes the last axis,
    and the others are the principal axes of what is left. present_mean then lies a standard deviation further
    along it than the mean, as of someone in whom the attribute is clearly seen: many real wearers are not.
    """
    present, absent = w_mu[y == 1].float(), w_mu[y == 0].float()
    mean = present.mean(0)
    axes, stds = principal_axes(present, None if strength is None else strength.to(present))
    if strength is not None:
        mean = mean + stds[-1] * axes[-1]
    return SubspaceStatistics(mean, absent.mean(0), axes, stds, typical_styles(present, typical))


def principal_axes(w: Tensor, last: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Principal axes of w (N×d) as rows, d×d, and the standard deviations (of N − 1) along them, d.

    Each axis points to where its largest coordinate is positive, so that the same codes give the same axes.
    last: a unit vector, d, that is to be the last axis; the others are those of what is left across it.
    """
    device, w = w.device, exact(w)
    spare = w.new_zeros(w.shape[1]) if last is None else exact(last)
    along = w @ spare
    correction = min(len(w) - 1, 1)  # one alone does not spread
    covariance = torch.cov((w - along[:, None] * spare).T, correction=correction).reshape(len(spare), -1)
    variances, columns = torch.linalg.eigh(covariance - spare[:, None] * spare)  # −1 along it: it is last
    axes, variances = columns.T.flip(0), variances.flip(0).clamp(min=0)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    axes = axes * largest.sign()
    if last is not None:
        axes[-1], variances[-1] = spare, along.var(correction=correction)
    return axes.float().to(device), variances.sqrt().float().to(device)


def grid(centre: Tensor, rows: int, columns: int, half_width: Tensor | float) -> Tensor:
    """rows×columns points of a 2-dimensional W_i, rows·columns×2, evenly over centre ± half_width.

    The first coordinate grows to the right, the second upwards; a single row or column lies at the centre.
    """
    across, up = _even(columns), _even(rows).flip(0)
    steps = torch.stack([across.repeat(rows), up.repeat_interleave(columns)], dim=1).to(centre)
    return centre + steps * half_width


def along_axes(statistics: SubspaceStatistics, coefficients: Sequence[float] | Tensor) -> Tensor:
    """present_mean + Σ_n c_n · std_n · axis_n: a linear combination of principal components, d_i.

    coefficients: in standard deviations, for the first axes; N×m gives N×d_i.
    """
    c = torch.as_tensor(coefficients, dtype=torch.float32).to(statistics.axes.device)
    used = c.shape[-1]
    return statistics.present_mean + (c * statistics.stds[:used]) @ statistics.axes[:used]


_NO_SPREAD = 0.25
"""The standard deviation of a code that is a label (±1) and has no spread of its own."""


def plane(statistics: SubspaceStatistics, rows: int, columns: int, span: float) -> Tensor:
    """rows·columns points around the present mean, ± span standard deviations, row by row, N×d_i.

    Over W_i itself where it has 2 dimensions (the first grows to the right, the second upwards), over its
    first two principal components where it has more, all along its dimension where it has one.
    """
    dim = len(statistics.stds)
    if dim == 1:
        offsets = span * _even(rows * columns)[:, None].to(statistics.stds)
        return statistics.present_mean + offsets * statistics.stds.clamp(min=_NO_SPREAD)
    if dim == 2:
        return grid(statistics.present_mean, rows, columns, span * coordinate_stds(statistics))
    return along_axes(statistics, grid(torch.zeros(2), rows, columns, span))


def coordinate_stds(statistics: SubspaceStatistics) -> Tensor:
    """Standard deviations of the present codes along the coordinates of W_i themselves, d_i."""
    return (statistics.axes.square() * statistics.stds[:, None].square()).sum(0).sqrt()


def typical_styles(w: Tensor, count: int) -> Tensor:
    """Codes of real pictures (rows of w, N×d) that are spread over the styles there are: k-means' medoids.

    Distances are those of W_i itself, in which the prior says what is far: a coordinate that hardly varies
    carries no style. Ordered by how many pictures are nearest to each. Deterministic: the first centre is the
    code nearest the mean, each next one the code farthest from those chosen.
    """
    count = min(count, len(w))
    chosen = [int((w - w.mean(0)).square().sum(1).argmin())]
    while len(chosen) < count:
        chosen.append(int(torch.cdist(w, w[chosen]).min(1).values.argmax()))
    centres = w[chosen]
    for _ in range(20):
        nearest = torch.cdist(w, centres).argmin(1)
        centres = torch.stack(
            [w[nearest == c].mean(0) if (nearest == c).any() else centres[c] for c in range(count)]
        )
    distance = torch.cdist(w, centres)
    sizes = torch.bincount(distance.argmin(1), minlength=count)
    medoids = distance.argmin(0)[sizes.argsort(descending=True, stable=True)]
    return w[medoids]


def _even(count: int) -> Tensor:
    return torch.linspace(-1, 1, count) if count > 1 else torch.zeros(1)
