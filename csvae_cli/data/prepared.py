"""The cache of prepared pictures: made once by all cores, then mapped into memory in milliseconds.

A file appears whole or not at all: it is written beside its place under a name that says who writes it, and
renamed when it is complete. So any number of processes may prepare the same pictures at once.
"""

import errno
import os
import pickle
import platform
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from math import prod
from multiprocessing import get_context, parent_process
from pathlib import Path
from shutil import disk_usage
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from csvae_cli.errors import WorkError

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
from csvae_cli.output import Progress

Work = Callable[[int, int], NDArray[np.uint8]]
"""(start, stop) -> the rows from start to stop. It travels to other processes, so it must be picklable."""

_DAY = 24 * 60 * 60


def cache_root() -> Path:
    """Where prepared pictures are kept: CSVAE_CACHE, else csvae/ in XDG_CACHE_HOME, else ~/.cache/csvae.

    Raises WorkError where the environment names none and the user has no home.
    """
    own, shared = os.environ.get("CSVAE_CACHE"), os.environ.get("XDG_CACHE_HOME")
    try:
        if own:
            return Path(own).expanduser()
        if shared:
            return Path(shared).expanduser() / "csvae"
        return Path.home() / ".cache" / "csvae"
    except RuntimeError as error:
        raise WorkError(
            "There is no home directory for the cache; set CSVAE_CACHE to a directory."
        ) from error


def prepared(
    name: str,
    key: str,
    count: int,
    shape: tuple[int, ...],
    work: Work,
    progress: Progress,
    chunk: int = 256,
) -> NDArray[np.uint8]:
    """The count×shape (count ≥ 1) uint8 pictures that `work` makes, mapped from the cache and read-only.

    name, key: the file's name; the key stands for everything that the pictures are made from.
    chunk: how many rows a worker makes at a time; no more than that in all are made in this process.

    Raises WorkError where the cache cannot be written (no right to, a full disk) or a worker is killed, and
    whatever `work` raises. Nothing half-made is left behind, except by a process that is killed: that is
    cleared away when pictures are next prepared.
    """
    path = cache_root() / f"{name}-{key[:16]}.npy"
    if not _is_whole(path, (count, *shape)):
        _build(path, _Rows((count, *shape), work), name, progress, chunk)
    return _mapped(path, (count, *shape))


@dataclass(frozen=True)
class _Rows:
    """What is to be written: N×… uint8, made by `work`."""

    shape: tuple[int, ...]
    work: Work

    @property
    def size(self) -> int:
        """Of the file, in bytes."""
        return len(_header(self.shape)) + prod(self.shape)

    def write(self, path: Path, start: int, stop: int) -> int:
        """Make the rows from start to stop and put them into their place in the file; returns how many.

        Written, not mapped: on a full disk a write raises, while a mapped page kills the process.
        """
        rows = np.ascontiguousarray(self.work(start, stop))
        if rows.dtype != np.uint8 or rows.shape != (stop - start, *self.shape[1:]):
            raise ValueError(f"work({start}, {stop}) gave {rows.dtype} {rows.shape} for {self.shape}")
        with _explained(path.parent, self.size), path.open("r+b") as file:
            file.seek(len(_header(self.shape)) + start * prod(self.shape[1:]))
            file.write(rows.data)
        return stop - start


# The file.


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    header = _header(shape)
    try:
        with path.open("rb") as file:
            return file.read(len(header)) == header and path.stat().st_size == len(header) + prod(shape)
    except OSError:
        return False


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.memmap(path, np.uint8, "r", offset=len(_header(shape)), shape=shape)


