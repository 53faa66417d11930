"""Edits of pictures: encode, change, decode, put back, write."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from os.path import realpath
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from csvae_cli import runs
from csvae_cli.data.batches import to_pictures
from csvae_cli.data.encoding import take
from csvae_cli.data.framing import Framed
from csvae_cli.editing import amounts
from csvae_cli.editing.editor import BATCH, Editor, Looked, Points, style_name
from csvae_cli.editing.groups import in_groups, of_size
from csvae_cli.editing.overview import Draw, sheet, thumbnail, walk
from csvae_cli.editing.pictures import HELD_PIXELS, Failed, Kept, Photo, pixels_of
from csvae_cli.editing.styles import Style
from csvae_cli.editing.written import encode_picture, stripped, written_suffix
from csvae_cli.errors import UserError, WorkError
from csvae_cli.processes import of_environment
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
    """A picture that was written; framed: where the model looked in the source.

    bare: the attribute was to go, and the model sees none; or it sees none in style_from, whose it was to be.
    """

    source: Path
    output: Path
    attribute: str
    point: list[float]
    style: str
    style_from: Path | None
    framed: Framed
    bare: bool = False

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
class Manner:
    """How all jobs are done.

    attribute: the one with the styles; also: points of others, put into every picture; strength: see
    `Editor.reached`. decoded: the model's own squares, every face of a picture one; else photos, with all
    their faces changed, and with their EXIF and profile unless `strip`. sheet, walk: also all styles of an
    input on one labelled sheet, and one after the other as an animation.
    """

    attribute: int
    also: Points = field(default_factory=dict)
    strength: float = 1.0
    decoded: bool = False
    sheet: bool = False
    walk: bool = False
    force: bool = False
    strip: bool = False


def _never() -> bool:
    return False


def run_jobs(
    editor: Editor, jobs: Sequence[Job], manner: Manner, stop: Callable[[], bool] = _never
) -> Iterator[Edited | Failed]:
    """Every picture, in the order of the jobs, a group at a time. One that fails never stops the rest.

    Of several processes each does its share. stop: asked between two pictures; from when it says yes nothing
    is begun any more, and all that was written has been told.
    """
    inputs = frozenset(
        realpath(path) for job in jobs for path in (job.source, job.style_from) if path is not None
    )

    @lru_cache(maxsize=256)
    def style_from(path: Path) -> Style | UserError:
        try:
            return editor.style_of(path, manner.attribute)
        except UserError as error:  # kept, too: every input may ask for it
            return error

    def work(group: Sequence[_Planned]) -> list[Edited | Failed]:
        parts = of_size(group, lambda planned: pixels_of(planned.job.source), HELD_PIXELS)
        return [result for part in parts if not stop() for result in edit(part)]

    def edit(group: Sequence[_Planned]) -> list[Edited | Failed]:
        refused = [_refused(manner, planned, style_from, inputs) for planned in group]
        photos = iter(
            editor.open_all(
                [one.job.source for one, failed in zip(group, refused, strict=True) if failed is None]
            )
        )
        opened = [
            failed or _open(manner, planned.job, next(photos), style_from, inputs)
            for planned, failed in zip(group, refused, strict=True)
        ]
        drawn = iter(_draw(editor, [one for one in opened if isinstance(one, _Opened)], manner))
        return [
            result
            for one in opened
            for result in ([one] if isinstance(one, Failed) else _finish(editor, next(drawn), manner, stop))
        ]

    for attribute in () if manner.decoded else (manner.attribute, *manner.also):
        editor.area(attribute, taken=False)  # found out here, on all cores, and not in every group
    for results in in_groups(work, _planned(jobs, manner)[of_environment().share(len(jobs))], BATCH):
        yield from results


@dataclass(frozen=True)
class _Planned:
    """A job, and whether one before it writes to the same files, of which the first is `twin`."""

    job: Job
    twin: Path | None


@dataclass(frozen=True)
class _Opened:
    """A job whose photo was read. targets: for each style a file, or (decoded) one for each face."""

    job: Job
    photo: Photo
    styles: tuple[Style, ...]
    targets: tuple[tuple[Path, ...], ...]


@dataclass(frozen=True)
class _Drawn:
    """The same as the model sees it, and its faces decoded in each style."""

    opened: _Opened
    looked: Looked
    styles: tuple[tuple[Points, Tensor], ...]


def _planned(jobs: Sequence[Job], manner: Manner) -> list[_Planned]:
    taken: dict[str, Path] = {}
    planned = []
    for job in jobs:
        targets = [job.folder / f"{name}{_suffix(job, manner)}" for name in _names(job, manner)]
        by_name = {runs.as_disks_may(str(target)): target for target in targets}
        planned.append(_Planned(job, min((taken[name] for name in by_name if name in taken), default=None)))
        taken |= by_name
    return planned


def _names(job: Job, manner: Manner) -> list[str]:
    """What the written pictures are called, one for each style."""
    weaker = "" if manner.strength == 1 else f"-x{manner.strength:.2f}"
    styles = [style.name for style in job.styles] if job.style_from is None else [style_name(job.style_from)]
    return [f"{name}{weaker}" for name in styles]


def _suffix(job: Job, manner: Manner) -> str:
    return ".png" if manner.decoded else written_suffix(job.source)


def _refused(
    manner: Manner,
    planned: _Planned,
    style_from: Callable[[Path], Style | UserError],
    inputs: frozenset[str],
) -> Failed | None:
    """What is wrong with a job that can be known before its photo is opened, which takes longest."""
    job, suffix = planned.job, _suffix(planned.job, manner)
    try:
        if planned.twin is not None:
            raise WorkError(f"{planned.twin} is another edit's already; rename a style's picture.")
        if job.style_from is not None:
            _sound(style_from(job.style_from))
        names = [] if manner.decoded else [f"{name}{suffix}" for name in _names(job, manner)]
        _check_targets(inputs, [job.folder / name for name in (*_extras(manner), *names)], force=manner.force)
    except UserError as error:
        return Failed(job.source, str(error))
    return None


def _open(
    manner: Manner,
    job: Job,
    photo: Photo | WorkError,
    style_from: Callable[[Path], Style | UserError],
    inputs: frozenset[str],
) -> _Opened | Failed:
    try:
        if isinstance(photo, WorkError):
            raise photo
        styles = job.styles if job.style_from is None else (_sound(style_from(job.style_from)),)
        faces = len(photo.framed.places)
        numbers = photo.framed.numbers if manner.decoded and faces > 1 else ()
        marks = [f"-face{number}" for number in numbers] or [""]
        suffix = _suffix(job, manner)
        targets = tuple(
            tuple(job.folder / f"{name}{mark}{suffix}" for mark in marks) for name in _names(job, manner)
        )
        if manner.decoded:  # of photos it is known before
            _check_targets(inputs, [target for row in targets for target in row], force=manner.force)
    except UserError as error:
        return Failed(job.source, str(error))
    return _Opened(job, photo, styles, targets)


def _sound(found: Style | UserError) -> Style:
    if isinstance(found, UserError):
        raise found
    return found


def _draw(editor: Editor, group: Sequence[_Opened], manner: Manner) -> Iterator[_Drawn]:
    """All faces in all styles, decoded together."""
    if not group:
        return
    counts = [len(opened.photo.framed.places) for opened in group]
    faces = editor.faces([opened.photo for opened in group])
    codes = editor.encode(faces)
    own = editor.decode(codes, {})
    starts = [sum(counts[:place]) for place in range(len(group))]
    spans = [torch.arange(start, start + count) for start, count in zip(starts, counts, strict=True)]
    parts = [take(codes, rows) for rows in spans]
    asked = [
        _points(style, part, manner)
        for opened, part in zip(group, parts, strict=True)
        for style in opened.styles
    ]
    repeated = torch.cat([rows.repeat(len(one.styles)) for one, rows in zip(group, spans, strict=True)])
    together = {i: torch.cat([points[i] for points in asked]) for i in asked[0]}
    sizes = [count for one, count in zip(group, counts, strict=True) for _ in one.styles]
    shown = take(codes, repeated)
    wanted = together if manner.decoded else editor.in_photo(shown, together, manner.strength)
    stays = torch.cat(
        [
            torch.full((count,), style.point is None)
            for one, count in zip(group, counts, strict=True)
            for style in one.styles
        ]
    )
    drawn = iter(_decoded(editor, shown, wanted, together, stays, manner).split(sizes))
    points = iter(asked)
    for opened, part, rows in zip(group, parts, spans, strict=True):
        styles = tuple((next(points), next(drawn)) for _ in opened.styles)
        yield _Drawn(opened, Looked(opened.photo, faces[rows], part, own[rows]), styles)


def _decoded(
    editor: Editor, codes: Codes, wanted: Points, styles: Points, stays: Tensor, manner: Manner
) -> Tensor:
    """`Editor.decode`; stays: in which rows (bool N) the picture keeps its own style, and puts nothing."""
    parts, order = [], []
    for rows in (stays.nonzero()[:, 0], (~stays).nonzero()[:, 0]):
        if not len(rows):
            continue
        put = {i: p[rows] for i, p in styles.items() if i != manner.attribute or not stays[rows[0]]}
        points = {i: p[rows.to(p.device)] for i, p in wanted.items()}
        parts.append(editor.decode(take(codes, rows), points, manner.strength, put))
        order.append(rows)
    return torch.cat(parts)[torch.cat(order).argsort()]


def _points(style: Style, codes: Codes, manner: Manner) -> Points:
    """Of every edited attribute, a row a face; the picture's own style is its own w."""
    count = len(codes.z_mu)
    own = codes.w_mu[manner.attribute].float().cpu()
    point = own if style.point is None else style.point.expand(count, -1)
    return {manner.attribute: point, **{i: p.expand(count, -1) for i, p in manner.also.items()}}


