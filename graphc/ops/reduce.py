"""Reductions over axes: ``axis`` is None for all, a number, or several; ``keepdims`` leaves them with size 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from graphc.core import OPS, Op, Tensor, TensorType, as_tensor, case, constant, describe, dtypes, op
from graphc.core.attributes import Axes, Axis, DTypeName, axes_of
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.core.sizes import Dim, Shape
from graphc.ops import pointwise as p
from graphc.ops.accumulation import products_of_others
from graphc.ops.shape import after, along_the_next, broadcast_to, moveaxis, number, reshape, stacked, transpose

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "log_softmax",
    "logsumexp",
    "max",
    "mean",
    "median",
    "min",
    "norm",
    "prod",
    "ptp",
    "quantile",
    "softmax",
    "std",
    "sum",
    "var",
]

_CASES = (case((2, 3)), case((2, 3), axis=0), case((2, 3), axis=-1, keepdims=True), case((2, 1, 3), axis=(0, 2)), case(()))
_ALL: Any = None  # the default of every axis


def _reduced(x: TensorType, axis: tuple[int, ...], keepdims: bool) -> TensorType:
    kept = [1 if i in axis else size for i, size in enumerate(x.shape) if keepdims or i not in axis]
    return x.with_shape(tuple(kept))


def _count(x: TensorType, axis: tuple[int, ...]) -> Dim:
    return _reduced(x, tuple([i for i in range(x.ndim) if i not in axis]), keepdims=False).size


def _refuse_empty(x: TensorType, axis: tuple[int, ...]) -> None:
    if _count(x, axis) == 0:
        raise ShapeError("there is no element to choose from", fits="axes with at least one item")


def _spread(g: Tensor, x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """A reduced tensor, brought back to the shape of what was reduced."""
    return broadcast_to(keep(g, x, axis), shape=x.shape)


def keep(g: Tensor, x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """A reduced tensor with the reduced axes of ``x`` as axes of size 1."""
    return reshape(g, _reduced(x.type, axis, keepdims=True).shape)


def divide_by_count(g: Tensor, count: Dim) -> Tensor:
    """``g / count``, where the count would overflow float16 computed in float32."""
    if dtypes.itemsize(g.dtype) > 2:
        return g / number(count, g.dtype)
    return p.cast(p.cast(g, dtype="float32") / number(count, "float32"), dtype=g.dtype)


def _each(count: int) -> Callable[[Tensor], Dim]:
    """So many operations for each element of the operand."""
    return lambda node: node.inputs[0].size * count


def _summed(x: TensorType, axis: tuple[int, ...], keepdims: bool, out: str) -> str:
    """How NumPy sums: over the first or the last axes of a matrix or a stack, BLAS is several times as quick as NumPy's own loop."""
    count = len(axis)
    if x.dtype in ("float32", "float64") and 0 < count < x.ndim:
        if axis == tuple(range(count)) and not keepdims:
            return f"sum_first($x, {count}{out})"
        if axis == (x.ndim - 2,) and not keepdims:
            return f"sum_rows($x{out})"
        if axis == tuple(range(x.ndim - count, x.ndim)):
            return f"sum_last($x, {count}, $keepdims{out})"
    if x.dtype in ("float32", "float64") and x.ndim == count == 2 and not keepdims and not out:
        return "sum_all($x)"
    if dtypes.is_float(x.dtype) and dtypes.itemsize(x.dtype) == 2:
        return _summed_in_float32(out)
    return f"np.add.reduce($x, axis=$axis, keepdims=$keepdims{out and f', out={out[2:]}'})"


def _summed_in_float32(out: str) -> str:
    """bfloat16 holds no count above 256, and NumPy adds up in the dtype of the items, or of pairs of them."""
    total = "np.add.reduce($x, axis=$axis, dtype=np.float32, keepdims=$keepdims)"
    return f"np.copyto({out[2:]}, {total}, casting='same_kind')" if out else f"{total}.astype($x.dtype)"


