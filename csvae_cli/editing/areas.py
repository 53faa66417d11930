"""Where a photo is changed: where an attribute is, and what has to go there (docs/photos.md)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from csvae_cli.editing import amounts
from csvae_cli.editing.lighting import in_light
from csvae_cli.runs import Model
from models.filters import blurred, smooth_step
from models.kind import Codes

_FACES = 64
"""Of the prior, whose changes show where an attribute is."""

_LIT = 3
"""How often light is taken out of that: the better it is known where, the better the light."""

_REGION = (0.2, 0.5)
"""From which share of its strongest change on a place is the attribute's."""

_SEEN, _DARK = (0.06, 0.15), (0.15, 0.35)
"""Changes (white is 1) that reach beyond the region where it is taken away, and that hide what was there."""

_WORN = (0.02, 0.08)
"""Changes of what has to go: where less changes, as teeth below a moustache, the photo has none of it."""

_TAKEN, _PUT = (amounts.SEEN, 0.15), (0.3, 0.6)
"""How much of an attribute a picture shows (0 absent, 1 as the default style) before its detail
has to go: where it is taken away, and where another style is put.
"""


@dataclass(frozen=True)
class Area:
    """Where a photo is changed, 1×1×H×W in [0, 1]: in any case, and where the change is strong.

    beside: where rests of what is taken off may be.
    """

    core: Tensor
    near: Tensor
    beside: Tensor


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
        with_it = in_light(with_it, without, 1 - smooth_step(where, *_REGION))
        where = _where(with_it - without)
    return where


def _where(moved: Tensor) -> Tensor:
    """How strong a change is at each place, as a share of its strongest, 1×1×H×W."""
    strength = strength_of(moved, 1.5)
    return strength / strength.max().clamp(min=1e-6)


def area(where: Tensor, *, taken: bool) -> Area:
    """From an attribute's `region`; taken: the attribute goes, and what one person wears may be larger."""
    window = window_of(*where.shape[2:])
    core = main_parts(smooth_step(where, *_REGION))
    if not taken:
        nowhere = torch.zeros_like(core)
        return Area(core * window, nowhere, nowhere)
    core = smooth_step(blurred(core, 2.0), 0.1, 0.3)
    near = smooth_step(blurred(core, 3.0), 0.02, 0.3)
    beside = smooth_step(blurred(core * window, 1.5), 0.02, 0.2)
    return Area(core * window, near * window, beside)


def edited(parts: Sequence[Part], moved: Tensor) -> Tensor:
    """Where photos are changed, N×1×H×W in [0, 1]; moved: what the decoder changes, N×C×H×W."""
    return torch.stack([_edited(part, strength_of(moved, 1.0)) for part in parts]).amax(0)


def replaced(parts: Sequence[Part], moved: Tensor) -> Tensor:
    """Where the decoded face takes the photo's place, N×1×H×W in [0, 1]."""
    strength, worn = strength_of(moved, 1.0), smooth_step(strength_of(moved, 0.7), *_WORN)
    dark = smooth_step(strength, *_DARK)
    each = [_edited(part, strength) * torch.maximum(_vanishing(part) * worn, dark) for part in parts]
    return torch.stack(each).amax(0)


def beside(parts: Sequence[Part]) -> Tensor:
    """Where rests may be of what is taken off, N×1×H×W in [0, 1]."""
    return torch.stack([part.where.beside * _vanishing(part) for part in parts]).amax(0)


def _vanishing(part: Part) -> Tensor:
    """How much of the photo's own detail of it has to go, N×1×1×1 in [0, 1]."""
    return smooth_step(part.shows, *(_TAKEN if part.taken else _PUT))[:, None, None, None]


def _edited(part: Part, strength: Tensor) -> Tensor:
    return torch.maximum(part.where.core, part.where.near * smooth_step(strength, *_SEEN))


def strength_of(change: Tensor, sigma: float) -> Tensor:
    """How strong a change is at each place, N×1×H×W, smoothed."""
    return blurred(change.square().mean(1, keepdim=True).sqrt(), sigma)


def main_parts(core: Tensor) -> Tensor:
    """Without the islands that are nowhere full."""
    kept, grown = torch.zeros_like(core), (core >= 0.99).float()
    while not torch.equal(kept, grown):
        kept, grown = grown, max_pool2d(grown, 3, 1, 1) * (core > 0)
    return core * kept


def window_of(height: int, width: int) -> Tensor:
    """1 inside, falling to 0 over the outermost eighth, H×W."""
    down, across = (
        torch.linspace(0, size / (size // 8), size).clamp(max=1)
        * torch.linspace(size / (size // 8), 0, size).clamp(max=1)
        for size in (height, width)
    )
    return down[:, None] * across[None, :]
