"""Telling the user how a download goes: a bar on a terminal, two lines per file elsewhere."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@dataclass(frozen=True)
class Event:
    """One step of a download.

    ``kind`` is "note" (only ``text`` counts), "start", "advance" or "end" of the file that ``text``
    names; ``done`` and ``total`` are bytes, ``total`` is None where the server does not say.
    """

    kind: Literal["note", "start", "advance", "end"]
    text: str
    done: int = 0
    total: int | None = None


Listener = Callable[[Event], None]


def silent(_event: Event) -> None:
    """The listener that says nothing."""


@contextmanager
def listening(progress: bool | Listener, stream: TextIO | None = None) -> Generator[Listener]:
    """The listener for ``progress``: itself, silence for False, else one that writes to ``stream``.

    ``stream`` is standard error unless given; on a terminal it gets a bar of ``rich``.
    """
    out = sys.stderr if stream is None else stream
    if callable(progress):
        yield progress
    elif not progress:
        yield silent
    elif out.isatty():
        with _Bars(out) as bars:
            yield bars.hear
    else:
        yield _Lines(out).hear


def megabytes(count: int) -> str:
    """``count`` bytes in words: ``9.9 MB``, ``29 kB``."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


class _Lines:
    """For log files: a line at the start and at the end of each file, none in between."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def hear(self, event: Event) -> None:
        match event.kind:
            case "note":
                self._say(event.text)
            case "start":
                size = f" ({megabytes(event.total)})" if event.total else ""
                self._say(f"fetching {event.text}{size}")
            case "end":
                self._say(f"fetched  {event.text}: {megabytes(event.done)}")
            case "advance":
                pass

    def _say(self, text: str) -> None:
        print(f"graphc: {text}", file=self.out, flush=True)


class _Bars:
    """For terminals: one bar per file. The bars start with the first event, and so does ``rich``."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.bars: Progress | None = None
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def hear(self, event: Event) -> None:
        bars = self.bars = self.bars or _started(self.out)
        if event.kind == "note":
            bars.console.print(f"graphc: {event.text}", markup=False, highlight=False)
            return
        if event.text not in self.tasks:
            self.tasks[event.text] = bars.add_task(event.text, total=event.total)
        # A file whose size was never told is whole at its end, and its bar says so.
        total = event.done if event.kind == "end" else event.total
        bars.update(self.tasks[event.text], completed=event.done, total=total)


def _started(out: TextIO) -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=Console(file=out))
    bars.start()
    return bars
