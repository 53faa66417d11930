"""Where to compute and how precisely, decided once and passed along."""

import ctypes
import os
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from csvae_cli.config import Precision
from csvae_cli.errors import RequestError
from csvae_cli.processes import of_environment

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGEST_KEPT, _MOST_KEPT = (2**25, 2**30), 2**31 - 1
"""Bytes: of the largest block that is kept, all that an older glibc grants and then more; of all that is."""


@dataclass(frozen=True)
class Compute:
    """device and precision ("fp32" or "bf16"), and the reason for them, for people."""

    device: torch.device
    precision: Literal["fp32", "bf16"]
    reason: str

    def autocast(self) -> AbstractContextManager[object]:
        """Inside, matrix products and convolutions run in bf16 where that is the precision."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def resolve(device: str = "auto", precision: Precision = "auto") -> Compute:
    """device: auto, cpu, cuda, cuda:N or mps. Raises RequestError where it is not there.

    Of several processes on a machine each has a GPU of its own.
    """
    chosen = torch.device(_first_there() if device == "auto" else _checked(device))
    if chosen.type == "cpu":
        _keep_memory()
    processes = of_environment()
    if chosen == torch.device("cuda") and processes.count > 1:
        chosen = torch.device(_checked(f"cuda:{processes.local}"))
    if chosen.type == "cuda" and chosen.index is not None:
        torch.cuda.set_device(chosen)
    has_bf16 = _has_bf16(chosen)
    if precision == "auto":
        name = _describe(chosen)
        if has_bf16:
            return Compute(chosen, "bf16", f"{name}, bf16")
        return Compute(chosen, "fp32", f"{name}, fp32 (no bf16 arithmetic here)")
    return Compute(chosen, precision, f"{_describe(chosen)}, {precision} as asked")


def _keep_memory() -> None:
    """Memory that this process had once stays with it.

    Else the system takes the memory of every large tensor back, and clears it page by page for the next one,
    up to a third of a step's time. Where it is not Linux with glibc, nothing changes.
    """
    keep = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if keep is not None:
        for largest in _LARGEST_KEPT:
            keep(_M_MMAP_THRESHOLD, largest)
        keep(_M_TRIM_THRESHOLD, _MOST_KEPT)


def _first_there() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _checked(device: str) -> str:
    kind, _, index = device.partition(":")
    if not re.fullmatch(r"cpu|mps|cuda(:\d{1,3})?", device):
        raise RequestError(f"There is no device “{device}”; use auto, cpu, cuda, cuda:N or mps.")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise RequestError(
            f"Device “{device}” is not there; this machine has {torch.cuda.device_count()} GPUs."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise RequestError("Device “mps” is not there; use --device cpu.")
    return device


def _has_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 there, not merely possible."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return False


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
    return device.type
