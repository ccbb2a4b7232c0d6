"""Arithmetic, selection and logic."""

from __future__ import annotations

from typing import Any, Final

from graphc.core import Constant, Tensor, constant, dtypes
from graphc.core.pattern import var
from graphc.core.sizes import typical
from graphc.ops import (
    abs,
    cast,
    cos,
    divide,
    equal,
    logical_and,
    logical_not,
    logical_or,
    multiply,
    not_equal,
    reciprocal,
    reshape,
    sqrt,
    square,
    sum,
    where,
)
from graphc.ops.index import pick
from graphc.ranges import range_of
from graphc.rewrite.rule import Leaf, Once, rule
from graphc.rewrite.rules.common import a, axis, b, c, keepdims, x, y

d: Final[Any] = var("d")
_b: Final[Any] = var("_b")
_x: Final[Any] = var("_x")
indices: Final[Any] = var("indices")


# ---------------------------------------------------------------- signs
@rule(x + (-y), safety="exact")
def add_negative(x: Tensor, y: Tensor) -> Tensor:
    """Adding ``-y`` is subtracting ``y``."""
    return x - y


@rule(x - (-y), safety="exact")
def subtract_negative(x: Tensor, y: Tensor) -> Tensor:
    """Subtracting ``-y`` is adding ``y``."""
    return x + y


@rule(-(x - y), safety="rounding")
def negative_of_difference(x: Tensor, y: Tensor) -> Tensor:
    """A difference changes its sign when its operands change places; a zero may get the other sign."""
    return y - x


@rule(x * -1, safety="exact")
def times_minus_one(x: Tensor) -> Tensor:
    """Times -1 is a change of sign."""
    return -x


@rule(x / -1, safety="exact")
def over_minus_one(x: Tensor) -> Tensor:
    """Over -1 is a change of sign."""
    return -x


@rule((-x) * (-y), safety="exact")
def negative_factors(x: Tensor, y: Tensor) -> Tensor:
    """Two signs cancel in a product."""
    return x * y


@rule((-x) / (-y), safety="exact")
def negative_both(x: Tensor, y: Tensor) -> Tensor:
    """Two signs cancel in a quotient."""
    return x / y


