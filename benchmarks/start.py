"""How long a command takes to start: `csvae --help` and `csvae transfer` of one picture.

    python benchmarks/start.py [RUNS]

Beside `--help` of a bare Typer program and `python -c "import torch"`, in turns; the medians.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = '''
import typer
app = typer.Typer()

@app.command()
def hello(name: str = "you") -> None:
    """Say hello."""
    print(name)

app()
'''
CSVAE = str(Path(sys.executable).with_name("csvae"))
PORTRAIT = str(Path(__file__).parent.parent / "docs" / "portrait.jpg")


def main() -> None:
    """Each command and its measure in turns."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        os.environ["CSVAE_RUNS"] = folder  # no runs: the model that comes with csvae
        edit = [CSVAE, "transfer", PORTRAIT, "--attr", "glasses", "--out", folder, "--force"]
        compare(runs, "csvae --help", [CSVAE, "--help"], [sys.executable, str(bare), "--help"])
        compare(runs, "csvae transfer", edit, [sys.executable, "-c", "import torch"])


def compare(runs: int, name: str, ours: list[str], theirs: list[str]) -> None:
    """Print the medians of both, and of their ratio; the first of each is not counted."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs + 1)][1:]
    own, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name}: {own:.3f} s; {' '.join(theirs[1:])}: {other:.3f} s; ratio {ratio:.2f}")


def seconds(command: list[str]) -> float:
    """Of one run of the command, wall clock."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
