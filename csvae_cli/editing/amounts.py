"""How much of an attribute is shown, and is to be asked for."""

import torch
from torch import Tensor

from csvae_cli.runs import Model

SEEN = 0.05
"""Who shows less than this has nothing that could be taken away."""

GONE = 0.25
"""Styles that show less than this take the attribute away."""

_FURTHER = 0.25
"""How much more or less of an attribute a photo is asked for than it shall show: see `further`."""


def shown(model: Model, attribute: int, w: Tensor) -> Tensor:
    """How much of the attribute w shows, …×d_i -> …: 0 as the mean without it, 1 as its default style."""
    axis = _axis(model, attribute)
    absent = model.statistics.subspaces[attribute].absent_mean
    return (w.float().cpu() - absent) @ axis / axis.square().sum().clamp(min=1e-9)


def takes(model: Model, attribute: int, style: Tensor, strength: float = 1.0) -> Tensor:
    """Whether edits to the styles, …×d_i, take the attribute away, bool …: however far they go on the way.

    strength: below 0 they go the other way.
    """
    return (shown(model, attribute, style) < GONE) != (strength < 0)


def further(model: Model, attribute: int, own: Tensor, point: Tensor, taken: Tensor) -> Tensor:
    """Points (N×d_i, as own) from which a photo comes to show what it is asked to show.

    What the photo keeps of its own detail still says what it said before. So an edit that puts the attribute
    on puts on more of it than asked for, and one that takes it away takes more; less so the less it changes.
    taken: whether it goes (`takes`), bool N, or one for all.
    """
    axis = _axis(model, attribute)
    own = own.float().cpu()
    shows, asked = shown(model, attribute, own), shown(model, attribute, point)
    lost = 2 * (shows - asked)
    moved = (4 * (point - own).norm(dim=1) / axis.norm().clamp(min=1e-9)).clamp(max=1)
    more = asked.clamp(0, 1) * moved * (1 - lost).clamp(0, 1)
    step = _FURTHER * torch.where(taken, -lost.clamp(0, 1), more)
    return point + step[:, None] * axis


def _axis(model: Model, attribute: int) -> Tensor:
    """From the mean of those without to the default style, d_i."""
    subspace = model.statistics.subspaces[attribute]
    return subspace.present_mean - subspace.absent_mean