# Signs move outwards and never inwards, so that they meet and cancel and no two rules undo each other.
@rule((-x) * y, safety="exact")
def negative_factor(node: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """The sign of a factor is the sign of the product, unless the factor is smaller."""
    return -(x * y) if x.shape == node.shape else None


@rule((-x) / y, safety="exact")
def negative_dividend(node: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """The sign of a dividend is the sign of the quotient, unless the dividend is smaller."""
    return -(x / y) if x.shape == node.shape else None


@rule(x / (-y), safety="exact")
def negative_divisor(node: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    """The sign of a divisor is the sign of the quotient, unless the divisor is smaller."""
    return -(x / y) if y.shape == node.shape else None


@rule(square(-x), safety="exact")
def square_of_negative(x: Tensor) -> Tensor:
    """A square has no use for a sign."""
    return square(x)


@rule(square(abs(x)), safety="exact")
def square_of_abs(x: Tensor) -> Tensor:
    """A square has no use for a sign."""
    return square(x)


@rule(abs(-x), safety="exact")
def abs_of_negative(x: Tensor) -> Tensor:
    """An absolute value has no use for a sign."""
    return abs(x)


@rule(cos(-x), safety="rounding")
def cos_of_negative(x: Tensor) -> Tensor:
    """The cosine is even."""
    return cos(x)


# ---------------------------------------------------------------- products, quotients, powers
@rule(x * x, safety="exact")
def times_itself(x: Tensor) -> Tensor | None:
    """A number times itself is its square."""
    return None if x.dtype == "bool" else square(x)


@rule(1 / x, safety="exact")
def one_over(x: Tensor) -> Tensor:
    """One over ``x`` is its reciprocal."""
    return reciprocal(x)


@rule(x * reciprocal(y), safety="overflow")
def times_reciprocal(x: Tensor, y: Tensor) -> Tensor | None:
    """Times a reciprocal is a quotient, with one rounding less and no overflow of the reciprocal."""
    return x / y if dtypes.is_inexact(y.dtype) else None


@rule(x / reciprocal(y), safety="overflow")
def over_reciprocal(x: Tensor, y: Tensor) -> Tensor:
    """Over a reciprocal is a product."""
    return x * y


@rule(reciprocal(reciprocal(x)), safety="overflow")
def reciprocal_twice(x: Tensor) -> Tensor:
    """The reciprocal undoes itself, also where it overflows."""
    return x


@rule(x**2, safety="rounding")
def to_the_second(x: Tensor) -> Tensor | None:
    """The second power is the square, at a fraction of the price of ``power``."""
    return None if x.dtype == "bool" else square(x)


@rule(x**3, safety="rounding")
def to_the_third(x: Tensor) -> Tensor | None:
    """The third power is two products, at a fraction of the price of ``power``."""
    return None if x.dtype == "bool" else x * square(x)


@rule(x**4, safety="rounding")
def to_the_fourth(x: Tensor) -> Tensor | None:
    """The fourth power is a square of a square, at a fraction of the price of ``power``."""
    return None if x.dtype == "bool" else square(square(x))


@rule(x**-1, safety="rounding")
def to_the_minus_first(x: Tensor) -> Tensor | None:
    """The power -1 is the reciprocal; of whole numbers it is an error, and stays one."""
    return reciprocal(x) if dtypes.is_inexact(x.dtype) else None


@rule(_x**0, safety="exact")
def to_the_zeroth() -> int:
    """The power 0 is 1, of NaN too."""
    return 1


@rule(x**0.5, safety="nan_unsafe")
def to_the_half(x: Tensor) -> Tensor:
    """The power 1/2 is the square root, but for -inf, of which ``power`` makes inf and ``sqrt`` NaN."""
    return sqrt(x)


# ---------------------------------------------------------------- factors in common
def _removes_work(node: Tensor, once: Once) -> bool:
    """Whether both terms go when the sum takes their place: neither is read by others, and neither is made of constants."""
    terms = node.inputs
    return all(once(term) and not any(isinstance(x, Constant) for x in term.inputs) for term in terms) and terms[0] is not terms[1]


@rule(a * b + a * c, safety="rounding", regroups=True)
def factor_of_sum(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``a b + a c`` is ``a (b + c)``, one product less."""
    return a * (b + c) if _removes_work(node, once) and dtypes.is_float(node.dtype) else None


@rule(a * b - a * c, safety="rounding", regroups=True)
def factor_of_difference(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``a b - a c`` is ``a (b - c)``, one product less."""
    return a * (b - c) if _removes_work(node, once) and dtypes.is_float(node.dtype) else None


def _removes_inner_work(node: Tensor, a: Tensor, once: Once) -> bool:
    """The same where one of the terms is a product of three, of which two are multiplied first."""
    deep = [term for term in node.inputs if all(x is not a for x in term.inputs)]
    inner = [x for term in deep for x in term.inputs if x.op is multiply and any(y is a for y in x.inputs)]
    return _removes_work(node, once) and all(once(x) for x in inner) and a.shape == node.shape and dtypes.is_float(node.dtype)


@rule(a * b + c * (a * d), safety="rounding", regroups=True)
def factor_of_sum_inside(node: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, once: Once) -> Tensor | None:
    """``a b + c a d`` is ``a (b + c d)``, one product less."""
    return a * (b + c * d) if _removes_inner_work(node, a, once) else None


@rule(a * b - c * (a * d), safety="rounding", regroups=True)
def factor_of_difference_inside(node: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, once: Once) -> Tensor | None:
    """``a b - c a d`` is ``a (b - c d)``, one product less."""
    return a * (b - c * d) if _removes_inner_work(node, a, once) else None


@rule(c * (a * d) - a * b, safety="rounding", regroups=True)
def factor_inside_difference(node: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, once: Once) -> Tensor | None:
    """``c a d - a b`` is ``a (c d - b)``, one product less."""
    return a * (c * d - b) if _removes_inner_work(node, a, once) else None


@rule(a / c + b / c, safety="rounding", regroups=True)
def divisor_of_sum(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``a / c + b / c`` is ``(a + b) / c``, one quotient less."""
    return (a + b) / c if _removes_work(node, once) and dtypes.is_float(node.dtype) else None


# ---------------------------------------------------------------- sums of sums
LARGE: Final = 1 << 14
"""Elements from which on a pass over them takes longer than a call."""


@rule(
    sum(x + y, axis=axis, keepdims=keepdims),
    safety="rounding",
    regroups=True,
    only="numpy",
    cases=(
        lambda leaf: sum(square(leaf(256, 64)) + abs(leaf(256, 64))),
        lambda leaf: sum(square(leaf(64, 256)) + sqrt(leaf(64, 256)), axis=1, keepdims=True),
    ),
)
def sum_of_terms(node: Tensor, x: Tensor, y: Tensor, axis: tuple[int, ...], keepdims: bool, once: Once) -> Tensor | None:
    """Terms that are not negative, of which none cancels another, are summed each by itself: what they add up to is never written."""
    whole = node.inputs[0]
    if not (once(whole) and x.type is y.type is whole.type and dtypes.is_float(node.dtype) and typical(whole.size) >= LARGE):
        return None
    if range_of(x).low < 0 or range_of(y).low < 0:
        return None
    return sum(x, axis=axis, keepdims=keepdims) + sum(y, axis=axis, keepdims=keepdims)


# ---------------------------------------------------------------- what holds but for NaN and inf
@rule(x - x, safety="nan_unsafe")
def minus_itself(x: Tensor) -> int:
    """A finite number minus itself is 0."""
    return 0


@rule(x / x, safety="nan_unsafe")
def over_itself(x: Tensor) -> int:
    """A finite number other than 0 over itself is 1."""
    return 1


@rule(divide(0, _x), safety="nan_unsafe")
def zero_over() -> int:
    """Zero over a finite number other than 0 is 0."""
    return 0


@rule(equal(x, x), safety="nan_unsafe")
def equals_itself(x: Tensor) -> bool:
    """A number is equal to itself, unless it is NaN."""
    return True


@rule(not_equal(x, x), safety="nan_unsafe")
def differs_from_itself(x: Tensor) -> bool:
    """A number does not differ from itself, unless it is NaN."""
    return False


# ---------------------------------------------------------------- selection
@rule(where(c, a, a), safety="exact")
def where_same(c: Tensor, a: Tensor) -> Tensor:
    """A choice between equals is no choice."""
    return a


@rule(where(c, where(c, a, _b), d), safety="exact")
def where_in_taken(c: Tensor, a: Tensor, d: Tensor) -> Tensor:
    """What was chosen under a condition need not ask it again."""
    return where(c, a, d)


@rule(where(c, a, where(c, _b, d)), safety="exact")
def where_in_other(c: Tensor, a: Tensor, d: Tensor) -> Tensor:
    """What was left under a condition need not ask it again."""
    return where(c, a, d)


@rule(where(True, a, _b), safety="exact")
def where_true(a: Tensor) -> Tensor:
    """A condition that holds everywhere chooses the first."""
    return a


@rule(where(False, _b, d), safety="exact")
def where_false(d: Tensor) -> Tensor:
    """A condition that holds nowhere chooses the second."""
    return d


@rule(where(logical_not(c), a, b), safety="exact")
def where_not(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A negated condition exchanges the branches."""
    return where(c, b, a)


@rule(where(c, a, 0) + where(c, 0, b), safety="rounding")
def where_of_shares(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The shares of both branches, each among zeros, are one choice: the gradient of what both branches read."""
    return where(c, a, b)


@rule(where(c, a, 0) + where(c, b, 0), safety="rounding")
def where_of_sum(node: Tensor, c: Tensor, a: Tensor, b: Tensor, once: Once) -> Tensor | None:
    """Two choices under one condition are one."""
    return where(c, a + b, 0) if all(once(x) for x in node.inputs) else None


@rule(where(c, 1, 0), safety="exact")
def where_one(node: Tensor, c: Tensor) -> Tensor:
    """One where it holds and zero elsewhere is the condition itself as a number."""
    return cast(c, dtype=node.dtype)


@rule(cast(c) * cast(d), safety="exact", cases=(lambda leaf: _of_truth(leaf, "float32"), lambda leaf: _of_truth(leaf, "int32")))
def product_of_conditions(node: Tensor, c: Tensor, d: Tensor) -> Tensor | None:
    """Two conditions as numbers, multiplied, are both conditions as a number."""
    return cast(logical_and(c, d), dtype=node.dtype) if c.dtype == d.dtype == "bool" else None


def _of_truth(leaf: Leaf, dtype: str) -> Tensor:
    return leaf(2, 3, dtype="bool").astype(dtype) * leaf(3, dtype="bool").astype(dtype)


@rule(
    pick(x - y, indices),
    safety="exact",
    cases=(
        lambda leaf: pick(leaf(2, 3) - leaf(2, 1), constant([2, 0], "int32")),
        lambda leaf: pick(leaf(2, 2, 3) - leaf(2, 2, 1), constant([[2, 0], [1, 1]], "int64")),
    ),
)
def pick_of_difference(node: Tensor, x: Tensor, y: Tensor, indices: Tensor, once: Once) -> Tensor | None:
    """What is taken off a whole row is taken off what is picked: of ``log_softmax`` the loss needs one number a row."""
    whole = node.inputs[0]
    by_rows = x.shape == whole.shape and y.shape == (*node.shape, 1) and whole.shape[-1] != 1
    return pick(x, indices) - reshape(y, shape=node.shape) if by_rows and once(whole) else None


# ---------------------------------------------------------------- logic
@rule(logical_not(equal(a, b)), safety="exact")
def not_equal_spelt(a: Tensor, b: Tensor) -> Tensor:
    """Not equal is different, for NaN too."""
    return not_equal(a, b)


@rule(logical_not(not_equal(a, b)), safety="exact")
def equal_spelt(a: Tensor, b: Tensor) -> Tensor:
    """Not different is equal, for NaN too."""
    return equal(a, b)


@rule(logical_and(_x, False), safety="exact")
def and_false() -> bool:
    """Nothing holds together with what does not."""
    return False


@rule(logical_or(_x, True), safety="exact")
def or_true() -> bool:
    """Something holds where one side does."""
    return True
