"""Pictures in and out: found, opened, cut to the model's frame, written."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from csvae_cli.data.celeba import crop_box
from csvae_cli.errors import RequestError, WorkError

Align = Literal["auto", "none", "celeba"]
Box = tuple[float, float, float, float]

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_MAX_PIXELS = 100_000_000
_CELEBA_RATIO = 178 / 218


@dataclass(frozen=True)
class Photo:
    """A picture as the user sees it (upright, RGB), and the box (left, top, right, bottom) of its face."""

    path: Path
    image: Image.Image
    box: Box


def find_inputs(paths: Sequence[Path]) -> list[Path]:
    """Files as they are named, folders as the pictures in them, by name. Raises RequestError."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise RequestError(f"There are no pictures in {path} ({', '.join(SUFFIXES)}).")
            found += inside
        elif not path.exists():
            raise RequestError(f"{path} is not there.")
        else:
            found.append(path)
    return found


def open_photo(path: Path, align: Align) -> Photo:
    """Raises WorkError, naming the file, where it cannot be read as a picture."""
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                size = f"{opened.width}×{opened.height}"
                raise WorkError(f"{path} has {size} pixels, more than csvae takes; shrink it first.")
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise WorkError(f"{path} is not a picture that csvae can read.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise WorkError(f"{path} cannot be read as a picture: {error}.") from error
    return Photo(path, image, _frame(image.width, image.height, align))


def crop(photo: Photo, shape: tuple[int, ...]) -> Tensor:
    """The face as the model takes it: float 1×C×H×W in [0, 1]; shape: (C, H, W)."""
    channels, height, width = shape
    face = photo.image.resize((width, height), Image.Resampling.BICUBIC, photo.box)
    pixels = np.asarray(face if channels == 3 else face.convert("L"))
    pixels = pixels.reshape(height, width, channels)
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float().div(255)


def paste(photo: Photo, change: Tensor) -> Image.Image:
    """The photo with a change of its face added, faded at the edges: float C×H×W, in units of [0, 1]."""
    left, top, right, bottom = (round(edge) for edge in photo.box)
    height, width = bottom - top, right - left
    change = change.expand(3, -1, -1) * _window(change.shape[1], change.shape[2])
    grown = torch.nn.functional.interpolate(change[None], (height, width), mode="bicubic")[0]
    pixels = np.asarray(photo.image).copy()
    face = pixels[top:bottom, left:right].astype(np.float32)
    added = face + 255 * grown.permute(1, 2, 0).numpy()
    pixels[top:bottom, left:right] = added.round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def encode_picture(image: Image.Image, suffix: str) -> bytes:
    """The bytes of a file of that suffix; JPEG and WebP at quality 95."""
    buffer = io.BytesIO()
    if suffix in (".jpg", ".jpeg"):
        image.save(buffer, "JPEG", quality=95, subsampling=0)
    elif suffix == ".webp":
        image.save(buffer, "WEBP", quality=95)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def written_suffix(path: Path) -> str:
    """The suffix in which an edited copy of the file is written: its own where it can be, else PNG."""
    suffix = path.suffix.lower()
    return suffix if suffix in (".jpg", ".jpeg", ".webp") else ".png"


def unique_stems(paths: Iterable[Path]) -> list[str]:
    """A name for each path: its stem, numbered where two are the same."""
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        seen[path.stem] = seen.get(path.stem, 0) + 1
        names.append(path.stem if seen[path.stem] == 1 else f"{path.stem}-{seen[path.stem]}")
    return names


def _frame(width: int, height: int, align: Align) -> Box:
    if align == "celeba" or (align == "auto" and abs(width / height - _CELEBA_RATIO) < 0.01):
        return crop_box(width, height)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return (left, top, left + side, top + side)


def _window(height: int, width: int) -> Tensor:
    """1 inside, falling to 0 over the outermost eighth, H×W."""
    down, across = (
        torch.linspace(0, size / (size // 8), size).clamp(max=1)
        * torch.linspace(size / (size // 8), 0, size).clamp(max=1)
        for size in (height, width)
    )
    return down[:, None] * across[None, :]
