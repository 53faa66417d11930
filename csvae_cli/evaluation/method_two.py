"""The paper's Method 2: a changed expression against the same person's real picture of that expression."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import SplitName
from csvae_cli.data.encoding import encode_split
from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.subject import Subject
from csvae_cli.output import Progress
from models.kind import Codes
from models.subspace import plane


@dataclass(frozen=True)
class _Person:
    """A person's rows of a split with one expression and with another, and the model's column of that."""

    name: str
    rows: Tensor
    targets: Tensor
    column: int


@dataclass(frozen=True)
class _Part:
    """A split: pictures float N×C×H×W and codes of all its rows."""

    x: Tensor
    codes: Codes
    people: tuple[_Person, ...]


def figures(subject: Subject, split: SplitName, progress: Progress) -> list[Figure]:
    """target↔changed, original↔changed, target↔original, as sums over pixels, means over pairs.

    p_j is the style whose changed pictures are nearest to the targets of other people, on validation (for
    validation: on training): of the class mean and a 5×5 plane over two standard deviations; the class mean
    where there are no others. Nothing where a split has no person with two expressions.
    """
    progress("Comparing with the same person", 0, 2)
    part = _part(subject, split)
    if part is None:
        return []
    others = _part(subject, "train" if split == "valid" else "valid", {person.name for person in part.people})
    best = {}
    if others is not None:
        best = {column: _best_style(subject, others, column) for column in _columns(others)}
    progress("Comparing with the same person", 1, 2)
    sums = torch.zeros(3)
    pairs = 0
    for person in part.people:
        style = best.get(person.column, _styles(subject, person.column)[0])
        changed = _changed(subject, part, person.rows, person.column, style)
        original, target = part.x[person.rows], part.x[person.targets]
        sums += torch.stack(
            [
                _apart(target, changed),
                (original - changed).square().flatten(1).sum(1).mean(),
                _apart(target, original),
            ]
        )
        pairs += 1
    progress("Comparing with the same person", 2, 2)
    names = ("target_changed", "original_changed", "target_original")
    return [Figure(name, float(value), pairs) for name, value in zip(names, sums / pairs, strict=True)]


def _part(subject: Subject, split: SplitName, without: Collection[str] = ()) -> _Part | None:
    """None where nobody but those `without` has two expressions."""
    data = subject.data.splits[split]
    labels, identities = torch.from_numpy(data.labels.copy()), data.identities
    if not identities:
        return None
    rows_of: dict[tuple[str, int], list[int]] = {}
    for _, column, judged in subject.attributes:
        for row in (labels[:, judged] == 1).nonzero()[:, 0].tolist():
            if identities[row] and identities[row] not in without:
                rows_of.setdefault((identities[row], column), []).append(row)
    people = []
    for name in sorted({name for name, _ in rows_of}):
        columns = [column for _, column, _ in subject.attributes if (name, column) in rows_of]
        for one, other in permutations(columns, 2):
            people.append(
                _Person(name, torch.tensor(rows_of[name, one]), torch.tensor(rows_of[name, other]), other)
            )
    if not people:
        return None
    batches = Batches(data, subject.compute)
    codes, _ = encode_split(subject.kind, batches, len(batches), subject.compute, with_labels=False)
    x = torch.cat([x.cpu() for x, _ in batches.chunks(len(batches))])
    return _Part(x, codes, tuple(people))


def _columns(part: _Part) -> list[int]:
    return sorted({person.column for person in part.people})


def _styles(subject: Subject, column: int) -> list[Tensor]:
    statistics = subject.model.statistics.subspaces[column]
    return [statistics.present_mean, *plane(statistics, 5, 5, 2.0)]


def _best_style(subject: Subject, part: _Part, column: int) -> Tensor:
    people = [person for person in part.people if person.column == column]

    def distance(style: Tensor) -> float:
        apart = [
            _apart(part.x[person.targets], _changed(subject, part, person.rows, column, style))
            for person in people
        ]
        return float(torch.stack(apart).mean())

    return min(_styles(subject, column), key=distance)


def _changed(subject: Subject, part: _Part, rows: Tensor, column: int, style: Tensor) -> Tensor:
    return torch.cat(list(subject.switched(part.codes, rows, {column: style}))).cpu()


def _apart(targets: Tensor, pictures: Tensor) -> Tensor:
    """Mean over all pairs of the squared distance, a sum over pixels."""
    return torch.cdist(targets.flatten(1), pictures.flatten(1)).square().mean()
