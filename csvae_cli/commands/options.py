"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from csvae_cli import config

ModelRef = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="REF",
        help="A run directory, a .safetensors file in one, or csvae, the model that comes with the tool. "
        "Default: the newest trained run in --runs, else csvae.",
    ),
]
Runs = Annotated[
    Path, typer.Option("--runs", envvar="CSVAE_RUNS", metavar="DIR", help="Where run directories are.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Where your copy of the data is. Default: where a run has it from, else CSVAE_DATA.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[
    config.Precision, typer.Option("--precision", help="auto takes bf16 where it is fast, else fp32.")
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, one object per line.")]
Inputs = Annotated[list[Path], typer.Argument(metavar="INPUTS…", help="Pictures, or folders of them.")]
Attribute = Annotated[
    str | None,
    typer.Option("--attr", metavar="NAME", help="The attribute; needed where the model has several."),
]
Align = Annotated[
    Literal["auto", "none", "celeba"],
    typer.Option(
        "--align",
        help="auto: find the face, unless the picture is aligned already; celeba: inputs are CelebA-aligned "
        "pictures of any size; none: the face fills the central square.",
    ),
]
FaceOption = Annotated[
    str,
    typer.Option("--face", metavar="largest|all|N", help="Which of the faces found; N counts from the left."),
]
Eyes = Annotated[
    str | None,
    typer.Option(
        "--eyes",
        metavar="X1,Y1,X2,Y2",
        help="Where the eyes are, in pixels from the top left, the one on the picture's left first.",
    ),
]
JudgedSplit = Annotated[
    str, typer.Option("--split", metavar="val|test", help="The people to measure on; choose nothing on test.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]

RUNS = Path("runs")
SEED_MAX = 2**31 - 1
