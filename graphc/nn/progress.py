"""How a training goes, told while it goes: a bar on a terminal, one line that changes in a notebook, a line an epoch everywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from graphc.core.errors import ArgumentError
from graphc.nn.hooks import Callback, Logs

if TYPE_CHECKING:
    from rich.progress import Progress

PAUSE = 0.1
"""Seconds between two words: more often than an eye follows is time lost to the training."""


def bar(verbose: Any) -> ProgressBar | None:
    """What ``verbose`` asks for: nothing for 0, a bar or a changing line for 1 or ``"auto"``, a line an epoch for 2.

    Raises :class:`ArgumentError` for anything else.
    """
    if verbose not in (0, 1, 2, "auto"):
        raise ArgumentError(f"verbose={verbose!r}", fits='0, 1, 2, "auto"')
    return None if verbose == 0 else ProgressBar(moving=verbose != 2)


class ProgressBar(Callback):
    """Tells how epochs, evaluations and predictions go, on ``stream``, which is standard output by default.

    On a terminal a bar moves; in a notebook a line does; a file gets whole lines alone.
    """

    def __init__(self, stream: TextIO | None = None, *, moving: bool = True) -> None:
        self._stream, self._moving = stream, moving
        self._display: _Display | None = None
        self._epoch: int | None = None
        self._told = self._began = 0.0

    # ------------------------------------------------------------ hooks
    def is_due(self) -> bool:
        """Whether enough time went by since the last word."""
        return self._moving and perf_counter() - self._told >= PAUSE

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start."""
        self._start()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._epoch = epoch
        self._began = perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._move(batch + 1, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """A line."""
        self._say(logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Take the bar away."""
        self._epoch = None
        self._end()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start, if this is no validation."""
        if self._epoch is None:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar, if this is no validation."""
        if self._epoch is None:
            self._move(batch + 1, logs or {})

    def on_test_end(self, logs: Logs | None = None) -> None:
        """A line, if this is no validation."""
        if self._epoch is None:
            self._say(logs or {})
            self._end()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Start."""
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._move(batch + 1, {})

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Take the bar away."""
        self._end()

    def on_exception(self, exception: BaseException) -> None:
        """Give the terminal back."""
        self._epoch = None
        self._end()

    # ------------------------------------------------------------ text
    def _start(self) -> None:
        self._began = perf_counter()
        out = sys.stdout if self._stream is None else self._stream
        self._display = _display(out) if self._moving else _Lines(out)

    def _move(self, step: int, logs: Mapping[str, Any]) -> None:
        self._told = perf_counter()
        assert self._display is not None
        total = self.params.get("steps")
        self._display.show(self._name(), step, total, f"step {counted(step, total)}  {figures(logs)}")

    def _say(self, logs: Mapping[str, Any]) -> None:
        assert self._display is not None
        seconds = perf_counter() - self._began
        self._display.line("  ".join([part for part in (self._name(), figures(logs), f"{seconds:.1f} s") if part]))

    def _name(self) -> str:
        return "" if self._epoch is None else f"epoch {counted(self._epoch + 1, self.params.get('epochs'))}"

    def _end(self) -> None:
        if self._display is not None:
            self._display.close()
            self._display = None


def counted(number: int, total: int | None) -> str:
    """``7/12``, as wide as ``12/12``; a number alone where the total is not known."""
    return str(number) if total is None else f"{number:{len(str(total))}}/{total}"


def figures(logs: Mapping[str, Any]) -> str:
    """Names and numbers in a row."""
    return "  ".join([f"{name} {_number(value)}" for name, value in logs.items()])


def _number(value: Any) -> str:
    try:
        number = float(value)
    except TypeError:
        return str(value)
    return f"{number:.4f}" if number == 0 or 1e-3 <= abs(number) < 1e5 else f"{number:.4g}"


# ---------------------------------------------------------------- where it is told
class _Display(Protocol):
    def show(self, name: str, step: int, total: int | None, text: str) -> None: ...

    def line(self, text: str) -> None: ...

    def close(self) -> None: ...


def _display(out: TextIO) -> _Display:
    if out.isatty() and os.environ.get("TERM") != "dumb":
        return _Bar(out)
    return _Moving(out) if _is_notebook(out) else _Lines(out)


def _is_notebook(out: TextIO) -> bool:
    """Whether this is the output of a cell: its stream is the kernel's."""
    return type(out).__module__.startswith("ipykernel")


class _Lines:
    """For files: whole lines."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def show(self, name: str, step: int, total: int | None, text: str) -> None:
        """Nothing."""

    def line(self, text: str) -> None:
        """A line, there at once."""
        print(text, file=self.out, flush=True)

    def close(self) -> None:
        """Nothing."""


class _Moving:
    """For notebooks: a line that is written over."""

    def __init__(self, out: TextIO) -> None:
        self.out, self.width = out, 0

    def show(self, name: str, step: int, total: int | None, text: str) -> None:
        """Write over the line."""
        self._over(f"{name}  {text}".strip(), "")

    def line(self, text: str) -> None:
        """Write over the line, and leave it."""
        self._over(text, "\n")
        self.width = 0

    def close(self) -> None:
        """Wipe out what is no whole line."""
        if self.width:
            self._over("", "\r")

    def _over(self, text: str, end: str) -> None:
        print("\r" + text.ljust(self.width), end=end, file=self.out, flush=True)
        self.width = len(text)


class _Bar:
    """For terminals: a bar for the epoch that runs; a finished one becomes a line above it, however many there are."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.bars: Progress | None = None
        self.task: Any = None

    def show(self, name: str, step: int, total: int | None, text: str) -> None:
        """Move the bar."""
        bars = self.bars = self.bars or _started(self.out)
        if self.task is None:
            self.task = bars.add_task(name, text=text)
        bars.update(self.task, description=name, total=total, completed=step, text=text)

    def line(self, text: str) -> None:
        """A line above the bar."""
        if self.bars is None:
            print(text, file=self.out, flush=True)
        else:
            self.bars.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Take the bar away."""
        if self.bars is not None:
            self.bars.stop()


def _started(out: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[text]}"))
    # Transient: at the end, or after Ctrl-C, only the lines of whole epochs stay.
    bars = Progress(*columns, console=Console(file=out), expand=True, transient=True)
    bars.start()
    return bars