_SUMS = """
def ones(count, dtype, made={}):
    if (count, dtype) not in made:
        made[count, dtype] = np.ones(count, dtype)
    return made[count, dtype]


def sum_first(x, axes, out=None):
    \"\"\"The sum over the first axes, as a product with ones.\"\"\"
    if x.ndim > 2:
        if not x.flags.c_contiguous:
            return np.add.reduce(x, tuple(range(axes)), out=out)
        shape, count = x.shape[axes:], math.prod(x.shape[:axes])
        out = np.empty(shape, x.dtype) if out is None else out
        np.dot(ones(count, x.dtype), x.reshape(count, out.size), out.reshape(out.size))
        return out
    return np.dot(ones(len(x), x.dtype), x, out)


def sum_rows(x, out=None):
    \"\"\"The sum of the rows of each matrix of a stack, as a product with ones.\"\"\"
    return np.matmul(ones(x.shape[-2], x.dtype), x, out)


def sum_last(x, axes, keepdims, out=None):
    \"\"\"The sum over the last axes, as a product with ones; of long rows as NumPy does it, in pairs, which rounds less.\"\"\"
    first = x.ndim - axes
    count = x.shape[-1] if axes == 1 else math.prod(x.shape[first:])
    if count > 4096 or not x.flags.c_contiguous:
        return np.add.reduce(x, tuple(range(first, x.ndim)), None, out, keepdims)
    if out is None:
        out = np.empty(x.shape[:first] + (1,) * axes if keepdims else x.shape[:first], x.dtype)
    np.dot(x.reshape(out.size, count), ones(count, x.dtype), out.reshape(out.size))
    return out


def sum_all(x):
    \"\"\"The sum of a matrix; of a few long rows first as a product with ones, and then in pairs.\"\"\"
    rows, columns = x.shape
    return np.add.reduce(np.dot(ones(rows, x.dtype), x) if 1 < rows <= 256 <= columns else x, None)
"""


def _sum_call(x: TensorType, axis: tuple[int, ...], keepdims: bool) -> str:
    return _summed(x, axis, keepdims, "")


def _sum_into(x: TensorType, axis: tuple[int, ...], keepdims: bool) -> str:
    return _summed(x, axis, keepdims, ", $out")


