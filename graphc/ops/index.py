"""Reading elements by place: basic indices, integer indices along axes, and an index for each element.

Negative indices count from the end. One that is out of bounds raises IndexError on NumPy; on JAX reading there gives NaN for floats
(the smallest number for signed integers, the largest for unsigned ones), and what is added there is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias, cast

import numpy as np

from graphc.core import Op, Tensor, TensorType, case, constant, dtypes, op, sizes
from graphc.core.attributes import Axis, DTypeName, Target
from graphc.core.errors import ArgumentError, BoundsError, DTypeError, ShapeError
from graphc.core.record import Record
from graphc.core.sizes import Dim, Shape
from graphc.ops import pointwise as p
from graphc.ops.creation import arange
from graphc.ops.reduce import sum_to
from graphc.ops.shape import aligned, broadcast_to, expand_dims, reshape, stacked, transpose

__all__ = [
    "one_hot",
    "take",
    "take_along_axis",
]


class Span(Record):
    """``start:stop:step`` of one axis."""

    start: int | None
    stop: int | None
    step: int | None

    def __str__(self) -> str:
        parts = ["" if part is None else str(part) for part in (self.start, self.stop)]
        return ":".join(parts if self.step in (None, 1) else [*parts, str(self.step)])


EVERYTHING = Span(None, None, None)
Item: TypeAlias = Span | int | None


class Index(Record):
    """A basic index: an entry for each axis of the operand, and None for each new axis."""

    items: tuple[Item, ...]

    def __str__(self) -> str:
        """As it stands between the brackets of the emitted source."""
        return ", ".join(str(item) for item in self.items) or "()"

    def of_stack(self) -> Index:
        """The same index of each member of a stack."""
        return Index((EVERYTHING, *self.items))


def index_of(value: Any, types: tuple[TensorType, ...]) -> Index:
    """A basic index of the first operand, from what stands between the brackets."""
    if isinstance(value, Index):
        return _fitting(value, types[0].shape)
    items: list[Any] = list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else [value]
    used = sum(item is not None and item is not Ellipsis for item in items)
    shape = iter(types[0].shape)
    return Index(tuple([None if item is None else item_of(item, next(shape)) for item in with_gap(items, used, types[0].ndim)]))


def _fitting(index: Index, shape: Shape) -> Index:
    """The index itself, which another operand may have been meant for."""
    entries = [item for item in index.items if item is not None]
    if len(entries) != len(shape):
        raise ArgumentError(f"{len(entries)} indices for {len(shape)} axes", fits=f"{len(shape)}")
    for item, size in zip(entries, shape, strict=True):
        if not isinstance(item, Span):
            item_of(item, size)
        elif item.step == 0:
            raise ArgumentError("a slice cannot have step 0", fits="a step of 1, -1, 2 ...")
    return index


def with_gap(items: list[Any], used: int, ndim: int) -> list[Any]:
    """The items with slices in the place of ``...``, or behind the last, for the axes that are not used."""
    if used > ndim:
        raise ArgumentError(f"{used} indices for {ndim} axes", fits=f"at most {ndim}")
    if sum(item is Ellipsis for item in items) > 1:
        raise ArgumentError("'...' occurs twice in the index", fits="one '...'")
    gap = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    return [*items[:gap], *[slice(None)] * (ndim - used), *items[gap + 1 :]]


def item_of(item: Any, size: Dim) -> Span | int:
    """The entry of a basic index for an axis of this size. Raises :class:`BoundsError` for a place that it does not have."""
    if isinstance(item, slice):
        span = _span(cast("Any", item))
        if span.step == 0:
            raise ArgumentError("a slice cannot have step 0", fits="a step of 1, -1, 2 ...")
        return span
    place = _whole(item)
    if isinstance(size, int) and not -size <= place < size:
        raise BoundsError(f"index {place} is out of bounds", fits=bounds_of(size))
    return place


def bounds_of(size: int) -> str:
    """The indices that an axis of this size has, as errors name them."""
    return f"{-size} to {size - 1}" if size else "no index: the axis is empty"


def _span(item: Any) -> Span:
    return Span(*[None if part is None else _whole(part) for part in (item.start, item.stop, item.step)])


def _whole(part: Any) -> int:
    if isinstance(part, bool | np.bool_) or not hasattr(part, "__index__"):
        raise ArgumentError(f"{part!r} cannot index an axis", fits="a whole number, a slice, None, '...', or integer indices")
    return part.__index__()


def picked(shape: Shape, index: Index) -> Shape:
    """The shape of ``x[index]``."""
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


def _places(node: Tensor) -> list[tuple[Tensor | int, Dim]]:
    """The whole numbers of the index, which the type rule compares with numbers, but not with named sizes."""
    entries = [item for item in cast("Op", node.op).keywords(node)["index"].items if item is not None]
    return [(item, size) for item, size in zip(entries, node.inputs[0].shape, strict=False) if isinstance(item, int)]


@op(
    "$x[$index]",
    text="$x[$index]",
    tex="$x[$index]",
    view=True,
    raises=True,
    bounds=_places,
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
def getitem(x: TensorType, *, index: Annotated[Index, index_of]) -> TensorType:
    """NumPy's basic indexing: whole numbers, slices with any step, ``...`` and None."""
    return x.with_shape(picked(x.shape, index))


