"""Linear erasure: what a linear reader finds of the labels in z is taken out in closed form."""

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
    covariances = [_covariance(centred, y[:, label]) for label in range(y.shape[1])]
    directions, strengths, _ = torch.linalg.svd(whiten @ torch.stack(covariances, dim=1), full_matrices=False)
    directions = directions[:, strengths > _NEGLIGIBLE]
    matrix = colour @ directions @ directions.T @ whiten
    return mean.to(z), matrix.to(z)


def _covariance(centred: Tensor, label: Tensor) -> Tensor:
    """Of z (N×D, centred) with one label over the rows where it is known, D."""
    known = (label >= 0).to(centred.device)
    if not known.any():
        return torch.zeros_like(centred[0])
    values = label.to(centred)[known]
    return centred[known].T @ (values - values.mean()) / len(values)
