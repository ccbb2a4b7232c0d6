"""Constants that meet: they are put together, where no value suffers, so that they are folded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from graphc.core import Constant, Tensor, constant, dtypes
from graphc.core.pattern import const
from graphc.core.sizes import typical
from graphc.ops import exp, reshape, sum
from graphc.rewrite.rule import Leaf, Once, rule
from graphc.rewrite.rules.common import axis, keepdims, other_operand, x, y

c1: Final[Any] = const("c1")
c2: Final[Any] = const("c2")


def _normal(value: Any) -> bool:
    """Whether every element is finite, and far enough from 0 to have all its digits."""
    size = np.abs(value.astype("float64"))
    return value.dtype.kind in "biu" or bool((np.isfinite(size) & (size >= float(_tiny(value.dtype)))).all())


def _tiny(dtype: np.dtype[Any]) -> float:
    if dtype.name == "bfloat16":
        return 2.0**-126
    return float(np.finfo(dtype).tiny)


def _joined(c1: Constant, c2: Constant, op: Any) -> Constant | None:
    """``op`` of two constants, if it has as many digits as they have and does not spread one over the other."""
    if max(c1.value.size, c2.value.size) < np.broadcast(c1.value, c2.value).size:
        return None
    with np.errstate(all="ignore"):
        value = op(c1.value, c2.value)
    return constant(value, c1.dtype) if _normal(value) else None


def _sum(c1: Constant, c2: Constant) -> Constant | None:
    """The sum, if it is exact and of numbers of one sign: else it could lose digits that the two steps keep."""
    total = _joined(c1, c2, np.add)
    if total is None or not dtypes.is_inexact(c1.dtype):
        return total
    exact = ((total.value - c1.value == c2.value) & (total.value - c2.value == c1.value)).all()
    return total if exact and (np.signbit(c1.value) == np.signbit(c2.value)).all() else None


def _one(build: Callable[[Tensor, Constant], Tensor], c: Any) -> Callable[[Leaf], Tensor]:
    """A case with a constant of the leaf's dtype."""
    return lambda leaf: build(leaf(2, 3), constant(c, leaf(2, 3).dtype))


def _two(build: Callable[[Tensor, Constant, Constant], Tensor], c: Any, d: Any) -> Callable[[Leaf], Tensor]:
    """A case with two constants of the leaf's dtype."""
    return lambda leaf: build(leaf(2, 3), constant(c, leaf(2, 3).dtype), constant(d, leaf(2, 3).dtype))


# ---------------------------------------------------------------- sums
_SUMS: Final = (_two(lambda x, c, d: x + c + d, 1, 2), _two(lambda x, c, d: c + (d + x), [-1, -2, -3], -4))


@rule(c1 + (c2 + x), safety="rounding", cases=_SUMS)
def constants_of_sum(c1: Constant, c2: Constant, x: Tensor) -> Tensor | None:
    """Two constants of one sign are added up first, where that is exact; ``(x + 1e16) - 1e16`` stays what it is."""
    total = _sum(c1, c2)
    return None if total is None else x + total


@rule((x - c1) - c2, safety="rounding", cases=(_two(lambda x, c, d: x - c - d, 1, 2),))
def constants_of_difference(c1: Constant, c2: Constant, x: Tensor) -> Tensor | None:
    """Two constants of one sign that are taken off are added up first, where that is exact."""
    total = _sum(c1, c2)
    return None if total is None else x - total


# ---------------------------------------------------------------- products
_PRODUCTS: Final = (_two(lambda x, c, d: x * c * d, 0.1, 3), _two(lambda x, c, d: x * c * d, 1e30, 1e-30))


@rule(c1 * (c2 * x), safety="overflow", cases=_PRODUCTS)
def constants_of_product(c1: Constant, c2: Constant, x: Tensor) -> Tensor | None:
    """Two constant factors are multiplied first, unless that overflows or underflows."""
    product = _joined(c1, c2, np.multiply)
    return None if product is None else x * product


