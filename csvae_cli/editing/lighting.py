"""A decoded face in the light of the photo that it is put into.

An edit may bring another light with it: a beard taken off leaves paler skin. What the edit leaves alone is in
the photo, too, so the photo says how bright that face's skin, hair and background are. And what is taken off
is seldom all that a place shows: skin is seen between the hairs and behind a lens.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from models.filters import blurred, extreme_around, smooth_step

_SIDE = 16
"""Places along an edge for which the light is found: it changes slowly."""

_NEAR, _ALIKE = 0.28, 0.2
"""How near (the square's side is 1) and how alike (white is 1) places are that have the same light."""

_DARKEST, _MOST = 0.1, 2.5
"""What is added to colours before they are divided, and the largest of the quotients."""

_AROUND, _SMOOTH = 4, 4.0
"""Of what is taken off, skin is seen somewhere within so many pixels; how smooth the light is."""

_SKIN = (0.75, 0.88)
"""How bright that is, as a share of what is drawn there, before it counts as skin."""


def in_light(face: Tensor, photo: Tensor, known: Tensor) -> Tensor:
    """The face times what the photo is brighter by, each colour by itself, N×C×H×W; white is 1.

    photo: N×C×H×W; known: where both show the same, N×1×H×W in [0, 1]. What a place is brighter by is asked
    of all known places, the more so the nearer they are and the more their colours in `face` are like its own
    (the weights of a bilateral filter, Tomasi and Manduchi 1998); where none is like it, it stays as it is.
    """
    coarse = _coarse(torch.cat([face, (face + _DARKEST) * known, (photo + _DARKEST) * known], dim=1))
    colours = coarse[..., : face.shape[1]]
    unlike = torch.cdist(colours, colours) / _ALIKE
    weight = (_apart() - 0.5 * unlike.square()).exp()
    own, given = (weight @ coarse[..., face.shape[1] :] + 1).chunk(2, dim=2)
    brighter = (given / own).clamp(1 / _MOST, _MOST).mT.unflatten(2, (_SIDE, _SIDE))
    return (face + _DARKEST) * interpolate(brighter, face.shape[2:], mode="bilinear") - _DARKEST


def no_paler(face: Tensor, photo: Tensor, taken: Tensor) -> Tensor:
    """The face, each colour by itself, no brighter than what the photo shows of it, N×C×H×W; white is 1.

    taken: where something is taken off, N×1×H×W in [0, 1]. A frame and stubble are thin: the brightest of the
    pixels around a place are skin, with them and without. Where these are much darker in the photo, as behind
    a dark lens, the places around say how bright the skin is.
    """
    # What is decoded may be darker than black.
    seen, drawn = (extreme_around(x.clamp(min=0), reach=_AROUND) + _DARKEST for x in (photo, face))
    share = seen / drawn
    skin = taken * smooth_step(share.amin(1, keepdim=True), *_SKIN)
    paler = blurred(share.clamp(max=1).log() * skin, _SMOOTH) / (blurred(skin, _SMOOTH) + 1e-3)
    return (face + _DARKEST) * paler.exp() - _DARKEST


@cache
def _apart() -> Tensor:
    """How far places are apart, as a logarithm of what they weigh for one another, _SIDE²×_SIDE²."""
    edge = torch.linspace(0, 1, _SIDE)
    places = torch.cartesian_prod(edge, edge)
    return -0.5 * (torch.cdist(places, places) / _NEAR).square()


def _coarse(pictures: Tensor) -> Tensor:
    """N×C×H×W -> N×_SIDE²×C."""
    return adaptive_avg_pool2d(pictures, _SIDE).flatten(2).mT
