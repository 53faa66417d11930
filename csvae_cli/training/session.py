"""A training from its first to its last file: the loop's records go to the display, the log and the disk."""

import json
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from csvae_cli import output, runs, sheets
from csvae_cli.config import RunConfig, TrainingConfig, to_json
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Dataset
from csvae_cli.device import Compute
from csvae_cli.errors import RequestError, StoppedError
from csvae_cli.processes import Processes
from csvae_cli.training import checkpoint
from csvae_cli.training.interrupt import polite_stop
from csvae_cli.training.loop import Epoch, Stage, Tick, stage_at, train
from csvae_cli.training.profile import Profile
from csvae_cli.training.report import Report, look
from csvae_cli.training.state import State, noise_seed, start
from models.flow_csvae import AUTOENCODER, EDITS, PLAIN_READER, READER
from models.kind import MAP, OPPONENTS, Kind, build

_CHECKPOINT_EVERY = 60.0
"""Seconds after which an epoch that is not reported is kept all the same."""

_COSTS = {READER: 0.2, AUTOENCODER: 1.0, MAP: 0.25, PLAIN_READER: 0.2, EDITS: 1.4}
"""What an epoch of each stage takes beside one of the autoencoder: the large network on two cores."""


def fresh(config: RunConfig, compute: Compute, initial: runs.Model | None, processes: Processes) -> State:
    """The state before the first step, seeded; with `Kind.begun_with` the weights of `initial`, if given.

    Raises RequestError where `initial` is another model.
    """
    torch.manual_seed(config.training.seed)
    model = build(config.model.kind, **config.model.build_options())
    if initial is not None:
        runs.load_weights(model, model.begun_with(initial.kind.state_dict()), Path(initial.name))
    return start(model, config.training, compute, processes)


def resume(
    run: runs.Run,
    config: RunConfig,
    data: Dataset,
    compute: Compute,
    initial: runs.Model | None,
    processes: Processes,
) -> tuple[State, checkpoint.Progress]:
    """The newest checkpoint's state, log.jsonl cut back to it; without one, the beginning, from `initial`.

    Raises RequestError where the data changed.
    """
    if config.data.fingerprint != data.fingerprint:
        raise RequestError(
            f"The data of {config.data.dataset} is not what {run.path} was trained on; "
            "start a new training, or bring the data back."
        )
    state = fresh(config, compute, initial, processes)
    progress = checkpoint.restore(run, state) or checkpoint.Progress(0, None)
    if not processes.first:  # the checkpoint has the first one's noise
        state.noise.manual_seed(noise_seed(config.training, processes, state.epoch, state.step))
    if run.log.exists() and processes.first:
        lines = run.log.read_text().splitlines(keepends=True)[: progress.log_lines]
        runs.write(run.log, "".join(lines).encode())
    return state, progress


def train_run(
    run: runs.Run,
    config: RunConfig,
    data: Dataset,
    compute: Compute,
    state: State,
    progress: checkpoint.Progress,
    processes: Processes,
    profiled: bool = False,
) -> None:
    """Train to the end and leave the run directory complete: what the first (or only) process does.

    Raises StoppedError on Ctrl-C or SIGTERM, after a checkpoint; WorkError where training diverges.
    """
    runs.write(run.config, to_json(config).encode())
    batches = Batches(data.splits["train"], compute)
    valid = Batches(data.splits["valid"], compute)
    saver = _Saver(run, config, progress)
    examples = f"{len(batches):,} examples"
    where = compute.reason
    if processes.count > 1:
        where += f", {processes.count} processes with {config.training.batch_size} in a batch of all"
    title = f"{config.model.kind} on {config.data.dataset}: {examples}, {where}; {run.path}"
    clock = _Clock(config.training, state)
    profile = Profile(run.trace) if profiled else None
    with output.TrainingDisplay(title, config.training.epochs) as display, polite_stop() as stop:
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
                f"Stopped in epoch {state.epoch + 1}; go on with: csvae train --resume {run.path}",
                stop.signal_number or signal.SIGTERM,  # another process's, where several were stopped
            )
    if profile is not None:
        profile.show()


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

    def __init__(self, run: runs.Run, config: RunConfig, progress: checkpoint.Progress) -> None:
        self.run = run
        self.config = config
        self.progress = progress
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
        if epoch.epoch - 1 == stage_at(self.config.training, epoch.epoch - 1).first:
            self.progress = replace(self.progress, best=None)  # what a stage learns, the one before has not
        runs.append_line(self.run.log, json.dumps(line))
        self.progress = replace(self.progress, log_lines=self.progress.log_lines + 1)
        if report is not None:
            self.weights(state.model, report)
            sheet = sheets.png(report.sheet)
            runs.write(self.run.sample(epoch.epoch), sheet)
            if epoch.epoch == self.config.training.epochs:
                runs.write(self.run.sheet, sheet)
        if report is not None or time.monotonic() - self.saved_at > _CHECKPOINT_EVERY:
            checkpoint.save(self.run, state, self.progress)
            self.saved_at = time.monotonic()
        return line

    def stopped(self, state: State) -> None:
        checkpoint.save(self.run, state, self.progress)

    def weights(self, model: Kind, report: Report) -> None:
        """After an epoch: the model as it is now, and where it is the best so far, that."""
        self.to_look_at(model, report)
        loss = sum(
            self.config.training.weight(name) * report.terms[name]
            for name, owner in model.owners.items()
            if owner not in OPPONENTS
        )
        if self.progress.best is None or loss < self.progress.best:
            runs.write_statistics(self.run.best_statistics, report.statistics, self.config.model.attributes)
            runs.write_tensors(self.run.best, model.state_dict())
            self.progress = replace(self.progress, best=loss)

    def to_look_at(self, model: Kind, report: Report) -> None:
        """The model as it is now."""
        runs.write_statistics(self.run.statistics, report.statistics, self.config.model.attributes)
        runs.write_tensors(self.run.model, model.state_dict())


class _Clock:
    """Seconds left, by the pace of this process in the stage that it is in and what stages cost (_COSTS)."""

    def __init__(self, config: TrainingConfig, state: State) -> None:
        self.config = config
        self.stage: Stage | None = None  # until the first tick: a training may go on within an epoch
        self.first, self.began = _work(config, state.epoch), time.monotonic()
        self.pace = 0.0

    def left(self, state: State, tick: Tick | None) -> float:
        epochs = state.epoch + (tick.share if tick else 0.0)
        done, now = _work(self.config, epochs), time.monotonic()
        stage = stage_at(self.config, state.epoch)
        if tick is not None and stage != self.stage:
            self.stage, self.first, self.began = stage, done, now
        elif done > self.first:
            self.pace = (now - self.began) / (done - self.first)
        return self.pace * (_work(self.config, self.config.epochs) - done)


def _work(config: TrainingConfig, epochs: float) -> float:
    """What the first so many epochs of a training cost, in epochs of its autoencoder."""
    work = 0.0
    for name, count in (config.stages or {"": config.epochs}).items():
        work += _COSTS.get(name, 1.0) * min(epochs, count)
        epochs = max(epochs - count, 0.0)
    return work
