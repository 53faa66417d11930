"""A classifier of real pictures that judges changed ones (the paper's Method 1).

It learns from real training pictures only, sharp and blurred, because a decoder's pictures are blurred and
a judge that knows only sharp ones would judge the blur.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.filters import blurred
from models.kind import Rows
from models.networks import Classifier
from models.priors import class_weights, known_cross_entropy, per_label

_BATCH = 128


@dataclass(frozen=True)
class Judge:
    """exclusive: exactly one of the k labels is present, the one with the largest logit."""

    network: Classifier
    exclusive: bool

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """p(y_i = 1|x), N×k; where labels are exclusive, each row sums to 1."""
        logits: Tensor = self.network(x).float()
        return logits.softmax(1) if self.exclusive else logits.sigmoid()

    def present(self, x: Tensor) -> Tensor:
        """Which labels it sees: bool N×k."""
        p = self.probabilities(x)
        if self.exclusive:
            return F.one_hot(p.argmax(1), p.shape[1]).bool()
        return p > 0.5


def fit_judge(
    rows: Rows,
    y: Tensor,
    shape: Sequence[int],
    *,
    exclusive: bool,
    epochs: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> Judge:
    """A judge trained on all rows of y (M×k in {1, 0, −1}).

    Both classes of a label weigh the same, so that a rare one is not simply denied. progress: (steps done,
    steps in all). The caller's random state (the CPU's) is left as it was.
    """
    count = len(y)
    device = rows(torch.zeros(1, dtype=torch.int64)).device
    y = y.to(device)
    noise = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = Classifier(shape, y.shape[1]).to(device).to(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
        batch = min(_BATCH, count)
        steps = epochs * (count // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, max(steps, 2))
        weight = class_weights(y)
        done = 0
        for _ in range(epochs):
            for index in torch.randperm(count, generator=noise).split(batch)[: count // batch]:
                logits = network(_blurred_or_not(rows(index), noise)).float()
                optimiser.zero_grad()
                _loss(logits, y[index.to(device)], weight, exclusive).backward()
                optimiser.step()
                schedule.step()
                done += 1
                progress(done, steps)
    return Judge(network.eval(), exclusive)


def _blurred_or_not(x: Tensor, noise: torch.Generator) -> Tensor:
    """A batch of pictures, mirrored or not, two in three blurred by up to 2 pixels; points as they are."""
    if x.dim() != 4:
        return x
    mirror, amount, share = torch.rand(3, generator=noise).tolist()
    if mirror < 0.5:
        x = x.flip(3)
    return blurred(x, 2 * amount) if share < 2 / 3 else x


def _loss(logits: Tensor, y: Tensor, weight: Tensor, exclusive: bool) -> Tensor:
    if exclusive:
        known = (y == 1).any(1)
        losses = F.cross_entropy(logits, y.argmax(1), reduction="none", weight=weight[1] / weight[1].mean())
        return (losses * known).mean()
    return known_cross_entropy(logits, y, per_label(weight, y))
