"""Layers that bring activations to a mean and a variance, or to a length.

Means and variances are taken in float32 at least; outputs are of the layer's dtype.
"""

from __future__ import annotations

from typing import Any

import graphc as gc
from graphc.core import dtypes
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.feed.batches import whole_number
from graphc.nn import initializers
from graphc.nn.layer import Layer, Shape
from graphc.nn.layers.common import Weighted, listed, share, size_of, title

_EPSILON = 1e-7
"""What Keras adds to a count, so that a mean over nothing is 0."""


class Scaled(Weighted):
    """A normalisation that is followed by ``* gamma + beta``, if ``scale``, and if ``center``."""

    supports_masking = True
    gamma: gc.Variable | None = None
    beta: gc.Variable | None = None

    def scaled_by(self, center: bool, scale: bool, beta: tuple[Any, Any, Any], gamma: tuple[Any, Any, Any]) -> None:
        """Keep the arguments: of each weight its initializer, regularizer and constraint."""
        self.center, self.scale = bool(center), bool(scale)
        self.declare("beta", *beta)
        self.declare("gamma", *gamma)

    def add_scale(self, shape: tuple[int, ...]) -> None:
        """Add the weights."""
        if self.scale:
            self.gamma = self.weight("gamma", shape)
        if self.center:
            self.beta = self.weight("beta", shape)


