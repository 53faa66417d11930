"""Pictures in: found, opened, cut to the model's frame."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from csvae_cli.data.batches import from_pictures
from csvae_cli.data.framing import Framed, Framing, fine_enough, frame_all, shrinkable
from csvae_cli.data.places import cut
from csvae_cli.errors import RequestError, WorkError

HEIC = (".heic", ".heif")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", *HEIC)

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc")

_MAX_PIXELS = 120_000_000

HELD_PIXELS = 50_000_000
"""Of the photos that each core holds at a time; a single one may have more."""

_DESCRIBING = (270, 271, 272, 305, 306, 315, 33432)
"""TIFF's description, make, model, software, time, artist and copyright."""

_RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw")
"""Cameras' raw files, of which Pillow would read the small preview that many begin with."""

_ShrinkBy = Callable[[tuple[int, int]], int]


@dataclass(frozen=True)
class Kept:
    """What goes from a file into its edited copy besides the colours.

    exif: without the orientation, which is applied; icc: of RGB or grey pictures; alpha: as large as the
    picture; grey: the file has no colours; dpi: how large it is to be printed, across and down.
    """

    exif: bytes = b""
    icc: bytes = b""
    alpha: Image.Image | None = None
    grey: bool = False
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Photo:
    """A picture as the user sees it (upright, RGB), where in it the model looks, and what it came with."""

    image: Image.Image
    framed: Framed
    kept: Kept = Kept()


@dataclass(frozen=True)
class Failed:
    """An input that gave nothing, and why."""

    source: Path
    reason: str

    def as_json(self) -> dict[str, str]:
        return {"input": str(self.source), "error": self.reason}


@dataclass(frozen=True)
class _Read:
    """The first frame of a file, upright and RGB, perhaps shrunk, and what it came with."""

    image: Image.Image
    kept: Kept
    shrunk: bool


def find_inputs(paths: Sequence[Path]) -> list[Path]:
    """Files as they are named, folders as the pictures in them, by name. Raises RequestError."""
    found: list[Path] = []
    for path in paths:
        try:
            if path.is_dir():
                inside = sorted(filter(_is_picture, path.iterdir()))
                if not inside:
                    raise RequestError(f"There are no pictures in {path} ({', '.join(SUFFIXES)}).")
                found += inside
            elif not path.exists():
                raise RequestError(f"{path} is not there.")
            else:
                found.append(path)
        except OSError as error:
            raise RequestError(f"{path} cannot be looked at: {error.strerror}.") from error
    return found


def _is_picture(path: Path) -> bool:
    """By its name; hidden files, as some systems put beside pictures, are none."""
    if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
        return False
    try:
        return path.is_file()
    except OSError:  # that it cannot be read is said of it, not of its folder
        return True


def pixels_of(path: Path) -> int:
    """How many a picture has, as far as the beginning of its file tells; else 0."""
    try:
        with _opened(path) as opened:
            return opened.width * opened.height
    except Exception:  # why, is said when it is read
        return 0


def open_photo(path: Path, framing: Framing) -> Photo:
    """Raises WorkError, naming the file, where it cannot be read as a picture, or shows no face."""
    (photo,) = open_photos([path], framing)
    if isinstance(photo, WorkError):
        raise photo
    return photo


def open_photos(paths: Sequence[Path], framing: Framing) -> list[Photo | WorkError]:
    """The same of many, with the error of each that failed."""
    return _framed(paths, [_tried(path) for path in paths], framing)


def open_shrunk(paths: Sequence[Path], framing: Framing, side: int) -> list[Photo | WorkError]:
    """The same for whoever wants faces of `side` pixels alone: photos may be smaller than their files.

    A JPEG decoder that gives every second pixel, or every eighth, has much less to do. Where a face turns out
    to be small, or none is found, the photo is read again as a whole.
    """
    read = [_tried(path, lambda size: shrinkable(*size, framing, side)) for path in paths]
    photos = _framed(paths, read, framing)
    again = [
        row
        for row, (one, photo) in enumerate(zip(read, photos, strict=True))
        if not isinstance(one, WorkError)
        and one.shrunk
        and (isinstance(photo, WorkError) or not fine_enough(photo.image, photo.framed, side))
    ]
    for row, photo in zip(again, open_photos([paths[row] for row in again], framing), strict=True):
        photos[row] = photo
    return photos


def _framed(
    paths: Sequence[Path], read: Sequence[_Read | WorkError], framing: Framing
) -> list[Photo | WorkError]:
    """Photos of what could be read."""
    whole = [
        (str(path), one.image)
        for path, one in zip(paths, read, strict=True)
        if not isinstance(one, WorkError)
    ]
    framed = iter(frame_all([image for _, image in whole], [name for name, _ in whole], framing))
    photos: list[Photo | WorkError] = []
    for one in read:
        if isinstance(one, WorkError):
            photos.append(one)
            continue
        where = next(framed)
        photos.append(where if isinstance(where, WorkError) else Photo(one.image, where, one.kept))
    return photos


def crops(photo: Photo, shape: tuple[int, ...]) -> Tensor:
    """Its faces as the model takes them: float N×C×H×W in [0, 1]; shape: (C, H, W)."""
    channels, height, width = shape
    cuts = []
    for place in photo.framed.places:
        face = cut(photo.image, place, (width, height))
        pixels = np.asarray(face if channels == 3 else face.convert("L")).reshape(height, width, channels)
        cuts.append(torch.from_numpy(pixels.copy()))
    return from_pictures(torch.stack(cuts))


