"""CelebA (Liu et al. 2015) from its official files, and the paper's three subsets of it.

Only `read` imports numpy and Pillow: to list and to count the pictures takes neither.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from csvae_cli.data.picture_files import Archive, Folder, Form, entries, unreadable
from csvae_cli.errors import RequestError, WorkError, one_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from csvae_cli.data.dataset import Dataset, SplitName
    from csvae_cli.output import Progress

_ATTRIBUTES = "list_attr_celeba.txt"
_PARTITION = "list_eval_partition.txt"
_PICTURES = "img_align_celeba"
_FORM = Form((".jpg",))

_PARTS: Mapping[str, "SplitName"] = {"0": "train", "1": "valid", "2": "test"}

# What the paper's subsets are made by: rows without the attribute for each row with it (else one).
_WITHOUT = {"glasses": 2, "facial-hair": 1}
_NEEDED = ("Eyeglasses", "No_Beard", "Mustache", "Goatee")

_PREPARATION = "1"  # change it with anything that changes a crop: prepared pictures are found by it


def crop_box(width: int, height: int) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) in pixels of the square that is kept of an aligned picture of that size.

    Of the published 178×218 it is the central 148×148, columns 15–163 and rows 40–188; of other sizes the
    same part, which may end between pixels.
    """
    return 15 * width / 178, 40 * height / 218, 163 * width / 178, 188 * height / 218


