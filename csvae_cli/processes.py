"""Several processes at one piece of work, as `torchrun` starts them: all that is done about ranks.

A training is one: each process takes its part of every batch, and what the parts say of the weights is
averaged before a step is taken, so that all have the same weights at all times. The first one looks after
the run directory. A folder needs nothing but parts.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from csvae_cli.errors import RequestError, WorkError

_PATIENCE = timedelta(days=1)
"""How long the others wait for the first, while it prepares data or looks at the model."""


@dataclass(frozen=True)
class Processes:
    """rank: of this one, 0 the first; count: how many; local: its number on this machine."""

    rank: int = 0
    count: int = 1
    local: int = 0
    _room: dict[int, Tensor] = field(default_factory=dict, compare=False, repr=False)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def part(self, rows: Tensor) -> Tensor:
        """This process's share of a batch: every count-th row."""
        return rows[self.rank :: self.count]

    def share(self, count: int) -> slice:
        """Which of so many items, as the files of a folder, are this process's: one part after the other."""
        return slice(*(count * rank // self.count for rank in (self.rank, self.rank + 1)))

    def file(self, path: Path) -> Path:
        """Where this process writes its share of a file: itself alone, at `path`."""
        if self.count == 1:
            return path
        return path.with_stem(f"{path.stem}-{self.rank:05d}-of-{self.count:05d}")

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """The gradients become their means over the processes; all must have gradients of the same ones."""
        if self.count == 1:
            return
        owners = [(p, p.grad) for p in parameters if p.grad is not None]
        size = sum(gradient.numel() for _, gradient in owners)
        if size == 0:
            return
        room = self._room.get(size)
        if room is None:  # kept: memory that is new costs as much as the rest
            room = self._room[size] = torch.empty(size, device=owners[0][1].device)
        start = 0
        for parameter, gradient in owners:
            part = room[start:].as_strided(gradient.shape, gradient.stride())
            parameter.grad = part.copy_(gradient)
            start += gradient.numel()
        _add_up(room)
        room.div_(self.count)

    def mean(self, values: Mapping[str, float], device: torch.device) -> dict[str, float]:
        """Of every value over the processes."""
        if self.count == 1:
            return dict(values)
        together = torch.tensor(list(values.values()), device=device)
        _add_up(together)
        return dict(zip(values, (together / self.count).tolist(), strict=True))

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether any process says so; all have to ask."""
        if self.count == 1:
            return flag
        said = torch.tensor(float(flag), device=device)
        _add_up(said)
        return bool(said > 0)

    def like_the_first(self, tensors: Iterable[Tensor]) -> None:
        """The tensors become those of the first process."""
        if self.count > 1:
            with _answered():
                for tensor in tensors:
                    dist.broadcast(tensor, 0)

    @contextmanager
    def one_before_others(self) -> Iterator[None]:
        """Of the processes on a machine one does it, then the others find it done."""
        before = self.local == 0
        if self.count > 1 and not before:
            _meet()
        try:
            yield
        finally:  # where it fails, the others are to find out why, too
            if self.count > 1 and before:
                _meet()


ALONE = Processes()


def _add_up(values: Tensor) -> None:
    """They become their sum over the processes."""
    with _answered():
        dist.all_reduce(values)


def _meet() -> None:
    with _answered():
        dist.barrier()


@contextmanager
def _answered() -> Iterator[None]:
    """Raises WorkError where another process is there no more."""
    try:
        yield
    except RuntimeError as error:
        raise WorkError("Another of the processes has ended; what it says is why.") from error


def of_environment() -> Processes:
    """As torchrun says in the environment; a process by itself where nobody says of how many it is one.

    Raises RequestError where what is said is no number.
    """

    def said(name: str) -> int:
        text = os.environ.get(name) or "0"
        try:
            return int(text)
        except ValueError as error:
            raise RequestError(
                f"{name} in the environment is “{text}”, where torchrun has numbers; unset it to work alone."
            ) from error

    count = said("WORLD_SIZE")
    return Processes(said("RANK"), count, said("LOCAL_RANK")) if count > 1 else ALONE


def refuse_several(command: str) -> None:
    """Raises RequestError where torchrun started several processes at what one does."""
    if of_environment().count > 1:
        raise RequestError(f"csvae {command} is one process's work; start it without torchrun.")


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Inside, the processes of `of_environment` are a group (NCCL among GPUs, else gloo).

    Raises RequestError for devices that cannot be in one.
    """
    processes = of_environment()
    if processes.count == 1:
        yield processes
        return
    if device.type not in ("cuda", "cpu"):
        raise RequestError(f"Several processes cannot train on {device.type}; use --device cpu.")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield processes
    finally:
        dist.destroy_process_group()
