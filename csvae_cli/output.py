"""The only place that prints: answers to stdout, progress and messages to stderr.

Rich is imported when something is drawn, not before: `--help` must not pay for it twice.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console

_WORD = 11
"""Letters of a word that a table breaks only where it is longer."""

Progress = Callable[[str, int, int], None]
"""(what is being done, done, total): called now and then by whoever takes long."""


def console(*, error: bool = True) -> "Console":
    """stderr's console (or stdout's), as it is now: NO_COLOR, pipes, dumb terminals are Rich's to honour."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=True, markup=False, emoji=False)


def _redrawn(target: "Console") -> bool:
    """Whether what was drawn there can be drawn anew."""
    return target.is_terminal and not target.is_dumb_terminal


class OutputError(Exception):
    """Answers cannot be written; closed: because nobody reads them."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"Cannot write the answer to stdout: {error.strerror}.")
        self.closed = isinstance(error, BrokenPipeError)


def answer(text: str) -> None:
    """A line of the command's result, to stdout, as it is, and at once: it may be read by a program.

    Raises OutputError.
    """
    with _writing():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def answer_json(value: Mapping[str, Any]) -> None:
    """A result as one JSON object on a line. Raises OutputError."""
    # JSON is UTF-8: where stdout is not, everything is escaped but ASCII; a name that is none as \\udce9.
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    text = json.dumps(value, ensure_ascii=encoding != "utf-8")
    answer(text.encode("utf-8", "backslashreplace").decode())


def flush() -> None:
    """What was answered is out. Raises OutputError."""
    with _writing():
        sys.stdout.flush()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(error) from error


def say(text: str) -> None:
    """A message for people, to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    error: bool = False,
    names: bool = False,
) -> None:
    """A table, to stdout (or stderr); columns of numbers are aligned right.

    names: the first column has names that people are to type, which stay whole.
    """
    from rich import box
    from rich.table import Table

    drawn = Table(
        title=title,
        box=box.SIMPLE,
        title_justify="left",
        pad_edge=False,
        collapse_padding=True,
        show_edge=False,
    )
    for position, name in enumerate(columns):
        numeric = bool(rows) and all(_is_number(row[position]) for row in rows)
        justify: Literal["right", "left"] = "right" if numeric else "left"
        words = [word for row in (columns, *rows) for word in row[position].split()]
        room = min(max(map(len, words), default=0), _WORD)  # longer ones are broken, and none is cut off
        whole = names and position == 0
        drawn.add_column(name, justify=justify, no_wrap=whole, overflow="fold", min_width=room)
    for row in rows:
        drawn.add_row(*row)
    with nullcontext() if error else _writing():
        console(error=error).print(drawn)


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress bar on stderr for what a source or a folder takes; silent where stderr is no terminal."""
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    )
    target = console()
    with bars.Progress(*columns, console=target, transient=True, disable=not _redrawn(target)) as bar:
        tasks: dict[str, Any] = {}

        def advance(description: str, done: int, total: int) -> None:
            if description not in tasks:
                tasks[description] = bar.add_task(description, total=total)
            bar.update(tasks[description], completed=done, total=total)

        yield advance


class TrainingDisplay:
    """What a training shows: a live table on a terminal, else a plain line an epoch."""

    def __init__(self, title: str, epochs: int) -> None:
        from rich.live import Live

        self.title = title
        self.epochs = epochs
        self.records: list[Mapping[str, Any]] = []
        self.leaks: dict[str, tuple[float, int]] = {}
        target = console()
        self.live = Live(console=target, refresh_per_second=4, transient=False) if _redrawn(target) else None

    def __enter__(self) -> "TrainingDisplay":
        say(self.title)
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.live is not None:
            self.live.stop()

    def tick(self, epoch: int, share: float, images_per_second: float, seconds_left: float) -> None:
        """Within an epoch: how far it is (share of 1)."""
        if self.live is not None:
            head = (
                f"epoch {epoch}/{self.epochs}  {_bar(share)}  {images_per_second:,.0f} images/s  "
                f"{_duration(seconds_left)} left"
            )
            self.live.update(self._drawn(head))

    def epoch(self, record: Mapping[str, Any], seconds_left: float) -> None:
        """After an epoch: its record, as in log.jsonl."""
        self.records.append(record)
        for name, leak in record.get("leak", {}).items():
            self.leaks[name] = (leak, record["epoch"])
        if self.live is not None:
            rate, left = record["images_per_second"], _duration(seconds_left)
            head = f"epoch {record['epoch']}/{self.epochs}  {_bar(1)}  {rate:,.0f} images/s  {left} left"
            self.live.update(self._drawn(head))
        else:
            terms = "  ".join(f"{name} {value:.4g}" for name, value in record["terms"].items())
            leaks = "".join(f"  leak {name} {value:.3f}" for name, value in record.get("leak", {}).items())
            say(
                f"epoch {record['epoch']}/{self.epochs}  {record['images_per_second']:,.0f} images/s  "
                f"{_duration(seconds_left)} left  {terms}{leaks}"
            )

    def _drawn(self, head: str) -> Any:
        from rich import box
        from rich.console import Group
        from rich.table import Table

        names = list(self.records[-1]["terms"]) if self.records else []
        of_the_stage = [record for record in self.records[-5:] if list(record["terms"]) == names]
        drawn = Table(box=box.SIMPLE, pad_edge=False)
        drawn.add_column("epoch", justify="right")
        for name in names:
            drawn.add_column(name, justify="right")
        for record in of_the_stage:
            drawn.add_row(str(record["epoch"]), *(f"{record['terms'][name]:.4g}" for name in names))
        leak = "  ".join(f"{name} {value:.3f} (epoch {epoch})" for name, (value, epoch) in self.leaks.items())
        leak = (
            f"leak of z, read by a fresh probe (chance 0.5):  {leak}" if leak else "leak of z: not probed yet"
        )
        return Group(head, drawn, leak) if names else Group(head)


def _bar(share: float, width: int = 24) -> str:
    full = round(width * share)
    return "━" * full + "─" * (width - full)


def _duration(seconds: float) -> str:
    if seconds == math.inf:
        return "…"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").replace("%", "").strip().isdigit()
