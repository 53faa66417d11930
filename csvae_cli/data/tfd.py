"""The Toronto Face Database (Susskind et al. 2010): grey 48×48 faces, of which few are labelled.

As the paper does it, a classifier that learned from the labelled pictures labels the others where it is sure.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from csvae_cli.data.dataset import SPLITS, UNKNOWN, Dataset, Split, SplitName
from csvae_cli.data.expressions import (
    SIZE,
    WITH_NEUTRAL,
    Counts,
    Home,
    check_classes,
    one_hot,
    refuse_to_keep,
)
from csvae_cli.data.picture_files import entries, unreadable
from csvae_cli.data.prepared import cache_root, prepared
from csvae_cli.errors import RequestError
from csvae_cli.output import Progress

_FILE = "TFD_48x48.mat"
_HOME = Home("tfd", "TFD", "tfd", _FILE)

# What 1 … 7 mean in labs_ex.
_NUMBERED = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")

_NUMERIC = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "single", "double")

SURE = 0.9
_LABELLING = "1"  # change it with anything that changes what the classifier says: its labels are found by it
_CHUNK = 512


class Tfd:
    """A `Source` of the pictures with a label, given or learned, 48×48×1; 80, 10 and 10 % in the splits.

    Given labels and learned ones are split alike, each expression too. The split is at random, not by person:
    most pictures say nothing of who is shown. epochs: of the classifier; seed: of it and of the split.

    The classifier runs on the CPU whatever else there is, so that its labels depend on the machine as little
    as can be; they are kept in the cache.
    """

    def __init__(self, data_dir: Path | None, *, epochs: int = 20, seed: int = 0) -> None:
        self.data_dir = data_dir
        self.epochs = epochs
        self.seed = seed

    def locate(self) -> None:
        """Check that the file is there and fits together; reads no picture. Raises RequestError."""
        given, _ = self._given, self._people
        if (known := int((given != UNKNOWN).sum())) < 2:
            raise self._wrong(f"{known} of the pictures have a label in labs_ex, too few to learn from")
        for place, attribute in enumerate(WITH_NEUTRAL):
            if not (given == place).any():
                number = _NUMBERED.index(attribute) + 1
                raise self._wrong(f"no picture is labelled {attribute} ({number} in labs_ex)")

    def counts(self) -> Counts:
        """For each split its size and the number of pictures of each expression.

        Of the pictures with a given label only, as long as the others have not been labelled by `read`.
        """
        labels = _stored(self._labels_path, self._given)
        return self._count(self._given if labels is None else labels)

    def read(self, keep: tuple[str, ...], progress: Progress) -> Dataset:
        """The three splits, the pictures in memory.

        The first time it takes minutes: the classifier learns. Raises RequestError for anything to keep and
        for a file that does not fit, WorkError for a cache that cannot be written.
        """
        refuse_to_keep(_HOME.name, keep, WITH_NEUTRAL)
        self.locate()
        count = len(self._given)
        # In one piece: the file is read once, and not by each worker.
        work = partial(_pictures, self._path)
        key = hashlib.sha256(f"tfd {self._digest}".encode()).hexdigest()
        pictures = prepared(f"tfd-{SIZE}", key, count, (SIZE, SIZE, 1), work, progress, chunk=count)
        labels = _stored(self._labels_path, self._given)
        if labels is None:
            labels = _labelled(pictures, self._given, self.epochs, self.seed, progress)
            _store(self._labels_path, labels)
        check_classes(self._count(labels), self._path, _HOME.title)

        splits = {
            split: Split(
                np.asarray(pictures[rows]),
                one_hot([WITH_NEUTRAL[place] for place in labels[rows]], WITH_NEUTRAL),
                tuple(f"row-{row + 1:06d}" for row in rows),  # from 1, as in MATLAB
                identities=tuple(self._people[row] for row in rows),
            )
            for split, rows in self._split(labels).items()
        }
        fingerprint = hashlib.sha256(f"{key} {self.seed} {WITH_NEUTRAL}".encode() + labels.tobytes())
        return Dataset(WITH_NEUTRAL, splits, fingerprint.hexdigest(), exclusive=True)

    def _split(self, labels: NDArray[np.int8]) -> dict[SplitName, list[int]]:
        """The rows of each split. labels: N, −1 for rows that are left out.

        Of the rows in order of expression, and at random within it, every tenth validates and every tenth
        tests: then no split has more of one than another.
        """
        rows: dict[SplitName, list[int]] = {split: [] for split in SPLITS}
        order = np.flatnonzero(labels != UNKNOWN).tolist()
        order.sort(key=lambda row: (labels[row], self._draw(row)))
        is_given = self._given != UNKNOWN
        for chosen in (True, False):
            for place, row in enumerate(row for row in order if is_given[row] == chosen):
                rows["valid" if place % 10 == 3 else "test" if place % 10 == 7 else "train"].append(row)
        return {split: sorted(members) for split, members in rows.items()}

    def _draw(self, row: int) -> bytes:
        return hashlib.sha256(f"tfd {self.seed} {row}".encode()).digest()

    def _count(self, labels: NDArray[np.int8]) -> Counts:
        return {
            split: (
                len(rows),
                {name: int((labels[rows] == place).sum()) for place, name in enumerate(WITH_NEUTRAL)},
            )
            for split, rows in self._split(labels).items()
        }

    @cached_property
    def _path(self) -> Path:
        for root in _HOME.roots(self.data_dir):
            if _FILE in entries(root):
                return root / _FILE
        raise _HOME.missing(self.data_dir)

    @cached_property
    def _digest(self) -> str:
        try:
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise unreadable(self._path, error) from error

    @property
    def _labels_path(self) -> Path:
        settings = f"tfd labels {_LABELLING} {self.epochs} {self.seed} {SURE} {self._digest}"
        return cache_root() / f"tfd-labels-{hashlib.sha256(settings.encode()).hexdigest()[:16]}.npy"

    @cached_property
    def _count_of_pictures(self) -> int:
        shape, kind = _variables(self._path).get("images", ((), ""))
        if not kind:
            raise self._wrong("there is no variable images")
        if len(shape) != 3 or shape[1:] != (SIZE, SIZE) or kind != "uint8" or not shape[0]:
            raise self._wrong(f"images is {_times(shape)} {kind} instead of N×{SIZE}×{SIZE} uint8")
        return shape[0]

    @cached_property
    def _given(self) -> NDArray[np.int8]:
        """N, the places in `WITH_NEUTRAL` that labs_ex names, −1 for none."""
        numbers = self._column("labs_ex")
        allowed = {UNKNOWN, *range(1, len(_NUMBERED) + 1)}
        odd = sorted(set(numbers.tolist()) - allowed)
        if odd:
            raise self._wrong(f"labs_ex has the value {odd[0]}, which is neither −1 nor a number from 1 to 7")
        places = np.array([UNKNOWN, *(WITH_NEUTRAL.index(name) for name in _NUMBERED)], np.int8)
        return places[np.maximum(numbers, 0)]

    @cached_property
    def _people(self) -> list[str]:
        return ["" if person == UNKNOWN else str(person) for person in self._column("labs_id").tolist()]

    def _column(self, name: str) -> NDArray[np.int64]:
        """A variable N×1 of whole numbers, as N. Raises RequestError."""
        count = self._count_of_pictures
        shape, kind = _variables(self._path).get(name, ((), ""))
        if not kind:
            raise self._wrong(f"there is no variable {name}")
        if shape != (count, 1) or kind not in _NUMERIC:
            raise self._wrong(f"{name} is {_times(shape)} {kind} instead of {count}×1 numbers")
        values = _load(self._path, name)[:, 0]
        with np.errstate(invalid="ignore"):  # of NaN no number is made, and it is not equal to any
            numbers = values.astype(np.int64)
        if not (numbers == values).all():
            raise self._wrong(f"{name} holds something else than whole numbers")
        return numbers

    def _wrong(self, problem: str) -> RequestError:
        return RequestError(f"{self._path}: {problem}; take the file as TFD's authors give it.")


# The file.


def _variables(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The shape and the type of each variable, without reading any. Raises RequestError."""
    from scipy.io import whosmat

    return {name: (tuple(shape), kind) for name, shape, kind in _read(path, whosmat)}