def _moved(points: Points, style: Style, manner: Manner) -> Points:
    """Without the attribute where the picture keeps its own style of it."""
    return {i: p for i, p in points.items() if i != manner.attribute or style.point is not None}


def _finish(editor: Editor, drawn: _Drawn, manner: Manner, stop: Callable[[], bool]) -> list[Edited | Failed]:
    """Blended and written, as far as nobody stops it."""
    opened, looked, job, photo = drawn.opened, drawn.looked, drawn.opened.job, drawn.opened.photo
    name = editor.model.config.model.attributes[manner.attribute]
    results: list[Edited | Failed] = []
    frames: list[list[Image.Image]] = []
    try:
        for style, targets, (points, shown) in zip(opened.styles, opened.targets, drawn.styles, strict=True):
            if stop():
                return results
            moved = _moved(points, style, manner)
            if manner.decoded:
                pictures = to_pictures(shown if moved else looked.own)
                images, kept = [picture(one) for one in pictures], Kept()
            else:
                image = editor.blend(looked, moved, shown, manner.strength)
                images, kept = [image], photo.kept
            if manner.sheet or manner.walk:
                frames.append([thumbnail(stripped(image, kept)[0]) for image in images])
            bare = _bare(editor.model, manner, job, looked.codes, style)
            reached = editor.reached(looked.codes, points, manner.strength)[manner.attribute]
            for target, image, point in zip(targets, images, reached.tolist(), strict=False):
                out, keeping = stripped(image, kept) if manner.strip else (image, kept)
                runs.write(target, _encoded(target, out, keeping))
                results.append(
                    Edited(job.source, target, name, point, style.name, job.style_from, photo.framed, bare)
                )
        for extra, draw in _extras(manner).items():
            runs.write(job.folder / extra, draw([style.name for style in opened.styles], frames))
            kind = Path(extra).stem
            results.append(
                Edited(job.source, job.folder / extra, name, [], kind, job.style_from, photo.framed)
            )
    except UserError as error:
        results.append(Failed(job.source, str(error)))
    except MemoryError:
        results.append(Failed(job.source, f"{job.source} needs more memory than there is; shrink it first."))
    return results


