"""The grain of a photo, for what is drawn into it: a smooth patch in a grainy face is seen at once."""

import numpy as np
from PIL import Image, ImageFilter

_FINE = 300
"""A face's width over this is how far detail reaches that counts as fine, in pixels, at least one."""

_DRAWN, _FEWEST = 0.02, 8
"""The share from which a place counts as drawn anew, and how many tiles without it are needed."""


def grain(photo: np.ndarray, drawn: np.ndarray, width: float) -> np.ndarray:
    """What is to be added to a photo (uint8 H×W×3) where it is drawn anew (the share, H×W×1), float H×W×3.

    Tiles of its fine detail from where nothing is drawn, the calmer half of them, in any order: what was at
    the place itself, stubble or a thin rim, is what had to go. width: the face's, in pixels.
    """
    nothing = np.zeros(photo.shape, np.float32)
    if not (drawn > _DRAWN).any():
        return nothing
    reach = max(width / _FINE, 1.0)
    side = max(round(4 * reach), 4)
    down, across = -(-photo.shape[0] // side), -(-photo.shape[1] // side)
    smooth = Image.fromarray(photo).filter(ImageFilter.GaussianBlur(reach))
    fine, there = (
        _tiles(whole, side) for whole in (photo.astype(np.float32) - np.asarray(smooth), drawn > _DRAWN)
    )
    elsewhere = fine[~there.any((1, 2, 3))]
    if len(elsewhere) < _FEWEST:
        return nothing
    energy = np.square(elsewhere).mean((1, 2, 3))
    calm = elsewhere[energy <= np.median(energy)]
    chosen = calm[np.random.default_rng(0).integers(len(calm), size=(down, across))]
    laid = chosen.swapaxes(1, 2).reshape(down * side, across * side, 3)
    added: np.ndarray = drawn * laid[: photo.shape[0], : photo.shape[1]]
    return added


def _tiles(whole: np.ndarray, side: int) -> np.ndarray:
    """H×W×C in tiles, N×side×side×C, the last ones mirrored at the edge."""
    height, width = whole.shape[:2]
    padded = np.pad(whole, ((0, -height % side), (0, -width % side), (0, 0)), mode="symmetric")
    cut = padded.reshape(padded.shape[0] // side, side, -1, side, whole.shape[2])
    return cut.swapaxes(1, 2).reshape(-1, side, side, whole.shape[2])
