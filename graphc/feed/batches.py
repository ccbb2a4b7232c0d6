"""A data set batch by batch: rows of arrays, in order or shuffled."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np

from graphc.core.errors import ArgumentError, entries

Array = np.ndarray[Any, Any]
Batch = tuple[Array, ...]


@entries("__init__")
class Batches:
    """The rows of some arrays, ``size`` at a time; each pass over this iterable takes every row once.

    In order, a batch is a view of the arrays. With ``shuffle``, a seed or a generator, each pass has an order of its own, and a batch
    is gathered: the arrays are neither copied nor reordered, and a memory-mapped file is read where rows are asked for. The last
    batch may be smaller.

    Where :func:`epoch` takes many steps a call on a device, the arrays are copied to it once, and the copy, in ``held``, goes with the
    batches: what is written into the arrays later is not seen there.

    Raises :class:`ArgumentError` for no arrays, no rows, different numbers of rows, or a size below 1.
    """

    def __init__(self, arrays: Any, size: int, *, shuffle: int | np.random.Generator | None = None) -> None:
        self.arrays = _rows(arrays)
        self.size = whole_number("Batches: size", size, least=1)
        self.rows = len(self.arrays[0])
        self.held: dict[Any, Any] = {}
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


def whole_number(what: str, number: Any, least: int) -> int:
    """The number as an int. Raises :class:`ArgumentError` for what is no whole number from ``least``; ``what`` says whose it is."""
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
    return np.random.default_rng(whole_number("Batches: shuffle", shuffle, least=0))


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