class CelebA:
    """A `Source` of the pictures with the attributes, and of others without, size×size×3.

    attributes: "glasses", "facial-hair" or published ones, spelled like "wearing-hat". For each, every
    picture with it and, drawn at random but always alike, twice (glasses) or once (all others) as many
    without; in every official split by itself. Rows are in the order of the file names. everyone: all
    pictures instead.
    """

    def __init__(
        self,
        data_dir: Path | None,
        *,
        attributes: tuple[str, ...],
        everyone: bool = False,
        size: int = 64,
    ) -> None:
        self.data_dir = data_dir
        self.attributes = attributes
        self.everyone = everyone
        self.size = size
        # Everyone is everyone, whatever is asked about them: one set of prepared pictures for all.
        self.name = "celeba" if everyone else f"celeba-{'-'.join(attributes)}"

    def locate(self) -> None:
        """Check that the files are there and agree. Raises RequestError."""
        files = self._files
        there = files.pictures.names
        if not there:
            raise RequestError(f"There are no pictures (.jpg) in {files.pictures.path}; put CelebA's there.")
        missing = [name for name in self._table.rows if name not in there]
        if missing:
            raise RequestError(
                f"{_some(missing, len(self._table.rows))} of {files.attributes} are not in "
                f"{files.pictures.path}; complete it, or name whole data with --data-dir."
            )
        for split in self._chosen:
            for attribute in self.attributes:
                self._check_classes(split, attribute)

    def counts(self) -> "Mapping[SplitName, tuple[int, Mapping[str, int]]]":
        """For each split its size and the number of positives of each attribute; reads the lists only."""
        return {
            split: (
                len(names),
                {attribute: self._positives(names, attribute) for attribute in self.attributes},
            )
            for split, names in self._chosen.items()
        }

    def read(self, keep: tuple[str, ...], progress: "Progress") -> "Dataset":
        """The three splits, pictures mapped from the cache of prepared ones.

        keep: "glasses", "facial-hair" or any other CelebA attribute, spelled like "wearing-hat". Raises
        RequestError for other names and for data that does not fit, WorkError for a picture that cannot be
        decoded or a cache that cannot be written.
        """
        import numpy as np

        from csvae_cli.data.dataset import Dataset, Split
        from csvae_cli.data.prepared import prepared

        self.locate()
        attributes = self._with_kept(keep)
        names = tuple(chain.from_iterable(self._chosen.values()))
        key = self._key(names)
        x = prepared(
            f"{self.name}-{self.size}",
            key,
            len(names),
            (self.size, self.size, 3),
            partial(_crops, self._files.pictures, names, self.size),
            progress,
        )
        rules = [self._table.rule(attribute) for attribute in attributes]
        rows = (self._table.rows[name] for name in names)
        labels = np.array([[rule(row) for rule in rules] for row in rows], np.int8)

        splits: dict[SplitName, Split] = {}
        start = 0
        for split, chosen in self._chosen.items():
            stop = start + len(chosen)
            splits[split] = Split(x[start:stop], labels[start:stop], chosen)
            start = stop
        fingerprint = sha256(f"{key} {attributes}".encode() + labels.tobytes()).hexdigest()
        return Dataset(attributes, splits, fingerprint)

    @property
    def further(self) -> tuple[str, ...]:
        """The labels that can be given besides the data set's own. Raises RequestError."""
        return tuple(name for name in self._table.known if name not in self.attributes)

    @cached_property
    def _files(self) -> "_Files":
        if self.data_dir is None:
            raise RequestError(
                f"{self.name} needs CelebA: name its directory, with {_ATTRIBUTES}, {_PARTITION} and "
                f"{_PICTURES}/ or {_PICTURES}.zip in it, with --data-dir DIR (or CSVAE_DATA)."
            )
        return _find(self.data_dir)

    @cached_property
    def _table(self) -> "_Table":
        table = _read_attributes(self._files.attributes)
        for attribute in self.attributes:
            if attribute not in table.known:
                raise _bad_line(self._files.attributes, 2, f"there is no attribute {attribute}")
        return table

    @cached_property
    def _chosen(self) -> "Mapping[SplitName, tuple[str, ...]]":
        partition = _read_partition(self._files.partition)
        missing = [name for name in self._table.rows if name not in partition]
        if missing:
            raise RequestError(
                f"{self._files.partition} lacks {_some(missing, len(self._table.rows))} of "
                f"{self._files.attributes}; take both from the same CelebA."
            )
        names: dict[SplitName, list[str]] = {split: [] for split in _PARTS.values()}
        for name in self._table.rows:
            names[partition[name]].append(name)
        return {split: self._choose(split, members) for split, members in names.items()}

    def _choose(self, split: "SplitName", names: Sequence[str]) -> tuple[str, ...]:
        if self.everyone:
            return tuple(sorted(names))
        chosen: set[str] = set()
        for attribute in self.attributes:
            rule = self._table.rule(attribute)
            present = {name for name in names if rule(self._table.rows[name])}
            absent = [name for name in names if name not in present]
            # In an order that looks random and depends on nothing but these words.
            absent.sort(key=lambda name: sha256(f"{attribute} {split} {name}".encode()).digest())
            chosen |= present
            chosen.update(absent[: _WITHOUT.get(attribute, 1) * len(present)])
        return tuple(sorted(chosen))

    def _positives(self, names: Iterable[str], attribute: str) -> int:
        rule = self._table.rule(attribute)
        return sum(rule(self._table.rows[name]) for name in names)

    def _check_classes(self, split: "SplitName", attribute: str) -> None:
        names = self._chosen[split]
        positives = self._positives(names, attribute)
        if positives in (0, len(names)):
            kind = "without" if positives else "with"
            raise RequestError(
                f"Of {self._files.attributes} the {split} split has no pictures {kind} {attribute}, so there "
                f"is nothing to learn it from; use more of CelebA."
            )

    def _with_kept(self, keep: tuple[str, ...]) -> tuple[str, ...]:
        known = self._table.known
        attributes = self.attributes
        for name in keep:
            if name not in known:
                raise one_of("attribute", name, known)
            if name in attributes:
                raise RequestError(f"The attribute “{name}” has a subspace already; name it once only.")
            self._check_classes("train", name)
            attributes += (name,)
        return attributes

    def _key(self, names: Sequence[str]) -> str:
        """Changes with anything that the pictures are made from, and with nothing else."""
        digest = sha256(f"celeba {_PREPARATION} {self.size}\n".encode())
        for name in names:
            digest.update(f"{name} {self._files.pictures.stamp(name)}\n".encode())
        return digest.hexdigest()


# The lists.


@dataclass(frozen=True)
class _Table:
    """The attribute list: the place of each attribute in a row, and the rows, a 0 or 1 for each attribute."""

    columns: Mapping[str, int]
    rows: Mapping[str, str]

    @property
    def known(self) -> tuple[str, ...]:
        """What can be asked for: "glasses" and "facial-hair", and the published attributes."""
        return (*_WITHOUT, *(_kebab(column) for column in self.columns if column != "Eyeglasses"))

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


