"""What is done to pictures in passing: a blur, a smooth step, the most of what is around."""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Pictures N×C×H×W under a Gaussian of that standard deviation in pixels, edges replicated."""
    if sigma <= 0:
        return x
    down, across = (_blur_matrix(size, sigma).to(x) for size in x.shape[2:])
    return down @ x @ across.T


@lru_cache(maxsize=32)
def _blur_matrix(size: int, sigma: float) -> Tensor:
    """size×size: the weight of each pixel (columns) in each blurred one, cut off at 4 sigma."""
    reach = max(1, round(4 * sigma))
    offsets = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    places = (torch.arange(size)[:, None] + offsets).clamp(0, size - 1)
    return torch.zeros(size, size).scatter_add_(1, places, kernel.expand(size, -1))


def smooth_step(value: Tensor, low: float, high: float) -> Tensor:
    """0 up to low, 1 from high on, smooth between."""
    share = ((value - low) / (high - low)).clamp(0, 1)
    return share * share * (3 - 2 * share)


def extreme_around(
    x: Tensor, extreme: Callable[[Tensor, Tensor], Tensor] = torch.maximum, reach: int = 1
) -> Tensor:
    """The most, or with torch.minimum the least, of the (2·reach + 1)² places around each, N×C×H×W.

    max_pool2d takes ten times as long for it on a CPU.
    """
    for along in (2, 3) * reach:
        first, last = x.narrow(along, 0, 1), x.narrow(along, -1, 1)
        inner = x.shape[along] - 1
        before = torch.cat([first, x.narrow(along, 0, inner)], along)
        after = torch.cat([x.narrow(along, 1, inner), last], along)
        x = extreme(x, extreme(before, after))
    return x
