"""Colours of a decoded face that a photo would not have.

The model learnt from small JPEGs, whose colours are half as sharp as their light: in them a thin dark frame
on skin is a deep red, and so it draws it.
"""

import numpy as np
import torch
from torch import Tensor

from models.filters import blurred, extreme_around, smooth_step

_ONE_TONE = 0.015
"""How far colours of a photo in one tone are from what its light says (white is 1): JPEG leaves a little."""

_DEEPEST = 0.4
"""How saturated what is dark may be, whatever it was before: brown hair is."""

_DARKER = (0.1, 0.4)
"""By which share of its light a place has become darker before its colour is held."""

_BESIDE, _DARK = 3, (0.25, 0.5)
"""Within how many of the model's pixels something darker makes skin pink, and by which share of its light."""

_BRIGHTER = (-0.3, -0.05)
"""As a share of its light, what becomes brighter by so much is something else, with a colour of its own."""

_DARKEST, _FAINT = 0.05, 0.002
"""What is added to light, and to squares of colour, before they are divided."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue are to the eye's light (Rec. 601)."""


def held(own: Tensor, drawn: Tensor, photo: Tensor) -> tuple[Tensor, Tensor]:
    """own, drawn (a face decoded as it is and as it shall be) in colours that the photo could have, N×3×H×W.

    Of a photo in one tone, grey or sepia, both are in that tone. What is drawn darker than it was is no more
    saturated than it was, or than dark brown hair, at the same light; what is beside it is no more saturated
    than it was, and no `pinker`.
    """
    own, drawn = toned(torch.cat([own, drawn], dim=3), photo).chunk(2, dim=3)
    darker = 1 - light(drawn) / light(own).clamp(min=0.02)
    beside = blurred(smooth_step(extreme_around(darker, reach=_BESIDE), *_DARK), 1.0)
    beside = beside * smooth_step(darker, *_BRIGHTER)
    drawn, dark = _unpinked(own, drawn, beside), smooth_step(darker, *_DARKER)
    after = light(drawn)
    most, least = drawn.amax(1, keepdim=True), drawn.amin(1, keepdim=True)
    allowed = torch.maximum(_saturation(own), _DEEPEST * dark)
    # The share s of its colour with which (V − m) s = allowed · (Y + (V − Y) s): V, m the strongest and the
    # weakest colour, Y the light.
    too_much = ((most - least) - allowed * (most - after)).clamp(min=1e-6)
    share = (allowed * after / too_much).clamp(0, 1)
    return own, after + (drawn - after) * (1 - torch.maximum(dark, beside) * (1 - share))


def pinker(own: Tensor, drawn: Tensor) -> Tensor:
    """How much less green drawn has, beside its red and blue, than own's hue at as much warmth, N×1×H×W.

    Skin is warm, red above green above blue: beside what it draws dark, a decoder makes it pink.
    """
    (red, green, blue), warmth = drawn.split(1, dim=1), own[:, :1] - own[:, 2:]
    as_warm = ((red - blue) / warmth.clamp(min=_FAINT)).clamp(0, 1)
    allowed = as_warm * ((own[:, :1] + own[:, 2:]) / 2 - own[:, 1:2]).clamp(min=0)
    missing: Tensor = (red + blue) / 2 - green - allowed
    return missing.clamp(min=0)


def _unpinked(own: Tensor, drawn: Tensor, where: Tensor) -> Tensor:
    """drawn, there (N×1×H×W in [0, 1]) no `pinker` than own, at the same light."""
    red, green, blue = LUMA.tolist()
    other = -green / (red + blue)
    back = pinker(own, drawn) * where / (1 - other)
    unpinked: Tensor = drawn + back * drawn.new_tensor([other, 1.0, other])[:, None, None]
    return unpinked


def toned(faces: Tensor, photos: Tensor) -> Tensor:
    """The faces in the tone of the photos that are in one: whose colours are a parabola of their light."""
    some = photos[:, :, ::2, ::2]
    powers, colours = _powers(some), some.flatten(2).mT.double()
    tone = torch.linalg.lstsq(powers, colours).solution
    in_one = (powers @ tone - colours).square().mean((1, 2)).sqrt() < _ONE_TONE
    if not bool(in_one.any()):
        return faces
    in_tone = (_powers(faces) @ tone).mT.reshape(faces.shape).to(faces.dtype)
    return torch.where(in_one[:, None, None, None], in_tone, faces)


def _powers(pictures: Tensor) -> Tensor:
    """1, light and its square at every place, N×HW×3."""
    y = light(pictures.double()).flatten(1)  # or grey were not quite grey
    return torch.stack([torch.ones_like(y), y, y.square()], dim=2)


def dimming(own: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(dimmed, greyed, what that leaves of own): the share of its light that own keeps in drawn, N×1×H×W, and
    the share of its colour that it loses.

    As behind a tinted lens: what a photo has there, dark or bright, loses the same shares. A difference of
    colours, or their ratios, would turn what is darker than the skin around it, as an iris, blue.
    """
    before, after = light(own), light(drawn)
    dimmed = ((after + _DARKEST) / (before + _DARKEST).clamp(min=1e-3)).clamp(0, 1)
    colour, left = dimmed * (own - before), drawn - after
    alike = ((colour * left).sum(1, keepdim=True) + _FAINT) / (colour.square().sum(1, keepdim=True) + _FAINT)
    greyed = 1 - alike.clamp(0, 1)
    return dimmed, greyed, dimmed * (own + greyed * (before - own))


def light(face: Tensor) -> Tensor:
    """Luma of N×C×H×W, N×1×H×W; of grey faces (C = 1) what they are."""
    if face.shape[1] == 1:
        return face
    return (face * torch.from_numpy(LUMA)[:, None, None].to(face)).sum(1, keepdim=True)


def _saturation(face: Tensor) -> Tensor:
    """Of N×C×H×W, N×1×H×W in [0, 1]: 0 grey, 1 without any of one colour."""
    most = face.amax(1, keepdim=True).clamp(min=1e-3)
    return 1 - (face.amin(1, keepdim=True) / most).clamp(0, 1)
