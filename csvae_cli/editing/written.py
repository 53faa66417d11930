"""Pictures out: an edited copy in its original's format, with what the original came with."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from csvae_cli.editing.pictures import HEIC, Kept, described, to_srgb
from csvae_cli.errors import WorkError

_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
_QUALITY = 95
_MOST_EXIF = 65_533  # bytes that a JPEG's segment has room for


def written_suffix(path: Path) -> str:
    """The suffix in which an edited copy of the file is written: its own where it can be, else PNG."""
    suffix = path.suffix.lower()
    return suffix if suffix in _FORMATS or suffix in HEIC else ".png"


def encode_picture(image: Image.Image, suffix: str, kept: Kept) -> bytes:
    """The bytes of a file of that suffix, an RGB picture with what is kept; lossy formats at quality 95.

    Raises WorkError where the format cannot hold it.
    """
    image = image.convert("L") if kept.grey else image.copy()
    image.info.clear()  # Pillow writes some of it, and what is kept is said below
    if kept.alpha is not None and suffix not in (".jpg", ".jpeg"):
        image.putalpha(kept.alpha)
    form = "HEIF" if suffix in HEIC else _FORMATS.get(suffix, "PNG")
    options: dict[str, Any] = {}
    if form == "TIFF":  # what another format said of its pixels is not true of these
        options["exif"] = described(_parsed(kept.exif))
    elif kept.exif and not (form == "JPEG" and len(kept.exif) > _MOST_EXIF):
        options["exif"] = kept.exif
    if kept.icc and (not kept.grey or form in ("JPEG", "PNG", "TIFF")):  # the others have no grey
        options["icc_profile"] = kept.icc
    if kept.dpi and form in ("JPEG", "PNG", "TIFF"):
        options["dpi"] = kept.dpi
    if form == "JPEG":
        options |= {"quality": _QUALITY, "subsampling": 0}
    elif form in ("WEBP", "HEIF"):
        options["quality"] = _QUALITY
    elif form == "TIFF":
        options["compression"] = "tiff_deflate"
    buffer = io.BytesIO()
    try:
        image.save(buffer, form, **options)
    except Exception as error:  # of many kinds: a side too long, EXIF too large
        raise WorkError(f"It cannot be written as {form}: {error}.") from error
    return buffer.getvalue()


def _parsed(exif: bytes) -> Image.Exif:
    parsed = Image.Exif()
    parsed.load(exif)
    return parsed


def stripped(image: Image.Image, kept: Kept) -> tuple[Image.Image, Kept]:
    """Without EXIF and profile, in the colours that a picture without a profile has (sRGB)."""
    if kept.icc:
        image = to_srgb(image.convert("L") if kept.grey else image, kept.icc)
    return image, Kept(alpha=kept.alpha, grey=kept.grey, dpi=kept.dpi)
