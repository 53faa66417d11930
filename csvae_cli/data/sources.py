"""The registry of data sets: what can be trained on, readable without importing any of it.

A new data set is one new file with a class that is a `Source`, and one entry here.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csvae_cli.data.expressions import WITH_CONTEMPT, WITH_NEUTRAL
from csvae_cli.errors import RequestError, one_of

if TYPE_CHECKING:
    from csvae_cli.data.dataset import Dataset, Source


@dataclass(frozen=True)
class Entry:
    """target: "module:Class", imported only when the data set is used; options: its keyword arguments.

    attributes: the data set's own labels, in order; needs: what the user must hold ("" for nothing).
    keep: labels that hang together with those in the data, and that flow-csvae therefore gives a W of their
    own by default, for edits to leave alone. aligned: its pictures are cut in CelebA's frame, to which a
    face in a photo is brought.
    """

    target: str
    description: str
    attributes: tuple[str, ...]
    needs: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    aligned: bool = False


_CELEBA = "CelebA: img_align_celeba/ or its .zip, and the official text files"

_KEPT = ("male", "young", "smiling")


def _celeba(description: str, *attributes: str, everyone: bool = False) -> Entry:
    options = {"attributes": attributes, "everyone": everyone}
    return Entry(
        "csvae_cli.data.celeba:CelebA", description, attributes, _CELEBA, options, _KEPT, aligned=True
    )


SOURCES: dict[str, Entry] = {
    "toy-faces": Entry(
        "csvae_cli.data.toy_faces:ToyFaces",
        "faces drawn by csvae itself, with known factors; nothing to download",
        ("glasses", "facial-hair"),
    ),
    "celeba-glasses": _celeba("CelebA, everyone with glasses and twice as many without", "glasses"),
    "celeba-facial-hair": _celeba("CelebA, everyone with facial hair and as many without", "facial-hair"),
    "celeba-glasses-facial-hair": _celeba(
        "CelebA, the two above together, with both labels", "glasses", "facial-hair"
    ),
    "celeba": _celeba("CelebA, everyone, with both labels", "glasses", "facial-hair", everyone=True),
    "celeba-wearing-hat": _celeba("CelebA, everyone, with and without hats", "wearing-hat", everyone=True),
    "celeba-smiling": _celeba("CelebA, everyone, smiling or not", "smiling", everyone=True),
    "celeba-bangs": _celeba("CelebA, everyone, with and without bangs", "bangs", everyone=True),
    "fer2013": Entry(
        "csvae_cli.data.fer2013:Fer2013",
        "FER2013, faces from the web with seven expressions, grey 48×48",
        WITH_NEUTRAL,
        "FER2013: fer2013.zip, its folders train/, validation/ and test/, or Kaggle's fer2013.csv",
    ),
    "ckplus": Entry(
        "csvae_cli.data.ckplus:CkPlus",
        "CK+, acted faces with seven expressions, grey 48×48, split by person",
        WITH_CONTEMPT,
        "CK+: CK+48.zip or the folder CK+48/",
    ),
    "tfd": Entry(
        "csvae_cli.data.tfd:Tfd",
        "TFD, faces with seven expressions, grey 48×48, mostly labelled by a classifier that is sure",
        WITH_NEUTRAL,
        "TFD: TFD_48x48.mat",
    ),
    "swiss-roll": Entry(
        "csvae_cli.data.swiss_roll:SwissRoll",
        "points of a roll, cut in two halves along it",
        ("half",),
        options={"cut": "along"},
    ),
    "swiss-roll-across": Entry(
        "csvae_cli.data.swiss_roll:SwissRoll",
        "points of a roll, cut in two halves across its width",
        ("half",),
        options={"cut": "across"},
    ),
}


def entry(name: str) -> Entry:
    """Raises RequestError, with near names, where there is no such data set."""
    if name not in SOURCES:
        raise one_of("data set", name, SOURCES)
    return SOURCES[name]


def of_environment() -> Path | None:
    """Where the user's data is, as CSVAE_DATA says."""
    named = os.environ.get("CSVAE_DATA")
    return Path(named) if named else None


def place(name: str, given: Path | None, recorded: str | None) -> Path | None:
    """Where this data set is: as given; else where a run had it from, or where CSVAE_DATA says.

    recorded: by the run. Of the last two the first that has the data.
    """
    if given is not None:
        return given
    known = [folder for folder in (Path(recorded) if recorded else None, of_environment()) if folder]
    for folder in known[:-1]:
        with suppress(RequestError):
            open_source(name, folder).locate()
            return folder
    return known[-1] if known else None


def default_keep(name: str, data_dir: Path | None) -> tuple[str, ...]:
    """The data set's `keep`, as far as the user's copy knows these labels. Raises RequestError."""
    return known(name, data_dir, entry(name).keep)


def known(name: str, data_dir: Path | None, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Those of labels that the user's copy knows besides the data set's own. Raises RequestError."""
    from csvae_cli.data.dataset import KnowsMore

    source = open_source(name, data_dir)
    further = source.further if isinstance(source, KnowsMore) else ()
    return tuple(label for label in labels if label in further)


def read(name: str, data_dir: Path | None, keep: tuple[str, ...], labels: int | None = None) -> "Dataset":
    """The data set, with a progress bar where it takes long. Raises RequestError and WorkError.

    labels: of how many training pictures the data set's own labels are used; None: of all.
    """
    from csvae_cli import output
    from csvae_cli.data.dataset import with_labels

    with output.progress() as progress:
        data = open_source(name, data_dir).read(keep, progress)
    return data if labels is None else with_labels(data, labels, len(entry(name).attributes))


def open_source(name: str, data_dir: Path | None) -> "Source":
    """The source of that name over the user's data directory; cheap, and checks nothing yet."""
    chosen = entry(name)
    module, _, attribute = chosen.target.partition(":")
    source: Source = getattr(import_module(module), attribute)(data_dir, **chosen.options)
    return source
