"""From what a user asks to a training: data first, then the configuration, then the run directory."""

import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from csvae_cli import output, runs
from csvae_cli.config import (
    DataConfig,
    KindName,
    ModelConfig,
    NetworkName,
    Precision,
    Prior,
    RunConfig,
    TrainingConfig,
)
from csvae_cli.data import sources
from csvae_cli.data.dataset import Dataset
from csvae_cli.device import resolve
from csvae_cli.errors import RequestError
from csvae_cli.presets import Facts, extended, map_alone, network_of, of_epochs, preset
from csvae_cli.processes import ALONE, Processes, joined, of_environment
from csvae_cli.training import checkpoint, session

NO_KEEP = "none"
"""What --keep says where nothing is to be kept."""


@dataclass(frozen=True)
class Request:
    """The options of `csvae train`, None where the preset (or the run to be resumed) decides."""

    dataset: str | None
    kind: KindName | None
    preset: str | None
    network: NetworkName | None
    keep: tuple[str, ...]
    labels: int | None
    w_dim: int | None
    prior: Prior | None
    epochs: int | None
    batch_size: int | None
    seed: int | None
    device: str
    precision: Precision | None
    data_dir: Path | None
    out: Path | None
    runs: Path
    init_from: str | None
    profile: bool = False


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    run: runs.Run
    config: RunConfig

    def summary(self) -> dict[str, Any]:
        """For --json: where it is, and the last line of its log."""
        last = runs.read_log(self.run.log)[-1]
        return {"run": str(self.run.path), "kind": self.config.model.kind, **last}


def plan(request: Request) -> RunConfig:
    """The configuration that a training would have, after all checks."""
    resolve(request.device, request.precision or "auto")
    config, _, _ = _prepare(request, ALONE)
    return config


def train(request: Request) -> Trained | None:
    """A training from the start; None in all but the first of several processes.

    Raises RequestError and WorkError.
    """
    compute = resolve(request.device, request.precision or "auto")
    with joined(compute.device) as processes:
        config, data, initial = _prepare(request, processes)
        state = session.fresh(config, compute, initial, processes)
        if not processes.first:
            session.help_train(config, data, compute, state, processes)
            return None
        if request.out is None:
            run = runs.create(request.runs, f"{config.data.dataset}-{config.model.kind}", config)
        else:
            run = runs.create_at(request.out, config)
        standing = checkpoint.Standing(0, None)
        with runs.owned(run):
            session.train_run(run, config, data, compute, state, standing, processes, request.profile)
    return Trained(run, config)


def resume(request: Request, run_path: Path | None) -> Trained | None:
    """Go on with a training in its own directory, in as many processes as there are now. Else as `train`."""
    _refuse_with_resume(request)
    run = runs.find(str(run_path), request.runs) if run_path else runs.newest(request.runs)
    if run is None:
        raise RequestError(f"There is no training under {request.runs} to go on with; name its directory.")
    config = runs.read_config(run.config)
    precision = request.precision or config.precision
    compute = resolve(request.device, precision)
    data_dir = sources.place(config.data.dataset, request.data_dir, config.data.data_dir)
    config = replace(config, precision=precision, data=replace(config.data, data_dir=_recorded(data_dir)))
    with joined(compute.device) as processes, runs.owned(run) if of_environment().first else nullcontext():
        with processes.one_before_others():
            data = sources.read(config.data.dataset, data_dir, config.model.keep, config.data.labels)
        _check_shared(config.training, data)
        # Stopped before the first checkpoint, it begins where it began.
        starts_anew = config.init_from is not None and not checkpoint.begun(run)
        initial = runs.load(config.init_from, request.runs) if starts_anew else None
        state, standing = session.restored(run, config, data, compute, initial, processes)
        if request.epochs is not None:
            begun = state.step > 0
            training = extended(config.training, request.epochs, state.epoch, begun=begun)
            config = replace(config, training=training)
        if state.epoch >= config.training.epochs:
            if processes.first:
                output.say(f"{run.path} is finished ({state.epoch} epochs); --epochs N trains it further.")
        elif processes.first:
            session.train_run(run, config, data, compute, state, standing, processes, request.profile)
        else:
            session.help_train(config, data, compute, state, processes)
    return Trained(run, config) if processes.first else None


def _check_kept(data: Dataset, keep: Sequence[str]) -> None:
    """Raises RequestError where edits cannot learn what to leave alone."""
    for name in keep:
        labels = data.splits["train"].labels[:, data.attributes.index(name)]
        for value, word in ((1, "with"), (0, "without")):
            if not (labels == value).any():
                raise RequestError(
                    f"No training picture is {word} {name}, so edits cannot learn to leave it alone; name "
                    "other labels with --keep, or --keep none."
                )


