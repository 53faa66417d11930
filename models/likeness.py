"""How far a picture is from another: to the pixel, and to a reader's eye."""

from typing import Any

import torch
from torch import Tensor

from models.freezing import frozen
from models.readers import Reader

_LEAST = 1e-8
"""Errors are no smaller: their logarithm is taken."""


def log_error(x_hat: Tensor, x: Tensor, rows: Tensor) -> Tensor:
    """The log of the mean squared error of pictures (or points) N×…, rows weighed (N)."""
    return _log_mean(x_hat, x, torch.ones((), device=x.device), rows)


def log_feature_error(reader: Reader, x_hat: Tensor, x: Tensor, rows: Tensor) -> Tensor:
    """The mean over the reader's levels of `log_error`, each channel over its deviation."""
    with torch.no_grad():
        true = reader(x)
        scales = [1 / (_deviation(level.float()) + 1e-3) for level in true]
    with frozen(reader):
        seen = reader(x_hat)
    levels = zip(seen, true, scales, strict=True)
    return torch.stack([_log_mean(level, target, scale, rows) for level, target, scale in levels]).mean()


def _log_mean(x_hat: Tensor, x: Tensor, scale: Tensor, rows: Tensor) -> Tensor:
    errors: Tensor = _SquaredError.apply(x_hat, x, scale)
    return ((errors * rows).mean() + _LEAST).log()


def _deviation(features: Tensor) -> Tensor:
    """Of each channel of features N×C×H×W, 1×C×1×1: `std` takes ten times as long where channels lie last."""
    count = features.numel() // features.shape[1]
    mean = features.mean((0, 2, 3), keepdim=True)
    squares = _norm(features, (0, 2, 3)).square()
    return ((squares - count * mean.square()).clamp_min(0) / (count - 1)).sqrt()


def _norm(values: Tensor, dims: tuple[int, ...]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values, dim=dims, keepdim=True)
    return norm


class _SquaredError(torch.autograd.Function):
    """(x̂, x, scale) N×… -> the mean of (scale · (x̂ − x))² for each row, in float32; x̂ alone has a gradient.

    Autograd would go through memory, for which all of this waits, more than twice as often.
    """

    @staticmethod
    def forward(ctx: Any, x_hat: Tensor, x: Tensor, scale: Tensor) -> Tensor:
        apart = (x_hat.float() - x.float()).mul_(scale)
        ctx.save_for_backward(apart, scale)
        ctx.precision = x_hat.dtype
        within = tuple(range(1, apart.ndim))
        return _norm(apart, within).square().view(-1) / apart[0].numel()

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, None, None]:
        apart, scale = ctx.saved_tensors
        each = above[0].view(-1, *[1] * (apart.ndim - 1))
        return (apart * (2 / apart[0].numel() * each * scale)).to(ctx.precision), None, None
