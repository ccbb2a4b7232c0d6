"""Tensors from nothing but sizes and numbers."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat, SupportsIndex, TypeAlias

from graphc.core import Tensor, TensorType, as_tensor, case, dtypes, op, sizes
from graphc.core.attributes import DTypeName
from graphc.core.errors import ArgumentError, DTypeError, ShapeError
from graphc.core.sizes import Dim, Size
from graphc.ops.shape import full, ones, reshape, tril

__all__ = [
    "arange",
    "eye",
    "full_like",
    "linspace",
    "tri",
]

Bound: TypeAlias = float | Dim
"""A number, or a named size."""


def _refuse_truth(dtype: str) -> None:
    if dtype == "bool":
        raise DTypeError("truth values do not go up by steps", fits="an integer or float dtype")


def _length(start: Bound, stop: Bound, step: Bound) -> Dim:
    if step == 0:
        raise ArgumentError("step=0 comes to no end", fits="a step that is not 0")
    if isinstance(stop, Size):
        if not isinstance(start, int) or start < 0 or not isinstance(step, int) or step < 0:
            raise ShapeError(f"the items from {start} by {step} to {stop} cannot be counted", fits="a whole start and step, 0 or more")
        return sizes.sliced(stop, start, None, step)
    if isinstance(start, Size) or isinstance(step, Size):
        raise ShapeError(f"the items from {start} by {step} to {stop} cannot be counted", fits="numbers as start and step")
    return max(0, math.ceil((stop - start) / step))


@op(
    "xp.arange($start, $stop, $step, $dtype)",
    name="arange",
    flops=0,
    cases=(
        case(start=0, stop=4, step=1, dtype="int64"),
        case(start=5, stop=0, step=-2, dtype="float32"),
        case(start=0.5, stop=2.0, step=0.25, dtype="float64"),
        case(start=3, stop=3, step=1, dtype="int32"),
    ),
)
def counted(*, start: Any, stop: Any, step: Any, dtype: DTypeName) -> TensorType:
    """The numbers from ``start`` by ``step`` up to ``stop``, which is not among them. ``stop`` may be a named size."""
    _refuse_truth(dtype)
    return TensorType(dtype, (_length(start, stop, step),))


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """The numbers from ``start`` (0 if there is one bound alone) by ``step`` up to ``stop``, which is not among them.

    ``stop`` may be a named size: ``arange("batch")``. The dtype is int64, or float32 if a number has a fraction.
    """
    start, stop = (0, start) if stop is None else (start, stop)
    start, stop, step = _bound(start), _bound(stop), _bound(step)
    fraction = any(isinstance(value, float) for value in (start, stop, step))
    return counted(start=start, stop=stop, step=step, dtype=dtype or ("float32" if fraction else "int64"))


def _bound(value: Any) -> Bound:
    if isinstance(value, str | Size):
        return sizes.canonical(value)[0]
    if isinstance(value, SupportsIndex):
        return value.__index__()
    if isinstance(value, SupportsFloat):
        return float(value)
    raise ArgumentError(f"arange: {value!r} is no bound", given=["start, stop and step"], fits="a number, or the name of a size")


@op(
    "xp.linspace($start, $stop, $num, endpoint=$endpoint, dtype=$dtype)",
    name="linspace",
    flops=0,
    cases=(
        case(start=0.0, stop=1.0, num=5, endpoint=True, dtype="float64"),
        case(start=2.0, stop=-1.0, num=4, endpoint=False, dtype="float32"),
        case(start=1.0, stop=2.0, num=1, endpoint=True, dtype="float32"),
        case(start=1.0, stop=2.0, num=0, endpoint=True, dtype="float32"),
    ),
)
def spaced(*, start: float, stop: float, num: Dim, endpoint: bool, dtype: DTypeName) -> TensorType:
    """``num`` numbers at equal distances from ``start`` to ``stop``, which is the last one, or with ``endpoint=False`` the next."""
    if not dtypes.is_float(dtype):
        raise DTypeError(f"{dtype} has no fractions", fits="a float dtype; gc.arange for whole numbers")
    return TensorType(dtype, (num,))


def linspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = "float32") -> Tensor:
    """``num`` numbers at equal distances from ``start`` to ``stop``, which is the last one, or with ``endpoint=False`` the next.

    ``num`` may be a named size. The bounds may be tensors, to which the gradient passes; the numbers are then along a new first axis.
    """
    (count,) = sizes.canonical(num)
    if not isinstance(start, Tensor) and not isinstance(stop, Tensor):
        return spaced(start=start, stop=stop, num=count, endpoint=endpoint, dtype=dtype)
    start, stop = as_tensor(start), as_tensor(stop)
    unit = spaced(start=0.0, stop=1.0, num=count, endpoint=endpoint, dtype=dtype)
    share = reshape(unit, (count, *[1] * max(start.ndim, stop.ndim)))
    return start * (1 - share) + stop * share


@op(
    "xp.eye($N, $M, $k, $dtype)",
    name="eye",
    flops=0,
    cases=(case(N=3, M=3, k=0, dtype="float32"), case(N=2, M=4, k=1, dtype="float64"), case(N=3, M=0, k=-1, dtype="int32")),
)
def identity(*, N: Dim, M: Dim, k: int, dtype: DTypeName) -> TensorType:
    """A matrix of zeros with ones on the diagonal ``k``."""
    return TensorType(dtype, (N, M))


def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = "float32") -> Tensor:
    """A matrix of ``N`` rows and ``M`` columns (``N`` by default) with ones on the diagonal ``k`` and zeros elsewhere."""
    rows, columns = sizes.canonical((N, N if M is None else M))
    return identity(N=rows, M=columns, k=k, dtype=dtype)


def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = "float32") -> Tensor:
    """A matrix of ``N`` rows and ``M`` columns (``N`` by default) with ones up to the diagonal ``k`` and zeros above."""
    return tril(ones((N, N if M is None else M), dtype), k=k)


def full_like(x: Any, value: Any, dtype: Any = None) -> Tensor:
    """One number in every place of a tensor of x's shape, and of its dtype unless another one is given."""
    x = as_tensor(x)
    return full(x.shape, value, dtype or x.dtype)
