"""A run directory: its layout, the one writer of files, the strict readers, and `--model REF`."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unicodedata import normalize

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as bytes_from_tensors
from torch import Tensor

from csvae_cli.config import RunConfig, from_json, to_json
from csvae_cli.errors import RequestError, WorkError
from models.kind import Kind, Others, build
from models.subspace import SubspaceStatistics

PACKAGED = Path(__file__).parent / "pretrained" / "glasses-facial-hair"
"""The model that comes with csvae: a run directory without what only training needs."""

PACKAGED_NAME = "csvae"
"""What `--model` and `--from` call it."""


@dataclass(frozen=True)
class Run:
    """The files of a run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def statistics(self) -> Path:
        return self.path / "statistics.safetensors"

    @property
    def best_statistics(self) -> Path:
        return self.path / "best-statistics.safetensors"

    def statistics_of(self, weights: Path) -> Path:
        """The best weights have their own: W is not the same in all epochs. (Older runs have not.)"""
        has_own = weights.stem == self.best.stem and self.best_statistics.exists()
        return self.best_statistics if has_own else self.statistics

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def trace(self) -> Path:
        return self.path / "trace.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoint"

    def sample(self, epoch: int) -> Path:
        return self.path / "samples" / f"epoch-{epoch:04d}.png"

    @property
    def sheet(self) -> Path:
        """There once the training is over: of its last epoch."""
        return self.path / "samples" / "sheet.png"

    @property
    def resumed_by(self) -> str:
        """The command that goes on with its training."""
        return shlex.join(["csvae", "train", "--resume", str(self.path)])


@dataclass(frozen=True)
class Statistics:
    """What editing needs and training knew.

    subspaces: for each attribute, of its W_i; faces: a few pictures to show styles on, uint8 N×H×W×C (of
    points, float32 N×D), with their labels N×k.
    """

    subspaces: tuple[SubspaceStatistics, ...]
    faces: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Model:
    """A trained model as commands use it: weights loaded, in evaluation mode, on the CPU.

    name: of its run directory, and of its weights where they are not the last ones (run-best).
    """

    kind: Kind
    config: RunConfig
    statistics: Statistics
    name: str

    def others(self, points: Mapping[int, Tensor]) -> Others:
        """What goes into the other W_l in figures of edits to `points`; without any, all keep their own.

        (Where the user edits, what only goes leaves the others: `Editor.decode`.)
        """
        return self.config.others if points else "own"


def create(root: Path, name: str, config: RunConfig) -> Run:
    """A new run directory under root, `name` and the time, with its config.json. Raises WorkError."""
    stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")
    attempt = 0
    while True:
        run = Run(root / (f"{name}-{stamp}" + (f"-{attempt}" if attempt else "")))
        try:
            run.path.mkdir(parents=True)
            break
        except FileExistsError as error:
            if not run.path.exists():  # a link to nowhere on the way
                raise WorkError(f"Cannot create {run.path}; choose another --out or --runs.") from error
            attempt += 1
        except OSError as error:
            raise WorkError(f"Cannot create {run.path}: {error.strerror}; choose another --out.") from error
    write(run.config, to_json(config).encode())
    return run


def check_new(path: Path) -> None:
    """Raises RequestError where a run cannot be made at this path, which must not be there or be empty."""
    try:
        taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
    except OSError as error:
        raise RequestError(f"{path} cannot be looked at: {error.strerror}; choose another --out.") from error
    if taken:
        raise RequestError(f"{path} exists and is not empty; choose another --out, or --resume it.")


def create_at(path: Path, config: RunConfig) -> Run:
    """A new run at just this path. Raises RequestError (see `check_new`) and WorkError."""
    check_new(path)
    run = Run(path)
    write(run.config, to_json(config).encode())
    return run


@contextmanager
def owned(run: Run) -> Iterator[None]:
    """For as long as this lasts, no other process of this machine trains in the run directory.

    The lock goes with the process, however that ends. Raises RequestError where another has it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    folder = os.open(run.path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another csvae is training in {run.path}; wait for it, or stop it."
            raise RequestError(message) from error
        yield
    finally:
        os.close(folder)


def write(path: Path, data: bytes) -> None:
    """The file appears whole or not at all: written beside, flushed, renamed.

    Raises WorkError where it cannot be written; what was there before stays then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise WorkError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def check_free(path: Path, *, force: bool) -> None:
    """Raises RequestError where a file may not be written there: it exists, and force does not allow it.

    Or it is a folder, or lies where this user may not write: better said before the work than after it.
    """
    if is_file(path) and not force:
        raise RequestError(f"{path} exists; --force overwrites it.")
    if path.is_dir():
        raise RequestError(f"{path} is a folder; name a file.")
    there = next((parent for parent in path.absolute().parents if parent.exists()), path)
    if not os.access(there, os.W_OK | os.X_OK):
        raise RequestError(f"{path} cannot be written: {there} may not be written into.")


def as_disks_may(name: str) -> str:
    """What names have in common that are one for some disks, as macOS' and Windows'.

    These mind no capitals, or not how an accent is written.
    """
    return normalize("NFC", name).casefold()


def is_file(path: Path) -> bool:
    """Whether it is there. Raises RequestError where that cannot be seen."""
    try:
        return path.is_file()
    except OSError as error:
        raise RequestError(f"{path} cannot be looked at: {error.strerror}.") from error


