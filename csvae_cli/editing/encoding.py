"""What `csvae encode` does: pictures or a data set to a table of codes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csvae_cli import output, runs
from csvae_cli.data import sources
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import SplitName
from csvae_cli.data.encoding import encode_split, join
from csvae_cli.data.framing import Framed
from csvae_cli.device import Compute
from csvae_cli.editing import codes as tables
from csvae_cli.editing.editor import Editor
from csvae_cli.editing.groups import in_groups
from csvae_cli.editing.pictures import Failed, find_inputs
from csvae_cli.errors import RequestError, WorkError
from csvae_cli.processes import of_environment
from models.kind import Codes

_TOGETHER = 32
"""Faces that are encoded at a time: more than where they are decoded, too."""


@dataclass(frozen=True)
class Encoded:
    """How many rows were written (0: no table), where the model looked in each picture, what has no face or
    cannot be read.
    """

    rows: int
    failed: tuple[Failed, ...]
    framed: tuple[Framed, ...] = ()


def check(inputs: Sequence[Path], dataset: str | None, out: Path, *, force: bool) -> None:
    """Raises RequestError where options exclude each other, or the table cannot be written so."""
    if (dataset is None) == (not inputs):
        raise RequestError("Name pictures to encode, or a --dataset; one of the two.")
    tables.check_suffix(out)
    runs.check_free(out, force=force)


def encode_pictures(editor: Editor, inputs: Sequence[Path], out: Path) -> Encoded:
    """Rows in the order of the inputs, one a face; of several processes each takes its share of them.

    Raises RequestError where there is less to read than processes.
    """
    model, found = editor.model, find_inputs(inputs)
    paths = found[of_environment().share(len(found))]
    if not paths:
        raise RequestError(f"{len(found)} pictures are too few for so many processes; start fewer.")
    files, parts, failed, framed = [], [], [], []

    def work(group: Sequence[Path]) -> tuple[list[tuple[Path, Framed] | Failed], list[Codes]]:
        faces: list[Tensor] = []
        places: list[tuple[Path, Framed] | Failed] = []
        for source, one in zip(group, editor.faces_of(group), strict=True):
            if isinstance(one, WorkError):
                places.append(Failed(source, str(one)))
            else:
                faces.append(one[0])
                places.append((source, one[1]))
        return places, [editor.encode(torch.cat(faces), _TOGETHER)] if faces else []

    with output.progress() as progress:
        for places, part in in_groups(work, paths, _TOGETHER):
            parts += part
            failed += [one for one in places if isinstance(one, Failed)]
            for path, where in (one for one in places if not isinstance(one, Failed)):
                files += [str(path)] * len(where.places)
                framed.append(where)
            progress("encoding", len(failed) + len(framed), len(paths))
    if not parts:
        return Encoded(0, tuple(failed))
    labels = np.full((len(files), len(model.config.model.attributes)), -1, dtype=np.int8)
    _write(out, model, files, labels, join(parts))
    return Encoded(len(files), tuple(failed), tuple(framed))


def encode_dataset(
    ref: str | None,
    root: Path,
    compute: Compute,
    dataset: str,
    split: SplitName,
    data_dir: Path | None,
    out: Path,
) -> Encoded:
    """A split of a data set with its labels, which the encoder is not shown; else as `encode_pictures`."""
    model = runs.load(ref, root)
    place = sources.place(dataset, data_dir, model.config.data.data_dir)
    data = sources.read(dataset, place, sources.known(dataset, place, model.config.model.attributes))
    whole = data.splits[split]
    rows = of_environment().share(len(whole))
    part = replace(whole, x=whole.x[rows], labels=whole.labels[rows], names=whole.names[rows])
    kind = model.kind.to(compute.device)
    batches = Batches(part, compute)
    if data.model_shape != model.config.model.shape:
        raise RequestError(f"{dataset} has data of another shape than {model.name} was trained on.")
    codes, _ = encode_split(kind, batches, len(batches), compute, with_labels=False)
    attributes = model.config.model.attributes
    labels = np.full((len(part), len(attributes)), -1, dtype=np.int8)
    for column, name in enumerate(attributes):
        if name in data.attributes:
            labels[:, column] = part.labels[:, data.attributes.index(name)]
    _write(out, model, part.names, labels, codes)
    return Encoded(len(part), ())


def _write(
    out: Path, model: runs.Model, files: Sequence[str], labels: NDArray[np.int8], codes: Codes
) -> None:
    probabilities = model.kind.label_probabilities(codes.w_mu)
    tables.write(out, tables.arrays(files, labels, codes, model.config.model.attributes, probabilities))
