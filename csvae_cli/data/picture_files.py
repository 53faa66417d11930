"""Pictures as they lie on a disk, in a folder or in a zip, which is read in place.

For each: where it is, the pictures' names, what tells one version of a picture from another, and its bytes.
Pillow is imported when one is opened, not before.
"""

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zipfile import BadZipFile, ZipFile, ZipInfo

from csvae_cli.errors import RequestError, UserError, WorkError

if TYPE_CHECKING:
    from PIL.Image import Image


class Pictures(Protocol):
    """A place with pictures. It travels to other processes, so it must be picklable."""

    path: Path

    @property
    def names(self) -> Set[str]:
        """Raises RequestError where the place cannot be read."""
        ...

    def stamp(self, name: str) -> str:
        """Changes with the picture. Raises RequestError."""
        ...

    def content(self, name: str) -> bytes:
        """The file, as Pillow opens it. Raises OSError, and whatever zipfile raises."""
        ...


@contextmanager
def opened(pictures: Pictures, name: str) -> "Iterator[Image]":
    """One of them, open, as Pillow has it. Raises WorkError where it is damaged, also while it is decoded."""
    from PIL import Image

    try:
        with Image.open(BytesIO(pictures.content(name))) as picture:
            yield picture
    except UserError:
        raise
    except MemoryError as error:
        raise WorkError(f"{name} in {pictures.path} needs more memory than there is.") from error
    except Exception as error:  # what Pillow and zipfile raise on damaged data is of many kinds
        if isinstance(error, OSError) and error.errno:
            raise WorkError(f"{name} in {pictures.path} cannot be read: {error.strerror}.") from error
        raise WorkError(
            f"{name} in {pictures.path} is damaged or not a picture; replace it, or take it out of the lists."
        ) from error


@dataclass(frozen=True)
class Form:
    """Which files are the pictures.

    suffixes: how their names end; depth: how many parts at the end of a path are a picture's name ("1.jpg"
    where it is 1, "anger/1.jpg" where it is 2); tops: what the first of these parts may be, nothing for
    whatever it likes.
    """

    suffixes: tuple[str, ...] = (".jpg",)
    depth: int = 1
    tops: frozenset[str] = frozenset()

    def name(self, path: str) -> str | None:
        """The name of the picture with this path (parts divided by /), None where it is not one."""
        parts = path.split("/")[-self.depth :]
        last = parts[-1]
        is_picture = last.lower().endswith(self.suffixes) and not last.startswith(".")  # "._1.jpg": Apple's
        if not is_picture or len(parts) < self.depth or not self.enters(parts[0]):
            return None
        return "/".join(parts)

    def enters(self, top: str) -> bool:
        return not self.tops or top in self.tops


class Folder:
    """Pictures in a folder, `form.depth` levels below it."""

    def __init__(self, path: Path, form: Form) -> None:
        self.path = path
        self.form = form

    def __reduce__(self) -> tuple[type["Folder"], tuple[Path, Form]]:
        return Folder, (self.path, self.form)  # without the names: workers do not need them

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(filter(self.form.name, self._below("", 1)))

    def stamp(self, name: str) -> str:
        try:
            status = (self.path / name).stat()
        except OSError as error:
            raise unreadable(self.path / name, error) from error
        return f"{status.st_size} {status.st_mtime_ns}"

    def content(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def _below(self, folder: str, level: int) -> Iterator[str]:
        for entry in entries(self.path / folder):
            path = f"{folder}/{entry}" if folder else entry
            if level == self.form.depth:
                yield path
            elif level > 1 or self.form.enters(entry):
                yield from self._below(path, level + 1)


class Archive:
    """A zip with the pictures in whatever folder of it; each process opens it once."""

    def __init__(self, path: Path, form: Form) -> None:
        self.path = path
        self.form = form

    def __reduce__(self) -> tuple[type["Archive"], tuple[Path, Form]]:
        return Archive, (self.path, self.form)

    @cached_property
    def _zip(self) -> ZipFile:
        try:
            return ZipFile(self.path)
        except OSError as error:
            raise unreadable(self.path, error) from error
        except (BadZipFile, ValueError, NotImplementedError) as error:
            raise RequestError(f"{self.path} is not a whole zip file; copy or download it again.") from error

    @cached_property
    def _members(self) -> dict[str, ZipInfo]:
        members = ((self.form.name(info.filename), info) for info in self._zip.infolist())
        return {name: info for name, info in members if name is not None}

    @property
    def names(self) -> Set[str]:
        return self._members.keys()

    def stamp(self, name: str) -> str:
        info = self._members[name]
        return f"{info.CRC:08x} {info.file_size}"

    def content(self, name: str) -> bytes:
        return self._zip.read(self._members[name])


def entries(directory: Path) -> list[str]:
    """The names in a directory, none where it does not exist. Raises RequestError where it cannot be read."""
    try:
        with os.scandir(directory) as found:
            return [entry.name for entry in found]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(directory, error) from error


def unreadable(path: Path, error: OSError) -> RequestError:
    return RequestError(
        f"{path} cannot be read ({error.strerror}); make it readable, or name other data with --data-dir."
    )
