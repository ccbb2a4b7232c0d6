"""Where the labels of edges go in the plain layout: beside their edges, and on no node and no other label if there is room."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import hypot
from typing import Final

from graphc.show.layout import Box, Point

_ASIDE: Final = 7.0
"""Between an edge and its label."""
_STOPS: Final = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)
"""Where along an edge its label is tried, as shares of its length."""
_STEPS: Final = 12
_STEP: Final = 14.0
"""How often, and how far each time, a label is moved away where it fits nowhere beside its edge."""
_CELL: Final = 120.0


def spread(ways: Sequence[Sequence[Point]], sizes: Sequence[Point], nodes: Sequence[Box], *, level: bool) -> list[Box]:
    """A box for each label of this size (0 by 0 where there is none) at its edge; ``level`` if edges run from side to side."""
    taken = _Taken()
    for node in nodes:
        taken.add(node)
    boxes: list[Box] = []
    for way, size in zip(ways, sizes, strict=True):
        tried = list(_candidates(way, size, level)) if size[0] else [Box(*way[0], 0.0, 0.0)]
        box = next((box for box in tried if taken.is_free(box)), tried[0])
        if size[0]:
            taken.add(box)
        boxes.append(box)
    return boxes


def _candidates(way: Sequence[Point], size: Point, level: bool) -> Iterator[Box]:
    """Boxes beside the edge, the best first."""
    width, height = size
    out = (0.0, height / 2 + _ASIDE) if level else (width / 2 + _ASIDE, 0.0)
    sides = [(sign * out[0], sign * out[1]) for sign in ((-1, 1) if level else (1, -1))]
    for stop in _STOPS:
        x, y = _along(way, stop)
        yield from (Box(x + right, y + down, width, height) for right, down in sides)
    x, y = _along(way, 0.5)
    for step in range(1, _STEPS):
        for right, down in sides:
            yield Box(x + right * (1 + step * _STEP / max(width, height)), y + down * (1 + step * _STEP / height), width, height)


def _along(way: Sequence[Point], share: float) -> Point:
    """The point at this share of a way's length."""
    left = share * sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(way))
    for (x, y), (next_x, next_y) in pairwise(way):
        length = hypot(next_x - x, next_y - y)
        if length >= left and length > 0:
            return x + (next_x - x) * left / length, y + (next_y - y) * left / length
        left -= length
    return way[-1]


class _Taken:
    """Boxes that are taken, by the cells of a grid that they touch."""

    def __init__(self) -> None:
        self._cells: defaultdict[tuple[int, int], list[Box]] = defaultdict(list)

    def add(self, box: Box) -> None:
        for cell in _cells(box):
            self._cells[cell].append(box)

    def is_free(self, box: Box) -> bool:
        return not any(_overlap(box, other) for cell in _cells(box) for other in self._cells.get(cell, ()))


def _cells(box: Box) -> Iterator[tuple[int, int]]:
    left, right = (int((box.x + side * box.width / 2) // _CELL) for side in (-1, 1))
    top, bottom = (int((box.y + side * box.height / 2) // _CELL) for side in (-1, 1))
    return ((i, j) for i in range(left, right + 1) for j in range(top, bottom + 1))


def _overlap(one: Box, other: Box) -> bool:
    return abs(one.x - other.x) < (one.width + other.width) / 2 and abs(one.y - other.y) < (one.height + other.height) / 2