@rule(c1 * (x / c2), safety="overflow", cases=(_two(lambda x, c, d: x / c * d, 3, 2),))
def constant_times_quotient(c1: Constant, c2: Constant, x: Tensor) -> Tensor | None:
    """A factor and a divisor that are constants make one factor, unless that overflows or underflows."""
    ratio = _joined(c1, c2, np.divide)
    return None if ratio is None else x * ratio


@rule((c1 * x) / c2, safety="overflow", cases=(_two(lambda x, c, d: x * c / d, 3, 7),))
def product_over_constant(c1: Constant, c2: Constant, x: Tensor) -> Tensor | None:
    """A factor and a divisor that are constants make one factor, unless that overflows or underflows."""
    ratio = _joined(c1, c2, np.divide)
    return None if ratio is None else x * ratio


@rule((x / c1) / c2, safety="overflow", cases=(_two(lambda x, c, d: x / c / d, 3, 7),))
def constant_divisors(c1: Constant, c2: Constant, x: Tensor) -> Tensor | None:
    """Two constant divisors are multiplied first, unless that overflows or underflows."""
    product = _joined(c1, c2, np.multiply)
    return None if product is None else x / product


@rule(
    y * (c1 * x),
    safety="rounding",
    regroups=True,
    cases=(
        lambda leaf: leaf(2, 1) * (constant(2, leaf().dtype) * leaf(2, 3)),
        lambda leaf: leaf(3) * (leaf(0, 3) * constant(0.3, leaf().dtype)),
    ),
)
def constant_to_the_smaller(node: Tensor, c1: Constant, x: Tensor, y: Tensor, once: Once) -> Tensor | None:
    """A constant multiplies the smaller of two factors."""
    if c1.value.size != 1 or c1.ndim > y.ndim or y.shape == node.shape or x.shape != node.shape or isinstance(y, Constant):
        return None
    return x * (y * c1) if once(other_operand(node, y)) and dtypes.is_float(node.dtype) else None


def _moves_out(node: Tensor, c1: Constant, x: Tensor, y: Tensor, scaled: Tensor, once: Once) -> bool:
    """Whether one number may leave a factor for the product: nothing is spread out by it, and nothing else reads the factor."""
    alone = c1.value.size == 1 and c1.ndim <= x.ndim and not isinstance(y, Constant)
    return alone and x.shape == y.shape == node.shape and node.dtype in _WIDE and once(scaled)


_OUT: Final[dict[str, Any]] = {"safety": "rounding", "regroups": True}
_WIDE: Final = ("float32", "float64")
"""Of narrower numbers a factor on the way may be what keeps a product from overflowing."""


@rule(y * (c1 * x), cases=(_one(lambda x, c: (x * c) * exp(x), 0.3), _one(lambda x, c: exp(x) * (c * x), [[3]])), **_OUT)
def constant_out_of_factor(node: Tensor, c1: Constant, x: Tensor, y: Tensor, once: Once) -> Tensor | None:
    """A constant leaves a product for the outside, where it meets others: ``2 t`` times ``s / 4`` is ``t s / 2``."""
    return (x * y) * c1 if _moves_out(node, c1, x, y, other_operand(node, y), once) else None


@rule(y * (c1 / x), cases=(_one(lambda x, c: (c / x) * exp(x), 0.3),), **_OUT)
def constant_out_of_quotient(node: Tensor, c1: Constant, x: Tensor, y: Tensor, once: Once) -> Tensor | None:
    """Times a quotient with a constant above is a quotient times the constant, which meets others outside."""
    return (y / x) * c1 if _moves_out(node, c1, x, y, other_operand(node, y), once) else None


@rule((c1 * x) / y, cases=(_one(lambda x, c: (x * c) / exp(x), 0.3),), **_OUT)
def constant_out_of_dividend(node: Tensor, c1: Constant, x: Tensor, y: Tensor, once: Once) -> Tensor | None:
    """The constant factor of a dividend is one of the quotient, where it meets others."""
    return (x / y) * c1 if _moves_out(node, c1, x, y, node.inputs[0], once) else None


