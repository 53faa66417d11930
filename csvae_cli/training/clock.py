"""How long a training still takes."""

import math
import time

from csvae_cli.config import TrainingConfig
from csvae_cli.training.loop import Stage, Tick, stage_at
from csvae_cli.training.state import State
from models.flow_csvae import AUTOENCODER, EDITS, PLAIN_READER, READER
from models.kind import MAP

_COSTS = {READER: 0.2, AUTOENCODER: 1.0, MAP: 0.25, PLAIN_READER: 1.0, EDITS: 1.4}
"""What an epoch of each stage takes beside one of the autoencoder: the large network on two cores."""


class Clock:
    """Seconds left, by the pace of this process in the stage that it is in and what stages cost (_COSTS).

    Infinity as long as there is no pace to tell it by.
    """

    def __init__(self, config: TrainingConfig, state: State) -> None:
        self.config = config
        self.stage: Stage | None = None  # until the first tick: a training may go on within an epoch
        self.first, self.began = _work(config, state.epoch), time.monotonic()
        self.pace = math.inf

    def left(self, state: State, tick: Tick | None) -> float:
        epochs = state.epoch + (tick.share if tick else 0.0)
        done, now = _work(self.config, epochs), time.monotonic()
        stage = stage_at(self.config, state.epoch)
        if tick is not None and stage != self.stage:
            self.stage, self.first, self.began = stage, done, now
        elif done > self.first:
            self.pace = (now - self.began) / (done - self.first)
        left = _work(self.config, self.config.epochs) - done
        return self.pace * left if left else 0.0


def _work(config: TrainingConfig, epochs: float) -> float:
    """What the first so many epochs of a training cost, in epochs of its autoencoder."""
    work = 0.0
    for name, count in (config.stages or {"": config.epochs}).items():
        work += _COSTS.get(name, 1.0) * min(epochs, count)
        epochs = max(epochs - count, 0.0)
    return work
