"""How well faces are found and aligned, on CelebA's full-size validation pictures, whose frame is known.

    python benchmarks/faces.py DIR/full_size_valid.zip

Each picture (178×218) is looked at as it is, then pasted once at a random scale (0.5 to 3), place and turn
(±20°) into a picture of 1280×960 with a random ground, upright and turned by 90°, 180° and 270°. The error of
a crop is the root mean square distance between the points of the found square and those of CelebA's own, in
pixels of 178×218. People of the validation split taught none of this.
"""

import argparse
import io
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from csvae_cli import runs
from csvae_cli.data import faces
from csvae_cli.data.celeba_frame import crop_box
from csvae_cli.data.framing import Framed
from csvae_cli.data.places import Place, upright
from csvae_cli.editing.editor import Editor
from csvae_cli.editing.pictures import Photo

PAGE = (1280, 960)
FULL = (178, 218)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("--count", type=int, help="the first pictures only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with zipfile.ZipFile(options.zip) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[: options.count]
        pictures = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]
    print(
        "| faces | found | crop's error, median (90 %), px | of the turn | of the scale | other faces | ms |"
    )
    print("|---|---|---|---|---|---|---|")
    truth = upright(crop_box(*FULL))
    report("aligned, as they are", [(picture, truth) for picture in pictures])
    for quarters in range(4):
        noise = np.random.default_rng(quarters)
        name = f"pasted, turned by {90 * quarters}° ± 20°" if quarters else "pasted, ± 20°"
        report(name, (paste(picture, quarters, noise) for picture in pictures))
    codes_alike(pictures[:100])


def codes_alike(pictures: list[Image.Image]) -> None:
    """How far csvae's own model's z of a pasted face is from that of the aligned one; one line."""
    editor = Editor.of(runs.load(str(runs.PACKAGED), Path()), "cpu")
    truth = upright(crop_box(*FULL))
    aligned = [Photo(picture, Framed((truth,), "celeba")) for picture in pictures]
    found = []
    for picture in pictures:
        page, place = paste(picture, 0, np.random.default_rng(len(found)))
        nearest = min(faces.find(page), key=lambda face: abs(face.middle - place.middle))
        found.append(Photo(page, Framed((nearest,), "found")))
    one, other = editor.encode(editor.faces(aligned)).z_mu, editor.encode(editor.faces(found)).z_mu
    same = (one - other).norm(dim=1).median()
    people = (one - one.roll(1, 0)).norm(dim=1).median()
    print(f"z of the aligned and of the pasted face: {same:.2f} apart, of two people {people:.2f} (medians)")


def report(name: str, cases) -> None:
    """One row of the table."""
    errors, turns, scales, missed, others, seconds = [], [], [], 0, 0, 0.0
    for picture, truth in cases:
        start = time.perf_counter()
        found = faces.find(picture)
        seconds += time.perf_counter() - start
        right = [face for face in found if abs(face.middle - truth.middle) < truth.side / 3]
        others += len(found) - len(right)
        if not right:
            missed += 1
            continue
        place = right[0]
        errors.append(truth.distance(place) * 148)
        turns.append(abs((place.turn - truth.turn + 180) % 360 - 180))
        scales.append(abs(place.side / truth.side - 1))
    count = len(errors) + missed
    print(
        f"| {name} | {len(errors)} of {count} | {np.median(errors):.2f} ({np.quantile(errors, 0.9):.2f}) | "
        f"{np.median(turns):.2f}° | {100 * np.median(scales):.1f} % | {others} | "
        f"{1000 * seconds / count:.0f} |",
        flush=True,
    )


def paste(picture: Image.Image, quarters: int, noise: np.random.Generator) -> tuple[Image.Image, Place]:
    """The picture somewhere in a larger one, and where its crop lies there."""
    scale = np.exp(noise.uniform(np.log(0.5), np.log(3)))
    turn = np.deg2rad(90 * quarters + noise.uniform(-20, 20))
    by = scale * np.exp(1j * turn)
    reach = np.array([w * abs(by.real) + h * abs(by.imag) for w, h in (FULL, FULL[::-1])]) / 2
    x, y = (noise.uniform(r, size - r) for r, size in zip(reach, PAGE, strict=True))
    middle = complex(x, y)
    back = 1 / by
    shift = complex(*FULL) / 2 - middle * back
    fine = 2 if scale < 1 else 1  # drawn at twice the size, then averaged: no aliasing
    step = back / fine
    numbers = (step.real, -step.imag, shift.real, step.imag, step.real, shift.imag)  # from the page back
    size = (fine * PAGE[0], fine * PAGE[1])
    drawn = picture.transform(size, Image.Transform.AFFINE, numbers, Image.Resampling.BICUBIC)
    mask = Image.new("L", FULL, 255).transform(size, Image.Transform.AFFINE, numbers)
    page = ground(noise)
    page.paste(drawn.reduce(fine), (0, 0), mask.reduce(fine))
    own = upright(crop_box(*FULL))
    half = own.right * by
    return page, Place(middle + (own.middle - complex(*FULL) / 2) * by, half, 1j * half)


def ground(noise: np.random.Generator) -> Image.Image:
    """A random picture without a face: noise of several sizes."""
    total = np.zeros((PAGE[1], PAGE[0], 3))
    for cells in (3, 8, 24, 80, 240):
        small = noise.uniform(0, 255, (cells * 3 // 4 + 1, cells, 3)).astype(np.uint8)
        total += np.asarray(Image.fromarray(small).resize(PAGE, Image.Resampling.BICUBIC)) / cells**0.5
    total -= total.min()
    return Image.fromarray((255 * total / total.max()).astype(np.uint8))


if __name__ == "__main__":
    main()
