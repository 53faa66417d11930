"""How far a picture is from another: to the pixel, and to a reader's eye."""

import torch
from torch import Tensor

from models.freezing import frozen
from models.networks import Reader

_LEAST = 1e-8
"""Errors are no smaller: their logarithm is taken."""


def log_error(x_hat: Tensor, x: Tensor, rows: Tensor) -> Tensor:
    """The log of the mean squared error of pictures (or features) N×…, rows weighed (N)."""
    errors = (x_hat.float() - x.float()).square().flatten(1).mean(1)
    return ((errors * rows).mean() + _LEAST).log()


def log_feature_error(reader: Reader, x_hat: Tensor, x: Tensor, rows: Tensor) -> Tensor:
    """The mean over the reader's levels of `log_error`, each channel over its deviation."""
    with torch.no_grad():
        true = reader(x)
    with frozen(reader):
        seen = reader(x_hat)
    errors = []
    for level, target in zip(seen, true, strict=True):
        deviation = target.float().std((0, 2, 3), keepdim=True) + 1e-3
        errors.append(log_error(level / deviation, target / deviation, rows))
    return torch.stack(errors).mean()
