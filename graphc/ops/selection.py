"""What stands between brackets: NumPy's index with arrays in it, as a basic index and indices along one axis, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any, cast

import numpy as np

from graphc.core import Tensor, constant, describe, dtypes, sizes
from graphc.core.errors import BoundsError, DTypeError, GraphcError, ShapeError
from graphc.core.expr import METHODS, Constant
from graphc.core.record import Record
from graphc.core.sizes import Dim
from graphc.ops.index import EVERYTHING, Index, Item, bounds_of, flat_index, getitem, item_of, moved_axes, take, with_gap
from graphc.ops.shape import expand_dims, reshape, stack, transpose


class Selection(Record):
    """An index with arrays in it, step by step: a basic index, an order of the axes, indices along one axis, and new axes.

    The axes that have arrays lie together after the transposition, and ``merged`` makes one of them.
    """

    basic: Index
    order: tuple[int, ...]
    indices: Tensor
    axis: int
    count: int
    new: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether the basic index leaves everything."""
        return {*self.basic.items} == {EVERYTHING}

    def part(self, x: Tensor) -> Tensor:
        """What the slices leave of ``x``, in the order in which it is read."""
        part = x if self.whole else getitem(x, index=self.basic)
        return part if self.order == tuple(range(part.ndim)) else transpose(part, axes=self.order)

    def merged(self, part: Tensor) -> Tensor:
        """The part with one axis in the place of those that have arrays."""
        if self.count == 1:
            return part
        end = self.axis + self.count
        return reshape(part, (*part.shape[: self.axis], sizes.product(part.shape[self.axis : end]), *part.shape[end:]))

    def read(self, x: Tensor) -> Tensor:
        """``x[index]``."""
        found = take(self.merged(self.part(x)), self.indices, axis=self.axis)
        return expand_dims(found, axis=self.new) if self.new else found


def read(x: Tensor, index: Any) -> Tensor:
    """``x[index]`` with all that NumPy has: slices, numbers, ``...``, None, integer arrays that broadcast, and constant masks."""
    chosen = selection(x, index)
    return getitem(x, index=index) if chosen is None else chosen.read(x)


METHODS["getitem"] = read


def selection(x: Tensor, index: Any) -> Selection | None:
    """The steps of ``x[index]``, or None if a basic index does it in one."""
    given: list[Any] = list(cast("tuple[Any, ...]", index)) if isinstance(index, tuple) else [index]
    if not any(_is_array(item) for item in given):
        return None
    try:
        given = [_as_array(item) if _is_array(item) else item for item in given]
        return _steps(x, _items(x, given), _together(given))
    except GraphcError as error:
        if error.given:
            raise
        raise type(error)(f"x[...]: {error.asked}", given=[f"x: {describe(x)}"], fits=error.fits) from None


def _together(given: list[Any]) -> bool:
    """Whether no slice, None or ``...`` (be it for no axis) stands between the arrays, to which NumPy counts whole numbers here."""
    places = [i for i, item in enumerate(given) if not isinstance(item, slice | EllipsisType | None)]
    return places[-1] - places[0] == len(places) - 1


def _is_array(item: Any) -> bool:
    return isinstance(item, Tensor | list | tuple) or (isinstance(item, np.ndarray) and cast("Any", item).ndim > 0)


def _as_array(item: Any) -> Tensor:
    """An item that holds indices, or a mask, as a tensor."""
    if isinstance(item, Tensor):
        return item
    if isinstance(item, list | tuple) and any(isinstance(part, Tensor) for part in cast("Sequence[Any]", item)):
        return stack(cast("Sequence[Any]", item))
    array: np.ndarray[Any, Any] = np.asarray(cast("Any", item))
    return constant(array if array.size or array.dtype.kind != "f" else array.astype(np.int64))


def _items(x: Tensor, given: list[Any]) -> list[Item | Tensor]:
    """An entry for each axis, and None for each new one; a mask stands for the indices of what it lets through."""
    used = sum([0 if item is None or item is Ellipsis else _axes_of_item(item) for item in given])
    found: list[Item | Tensor] = []
    axis = 0
    for item in with_gap(given, used, x.ndim):
        entries = [None] if item is None else _entries(x, axis, item)
        axis += 0 if item is None else len(entries)
        found += entries
    return found


def _axes_of_item(item: Any) -> int:
    return item.ndim if isinstance(item, Tensor) and item.dtype == "bool" else 1


def _entries(x: Tensor, axis: int, item: Any) -> list[Item | Tensor]:
    if not isinstance(item, Tensor):
        return [item_of(item, x.shape[axis])]
    if item.dtype != "bool":
        _refuse_outside(item, axis, x.shape[axis])
        return [item]
    if not isinstance(item, Constant):
        raise DTypeError(
            f"how many elements a mask lets through is not known before it has a value: {describe(item)}",
            fits="a mask that is a constant; gc.where(mask, x, 0), which keeps the shape",
        )
    if not item.ndim or item.shape != x.shape[axis : axis + item.ndim]:
        fits = f"shape {x.shape[axis : axis + item.ndim]}" if item.ndim else "a mask with at least one axis"
        raise ShapeError(f"a mask of shape {item.shape} from axis {axis} on of {x.type}", fits=fits)
    return [constant(places) for places in np.nonzero(item.value)]


def _refuse_outside(indices: Tensor, axis: int, size: Dim) -> None:
    """Indices that are known are checked before they are used; NumPy checks the others in the call."""
    if isinstance(indices, Constant) and isinstance(size, int) and dtypes.is_integer(indices.dtype):
        outside = indices.value[(indices.value < -size) | (indices.value >= size)]
        if outside.size:
            raise BoundsError(f"index {outside.flat[0]} is out of bounds for axis {axis} with size {size}", fits=bounds_of(size))


def _steps(x: Tensor, items: list[Item | Tensor], together: bool) -> Selection:
    taken = [item for item in items if item is not None]
    named = [(i, item) for i, item in enumerate(taken) if isinstance(item, Tensor)]
    arrays = [item for _, item in named]
    kept = [item for item in taken if not isinstance(item, int)]
    axes = [i for i, item in enumerate(kept) if isinstance(item, Tensor)]
    axis = axes[0] if together else 0
    numbers = tuple([i for i, _ in named])
    indices = arrays[0] if len(arrays) == 1 else flat_index(arrays, shape=tuple([x.shape[i] for i in numbers]), axes=numbers)
    return Selection(
        basic=Index(tuple([EVERYTHING if isinstance(item, Tensor) else item for item in taken])),
        order=moved_axes(len(kept), axes, axis),
        indices=indices,
        axis=axis,
        count=len(arrays),
        new=_new_axes(items, together, indices.ndim),
    )


def _new_axes(items: list[Item | Tensor], together: bool, ndim: int) -> tuple[int, ...]:
    """Where the result has axes that are new: those of the arrays stand where the first array stands, or in front."""
    places = [i for i, item in enumerate(items) if isinstance(item, Tensor | int)]
    front = places[0] if together else 0
    rest = [items[:front], [item for i, item in enumerate(items) if i >= front and i not in places]]
    layout = [*rest[0], *[EVERYTHING] * ndim, *rest[1]]
    return tuple([i for i, item in enumerate(layout) if item is None])
