"""A training from its first to its last file: the loop's records go to the display, the log and the disk."""

import json
import signal
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from csvae_cli import output, runs, sheets
from csvae_cli.config import RunConfig, to_json
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Dataset
from csvae_cli.device import Compute
from csvae_cli.errors import RequestError, StoppedError
from csvae_cli.interrupt import polite_stop
from csvae_cli.processes import Processes
from csvae_cli.training import checkpoint
from csvae_cli.training.clock import Clock
from csvae_cli.training.loop import Epoch, Tick, stage_at, train
from csvae_cli.training.profile import Profile
from csvae_cli.training.report import Report, look
from csvae_cli.training.state import State, noise_seed, start
from models.kind import MAP, OPPONENTS, Kind, build

_CHECKPOINT_EVERY = 60.0
"""Seconds after which an epoch that is not reported is kept all the same."""


def fresh(config: RunConfig, compute: Compute, initial: runs.Model | None, processes: Processes) -> State:
    """The state before the first step, seeded; with `Kind.begun_with` the weights of `initial`, if given.

    Raises RequestError where `initial` is another model.
    """
    torch.manual_seed(config.training.seed)
    model = build(config.model.kind, **config.model.build_options())
    if initial is not None:
        runs.load_weights(model, model.begun_with(initial.kind.state_dict()), Path(initial.name))
    return start(model, config.training, compute, processes)


def restored(
    run: runs.Run,
    config: RunConfig,
    data: Dataset,
    compute: Compute,
    initial: runs.Model | None,
    processes: Processes,
) -> tuple[State, checkpoint.Standing]:
    """The newest checkpoint's state; without one, the beginning, from `initial`.

    Raises RequestError where the data changed, or weights are there and the checkpoints are gone.
    """
    if config.data.fingerprint != data.fingerprint:
        raise RequestError(
            f"The data of {config.data.dataset} is not what {run.path} was trained on; "
            "start a new training, or bring the data back."
        )
    state = fresh(config, compute, initial, processes)
    standing = checkpoint.restore(run, state)
    if standing is None and run.model.exists():
        raise RequestError(
            f"{run.path} has weights, but no checkpoint to go on from; begin a new training (of a flow-csvae "
            f"--from {run.path} takes its encoder and decoder)."
        )
    if not processes.first:  # the checkpoint has the first one's noise
        state.noise.manual_seed(noise_seed(config.training, processes, state.epoch, state.step))
    return state, standing or checkpoint.Standing(0, None)


def train_run(
    run: runs.Run,
    config: RunConfig,
    data: Dataset,
    compute: Compute,
    state: State,
    standing: checkpoint.Standing,
    processes: Processes,
    profiled: bool = False,
) -> None:
    """Train to the end and leave the run directory complete: what the first (or only) process does.

    log.jsonl is first cut back to where the training stands. Raises StoppedError on Ctrl-C or SIGTERM, after
    a checkpoint; WorkError where training diverges.
    """
    with suppress(OSError):  # the end of a shorter training, which this one is to come to again
        run.sheet.unlink()
    runs.write(run.config, to_json(config).encode())
    if run.log.exists():
        lines = run.log.read_text().splitlines(keepends=True)[: standing.log_lines]
        runs.write(run.log, "".join(lines).encode())
    if not checkpoint.begun(run):  # from now on a run with weights has one
        checkpoint.save(run, state, standing)
    batches = Batches(data.splits["train"], compute)
    valid = Batches(data.splits["valid"], compute)
    saver = _Saver(run, config, standing)
    examples = f"{len(batches):,} examples"
    where = compute.reason
    if processes.count > 1:
        where += f", {processes.count} processes with {config.training.batch_size} in a batch of all"
    title = f"{config.model.kind} on {config.data.dataset}: {examples}, {where}; {run.path}"
    clock = Clock(config.training, state)
    profile = Profile(run.trace) if profiled else None
    with (
        nullcontext() if profile is None else profile.shown(),
        output.TrainingDisplay(title, config.training.epochs) as display,
        polite_stop() as stop,
    ):
        for record in train(state, batches, config.training, compute, stop, processes):
            if isinstance(record, Tick):
                if profile is not None:
                    profile.tick(record.left)
                display.tick(record.epoch, record.share, record.images_per_second, clock.left(state, record))
                continue
            report = None
            if record.epoch % config.training.report_every == 0 or record.epoch == config.training.epochs:
                report = look(state.model, batches, valid, config, compute)
            line = saver.after_epoch(state, record, report)
            display.epoch(line, clock.left(state, None))
        if state.epoch < config.training.epochs:
            saver.stopped(state)
            saver.to_look_at(state.model, look(state.model, batches, valid, config, compute))
            raise StoppedError(
                f"Stopped in epoch {state.epoch + 1}; go on with: {run.resumed_by}",
                stop.signal_number or signal.SIGTERM,  # another process's, where several were stopped
            )


