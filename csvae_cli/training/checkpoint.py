"""Checkpoints: all that `--resume` needs, as a set of files that counts only when it is complete."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from csvae_cli import runs
from csvae_cli.errors import WorkError
from csvae_cli.training.state import State
from models.adversary import Shown

_KEPT = 2


@dataclass(frozen=True)
class Standing:
    """What a training knows besides its state: the length of log.jsonl in lines, and the best validation."""

    log_lines: int
    best: float | None


def save(run: runs.Run, state: State, standing: Standing) -> None:
    """Write a checkpoint, state.json last; keep the two newest complete ones. Raises WorkError."""
    folder = run.checkpoints / f"epoch-{state.epoch:04d}{f'-step-{state.step:05d}' if state.step else ''}"
    runs.write_tensors(folder / "weights.safetensors", state.model.state_dict())
    runs.write_tensors(folder / "moments.safetensors", _moments(state))
    runs.write_tensors(folder / "random.safetensors", {"noise": state.noise.get_state()})
    runs.write_tensors(folder / "memory.safetensors", _memory(state))
    position = {
        "epoch": state.epoch,
        "step": state.step,
        "sums": state.sums,
        "log_lines": standing.log_lines,
        "best": standing.best,
    }
    runs.write(folder / "state.json", json.dumps(position).encode())
    kept = _complete(run)[-_KEPT:]
    try:
        for old in set(run.checkpoints.glob("epoch-*")) - set(kept):  # those too that were never finished
            (old / "state.json").unlink(missing_ok=True)
            shutil.rmtree(old)
    except OSError as error:
        why = f"Old checkpoints in {run.checkpoints} cannot be removed: {error.strerror}."
        raise WorkError(why) from error


def begun(run: runs.Run) -> bool:
    """Whether there is a complete checkpoint. Raises WorkError."""
    return bool(_complete(run))


def restore(run: runs.Run, state: State) -> Standing | None:
    """Bring `state` to the newest complete checkpoint; None where there is none. Raises WorkError."""
    found = _complete(run)
    if not found:
        return None
    folder = found[-1]
    position = _position(folder)
    runs.load_weights(state.model, runs.read_tensors(folder / "weights.safetensors"), folder)
    _set_moments(state, runs.read_tensors(folder / "moments.safetensors"))
    _set_memory(state, runs.read_tensors(folder / "memory.safetensors"))
    state.epoch, state.step, state.sums = position["epoch"], position["step"], position["sums"]
    noise = runs.read_tensors(folder / "random.safetensors")["noise"]
    if noise.shape == state.noise.get_state().shape:
        state.noise.set_state(noise)
    else:  # of another kind of device, which draws other numbers
        state.noise.manual_seed(state.noise.initial_seed() + state.epoch)
    return Standing(position["log_lines"], position["best"])


def _complete(run: runs.Run) -> list[Path]:
    """Complete checkpoints, the oldest first."""
    folders = [path.parent for path in run.checkpoints.glob("*/state.json")]
    return sorted(folders, key=lambda folder: (_position(folder)["epoch"], _position(folder)["step"]))


def _position(folder: Path) -> dict[str, Any]:
    try:
        position: dict[str, Any] = json.loads((folder / "state.json").read_text())
    except (OSError, ValueError) as error:
        raise WorkError(f"{folder} is damaged; remove it and resume from the one before.") from error
    return position


def _memory(state: State) -> dict[str, Tensor]:
    shown = state.memory.codes
    return {} if shown is None else {"z": shown.z.contiguous(), "y": shown.y.contiguous()}


def _set_memory(state: State, tensors: dict[str, Tensor]) -> None:
    if tensors:
        device = next(state.model.parameters()).device
        state.memory.codes = Shown(tensors["z"].to(device), tensors["y"].to(device))


def _moments(state: State) -> dict[str, Tensor]:
    return {
        f"{group}.{index}.{name}": value
        for group, optimiser in state.optimisers.items()
        for index, moments in optimiser.state_dict()["state"].items()
        for name, value in moments.items()
    }


def _set_moments(state: State, tensors: dict[str, Tensor]) -> None:
    for group, optimiser in state.optimisers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            owner, index, name = key.rsplit(".", 2)
            if owner == group:
                moments.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
        for parameter, own in optimiser.state.items():
            for name in ("exp_avg", "exp_avg_sq"):
                # Adam, fused, goes through memory in its order: moments must lie there as the weights do.
                own[name] = torch.empty_like(parameter).copy_(own[name])
