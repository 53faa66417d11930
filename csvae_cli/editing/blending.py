"""The change of a face, and only the change, put into the photo (docs/photos.md has what was tried).

Where the attribute is, a photo is dimmed by as much as the decoder dims it, from decode(z, w) to
decode(z, p), and what else the decoder changes is added. The decoded face itself takes the photo's place
where detail of the photo has to go, which the model never saw: what is behind a dark lens, or the frame of
glasses that are taken off. Both are in the photo's light and colours, and crisper than the decoder draws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, pad

from csvae_cli.data.places import Place, spread
from csvae_cli.editing import areas
from csvae_cli.editing.areas import Part
from csvae_cli.editing.colours import LUMA, dimming, held
from csvae_cli.editing.crispness import crisp
from csvae_cli.editing.grain import grain
from csvae_cli.editing.lighting import in_light, no_paler
from csvae_cli.editing.rests import undrawn, without_thin

_REACH, _BESIDE = 2, 4
"""How many pixels a bicubic reaches, and how many beside a change its edges are made of."""


@dataclass(frozen=True)
class Change:
    """What happens to a photo's face, in the model's frame: photo · kept + its light · greyed + added.

    kept, greyed: 1×H×W in [0, 1]; added: C×H×W, white is 1.
    """

    kept: Tensor
    greyed: Tensor
    added: Tensor


@dataclass(frozen=True)
class _Layers:
    """What a change is made of, in the model's frame: pictures N×C×H×W, and where each is shown, N×1×H×W.

    own, drawn: the face decoded as it is, and as it shall be; edited: where the photo takes what changes from
    one to the other; faded: where `drawn` takes its place; rests: where `cleared` does.
    """

    own: Tensor
    drawn: Tensor
    cleared: Tensor
    edited: Tensor
    faded: Tensor
    rests: Tensor


def changes(parts: Sequence[Part], photo: Tensor, own: Tensor, drawn: Tensor) -> list[Change]:
    """One for each face. photo, own, drawn: as it is, decoded so, and decoded as it shall be, N×C×H×W."""
    known = (1 - areas.edited(parts, drawn - own)).square()
    lit = in_light(torch.cat([own, drawn]), photo.repeat(2, 1, 1, 1), known.repeat(2, 1, 1, 1))
    own, drawn = lit.chunk(2)
    if own.shape[1] == 3:
        own, drawn = held(own, drawn, photo)
    return _twice_as_large(_layers(parts, photo, own, drawn))


def _layers(parts: Sequence[Part], photo: Tensor, own: Tensor, drawn: Tensor) -> _Layers:
    """own, drawn: in the photo's light and colours."""
    moved = drawn - own
    edited, faded = areas.edited(parts, moved), areas.replaced(parts, moved)
    nowhere = torch.zeros_like(edited)
    taken = [part for part in parts if part.taken]
    rests, cleared = nowhere, photo
    if taken:
        drawn = no_paler(drawn, photo, areas.edited(taken, moved))
    if own.shape[1] == 1:  # a grey model's photo keeps its colours
        faded = nowhere
    elif taken:
        cleared = without_thin(photo)
        rests = areas.beside(taken) * undrawn(photo, cleared, own)
    return _Layers(own, drawn, cleared, edited, faded, rests)


def _twice_as_large(layers: _Layers) -> list[Change]:
    """The change of each face, with crisp edges."""
    height, width = layers.own.shape[2:]
    changed = (layers.edited + layers.rests).amax((0, 1)) > 0
    left, right, top, bottom = _bounds(changed, _BESIDE) or (0, width, 0, height)
    own, drawn = crisp(torch.cat([layers.own, layers.drawn])[..., top:bottom, left:right]).chunk(2)
    edited, faded, rests, cleared = (
        interpolate(one[..., top:bottom, left:right], scale_factor=2, mode="bilinear")
        for one in (layers.edited, layers.faded, layers.rests, layers.cleared)
    )
    dimmed, greyed, left_over = dimming(own, drawn)
    stays, rests = (1 - faded) * (1 - rests), (1 - faded) * rests
    kept = (1 - edited * (1 - dimmed * (1 - greyed))) * stays
    greys = edited * dimmed * greyed * stays
    added = edited * (drawn - left_over) * stays + faded * drawn + rests * cleared
    beside = [2 * edge for edge in (left, width - right, top, height - bottom)]
    kept, greys, added = pad(kept, beside, value=1.0), pad(greys, beside), pad(added, beside)
    return [Change(*one) for one in zip(kept, greys, added, strict=True)]


def _bounds(some: Tensor, beside: int) -> tuple[int, int, int, int] | None:
    """Left, right, top and bottom of what is true, bool H×W, and so many pixels beside; None: nothing is."""
    if not bool(some.any()):
        return None
    (left, right), (top, bottom) = (
        (max(int(places[0]) - beside, 0), min(int(places[-1]) + 1 + beside, len(along)))
        for places, along in ((along.nonzero()[:, 0], along) for along in (some.any(0), some.any(1)))
    )
    return left, right, top, bottom


def apply(image: Image.Image, place: Place, change: Change) -> Image.Image:
    """The picture with its face changed, in its own resolution, everything else as it was."""
    values = torch.cat([change.added.expand(3, -1, -1), change.greyed, 1 - change.kept])
    where = _extent(values)
    if where is None:
        return image
    xs, ys = zip(*((corner.real, corner.imag) for corner in place.part(where).corners()), strict=True)
    left, top = max(math.floor(min(xs)), 0), max(math.floor(min(ys)), 0)
    right, bottom = min(math.ceil(max(xs)), image.width), min(math.ceil(max(ys)), image.height)
    if right <= left or bottom <= top:  # the photo ends before the change begins
        return image
    grown = spread(values, place, (left, top, right, bottom)).permute(1, 2, 0).numpy()
    added, greyed, lost = grown[..., :3], grown[..., 3:4].clip(0, 1), grown[..., 4:].clip(0, 1)
    pixels = np.asarray(image).copy()
    part = pixels[top:bottom, left:right]
    changed = part * (1 - lost) + part @ LUMA[:, None] * greyed + 255 * added
    changed += grain(part, (lost - greyed).clip(0, 1), 2 * abs(place.right))
    pixels[top:bottom, left:right] = changed.round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def _extent(values: Tensor) -> tuple[float, float, float, float] | None:
    """The box (left, top, right, bottom; −1 to 1) beyond which values, C×H×W, grow to nothing.

    None where they are all nothing.
    """
    bounds = _bounds((values != 0).any(0), _REACH)
    if bounds is None:
        return None
    height, width = values.shape[1:]
    left, right, top, bottom = bounds
    return 2 * left / width - 1, 2 * top / height - 1, 2 * right / width - 1, 2 * bottom / height - 1
