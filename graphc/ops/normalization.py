"""Normalisations, with Keras's semantics, and dropout.

Means and variances are taken in float32 at least, since float16 holds neither large sums nor small squares. The results keep the
dtype of ``x``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc.core import Tensor, TensorType, as_tensor, case, describe, dtypes, op, sizes
from graphc.core.attributes import Axes, axis_of
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.core.sizes import Shape
from graphc.ops import pointwise as p
from graphc.ops.random import bernoulli
from graphc.ops.reduce import mean, norm, var
from graphc.ops.shape import after, reshape, zeros_like

__all__ = [
    "batch_norm",
    "dropout",
    "group_norm",
    "l2_normalize",
    "layer_norm",
    "moments",
    "rms_norm",
]

EPSILON = 1e-7
"""What Keras's functions keep a norm or a variance away from 0 by."""


def _wide(x: Tensor) -> Tensor:
    return as_dtype(x, dtypes.wide(x.dtype))


def _is_narrow(x: Tensor) -> bool:
    return x.dtype != dtypes.wide(x.dtype)


_WHOLE: dict[str, Any] = {
    "promote": ("x",),
    "compute": dtypes.floating,
    "ulps": 16,
    "cases": (
        case((2, 3)),
        case((3, 2), axis=0, epsilon=0.1),
        case((2, 2, 3), axis=(0, 2), epsilon=1e-3),
        case((4,), epsilon=1.0),
        case((2, 1), epsilon=0.5),
        case((0, 3)),
    ),
}


# ---------------------------------------------------------------- layer norm
@op(None, name="layer_norm", flops=6, text="layer_norm($x)", **_WHOLE)
def standardized(x: TensorType, *, axis: Axes = -1, epsilon: float = EPSILON) -> TensorType:  # type: ignore[assignment]
    """``(x - mean) / sqrt(variance + epsilon)``: mean 0 and variance 1 over axes. See :func:`layer_norm`."""
    return x


@standardized.decompose
def _(x: Tensor, axis: tuple[int, ...], epsilon: float) -> Tensor:
    if _is_narrow(x):
        return p.cast(standardized(_wide(x), axis=axis, epsilon=epsilon), dtype=x.dtype)
    distance = x - mean(x, axis=axis, keepdims=True)
    return distance * p.rsqrt(mean(p.square(distance), axis=axis, keepdims=True) + epsilon)


@standardized.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], epsilon: float) -> tuple[Tensor]:
    if _is_narrow(x):
        y = standardized(_wide(x), axis=axis, epsilon=epsilon)
    wide, g = _wide(x), _wide(g)
    distance = wide - mean(wide, axis=axis, keepdims=True)
    slope = p.rsqrt(mean(p.square(distance), axis=axis, keepdims=True) + epsilon)
    dx = slope * (g - mean(g, axis=axis, keepdims=True) - y * mean(g * y, axis=axis, keepdims=True))
    return (as_dtype(dx, x.dtype),)


@standardized.vmap
def _(mapped: Sequence[bool], x: Tensor, axis: tuple[int, ...], epsilon: float) -> Tensor:
    return standardized(x, axis=after(axis), epsilon=epsilon)