def help_train(
    config: RunConfig, data: Dataset, compute: Compute, state: State, processes: Processes
) -> None:
    """The same in all other processes: the steps, and nothing else."""
    batches = Batches(data.splits["train"], compute)
    with polite_stop() as stop:
        for _ in train(state, batches, config.training, compute, stop, processes):
            pass


class _Saver:
    """Writes what a training leaves behind."""

    def __init__(self, run: runs.Run, config: RunConfig, standing: checkpoint.Standing) -> None:
        self.run = run
        self.config = config
        self.standing = standing
        self.saved_at = time.monotonic()

    def after_epoch(self, state: State, epoch: Epoch, report: Report | None) -> Mapping[str, Any]:
        line: dict[str, Any] = {
            "epoch": epoch.epoch,
            "terms": epoch.terms,
            "images_per_second": round(epoch.images_per_second, 1),
            "learning_rate": epoch.learning_rate,
        }
        if epoch.stage is not None:
            line["stage"] = epoch.stage
        if report is not None:
            line |= {"valid": report.terms, "leak": report.leak}
        stage = stage_at(self.config.training, epoch.epoch - 1)
        ended = stage.name == MAP and epoch.epoch == stage.end
        if epoch.epoch - 1 == stage.first or ended:
            # What a stage learns, the one before has not, nor a map what its end does.
            self.standing = replace(self.standing, best=None)
        runs.append_line(self.run.log, json.dumps(line))
        self.standing = replace(self.standing, log_lines=self.standing.log_lines + 1)
        if report is not None:
            self.weights(state.model, report)
            sheet = sheets.png(report.sheet)
            runs.write(self.run.sample(epoch.epoch), sheet)
            if epoch.epoch == self.config.training.epochs:
                runs.write(self.run.sheet, sheet)
        if report is not None or time.monotonic() - self.saved_at > _CHECKPOINT_EVERY:
            checkpoint.save(self.run, state, self.standing)
            self.saved_at = time.monotonic()
        return line

    def stopped(self, state: State) -> None:
        checkpoint.save(self.run, state, self.standing)

    def weights(self, model: Kind, report: Report) -> None:
        """After an epoch: the model as it is now, and where it is the best so far, that."""
        self.to_look_at(model, report)
        loss = sum(
            self.config.training.weight(name) * report.terms[name]
            for name, owner in model.owners.items()
            if owner not in OPPONENTS
        )
        if self.standing.best is None or loss < self.standing.best:
            runs.write_statistics(self.run.best_statistics, report.statistics, self.config.model.attributes)
            runs.write_tensors(self.run.best, model.state_dict())
            self.standing = replace(self.standing, best=loss)

    def to_look_at(self, model: Kind, report: Report) -> None:
        """The model as it is now."""
        runs.write_statistics(self.run.statistics, report.statistics, self.config.model.attributes)
        runs.write_tensors(self.run.model, model.state_dict())
