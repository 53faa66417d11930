"""Edits of pictures: encode, change, decode, put back, write."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csvae_cli import runs
from csvae_cli.data.framing import Framed
from csvae_cli.editing.editor import Editor, Points
from csvae_cli.editing.pictures import Kept
from csvae_cli.editing.styles import Style
from csvae_cli.editing.written import encode_picture, stripped, written_suffix
from csvae_cli.errors import UserError, WorkError


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


@dataclass(frozen=True)
class Manner:
    """How all jobs are done.

    attribute: the one with the styles; also: points of others, put into every picture; strength: see
    `Editor.reached`. decoded: the model's own squares, every face of a picture one; else photos, with all
    their faces changed, and with their EXIF and profile unless `strip`.
    """

    attribute: int
    also: Points = field(default_factory=dict)
    strength: float = 1.0
    decoded: bool = False
    force: bool = False
    strip: bool = False


def run_jobs(editor: Editor, jobs: list[Job], manner: Manner) -> Iterator[Edited | Failed]:
    """Every picture as it is written. One input that fails never stops the rest."""
    taken: dict[Path, Style] = {}
    for job in jobs:
        try:
            styles = job.styles
            if job.style_from is not None:
                if job.style_from not in taken:
                    taken[job.style_from] = editor.style_of(job.style_from, manner.attribute)
                styles = (taken[job.style_from],)
            yield from _run(editor, job, styles, manner)
        except UserError as error:
            yield Failed(job.source, str(error))


def _run(editor: Editor, job: Job, styles: Sequence[Style], manner: Manner) -> Iterator[Edited]:
    photo = editor.open(job.source)
    codes = editor.encode(photo)
    suffix = ".png" if manner.decoded else written_suffix(job.source)
    faces = len(photo.framed.places)
    marks = [f"-face{face + 1}" for face in range(faces)] if manner.decoded and faces > 1 else [""]
    weaker = "" if manner.strength == 1 else f"-x{manner.strength:.2f}"
    targets = [[job.folder / f"{style.name}{weaker}{mark}{suffix}" for mark in marks] for style in styles]
    _check_targets(job.source, [target for row in targets for target in row], force=manner.force)
    name = editor.model.config.model.attributes[manner.attribute]
    for style, row in zip(styles, targets, strict=True):
        asked = {} if style.point is None else {manner.attribute: style.point}
        points = editor.reached(codes, {**asked, **manner.also}, manner.strength)
        if manner.decoded:
            images, kept = editor.squares(codes, points), Kept()
        else:
            images, kept = [editor.changed(photo, codes, points)], photo.kept
        reached = points.get(manner.attribute, codes.w_mu[manner.attribute].cpu()).expand(faces, -1).tolist()
        for target, image, point in zip(row, images, reached, strict=False):
            out, keeping = stripped(image, kept) if manner.strip else (image, kept)
            runs.write(target, encode_picture(out, suffix, keeping))
            yield Edited(job.source, target, name, point, style.name, job.style_from, photo.framed)


def _check_targets(source: Path, targets: list[Path], *, force: bool) -> None:
    """Raises WorkError where a file would be overwritten that must not be."""
    for target in targets:
        if target.exists():
            if target.samefile(source):
                raise WorkError(f"{target} would be written over itself; choose another --out.")
            if not force:
                raise WorkError(f"{target} exists; --force overwrites it.")
