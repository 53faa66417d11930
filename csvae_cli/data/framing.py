"""Where in a picture the model is to look: what the user says of it, and what is found."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from csvae_cli.data import faces
from csvae_cli.data.celeba_frame import SIZE, crop_box
from csvae_cli.data.places import Place, upright
from csvae_cli.errors import RequestError, WorkError

Align = Literal["auto", "none", "celeba"]
Which = Literal["largest", "all"] | int
How = Literal["found", "aligned", "square", "celeba", "eyes"]

_ALIKE = 0.06
"""How far, in sides, a face may lie from where an aligned picture has it: 9 of CelebA's 178 pixels."""

_SHOWN = 0.75
"""How much of a face's own square must lie in the picture."""

_FINER = 2
"""Pixels of a picture a pixel of what is cut out of it, below which the picture is too coarse."""

_SEARCHED = 960
"""Pixels along the longer side that are enough to look for faces in: the finder takes no more than 1,024."""


class NoFaceError(WorkError):
    """No face was found where one was searched for."""


@dataclass(frozen=True)
class Framing:
    """What the user says of where the faces are.

    searched: the model knows CelebA's frame, so `auto` searches for faces; else it takes the central square.
    face: which of them, counted from the left. eyes: of the one face, in pixels of the upright picture.
    """

    searched: bool
    align: Align = "auto"
    face: Which = "largest"
    eyes: tuple[complex, complex] | None = None

    def __post_init__(self) -> None:
        if self.eyes is not None and (self.align != "auto" or self.face != "largest"):
            raise RequestError("--eyes says where the face is; leave out --align and --face.")
        if self.face != "largest" and (self.align != "auto" or not self.searched):
            why = f"--align {self.align}" if self.align != "auto" else "a model of other data than CelebA"
            raise RequestError(f"--face chooses among faces that are searched for; with {why} none are.")


@dataclass(frozen=True)
class Framed:
    """places: of the chosen faces, from the left; how they were found, and among how many.

    numbers: theirs among all that were found, as `--face` counts them; cut: how many of these lie partly
    outside the picture and were left alone.
    """

    places: tuple[Place, ...]
    how: How
    among: int = 1
    numbers: tuple[int, ...] = (1,)
    cut: int = 0


def frame(image: Image.Image, name: str, framing: Framing) -> Framed:
    """The squares of an upright RGB picture that the model is to see; name: how messages call the picture.

    Raises WorkError where no face is found, or not the one that was asked for.
    """
    (framed,) = frame_all([image], [name], framing)
    if isinstance(framed, WorkError):
        raise framed
    return framed


def frame_all(
    images: Sequence[Image.Image], names: Sequence[str], framing: Framing
) -> list[Framed | WorkError]:
    """The same of many: those that are aligned already are recognised together."""
    usual: list[Place | None] = [None] * len(images)
    if _may_be_aligned(framing):
        usual = [_usual(*image.size) for image in images]
    asked = [(row, place) for row, place in enumerate(usual) if place is not None]
    counts = faces.at([images[row] for row, _ in asked], [place for _, place in asked], _ALIKE)
    known = {
        row: Framed((place,), "aligned", count)
        for (row, place), count in zip(asked, counts, strict=True)
        if count
    }
    framed: list[Framed | WorkError] = []
    for row, (image, name) in enumerate(zip(images, names, strict=True)):
        try:
            framed.append(known[row] if row in known else _frame(image, name, framing))
        except WorkError as error:
            framed.append(error)
    return framed


def shrinkable(width: int, height: int, framing: Framing, side: int) -> int:
    """By how much, 1, 2, 4 or 8, a picture may be shrunk before it is framed and cut to `side` pixels.

    It is to stay fine enough for the cut, or for the search. Where the frame goes by the picture's edges,
    these must not fall within a pixel of the smaller one.
    """
    if framing.eyes is not None:
        return 1
    place = _given(width, height, framing)
    if place is None and _may_be_aligned(framing):
        place = _usual(width, height)
    most = max(width, height) / _SEARCHED if place is None else place.side / (_FINER * side)
    exact = 0 if place is None else math.gcd(width, height)  # any number divides 0
    return next((by for by in (8, 4, 2) if by <= most and exact % by == 0), 1)


def fine_enough(image: Image.Image, framed: Framed, side: int) -> bool:
    """Whether a picture that was shrunk so was framed and can be cut as the whole one would be."""
    if framed.how != "found":
        return True
    return max(image.size) >= _SEARCHED and all(place.side >= _FINER * side for place in framed.places)


