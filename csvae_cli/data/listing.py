"""What `csvae datasets` shows, without importing what training needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csvae_cli.data.sources import SOURCES, Entry, open_source
from csvae_cli.errors import UserError


@dataclass(frozen=True)
class Line:
    """A data set: its splits' sizes and positives where they can be counted, else the problem."""

    name: str
    entry: Entry
    counts: Mapping[str, tuple[int, Mapping[str, int]]]
    problem: str

    def as_row(self) -> tuple[str, ...]:
        sizes = " / ".join(f"{size:,}" for size, _ in self.counts.values())
        positives = "".join(
            f"\n{name} " + " / ".join(f"{found[name]:,}" for _, found in self.counts.values())
            for name in self.entry.attributes
            if self.counts
        )
        state = "ready" if self.counts else (self.problem or f"needs {self.entry.needs}")
        return (self.name, ", ".join(self.entry.attributes), self.entry.description, sizes + positives, state)

    def as_json(self) -> dict[str, Any]:
        splits = {name: {"size": size, **found} for name, (size, found) in self.counts.items()}
        return {
            "dataset": self.name,
            "attributes": list(self.entry.attributes),
            "description": self.entry.description,
            "needs": self.entry.needs,
            "ready": bool(self.counts),
            "splits": splits,
            "problem": self.problem,
        }


def listing(directory: Path | None) -> list[Line]:
    """Every data set of the registry; those that need files are looked for in the directory, if given."""
    lines = []
    for name, entry in SOURCES.items():
        counts: Mapping[str, tuple[int, Mapping[str, int]]] = {}
        problem = ""
        if not entry.needs or directory is not None:
            try:
                source = open_source(name, directory)
                source.locate()
                counts = {str(split): counted for split, counted in source.counts().items()}
            except UserError as error:
                problem = str(error)
        lines.append(Line(name, entry, counts, problem))
    return lines
