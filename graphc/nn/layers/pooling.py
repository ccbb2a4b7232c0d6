"""Pools: the largest, or the mean, of windows over one, two and three spatial axes, or of all places."""

from __future__ import annotations

from typing import Any, ClassVar

import graphc as gc
from graphc.core.op import as_dtype
from graphc.nn.layer import Layer, Shape
from graphc.nn.layers.common import AXES, Format, an_axis, check_axes, data_format_of, one_of


class Pooling(Layer):
    """One item for each window of ``pool_size``, which are ``strides`` apart (as many as ``pool_size`` by default).

    ``(batch, *spatial, channels)`` gives ``(batch, *places, channels)``; with ``data_format="channels_first"`` the channels are before
    the places in both. ``padding="valid"`` leaves out windows that reach over the border, ``"same"`` gives ``ceil(size / strides)``
    places. Raises :class:`ArgumentError` for arguments that are none of these, :class:`ShapeError` for an input that they do not fit.
    """

    rank: ClassVar[int]
    data_format: Format

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.pool_size = an_axis(self, "pool_size", pool_size, self.rank)
        self.strides = self.pool_size if strides is None else an_axis(self, "strides", strides, self.rank)
        self.padding = one_of(self, "padding", padding, ("valid", "same"))
        self.data_format = data_format_of(self, data_format)

    def build(self, input_shape: Shape) -> None:
        """Check how many axes there are."""
        check_axes(self, input_shape, self.rank + 2, f"a batch, {AXES[self.rank]}, channels")


class MaxPooling(Pooling):
    """See :class:`MaxPooling2D`."""

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.max_pool`."""
        return gc.max_pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class AveragePooling(Pooling):
    """See :class:`AveragePooling2D`."""

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.average_pool`."""
        return gc.average_pool(as_dtype(inputs, self.dtype), self.pool_size, self.strides, self.padding, self.data_format)


class MaxPooling1D(MaxPooling):
    """The largest of each window over one axis. See :class:`MaxPooling2D`."""

    rank = 1


class MaxPooling2D(MaxPooling):
    """The largest of each window over two axes, channel by channel. Items that tie share the gradient evenly.

    The arguments, shapes and errors are those of :class:`Pooling`.
    """

    rank = 2


class MaxPooling3D(MaxPooling):
    """The largest of each window over three axes. See :class:`MaxPooling2D`."""

    rank = 3


class AveragePooling1D(AveragePooling):
    """The mean of each window over one axis. See :class:`AveragePooling2D`."""

    rank = 1


class AveragePooling2D(AveragePooling):
    """The mean of each window over two axes, channel by channel; of a window that reaches over the border, that of what it has.

    The arguments, shapes and errors are those of :class:`Pooling`.
    """

    rank = 2


class AveragePooling3D(AveragePooling):
    """The mean of each window over three axes. See :class:`AveragePooling2D`."""

    rank = 3


# ---------------------------------------------------------------- global pools
class GlobalPooling(Layer):
    """One item for each channel: ``(batch, *spatial, channels)`` gives ``(batch, channels)``, or ``(batch, 1, ..., channels)`` with
    ``keepdims``. Raises :class:`ArgumentError` for another ``data_format``, :class:`ShapeError` for another number of axes.
    """

    rank: ClassVar[int]
    data_format: Format

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.data_format, self.keepdims = data_format_of(self, data_format), bool(keepdims)

    def build(self, input_shape: Shape) -> None:
        """Check how many axes there are."""
        check_axes(self, input_shape, self.rank + 2, f"a batch, {AXES[self.rank]}, channels")


class GlobalMaxPooling(GlobalPooling):
    """See :class:`GlobalMaxPooling2D`."""

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.global_max_pool`."""
        return gc.global_max_pool(inputs, self.data_format, self.keepdims)


class GlobalAveragePooling(GlobalPooling):
    """See :class:`GlobalAveragePooling2D`."""

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.global_average_pool`."""
        return gc.global_average_pool(as_dtype(inputs, self.dtype), self.data_format, self.keepdims)


class GlobalMaxPooling1D(GlobalMaxPooling):
    """The largest over all steps: ``(batch, steps, channels)`` gives ``(batch, channels)``."""

    rank = 1


class GlobalMaxPooling2D(GlobalMaxPooling):
    """The largest over all places, channel by channel: ``(batch, height, width, channels)`` gives ``(batch, channels)``."""

    rank = 2


class GlobalMaxPooling3D(GlobalMaxPooling):
    """The largest over all places, channel by channel: ``(batch, depth, height, width, channels)`` gives ``(batch, channels)``."""

    rank = 3


class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean over all steps: ``(batch, steps, channels)`` gives ``(batch, channels)``.

    With a mask, ``(batch, steps)``, that over the steps that count; where none does it is NaN.
    """

    rank = 1
    supports_masking = True

    def call(self, inputs: gc.Tensor, mask: gc.Tensor | None = None) -> gc.Tensor:
        """The mean, of what counts."""
        if mask is None:
            return super().call(inputs)
        steps = 1 if self.data_format == "channels_last" else 2
        counts = gc.expand_dims(gc.cast(mask, dtype="bool"), axis=3 - steps)
        total = gc.sum(gc.where(counts, as_dtype(inputs, self.dtype), 0), axis=steps, keepdims=self.keepdims)
        return total / gc.sum(gc.cast(counts, dtype=self.dtype), axis=steps, keepdims=self.keepdims)

    def compute_mask(self, inputs: gc.Tensor, previous_mask: Any) -> None:
        """None: there are no steps any more."""


class GlobalAveragePooling2D(GlobalAveragePooling):
    """The mean over all places, channel by channel: ``(batch, height, width, channels)`` gives ``(batch, channels)``."""

    rank = 2


class GlobalAveragePooling3D(GlobalAveragePooling):
    """The mean over all places, channel by channel: ``(batch, depth, height, width, channels)`` gives ``(batch, channels)``."""

    rank = 3
