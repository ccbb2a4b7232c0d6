"""Runs of equal segments in a sequence of steps: what deep nets are made of, found without a word from the user.

Two segments are equal when their items have equal keys and mention names in the same pattern: where one mentions a name again, so does
the other. Which names these are does not matter. So each mention is told by its distance to the last mention of its name, as in
parameterised matching (Baker, 1993), with this twist: a distance that leads out of the segment tells nothing of it.

First come candidates for the period, from the distances between equal stretches of 1, 2, 4, ... items; then, for each, whether
the segment at a place equals the next one, for all places at once. All of it is done in a few passes over arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

import numpy as np

LEAST = 16
"""Items that a repetition has to save."""
NEAR = 256
"""A name that was last mentioned so many mentions ago counts as new where candidates for the period are looked for."""
PERIODS = 8
"""How many candidates for the period are looked at."""
SHORT = 48
"""Up to so many items every period is a candidate."""
OVERHEAD = 3
"""What a repetition costs beside one segment and the calls: the lines around a function."""
DEAR = 16
"""So many names that are handed from each segment to the next halve the worth of a repetition."""
NEVER = 1 << 40
"""The distance of a first mention."""

Item = tuple[Hashable, Sequence[Hashable]]
"""What an item is but for its names, and the names that it mentions, reads and writes, in order."""
Array = np.ndarray[Any, Any]


class Repeat(NamedTuple):
    """``count`` equal segments of ``period`` items each, one after another, from the item ``start`` on."""

    start: int
    period: int
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]

    @property
    def saved(self) -> int:
        """How many items fewer there are if the segment is written once and then called."""
        return (self.period - 1) * (self.count - 1) - 1 - OVERHEAD

    @property
    def stop(self) -> int:
        """The first item behind it."""
        return self.start + self.period * self.count

    @property
    def starts(self) -> range:
        """Where the segments begin."""
        return range(self.start, self.stop, self.period)


def repeats(items: Sequence[Item], least: int = LEAST) -> list[Repeat]:
    """The repetitions among the items that save at least so many of them, in order; no two overlap.

    Where they would, the one that copies more is taken first. Segments begin where few names are handed from one to the next, and where
    the most segments fit. The time grows with the mentions, and with the logarithm of the longest period.
    """
    if len(items) < least:
        return []
    mentions = _Mentions(items)
    found: list[tuple[float, Repeat]] = []
    for period in mentions.periods(least):
        found += mentions.chains(period, least)
    return sorted(_apart([repeat for _, repeat in sorted(found, key=lambda one: (-one[0], one[1]))], len(items), least))


def _apart(ranked: Iterable[Repeat], length: int, least: int) -> Iterator[Repeat]:
    """Of each repetition, best first, what those before it leave."""
    taken = np.zeros(length, bool)
    for whole in ranked:
        used = taken[whole.start : whole.stop].reshape(whole.count, whole.period).any(1)
        for first, last in _stretches(~used):
            part = Repeat(whole.start + int(first) * whole.period, whole.period, int(last - first))
            if part.count > 1 and part.saved >= least:
                taken[part.start : part.stop] = True
                yield part


def _stretches(true: Any) -> Array:
    """The first and the next to last place of each stretch of true elements."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true, [False]])))
    return edges.reshape(-1, 2)


