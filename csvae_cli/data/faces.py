"""Faces in a picture: found by YuNet, and brought to CelebA's frame by an aligner of our own.

Both networks' weights come with csvae (pretrained/faces/, with their origin and licence).
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from csvae_cli import runs
from csvae_cli.data.celeba_frame import EYES, SIZE, crop_box
from csvae_cli.data.places import Place, sample, upright
from models.faces import REACH, WINDOW, Aligner, FaceFinder, window_grid

WEIGHTS = Path(__file__).parent.parent / "pretrained" / "faces"

_T = TypeVar("_T")

LARGEST, SMALLEST = 1024, 160
"""Pixels along the longer side of what the finder looks at: faces of a sixtieth of a photo are still seen."""

_QUICK = 112
"""The same for a look at whether a face of half the picture's size is where it should be."""

SURE, ENOUGH = 0.9, 0.6
"""The finder's scores: upright faces have about 0.9; without a sure one, the picture is turned, too."""

_PASSES, _LOST = 3, 0.06
"""Looks of the aligner at a face, and how far the second may still move it, in sides: on faces that it sees
whole it is 0.03 at the most, behind hands often 0.1.
"""

_TOGETHER = 8
"""Pictures that a quick look takes at a time."""

_ROUGHLY = 0.2
"""How far from where it is, in sides, the finder may suppose a face's crop."""

# Where the finder's box lies on aligned pictures: its middle, right and below the crop's, and the root of its
# area, in half sides of the crop.
_BOX_MIDDLE, _BOX_SIZE = complex(0.02, 0.155), 1.354


def find(image: Image.Image) -> list[Place]:
    """The faces of an RGB picture, the largest first: the squares of CelebA's frame that models see."""
    pixels, scale = _shrunk(image, LARGEST)
    (boxes,) = _boxes(pixels[None], 0)
    if not len(boxes) or boxes[:, 4].max() < SURE:
        boxes = torch.cat([boxes, *(_boxes(pixels[None], quarters)[0] for quarters in (1, 2, 3))])
    places = [align(image, square) for square, _ in _supposed(boxes, scale)]
    return sorted(places, key=lambda place: -place.side)


def at(images: Sequence[Image.Image], places: Sequence[Place], near: float) -> list[int]:
    """How many faces a quick look finds in each picture, where the largest is at its place, else 0.

    near: how far off it may be, in sides. 0 does not say that there is no face: `find` looks closely, which
    takes several times as long.
    """
    counts = [0] * len(images)
    likely = []
    for rows in _alike([image.size for image in images]):
        shrunk = [_shrunk(images[row], _QUICK) for row in rows]
        boxes = _boxes(torch.stack(_filled([pixels for pixels, _ in shrunk])), 0)
        for row, seen, (_, scale) in zip(rows, boxes, shrunk, strict=False):
            found = _supposed(seen, scale)
            if not found:
                continue
            largest, score = max(found, key=lambda one: one[0].side)
            if score >= SURE and places[row].distance(largest) <= _ROUGHLY:
                likely.append((row, len(found)))
    for start in range(0, len(likely), _TOGETHER):
        part = _filled(likely[start : start + _TOGETHER])
        lying = _aligned([images[row] for row, _ in part], [places[row] for row, _ in part])
        for (row, count), place in zip(part, lying, strict=True):
            counts[row] = count if places[row].distance(place) < near else 0
    return counts


def align(image: Image.Image, place: Place) -> Place:
    """From where a face's crop is supposed, to where it is.

    Where the aligner is lost, as with a hand before the eyes, what was supposed is nearer.
    """
    found = place
    for look in range(_PASSES):
        before = found
        (found,) = _aligned([image], [before])
        if look == 1 and before.distance(found) > _LOST:
            return place
    return found


