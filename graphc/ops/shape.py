"""Ops that move elements and change none. All are linear, and most are views on NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc.core import Bundle, Tensor, TensorType, as_tensor, case, constant, op, sizes
from graphc.core.attributes import Axis, DTypeName, NewAxes, Permutation, Reshaped, Target, axes_of
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.sizes import Dim, Shape

__all__ = [
    "broadcast_to",
    "concatenate",
    "expand_dims",
    "full",
    "ones",
    "ones_like",
    "reshape",
    "squeeze",
    "stack",
    "transpose",
    "zeros",
    "zeros_like",
]


@op(
    "xp.reshape($x, $shape)",
    view=True,
    linear=("x",),
    flops=0,
    cases=(case((2, 3), shape=(3, 2)), case((2, 3), shape=-1), case((4,), shape=(1, 2, -1)), case((), shape=(1,))),
)
def reshape(x: TensorType, *, shape: Reshaped) -> TensorType:
    """The same elements, in row-major order, in another shape; one size may be -1."""
    if sizes.product(shape) != x.size:
        raise ShapeError(f"{x.size} elements do not fit into {shape}", fits=f"a shape of {x.size} elements, or one size as -1")
    return x.with_shape(shape)


@reshape.vjp
def _(g: Tensor, y: Tensor, x: Tensor, shape: Shape) -> tuple[Tensor]:
    return (reshape(g, x.shape),)


@op(
    "xp.transpose($x, $axes)",
    view=True,
    linear=("x",),
    flops=0,
    text="$xᵀ",
    tex=r"$x^\top",
    binds=1,
    cases=(case((2, 3)), case((2, 3, 4), axes=(1, 2, 0)), case((3,)), case(())),
)
def transpose(x: TensorType, *, axes: Permutation = None) -> TensorType:  # type: ignore[assignment]
    """Permute the axes: axis ``i`` of the result is axis ``axes[i]`` of ``x``; by default they are reversed."""
    return x.with_shape(tuple([x.shape[axis] for axis in axes]))


@transpose.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor]:
    return (transpose(g, axes=tuple([axes.index(i) for i in range(len(axes))])),)


@op(
    "xp.expand_dims($x, $axis)",
    view=True,
    linear=("x",),
    flops=0,
    cases=(case((2, 3), axis=0), case((2, 3), axis=-1), case((), axis=(0, 1))),
)
def expand_dims(x: TensorType, *, axis: NewAxes) -> TensorType:
    """Insert axes of size 1 at these places of the result."""
    shape = list(x.shape)
    for place in axis:
        shape.insert(place, 1)
    return x.with_shape(tuple(shape))


@expand_dims.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...]) -> tuple[Tensor]:
    return (reshape(g, x.shape),)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Drop axes of size 1: all of them, or those named. Raises :class:`ShapeError` for another size."""
    x = as_tensor(x)
    ones = [i for i, size in enumerate(x.shape) if size == 1]
    dropped = ones if axis is None else axes_of(axis if isinstance(axis, int) else tuple(axis), x.ndim)
    if set(dropped) - set(ones):
        raise ShapeError(f"squeeze: axes {tuple(dropped)} of {x.type} are not all of size 1", fits=f"some of {tuple(ones)}")
    return reshape(x, tuple([size for i, size in enumerate(x.shape) if i not in dropped]))


@op(
    "xp.broadcast_to($x, $shape)",
    view=True,
    linear=("x",),
    flops=0,
    cases=(case((3,), shape=(2, 3)), case((), shape=(2,)), case((2, 1), shape=(2, 3))),
)
def broadcast_to(x: TensorType, *, shape: Target) -> TensorType:
    """Repeat ``x`` along new axes and those of size 1, without a copy."""
    if sizes.broadcast([x.shape, shape]) != shape:
        raise ShapeError(f"{x} does not broadcast to {shape}", fits="equal sizes or 1, counted from the last axis")
    return x.with_shape(shape)


@op(
    "xp.concatenate([$xs], axis=$axis)",
    linear=("xs",),
    promote=("xs",),
    flops=0,
    cases=(case((2, 3), (1, 3)), case((2, 3), (2, 1), (2, 2), axis=1), case((2,), axis=-1)),
)
def concatenate(*xs: TensorType, axis: Axis = 0) -> TensorType:
    """Join tensors along one axis; all other sizes are equal."""
    if not xs:
        raise ArgumentError("there is nothing to join", fits="at least one tensor")
    first = xs[0]
    rest = first.shape[:axis] + first.shape[axis + 1 :]
    for x in xs:
        if x.ndim != first.ndim or x.shape[:axis] + x.shape[axis + 1 :] != rest:
            raise ShapeError(f"{first} and {x} cannot be joined along axis {axis}", fits="shapes that are equal but for that axis")
    total: Dim = 0
    for x in xs:
        total = x.shape[axis] + total
    return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))