def _frame(image: Image.Image, name: str, framing: Framing) -> Framed:
    if framing.eyes is not None:
        place = faces.from_eyes(*framing.eyes)
        _check_shown(place, image, name)
        return Framed((place,), "eyes")
    given = _given(*image.size, framing)
    if given is not None:
        return Framed((given,), "celeba" if framing.align == "celeba" else "square")
    found = faces.find(image)
    if not found:
        raise NoFaceError(
            f"No face was found in {name}; --eyes X1,Y1,X2,Y2 says where one is, "
            "--align none takes the central square."
        )
    chosen = _choose(found, framing.face, name)
    usual = _usual(*image.size)
    if len(chosen) == 1 and usual is not None and usual.distance(chosen[0]) < _ALIKE:
        return Framed((usual,), "aligned", len(found))
    numbers = tuple(range(1, len(chosen) + 1))
    if framing.face == "all":  # of a group, those who are wholly in it
        numbers = tuple(number for number in numbers if _shown(chosen[number - 1], image)) or numbers
    within = tuple(chosen[number - 1] for number in numbers)
    for place in within:
        _check_shown(place, image, name)
    return Framed(within, "found", len(found), numbers, len(chosen) - len(within))


_SAID: dict[How, str] = {
    "found": "face found and aligned",
    "aligned": "aligned already, left as it is",
    "square": "central square",
    "celeba": "cut as CelebA's pictures are",
    "eyes": "aligned by the eyes given",
}


def summary(framed: Sequence[Framed]) -> str:
    """What was done with the pictures, in a line for people: "2 pictures: face found and aligned; 1: …"."""
    counts = Counter(one.how for one in framed)
    parts = [f"{count:,}: {_SAID[how]}" for how, count in counts.most_common()]
    crowded = sum(one.among > len(one.places) + one.cut for one in framed)
    if crowded:
        parts.append(f"{crowded:,} with more faces than were taken (--face)")
    cut = sum(one.cut > 0 for one in framed)
    if cut:
        parts.append(f"{cut:,} with faces partly outside the picture, left alone")
    return f"{'; '.join(parts)}."


def parse_face(text: str) -> Which:
    """ "largest", "all" or a number from 1. Raises RequestError."""
    if text == "largest":
        return "largest"
    if text == "all":
        return "all"
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    raise RequestError(f"--face takes largest, all or a number from 1 (from the left), not “{text}”.")


def parse_eyes(text: str) -> tuple[complex, complex]:
    """ "310,220,402,224" -> the two eyes. Raises RequestError."""
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        x1 = y1 = x2 = y2 = float("nan")
    eyes = complex(x1, y1), complex(x2, y2)
    if not 2 <= abs(eyes[1] - eyes[0]) < 1e5:
        raise RequestError(
            f"--eyes takes X1,Y1,X2,Y2 in pixels, the eye on the left of the picture first, not “{text}”."
        )
    return eyes


def _given(width: int, height: int, framing: Framing) -> Place | None:
    """Where a face that is not searched for is in a picture of this size; None: it is searched for."""
    if framing.align == "celeba":
        return upright(crop_box(width, height))
    return _central(width, height) if framing.align == "none" or not framing.searched else None


def _may_be_aligned(framing: Framing) -> bool:
    return framing.searched and framing.align == "auto" and framing.eyes is None and framing.face == "largest"


def _usual(width: int, height: int) -> Place | None:
    """Where the face is in an aligned picture of this shape: as in CelebA's, or it fills the square."""
    if abs(width / height - SIZE[0] / SIZE[1]) < 0.01:
        return upright(crop_box(width, height))
    return _central(width, height) if width == height else None


def _central(width: int, height: int) -> Place:
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return upright((left, top, left + side, top + side))


def _choose(found: list[Place], which: Which, name: str) -> tuple[Place, ...]:
    if which == "largest":
        return (max(found, key=lambda place: place.side),)
    ordered = sorted(found, key=lambda place: place.middle.real)
    if which == "all":
        return tuple(ordered)
    if which > len(ordered):
        raise WorkError(f"--face {which}: {len(ordered)} were found in {name}.")
    return (ordered[which - 1],)


def _check_shown(place: Place, image: Image.Image, name: str) -> None:
    """Raises WorkError where the face is not `_shown`."""
    if not _shown(place, image):
        raise WorkError(f"The face in {name} lies partly outside the picture; take one that shows it whole.")


def _shown(place: Place, image: Image.Image) -> bool:
    """Whether enough of the face itself, within the frame, is inside the picture."""
    steps = [-0.6 + 1.2 * (step + 0.5) / 12 for step in range(12)]
    points = [place.middle + u * place.right + (v + 0.09) * place.down for u in steps for v in steps]
    inside = sum(0 <= point.real < image.width and 0 <= point.imag < image.height for point in points)
    return inside >= _SHOWN * len(points)
