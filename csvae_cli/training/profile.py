"""Where the time of a training goes: a trace of a few steps, and a summary that fits a screen."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from csvae_cli import output, runs

_SHOWN, _STEPS = 12, 10


@dataclass
class Profile:
    """Of ten steps of one epoch, from a tick to the next; the first twenty of the training warm up."""

    path: Path
    _ticks: int = 0
    _running: bool = False
    _rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it talks to the terminal
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
        self._profiler = profile(activities=activities)

    def tick(self, left: int) -> None:
        """Called every ten steps, with the steps left in the epoch: starts, then stops and writes."""
        self._ticks += 1
        if self._ticks >= 2 and left >= _STEPS and not self._running and not self._rows:
            self._profiler.start()
            self._running = True
        elif self._running:
            self._profiler.stop()
            self._running = False
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "trace.json"
                self._profiler.export_chrome_trace(str(file))
                runs.write(self.path, file.read_bytes())
            self._rows = self._summary()

    def show(self) -> None:
        """The summary, to people; where the training was too short for one, that."""
        if not self._rows:
            output.say("csvae: too short for a profile, which takes 30 steps, and an epoch of 20.")
            return
        columns = ("what", "share of the time", "ms a step", "calls a step")
        output.table(f"Where the time goes; the trace is {self.path}", columns, self._rows, error=True)

    def _summary(self) -> list[list[str]]:
        averages = self._profiler.key_averages()
        times = [(max(a.self_device_time_total, 0.0) or a.self_cpu_time_total, a) for a in averages]
        total = sum(time for time, _ in times)
        times.sort(key=lambda pair: pair[0], reverse=True)
        return [
            [a.key, f"{time / total:.1%}", f"{time / 1e3 / _STEPS:.2f}", f"{a.count / _STEPS:g}"]
            for time, a in times[:_SHOWN]
        ]
