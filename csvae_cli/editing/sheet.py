"""The sheet of `csvae grid`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from csvae_cli import output, runs, sheets
from csvae_cli.data.batches import from_pictures, to_pictures
from csvae_cli.data.encoding import take
from csvae_cli.data.framing import Framed
from csvae_cli.editing.editor import BATCH, Editor, Points
from csvae_cli.editing.groups import in_groups
from csvae_cli.editing.pictures import Failed, find_inputs
from csvae_cli.editing.requests import attribute_of
from csvae_cli.editing.styles import SPAN, parse_grid
from csvae_cli.errors import RequestError, WorkError
from csvae_cli.runs import Model
from models import subspace as subspaces
from models.kind import Codes

_SIZE, _WITHIN = (5, 7), 3
"""Rows and columns of a plane where nothing is said, and of one in a grid of grids, at most."""


@dataclass(frozen=True)
class Plane:
    """How a plane of styles is drawn: rows and columns, and how many standard deviations it reaches.

    asked: whether the user said how, which a sheet without a plane would ignore.
    """

    size: tuple[int, int]
    span: float
    asked: bool


def plane_of(size: str | None, span: float | None, attrs: Sequence[str]) -> Plane:
    """As asked, else the default of so many named attributes. Raises RequestError."""
    found = parse_grid(size) if size is not None else _SIZE
    if len(attrs) == 2:
        if size is not None and max(found) > _WITHIN:
            output.say(f"csvae: --grid {size}: a grid of grids has at most {_WITHIN}x{_WITHIN} of each.")
        found = (min(found[0], _WITHIN), min(found[1], _WITHIN))
    return Plane(found, span or SPAN, asked=size is not None or span is not None)


def target(model: Model, out: Path | None, *, force: bool) -> Path:
    """Where the sheet goes: as named, else ./grid-MODEL.png, numbered so that nothing is overwritten.

    Raises RequestError where the file may not be written.
    """
    if out is not None:
        path = out
    else:
        path, number = Path(f"grid-{model.name}.png"), 2
        while path.exists() and not force:
            path, number = Path(f"grid-{model.name}-{number}.png"), number + 1
    runs.check_free(path, force=force)
    if path.suffix.lower() != ".png":
        raise RequestError(f"--out {path}: a sheet is a PNG file; name it so.")
    return path


def write(
    editor: Editor,
    inputs: Sequence[Path],
    attrs: Sequence[str],
    plane: Plane,
    path: Path,
) -> tuple[list[Framed], list[Failed]]:
    """Draw and write; returns where the model looked in each input, and those that show no face.

    Of one picture a plane of styles for each attribute, of two named attributes a grid of grids for each
    picture, else people down and styles across. Nothing is written where all inputs fail. Raises
    RequestError.
    """
    model = editor.model
    attributes = [attribute_of(model, name) for name in attrs or model.config.model.edited]
    if len(attrs) > 2 or len(set(attributes)) < len(attributes):
        raise RequestError("--attr names one attribute, or two different ones for a grid of grids.")
    sources = find_inputs(inputs)
    if any(source.resolve() == path.resolve() for source in sources):
        raise RequestError(f"{path} is an input; choose another --out.")
    looked = [one for part in in_groups(editor.faces_of, sources, BATCH) for one in part]
    both = list(zip(sources, looked, strict=True))
    failed = [Failed(source, str(one)) for source, one in both if isinstance(one, WorkError)]
    found = [(source, one) for source, one in both if not isinstance(one, WorkError)]
    if found:
        x = torch.cat([faces for _, (faces, _) in found])
        labels = [source.stem for source, (faces, _) in found for _ in faces]
    elif failed:
        return [], failed
    else:
        x, labels = from_pictures(model.statistics.faces), []
    if len(attrs) == 2:
        pages = [_both(editor, one[None], attributes, plane) for one in x]
    elif len(labels) == 1:
        pages = [_plane(editor, x, attribute, plane) for attribute in attributes]
    else:
        if plane.asked:
            output.say(
                "csvae: --grid and --span are for the plane of styles of one picture, or of two attributes "
                "named by --attr; a sheet of several people has neither."
            )
        pages = [_people(editor, x, attribute, labels) for attribute in attributes]
    runs.write(path, sheets.png(sheets.stack(pages)))
    return [framed for _, (_, framed) in found], failed


def _people(editor: Editor, x: Tensor, attribute: int, labels: Sequence[str]) -> Image.Image:
    model = editor.model
    styles = sheets.style_points(model.statistics.subspaces[attribute], model.kind.anchors(attribute)[0])
    title = f"{model.config.model.attributes[attribute]}, {model.config.model.kind}"
    codes = editor.encode(x)
    return sheets.people_by_styles(x, lambda at: editor.decode(codes, at), attribute, *styles, title, labels)


def _plane(editor: Editor, x: Tensor, attribute: int, plane: Plane) -> Image.Image:
    """One person: the picture, its reconstruction and without the attribute on the left, then the plane."""
    model = editor.model
    codes = editor.encode(x)
    styles, down, across = _axes(model, attribute, plane)
    faces = [
        x[0].cpu(),
        editor.decode(codes, {})[0],
        editor.decode(codes, {attribute: model.kind.anchors(attribute)[0]})[0],
    ]
    drawn = _drawn(editor, codes, [{attribute: point} for point in styles], (len(down), len(across)))
    rows = max(len(faces), len(down))
    left, right = (_filled(cells, rows) for cells in (torch.stack(faces)[:, None], drawn))
    cells = to_pictures(torch.cat([left, right], dim=1).flatten(0, 1)).unflatten(0, (rows, -1))
    name = model.config.model.attributes[attribute]
    down = down + [""] * (rows - len(down))
    return sheets.contact_sheet(cells, down, ["picture", *across], f"{name}: picture, own, off; then styles")


def _filled(cells: Tensor, rows: int) -> Tensor:
    """With blank ones below, rows×columns×C×H×W."""
    return torch.cat([cells, torch.ones(rows - len(cells), *cells.shape[1:])])


def _both(editor: Editor, x: Tensor, attributes: Sequence[int], plane: Plane) -> Image.Image:
    """One person, two attributes: a plane of the first's styles, in each a plane of the second's.

    The paper's Figure 5.
    """
    model = editor.model
    codes = editor.encode(x)
    (outer, down, across), inner = (_axes(model, attribute, plane) for attribute in attributes)
    one, other = attributes
    bands = []
    for row in range(len(down)):
        blocks = []
        for column in range(len(across)):
            first = outer[row * len(across) + column]
            points = [{one: first, other: second} for second in inner[0]]
            drawn = _drawn(editor, codes, points, (len(inner[1]), len(inner[2])))
            cells = torch.stack([to_pictures(line) for line in drawn])
            at = ", ".join(part for part in (across[column], down[row]) if part)
            title = f"{model.config.model.attributes[one]} {at}"
            blocks.append(sheets.contact_sheet(cells, inner[1], inner[2], title))
        bands.append(sheets.beside(blocks))
    return sheets.stack(bands)


def _drawn(editor: Editor, codes: Codes, points: Sequence[Points], size: tuple[int, int]) -> Tensor:
    """One person in each style, rows×columns×C×H×W."""
    rows = torch.zeros(len(points), dtype=torch.int64)
    together = {i: torch.stack([point[i] for point in points]) for i in points[0]}
    drawn: Tensor = editor.decode(take(codes, rows), together).unflatten(0, size)
    return drawn


def _axes(model: Model, attribute: int, plane: Plane) -> tuple[Tensor, list[str], list[str]]:
    """The plane of an attribute's styles, row by row (N×d_i), and what its rows and columns are called.

    By their p, coordinates of W_i where it has up to 2, else coefficients of principal components.
    """
    subspace = model.statistics.subspaces[attribute]
    dim = len(subspace.stds)
    rows, columns = (1, plane.size[1]) if dim == 1 else plane.size
    points = subspaces.plane(subspace, rows, columns, plane.span)
    table = points.unflatten(0, (rows, columns))
    if dim > 2:
        steps = subspaces.grid(torch.zeros(2), rows, columns, plane.span).unflatten(0, (rows, columns))
        across = [f"pc1 {_tenth(value):+.1f}" for value in steps[0, :, 0].tolist()]
        return points, [f"pc2 {_tenth(value):+.1f}" for value in steps[:, 0, 1].tolist()], across
    across = [f"w1 {_tenth(value):+.1f}" for value in table[0, :, 0].tolist()]
    down = [f"w2 {_tenth(value):+.1f}" for value in table[:, 0, 1].tolist()] if dim == 2 else [""]
    return points, down, across


def _tenth(value: float) -> float:
    """Rounded, and never −0."""
    return round(value, 1) + 0.0
