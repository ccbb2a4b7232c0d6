"""Reading elements by place: basic slices, and integer indices along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

import numpy as np

from graphc.core import Tensor, TensorType, case, constant, dtypes, op, sizes
from graphc.core.attributes import Axis, DTypeName, Target
from graphc.core.errors import ArgumentError, BoundsError, DTypeError
from graphc.core.sizes import Dim, Shape
from graphc.ops import pointwise as p
from graphc.ops.shape import expand_dims

__all__ = [
    "one_hot",
    "take",
]


@dataclass(frozen=True, slots=True)
class Span:
    """``start:stop:step`` of one axis."""

    start: int | None
    stop: int | None
    step: int | None

    def __str__(self) -> str:
        parts = ["" if part is None else str(part) for part in (self.start, self.stop)]
        return ":".join(parts if self.step in (None, 1) else [*parts, str(self.step)])


Item: TypeAlias = Span | int | None


@dataclass(frozen=True, slots=True)
class Index:
    """A basic index: an entry for each axis of the operand, and None for each new axis."""

    items: tuple[Item, ...]

    def __str__(self) -> str:
        """As it stands between the brackets of the emitted source."""
        return ", ".join(str(item) for item in self.items) or "()"


def _index(value: Any, types: tuple[TensorType, ...]) -> Index:
    if isinstance(value, Index):
        return value
    items: list[Any] = list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else [value]
    used = sum(item is not None and item is not Ellipsis for item in items)
    ndim = types[0].ndim
    if used > ndim:
        raise ArgumentError(f"{used} indices for {ndim} axes", fits=f"at most {ndim}")
    if sum(item is Ellipsis for item in items) > 1:
        raise ArgumentError("'...' occurs twice in the index", fits="one '...'")
    gap = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    items[gap : gap + 1] = [slice(None)] * (ndim - used)
    shape = iter(types[0].shape)
    return Index(tuple([None if item is None else _item(item, next(shape)) for item in items]))


def _item(item: Any, size: Dim) -> Span | int:
    if isinstance(item, slice):
        span = _span(cast("Any", item))
        if span.step == 0:
            raise ArgumentError("a slice cannot have step 0", fits="a step of 1, -1, 2 ...")
        return span
    place = _whole(item)
    if isinstance(size, int) and not -size <= place < size:
        raise BoundsError(f"index {place} is out of bounds", fits=f"{-size} to {size - 1}" if size else "no index: the axis is empty")
    return place


def _span(item: Any) -> Span:
    return Span(*[None if part is None else _whole(part) for part in (item.start, item.stop, item.step)])


def _whole(part: Any) -> int:
    if isinstance(part, bool | np.bool_) or not hasattr(part, "__index__"):
        raise ArgumentError(f"{part!r} cannot index an axis", fits="a whole number, a slice, None, '...'; gc.take for a tensor of indices")
    return part.__index__()


def _picked(shape: Shape, index: Index) -> Shape:
    left = iter(shape)
    found: list[Dim] = []
    for item in index.items:
        if item is None:
            found.append(1)
        elif isinstance(item, Span):
            found.append(sizes.sliced(next(left), item.start, item.stop, item.step))
        else:
            next(left)
    return tuple(found)


@op(
    "$x[$index]",
    text="$x[$index]",
    tex="$x[$index]",
    view=True,
    raises=True,
    linear=("x",),
    flops=0,
    cases=(
        case((4, 3), index=1),
        case((4, 3), index=(slice(1, 3), None, -1)),
        case((5,), index=slice(None, None, -2)),
        case((4, 3), index=(..., slice(-1, None))),
        case((2, 3), index=(slice(5, 9),)),
    ),
)
def getitem(x: TensorType, *, index: Annotated[Index, _index]) -> TensorType:
    """NumPy's basic indexing: whole numbers, slices with any step, ``...`` and None."""
    return x.with_shape(_picked(x.shape, index))


@getitem.vjp
def _(g: Tensor, y: Tensor, x: Tensor, index: Index) -> tuple[Tensor]:
    return (place(g, shape=x.shape, index=index),)


def _given(value: Any, types: tuple[TensorType, ...]) -> Index:
    return value if isinstance(value, Index) else Index(tuple([_span(i) if isinstance(i, slice) else i for i in value]))


@op(
    "place($x, $shape, np.index_exp[$index])",
    jax="xp.zeros($shape, $x.dtype).at[$index].set($x)",
    helper='''
def place(x, shape, index):
    """x at ``index`` of a tensor of zeros."""
    y = np.zeros(shape, x.dtype)
    y[index] = x
    return y
''',
    linear=("x",),
    flops=0,
    cases=(case((3,), shape=(4, 3), index=(1, slice(None))), case((2,), shape=(4,), index=(slice(None, None, 2),))),
)
def place(x: TensorType, *, shape: Target, index: Annotated[Index, _given]) -> TensorType:
    """Zeros of this shape, but for ``x`` at a basic index: the adjoint of indexing."""
    return x.with_shape(shape)


@place.vjp
def _(g: Tensor, y: Tensor, x: Tensor, shape: Shape, index: Index) -> tuple[Tensor]:
    return (getitem(g, index=index),)


