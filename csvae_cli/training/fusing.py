"""Networks compiled for a long training on a GPU: what lies between convolutions becomes one pass."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from csvae_cli import output
from models.fusible import FUSIBLE, Fusible

Step = Callable[[Tensor], Mapping[str, Tensor]]
"""Row numbers of a batch -> its terms, unweighted and detached; the weights have moved."""

WORTH = 10_000_000
"""Pictures that a stage must show for compiling (half a minute) to pay."""

LARGE = 2**22
"""Numbers in a weight whose step takes long."""

_READ = {"realize_reads_threshold": 16}
"""For inductor: what is used twice is computed twice, of so many tensors at most, not written and read."""

_LONGEST = 160
"""Characters of a compiler's complaint that people are shown."""


def fused(
    step: Step,
    model: nn.Module,
    noise: torch.Generator,
    backend: str | Callable[..., Any] = "inductor",
) -> Step:
    """The same step with convolutions, and what is between and around them, compiled by torch.compile.

    They are compiled in the step alone: a look at the model shows them other sizes, for each of which they
    would be compiled anew. Where the first step fails with them, that is said, and they are as they were, and
    so is the noise that it drew from.
    """
    options = _READ if backend == "inductor" else None
    compiled = partial(torch.compile, dynamic=False, backend=backend, options=options)
    networks = [(part, compiled(part.forward)) for part in _parts(model)]
    functions = [(function, compiled(function.plain)) for function in FUSIBLE]
    tried, refused = False, False

    def taken(rows: Tensor) -> Mapping[str, Tensor]:
        nonlocal tried, refused
        if refused:
            return step(rows)
        first, tried = not tried, True
        drawn = noise.get_state() if first else None
        try:
            with _in_place(networks, functions):
                return step(rows)
        except Exception as error:
            if drawn is None or isinstance(error, torch.OutOfMemoryError):
                raise
            noise.set_state(drawn)
            refused = True
            reason = " ".join(str(error).split())[:_LONGEST]
            output.say(f"csvae: networks cannot be compiled here ({reason}); steps are slower, and the same.")
            return step(rows)

    return taken


@contextmanager
def _in_place(
    networks: Iterable[tuple[nn.Module, Callable[..., Any]]],
    functions: Iterable[tuple[Fusible[..., Any], Callable[..., Any]]],
) -> Iterator[None]:
    """Within, these run as they are compiled."""
    for network, compiled in networks:
        network._compiled_call_impl = compiled
    for function, compiled in functions:
        function.taken = compiled
    try:
        yield
    finally:
        for network, _ in networks:
            network._compiled_call_impl = None
        for function, _ in functions:
            function.taken = function.plain


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """The largest parts within that have convolutions and no large weight.

    A compiled part gives all of its gradients at its end, and a large weight is to have its own before.
    """
    for part in module.children():
        if isinstance(part, nn.ModuleDict | nn.ModuleList):  # which is not called itself
            yield from _parts(part)
        elif any(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for layer in part.modules()):
            if all(weight.numel() < LARGE for weight in part.parameters()):
                yield part
            else:
                yield from _parts(part)
