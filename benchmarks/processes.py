"""Two processes on two cores against one with two threads: the same training, in turns.

    python benchmarks/processes.py [--network light|paper|large] [--batch-size 64] [--rounds 3]

A VAE of drawn faces, by `csvae train`; images a second of the second epoch, by its log.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HOME = Path(sys.executable).parent


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=["light", "paper", "large"], default="light")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    csvae = [str(HOME / "csvae"), "train", "--dataset", "toy-faces", "--kind", "vae", "--epochs", "2"]
    csvae += ["--network", options.network, "--batch-size", str(options.batch_size)]
    torchrun = [str(HOME / "torchrun"), "--nproc-per-node", "2", "--no-python"]
    rates = [(rate(csvae, 2), rate([*torchrun, *csvae], 1)) for _ in range(options.rounds)]
    one, two = (statistics.median(each) for each in zip(*rates, strict=True))
    ratio = statistics.median(b / a for a, b in rates)
    print(
        f"{options.network} network, batches of {options.batch_size}: "
        f"one process with two threads {one:.0f} images/s, two with one each {two:.0f}; ratio {ratio:.2f}"
    )


def rate(command: list[str], threads: int) -> float:
    """Of one training."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run([*command, "--out", str(run)], check=True, capture_output=True, env=environment)
        last = (run / "log.jsonl").read_text().splitlines()[-1]
    return float(json.loads(last)["images_per_second"])


if __name__ == "__main__":
    main()
