"""A polite stop: the first Ctrl-C or SIGTERM asks, the second insists."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import current_thread, main_thread
from types import FrameType


@dataclass
class Stop:
    """signal_number: of the signal that asked to stop, 0 while none has."""

    signal_number: int = 0

    def __call__(self) -> bool:
        return self.signal_number != 0


@contextmanager
def polite_stop() -> Iterator[Stop]:
    """Inside, SIGINT and SIGTERM only note that they came; a second one acts as it did before.

    In another thread than the first, where no signal comes, nothing is noted.
    """
    stop = Stop()
    if current_thread() is not main_thread():
        yield stop
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (the signature is the system's)
        stop.signal_number = number
        for each, handler in handlers.items():
            signal.signal(each, handler)

    for number in handlers:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