def _tried(path: Path, shrink_by: _ShrinkBy = lambda _: 1) -> _Read | WorkError:
    try:
        return _read(path, shrink_by)
    except WorkError as error:
        return error


def _read(path: Path, shrink_by: _ShrinkBy) -> _Read:
    """shrink_by: by how much a picture of a size (width, height) may be. Raises WorkError."""
    if path.suffix.lower() in _RAW:
        raise WorkError(f"{path} is a camera's raw file; export a JPEG or TIFF of it first.")
    try:
        with _opened(path) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                size = f"{opened.width}×{opened.height}"
                raise WorkError(f"{path} has {size} pixels, more than csvae takes; shrink it first.")
            whole, by = opened.size, shrink_by(opened.size)
            opened.draft(None, (max(whole[0] // by, 1), max(whole[1] // by, 1)))  # of JPEGs
            shrunk = opened.size != whole
            return _Read(*upright(opened), shrunk)
    except Image.DecompressionBombError as error:
        raise WorkError(f"{path} has far more pixels than csvae takes; shrink it first.") from error
    except UnidentifiedImageError as error:
        raise WorkError(f"{path} is not a picture that csvae can read.") from error
    except MemoryError as error:
        raise WorkError(f"{path} needs more memory than there is; shrink it first.") from error
    except WorkError:
        raise
    except FileNotFoundError as error:
        raise WorkError(f"{path} is not there.") from error
    except Exception as error:  # what Pillow raises on odd data is of many kinds
        if isinstance(error, OSError) and error.errno:
            raise WorkError(f"{path} cannot be read: {error.strerror}.") from error
        raise WorkError(f"{path} cannot be read as a picture: {error}.") from error


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Its beginning is read, no pixels. Raises WorkError without what HEIC needs, and what Pillow raises."""
    with path.open("rb") as file:
        if path.suffix.lower() in HEIC or _is_heic(file):
            _learn_heic(path)
        with Image.open(file) as opened:
            yield opened


def upright(opened: Image.Image) -> tuple[Image.Image, Kept]:
    """A picture as people see it, RGB, and what it came with. Raises what Pillow does where it is damaged."""
    opened.load()
    turned, exif = _turned(opened)
    icc: bytes = turned.info.get("icc_profile") or b""
    alpha = turned.convert("RGBA").getchannel("A") if turned.has_transparency_data else None
    grey = turned.mode in ("1", "L", "LA", "La", "I", "F") or turned.mode.startswith("I;")
    if turned.mode in ("I", "F") or turned.mode.startswith("I;"):
        turned = _eight_bits(turned)
    elif turned.mode == "CMYK" and icc:
        turned = to_srgb(turned, icc)
    if icc[16:20] != (b"GRAY" if grey else b"RGB "):
        icc = b""  # of colours that the copy does not have
    dpi = _dpi(turned.info.get("dpi"))
    rgb = turned.convert("RGB" if alpha is None else "RGBA").convert("RGB")  # or Pillow warns of palettes
    return rgb, Kept(exif, icc, alpha, grey, dpi)


def _dpi(said: Any) -> tuple[float, float] | None:
    """What a file says of its size in print, if it says anything that another can."""
    try:
        across, down = (float(value) for value in said)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= 10_000 and 1 <= down <= 10_000 else None


def _turned(opened: Image.Image) -> tuple[Image.Image, bytes]:
    """Upright, and its EXIF; without it where it cannot be read or written."""
    try:
        said = described(opened.getexif()) if opened.format == "TIFF" else None
        upright = ImageOps.exif_transpose(opened)
    except MemoryError:
        raise
    except Exception:  # EXIF is written by anybody
        return _turned_alone(opened), b""
    exif = upright.getexif() if said is None else said
    try:
        return upright, exif.tobytes() if len(exif) else b""
    except Exception:
        return upright, b""


def _turned_alone(opened: Image.Image) -> Image.Image:
    """Upright as far as anything says how it lies, with nothing else of its EXIF."""
    image = opened.copy()
    try:
        turn = opened.getexif().get(ExifTags.Base.Orientation, 1)
        kept = ("icc_profile", "transparency")
        image.info = {name: value for name, value in image.info.items() if name in kept}
        image.getexif()[ExifTags.Base.Orientation] = turn
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def described(every: Image.Exif) -> Image.Exif:
    """Of all that EXIF says, what describes the picture and not how its pixels lie, which a TIFF may take."""
    exif = Image.Exif()
    for tag in _DESCRIBING:
        if tag in every:
            exif[tag] = every[tag]
    return exif


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or floating point, as 8."""
    values = np.asarray(image).astype(np.float32)
    if image.mode == "F":
        white = 1.0 if values.max(initial=0) <= 1 else 255.0
    else:
        white = 255.0 if image.mode == "I" and values.max(initial=0) <= 255 else 65535.0
    return Image.fromarray((values * (255 / white)).round().clip(0, 255).astype(np.uint8))


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """By its profile; as it is where that is damaged, which then says nothing about the colours."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(
            image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        return image if converted is None else converted
    except (ImageCms.PyCMSError, OSError):
        return image


def _is_heic(file: BinaryIO) -> bool:
    """By its first bytes, before which it is left: telephones' pictures are often named otherwise."""
    head = file.read(12)
    file.seek(0)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS


def _learn_heic(path: Path) -> None:
    if find_spec("pillow_heif") is None:
        raise WorkError(
            f"{path}: HEIC needs pillow-heif; pip install pillow-heif (or pipx inject csvae pillow-heif)."
        )
    import pillow_heif

    pillow_heif.register_heif_opener()
