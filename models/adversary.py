"""The game between the encoder and an adversary that reads labels from z: who is moved by what."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.freezing import frozen
from models.networks import Adversary
from models.priors import known_cross_entropy


@dataclass(frozen=True)
class Shown:
    """What the adversary was shown of a batch: z N×latent_dim (without its graph), and the labels y N×k."""

    z: Tensor
    y: Tensor


@dataclass
class Memory:
    """The last `size` codes that were shown, and their labels: what an adversary's further steps learn from.

    Steps that repeat a single batch would learn it by heart and then read nothing from the next. The order
    is oldest first; `codes` is empty before the first batch. Once it is full its tensors stay the same ones,
    for steps that are recorded (`training.step`) know where they are, not what they are called.
    """

    size: int
    codes: Shown | None = None

    def keep(self, shown: Shown) -> None:
        old = self.codes
        z = shown.z if old is None else torch.cat([old.z, shown.z])
        y = shown.y if old is None else torch.cat([old.y, shown.y])
        newest = Shown(z[-self.size :], y[-self.size :])
        if old is not None and len(old.z) == self.size:
            old.z.copy_(newest.z)
            old.y.copy_(newest.y)
        else:
            self.codes = newest

    @property
    def full(self) -> bool:
        """Whether it holds `size` codes."""
        return self.codes is not None and len(self.codes.z) == self.size

    def draw(self, count: int, noise: torch.Generator) -> Shown:
        """`count` of them, with replacement. Something must have been kept before."""
        assert self.codes is not None
        rows = torch.randint(len(self.codes.z), (count,), generator=noise, device=self.codes.z.device)
        return Shown(self.codes.z[rows], self.codes.y[rows])


def read_frozen(adversary: Adversary, z: Tensor) -> Tensor:
    """The adversary's logits, N×k, through which a gradient reaches z but not the adversary."""
    with frozen(adversary):
        logits: Tensor = adversary(z)
    return logits.float()


def read_and_compare(adversary: Adversary, shown: Shown) -> Tensor:
    """The adversary's cross-entropy, whose gradient reaches the adversary but not the encoder."""
    return compare(adversary, adversary(shown.z).float(), shown.y)


def compare(adversary: Adversary, logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of the adversary's logits (N×k) with the labels, what is known without z added."""
    return known_cross_entropy(logits + adversary.log_odds, y)


def negative_entropy(logits: Tensor) -> Tensor:
    """Σ q log q + (1 − q) log(1 − q) of k independent labels, summed over labels, mean over the batch."""
    q = torch.sigmoid(logits)
    return (q * F.logsigmoid(logits) + (1 - q) * F.logsigmoid(-logits)).sum(1).mean()
