"""What a fresh classifier reads from frozen codes.

The adversary's own loss says nothing about what z leaks (it may simply have lost the race), so a new
classifier is trained on codes of training pictures and scored on codes of other people.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.priors import class_weights, known_cross_entropy, per_label

_PATIENCE = 14
"""Epochs without a better held-back loss after which fitting ends."""


@dataclass(frozen=True)
class Probe:
    """A fitted probe: `logits(codes)` gives N×k."""

    mean: Tensor
    std: Tensor
    network: nn.Module

    def logits(self, codes: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.network((codes - self.mean) / self.std)
        return logits


def fit_probe(codes: Tensor, y: Tensor, *, seed: int, hidden: int = 128, epochs: int = 60) -> Probe:
    """An MLP that reads labels from codes, stopped where a held-back sixth of them is read best.

    codes: N×d, y: N×k in {1, 0, −1}; both classes of a label weigh the same. The caller's random state (the
    CPU's) is left as it was.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        order = torch.randperm(len(codes)).to(codes.device)
        held, used = order[: len(codes) // 6], order[len(codes) // 6 :]
        mean, std = codes[used].mean(0), codes[used].std(0) + 1e-6
        x = (codes - mean) / std
        network = nn.Sequential(
            nn.Linear(x.shape[1], hidden),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, y.shape[1]),
        ).to(codes.device)
        best, best_state = float("inf"), {k: v.clone() for k, v in network.state_dict().items()}
        optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2, fused=True)
        y_used, y_held = y[used], y[held]
        weight = class_weights(y_used)
        patience = _PATIENCE
        for _ in range(epochs):
            network.train()
            for rows in torch.randperm(len(used)).to(codes.device).split(256):
                optimiser.zero_grad()
                _weighted(network(x[used[rows]]), y_used[rows], weight).backward()
                optimiser.step()
            network.eval()
            with torch.no_grad():
                loss = float(_weighted(network(x[held]), y_held, weight))
            if loss < best:
                best, best_state = loss, {k: v.clone() for k, v in network.state_dict().items()}
                patience = _PATIENCE
            else:
                patience -= 1
            if patience == 0:
                break
        network.load_state_dict(best_state)
        network.eval()
    return Probe(mean, std, network)


def balanced_accuracy(seen: Tensor, y: Tensor) -> list[float]:
    """For each label the mean of the shares of present and of absent that are read right (chance: 0.5).

    seen: bool N×k; y: N×k in {1, 0, −1}, of which unknown labels do not count. NaN for a label with a single
    class.
    """
    right = seen == (y == 1)
    scores = []
    for label in range(y.shape[1]):
        shares = [right[y[:, label] == value, label].float().mean().item() for value in (0, 1)]
        scores.append(sum(shares) / 2)
    return scores


def _weighted(logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    return known_cross_entropy(logits, y, per_label(weight, y))
