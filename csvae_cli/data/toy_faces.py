"""Faces drawn from known factors: a data set that needs no download and whose truth is known."""

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csvae_cli.data.dataset import SPLITS, Dataset, Split, SplitName
from csvae_cli.data.drawing import ATTRIBUTES, DRAWING, FACTORS, RANGES, Factors, render, style_factors
from csvae_cli.data.prepared import prepared
from csvae_cli.errors import RequestError, one_of
from csvae_cli.output import Progress


class ToyFaces:
    """A `Source` of drawn faces, 64×64×3: `count` in all (at least 10), a tenth each to validate and test.

    Every split has a seed of its own, so its faces do not depend on how many the others have.
    """

    def __init__(self, data_dir: Path | None, *, count: int = 20_000, seed: int = 0) -> None:
        del data_dir  # nothing is read
        self.count = count
        self.seed = seed

    def locate(self) -> None:
        """There is nothing to find."""

    def counts(self) -> Mapping[SplitName, tuple[int, Mapping[str, int]]]:
        return {
            name: (len(labels), dict(zip(ATTRIBUTES, labels.sum(0, dtype=int).tolist(), strict=True)))
            for name, (_, labels) in self._draw().items()
        }

    def read(self, keep: tuple[str, ...], progress: Progress) -> Dataset:
        for name in keep:
            if name in ATTRIBUTES:
                raise RequestError(f"toy-faces has labels for “{name}” anyway; leave it out of what to keep.")
            raise one_of("attribute of toy-faces", name, ATTRIBUTES)
        drawn = self._draw()
        fingerprint = sha256(f"toy-faces {DRAWING} {self.count} {self.seed}".encode()).hexdigest()
        together = {
            name: np.concatenate([factors[name] for factors, _ in drawn.values()]) for name in FACTORS
        }
        work = partial(_render_rows, together)
        pictures = prepared("toy-faces", fingerprint, self.count, (64, 64, 3), work, progress)
        splits: dict[SplitName, Split] = {}
        start = 0
        for split, (factors, labels) in drawn.items():
            names = tuple(f"toy-{split}-{row:05d}" for row in range(len(labels)))
            splits[split] = Split(pictures[start : start + len(labels)], labels, names, factors)
            start += len(labels)
        return Dataset(ATTRIBUTES, splits, fingerprint)

    def _draw(self) -> dict[SplitName, tuple[dict[str, NDArray[np.float32]], NDArray[np.int8]]]:
        tenth = self.count // 10
        sizes = (self.count - 2 * tenth, tenth, tenth)
        seeds = np.random.SeedSequence(self.seed).spawn(len(SPLITS))
        return {name: draw_factors(size, seed) for name, size, seed in zip(SPLITS, sizes, seeds, strict=True)}


def _render_rows(factors: Factors, start: int, stop: int) -> NDArray[np.uint8]:
    return render({name: values[start:stop] for name, values in factors.items()})


def draw_factors(
    count: int, seed: int | np.random.SeedSequence
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int8]]:
    """The factors of `count` faces, name -> N, and their labels N×2 (glasses, facial-hair; 1 present).

    Ranges are in `RANGES`. Labels are fair coins, independent of each other and of the person; the style
    factors of an absent attribute are NaN. Face i of a seed is the same whatever the count.
    """
    factors, labels = _draw_all(count, seed)
    return _hide_absent(factors, labels), labels


def _draw_all(
    count: int, seed: int | np.random.SeedSequence
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int8]]:
    """Factors and labels, with the styles of absent attributes too."""
    uniform = np.random.default_rng(seed).random((count, len(FACTORS) + 7)).T
    unit = dict(zip(FACTORS, uniform, strict=False))
    *poses, kind, offset, glasses, facial_hair = uniform[len(FACTORS) :]
    for name, other in zip(("yaw", "roll", "shift"), poses, strict=True):
        unit[name] = (unit[name] + other) / 2  # most people look into the camera
    unit["glasses_tint"] = _tints(unit["glasses_tint"])
    # A quarter with a moustache only, a fifth with a beard only.
    moustache, beard = unit["facial-hair_moustache"], unit["facial-hair_beard"]
    unit["facial-hair_moustache"] = np.where((kind >= 0.25) & (kind < 0.45), 0, 0.3 + 0.7 * moustache)
    unit["facial-hair_beard"] = np.where(kind < 0.25, 0, 0.15 + 0.85 * beard)
    # Near the colour of the hair, folded back where it leaves the palette.
    near = unit["hair_colour"] + 0.5 * (unit["facial-hair_colour"] - offset)
    unit["facial-hair_colour"] = 1 - np.abs(1 - np.abs(near))
    factors = {
        name: (low + (high - low) * unit[name]).astype(np.float32) for name, (low, high) in RANGES.items()
    }
    return factors, np.stack([glasses < 0.5, facial_hair < 0.5], axis=1).astype(np.int8)


def _tints(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two fifths clear (below 0.1), a quarter dark (above 0.85), the rest between."""
    return np.interp(uniform, (0, 0.4, 0.75, 1), (0, 0.1, 0.85, 1))


def _hide_absent(factors: Factors, labels: NDArray[np.int8]) -> dict[str, NDArray[np.float32]]:
    shown = dict(factors)
    for column, attribute in enumerate(ATTRIBUTES):
        for name in style_factors(attribute):
            shown[name] = np.where(labels[:, column] == 1, factors[name], np.float32(np.nan))
    return shown


def portrait(seed: int, *, glasses: bool, facial_hair: bool, size: int = 64) -> NDArray[np.uint8]:
    """One face, size×size×3: the same person with the same styles for a seed, whatever of it is shown."""
    factors, _ = _draw_all(1, seed)
    labels = np.array([[glasses, facial_hair]], np.int8)
    picture: NDArray[np.uint8] = render(_hide_absent(factors, labels), size)[0]
    return picture
