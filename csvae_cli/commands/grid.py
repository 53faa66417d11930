"""csvae grid."""

from pathlib import Path
from typing import Annotated

import typer

from csvae_cli.commands.options import (
    RUNS,
    Align,
    Device,
    Eyes,
    FaceOption,
    Force,
    Inputs,
    Json,
    ModelRef,
    Precision,
    Runs,
)


def grid(
    inputs: Inputs = [],  # noqa: B006 (Typer copies it)
    attrs: Annotated[
        list[str],
        typer.Option(
            "--attr",
            metavar="NAME",
            help="The attribute; two of them draw a grid of grids, the second's styles within the first's. "
            "Default: all, one below the other.",
        ),
    ] = [],  # noqa: B006
    size: Annotated[
        str | None,
        typer.Option(
            "--grid",
            metavar="RxC",
            help="Of a plane of styles: rows and columns. Default: 5x7; 3x3 in a grid of grids, at most.",
        ),
    ] = None,
    span: Annotated[
        float | None,
        typer.Option(
            "--span", min=0.01, max=10, help="Standard deviations that the plane reaches. Default: 2."
        ),
    ] = None,
    align: Align = "auto",
    face: FaceOption = "largest",
    eyes: Eyes = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The PNG file. Default: ./grid-MODEL.png.")
    ] = None,
    force: Force = False,
    model: ModelRef = None,
    runs: Runs = RUNS,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
) -> None:
    """Draw one sheet: people down, styles across; of a single picture, the plane of its styles.

    Without pictures it shows the faces that the training put aside. A style is called by its
    column and its row, without blanks: csvae transfer --at pc1+2.0pc2-1.0, or --at=X,Y of w1, w2 (where W has
    two dimensions).
    Example: csvae grid
    """
    from csvae_cli import output
    from csvae_cli.commands import answers
    from csvae_cli.data.framing import summary
    from csvae_cli.device import resolve
    from csvae_cli.editing import sheet
    from csvae_cli.editing.editor import Editor
    from csvae_cli.editing.requests import framing_of
    from csvae_cli.runs import load

    plane = sheet.plane_of(size, span, attrs)
    loaded = load(model, runs)
    target = sheet.target(loaded, out, force=force)
    framing = framing_of(loaded, align, face, eyes, inputs)
    editor = Editor(loaded, resolve(device, precision), framing)
    framed, failed = sheet.write(editor, inputs, attrs, plane, target)
    if framed:
        output.say(f"csvae: {summary(framed)}")
    drawn = target if framed or not failed else None
    answers.one_file(drawn, failed, len(framed) + len(failed), as_json=as_json, model=loaded.name)
