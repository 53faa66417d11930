"""From what a user asks of `transfer` and `grid` to jobs; options are checked before the first picture."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import Tensor

from csvae_cli import output, runs
from csvae_cli.data.framing import Align, Framing, parse_eyes, parse_face
from csvae_cli.editing.editor import searched
from csvae_cli.editing.pictures import find_inputs
from csvae_cli.editing.styles import StyleRequest, parse_style, styles
from csvae_cli.editing.transfer import Job
from csvae_cli.errors import RequestError
from csvae_cli.runs import Model, as_disks_may


def attribute_of(model: Model, name: str | None) -> int:
    """The attribute to edit: the one named, or the only one. Raises RequestError."""
    if name is not None:
        return model.config.model.index(name)
    if len(model.config.model.edited) > 1:
        raise RequestError(
            f"{model.name} knows {', '.join(model.config.model.edited)}; choose one with --attr."
        )
    return model.config.model.index(model.config.model.edited[0])


def framing_of(model: Model, align: Align, face: str, eyes: str | None, inputs: Sequence[Path]) -> Framing:
    """Where the model is to look in its inputs. Raises RequestError where options exclude each other."""
    if eyes is not None and (len(inputs) != 1 or (not runs.is_file(inputs[0]) and inputs[0].exists())):
        raise RequestError("--eyes says where they are in one picture; name that one alone.")
    return Framing(searched(model), align, parse_face(face), parse_eyes(eyes) if eyes is not None else None)


def also_of(model: Model, attribute: int, texts: Sequence[str]) -> dict[int, Tensor]:
    """ "facial-hair=off" or "facial-hair" (on) -> the point of each. Raises RequestError."""
    found: dict[int, Tensor] = {}
    for text in texts:
        name, _, style = text.partition("=")
        index = model.config.model.index(name)
        if index == attribute or index in found:
            raise RequestError(f"--also {text}: {name} gets a style already; name each attribute once.")
        point = parse_style(model, index, style or "on").point
        if point is not None:
            found[index] = point
    return found


def check(
    inputs: Sequence[Path],
    request: StyleRequest,
    style_from: Path | None,
    pairs: Path | None,
    *,
    overview: bool = False,
) -> None:
    """Raises RequestError where options exclude each other or nothing is asked for; says what does nothing.

    overview: a sheet or an animation of each input's styles is asked for.
    """
    if pairs is not None and overview:
        raise RequestError("--sheet and --walk show the styles of an input; leave them out with --pairs.")
    if pairs is not None and (inputs or style_from is not None):
        raise RequestError("--pairs names its own pictures; leave out INPUTS and --style-from.")
    if pairs is None and not inputs:
        raise RequestError(
            "Name at least one picture or folder, as in csvae transfer face.jpg --attr glasses."
        )
    if request.steps is not None and not request.components:
        output.say(
            "csvae: --steps says how many pictures there are along a --pc; without one it does nothing."
        )
    if request.span is not None and not request.components and request.grid is None:
        output.say("csvae: --span says how far --pc and --grid reach; without one it does nothing.")
    none = StyleRequest(steps=request.steps, span=request.span)
    if (pairs is not None or style_from is not None) and request != none:
        raise RequestError(
            "The style comes from a picture or from --pc, --grid, --at, --off, --own, not both."
        )


def jobs(
    model: Model,
    attribute: int,
    inputs: Sequence[Path],
    request: StyleRequest,
    style_from: Path | None,
    pairs: Path | None,
    out: Path,
) -> list[Job]:
    """What is to be done. Raises RequestError where an input or style is not there.

    Of --pairs that is found out when their turn comes.
    """
    if pairs is not None:
        edits: list[tuple[Path, Path | None]] = list(dict.fromkeys(read_pairs(pairs)))
    else:
        if style_from is not None and not runs.is_file(style_from):
            what = "is a folder; name one picture" if style_from.is_dir() else "is not there"
            raise RequestError(f"--style-from {style_from} {what}.")
        edits = [(source, style_from) for source in dict.fromkeys(find_inputs(inputs))]
    sources = list(dict.fromkeys(source for source, _ in edits))
    name = model.config.model.attributes[attribute]
    folders = {
        source: out / f"{stem}-{name}" for source, stem in zip(sources, unique_stems(sources), strict=True)
    }
    chosen = tuple(styles(model, attribute, request))
    return [Job(source, folders[source], chosen, other) for source, other in edits]


def unique_stems(paths: Iterable[Path]) -> list[str]:
    """A name for each path: its stem, numbered where a disk may have that already (`as_disks_may`)."""
    taken: set[str] = set()
    used: Counter[str] = Counter()
    names = []
    for path in paths:
        stem = name = path.stem
        while as_disks_may(name) in taken:
            used[as_disks_may(stem)] += 1
            name = f"{stem}-{used[as_disks_may(stem)] + 1}"
        taken.add(as_disks_may(name))
        names.append(name)
    return names


def read_pairs(path: Path) -> list[tuple[Path, Path]]:
    """Rows of a CSV with the columns input and style_from. Raises RequestError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"--pairs {path} cannot be read as a CSV.") from error
    if not rows:
        raise RequestError(
            f"--pairs {path} has no rows; it needs a header input,style_from and a row an edit."
        )
    pairs = []
    for number, row in rows:
        source, other = row.get("input"), row.get("style_from")
        if not source or not other:
            raise RequestError(f"--pairs {path}, line {number}: it needs the columns input and style_from.")
        pairs.append((Path(source), Path(other)))
    return pairs
