"""Convolutions over one, two and three spatial axes.

The input is ``(batch, *spatial, channels)``, or ``(batch, channels, *spatial)`` with ``data_format="channels_first"``, and the output has
its channels in the same place. Kernels are ``(*spatial, channels, outputs)`` in both.
"""

from __future__ import annotations

from typing import Any, ClassVar

import graphc as gc
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.feed.batches import whole_number
from graphc.nn.layer import Shape
from graphc.nn.layers.common import AXES, Activated, an_axis, check_axes, data_format_of, one_of, size_of, title


class Convolution(Activated):
    """What all convolutions have: a window with strides, padding and dilation, and at the end a bias and an activation."""

    rank: ClassVar[int]
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def slide(self, kernel_size: Any, strides: Any, padding: str, data_format: str | None, dilation_rate: Any) -> None:
        """Keep the arguments. Raises :class:`ArgumentError`."""
        self.kernel_size = an_axis(self, "kernel_size", kernel_size, self.rank)
        self.strides = an_axis(self, "strides", strides, self.rank)
        self.padding = one_of(self, "padding", padding, self.paddings)
        self.data_format = data_format_of(self, data_format)
        self.dilation_rate = an_axis(self, "dilation_rate", dilation_rate, self.rank)

    def channels(self, input_shape: Shape) -> int:
        """The channels of the input. Raises :class:`ShapeError` for another number of axes."""
        check_axes(self, input_shape, self.rank + 2, f"a batch, {AXES[self.rank]}, channels")
        return size_of(self, input_shape, -1 if self.data_format == "channels_last" else 1)

    def arguments(self) -> dict[str, Any]:
        """What gc's functions are to be told."""
        padding: Any = self.padding
        if padding == "causal":
            padding = (((self.kernel_size[0] - 1) * self.dilation_rate[0], 0),)
        return {"strides": self.strides, "padding": padding, "data_format": self.data_format, "dilation_rate": self.dilation_rate}

    def finished(self, y: gc.Tensor) -> gc.Tensor:
        """With the bias, activated."""
        return self.ended(y, self.rank if self.data_format == "channels_first" else 0)


# ---------------------------------------------------------------- convolutions
class BaseConv(Convolution):
    """See :class:`Conv2D`."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.filters = whole_number(f"{title(self)}: filters", filters, least=1)
        self.slide(kernel_size, strides, padding, data_format, dilation_rate)
        self.groups = whole_number(f"{title(self)}: groups", groups, least=1)
        if self.filters % self.groups:
            raise ArgumentError(f"{title(self)}: {filters} filters in {groups} groups", fits=f"a multiple of {groups}")
        self.declare("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.end_with(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        """Add the kernel, ``(*kernel_size, channels / groups, filters)``, and the bias, ``(filters,)``."""
        channels = self.channels(input_shape)
        if channels % self.groups:
            raise ShapeError(f"{self.name}: {channels} channels in {self.groups} groups", fits=f"a multiple of {self.groups}")
        self.kernel = self.weight("kernel", (*self.kernel_size, channels // self.groups, self.filters))
        if self.use_bias:
            self.bias = self.weight("bias", (self.filters,))

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.conv`."""
        return self.finished(gc.conv(as_dtype(inputs, self.dtype), self.kernel, groups=self.groups, **self.arguments()))


