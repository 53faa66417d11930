"""The Typer app: commands registered, nothing heavy imported, every error said once."""

import codecs
import errno
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from csvae_cli import __version__, output
from csvae_cli.commands.datasets import datasets
from csvae_cli.commands.encode import encode
from csvae_cli.commands.evaluate import evaluate
from csvae_cli.commands.grid import grid
from csvae_cli.commands.info import info
from csvae_cli.commands.reproduce import reproduce
from csvae_cli.commands.train import train
from csvae_cli.commands.transfer import transfer
from csvae_cli.errors import UserError

app = typer.Typer(
    name="csvae",
    help="Learn the styles of an attribute from labelled pictures, and put any of them on any face.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (train, transfer, grid, encode, evaluate, reproduce, datasets, info):
    app.command()(command)


def _print_version(asked: bool) -> None:
    if asked:
        output.answer(f"csvae {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learn the styles of an attribute from labelled pictures, and put any of them on any face."""


_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong request, 130, 143 stopped."""
    # Of odd files, and of sizes that are no bombs yet; here, since threads have one list of these.
    warnings.filterwarnings("ignore", module="PIL")
    arguments = None if argv is None else list(argv)  # of sys.argv wildcards are expanded where no shell does
    try:
        typer.main.get_command(app).main(arguments, prog_name="csvae", standalone_mode=True)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:  # Typer's answer to Ctrl-C
            output.say("csvae: stopped.")
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except UserError as error:
        if os.environ.get("CSVAE_DEBUG") == "1":
            raise
        output.say(f"csvae: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        output.say("csvae: stopped.")
        return _INTERRUPTED
    except output.OutputError as error:
        return _without_output(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:  # a page of help, which Typer prints
            return _without_output(output.OutputError(error))
        if os.environ.get("CSVAE_DEBUG") == "1":
            raise
        output.say(
            f"csvae: this is a bug in csvae, not your mistake: {type(error).__name__}: {error} "
            "(CSVAE_DEBUG=1 shows where)."
        )
        return 1
    return 0


def run() -> None:
    """The `csvae` command."""
    signal.signal(signal.SIGTERM, _terminate)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller closed it
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (until the end)
    codecs.register_error("csvae", _written_anyhow)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="csvae")
    code = main()
    try:
        output.flush()
    except output.OutputError as error:
        code = _without_output(error)
    sys.exit(code)


def _written_anyhow(error: UnicodeError) -> tuple[str | bytes, int]:
    """Names of files may be any bytes, which they stay; what stdout's encoding has not is escaped."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError:
        return codecs.lookup_error("backslashreplace")(error)


def _without_output(error: output.OutputError) -> int:
    """Nobody reads our answers any more, or they have no room: nothing more is written, not even at exit."""
    if not error.closed:
        output.say(f"csvae: {error}")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (the signature is the system's)
    raise SystemExit(128 + number)
