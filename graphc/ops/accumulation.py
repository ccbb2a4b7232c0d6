"""Running totals along an axis, and the linear recurrence that their gradients are.

The gradient of a running product is never a quotient, which would be 0/0 where an element is 0. With ``y_i = x_0 ... x_i`` and the
cotangent ``g``, the derivative by ``x_j`` is the product of what comes before ``x_j``, times

    T_j = g_j + x_{j+1} T_{j+1},

a linear recurrence, whose own gradient is one again (Blelloch, Prefix sums and their applications, 1990). So it is exact at zeros, and at
every order. The running extremum and ``logcumsumexp`` differ in the factors alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from graphc.core import Tensor, TensorType, as_tensor, case, dtypes, op
from graphc.core.attributes import Axis
from graphc.core.errors import ShapeError
from graphc.core.sizes import Dim
from graphc.ops import pointwise as p
from graphc.ops.shape import along_the_next, concatenate, flip, full, narrow, ravel, stacked

__all__ = [
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "logcumsumexp",
]

_CASES = (case((2, 3), axis=1), case((3, 2), axis=0), case((4,), axis=-1), case((1,), axis=0), case((0, 2), axis=0))


def shifted(x: Tensor, axis: int, first: Any) -> Tensor:
    """The items of one axis moved on by one place: the last one leaves, and the number ``first`` comes in."""
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return narrow(concatenate([full(shape, first, x.dtype), x], axis=axis), axis=axis, start=0, length=x.shape[axis])


def _over(accumulate: Callable[..., Tensor], x: Any, axis: int | None) -> Tensor:
    return accumulate(ravel(x), axis=0) if axis is None else accumulate(as_tensor(x), axis=axis)


# ---------------------------------------------------------------- the recurrence
@op(
    "recurrence($a, $b, $axis)",
    helper='''
def recurrence(a, b, axis):
    """y[0] = b[0] and y[i] = a[i] * y[i - 1] + b[i] along an axis."""
    y = np.array(b)
    a, rows = np.moveaxis(a, axis, 0), np.moveaxis(y, axis, 0)
    for i in range(1, len(rows)):
        rows[i] += a[i] * rows[i - 1]
    return y
''',
    jax_helper='''
def recurrence(a, b, axis):
    """y[0] = b[0] and y[i] = a[i] * y[i - 1] + b[i] along an axis: compositions of the maps y -> a * y + b."""
    def then(first, second):
        return second[0] * first[0], second[0] * first[1] + second[1]
    return jax.lax.associative_scan(then, (a, b), axis=axis)[1] if b.shape[axis] else b
''',
    linear=("b",),
    promote=("a", "b"),
    flops=2,
    ulps=8,
    cases=tuple([case(shape, shape, axis=axis) for shape, axis in (((2, 3), 1), ((3, 2), 0), ((4,), 0), ((1,), 0), ((0, 2), 0))]),
)
def recurrence(a: TensorType, b: TensorType, *, axis: Axis) -> TensorType:
    """``y[i] = a[i] * y[i - 1] + b[i]`` along one axis, from ``y[0] = b[0]`` on.

    JAX composes the steps in a tree (``associative_scan``), so that a product of factors may overflow there that NumPy never forms.
    """
    if a.shape != b.shape:
        raise ShapeError("there is a factor for each item", fits="two tensors of one shape")
    return b


@recurrence.vjp
def _(g: Tensor, y: Tensor, a: Tensor, b: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    db = recurrence_back(a, g, axis)
    return db * shifted(y, axis, 0), db


@recurrence.vmap
def _(mapped: tuple[bool, ...], a: Tensor, b: Tensor, axis: int) -> Tensor:
    a, b = stacked(mapped, (a, b))
    return recurrence(a, b, axis=axis + 1)


def recurrence_back(a: Tensor, g: Tensor, axis: int) -> Tensor:
    """``t[i] = g[i] + a[i + 1] * t[i + 1]`` from the last item on."""
    return flip(recurrence(shifted(flip(a, axis), axis, 0), flip(g, axis), axis=axis), axis)


# ---------------------------------------------------------------- sums
def _flops(node: Tensor) -> Dim:
    return node.inputs[0].size


@op(
    "xp.cumsum($x, axis=$axis)",
    name="cumsum",
    out="np.cumsum($x, axis=$axis, out=$out)",
    linear=("x",),
    promote=("x",),
    compute=dtypes.accumulator,
    flops=_flops,
    ulps=8,
    cases=_CASES,
)
def cumsum_along(x: TensorType, *, axis: Axis) -> TensorType:
    """Sums of the items up to each along one axis; bool and integers are summed in 64 bits."""
    return x


@cumsum_along.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    return (flip(cumsum_along(flip(g, axis), axis=axis), axis),)


def cumsum(x: Any, axis: int | None = None) -> Tensor:
    """Sums of the items up to each along one axis, or of the raveled tensor; bool and integers are summed in 64 bits."""
    return _over(cumsum_along, x, axis)


# ---------------------------------------------------------------- products
@op(
    "xp.cumprod($x, axis=$axis)",
    name="cumprod",
    out="np.cumprod($x, axis=$axis, out=$out)",
    promote=("x",),
    compute=dtypes.accumulator,
    flops=_flops,
    ulps=8,
    cases=_CASES,
)
def cumprod_along(x: TensorType, *, axis: Axis) -> TensorType:
    """Products of the items up to each along one axis; bool and integers are multiplied in 64 bits. The gradient is exact at zeros."""
    return x


@cumprod_along.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    return (products_before(x, axis) * recurrence_back(x, g, axis),)


def products_before(x: Tensor, axis: int) -> Tensor:
    """The product of all items before each along one axis, 1 for the first."""
    return cumprod_along(shifted(x, axis, 1), axis=axis)


def products_of_others(x: Tensor, axis: int) -> Tensor:
    """The product of all other items along one axis: of those before it, times those behind it."""
    return products_before(x, axis) * flip(products_before(flip(x, axis), axis), axis)


def cumprod(x: Any, axis: int | None = None) -> Tensor:
    """Products of the items up to each along one axis, or of the raveled tensor.

    Bool and integers are multiplied in 64 bits. The gradient is exact where items are 0, at every order.
    """
    return _over(cumprod_along, x, axis)


# ---------------------------------------------------------------- extrema
def _runs(y: Tensor, x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Places with one extremum follow each other: 1 where such a run goes on, and 1 at the items that hold its extremum, else 0.

    NaN ties with NaN. A place where the extremum is another than before holds it by definition, however XLA rounds (see ``ties``).
    """
    counted = dtypes.wide(x.dtype)
    before = shifted(y, axis, 0)
    goes_on = p.logical_and(shifted(full(y.shape, True, "bool"), axis, False), p.logical_or(p.equal(y, before), p.isnan(before)))
    tied = p.logical_or(p.logical_or(p.equal(x, y), p.isnan(x)), p.logical_not(goes_on))
    return p.cast(goes_on, dtype=counted), p.cast(tied, dtype=counted)


