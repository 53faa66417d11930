"""The swiss roll of the paper's Figure 2: points in space, cut in two labelled halves."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csvae_cli.data.dataset import SPLITS, Dataset, Split, SplitName
from csvae_cli.errors import RequestError
from csvae_cli.output import Progress

Cut = Literal["along", "across"]

_COUNT, _HELD, _SEED = 10_000, 1_000, 0
"""Points in all, and in each of validation and test."""


class SwissRoll:
    """A `Source` of points N×3, standardised by the training points.

    cut: "along" labels the outer half of the spiral 1, "across" the upper half of the roll's width.
    """

    def __init__(self, data_dir: Path | None, *, cut: Cut) -> None:
        del data_dir  # nothing is read
        self.cut = cut

    def locate(self) -> None:
        """There is nothing to find."""

    def counts(self) -> Mapping[SplitName, tuple[int, Mapping[str, int]]]:
        _, labels = self._roll()
        return {name: (len(labels[rows]), {"half": int(labels[rows].sum())}) for name, rows in self._rows()}

    def read(self, keep: tuple[str, ...], progress: Progress) -> Dataset:  # noqa: ARG002 (it takes no time)
        if keep:
            raise RequestError(f"swiss-roll has no attribute “{keep[0]}” to keep; it has only half.")
        points, labels = self._roll()
        splits: dict[SplitName, Split] = {}
        for name, rows in self._rows():
            names = tuple(f"{name}-{row:05d}" for row in range(len(labels[rows])))
            splits[name] = Split(points[rows], labels[rows], names)
        recipe = f"swiss-roll 1 {self.cut} {_COUNT} {_SEED}"
        return Dataset(("half",), splits, hashlib.sha256(recipe.encode()).hexdigest())

    def _roll(self) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """Points N×3, labels N×1; scikit-learn's `make_swiss_roll`."""
        draw = np.random.RandomState(_SEED)
        spiral = 1.5 * np.pi * (1 + 2 * draw.uniform(size=_COUNT))
        width = 21 * draw.uniform(size=_COUNT)
        points = np.stack([spiral * np.cos(spiral), width, spiral * np.sin(spiral)], axis=1)
        position = spiral if self.cut == "along" else width
        labels = (position > np.median(position)).astype(np.int8)[:, None]
        train = points[: _COUNT - 2 * _HELD]
        return ((points - train.mean(0)) / train.std(0)).astype(np.float32), labels

    def _rows(self) -> Iterator[tuple[SplitName, slice]]:
        ends = (0, _COUNT - 2 * _HELD, _COUNT - _HELD, _COUNT)
        return zip(SPLITS, map(slice, ends, ends[1:]), strict=True)
