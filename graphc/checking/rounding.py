"""How far two ways to compute a graph may be apart: what rounding errors of the ops' own sizes make of its results.

Each op says how many units in the last place it may be off. The plain graph is computed several times with errors of that size put in at
random, in what every op returns and, where an op adds up numbers inside, in what it is given (Monte Carlo arithmetic: D. Stott Parker,
1997). The results spread as far as rounding may move them, cancellation and jumps included, and nothing has to be known of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from graphc.core import Bundle, Tensor, bodies, dtypes, every_node
from graphc.lower.compute import Interpreter, Sizes, is_several

Array = np.ndarray[Any, Any]
CROSSING: Final = frozenset(
    (
        "betaln",
        "digamma",
        "gelu",
        "lgamma",
        "logaddexp",
        "mish",
        "polygamma",
        "sigmoid_crossentropy",
        "silu",
        "sinc",
        "sinc_derivative",
        "zeta",
    )
)
"""Functions that libraries compute as sums of numbers of size 1, also where these cancel: a result near 0 has errors of that size."""
RUNS: Final = 4
"""So many times the graph is computed with errors."""
SLACK: Final = 4
"""How many times as far as these results two ways may be apart."""
FLOOR: Final = 1 / 64
"""An element that by chance hardly moved may be off as far as this share of the one that moved most, in the run where that is least."""


class Promise(NamedTuple):
    """What two ways have in common: whether all bits; else whether an inf may have become finite, or whatever came of NaN and inf.

    ``units`` are for how many of an op's units in the last place a unit counts: two libraries have two sets of algorithms.
    """

    exact: bool = False
    overflow: bool = False
    finite_only: bool = False
    units: float = 1


class Difference(NamedTuple):
    """Where two ways differ: the place of the worst element, what it is and should be, how far apart, and what would be allowed."""

    place: tuple[int, ...]
    found: Any
    expected: Any
    apart: float
    allowed: float

    def __str__(self) -> str:
        where = f"at [{', '.join(map(str, self.place))}] " if self.place else ""
        by = f", {self.apart:.3g} apart, allowed {self.allowed:.3g}" if np.isfinite(self.apart) else ""
        return f"{where}{_text(self.found)} in the place of {_text(self.expected)}{by}"


def _text(value: Any) -> str:
    return str(value.item() if hasattr(value, "item") else value)


class Plain:
    """The values of a graph's roots, computed node by node, and how far rounding may move them."""

    def __init__(self, roots: Sequence[Tensor], leaves: Mapping[Tensor, Any], sizes: Sizes) -> None:
        self.roots, self._leaves, self._sizes = tuple(roots), leaves, sizes
        self.values: list[Any] = Interpreter(sizes).run(roots, leaves)

    @cached_property
    def adds_up(self) -> bool:
        """Whether results are made of many numbers, in an order that an exact rewriting may still change."""
        found = every_node(self.roots)
        return any(node.op is not None and not node.op.pointwise and node.op.flops != 0 and not bodies(node) for node in found)

    @cached_property
    def _spreads(self) -> list[Any]:
        runs = [_Rounding(self._sizes, seed).run(self.roots, self._leaves) for seed in range(RUNS)]
        return [_spread(value, [run[i] for run in runs]) for i, value in enumerate(self.values)]

    def spread(self, number: int, units: float) -> Any:
        """How far rounding moves each element of a root; inf where it turns a number into NaN or inf, or the other way round."""
        found = self._spreads[number]
        return tuple([units * part for part in found]) if is_several(found) else units * found

    def difference(self, number: int, found: Any, promise: Promise) -> Difference | None:
        """Where another way's value of a root is not what this one's allows."""
        return difference(found, self.values[number], promise, lambda: self.spread(number, promise.units))


def difference(found: Any, expected: Any, promise: Promise, spread: Callable[[], Any]) -> Difference | None:
    """Where a value is not what the expected one allows; ``spread`` says how far rounding moves each element, if it is asked."""
    if is_several(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        parts = [difference(f, e, promise, lambda i=i: spread()[i]) for i, (f, e) in pairs]
        return next((one for one in parts if one is not None), None)
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return Difference((), f"{found.dtype}{list(found.shape)}", f"{expected.dtype}{list(expected.shape)}", np.inf, 0)
    if not _differs(found, expected, promise):
        return None
    if promise.exact:
        return _worst(found, expected, _apart(found, expected), np.zeros(expected.shape))
    apart = _apart(found, expected)
    apart = np.where(_excused(found, expected, promise), 0, apart)
    allowed = _last_places(expected, promise)
    if not (apart <= allowed).all():
        allowed = allowed + SLACK * np.asarray(spread())
    wrong = ~(apart <= allowed)
    return _worst(found, expected, np.where(wrong, apart, 0), allowed) if wrong.any() else None


def _differs(found: Array, expected: Array, promise: Promise) -> bool:
    """Whether there is anything to be looked at."""
    same = np.array_equal(found, expected, equal_nan=dtypes.is_inexact(expected.dtype.name))
    if not same or not promise.exact or not dtypes.is_float(expected.dtype.name):
        return not same
    zeros = expected == 0
    return not np.array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]))


