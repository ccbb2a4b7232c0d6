"""``tf.nn``: activations, losses of logits, convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphc as gc
from graphc.compat.tensorflow import functions
from graphc.compat.tensorflow.eager import function
from graphc.compat.tensorflow.functions import moments, sigmoid, softplus, tanh, top_k
from graphc.core.errors import ArgumentError

Sizes = int | Sequence[int]


@function("features")
def relu(features: Any) -> Any:
    """The larger of x and 0."""
    return gc.relu(features)


@function("features", floats=True)
def relu6(features: Any) -> Any:
    """X brought into [0, 6]."""
    return gc.relu6(features)


@function("features", floats=True)
def leaky_relu(features: Any, alpha: float = 0.2) -> Any:
    """x, or ``alpha * x`` where that is negative."""
    return gc.leaky_relu(features, negative_slope=alpha)


@function("features", floats=True)
def elu(features: Any) -> Any:
    """x, or ``exp(x) - 1`` where that is negative."""
    return gc.elu(features)


@function("features", floats=True)
def selu(features: Any) -> Any:
    """The scaled elu (G. Klambauer et al., 2017)."""
    return gc.selu(features)


@function("features", floats=True)
def gelu(features: Any, approximate: bool = False) -> Any:
    """X times the normal distribution's probability of less."""
    return gc.gelu(features, approximate=approximate)


@function("features", floats=True)
def silu(features: Any, beta: float = 1.0) -> Any:
    """``x * sigmoid(beta * x)``."""
    return gc.silu(features) if beta == 1 else features * gc.sigmoid(beta * features)


swish = silu


@function("features", floats=True)
def softsign(features: Any) -> Any:
    """``x / (1 + |x|)``."""
    return gc.softsign(features)


@function("logits", floats=True)
def softmax(logits: Any, axis: int | None = None) -> Any:
    """Positive numbers that sum to 1 along ``axis``, the last by default."""
    return gc.softmax(logits, axis=-1 if axis is None else axis)


@function("logits", floats=True)
def log_softmax(logits: Any, axis: int | None = None) -> Any:
    """The logarithm of the softmax."""
    return gc.log_softmax(logits, axis=-1 if axis is None else axis)


@function("labels", "logits", floats=True)
def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1) -> Any:
    """Cross-entropy of the softmax of logits, against probabilities, along an axis."""
    return gc.categorical_crossentropy(labels, logits, from_logits=True, axis=axis)


@function("logits", "labels", apart=("labels",), floats=True)
def _sparse(logits: Any, labels: Any) -> Any:
    return gc.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Any:
    """Cross-entropy of the softmax of logits along the last axis, against whole numbers."""
    return _sparse(logits, labels)


@function("labels", "logits", floats=True)
def sigmoid_cross_entropy_with_logits(labels: Any, logits: Any) -> Any:
    """Cross-entropy of the sigmoid of each logit, against a probability."""
    return gc.binary_crossentropy(labels, logits, from_logits=True)


@function("x", floats=True)
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    """The tensor over its length along ``axis``, where that squared is at least ``epsilon``."""
    squares = gc.sum(gc.square(x), axis=axis, keepdims=True)
    return x * gc.rsqrt(gc.maximum(squares, epsilon))


@function("t", floats=True)
def l2_loss(t: Any) -> Any:
    """Half the sum of squares."""
    return gc.sum(gc.square(t)) / 2


@function("value", "bias", floats=True)
def bias_add(value: Any, bias: Any) -> Any:
    """A number added to each channel; the last axis are channels."""
    return value + bias


@function("input", "filters", floats=True)
def conv2d(input: Any, filters: Any, strides: Sizes, padding: str, data_format: str = "NHWC", dilations: Sizes = 1) -> Any:
    """Convolution of images ``(batch, height, width, channels)`` with a kernel ``(height, width, channels, filters)``."""
    _check_format(data_format)
    return gc.conv(input, filters, strides=_inner(strides), padding=padding.lower(), dilation_rate=_inner(dilations))  # type: ignore[arg-type]


@function("input", floats=True)
def max_pool2d(input: Any, ksize: Sizes, strides: Sizes, padding: str, data_format: str = "NHWC") -> Any:
    """The largest item of each window of images ``(batch, height, width, channels)``."""
    _check_format(data_format)
    return gc.max_pool(input, _inner(ksize), strides=_inner(strides), padding=padding.lower())  # type: ignore[arg-type]


@function("input", floats=True)
def avg_pool2d(input: Any, ksize: Sizes, strides: Sizes, padding: str, data_format: str = "NHWC") -> Any:
    """The mean of each window of images ``(batch, height, width, channels)``."""
    _check_format(data_format)
    return gc.average_pool(input, _inner(ksize), strides=_inner(strides), padding=padding.lower())  # type: ignore[arg-type]


def _check_format(data_format: str) -> None:
    if data_format != "NHWC":
        raise ArgumentError(f"data_format={data_format!r}", fits="'NHWC'; gc.conv(..., data_format='channels_first') for the other")


def _inner(sizes: Sizes) -> Any:
    """The sizes along height and width, of one, two or four."""
    if isinstance(sizes, int):
        return (sizes, sizes)
    return tuple(sizes[1:3]) if len(sizes) == 4 else tuple(sizes) * (2 if len(sizes) == 1 else 1)


@function("params", "ids", apart=("ids",))
def embedding_lookup(params: Any, ids: Any) -> Any:
    """The rows of a table with these numbers."""
    return gc.take(params, ids, axis=0)


def dropout(x: Any, rate: float, noise_shape: Any = None, seed: int | None = None, name: str | None = None) -> Any:
    """Elements are 0 with probability ``rate``; the others are scaled, so that the mean stays."""
    from graphc.compat.tensorflow import random

    if not 0 <= rate < 1:
        raise ArgumentError(f"dropout: rate={rate}", fits="0 <= rate < 1")
    x = functions.convert_to_tensor(x)
    kept = functions.greater_equal(random.uniform(x.shape if noise_shape is None else noise_shape, seed=seed), rate)
    return functions.where(kept, x / (1 - rate), functions.zeros_like(x))


__all__ = [
    "avg_pool2d",
    "bias_add",
    "conv2d",
    "dropout",
    "elu",
    "embedding_lookup",
    "gelu",
    "l2_loss",
    "l2_normalize",
    "leaky_relu",
    "log_softmax",
    "max_pool2d",
    "moments",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "silu",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softplus",
    "softsign",
    "sparse_softmax_cross_entropy_with_logits",
    "swish",
    "tanh",
    "top_k",
]
