"""The NumPy target: source that writes into buffers, which each thread has its own of."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import numpy as np

from graphc import parallel
from graphc.core import Variable, dtypes
from graphc.core.sizes import Dim, bind
from graphc.lower.buffers import Plan
from graphc.lower.cost import products
from graphc.lower.footprint import Footprint, Timeline, footprint, timeline
from graphc.lower.loading import load
from graphc.lower.planning import settled, worth
from graphc.lower.rematerialise import within_budget
from graphc.lower.rows import Loops
from graphc.lower.schedule import Schedule
from graphc.lower.source import Places, Source, emit_numpy, places, size_names
from graphc.lower.source.watching import Watching
from graphc.memory import copy_aligned

LARGE = 1 << 13
"""Elements from which on BLAS uses threads of its own."""
PRODUCT = 1 << 22
"""Operations of a product from which on these are worth having."""
KEPT = 8
"""How many combinations of sizes a thread keeps buffers for; the least recently used go first."""


class _Variant:
    """Source for the loops that pay at some sizes, and its function ``make``."""

    def __init__(self, schedule: Schedule, known: Mapping[str, int], title: str, dropped: frozenset[str], beside: Watching) -> None:
        self.schedule, self.plan = settled(schedule, known, dropped)
        self.source: Source = emit_numpy(self.schedule, self.plan, threads="threads" not in dropped, beside=beside)
        self.make = load(self.source.text, title)
        self.constants = [c.value for c in self.source.constants]


class NumpyProgram:
    """A schedule as a NumPy function, made anew, buffers and all, for each combination of sizes and each thread.

    The source names the sizes and serves all of them; it is written again for sizes at which other loops pay. ``dropped`` names
    what it does without: "fuse", "threads", "order", "reuse".
    """

    many = None  # a call of many steps would be a loop of calls

    def __init__(
        self, schedule: Schedule, title: str, dropped: frozenset[str] = frozenset(), budget: int | None = None, beside: Watching = ""
    ) -> None:
        self.schedule, self._title, self._dropped, self._budget = schedule, title, dropped, budget
        self._beside: Watching = beside
        self._loops = Loops(schedule)
        self._variants: dict[Any, _Variant] = {}
        self._last = self._variant({})
        self._made = _Made()

    def watched(self, beside: Watching, without: Iterable[str] = ()) -> NumpyProgram:
        """The same program with steps that do more than their work (:mod:`graphc.lower.source.watching`), and without optimisations."""
        return NumpyProgram(self.schedule, self._title, self._dropped | frozenset(without), self._budget, beside)

    def _variant(self, sizes: Mapping[str, int]) -> _Variant:
        if self._budget is not None and len(sizes) == len(size_names(self.schedule)):
            key = tuple(sizes.items())
            if key not in self._variants:
                loops = Loops(within_budget(self.schedule, self._budget, sizes, self._dropped))
                chosen = worth(loops, sizes, self._dropped)
                self._variants[key] = _Variant(loops.fused(chosen), sizes, self._title, self._dropped, self._beside)
            return self._variants[key]
        chosen = worth(self._loops, sizes, self._dropped)
        if chosen not in self._variants:
            self._variants[chosen] = _Variant(self._loops.fused(chosen), sizes, self._title, self._dropped, self._beside)
        return self._variants[chosen]

    @property
    def source(self) -> Source:
        """The source for the sizes that came last; before the first call, for middling ones."""
        return self._last.source

    def places(self) -> Places:
        """Where values are in that source."""
        last = self._last
        return places(lambda: emit_numpy(last.schedule, last.plan, threads="threads" not in self._dropped))

    @property
    def planned(self) -> tuple[Schedule, Plan]:
        """The steps with their loops, in order, and where values live, at the sizes that came last."""
        return self._last.schedule, self._last.plan

    @property
    def buffer_bytes(self) -> Dim:
        """Bytes of the buffers, as a formula of the named sizes."""
        return self._last.plan.nbytes

    def memory(self) -> Footprint:
        """What a call needs at the sizes that came last."""
        made = self._made
        with made.threads or nullcontext():
            return footprint(*self.planned, self.known)

    @property
    def known(self) -> dict[str, int]:
        """The sizes that came last, by name; none before the first call."""
        return dict(zip(self.source.sizes, self._made.sizes or (), strict=False))

    def timeline(self) -> Timeline:
        """What is held in each step of a call at these sizes."""
        return timeline(*self.planned, self.known)

    def run(self, inputs: Sequence[Any], sizes: tuple[int, ...]) -> Sequence[Any]:
        """The outputs, after the updates are in the variables. Nothing of ``inputs`` is written."""
        made = self._made
        step = made.last if sizes == made.sizes else self._instance(sizes)
        arguments = [*map(_plain, inputs), *map(_host, self.schedule.variables)]
        if made.threads is None:
            return _call(step, arguments)
        with made.threads:
            return _call(step, arguments)

    def _instance(self, sizes: tuple[int, ...]) -> Callable[..., Any]:
        made = self._made
        threads = self._threads(sizes)
        step = made.steps.get(sizes) or self._new(sizes, threads)
        made.steps.move_to_end(sizes)
        made.last, made.sizes, made.threads = step, sizes, threads
        return step

    def _threads(self, sizes: tuple[int, ...]) -> AbstractContextManager[None] | None:
        """Who may use threads in a call: BLAS, if there are large products, or else the loops over rows; never both."""
        if parallel.deterministic():
            return parallel.one_blas_thread
        known = dict(zip(self.source.sizes, sizes, strict=True))
        if all(bind(type.size, known) < LARGE for type in {node.type for node in self.schedule.nodes}):
            return None  # neither would
        if parallel.available() > 1 and any(bind(flops, known) >= PRODUCT for flops in products(self.schedule.nodes)):
            return parallel.Alone()
        return parallel.one_blas_thread

    def _new(self, sizes: tuple[int, ...], threads: AbstractContextManager[None] | None) -> Callable[..., Any]:
        steps = self._made.steps
        self._last = variant = self._variant(dict(zip(self.source.sizes, sizes, strict=True)))
        with threads or nullcontext(), np.errstate(all="ignore"):
            steps[sizes] = step = variant.make(*sizes, *variant.constants)
        if len(steps) > KEPT:
            steps.popitem(last=False)
        return step


class _Made(threading.local):
    """The functions of one thread, the last one used at hand."""

    def __init__(self) -> None:
        self.steps: OrderedDict[tuple[int, ...], Callable[..., Any]] = OrderedDict()
        self.sizes: tuple[int, ...] | None = None
        self.threads: AbstractContextManager[None] | None = None
        self.last: Callable[..., Any] = _call


@np.errstate(all="ignore")  # as a decorator it takes half the time that it takes as a context
def _call(step: Callable[..., Any], arguments: Sequence[Any]) -> Sequence[Any]:
    return step(*arguments)


def _plain(value: Any) -> Any:
    """The value as NumPy's own array: subclasses and other libraries' arrays mean other things by the same operators."""
    if type(value) is np.ndarray or isinstance(value, np.generic):
        return value  # pyright: ignore[reportUnknownVariableType]
    return np.asarray(value)


def _host(variable: Variable) -> np.ndarray[Any, Any]:
    """The variable's own array, brought back from a device if it is on one."""
    storage: Any = variable.storage
    if not isinstance(storage, np.ndarray):
        variable.storage = storage = copy_aligned(storage, dtypes.numpy_dtype(variable.dtype))
    return cast("np.ndarray[Any, Any]", storage)
