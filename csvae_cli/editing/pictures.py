"""Pictures in and out: found, opened, cut to the model's frame, written."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from csvae_cli.data.batches import from_pictures
from csvae_cli.data.framing import Framed, Framing, frame
from csvae_cli.data.places import cut
from csvae_cli.errors import RequestError, WorkError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Photo:
    """A picture as the user sees it (upright, RGB), and where in it the model looks."""

    path: Path
    image: Image.Image
    framed: Framed


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


def open_photo(path: Path, framing: Framing) -> Photo:
    """Raises WorkError, naming the file, where it cannot be read as a picture, or shows no face."""
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
    return Photo(path, image, frame(image, str(path), framing))


def crops(photo: Photo, shape: tuple[int, ...]) -> Tensor:
    """Its faces as the model takes them: float N×C×H×W in [0, 1]; shape: (C, H, W)."""
    channels, height, width = shape
    cuts = []
    for place in photo.framed.places:
        face = cut(photo.image, place, (width, height))
        pixels = np.asarray(face if channels == 3 else face.convert("L")).reshape(height, width, channels)
        cuts.append(torch.from_numpy(pixels.copy()))
    return from_pictures(torch.stack(cuts))


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
