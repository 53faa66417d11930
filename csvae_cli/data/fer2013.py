"""FER2013 (Goodfellow et al. 2013): faces found on the web, grey 48×48, seven expressions.

Read as people have it: a zip or a folder of pictures, or Kaggle's fer2013.csv.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from csvae_cli.data.by_expression import SUFFIXES, ByExpression, shuffled
from csvae_cli.data.expressions import SIZE, WITH_NEUTRAL, Home, Members
from csvae_cli.data.picture_files import Archive, Folder, Form, Pictures, entries, unreadable
from csvae_cli.errors import RequestError, WorkError

if TYPE_CHECKING:
    from csvae_cli.data.dataset import SplitName

_PARTS: Mapping[str, "SplitName"] = {"train": "train", "validation": "valid", "test": "test"}
_FORM = Form(SUFFIXES, 3, frozenset(_PARTS))

_CSV_COLUMNS = ("emotion", "pixels", "usage")
_CSV_EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_CSV_PARTS = {b"Training": "train", b"PublicTest": "validation", b"PrivateTest": "test"}


class Fer2013(ByExpression):
    """In the splits that the pictures come in, by name within each.

    Where nothing is there to validate on (Kaggle's folders are train/ and test/ only), it is a tenth of the
    training pictures of each expression, drawn at random but always alike.
    """

    home = Home(
        "fer2013",
        "FER2013",
        "fer2013",
        "fer2013.zip, fer2013.csv or the folders train/, validation/ and test/",
    )
    attributes = WITH_NEUTRAL

    def search(self, root: Path) -> Pictures | None:
        """The folders if they hold pictures, else the zip if it does (Kaggle zips its CSV), else the CSV."""
        found = entries(root)
        if "train" in found:
            folder = Folder(root, _FORM)
            if folder.names:
                return folder
        if "fer2013.zip" in found:
            archive = Archive(root / "fer2013.zip", _FORM)
            if archive.names:
                return archive
            if "fer2013.csv" not in found:
                raise RequestError(
                    f"There are no pictures in folders train/EXPRESSION/ of {archive.path}; "
                    "put FER2013's there."
                )
        return _Csv(root / "fer2013.csv") if "fer2013.csv" in found else None

    def divide(self, shown: Mapping[str, str]) -> Members:
        members: dict[SplitName, dict[str, str]] = {split: {} for split in _PARTS.values()}
        for name, attribute in shown.items():
            members[_PARTS[name.partition("/")[0]]][name] = attribute
        if not members["valid"]:
            drawn = _a_tenth(members["train"])
            members["valid"] = {name: what for name, what in members["train"].items() if name in drawn}
            members["train"] = {name: what for name, what in members["train"].items() if name not in drawn}
        return members


def _a_tenth(members: Mapping[str, str]) -> set[str]:
    drawn: set[str] = set()
    for attribute in WITH_NEUTRAL:
        names = [name for name, shown in members.items() if shown == attribute]
        drawn.update(shuffled(names, "fer2013")[: (len(names) + 5) // 10])
    return drawn


# Kaggle's CSV.


@dataclass(frozen=True)
class _Line:
    """Where a picture is in the file, in bytes, and its checksum."""

    number: int
    start: int
    size: int
    checksum: int


class _Csv:
    """The file as a place with pictures, read in place: "train/anger/line-00002" is the file's second line.

    Columns are found by the names in the first line (emotion, pixels, Usage), in any order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def names(self) -> Set[str]:
        return self._lines.keys()

    def stamp(self, name: str) -> str:
        return f"{self._lines[name].checksum:08x}"

    def content(self, name: str) -> bytes:
        """As a PGM. Raises WorkError where the pixels are none."""
        line = self._lines[name]
        with self.path.open("rb") as file:
            file.seek(line.start)
            text = file.read(line.size)
        try:
            pixels = bytes(map(int, _fields(text)[self._columns["pixels"]].split()))
        except ValueError as error:
            raise WorkError(
                f"{self.path}, line {line.number}: a pixel is not a number from 0 to 255; take the file "
                f"as Kaggle publishes it."
            ) from error
        return b"P5 %d %d 255\n" % (SIZE, SIZE) + pixels

    @cached_property
    def _columns(self) -> Mapping[str, int]:
        try:
            with self.path.open("rb") as file:
                header = [word.decode("utf-8", "replace").lower() for word in _fields(file.readline())]
        except OSError as error:
            raise unreadable(self.path, error) from error
        lacking = [name for name in _CSV_COLUMNS if name not in header]
        if lacking:
            raise self._wrong(1, f"there is no column {lacking[0]} (there must be emotion, pixels and Usage)")
        return {name: place for place, name in enumerate(header)}

    @cached_property
    def _lines(self) -> Mapping[str, _Line]:
        lines: dict[str, _Line] = {}
        columns, start = self._columns, 0  # the columns first: a file that is no CSV may be one endless line
        try:
            with self.path.open("rb") as file:
                for number, text in enumerate(file, start=1):
                    if number > 1 and text.strip():
                        name = self._name(number, _fields(text), columns)
                        lines[name] = _Line(number, start, len(text), crc32(text))
                    start += len(text)
        except OSError as error:
            raise unreadable(self.path, error) from error
        return lines

    def _name(self, number: int, fields: list[bytes], columns: Mapping[str, int]) -> str:
        if len(fields) != len(columns):
            raise self._wrong(number, f"{len(fields)} values for {len(columns)} columns")
        emotion, pixels, usage = (fields[columns[name]] for name in _CSV_COLUMNS)
        if not emotion.isdigit() or int(emotion) >= len(_CSV_EMOTIONS):
            raise self._wrong(number, f"the emotion “{_text(emotion)}” is not a number from 0 to 6")
        if usage not in _CSV_PARTS:
            raise self._wrong(
                number, f"the usage “{_text(usage)}” is none of Training, PublicTest and PrivateTest"
            )
        if pixels.count(b" ") != SIZE**2 - 1:
            raise self._wrong(number, f"{len(pixels.split()):,} pixels instead of {SIZE**2:,}")
        return f"{_CSV_PARTS[usage]}/{_CSV_EMOTIONS[int(emotion)]}/line-{number:05d}"

    def _wrong(self, number: int, problem: str) -> RequestError:
        return RequestError(f"{self.path}, line {number}: {problem}; take the file as Kaggle publishes it.")


def _fields(line: bytes) -> list[bytes]:
    return [field.strip(b' "\r\n\xef\xbb\xbf') for field in line.split(b",")]


def _text(field: bytes) -> str:
    return field[:40].decode("utf-8", "replace")
