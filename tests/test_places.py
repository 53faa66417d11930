"""Squares in pictures: cut out, and spread back."""

import cmath
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from csvae_cli.data.places import Place, cut, spread, upright

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)).resize(
    (480, 360), Image.Resampling.BICUBIC
)

angles = st.floats(-math.pi, math.pi)
numbers = st.floats(-2, 2)


def _square(middle: complex, half: complex) -> Place:
    return Place(middle, half, 1j * half)


def test_an_upright_square_is_cut_as_training_cuts() -> None:
    box = (31.5, 40.0, 211.5, 220.0)
    expected = NOISE.resize((64, 64), Image.Resampling.BICUBIC, box)
    assert np.array_equal(np.asarray(cut(NOISE, upright(box), (64, 64))), np.asarray(expected))


@pytest.mark.parametrize("half", [30, 70, 150])
def test_a_square_turned_by_a_quarter_is_the_turned_picture_cut_upright(half: int) -> None:
    # Clockwise: the square's upper edge is on the right of the picture.
    turned = NOISE.transpose(Image.Transpose.ROTATE_90)
    middle = complex(240, 180)
    got = np.asarray(cut(NOISE, _square(middle, half * 1j), (64, 64))).astype(int)
    box = (180 - half, 240 - half, 180 + half, 240 + half)
    expected = np.asarray(turned.resize((64, 64), Image.Resampling.BICUBIC, box)).astype(int)
    assert np.abs(got - expected).mean() < 1.5


def test_what_is_finer_than_the_picture_is_averaged() -> None:
    lines = (torch.arange(128) % 2).float().expand(1, 128, 128)  # each as wide as a third of a pixel
    seen = spread(lines, _square(complex(30, 30), 20), (12, 12, 48, 48))
    assert float((seen - 0.5).abs().max()) < 0.2


def test_beyond_the_picture_its_edge_goes_on() -> None:
    picture = Image.new("RGB", (50, 50), (10, 200, 30))
    got = np.asarray(cut(picture, _square(complex(0, 0), complex(40, 15)), (32, 32)))
    assert np.array_equal(got, np.broadcast_to([10, 200, 30], (32, 32, 3)))


@given(angles, st.floats(20, 120), st.floats(0.2, 5))
def test_what_is_spread_lies_where_it_was_cut(turn: float, half: float, value: float) -> None:
    place = _square(complex(200.3, 190.8), cmath.rect(half, turn))
    values = torch.full((1, 64, 64), value)
    values[:, :, 32:] = -value  # left and right halves of the square
    spreaded = spread(values, place, (0, 0, 400, 400))[0]
    down, across = np.mgrid[0.5:400, 0.5:400]
    inside = (across + 1j * down - place.middle) / place.right
    deep = (np.abs(inside.real) < 0.85) & (np.abs(inside.imag) < 0.85) & (np.abs(inside.real) > 0.15)
    edge = max(1.05, 1 + 1.6 / half)  # a pixel and a half, by how wide bicubic curves are
    beyond = (np.abs(inside.real) > edge) | (np.abs(inside.imag) > edge)
    expected = np.where(inside.real < 0, value, -value)
    assert np.allclose(spreaded.numpy()[deep], expected[deep], atol=1e-3)
    assert not spreaded.numpy()[beyond].any()


@given(angles, numbers, numbers, numbers, numbers)
def test_moved_is_the_similarity_it_says(turn: float, a: float, b: float, x: float, y: float) -> None:
    place = _square(complex(30, 40), cmath.rect(25, turn))
    moved = place.moved(complex(a, b), complex(x, y))
    for v in (complex(0, 0), complex(1, 0), complex(-0.3, 0.8)):
        there = complex(a, b) * v + complex(x, y)
        expected = place.middle + there.real * place.right + there.imag * place.down
        assert moved.middle + v.real * moved.right + v.imag * moved.down == pytest.approx(expected)


def test_distance_of_a_shift_a_turn_and_a_scale() -> None:
    place = _square(complex(0, 0), complex(50, 0))
    assert place.distance(_square(complex(3, 4), complex(50, 0))) == pytest.approx(0.05)
    # Of a square of half side h the root mean square distance from its middle is h·√(2/3).
    assert place.distance(_square(complex(0, 0), complex(55, 0))) == pytest.approx(5 * math.sqrt(2 / 3) / 100)
    points = np.random.default_rng(0).uniform(-50, 50, (100_000, 2)) @ [1, 1j]
    turned = np.sqrt(np.mean(np.abs(points * cmath.exp(0.3j) - points) ** 2)) / 100
    assert place.distance(_square(complex(0, 0), cmath.rect(50, 0.3))) == pytest.approx(turned, rel=0.01)
