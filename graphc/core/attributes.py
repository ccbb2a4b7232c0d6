"""The kinds of attributes that ops have, each with the canonical form that its many spellings get."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, Any, cast

from graphc.core import dtypes, sizes
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.sizes import Dim
from graphc.core.types import TensorType


def several(value: Any) -> Sequence[Any]:
    """A list or tuple as it is, anything else as the one item of a tuple."""
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else (value,)


def axis_of(axis: Any, ndim: int) -> int:
    """``axis`` counted from the front. Raises :class:`ArgumentError` when there is no such axis."""
    if axis.__class__ is int and 0 <= axis < ndim:
        return axis
    try:
        number = operator.index(axis)
    except TypeError:
        raise ArgumentError(f"axis {axis!r} is not a whole number", fits=f"{-ndim} to {ndim - 1}") from None
    if not -ndim <= number < ndim:
        raise ArgumentError(f"there is no axis {number}", fits=f"{-ndim} to {ndim - 1}" if ndim else "no axis: the tensor has none")
    return number % ndim


def axes_of(axes: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, each once. None stands for all."""
    if axes is None:
        return tuple(range(ndim))
    found = tuple([axis_of(axis, ndim) for axis in several(axes)])
    if len(set(found)) < len(found):
        raise ArgumentError(f"an axis is named twice in {axes}", fits="each axis once")
    return found


def _reduced(value: Any, types: tuple[TensorType, ...]) -> tuple[int, ...]:
    return tuple(sorted(axes_of(value, types[0].ndim)))


def _one(value: Any, types: tuple[TensorType, ...]) -> int:
    return axis_of(value, types[0].ndim)


def _permutation(value: Any, types: tuple[TensorType, ...]) -> tuple[int, ...]:
    ndim = types[0].ndim
    axes = tuple(reversed(range(ndim))) if value is None else axes_of(value, ndim)
    if len(axes) != ndim:
        raise ArgumentError(f"{value} leaves axes out", fits=f"a permutation of {tuple(range(ndim))}")
    return axes


def _inserted(value: Any, types: tuple[TensorType, ...]) -> tuple[int, ...]:
    return tuple(sorted(axes_of(value, types[0].ndim + len(several(value)))))


def _target(value: Any, types: tuple[TensorType, ...]) -> tuple[Dim, ...]:
    return sizes.canonical(value)


def _reshaped(value: Any, types: tuple[TensorType, ...]) -> tuple[Dim, ...]:
    items = list(several(value))
    unknown = [i for i, item in enumerate(items) if item == -1]
    if not unknown:
        return sizes.canonical(items)
    known = sizes.product(sizes.canonical([item for i, item in enumerate(items) if i not in unknown]))
    missing = sizes.divide(types[0].size, known) if len(unknown) == 1 else None
    if missing is None:
        raise ShapeError(f"-1 in {tuple(items)} has no size: {types[0].size} elements over {known}", fits="one -1, and a divisor")
    items[unknown[0]] = missing
    return sizes.canonical(items)


def _dtype(value: Any, types: tuple[TensorType, ...]) -> str:
    return dtypes.canonical(value)


Axes = Annotated[tuple[int, ...], _reduced]
"""Axes that a reduction goes over: None for all, a number, or several; sorted."""
Axis = Annotated[int, _one]
"""One axis of the first operand."""
Permutation = Annotated[tuple[int, ...], _permutation]
"""An order of the axes; None reverses it."""
NewAxes = Annotated[tuple[int, ...], _inserted]
"""Places, in the result, of axes of size 1."""
Target = Annotated[tuple[Dim, ...], _target]
"""A shape."""
Reshaped = Annotated[tuple[Dim, ...], _reshaped]
"""A shape in which one size may be -1."""
DTypeName = Annotated[str, _dtype]
"""A dtype."""
