"""First measurements of a trained model, on people it has not seen.

    python benchmarks/measure.py RUN [--data-dir DIR] [--split valid|test]

Prints one JSON object: squared error and PSNR of reconstructions; what fresh probes read from z and from each
w; the share of switched pictures that a classifier trained on real training pictures accepts, added and
removed, at the class mean, with the classifier's own accuracy on real pictures of the same split; for drawn
faces, R² of every true style factor from each w and from z.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.ensemble import RandomForestRegressor

from csvae_cli import runs
from csvae_cli.data import sources
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Split
from csvae_cli.data.encoding import encode_split
from csvae_cli.device import Compute, resolve
from models.kind import Codes, Kind
from models.networks import Classifier
from models.priors import known_cross_entropy
from models.probe import balanced_accuracy, fit_probe

_CHUNK = 256


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--split", choices=("valid", "test"), default="valid")
    parser.add_argument("--classifier-epochs", type=int, default=6)
    options = parser.parse_args()
    model = runs.load(options.run, Path("runs"))
    config = model.config.model
    data = sources.read(model.config.data.dataset, options.data_dir, config.keep)
    compute = resolve("auto")
    kind = model.kind.to(compute.device)
    train = Batches(data.splits["train"], compute)
    held = Batches(data.splits[options.split], compute)

    codes, y = encode_split(kind, train, 8000, compute, with_labels=False)
    codes_held, y_held = encode_split(kind, held, len(held), compute, with_labels=False)
    found = {
        "run": model.name,
        "split": options.split,
        "pictures": len(held),
        **reconstruction(kind, held, codes_held),
        "probes": probes(codes, y, codes_held, y_held, config.attributes),
    }
    if len(config.shape) == 3:
        classifier = train_classifier(train, config.shape, options.classifier_epochs, compute)
        found["switch"] = switches(
            kind, model.statistics, codes_held, held, y_held, classifier, config.attributes
        )
    if data.splits["train"].factors and len(config.shape) == 3:
        found["factors"] = factors(
            codes, train, data.splits["train"], codes_held, data.splits[options.split], config.attributes
        )
    print(json.dumps(found, indent=1))


@torch.no_grad()
def reconstruction(kind: Kind, held: Batches, codes: Codes) -> dict[str, float]:
    """Squared error a picture (sum over its numbers) and PSNR of the mean squared error, in dB."""
    error = 0.0
    for rows in torch.arange(len(held)).split(_CHUNK):
        x, _ = held.rows(rows)
        x_hat = kind.decode(codes.z_mu[rows], [w[rows] for w in codes.w_mu])
        error += float((x_hat.clamp(0, 1) if x.dim() == 4 else x_hat).sub(x).square().sum())
    per_number = error / len(held) / x[0].numel()
    return {"squared_error": error / len(held), "psnr": -10 * math.log10(per_number)}


def parts(
    codes: Codes, codes_held: Codes, attributes: tuple[str, ...]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """z and each w, by name: of training pictures and of held-out ones."""
    found = {"z": (codes.z_mu, codes_held.z_mu)}
    for name, w, w_held in zip(attributes, codes.w_mu, codes_held.w_mu, strict=True):
        found[f"w_{name}"] = (w, w_held)
    return found


def probes(
    codes: Codes, y: torch.Tensor, codes_held: Codes, y_held: torch.Tensor, attributes: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Balanced accuracy of a fresh MLP: of every attribute from z and from each w."""
    found = {}
    for part, (fitted, scored) in parts(codes, codes_held, attributes).items():
        probe = fit_probe(fitted, y, seed=1)
        scores = balanced_accuracy(probe.logits(scored), y_held)
        found[part] = {name: round(score, 4) for name, score in zip(attributes, scores, strict=True)}
    return found


def train_classifier(train: Batches, shape: tuple[int, ...], epochs: int, compute: Compute) -> Classifier:
    """Reads the labels from real training pictures, sharp or blurred as a decoder blurs, mirrored or not."""
    torch.manual_seed(1234)
    began = time.time()
    classifier = Classifier(shape, train.y.shape[1]).to(compute.device)
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=1e-3, weight_decay=1e-2)
    steps = epochs * (len(train) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(train))[: len(train) // 128 * 128].split(128):
            x, y = train.rows(rows)
            x = x.flip(3) if torch.rand(()) < 0.5 else x
            if torch.rand(()) < 0.5:
                blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
                x = x + torch.rand(()) * (blurred - x)
            optimiser.zero_grad()
            known_cross_entropy(classifier(x), y).backward()
            optimiser.step()
            schedule.step()
    print(f"classifier: {time.time() - began:.0f} s", flush=True, file=sys.stderr)
    return classifier.eval()


@torch.no_grad()
def switches(
    kind: Kind,
    statistics: runs.Statistics,
    codes: Codes,
    held: Batches,
    y: torch.Tensor,
    classifier: Classifier,
    attributes: tuple[str, ...],
) -> dict[str, dict[str, float]]:
    """For each attribute the shares accepted: added at the class mean, removed; and how far others moved."""
    real = torch.cat([classifier(x) for x, _ in held.chunks(len(held))])
    own = _judged(kind, codes, {}, classifier)
    found = {}
    for i, name in enumerate(attributes):
        present = _judged(kind, codes, {i: statistics.subspaces[i].present_mean}, classifier)
        absent = _judged(kind, codes, {i: kind.anchors(i)[0]}, classifier)
        without, with_it = y[:, i] == 0, y[:, i] == 1
        found[name] = {
            "classifier": balanced_accuracy(real, y)[i],
            "added": (present[without, i] > 0).float().mean().item(),
            "removed": (absent[with_it, i] < 0).float().mean().item(),
            "wearers_kept": (own[with_it, i] > 0).float().mean().item(),
        }
        others = [j for j in range(len(attributes)) if j != i]
        if others:
            moved = (present[without][:, others] > 0) != (own[without][:, others] > 0)
            found[name]["others_moved"] = moved.float().mean().item()
        found[name] = {key: round(value, 4) for key, value in found[name].items()}
    return found


def _judged(
    kind: Kind, codes: Codes, points: dict[int, torch.Tensor], classifier: Classifier
) -> torch.Tensor:
    logits = []
    for rows in torch.arange(len(codes.z_mu)).split(_CHUNK):
        part = Codes(
            codes.z_mu[rows],
            codes.z_log_var[rows],
            tuple(w[rows] for w in codes.w_mu),
            tuple(w[rows] for w in codes.w_log_var),
        )
        logits.append(classifier(kind.switch(part, points).clamp(0, 1)))
    return torch.cat(logits)


def factors(
    codes: Codes, batches: Batches, train: Split, codes_held: Codes, held: Split, attributes: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """R² on held-out faces of each true style factor, from each w and from z, over faces that show it."""
    found: dict[str, dict[str, float]] = {}
    for factor, values in train.factors.items():
        if not factor.startswith(tuple(f"{name}_" for name in attributes)):
            continue
        values = values[batches.spread(len(codes.z_mu)).numpy()]
        shown, shown_held = ~np.isnan(values), ~np.isnan(held.factors[factor])
        found[factor] = {}
        for part, (fitted, scored) in parts(codes, codes_held, attributes).items():
            forest = RandomForestRegressor(60, min_samples_leaf=5, n_jobs=2, random_state=0, max_features=0.5)
            forest.fit(fitted.numpy()[shown], values[shown])
            score = forest.score(scored.numpy()[shown_held], held.factors[factor][shown_held])
            found[factor][part] = round(float(score), 3)
    return found


if __name__ == "__main__":
    main()
