"""What is looked at now and then in a training: validation, the leak of z, statistics of W, a sheet."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import torch
from PIL import Image
from torch import Tensor

from csvae_cli import sheets
from csvae_cli.config import RunConfig
from csvae_cli.data.batches import Batches, from_pictures
from csvae_cli.data.encoding import encode_split
from csvae_cli.device import Compute
from csvae_cli.runs import Statistics
from models.evenly import evenly
from models.kind import Codes, Kind
from models.probe import balanced_accuracy, fit_probe
from models.subspace import describe

_TRAIN_CODES, _VALID_CODES, _FACES = 6000, 2000, 8

_FEW = 100
"""Of a class, too few to say how it spreads: where there are more, they are looked at."""


@dataclass(frozen=True)
class Report:
    """terms: of validation pictures, unweighted; leak: what a fresh probe reads from z, for each attribute of
    which validation has both classes.
    """

    terms: dict[str, float]
    leak: dict[str, float]
    statistics: Statistics
    sheet: Image.Image


@torch.no_grad()
def look(model: Kind, train: Batches, valid: Batches, config: RunConfig, compute: Compute) -> Report:
    """All of it, from some 6,000 training and 2,000 validation pictures. Leaves the model in eval mode."""
    model.eval()
    model.wake()
    rows = _looked_at(train)
    codes, y = encode_split(model, train, rows, compute, with_labels=True)
    model.settle(codes.z_mu, y)
    # A user's pictures have no labels, nor have those whom the probe reads.
    read, _ = encode_split(model, train, rows, compute, with_labels=False)
    codes_valid, y_valid = encode_split(model, valid, _VALID_CODES, compute, with_labels=False)
    probe = fit_probe(read.z_mu, y, seed=config.training.seed)
    leak = balanced_accuracy(probe.logits(codes_valid.z_mu) > 0, y_valid)
    statistics = _statistics(model, codes, y, valid)
    return Report(
        validation_terms(model, valid, compute, config.training.seed),
        {name: one for name, one in zip(config.model.attributes, leak, strict=True) if not isnan(one)},
        statistics,
        _sheet(model, statistics, codes_valid, y_valid, config, compute),
    )


def _looked_at(train: Batches) -> Tensor:
    """Row numbers: of `spread`, and more of a label's classes where that has hardly any of them."""
    rows = train.spread(_TRAIN_CODES)
    for labels in train.y.T:
        for label in (0, 1):
            if int((labels[rows] == label).sum()) < _FEW:
                rows = torch.cat([rows, evenly((labels == label).nonzero().flatten(), _FEW)])
    looked_at: Tensor = rows.unique()
    return looked_at


@torch.no_grad()
def validation_terms(model: Kind, valid: Batches, compute: Compute, seed: int) -> dict[str, float]:
    """The mean of every term over at most 2,000 validation pictures, with the same noise each time."""
    noise = torch.Generator(compute.device).manual_seed(seed)
    sums: dict[str, float] = {}
    rows = min(_VALID_CODES, len(valid))
    for x, y in valid.chunks(rows):
        with compute.autocast():
            terms = model.terms(x, y, noise)
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + float(term) * len(x) / rows
    return sums


def _statistics(model: Kind, codes: Codes, y: Tensor, valid: Batches) -> Statistics:
    subspaces = tuple(
        describe(w.cpu(), y[:, i].cpu(), strength=model.strength_axis(i)) for i, w in enumerate(codes.w_mu)
    )
    rows = _shown(valid.y.cpu())
    return Statistics(subspaces, valid.x[rows].cpu(), valid.y[rows].cpu())


def _shown(y: Tensor) -> Tensor:
    """Rows of a few pictures to show: in turns one with each attribute, then one without each, as room is."""
    chosen: list[int] = []
    wanted = [(attribute, label) for label in (1, 0) for attribute in range(y.shape[1])]
    for turn in range(_FACES):
        attribute, label = wanted[turn % len(wanted)]
        fitting = [
            row for row in (y[:, attribute] == label).nonzero().flatten().tolist() if row not in chosen
        ]
        chosen += fitting[:1]
    return torch.tensor(sorted(chosen, key=lambda row: (y[row].tolist(), row)))


def _sheet(
    model: Kind, statistics: Statistics, valid: Codes, y: Tensor, config: RunConfig, compute: Compute
) -> Image.Image:
    if len(config.model.shape) == 1:
        return sheets.point_panels(valid, y)
    x = from_pictures(statistics.faces.to(compute.device))
    codes = model.encode(x, statistics.labels.to(compute.device))

    def decoded(points: Mapping[int, Tensor]) -> Tensor:
        return model.switch(codes, points, config.others if points else "own")

    pages = []
    for name in config.model.edited:
        attribute = config.model.index(name)
        styles = sheets.style_points(statistics.subspaces[attribute], model.anchors(attribute)[0])
        pages.append(sheets.people_by_styles(x, decoded, attribute, *styles, name))
    return sheets.stack(pages)