class BatchNormalization(Scaled):
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` for each item of an axis (S. Ioffe, C. Szegedy, 2015).

    In training, of a layer that is trainable, mean and variance are those of the batch, over all other axes, and
    ``moving_mean * momentum + mean * (1 - momentum)`` is what ``moving_mean`` becomes, as does ``moving_variance``. Otherwise they are
    these two. With a mask, of one axis less than the input, they are taken over what counts.

    Args:
        axis: the channels.
        momentum: see above.
        epsilon: what is added to the variance.
        center: whether there is a ``beta``.
        scale: whether there is a ``gamma``.
        synchronized: nothing: a batch that lies on several devices is one batch always.

    Raises :class:`ShapeError` where the size of the axis is not known, or a mask has another number of axes.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        synchronized: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.axis, self.momentum, self.epsilon = axis, share(self, "momentum", momentum), epsilon
        beta = beta_initializer, beta_regularizer, beta_constraint
        self.scaled_by(center, scale, beta, (gamma_initializer, gamma_regularizer, gamma_constraint))
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.synchronized = synchronized

    def build(self, input_shape: Shape) -> None:
        """Add ``gamma``, ``beta``, ``moving_mean`` and ``moving_variance``, each of the size of the axis."""
        shape = (size_of(self, input_shape, self.axis),)
        self.add_scale(shape)
        self.moving_mean = self.add_weight(shape, self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(shape, self.moving_variance_initializer, trainable=False, name="moving_variance")

    def call(self, inputs: gc.Tensor, training: bool = False, mask: gc.Tensor | None = None) -> gc.Tensor:
        """The batch, normalised."""
        x = as_dtype(as_dtype(inputs, self.dtype), dtypes.wide(self.dtype))
        if not (training and self.trainable):
            y = self._by_moments(x, self.latest(self.moving_mean), self.latest(self.moving_variance))
        elif mask is None:
            y = self._by_batch(x)
        else:
            moments = self._moments(x, mask)
            self._remember(*moments)
            y = self._by_moments(x, *moments)
        return as_dtype(y if self.beta is None else y + self._along(x, self.beta), self.dtype)

    def _by_moments(self, x: gc.Tensor, mean: gc.Tensor, variance: gc.Tensor) -> gc.Tensor:
        """``(x - mean) * factor``, with ``gamma`` in the factor, of which there is one for each item of the axis."""
        factor = gc.rsqrt(as_dtype(variance, x.dtype) + self.epsilon)
        if self.gamma is not None:
            factor = factor * as_dtype(self.gamma, x.dtype)
        return (x - self._along(x, mean)) * self._along(x, factor)

    def _others(self, x: gc.Tensor) -> tuple[int, ...]:
        return tuple([axis for axis in range(x.ndim) if axis != self.axis % x.ndim])

    def _by_batch(self, x: gc.Tensor) -> gc.Tensor:
        """By ``layer_norm`` over the other axes, whose gradient is one formula; the moments that it has inside are remembered."""
        axes = self._others(x)
        mean = gc.mean(x, axis=axes, keepdims=True)
        variance = gc.mean(gc.square(x - mean), axis=axes, keepdims=True)
        self._remember(gc.reshape(mean, self.moving_mean.shape), gc.reshape(variance, self.moving_mean.shape))
        y = gc.layer_norm(x, axis=axes, epsilon=self.epsilon)
        return y if self.gamma is None else y * self._along(x, self.gamma)

    def _along(self, x: gc.Tensor, weight: gc.Tensor) -> gc.Tensor:
        """A weight as it broadcasts with the input."""
        behind = x.ndim - 1 - self.axis % x.ndim
        return as_dtype(gc.reshape(weight, (*weight.shape, *(1,) * behind)) if behind else weight, x.dtype)

    def _moments(self, x: gc.Tensor, mask: gc.Tensor) -> tuple[gc.Tensor, gc.Tensor]:
        if mask.ndim != x.ndim - 1:
            raise ShapeError(f"{self.name}: a mask of shape {mask.shape} for an input of shape {x.shape}", fits=f"{x.ndim - 1} axes")
        axes, counts = self._others(x), gc.broadcast_to(gc.expand_dims(gc.cast(mask, dtype="bool"), axis=-1), x.shape)
        count = gc.sum(gc.cast(counts, dtype=x.dtype), axis=axes, keepdims=True) + _EPSILON
        mean = gc.sum(gc.where(counts, x, 0), axis=axes, keepdims=True) / count
        variance = gc.sum(gc.where(counts, gc.square(x - mean), 0), axis=axes, keepdims=True) / count
        return gc.reshape(mean, self.moving_mean.shape), gc.reshape(variance, self.moving_mean.shape)

    def _remember(self, mean: gc.Tensor, variance: gc.Tensor) -> None:
        for moving, now in (self.moving_mean, mean), (self.moving_variance, variance):
            before = as_dtype(self.latest(moving), now.dtype)
            self.add_update(moving, before * self.momentum + now * (1 - self.momentum))


class LayerNormalization(Scaled):
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` with mean and variance over axes of each sample (J. L. Ba et al., 2016).

    ``axis`` is a number or several; ``gamma``, if ``scale``, and ``beta``, if ``center``, have the sizes of these axes. Raises
    :class:`ShapeError` where one of these is not known.
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.axis, self.epsilon = axis, epsilon
        beta = beta_initializer, beta_regularizer, beta_constraint
        self.scaled_by(center, scale, beta, (gamma_initializer, gamma_regularizer, gamma_constraint))

    def build(self, input_shape: Shape) -> None:
        """Add ``gamma`` and ``beta``."""
        self._axes = _axes_of(self, self.axis, input_shape)
        self.add_scale(tuple([size_of(self, input_shape, axis) for axis in self._axes]))

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.layer_norm`."""
        return gc.layer_norm(as_dtype(inputs, self.dtype), self.gamma, self.beta, self._axes, self.epsilon)


class GroupNormalization(Scaled):
    """:class:`LayerNormalization` of each group of channels, over its channels and all axes but the first (Y. Wu, K. He, 2018).

    Args:
        groups: how many, which divides the channels; -1 for one a channel.
        axis: the channels.
        epsilon: what is added to the variance.
        center: whether there is a ``beta``, a number for each channel.
        scale: whether there is a ``gamma``, a number for each channel.

    Raises :class:`ArgumentError` for groups of no such number, :class:`ShapeError` where they do not divide the channels.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.groups = -1 if groups == -1 else whole_number("GroupNormalization: groups", groups, least=1)
        self.axis, self.epsilon = axis, epsilon
        beta = beta_initializer, beta_regularizer, beta_constraint
        self.scaled_by(center, scale, beta, (gamma_initializer, gamma_regularizer, gamma_constraint))

    def build(self, input_shape: Shape) -> None:
        """Add ``gamma`` and ``beta``."""
        channels = size_of(self, input_shape, self.axis)
        self._groups = channels if self.groups == -1 else self.groups
        if channels % self._groups:
            raise ShapeError(f"{self.name}: {channels} channels in {self.groups} groups", fits=f"a divisor of {channels}, or -1")
        self.add_scale((channels,))

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.group_norm`."""
        inputs = as_dtype(inputs, self.dtype)
        return gc.group_norm(inputs, self._groups, self.gamma, self.beta, self.axis, self.epsilon)


class RMSNormalization(Layer):
    """``x / sqrt(mean(x²) + epsilon) * scale`` over axes of each sample (B. Zhang, R. Sennrich, 2019).

    ``axis`` is a number or several; the weight ``scale`` has the sizes of these axes.
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(**options)
        self.axis, self.epsilon = axis, epsilon

    def build(self, input_shape: Shape) -> None:
        """Add ``scale``."""
        self._axes = _axes_of(self, self.axis, input_shape)
        self.scale = self.add_weight([size_of(self, input_shape, axis) for axis in self._axes], "ones", name="scale")

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.rms_norm`."""
        return gc.rms_norm(as_dtype(inputs, self.dtype), self.scale, self._axes, self.epsilon)


class UnitNormalization(Layer):
    """``x`` over its Euclidean length along ``axis``, a number or several. Of length 0 it stays 0."""

    supports_masking = True

    def __init__(self, axis: Any = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.l2_normalize`."""
        return gc.l2_normalize(as_dtype(inputs, self.dtype), tuple(listed(self.axis)), epsilon=1e-12)


def _axes_of(layer: Layer, axis: Any, input_shape: Shape) -> tuple[int, ...]:
    """The axes from the front, in ascending order. Raises :class:`ArgumentError` for what is no axis."""
    given = listed(axis)
    if not given or any(not isinstance(one, int) or not -len(input_shape) <= one < len(input_shape) for one in given):
        raise ArgumentError(f"{title(layer)}: axis is {axis!r} for an input of shape {input_shape}", fits="one of its axes, or several")
    return tuple(sorted({one % len(input_shape) for one in given}))
