"""Faces in a picture: found by YuNet, and brought to CelebA's frame by an aligner of our own.

Both networks' weights come with csvae (pretrained/faces/, with their origin and licence).
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from csvae_cli import runs
from csvae_cli.data.places import Place, sample
from models.faces import REACH, WINDOW, Aligner, FaceFinder, window_grid

WEIGHTS = Path(__file__).parent.parent / "pretrained" / "faces"

LARGEST, SMALLEST = 1024, 160
"""Pixels along the longer side of what the finder looks at: faces of a sixtieth of a photo are still seen."""

_QUICK = 112
"""The same for a look at whether a face of half the picture's size is where it should be."""

SURE, ENOUGH = 0.9, 0.6
"""The finder's scores: upright faces have about 0.9; without a sure one, the picture is turned, too."""

_PASSES = 3

_ROUGHLY = 0.2
"""How far from where it is, in sides, the finder may suppose a face's crop."""

# Where the finder's box lies on aligned pictures: its middle, right and below the crop's, and the root of its
# area, in half sides of the crop.
_BOX_MIDDLE, _BOX_SIZE = complex(0.02, 0.155), 1.354

# The eyes in the frame of 178×218, and the crop's middle and half side there.
_LEFT_EYE, _RIGHT_EYE = complex(69.6, 111.7), complex(108.6, 111.6)
_MIDDLE, _HALF = complex(89, 114), 74


@dataclass(frozen=True)
class Face:
    """place: the square of CelebA's frame that models are trained on; score: the finder's, 0 to 1."""

    place: Place
    score: float


def find(image: Image.Image) -> list[Face]:
    """The faces of an RGB picture, the largest first."""
    faces = []
    for square, score in _find(image, LARGEST, turned=True):
        faces.append(Face(align(image, square), score))
    faces.sort(key=lambda face: -face.place.side)
    return faces


def at(image: Image.Image, place: Place, near: float) -> int:
    """How many faces a quick look finds, where the largest lies at `place`, `near` sides off at most; else 0.

    0 does not say that there is no face: `find` looks closely, which takes several times as long.
    """
    found = _find(image, _QUICK, turned=False)
    if not found:
        return 0
    largest, score = max(found, key=lambda one: one[0].side)
    if score < SURE or place.distance(largest) > _ROUGHLY:
        return 0
    return len(found) if place.distance(align(image, place, passes=1)) < near else 0


@torch.no_grad()
def align(image: Image.Image, place: Place, passes: int = _PASSES) -> Place:
    """From where a face's crop is supposed, to where it is."""
    points = window_grid()
    for _ in range(passes):
        window = sample(image, place, points, round(WINDOW / REACH))
        a, b, x, y = _aligner()(window[None])[0].tolist()
        place = place.moved(complex(a, b), complex(x, y))
    return place


def from_eyes(left: complex, right: complex) -> Place:
    """The crop of the face whose eyes are there, the left one in the picture first."""
    scale = (right - left) / (_RIGHT_EYE - _LEFT_EYE)
    half = _HALF * scale
    return Place(left + (_MIDDLE - _LEFT_EYE) * scale, half, 1j * half)


@torch.no_grad()
def _find(image: Image.Image, largest: int, *, turned: bool) -> list[tuple[Place, float]]:
    """Supposed crops and scores, no two of the same face; turned: where no face is sure, the picture is."""
    longer = max(image.size)
    scale = min(largest / longer, max(1.0, SMALLEST / longer))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.asarray(small).copy()).flip(-1).permute(2, 0, 1)[None].float()
    boxes = _boxes(pixels, 0)
    if turned and (not len(boxes) or boxes[:, 4].max() < SURE):
        boxes = torch.cat([boxes, *(_boxes(pixels, quarters) for quarters in (1, 2, 3))])
    found: list[tuple[Place, float]] = []
    for x, y, width, height, score, quarters in boxes[boxes[:, 4].argsort(descending=True)].tolist():
        right = math.sqrt(width * height) / _BOX_SIZE / scale * 1j**quarters
        middle = complex(x, y) / scale - _BOX_MIDDLE * right
        if all(abs(middle - other.middle) > (abs(right) + abs(other.right)) / 2 for other, _ in found):
            found.append((Place(middle, right, 1j * right), score))
    return found


def _boxes(pixels: Tensor, quarters: int) -> Tensor:
    """What the finder sees in a picture 1×3×H×W that is turned counterclockwise by quarters first.

    Rows (middle x, y, width, height, score, quarters), x and y in the picture as it was.
    """
    turned = torch.rot90(pixels, quarters, (2, 3))
    height, width = turned.shape[2:]
    padded = torch.nn.functional.pad(turned, (0, -width % 32, 0, -height % 32))
    scores, boxes = _finder()(padded.contiguous(memory_format=torch.channels_last))
    seen = scores[0] >= ENOUGH
    boxes, scores = boxes[0][seen], scores[0][seen]
    middle = boxes[:, :2] - torch.tensor([width, height]) / 2
    across, down = middle.unbind(1)
    for _ in range(quarters):  # back, clockwise
        across, down = -down, across
    middle = torch.stack([across, down], 1) + torch.tensor([pixels.shape[3], pixels.shape[2]]) / 2
    return torch.cat([middle, boxes[:, 2:], scores[:, None], torch.full_like(scores[:, None], quarters)], 1)


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