def from_eyes(left: complex, right: complex) -> Place:
    """The crop of the face whose eyes are there, the left one in the picture first."""
    eye, other = (complex(*point) for point in EYES)
    crop = upright(crop_box(*SIZE))
    scale = (right - left) / (other - eye)
    return Place(left + (crop.middle - eye) * scale, crop.right * scale, crop.down * scale)


@torch.no_grad()
def _aligned(images: Sequence[Image.Image], places: Sequence[Place]) -> list[Place]:
    """One look of the aligner at each."""
    points = window_grid()
    windows = [
        sample(image, place, points, round(WINDOW / REACH))
        for image, place in zip(images, places, strict=True)
    ]
    moves = _aligner()(torch.stack(windows)).tolist()
    return [
        place.moved(complex(a, b), complex(x, y)) for place, (a, b, x, y) in zip(places, moves, strict=True)
    ]


def _alike(sizes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Rows of the same size, `_TOGETHER` at most at a time."""
    groups: dict[tuple[int, int], list[int]] = {}
    for row, size in enumerate(sizes):
        groups.setdefault(size, []).append(row)
    for rows in groups.values():
        for start in range(0, len(rows), _TOGETHER):
            yield rows[start : start + _TOGETHER]


def _filled(items: list[_T]) -> list[_T]:
    """`_TOGETHER` of them, the last one again and again: so many at a time see what one sees, to the bit."""
    return items + items[-1:] * (_TOGETHER - len(items))


def _shrunk(image: Image.Image, largest: int) -> tuple[Tensor, float]:
    """What the finder looks at, 3×H×W (blue, green, red), and its scale."""
    longer = max(image.size)
    scale = min(largest / longer, max(1.0, SMALLEST / longer))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(small).copy()).flip(-1).permute(2, 0, 1).float(), scale


def _supposed(boxes: Tensor, scale: float) -> list[tuple[Place, float]]:
    """Supposed crops and scores, the surest first, no two of the same face; boxes: rows of `_boxes`."""
    found: list[tuple[Place, float]] = []
    for x, y, width, height, score, quarters in boxes[boxes[:, 4].argsort(descending=True)].tolist():
        right = math.sqrt(width * height) / _BOX_SIZE / scale * 1j**quarters
        middle = complex(x, y) / scale - _BOX_MIDDLE * right
        if all(abs(middle - other.middle) > (abs(right) + abs(other.right)) / 2 for other, _ in found):
            found.append((Place(middle, right, 1j * right), score))
    return found


@torch.no_grad()
def _boxes(pixels: Tensor, quarters: int) -> list[Tensor]:
    """What the finder sees in pictures N×3×H×W that are turned counterclockwise by quarters first.

    Of each, rows (middle x, y, width, height, score, quarters), x and y in the picture as it was.
    """
    turned = torch.rot90(pixels, quarters, (2, 3))
    height, width = turned.shape[2:]
    padded = torch.nn.functional.pad(turned, (0, -width % 32, 0, -height % 32))
    found = []
    for scores, boxes in zip(*_finder()(padded.contiguous(memory_format=torch.channels_last)), strict=True):
        seen = scores >= ENOUGH
        middle = boxes[seen, :2] - torch.tensor([width, height]) / 2
        across, down = middle.unbind(1)
        for _ in range(quarters):  # back, clockwise
            across, down = -down, across
        middle = torch.stack([across, down], 1) + torch.tensor([pixels.shape[3], pixels.shape[2]]) / 2
        score = scores[seen, None]
        found.append(torch.cat([middle, boxes[seen, 2:], score, torch.full_like(score, quarters)], 1))
    return found


@cache
def _finder() -> FaceFinder:
    network = FaceFinder()
    network.load_state_dict(runs.read_tensors(WEIGHTS / "finder.safetensors"))
    return network.eval()


@cache
def _aligner() -> Aligner:
    network = Aligner()
    network.load_state_dict(runs.read_tensors(WEIGHTS / "aligner.safetensors"))
    return network.eval()
