"""What is costly and depends on nothing but its key: kept, and found again."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from torch import Tensor

from csvae_cli import runs
from csvae_cli.data.prepared import cache_root
from csvae_cli.errors import UserError

_VERSION = "5"  # change it with anything that changes what is kept


def key(*parts: object) -> str:
    """Of everything that a result depends on."""
    return sha256(repr((_VERSION, *parts)).encode()).hexdigest()[:24]


def of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """A key of weights."""
    digest = sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]


def json_of(name: str, found_by: str, make: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A list of JSON objects, made once. A damaged file is made again. Raises WorkError."""
    path = cache_root() / "evaluation" / f"{name}-{found_by}.json"
    try:
        kept: list[dict[str, Any]] = json.loads(path.read_text())
        return kept
    except (OSError, ValueError):
        made = make()
        runs.write(path, json.dumps(made).encode())
        return made


def tensors_of(name: str, found_by: str, make: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """Tensors, made once. A damaged file is made again. Raises WorkError."""
    path = cache_root() / "evaluation" / f"{name}-{found_by}.safetensors"
    try:
        return runs.read_tensors(path)
    except UserError:
        made = make()
        runs.write_tensors(path, made)
        return made
