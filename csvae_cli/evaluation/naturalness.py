"""Whether people who were given an attribute look like people who have it.

Fresh classifiers learn to tell decoded real wearers from edited people who took a real wearer's style, and
are scored on other people. Sex and age (all labels that edits leave alone) are matched. Where they find
nothing to tell them by (AUROC ½), the joint of z and w is right, not only each for itself.

Real wearers differ from real others in more than the attribute, though: within a sex and an age those with
glasses have a beard less often, and other hair. An edit leaves that alone, and is told by it. How far this
goes, the same classifiers say of real pictures of both with the attribute's place covered: the floor.
"""

from collections.abc import Sequence

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from csvae_cli.data.batches import Batches
from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.strata import donors, matched
from csvae_cli.evaluation.subject import Subject, training_labels, with_training_pictures
from csvae_cli.output import Progress
from models.evenly import evenly
from models.judge import fit_judge
from models.kind import Codes, Rows

_EPOCHS, _SEED = 12, 97
_CLASSIFIERS = 3
"""From one seed to another a classifier's AUROC differs by 0.03."""

_LEARNT, _LEAST = 2000, 50
"""How many pictures of each sort the classifier learns from at most, and at least."""

_AMONG = 24_000
"""Of how many training pictures: with 8,000, as for probes, wearers of glasses are too few."""

_CHUNK, _MEAN_OF = 256, 1000

Sorts = tuple[Tensor, Tensor]
"""Wearers and as many who are compared with them: (uint8 pictures, 0 and 1)."""


def figures(subject: Subject, progress: Progress) -> list[Figure]:
    """naturalness of each edited attribute; nothing for points, nor where wearers are too few."""
    if not subject.of_pictures or subject.data.exclusive:
        return []
    found: list[Figure] = []
    subject = with_training_pictures(subject, _AMONG)
    for done, (name, column, _) in enumerate(subject.edited):
        progress("Looking for what gives edits away", done, len(subject.edited))
        learnt = _edited(subject, subject.codes, subject.y[:, column], subject.strata, column)
        scored = _edited(subject, subject.codes_held, subject.y_held[:, column], subject.strata_held, column)
        found += _told("naturalness", name, subject, learnt, scored)
    progress("Looking for what gives edits away", 1, 1)
    return found


def floors(subject: Subject, regions: Sequence[Tensor], progress: Progress) -> list[Figure]:
    """naturalness_floor of each edited attribute, of the data alone; nothing where there is no naturalness.

    regions: for each of the data's columns a bool H×W, where the attribute is; of pictures all its rows are
    covered by the mean picture's, from side to side.
    """
    if not subject.of_pictures or subject.data.exclusive:
        return []
    found: list[Figure] = []
    y, strata = training_labels(subject, _AMONG)
    mean = torch.cat([x for x, _ in subject.train.chunks(_MEAN_OF)]).mean(0)
    for done, (name, column, judged) in enumerate(subject.edited):
        progress("Looking for what else wearers have", done, len(subject.edited))
        place = regions[judged].any(1).nonzero()[:, 0]
        covered = slice(int(place.min()), int(place.max()) + 1)
        learnt = _real(subject.train, y[:, column], strata, covered, mean)
        scored = _real(subject.held, subject.y_held[:, column], subject.strata_held, covered, mean)
        found += _told("naturalness_floor", name, subject, learnt, scored)
    progress("Looking for what else wearers have", 1, 1)
    return found


def _told(measure: str, name: str, subject: Subject, learnt: Sorts, scored: Sorts) -> list[Figure]:
    """How well fresh classifiers tell the two sorts apart, their mean; nothing where pictures are too few."""
    if min(len(learnt[1]), 2 * len(scored[1])) < 2 * _LEAST:
        return []
    found = [_auroc(subject, learnt, scored, _SEED + one) for one in range(_CLASSIFIERS)]
    detail = f"{_CLASSIFIERS} classifiers, {min(found):.3f} to {max(found):.3f}, learnt from {len(learnt[1])}"
    return [Figure(measure, sum(found) / len(found), len(scored[1]), name, detail)]


def _auroc(subject: Subject, learnt: Sorts, scored: Sorts, seed: int) -> float:
    judge = fit_judge(
        _rows(learnt[0], subject),
        learnt[1][:, None],
        subject.model.config.model.shape,
        exclusive=False,
        epochs=_EPOCHS,
        seed=seed,
        progress=lambda _done, _total: None,
    )
    take = _rows(scored[0], subject)
    parts = [judge.probabilities(take(i)).cpu() for i in torch.arange(len(scored[1])).split(_CHUNK)]
    return float(roc_auc_score(scored[1].numpy(), torch.cat(parts)[:, 0].numpy()))


def _edited(subject: Subject, codes: Codes, y: Tensor, strata: Tensor, column: int) -> Sorts:
    """Decoded wearers, and others who took the style of a wearer of their stratum."""
    wearers, others = _both(y, strata)
    givers = donors(strata, (y == 1).nonzero()[:, 0], _SEED)[others]
    style = codes.w_mu[column][givers.to(codes.z_mu.device)]
    own, edited = (
        subject.switched(codes, rows, points) for rows, points in ((wearers, {}), (others, {column: style}))
    )
    return _sorts([*own, *edited], len(wearers), len(others))


def _real(batches: Batches, y: Tensor, strata: Tensor, covered: slice, mean: Tensor) -> Sorts:
    """Pictures of wearers and of others, the rows `covered` of each replaced by those of the mean picture."""
    wearers, others = _both(y, strata)
    rows = batches.spread(len(y))[torch.cat([wearers, others]).to(batches.x.device)]
    pictures = [batches.rows(part)[0] for part in rows.split(_CHUNK)]
    for x in pictures:
        x[:, :, covered] = mean[:, covered]
    return _sorts(pictures, len(wearers), len(others))


def _both(y: Tensor, strata: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of wearers and of others, as many of each in every stratum."""
    rows = matched(y, strata, least=2)
    return evenly(rows[y[rows] == 1], _LEARNT), evenly(rows[y[rows] == 0], _LEARNT)


def _sorts(pictures: Sequence[Tensor], wearers: int, others: int) -> Sorts:
    label = torch.cat([torch.zeros(wearers), torch.ones(others)]).to(torch.int8)
    return torch.cat([torch.zeros(0, dtype=torch.uint8), *map(_bytes, pictures)]), label


def _bytes(x: Tensor) -> Tensor:
    return x.mul(255).round().to(torch.uint8).cpu()


def _rows(pictures: Tensor, subject: Subject) -> Rows:
    """How a classifier takes rows of these (uint8 N×C×H×W)."""

    def rows(index: Tensor) -> Tensor:
        x = pictures[index.cpu()].to(subject.compute.device).float().div_(255)
        return x.contiguous(memory_format=torch.channels_last)

    return rows
