"""CK+ (Lucey et al. 2010) as it is passed around: 981 grey 48×48 pictures of seven acted expressions.

Pictures are called SUBJECT_SEQUENCE_FRAME, so this data set knows who is shown: it is split by person.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from csvae_cli.data.expressions import (
    SUFFIXES,
    WITH_CONTEMPT,
    Counts,
    Home,
    Members,
    check_classes,
    count,
    dataset,
    expression,
    refuse_to_keep,
    shuffled,
)
from csvae_cli.data.picture_files import Archive, Folder, Form, Pictures, entries
from csvae_cli.errors import RequestError

if TYPE_CHECKING:
    from csvae_cli.data.dataset import Dataset, SplitName
    from csvae_cli.output import Progress

_FORM = Form(SUFFIXES, 2)
_HOME = Home("ckplus", "CK+", "ckplus", "CK+48.zip or the folder CK+48/")
_PERSON = re.compile(r"(S\d+)_\d+_\d+\.\w+")

_ORDERS = 1000  # of the people that are tried for one that puts each expression into each split


class CkPlus:
    """A `Source` of the pictures, 48×48×1, about 80, 10 and 10 % of the people in the three splits."""

    def __init__(self, data_dir: Path | None) -> None:
        self.data_dir = data_dir

    def locate(self) -> None:
        """Check that the pictures are there, of each expression in each split. Raises RequestError."""
        check_classes(self.counts(), self._pictures.path, _HOME.title)

    def counts(self) -> Counts:
        """For each split its size and the number of pictures of each expression; decodes none."""
        return count(self._members, WITH_CONTEMPT)

    def read(self, keep: tuple[str, ...], progress: "Progress") -> "Dataset":
        """The three splits, pictures mapped from the cache of prepared ones.

        Raises RequestError for anything to keep and for data that does not fit, WorkError for a picture that
        cannot be decoded or a cache that cannot be written.
        """
        refuse_to_keep(_HOME.name, keep, WITH_CONTEMPT)
        self.locate()
        return dataset(_HOME.name, self._pictures, self._members, WITH_CONTEMPT, self._people, progress)

    @cached_property
    def _pictures(self) -> Pictures:
        for root in _HOME.roots(self.data_dir):
            found = _find(root)
            if found is not None:
                return found
        raise _HOME.missing(self.data_dir)

    @cached_property
    def _people(self) -> Mapping[str, str]:
        """The name of a picture -> who it shows."""
        people = {}
        for name in self._pictures.names:
            match = _PERSON.fullmatch(name.rpartition("/")[2])
            if match is None:
                raise RequestError(
                    f"{name} in {self._pictures.path} is not named SUBJECT_SEQUENCE_FRAME (like "
                    f"S010_004_00000017.png), so nobody knows who it shows; take CK+48 as it is passed on."
                )
            people[name] = match[1]
        return people

    @cached_property
    def _members(self) -> Members:
        shown = {name: expression(self._pictures, name, WITH_CONTEMPT) for name in self._pictures.names}
        everyone = set(self._people.values())
        for salt in range(_ORDERS):
            members = self._split(shown, shuffled(everyone, f"ckplus {salt}"))
            if all(len(set(part.values())) == len(WITH_CONTEMPT) for part in members.values()):
                return members
        return self._split(shown, shuffled(everyone, "ckplus 0"))

    def _split(self, shown: Mapping[str, str], people: Sequence[str]) -> Members:
        """The first tenth of these people validates, the second tests."""
        tenth = max(1, round(len(people) / 10))
        splits: dict[SplitName, Sequence[str]] = {
            "train": people[2 * tenth :],
            "valid": people[:tenth],
            "test": people[tenth : 2 * tenth],
        }
        where = {person: split for split, members in splits.items() for person in members}
        members: dict[SplitName, dict[str, str]] = {split: {} for split in splits}
        for name in sorted(shown):
            members[where[self._people[name]]][name] = shown[name]
        return members


def _find(root: Path) -> Pictures | None:
    """The folder if it holds pictures, else the zip."""
    found = entries(root)
    if "CK+48" in found:
        for folder in (root / "CK+48", root / "CK+48" / "CK+48"):
            pictures = Folder(folder, _FORM)
            if pictures.names:
                return pictures
    if "CK+48.zip" in found:
        archive = Archive(root / "CK+48.zip", _FORM)
        if archive.names:
            return archive
        raise RequestError(f"There are no pictures in folders of {archive.path}; put CK+48's there.")
    return None
