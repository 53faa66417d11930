"""Where the time of a training goes: a trace of a few steps, and a summary that fits a screen."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from csvae_cli import output, runs

_SHOWN = 12


@dataclass
class Profile:
    """Of the steps between the second and the third tick of a training (ten); the first ones warm up."""

    path: Path
    _ticks: int = 0
    _rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it talks to the terminal
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
        self._profiler = profile(activities=activities)

    def tick(self) -> None:
        """Called at every tick; starts, and then stops and writes the trace."""
        self._ticks += 1
        if self._ticks == 2:
            self._profiler.start()
        elif self._ticks == 3:
            self._profiler.stop()
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "trace.json"
                self._profiler.export_chrome_trace(str(file))
                runs.write(self.path, file.read_bytes())
            self._rows = self._summary()

    def show(self) -> None:
        """The summary, to people; where the training was too short for one, that."""
        if not self._rows:
            output.say("csvae: the training was too short for a profile; it takes 30 steps.")
            return
        columns = ("what", "share of the time", "ms a step", "calls a step")
        output.table(f"Where the time goes; the trace is {self.path}", columns, self._rows, error=True)

    def _summary(self) -> list[list[str]]:
        averages = self._profiler.key_averages()
        times = [(max(a.self_device_time_total, 0.0) or a.self_cpu_time_total, a) for a in averages]
        total = sum(time for time, _ in times)
        times.sort(key=lambda pair: pair[0], reverse=True)
        return [
            [a.key, f"{time / total:.1%}", f"{time / 1e4:.2f}", f"{a.count / 10:g}"]
            for time, a in times[:_SHOWN]
        ]
