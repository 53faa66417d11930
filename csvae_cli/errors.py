"""The mistakes a user can make, each with a way out and an exit code.

Raised where the facts are, caught once in `csvae_cli.app.main`. Anything else that reaches `main` is a bug
of ours, and is said to be one.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something that the user can put right.

    message: one sentence that names the thing and, where there is one, the way out.
    """

    exit_code = 1


class RequestError(UserError):
    """The request was wrong: an unknown name, data that is not there, options that exclude each other."""

    exit_code = 2


class WorkError(UserError):
    """The request was right, the work failed: an unreadable file, a diverged training, a full disk."""


class StoppedError(UserError):
    """Stopped by a signal, with nothing lost; the exit code is the signal's."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def one_of(kind: str, name: str, known: Iterable[str]) -> RequestError:
    """The error for a name that is not among the `known` ones, with the nearest of them first."""
    names = list(known)
    near = get_close_matches(name.lower().replace("_", "-"), names, n=3, cutoff=0.5)
    if near:
        return RequestError(f"There is no {kind} “{name}”; did you mean {' or '.join(near)}?")
    return RequestError(f"There is no {kind} “{name}”; there are: {', '.join(names)}.")