class Conv1D(BaseConv):
    """Convolution (correlation) over one axis: ``(batch, steps, channels)`` gives ``(batch, places, filters)``.

    See :class:`Conv2D`. ``padding="causal"`` pads in front alone, so that no output sees a later step.
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(BaseConv):
    """Convolution (correlation) over two axes: ``(batch, height, width, channels)`` gives ``(batch, rows, columns, filters)``.

    ``y[b, p, o] = activation(sum over t and c of x[b, p * strides + t * dilation_rate, c] * kernel[t, c, o] + bias[o])``.

    Args:
        filters: how many outputs.
        kernel_size: a number, or one for each axis.
        strides: how far windows are apart.
        padding: ``"valid"`` pads nothing; ``"same"`` pads with zeros, to ``ceil(size / strides)`` places.
        data_format: where the channels are, ``"channels_last"`` or ``"channels_first"``.
        dilation_rate: how far the taps of the kernel are apart.
        groups: into how many parts channels and filters are cut, each of which is a convolution of its own.
        activation: a function, or its name.
        use_bias: whether there is a bias.

    Raises :class:`ArgumentError` for arguments that are none of these, :class:`ShapeError` for an input that they do not fit.
    """

    rank = 2


class Conv3D(BaseConv):
    """Convolution (correlation) over three axes: ``(batch, depth, height, width, channels)``. See :class:`Conv2D`."""

    rank = 3


# ---------------------------------------------------------------- transposed convolutions
class BaseConvTranspose(Convolution):
    """See :class:`Conv2DTranspose`."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.filters = whole_number(f"{title(self)}: filters", filters, least=1)
        self.slide(kernel_size, strides, padding, data_format, dilation_rate)
        self.output_padding = None if output_padding is None else an_axis(self, "output_padding", output_padding, self.rank, least=0)
        if self.output_padding is not None and any(more >= s for more, s in zip(self.output_padding, self.strides, strict=True)):
            raise ArgumentError(f"{title(self)}: output_padding is {output_padding}", fits=f"less than the strides {self.strides}")
        self.declare("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.end_with(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        """Add the kernel, ``(*kernel_size, filters, channels)``, and the bias, ``(filters,)``."""
        self.kernel = self.weight("kernel", (*self.kernel_size, self.filters, self.channels(input_shape)))
        if self.use_bias:
            self.bias = self.weight("bias", (self.filters,))

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.conv_transpose`."""
        inputs = as_dtype(inputs, self.dtype)
        return self.finished(gc.conv_transpose(inputs, self.kernel, output_padding=self.output_padding, **self.arguments()))


class Conv1DTranspose(BaseConvTranspose):
    """The transpose of :class:`Conv1D`: ``(batch, steps, channels)`` gives ``(batch, places, filters)``. See :class:`Conv2DTranspose`."""

    rank = 1


class Conv2DTranspose(BaseConvTranspose):
    """The transpose of :class:`Conv2D`, which is what the gradient of that does to a cotangent.

    With ``k = (kernel_size - 1) * dilation_rate + 1`` an axis of ``n`` items becomes ``n * strides`` for ``padding="same"`` and
    ``(n - 1) * strides + max(k, strides)`` for ``"valid"``. With ``output_padding``, which is less than the strides, it becomes
    ``(n - 1) * strides + k - 2 * p + output_padding``, where ``p`` is ``k // 2`` for ``"same"`` and 0 for ``"valid"``.
    """

    rank = 2


class Conv3DTranspose(BaseConvTranspose):
    """The transpose of :class:`Conv3D`. See :class:`Conv2DTranspose`; here ``data_format`` comes before ``output_padding``, as in Keras."""

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        window = (filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate)
        weights = (kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer)
        super().__init__(*window, activation, use_bias, *weights, kernel_constraint, bias_constraint, **options)


# ---------------------------------------------------------------- depthwise and separable convolutions
class BaseDepthwiseConv(Convolution):
    """See :class:`DepthwiseConv2D`."""

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.slide(kernel_size, strides, padding, data_format, dilation_rate)
        self.depth_multiplier = whole_number(f"{title(self)}: depth_multiplier", depth_multiplier, least=1)
        self.declare("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self.end_with(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        """Add the kernel, ``(*kernel_size, channels, depth_multiplier)``, and the bias, ``(channels * depth_multiplier,)``."""
        channels = self.channels(input_shape)
        self.kernel = self.weight("depthwise", (*self.kernel_size, channels, self.depth_multiplier), "kernel")
        if self.use_bias:
            self.bias = self.weight("bias", (channels * self.depth_multiplier,))

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.depthwise_conv`."""
        return self.finished(gc.depthwise_conv(as_dtype(inputs, self.dtype), self.kernel, **self.arguments()))


class DepthwiseConv1D(BaseDepthwiseConv):
    """:class:`DepthwiseConv2D` over one axis."""

    rank = 1


class DepthwiseConv2D(BaseDepthwiseConv):
    """Each channel convolved by itself, with ``depth_multiplier`` kernels: the outputs of one channel are beside each other.

    ``(batch, height, width, channels)`` gives ``(batch, rows, columns, channels * depth_multiplier)``. The arguments and what they raise
    are those of :class:`Conv2D`.
    """

    rank = 2


class BaseSeparableConv(Convolution):
    """See :class:`SeparableConv2D`."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.filters = whole_number(f"{title(self)}: filters", filters, least=1)
        self.slide(kernel_size, strides, padding, data_format, dilation_rate)
        self.depth_multiplier = whole_number(f"{title(self)}: depth_multiplier", depth_multiplier, least=1)
        self.declare("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self.declare("pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        self.end_with(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        """Add ``depthwise_kernel``, as in :class:`DepthwiseConv2D`, ``pointwise_kernel``, of one tap, and the bias, ``(filters,)``."""
        channels = self.channels(input_shape)
        taps = (*self.kernel_size, channels, self.depth_multiplier)
        self.depthwise_kernel = self.weight("depthwise", taps, "depthwise_kernel")
        tap = (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self.weight("pointwise", tap, "pointwise_kernel")
        if self.use_bias:
            self.bias = self.weight("bias", (self.filters,))

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.separable_conv`."""
        inputs = as_dtype(inputs, self.dtype)
        return self.finished(gc.separable_conv(inputs, self.depthwise_kernel, self.pointwise_kernel, **self.arguments()))


class SeparableConv1D(BaseSeparableConv):
    """:class:`SeparableConv2D` over one axis; ``padding="causal"`` as in :class:`Conv1D`."""

    rank = 1
    paddings = ("valid", "same", "causal")


class SeparableConv2D(BaseSeparableConv):
    """A :class:`DepthwiseConv2D` without bias, and a :class:`Conv2D` of one tap, with a bias and an activation, of what it gives."""

    rank = 2
