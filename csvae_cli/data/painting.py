"""Painting on many pictures at once: a canvas, antialiased shapes, palettes and grain.

Every shape is a signed distance in units of 1/58 of the picture's width (1.1 pixels at the usual size), so
that what is drawn larger is the same, only sharper. The pictures lie innermost in memory: a number for each
of N pictures is then simply an array of N beside a plane of h×w×N.

Per pixel there are only correctly rounded operations (no sin, exp or pow): those of other kinds may round
differently with the length of an array, and the same picture would depend on the batch it is drawn in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]
"""float32, h×w×n or anything that broadcasts to it."""
Colour = NDArray[Any]
"""float32, 3×n, red, green and blue from 0 to 255."""

SHADOW = (0.38, 0.5, 0.54)
"""What a deep shadow takes of red, green and blue: it is warm, as on skin."""

_UNITS = 58  # the width of a picture
_TILE = 512  # the side of the noise that hair is made of, in samples; a power of two
_TILE_STEPS = 8  # of them to a unit


@dataclass(frozen=True)
class Patch:
    """A window of the canvas, to be painted on.

    pixels: 3×h×w×n, a view; u, v: where the pixels are, to the right and downwards, in units; pixel: how
    large one is, in units.
    """

    pixels: NDArray[np.float32]
    u: Plane
    v: Plane
    pixel: float

    def cover(self, distance: Plane, soft: float = 0) -> Plane:
        """How much of each pixel (0 … 1) is inside, given the signed distance to an edge `soft` wide."""
        share = distance * (-1 / (1.5 * self.pixel + soft))
        share += 0.5
        return smooth(share)

    def paint(self, alpha: Plane, colour: Iterable[Any]) -> None:
        """Mix in red, green and blue (each a number, one a picture or one a pixel) where alpha is 1."""
        for plane, tone in zip(self.pixels, colour, strict=True):
            change = tone - plane
            change *= alpha
            plane += change

    def shade(self, alpha: Plane, shares: tuple[float, float, float] = SHADOW) -> None:
        """Take away these shares of red, green and blue where alpha is 1."""
        for plane, share in zip(self.pixels, shares, strict=True):
            plane *= 1 - share * alpha


class Canvas:
    """n pictures in the making, 3×size×size×n, with the coordinates of the faces in them.

    u, v: to the right and down from the middle of each face, along the axes of its head.
    """

    def __init__(self, roll: NDArray[np.float32], shift: NDArray[np.float32], size: int) -> None:
        """roll: by how many degrees each head leans, clockwise; shift: how far down it is, in units."""
        self.size = size
        self.pixel = _UNITS / size
        middles = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(self.pixel)
        self.x, self.y = middles[:, None], middles[:, None, None]
        self.pixels = np.empty((3, size, size, len(roll)), np.float32)
        self.cos, self.sin = _cos_sin(roll)
        self.middle_x, self.middle_y = np.float32(_UNITS / 2), 30.0 + shift
        across, down = self.x - self.middle_x, self.y - self.middle_y
        self.u = self.cos * across + self.sin * down
        self.v = self.cos * down - self.sin * across

    def around(
        self, u: Plane | float, v: Plane | float, width: Plane | float, height: Plane | float
    ) -> Patch:
        """The patch that holds, in every picture, the box of half sizes `width`, `height` about (u, v)."""
        x = self.middle_x + self.cos * u - self.sin * v
        y = self.middle_y + self.sin * u + self.cos * v
        slant = np.abs(self.sin)
        columns = self._span(x, self.cos * width + slant * height)
        rows = self._span(y, slant * width + self.cos * height)
        return Patch(self.pixels[:, rows, columns], self.u[rows, columns], self.v[rows, columns], self.pixel)

    def bottom(self, height: float) -> Patch:
        """The lowest `height` units, upright: u from the middle, v from the lower border (negative)."""
        rows = slice(int((_UNITS - height) / self.pixel), self.size)
        return Patch(self.pixels[:, rows], self.x - _UNITS / 2, self.y[rows] - _UNITS, self.pixel)

    def _span(self, middle: Plane, half: Plane) -> slice:
        start = int(np.floor((middle - half).min() / self.pixel)) - 1
        stop = int(np.ceil((middle + half).max() / self.pixel)) + 1
        return slice(min(max(start, 0), self.size), max(stop, 0))

    def finished(self) -> NDArray[np.uint8]:
        self.pixels += 0.5
        np.clip(self.pixels, 0, 255, out=self.pixels)
        return self.pixels.astype(np.uint8).transpose(3, 1, 2, 0)


def smooth(t: Plane) -> Plane:
    """The smoothstep of t, from 0 to 1 where t goes from 0 to 1."""
    t = np.clip(t, 0, 1)
    step: Plane = t * t * (3 - 2 * t)
    return step


def mix(low: Plane | float, high: Plane | float, share: Plane) -> Plane:
    """low where share is 0, high where it is 1."""
    mixed: Plane = low + (high - low) * share
    return mixed


def norm(x: Plane, y: Plane) -> Plane:
    """How far (x, y) is from the origin."""
    radius: Plane = np.sqrt(x * x + y * y)
    return radius


def bump(x: Plane, y: Plane) -> Plane:
    """A soft round spot: 1 at the origin, 0 from radius 1 on."""
    height: Plane = np.maximum(1 - x * x - y * y, 0)
    height *= height
    return height


def rounded_box(x: Plane, y: Plane, width: Plane, height: Plane, corner: Plane) -> Plane:
    """Signed distance to a box of these half sizes."""
    x, y = np.abs(x) - (width - corner), np.abs(y) - (height - corner)
    distance = norm(np.maximum(x, 0), np.maximum(y, 0))
    distance += np.minimum(np.maximum(x, y), 0) - corner
    return distance


def _cos_sin(degrees: NDArray[np.float32]) -> tuple[Plane, Plane]:
    """By series, which for the angles that a head leans at are exact to float32."""
    a = degrees * np.float32(np.pi / 180)
    a2 = a * a
    return 1 - a2 / 2 * (1 - a2 / 12 * (1 - a2 / 30)), a * (1 - a2 / 6 * (1 - a2 / 20))


def palette(stops: tuple[tuple[int, int, int], ...], position: NDArray[np.float32]) -> Colour:
    """The colours at the positions (0 first stop … 1 last stop)."""
    table = np.array(stops, np.float32).T
    place = np.clip(position, 0, 1) * np.float32(len(stops) - 1)
    index = np.minimum(place.astype(np.intp), len(stops) - 2)
    return mix(table[:, index], table[:, index + 1], place - index.astype(np.float32))


def rgb(red: float, green: float, blue: float) -> Colour:
    """One colour for all pictures, 3×1."""
    return np.array([[red], [green], [blue]], np.float32)


def hues(hue: NDArray[np.float32]) -> Colour:
    """Full colours round the circle, 3×n from 0 to 1."""
    turned = hue * 6 + rgb(0, 2, 4)
    full: Colour = np.clip(np.abs(turned - 6 * np.floor(turned / 6) - 3) - 1, 0, 1)
    return full


@lru_cache(maxsize=1)
def _noise_tile() -> NDArray[np.float32]:
    """Smooth noise from 0 to 1 that repeats, with features about a unit large."""
    noise = np.random.default_rng(0).random((_TILE, _TILE))
    for axis in (0, 1):
        for _ in range(2):
            noise = np.mean([np.roll(noise, shift, axis) for shift in range(_TILE_STEPS)], axis=0)
    low, high = np.quantile(noise, (0.02, 0.98))
    tile: NDArray[np.float32] = np.clip((noise - low) / (high - low), 0, 1).astype(np.float32)
    return tile


def grain_at(u: Plane, v: Plane, texture: NDArray[np.float32]) -> Plane:
    """Noise at these places, from where the texture factor says."""
    column = (u * _TILE_STEPS + (texture * 500 + 4096)).astype(np.int32)
    row = (v * _TILE_STEPS + (texture * 7919 + 4096)).astype(np.int32)
    column &= _TILE - 1
    row &= _TILE - 1
    row *= _TILE
    row += column
    return np.take(_noise_tile(), row)
