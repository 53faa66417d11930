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


def takes(model: Model, attribute: int, point: Tensor) -> bool:
    """Whether the styles, …×d_i, take the attribute away."""
    return bool((shown(model, attribute, point) < GONE).all())


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
    """From the mean of those without to the default style, d_i."""
    subspace = model.statistics.subspaces[attribute]
    return subspace.present_mean - subspace.absent_mean