@getitem.vjp
def _(g: Tensor, y: Tensor, x: Tensor, index: Index) -> tuple[Tensor]:
    return (place(g, shape=x.shape, index=index),)


@getitem.vmap
def _(mapped: tuple[bool, ...], x: Tensor, index: Index) -> Tensor:
    return getitem(x, index=index.of_stack())


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


@place.vmap
def _(mapped: tuple[bool, ...], x: Tensor, shape: Shape, index: Index) -> Tensor:
    return place(x, shape=(x.shape[0], *shape), index=index.of_stack())


# ---------------------------------------------------------------- indices along one axis
def index_dtype(dtype: str) -> str:
    """The dtype that indices are brought to: JAX adds the size of the axis to negative ones in their own dtype, which has to hold it."""
    if not dtypes.is_integer(dtype):
        raise DTypeError(f"{dtype} values cannot be indices", fits="an integer dtype; gc.cast(indices, 'int32')")
    return "int32" if dtypes.itemsize(dtype) < 4 else dtype if dtype in dtypes.SIGNED else "int64"


def _indices(node: Tensor) -> list[tuple[Tensor | int, Dim]]:
    """The indices, each with the size of its axis: an attribute where the op makes the axis; the last axis if the op names none."""
    record = cast("Op", node.op)
    attributes: dict[str, Any] = record.keywords(node)
    if record.variadic:
        return list(zip(node.inputs, attributes["shape"], strict=True))
    size: Dim = cast("Dim", attributes["length"]) if "length" in attributes else node.inputs[0].shape[int(attributes.get("axis", -1))]
    return [(node.inputs[record.operands.index("indices")], size)]


INDICES: dict[str, Any] = {"promote": ("indices",), "compute": index_dtype, "raises": True, "bounds": _indices}


