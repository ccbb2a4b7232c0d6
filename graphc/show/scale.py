"""Colour by an amount: which shade a node gets, and what each shade stands for."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from graphc.show.style import LIGHT

SHADES: Final = len(LIGHT.ramp)
_WIDE: Final = 30.0
"""From which ratio of the largest amount to the least on shades stand for powers and not for equal steps."""
_PREFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


@dataclass(frozen=True, slots=True)
class Scale:
    """Shades for amounts: ``bounds`` is the largest amount of each, ascending, and ``texts`` is what the legend says of each.

    ``title`` says what is shown, in which unit, and whether it was measured or estimated.
    """

    title: str
    bounds: tuple[float, ...]
    texts: tuple[str, ...]

    def shade(self, amount: float) -> int:
        """The number of the shade, from 0. What is no number has the last one."""
        last = len(self.bounds) - 1
        return self.shades[last if math.isnan(amount) else min(bisect.bisect_left(self.bounds, amount), last)]

    @property
    def shades(self) -> tuple[int, ...]:
        """The numbers of the shades that stand for the bounds: the first and the last one, and others between them."""
        last = len(self.bounds) - 1
        return tuple([round(i * (SHADES - 1) / last) if last else 0 for i in range(last + 1)])


def scale_of(title: str, amounts: Iterable[float], write: Callable[[float], str]) -> Scale:
    """A scale that holds all amounts: in equal steps, or in equal ratios where the largest is over thirty times the least above 0."""
    found = sorted({amount for amount in amounts if math.isfinite(amount)})
    if len(found) <= SHADES:
        bounds = tuple(found or [0.0])
        return Scale(title, bounds, tuple(map(write, bounds)))
    high, low = found[-1], next(amount for amount in found if amount > 0)
    steps = [(i + 1) / SHADES for i in range(SHADES)]
    grown = [low * (high / low) ** s if high > _WIDE * low else found[0] + (high - found[0]) * s for s in steps]
    bounds = (*grown[:-1], high)
    return Scale(title, bounds, tuple([f"≤ {write(bound)}" for bound in bounds]))


def with_prefix(amount: float) -> str:
    """Three digits and a prefix: ``1.2 k``, ``340``, ``0.05``."""
    if not math.isfinite(amount):
        return "NaN" if math.isnan(amount) else "∞" if amount > 0 else "-∞"
    size, prefix = next(((size, prefix) for size, prefix in _PREFIXES if abs(amount) >= size), (1.0, ""))
    return f"{amount / size:.3g} {prefix}".rstrip()
