"""Writing elements by place. Tensors do not change, so each of these gives a new one.

Indices are those of ``x[index]``: one that is out of bounds raises IndexError on NumPy; on JAX what was to be written there is dropped,
and its gradient is NaN, which is what reading there gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

import numpy as np

from graphc.core import Op, Tensor, TensorType, as_tensor, case, constant, describe, dtypes, op, sizes
from graphc.core.attributes import Axis, Target
from graphc.core.errors import DTypeError, ShapeError
from graphc.core.expr import METHODS
from graphc.core.op import as_dtype, common_dtype
from graphc.core.record import Record
from graphc.core.sizes import Dim, Shape
from graphc.ops import pointwise as p
from graphc.ops.index import (
    INDICES,
    SPOTS,
    Index,
    add_at,
    getitem,
    index_dtype,
    index_of,
    members_of,
    moved_axes,
    picked,
    rows_at,
    rows_of,
    take,
)
from graphc.ops.selection import Selection, selection
from graphc.ops.shape import full, ones, reshape, spread_to, stack, stacked, transpose, zeros_like

__all__ = [
    "bincount",
    "segment_max",
    "segment_min",
    "segment_sum",
    "slice",
    "slice_update",
]


# ---------------------------------------------------------------- at a basic index
@op(
    "replace($x, $values, np.index_exp[$index])",
    jax="xp.asarray($x).at[$index].set($values)",
    helper='''
def replace(x, values, index):
    """x with these values at ``index``."""
    y = np.array(x)
    y[index] = values
    return y
''',
    linear=("x", "values"),
    flops=0,
    cases=(
        case((4, 3), (3,), index=1),
        case((4, 3), (2, 3), index=(..., np.s_[::2], np.s_[:])),
        case((4, 3), (1, 3, 1), index=(np.s_[1:2], np.s_[::-1], None)),
        case((3,), (0,), index=np.s_[:0]),
        case((3,), (), index=2),
    ),
)
def replace(x: TensorType, values: TensorType, *, index: Annotated[Index, index_of]) -> TensorType:
    """``x`` with other values at a basic index, which have the shape and dtype of what was there."""
    _require_items(values, x.with_shape(picked(x.shape, index)))
    return x


def _require_items(values: TensorType, wanted: TensorType) -> None:
    if values is not wanted:
        raise ShapeError(f"{values} in the place of {wanted}", fits=str(wanted))


@replace.vjp
def _(g: Tensor, y: Tensor, x: Tensor, values: Tensor, index: Index) -> tuple[Tensor, Tensor]:
    return replace(g, zeros_like(values), index=index), getitem(g, index=index)


@replace.vmap
def _(mapped: tuple[bool, ...], x: Tensor, values: Tensor, index: Index) -> Tensor:
    x, values = stacked(mapped, (x, values))
    return replace(x, values, index=index.of_stack())


# ---------------------------------------------------------------- at indices of an axis
def _require_rows(x: TensorType, values: TensorType, indices: TensorType, axis: int) -> None:
    _require_items(values, x.with_shape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :]))


_WRITTEN: tuple[Any, ...] = (
    case((4, 3), (2, 3), (2,), integers={"indices": 4}, axis=0),
    case((2, 3), (2, 5), (5,), integers={"indices": 3}, axis=1),
    case((2, 3, 2), (2, 2, 2, 2), (2, 2), integers={"indices": 3}, axis=1),
    case((3, 2), (2,), (), integers={"indices": 3}, axis=0),
    case((3,), (0,), (0,), integers={"indices": 3}, axis=0),
)
_LAST = '''
def front(indices, length):
    """Indices from the front; those out of bounds are ``length``."""
    indices = indices.astype(jnp.arange(0).dtype)
    return jnp.where((indices < -length) | (indices >= length), length, jnp.where(indices < 0, indices + length, indices))


def winners(indices, length):
    """Where no later index is the same. XLA writes duplicates in any order, so that the last has to be found."""
    rows = front(indices, length).reshape(-1)
    turn = jnp.arange(rows.size)
    last = jnp.full(length, -1, turn.dtype).at[rows].max(turn, mode="drop")
    return (last.at[rows].get(mode="fill", fill_value=-1) == turn).reshape(indices.shape)
'''


@op(
    "winners($indices, $length)",
    helper='''
def winners(indices, length):
    """Where no later index is the same."""
    indices = np.asarray(indices)
    turn = np.arange(indices.size).reshape(indices.shape)
    last = np.empty(length, turn.dtype)
    last[indices] = turn
    return last[indices] == turn
''',
    jax_helper=_LAST,
    **INDICES,
    flops=0,
    zero_gradient="truth values carry no gradient",
    cases=(
        case((5,), integers={"indices": 3}, length=3),
        case((2, 3), integers={"indices": 4}, length=4),
        case((0,), length=2, integers={"indices": 2}),
    ),
)
def winners(indices: TensorType, *, length: Dim) -> TensorType:
    """Where no later index, in row-major order, names the same item of an axis of ``length``."""
    return indices.with_dtype("bool")


@op(
    "set_at($x, $values, $indices, $axis)",
    helper='''
def set_at(x, values, indices, axis):
    """x with these values at the indices of an axis. Of those for one place NumPy leaves the last."""
    y = np.array(x)
    y[(slice(None),) * axis + (indices,)] = values
    return y
''',
    jax_helper=_LAST
    + '''

def set_at(x, values, indices, axis):
    """x with these values at the indices of an axis; of those for one place the last wins."""
    length = x.shape[axis]
    rows = jnp.where(winners(indices, length), front(indices, length), length)
    return jnp.asarray(x).at[(slice(None),) * axis + (rows,)].set(values, mode="drop")
''',
    linear=("x", "values"),
    **INDICES,
    flops=0,
    cases=_WRITTEN,
)
def set_at(x: TensorType, values: TensorType, indices: TensorType, *, axis: Axis) -> TensorType:
    """``x`` with other values at these indices of an axis. Of several for one place the last wins, and it alone gets the gradient."""
    _require_rows(x, values, indices, axis)
    return x


@set_at.vjp
def _(g: Tensor, y: Tensor, x: Tensor, values: Tensor, indices: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    won = winners(indices, length=x.shape[axis])
    won = reshape(won, won.shape + (1,) * (x.ndim - axis - 1))
    return set_at(g, zeros_like(values), indices, axis=axis), p.where(won, take(g, indices, axis=axis), 0), None


@winners.vmap
def _(mapped: tuple[bool, ...], indices: Tensor, length: Dim) -> Tensor:
    return winners(rows_at(indices, length), length=length * indices.shape[0])


# ---------------------------------------------------------------- the largest and the smallest at a place
def _holders(y: Tensor, x: Tensor, values: Tensor, indices: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """1 where the old and the new values equal the extremum of their place, else 0, and how many do, in a dtype that holds every count."""
    wide = dtypes.wide(x.dtype)
    old = p.cast(p.equal(x, y), dtype=wide)
    new = p.cast(p.equal(values, take(y, indices, axis=axis)), dtype=wide)
    return old, new, old + add_at(new, indices, axis=axis, length=x.shape[axis])


def _tied(y: Tensor, x: Tensor, values: Tensor, indices: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    """Which values share the extremum of their place with others."""
    old, new, count = _holders(y, x, values, indices, axis)
    several = count > 1
    return p.logical_and(old > 0, several), p.logical_and(new > 0, take(several, indices, axis=axis)), None


def _compared(node: Tensor) -> Dim:
    return node.inputs[1].size


def _extremum(name: str, ufunc: str) -> dict[str, Any]:
    return {
        "emit": f"{name}_at($x, $values, $indices, $axis)",
        "jax": lambda axis: f"xp.asarray($x).at[{':, ' * axis}$indices].{name}($values)",
        "helper": SPOTS
        + f'''

def {name}_at(x, values, indices, axis):
    """The {ufunc} of x and the values at the indices of an axis."""
    y = np.array(x, order="C")
    np.{ufunc}.at(y.reshape(-1), spots(y.shape, np.asarray(indices), axis), values.reshape(-1))
    return y
''',
        "kink_note": "the old value and the new ones that tie share the gradient evenly",
        "choice": _tied,
        "flops": _compared,
        "cases": _WRITTEN,
        **INDICES,
    }


@op(**_extremum("max", "maximum"))
def max_at(x: TensorType, values: TensorType, indices: TensorType, *, axis: Axis) -> TensorType:
    """``x`` with the largest of what it has and these values at the indices of an axis. Those that tie share the gradient evenly."""
    dtypes.ordered(x.dtype)
    _require_rows(x, values, indices, axis)
    return x


@op(**_extremum("min", "minimum"))
def min_at(x: TensorType, values: TensorType, indices: TensorType, *, axis: Axis) -> TensorType:
    """``x`` with the smallest of what it has and these values at the indices of an axis. Those that tie share the gradient evenly."""
    dtypes.ordered(x.dtype)
    _require_rows(x, values, indices, axis)
    return x


@max_at.vjp
@min_at.vjp
def _(g: Tensor, y: Tensor, x: Tensor, values: Tensor, indices: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    """The gradient of an extremum, in even shares for all that equal it."""
    old, new, count = _holders(y, x, values, indices, axis)
    each = p.cast(g, dtype=count.dtype) / count
    return p.cast(old * each, dtype=x.dtype), p.cast(new * take(each, indices, axis=axis), dtype=x.dtype), None


def _on_stacks(write: Op) -> Callable[..., Tensor]:
    """Writing in each member of a stack: at indices of their own, the stack is one tensor with the rows of all."""

    def rule(mapped: tuple[bool, ...], x: Tensor, values: Tensor, indices: Tensor, axis: int) -> Tensor:
        if not mapped[2]:
            return write(*stacked(mapped[:2], (x, values)), indices, axis=axis + 1)
        x, values, indices = stacked(mapped, (x, values, indices))
        values = transpose(values, axes=moved_axes(values.ndim, range(axis + 1, axis + indices.ndim), 1))
        written = write(rows_of(x, axis + 1), values, rows_at(indices, x.shape[axis + 1]), axis=0)
        return members_of(written, x.shape[0], axis + 1)

    return rule


for _write in (set_at, max_at, min_at):
    _write.vmap(_on_stacks(_write))


# ---------------------------------------------------------------- x.at[index]
class Place(Record):
    """The elements of a tensor at an index. Each method gives the tensor with something else there; ``x[index]`` reads them.

    Values broadcast to the shape of ``x[index]``, and take the dtype of ``x``.
    """

    tensor: Tensor
    index: Any

    def set(self, values: Any) -> Tensor:
        """Other values. Of several for one place the last wins, and it alone gets the gradient."""
        return self._write(values, lambda old, new: new, set_at)

    def add(self, values: Any) -> Tensor:
        """What is there plus these values, each of which counts where several go to one place."""
        return self._write(values, p.add, _plus)

    def max(self, values: Any) -> Tensor:
        """The largest of what is there and these values. Those that tie share the gradient evenly."""
        return self._write(values, p.maximum, max_at)

    def min(self, values: Any) -> Tensor:
        """The smallest of what is there and these values. Those that tie share the gradient evenly."""
        return self._write(values, p.minimum, min_at)

    def _write(self, values: Any, change: Callable[[Tensor, Tensor], Tensor], write: Callable[..., Tensor]) -> Tensor:
        """``change`` is the method where no place comes twice, ``write`` the op for indices of one axis."""
        values = _in_dtype_of(self.tensor, values)
        chosen = selection(self.tensor, self.index)
        if chosen is not None:
            return _written(self.tensor, values, chosen, write)
        old = getitem(self.tensor, index=self.index)
        return replace(self.tensor, change(old, spread_to(values, old.shape)), index=self.index)


class Places(Record):
    """``x.at``: an index makes a :class:`Place` of it."""

    tensor: Tensor

    def __getitem__(self, index: Any) -> Place:
        return Place(self.tensor, index)


METHODS["at"] = Places


def _plus(x: Tensor, values: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    return x + add_at(values, indices, axis=axis, length=x.shape[axis])


def _in_dtype_of(x: Tensor, values: Any) -> Tensor:
    """Values as a tensor of the dtype of ``x``, where that only rounds them."""
    together = common_dtype((x, values))
    if together != x.dtype and not (dtypes.is_float(x.dtype) and dtypes.is_float(together)):
        asked = f"x.at[index]: the values need {together}, and x is {x.dtype}"
        raise DTypeError(asked, given=[f"x: {describe(x)}"], fits=f"x.astype({together!r})")
    return as_dtype(values, x.dtype)


def _written(x: Tensor, values: Tensor, chosen: Selection, write: Callable[..., Tensor]) -> Tensor:
    """Backwards through the steps of reading: the values lose their new axes, go to their rows, and these back to where they lie."""
    part = chosen.part(x)
    merged = chosen.merged(part)
    shape = (*merged.shape[: chosen.axis], *chosen.indices.shape, *merged.shape[chosen.axis + 1 :])
    rows = write(merged, _without_new_axes(values, shape, chosen.new), chosen.indices, axis=chosen.axis)
    part = reshape(rows, part.shape) if chosen.count > 1 else rows
    if chosen.order != tuple(range(part.ndim)):
        part = transpose(part, axes=[chosen.order.index(i) for i in range(part.ndim)])
    return part if chosen.whole else replace(x, part, index=chosen.basic)


def _without_new_axes(values: Tensor, shape: Shape, new: tuple[int, ...]) -> Tensor:
    """Values that broadcast to ``shape`` with axes of size 1 at ``new``, brought to ``shape``."""
    with_new = list(shape)
    for axis in new:
        with_new.insert(axis, 1)
    values = spread_to(values, tuple(with_new))
    return reshape(values, shape) if new else values


# ---------------------------------------------------------------- segments
def segment_sum(data: Any, segment_ids: Any, *, num_segments: Any) -> Tensor:
    """Items of the first axis added up by the segment that they belong to; 0 for a segment without any.

    ``segment_ids`` has an index for each item, in any order.
    """
    return add_at(data, segment_ids, axis=0, length=_segments(num_segments))


def segment_max(data: Any, segment_ids: Any, *, num_segments: Any) -> Tensor:
    """The largest of the items of each segment, as :func:`segment_sum` has them; -inf, or the smallest integer, for one without any."""
    data = as_tensor(data)
    return max_at(_empty_segments(data, num_segments, -np.inf), data, segment_ids, axis=0)


def segment_min(data: Any, segment_ids: Any, *, num_segments: Any) -> Tensor:
    """The smallest of the items of each segment, as :func:`segment_sum` has them; inf, or the largest integer, for one without any."""
    data = as_tensor(data)
    return min_at(_empty_segments(data, num_segments, np.inf), data, segment_ids, axis=0)


def _segments(num_segments: Any) -> Dim:
    (count,) = sizes.canonical(num_segments)
    return count


def _empty_segments(data: Tensor, num_segments: Any, worst: float) -> Tensor:
    value: Any = worst
    if data.dtype == "bool":
        value = worst > 0
    elif dtypes.is_integer(data.dtype):
        limits = np.iinfo(data.dtype)
        value = limits.max if worst > 0 else limits.min
    return full((_segments(num_segments), *data.shape[1:]), value, data.dtype)


def bincount(x: Any, weights: Any = None, *, length: Any) -> Tensor:
    """How often each number below ``length`` comes in ``x``, int64, or the sum of the weights that come with it."""
    x = as_tensor(x)
    if x.ndim != 1:
        raise ShapeError(f"bincount(x): {x.type} is not a vector", given=[f"x: {describe(x)}"], fits="one axis; gc.reshape(x, -1)")
    return segment_sum(ones(x.shape, "int64") if weights is None else weights, x, num_segments=length)


# ---------------------------------------------------------------- a block from a place on
_BLOCK = '''
def block(x, start, shape):
    """The block of this shape from ``start`` on, moved so far that it lies inside."""
    places = []
    for place, size, length in zip(start.tolist(), x.shape, shape):
        place = min(max(place + size if place < 0 else place, 0), size - length)
        places.append(slice(place, place + length))
    return tuple(places)
'''
_START: dict[str, Any] = {"promote": ("start",), "compute": index_dtype, "flops": 0}


@op(
    "dynamic_slice($x, $start, $shape)",
    jax="jax.lax.dynamic_slice($x, $start, $shape)",
    helper=_BLOCK
    + '''

def dynamic_slice(x, start, shape):
    """The block of x from ``start`` on."""
    return x[block(x, start, shape)]
''',
    view=True,
    linear=("x",),
    **_START,
    cases=(
        case((4, 3), (2,), integers={"start": 3}, shape=(2, 3)),
        case((5,), (1,), integers={"start": 5}, shape=(2,)),
        case((3,), (1,), integers={"start": 3}, shape=(0,)),
        case((), (0,), integers={"start": 1}, shape=()),
    ),
)
def dynamic_slice(x: TensorType, start: TensorType, *, shape: Target) -> TensorType:
    """The block of this shape whose first element is at ``start``, an index for each axis, moved so far that it lies inside."""
    _require_block(x, start, shape)
    return x.with_shape(shape)


def _require_block(x: TensorType, start: TensorType, shape: Shape) -> None:
    if start.shape != (x.ndim,):
        raise ShapeError(f"start indices {start} for {x.ndim} axes", fits=f"shape ({x.ndim},)")
    if len(shape) != x.ndim or any(isinstance(a, int) and isinstance(b, int) and a > b for a, b in zip(shape, x.shape, strict=True)):
        raise ShapeError(f"there is no block of shape {shape} in {x}", fits=f"{x.ndim} axes, none longer than that of x")


@dynamic_slice.vjp
def _(g: Tensor, y: Tensor, x: Tensor, start: Tensor, shape: Shape) -> tuple[Tensor | None, ...]:
    return dynamic_update_slice(zeros_like(x), g, start), None


@op(
    "dynamic_update_slice($x, $update, $start)",
    jax="jax.lax.dynamic_update_slice($x, $update, $start)",
    helper=_BLOCK
    + '''

def dynamic_update_slice(x, update, start):
    """x with another block from ``start`` on."""
    y = np.array(x)
    y[block(x, start, update.shape)] = update
    return y
''',
    linear=("x", "update"),
    **_START,
    cases=(
        case((4, 3), (2, 3), (2,), integers={"start": 3}),
        case((5,), (2,), (1,), integers={"start": 5}),
        case((3,), (0,), (1,), integers={"start": 3}),
    ),
)
def dynamic_update_slice(x: TensorType, update: TensorType, start: TensorType) -> TensorType:
    """``x`` with another block from ``start`` on, where ``dynamic_slice`` has it."""
    _require_block(x, start, update.shape)
    _require_items(update, x.with_shape(update.shape))
    return x


@dynamic_update_slice.vjp
def _(g: Tensor, y: Tensor, x: Tensor, update: Tensor, start: Tensor) -> tuple[Tensor | None, ...]:
    return dynamic_update_slice(g, zeros_like(update), start), dynamic_slice(g, start, shape=update.shape), None


def slice(inputs: Any, start_indices: Any, shape: Any) -> Tensor:
    """The block of this shape that begins at ``start_indices``, which may be tensors (Keras's ``slice``).

    A negative index counts from the end. A block that would reach beyond an axis is moved back until it lies inside, as in
    ``jax.lax.dynamic_slice``; ``x[a:b]`` is the way for numbers that are known.
    """
    return dynamic_slice(inputs, _vector(start_indices), shape=shape)


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """``inputs`` with other elements in the block that begins at ``start_indices``, where :func:`slice` has it."""
    inputs = as_tensor(inputs)
    return dynamic_update_slice(inputs, _in_dtype_of(inputs, updates), _vector(start_indices))


def _vector(numbers: Any) -> Any:
    """Numbers, of which some may be tensors, as one tensor of indices."""
    if not isinstance(numbers, list | tuple):
        return numbers
    items = [as_tensor(item) for item in cast("list[Any]", numbers)]
    return stack(items) if items else constant([], "int64")
