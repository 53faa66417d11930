"""The sheet of `csvae grid`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from csvae_cli import runs, sheets
from csvae_cli.data.batches import from_pictures, to_pictures
from csvae_cli.editing.editor import Editor
from csvae_cli.editing.pictures import crops, find_inputs
from csvae_cli.editing.requests import attribute_of
from csvae_cli.editing.styles import plane
from csvae_cli.errors import RequestError
from csvae_cli.runs import Model


def target(model: Model, out: Path | None, *, force: bool) -> Path:
    """Where the sheet goes: as named, else ./grid-MODEL.png, numbered so that nothing is overwritten.

    Raises RequestError where the named file exists and force does not allow it.
    """
    if out is not None:
        if out.exists() and not force:
            raise RequestError(f"{out} exists; --force overwrites it.")
        return out
    path, number = Path(f"grid-{model.name}.png"), 2
    while path.exists() and not force:
        path, number = Path(f"grid-{model.name}-{number}.png"), number + 1
    return path


def write(
    editor: Editor,
    inputs: Sequence[Path],
    attr: str | None,
    size: tuple[int, int],
    span: float,
    path: Path,
) -> None:
    """Draw and write. Raises RequestError and WorkError."""
    model = editor.model
    names = (attr,) if attr is not None or len(model.config.model.edited) == 1 else model.config.model.edited
    attributes = [attribute_of(model, name) for name in names]
    sources = find_inputs(inputs)
    if sources:
        shape = model.config.model.shape
        faces = [crops(editor.open(source), shape) for source in sources]
        x = torch.cat(faces)
        labels = [source.stem for source, of_one in zip(sources, faces, strict=True) for _ in of_one]
    else:
        x, labels = from_pictures(model.statistics.faces), []
    x = x.to(editor.compute.device)
    if len(labels) == 1:
        pages = [_plane(editor, x, attribute, size, span) for attribute in attributes]
    else:
        pages = [_people(editor, x, attribute, labels) for attribute in attributes]
    runs.write(path, sheets.png(sheets.stack(pages)))


def _people(editor: Editor, x: Tensor, attribute: int, labels: Sequence[str]) -> Image.Image:
    model = editor.model
    styles = sheets.style_points(
        model.statistics.subspaces[attribute], editor.model.kind.anchors(attribute)[0]
    )
    title = f"{model.config.model.attributes[attribute]}, {model.config.model.kind}"
    with torch.no_grad():
        codes = editor.model.kind.encode(x)
    others = model.config.model.others
    return sheets.people_by_styles(editor.model.kind, x, codes, attribute, *styles, title, labels, others)


def _plane(editor: Editor, x: Tensor, attribute: int, size: tuple[int, int], span: float) -> Image.Image:
    """One person: the picture, its reconstruction and without the attribute on the left, then the plane."""
    model = editor.model
    with torch.no_grad():
        codes = editor.model.kind.encode(x)
    styles = plane(model, attribute, *size, span)
    columns = min(size[1], len(styles))
    rows = len(styles) // columns
    faces = [
        x[0].cpu(),
        editor.decode(codes, {})[0],
        editor.decode(codes, {attribute: editor.model.kind.anchors(attribute)[0]})[0],
    ]
    blank = torch.ones_like(faces[0])
    left = (faces + [blank] * rows)[:rows]
    points = [{} if style.point is None else {attribute: style.point} for style in styles]
    drawn = torch.cat([editor.decode(codes, point) for point in points]).unflatten(0, (rows, columns))
    cells = torch.stack([to_pictures(torch.stack([left[row], *drawn[row]])) for row in range(rows)])
    name = model.config.model.attributes[attribute]
    across = [_number(styles[column].point, 0) for column in range(columns)]
    down = [_number(styles[row * columns].point, 1) for row in range(rows)]
    heads = ["picture", *across]
    title = f"{name}: picture, own, off; W from {styles[0].name[2:]} to {styles[-1].name[2:]}"
    return sheets.contact_sheet(cells, down, heads, title)


def _number(point: Tensor | None, coordinate: int) -> str:
    return "" if point is None or len(point) <= coordinate else f"{float(point[coordinate]):+.1f}"