def _apart(found: Array, expected: Array) -> Array:
    """The distance of each element; inf where one of the two is no number and the other is another thing."""
    with np.errstate(all="ignore"):
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        apart = np.abs(found.astype(wide) - expected.astype(wide))
        return np.where(_same(found, expected), 0, np.where(np.isfinite(apart), apart, np.inf))


def _same(found: Array, expected: Array) -> Array:
    same = found == expected
    return same | (_is_nan(found) & _is_nan(expected))


def _is_nan(array: Array) -> Array:
    return np.isnan(array) if dtypes.is_inexact(array.dtype.name) else np.zeros(array.shape, bool)


def _excused(found: Array, expected: Array, promise: Promise) -> Any:
    """Where a NaN or inf may have become something else."""
    if not dtypes.is_inexact(expected.dtype.name):
        return False
    if promise.finite_only:
        return ~np.isfinite(expected)
    return ~np.isfinite(expected) & np.isfinite(found) if promise.overflow else False


def _last_places(expected: Array, promise: Promise) -> Any:
    """A few units in the last place of each element, and of the smallest normal number, below which XLA has only 0."""
    if not dtypes.is_inexact(expected.dtype.name):
        return 0.0
    size = np.abs(np.where(np.isfinite(expected), expected, 0)).astype(np.float64)
    return SLACK * promise.units * _unit(expected.dtype.name) * size + 4 * _tiny(expected.dtype.name)


def _unit(dtype: str) -> float:
    return float(dtypes.finfo(dtypes.real(dtype)).eps)


def _tiny(dtype: str) -> float:
    return float(dtypes.finfo(dtypes.real(dtype)).tiny)


def _worst(found: Array, expected: Array, apart: Array, allowed: Array) -> Difference:
    place = tuple([int(i) for i in np.unravel_index(int(np.argmax(apart)), apart.shape)])
    return Difference(place, found[place], expected[place], float(apart[place]), float(np.broadcast_to(allowed, apart.shape)[place]))


def _spread(value: Any, others: Sequence[Any]) -> Any:
    if is_several(value):
        return tuple([_spread(part, [other[i] for other in others]) for i, part in enumerate(value)])
    array = np.asarray(value)
    runs = [_apart(np.asarray(other), array) for other in others]
    # A jump, as of a mask that turns over, is in few runs: it is no measure of the other elements.
    least = min([float(run[np.isfinite(run)].max(initial=0)) for run in runs])
    return np.maximum(np.max(runs, axis=0), FLOOR * least)


class _Rounding(Interpreter):
    """The plain graph with a relative error of so many units in the last place, at random, in what ops return."""

    def __init__(self, sizes: Sizes, seed: int) -> None:
        super().__init__(sizes)
        self._rng = np.random.default_rng(seed)

    def compute(self, node: Tensor, values: Sequence[Any]) -> Any:
        """The value of a node with an error of its op's size."""
        assert node.op is not None
        if node.op.flops == 0 or bodies(node):
            return super().compute(node, values)
        if not node.op.pointwise:
            values = [self._moved(value, x.dtype, node.op.ulps) for value, x in zip(values, node.inputs, strict=True)]
        found = super().compute(node, values)
        if isinstance(node.type, Bundle):
            return tuple([self._moved(part, t.dtype, node.op.ulps) for part, t in zip(found, node.type.parts, strict=True)])
        return self._moved(found, node.dtype, node.op.ulps, 0.5 if node.op.name in CROSSING else 0.0)

    def _moved(self, value: Any, dtype: str, ulps: float, least: float = 0.0) -> Any:
        """The value with errors of so many units, of numbers that are taken for ``least`` if they are smaller."""
        if not dtypes.is_inexact(dtype):
            return value
        array = np.asarray(value)
        wide = np.float64 if dtypes.real(dtype) == "float64" else np.float32
        size = wide(2 * ulps * _unit(dtype))
        error = (self._rng.random(array.shape, wide) - wide(0.5)) * size
        with np.errstate(all="ignore"):
            moved = array * (1 + error) if not least else array + error * np.maximum(np.abs(array), wide(least))
            return np.asarray(moved, array.dtype)
