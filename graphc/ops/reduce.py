"""Reductions over axes: ``axis`` is None for all, a number, or several; ``keepdims`` leaves them with size 1."""

from __future__ import annotations

import math
from typing import Any

from graphc.core import Tensor, TensorType, as_tensor, case, dtypes, op
from graphc.core.attributes import Axes, Axis, DTypeName
from graphc.core.errors import ShapeError
from graphc.core.sizes import Dim, Shape
from graphc.ops import pointwise as p
from graphc.ops.shape import broadcast_to, number, reshape

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "log_softmax",
    "logsumexp",
    "max",
    "mean",
    "min",
    "softmax",
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


def _flops(node: Tensor) -> Dim:
    return node.inputs[0].size


def _four_flops(node: Tensor) -> Dim:
    return node.inputs[0].size * 4


@op(
    "xp.sum($x, axis=$axis, keepdims=$keepdims)",
    out="np.sum($x, axis=$axis, keepdims=$keepdims, out=$out)",
    linear=("x",),
    promote=("x",),
    compute=dtypes.accumulator,
    flops=_flops,
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
    flops=_flops,
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


def _counted_in(dtype: str) -> str:
    """The dtype that ties are counted in: float16 holds no count above 65,504."""
    return "float32" if dtypes.itemsize(dtype) < 4 else dtype


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
    tie = (rows == best(rows, -1, keepdims=True)) | (jnp.arange(count) == first(rows, -1)[..., None])
    tie = tie.astype(dtype)
    share = (tie / jnp.sum(tie, -1, keepdims=True)).reshape([x.shape[i] for i in order])
    return jnp.transpose(share, [order.index(i) for i in range(x.ndim)])
''',
    flops=3,
    cases=tuple([case((2, 3), (1, 1), axis=None, largest=largest, dtype="float64") for largest in (True, False)]),
    zero_gradient="a choice is flat between its jumps",
)
def ties(x: TensorType, y: TensorType, *, axis: Axes, largest: bool, dtype: DTypeName) -> TensorType:
    """One over how many elements share the extremum ``y`` of ``x`` (with its axes kept), at each of them, and 0 elsewhere."""
    return x.with_dtype(dtype)


@ties.decompose
def _(x: Tensor, y: Tensor, axis: tuple[int, ...], largest: bool, dtype: str) -> Tensor:
    shared = p.cast(p.equal(x, y), dtype=dtype)
    return shared / sum(shared, axis=axis, keepdims=True)


def _extremum(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], largest: bool) -> tuple[Tensor]:
    share = ties(x, keep(y, x, axis), axis=axis, largest=largest, dtype=_counted_in(x.dtype))
    return (keep(g, x, axis) * (share if share.dtype == x.dtype else p.cast(share, dtype=x.dtype)),)


@op(
    "xp.max($x, axis=$axis, keepdims=$keepdims)",
    out="np.max($x, axis=$axis, keepdims=$keepdims, out=$out)",
    flops=_flops,
    cases=_CASES,
    kink_note="ties share the gradient evenly",
)
def max(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Largest element over axes; NaN if one is NaN. Elements that tie share the gradient evenly."""
    _refuse_empty(x, axis)
    return _reduced(x, axis, keepdims)


@max.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    return _extremum(g, y, x, axis, largest=True)


@op(
    "xp.min($x, axis=$axis, keepdims=$keepdims)",
    out="np.min($x, axis=$axis, keepdims=$keepdims, out=$out)",
    flops=_flops,
    cases=_CASES,
    kink_note="ties share the gradient evenly",
)
def min(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Smallest element over axes; NaN if one is NaN. Elements that tie share the gradient evenly."""
    _refuse_empty(x, axis)
    return _reduced(x, axis, keepdims)


@min.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor]:
    return _extremum(g, y, x, axis, largest=False)


_INDEX: dict[str, Any] = {
    "flops": _flops,
    "zero_gradient": "an index jumps, and is flat between its jumps",
    "cases": (case((2, 3), axis=0), case((2, 3), axis=-1), case((4,), axis=0)),
}


@op("xp.argmax($x, axis=$axis)", **_INDEX)
def argmax(x: TensorType, *, axis: Axis = -1) -> TensorType:
    """Index, int64, of the first of the largest elements along one axis (the last by default)."""
    _refuse_empty(x, (axis,))
    return _reduced(x, (axis,), keepdims=False).with_dtype("int64")


@op("xp.argmin($x, axis=$axis)", **_INDEX)
def argmin(x: TensorType, *, axis: Axis = -1) -> TensorType:
    """Index, int64, of the first of the smallest elements along one axis (the last by default)."""
    _refuse_empty(x, (axis,))
    return _reduced(x, (axis,), keepdims=False).with_dtype("int64")


_TRUTH: dict[str, Any] = {
    "promote": ("x",),
    "compute": lambda dtype: "bool",
    "flops": _flops,
    "cases": _CASES,
    "zero_gradient": "truth values carry no gradient",
}


@op("xp.any($x, axis=$axis, keepdims=$keepdims)", **_TRUTH)
def any(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Whether one element is not 0; False of nothing."""
    return _reduced(x, axis, keepdims)


@op("xp.all($x, axis=$axis, keepdims=$keepdims)", **_TRUTH)
def all(x: TensorType, *, axis: Axes = _ALL, keepdims: bool = False) -> TensorType:
    """Whether no element is 0; True of nothing."""
    return _reduced(x, axis, keepdims)


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Mean square distance from the mean, over axes (population variance: divided by n)."""
    x = as_tensor(x)
    return mean(p.square(x - mean(x, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims)


@op(
    None,
    jax="jax.scipy.special.logsumexp($x, axis=$axis, keepdims=$keepdims)",
    promote=("x",),
    compute=dtypes.floating,
    flops=_four_flops,
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
    flops=_four_flops,
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
    flops=_four_flops,
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
