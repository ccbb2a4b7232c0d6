"""The NumPy target: source that writes into buffers, which each thread has its own of."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from graphc.core import Variable, dtypes
from graphc.core.sizes import Dim
from graphc.lower.buffers import assign
from graphc.lower.loading import load
from graphc.lower.rows import fuse
from graphc.lower.schedule import Schedule
from graphc.lower.source import Source, emit_numpy

KEPT = 8
"""How many combinations of sizes a thread keeps buffers for; the least recently used go first."""


class NumpyProgram:
    """A schedule as a NumPy function, made anew, buffers and all, for each combination of sizes and each thread."""

    def __init__(self, schedule: Schedule, title: str) -> None:
        self.schedule = fuse(schedule)
        self.plan = assign(self.schedule)
        self.source: Source = emit_numpy(self.schedule, self.plan)
        self._make = load(self.source.text, title)
        self._constants = [c.value for c in self.source.constants]
        self._made = _Made()

    @property
    def buffer_bytes(self) -> Dim:
        """Bytes of the buffers, as a formula of the named sizes."""
        return self.plan.nbytes

    def run(self, inputs: Sequence[Any], sizes: tuple[int, ...]) -> Sequence[Any]:
        """The outputs, after the updates are in the variables. Nothing of ``inputs`` is written."""
        step = self._recent(sizes) or self._instance(sizes)
        values = [_host(variable) for variable in self.schedule.variables]
        with np.errstate(all="ignore"):
            return step(*map(_plain, inputs), *values)

    def _recent(self, sizes: tuple[int, ...]) -> Callable[..., Any] | None:
        steps = self._made.steps
        if sizes in steps:
            steps.move_to_end(sizes)
        return steps.get(sizes)

    def _instance(self, sizes: tuple[int, ...]) -> Callable[..., Any]:
        steps = self._made.steps
        with np.errstate(all="ignore"):
            steps[sizes] = step = self._make(*sizes, *self._constants)
        if len(steps) > KEPT:
            steps.popitem(last=False)
        return step


class _Made(threading.local):
    def __init__(self) -> None:
        self.steps: OrderedDict[tuple[int, ...], Callable[..., Any]] = OrderedDict()


def _plain(value: Any) -> Any:
    """The value as NumPy's own array: subclasses and other libraries' arrays mean other things by the same operators."""
    if type(value) is np.ndarray or isinstance(value, np.generic):
        return value  # pyright: ignore[reportUnknownVariableType]
    return np.asarray(value)


def _host(variable: Variable) -> np.ndarray[Any, Any]:
    """The variable's own array, brought back from a device if it is on one."""
    storage: Any = variable.storage
    if not isinstance(storage, np.ndarray):
        variable.storage = storage = np.array(storage, dtype=dtypes.numpy_dtype(variable.dtype))
    return cast("np.ndarray[Any, Any]", storage)
