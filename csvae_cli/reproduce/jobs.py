"""The paper, run again: which models are trained and evaluated, and what of it is done already.

What is done is read from the files that the work leaves, so that an interrupted run goes on by itself.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from csvae_cli import output, runs
from csvae_cli.config import KindName, NetworkName, Precision
from csvae_cli.data import sources
from csvae_cli.data.dataset import SplitName
from csvae_cli.device import Compute
from csvae_cli.errors import RequestError, StoppedError, one_of
from csvae_cli.evaluation.evaluate import evaluate
from csvae_cli.evaluation.figures import Figure
from csvae_cli.presets import network_of
from csvae_cli.training import request as training

DATASETS = (
    "swiss-roll",
    "celeba-glasses",
    "celeba-facial-hair",
    "celeba-glasses-facial-hair",
    "fer2013",
    "ckplus",
    "tfd",
)
_OF_THE_PAPER: tuple[KindName, ...] = ("vae", "condvae", "condvae-info", "csvae")
KINDS: tuple[KindName, ...] = (*_OF_THE_PAPER, "flow-csvae")
_PRESETS = ("default", "paper")  # thorough is flow-csvae's alone

_EXAMPLES = 40_000
"""How many training pictures each model is shown by default: all of it within two hours on two cores."""


@dataclass(frozen=True)
class Plan:
    """datasets: those whose data is there; left_out: the others, and why.

    epochs: None for the short default; network: of pictures' models, None for csvae's own; split: whose
    people judge.
    """

    datasets: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    out: Path
    data_dir: Path | None
    epochs: int | None
    network: NetworkName | None
    preset: str
    seed: int
    split: SplitName
    device: str
    precision: Precision


@dataclass(frozen=True)
class Job:
    """One model of one data set."""

    dataset: str
    kind: KindName
    run: runs.Run
    answer: Path

    @property
    def of_pictures(self) -> bool:
        return not self.dataset.startswith("swiss-roll")

    @property
    def trained(self) -> bool:
        """The sheet comes with the last epoch."""
        return self.run.sheet.exists()

    @property
    def evaluated(self) -> bool:
        """Trained to the end, and measured since."""
        try:
            return self.trained and self.answer.stat().st_mtime >= self.run.model.stat().st_mtime
        except OSError:
            return False


def chosen(name: str, data_dir: Path | None) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """What `name` stands for: one data set, or all of which the data is there, and why the rest is not.

    Raises RequestError for an unknown name, and for a single data set whose data is not there.
    """
    if name != "all":
        if name not in DATASETS:
            raise one_of("reproduction", name, ("all", *DATASETS))
        sources.open_source(name, data_dir).locate()
        return (name,), ()
    there, left_out = [], []
    for dataset in DATASETS:
        try:
            sources.open_source(dataset, data_dir).locate()
            there.append(dataset)
        except RequestError as error:
            left_out.append((dataset, str(error)))
    return tuple(there), tuple(left_out)


def of(plan: Plan) -> list[Job]:
    """Every model of the plan, in order; the paper's preset is for the paper's kinds."""
    found = []
    for dataset in plan.datasets:
        for kind in _OF_THE_PAPER if plan.preset == "paper" else KINDS:
            run = runs.Run(plan.out / dataset / kind)
            answer = run.path / "evaluation" / f"{dataset}-{plan.split}.json"
            found.append(Job(dataset, kind, run, answer))
    return found


def check(plan: Plan, all_jobs: Sequence[Job]) -> None:
    """Raises RequestError where settings do not fit, or --out holds models of others, or of other data."""
    if plan.preset not in _PRESETS:
        raise one_of("preset", plan.preset, _PRESETS)
    least = max((_least(job) for job in all_jobs if job.kind == "flow-csvae"), default=1)
    if plan.epochs is not None and plan.epochs < least:
        raise RequestError(
            f"--epochs {plan.epochs} is too few: flow-csvae needs {least}, one for each stage."
        )
    of_data: dict[tuple[str, tuple[str, ...]], str] = {}
    for job in all_jobs:
        if not job.run.config.exists():
            continue
        begun = runs.read_config(job.run.config)
        what = job.dataset, begun.model.keep
        if what not in of_data:
            of_data[what] = sources.read(job.dataset, plan.data_dir, begun.model.keep).fingerprint
        if of_data[what] != begun.data.fingerprint:
            raise RequestError(
                f"{job.run.path} learnt from other data than there is now; choose another --out."
            )
        asked = (
            plan.preset,
            plan.seed,
            plan.epochs or begun.training.epochs,
            _network(plan, job),
            plan.precision,
        )
        of_begun = (
            begun.preset,
            begun.training.seed,
            begun.training.epochs,
            begun.model.network,
            begun.precision,
        )
        if asked != of_begun:
            preset, seed, epochs, network, precision = of_begun
            of_network = f"--network {network} " if job.of_pictures else ""
            raise RequestError(
                f"{job.run.path} was begun with --preset {preset} --seed {seed} --epochs {epochs} "
                f"{of_network}--precision {precision}; go on with these, or choose another --out."
            )


def left(all_jobs: Sequence[Job]) -> Iterator[str]:
    """What is still to be done, a line a data set."""
    for dataset in dict.fromkeys(job.dataset for job in all_jobs):
        own = [job for job in all_jobs if job.dataset == dataset]
        states = [
            f"{job.kind} {'done' if job.evaluated else 'to evaluate' if job.trained else 'to train'}"
            for job in own
        ]
        yield f"{dataset}: {', '.join(states)}"


def work(plan: Plan, job: Job, compute: Compute) -> None:
    """Train and evaluate what is not yet done of a job. Raises StoppedError with the way to go on."""
    if job.evaluated:
        return
    try:
        if not job.trained:
            _train(plan, job)
        output.say(f"evaluating {job.kind} on {job.dataset}")
        evaluate(str(job.run.path), plan.out, None, plan.split, plan.data_dir, compute)
    except StoppedError as stopped:
        again = f"csvae reproduce … --out {plan.out}"
        raise StoppedError(f"Stopped; the same command ({again}) goes on.", stopped.exit_code - 128) from None


def figures(job: Job) -> tuple[Figure, ...]:
    """The figures of an evaluated job."""
    return tuple(map(Figure.from_json, json.loads(job.answer.read_text())["figures"]))


def _train(plan: Plan, job: Job) -> None:
    going_on = job.run.config.exists()
    wanted = training.Request(
        dataset=None if going_on else job.dataset,
        kind=None if going_on else job.kind,
        preset=None if going_on else plan.preset,
        network=_network(plan, job) if job.of_pictures and not going_on else None,
        keep=(),
        labels=None,
        w_dim=None,
        prior=None,
        epochs=None if going_on else _epochs(plan, job),
        batch_size=None,
        seed=None if going_on else plan.seed,
        device=plan.device,
        precision=plan.precision,
        data_dir=plan.data_dir,
        out=None if going_on else job.run.path,
        runs=plan.out,
        init_from=None,
    )
    if going_on:
        training.resume(wanted, job.run.path)
    else:
        training.train(wanted)


def _network(plan: Plan, job: Job) -> NetworkName:
    """All kinds have the same, or it is not they that are compared."""
    return (plan.network or network_of("csvae", plan.preset)) if job.of_pictures else "points"


def _epochs(plan: Plan, job: Job) -> int | None:
    """As asked; the preset's own where it is not the default one, and for points, which take a minute.

    Where nobody asks, as many as a model of the data set has that was begun before: all have the same budget.
    """
    if plan.epochs is not None:
        return plan.epochs
    for other in of(plan):
        if other.dataset == job.dataset and other.run.config.exists():
            return max(_least(job), runs.read_config(other.run.config).training.epochs)
    if plan.preset != "default" or not job.of_pictures:
        return None
    data = sources.read(job.dataset, plan.data_dir, ())  # counted only when TFD's labels have been learnt
    return max(_least(job), round(_EXAMPLES / len(data.splits["train"])))


def _least(job: Job) -> int:
    """The epochs that flow-csvae needs of its data set: one for each stage; expressions have no edits."""
    return 3 + bool(sources.entry(job.dataset).keep) if job.of_pictures else 2
