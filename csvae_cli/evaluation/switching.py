"""The paper's Method 1: does a classifier of real pictures accept the changed ones?"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.judging import Court
from csvae_cli.evaluation.subject import Subject
from csvae_cli.output import Progress
from models.evenly import evenly
from models.subspace import plane

STYLES, SPAN = (5, 5), 2.0
"""Rows and columns of the styles that an attribute is tried in, and the deviations they reach."""

_SPREAD_PICTURES, _VARIETY_PICTURES = 300, 100


@dataclass(frozen=True)
class _Case:
    """One attribute under test: its columns in the model and in the data, and who is changed.

    without, wearing: rows of the held-out codes; exclusive classes are switched from any other class.
    """

    name: str
    column: int
    judged: int
    accuracy: float
    without: Tensor
    wearing: Tensor


def figures(subject: Subject, court: Court, progress: Progress) -> list[Figure]:
    """For each attribute: accepted, added, in every style, removed, kept; variety; change outside."""
    found: list[Figure] = []
    attributes = subject.edited
    for done, (name, column, judged) in enumerate(attributes):
        progress("Switching", done, len(attributes))
        without, wearing = subject.tried_on(column)
        if not len(without) or not len(wearing):
            continue
        case = _Case(name, column, judged, court.accuracy[judged], without, wearing)
        found += _mean_styles(subject, court, case) + _all_styles(subject, court, case)
        if not subject.data.exclusive:
            found += _moved(subject, court, case)
    progress("Switching", len(attributes), len(attributes))
    return found


def _mean_styles(subject: Subject, court: Court, case: _Case) -> list[Figure]:
    """At the default style: added, removed (where labels are not exclusive), both together; plainly kept; and
    what `added` would be if nothing were done.
    """
    statistics = subject.model.statistics.subspaces[case.column]
    on, off = statistics.present_mean, subject.kind.anchors(case.column)[0]
    added = _seen(subject, court, case, case.without, on)
    kept = _seen(subject, court, case, case.wearing, None)
    verdicts = {"added": added, "added_floor": _seen(subject, court, case, case.without, None), "kept": kept}
    seen = court.judge.present(subject.originals(case.wearing))[:, case.judged].cpu()
    if bool(seen.any()):
        verdicts["kept_of_seen"] = kept[seen]
    accepted = added
    if not subject.data.exclusive:
        verdicts["removed"] = ~_seen(subject, court, case, case.wearing, off)
        accepted = torch.cat([added, verdicts["removed"]])
    return [
        Figure(measure, float(seen.float().mean()), len(seen), case.name, judge=case.accuracy)
        for measure, seen in {"accepted": accepted, **verdicts}.items()
    ]


def _moved(subject: Subject, court: Court, case: _Case) -> list[Figure]:
    """How far edits move the judge's probability of every other label, from the plain reconstruction."""
    statistics = subject.model.statistics.subspaces[case.column]
    on, off = statistics.present_mean, subject.kind.anchors(case.column)[0]
    found = []
    for measure, rows, point in (("moved_adding", case.without, on), ("moved_removing", case.wearing, off)):
        own = _probabilities(subject, court, rows, {})
        moved = (_probabilities(subject, court, rows, {case.column: point}) - own).abs().mean(0)
        for column, label in enumerate(subject.data.attributes):
            if column != case.judged and len(rows):
                accuracy = court.accuracy[column]
                found.append(Figure(measure, float(moved[column]), len(rows), case.name, label, accuracy))
    return found


def _all_styles(subject: Subject, court: Court, case: _Case) -> list[Figure]:
    """Over the plane of styles: accepted on average and at worst; variety; what changes elsewhere."""
    points = plane(subject.model.statistics.subspaces[case.column], *STYLES, SPAN)
    rows = evenly(case.without, _SPREAD_PICTURES)
    accepted = [float(_seen(subject, court, case, rows, point).float().mean()) for point in points]
    found = [
        Figure("added_mean", sum(accepted) / len(accepted), len(rows), case.name, judge=case.accuracy),
        Figure("added_worst", min(accepted), len(rows), case.name, judge=case.accuracy),
    ]
    if court.regions:
        found += _variety(subject, court.regions[case.judged], case, points)
    return found


def _variety(subject: Subject, region: Tensor, case: _Case, points: Tensor) -> list[Figure]:
    """Pairwise distance of the styles inside the region, and distances outside it."""
    rows = evenly(case.without, _VARIETY_PICTURES)
    # The picture, its reconstruction, and it in every style: (2 + S)×N×C×H×W.
    original = subject.originals(rows)
    own = torch.cat(list(subject.changed(rows, {})))
    styles = torch.stack([torch.cat(list(subject.changed(rows, {case.column: point}))) for point in points])
    inside = region.to(own)
    outside = 1 - inside
    spread = mean_pairwise_square(styles, inside).sqrt()
    moved = _mean_square(styles - own, outside).sqrt()
    apart = _mean_square(styles - original, outside).sqrt()
    count = len(rows)
    return [
        Figure("variety", float(spread), count, case.name),
        Figure("change_outside", float(moved), count, case.name),
        Figure("distance_outside", float(apart), count, case.name),
    ]


def mean_pairwise_square(styles: Tensor, mask: Tensor) -> Tensor:
    """Mean square of the differences between any two styles (S×N×C×H×W) where the mask (H×W) is 1."""
    count = len(styles)
    # The mean over pairs of (a − b)² is twice the variance (of S − 1).
    variance = styles.var(0, correction=0) * (2 * count / (count - 1))
    return _mean_square(variance.sqrt(), mask)


def _mean_square(x: Tensor, mask: Tensor) -> Tensor:
    share = mask.mean().clamp(min=1e-9)
    return (x.square() * mask).mean() / share


def _probabilities(subject: Subject, court: Court, rows: Tensor, points: Mapping[int, Tensor]) -> Tensor:
    """Of all labels of the data, N×k."""
    parts = [court.judge.probabilities(x).cpu() for x in subject.changed(rows, points)]
    return torch.cat(parts) if parts else torch.zeros(0, len(subject.data.attributes))


def _seen(subject: Subject, court: Court, case: _Case, rows: Tensor, point: Tensor | None) -> Tensor:
    """Whether the judge sees the attribute in these rows, changed to a point of W (None: as they are)."""
    points = {} if point is None else {case.column: point}
    seen = [court.judge.present(x)[:, case.judged].cpu() for x in subject.changed(rows, points)]
    return torch.cat(seen) if seen else torch.zeros(0, dtype=torch.bool)
