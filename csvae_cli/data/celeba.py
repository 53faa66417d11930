"""CelebA (Liu et al. 2015) from its official files, and the paper's three subsets of it.

Only `read` imports numpy and Pillow: to list and to count the pictures takes neither.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from csvae_cli.data.celeba_files import (
    ATTRIBUTES,
    PARTITION,
    PARTS,
    PICTURES,
    Files,
    Table,
    bad_line,
    find,
    read_attributes,
    read_partition,
    some_of,
)
from csvae_cli.data.celeba_frame import crop_box
from csvae_cli.data.picture_files import Archive, Folder, opened
from csvae_cli.errors import RequestError, one_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from csvae_cli.data.dataset import Dataset, SplitName
    from csvae_cli.output import Progress

# What the paper's subsets are made by: rows without the attribute for each row with it (else one).
_WITHOUT = {"glasses": 2}

_PREPARATION = "1"  # change it with anything that changes a crop of CelebA's own pictures


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
                f"{some_of(missing, len(self._table.rows))} of {files.attributes} are not in "
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

        from csvae_cli.data.dataset import Dataset, Split, fingerprint
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
        return Dataset(attributes, splits, fingerprint(key, attributes, splits, labels))

    @property
    def further(self) -> tuple[str, ...]:
        """The labels that can be given besides the data set's own. Raises RequestError."""
        return tuple(name for name in self._table.known if name not in self.attributes)

    @cached_property
    def _files(self) -> Files:
        if self.data_dir is None:
            raise RequestError(
                f"{self.name} needs CelebA: name its directory, with {ATTRIBUTES}, {PARTITION} and "
                f"{PICTURES}/ or {PICTURES}.zip in it, with --data-dir DIR (or CSVAE_DATA)."
            )
        return find(self.data_dir)

    @cached_property
    def _table(self) -> Table:
        table = read_attributes(self._files.attributes)
        for attribute in self.attributes:
            if attribute not in table.known:
                raise bad_line(self._files.attributes, 2, f"there is no attribute {attribute}")
        return table

    @cached_property
    def _chosen(self) -> "Mapping[SplitName, tuple[str, ...]]":
        partition = read_partition(self._files.partition)
        missing = [name for name in self._table.rows if name not in partition]
        if missing:
            raise RequestError(
                f"{self._files.partition} lacks {some_of(missing, len(self._table.rows))} of "
                f"{self._files.attributes}; take both from the same CelebA."
            )
        names: dict[SplitName, list[str]] = {split: [] for split in PARTS.values()}
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
            attributes += (name,)
        return attributes

    def _key(self, names: Sequence[str]) -> str:
        """Changes with anything that the pictures are made from, and with nothing else."""
        digest = sha256(f"celeba {_PREPARATION} {self.size}\n".encode())
        for name in names:
            digest.update(f"{name} {self._files.pictures.stamp(name)}\n".encode())
        return digest.hexdigest()


def _crops(
    pictures: Folder | Archive, names: Sequence[str], size: int, start: int, stop: int
) -> "NDArray[np.uint8]":
    """The pictures with these names from start to stop, cropped: uint8 n×size×size×3. Raises WorkError."""
    import numpy as np

    return np.stack([_crop(pictures, name, size) for name in names[start:stop]])


def _crop(pictures: Folder | Archive, name: str, size: int) -> "NDArray[np.uint8]":
    import numpy as np
    from PIL import Image, ImageOps

    with opened(pictures, name) as picture:
        picture.load()  # its errors are to be heard
        with suppress(Exception):  # EXIF is written by anybody; published pictures have none
            ImageOps.exif_transpose(picture, in_place=True)
        box = crop_box(*picture.size)
        small = picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC, box)
    return np.asarray(small)
