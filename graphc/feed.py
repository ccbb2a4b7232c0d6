"""Feeding: a data set batch by batch, and an epoch, which runs a function over all of it.

:class:`Batches` are rows of arrays in order or shuffled. :func:`epoch` takes them, or any other iterable of batches, through a
compiled function, has values checked only where their shapes or dtypes change, and adds up what the steps return.
"""

from __future__ import annotations

import operator
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol, Self, cast, runtime_checkable

import numpy as np

from graphc.core.errors import ArgumentError

Array = np.ndarray[Any, Any]
Batch = tuple[Array, ...]

ADDED_AT_ONCE = 64
"""Steps whose results wait to be added up: a backend that returns before it has computed is waited for once in so many steps."""


class Batches:
    """The rows of some arrays, ``size`` at a time; each pass over this iterable takes every row once.

    In order, a batch is a view of the arrays. With ``shuffle``, a seed or a generator, each pass has an order of its own, and a batch
    is gathered: the arrays are neither copied nor reordered, and a memory-mapped file is read where rows are asked for. The last
    batch may be smaller.

    Raises :class:`ArgumentError` for no arrays, no rows, different numbers of rows, or a size below 1.
    """

    def __init__(self, arrays: Any, size: int, *, shuffle: int | np.random.Generator | None = None) -> None:
        self.arrays = _rows(arrays)
        self.size = _whole("Batches: size", size, least=1)
        self.rows = len(self.arrays[0])
        self._random = _generator(shuffle)

    def __len__(self) -> int:
        return -(-self.rows // self.size)

    def order(self) -> Array | None:
        """The rows of the next pass in their order, drawn anew at each call; None if they come as they lie."""
        return None if self._random is None else self._random.permutation(self.rows)

    def __iter__(self) -> Iterator[Batch]:
        return self.each()

    def each(self, *, reuse: bool = False) -> Iterator[Batch]:
        """One pass. ``reuse`` gathers all batches into the same memory, for callers that are done with one when they ask for the next."""
        order, starts = self.order(), range(0, self.rows, self.size)
        if order is None:
            return (tuple([array[start : start + self.size] for array in self.arrays]) for start in starts)
        gather = [_gatherer(array, min(self.size, self.rows) if reuse else 0) for array in self.arrays]
        return (tuple([of(order[start : start + self.size]) for of in gather]) for start in starts)


def _rows(arrays: Any) -> Batch:
    """The arrays without their subclasses, such as memmap, whose every slice costs; nothing is read or copied."""
    given = cast("Sequence[Any]", arrays) if isinstance(arrays, tuple | list) else (arrays,)
    listed: Batch = tuple([np.asarray(array) for array in given])
    counts = [array.shape[0] if array.ndim else None for array in listed]
    if not counts or counts[0] is None or counts[0] < 1 or len(set(counts)) > 1:
        shapes = [f"{array.dtype} of shape {array.shape}" for array in listed]
        raise ArgumentError("Batches: the arrays have no rows in common", given=shapes, fits="arrays of one length, which is at least 1")
    return listed


def _whole(what: str, number: Any, least: int) -> int:
    try:
        value = operator.index(number)
    except TypeError:
        value = least - 1
    if value < least or isinstance(number, bool):
        raise ArgumentError(f"{what} is {number!r}", fits=f"a whole number from {least}")
    return value


def _generator(shuffle: Any) -> np.random.Generator | None:
    if shuffle is None or isinstance(shuffle, np.random.Generator):
        return shuffle
    return np.random.default_rng(_whole("Batches: shuffle", shuffle, least=0))


def _gatherer(array: Array, kept: int) -> Callable[[Array], Array]:
    """A function of row numbers which gathers these rows, into memory for ``kept`` of them if that is not 0.

    ``take`` into memory at hand is the quickest where rows lie in one piece; ``clip`` because ``raise`` copies the memory first.
    Elsewhere ``take`` would begin by copying the whole array.
    """
    if not (array.flags.c_contiguous and array.flags.aligned):
        return lambda rows: array[rows]
    if not kept:
        return lambda rows: array.take(rows, 0, None, "clip")
    memory = np.empty((kept, *array.shape[1:]), array.dtype)
    return lambda rows: array.take(rows, 0, memory[: len(rows)], "clip")


# ---------------------------------------------------------------- an epoch
@dataclass(frozen=True)
class Tally:
    """After so many steps on so many rows: ``means`` is what the steps returned, in that form, averaged with the rows as weights."""

    steps: int
    rows: int
    means: Any


Listener = Callable[[Tally], None]


@runtime_checkable
class Preparing(Protocol):
    """What a compiled function has and a plain one has not.

    ``prepared(*values)`` is the call for values of these shapes and dtypes, without looking at them again; ``holds_inputs`` says that
    values may still be read after a call has returned.
    """

    holds_inputs: bool

    def prepared(self, *values: Any) -> Callable[..., Any]:
        """The call for values like these."""
        ...


def epoch(step: Callable[..., Any], batches: Iterable[Any], *, listen: Listener | None = None, pause: float = 0.0) -> Tally:
    """Call ``step`` on every batch and average what it returns, weighted by the rows of the batches.

    Args:
        step: a compiled function, or any function of the arrays of a batch; it returns numbers or arrays of one shape in all steps,
            one of them, or a list, tuple or dict, or None.
        batches: :class:`Batches`, or any iterable of batches, each an array or a tuple of arrays.
        listen: called with the tally so far after steps and after the last one. Where results come late, as on JAX, the call has to
            wait for them.
        pause: seconds that go by at least from one such call to the next.

    Ctrl-C waits for the end of the step, so that all variables are from before or after it; a second one does not wait.
    Raises :class:`ArgumentError` for no batches, and the errors of ``step``.
    """
    sums, form = _Sums(), None
    call, (prepare, reuse) = step, _preparing(step)
    heard, told = perf_counter(), 0
    with _Interrupts() as interrupts:
        for batch in _each(batches, reuse):
            if prepare and (given := _form(batch)) != form:
                form, call = given, prepare(*batch) if given else step
            interrupts.wait = True
            result: Any = call(*batch)
            interrupts.wait = False
            interrupts.heed()
            sums.add(result, len(batch[0]))
            if listen and perf_counter() - heard >= pause:
                heard, told = perf_counter(), sums.steps
                listen(sums.tally())
    tally = sums.tally()
    if listen and told < tally.steps:
        listen(tally)
    return tally


def _preparing(step: object) -> tuple[Callable[..., Callable[..., Any]] | None, bool]:
    """How to prepare the step, if there is a way, and whether the memory of a batch may be used again after a call."""
    return (step.prepared, not step.holds_inputs) if isinstance(step, Preparing) else (None, False)


def _each(batches: Iterable[Any], reuse: bool) -> Iterator[Sequence[Any]]:
    if isinstance(batches, Batches):
        return batches.each(reuse=reuse)
    return (cast("Sequence[Any]", batch) if isinstance(batch, tuple | list) else (batch,) for batch in batches)


def _form(batch: Sequence[Any]) -> list[tuple[Any, Any]] | None:
    """What tells whether a function that was prepared for one batch takes another; None for values that are no arrays."""
    try:
        return [(value.shape, value.dtype) for value in batch]
    except AttributeError:
        return None


class _Sums:
    """Results, added up as float64 in the order of the steps, however many at a time, so that the bits do not depend on that."""

    def __init__(self) -> None:
        self.steps = self.rows = 0
        self._like: Any = None
        self._totals: list[Any] = []
        self._waiting: list[tuple[int, Any]] = []

    def add(self, result: Any, rows: int) -> None:
        self.steps += 1
        self.rows += rows
        self._waiting.append((rows, result))
        if len(self._waiting) == ADDED_AT_ONCE:
            self._add_up()

    def _add_up(self) -> None:
        if not self._waiting:
            return
        weights, results = zip(*self._waiting, strict=True)
        self._waiting.clear()
        self._like = results[-1]
        columns = list(zip(*map(_listed, results), strict=True))
        self._totals = [_added(total, weights, column) for total, column in zip(self._totals or [0.0] * len(columns), columns, strict=True)]

    def tally(self) -> Tally:
        self._add_up()
        if not self.steps:
            raise ArgumentError("epoch: there was no batch", fits="at least one; an iterator that is used up has none")
        return Tally(self.steps, self.rows, _formed(self._like, [total / self.rows for total in self._totals]))


def _added(total: Any, weights: Sequence[int], values: Sequence[Any]) -> Any:
    real = np.float64 if np.ndim(values[0]) else float
    for weight, value in zip(weights, map(real, values), strict=True):
        total = total + weight * value
    return total


def _listed(result: Any) -> Sequence[Any]:
    if isinstance(result, dict):
        return list(cast("dict[Any, Any]", result).values())
    if result is None:
        return ()
    return cast("Sequence[Any]", result) if isinstance(result, tuple | list) else (result,)


def _formed(like: Any, values: list[Any]) -> Any:
    if isinstance(like, dict):
        return dict(zip(cast("dict[Any, Any]", like), values, strict=True))
    return tuple(values) if isinstance(like, tuple) else values if isinstance(like, list) else values[0] if values else None


class _Interrupts:
    """Ctrl-C waits while ``wait`` is set, and ``heed`` lets it come; a second one does not wait.

    Whatever handler was there is the one that is called. Only the main thread hears signals.
    """

    def __init__(self) -> None:
        self.wait = False
        self._pending: tuple[int, Any] | None = None

    def __enter__(self) -> Self:
        here = threading.current_thread() is threading.main_thread()
        self._handler = signal.getsignal(signal.SIGINT) if here else None
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._hear)
        return self

    def _hear(self, number: int, frame: Any) -> None:
        now = not self.wait or self._pending is not None
        self._pending = number, frame
        if now:
            self.heed()

    def heed(self) -> None:
        """Hand on what has waited."""
        pending, self._pending = self._pending, None
        if pending is not None and callable(self._handler):
            self._handler(*pending)

    def __exit__(self, *_error: object) -> None:
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._handler)
        self.heed()
