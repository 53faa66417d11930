"""csvae encode."""

from pathlib import Path
from typing import Annotated

import typer

from csvae_cli.commands.options import (
    RUNS,
    Align,
    DataDir,
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


def encode(
    inputs: Inputs = [],  # noqa: B006 (Typer copies it)
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The table: .npz, .csv or .parquet.")
    ] = Path("codes.npz"),
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="NAME", help="Encode a data set instead of pictures.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="train|val|test", help="Which part of --dataset. Default: val."),
    ] = None,
    data_dir: DataDir = None,
    align: Align = "auto",
    face: FaceOption = "largest",
    eyes: Eyes = None,
    force: Force = False,
    model: ModelRef = None,
    runs: Runs = RUNS,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
) -> None:
    """Write mu and log sigma² of z and of every w, one row per face.

    Example: csvae encode faces/ --out codes.npz
    """
    from csvae_cli import output
    from csvae_cli.commands import answers
    from csvae_cli.data.dataset import named_split
    from csvae_cli.data.framing import summary
    from csvae_cli.device import resolve
    from csvae_cli.editing import encoding
    from csvae_cli.editing.editor import Editor
    from csvae_cli.editing.requests import framing_of
    from csvae_cli.errors import RequestError
    from csvae_cli.processes import of_environment
    from csvae_cli.runs import load

    out = of_environment().file(out)
    encoding.check(inputs, dataset, out, force=force)
    if dataset is not None and (eyes is not None or face != "largest" or align != "auto"):
        raise RequestError("--face, --eyes and --align are for pictures; leave them out with --dataset.")
    if dataset is None and split is not None:
        output.say("csvae: --split is a part of a --dataset; with pictures it does nothing.")
    compute = resolve(device, precision)
    if dataset is not None:
        result = encoding.encode_dataset(
            model, runs, compute, dataset, named_split(split or "val"), data_dir, out
        )
    else:
        loaded = load(model, runs)
        editor = Editor(loaded, compute, framing_of(loaded, align, face, eyes, inputs))
        result = encoding.encode_pictures(editor, inputs, out)
        if result.rows:
            output.say(f"csvae: {summary(result.framed)}")
    count = len(result.framed) + len(result.failed)
    answers.one_file(out if result.rows else None, result.failed, count, as_json=as_json, rows=result.rows)
