"""The training loop: stages, epochs, the order of the data, when to stop, and what is told of it."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from csvae_cli.config import TrainingConfig
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Split
from csvae_cli.device import Compute
from csvae_cli.errors import WorkError
from csvae_cli.processes import ALONE, Processes
from csvae_cli.training.state import State
from csvae_cli.training.step import refuse_broken, step_of
from models.kind import MAP, Kind

_CHECK_EVERY = 50
"""Steps between looks at the terms on an accelerator, where each look makes the host wait."""

TICK_EVERY = 10
"""Steps from one tick to the next."""

_AGREE_EVERY = 10
"""Steps after which several processes ask each other whether to stop."""


@dataclass(frozen=True)
class Tick:
    """Within an epoch, every TICK_EVERY steps: the share of it that is done, the steps left, and the rate."""

    epoch: int
    share: float
    left: int
    images_per_second: float


@dataclass(frozen=True)
class Epoch:
    """After an epoch: the mean of every (unweighted) term over its steps."""

    epoch: int
    terms: dict[str, float]
    images_per_second: float
    learning_rate: float
    stage: str | None = None


@dataclass(frozen=True)
class Stage:
    """A part of a training: its name (None: the whole), its first epoch and how many there are."""

    name: str | None
    first: int
    epochs: int

    @property
    def end(self) -> int:
        """The epoch after its last one, which is the number of epochs that are done as it ends."""
        return self.first + self.epochs


def stage_at(config: TrainingConfig, epoch: int) -> Stage:
    """The stage that an epoch (from 0) belongs to; after the last epoch the last stage."""
    first = 0
    found = Stage(None, 0, config.epochs)
    for name, epochs in config.stages.items():
        found = Stage(name, first, epochs)
        first += epochs
        if epoch < first:
            break
    return found


def train(
    state: State,
    batches: Batches,
    config: TrainingConfig,
    compute: Compute,
    stop: Callable[[], bool],
    processes: Processes = ALONE,
) -> Iterator[Tick | Epoch]:
    """Trains from where `state` stands to the end of config.epochs; ends early, between steps, when stop().

    Of several processes each takes its part of every batch; they stop together, when any stop().

    Raises WorkError, before the step is taken, where a term is no longer finite (on an accelerator: within
    50 steps, and always before the end of the epoch).
    """
    model = state.model
    pictures, codes, begun = batches, None, None
    while state.epoch < config.epochs:
        stage = stage_at(config, state.epoch)
        if stage != begun:  # running means are each process's own, and its next stage may only look
            processes.like_the_first(model.buffers())
        if stage.name == MAP and codes is None:
            codes = _codes(state, pictures, stage, config, compute, processes)
        on_codes = stage.name == MAP
        batches = codes if on_codes and codes is not None else pictures
        model.expect(batches.y)
        batch = min(config.batch_size, len(batches)) // processes.count * processes.count
        steps = len(batches) // batch
        model.stage = stage.name
        model.train()
        if state.epoch == stage.first and state.step == 0:
            for group in model.begin_stage(config.seed):
                state.optimisers[group].state.clear()
        if stage != begun:
            begun, step = stage, step_of(state, batches, stage.epochs, config, compute, processes)
        order = _order(len(batches), config.seed, state.epoch).to(batches.x.device)
        sums = {name: torch.tensor(value, device=compute.device) for name, value in state.sums.items()}
        began, first = time.perf_counter(), state.step
        while state.step < steps:
            if _is_time(stop, state.step, processes, compute):
                state.sums = processes.mean(_to_host(sums, state.epoch), compute.device)
                _refuse_broken_weights(state)
                model.stage = None
                return
            state.set_rates(learning_rate(config, state.epoch + state.step / steps), config)
            terms = step(processes.part(order[state.step * batch : (state.step + 1) * batch]))
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term
            if compute.device.type != "cpu" and state.step % _CHECK_EVERY == 0:
                _to_host(sums, state.epoch)
            state.step += 1
            if state.step % TICK_EVERY == 0:
                rate = (state.step - first) * batch / (time.perf_counter() - began)
                yield Tick(state.epoch + 1, state.step / steps, steps - state.step, rate)
        _refuse_broken_weights(state)
        totals = processes.mean(_to_host(sums, state.epoch), compute.device)
        means = {name: value / steps for name, value in totals.items()}
        speed = (steps - first) * batch / (time.perf_counter() - began)
        rate = learning_rate(config, state.epoch)
        state.epoch, state.step, state.sums = state.epoch + 1, 0, {}
        model.stage = None
        if on_codes and state.epoch == stage.end:
            _end_map(model.eval(), batches, len(pictures), processes)
        yield Epoch(state.epoch, means, speed, rate, stage.name)


def _is_time(stop: Callable[[], bool], step: int, processes: Processes, compute: Compute) -> bool:
    """Whether to stop before this step."""
    if processes.count > 1 and step % _AGREE_EVERY:
        return False
    return processes.any(stop(), compute.device)


@torch.no_grad()
def _codes(
    state: State,
    batches: Batches,
    stage: Stage,
    config: TrainingConfig,
    compute: Compute,
    processes: Processes,
) -> Batches:
    """What the map learns from, of all pictures (and of their mirror images where those are trained on).

    The map begins with them where the stage does.
    """
    model = state.model.eval()

    def rows(index: Tensor) -> Tensor:
        return batches.rows(index.to(batches.x.device))[0]

    def pictures() -> Iterator[Tensor]:
        return (x for x, _ in batches.chunks(len(batches)))

    with compute.autocast():
        parts = [model.mu(x) for x in pictures()]
        mu = torch.cat(parts)
        y = model.map_labels(mu, batches.y)
        if state.epoch == stage.first and state.step == 0:
            model.begin_map(rows, mu, y)
            processes.like_the_first(model.buffers())
        codes = [model.map_input(x, part) for x, part in zip(pictures(), parts, strict=True)]
        if config.flip:
            mirrored = (x.flip(3) for x in pictures())
            codes += [model.map_input(x, model.mu(x)) for x in mirrored]
    s = torch.cat(codes)
    labels = y.cpu().repeat(len(s) // len(batches), 1)
    return Batches(Split(s.cpu().numpy(), labels.numpy(), ()), compute)


@torch.no_grad()
def _end_map(model: Kind, codes: Batches, pictures: int, processes: Processes) -> None:
    """The map ends with the codes of all pictures; not of their mirror images, which are nobody else's."""
    model.end_map(*codes.rows(torch.arange(pictures, device=codes.x.device)))
    processes.like_the_first(model.parameters())


