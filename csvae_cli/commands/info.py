"""csvae info."""

from pathlib import Path
from typing import Annotated

import typer

from csvae_cli.commands.options import RUNS, Json, Runs


def info(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", help="A run directory; by default the newest, else csvae's own."),
    ] = None,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Say what a model is: its kind, its data, how long it was trained, what z leaks, how wide each W is.

    Example: csvae info
    """
    from csvae_cli import output
    from csvae_cli.training import summary

    found = summary.summary(str(run) if run else None, runs)
    if as_json:
        output.answer_json(found)
    else:
        output.table(found["run"], ("what", "value"), summary.rows(found))