def layer_norm(x: Any, scale: Any = None, offset: Any = None, axis: Any = -1, epsilon: float = EPSILON) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * scale + offset`` with the mean and variance over axes (Ba et al., 2016).

    ``scale`` and ``offset`` have the sizes of those axes, in their order, or none at all. Where all elements are equal the quotient is 0.

    Raises:
        ShapeError: ``scale`` or ``offset`` has another shape. ArgumentError: an axis is not there.
    """
    y = standardized(x, axis=axis, epsilon=epsilon)
    return _affine("layer_norm", y, scale, offset, y.attributes["axis"])


# ---------------------------------------------------------------- root mean square
@op(None, name="rms_norm", flops=4, text="rms_norm($x)", **_WHOLE)
def over_root_mean_square(x: TensorType, *, axis: Axes = -1, epsilon: float = EPSILON) -> TensorType:  # type: ignore[assignment]
    """``x / sqrt(mean(x * x) + epsilon)`` over axes. See :func:`rms_norm`."""
    return x


@over_root_mean_square.decompose
def _(x: Tensor, axis: tuple[int, ...], epsilon: float) -> Tensor:
    if _is_narrow(x):
        return p.cast(over_root_mean_square(_wide(x), axis=axis, epsilon=epsilon), dtype=x.dtype)
    return x * p.rsqrt(mean(p.square(x), axis=axis, keepdims=True) + epsilon)


@over_root_mean_square.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...], epsilon: float) -> tuple[Tensor]:
    if _is_narrow(x):
        y = over_root_mean_square(_wide(x), axis=axis, epsilon=epsilon)
    g = _wide(g)
    slope = p.rsqrt(mean(p.square(_wide(x)), axis=axis, keepdims=True) + epsilon)
    return (as_dtype(slope * (g - y * mean(g * y, axis=axis, keepdims=True)), x.dtype),)


@over_root_mean_square.vmap
def _(mapped: Sequence[bool], x: Tensor, axis: tuple[int, ...], epsilon: float) -> Tensor:
    return over_root_mean_square(x, axis=after(axis), epsilon=epsilon)


def rms_norm(x: Any, scale: Any = None, axis: Any = -1, epsilon: float = EPSILON) -> Tensor:
    """``x / sqrt(mean(x * x) + epsilon) * scale`` with the mean over axes (Zhang and Sennrich, 2019). ``scale`` as in ``layer_norm``."""
    y = over_root_mean_square(x, axis=axis, epsilon=epsilon)
    return _affine("rms_norm", y, scale, None, y.attributes["axis"])


# ---------------------------------------------------------------- batch and group norm
def batch_norm(x: Any, mean: Any, variance: Any, axis: int = -1, offset: Any = None, scale: Any = None, epsilon: float = 1e-3) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * scale + offset`` with what is given for each item of an axis (Ioffe and Szegedy, 2015).

    ``mean`` and ``variance`` are those of a batch (``gc.moments``) or those that training has averaged.

    Raises:
        ShapeError: one of them does not have the size of that axis. ArgumentError: the axis is not there.
    """
    x = as_tensor(x)
    dtype = dtypes.floating(x.dtype)
    wide = _wide(as_dtype(x, dtype))
    axes = _axes("batch_norm", x, (axis,))
    m, v = (_placed("batch_norm", name, wide, value, axes) for name, value in (("mean", mean), ("variance", variance)))
    return as_dtype(_affine("batch_norm", (wide - m) * p.rsqrt(v + epsilon), scale, offset, axes), dtype)


def group_norm(x: Any, groups: int, scale: Any = None, offset: Any = None, axis: int = -1, epsilon: float = 1e-3) -> Tensor:
    """``layer_norm`` of each group of channels, over the channels of the group and all axes but the first (Wu and He, 2018).

    ``groups`` divides the size of ``axis``, the channels; ``scale`` and ``offset`` have one number a channel.

    Raises:
        ShapeError: the groups do not divide the channels. ArgumentError: the axis is not there, or is the first.
    """
    x = as_tensor(x)
    (place,) = _axes("group_norm", x, (axis,))
    if place == 0:
        raise ArgumentError("group_norm: axis 0 is that of the samples", given=[f"x: {describe(x)}"], fits="an axis of channels behind it")
    channels = x.shape[place]
    each = sizes.divide(channels, groups)
    if each is None:
        raise ShapeError(f"group_norm: {groups} groups of {channels} channels", given=[f"x: {describe(x)}"], fits="a divisor")
    split = reshape(x, (*x.shape[:place], groups, each, *x.shape[place + 1 :]))
    axes = tuple([i for i in range(1, split.ndim) if i != place])
    return _affine("group_norm", reshape(standardized(split, axis=axes, epsilon=epsilon), x.shape), scale, offset, (place,))