def _require_integers(indices: TensorType) -> None:
    if not dtypes.is_integer(indices.dtype):
        raise DTypeError(f"{indices.dtype} values cannot be indices", fits="an integer dtype; gc.cast(indices, 'int32')")


@op(
    "xp.take($x, $indices, axis=$axis)",
    raises=True,
    linear=("x",),
    flops=0,
    cases=(
        case((4, 3), (2,), integers={"indices": 4}),
        case((2, 3), (2, 2), integers={"indices": 3}, axis=1),
        case((4,), (), integers={"indices": 4}),
    ),
)
def take(x: TensorType, indices: TensorType, *, axis: Axis = 0) -> TensorType:
    """The items of one axis at these indices; negative ones count from the end, and one may come more than once.

    An index out of bounds raises IndexError on NumPy; on JAX it gives NaN for floats (and the smallest or largest integer).
    """
    _require_integers(indices)
    return x.with_shape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


@take.vjp
def _(g: Tensor, y: Tensor, x: Tensor, indices: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    return add_at(g, indices, axis=axis, length=x.shape[axis]), None


def _scattered(x: TensorType, indices: TensorType, axis: int, length: Dim) -> Shape:
    return (*x.shape[:axis], length, *x.shape[axis + indices.ndim :])


@op(
    "add_at($x, $indices, $axis, $length)",
    jax=lambda axis, length: (
        f"xp.zeros($x.shape[:{axis}] + ({length},) + $x.shape[{axis} + $indices.ndim:], $x.dtype).at[{':, ' * axis}$indices].add($x)"
    ),
    helper='''
def add_at(x, indices, axis, length):
    """The items of x added up where ``indices`` says, in zeros with ``length`` items along ``axis``."""
    y = np.zeros(x.shape[:axis] + (length,) + x.shape[axis + np.ndim(indices):], x.dtype)
    np.add.at(y, (slice(None),) * axis + (indices,), x)
    return y
''',
    raises=True,
    linear=("x",),
    cases=(
        case((2, 3), (2,), integers={"indices": 4}, axis=0, length=4),
        case((2, 2, 2), (2, 2), integers={"indices": 3}, axis=1, length=3),
    ),
)
def add_at(x: TensorType, indices: TensorType, *, axis: int, length: Dim) -> TensorType:
    """Items added up at these indices of an axis of ``length``, zeros elsewhere: the adjoint of ``take``.

    ``axis`` is an axis of the result, counted from the front.
    """
    _require_integers(indices)
    return x.with_shape(_scattered(x, indices, axis, length))


@add_at.vjp
def _(g: Tensor, y: Tensor, x: Tensor, indices: Tensor, axis: int, length: Dim) -> tuple[Tensor | None, ...]:
    return take(g, indices, axis=axis), None


@op(
    None,
    jax="jax.nn.one_hot($indices, $num_classes, dtype=$dtype)",
    flops=0,
    zero_gradient="an index carries no gradient",
    cases=(case((3,), integers={"indices": 4}, num_classes=4), case((2, 2), integers={"indices": 3}, num_classes=3, dtype="float64")),
)
def one_hot(indices: TensorType, *, num_classes: int, dtype: DTypeName = "float32") -> TensorType:
    """A new last axis of ``num_classes``: 1 at the index and 0 elsewhere; nothing but zeros for an index out of range."""
    _require_integers(indices)
    return TensorType(dtype, (*indices.shape, num_classes))


@one_hot.decompose
def _(indices: Tensor, num_classes: int, dtype: str) -> Tensor:
    classes = constant(np.arange(num_classes), "int64")
    return p.cast(p.equal(p.cast(expand_dims(indices, axis=indices.ndim), dtype="int64"), classes), dtype=dtype)


@op(
    "pick($x, $indices)",
    jax="xp.take_along_axis($x, $indices[..., None], axis=-1)[..., 0]",
    helper='''
def pick(x, indices):
    """The element of each row of x that ``indices`` names."""
    rows = x.reshape(-1, x.shape[-1])
    return rows[np.arange(len(rows)), np.reshape(indices, -1)].reshape(np.shape(indices))
''',
    raises=True,
    linear=("x",),
    flops=0,
    cases=(
        case((3, 4), (3,), integers={"indices": 4}),
        case((2, 2, 3), (2, 2), integers={"indices": 3}),
        case((3,), (), integers={"indices": 3}),
    ),
)
def pick(x: TensorType, indices: TensorType) -> TensorType:
    """One element of the last axis for each index: ``x[i, j, indices[i, j]]``. Out of bounds as in ``take``."""
    _require_integers(indices)
    if indices.shape != x.shape[:-1]:
        raise ArgumentError(
            f"indices of shape {indices.shape} do not name an element of each row of {x.shape}", fits=f"shape {x.shape[:-1]}"
        )
    return x.with_shape(indices.shape)


@pick.vjp
def _(g: Tensor, y: Tensor, x: Tensor, indices: Tensor) -> tuple[Tensor | None, ...]:
    last = x.shape[-1]
    if not isinstance(last, int):
        raise ArgumentError("the gradient of pick needs a last axis of known size", fits="a whole number of classes")
    from_front = p.where(indices < 0, indices + last, indices)
    return expand_dims(g, axis=g.ndim) * one_hot(from_front, num_classes=last, dtype=x.dtype), None
