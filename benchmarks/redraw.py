"""The stage `edits` again for a finished flow-csvae: its decoder learns to hold what edits leave alone.

    python benchmarks/redraw.py MODEL --data-dir DIR --out REDRAWN [--reader 3] [--epochs 10] [--hold 10000]
        [--shown 8000] [--seen 0] [--share 0.7] [--seed N] [--[no-]several-readers]

A new reader is taught first, on pictures that nothing disturbs, as other readers are; encoder, map and
W stay what they are. With --several-readers readers of other makes hold edits, too. The
decoder of REDRAWN is the mean of the one before and the one after, which draws hardly worse than the
first and holds hardly less than the second (Wortsman et al. 2022, Robust fine-tuning of zero-shot
models). A second start goes on where the first was stopped.
"""

import argparse
import shutil
from pathlib import Path

from beginning import begin, train
from torch import Tensor

from csvae_cli import runs
from models.flow_csvae import EDITS, PLAIN_READER


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a run directory, or the model inside the package")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reader", type=int, default=3, help="epochs of the readers")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of edits")
    parser.add_argument("--hold", type=float, default=10_000.0)
    parser.add_argument("--shown", type=float, default=8_000.0)
    parser.add_argument("--seen", type=float, default=0.0)
    parser.add_argument("--seed", type=int, help="of the readers, too; default: the model's own")
    parser.add_argument("--several-readers", action=argparse.BooleanOptionalAction, help="default: as MODEL")
    parser.add_argument("--share", type=float, default=0.7, help="of the decoder after, in the mean")
    parser.add_argument("--data-dir", type=Path, required=True)
    options = parser.parse_args()
    source, target = runs.Run(options.model), runs.Run(options.out)
    run = runs.Run(target.path / "training")
    if not run.config.exists():
        stages = {PLAIN_READER: options.reader, EDITS: options.epochs}
        weights = {name: getattr(options, name) for name in ("seen", "hold", "shown")}
        changes = {"several_readers": options.several_readers}
        changes |= {} if options.seed is None else {"seed": options.seed}
        begin(source, run, options.data_dir, stages, weights, with_map=True, **changes)
    train(run, options.data_dir)
    before, after = runs.read_tensors(source.model), runs.read_tensors(run.model)
    runs.write_tensors(target.model, mean(before, after, options.share))
    shutil.copyfile(source.statistics, target.statistics)
    shutil.copyfile(run.config, target.config)


def mean(before: dict[str, Tensor], after: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """The weights after, with a decoder that is the one before by the rest of that share."""
    return {
        name: before[name].float().lerp(weight.float(), share) if name.startswith("decoder.") else weight
        for name, weight in after.items()
    }


if __name__ == "__main__":
    main()
