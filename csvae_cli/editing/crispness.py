"""A decoded face at twice its size, with edges that are as sharp as that size allows.

A decoder draws softly, and enlarging makes it softer still: in a photo of thousands of pixels the rim of a
pair of glasses would be a shadow.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from models.filters import blurred, extreme_around

_ROUNDS, _WIDTH = 2, 1.5
"""How often edges are sharpened, and how wide they are taken to be, in pixels of the larger size."""

_STEPS = 0.5
"""What is blurred at the end, or edges that run aslant would be stairs."""


def crisp(faces: Tensor) -> Tensor:
    """N×C×H×W -> N×C×2H×2W: an unsharp mask that no place leaves the values around it by (a shock filter).

    So edges become steep, and have no bright or dark seam (Osher and Rudin 1990).
    """
    faces = interpolate(faces.contiguous(), scale_factor=2, mode="bicubic")
    for _ in range(_ROUNDS):
        sharper = 2 * faces - blurred(faces, _WIDTH)
        faces = torch.clamp(
            sharper, extreme_around(faces, torch.minimum), extreme_around(faces, torch.maximum)
        )
    return blurred(faces, _STEPS)
