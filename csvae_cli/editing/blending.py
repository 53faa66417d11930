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
from torch.nn.functional import interpolate, max_pool2d, pad

from csvae_cli.data.places import Place, spread
from csvae_cli.editing.colours import LUMA, dimming, held
from csvae_cli.editing.crispness import crisp
from csvae_cli.editing.grain import grain
from csvae_cli.editing.lighting import in_light
from csvae_cli.runs import Model
from models.judge import blurred
from models.kind import Codes

_FACES = 64
"""Of the prior, whose changes show where an attribute is."""

_LIT = 3
"""How often light is taken out of that: the better it is known where, the better the light."""

_REACH, _BESIDE = 2, 4
"""How many pixels a bicubic reaches, and how many beside a change its edges are made of."""

_SEEN, _DARK = (0.06, 0.15), (0.15, 0.35)
"""Changes (white is 1) that reach beyond the region where it is taken away, and that hide what was there."""

_WORN = (0.02, 0.08)
"""Changes of what has to go: where less changes, as teeth below a moustache, the photo has none of it."""

GONE = 0.25
"""Styles that show less than this take the attribute away."""

_REGION = (0.2, 0.5)
"""From which share of its strongest change on a place is the attribute's."""

_TAKEN, _PUT = (0.05, 0.15), (0.3, 0.6)
"""How much of an attribute a picture shows (0 absent, 1 as the mean of those who have it) before its detail
has to go: where it is taken away, and where another style is put.
"""

_FURTHER = 0.25
"""How much more or less of an attribute a photo is asked for than it shall show: see `further`."""


@dataclass(frozen=True)
class Change:
    """What happens to a photo's face, in the model's frame: photo · kept + its light · greyed + added.

    kept, greyed: 1×H×W in [0, 1]; added: C×H×W, white is 1.
    """

    kept: Tensor
    greyed: Tensor
    added: Tensor


@dataclass(frozen=True)
class Area:
    """Where a photo is changed, 1×1×H×W in [0, 1]: in any case, and where the change is strong."""

    core: Tensor
    near: Tensor


@dataclass(frozen=True)
class Part:
    """What is done to one attribute. where: its `area`; shows: `shown` of each face; taken: it goes."""

    where: Area
    shows: Tensor
    taken: bool


@torch.no_grad()
def region(model: Model, attribute: int) -> Tensor:
    """Where the attribute is: how much putting it on changes the mean of faces, 1×1×H×W, at most 1.

    The faces are dreamt, drawn from the model's prior of z, so that what hangs on one person goes out in the
    mean, and the light that goes with it is taken out of the mean. Where labels are exclusive, as expressions
    are, it is everywhere.
    """
    config = model.config.model
    height, width = config.shape[1:]
    if config.exclusive:
        return torch.ones(1, 1, height, width)
    noise = torch.Generator().manual_seed(0)
    z = torch.randn(_FACES, config.latent_dim, generator=noise)
    w = []
    for index in range(len(config.attributes)):
        absent, present = (anchor.cpu() for anchor in model.kind.anchors(index))
        w.append(torch.where(torch.rand(_FACES, 1, generator=noise) < 0.5, absent, present))
    device = next(model.kind.parameters()).device
    z, w = z.to(device), [one.to(device) for one in w]
    none = tuple(torch.full_like(one, -math.inf) for one in w)
    dreamt = Codes(z, torch.full_like(z, -math.inf), tuple(w), none)
    present, absent = model.statistics.subspaces[attribute].present_mean, model.kind.anchors(attribute)[0]
    with_it, without = (
        model.kind.switch(dreamt, {attribute: point}).float().mean(0, keepdim=True).cpu()
        for point in (present, absent)
    )
    where = _where(with_it - without)
    for _ in range(_LIT):
        with_it = in_light(with_it, without, 1 - _step(where, *_REGION))
        where = _where(with_it - without)
    return where


def _where(moved: Tensor) -> Tensor:
    """How strong a change is at each place, as a share of its strongest, 1×1×H×W."""
    strength = _strength(moved, 1.5)
    return strength / strength.max().clamp(min=1e-6)


def shown(model: Model, attribute: int, w: Tensor) -> Tensor:
    """How much of the attribute w shows, …×d_i -> …: 0 as the mean without it, 1 as the mean with it."""
    axis = _axis(model, attribute)
    absent = model.statistics.subspaces[attribute].absent_mean
    return (w.float().cpu() - absent) @ axis / axis.square().sum().clamp(min=1e-9)


def further(model: Model, attribute: int, own: Tensor, point: Tensor) -> Tensor:
    """Points (N×d_i, as own) from which a photo comes to show what it is asked to show.

    What the photo keeps of its own detail still says what it said before. So an edit that puts the attribute
    on puts on more of it than asked for, and one that takes it away takes more; less so the less it changes.
    """
    axis = _axis(model, attribute)
    own = own.float().cpu()
    shows, asked = shown(model, attribute, own), shown(model, attribute, point)
    lost = 2 * (shows - asked)
    moved = (4 * (point - own).norm(dim=1) / axis.norm().clamp(min=1e-9)).clamp(max=1)
    more = asked.clamp(0, 1) * moved * (1 - lost).clamp(0, 1)
    step = _FURTHER * torch.where(asked < GONE, -lost.clamp(0, 1), more)
    return point + step[:, None] * axis