def _prepare(request: Request, processes: Processes) -> tuple[RunConfig, Dataset, runs.Model | None]:
    if request.dataset is None:
        raise RequestError("Say what to train on with --dataset NAME; csvae datasets lists them.")
    sources.entry(request.dataset)
    if request.out is not None:
        runs.check_new(request.out)
    chosen_preset = preset(request.preset or "default")
    initial = runs.load(request.init_from, request.runs) if request.init_from else None
    kind = _kind(request, initial)
    data_dir = request.data_dir or sources.of_environment()
    keep = _kept(request, kind, data_dir)
    with processes.one_before_others():
        data = sources.read(request.dataset, data_dir, keep, request.labels)
    _check_kept(data, keep)
    facts = Facts(len(data.splits["train"]), data.model_shape, data.attributes, keep, data.exclusive)
    network = _network(request, facts, kind, initial)
    model, training = chosen_preset(kind, network, facts)
    if request.w_dim is not None:
        if kind not in ("csvae", "flow-csvae") and processes.first:
            output.say(f"csvae: --w-dim is for csvae and flow-csvae; {kind} has no such W.")
        model = replace(model, w_dim=request.w_dim)
    if request.prior is not None:
        if kind != "csvae" and processes.first:
            output.say(f"csvae: --prior is for csvae; {kind} has no such prior.")
        model = replace(model, prior=request.prior)
    if initial is not None and kind == "flow-csvae":
        model, training = map_alone(model, training, initial.config.model, facts, request.epochs)
    elif request.epochs is not None:
        training = of_epochs(model, training, request.epochs)
    given = {name: getattr(request, name) for name in ("batch_size", "seed")}
    training = replace(training, **{name: value for name, value in given.items() if value is not None})
    _check_shared(training, data)
    if initial is not None and kind != "flow-csvae":
        _check_same(initial, model)
    config = RunConfig(
        model=model,
        training=training,
        data=DataConfig(
            request.dataset,
            _recorded(data_dir),
            data.fingerprint,
            request.labels,
        ),
        preset=request.preset or "default",
        precision=request.precision or "auto",
        init_from=request.init_from,
        command=shlex.join(["csvae", *sys.argv[1:]]),
        versions=runs.versions(),
    )
    return config, data, initial


def _recorded(data_dir: Path | None) -> str | None:
    """The data directory as config.json has it, wherever a later command is started."""
    return str(data_dir.resolve()) if data_dir else None


def _check_same(initial: runs.Model, model: ModelConfig) -> None:
    """Raises RequestError where the weights of the one are not those that the other needs."""
    start = initial.config.model
    if (start.kind, start.build_options()) != (model.kind, model.build_options()):
        raise RequestError(
            f"--from {initial.name} is a {start.kind} of {', '.join(start.attributes)}; its weights do not "
            f"fit this {model.kind}, and only a flow-csvae learns new attributes on another's encoder."
        )


def _check_shared(training: TrainingConfig, data: Dataset) -> None:
    """Raises RequestError where processes cannot share batches evenly, at least two examples each."""
    count = of_environment().count
    examples = len(data.splits["train"])
    if count > 1 and examples < 2 * count:
        raise RequestError(f"{examples} examples are too few for {count} processes; start fewer.")
    if training.batch_size % count or training.batch_size < 2 * count:
        fitting = max(-(-training.batch_size // count), 2) * count
        raise RequestError(
            f"{count} processes cannot share batches of {training.batch_size} evenly; "
            f"start a training with --batch-size {fitting}, or fewer processes."
        )


def _kind(request: Request, initial: runs.Model | None) -> KindName:
    """As asked, or as that of --from; else the one that wins in the README's tables.

    That is flow-csvae where a data set says what its labels hang together with, as CelebA's do; for points
    and drawn faces, which have no such labels, and with the paper's preset it is the paper's.
    """
    assert request.dataset is not None
    if request.kind is not None:
        return request.kind
    if initial is not None:
        return initial.config.model.kind
    return "flow-csvae" if sources.entry(request.dataset).keep and request.preset != "paper" else "csvae"


def _kept(request: Request, kind: KindName, data_dir: Path | None) -> tuple[str, ...]:
    """The attributes that edits leave alone: as asked, else flow-csvae's own choice for the data set."""
    assert request.dataset is not None
    if request.keep == (NO_KEEP,):
        return ()
    if request.keep or kind != "flow-csvae":
        return request.keep
    return sources.default_keep(request.dataset, data_dir)


def _network(request: Request, facts: Facts, kind: KindName, initial: runs.Model | None) -> NetworkName:
    if len(facts.shape) == 1:
        if request.network is not None:
            raise RequestError(f"--network {request.network} is for pictures; {request.dataset} has points.")
        return "points"
    if request.network is not None:
        return request.network
    if initial is not None:
        return initial.config.model.network
    return network_of(kind, request.preset or "default")


def _refuse_with_resume(request: Request) -> None:
    fixed = (
        "dataset",
        "kind",
        "preset",
        "network",
        "keep",
        "labels",
        "w_dim",
        "prior",
        "batch_size",
        "seed",
        "out",
        "init_from",
    )
    for name in fixed:
        if getattr(request, name) not in (None, ()):
            option = {"init_from": "from"}.get(name, name).replace("_", "-")
            raise RequestError(f"--{option} cannot change with --resume; the run's own setting goes on.")
