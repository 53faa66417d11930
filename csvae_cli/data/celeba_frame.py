"""The frame of CelebA's aligned pictures, 178×218 pixels: what is cut out of it, where faces lie in it."""

SIZE = (178, 218)

EYES = ((69.6, 111.7), (108.6, 111.6))
NOSE = (88.2, 135.9)
MOUTH = ((71.9, 153.0), (105.9, 153.0))
"""Where these are, the corners of the mouth the last: x, y, the medians over CelebA."""


def crop_box(width: int, height: int) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) in pixels of the square that is kept of an aligned picture of that size.

    Of the published 178×218 it is the central 148×148, columns 15–163 and rows 40–188; of other sizes the
    same part, which may end between pixels.
    """
    return 15 * width / 178, 40 * height / 218, 163 * width / 178, 188 * height / 218
