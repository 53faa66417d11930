"""From a split to batches on the device."""

from collections.abc import Iterator

import torch
from torch import Tensor

from csvae_cli.data.dataset import Split
from csvae_cli.device import Compute
from models.evenly import evenly
from models.fusible import Fusible

_CHUNK = 256

_ROOM = 0.5
"""The share of a device's free memory that a split may take before it stays with the host."""


class Batches:
    """A split as tensors: all on the device where it fits, else gathered on the host and sent.

    `rows(index)` gives (x, y): x float32 N×C×H×W in [0, 1] (channels last) or points N×D; y int8 N×k.
    """

    def __init__(self, split: Split, compute: Compute) -> None:
        self.device = compute.device
        x = torch.from_numpy(split.x) if split.x.flags.writeable else _read_only(split.x)
        self.resident = _fits(x, compute.device)
        self.x = x.to(compute.device) if self.resident else x
        self.y = torch.from_numpy(split.labels).to(self.x.device)

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """index: int64 N, on the device of `self.x`."""
        return self.to_float(self.x.index_select(0, index)), self.y[index].to(self.device)

    def spread(self, count: int) -> Tensor:
        """`count` row numbers at most, evenly over the split, in order: rows may be sorted by class."""
        return evenly(torch.arange(len(self), device=self.x.device), count)

    def chunks(self, rows: Tensor | int) -> Iterator[tuple[Tensor, Tensor]]:
        """These rows, or those of `spread`, 256 at a time."""
        for index in (self.spread(rows) if isinstance(rows, int) else rows).split(_CHUNK):
            yield self.rows(index)

    def to_float(self, x: Tensor) -> Tensor:
        """uint8 pictures N×H×W×C -> float in [0, 1], N×C×H×W, channels last in memory; points as they are."""
        if not self.resident and self.device.type == "cuda":
            x = x.pin_memory().to(self.device, non_blocking=True)
        else:
            x = x.to(self.device)
        return from_pictures(x) if x.dtype == torch.uint8 else x


@Fusible
def from_pictures(pictures: Tensor) -> Tensor:
    """uint8 N×H×W×C -> float N×C×H×W in [0, 1], channels last in memory, on the same device."""
    return pictures.permute(0, 3, 1, 2).float().div_(255)


def to_pictures(x: Tensor) -> Tensor:
    """float N×C×H×W in [0, 1], clamped -> uint8 N×H×W×C on the CPU."""
    pictures = x.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return pictures.permute(0, 2, 3, 1).contiguous().cpu()


def _read_only(x: object) -> Tensor:
    import warnings

    with warnings.catch_warnings():
        # torch has no read-only tensors and warns; nothing here writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(x)


def _fits(x: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return x.numel() * x.element_size() < _ROOM * free