def learning_rate(config: TrainingConfig, epoch: float) -> float:
    """Adam's rate after `epoch` epochs (a fraction is allowed)."""
    stage = stage_at(config, int(epoch))
    if config.schedule == "cosine":
        share = (epoch - stage.first) / stage.epochs
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
    if config.schedule == "multistep":
        passed = sum(epoch >= 3**n for n in range(7))
        return float(config.learning_rate * 0.1 ** (passed / 7))
    return config.learning_rate


def _order(count: int, seed: int, epoch: int) -> Tensor:
    """The order of an epoch's data: of seed and epoch alone, so that a resumed training finds it again."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(1_000_003 * seed + epoch))


def _refuse_broken_weights(state: State) -> None:
    """Finite terms may have gradients that are not; nothing that came of them may be kept as good."""
    weights = {name: t for name, t in state.model.state_dict().items() if t.is_floating_point()}
    if get_total_norm(weights.values(), math.inf).isfinite():  # one look at all, for a GPU's sake
        return
    broken = next(name for name, weight in weights.items() if not weight.isfinite().all())
    raise WorkError(
        f"Training diverged in epoch {state.epoch + 1}: {broken} is no longer finite; the last good weights "
        "stay. Lower the learning rate, or use --precision fp32."
    )


def _to_host(sums: dict[str, Tensor], epoch: int) -> dict[str, float]:
    values = {name: float(value) for name, value in sums.items()}
    refuse_broken(values, epoch)
    return values
