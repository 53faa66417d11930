"""csvae train."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csvae_cli import config
from csvae_cli.commands.options import RUNS, SEED_MAX, DataDir, Device, Json, Runs

if TYPE_CHECKING:
    from csvae_cli.training.request import Request


def train(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="With --resume: the run; by default the newest.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="NAME", help="What to train on: see csvae datasets.")
    ] = None,
    kind: Annotated[
        config.KindName | None,
        typer.Option(
            "--kind",
            help="Which model. Default: that of --from; else flow-csvae of CelebA (with --preset paper "
            "csvae), and csvae of other data.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="All settings at once: default (minutes), thorough (two hours with bf16, much longer "
            "without) or paper (days).",
        ),
    ] = None,
    network: Annotated[
        config.PictureNetwork | None,
        typer.Option(
            "--network",
            help="Default: that of --from; else light; large for flow-csvae of pictures; paper with --preset "
            "paper.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="ATTR",
            help="Give ATTR a W of its own, so that edits leave it alone; may be repeated. flow-csvae keeps "
            "CelebA's male, young, smiling by default; none: nothing.",
        ),
    ] = None,
    labels: Annotated[
        int | None,
        typer.Option(
            "--labels",
            min=2,
            metavar="N",
            help="Use the data set's own labels of only N training pictures; the others count as unlabelled.",
        ),
    ] = None,
    w_dim: Annotated[int | None, typer.Option("--w-dim", min=1, help="Dimensions of each W.")] = None,
    prior: Annotated[
        config.Prior | None,
        typer.Option(
            "--prior",
            help="Of csvae, whose W lie away from the origin, and wide: of those with the attribute (offset, "
            "the default) or of those without (printed, as in the paper's text).",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Passes over the data; with --resume, the new total."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Pictures per step, over all processes.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, max=SEED_MAX, help="Seed of everything random; default 0."),
    ] = None,
    device: Device = "auto",
    precision: Annotated[
        config.Precision | None,
        typer.Option(
            "--precision",
            help="auto takes bf16 where it is fast, else fp32. Default: auto; with --resume as before.",
        ),
    ] = None,
    data_dir: DataDir = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The run directory. Default: a new one in --runs."),
    ] = None,
    runs: Runs = RUNS,
    init_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from another run's weights; flow-csvae learns a new map on its autoencoder.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a training was interrupted.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the settings, stop.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Leave a trace of ten steps, and say where the time goes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a model and leave it in a run directory.

    Example: csvae train --dataset celeba-glasses --data-dir ~/celeba
    """
    from csvae_cli import output
    from csvae_cli.config import to_json
    from csvae_cli.errors import RequestError
    from csvae_cli.training import request

    chosen: Request = request.Request(
        dataset=dataset,
        kind=kind,
        preset=preset,
        network=network,
        keep=tuple(keep or ()),
        labels=labels,
        w_dim=w_dim,
        prior=prior,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        device=device,
        precision=precision,
        data_dir=data_dir,
        out=out,
        runs=runs,
        init_from=init_from,
        profile=profile,
    )
    if dry_run and (resume or run is not None):
        raise RequestError(
            "--dry-run is for a new training; csvae info says what a run is and how far it got."
        )
    if dry_run:
        plan = request.plan(chosen)
        output.answer_json(asdict(plan)) if as_json else output.answer(to_json(plan).rstrip())
        return
    if run is not None and not resume:
        raise RequestError(
            f"“{run}” alone says too little: a data set is named by --dataset NAME, a training to go on with "
            "by --resume RUN."
        )
    trained = request.resume(chosen, run) if resume else request.train(chosen)
    if trained is None:  # of several processes, the first one answers
        return
    output.answer_json(trained.summary()) if as_json else output.answer(str(trained.run.path))