class _Mentions:
    """The items as arrays: ``key`` by item; by mention the ``item`` it is in and its ``distance`` to the last one of the same name.

    ``first`` is the first mention of each item, with the number of all of them behind. ``handed`` is, for each place, how many names are
    mentioned shortly before it and again from it on.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        keys, names = zip(*items, strict=True)
        sizes = list(map(len, names))
        self.first = np.concatenate([[0], np.cumsum(sizes)])
        self.key = _numbered(zip(keys, sizes, strict=True))
        self.item = np.repeat(np.arange(len(items)), sizes)
        self.distance = _to_the_last(_numbered(chain.from_iterable(names)))
        self.distance[self.distance == 0] = NEVER
        self.handed = self._handed()

    def _handed(self) -> Array:
        near = np.flatnonzero(self.distance <= NEAR)
        return self._over(self.item[near - self.distance[near]] + 1, self.item[near] + 1)

    def _over(self, starts: Array, stops: Array) -> Array:
        """For each item, and for the end, how many of these ranges it is in."""
        size = len(self.key) + 2
        return np.cumsum(np.bincount(starts, minlength=size) - np.bincount(stops, minlength=size))[:-1]

    def periods(self, least: int) -> list[int]:
        """The likeliest periods: by the keys and the near mentions, and by the keys alone."""
        length = len(self.key)
        if length <= SHORT:
            return list(range(2, length // 2 + 1))
        likely: dict[int, float] = defaultdict(float)
        near = np.where(self.distance <= NEAR, self.distance, 0).astype(np.uint64) + np.uint64(1)
        place = (np.arange(len(near)) - self.first[self.item]).astype(np.uint64)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mixed(near + (place << np.uint64(32))))])
        key = _mixed(self.key.astype(np.uint64))
        pattern = sums[self.first[1:]] - sums[self.first[:-1]]
        for hashes in (key + pattern, key):
            for period, saved in _periods(hashes, least):
                likely[period] = max(likely[period], saved)
        return sorted(likely, key=lambda period: (-likely[period], period))[:PERIODS]

    def chains(self, period: int, least: int) -> Iterator[tuple[float, Repeat]]:
        """The repetitions of this period, for each phase by itself, with how good they are.

        That is the items that are copies, so that a layer is better than two layers together.
        """
        linked = self._linked(period)
        rows = -(-len(linked) // period) + 1  # a row more, in which nothing is linked, keeps the phases apart
        grid = np.zeros((rows, period), bool)
        grid.reshape(-1)[: len(linked)] = linked
        handed = np.zeros((rows, period), np.int64)
        handed.reshape(-1)[: len(linked)] = self.handed[: len(linked)]
        sums = np.concatenate([[0], np.cumsum(handed.T.reshape(-1))])
        found = _stretches(grid.T.reshape(-1))
        found = found[(found[:, 1] - found[:, 0]) * (period - 1) - 1 - OVERHEAD >= least]
        for first, last in found.tolist():
            phase, row = divmod(first, rows)
            repeat = Repeat(row * period + phase, period, last - first + 1)
            handed_on = int(sums[last] - sums[first]) / (last - first)
            yield period * (repeat.count - 1) / (1 + handed_on / DEAR), repeat

    def _linked(self, period: int) -> Array:
        """For each place whether the segment that begins there equals the one that begins where it ends.

        Each mention that has another distance in the next segment forbids the places before the nearer one of the two that it leads to.
        """
        places = len(self.key) - 2 * period + 1
        other = np.flatnonzero(self.key[:-period] != self.key[period:])
        shift = self.first[period:-1] - self.first[: -period - 1]
        mention: Array = np.arange(int(self.first[-period - 1]))
        partner = np.minimum(mention + shift[self.item[mention]], len(self.item) - 1)
        here, there = self.distance[mention], self.distance[partner]
        nearer: Array = np.minimum(here, there)
        differ: Array = np.flatnonzero((here != there) & (nearer <= mention))
        leads_to = self.item[differ - nearer[differ]]
        item = np.concatenate([other, self.item[differ]])
        stop = np.concatenate([other, leads_to]) + 1
        start = np.maximum(item - period + 1, 0)
        bad = stop > start
        return self._over(start[bad], stop[bad])[:places] == 0


def _numbered(values: Iterable[Hashable]) -> Array:
    """The values as numbers, equal ones by the same."""
    number: defaultdict[Hashable, int] = defaultdict(count().__next__)
    return np.array(list(map(number.__getitem__, values)), np.int64)


def _to_the_last(values: Array) -> Array:
    """For each element the distance to the last equal one before it, or 0 where there is none."""
    order = np.argsort(values, kind="stable")
    sorted_values = values[order]
    equal = np.flatnonzero(sorted_values[1:] == sorted_values[:-1])
    distance = np.zeros(len(values), np.int64)
    distance[order[equal + 1]] = order[equal + 1] - order[equal]
    return distance


def _periods(hashes: Array, least: int) -> Iterator[tuple[int, float]]:
    """Distances at which many items are equal in a row, and about how many items that would save.

    Stretches grow until all that repeats is found to do so in a row: an item may have equal ones within its own segment.
    """
    length, width = len(hashes), 1
    open_ = np.ones(length, bool)
    while 2 * width <= length:
        distance = _to_the_last(hashes)
        bounds = np.concatenate([[0], np.flatnonzero(np.diff(distance)) + 1, [len(distance)]])
        periods, sizes = distance[bounds[:-1]], np.diff(bounds) + width - 1
        counts = sizes // np.maximum(periods, 1) + 1
        saved = (periods - 1) * (counts - 1) - 1 - OVERHEAD
        good = (periods > 0) & (counts > 1) & (saved > 0)
        yield from _not_zero(np.bincount(periods[good], saved[good]))
        for start, period, size in zip(*(x[good & (saved >= least)].tolist() for x in (bounds[:-1], periods, sizes)), strict=True):
            open_[start - period : start + size] = False
        if np.count_nonzero(open_[: len(distance)] & (distance > 0)) < least:
            return
        hashes = _mixed(hashes[:-width]) + hashes[width:]
        width *= 2


def _not_zero(values: Array) -> Iterator[tuple[int, float]]:
    """The elements that are not zero, with their indices."""
    for i in np.flatnonzero(values).tolist():
        yield i, float(values[i])


def _mixed(values: Array) -> Array:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a hash of 64 bits by 64 bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
