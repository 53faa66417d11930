"""A run before its first epoch, made by a script, which `readers.train` then trains."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from csvae_cli import runs
from csvae_cli.config import to_json
from csvae_cli.data import sources
from csvae_cli.device import resolve
from csvae_cli.training import checkpoint
from csvae_cli.training.state import start
from models.kind import build


def begin(
    source: runs.Run,
    run: runs.Run,
    data_dir: Path,
    stages: Mapping[str, int],
    weights: Mapping[str, float],
    *,
    with_map: bool,
    **changes: Any,
) -> None:
    """A finished training's settings but for these, and its weights, of which the reader learns anew.

    weights: of the terms that weigh otherwise. with_map: map and W are taken, too, not learnt anew.
    """
    config = runs.read_config(source.config)
    epochs = sum(stages.values())
    training = replace(
        config.training,
        epochs=epochs,
        stages=stages,
        report_every=epochs,
        weights={**config.training.weights, **weights},
        **changes,
    )
    torch.manual_seed(training.seed)
    model = build(config.model.kind, **config.model.build_options())
    # A run's own reader has taught its edits already: another one finds what it let pass.
    known = {name: t for name, t in runs.read_tensors(source.model).items() if not name.startswith("reader.")}
    runs.load_weights(model, known if with_map else model.begun_with(known), source.path)
    data = sources.read(config.data.dataset, data_dir, config.model.keep, config.data.labels)
    where = replace(config.data, data_dir=str(data_dir), fingerprint=data.fingerprint)
    run.path.mkdir(parents=True, exist_ok=True)
    state = start(model, training, resolve(precision=config.precision))
    checkpoint.save(run, state, checkpoint.Standing(0, None))
    # Last: a run that has it is one that was begun.
    runs.write(run.config, to_json(replace(config, training=training, data=where)).encode())
