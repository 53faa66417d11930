"""Functions of tensors that a compiler may melt into one pass over memory, where a training is worth it."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Fusible(Generic[P, R]):
    """A function that runs as it is written, `plain`, unless something else is `taken` in its place."""

    def __init__(self, plain: Callable[P, R]) -> None:
        self.plain = self.taken = plain
        update_wrapper(self, plain)
        FUSIBLE.append(self)

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        return self.taken(*arguments, **named)


FUSIBLE: list[Fusible[Any, Any]] = []
"""All of them."""
