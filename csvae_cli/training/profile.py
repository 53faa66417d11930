"""Where the time of a training goes: a trace of a few steps, and a summary that fits a screen."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from csvae_cli import output, runs
from csvae_cli.training.loop import TICK_EVERY

_SHOWN, _TICKS_BEFORE = 12, 2


@dataclass
class Profile:
    """Of the steps of one epoch from a tick to the next; those before the second tick warm up."""

    path: Path
    _ticks: int = 0
    _running: bool = False
    _rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it talks to the terminal
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
        self._profiler = profile(activities=activities)

    def tick(self, left: int) -> None:
        """Called at every tick, with the steps left in the epoch: starts, then stops and writes."""
        self._ticks += 1
        if self._ticks >= _TICKS_BEFORE and left >= TICK_EVERY and not self._running and not self._rows:
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

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Whatever ends the training within: after it the summary, to people, or that it was too short."""
        try:
            yield
        finally:
            self._show()

    def _show(self) -> None:
        if not self._rows:
            steps, epoch = (_TICKS_BEFORE + 1) * TICK_EVERY, 2 * TICK_EVERY
            output.say(f"csvae: too short for a profile, which takes {steps} steps, and an epoch of {epoch}.")
            return
        columns = ("what", "share of the time", "ms a step", "calls a step")
        output.table(f"Where the time goes; the trace is {self.path}", columns, self._rows, error=True)

    def _summary(self) -> list[list[str]]:
        averages = self._profiler.key_averages()
        times = [(max(a.self_device_time_total, 0.0) or a.self_cpu_time_total, a) for a in averages]
        total = sum(time for time, _ in times)
        times.sort(key=lambda pair: pair[0], reverse=True)
        return [
            [a.key, f"{time / total:.1%}", f"{time / 1e3 / TICK_EVERY:.2f}", f"{a.count / TICK_EVERY:g}"]
            for time, a in times[:_SHOWN]
        ]
