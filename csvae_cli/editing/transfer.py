"""Edits of pictures: encode, change, decode, put back, write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from csvae_cli import runs
from csvae_cli.data.batches import to_pictures
from csvae_cli.device import Compute
from csvae_cli.editing.pictures import (
    Align,
    Photo,
    crop,
    encode_picture,
    open_photo,
    paste,
    written_suffix,
)
from csvae_cli.editing.styles import Style
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
    """A picture that was written."""

    source: Path
    output: Path
    attribute: str
    point: list[float]
    style: str
    style_from: Path | None

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

    def __init__(self, model: Model, compute: Compute, align: Align) -> None:
        if len(model.config.model.shape) == 1:
            raise RequestError(f"{model.name} is a model of points; pictures need a model of pictures.")
        self.model = model
        self.compute = compute
        self.align: Align = align
        self.kind = model.kind.to(compute.device)

    @torch.no_grad()
    def encode(self, path: Path) -> tuple[Photo, Codes]:
        """A picture and its codes (rows of 1). Raises WorkError."""
        photo = open_photo(path, self.align)
        x = crop(photo, self.model.config.model.shape).to(self.compute.device)
        with self.compute.autocast():
            return photo, self.kind.encode(x)

    @torch.no_grad()
    def decode(self, codes: Codes, points: Mapping[int, Tensor]) -> Tensor:
        """G_ij(x, p), float C×H×W on the CPU, not clamped; what other W hold: `Model.others`."""
        with self.compute.autocast():
            moved = {i: p.to(self.compute.device) for i, p in points.items()}
            x = self.kind.switch(codes, moved, self.model.others(points))
        return x[0].float().cpu()

    def edits(
        self, photo: Photo, codes: Codes, attribute: int, points: Sequence[Tensor | None], *, decoded: bool
    ) -> Iterator[Image.Image]:
        """The photo in each style (None: its own); or, decoded, the model's own square pictures of it."""
        own = self.decode(codes, {})
        for point in points:
            changed = own if point is None else self.decode(codes, {attribute: point})
            yield picture(to_pictures(changed[None])[0]) if decoded else paste(photo, changed - own)


def run_jobs(
    editor: Editor, attribute: int, jobs: list[Job], *, decoded: bool, force: bool
) -> Iterator[Edited | Failed]:
    """Every picture as it is written. One input that fails never stops the rest."""
    name = editor.model.config.model.attributes[attribute]
    taken: dict[Path, Style] = {}
    for job in jobs:
        try:
            photo, codes = editor.encode(job.source)
            styles = job.styles
            if job.style_from is not None:
                if job.style_from not in taken:
                    _, other = editor.encode(job.style_from)
                    point = other.w_mu[attribute][0].cpu()
                    taken[job.style_from] = Style(f"from-{job.style_from.stem}", point)
                styles = (taken[job.style_from],)
            suffix = ".png" if decoded else written_suffix(job.source)
            targets = [job.folder / f"{style.name}{suffix}" for style in styles]
            if not force:
                _refuse_existing(targets)
            points = [style.point for style in styles]
            images = editor.edits(photo, codes, attribute, points, decoded=decoded)
            for style, target, image in zip(styles, targets, images, strict=True):
                runs.write(target, encode_picture(image, suffix))
                point = codes.w_mu[attribute][0] if style.point is None else style.point
                yield Edited(job.source, target, name, point.tolist(), style.name, job.style_from)
        except UserError as error:
            yield Failed(job.source, str(error))


def _refuse_existing(targets: list[Path]) -> None:
    for target in targets:
        if target.exists():
            raise WorkError(f"{target} exists; --force overwrites it.")
