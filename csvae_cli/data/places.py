"""Where the square that a model sees lies in a picture, and that square cut out of it."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

_FINEST = 4
"""A picture's own pixels are kept up to this many a pixel of the cut, before Pillow shrinks them."""


@dataclass(frozen=True)
class Place:
    """A square, perhaps turned, in the pixels of a picture; numbers are complex, x + iy, y downwards.

    middle: its middle; right, down: from there to the middles of its right and lower edges. The point
    (u, v) of the square, −1 to 1 both, is at middle + u·right + v·down.
    """

    middle: complex
    right: complex
    down: complex

    @property
    def upright(self) -> bool:
        """Its edges run along the picture's own."""
        return self.right.imag == 0 and self.down.real == 0 and self.right.real > 0 and self.down.imag > 0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of an upright one, in pixels."""
        x, y, across, down = self.middle.real, self.middle.imag, self.right.real, self.down.imag
        return x - across, y - down, x + across, y + down

    @property
    def side(self) -> float:
        """The length of an edge in pixels."""
        return 2 * abs(self.right)

    @property
    def turn(self) -> float:
        """How far it is turned clockwise, in degrees from −180 to 180."""
        return math.degrees(math.atan2(self.right.imag, self.right.real))

    def corners(self) -> tuple[complex, ...]:
        """Upper left, upper right, lower right, lower left."""
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return tuple(self.middle + u * self.right + v * self.down for u, v in signs)

    def part(self, box: tuple[float, float, float, float]) -> "Place":
        """What lies within (left, top, right, bottom) of it, each −1 to 1."""
        left, top, right, bottom = box
        middle = self.middle + (left + right) / 2 * self.right + (top + bottom) / 2 * self.down
        return Place(middle, (right - left) / 2 * self.right, (bottom - top) / 2 * self.down)

    def distance(self, other: "Place") -> float:
        """The root mean square distance between their points, in sides of this one."""
        across, down = abs(self.right - other.right), abs(self.down - other.down)
        moved = abs(self.middle - other.middle)
        return math.sqrt(moved**2 + (across**2 + down**2) / 3) / self.side

    def moved(self, turn: complex, shift: complex) -> "Place":
        """The square whose point v is this one's point turn · v + shift (where edges are equal)."""
        middle = self.middle + shift.real * self.right + shift.imag * self.down
        right = turn.real * self.right + turn.imag * self.down
        return Place(middle, right, 1j * right)


def upright(box: tuple[float, float, float, float]) -> Place:
    """The place that fills a box (left, top, right, bottom)."""
    left, top, right, bottom = box
    middle = complex(left + right, top + bottom) / 2
    return Place(middle, complex((right - left) / 2), 1j * (bottom - top) / 2)


def cut(image: Image.Image, place: Place, size: tuple[int, int]) -> Image.Image:
    """The square as a picture of that size (width, height), beyond the picture's edges its outermost pixels.

    An upright square comes out as `Image.resize` gives it, which training cuts by.
    """
    box = place.box
    if place.upright and min(box[:2]) >= 0 and box[2] <= image.width and box[3] <= image.height:
        return image.resize(size, Image.Resampling.BICUBIC, box)
    fine = min(max(round(place.side), *size), _FINEST * max(size))
    edge = (torch.arange(fine) + 0.5) / fine * 2 - 1
    down, across = torch.meshgrid(edge, edge, indexing="ij")
    pixels = sample(image, place, torch.stack([across, down], dim=-1), fine)
    sampled = pixels.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(sampled.numpy()).resize(size, Image.Resampling.BICUBIC)


def sample(image: Image.Image, place: Place, points: Tensor, fine: int) -> Tensor:
    """The picture at points of the square, H×W×2 (u, v): float 3×H×W in [0, 255], perhaps a bit beyond.

    fine: about how many of the points lie along the square's edge; a picture that is finer than they are is
    shrunk first, by the average.
    """
    factor = max(1, math.floor(place.side / fine))
    u, v = points[..., 0].double(), points[..., 1].double()
    x = place.middle.real + u * place.right.real + v * place.down.real
    y = place.middle.imag + u * place.right.imag + v * place.down.imag
    margin = 4 * factor
    left = _within(float(x.min()) - margin, image.width - 1)
    top = _within(float(y.min()) - margin, image.height - 1)
    right = _within(float(x.max()) + margin, image.width - 1) + 1
    bottom = _within(float(y.max()) + margin, image.height - 1) + 1
    region = image.crop((left, top, right, bottom)).reduce(factor)
    pixels = torch.from_numpy(np.asarray(region).copy()).permute(2, 0, 1)[None].float()
    # A pixel of the reduced region covers `factor` of the picture, the last of a row perhaps fewer.
    height, width = pixels.shape[2:]
    grid = torch.stack([(x - left) / factor / width, (y - top) / factor / height], dim=-1) * 2 - 1
    return F.grid_sample(
        pixels, grid[None].float(), mode="bicubic", padding_mode="border", align_corners=False
    )[0]


def spread(values: Tensor, place: Place, box: tuple[int, int, int, int]) -> Tensor:
    """The other way round: what lies in the square, C×h×w, as it falls on the pixels of a box of the picture.

    Where the picture is coarser than the square, a pixel gets the mean of what falls on it.

    box: (left, top, right, bottom). Gives float C×(bottom − top)×(right − left), 0 beyond the square.
    """
    left, top, right, bottom = box
    x = torch.arange(left, right, dtype=torch.float64) + 0.5 - place.middle.real
    y = (torch.arange(top, bottom, dtype=torch.float64) + 0.5 - place.middle.imag)[:, None]
    across, down = place.right, place.down
    area = across.real * down.imag - across.imag * down.real
    u = (x * down.imag - y * down.real) / area
    v = (y * across.real - x * across.imag) / area
    grid = torch.stack([u.expand(len(y), -1), v.expand(-1, len(x))], dim=-1)
    values, pixels = values[None].float(), math.ceil(place.side)
    if 0 < pixels < values.shape[-1]:
        values = F.interpolate(values, size=(pixels, pixels), mode="area")
    return F.grid_sample(
        values, grid[None].float(), mode="bicubic", padding_mode="zeros", align_corners=False
    )[0]


def _within(value: float, largest: int) -> int:
    return min(max(math.floor(value), 0), largest)
