"""What a linear reader finds of the labels in z is taken out, or moved elsewhere, in closed form."""

import torch
from torch import Tensor

from models.precision import exact

_NEGLIGIBLE = 1e-8
"""Variances, as a share of the largest, that count as none."""


def linear_eraser(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(mean D, matrix D×D): z − (z − mean) matrixᵀ has no covariance with any label any more.

    LEACE (Belrose et al. 2023): of all affine maps that achieve this, the one that changes z least.

    z: N×D; y: N×k in {1, 0, −1}; a label's unknown rows do not count for it.
    """
    z64 = exact(z)
    mean = z64.mean(0)
    centred = z64 - mean
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(z))
    used = variances > _NEGLIGIBLE * variances.max().clamp(min=1e-12)
    deviations = torch.where(used, variances, 1.0).sqrt()
    whiten = axes * torch.where(used, 1 / deviations, 0.0) @ axes.T
    colour = axes * torch.where(used, deviations, 0.0) @ axes.T
    covariances = centred.T @ _instruments(y, centred)
    directions, strengths, _ = torch.linalg.svd(whiten @ covariances, full_matrices=False)
    directions = directions[:, strengths > _NEGLIGIBLE]
    matrix = colour @ directions @ directions.T @ whiten
    return mean.to(z), matrix.to(z)


def linear_shift(z: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """B, D×k: z − t Bᵀ has no covariance with any label any more but what is as likely chance.

    B = cov(z, y) cov(t, y)⁻¹, the labels being instruments (Wright 1928): what differs in z between those
    with a label and those without, the other labels being alike, goes with the number that says it. Classes
    differ by chance, too, the more the fewer people they are, and what is taken out of z by chance is put
    into everybody else: column i is shrunk by 1 − E|chance|²/|B_i|² (at least 0; James and Stein 1961).

    z: N×D; t: N×k, a number for each label; y: N×k in {1, 0, −1}; a label's unknown rows do not count for it.
    """
    z64, t64 = exact(z), exact(t)
    labels = _instruments(y, z64)
    spread = (z64 - z64.mean(0)).square().sum() / len(z)
    by_t = torch.linalg.pinv(t64.T @ labels, rtol=1e-6)  # of exclusive labels one is told by the others
    shift = z64.T @ labels @ by_t
    chance = spread * (by_t.T @ (labels.T @ labels) @ by_t).diagonal()
    kept = 1 - chance / shift.square().sum(0).clamp(min=1e-12)
    shrunk: Tensor = shift * kept.clamp(min=0)
    return shrunk.to(z)


def _instruments(y: Tensor, like: Tensor) -> Tensor:
    """N×k: zᵀ times it is the covariance of z with each label (D×k), over the rows where that is known."""
    labels = y.to(like)
    known = labels >= 0
    count = known.sum(0).clamp(min=1)
    return torch.where(known, labels - (labels * known).sum(0) / count, 0.0) / count
