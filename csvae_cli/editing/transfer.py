"""Edits of pictures: encode, change, decode, put back, write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from csvae_cli import runs
from csvae_cli.data.batches import to_pictures
from csvae_cli.data.framing import Framed, Framing
from csvae_cli.device import Compute
from csvae_cli.editing import blending
from csvae_cli.editing.pictures import Kept, Photo, crops, open_photo
from csvae_cli.editing.styles import Style
from csvae_cli.editing.written import encode_picture, stripped, written_suffix
from csvae_cli.errors import RequestError, UserError, WorkError
from csvae_cli.runs import Model
from csvae_cli.sheets import picture
from models.kind import Codes


@dataclass(frozen=True)
class Job:
    """One input and what becomes of it.

    folder: where its pictures go; style_from: another picture whose style it takes, instead of `styles`.
    """

    source: Path
    folder: Path
    styles: tuple[Style, ...]
    style_from: Path | None = None


@dataclass(frozen=True)
class Edited:
    """A picture that was written; framed: where the model looked in the source."""

    source: Path
    output: Path
    attribute: str
    point: list[float]
    style: str
    style_from: Path | None
    framed: Framed

    def as_json(self) -> dict[str, Any]:
        """The line of `transfer --json`."""
        line: dict[str, Any] = {
            "input": str(self.source),
            "output": str(self.output),
            "attr": self.attribute,
            "p": [round(value, 6) for value in self.point],
            "style": self.style,
        }
        return line if self.style_from is None else {**line, "style_from": str(self.style_from)}


@dataclass(frozen=True)
class Failed:
    """An input that gave nothing, and why."""

    source: Path
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"input": str(self.source), "error": self.reason}


class Editor:
    """A loaded model on its device: pictures in, edited pictures out."""

    def __init__(self, model: Model, compute: Compute, framing: Framing) -> None:
        if len(model.config.model.shape) == 1:
            raise RequestError(f"{model.name} is a model of points; pictures need a model of pictures.")
        self.model = model
        self.compute = compute
        self.framing = framing
        self.kind = model.kind.to(compute.device)
        self._regions: dict[int, Tensor] = {}

    @torch.no_grad()
    def encode(self, path: Path, framing: Framing | None = None) -> tuple[Photo, Codes]:
        """A picture and the codes of its faces, a row each. Raises WorkError."""
        photo = open_photo(path, framing or self.framing)
        x = crops(photo, self.model.config.model.shape).to(self.compute.device)
        with self.compute.autocast():
            return photo, self.kind.encode(x)

    def style_of(self, path: Path, attribute: int) -> Style:
        """The style of the (largest) face of another picture. Raises WorkError."""
        _, codes = self.encode(path, replace(self.framing, face="largest", eyes=None))
        return Style(f"from-{path.stem}", codes.w_mu[attribute][0].cpu())

    @torch.no_grad()
    def decode(self, codes: Codes, points: Mapping[int, Tensor]) -> Tensor:
        """G_ij(x, p), float N×C×H×W on the CPU, not clamped; what other W hold: `Model.others`."""
        with self.compute.autocast():
            moved = {i: p.to(self.compute.device) for i, p in points.items()}
            x = self.kind.switch(codes, moved, self.model.others(points))
        return x.float().cpu()

    def photos(
        self, photo: Photo, codes: Codes, attribute: int, points: Sequence[Tensor | None]
    ) -> Iterator[Image.Image]:
        """The photo in each style (None: its own), all of its faces changed."""
        own = self.decode(codes, {})
        shows = blending.shown(self.model, codes, attribute)
        absent = self.kind.anchors(attribute)[0].cpu()
        for point in points:
            image = photo.image
            if point is not None:
                drawn = self.decode(codes, {attribute: point})
                taken = torch.equal(point, absent)
                changes = blending.changes(self.region(attribute), own, drawn, shows, taken=taken)
                for place, change in zip(photo.framed.places, changes, strict=True):
                    image = blending.apply(image, place, change)
            yield image

    def region(self, attribute: int) -> Tensor:
        """Where the attribute is in the model's frame (`blending.region`), found once."""
        if attribute not in self._regions:
            self._regions[attribute] = blending.region(self.model, attribute)
        return self._regions[attribute]

    def squares(
        self, codes: Codes, attribute: int, points: Sequence[Tensor | None]
    ) -> Iterator[list[Image.Image]]:
        """For each style (None: its own) the model's own pictures, one of every face."""
        for point in points:
            drawn = self.decode(codes, {} if point is None else {attribute: point})
            yield [picture(square) for square in to_pictures(drawn)]


def run_jobs(
    editor: Editor, attribute: int, jobs: list[Job], *, decoded: bool, force: bool, strip: bool = False
) -> Iterator[Edited | Failed]:
    """Every picture as it is written. One input that fails never stops the rest.

    Decoded, every face of a picture becomes a picture; else each style is one, with all its faces changed,
    and with the original's EXIF and profile unless they are to be stripped.
    """
    name = editor.model.config.model.attributes[attribute]
    taken: dict[Path, Style] = {}
    for job in jobs:
        try:
            photo, codes = editor.encode(job.source)
            styles = job.styles
            if job.style_from is not None:
                if job.style_from not in taken:
                    taken[job.style_from] = editor.style_of(job.style_from, attribute)
                styles = (taken[job.style_from],)
            suffix = ".png" if decoded else written_suffix(job.source)
            faces = len(photo.framed.places)
            marks = [f"-face{face + 1}" for face in range(faces)] if decoded and faces > 1 else [""]
            targets = [[job.folder / f"{style.name}{mark}{suffix}" for mark in marks] for style in styles]
            _check_targets(job.source, [target for row in targets for target in row], force=force)
            points = [style.point for style in styles]
            drawn = (
                editor.squares(codes, attribute, points)
                if decoded
                else ([image] for image in editor.photos(photo, codes, attribute, points))
            )
            for style, row, images in zip(styles, targets, drawn, strict=True):
                for face, (target, image) in enumerate(zip(row, images, strict=True)):
                    kept = Kept() if decoded else photo.kept
                    if strip:
                        image, kept = stripped(image, kept)
                    runs.write(target, encode_picture(image, suffix, kept))
                    point = codes.w_mu[attribute][face] if style.point is None else style.point
                    yield Edited(
                        job.source, target, name, point.tolist(), style.name, job.style_from, photo.framed
                    )
        except UserError as error:
            yield Failed(job.source, str(error))


def _check_targets(source: Path, targets: list[Path], *, force: bool) -> None:
    """Raises WorkError where a file would be overwritten that must not be."""
    for target in targets:
        if target.exists():
            if target.samefile(source):
                raise WorkError(f"{target} would be written over itself; choose another --out.")
            if not force:
                raise WorkError(f"{target} exists; --force overwrites it.")
