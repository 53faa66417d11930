"""One step of training: terms, gradients, optimisers; on a GPU recorded once and replayed as a whole."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam

from csvae_cli import output
from csvae_cli.config import TrainingConfig
from csvae_cli.data.batches import Batches
from csvae_cli.device import Compute
from csvae_cli.errors import WorkError
from csvae_cli.processes import Processes
from csvae_cli.training.fusing import LARGE, WORTH, Step, fused
from csvae_cli.training.state import State
from models.disturbing import disturbed, mirrored
from models.kind import ADVERSARY, MAP

_PLAIN = 3
"""Steps that are taken before one is recorded: in the first ones libraries choose how to go about it."""

_DRAW = 4
"""Batches' worth of codes that each of the adversary's further steps draws."""


def step_of(
    state: State,
    batches: Batches,
    epochs: int,
    config: TrainingConfig,
    compute: Compute,
    processes: Processes,
) -> Step:
    """The step for the model's stage, of so many epochs of these batches; recorded where a GPU holds all."""
    plain: Step = partial(take, state, batches, config, compute, processes)
    if compute.device.type != "cuda" or processes.count > 1 or not batches.resident:
        return plain
    if epochs * len(batches) >= WORTH:
        plain = fused(plain, state.model, state.noise)
    with_adversary = ADVERSARY in state.optimisers and config.adversary_steps > 1
    return Recorded(state, plain, lambda: state.memory.full or not with_adversary)


def take(
    state: State,
    batches: Batches,
    config: TrainingConfig,
    compute: Compute,
    processes: Processes,
    rows: Tensor,
) -> Mapping[str, Tensor]:
    """A step, one operation after the other, at the rates that are set.

    Raises WorkError on the CPU, before any weight moves, where a term is no longer finite; on other devices
    that would make the host wait.
    """
    model = state.model
    x, y = batches.rows(rows)
    if model.stage != MAP:
        x = mirrored(x, state.noise) if config.flip else x
        x = disturbed(x, state.noise) if config.disturb and model.stage not in model.undisturbed else x
    with compute.autocast():
        terms = (model.map_terms if model.stage == MAP else model.terms)(x, y, state.noise)
    told = {name: term.detach() for name, term in terms.items()}
    if compute.device.type == "cpu":
        refuse_broken({name: float(term) for name, term in told.items()}, state.epoch)
    for optimiser in state.optimisers.values():
        optimiser.zero_grad()
    goes_ahead = compute.device.type == "cuda" and processes.count == 1 and config.max_norm is None
    with _ahead(state.optimisers.values()) if goes_ahead else nullcontext():
        _backward(terms, config)
    processes.average(model.parameters())
    for group, optimiser in state.optimisers.items():
        if config.max_norm is not None and group != ADVERSARY:
            clip_grad_norm_(optimiser.param_groups[0]["params"], config.max_norm)
        _move(optimiser)
    if ADVERSARY in state.optimisers and config.adversary_steps > 1:
        _train_adversary(state, config, compute, processes)
    return told


def _move(optimiser: Adam) -> None:
    """A step of those weights that have a gradient; fused, it changes them behind torch's back."""
    moved = [weight for weight in optimiser.param_groups[0]["params"] if weight.grad is not None]
    optimiser.step()
    increment_version(moved)


def _backward(terms: Mapping[str, Tensor], config: TrainingConfig) -> None:
    """The gradients of the sum of all terms, each by its weight."""
    learnt = {name: term for name, term in terms.items() if term.requires_grad and config.weight(name)}
    weights = [torch.full_like(term, config.weight(name)) for name, term in learnt.items()]
    torch.autograd.backward(list(learnt.values()), weights)


@contextmanager
def _ahead(optimisers: Iterable[Adam]) -> Iterator[None]:
    """Within, a large weight takes its step as soon as it has its gradient, beside the rest of the way back.

    With it go all others that have theirs. Adam waits for memory, while convolutions wait for arithmetic.
    """
    beside = torch.cuda.Stream()
    kept: list[Tensor | None] = []  # until all is done: what comes after would write over their memory

    def move(optimiser: Adam, _: Tensor) -> None:
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            optimiser.step()
        for weight in optimiser.param_groups[0]["params"]:
            kept.append(weight.grad)
            weight.grad = None

    hooks = [
        weight.register_post_accumulate_grad_hook(partial(move, optimiser))
        for optimiser in optimisers
        for weight in optimiser.param_groups[0]["params"]
        if weight.numel() >= LARGE
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        torch.cuda.current_stream().wait_stream(beside)


class Recorded:
    """A step as one CUDA graph, so that the host asks once and not a thousand times.

    The first steps are taken plainly, until `ready()`; then one is recorded, and replayed from then on. Where
    it cannot be recorded, that is said, and all are taken plainly.
    """

    def __init__(self, state: State, plain: Step, ready: Callable[[], bool]) -> None:
        self.state = state
        self.plain = plain
        self.ready = ready
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.refused = False

    def __call__(self, rows: Tensor) -> Mapping[str, Tensor]:
        """The terms are overwritten by the next step."""
        if self.graph is None and not self.refused and self.taken >= _PLAIN and self.ready():
            self._record(rows)
        if self.graph is None:
            self.taken += 1
            return self._beside(rows)
        self.rows.copy_(rows)
        self.graph.replay()
        increment_version(list(self.state.model.parameters()))  # a replay moves weights behind torch's back
        return self.terms

    def _beside(self, rows: Tensor) -> Mapping[str, Tensor]:
        """A plain step on another stream than the usual, as those must be that come before a recording."""
        stream, usual = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(usual)
        with torch.cuda.stream(stream):
            terms = self.plain(rows)
        usual.wait_stream(stream)
        return terms

    def _record(self, rows: Tensor) -> None:
        """Nothing moves while a step is recorded."""
        before = self.state.noise.get_state()
        self.rows = rows.clone()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.state.noise)
        for optimiser in self.state.optimisers.values():
            optimiser.zero_grad()
        try:
            with torch.cuda.graph(graph):
                self.terms = self.plain(self.rows)
        except RuntimeError as error:
            torch.cuda.synchronize()
            self.state.noise = torch.Generator(rows.device)
            self.state.noise.set_state(before)
            self.refused = True
            reason = str(error).strip().partition("\n")[0]
            output.say(f"csvae: a step cannot be recorded here ({reason}); it is slower, and the same.")
            return
        self.graph = graph


def refuse_broken(terms: Mapping[str, float], epoch: int) -> None:
    """Raises WorkError where a term is not finite."""
    for name, value in terms.items():
        if not math.isfinite(value):
            raise WorkError(
                f"Training diverged in epoch {epoch + 1}: the term {name} is {value}; the last good weights "
                "stay. Lower its weight or the learning rate, or use --precision fp32."
            )


def _train_adversary(state: State, config: TrainingConfig, compute: Compute, processes: Processes) -> None:
    """The adversary's further steps of its turn."""
    optimiser = state.optimisers[ADVERSARY]
    state.memory.keep(state.model.shown)
    drawn = _DRAW * config.batch_size // processes.count
    for _ in range(config.adversary_steps - 1):
        optimiser.zero_grad()
        with compute.autocast():
            terms = state.model.adversary_terms(state.memory.draw(drawn, state.noise))
        (config.weight(ADVERSARY) * terms[ADVERSARY]).backward()
        processes.average(optimiser.param_groups[0]["params"])
        _move(optimiser)