def _encoded(target: Path, image: Image.Image, kept: Kept) -> bytes:
    """The bytes of the file. Raises WorkError, naming it."""
    try:
        return encode_picture(image, target.suffix, kept)
    except WorkError as error:
        raise WorkError(f"{target}: {error}") from error


def _bare(model: runs.Model, manner: Manner, job: Job, codes: Codes, style: Style) -> bool:
    """See `Edited`."""
    attribute = manner.attribute
    if style.point is None or not bool(amounts.takes(model, attribute, style.point, manner.strength)):
        return False
    if job.style_from is not None:
        return True
    return bool((amounts.shown(model, attribute, codes.w_mu[attribute]) < amounts.SEEN).all())


def _extras(manner: Manner) -> dict[str, Draw]:
    """The files besides the pictures, and what draws them."""
    wanted = {"sheet.png": (manner.sheet, sheet), "walk.webp": (manner.walk, walk)}
    return {name: draw for name, (asked, draw) in wanted.items() if asked}


def _check_targets(inputs: frozenset[str], targets: list[Path], *, force: bool) -> None:
    """Raises WorkError where a file would be overwritten that must not be; inputs: their real paths."""
    for target in targets:
        try:
            if realpath(target) in inputs:
                raise WorkError(f"{target} would be written over an input; choose another --out.")
            if target.exists() and not force:
                raise WorkError(f"{target} exists; --force overwrites it.")
        except OSError as error:
            raise WorkError(f"Cannot write {target}: {error.strerror}.") from error