def _load(path: Path, name: str) -> NDArray[Any]:
    from scipy.io import loadmat

    values: NDArray[Any] = _read(path, partial(loadmat, variable_names=[name]))[name]
    return values


def _read(path: Path, reader: Callable[[BinaryIO], Any]) -> Any:
    """What reader, of scipy, makes of the file; whatever goes wrong in it is a RequestError."""
    try:
        with path.open("rb") as file:
            return reader(file)
    except NotImplementedError as error:  # scipy leaves HDF5, which is what 7.3 is, to others
        raise RequestError(
            f"{path} is in the format of MATLAB 7.3, which is not read; save it with save('-v7') in MATLAB."
        ) from error
    except Exception as error:  # what scipy raises on damaged files is of many kinds
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not scipy's
            raise unreadable(path, error) from error
        raise RequestError(f"{path} is not a whole .mat file; copy or download it again.") from error


def _pictures(path: Path, start: int, stop: int) -> NDArray[np.uint8]:
    """The rows from start to stop, n×48×48×1."""
    pictures: NDArray[np.uint8] = _load(path, "images")[start:stop, :, :, None]
    return pictures


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


# Labels for those that have none.


def _labelled(
    pictures: NDArray[np.uint8], given: NDArray[np.int8], epochs: int, seed: int, progress: Progress
) -> NDArray[np.int8]:
    """N, the given labels and, where there is none, the one that a classifier is `SURE` of, else −1.

    pictures: N×48×48×1; given: N, places in `WITH_NEUTRAL`, −1 for none.
    """
    import torch

    from csvae_cli.data.batches import from_pictures
    from models.judge import fit_judge

    def x(rows: NDArray[np.int64]) -> torch.Tensor:
        return from_pictures(torch.from_numpy(np.asarray(pictures[rows])))

    known = np.flatnonzero(given != UNKNOWN)
    y = torch.from_numpy(one_hot([WITH_NEUTRAL[place] for place in given[known]], WITH_NEUTRAL))
    judge = fit_judge(
        lambda index: x(known[index.numpy()]),
        y,
        (1, SIZE, SIZE),
        exclusive=True,
        epochs=epochs,
        seed=seed,
        progress=partial(progress, "Learning to label tfd"),
    )
    labels = given.copy()
    unknown = np.flatnonzero(given == UNKNOWN)
    for start in range(0, len(unknown), _CHUNK):
        rows = unknown[start : start + _CHUNK]
        surest, place = judge.probabilities(x(rows)).max(1)
        labels[rows] = torch.where(surest >= SURE, place, UNKNOWN).to(torch.int8).numpy()
        progress("Labelling tfd", start + len(rows), len(unknown))
    return labels


def _stored(path: Path, given: NDArray[np.int8]) -> NDArray[np.int8] | None:
    """The labels that were stored there, None where there are none or they are not whole."""
    try:
        labels: NDArray[np.int8] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    known = given != UNKNOWN
    fits = labels.dtype == np.int8 and labels.shape == given.shape and (labels[known] == given[known]).all()
    return labels if fits and labels.min() >= UNKNOWN and labels.max() < len(WITH_NEUTRAL) else None


def _store(path: Path, labels: NDArray[np.int8]) -> None:
    """Raises WorkError."""
    from csvae_cli.runs import write

    buffer = BytesIO()
    np.save(buffer, labels, allow_pickle=False)
    write(path, buffer.getvalue())
