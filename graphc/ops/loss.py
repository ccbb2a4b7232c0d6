"""Cross-entropies, from logits and from probabilities, with Keras's names and arguments; one number a sample."""

from __future__ import annotations

from typing import Any

from graphc.core import Tensor, TensorType, as_tensor, case, dtypes, op
from graphc.core.attributes import Axis
from graphc.core.errors import ShapeError
from graphc.core.sizes import Dim
from graphc.ops import pointwise as p
from graphc.ops.index import one_hot, pick
from graphc.ops.reduce import keep, log_softmax, softmax, sum
from graphc.ops.shape import expand_dims

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]

EPSILON = 1e-7
"""How near to 0 and 1 probabilities are let, as Keras has it."""


def _flops(node: Tensor) -> Dim:
    return node.inputs[1].size * 6


@op(
    None,
    promote=("labels", "logits"),
    compute=dtypes.floating,
    linear=("labels",),
    flops=_flops,
    ulps=16,
    cases=(case((2, 3), (2, 3)), case((4,), (4,)), case((3, 2), (3, 2), axis=0)),
    tex=r"H($labels, \mathrm{softmax}($logits))",
)
def softmax_crossentropy(labels: TensorType, logits: TensorType, *, axis: Axis = -1) -> TensorType:
    """``-sum(labels * log_softmax(logits))`` along an axis."""
    if labels.shape != logits.shape:
        raise ShapeError(f"labels of shape {labels.shape} for logits of shape {logits.shape}", fits=str(logits.shape))
    return logits.with_shape(logits.shape[:axis] + logits.shape[axis + 1 :])


@softmax_crossentropy.decompose
def _(labels: Tensor, logits: Tensor, axis: int) -> Tensor:
    return -sum(labels * log_softmax(logits, axis=axis), axis=axis)


@softmax_crossentropy.vjp
def _(g: Tensor, y: Tensor, labels: Tensor, logits: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    g = keep(g, logits, (axis,))
    total = sum(labels, axis=axis, keepdims=True)
    return -g * log_softmax(logits, axis=axis), g * (softmax(logits, axis=axis) * total - labels)


@op(
    None,
    flops=_flops,
    ulps=16,
    cases=(case((3,), (3, 4), integers={"labels": 4}), case((2, 2), (2, 2, 3), integers={"labels": 3})),
    tex=r"-\log \mathrm{softmax}($logits)_{$labels}",
    promote=("logits",),
    compute=dtypes.floating,
)
def sparse_softmax_crossentropy(labels: TensorType, logits: TensorType) -> TensorType:
    """``-log_softmax(logits)[labels]`` along the last axis; a label outside the classes raises IndexError on NumPy, is NaN on JAX."""
    if not dtypes.is_integer(labels.dtype):
        raise ShapeError(f"labels of dtype {labels.dtype}", fits="whole numbers; categorical_crossentropy takes one-hot labels")
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(f"labels of shape {labels.shape} for logits of shape {logits.shape}", fits=f"labels of shape {logits.shape[:-1]}")
    return logits.with_shape(labels.shape)


@sparse_softmax_crossentropy.decompose
def _(labels: Tensor, logits: Tensor) -> Tensor:
    classes = logits.shape[-1]
    if labels.dtype in dtypes.SIGNED and isinstance(classes, int):
        labels = p.where(labels < 0, classes, labels)  # else NumPy would count a negative label from the end
    return -pick(log_softmax(logits), labels)


@sparse_softmax_crossentropy.vjp
def _(g: Tensor, y: Tensor, labels: Tensor, logits: Tensor) -> tuple[Tensor | None, ...]:
    classes = logits.shape[-1]
    if not isinstance(classes, int):
        raise ShapeError("the number of classes has to be known", fits="logits whose last axis is a whole number")
    return None, expand_dims(g, axis=g.ndim) * (softmax(logits) - one_hot(labels, num_classes=classes, dtype=logits.dtype))


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """Cross-entropy of one-hot (or any) target probabilities and ``output`` along an axis.

    ``output`` are logits, or probabilities, which are scaled to 1 in sum and kept ``1e-7`` from 0 and 1; probabilities that
    are a softmax are computed from its logits.
    """
    logits = as_tensor(output) if from_logits else _logits(output, "softmax", axis)
    if logits is not None:
        return softmax_crossentropy(target, logits, axis=axis)
    return -sum(target * p.log(_bounded(_scaled(output, axis))), axis=axis)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """Cross-entropy of integer labels and ``output`` (logits or probabilities) along the last axis. See ``categorical_crossentropy``."""
    logits = as_tensor(output) if from_logits else _logits(output, "softmax", -1)
    if logits is not None:
        return sparse_softmax_crossentropy(target, logits)
    return -p.log(_bounded(pick(_scaled(output, -1), as_tensor(target))))


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """Cross-entropy, element by element, of targets in [0, 1] and ``output``: logits, or probabilities kept ``1e-7`` from 0 and 1."""
    logits = as_tensor(output) if from_logits else _logits(output, "sigmoid", None)
    if logits is not None:
        # Both terms are positive, so that nothing cancels: not softplus(x) - x * target.
        return target * p.softplus(-logits) + (1 - target) * p.softplus(logits)
    q = _bounded(as_tensor(output))
    return -(target * p.log(q) + (1 - target) * p.log(1 - q))


def _logits(output: Any, op: str, axis: int | None) -> Tensor | None:
    if not isinstance(output, Tensor) or output.op is None or output.op.name != op:
        return None
    fits = axis is None or output.attributes["axis"] == (axis % output.ndim,)
    return output.inputs[0] if fits else None


def _scaled(output: Any, axis: int) -> Tensor:
    output = as_tensor(output)
    return output / sum(output, axis=axis, keepdims=True)


def _bounded(probability: Tensor) -> Tensor:
    return p.clip(probability, EPSILON, 1 - EPSILON)
