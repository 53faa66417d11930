"""Where in pictures an attribute is, and how far a change of a code reaches beyond that."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_INSIDE = 16
"""The strongest of so many parts of a picture is the attribute's place beyond doubt."""

_RASTER = 8
"""Rows and columns that say what is around an attribute."""

_STEP, _CHUNK = 0.3, 96
"""How far a difference reaches, in units of steps, and how many are decoded at a time."""


@torch.no_grad()
def occlusion(
    log_odds: Callable[[Tensor], Tensor], x: Tensor, mean: Tensor, cells: int, size: int = 1
) -> Tensor:
    """What each cell of a raster is worth to who sees an attribute, cells×cells, at least 0.

    The mean loss of log-odds (N) over pictures x (N×C×H×W) as `size`×`size` cells are replaced by those of
    the mean picture, over all windows that hold the cell. Log-odds, because a sure probability stays 1
    whatever is hidden.
    """
    whole = log_odds(x)
    height, width = x.shape[2:]
    edges = [[n * side // cells for n in range(cells + 1)] for side in (height, width)]
    lost, windows = torch.zeros(cells, cells), torch.zeros(cells, cells)
    for row in range(cells - size + 1):
        for column in range(cells - size + 1):
            down = slice(edges[0][row], edges[0][row + size])
            across = slice(edges[1][column], edges[1][column + size])
            hidden = x.clone()
            hidden[:, :, down, across] = mean[:, down, across]
            here = slice(row, row + size), slice(column, column + size)
            lost[here] += float((whole - log_odds(hidden)).mean().clamp(min=0))
            windows[here] += 1
    return lost / windows


def outside(lost: Tensor, height: int, width: int) -> Tensor:
    """1 where an attribute is not, 0 where it is, smooth between, H×W, from its `occlusion`.

    As strong left as right: faces are turned either way.
    """
    lost = (lost + lost.flip(1)) / 2
    strong = lost.flatten().topk(max(lost.numel() // _INSIDE, 1)).values.mean().clamp(min=1e-9)
    grown = F.interpolate(lost[None, None] / strong, (height, width), mode="bilinear", align_corners=False)
    return (1 - 2 * grown[0, 0]).clamp(0, 1)


def around(x: Tensor, weight: Tensor) -> Tensor:
    """What pictures (N×C×H×W) show `outside` (H×W), roughly: the means of a raster, N×e."""
    return F.adaptive_avg_pool2d(x * weight.to(x), _RASTER).flatten(1)


@torch.no_grad()
def reach(decoder: nn.Module, s: Tensor, steps: Tensor, weights: Tensor) -> Tensor:
    """G_i with dᵀ G_i d ≈ the weighted mean square of how the picture changes from s to s + steps·d, k×D×D.

    The mean over rows of s (N×D) of JᵀJ, by central differences along the columns of steps (D×D), in float32;
    weights: k of each pixel, k×H×W in [0, 1].
    """
    metrics = torch.zeros(len(weights), *steps.shape, device=s.device)
    with torch.autocast(s.device.type, enabled=False):
        for row in s:
            jacobian = torch.cat(
                [(decoder(row + d) - decoder(row - d)) / (2 * _STEP) for d in (_STEP * steps.T).split(_CHUNK)]
            )
            for metric, weight in zip(metrics, weights.to(s), strict=True):
                weighted = (jacobian * weight.sqrt()).flatten(1)
                metric += weighted @ weighted.T / (weighted.shape[1] * len(s))
    return metrics
