"""All styles of one input at a glance: on a sheet, or one after the other."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

from csvae_cli.sheets import contact_sheet, png, stack

_SIDE, _ACROSS, _PACE = 256, 7, 120
"""Pixels along the longer side of a picture, styles side by side on a sheet, milliseconds a style."""

Frames = Sequence[Sequence[Image.Image]]
"""For each style one picture, or one of every face."""

Draw = Callable[[Sequence[str], Frames], bytes]
"""Names of styles, and pictures in them -> a file."""


def thumbnail(image: Image.Image) -> Image.Image:
    """RGB, shrunk where it is large."""
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    return small


def sheet(names: Sequence[str], frames: Frames) -> bytes:
    """A PNG: styles across with their names, faces down."""
    across = min(len(names), _ACROSS)
    pages = []
    for start in range(0, len(names), across):
        rows = zip(*frames[start : start + across], strict=True)
        cells = torch.stack([torch.from_numpy(np.stack([np.asarray(one) for one in row])) for row in rows])
        pages.append(contact_sheet(cells, [""] * len(cells), names[start : start + across]))
    return png(stack(pages))


def walk(names: Sequence[str], frames: Frames) -> bytes:  # noqa: ARG001 (a `Draw`)
    """An animated WebP, there and back; of several faces the first."""
    there = [row[0] for row in frames]
    path = there + there[-2:0:-1]
    buffer = io.BytesIO()
    path[0].save(buffer, "WEBP", save_all=True, append_images=path[1:], duration=_PACE, loop=0, quality=85)
    return buffer.getvalue()