@op(
    "xp.take($x, $indices, axis=$axis)",
    linear=("x",),
    **INDICES,
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
    return x.with_shape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


@take.vjp
def _(g: Tensor, y: Tensor, x: Tensor, indices: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    return add_at(g, indices, axis=axis, length=x.shape[axis]), None


@take.vmap
def _(mapped: tuple[bool, ...], x: Tensor, indices: Tensor, axis: int) -> Tensor:
    if not mapped[1]:
        return take(x, indices, axis=axis + 1)
    if not mapped[0]:
        return to_front(take(x, indices, axis=axis), axis)
    found = take(rows_of(x, axis + 1), rows_at(indices, x.shape[axis + 1]), axis=0)
    return transpose(found, axes=moved_axes(found.ndim, range(1, indices.ndim), axis + 1))


def to_front(x: Tensor, axis: int) -> Tensor:
    """One axis made the first."""
    return transpose(x, axes=(axis, *(i for i in range(x.ndim) if i != axis)))


def rows_of(x: Tensor, axis: int) -> Tensor:
    """An axis, and the first one, as one first axis: the rows of all members of a stack."""
    x = transpose(x, axes=(0, axis, *(i for i in range(1, x.ndim) if i != axis)))
    return reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def rows_at(indices: Tensor, size: Dim) -> Tensor:
    """Where the rows that a stack of indices names are among those of all members."""
    member = reshape(arange(indices.shape[0]), (indices.shape[0],) + (1,) * (indices.ndim - 1))
    return flat_index([member, indices], shape=(indices.shape[0], size), axes=(0, 1))


def moved_axes(ndim: int, moved: Sequence[int], place: int) -> tuple[int, ...]:
    """The permutation that brings these axes, which lie together, to a place among the others."""
    rest = [i for i in range(ndim) if i not in moved]
    return (*rest[:place], *moved, *rest[place:])


def _scattered(x: TensorType, indices: TensorType, axis: int, length: Dim) -> Shape:
    return (*x.shape[:axis], length, *x.shape[axis + indices.ndim :])


def _added(node: Tensor) -> Dim:
    """An addition for each element that comes."""
    return node.inputs[0].size


SPOTS = '''
def spots(shape, indices, axis):
    """Where the items at these indices of an axis lie in row-major order. Functions of one axis alone are fast in ufunc.at."""
    size, inner = shape[axis], int(np.prod(shape[axis + 1:]))
    if np.any((indices < -size) | (indices >= size)):
        bad = indices[(indices < -size) | (indices >= size)].flat[0]
        raise IndexError(f"index {bad} is out of bounds for axis {axis} with size {size}")
    outer = np.arange(int(np.prod(shape[:axis]))).reshape(-1, 1, 1) * size
    rows = outer + np.where(indices < 0, indices + size, indices).reshape(1, -1, 1)
    return (rows * inner + np.arange(inner)).reshape(-1)
'''


@op(
    "add_at($x, $indices, $axis, $length)",
    jax=lambda axis, length: (
        f"xp.zeros($x.shape[:{axis}] + ({length},) + $x.shape[{axis} + $indices.ndim:], $x.dtype).at[{':, ' * axis}$indices].add($x)"
    ),
    helper=SPOTS
    + '''

def add_at(x, indices, axis, length):
    """The items of x added up where the indices say, in zeros with ``length`` items along the axis."""
    indices = np.asarray(indices)
    y = np.zeros(x.shape[:axis] + (length,) + x.shape[axis + indices.ndim:], x.dtype)
    np.add.at(y.reshape(-1), spots(y.shape, indices, axis), x.reshape(-1))
    return y
''',
    linear=("x",),
    **INDICES,
    flops=_added,
    cases=(
        case((2, 3), (2,), integers={"indices": 4}, axis=0, length=4),
        case((2, 2, 2), (2, 2), integers={"indices": 3}, axis=1, length=3),
    ),
)
def add_at(x: TensorType, indices: TensorType, *, axis: int, length: Dim) -> TensorType:
    """Items added up at these indices of an axis of ``length``, zeros elsewhere: the adjoint of ``take``.

    ``axis`` is an axis of the result, counted from the front.
    """
    if x.shape[axis : axis + indices.ndim] != indices.shape:
        raise ShapeError(f"{x} has no items at indices of shape {indices.shape} from axis {axis} on", fits="an item for each index")
    return x.with_shape(_scattered(x, indices, axis, length))


@add_at.vjp
def _(g: Tensor, y: Tensor, x: Tensor, indices: Tensor, axis: int, length: Dim) -> tuple[Tensor | None, ...]:
    return take(g, indices, axis=axis), None


@add_at.vmap
def _(mapped: tuple[bool, ...], x: Tensor, indices: Tensor, axis: int, length: Dim) -> Tensor:
    if not mapped[1]:
        return add_at(x, indices, axis=axis + 1, length=length)
    if not mapped[0]:
        x = broadcast_to(x, shape=(indices.shape[0], *x.shape))
    items = transpose(x, axes=moved_axes(x.ndim, range(axis + 1, axis + indices.ndim), 1))
    total = add_at(items, rows_at(indices, length), axis=0, length=length * indices.shape[0])
    return members_of(total, indices.shape[0], axis + 1)


def members_of(rows: Tensor, count: Dim, axis: int) -> Tensor:
    """The inverse of :func:`rows_of`."""
    length = sizes.divide(rows.shape[0], count)
    assert length is not None
    found = reshape(rows, (count, length, *rows.shape[1:]))
    return transpose(found, axes=moved_axes(found.ndim, [1], axis))


# ---------------------------------------------------------------- an index for each element
def _aligned(x: TensorType, indices: TensorType, axis: int) -> Shape:
    """The shape of both with one item on ``axis``."""
    if indices.ndim != x.ndim:
        raise ShapeError(f"indices of {indices.ndim} axes for {x.ndim}", fits="as many axes as x has")
    return sizes.broadcast([(*shape[:axis], 1, *shape[axis + 1 :]) for shape in (x.shape, indices.shape)])


@op(
    "xp.take_along_axis($x, $indices, axis=$axis)",
    linear=("x",),
    **INDICES,
    flops=0,
    cases=(
        case((3, 4), (3, 2), integers={"indices": 4}),
        case((3, 2), (5, 2), integers={"indices": 3}, axis=0),
        case((2, 1, 3), (1, 4, 2), integers={"indices": 3}, axis=-1),
        case((2, 3), (2, 0), integers={"indices": 3}),
    ),
)
def take_along_axis(x: TensorType, indices: TensorType, *, axis: Axis = -1) -> TensorType:
    """The elements that the indices name along one axis, ``x[i, indices[i, j]]``; the other axes broadcast.

    An index out of bounds raises IndexError on NumPy; on JAX it gives what ``take`` gives.
    """
    shape = _aligned(x, indices, axis)
    return x.with_shape((*shape[:axis], indices.shape[axis], *shape[axis + 1 :]))


@take_along_axis.vjp
def _(g: Tensor, y: Tensor, x: Tensor, indices: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    total = add_along_axis(g, broadcast_to(indices, shape=y.shape), axis=axis, length=x.shape[axis])
    return sum_to(total, x.shape), None


@take_along_axis.vmap
def _(mapped: tuple[bool, ...], x: Tensor, indices: Tensor, axis: int) -> Tensor:
    x, indices = [t if own else expand_dims(t, axis=0) for own, t in zip(mapped, (x, indices), strict=True)]
    return take_along_axis(x, indices, axis=axis + 1)


@op(
    "add_along_axis($x, $indices, $axis, $length)",
    helper='''
def add_along_axis(x, indices, axis, length):
    """The elements of x added up along an axis of ``length`` where the indices say, in zeros."""
    y = np.zeros(x.shape[:axis] + (length,) + x.shape[axis + 1:], x.dtype)
    if np.any((indices < -length) | (indices >= length)):
        bad = indices[(indices < -length) | (indices >= length)][0]
        raise IndexError(f"index {bad} is out of bounds for axis {axis} with size {length}")
    outer, inner = int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis + 1:]))
    rows = np.where(indices < 0, indices + length, indices).reshape(outer, x.shape[axis], inner)
    rows = rows + np.arange(outer).reshape(-1, 1, 1) * length
    np.add.at(y.reshape(-1), (rows * inner + np.arange(inner)).reshape(-1), x.reshape(-1))
    return y
''',
    jax_helper='''
def add_along_axis(x, indices, axis, length):
    """The elements of x added up along an axis of ``length`` where the indices say, in zeros."""
    grid = [jax.lax.broadcasted_iota(indices.dtype, x.shape, i) for i in range(x.ndim)]
    grid[axis] = indices
    return jnp.zeros(x.shape[:axis] + (length,) + x.shape[axis + 1:], x.dtype).at[tuple(grid)].add(x)
''',
    linear=("x",),
    **INDICES,
    flops=_added,
    cases=(
        case((3, 2), (3, 2), integers={"indices": 4}, axis=1, length=4),
        case((2, 2, 2), (2, 2, 2), integers={"indices": 3}, axis=0, length=3),
    ),
)
def add_along_axis(x: TensorType, indices: TensorType, *, axis: Axis, length: Dim) -> TensorType:
    """Elements added up at these indices along an axis of ``length``, zeros elsewhere: the adjoint of ``take_along_axis``."""
    if indices.shape != x.shape:
        raise ShapeError(f"indices of shape {indices.shape} for elements of {x.shape}", fits=f"shape {x.shape}")
    return x.with_shape((*x.shape[:axis], length, *x.shape[axis + 1 :]))


@add_along_axis.vjp
def _(g: Tensor, y: Tensor, x: Tensor, indices: Tensor, axis: int, length: Dim) -> tuple[Tensor | None, ...]:
    return take_along_axis(g, indices, axis=axis), None


@add_along_axis.vmap
def _(mapped: tuple[bool, ...], x: Tensor, indices: Tensor, axis: int, length: Dim) -> Tensor:
    x, indices = stacked(mapped, (x, indices))
    return add_along_axis(x, indices, axis=axis + 1, length=length)


@op(
    None,
    jax="jax.nn.one_hot($indices, $num_classes, dtype=$dtype)",
    text="onehot($indices)",
    tex=r"\operatorname{onehot}($indices)",
    flops=0,
    zero_gradient="an index carries no gradient",
    promote=("indices",),
    compute=index_dtype,
    cases=(case((3,), integers={"indices": 4}, num_classes=4), case((2, 2), integers={"indices": 3}, num_classes=3, dtype="float64")),
)
def one_hot(indices: TensorType, *, num_classes: int, dtype: DTypeName = "float32") -> TensorType:
    """A new last axis of ``num_classes``: 1 at the index and 0 elsewhere; nothing but zeros for an index out of range."""
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
    linear=("x",),
    **INDICES,
    flops=0,
    cases=(
        case((3, 4), (3,), integers={"indices": 4}),
        case((2, 2, 3), (2, 2), integers={"indices": 3}),
        case((3,), (), integers={"indices": 3}),
    ),
)
def pick(x: TensorType, indices: TensorType) -> TensorType:
    """One element of the last axis for each index: ``x[i, j, indices[i, j]]``. Out of bounds as in ``take``."""
    if indices.shape != x.shape[:-1]:
        raise ShapeError(f"indices of shape {indices.shape} do not name an element of each row of {x.shape}", fits=f"shape {x.shape[:-1]}")
    return x.with_shape(indices.shape)


@pick.vjp
def _(g: Tensor, y: Tensor, x: Tensor, indices: Tensor) -> tuple[Tensor | None, ...]:
    last = x.shape[-1]
    if not isinstance(last, int):
        raise ArgumentError("the gradient of pick needs a last axis of known size", fits="a whole number of classes")
    from_front = p.where(indices < 0, indices + last, indices)
    return expand_dims(g, axis=g.ndim) * one_hot(from_front, num_classes=last, dtype=x.dtype), None


@pick.vmap
def _(mapped: tuple[bool, ...], x: Tensor, indices: Tensor) -> Tensor:
    return pick(*stacked(mapped, (x, indices)))


# ---------------------------------------------------------------- indices along several axes
@op(
    "flat_index(($indices,), $shape, $axes)",
    helper='''
def flat_index(indices, shape, axes):
    """Where elements lie in row-major order, from an index for each axis. Raises IndexError as NumPy does."""
    flat = 0
    for index, size, axis in zip(indices, shape, axes):
        index = np.asarray(index, np.int64)
        outside = (index < -size) | (index >= size)
        if np.any(outside):
            raise IndexError(f"index {index[outside].flat[0]} is out of bounds for axis {axis} with size {size}")
        flat = flat * size + np.where(index < 0, index + size, index)
    return flat
''',
    jax_helper='''
def flat_index(indices, shape, axes):
    """Where elements lie in row-major order, from an index for each axis; behind the last one if an index is out of bounds."""
    flat, total, inside = 0, 1, True
    for index, size in zip(indices, shape):
        index = index.astype(jnp.int64)
        inside = inside & (index >= -size) & (index < size)
        flat, total = flat * size + jnp.where(index < 0, index + size, index), total * size
    return jnp.where(inside, flat, total)
''',
    **INDICES,
    zero_gradient="an index carries no gradient",
    flops=0,
    cases=(
        case((2, 3), (3,), integers={"indices0": 4, "indices1": 3}, shape=(4, 3), axes=(0, 1)),
        case((), integers={"indices0": 4}, shape=(4,), axes=(2,)),
    ),
)
def flat_index(*indices: TensorType, shape: Target, axes: tuple[int, ...]) -> TensorType:
    """Where elements lie in row-major order, int64, from an index for each axis of ``shape``; the indices broadcast.

    ``axes`` is what errors call the axes.
    """
    if len(indices) != len(shape):
        raise ArgumentError(f"{len(indices)} indices for {len(shape)} axes", fits="an index for each")
    return TensorType("int64", sizes.broadcast([index.shape for index in indices]))


@flat_index.vmap
def _(mapped: tuple[bool, ...], *indices: Tensor, shape: Shape, axes: tuple[int, ...]) -> Tensor:
    return flat_index(aligned(mapped, indices), shape=shape, axes=axes)
