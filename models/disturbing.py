"""Pictures as they could as well have been taken: mirrored, from a little elsewhere, or blurred."""

import torch
from torch import Tensor
from torch.nn import functional as F

_TURN, _SCALE, _MOVE = 0.035, 0.03, 0.03
"""Standard deviations: of an angle in radians, of a size, and of a place in halves of the picture."""

_GAIN, _LIFT, _TINT = 0.08, 0.03, 0.03
"""Of the contrast, of the brightness, and of how bright each colour is."""


def mirrored(x: Tensor, noise: torch.Generator | None) -> Tensor:
    """Each picture (N×C×H×W) mirrored with probability ½."""
    chosen = torch.rand(len(x), 1, 1, 1, generator=noise, device=x.device) < 0.5
    return torch.where(chosen, x.flip(3), x)


def disturbed(x: Tensor, noise: torch.Generator | None) -> Tensor:
    """Each picture (N×C×H×W in [0, 1]) a little turned, scaled, moved and lit otherwise, nothing by much."""

    def normal(*size: int) -> Tensor:
        return torch.randn(len(x), *size, generator=noise, device=x.device).clamp(-2, 2)

    angle, scale, move = _TURN * normal(), 1 + _SCALE * normal(), _MOVE * normal(2)
    across, up = angle.cos() * scale, angle.sin() * scale
    places = torch.stack([across, -up, move[:, 0], up, across, move[:, 1]], dim=1).view(-1, 2, 3)
    where = F.affine_grid(places, list(x.shape), align_corners=False)
    x = F.grid_sample(x, where, mode="bicubic", padding_mode="border", align_corners=False)
    gain, lift, tint = (
        1 + _GAIN * normal(1, 1, 1),
        _LIFT * normal(1, 1, 1),
        1 + _TINT * normal(x.shape[1], 1, 1),
    )
    lit = ((x - 0.5) * gain + 0.5 + lift) * tint
    return lit.clamp(0, 1).contiguous(memory_format=torch.channels_last)


def softened(x: Tensor, noise: torch.Generator | None) -> Tensor:
    """Two pictures in three (N×C×H×W) blurred by up to two pixels, each by its own Gaussian; edges fade."""
    amount, share = torch.rand(2, len(x), 1, 1, generator=noise, device=x.device)
    sigma = torch.where(share < 2 / 3, 2 * amount, 0).clamp(min=0.1)  # at 0.1 pixels all of a pixel stays

    def across(size: int) -> Tensor:
        place = torch.arange(size, device=x.device)
        weight: Tensor = (-0.5 * ((place[:, None] - place) / sigma).square()).softmax(2)
        return weight[:, None]

    soft = across(x.shape[2]) @ x @ across(x.shape[3]).mT
    return soft.contiguous(memory_format=torch.channels_last)
