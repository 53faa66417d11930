"""A face drawn from its factors, and from nothing else.

A batch is drawn at once, in units of 1/58 of the picture's width (csvae_cli/data/painting.py).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from csvae_cli.data.painting import (
    SHADOW,
    Canvas,
    Colour,
    Patch,
    Plane,
    bump,
    grain_at,
    hues,
    mix,
    norm,
    palette,
    rgb,
    rounded_box,
    smooth,
)

Factors = Mapping[str, NDArray[np.float32]]

ATTRIBUTES = ("glasses", "facial-hair")

RANGES: Mapping[str, tuple[float, float]] = {
    # The person and the picture. Lengths in units of 1/58 of the width, colours as positions on a palette.
    "skin": (0, 1),  # light … dark
    "face_width": (12.8, 15.2),  # half of it
    "face_height": (17.8, 20.2),  # half of it
    "jaw": (0, 1),  # narrow … square
    "hair_length": (0, 1),  # bald … cropped (0.2) … short … below the shoulders
    "hair_volume": (0, 1),
    "hair_parting": (-1, 1),  # the higher side of the hairline: left … right
    "hair_colour": (0, 1),  # black, browns, red, blond, grey
    "eye_colour": (0, 1),  # browns, hazel, green, blue, grey
    "eye_spacing": (5.6, 6.8),  # from the middle of the face
    "eye_size": (2.8, 3.5),  # half the width
    "brow_thickness": (0.6, 1.7),
    "nose_size": (0.8, 1.25),  # a scale
    "mouth_width": (4.2, 6.2),  # half of it
    "smile": (-0.1, 1),  # earnest … shows teeth
    "background_hue": (0, 1),
    "background_lightness": (0, 1),
    "shirt_colour": (0, 1),
    "yaw": (-20, 20),  # degrees, turned to the left … right of the picture
    "roll": (-10, 10),  # degrees, clockwise
    "shift": (-2, 2),  # downwards
    "light": (-1, 1),  # from the left … from the right
    "texture": (0, 1),  # which grain the hair has; no order in it
    # The styles, NaN where the attribute is absent.
    "glasses_shape": (0, 1),  # round … rectangular
    "glasses_thickness": (0.65, 2.3),  # of the frame
    "glasses_size": (3.9, 6.4),  # half the width of a lens
    "glasses_tint": (0, 1),  # clear … dark
    "glasses_colour": (0, 1),  # of the frame: black … brown
    "facial-hair_moustache": (0, 1),  # none … large
    "facial-hair_beard": (0, 1),  # none, chin only, whole jaw (0.5), long
    "facial-hair_density": (0, 1),  # stubble … full
    "facial-hair_colour": (0, 1),  # as of hair
}
FACTORS: tuple[str, ...] = tuple(RANGES)

DRAWING = "2"
"""Another one with anything that changes a picture: prepared pictures are found by it."""

_CHUNK = 64  # pictures drawn together at the usual size: their planes stay in the cache

_SKIN = ((255, 226, 208), (243, 203, 172), (222, 172, 134), (184, 128, 90), (138, 91, 62), (104, 67, 46))
_HAIR = (
    (30, 26, 28),
    (58, 41, 33),
    (92, 64, 46),
    (132, 82, 52),
    (166, 92, 54),
    (184, 142, 90),
    (224, 190, 130),
    (178, 174, 172),
)
_EYES = ((66, 40, 24), (112, 72, 40), (134, 112, 62), (88, 130, 84), (74, 128, 180), (134, 158, 172))
_FRAMES = (
    (24, 22, 26),
    (48, 38, 36),
    (78, 50, 36),
)
_SHIRTS = (
    (232, 230, 226),
    (86, 108, 142),
    (52, 60, 78),
    (64, 108, 96),
    (150, 64, 62),
    (196, 156, 88),
    (120, 96, 136),
)


def style_factors(attribute: str) -> tuple[str, ...]:
    """The names of the factors that say in which style the attribute is there."""
    return tuple(name for name in FACTORS if name.startswith(f"{attribute}_"))


def render(factors: Factors, size: int = 64) -> NDArray[np.uint8]:
    """The N faces with these factors (name -> N, all of `FACTORS`): N×size×size×3.

    A NaN style factor means that its attribute is absent. A face is the same whatever the others are.
    """
    table = {name: np.asarray(factors[name], np.float32) for name in FACTORS}
    count = len(table[FACTORS[0]])
    pictures = np.empty((count, size, size, 3), np.uint8)
    chunk = max(1, _CHUNK * 64**2 // size**2)
    for start in range(0, count, chunk):
        rows = slice(start, start + chunk)
        pictures[rows] = _render_chunk({name: values[rows] for name, values in table.items()}, size)
    return pictures


def _is_present(attribute: str, factors: Factors) -> NDArray[np.bool_]:
    absent: NDArray[np.bool_] = np.any([np.isnan(factors[name]) for name in style_factors(attribute)], axis=0)
    return ~absent


def _render_chunk(factors: Factors, size: int) -> NDArray[np.uint8]:
    glasses, facial_hair = (_is_present(attribute, factors) for attribute in ATTRIBUTES)
    factors = {name: np.nan_to_num(values) for name, values in factors.items()}
    canvas = Canvas(factors["roll"], factors["shift"], size)
    _draw_background(canvas, factors)
    _draw_back_hair(canvas, factors)
    _draw_body(canvas, factors)
    _draw_ears(canvas, factors)
    _draw_head(canvas, factors)
    _draw_nose(canvas, factors)
    _draw_eyes(canvas, factors)
    _draw_beard(canvas, factors, facial_hair)
    _draw_mouth(canvas, factors)
    _draw_moustache(canvas, factors, facial_hair)
    _draw_brows(canvas, factors)
    _draw_hair(canvas, factors)
    _draw_glasses(canvas, factors, glasses)
    return canvas.finished()


def _draw_background(canvas: Canvas, f: Factors) -> None:
    """A studio wall: lighter behind the head and towards the light."""
    lightness = 65 + 145 * f["background_lightness"]
    wall = lightness * (1 + 0.3 * (hues(f["background_hue"]) - 0.5))
    x, y = canvas.x / 29 - 1, canvas.y / 36 - 0.6
    glow = 1.06 - 0.2 * (x * x + y * y) + 0.08 * x * f["light"]
    for plane, tone in zip(canvas.pixels, wall, strict=True):
        np.multiply(glow, tone, out=plane)


def _draw_body(canvas: Canvas, f: Factors) -> None:
    """Shoulders, shirt and neck; they stay upright when the head leans."""
    patch = canvas.bottom(22)
    x, y = patch.u, patch.v
    shoulders = patch.cover((norm(x / 29, (y - 13) / 19) - 1) * 19)
    fold = 1 - 0.2 * smooth(np.abs(x) / 30) + 0.1 * (x / 29) * f["light"]
    patch.paint(shoulders, tuple(tone * fold for tone in palette(_SHIRTS, f["shirt_colour"])))
    opening = (norm(x / 9.5, (y + 4) / 5) - 1) * 5
    patch.shade(shoulders * patch.cover(np.abs(opening) - 0.7), (0.2, 0.2, 0.2))
    lower = np.maximum(y + 12, 0)
    column = np.maximum(np.abs(x) - 0.5 * f["face_width"] - 0.045 * lower * lower, y + 5)
    neck = patch.cover(np.minimum(opening, column))
    shadow = 0.95 - 0.6 * smooth((y + 13) / 13) - 0.1 * (x / 8) * f["light"]
    patch.paint(neck, _lit(palette(_SKIN, f["skin"]), shadow))


def _draw_ears(canvas: Canvas, f: Factors) -> None:
    skin = palette(_SKIN, f["skin"])
    for side in (-1, 1):
        u, v = side * (f["face_width"] - 0.2) - 1.2 * _turn(f), 0.8
        patch = canvas.around(u, v, 3, 4)
        ear = norm((patch.u - u) / 2.3, (patch.v - v) / 3.5)
        patch.paint(patch.cover((ear - 1) * 2.3), skin * 0.9)
        patch.shade(patch.cover((ear - 0.55) * 2.3, soft=1) * 0.4)


def _draw_head(canvas: Canvas, f: Factors) -> None:
    """The face without its features: shaded towards the edge and away from the light, with rosy cheeks."""
    width, height = f["face_width"], f["face_height"]
    patch = canvas.around(0, 0, width, height)
    r = _head_radius(patch.u, patch.v, width, height, f["jaw"])
    head = patch.cover((r - 1) * width)
    skin = palette(_SKIN, f["skin"])
    r *= r
    shadow = 0.34 * r * r - 0.06
    shadow -= patch.u * (0.2 * f["light"] / width)
    patch.paint(head, _lit(skin, shadow))
    blush = skin * rgb(0.93, 0.62, 0.58)
    for side in (-1, 1):
        u = side * 0.56 * width + 1.6 * _turn(f)
        cheek = canvas.around(u, 6.5, 5.5, 4.5)
        cheek.paint(0.38 * bump((cheek.u - u) / 5.5, (cheek.v - 6.5) / 4.5), blush)


def _draw_nose(canvas: Canvas, f: Factors) -> None:
    skin, size = palette(_SKIN, f["skin"]), f["nose_size"]
    u, v = 3.4 * _turn(f), 4.5 + 2 * size
    patch = canvas.around(u, v - 4, 5, 10)
    x, y = patch.u - u, patch.v - v
    lean = x + y * (0.25 * _turn(f))  # the bridge starts between the eyes, the tip stands out
    side = np.clip(-4 * f["light"], -1, 1) * 2 * size
    patch.shade((0.1 + 0.25 * np.abs(f["light"])) * bump((lean - side) / 2.2, (y + 3) / 6.5))
    patch.paint(0.45 * bump(lean / 1.7, (y + 4) / 6.5), skin + 0.45 * (255 - skin))
    patch.shade(0.55 * bump(x / (3.8 * size), (y - 1.6) / 1.9))
    patch.paint(0.5 * bump(x / (2.6 * size), (y + 0.6) / 2.2), skin + 0.4 * (255 - skin))
    for nostril in (-1, 1):
        spot = norm((x - nostril * 1.5 * size) / (0.95 * size), (y - 1.1) / 0.6) - 1
        patch.shade(0.75 * patch.cover(0.7 * spot))


def _draw_eyes(canvas: Canvas, f: Factors) -> None:
    iris_colour = palette(_EYES, f["eye_colour"])
    size = f["eye_size"]
    for side in (-1, 1):
        u, v = _eye(f, side)
        patch = canvas.around(u, v - 0.5, size + 2, 4)
        x, y = patch.u - u, patch.v - v
        q = x / size
        arc = 1 - q * q
        upper, lower = y + 0.66 * size * arc, y - 0.5 * size * arc
        patch.shade(0.3 * bump(x / (size + 2), (y + 1.2) / 3.6))
        inside = patch.cover(np.maximum(-upper, lower) * 0.8)
        patch.paint(inside, (246, 243, 240))
        gaze = x - 0.35 * _turn(f)
        iris = np.sqrt(gaze * gaze + y * y)
        radius = 0.58 * size
        patch.paint(inside * patch.cover(iris - radius), iris_colour * 0.62)
        patch.paint(inside * patch.cover(iris - 0.78 * radius, soft=0.3), iris_colour)
        patch.paint(inside * patch.cover(iris - 0.45 * radius), (16, 13, 14))
        patch.shade(inside * patch.cover(upper - 0.9, soft=1) * 0.5)
        ends = patch.cover(np.abs(x) - size - 0.25)
        patch.paint(0.85 * ends * patch.cover(np.abs(upper) - 0.38), (38, 26, 24))
        patch.shade(0.45 * ends * patch.cover(np.abs(lower - 0.2) - 0.25))
        patch.shade(0.4 * patch.cover(np.abs(q) - 0.9, soft=0.5) * patch.cover(np.abs(upper + 1.3) - 0.25))
        shine = norm((gaze + 0.5) / 0.55, (y + 0.55) / 0.55) - 1
        patch.paint(0.92 * patch.cover(0.5 * shine), (255, 255, 255))


def _draw_brows(canvas: Canvas, f: Factors) -> None:
    colour = 0.72 * palette(_HAIR, f["hair_colour"]) + 0.1 * palette(_SKIN, f["skin"])
    half = 0.5 * f["brow_thickness"]
    for side in (-1, 1):
        u, v = _eye(f, side)
        v = v - 4.9 - 0.3 * half
        patch = canvas.around(u, v, 4.6, 3)
        x, y = side * (patch.u - u) / 4.1, patch.v - v
        line = y - 0.3 + 0.9 * (1 - (x - 0.15) * (x - 0.15))
        strand = np.abs(line) - half * (1.15 - 0.45 * x)
        patch.paint(0.9 * patch.cover(np.maximum(strand, (np.abs(x) - 1) * 4), soft=0.3), colour)


def _draw_mouth(canvas: Canvas, f: Factors) -> None:
    """Lips about a curve; a broad smile parts them."""
    skin = palette(_SKIN, f["skin"])
    width, smile = f["mouth_width"] + 0.6 * f["smile"], f["smile"]
    u, v = _mouth(f)
    patch = canvas.around(u, v + 1, width + 1.5, 6)
    x = patch.u - u
    q = x / width
    arc = 1 - q * q
    middle = patch.v - v - (0.3 + 1.9 * smile) * (arc - 0.5)
    parted = 1.9 * np.maximum(smile - 0.35, 0) * np.maximum(arc, 0)
    above, below = middle + 0.35 * parted, middle - 0.65 * parted
    bow = 1.25 - 0.55 * bump(q * 2.6, 0 * q)
    mouth = patch.cover(np.maximum(-above - bow * arc, below - 1.7 * arc) * 0.9)
    lips = skin * rgb(0.84, 0.54, 0.54) + rgb(14, 4, 10)
    patch.shade(0.3 * bump(x / (0.7 * width), (middle - 3.2 - parted) / 1.4))
    patch.paint(mouth, lips)
    patch.shade(mouth * patch.cover(above, soft=0.3) * 0.35)
    patch.paint(0.35 * bump(q * 1.6, (below - 0.9) / 0.8), 0.5 * (lips + 255))
    within = patch.cover(np.abs(q) * 4 - 3.8)
    gap = within * patch.cover(np.maximum(-above, below))
    patch.paint(gap, (92, 34, 34))
    patch.paint(gap * patch.cover(middle - 0.2 * parted), (250, 247, 242))
    closed = smooth(1 - 4 * parted)
    patch.paint(0.75 * within * closed * patch.cover(np.abs(middle) - 0.25), lips * 0.42)


def _draw_back_hair(canvas: Canvas, f: Factors) -> None:
    """What is behind the neck and the shoulders of long hair."""
    patch = canvas.around(0, 2, 24, 30)
    grain = _strands(patch, f)
    hair = _hair_cover(patch, grain, f, inset=0.7)
    _paint_hair(patch, hair, grain, 0.7 * palette(_HAIR, f["hair_colour"]), f)


def _draw_hair(canvas: Canvas, f: Factors) -> None:
    """The same hair as behind, but for the opening that the face looks out of; it shades the brow."""
    patch = canvas.around(0, 2, 24, 30)
    grain = _strands(patch, f)
    grown, long = _hair_growth(f)
    half = f["face_width"] * (1.02 - 0.12 * long)
    hairline = mix(-f["face_height"] - 8, -0.7 * f["face_height"], grown)
    x = patch.u - 1.6 * _turn(f)
    y = np.minimum(patch.v - 3 + 0.2 * f["hair_parting"] * x, 0) / (3 - hairline)
    x = x / half
    x, y = x * x, y * y
    opening = np.sqrt(0.4 * (x + y) + 0.6 * np.sqrt(x * x + y * y)) * half - half
    hair = _hair_cover(patch, grain, f)
    patch.shade(0.5 * grown * hair * (1 - patch.cover(opening + 1.3, soft=3)))
    front = 1 - patch.cover(opening + 1.2 * grain - 0.6, soft=0.4)
    _paint_hair(patch, hair * front, grain, palette(_HAIR, f["hair_colour"]), f)


def _paint_hair(patch: Patch, alpha: Plane, grain: Plane, colour: Colour, f: Factors) -> None:
    """Strands, darker at the sides, and a band of gloss about the crown."""
    x, y = patch.u / 18, (patch.v + 4) / 18
    light = 0.86 + 0.28 * grain - 0.22 * np.minimum(x * x, 1) + 0.12 * x * f["light"]
    light += 0.3 * smooth(1 - np.abs(norm(x, y) - 0.86) * 5) * smooth(-y)
    patch.paint(alpha, tuple(tone * light for tone in colour))


def _strands(patch: Patch, f: Factors) -> Plane:
    """The grain of hair that falls from the crown to all sides, like the meridians of a globe."""
    y = np.minimum(patch.v + 4, 0) / (f["face_height"] + 4)
    across = (patch.u - 5 * f["hair_parting"]) / np.sqrt(1.05 - np.minimum(y * y, 1))
    return grain_at(across, patch.v * 0.2, f["texture"])


def _hair_growth(f: Factors) -> tuple[Plane, Plane]:
    """How far it has grown from bald to full, and from there to long: each 0 … 1."""
    return smooth(4 * f["hair_length"]), smooth(1.6 * f["hair_length"] - 0.6)


def _hair_cover(patch: Patch, grain: Plane, f: Factors, inset: float = 0) -> Plane:
    """Within the outline of all hair: the skull grown by the hair, drawn out downwards as long as that is."""
    grown, long = _hair_growth(f)
    volume = f["hair_volume"]
    side = f["face_width"] + mix(-0.7, 0.7 + 2 * volume + 1.2 * long, grown)
    top = f["face_height"] - 4 + mix(-0.8, 1.4 + 3 * volume, grown)
    y = np.minimum(patch.v + 4, 0) / top + np.maximum(patch.v - mix(-7, 21, long), 0) / mix(10, 6, long)
    x = patch.u / (side * (1 + 0.008 * long * np.maximum(patch.v, 0)))
    distance = (norm(x, y) - 1) * side + grown * (0.8 * grain - 0.4) + inset
    cover = patch.cover(distance)
    cover *= np.minimum(4 * grown, 1)
    return cover


def _draw_beard(canvas: Canvas, f: Factors, present: NDArray[np.bool_]) -> None:
    """From a tuft on the chin over the whole jaw to a long one; grows with the factor."""
    if not present.any():
        return
    beard, width, height = f["facial-hair_beard"], f["face_width"], f["face_height"]
    length = 7 * np.maximum(beard - 0.4, 0)
    patch = canvas.around(0, 11 + 0.5 * length, width + 2, 13)
    u, v = patch.u - 0.8 * _turn(f), patch.v
    grain = grain_at(patch.u * 1.8, v * 0.9, f["texture"])
    outline = (_head_radius(u, v, width + 0.3 + 0.1 * length, height + length, f["jaw"]) - 1) * width
    mouth_u, mouth_v = _mouth(f)
    bare = (norm((patch.u - mouth_u) / (0.86 * width), (v - 1) / (mouth_v + 2)) - 1) * (mouth_v + 2)
    reach = np.abs(patch.u - mouth_u) - mix(1.5, width + 3, np.minimum(2 * beard, 1))
    edge = np.maximum(np.maximum(outline, -bare), reach) + 1.6 * grain - 0.8
    alpha = patch.cover(edge, soft=1.2) * smooth(v * 0.3)
    _paint_whiskers(patch, alpha * (present & (beard > 0)), grain, f)


def _draw_moustache(canvas: Canvas, f: Factors, present: NDArray[np.bool_]) -> None:
    if not present.any():
        return
    size = f["facial-hair_moustache"]
    u, v = _mouth(f)
    u, v = 0.5 * (u + 3.4 * _turn(f)), v - 2.1
    half = 3.4 + 3.8 * size
    patch = canvas.around(u, v, half + 1, 5)
    q = (patch.u - u) / half
    q2 = q * q
    grain = grain_at(patch.u * 1.8, patch.v * 0.9, f["texture"])
    line = patch.v - v - (0.4 + 2 * size) * q2
    edge = np.abs(line) - (1.1 + 0.8 * size) * (1.1 - 0.6 * q2 - 0.3 * bump(q * 5, 0 * q))
    edge = np.maximum(edge, (np.abs(q) - 1) * half) + 0.5 * grain - 0.25
    _paint_whiskers(patch, patch.cover(edge, soft=0.5) * (present & (size > 0)), grain, f)


def _paint_whiskers(patch: Patch, alpha: Plane, grain: Plane, f: Factors) -> None:
    """Thin hair lets the skin through between the whiskers, and darkens it."""
    density = f["facial-hair_density"]
    colour = _apart(palette(_HAIR, f["facial-hair_colour"]), palette(_SKIN, f["skin"]))
    patch.shade(alpha * 0.45, (0.34, 0.38, 0.38))
    opacity = 0.46 + 0.5 * density + (grain - 0.5) * (0.6 - 0.5 * density)
    light = 0.74 + 0.48 * grain
    patch.paint(alpha * opacity, tuple(tone * light for tone in colour))


def _draw_glasses(canvas: Canvas, f: Factors, present: NDArray[np.bool_]) -> None:
    if not present.any():
        return
    half = 0.5 * f["glasses_thickness"]
    frame = _apart(palette(_FRAMES, f["glasses_colour"]), palette(_SKIN, f["skin"]))
    size = f["glasses_size"]
    tall = size * mix(1, 0.7, f["glasses_shape"])
    corner = tall * mix(1, 0.3, f["glasses_shape"])
    middle, v = 2.4 * _turn(f), 0.2
    apart = np.maximum(f["eye_spacing"], size + 1)

    patch = canvas.around(middle, v, apart - size + 2, 4)
    x, y = patch.u - middle, patch.v - v
    bridge = np.abs(y + 1.8 - 0.3 * x * x) - 0.9 * half
    patch.paint(present * patch.cover(np.maximum(bridge, np.abs(x) - (apart - size) - 1)), frame)

    for side in (-1, 1):
        u = middle + side * apart
        patch = canvas.around(u, v, size + 3, size + 4)
        x, y = patch.u - u, patch.v - v
        edge = rounded_box(x, y, size, tall, corner)
        ring = np.abs(edge) - half
        fallen = np.abs(rounded_box(x, y - 1, size, tall, corner)) - half
        patch.shade(present * 0.4 * patch.cover(fallen, soft=1))
        _paint_lens(patch, x, y, patch.cover(edge) * present, frame, f)
        patch.paint(present * patch.cover(ring), frame)
        patch.paint(present * 0.35 * patch.cover(ring + 0.6 * half) * smooth(-0.2 * y), (255, 255, 255))

        start, ear = apart + size + side * middle, f["face_width"] + 0.2 - 1.5 * _hair_growth(f)[1]
        u = side * 0.5 * (start + ear)
        patch = canvas.around(u, v - 1, 0.5 * np.abs(ear - start), 3)
        along, y = side * patch.u, patch.v - v
        temple = np.abs(y + 1.2) - 0.8 * half
        temple = np.maximum(temple, np.maximum(start - along, along - ear))
        patch.paint(present * patch.cover(temple), 0.8 * frame)


def _paint_lens(patch: Patch, x: Plane, y: Plane, lens: Plane, frame: Colour, f: Factors) -> None:
    """Tinted, with a veil of the sky on clear glass and a streak of light across it."""
    tint, size = f["glasses_tint"], f["glasses_size"]
    patch.paint(lens * (tint * (0.96 - 0.015 * y)), 0.25 * frame + rgb(16, 16, 20))
    patch.paint(lens * (0.1 * (1 - tint)), (235, 245, 255))
    streak = np.abs(x + 0.7 * y + 0.3 * size) - 0.14 * size
    patch.paint(lens * 0.26 * patch.cover(streak, soft=0.6), (255, 255, 255))


# Small tools.


def _turn(f: Factors) -> Plane:
    """How far the head is turned, −1 … 1: near features move by more units of it than far ones."""
    return f["yaw"] / 20


def _eye(f: Factors, side: int) -> tuple[Plane, Plane | float]:
    return side * f["eye_spacing"] + 2.4 * _turn(f), -0.3


def _mouth(f: Factors) -> tuple[Plane, Plane]:
    return 2.6 * _turn(f), 0.2 * f["face_height"] + 7.6


def _lit(skin: Colour, shadow: Plane) -> tuple[Plane, ...]:
    """Skin as the light falls on it: shadow 0 none … 1 deep, which on skin is warm; negative is brighter."""
    return tuple(tone * (1 - share * shadow) for tone, share in zip(skin, SHADOW, strict=True))


def _head_radius(u: Plane, v: Plane, width: Plane, height: Plane, jaw: Plane) -> Plane:
    """1 on the outline of a head: an ellipse above; below, an egg that the jaw makes square."""
    y = v / height
    low = np.maximum(y, 0)
    x = u / width * (1 + 0.14 * low * low)
    x *= x
    y *= y
    r: Plane = np.sqrt(x + y)
    r += (0.15 + jaw * 0.5 * np.minimum(2 * low, 1)) * (np.sqrt(np.sqrt(x * x + y * y)) - r)
    return r


def _apart(colour: Colour, skin: Colour) -> Colour:
    """The colour, darker or lighter where it is about as light as the skin: to be seen on everyone."""
    lighter = (colour[0] + colour[1] + colour[2] - skin[0] - skin[1] - skin[2]) / 3
    likeness = np.maximum(1 - np.abs(lighter) / 90, 0)
    moved: Colour = colour * (1 + 0.45 * likeness * np.clip((lighter - 22) / 7, -1, 1))
    return moved
