"""The stage `edits` again for a finished flow-csvae: its decoder learns on, all else stays.

    python benchmarks/redraw.py MODEL --data-dir DIR --out RUN [--epochs 5] [--set weights.hold=8000 …]

A reader is taught first (a finished model has none). RUN is then a run before its first epoch, which
`csvae train --resume RUN` trains.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from csvae_cli import output, runs
from csvae_cli.config import RunConfig, TrainingConfig, to_json
from csvae_cli.data import sources
from csvae_cli.device import resolve
from csvae_cli.presets import Facts, default
from csvae_cli.training import checkpoint
from csvae_cli.training.state import start
from models.flow_csvae import EDITS, READER
from models.kind import build


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a run directory, or the model inside the package")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reader", type=int, default=3, help="epochs of the reader")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of edits")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="SETTING=VALUE")
    parser.add_argument("--data-dir", type=Path, required=True)
    options = parser.parse_args()
    source, target = runs.Run(options.model), runs.Run(options.out)
    found = runs.read_config(source.config)
    data = sources.read(found.data.dataset, options.data_dir, found.model.keep)
    stages = {READER: options.reader, EDITS: options.epochs}
    facts = Facts(len(data.splits["train"].x), data.model_shape, data.attributes, found.model.keep)
    _, training = default(found.model.kind, found.model.network, facts)
    epochs = sum(stages.values())
    training = replace(training, epochs=epochs, stages=stages, report_every=epochs)
    training = _changed(training, options.changes)
    model = build(found.model.kind, **found.model.build_options())
    runs.load_weights(model, runs.read_tensors(source.model), options.model)
    target.path.mkdir(parents=True)
    where = replace(found.data, data_dir=str(options.data_dir), fingerprint=data.fingerprint)
    config = RunConfig(found.model, training, where)
    runs.write(target.config, to_json(config).encode())
    checkpoint.save(target, start(model, training, resolve()), checkpoint.Progress(0, None))
    output.say(f"csvae train --resume {target.path}")


def _changed(training: TrainingConfig, changes: list[str]) -> TrainingConfig:
    """With settings as `weights.hold=8000` or `batch_size=128`."""
    for change in changes:
        setting, _, value = change.partition("=")
        if setting.startswith("weights."):
            weights = {**training.weights, setting.removeprefix("weights."): json.loads(value)}
            training = replace(training, weights=weights)
        else:
            training = replace(training, **{setting: json.loads(value)})
    return training


if __name__ == "__main__":
    main()