def _read_attributes(path: Path) -> _Table:
    lines = _lines(path)
    count, header = lines[0].strip(), (lines[1] if len(lines) > 1 else "").split()
    if not count.isdecimal():
        raise _bad_line(path, 1, f"“{count[:40]}” is not the number of pictures")
    for needed in _NEEDED:
        if needed not in header:
            raise _bad_line(path, 2, f"there is no attribute {needed}")

    rows: dict[str, str] = {}
    signs = {"1", "-1"}
    for number, line in enumerate(lines[2:], start=3):
        words = line.split()
        values = words[1:]
        if len(values) != len(header):
            raise _bad_line(path, number, f"{len(values)} values for {len(header)} attributes")
        if not signs.issuperset(values):
            wrong = next(value for value in values if value not in signs)
            raise _bad_line(path, number, f"“{wrong[:40]}” is neither 1 nor -1")
        if words[0] in rows:
            raise _bad_line(path, number, f"{words[0]} is there a second time")
        rows[words[0]] = "".join(values).replace("-1", "0")
    if len(rows) != int(count):
        raise _bad_line(path, 1, f"{count} pictures are announced, but {len(rows)} are listed")
    return _Table({attribute: place for place, attribute in enumerate(header)}, rows)


def _read_partition(path: Path) -> "dict[str, SplitName]":
    partition: dict[str, SplitName] = {}
    for number, line in enumerate(_lines(path), start=1):
        words = line.split()
        if len(words) != 2 or words[1] not in _PARTS:
            raise _bad_line(path, number, f"“{line.strip()[:40]}” is not a picture's name and 0, 1 or 2")
        partition[words[0]] = _PARTS[words[1]]
    return partition


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").rstrip().split("\n")
    except OSError as error:
        raise unreadable(path, error) from error


def _bad_line(path: Path, number: int, problem: str) -> RequestError:
    return RequestError(f"{path}, line {number}: {problem}; take the list as CelebA's authors publish it.")


def _some(names: Sequence[str], total: int) -> str:
    return f"{len(names):,} of the {total:,} pictures (for example {names[0]})"


# The files.


@dataclass(frozen=True)
class _Files:
    attributes: Path
    partition: Path
    pictures: Folder | Archive


def _find(data_dir: Path) -> _Files:
    """CelebA in this directory or in celeba/ in it: where most of it is. Raises RequestError."""
    if not entries(data_dir) and not data_dir.is_dir():
        raise RequestError(
            f"There is no directory {data_dir}; name CelebA's with --data-dir (or CSVAE_DATA)."
        )
    roots = [data_dir, data_dir / "celeba", data_dir / "CelebA"]
    found = [
        (_find_list(root, _ATTRIBUTES), _find_list(root, _PARTITION), _find_pictures(root)) for root in roots
    ]
    best = max(range(len(roots)), key=lambda place: sum(part is not None for part in found[place]))
    root, (attributes, partition, pictures) = roots[best], found[best]
    if attributes is None and partition is None and pictures is None:
        raise RequestError(
            f"There is no CelebA in {data_dir} (nor in celeba/ there): {_ATTRIBUTES}, {_PARTITION} and "
            f"{_PICTURES}/ or {_PICTURES}.zip are looked for; name its directory with --data-dir."
        )
    if attributes is None:
        raise _lacking(root, f"{_ATTRIBUTES} (nor is it in Anno/ or Eval/ there)")
    if partition is None:
        raise _lacking(root, f"{_PARTITION} (nor is it in Anno/ or Eval/ there)")
    if pictures is None:
        raise _lacking(root, f"{_PICTURES}/ or {_PICTURES}.zip (nor is it in Img/ there)")
    return _Files(attributes, partition, pictures)


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
        if f"{_PICTURES}.zip" in found:
            archive = archive or Archive(base / f"{_PICTURES}.zip", _FORM)
        if _PICTURES in found:
            for folder in (base / _PICTURES, base / _PICTURES / _PICTURES):
                pictures = Folder(folder, _FORM)
                if pictures.names:
                    return pictures
                empty = empty or pictures
    return archive or empty


# The pictures.


def _crops(
    pictures: Folder | Archive, names: Sequence[str], size: int, start: int, stop: int
) -> "NDArray[np.uint8]":
    """The pictures with these names from start to stop, cropped: uint8 n×size×size×3. Raises WorkError."""
    import numpy as np

    return np.stack([_crop(pictures, name, size) for name in names[start:stop]])


def _crop(pictures: Folder | Archive, name: str, size: int) -> "NDArray[np.uint8]":
    import numpy as np
    from PIL import Image

    try:
        with Image.open(BytesIO(pictures.content(name))) as picture:
            box = crop_box(*picture.size)
            small = picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC, box)
    except Exception as error:  # what Pillow and zipfile raise on damaged data is of many kinds
        raise WorkError(
            f"{name} in {pictures.path} is damaged or not a picture; replace it by the published one."
        ) from error
    return np.asarray(small)