def _build(path: Path, rows: _Rows, name: str, progress: Progress, chunk: int) -> None:
    with _explained(path.parent, rows.size):
        path.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(path.parent)
    part = path.with_name(f"{path.name}{_mark()}{os.getpid()}.part")
    try:
        with _explained(path.parent, rows.size):
            _reserve(part, rows)
        _fill(part, rows, name, progress, chunk)
        with _explained(path.parent, rows.size):
            with part.open("r+b") as file:
                os.fsync(file.fileno())
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _reserve(part: Path, rows: _Rows) -> None:
    """The header, and the room for all rows: a full disk is known before the work, not after it."""
    if disk_usage(part.parent).free < rows.size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with part.open("wb") as file:
        file.write(_header(rows.shape))
        file.flush()
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, rows.size)
            except OSError as error:  # some file systems cannot: there the writes tell
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise
        file.truncate(rows.size)


def _mark() -> str:
    """Between a file's name and the writer's number: a cache may be shared by several machines."""
    return f".{platform.node()}."


def _clear_leftovers(root: Path) -> None:
    """Remove what killed processes left: of this machine's processes that are gone, or older than a day."""
    for part in root.glob("*.npy.*.part"):
        before, _, number = part.name.removesuffix(".part").rpartition(".")
        here = f"{before}.".endswith(_mark()) and number.isdigit()
        with suppress(OSError):
            if (here and not _lives(int(number))) or time.time() - part.stat().st_mtime > _DAY:
                part.unlink()


def _lives(process: int) -> bool:
    if process == os.getpid():
        return False  # it was another's with the same number: this one only begins
    if os.name == "nt":
        return True  # asking would end it; age decides
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


@contextmanager
def _explained(root: Path, size: int) -> Iterator[None]:
    """Errors of the file system become WorkErrors that say what to do."""
    try:
        yield
    except OSError as error:
        needs = f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size:,} bytes"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            problem = f"There is no room for {needs} of prepared pictures in {root}"
        else:
            problem = f"Prepared pictures ({needs}) cannot be written to {root} ({error.strerror})"
        raise WorkError(f"{problem}; CSVAE_CACHE can name another directory.") from error


# The work.


def _fill(part: Path, rows: _Rows, name: str, progress: Progress, chunk: int) -> None:
    count = rows.shape[0]
    done = 0

    def report(written: int) -> None:
        nonlocal done
        done += written
        progress(f"Preparing {name}", done, count)

    report(0)
    if count <= chunk:
        report(rows.write(part, 0, count))
        return
    try:
        _write_by_workers(part, rows, chunk, report)
    except BrokenProcessPool as error:
        message = f"A process that prepared {name} was ended from outside; it may be short of memory."
        raise WorkError(message) from error


def _write_by_workers(part: Path, rows: _Rows, chunk: int, report: Callable[[int], None]) -> None:
    count = rows.shape[0]
    spans = [(start, min(start + chunk, count)) for start in range(0, count, chunk)]
    workers = min(_cores(), len(spans))
    # Spawned, not forked: this process may hold torch and threads, which a fork would not survive.
    context = get_context("spawn")
    # The job may be large (it may hold every name). It is sent to each worker once, and not as an argument:
    # those are written before the next worker is started.
    jobs = context.Queue()
    job = pickle.dumps((part, rows))
    for _ in range(workers):
        jobs.put(job)
    jobs.cancel_join_thread()
    with ProcessPoolExecutor(workers, context, _start_worker, (jobs,)) as pool:
        try:
            with _ctrl_c_held():  # the first tasks start the workers
                futures = [pool.submit(_write_in_worker, *span) for span in spans]
            for future in as_completed(futures):
                report(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Ctrl-C waits until the end of this, and is never seen by processes started in it."""
    if current_thread() is not main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    pressed: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what a new process takes over
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_job: tuple[Path, _Rows]
"""Of a worker."""


def _start_worker(jobs: "Queue[bytes]") -> None:
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be held
    Thread(target=_end_with_parent, daemon=True).start()
    _job = pickle.loads(jobs.get())


def _end_with_parent() -> None:
    """A pool's worker waits for ever where its parent was killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_in_worker(start: int, stop: int) -> int:
    part, rows = _job
    return rows.write(part, start, stop)
