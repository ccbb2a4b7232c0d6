"""Derivatives by numbers of many digits, where all of a graph can be said in SymPy's words."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from graphc.core import Input, Tensor, dtypes, toposort
from graphc.core.errors import GraphcError
from graphc.testing.slopes import Slope

Array = np.ndarray[Any, Any]
_DIGITS: Final = 60
_STEP: Final = -20
"""The exponent of ten: the error of a difference is its square, and what is rounded is far below that."""
_MOST_NODES, _MOST_ELEMENTS = 300, 64


class Exact:
    """A scalar graph of real leaves as a function of mpmath's numbers, of 60 digits."""

    def __init__(self, y: Tensor, values: Mapping[Input, Array]) -> None:
        sympy = importlib.import_module("sympy")
        symbols: dict[Tensor, Any] = {}
        self.places: dict[Input, int] = {}
        self.start: list[float] = []
        for leaf, value in values.items():
            self.places[leaf] = len(self.start)
            symbols[leaf] = [sympy.Symbol(f"x{len(self.start) + i}", real=True) for i in range(value.size)]
            self.start += [float(item) for item in value.flat]
        everything = [name for names in symbols.values() for name in names]
        self._function = sympy.lambdify(everything, importlib.import_module("graphc.symbolic").to_sympy(y, symbols), "mpmath")
        self._mp = importlib.import_module("mpmath")

    def along(self, steps: Mapping[Input, Array]) -> Slope | None:
        """The derivative along a direction; None where the numbers leave the real line."""
        mp = self._mp
        moved = [0.0] * len(self.start)
        for leaf, step in steps.items():
            moved[self.places[leaf] : self.places[leaf] + step.size] = [float(item) for item in step.flat]
        near = min([abs(x / d) for x, d in zip(self.start, moved, strict=True) if x and d], default=1.0)
        reach = min(1.0, near)  # a step is small beside the smallest number that it moves, and has digits enough beside the largest
        spread = max(1.0, *map(abs, self.start)) if self.start else 1.0
        with mp.workdps(_DIGITS + int(math.log10(spread) - math.log10(reach))):
            h = mp.mpf(10) ** _STEP * mp.mpf(reach)
            above, below = (
                self._function(*[mp.mpf(x) + sign * h * mp.mpf(d) for x, d in zip(self.start, moved, strict=True)]) for sign in (1, -1)
            )
            slope = (above - below) / (2 * h)
        if not isinstance(slope, mp.mpf):
            return None
        return Slope(float(slope), abs(float(slope)) * 1e-15, f"mpmath, {_DIGITS} digits")


def exact(y: Tensor, values: Mapping[Input, Array]) -> Exact | None:
    """The function, or None for a graph that is too large, of other numbers than reals, or that SymPy has no words for."""
    small = sum([value.size for value in values.values()]) <= _MOST_ELEMENTS and len(toposort([y])) <= _MOST_NODES
    if not small or not all(dtypes.is_float(leaf.dtype) for leaf in values):
        return None
    try:
        found = Exact(y, values)
        found.along({})
    # SymPy and mpmath raise these for what they cannot say or compute, beside our own errors.
    except (GraphcError, ArithmeticError, AttributeError, NameError, NotImplementedError, RecursionError, TypeError, ValueError):
        return None
    return found
