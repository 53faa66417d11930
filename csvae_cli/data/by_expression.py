"""Data sets whose pictures lie in folders called after expressions, read as grey 48×48.

Only what reads pictures imports numpy and Pillow: listing and counting take neither.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from csvae_cli.data.expressions import (
    SIZE,
    Counts,
    Home,
    Members,
    check_classes,
    count,
    one_hot,
    refuse_to_keep,
)
from csvae_cli.data.picture_files import Pictures, opened
from csvae_cli.errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from csvae_cli.data.dataset import Dataset, SplitName
    from csvae_cli.output import Progress

SUFFIXES = (".jpg", ".jpeg", ".png")

_SPELLINGS = {
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
}
_PREPARATION = "1"  # change it with anything that changes a picture: prepared pictures are found by it


class ByExpression(ABC):
    """A `Source` of pictures that lie in folders called after expressions, 48×48×1.

    home, attributes: which data set, and its expressions.
    """

    home: ClassVar[Home]
    attributes: ClassVar[tuple[str, ...]]

    def __init__(self, data_dir: Path | None) -> None:
        self.data_dir = data_dir

    @abstractmethod
    def search(self, root: Path) -> Pictures | None:
        """The pictures in this directory, None where nothing looks like them. Raises RequestError."""

    @abstractmethod
    def divide(self, shown: Mapping[str, str]) -> Members:
        """The splits of these pictures (name -> expression). Raises RequestError."""

    @cached_property
    def people(self) -> Mapping[str, str]:
        """The name of a picture -> who it shows; empty where nobody knows. Raises RequestError."""
        return {}

    def locate(self) -> None:
        """Check that the pictures are there, of each expression in each split. Raises RequestError."""
        check_classes(self.counts(), self.pictures.path, self.home.title)

    def counts(self) -> Counts:
        """For each split its size and the number of pictures of each expression; decodes none."""
        return count(self._members, self.attributes)

    def read(self, keep: tuple[str, ...], progress: "Progress") -> "Dataset":
        """The three splits, pictures mapped from the cache of prepared ones.

        Raises RequestError for anything to keep and for data that does not fit, WorkError for a picture that
        cannot be decoded or a cache that cannot be written.
        """
        refuse_to_keep(self.home.name, keep, self.attributes)
        self.locate()
        return _dataset(self.home.name, self.pictures, self._members, self.attributes, self.people, progress)

    @cached_property
    def pictures(self) -> Pictures:
        for root in self.home.roots(self.data_dir):
            found = self.search(root)
            if found is not None:
                return found
        raise self.home.missing(self.data_dir)

    @cached_property
    def _members(self) -> Members:
        names = sorted(self.pictures.names)
        return self.divide({name: expression(self.pictures, name, self.attributes) for name in names})


def _dataset(
    source: str,
    pictures: Pictures,
    members: Members,
    attributes: tuple[str, ...],
    people: Mapping[str, str],
    progress: "Progress",
) -> "Dataset":
    """The data set of these members, its pictures mapped from the cache of prepared ones, N×48×48×1.

    people: the name of a picture -> who it shows; empty where nobody knows. Raises RequestError, and
    WorkError for a picture that cannot be decoded or a cache that cannot be written.
    """
    from csvae_cli.data.dataset import Dataset, Split, fingerprint
    from csvae_cli.data.prepared import prepared

    names = tuple(chain.from_iterable(members.values()))
    digest = sha256(f"{source} {_PREPARATION} {SIZE}\n".encode())
    for name in names:
        digest.update(f"{name} {pictures.stamp(name)}\n".encode())
    key = digest.hexdigest()
    x = prepared(
        f"{source}-{SIZE}", key, len(names), (SIZE, SIZE, 1), partial(_grey_rows, pictures, names), progress
    )
    labels = one_hot([shown for split in members.values() for shown in split.values()], attributes)

    splits: dict[SplitName, Split] = {}
    start = 0
    for split, shown in members.items():
        rows = slice(start, start + len(shown))
        known = tuple(people[name] for name in shown) if people else ()
        splits[split] = Split(x[rows], labels[rows], tuple(shown), identities=known)
        start += len(shown)
    return Dataset(attributes, splits, fingerprint(key, attributes, splits, labels), exclusive=True)


def expression(pictures: Pictures, name: str, attributes: Sequence[str]) -> str:
    """Which of the attributes the picture shows, by the folder that it lies in. Raises RequestError."""
    folder = name.rpartition("/")[0]
    word = folder.rpartition("/")[2].lower()
    found = _SPELLINGS.get(word, word)
    if found not in attributes:
        raise RequestError(
            f"{pictures.path} has pictures in {folder}/, which is none of the expressions "
            f"{', '.join(attributes)}; rename that folder or take it out."
        )
    return found


def shuffled(names: Collection[str], salt: str) -> list[str]:
    """In an order that looks random and depends on nothing but these words."""
    return sorted(names, key=lambda name: sha256(f"{salt} {name}".encode()).digest())


def _grey_rows(pictures: Pictures, names: Sequence[str], start: int, stop: int) -> "NDArray[np.uint8]":
    """The pictures with these names from start to stop: uint8 n×48×48×1. Raises WorkError."""
    import numpy as np

    return np.stack([_grey(pictures, name) for name in names[start:stop]])


def _grey(pictures: Pictures, name: str) -> "NDArray[np.uint8]":
    import numpy as np
    from PIL import Image

    with opened(pictures, name) as picture:
        grey = picture.convert("L").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(grey)[..., None]
