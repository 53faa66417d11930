"""All measures of a model on a split, and where the answers are kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csvae_cli import output, runs
from csvae_cli.data import sources
from csvae_cli.data.dataset import SplitName
from csvae_cli.device import Compute
from csvae_cli.evaluation import (
    cache,
    factors,
    fidelity,
    identity,
    judging,
    leak,
    method_two,
    naturalness,
    recognition,
    report,
    strata,
    switching,
)
from csvae_cli.evaluation.figures import MEANINGS, Figure
from csvae_cli.evaluation.subject import Subject, make
from csvae_cli.output import Progress


@dataclass(frozen=True)
class Evaluation:
    """figures: all of them, in the order of reports; dataset, split: what they were measured on."""

    model: str
    kind: str
    dataset: str
    split: SplitName
    figures: tuple[Figure, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "kind": self.kind,
            "dataset": self.dataset,
            "split": self.split,
            "figures": [figure.as_json() for figure in self.figures],
        }


def evaluate(
    ref: str | None,
    root: Path,
    dataset: str | None,
    split: SplitName,
    data_dir: Path | None,
    compute: Compute,
) -> tuple[Evaluation, Path]:
    """Measure a model, and leave a report in its run directory; returns the report's path.

    dataset: by default the one that the model was trained on. Raises RequestError and WorkError.
    """
    run = runs.find(ref, root, trained=True)
    model = runs.load(ref, root)
    trained_on = model.config.data
    name = dataset or trained_on.dataset
    place = sources.place(name, data_dir, trained_on.data_dir)
    config = model.config.model
    keep = sources.known(name, place, config.attributes)
    data = sources.read(name, place, tuple(dict.fromkeys((*keep, *sources.default_keep(name, place)))))
    which = model.name.removeprefix(run.path.resolve().name)
    stem = f"{name}-{split}{which}"
    runs.check_free(place_of_report(run, root).path / "evaluation" / f"{stem}.md", force=True)
    with output.progress() as progress:
        subject = make(model, data, split, compute)
        figures = measure(subject, name, split, progress)
    evaluation = Evaluation(model.name, model.config.model.kind, name, split, figures)
    path = report.write(place_of_report(run, root), stem, subject, evaluation.as_json(), figures)
    return evaluation, path


def place_of_report(run: runs.Run, root: Path) -> runs.Run:
    """The run itself; of the model that comes with csvae, however it is named, one of its name in root."""
    return runs.Run(root / run.path.name) if run.path.resolve() == runs.PACKAGED.resolve() else run


def measure(subject: Subject, dataset: str, split: SplitName, progress: Progress) -> tuple[Figure, ...]:
    """Every figure that the data allows; those that depend on the weights and the data alone are cached."""
    depends_on = cache.key(
        cache.of_tensors(subject.kind.state_dict()),
        subject.data.fingerprint,
        split,
        subject.attributes,
        subject.compute.precision,
    )

    def probed() -> list[dict[str, Any]]:
        found = leak.figures(subject, progress) + strata.leaks(subject, progress)
        if subject.data.splits["train"].factors:
            found += factors.figures(subject, split, progress)
        return [figure.as_json() for figure in found + naturalness.figures(subject, progress)]

    def of_the_data() -> list[dict[str, Any]]:
        return [figure.as_json() for figure in naturalness.floors(subject, court.regions, progress)]

    court = judging.convene(subject, progress)
    known = cache.key(subject.data.fingerprint, split, subject.edited, subject.compute.precision)
    kept = cache.json_of("floors", known, of_the_data) + cache.json_of("probes", depends_on, probed)
    found = [
        *map(Figure.from_json, kept),
        *switching.figures(subject, court, progress),
        *judging.figures(subject, court),
        *recognition.figures(subject, court, progress),
        *fidelity.figures(subject),
        *identity.figures(subject, dataset, progress),
        *(method_two.figures(subject, split, progress) if subject.of_pictures else ()),
    ]
    order = list(MEANINGS)
    return tuple(sorted(found, key=lambda figure: order.index(figure.name)))
