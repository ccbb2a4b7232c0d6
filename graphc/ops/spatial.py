"""Spatial axes: what the arguments of convolutions and pools ask for, and the sizes and the padding that follow."""

from __future__ import annotations

import operator
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, cast

from graphc.core import Tensor, describe, sizes
from graphc.core.attributes import several
from graphc.core.errors import ArgumentError, GraphcError, ShapeError
from graphc.core.sizes import Dim, Shape
from graphc.ops.shape import transpose

Pads: TypeAlias = tuple[tuple[Dim, Dim], ...]
"""What is put before and after each spatial axis; negative numbers crop."""
Format: TypeAlias = Literal["channels_last", "channels_first"]
"""Where the channels are: ``(batch, *spatial, channels)`` or ``(batch, channels, *spatial)``."""
Padding: TypeAlias = Literal["valid", "same"] | int | Sequence[int | tuple[int, int]]
"""``"valid"`` pads nothing, ``"same"`` gives ``ceil(size / stride)`` items; a number an axis, or a pair (before, after)."""


# ---------------------------------------------------------------- windows along an axis
def dilated(size: Dim, rate: int) -> Dim:
    """How far ``size`` items reach that are ``rate`` apart."""
    return size if rate == 1 or size == 0 else (size - 1) * rate + 1


def window_count(size: Dim, window: Dim, stride: int) -> Dim:
    """How many windows fit into an axis. Raises :class:`ShapeError` if none does."""
    left = size - window
    if isinstance(left, int):
        if left < 0:
            raise ShapeError(f"a window of {window} does not fit into {size} items", fits="a smaller window, or more padding")
        return left // stride + 1
    exact = sizes.divide(left, stride)
    return sizes.sliced(left + 1, None, None, stride) if exact is None else exact + 1


def adjoint_pads(
    x: Tensor, taps: Shape, y: Tensor, strides: Sequence[int], padding: Pads, input_dilation: Sequence[int], dilation: Sequence[int]
) -> Pads:
    """The padding with which windows over ``y``'s cotangent, strides and input dilation exchanged, add up the gradient for ``x``.

    ``y`` is what windows of ``taps`` items, ``dilation`` apart, make of ``x``, whose items are ``input_dilation`` apart.
    """
    pairs: list[tuple[Dim, Dim]] = []
    for i, (low, _) in enumerate(padding):
        width, span = dilated(x.shape[i + 1], input_dilation[i]), dilated(y.shape[i + 1], strides[i])
        pairs.append((dilated(taps[i], dilation[i]) - 1 - low, width - span + low))
    return tuple(pairs)


# ---------------------------------------------------------------- arguments
def an_axis(value: Any, count: int, name: str, least: int = 1) -> tuple[int, ...]:
    """A number for each of ``count`` axes, given one for all of them or a sequence."""
    try:
        numbers = [operator.index(item) for item in several(value)] * (1 if isinstance(value, list | tuple) else count)
    except TypeError:
        numbers = []
    if len(numbers) != count or min(numbers) < least:
        raise ArgumentError(f"{name}={value!r}", fits=f"a number of {least} or more, or {count} of them: one for each spatial axis")
    return tuple(numbers)


def pads(padding: Any, spatial: Shape, windows: Sequence[Dim], strides: Sequence[int]) -> Pads:
    """What ``padding`` asks for, as two numbers an axis; ``windows`` are the reaches of the windows."""
    if isinstance(padding, str) and padding in ("valid", "same"):
        if padding == "valid":
            return ((0, 0),) * len(spatial)
        return tuple([_same(*axis) for axis in zip(spatial, windows, strides, strict=True)])
    items = several(padding) if isinstance(padding, list | tuple) else [padding] * len(spatial)
    found = [_pair(item) for item in items]
    if len(found) != len(spatial) or None in found:
        raise ArgumentError(f"padding={padding!r}", fits="'valid', 'same', a number, or a pair of numbers for each spatial axis")
    return tuple([pair for pair in found if pair is not None])


def _pair(item: Any) -> tuple[int, int] | None:
    try:
        low, high = [operator.index(number) for number in (several(item) if isinstance(item, list | tuple) else (item, item))]
    except (TypeError, ValueError):
        return None
    return (low, high) if min(low, high) >= 0 else None


def _same(size: Dim, window: Dim, stride: int) -> tuple[Dim, Dim]:
    """TensorFlow's rule: ``ceil(size / stride)`` windows, and the odd item of padding goes behind."""
    if isinstance(size, int) and isinstance(window, int):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        return total // 2, total - total // 2
    if window == 1:
        return 0, 0
    if not isinstance(window, int) or window < stride:
        raise ShapeError(
            f"'same' padding of {size} items for windows of {window}, {stride} apart, is not one formula",
            fits="a size that is a number, a stride up to the window, or padding in numbers",
        )
    needed = (sizes.sliced(size, None, None, stride) - 1) * stride + window - size
    low = sizes.sliced(needed, 1, None, 2)
    return low, needed - low


def each_axis(value: Any, count: int) -> tuple[Any, ...]:
    """A number for each of ``count`` axes, as the cases of ops write it in short."""
    return cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,) * count


def spatial_axes(x: Tensor, data_format: str) -> tuple[int, ...]:
    """Which axes of ``x`` are spatial. Raises :class:`ShapeError` unless there are one to three."""
    if x.ndim not in (3, 4, 5):
        raise ShapeError(f"{x.ndim} axes", fits="a batch, one to three spatial axes, and channels")
    if data_format not in ("channels_last", "channels_first"):
        raise ArgumentError(f"data_format={data_format!r}", fits="'channels_last' or 'channels_first'")
    return tuple(range(1, x.ndim - 1) if data_format == "channels_last" else range(2, x.ndim))


def channels_last(x: Tensor, data_format: str) -> Tensor:
    """``x`` with its channels on the last axis. Raises as :func:`spatial_axes` does."""
    axes = spatial_axes(x, data_format)
    return x if data_format == "channels_last" else transpose(x, axes=(0, *axes, 1))


def as_before(y: Tensor, data_format: str) -> Tensor:
    """A result with channels last in the format that was asked for: the inverse of :func:`channels_last`."""
    return y if data_format == "channels_last" else transpose(y, axes=(0, y.ndim - 1, *range(1, y.ndim - 1)))


@contextmanager
def explained(call: str, **tensors: Tensor) -> Generator[None]:
    """Errors within say what was asked and given, as those of an op do."""
    try:
        yield
    except GraphcError as error:
        if error.given:
            raise
        given = [f"{name}: {describe(x)}" for name, x in tensors.items()]
        raise type(error)(f"{call}({', '.join(tensors)}): {error.asked}", given=given, fits=error.fits) from None
