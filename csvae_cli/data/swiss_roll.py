"""The swiss roll of the paper's Figure 2: points in space, cut in two labelled halves."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from csvae_cli.data.dataset import SPLITS, Dataset, Split, SplitName
from csvae_cli.errors import RequestError
from csvae_cli.output import Progress

Cut = Literal["along", "across"]


class SwissRoll:
    """A `Source` of points N×3, standardised by the training points.

    cut: "along" labels the outer half of the spiral 1, "across" the upper half of the roll's width.
    """

    def __init__(self, data_dir: Path | None, *, cut: Cut, count: int = 10_000, seed: int = 0) -> None:
        del data_dir  # nothing is read
        self.cut = cut
        self.count = count
        self.seed = seed

    def locate(self) -> None:
        """There is nothing to find."""

    def counts(self) -> Mapping[SplitName, tuple[int, Mapping[str, int]]]:
        return {name: (size, {"half": size // 2}) for name, size in self._sizes().items()}

    def read(self, keep: tuple[str, ...], progress: Progress) -> Dataset:  # noqa: ARG002 (it takes no time)
        from sklearn.datasets import make_swiss_roll

        if keep:
            raise RequestError(f"swiss-roll has no attribute “{keep[0]}” to keep; it has only half.")
        points, spiral = make_swiss_roll(self.count, noise=0.0, random_state=self.seed)
        position = spiral if self.cut == "along" else points[:, 1]
        labels = (position > np.median(position)).astype(np.int8)[:, None]
        sizes = self._sizes()
        train = points[: sizes["train"]]
        points = ((points - train.mean(0)) / train.std(0)).astype(np.float32)

        splits: dict[SplitName, Split] = {}
        start = 0
        for name, size in sizes.items():
            rows = slice(start, start + size)
            names = tuple(f"{name}-{row:05d}" for row in range(size))
            splits[name] = Split(
                points[rows], labels[rows], names, {"spiral": spiral[rows].astype(np.float32)}
            )
            start += size
        recipe = f"swiss-roll 1 {self.cut} {self.count} {self.seed}"
        return Dataset(("half",), splits, hashlib.sha256(recipe.encode()).hexdigest())

    def _sizes(self) -> dict[SplitName, int]:
        tenth = self.count // 10
        return dict(zip(SPLITS, (self.count - 2 * tenth, tenth, tenth), strict=True))
