"""csvae reproduce."""

from pathlib import Path
from typing import Annotated

import typer

from csvae_cli.commands.options import SEED_MAX, DataDir, Device, Json, JudgedSplit, Precision
from csvae_cli.config import PictureNetwork


def reproduce(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="all, or one of swiss-roll, celeba-glasses, celeba-facial-hair, celeba-glasses-facial-hair, "
            "fer2013, ckplus, tfd.",
        ),
    ],
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            help="Of every model. Default: about 40,000 pictures each, at least 3 or 4 epochs (points: 60); "
            "with --preset paper its own.",
        ),
    ] = None,
    network: Annotated[
        PictureNetwork | None,
        typer.Option(
            "--network", help="Of every model of pictures. Default: light (paper with --preset paper)."
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option("--preset", metavar="NAME", help="default, or paper: its schedule, which takes days."),
    ] = "default",
    split: JudgedSplit = "val",
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_MAX, help="Seed of everything random.")] = 0,
    data_dir: DataDir = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where everything goes, and where it goes on.")
    ] = Path("reproduction"),
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
) -> None:
    """Train the paper's four models and flow-csvae, evaluate each, and write the tables and figures.

    Interrupted, the same command goes on. Example: csvae reproduce swiss-roll
    """
    from csvae_cli import output
    from csvae_cli.data import sources
    from csvae_cli.data.dataset import JUDGED, named_split
    from csvae_cli.device import resolve
    from csvae_cli.processes import refuse_several
    from csvae_cli.reproduce import jobs, report

    refuse_several("reproduce")
    data_dir = data_dir or sources.of_environment()
    datasets, left_out = jobs.chosen(what, data_dir)
    plan = jobs.Plan(
        datasets=datasets,
        left_out=left_out,
        out=out,
        data_dir=data_dir,
        epochs=epochs,
        network=network,
        preset=preset,
        seed=seed,
        split=named_split(split, JUDGED),
        device=device,
        precision=precision,
    )
    todo = jobs.of(plan)
    jobs.check(plan, todo)
    for name, reason in left_out:
        output.say(f"leaving out {name}: {reason}")
    for line in jobs.left(todo):
        output.say(line)
    compute = resolve(plan.device, plan.precision)
    for number, job in enumerate(todo, start=1):
        output.say(f"[{number}/{len(todo)}] {job.kind} on {job.dataset}{': done' if job.evaluated else ''}")
        jobs.work(plan, job, compute)
        if number < len(todo) and todo[number].dataset != job.dataset:
            report.write(plan, todo)
    path = report.write(plan, todo)
    output.answer_json({"report": str(path), "datasets": datasets}) if as_json else output.answer(str(path))