@concatenate.vjp
def _(g: Tensor, y: Tensor, *xs: Tensor, axis: int) -> tuple[Tensor, ...]:
    start: Dim = 0
    parts: list[Tensor] = []
    for x in xs:
        parts.append(narrow(g, axis=axis, start=start, length=x.shape[axis]))
        start = x.shape[axis] + start
    return tuple(parts)


def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis."""
    return concatenate([expand_dims(as_tensor(x), axis=axis) for x in xs], axis=axis)


def _narrow_source(axis: int, start: Dim, length: Dim) -> str:
    return f"$x[{':, ' * axis}{start}:{start + length}]"


@op(
    _narrow_source,
    view=True,
    linear=("x",),
    flops=0,
    cases=(case((2, 3), axis=1, start=1, length=2), case((4,), axis=0, start=0, length=0)),
)
def narrow(x: TensorType, *, axis: Axis, start: Dim, length: Dim) -> TensorType:
    """``length`` items of one axis, from ``start``; both may be named sizes."""
    return x.with_shape((*x.shape[:axis], length, *x.shape[axis + 1 :]))


@narrow.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int, start: Dim, length: Dim) -> tuple[Tensor]:
    return (widen(g, axis=axis, start=start, total=x.shape[axis]),)


@op(
    "widen($x, $axis, $start, $total)",
    jax="jax.lax.pad($x, xp.zeros((), $x.dtype), "
    "((0, 0, 0),) * $axis + (($start, $total - $start - $x.shape[$axis], 0),) + ((0, 0, 0),) * ($x.ndim - $axis - 1))",
    helper='''
def widen(x, axis, start, total):
    """x in a tensor of zeros, from ``start`` on of an axis of ``total`` items."""
    y = np.zeros((*x.shape[:axis], total, *x.shape[axis + 1 :]), x.dtype)
    y[(slice(None),) * axis + (slice(start, start + x.shape[axis]),)] = x
    return y
''',
    linear=("x",),
    flops=0,
    cases=(case((2, 3), axis=1, start=1, total=5), case((0,), axis=0, start=2, total=2)),
)
def widen(x: TensorType, *, axis: Axis, start: Dim, total: Dim) -> TensorType:
    """Zeros, but for ``x`` from ``start`` on of one axis: the adjoint of ``narrow``."""
    return x.with_shape((*x.shape[:axis], total, *x.shape[axis + 1 :]))


@widen.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int, start: Dim, total: Dim) -> tuple[Tensor]:
    return (narrow(g, axis=axis, start=start, length=x.shape[axis]),)


# ---------------------------------------------------------------- several results
@op("$x[$index]", view=True, linear=("x",), flops=0, text="$x[$index]", tex="$x_{$index}", group="internal")
def part(x: TensorType, *, index: int) -> TensorType:
    """One of the results of an op that has several."""
    assert isinstance(x, Bundle)
    return x.parts[index]


# ---------------------------------------------------------------- creation
@op("$dtype($size)", flops=0, text="$size", tex="$size", cases=(case(size=3, dtype="float32"),))
def count(*, size: Dim, dtype: DTypeName) -> TensorType:
    """A size as a number: what a mean divides by when the batch has a name."""
    return TensorType(dtype, ())


def number(size: Dim, dtype: str) -> Tensor:
    """A size as a tensor: a constant where it is known, else a :data:`count`."""
    return constant(size, dtype) if isinstance(size, int) else count(size=size, dtype=dtype)


def full(shape: Any, value: Any, dtype: Any = "float32") -> Tensor:
    """One number in every place of a tensor of this shape."""
    scalar = constant(value, dtype)
    shape = sizes.canonical(shape)
    return broadcast_to(scalar, shape=shape) if shape else scalar


def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """Zeros of this shape."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """Ones of this shape."""
    return full(shape, 1, dtype)


def zeros_like(x: Any) -> Tensor:
    """Zeros of x's shape and dtype."""
    x = as_tensor(x)
    return full(x.shape, 0, x.dtype)


def ones_like(x: Any) -> Tensor:
    """Ones of x's shape and dtype."""
    x = as_tensor(x)
    return full(x.shape, 1, x.dtype)
