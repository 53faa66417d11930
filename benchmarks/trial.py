"""One trial of a recipe: train with some settings changed, evaluate, and add a line to docs/trials.jsonl.

    python benchmarks/trial.py NAME [--set weights.style=2 --set model.w_dim=4 …] -- --dataset celeba …

What follows -- goes to `csvae train` (not --out). --set changes any setting of the run's config.json:
model.X, training.X, or weights.TERM. A second start of the same NAME goes on where the first was stopped.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from csvae_cli import runs

TABLE = Path(__file__).parent.parent / "docs" / "trials.jsonl"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the trial, and of its run directory")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="SETTING=VALUE")
    parser.add_argument("--judged-on", help="the data set to evaluate on; default: the one trained on")
    parser.add_argument("--note", default="", help="a line for those who read the table")
    parser.add_argument("--out", type=Path, default=Path("runs/trials"))
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options, train = parser.parse_args(sys.argv[1:split]), sys.argv[split + 1 :]
    run = runs.Run(options.out / options.name)
    csvae = [sys.executable, "-m", "csvae_cli"]
    settings = {"train": train, "set": options.changes}
    asked = run.path / "trial.json"
    if asked.exists():
        begun = json.loads(asked.read_text())
        if {name: begun[name] for name in settings} != settings:
            parser.error(f"{run.path} was begun with {begun}; go on with that, or name another trial")
    else:
        begun = {**settings, "commit": _output(["git", "rev-parse", "--short", "HEAD"]).strip()}
        planned = json.loads(_output([*csvae, "train", *train, "--dry-run"]))
        for change in options.changes:
            setting, _, value = change.partition("=")
            _set(planned, setting, value)
        runs.write(run.config, json.dumps(planned, indent=2).encode())
        runs.write(asked, json.dumps(begun).encode())
    began = time.monotonic()
    subprocess.run([*csvae, "train", "--resume", str(run.path)], check=True)
    minutes = (time.monotonic() - began) / 60
    command = [*csvae, "evaluate", "--model", str(run.path), "--json"]
    found = json.loads(_output([*command, *(["--dataset", options.judged_on] if options.judged_on else [])]))
    line = {
        "trial": options.name,
        "note": options.note,
        **begun,
        "seed": json.loads(run.config.read_text())["training"]["seed"],
        "minutes of the last start": round(minutes, 1),
        "judged_on": found["dataset"],
        "figures": {_named(figure): figure["value"] for figure in found["figures"]},
    }
    with TABLE.open("a") as table:
        table.write(json.dumps(line) + "\n")


def _set(planned: dict[str, Any], setting: str, value: str) -> None:
    part, _, name = setting.rpartition(".")
    owner = planned["training"]["weights"] if part == "weights" else planned.get(part, {})
    if name not in owner:
        raise SystemExit(f"There is no setting {setting}; see csvae train --dry-run.")
    try:
        owner[name] = json.loads(value)
    except ValueError:  # a word, as of training.schedule
        owner[name] = value


def _named(figure: dict[str, Any]) -> str:
    return " ".join(str(figure[part]) for part in ("name", "attribute", "detail") if part in figure)


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
