"""The derivative of a function of one number, in several ways, each with how far off it may be."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

ROUNDING: Final = 2.0**-52
_SHRINK: Final = 1.4
_ROWS: Final = 12


class Slope(NamedTuple):
    """A derivative, by how much it may be off, and in what way it was found."""

    value: float
    error: float
    way: str


Line = Callable[[float], float]
"""The function along a line through the point: 0 is the point."""


def central(f: Line, step: float, scale: float) -> Slope:
    """Central differences, extrapolated once (Richardson, 1911). ``scale`` is the size of what is rounded."""
    wide, narrow = _central(f, step), _central(f, step / 2)
    return Slope((4 * narrow - wide) / 3, 64 * ROUNDING * scale / step, "differences")


def _central(f: Line, step: float) -> float:
    return (f(step) - f(-step)) / (2 * step)


def refined(f: Line, step: float, side: int = 0) -> Slope:
    """The best of a whole table of extrapolations as steps shrink, and its error by how its neighbours differ (Ridders, 1982).

    ``side`` 1 or -1 looks to one side of the point alone.
    """
    here = f(0.0) if side else 0.0
    order = 1 if side else 2
    best, error = math.nan, math.inf
    before: list[float] = []
    for row in range(_ROWS):
        h = step / _SHRINK**row
        table = [(f(side * h) - here) / (side * h) if side else _central(f, h)]
        for column, older in enumerate(before):
            factor = _SHRINK ** (order * (column + 1))
            table.append((table[column] * factor - older) / (factor - 1))
            apart = max(abs(table[column + 1] - table[column]), abs(table[column + 1] - older))
            if apart <= error:
                best, error = table[column + 1], apart
        if before and abs(table[-1] - before[-1]) >= 2 * error:
            break
        before = table
    return Slope(best, error, "one-sided differences" if side else "differences of many steps")


def by_steps_of(f: Line, sizes: list[float]) -> Slope:
    """The refined differences that are surest, of those that begin with these steps."""
    found = [refined(f, size) for size in sizes]
    return min(found, key=lambda slope: slope.error if slope.error == slope.error else math.inf)


def kink(f: Line, sizes: list[float]) -> tuple[float, float] | None:
    """The derivatives to the left and to the right, where they differ; infinities where the function jumps."""
    for size in sizes:
        left, right = refined(f, size, -1), refined(f, size, 1)
        apart = abs(left.value - right.value)
        if apart > 10 * (left.error + right.error) + 1e-6 * max(abs(left.value), abs(right.value)):
            return left.value, right.value
    small = min(sizes) * 1e-6
    jumps = [(f(0.0) - f(-small)) / small, (f(small) - f(0.0)) / small]
    calm = [(f(-small) - f(-2 * small)) / small, (f(2 * small) - f(small)) / small]
    if max(map(abs, jumps)) > 1e3 * (1 + max(map(abs, calm))):
        left, right = (math.copysign(math.inf, j) if abs(j) > 1e3 * (1 + abs(c)) else c for j, c in zip(jumps, calm, strict=True))
        return left, right
    return None