def _tied(y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    """Which items hold the extremum of a place, then or later, together with others."""
    goes_on, tie = _runs(y, x, axis)
    contested = p.cast(recurrence(goes_on, tie, axis=axis) > 1, dtype=tie.dtype)
    return (p.logical_and(tie > 0, recurrence_back(goes_on, contested, axis) > 0),)


_EXTREMUM: dict[str, Any] = {
    "flops": _flops,
    "cases": _CASES,
    "kink_note": "the items that tie up to a place share its gradient evenly",
    "choice": _tied,
}


@op("xp.maximum.accumulate($x, $axis)", jax="jax.lax.cummax($x, $axis)", name="cummax", **_EXTREMUM)
def cummax_along(x: TensorType, *, axis: Axis) -> TensorType:
    """Largest of the items up to each along one axis; NaN from the first NaN on. Items that tie share the gradient evenly."""
    return x


@op("xp.minimum.accumulate($x, $axis)", jax="jax.lax.cummin($x, $axis)", name="cummin", **_EXTREMUM)
def cummin_along(x: TensorType, *, axis: Axis) -> TensorType:
    """Smallest of the items up to each along one axis; NaN from the first NaN on. Items that tie share the gradient evenly."""
    return x


@cummax_along.vjp
@cummin_along.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    """Each place of a run hands its gradient to the items before it that tie, in equal shares."""
    goes_on, tie = _runs(y, x, axis)
    passed = recurrence_back(goes_on, p.cast(g, dtype=tie.dtype) / recurrence(goes_on, tie, axis=axis), axis)
    return (p.cast(tie * passed, dtype=x.dtype),)


def cummax(x: Any, axis: int | None = None) -> Tensor:
    """Largest of the items up to each along one axis, or of the raveled tensor; items that tie share the gradient evenly."""
    return _over(cummax_along, x, axis)


def cummin(x: Any, axis: int | None = None) -> Tensor:
    """Smallest of the items up to each along one axis, or of the raveled tensor; items that tie share the gradient evenly."""
    return _over(cummin_along, x, axis)


# ---------------------------------------------------------------- sums of exponentials
@op(
    "xp.logaddexp.accumulate($x, $axis)",
    jax="jax.lax.cumlogsumexp($x, $axis)",
    name="logcumsumexp",
    promote=("x",),
    compute=dtypes.floating,
    flops=10,
    ulps=8,
    cases=_CASES,
)
def logcumsumexp_along(x: TensorType, *, axis: Axis) -> TensorType:
    """``log(cumsum(exp(x)))`` along one axis without overflow; of nothing but -inf it is -inf with gradient 0."""
    return x


@logcumsumexp_along.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    nothing = p.equal(y, -math.inf)
    kept = p.where(nothing, 0, p.exp(shifted(y, axis, -math.inf) - y))
    return (p.where(nothing, 0, p.exp(x - y)) * recurrence_back(kept, g, axis),)


def logcumsumexp(x: Any, axis: int | None = None) -> Tensor:
    """``log(cumsum(exp(x)))`` along one axis, or of the raveled tensor, without overflow; of nothing but -inf it is -inf, gradient 0."""
    return _over(logcumsumexp_along, x, axis)


# ---------------------------------------------------------------- on stacks
for _total in (cumsum_along, cumprod_along, cummax_along, cummin_along, logcumsumexp_along):
    _total.vmap(along_the_next(_total))
