"""Telling the user how a training goes: a bar on a terminal, a line per epoch everywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TextIO

from graphc.nn.training import Listener, Standing

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def progress(stream: TextIO | None = None) -> Generator[Listener]:
    """A listener for ``train`` that writes to ``stream``, standard error unless given; a terminal gets a bar of ``rich`` as well."""
    out = sys.stderr if stream is None else stream
    if out.isatty() and os.environ.get("TERM") != "dumb":
        with _Bar(out) as bar:
            yield bar.hear
    else:
        yield _Lines(out).hear


def line(standing: Standing) -> str:
    """Epoch, loss, accuracy and speed in words; all numbers are as wide in every epoch of a training."""
    width = len(str(standing.epochs))
    return f"epoch {standing.epoch:{width}}/{standing.epochs}  {measured(standing)}"


def measured(standing: Standing) -> str:
    """Step, loss, accuracy and speed in words."""
    step = f"step {standing.step:{len(str(standing.steps))}}/{standing.steps}"
    score = standing.score
    return f"{step}  loss {score.loss:.4f}  accuracy {score.accuracy:.4f}  {standing.images_per_second:,.0f} images/s"


class _Lines:
    """For log files: a line at the end of each epoch."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def hear(self, standing: Standing) -> None:
        if standing.step == standing.steps:
            print(line(standing), file=self.out, flush=True)


class _Bar:
    """For terminals: a bar for the epoch that runs; a finished one becomes a line above it, however many there are."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.bars: Progress | None = None
        self.task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def hear(self, standing: Standing) -> None:
        bars = self.bars = self.bars or _started(self.out)
        name, text = f"epoch {standing.epoch}/{standing.epochs}", measured(standing)
        if self.task is None:
            self.task = bars.add_task(name, text=text)
        bars.update(self.task, description=name, total=standing.steps, completed=standing.step, text=text)
        if standing.step == standing.steps:
            bars.console.print(line(standing), markup=False, highlight=False)


def _started(out: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[text]}"))
    # Transient: at the end, or after Ctrl-C, only the lines of whole epochs stay.
    bars = Progress(*columns, console=Console(file=out), expand=True, transient=True)
    bars.start()
    return bars