@rule(
    sum(c1 * x, axis=axis, keepdims=keepdims),
    cases=(
        _one(lambda x, c: sum(x * c), 0.3),
        _one(lambda x, c: sum(c * x, axis=0), 0.3),
        _one(lambda x, c: sum(c * x, axis=-1, keepdims=True), -3),
    ),
    **_OUT,
)
def constant_out_of_sum(node: Tensor, c1: Constant, x: Tensor, axis: tuple[int, ...], keepdims: bool, once: Once) -> Tensor | None:
    """A constant multiplies a sum, which has fewer elements than its terms."""
    alone = c1.value.size == 1 and x.type is node.inputs[0].type and node.dtype in _WIDE and once(node.inputs[0])
    return sum(x, axis=axis, keepdims=keepdims) * reshape(c1, shape=()) if alone and 2 * typical(node.size) <= typical(x.size) else None


_TERMS: Final = (
    _two(lambda x, c, d: x * c + d * exp(x), 0.3, 0.3),
    _two(lambda x, c, d: d * exp(x) + x * c, 0.3, [[-0.3]]),
)


def _same_size(node: Tensor, c1: Constant, c2: Constant, x: Tensor, y: Tensor, once: Once) -> bool | None:
    """Whether two terms are multiplied by one number (True), by a number and its negative (False), or else (None)."""
    alone = c1.value.size == c2.value.size == 1 and x.shape == y.shape == node.shape and node.dtype in _WIDE
    if not alone or not all(once(term) for term in node.inputs) or abs(c1.value.item()) != abs(c2.value.item()):
        return None
    return c1.value.item() == c2.value.item()


@rule(c1 * x + c2 * y, cases=_TERMS, **_OUT)
def constant_of_terms(node: Tensor, c1: Constant, c2: Constant, x: Tensor, y: Tensor, once: Once) -> Tensor | None:
    """Terms that are multiplied by one constant, or by it and its negative, are added or subtracted first."""
    same = _same_size(node, c1, c2, x, y, once)
    return None if same is None else (x + y if same else x - y) * c1


@rule(c1 * x - c2 * y, cases=(_two(lambda x, c, d: x * c - d * exp(x), 0.3, 0.3), _two(lambda x, c, d: x * c - d * exp(x), 3, -3)), **_OUT)
def constant_of_difference_of_terms(node: Tensor, c1: Constant, c2: Constant, x: Tensor, y: Tensor, once: Once) -> Tensor | None:
    """Terms that are multiplied by one constant, or by it and its negative, are subtracted or added first."""
    same = _same_size(node, c1, c2, x, y, once)
    return None if same is None else (x - y if same else x + y) * c1


@rule(x / c1, safety="exact", cases=(_one(lambda x, c: x / c, 4), _one(lambda x, c: x / c, [0.5, -2, 1024])))
def over_power_of_two(c1: Constant, x: Tensor) -> Tensor | None:
    """Over a power of two is times its reciprocal, which is exact, and several times as fast."""
    mantissa, _ = np.frexp(c1.value.astype("float64"))
    with np.errstate(all="ignore"):
        reciprocal = (1 / c1.value).astype(c1.value.dtype)
    return x * constant(reciprocal) if (np.abs(mantissa) == 0.5).all() and _normal(reciprocal) else None


# ---------------------------------------------------------------- signs
@rule(-(c1 * x), safety="exact", cases=(_one(lambda x, c: -(x * c), 3),))
def negative_of_constant_product(c1: Constant, x: Tensor) -> Tensor:
    """The sign goes into the constant."""
    return x * constant(-c1.value)


@rule(-(c1 / x), safety="exact", cases=(_one(lambda x, c: -(c / x), 3),))
def negative_of_constant_over(c1: Constant, x: Tensor) -> Tensor:
    """The sign goes into the constant."""
    return constant(-c1.value) / x


@rule(-(x / c1), safety="exact", cases=(_one(lambda x, c: -(x / c), 3),))
def negative_of_over_constant(c1: Constant, x: Tensor) -> Tensor:
    """The sign goes into the constant."""
    return x / constant(-c1.value)
