"""All that changes in a training."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Adam

from csvae_cli.config import TrainingConfig
from csvae_cli.device import Compute
from csvae_cli.processes import ALONE, Processes
from models.adversary import Memory
from models.kind import ADVERSARY, Kind

_MEMORY = 32
"""Batches of codes that the adversary's further steps draw from."""


@dataclass
class State:
    """All that changes in a training; a checkpoint is this, and how far the log is (`Standing`).

    epoch, step: what is done: whole epochs, and steps of the next one. sums: of every term over those steps.
    noise: the generator of all that is random in a step; the order of the data depends on seed and epoch.
    memory: what the adversary was shown of late.
    """

    model: Kind
    optimisers: dict[str, Adam]
    noise: torch.Generator
    memory: Memory
    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)

    def set_rates(self, rate: float, config: TrainingConfig) -> None:
        """Adam's rate of the next step, of every group; the adversary may have its own."""
        for group, optimiser in self.optimisers.items():
            own = config.adversary_rate if group == ADVERSARY else None
            wanted = rate if own is None else own
            settings = optimiser.param_groups[0]
            if isinstance(settings["lr"], Tensor):
                settings["lr"].fill_(wanted)
            else:
                settings["lr"] = wanted


def start(model: Kind, config: TrainingConfig, compute: Compute, processes: Processes = ALONE) -> State:
    """The state before the first step, on the device. Each process draws its own noise."""
    model.to(compute.device).to(memory_format=torch.channels_last)
    recorded = compute.device.type == "cuda"  # a recorded step reads its rate where it lies
    optimisers = {
        name: Adam(
            parameters,
            lr=torch.tensor(config.learning_rate, device=compute.device)
            if recorded
            else config.learning_rate,
            fused=True,
            capturable=recorded,
        )
        for name, parameters in model.groups().items()
    }
    noise = torch.Generator(compute.device).manual_seed(noise_seed(config, processes))
    return State(model, optimisers, noise, Memory(_MEMORY * config.batch_size // processes.count))


def noise_seed(config: TrainingConfig, processes: Processes, epoch: int = 0, step: int = 0) -> int:
    """Of what a process draws from this step on: each process its own."""
    return config.seed + 1_000_003 * processes.rank + 7919 * (10**6 * epoch + step)
