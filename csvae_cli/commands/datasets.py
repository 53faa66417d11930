"""csvae datasets."""

from pathlib import Path
from typing import Annotated

import typer

from csvae_cli.commands.options import Json


def datasets(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", envvar="CSVAE_DATA", help="Where your copy of the data is."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what can be trained on, and what of it is in DIR: pictures and positive labels of each split.

    Example: csvae datasets ~/celeba
    """
    from csvae_cli import output
    from csvae_cli.data import listing

    found = listing.listing(directory)
    if as_json:
        for line in found:
            output.answer_json(line.as_json())
        return
    output.table(
        "data sets",
        ("name", "attributes", "what", "train / valid / test", "state"),
        [line.as_row() for line in found],
        names=True,
    )
