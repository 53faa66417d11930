"""CelebA's official files: where they are in a directory, and what its two lists say of the pictures.

Nothing here imports numpy or Pillow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from csvae_cli.data.picture_files import Archive, Folder, Form, entries, unreadable
from csvae_cli.errors import RequestError

if TYPE_CHECKING:
    from csvae_cli.data.dataset import SplitName

ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
PICTURES = "img_align_celeba"
_FORM = Form((".jpg",))

PARTS: Mapping[str, "SplitName"] = {"0": "train", "1": "valid", "2": "test"}

_MADE = ("glasses", "facial-hair")
"""Attributes that are made of the published ones: see `Table.rule`."""

_NEEDED = ("Eyeglasses", "No_Beard", "Mustache", "Goatee")


@dataclass(frozen=True)
class Table:
    """The attribute list: the place of each attribute in a row, and the rows, a 0 or 1 for each attribute."""

    columns: Mapping[str, int]
    rows: Mapping[str, str]

    @property
    def known(self) -> tuple[str, ...]:
        """What can be asked for: "glasses" and "facial-hair", and the published attributes."""
        return (*_MADE, *(_kebab(column) for column in self.columns if column != "Eyeglasses"))

    def rule(self, attribute: str) -> Callable[[str], bool]:
        """Whether a row has the attribute, one of `known`."""
        if attribute == "glasses":
            glasses = self.columns["Eyeglasses"]
            return lambda row: row[glasses] == "1"
        if attribute == "facial-hair":
            shaved, moustache, goatee = (self.columns[name] for name in ("No_Beard", "Mustache", "Goatee"))
            return lambda row: row[shaved] == "0" or row[moustache] == "1" or row[goatee] == "1"
        (column,) = (place for name, place in self.columns.items() if _kebab(name) == attribute)
        return lambda row: row[column] == "1"


def _kebab(attribute: str) -> str:
    return attribute.lower().replace("_", "-")


def read_attributes(path: Path) -> Table:
    """The list of attributes. Raises RequestError, with the line, where it is not as published."""
    lines = _lines(path)
    count, header = lines[0].strip(), (lines[1] if len(lines) > 1 else "").split()
    if not count.isdecimal():
        raise bad_line(path, 1, f"“{count[:40]}” is not the number of pictures")
    for needed in _NEEDED:
        if needed not in header:
            raise bad_line(path, 2, f"there is no attribute {needed}")

    rows: dict[str, str] = {}
    signs = {"1", "-1"}
    for number, line in enumerate(lines[2:], start=3):
        words = line.split()
        values = words[1:]
        if len(values) != len(header):
            raise bad_line(path, number, f"{len(values)} values for {len(header)} attributes")
        if not signs.issuperset(values):
            wrong = next(value for value in values if value not in signs)
            raise bad_line(path, number, f"“{wrong[:40]}” is neither 1 nor -1")
        if words[0] in rows:
            raise bad_line(path, number, f"{words[0]} is there a second time")
        rows[words[0]] = "".join(values).replace("-1", "0")
    if len(rows) != int(count):
        raise bad_line(path, 1, f"{count} pictures are announced, but {len(rows)} are listed")
    return Table({attribute: place for place, attribute in enumerate(header)}, rows)


def read_partition(path: Path) -> "dict[str, SplitName]":
    """The split of every picture. Raises RequestError, as `read_attributes`."""
    partition: dict[str, SplitName] = {}
    for number, line in enumerate(_lines(path), start=1):
        words = line.split()
        if len(words) != 2 or words[1] not in PARTS:
            raise bad_line(path, number, f"“{line.strip()[:40]}” is not a picture's name and 0, 1 or 2")
        partition[words[0]] = PARTS[words[1]]
    return partition


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig", errors="replace").rstrip().split("\n")
    except OSError as error:
        raise unreadable(path, error) from error


def bad_line(path: Path, number: int, problem: str) -> RequestError:
    """What is wrong in that line of a list, and the way out."""
    return RequestError(f"{path}, line {number}: {problem}; take the list as CelebA's authors publish it.")


def some_of(names: Sequence[str], total: int) -> str:
    """How many pictures, of how many, and one of them."""
    return f"{len(names):,} of the {total:,} pictures (for example {names[0]})"


@dataclass(frozen=True)
class Files:
    """Where the two lists and the pictures are."""

    attributes: Path
    partition: Path
    pictures: Folder | Archive


def find(data_dir: Path) -> Files:
    """CelebA in this directory or in celeba/ in it: where most of it is. Raises RequestError."""
    if not entries(data_dir) and not data_dir.is_dir():
        raise RequestError(
            f"There is no directory {data_dir}; name CelebA's with --data-dir (or CSVAE_DATA)."
        )
    roots = [data_dir, data_dir / "celeba", data_dir / "CelebA"]
    found = [
        (_find_list(root, ATTRIBUTES), _find_list(root, PARTITION), _find_pictures(root)) for root in roots
    ]
    best = max(range(len(roots)), key=lambda place: sum(part is not None for part in found[place]))
    root, (attributes, partition, pictures) = roots[best], found[best]
    if attributes is None and partition is None and pictures is None:
        raise RequestError(
            f"There is no CelebA in {data_dir} (nor in celeba/ there): {ATTRIBUTES}, {PARTITION} and "
            f"{PICTURES}/ or {PICTURES}.zip are looked for; name its directory with --data-dir."
        )
    if attributes is None:
        raise _lacking(root, f"{ATTRIBUTES} (nor is it in Anno/ or Eval/ there)")
    if partition is None:
        raise _lacking(root, f"{PARTITION} (nor is it in Anno/ or Eval/ there)")
    if pictures is None:
        raise _lacking(root, f"{PICTURES}/ or {PICTURES}.zip (nor is it in Img/ there)")
    return Files(attributes, partition, pictures)


def _lacking(root: Path, what: str) -> RequestError:
    return RequestError(f"There is no {what} in {root}; put CelebA's there.")


def _find_list(root: Path, name: str) -> Path | None:
    folders = (root, root / "Anno", root / "Eval")
    return next((folder / name for folder in folders if name in entries(folder)), None)


def _find_pictures(root: Path) -> Folder | Archive | None:
    """A folder with pictures, else the zip; a folder without any only where there is nothing else."""
    archive, empty = None, None
    for base in (root, root / "Img"):
        found = entries(base)
        if f"{PICTURES}.zip" in found:
            archive = archive or Archive(base / f"{PICTURES}.zip", _FORM)
        if PICTURES in found:
            for folder in (base / PICTURES, base / PICTURES / PICTURES):
                pictures = Folder(folder, _FORM)
                if pictures.names:
                    return pictures
                empty = empty or pictures
    return archive or empty
