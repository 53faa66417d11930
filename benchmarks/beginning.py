"""A run before its first epoch, made by a script, which `readers.train` then trains."""

from dataclasses import replace
from pathlib import Path

from csvae_cli import runs
from csvae_cli.config import RunConfig, TrainingConfig, to_json
from csvae_cli.data import sources
from csvae_cli.device import resolve
from csvae_cli.training import checkpoint
from csvae_cli.training.state import start
from models.kind import Kind


def begin(run: runs.Run, config: RunConfig, training: TrainingConfig, model: Kind, data_dir: Path) -> None:
    """With the model's weights, and settings of another run but for the training's."""
    data = sources.read(config.data.dataset, data_dir, config.model.keep, config.data.labels)
    where = replace(config.data, data_dir=str(data_dir), fingerprint=data.fingerprint)
    run.path.mkdir(parents=True, exist_ok=True)
    checkpoint.save(
        run, start(model, training, resolve(precision=config.precision)), checkpoint.Standing(0, None)
    )
    # Last: a run that has it is one that was begun.
    runs.write(run.config, to_json(replace(config, training=training, data=where)).encode())