@op(
    _sum_call,
    jax="xp.sum($x, axis=$axis, keepdims=$keepdims)",
    out=_sum_into,
    helper=_SUMS,
    imports="import math",
    linear=("x",),
    promote=("x",),
    compute=dtypes.accumulator,
    flops=_each(1),
    cases=(*_CASES, case((0, 3), axis=0)),
    text="Σ $x",
    tex=r"\sum $x",
    binds=2,
    ulps=8,
)
def sum(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Sum over axes; bool and integers are summed in 64 bits. The sum of nothing is 0."""
    return _reduced(x, axis, keepdims)


@sum.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    return (_spread(g, x, axis),)


@broadcast_to.vjp
def _(g: Tensor, y: Tensor, x: Tensor, shape: Shape) -> tuple[Tensor]:
    return (sum_to(g, x.shape),)


def sum_to(x: Tensor, shape: Shape) -> Tensor:
    """Sum over the axes along which ``shape`` was broadcast to x's: the adjoint of broadcasting."""
    if x.shape == shape:
        return x
    extra = x.ndim - len(shape)
    repeated = tuple([i for i in range(x.ndim) if i < extra or (shape[i - extra] == 1 and x.shape[i] != 1)])
    total = sum(x, axis=repeated) if repeated else x
    return reshape(total, shape) if total.shape != shape else total


@op(
    None,
    jax="xp.mean($x, axis=$axis, keepdims=$keepdims)",
    linear=("x",),
    promote=("x",),
    compute=dtypes.averaging,
    flops=_each(1),
    cases=_CASES,
    text="mean($x)",
    ulps=8,
)
def mean(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Mean over axes; the mean of nothing is NaN."""
    return _reduced(x, axis, keepdims)


@mean.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    return (_spread(divide_by_count(g, _count(x.type, axis)), x, axis),)


@mean.decompose
def _(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    if dtypes.itemsize(x.dtype) > 2:
        return divide_by_count(sum(x, axis=axis, keepdims=keepdims), _count(x.type, axis))
    return p.cast(mean(p.cast(x, dtype="float32"), axis=axis, keepdims=keepdims), dtype=x.dtype)


@op(
    None,
    jax="ties($x, $axis, $largest, $dtype)",
    jax_helper='''
def ties(x, axis, largest, dtype):
    """One over how many elements share the extremum, at each of them. XLA may round x in two ways where it
    computes it twice, so that none would equal the extremum: the first is known by its place."""
    rest = [i for i in range(x.ndim) if i not in axis]
    order, count = [*rest, *axis], 1
    for i in axis:
        count *= x.shape[i]
    rows = jnp.transpose(x, order).reshape([x.shape[i] for i in rest] + [count])
    best, first = (jnp.max, jnp.argmax) if largest else (jnp.min, jnp.argmin)
    tie = (rows == best(rows, -1, keepdims=True)) | (jnp.arange(count) == first(rows, -1)[..., None]) | jnp.isnan(rows)
    tie = tie.astype(dtype)
    share = (tie / jnp.sum(tie, -1, keepdims=True)).reshape([x.shape[i] for i in order])
    return jnp.transpose(share, [order.index(i) for i in range(x.ndim)])
''',
    flops=3,
    cases=tuple([case((2, 3), (1, 1), axis=None, largest=largest, dtype="float64") for largest in (True, False)]),
    zero_gradient="a choice is flat between its jumps",
)
def ties(x: TensorType, y: TensorType, *, axis: Axes, largest: bool, dtype: DTypeName) -> TensorType:
    """One over how many elements share the extremum ``y`` of ``x`` (with its axes kept), at each of them, and 0 elsewhere.

    The extremum of axes with a NaN is NaN, and all NaNs share it.
    """
    return x.with_dtype(dtype)


@ties.decompose
def _(x: Tensor, y: Tensor, axis: tuple[int, ...], largest: bool, dtype: str) -> Tensor:
    shared = p.cast(p.logical_or(p.equal(x, y), p.isnan(x)), dtype=dtype)
    return shared / sum(shared, axis=axis, keepdims=True)


@ties.vmap
def _(mapped: tuple[bool, ...], x: Tensor, y: Tensor, axis: tuple[int, ...], largest: bool, dtype: str) -> Tensor:
    x, y = stacked(mapped, (x, y))
    return ties(x, y, axis=after(axis), largest=largest, dtype=dtype)


def _even_shares(y: Tensor, x: Tensor, axis: tuple[int, ...], largest: bool) -> Tensor:
    return ties(x, keep(y, x, axis), axis=axis, largest=largest, dtype=dtypes.wide(x.dtype))


def _tied(largest: bool) -> Callable[..., tuple[Tensor]]:
    """Which elements share the extremum with others."""

    def choice(y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
        share = _even_shares(y, x, axis, largest)
        return (p.logical_and(share > 0, share < 1),)

    return choice


def _extremum(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], largest: bool) -> tuple[Tensor]:
    share = _even_shares(y, x, axis, largest)
    return (keep(g, x, axis) * (share if share.dtype == x.dtype else p.cast(share, dtype=x.dtype)),)


SHORT: Final = 40
"""Elements of a row up to which NumPy, whose reductions along the last axis are a call a row, is quicker along the first axis of a copy."""


def _has_short_rows(x: TensorType, axis: tuple[int, ...]) -> bool:
    length = x.shape[-1] if x.ndim > 1 else 0
    return axis == (x.ndim - 1,) and isinstance(length, int) and 1 < length <= SHORT and x.dtype in ("float32", "float64")


def _extremes(ufunc: str, out: str = "") -> Callable[..., str]:
    """How NumPy finds the extremum of this function."""

    def source(x: TensorType, axis: tuple[int, ...]) -> str:
        if _has_short_rows(x, axis):
            return f"of_short_rows(np.{ufunc}, $x, $keepdims{out})"
        return f"np.{ufunc}.reduce($x, axis=$axis, keepdims=$keepdims{out and f', out={out[2:]}'})"

    return source


_SHORT_ROWS: Final = """
def of_short_rows(ufunc, x, keepdims, out=None):
    \"\"\"What the function reduces each row to, along the columns of a copy.\"\"\"
    if out is None:
        out = np.empty(x.shape[:-1] + (1,) * keepdims, x.dtype)
    ufunc.reduce(np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T), 0, None, out.reshape(out.size))
    return out
"""


def _copied_rows(node: Tensor) -> Dim:
    x = node.inputs[0].type
    return x.nbytes if _has_short_rows(x, node.attributes["axis"]) else 0


@op(
    _extremes("maximum"),
    jax="xp.max($x, axis=$axis, keepdims=$keepdims)",
    out=_extremes("maximum", ", $out"),
    helper=_SHORT_ROWS,
    scratch=_copied_rows,
    flops=_each(1),
    precision="promote",
    cases=_CASES,
    kink_note="ties share the gradient evenly, and so do NaNs",
    choice=_tied(largest=True),
)
def max(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Largest element over axes; NaN if one is NaN. Elements that tie share the gradient evenly, as NaNs do."""
    dtypes.ordered(x.dtype)
    _refuse_empty(x, axis)
    return _reduced(x, axis, keepdims)


@max.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    return _extremum(g, y, x, axis, largest=True)


@op(
    _extremes("minimum"),
    jax="xp.min($x, axis=$axis, keepdims=$keepdims)",
    out=_extremes("minimum", ", $out"),
    helper=_SHORT_ROWS,
    scratch=_copied_rows,
    flops=_each(1),
    precision="promote",
    cases=_CASES,
    kink_note="ties share the gradient evenly, and so do NaNs",
    choice=_tied(largest=False),
)
def min(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Smallest element over axes; NaN if one is NaN. Elements that tie share the gradient evenly, as NaNs do."""
    dtypes.ordered(x.dtype)
    _refuse_empty(x, axis)
    return _reduced(x, axis, keepdims)


@min.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    return _extremum(g, y, x, axis, largest=False)


_INDEX: dict[str, Any] = {
    "flops": _each(1),
    "zero_gradient": "an index jumps, and is flat between its jumps",
    "cases": (case((2, 3), axis=0), case((2, 3), axis=-1), case((4,), axis=0)),
}


@op("xp.argmax($x, axis=$axis)", **_INDEX)
def argmax(x: TensorType, *, axis: Axis = -1) -> TensorType:
    """Index, int64, of the first of the largest elements along one axis (the last by default)."""
    dtypes.ordered(x.dtype)
    _refuse_empty(x, (axis,))
    return _reduced(x, (axis,), keepdims=False).with_dtype("int64")


@op("xp.argmin($x, axis=$axis)", **_INDEX)
def argmin(x: TensorType, *, axis: Axis = -1) -> TensorType:
    """Index, int64, of the first of the smallest elements along one axis (the last by default)."""
    dtypes.ordered(x.dtype)
    _refuse_empty(x, (axis,))
    return _reduced(x, (axis,), keepdims=False).with_dtype("int64")


_TRUTH: dict[str, Any] = {
    "promote": ("x",),
    "compute": lambda dtype: "bool",
    "flops": _each(1),
    "cases": _CASES,
    "zero_gradient": "truth values carry no gradient",
}


@op("np.logical_or.reduce($x, axis=$axis, keepdims=$keepdims)", jax="xp.any($x, axis=$axis, keepdims=$keepdims)", **_TRUTH)
def any(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Whether one element is not 0; False of nothing."""
    return _reduced(x, axis, keepdims)


@op("np.logical_and.reduce($x, axis=$axis, keepdims=$keepdims)", jax="xp.all($x, axis=$axis, keepdims=$keepdims)", **_TRUTH)
def all(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Whether no element is 0; True of nothing."""
    return _reduced(x, axis, keepdims)


def count_nonzero(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """How many elements are not 0, over axes, in int64."""
    return sum(p.not_equal(x, 0), axis=axis, keepdims=keepdims)


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Peak to peak: the distance from the smallest to the largest element over axes."""
    return max(x, axis=axis, keepdims=keepdims) - min(x, axis=axis, keepdims=keepdims)


def average(x: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Tensor:
    """Mean over axes in which each element counts as much as its weight; weights have x's shape, or that of the one axis alone."""
    x = as_tensor(x)
    if weights is None:
        return mean(x, axis=axis, keepdims=keepdims)
    weights = as_tensor(weights)
    axes = axes_of(axis, x.ndim)
    if weights.shape != x.shape and len(axes) == 1 and weights.shape == (x.shape[axes[0]],):
        weights = reshape(weights, tuple([size if i in axes else 1 for i, size in enumerate(x.shape)]))
    elif weights.shape != x.shape:
        raise ShapeError(
            "average: the weights have another shape", given=[f"x: {describe(x)}", f"weights: {describe(weights)}"], fits=str(x.shape)
        )
    return sum(x * weights, axis=axis, keepdims=keepdims) / sum(broadcast_to(weights, shape=x.shape), axis=axis, keepdims=keepdims)


# ---------------------------------------------------------------- products
@op(
    "np.multiply.reduce($x, axis=$axis, keepdims=$keepdims)",
    jax="xp.prod($x, axis=$axis, keepdims=$keepdims)",
    out="np.multiply.reduce($x, axis=$axis, keepdims=$keepdims, out=$out)",
    promote=("x",),
    compute=dtypes.accumulator,
    flops=_each(1),
    cases=(*_CASES, case((0, 3), axis=0)),
    text="Π $x",
    tex=r"\prod $x",
    binds=2,
    ulps=8,
)
def prod(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Product over axes; bool and integers are multiplied in 64 bits. The product of nothing is 1.

    The gradient is the product of the others, never ``prod(x) / x``: exact where elements are 0, at every order.
    """
    return _reduced(x, axis, keepdims)


@prod.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    return (keep(g, x, axis) * _others(x, axis),)


def _others(x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """At each element the product of the others over these axes, which are made one for it."""
    if len(axis) == 1:
        return products_of_others(x, axis[0])
    order = (*_rest(x, axis), *axis)
    rows = _rows(x, axis)
    others = reshape(products_of_others(rows, rows.ndim - 1), tuple([x.shape[i] for i in order]))
    return transpose(others, axes=tuple([order.index(i) for i in range(x.ndim)]))


def _rest(x: Tensor, axis: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([i for i in range(x.ndim) if i not in axis])


def _rows(x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """These axes as one, behind the rest."""
    rest = _rest(x, axis)
    return reshape(transpose(x, axes=(*rest, *axis)), (*[x.shape[i] for i in rest], _count(x.type, axis)))


# ---------------------------------------------------------------- spread
def _divisor(x: Tensor, axis: tuple[int, ...], ddof: int, dtype: str) -> Tensor:
    """The count less ``ddof``, and no less than 0, in a dtype that holds it."""
    left = _count(x.type, axis) - ddof
    return p.maximum(number(left, dtypes.wide(dtype)), 0)


def _divided(total: Tensor, x: Tensor, axis: tuple[int, ...], ddof: int) -> Tensor:
    quotient = p.cast(total, dtype=dtypes.wide(total.dtype)) / _divisor(x, axis, ddof, total.dtype)
    return p.cast(quotient, dtype=total.dtype)


_SPREAD: dict[str, Any] = {
    "promote": ("x",),
    "compute": dtypes.averaging,
    "flops": _each(4),
    "cases": (*_CASES[:-1], case((4,), ddof=1), case((2, 3), axis=1, ddof=1), case((3, 1), axis=1)),
    "ulps": 8,
}


@op(None, jax="xp.var($x, axis=$axis, keepdims=$keepdims, ddof=$ddof)", text="var($x)", **_SPREAD)
def var(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False, ddof: int = 0) -> TensorType:
    """Mean square distance from the mean over axes: the sum of squares divided by the count less ``ddof``."""
    return _reduced(x, axis, keepdims)


@var.decompose
def _(x: Tensor, axis: tuple[int, ...], keepdims: bool, ddof: int) -> Tensor:
    wide = as_dtype(x, dtypes.wide(x.dtype))
    squares = p.square(wide - mean(wide, axis=axis, keepdims=True))
    found = _divided(sum(squares, axis=axis, keepdims=keepdims), x, axis, ddof)
    return found if wide is x else p.cast(found, dtype=x.dtype)


@var.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool, ddof: int) -> tuple[Tensor]:
    return (_divided(keep(2 * g, x, axis), x, axis, ddof) * (x - mean(x, axis=axis, keepdims=True)),)


def _all_equal(y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool, ddof: int) -> tuple[Tensor]:
    """Where there is no spread. That of one element is 0 whatever it is, and flat."""
    return (p.logical_and(p.equal(keep(y, x, axis), 0), number(_count(x.type, axis), "int64") > 1),)


@op(
    None,
    jax="xp.std($x, axis=$axis, keepdims=$keepdims, ddof=$ddof)",
    text="std($x)",
    kink_note="0 where all are equal",
    choice=_all_equal,
    **_SPREAD,
)
def std(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False, ddof: int = 0) -> TensorType:
    """Square root of the variance over axes; the gradient is 0 where all elements are equal."""
    return _reduced(x, axis, keepdims)


@std.decompose
def _(x: Tensor, axis: tuple[int, ...], keepdims: bool, ddof: int) -> Tensor:
    return p.sqrt(var(x, axis=axis, keepdims=keepdims, ddof=ddof))


@std.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool, ddof: int) -> tuple[Tensor]:
    distance = x - mean(x, axis=axis, keepdims=True)
    kept = keep(y, x, axis)
    return (_divided(keep(g, x, axis), x, axis, ddof) * p.where(p.equal(kept, 0), 0, distance / kept),)


# ---------------------------------------------------------------- norms
_NORM = '''
def norm(x, ord, axis, keepdims):
    """The sum of |x|**ord to the power 1 / ord, of x over its largest element, which the result is multiplied by."""
    if x.dtype.itemsize < 4:
        return norm(x.astype(np.float32), ord, axis, keepdims).astype(x.dtype)
    size = np.abs(x)
    largest = np.max(size, axis=axis, keepdims=True, initial=0)
    scale = np.where((largest > 0) & (largest < np.inf), largest, np.ones_like(largest))
    ratio = size / scale
    total = np.sum(ratio * ratio if ord == 2 else ratio**ord, axis=axis, keepdims=True)
    y = scale * (np.sqrt(total) if ord == 2 else total ** (1 / ord))
    return y if keepdims else np.squeeze(y, axis)
'''


def _at_zero(y: Tensor, x: Tensor, ord: float, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    return (p.equal(keep(y, x, axis), 0),)


@op(
    "norm($x, $ord, $axis, $keepdims)",
    name="norm",
    helper=_NORM,
    jax_helper=_NORM.replace("np.", "jnp."),
    promote=("x",),
    compute=dtypes.floating,
    flops=_each(5),
    cases=(*_CASES[:-1], case((0, 3), axis=0), case((2, 3), ord=3.0), case((2, 3), ord=2.5, axis=1)),
    kink_note="0 at 0",
    choice=_at_zero,
    text="‖$x‖",
    tex=r"\lVert $x \rVert",
    ulps=8,
)
def norm_of_powers(x: TensorType, *, ord: float = 2.0, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """``sum(abs(x)**ord)**(1/ord)`` over axes without overflow; the gradient is 0 where all elements are 0."""
    return _reduced(x, axis, keepdims)


@norm_of_powers.vjp
def _(g: Tensor, y: Tensor, x: Tensor, ord: float, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    kept = keep(y, x, axis)
    ratio = x / kept
    slope = ratio if ord == 2 else p.sign(x) * p.power(p.abs(ratio), ord - 1)
    return (keep(g, x, axis) * p.where(p.equal(kept, 0), 0, slope),)


def norm(x: Any, ord: float | None = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The length of vectors, over axes: ``sum(abs(x)**ord)**(1/ord)``, by default the Euclidean one, without overflow.

    ``ord`` is a positive number; ``inf`` for the largest of the ``abs(x)``, ``-inf`` for the smallest, 0 for how many are not 0. The
    gradient of a norm is 0 where all elements are 0. Raises :class:`ArgumentError` for any other ``ord``.
    """
    x = as_tensor(x)
    ord = 2.0 if ord is None else float(ord)
    if ord in (1, math.inf, -math.inf):
        reduction = {1: sum, math.inf: max, -math.inf: min}[ord]
        return reduction(p.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum(p.one_where(p.not_equal(x, 0), x), axis=axis, keepdims=keepdims)
    if not ord > 0:
        raise ArgumentError(f"norm: ord={ord}", given=[f"x: {describe(x)}"], fits="a positive number, 0, inf or -inf")
    return norm_of_powers(x, ord=ord, axis=axis, keepdims=keepdims)


# ---------------------------------------------------------------- order
def quantile(x: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The value over axes that the share ``q`` of the elements is not above, linear between two of them; NaN if one is NaN.

    ``q`` is a number from 0 to 1, or several, whose axes come first in the result; a tensor of them gets a gradient too.
    """
    x = as_tensor(x)
    x = p.cast(x, dtype=dtypes.averaging(x.dtype)) if not dtypes.is_float(x.dtype) else x
    axes = tuple(sorted(axes_of(axis, x.ndim)))
    count = _count(x.type, axes)
    if count == 0:
        raise ShapeError("quantile: there is no element to choose from", given=[f"x: {describe(x)}"], fits="axes with at least one item")
    share = q if isinstance(q, Tensor) else constant(_shares(q), "float64")
    sort, take = OPS["sort"], OPS["take"]  # indices and order are made of reductions, so that their modules come after this one
    ordered = sort(_rows(x, axes), axis=-1)
    place = share * number(count - 1, share.dtype)
    below = p.floor(place)
    above = p.cast(p.minimum(below + 1, number(count - 1, share.dtype)), dtype="int64")
    low, high = [take(ordered, index, axis=ordered.ndim - 1) for index in (p.cast(below, dtype="int64"), above)]
    between = p.cast(place - below, dtype=x.dtype)
    found = p.where(p.equal(between, 0), low, low * (1 - between) + high * between)
    found = moveaxis(found, tuple(range(ordered.ndim - 1, found.ndim)), tuple(range(share.ndim)))
    found = p.where(p.isnan(max(ordered, axis=-1)), math.nan, found)
    return reshape(found, (*share.shape, *_reduced(x.type, axes, keepdims).shape))


def _shares(q: Any) -> np.ndarray[Any, Any]:
    shares = np.asarray(q, np.float64)
    if not np.all((shares >= 0) & (shares <= 1)):
        raise ArgumentError(f"quantile: q={q!r}", given=["q is a share of the elements"], fits="numbers from 0 to 1")
    return shares


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle element over axes, or the mean of the two in the middle; NaN if one is NaN."""
    return quantile(x, 0.5, axis=axis, keepdims=keepdims)


# ---------------------------------------------------------------- soft reductions
@op(
    None,
    jax="jax.scipy.special.logsumexp($x, axis=$axis, keepdims=$keepdims)",
    promote=("x",),
    compute=dtypes.floating,
    flops=_each(4),
    cases=_CASES,
    tex=r"\operatorname{logsumexp}($x)",
)
def logsumexp(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """``log(sum(exp(x)))`` without overflow; of nothing but -inf it is -inf with gradient 0."""
    _refuse_empty(x, axis)
    return _reduced(x, axis, keepdims)


@logsumexp.decompose
def _(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    largest = max(x, axis=axis, keepdims=True)
    shift = p.where(p.isfinite(largest), largest, 0)
    total = p.log(sum(p.exp(x - shift), axis=axis, keepdims=True)) + shift
    return total if keepdims else reshape(total, _reduced(x.type, axis, keepdims=False).shape)


@logsumexp.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    nothing = p.equal(keep(y, x, axis), -math.inf)
    share = softmax(p.where(nothing, 0, x), axis=axis)
    return (p.where(nothing, 0, keep(g, x, axis) * share),)


_SOFT = (case((2, 3)), case((2, 3), axis=0), case((4,)), case((2, 1)))


@op(
    None,
    jax="jax.nn.softmax($x, axis=$axis)",
    promote=("x",),
    compute=dtypes.floating,
    flops=_each(5),
    cases=_SOFT,
    ulps=8,
)
def softmax(x: TensorType, *, axis: Axes = -1) -> TensorType:  # type: ignore[assignment]
    """``exp(x) / sum(exp(x))`` along an axis (the last by default) without overflow: positive, and 1 in sum."""
    _refuse_empty(x, axis)
    return x


@softmax.decompose
def _(x: Tensor, axis: tuple[int, ...]) -> Tensor:
    e = p.exp(x - max(x, axis=axis, keepdims=True))
    return e / sum(e, axis=axis, keepdims=True)


@softmax.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...]) -> tuple[Tensor]:
    return (y * (g - sum(g * y, axis=axis, keepdims=True)),)


@op(
    None,
    jax="jax.nn.log_softmax($x, axis=$axis)",
    promote=("x",),
    compute=dtypes.floating,
    flops=_each(5),
    cases=_SOFT,
    ulps=8,
)
def log_softmax(x: TensorType, *, axis: Axes = -1) -> TensorType:  # type: ignore[assignment]
    """``log(softmax(x))`` along an axis (the last by default), finite where softmax underflows."""
    _refuse_empty(x, axis)
    return x


@log_softmax.decompose
def _(x: Tensor, axis: tuple[int, ...]) -> Tensor:
    shifted = x - max(x, axis=axis, keepdims=True)
    return shifted - p.log(sum(p.exp(shifted), axis=axis, keepdims=True))


@log_softmax.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...]) -> tuple[Tensor]:
    return (g - softmax(x, axis=axis) * sum(g, axis=axis, keepdims=True),)


# ---------------------------------------------------------------- on stacks
def _over_the_rest(reduction: Op) -> Callable[..., Tensor]:
    def rule(mapped: tuple[bool, ...], x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
        return reduction(x, axis=after(axis), keepdims=keepdims)

    return rule


for _reduction in (sum, mean, prod, max, min, any, all, logsumexp):
    _reduction.vmap(_over_the_rest(_reduction))


def _spread_over_the_rest(reduction: Op) -> Callable[..., Tensor]:
    def rule(mapped: tuple[bool, ...], x: Tensor, axis: tuple[int, ...], keepdims: bool, ddof: int) -> Tensor:
        return reduction(x, axis=after(axis), keepdims=keepdims, ddof=ddof)

    return rule


for _reduction in (var, std):
    _reduction.vmap(_spread_over_the_rest(_reduction))


for _reduction in (argmax, argmin):
    _reduction.vmap(along_the_next(_reduction))


def _softly_over_the_rest(op: Op) -> Callable[..., Tensor]:
    def rule(mapped: tuple[bool, ...], x: Tensor, axis: tuple[int, ...]) -> Tensor:
        return op(x, axis=after(axis))

    return rule


for _reduction in (softmax, log_softmax):
    _reduction.vmap(_softly_over_the_rest(_reduction))


@norm_of_powers.vmap
def _(mapped: tuple[bool, ...], x: Tensor, ord: float, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    return norm_of_powers(x, ord=ord, axis=after(axis), keepdims=keepdims)
