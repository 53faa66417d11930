"""The paper's figures, as sheets: projections, styles, both attributes, one style over many, transfer."""

from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor

from csvae_cli import sheets
from csvae_cli.data.batches import to_pictures
from csvae_cli.evaluation.subject import Subject
from models.evenly import evenly
from models.subspace import plane

_PEOPLE, _DONORS = 8, 8


def of_subject(subject: Subject) -> dict[str, Image.Image]:
    """Every figure that the model and the data allow, by name."""
    if not subject.of_pictures:
        return {"projections": projections(subject)}
    found = {}
    for name, column, _ in subject.edited:
        if not all(map(len, subject.tried_on(column))):
            continue  # as figures do
        found[f"styles-{name}"] = styles(subject, name)
        found[f"row-{name}"] = row(subject, name)
        found[f"people-{name}"] = people(subject, name)
        found[f"transfer-{name}"] = transfer(subject, name)
    names = edited(subject)
    if len(names) == 2 and not subject.data.exclusive:
        found["both"] = both(subject, names[0], names[1])
    return found


def edited(subject: Subject) -> list[str]:
    """The attributes that are edited and that the data knows, by name."""
    return [name for name, _, _ in subject.edited]


def projections(subject: Subject) -> Image.Image:
    """Figure 2: (z₂, w₁), Z and W of held-out points, coloured by label."""
    return sheets.point_panels(subject.codes_held, subject.y_held)


def styles(subject: Subject, name: str) -> Image.Image:
    """Figures 3 and 4: one face, the picture and its reconstruction, then a 5×5 plane of styles."""
    column = subject.model.config.model.index(name)
    row = _rows(subject, column, 0, 1)
    points = plane(subject.model.statistics.subspaces[column], 5, 5, 2.0)
    drawn = torch.cat([_decoded(subject, row, {column: point}) for point in points]).unflatten(0, (5, 5))
    left = torch.ones(5, 1, *drawn.shape[2:])
    left[0, 0], left[1, 0] = _originals(subject, row)[0], _decoded(subject, row, {})[0]
    return _sheet(
        torch.cat([left, drawn], 1), ["picture", "own", "", "", ""], [""] * 6, f"{name}: the plane of styles"
    )


def row(subject: Subject, name: str) -> Image.Image:
    """The same in one row, along the first principal axes: to be set below another model's."""
    return _by_styles(subject, name, 1, f"{subject.model.config.model.kind}: {name}", axes=2)


def people(subject: Subject, name: str) -> Image.Image:
    """Figure 6: each style over many people."""
    return _by_styles(subject, name, _PEOPLE, f"{name}: styles over people", axes=3)


def _by_styles(subject: Subject, name: str, people: int, title: str, *, axes: int) -> Image.Image:
    column = subject.model.config.model.index(name)
    rows = _rows(subject, column, 0, people)
    absent = subject.kind.anchors(column)[0].cpu()
    styles = sheets.style_points(subject.model.statistics.subspaces[column], absent, axes)
    return sheets.people_by_styles(
        _originals(subject, rows), lambda at: _decoded(subject, rows, at), column, *styles, title
    )


def transfer(subject: Subject, name: str) -> Image.Image:
    """Identity transfer: the styles of the people on top, on the people at the left."""
    column = subject.model.config.model.index(name)
    rows, donors = _rows(subject, column, 0, _PEOPLE), _rows(subject, column, 1, _DONORS)
    styles = subject.codes_held.w_mu[column][donors.to(subject.codes_held.z_mu.device)]
    cells = [_originals(subject, rows)]
    cells += [_decoded(subject, rows, {column: style}) for style in styles]
    grid = torch.stack(cells, 1)
    head = torch.cat([torch.ones_like(grid[:1, 0]), _originals(subject, donors)])[None]
    labels = ["style of", *[""] * len(rows)]
    return _sheet(
        torch.cat([head, grid]), labels, [""] * grid.shape[1], f"{name}: the style of one on another"
    )


def both(subject: Subject, first: str, second: str) -> Image.Image:
    """Figure 5: a grid of grids, the first attribute's styles outside, the second's inside each."""
    config = subject.model.config.model
    one, other = config.index(first), config.index(second)
    statistics = subject.model.statistics.subspaces
    likely = subject.likely(one) & subject.likely(other)
    bare = ((subject.y_held[:, [one, other]] == 0).all(1) & likely).nonzero()[:1, 0]
    row = bare if len(bare) else torch.zeros(1, dtype=torch.int64)
    outer, inner = (plane(statistics[column], 3, 3, 1.5) for column in (one, other))
    pages = [
        torch.cat([_decoded(subject, row, {one: p, other: q}) for q in inner]).unflatten(0, (3, 3))
        for p in outer
    ]
    # Rows of outer grids, then rows inside them, side by side.
    bands = [torch.cat(pages[3 * band : 3 * band + 3], 1) for band in range(3)]
    return _sheet(torch.cat(bands), [""] * 9, [""] * 9, f"{first} outside, {second} inside each nine")


def _rows(subject: Subject, column: int, label: int, count: int) -> Tensor:
    """Some held-out rows with that label, evenly over the split, of those on whom figures judge it, too."""
    return evenly(subject.tried_on(column)[label], count)


def _originals(subject: Subject, rows: Tensor) -> Tensor:
    return subject.originals(rows).cpu()


def _decoded(subject: Subject, rows: Tensor, points: Mapping[int, Tensor]) -> Tensor:
    return torch.cat([x.cpu() for x in subject.changed(rows, points)])


def _sheet(cells: Tensor, rows: Sequence[str], columns: Sequence[str], title: str) -> Image.Image:
    """cells: float R×C×channels×H×W."""
    pixels = to_pictures(cells.flatten(0, 1)).unflatten(0, cells.shape[:2])
    return sheets.contact_sheet(pixels, rows, columns, title)
