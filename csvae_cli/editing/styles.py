"""Which styles an edit asks for: names, and points of W."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from csvae_cli.errors import RequestError
from csvae_cli.runs import Model
from models import subspace as subspaces
from models.subspace import along_axes, grid

STEPS, SPAN = 5, 2.0
"""Pictures along a principal component, and how many standard deviations they reach: the defaults."""


@dataclass(frozen=True)
class Style:
    """name: as in file names; point: of W_i (d_i), None for the picture's own."""

    name: str
    point: Tensor | None


@dataclass(frozen=True)
class StyleRequest:
    """What the user asked for of one attribute: any number of styles; none of it means the default style.

    components: principal components, from 1; each gives `steps` pictures (5) from −span to +span standard
    deviations (2). grid: (rows, columns) over ±span. at: a point (`_at`). off, own: without it; as it is.
    """

    components: tuple[int, ...] = ()
    steps: int | None = None
    span: float | None = None
    grid: tuple[int, int] | None = None
    at: str | None = None
    off: bool = False
    own: bool = False


def styles(model: Model, attribute: int, request: StyleRequest) -> list[Style]:
    """Raises RequestError where W_i has not what is asked for."""
    name = model.config.model.attributes[attribute]
    subspace = model.statistics.subspaces[attribute]
    dim = len(subspace.stds)
    steps, span = request.steps or STEPS, request.span or SPAN
    found: list[Style] = []
    for component in request.components:
        if not 1 <= component <= dim:
            raise RequestError(f"--pc {component}: the W of {name} has {dim} dimension{'s' * (dim > 1)}.")
        for coefficient in _steps(steps, span):
            coefficients = [0.0] * (component - 1) + [coefficient]
            found.append(Style(f"pc{component}{coefficient:+.2f}", along_axes(subspace, coefficients)))
    if request.grid is not None:
        found += plane(model, attribute, *request.grid, span)
    if request.at is not None:
        found.append(_at(model, attribute, request.at))
    if request.off:
        found.append(Style("off", model.kind.anchors(attribute)[0].cpu()))
    if request.own:
        found.append(Style("own", None))
    named: dict[str, Tensor | None] = {}
    for style in found:
        if style.name in named and not _same(named[style.name], style.point):
            raise RequestError(
                f"Two styles would both be called {style.name}; ask for fewer --steps, a smaller --grid or a "
                "wider --span."
            )
        named[style.name] = style.point
    return [Style(*one) for one in named.items()] or [default_style(model, attribute)]


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))


def parse_style(model: Model, attribute: int, text: str) -> Style:
    """By the name that a file would have: "on", "off", "own", "pc1+2.00", "pc1+1.00pc2-0.50"; or a point.

    Raises RequestError.
    """
    if text == "on":
        return default_style(model, attribute)
    if text in ("off", "own"):
        request = StyleRequest(off=text == "off", own=text == "own")
    elif re.match(r"pc\d|[-+.,\de]+$", text):
        return _at(model, attribute, text)
    else:
        raise RequestError(
            f"A style is on, off, own, like pc1+2.00 or a point (W's numbers, with commas), not “{text}”."
        )
    return styles(model, attribute, request)[0]


def _at(model: Model, attribute: int, text: str) -> Style:
    """At a point by the numbers of W, "1.5,-2", or by those of components, "pc1+1.00pc2-0.50".

    Raises RequestError.
    """
    if re.fullmatch(r"(pc\d{1,3}[+-]\d+(\.\d+)?)+", text):
        return Style(text, _along(model, attribute, text))
    point = _parse_point(text)
    dim = len(model.statistics.subspaces[attribute].stds)
    if len(point) != dim:
        name, numbers = model.config.model.attributes[attribute], f"{dim} number{'s' * (dim > 1)}"
        raise RequestError(f"A point of the W of {name} has {numbers}, not {len(point)}.")
    return Style("at" + _comma(point), torch.tensor(point))


def default_style(model: Model, attribute: int) -> Style:
    """`SubspaceStatistics.present_mean`: of someone in whom the attribute is clearly seen."""
    return Style("on", model.statistics.subspaces[attribute].present_mean)


def plane(model: Model, attribute: int, rows: int, columns: int, span: float) -> list[Style]:
    """rows×columns styles around the default style, row by row, the first row on top.

    Over W_i itself where it has 2 dimensions, over its first two principal components where it has more,
    along its one dimension where it has one (columns only).
    """
    subspace = model.statistics.subspaces[attribute]
    dim = len(subspace.stds)
    points = subspaces.plane(subspace, 1 if dim == 1 else rows, columns, span)
    if dim <= 2:
        return [Style("at" + _comma(point.tolist()), point) for point in points]
    coefficients = grid(torch.zeros(2), rows, columns, span)
    names = [f"pc1{c[0]:+.2f}pc2{c[1]:+.2f}" for c in coefficients.tolist()]
    return [Style(name, point) for name, point in zip(names, points, strict=True)]


def parse_grid(text: str) -> tuple[int, int]:
    """ "3x5" -> (3, 5): rows and columns. Raises RequestError."""
    match = re.fullmatch(r"(\d{1,3})[x×](\d{1,3})", text.strip().lower())
    if match is None or 0 in (int(match[1]), int(match[2])):
        raise RequestError(f"--grid takes ROWSxCOLUMNS, as in 3x5, not “{text}”.")
    return int(match[1]), int(match[2])


def _parse_point(text: str) -> tuple[float, ...]:
    """ "1.5,-2" -> (1.5, -2.0). Raises RequestError."""
    try:
        point = tuple(float(part) for part in text.split(","))
    except ValueError:
        point = ()
    if not point or not all(-1e6 < value < 1e6 for value in point):
        raise RequestError(
            f"A point is numbers with commas between, as in 1.5,-2, or like pc1+2.00pc2-1.00, not “{text}”."
        )
    return point


def _along(model: Model, attribute: int, text: str) -> Tensor:
    """pc1+1.00pc2-0.50 -> the point. Raises RequestError where W_i has fewer components."""
    subspace = model.statistics.subspaces[attribute]
    coefficients = [0.0] * len(subspace.stds)
    for component, value in re.findall(r"pc(\d+)([+-][\d.]+)", text):
        if not 1 <= int(component) <= len(coefficients):
            name = model.config.model.attributes[attribute]
            raise RequestError(f"{text}: the W of {name} has {len(coefficients)} components.")
        coefficients[int(component) - 1] = float(value)
    return along_axes(subspace, coefficients)


def _steps(count: int, span: float) -> list[float]:
    return torch.linspace(-span, span, count).tolist() if count > 1 else [span]


def _comma(point: Sequence[float]) -> str:
    return ",".join(f"{value:+.2f}" for value in point)
