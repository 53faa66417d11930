"""Whether people who were given an attribute look like people who have it.

A fresh classifier learns to tell decoded real wearers from edited people who took a real wearer's style, and
is scored on other people. Sex and age (all labels that edits leave alone) are matched. Where it finds nothing
to tell them by (AUROC ½), the joint of z and w is right, not only each for itself.
"""

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from csvae_cli.data.batches import evenly
from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.strata import matched, partners
from csvae_cli.evaluation.subject import Subject
from csvae_cli.output import Progress
from models.judge import fit_judge
from models.kind import Codes, Rows

_EPOCHS, _SEED = 12, 97
_LEARNT, _LEAST = 2000, 50
"""How many pictures of each sort the classifier learns from at most, and at least."""


def figures(subject: Subject, progress: Progress) -> list[Figure]:
    """naturalness of each edited attribute; nothing for points, nor where wearers are too few."""
    if not subject.of_pictures or subject.data.exclusive:
        return []
    found: list[Figure] = []
    for done, (name, column, _) in enumerate(subject.edited):
        progress("Looking for what gives edits away", done, len(subject.edited))
        learnt = _sorts(subject, subject.codes, subject.y[:, column], subject.strata, column)
        scored = _sorts(subject, subject.codes_held, subject.y_held[:, column], subject.strata_held, column)
        if min(len(learnt[1]), 2 * len(scored[1])) < 2 * _LEAST:
            continue
        judge = fit_judge(
            _rows(learnt[0], subject),
            learnt[1][:, None],
            subject.model.config.model.shape,
            exclusive=False,
            epochs=_EPOCHS,
            seed=_SEED,
            progress=lambda _done, _total: None,
        )
        take = _rows(scored[0], subject)
        parts = [judge.probabilities(take(i)).cpu() for i in torch.arange(len(scored[1])).split(256)]
        auroc = float(roc_auc_score(scored[1].numpy(), torch.cat(parts)[:, 0].numpy()))
        detail = f"learnt from {len(learnt[1])}"
        found.append(Figure("naturalness", auroc, len(scored[1]), name, detail))
    progress("Looking for what gives edits away", 1, 1)
    return found


def _sorts(subject: Subject, codes: Codes, y: Tensor, strata: Tensor, column: int) -> tuple[Tensor, Tensor]:
    """Decoded wearers and edited others, as many of each in every stratum: (uint8 pictures, 0 and 1)."""
    rows = matched(y, strata, least=2)
    wearers = evenly(rows[y[rows] == 1], _LEARNT)
    others = evenly(rows[y[rows] == 0], _LEARNT)
    donors = partners(strata, (y == 1).nonzero()[:, 0], _SEED)[others]
    style = codes.w_mu[column][donors.to(codes.z_mu.device)]
    own = [_bytes(x) for x in subject.switched(codes, wearers, {})]
    edited = [_bytes(x) for x in subject.switched(codes, others, {column: style})]
    pictures = torch.cat(
        [torch.zeros(0, *subject.model.config.model.shape, dtype=torch.uint8), *own, *edited]
    )
    label = torch.cat([torch.zeros(len(wearers)), torch.ones(len(others))])
    return pictures, label.to(torch.int8)


def _bytes(x: Tensor) -> Tensor:
    return x.mul(255).round().to(torch.uint8).cpu()


def _rows(pictures: Tensor, subject: Subject) -> Rows:
    """How a classifier takes rows of these (uint8 N×C×H×W)."""

    def rows(index: Tensor) -> Tensor:
        x = pictures[index.cpu()].to(subject.compute.device).float().div_(255)
        return x.contiguous(memory_format=torch.channels_last)

    return rows
