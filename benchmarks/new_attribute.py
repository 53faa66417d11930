"""A new attribute on the finished autoencoder of a model, from few labels and from all.

    python benchmarks/new_attribute.py --data-dir DIR [--from MODEL] [--out DIR]

Trains a map for hats, smiles and bangs from 500, 2,000 and all labels (`csvae train --from … --labels N`),
evaluates each on validation people, and prints a table. A second start goes on where the first was stopped.
The model that comes with csvae never saw a label of hats or bangs; of smiles it did, to leave them alone.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from csvae_cli import runs

DATASETS = ("celeba-wearing-hat", "celeba-smiling", "celeba-bangs")
LABELS = (500, 2000, None)
MEASURES = (
    "judge",
    "added",
    "added_worst",
    "removed",
    "leak_z_strata",
    "naturalness",
    "recognised",
    "kept_of_seen",
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("CSVAE_DATA"))
    parser.add_argument("--from", dest="start", default=str(runs.PACKAGED))
    parser.add_argument("--out", type=Path, default=Path("runs/new-attribute"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    csvae = [sys.executable, "-m", "csvae_cli"]
    data = ["--data-dir", str(options.data_dir)] if options.data_dir else []
    print("| attribute | labels | minutes |", " | ".join(MEASURES), "| sex moved |")
    print("|---" * (len(MEASURES) + 4) + "|", flush=True)
    for dataset in DATASETS:
        for labels in LABELS:
            run = options.out / f"{dataset}-{labels or 'all'}"
            answer, clock = run.with_suffix(".json"), run.with_suffix(".seconds")
            if not clock.exists():
                began = time.monotonic()
                command = [*csvae, "train", *data]
                if (run / "config.json").exists():
                    command += ["--resume", str(run)]
                else:
                    command += ["--kind", "flow-csvae", "--dataset", dataset, "--from", options.start]
                    command += ["--out", str(run), *(["--labels", str(labels)] if labels else [])]
                subprocess.run(command, check=True)
                clock.write_text(str(time.monotonic() - began))
            if not answer.exists():
                command = [*csvae, "evaluate", "--model", str(run), "--dataset", dataset, "--json"]
                command += data
                found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                answer.write_text(found)
            print(_row(dataset, labels, float(clock.read_text()), json.loads(answer.read_text())), flush=True)


def _row(dataset: str, labels: int | None, seconds: float, answer: dict[str, list[dict[str, object]]]) -> str:
    attribute = dataset.removeprefix("celeba-")
    values = {
        (figure["name"], figure.get("detail")): figure["value"]
        for figure in answer["figures"]
        if figure.get("attribute") == attribute
    }
    shown = [_value(values, name) for name in MEASURES]
    moved = _value(values, "moved_adding", "male")
    return " | ".join(["", attribute, str(labels or "all"), f"{seconds / 60:.1f}", *shown, moved, ""]).strip()


def _value(values: dict[tuple[object, object], object], name: str, detail: str | None = None) -> str:
    found = [
        value for (measure, other), value in values.items() if measure == name and detail in (None, other)
    ]
    return "–" if not found else f"{found[0]:.3f}"


if __name__ == "__main__":
    main()
