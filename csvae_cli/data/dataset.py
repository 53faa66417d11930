"""What every source gives: pictures (or points), labels and names, in three splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from csvae_cli.errors import RequestError, one_of
from csvae_cli.output import Progress

SplitName = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")

JUDGED: tuple[SplitName, ...] = ("valid", "test")
"""Of people who are trained on by nobody."""

UNKNOWN = -1


def named_split(text: str, among: Sequence[SplitName] = SPLITS) -> SplitName:
    """The split that a user calls so: train, val (or valid) or test. Raises RequestError."""
    known = {"val" if name == "valid" else name: name for name in among}
    name = "val" if text == "valid" else text
    if name not in known:
        raise one_of("split", text, known)
    return known[name]


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    x: uint8 pictures N×H×W×C (often memory-mapped), or float32 points N×D.
    labels: int8 N×k, 1 present, 0 absent, −1 unknown; columns as in `Dataset.attributes`.
    names: N names that a user recognises (file names, row numbers).
    factors: what a drawn picture was drawn from, name -> float32 N (NaN where it does not apply); only
        sources that draw have it.
    identities: N names of the people shown, "" where nobody knows; only sources that know people have it.
    """

    x: NDArray[Any]
    labels: NDArray[np.int8]
    names: tuple[str, ...]
    factors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    identities: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Dataset:
    """attributes: the names of the label columns, in order; splits: by name.

    exclusive: every row has exactly one of the labels (seven expressions, say), or none that is known.
    """

    attributes: tuple[str, ...]
    splits: Mapping[SplitName, Split]
    fingerprint: str
    exclusive: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example: (H, W, C) of a picture, (D,) of a point."""
        return tuple(self.splits["train"].x.shape[1:])

    @property
    def model_shape(self) -> tuple[int, ...]:
        """Of one example as models take it: (C, H, W) of a picture, (D,) of a point."""
        return self.shape if len(self.shape) == 1 else (self.shape[2], *self.shape[:2])


def fingerprint(
    key: str, attributes: Sequence[str], splits: Mapping[SplitName, Split], labels: NDArray[np.int8]
) -> str:
    """Changes with the pictures (key), what their labels are called and are, and where splits end."""
    sizes = [len(split) for split in splits.values()]
    return sha256(f"{key} {attributes} {sizes}".encode() + labels.tobytes()).hexdigest()


def with_labels(data: Dataset, count: int, columns: int) -> Dataset:
    """The same data, the first `columns` labels known for `count` training pictures only.

    Which ones looks random and is always the same; a larger count has all of a smaller one's. Raises
    RequestError where a label is left without a picture that has it, or without one that has it not.
    """
    train = data.splits["train"]
    order = np.random.default_rng(0).permutation(len(train))
    labels = train.labels.copy()
    labels[order[count:], :columns] = UNKNOWN
    for name, column in zip(data.attributes[:columns], labels.T, strict=False):
        if not {0, 1} <= set(column.tolist()):
            raise RequestError(f"Among {count} labels none or all are {name}; give more with --labels.")
    splits = {**data.splits, "train": replace(train, labels=labels)}
    of_few = sha256(f"{data.fingerprint} {count} {columns}".encode()).hexdigest()
    return replace(data, splits=splits, fingerprint=of_few)


class Source(Protocol):
    """A place that data comes from.

    A source is made from the registry (`csvae_cli.data.sources`) with the data directory that the user named,
    or None. Making it is cheap; `locate` checks that everything is there and raises `RequestError` if not;
    `read` does the work, once: what it prepared is found again by the fingerprint.
    """

    def locate(self) -> None:
        """Check that the data is there and fits together. Raises RequestError."""
        ...

    def counts(self) -> Mapping[SplitName, tuple[int, Mapping[str, int]]]:
        """For each split its size and the number of positives of each attribute, cheaply."""
        ...

    def read(self, keep: tuple[str, ...], progress: Progress) -> Dataset:
        """All of it, checked as `locate` does.

        keep: further attributes to give labels for, after the data set's own.
        """
        ...


@runtime_checkable
class KnowsMore(Protocol):
    """A source that can give further labels besides the data set's own."""

    @property
    def further(self) -> tuple[str, ...]:
        """Their names. Raises RequestError."""
        ...
