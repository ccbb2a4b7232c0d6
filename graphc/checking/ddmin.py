"""Delta debugging: the fewest of many things with which something still fails (A. Zeller and R. Hildebrandt, 2002)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

T = TypeVar("T")


class Clock:
    """How long the search may go on."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._end


def ddmin(items: Sequence[T], fails: Callable[[Sequence[T]], bool], clock: Clock) -> list[T]:
    """A part of the items with which it fails, as it does with all, and of which none can be left out unless time is over."""
    left = list(items)
    if left and fails([]):
        return []
    pieces = 2
    while len(left) > 1 and not clock.is_over:
        found = _smaller(left, min(pieces, len(left)), fails, clock)
        if found is not None:
            left, pieces = found
        elif pieces >= len(left):
            break
        else:
            pieces = min(2 * pieces, len(left))
    return left


def _smaller(items: list[Any], pieces: int, fails: Callable[[Sequence[Any]], bool], clock: Clock) -> tuple[list[Any], int] | None:
    """One of so many pieces, or all but one of them, with which it fails, and how many pieces to try next."""
    bounds = [len(items) * i // pieces for i in range(pieces + 1)]
    parts = list(pairwise(bounds))
    for low, high in parts:
        if not clock.is_over and fails(items[low:high]):
            return items[low:high], 2
    for low, high in parts:
        rest = items[:low] + items[high:]
        if pieces > 2 and not clock.is_over and fails(rest):
            return rest, max(pieces - 1, 2)
    return None
