"""How long `csvae --help` takes, beside a bare Typer program, run in turns.

python benchmarks/start.py [RUNS]
"""

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


def main() -> None:
    """Both commands in turns; the medians and the median of the ratios."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        ours = [str(Path(sys.executable).with_name("csvae")), "--help"]
        theirs = [sys.executable, str(bare), "--help"]
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs + 1)][1:]
    print(f"csvae --help: {statistics.median(a for a, _ in pairs):.3f} s")
    print(f"a bare Typer program: {statistics.median(b for _, b in pairs):.3f} s")
    print(f"ratio: {statistics.median(a / b for a, b in pairs):.2f}")


def seconds(command: list[str]) -> float:
    """Of one run of the command, wall clock."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
