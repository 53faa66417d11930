"""What commands that make one file of many inputs answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csvae_cli import output
from csvae_cli.errors import WorkError

if TYPE_CHECKING:
    from csvae_cli.editing.pictures import Failed


def one_file(
    path: Path | None, failed: "Sequence[Failed]", inputs: int, *, as_json: bool, **more: Any
) -> None:
    """The file (None: none was written) to stdout, and why inputs failed; more: beside it in JSON.

    Raises WorkError where any of the inputs failed.
    """
    for failure in failed:
        output.say(f"csvae: {failure.reason}")
        if as_json:
            output.answer_json(failure.as_json())
    if as_json:
        output.answer_json({"output": str(path) if path else None, **more})
    elif path:
        output.answer(str(path))
    if failed:
        raise WorkError(f"{len(failed)} of {inputs} inputs failed.")
