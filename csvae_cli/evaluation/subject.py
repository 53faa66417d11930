"""What all measures look at: a model on its device, with codes of training and of held-out pictures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Dataset, SplitName
from csvae_cli.data.encoding import encode_split, take
from csvae_cli.device import Compute
from csvae_cli.errors import RequestError
from csvae_cli.runs import Model
from models.kind import Codes, Kind
from models.styles import combinations

TRAIN_PICTURES, HELD_PICTURES = 8000, 2000
_CHUNK = 256

_UNKNOWN_TO = 0.03
"""The share of a stratum below which an attribute is as good as unknown there."""


class Attribute(NamedTuple):
    """column: the model's; judged: the data's."""

    name: str
    column: int
    judged: int


@dataclass(frozen=True)
class Subject:
    """A model under test.

    attributes: those that both model and data know. codes, y: of at most
    8,000 training pictures, codes_held, y_held of at most 2,000 held-out ones; y
    has the model's columns, −1 where the data does not know. Encoders are not shown labels: a user's picture
    has none. strata, strata_held: numbers of who is alike in all the data's labels that are not edited.
    """

    model: Model
    kind: Kind
    compute: Compute
    data: Dataset
    attributes: tuple[Attribute, ...]
    train: Batches
    held: Batches
    codes: Codes
    y: Tensor
    codes_held: Codes
    y_held: Tensor
    strata: Tensor
    strata_held: Tensor

    @property
    def of_pictures(self) -> bool:
        return len(self.model.config.model.shape) == 3

    def held_pictures(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(rows of `codes_held`, float pictures) in chunks."""
        for rows in torch.arange(len(self.y_held)).split(_CHUNK):
            yield rows, self.originals(rows)

    @property
    def edited(self) -> list[Attribute]:
        """Those of `attributes` that the model edits, not only keeps."""
        return [item for item in self.attributes if item[0] in self.model.config.model.edited]

    def originals(self, rows: Tensor) -> Tensor:
        """The pictures of these rows of `codes_held`, float N×C×H×W on the device."""
        index = self.held.spread(len(self.y_held))
        return self.held.rows(index[rows.to(index.device)])[0]

    def likely(self, column: int) -> Tensor:
        """Which rows of `codes_held` an attribute can be tried on, bool N.

        Where edits leave labels alone, only people of a stratum in which the attribute is not next to
        unknown: facial hair is judged on men.
        """
        rows = torch.ones(len(self.y_held), dtype=torch.bool)
        strata = self.strata_held.unique().tolist()
        for stratum in strata if len(strata) > 1 else []:
            known = self.y[self.strata == stratum, column]
            known = known[known >= 0]
            if len(known) and float((known == 1).float().mean()) < _UNKNOWN_TO:
                rows[self.strata_held == stratum] = False
        return rows

    def tried_on(self, column: int) -> tuple[Tensor, Tensor]:
        """Rows of `codes_held` without the attribute, and with it, among those of whom it is `likely`."""
        y, likely = self.y_held[:, column], self.likely(column)
        without, wearing = (((y == label) & likely).nonzero()[:, 0] for label in (0, 1))
        return without, wearing

    def changed(self, rows: Tensor, points: Mapping[int, Tensor]) -> Iterator[Tensor]:
        """`switched` of these rows of `codes_held`."""
        return self.switched(self.codes_held, rows, points)

    @torch.no_grad()
    def switched(self, codes: Codes, rows: Tensor, points: Mapping[int, Tensor]) -> Iterator[Tensor]:
        """G_ij(x, p) of these rows of codes, in chunks, as pictures would be: float within [0, 1].

        points: d_i each, the same for all rows, or one a row; none: plain reconstructions.
        """
        others = self.model.others(points)
        for part in torch.arange(len(rows)).split(_CHUNK) if len(rows) else ():
            at = {i: p if p.dim() == 1 else p[part.to(p.device)] for i, p in points.items()}
            moved = {i: p.to(self.compute.device) for i, p in at.items()}
            with self.compute.autocast():
                x = self.kind.switch(take(codes, rows[part]), moved, others)
            yield x.float().clamp(0, 1) if self.of_pictures else x.float()


def with_training_pictures(subject: Subject, count: int) -> Subject:
    """The same, with codes of so many training pictures, if there are as many."""
    codes, _ = encode_split(subject.kind, subject.train, count, subject.compute, with_labels=False)
    y, strata = training_labels(subject, count)
    return replace(subject, codes=codes, y=y, strata=strata)


def training_labels(subject: Subject, count: int) -> tuple[Tensor, Tensor]:
    """`Subject.y` and `Subject.strata` of so many training pictures, without their codes."""
    y, config = subject.train.y[subject.train.spread(count)], subject.model.config.model
    columns = _columns(y, subject.attributes, len(config.attributes))
    return columns, strata_of(y, subject.data, config.edited)


def make(model: Model, data: Dataset, split: SplitName, compute: Compute) -> Subject:
    """Raises RequestError where the data knows nothing that the model edits, or differs in shape."""
    if data.model_shape != model.config.model.shape:
        raise RequestError(f"The data has another shape than {model.name} was trained on.")
    names = model.config.model.attributes
    common = tuple(
        Attribute(name, names.index(name), data.attributes.index(name))
        for name in names
        if name in data.attributes
    )
    edited = model.config.model.edited
    if not any(item.name in edited for item in common):
        raise RequestError(
            f"{model.name} edits {', '.join(edited)}, the data knows {', '.join(data.attributes)}; "
            "name a --dataset that shares an attribute with it."
        )
    kind = model.kind.to(compute.device)
    train, held = Batches(data.splits["train"], compute), Batches(data.splits[split], compute)
    codes, y = encode_split(kind, train, TRAIN_PICTURES, compute, with_labels=False)
    codes_held, y_held = encode_split(kind, held, HELD_PICTURES, compute, with_labels=False)
    return Subject(
        model,
        kind,
        compute,
        data,
        common,
        train,
        held,
        codes,
        _columns(y, common, len(names)),
        codes_held,
        _columns(y_held, common, len(names)),
        strata_of(y, data, edited),
        strata_of(y_held, data, edited),
    )


def strata_of(y: Tensor, data: Dataset, edited: tuple[str, ...]) -> Tensor:
    """For each row (labels N×k of the data) the number of its stratum: all labels that are not edited.

    One alone where labels are exclusive: an edit leaves none of these alone.
    """
    kept = [] if data.exclusive else [i for i, name in enumerate(data.attributes) if name not in edited]
    return combinations(y.cpu()[:, kept])


def _columns(y: Tensor, common: tuple[Attribute, ...], count: int) -> Tensor:
    """Labels in the model's columns."""
    found = torch.full((len(y), count), -1, dtype=y.dtype)
    for _, model_column, data_column in common:
        found[:, model_column] = y[:, data_column].cpu()
    return found
