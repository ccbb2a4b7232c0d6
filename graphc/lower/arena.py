"""One piece of memory for all buffers of a function: buffers that hold something in different steps may overlap.

The best layout is hard to find (it is dynamic storage allocation, NP-hard in the strong sense), so two are made and the smaller one is
taken: buffers by size, largest first, each in the lowest gap that is free in all of its steps (greedy by size: Pisarchyk and Lee, 2020,
as in TensorFlow Lite), and buffers by time, each in the tightest gap at its first step.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.memory import LINE, empty_aligned

BY_SIZE = 2000
"""Up to so many buffers are laid out by size, which takes a time that grows with their square."""

Row = tuple[int, int, tuple[int, ...], Any] | tuple[int, int, tuple[int, ...], Any, int, int, int]
"""The first and the last step of a buffer, its shape and its dtype; then, if there is more, how many buffers these are, and by how many
steps the next one is later at its beginning and at its end."""


def arena(*rows: Row) -> list[np.ndarray[Any, Any]]:
    """The buffers of these spans, shapes and dtypes, in one piece of memory."""
    spans: list[tuple[int, int]] = []
    kinds: list[tuple[tuple[int, ...], Any]] = []
    counts: list[int] = []
    for first, last, shape, dtype, *more in rows:
        number, later, longer = more or (1, 0, 0)
        spans += [(first + i * later, last + i * longer) for i in range(number)]
        kinds += [(shape, dtype)] * number
        counts += [math.prod(shape) * np.dtype(dtype).itemsize] * number
    offsets, total = layout(spans, counts)
    memory = empty_aligned((total,), np.uint8)
    return [np.ndarray(shape, dtype, memory, offset) for (shape, dtype), offset in zip(kinds, offsets, strict=True)]


def layout(spans: Sequence[tuple[int, int]], counts: Sequence[int]) -> tuple[list[int], int]:
    """Where each buffer of so many bytes begins, and the bytes of all. No two overlap both in memory and in their spans, ends included."""
    rounded = [-(-count // LINE) * LINE for count in counts]
    found = _by_time(spans, rounded)
    if len(spans) <= BY_SIZE and found[1] > _floor(spans, rounded):
        found = min(found, _by_size(spans, rounded), key=lambda one: one[1])
    return found


def _floor(spans: Sequence[tuple[int, int]], counts: Sequence[int]) -> int:
    """The most bytes that are in use in one step: no layout needs less."""
    begins = [(first, count) for (first, _), count in zip(spans, counts, strict=True)]
    ends = [(last + 1, -count) for (_, last), count in zip(spans, counts, strict=True)]
    used = most = 0
    for _, change in sorted(begins + ends):  # at one step, what ends goes before what begins: negative numbers are sorted first
        used += change
        most = max(most, used)
    return most


def _by_time(spans: Sequence[tuple[int, int]], counts: Sequence[int]) -> tuple[list[int], int]:
    """First step by first step, each in the tightest free gap, and of those in the one that was freed last."""
    offsets = [0] * len(spans)
    gaps: list[tuple[int, int]] = []  # sorted by their places, and never side by side
    total = 0
    ends: dict[int, list[int]] = {}
    starts: dict[int, list[int]] = {}
    for i, (first, last) in enumerate(spans):
        starts.setdefault(first, []).append(i)
        ends.setdefault(last + 1, []).append(i)
    for step in sorted({*starts, *ends}):
        for i in ends.get(step, ()):
            _give_back(gaps, offsets[i], offsets[i] + counts[i])
        for i in sorted(starts.get(step, ()), key=lambda i: -counts[i]):
            offsets[i], total = _take(gaps, counts[i], total)
    return offsets, total


def _take(gaps: list[tuple[int, int]], count: int, total: int) -> tuple[int, int]:
    """A place for so many bytes, and the new end of all memory."""
    fitting = [(stop - start, start, number) for number, (start, stop) in enumerate(gaps) if stop - start >= count]
    if fitting:
        width, start, number = min(fitting)
        gaps[number : number + 1] = [(start + count, start + width)] if width > count else []
        return start, total
    start = gaps.pop()[0] if gaps and gaps[-1][1] == total else total
    return start, start + count


def _give_back(gaps: list[tuple[int, int]], start: int, stop: int) -> None:
    if start == stop:
        return
    place = bisect_left(gaps, (start, stop))
    if place < len(gaps) and gaps[place][0] == stop:
        stop = gaps.pop(place)[1]
    if place and gaps[place - 1][1] == start:
        start = gaps.pop(place - 1)[0]
        place -= 1
    gaps.insert(place, (start, stop))


def _by_size(spans: Sequence[tuple[int, int]], counts: Sequence[int]) -> tuple[list[int], int]:
    """Largest first, each in the lowest gap between those that are in use in one of its steps."""
    order = sorted(range(len(spans)), key=lambda i: (-counts[i], spans[i]))
    first = np.array([spans[i][0] for i in order])
    last = np.array([spans[i][1] for i in order])
    begin, end = np.zeros(len(order), np.int64), np.zeros(len(order), np.int64)
    for place, i in enumerate(order):
        other = np.flatnonzero((first[:place] <= last[place]) & (last[:place] >= first[place]))
        other = other[np.argsort(begin[other], kind="stable")]
        reached = np.maximum.accumulate(np.concatenate([[0], end[other]]))
        room = np.concatenate([begin[other], [np.iinfo(np.int64).max]]) - reached
        begin[place] = reached[np.argmax(room >= counts[i])]
        end[place] = begin[place] + counts[i]
    offsets = [0] * len(order)
    for place, i in enumerate(order):
        offsets[i] = int(begin[place])
    return offsets, int(end.max(initial=0))