def _axis(model: Model, attribute: int) -> Tensor:
    """From the mean of those without to the mean of those with it, d_i."""
    subspace = model.statistics.subspaces[attribute]
    return subspace.present_mean - subspace.absent_mean


def changes(parts: Sequence[Part], photo: Tensor, own: Tensor, drawn: Tensor) -> list[Change]:
    """One for each face. photo, own, drawn: as it is, decoded so, and decoded as it shall be, N×C×H×W."""
    strength = _strength(drawn - own, 1.0)
    edited = torch.stack([_edited(part, strength) for part in parts]).amax(0)
    known = (1 - edited).square()
    lit = in_light(torch.cat([own, drawn]), photo.repeat(2, 1, 1, 1), known.repeat(2, 1, 1, 1))
    own, drawn = lit.chunk(2)
    if own.shape[1] == 3:
        own, drawn = held(own, drawn, photo)
    moved = drawn - own
    masks = [_masks(part, moved) for part in parts]
    edited = torch.stack([edited for edited, _ in masks]).amax(0)
    faded = torch.stack([faded for _, faded in masks]).amax(0)
    if moved.shape[1] == 1:  # grey: the photo keeps its colours
        faded = torch.zeros_like(faded)
    height, width = moved.shape[2:]
    left, right, top, bottom = _bounds(edited.amax((0, 1)) > 0, _BESIDE) or (0, width, 0, height)
    own, drawn = crisp(torch.cat([own, drawn])[..., top:bottom, left:right]).chunk(2)
    edited, faded = (
        interpolate(mask[..., top:bottom, left:right], scale_factor=2, mode="bilinear")
        for mask in (edited, faded)
    )
    dimmed, greyed, left_over = dimming(own, drawn)
    kept = (1 - edited * (1 - dimmed * (1 - greyed))) * (1 - faded)
    greys = edited * dimmed * greyed * (1 - faded)
    added = edited * (drawn - left_over) * (1 - faded) + faded * drawn
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


def area(where: Tensor, *, taken: bool) -> Area:
    """From an attribute's `region`; taken: the attribute goes, and what one person wears may be larger."""
    window = _window(*where.shape[2:])
    core = _main_parts(_step(where, *_REGION))
    if not taken:
        return Area(core * window, torch.zeros_like(core))
    core = _step(blurred(core, 2.0), 0.1, 0.3)
    near = _step(blurred(core, 3.0), 0.02, 0.3)
    return Area(core * window, near * window)


def _masks(part: Part, moved: Tensor) -> tuple[Tensor, Tensor]:
    """Where the photo is changed, and where the decoded face takes its place, N×1×H×W."""
    strength = _strength(moved, 1.0)
    edited = _edited(part, strength)
    vanishing = _step(part.shows, *(_TAKEN if part.taken else _PUT))[:, None, None, None]
    worn = _step(_strength(moved, 0.7), *_WORN)
    return edited, edited * torch.maximum(vanishing * worn, _step(strength, *_DARK))


def _edited(part: Part, strength: Tensor) -> Tensor:
    """Where the photo is changed, N×1×H×W, strength being how strong the change is."""
    return torch.maximum(part.where.core, part.where.near * _step(strength, *_SEEN))


def apply(image: Image.Image, place: Place, change: Change) -> Image.Image:
    """The picture with its face changed, in its own resolution, everything else as it was."""
    values = torch.cat([change.added.expand(3, -1, -1), change.greyed, 1 - change.kept])
    where = _extent(values)
    if where is None:
        return image
    xs, ys = zip(*((corner.real, corner.imag) for corner in place.part(where).corners()), strict=True)
    left, top = max(math.floor(min(xs)), 0), max(math.floor(min(ys)), 0)
    right, bottom = min(math.ceil(max(xs)), image.width), min(math.ceil(max(ys)), image.height)
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


def _strength(change: Tensor, sigma: float) -> Tensor:
    """How strong a change is at each place, N×1×H×W, smoothed."""
    return blurred(change.square().mean(1, keepdim=True).sqrt(), sigma)


def _step(value: Tensor, low: float, high: float) -> Tensor:
    """0 up to low, 1 from high on, smooth between."""
    share = ((value - low) / (high - low)).clamp(0, 1)
    return share * share * (3 - 2 * share)


def _main_parts(core: Tensor) -> Tensor:
    """Without the islands that are nowhere full."""
    kept, grown = torch.zeros_like(core), (core >= 0.99).float()
    while not torch.equal(kept, grown):
        kept, grown = grown, max_pool2d(grown, 3, 1, 1) * (core > 0)
    return core * kept


def _window(height: int, width: int) -> Tensor:
    """1 inside, falling to 0 over the outermost eighth, H×W."""
    down, across = (
        torch.linspace(0, size / (size // 8), size).clamp(max=1)
        * torch.linspace(size / (size // 8), 0, size).clamp(max=1)
        for size in (height, width)
    )
    return down[:, None] * across[None, :]
