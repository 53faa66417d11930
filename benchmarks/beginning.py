"""A run that begins where a finished training stands, made and trained by a script."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from csvae_cli import runs
from csvae_cli.config import to_json
from csvae_cli.data import sources
from csvae_cli.device import resolve
from csvae_cli.processes import ALONE
from csvae_cli.training import checkpoint, session
from csvae_cli.training.state import start
from models.kind import build

_READERS = ("reader.", "further_readers.")
"""A run's own readers have taught its edits already: others find what they let pass."""


def begin(
    source: runs.Run,
    run: runs.Run,
    data_dir: Path,
    stages: Mapping[str, int],
    weights: Mapping[str, float],
    *,
    with_map: bool,
    several_readers: bool | None,
    **changes: Any,
) -> None:
    """A finished training's settings but for these, and its weights, of which the readers learn anew.

    weights: of the terms that weigh otherwise. with_map: map and W are taken, too, not learnt anew.
    several_readers: None: as in that training.
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
    settings = config.model
    if several_readers is not None:
        settings = replace(settings, several_readers=several_readers)
    torch.manual_seed(training.seed)
    model = build(settings.kind, **settings.build_options())
    known = {name: t for name, t in runs.read_tensors(source.model).items() if not name.startswith(_READERS)}
    runs.load_weights(model, known if with_map else model.begun_with(known), source.path)
    data = sources.read(config.data.dataset, data_dir, config.model.keep, config.data.labels)
    where = replace(config.data, data_dir=str(data_dir), fingerprint=data.fingerprint)
    run.path.mkdir(parents=True, exist_ok=True)
    state = start(model, training, resolve(precision=config.precision))
    checkpoint.save(run, state, checkpoint.Standing(0, None))
    # Last: a run that has it is one that was begun.
    runs.write(run.config, to_json(replace(config, model=settings, training=training, data=where)).encode())


def train(run: runs.Run, data_dir: Path) -> None:
    """To the end, from where it stands."""
    config = runs.read_config(run.config)
    compute = resolve(precision=config.precision)
    data = sources.read(config.data.dataset, data_dir, config.model.keep, config.data.labels)
    state, standing = session.restored(run, config, data, compute, None, ALONE)
    if state.epoch < config.training.epochs:
        session.train_run(run, config, data, compute, state, standing, ALONE)
