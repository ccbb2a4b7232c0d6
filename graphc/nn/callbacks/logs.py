"""Figures in a file, and functions for hooks."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from graphc.core.errors import ArgumentError, near
from graphc.nn.hooks import HOOKS, Callback, Logs


class CSVLogger(Callback):
    """A line with the figures of each epoch in a CSV file.

    The columns are ``epoch``, from 0, and the figures of the first epoch in the order of their names; if none of them is of a
    validation, there are columns for it, with ``NA`` until there is one.

    Args:
        filename: the file.
        separator: between columns.
        append: whether lines are added to a file that is there, or it is replaced.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = Path(filename), separator, append
        self._file: TextIO | None = None
        self._columns: list[str] = []
        self._titled = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file."""
        self._close()
        self._titled = self.append and self.filename.is_file() and self.filename.stat().st_size > 0
        self._columns = []
        self._file = self.filename.open("a" if self.append else "w", newline="")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line."""
        figures = dict(logs or {})
        if not self._columns:
            names = sorted(figures)
            self._columns = names if any(name.startswith("val_") for name in names) else [*names, *[f"val_{name}" for name in names]]
        if self._file is not None:
            writer = csv.DictWriter(self._file, ["epoch", *self._columns], "NA", "ignore", delimiter=self.separator)
            if not self._titled:
                writer.writeheader()
                self._titled = True
            writer.writerow({"epoch": epoch, **figures})
            self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        self._close()

    def on_exception(self, exception: BaseException) -> None:
        """Close the file."""
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


class LambdaCallback(Callback):
    """Functions for hooks, by the names of these: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``.

    Raises :class:`ArgumentError` for a name that is no hook's, or what cannot be called.
    """

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        for name, function in hooks.items():
            if name not in HOOKS:
                raise ArgumentError(f"LambdaCallback: there is no hook {name!r}{near(name, HOOKS)}", fits=", ".join(HOOKS))
            if function is not None:
                if not callable(function):
                    raise ArgumentError(f"LambdaCallback: {name} is {function!r}", fits="a function")
                setattr(self, name, function)
