"""The paper's open question: would maximum mean discrepancy do for CSVAE what the adversary does?

    python benchmarks/mmd.py --dataset swiss-roll
    python benchmarks/mmd.py --dataset celeba-glasses --data-dir DIR [--epochs N] [--weights 100 1000 10000]

Trains csvae as it is, and csvae with the squared MMD (Gretton et al. 2012) between z with a label and without
it instead of M2 and N, on the same network, data and budget; then fresh probes read z, as `csvae evaluate`
does, with and without linear erasure. A line a model, in a table.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from csvae_cli import runs
from csvae_cli.config import DataConfig, RunConfig
from csvae_cli.data import sources
from csvae_cli.data.batches import Batches
from csvae_cli.device import resolve
from csvae_cli.evaluation import fidelity, judging, leak, switching
from csvae_cli.evaluation.subject import Subject, make
from csvae_cli.presets import Facts, default
from csvae_cli.training.loop import train
from csvae_cli.training.report import look
from csvae_cli.training.state import start
from models.csvae import CSVAE

_WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the Gaussian kernels, as a share of the mean squared distance; the kernel is their mean."""


class WithMMD(CSVAE):
    """CSVAE without a second player: `neg_entropy` is the discrepancy, `adversary` trains nothing."""

    def terms(self, x: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
        terms = super().terms(x, y, noise)
        z = self.encode(x).z_mu
        z = (z - z.mean(0)) / (z.std(0) + 1e-4)
        apart = [discrepancy(z[y[:, i] == 1], z[y[:, i] == 0]) for i in range(self.labels)]
        return {**terms, "neg_entropy": torch.stack(apart).sum()}


def discrepancy(one: Tensor, other: Tensor) -> Tensor:
    """Squared MMD of two samples (N×D, M×D), without bias; 0 where one has fewer than two rows."""
    if min(len(one), len(other)) < 2:
        return one.sum() * 0
    both = torch.cat([one, other])
    squares = torch.cdist(both, both).square()
    mean = squares.detach().sum() / (len(both) * (len(both) - 1))
    kernel = torch.stack([torch.exp(-squares / (width * mean)) for width in _WIDTHS]).mean(0)
    count = len(one)

    def within(part: Tensor) -> Tensor:
        return (part.sum() - part.diagonal().sum()) / (len(part) * (len(part) - 1))

    return within(kernel[:count, :count]) + within(kernel[count:, count:]) - 2 * kernel[:count, count:].mean()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="swiss-roll")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("CSVAE_DATA"))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=float, nargs="*", default=[100.0, 1000.0, 10000.0])
    options = parser.parse_args()
    compute = resolve()
    data = sources.read(options.dataset, options.data_dir, ())
    if len(data.attributes) > 1:
        parser.error("the table has one attribute; name a data set of one.")
    network = "points" if len(data.model_shape) == 1 else "light"
    facts = Facts(len(data.splits["train"]), data.model_shape, data.attributes, ())
    model, training = default("csvae", network, facts)
    training = replace(training, seed=options.seed, epochs=options.epochs or training.epochs)
    batches, valid = (Batches(data.splits[split], compute) for split in ("train", "valid"))
    print(f"{options.dataset}, {training.epochs} epochs, seed {options.seed}")
    print("| z is cleaned by | leak | leak without erasure | judge | added | removed | squared error |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for weight in (None, *options.weights):
        torch.manual_seed(options.seed)
        kind = (CSVAE if weight is None else WithMMD)(**model.build_options())
        chosen = training
        if weight is not None:
            changed = {**training.weights, "neg_entropy": weight, "adversary": 0.0}
            chosen = replace(training, weights=changed, adversary_steps=1)
        config = RunConfig(model, chosen, DataConfig(options.dataset, None, data.fingerprint))
        state = start(kind, chosen, compute)
        for _ in train(state, batches, chosen, compute, lambda: False):
            pass
        kind.eval()
        statistics = look(kind, batches, valid, config, compute).statistics
        subject = make(runs.Model(kind, config, statistics, "csvae"), data, "valid", compute)
        erased = _leak(subject)
        court = judging.convene(subject, _silent)
        figures = [*switching.figures(subject, court, _silent), *fidelity.figures(subject)]
        found = {figure.name: figure.value for figure in figures}
        kind.eraser.zero_()
        raw = _leak(make(subject.model, data, "valid", compute))
        name = "the adversary" if weight is None else f"MMD × {weight:g}"
        row = [f"{erased:.3f}", f"{raw:.3f}", f"{court.accuracy[0]:.3f}"]
        row += [f"{found[key]:.3f}" for key in ("added", "removed", "squared_error")]
        print(f"| {name} |", " | ".join(row), "|", flush=True)


def _leak(subject: Subject) -> float:
    return max(figure.value for figure in leak.figures(subject, _silent) if figure.name == "leak_z")


def _silent(_what: str, _done: int, _total: int) -> None:
    pass


if __name__ == "__main__":
    main()
