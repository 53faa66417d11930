"""Thin rests of what is taken off: a temple, a hinge, the end of a rim beyond where the attribute mostly is.

The decoder never drew them, so nothing that it draws takes their place; what is around them does.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from csvae_cli.editing.colours import light
from models.filters import blurred, extreme_around, smooth_step

_ACROSS = 5
"""How many of the model's pixels a square has in whose median nothing thin is left."""

_THIN = (0.06, 0.14)
"""By how much (white is 1) detail is darker or brighter than that before it counts, drawn by nobody."""


def without_thin(photo: Tensor) -> Tensor:
    """The median of what is around each place, N×C×H×W."""
    around = pad(photo, [_ACROSS // 2] * 4, mode="replicate").unfold(2, _ACROSS, 1).unfold(3, _ACROSS, 1)
    return around.flatten(4).median(4).values


def undrawn(photo: Tensor, without: Tensor, own: Tensor) -> Tensor:
    """Where thin detail of the photo is that the decoder has not drawn, N×1×H×W in [0, 1].

    photo, without, own: as it is, `without_thin` and decoded so, N×C×H×W. What is drawn is the face's own:
    nostrils, eyebrows.
    """
    detail, missing = light(photo) - light(without), light(photo) - light(own)
    alike = torch.minimum(detail.abs(), missing.abs()) * (detail * missing > 0)
    return blurred(smooth_step(extreme_around(alike), *_THIN), 0.7)
