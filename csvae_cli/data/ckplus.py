"""CK+ (Lucey et al. 2010) as it is passed around: 981 grey 48×48 pictures of seven acted expressions.

Pictures are called SUBJECT_SEQUENCE_FRAME, so this data set knows who is shown: it is split by person.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from csvae_cli.data.by_expression import SUFFIXES, ByExpression, shuffled
from csvae_cli.data.expressions import WITH_CONTEMPT, Home, Members
from csvae_cli.data.picture_files import Archive, Folder, Form, Pictures, entries
from csvae_cli.errors import RequestError

if TYPE_CHECKING:
    from csvae_cli.data.dataset import SplitName

_FORM = Form(SUFFIXES, 2)
_PERSON = re.compile(r"(S\d+)_\d+_\d+\.\w+")

_ORDERS = 1000  # of the people that are tried for one that puts each expression into each split


class CkPlus(ByExpression):
    """About 80, 10 and 10 % of the people in the three splits."""

    home = Home("ckplus", "CK+", "ckplus", "CK+48.zip or the folder CK+48/")
    attributes = WITH_CONTEMPT

    def search(self, root: Path) -> Pictures | None:
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

    def divide(self, shown: Mapping[str, str]) -> Members:
        everyone = set(self.people.values())
        for salt in range(_ORDERS):
            members = _split(shown, self.people, shuffled(everyone, f"ckplus {salt}"))
            if all(len(set(part.values())) == len(WITH_CONTEMPT) for part in members.values()):
                return members
        return _split(shown, self.people, shuffled(everyone, "ckplus 0"))

    @cached_property
    def people(self) -> Mapping[str, str]:
        people = {}
        for name in self.pictures.names:
            match = _PERSON.fullmatch(name.rpartition("/")[2])
            if match is None:
                raise RequestError(
                    f"{name} in {self.pictures.path} is not named SUBJECT_SEQUENCE_FRAME (like "
                    f"S010_004_00000017.png), so nobody knows who it shows; take CK+48 as it is passed on."
                )
            people[name] = match[1]
        return people


def _split(shown: Mapping[str, str], people: Mapping[str, str], order: Sequence[str]) -> Members:
    """The first tenth of this order of people validates, the second tests."""
    tenth = max(1, round(len(order) / 10))
    splits: dict[SplitName, Sequence[str]] = {
        "train": order[2 * tenth :],
        "valid": order[:tenth],
        "test": order[tenth : 2 * tenth],
    }
    where = {person: split for split, members in splits.items() for person in members}
    members: dict[SplitName, dict[str, str]] = {split: {} for split in splits}
    for name, attribute in shown.items():
        members[where[people[name]]][name] = attribute
    return members
