"""All stages of a flow-csvae again, from where its encoder and decoder stand: a longer training of these.

    python benchmarks/longer.py RUN --data-dir DIR --out LONGER [--reader 8] [--autoencoder 40] [--map 10]
        [--plain-reader 3] [--edits 10] [--seed 1] [--seen WEIGHT] [--hold WEIGHT] [--shown WEIGHT]
        [--outside WEIGHT] [--[no-]several-readers]

Readers, map and W are learnt anew. With --several-readers readers of other makes hold edits, too.
A second start goes on where the first was stopped.
"""

import argparse
from pathlib import Path

from beginning import begin, train

from csvae_cli import runs
from models.flow_csvae import AUTOENCODER, EDITS, PLAIN_READER, READER
from models.kind import MAP

WEIGHTS = ("seen", "hold", "shown", "outside")
STAGES = {READER: 8, AUTOENCODER: 40, MAP: 10, PLAIN_READER: 3, EDITS: 10}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    for stage, epochs in STAGES.items():
        parser.add_argument(f"--{stage}", type=int, default=epochs, metavar="EPOCHS")
    for term in WEIGHTS:
        parser.add_argument(f"--{term}", type=float, metavar="WEIGHT", help="the run's own where not given")
    parser.add_argument("--several-readers", action=argparse.BooleanOptionalAction, help="default: as RUN")
    options = parser.parse_args()
    source, target = runs.Run(options.run), runs.Run(options.out)
    if not target.config.exists():
        stages = {stage: getattr(options, stage.replace("-", "_")) for stage in STAGES}
        given = {term: getattr(options, term) for term in WEIGHTS}
        weights = {term: weight for term, weight in given.items() if weight is not None}
        changes = {"seed": options.seed, "several_readers": options.several_readers}
        begin(source, target, options.data_dir, stages, weights, with_map=False, **changes)
    train(target, options.data_dir)


if __name__ == "__main__":
    main()
