"""The README's figures: train with the defaults, measure on people not seen, compare with what was promised.

    python benchmarks/figures.py [swiss-roll] [toy-faces] [celeba-glasses --data-dir DIR] [--anew]

Without names: swiss-roll and toy-faces, which need no data. What is trained already, in runs/figures, is
taken as it is; anew: it is trained again. Exits with 1 where a promise is not kept.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path("runs") / "figures"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    parser.add_argument("--data-dir")
    parser.add_argument("--anew", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.names) - FIGURES.keys():
        parser.error(f"there are no figures of {', '.join(sorted(unknown))}, only of {', '.join(FIGURES)}")
    names = options.names or ("swiss-roll", "toy-faces")
    if options.anew:
        for name in names:
            for run in ROOT.glob(f"{name}*"):
                shutil.rmtree(run)
    data = ["--data-dir", options.data_dir] if options.data_dir else []
    missed = []
    for name in names:
        missed += FIGURES[name](data)
    for line in missed:
        print(f"missed: {line}")
    sys.exit(bool(missed))


def swiss_roll(data: list[str]) -> list[str]:
    """Three seeds: y is not read from z (at most 0.56), and read from w (at least 0.99)."""
    missed = []
    for seed in range(3):
        found = trained(f"swiss-roll-{seed}", ["--dataset", "swiss-roll", "--seed", str(seed)], data)
        z, w = value(found, "leak_z", "half"), value(found, "leak_w", "half")
        print(f"swiss-roll, seed {seed}: read from z {z:.3f}, from w {w:.3f}")
        missed += below(f"swiss-roll seed {seed}, z", z, 0.56) + above(f"swiss-roll seed {seed}, w", w, 0.99)
    return missed


def toy_faces(data: list[str]) -> list[str]:
    """The drawn faces: leak, switch and true factors."""
    found = trained("toy-faces", ["--dataset", "toy-faces"], data)
    show(found)
    missed = []
    for name in ("glasses", "facial-hair"):
        missed += below(f"{name} read from z", value(found, "leak_z", name), 0.60)
        for way in ("added", "removed"):
            missed += above(f"{name} {way}", value(found, way, name), 0.95)
    for factor in ("tint", "size"):
        own = value(found, "factor", "glasses", f"{factor} from w_glasses")
        other = value(found, "factor", "glasses", f"{factor} from w_facial-hair")
        missed += above(f"R² of {factor} from w_glasses", own, 0.5)
        missed += below(f"R² of {factor} from w_facial-hair", other, 0.1)
    return missed


def celeba_glasses(data: list[str]) -> list[str]:
    """Forty epochs on real faces; a first measurement, without a promise."""
    show(
        trained("celeba-glasses", ["--dataset", "celeba-glasses", "--kind", "csvae", "--epochs", "40"], data)
    )
    return []


def trained(name: str, options: list[str], data: list[str]) -> list[dict[str, Any]]:
    """Train into runs/figures/NAME, or take it where it is finished already; the figures of `evaluate`."""
    out = ROOT / name
    csvae = str(Path(sys.executable).with_name("csvae"))
    if not (out / "samples" / "sheet.png").exists():
        go_on = [str(out), "--resume"] if (out / "config.json").exists() else [*options, "--out", str(out)]
        began = time.monotonic()
        subprocess.run([csvae, "train", *go_on, *data], check=True)
        print(f"{name}: trained in {time.monotonic() - began:.0f} s")
    measured = subprocess.run(
        [csvae, "evaluate", "--model", str(out), "--json", *data], check=True, stdout=subprocess.PIPE
    )
    found: list[dict[str, Any]] = json.loads(measured.stdout)["figures"]
    return found


def value(figures: list[dict[str, Any]], name: str, attribute: str, detail: str = "") -> float:
    """One figure's value."""
    for figure in figures:
        if (figure["name"], figure.get("attribute", "")) == (name, attribute) and detail in (
            "",
            figure.get("detail", ""),
        ):
            return float(figure["value"])
    raise LookupError(f"no figure {name} {attribute} {detail}")


def show(figures: list[dict[str, Any]]) -> None:
    """A line a figure."""
    for figure in figures:
        of = " ".join(str(figure[key]) for key in ("attribute", "detail") if key in figure)
        judge = f"  (judge {figure['judge']:.3f})" if "judge" in figure else ""
        print(f"{figure['name']} {of}: {figure['value']}  of {figure['pictures']}{judge}")


def below(what: str, value: float, limit: float) -> list[str]:
    """A line where the value is above the limit."""
    return [] if value <= limit else [f"{what} is {value:.3f}, above {limit}"]


def above(what: str, value: float, limit: float) -> list[str]:
    """A line where the value is below the limit."""
    return [] if value >= limit else [f"{what} is {value:.3f}, below {limit}"]


FIGURES = {"swiss-roll": swiss_roll, "toy-faces": toy_faces, "celeba-glasses": celeba_glasses}


if __name__ == "__main__":
    main()