def append_line(path: Path, text: str) -> None:
    """A line at the end of a log. Raises WorkError."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as error:
        raise WorkError(f"Cannot write {path}: {error.strerror}.") from error


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log. One that is no JSON is left out: the last may be half written (a full disk)."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file, whole or not at all."""
    write(path, bytes_from_tensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Raises RequestError where the file is missing, WorkError where it is damaged."""
    try:
        return tensors_from_bytes(path.read_bytes())
    except FileNotFoundError as error:
        raise RequestError(f"{path} is not there.") from error
    except OSError as error:
        raise WorkError(f"Cannot read {path}: {error.strerror}.") from error
    except SafetensorError as error:
        raise WorkError(f"{path} is damaged ({error}); restore it or train again.") from error


def read_config(path: Path) -> RunConfig:
    """The config.json at path. Raises RequestError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"Cannot read {path}; name the directory of a finished run.") from error
    return from_json(text, str(path))


def newest(root: Path, *, trained: bool = False) -> Run | None:
    """The run under root that was changed last and has a config (trained: and weights), or None."""
    found = [Run(path.parent) for path in root.glob("*/config.json")]
    return max((run for run in found if run.model.exists() or not trained), key=_changed, default=None)


def find(ref: str | None, root: Path, *, trained: bool = False) -> Run:
    """The run that REF names: a run directory, or a file in one; by default the newest under root.

    Without any there, the model that comes with csvae. trained: a training that is still at its beginning is
    not the newest. Raises RequestError with the way out.
    """
    if ref is None:
        run = newest(root, trained=trained) or Run(PACKAGED)
        if not run.config.is_file():
            raise RequestError(
                f"There is no trained model under {root}; train one with csvae train --dataset toy-faces, "
                "or name one with --model."
            )
        return run
    path = _named(ref, root)
    if is_file(path):
        path = path.parent
    if not is_file(path / "config.json"):
        for missing in (path, root / path):
            if missing.suffix == ".safetensors" and is_file(missing.parent / "config.json"):
                raise RequestError(f"{missing.parent} has no {missing.name}; leave the name of the file out.")
        raise RequestError(
            f"{ref} is not a run directory (it has no config.json); csvae info shows the newest."
        )
    return Run(path)


def _named(ref: str, root: Path) -> Path:
    """The path that REF is: as it stands, or under root; or of the model that comes with csvae."""
    for path in (Path(ref), root / ref):
        if is_file(path) or is_file(path / "config.json"):
            return path
    return PACKAGED if ref == PACKAGED_NAME else Path(ref)


def load(ref: str | None, root: Path) -> Model:
    """The trained model that REF names (see `find`); a .safetensors file in a run chooses those weights.

    Raises RequestError and WorkError where files are missing, damaged, or of another model.
    """
    run = find(ref, root, trained=True)
    config = read_config(run.config)
    weights = _named(ref, root) if ref is not None and ref.endswith(".safetensors") else run.model
    if not weights.exists():
        raise RequestError(f"{run.path} has no trained weights yet; go on with {run.resumed_by}.")
    with torch.random.fork_rng(devices=[]):  # what only training needs may be missing: then it is this
        torch.manual_seed(0)
        settings = replace(config.model, several_readers=False)  # whom only training asks
        kind = build(settings.kind, **settings.build_options())
    own = kind.state_dict()
    tensors = {
        name: tensor
        for name, tensor in read_tensors(weights).items()
        if not name.startswith(kind.for_training) or (name in own and own[name].shape == tensor.shape)
    }
    load_weights(kind, tensors, weights)
    name = run.path.resolve().name
    name = name if weights.stem == run.model.stem else f"{name}-{weights.stem}"
    return Model(kind.eval(), config, read_statistics(run.statistics_of(weights), config), name)


def load_weights(model: Kind, tensors: Mapping[str, Tensor], origin: Path) -> None:
    """Into model, strictly, but that what only training needs may be missing.

    Raises RequestError where names or shapes are another model's.
    """
    own = model.state_dict()
    expected = {
        name: tuple(t.shape)
        for name, t in own.items()
        if name in tensors or not name.startswith(model.for_training)
    }
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if expected != found:
        odd = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise RequestError(
            f"{origin} holds the weights of another model ({len(odd)} tensors differ, first {odd[0]}); "
            "use the config.json and the weights of one run."
        )
    model.load_state_dict({**own, **tensors})


_SUBSPACE_FIELDS = ("present_mean", "absent_mean", "axes", "stds", "typical")


def write_statistics(path: Path, statistics: Statistics, attributes: tuple[str, ...]) -> None:
    """statistics.safetensors: `<attribute>.<field>` of every subspace, `faces` and `labels`."""
    tensors = {"faces": statistics.faces, "labels": statistics.labels}
    for name, subspace in zip(attributes, statistics.subspaces, strict=True):
        tensors |= {f"{name}.{field}": getattr(subspace, field) for field in _SUBSPACE_FIELDS}
    write_tensors(path, tensors)


def read_statistics(path: Path, config: RunConfig) -> Statistics:
    """Raises RequestError where they are of another model."""
    tensors = read_tensors(path)
    names = config.model.attributes
    expected = {"faces", "labels"} | {f"{name}.{field}" for name in names for field in _SUBSPACE_FIELDS}
    if tensors.keys() != expected:
        raise RequestError(f"{path} belongs to another model; use the files of one run.")
    subspaces = tuple(
        SubspaceStatistics(**{field: tensors[f"{name}.{field}"] for field in _SUBSPACE_FIELDS})
        for name in names
    )
    return Statistics(subspaces, tensors["faces"], tensors["labels"])


def _changed(run: Run) -> float:
    return max(path.stat().st_mtime for path in (run.config, run.log, run.model) if path.exists())


def versions() -> dict[str, str]:
    """Of what the numbers depend on, for config.json."""
    import platform

    from csvae_cli import __version__

    return {"csvae": __version__, "torch": torch.__version__, "python": platform.python_version()}
