"""Networks compiled for a long training on a GPU: what lies between convolutions becomes one pass."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from csvae_cli import output

Step = Callable[[Tensor], Mapping[str, Tensor]]
"""Row numbers of a batch -> its terms, unweighted and detached; the weights have moved."""

WORTH = 10_000_000
"""Pictures that a stage must show for compiling (a quarter of a minute) to pay."""

LARGE = 2**22
"""Numbers in a weight whose step takes long."""

_LONGEST = 160
"""Characters of a compiler's complaint that people are shown."""


def fused(step: Step, model: nn.Module, backend: str | Callable[..., Any] = "inductor") -> Step:
    """The same step with the model's convolutions and what is between them compiled by torch.compile.

    They are compiled in the step alone: a look at the model shows them other sizes, for each of which they
    would be compiled anew. Where the first step fails with them, that is said, and they are as they were.
    """
    networks = list(_parts(model))
    for network in networks:
        network._compiled_call_impl = torch.compile(network.forward, dynamic=False, backend=backend)
    torch.compiler.set_stance("force_eager")
    tried = False

    def taken(rows: Tensor) -> Mapping[str, Tensor]:
        nonlocal tried
        if not networks:
            return step(rows)
        first, tried = not tried, True
        try:
            with torch.compiler.set_stance("default"):
                return step(rows)
        except Exception as error:
            if not first:
                raise
            for network in networks:
                network._compiled_call_impl = None
            networks.clear()
            reason = " ".join(str(error).split())[:_LONGEST]
            output.say(f"csvae: networks cannot be compiled here ({reason}); steps are slower, and the same.")
            return step(rows)

    return taken


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """The largest parts within that have convolutions and no large weight.

    A compiled part gives all of its gradients at its end, and a large weight is to have its own before.
    """
    for part in module.children():
        if any(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for layer in part.modules()):
            if all(weight.numel() < LARGE for weight in part.parameters()):
                yield part
            else:
                yield from _parts(part)
