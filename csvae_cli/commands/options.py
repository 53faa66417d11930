"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Precision(StrEnum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class Align(StrEnum):
    auto = "auto"
    none = "none"
    celeba = "celeba"


class Network(StrEnum):
    light = "light"
    large = "large"
    paper = "paper"


ModelRef = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="REF",
        help="A run directory, weights in one, or csvae, its own. Default: the newest of --runs, else csvae.",
    ),
]
Runs = Annotated[
    Path, typer.Option("--runs", envvar="CSVAE_RUNS", metavar="DIR", help="Where run directories are.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", envvar="CSVAE_DATA", metavar="DIR", help="Where your copy of the data is."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
PrecisionOption = Annotated[
    Precision, typer.Option("--precision", help="auto takes bf16 where it is fast, else fp32.")
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, one object per line.")]
Inputs = Annotated[list[Path], typer.Argument(metavar="INPUTS…", help="Pictures, or folders of them.")]
Attribute = Annotated[
    str | None,
    typer.Option("--attr", metavar="NAME", help="The attribute; needed where the model has several."),
]
AlignOption = Annotated[
    Align,
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
        "--eyes", metavar="X1,Y1,X2,Y2", help="Where the eyes are, in pixels, the one on the left first."
    ),
]
JudgedSplit = Annotated[
    str, typer.Option("--split", metavar="val|test", help="The people to measure on; choose nothing on test.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]

RUNS = Path("runs")