def _axes(name: str, x: Tensor, axes: Sequence[int]) -> tuple[int, ...]:
    try:
        return tuple([axis_of(axis, x.ndim) for axis in axes])
    except ArgumentError as error:
        raise ArgumentError(f"{name}: {error.asked}", given=[f"x: {describe(x)}"], fits=error.fits) from None


def _affine(name: str, y: Tensor, scale: Any, offset: Any, axes: tuple[int, ...]) -> Tensor:
    if scale is not None:
        y = y * _placed(name, "scale", y, scale, axes)
    return y if offset is None else y + _placed(name, "offset", y, offset, axes)


def _placed(name: str, role: str, x: Tensor, value: Any, axes: tuple[int, ...]) -> Tensor:
    """One number for each item of the axes, as it broadcasts with ``x``, in the dtype of ``x``."""
    value = as_dtype(value, x.dtype)
    if value.ndim == 0:
        return value
    wanted = tuple([x.shape[axis] for axis in axes])
    if value.shape != wanted:
        given = [f"x: {describe(x)}", f"{role}: {describe(value)}"]
        raise ShapeError(f"{name}: {role} has shape {value.shape}", given=given, fits=f"{wanted}, the sizes of the axes {axes}")
    if axes == tuple(range(x.ndim - len(axes), x.ndim)):
        return value
    return reshape(value, tuple([size if i in axes else 1 for i, size in enumerate(x.shape)]))


# ---------------------------------------------------------------- moments, length, dropout
def moments(x: Any, axes: Any, keepdims: bool = False) -> tuple[Tensor, Tensor]:
    """The mean and the variance over axes. The variance is that of the distances from the mean, so that it neither cancels nor is
    negative.
    """
    return mean(x, axis=axes, keepdims=keepdims), var(x, axis=axes, keepdims=keepdims)


def l2_normalize(x: Any, axis: Any = -1, epsilon: float = EPSILON) -> Tensor:
    """``x`` over its Euclidean length along axes, which counts as no less than ``epsilon``: 0 stays 0, and its gradient is finite."""
    x = as_tensor(x)
    dtype = dtypes.floating(x.dtype)
    wide = _wide(as_dtype(x, dtype))
    return as_dtype(wide / p.maximum(norm(wide, axis=axis, keepdims=True), epsilon), dtype)


def dropout(x: Any, rate: float, key: Any, noise_shape: Any = None) -> Tensor:
    """``x / (1 - rate)``, but 0 in each place with probability ``rate`` (Srivastava et al., 2014).

    Args:
        x: a tensor.
        rate: from 0, which returns ``x``, to 1, which gives zeros.
        key: of the random numbers, see ``gc.random``.
        noise_shape: a shape that broadcasts to that of ``x``, where places are to share their fate: ``(batch, 1, channels)``.

    Raises:
        ArgumentError: the rate is not from 0 to 1. ShapeError: the ``noise_shape`` does not broadcast.
    """
    x = as_tensor(x)
    x = as_dtype(x, dtypes.floating(x.dtype))
    if not 0 <= rate <= 1:
        raise ArgumentError(f"dropout: a rate of {rate}", given=[f"x: {describe(x)}"], fits="from 0 to 1")
    if rate in (0, 1):
        return zeros_like(x) if rate else x
    shape = x.shape if noise_shape is None else _noise_shape(x, noise_shape)
    return p.where(bernoulli(key, 1 - rate, shape), x * (1 / (1 - rate)), 0)


def _noise_shape(x: Tensor, value: Any) -> Shape:
    shape = sizes.canonical(value)
    padded = (1,) * (x.ndim - len(shape)) + shape
    if len(padded) > x.ndim or any(size not in (1, own) for size, own in zip(padded, x.shape, strict=True)):
        raise ShapeError(f"dropout: noise of shape {shape}", given=[f"x: {describe(x)}"], fits=f"a shape that broadcasts to {x.shape}")
    return shape
