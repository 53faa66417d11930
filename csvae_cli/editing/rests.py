"""Thin rests of what is taken off: a temple, a hinge, the end of a rim beyond where the attribute mostly is.

The decoder never drew them, so nothing that it draws takes their place; what is around them does.
"""

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from csvae_cli.editing.colours import light
from models.filters import blurred, smooth_step

_ACROSS = 5
"""How many of the model's pixels a square has in whose median nothing thin is left."""

_THIN = (0.06, 0.14)
"""By how much (white is 1) detail is darker or brighter than that before it counts, drawn by nobody."""

_WIDTH, _SHARE = 192, 0.06
"""A photo's face is looked at in so many pixels at most, and the square has that share of its width."""


def undrawn(photo: Tensor, own: Tensor) -> Tensor:
    """Where thin detail of the photo is that the decoder has not drawn, N×1×H×W in [0, 1].

    photo, own: as it is and decoded so, N×C×H×W. What it has drawn is the face's: nostrils, eyebrows.
    """
    seen = light(photo)
    square = pad(seen, [_ACROSS // 2] * 4, mode="replicate").unfold(2, _ACROSS, 1).unfold(3, _ACROSS, 1)
    detail, missing = seen - square.flatten(4).median(4).values, seen - light(own)
    alike = torch.minimum(detail.abs(), missing.abs()) * (detail * missing > 0)
    return blurred(smooth_step(max_pool2d(alike, 3, 1, 1), *_THIN), 0.7)


def cleared(photo: np.ndarray, where: np.ndarray, width: float) -> np.ndarray:
    """The photo (uint8 H×W×3) without thin detail there (the share, H×W×1), float H×W×3.

    width: the face's, in pixels.
    """
    size = (photo.shape[1], photo.shape[0])
    scale = min(1.0, _WIDTH / width)
    image = Image.fromarray(photo)
    smaller = image.resize([max(round(edge * scale), 1) for edge in size], Image.Resampling.BOX)
    across = max(round(_SHARE * scale * width) // 2 * 2 + 1, 3)
    median = smaller.filter(ImageFilter.MedianFilter(across)).resize(size, Image.Resampling.BICUBIC)
    result: np.ndarray = photo + where * (np.asarray(median, np.float32) - photo)
    return result
