"""The report of an evaluation: tables for the terminal, Markdown and pictures for the run directory."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from csvae_cli import output, runs, sheets
from csvae_cli.evaluation import pictures
from csvae_cli.evaluation.figures import MEANINGS, Figure
from csvae_cli.evaluation.subject import Subject


def rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """A row a figure: measure, attribute, value, pictures, the judge's accuracy, what it means."""
    return [
        (
            figure.name,
            ", ".join(part for part in (figure.attribute, figure.detail) if part) or "–",
            _number(figure.value),
            f"{figure.pictures:,}",
            "–" if figure.judge is None else _number(figure.judge),
            MEANINGS[figure.name],
        )
        for figure in figures
    ]


_OTHERS = {
    "own": "leaves the W of the others as the picture has them",
    "absent": "puts “absent” into the W of the others, as the paper's does",
}

HEADINGS = ("measure", "of", "value", "pictures", "judge", "what it is")


def show(title: str, figures: Sequence[Figure]) -> None:
    """To the terminal; what each measure is, is in the report."""
    output.table(title, HEADINGS[:-1], [row[:-1] for row in rows(figures)])


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    table = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in table) + "\n"


def write(
    run: runs.Run, stem: str, subject: Subject, answer: Mapping[str, Any], figures: Sequence[Figure]
) -> Path:
    """evaluation/<stem>.json, .md and pictures in the run directory. Raises WorkError."""
    folder = run.path / "evaluation"
    parts = [
        f"# {answer['model']} on {answer['dataset']}, {answer['split']} split\n",
        f"A {answer['kind']}. Probes are fitted on codes of training pictures, scored on the split's people. "
        "The judge is a classifier of real training pictures; its accuracy stands beside every figure that "
        "depends on it.\n",
        f"An edit of one attribute {_OTHERS[subject.model.config.others]}.\n",
        markdown(HEADINGS, rows(figures)),
    ]
    for name, sheet in pictures.of_subject(subject).items():
        file = folder / f"{stem}-{name}.png"
        runs.write(file, sheets.png(sheet))
        parts.append(f"![{name}]({file.name})\n")
    runs.write(folder / f"{stem}.json", (json.dumps(answer, indent=1, ensure_ascii=False) + "\n").encode())
    path = folder / f"{stem}.md"
    runs.write(path, "\n".join(parts).encode())
    return path


def _number(value: float) -> str:
    if value != value:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
