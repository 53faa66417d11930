"""csvae evaluate."""

from typing import Annotated

import typer

from csvae_cli.commands.options import (
    RUNS,
    DataDir,
    Device,
    Json,
    JudgedSplit,
    ModelRef,
    Precision,
    Runs,
)


def evaluate(
    model: ModelRef = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", metavar="NAME", help="Default: the one the model was trained on."),
    ] = None,
    split: JudgedSplit = "val",
    data_dir: DataDir = None,
    runs: Runs = RUNS,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
) -> None:
    """Say how good a model is: what z leaks, whether edits are accepted, how varied and faithful they are.

    Example: csvae evaluate --model csvae --dataset celeba-glasses --data-dir ~/celeba
    """
    from csvae_cli import output
    from csvae_cli.data.dataset import JUDGED, named_split
    from csvae_cli.device import resolve
    from csvae_cli.evaluation import report
    from csvae_cli.evaluation.evaluate import evaluate as measure
    from csvae_cli.processes import refuse_several

    refuse_several("evaluate")
    compute = resolve(device, precision)
    found, path = measure(model, runs, dataset, named_split(split, JUDGED), data_dir, compute)
    if as_json:
        output.answer_json({**found.as_json(), "report": str(path)})
    else:
        report.show(f"{found.model} on {found.dataset}, {found.split} split", found.figures)
        output.answer(str(path))
