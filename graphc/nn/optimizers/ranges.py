"""What the numbers of an optimiser or a schedule may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from graphc.core.errors import ArgumentError


@dataclass(frozen=True)
class Range:
    """An interval of numbers; its ends belong to it where ``with_low`` and ``with_high`` say so."""

    low: float
    high: float
    with_low: bool = True
    with_high: bool = False

    def __str__(self) -> str:
        return f"a number in {'[' if self.with_low else '('}{self.low:g}, {self.high:g}{']' if self.with_high else ')'}"

    def __contains__(self, value: Any) -> bool:
        """Whether it is a number and inside; NaN is not."""
        if isinstance(value, bool | str) or not hasattr(value, "__float__"):
            return False
        number = float(value)
        return self.low < number < self.high or (self.with_low and number == self.low) or (self.with_high and number == self.high)

    def check(self, what: str, value: Any, otherwise: str = "") -> None:
        """Raises :class:`ArgumentError` for what is not inside; ``otherwise`` says what else would fit."""
        if value not in self:
            raise ArgumentError(f"{what} is {value!r}", fits=" ".join(filter(None, [str(self), otherwise])))


ANY: Final = Range(-math.inf, math.inf, with_low=False)
FACTOR: Final = Range(0, math.inf)
POSITIVE: Final = Range(0, math.inf, with_low=False)
FRACTION: Final = Range(0, 1)
UNIT: Final = Range(0, 1, with_high=True)
NOT_POSITIVE: Final = Range(-math.inf, 0, with_low=False, with_high=True)


def whole(what: str, value: Any, least: int) -> None:
    """Raises :class:`ArgumentError` for what is neither None nor a whole number of at least ``least``."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise ArgumentError(f"{what} is {value!r}", fits=f"a whole number, {least} or more, or None")
