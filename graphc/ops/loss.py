"""Cross-entropies, from logits and from probabilities, with Keras's names and arguments; one number a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.core import Tensor, TensorType, as_tensor, case, describe, dtypes, op, register, sizes
from graphc.core.attributes import Axis
from graphc.core.errors import DTypeError, ShapeError
from graphc.core.op import as_dtype
from graphc.core.sizes import Dim, Shape
from graphc.ops import pointwise as p
from graphc.ops.creation import arange
from graphc.ops.index import one_hot, pick
from graphc.ops.reduce import keep, log_softmax, softmax, sum
from graphc.ops.shape import expand_dims, moveaxis, number, stacked

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]

EPSILON = 1e-7
"""How near to 0 and 1 probabilities are let, as Keras has it."""


def _dense_flops(node: Tensor) -> Dim:
    return node.inputs[1].size * 8


def _sparse_flops(node: Tensor) -> Dim:
    return node.inputs[1].size * 6


@op(
    None,
    promote=("labels", "logits"),
    compute=dtypes.floating,
    linear=("labels",),
    flops=_dense_flops,
    ulps=16,
    cases=(case((2, 3), (2, 3)), case((4,), (4,)), case((3, 2), (3, 2), axis=0)),
    text="crossentropy($labels, softmax($logits))",
    tex=r"H($labels, \mathrm{softmax}($logits))",
)
def softmax_crossentropy(labels: TensorType, logits: TensorType, *, axis: Axis = -1) -> TensorType:
    """``-sum(labels * log_softmax(logits))`` along an axis."""
    if labels.shape != logits.shape:
        raise ShapeError(f"labels of shape {labels.shape} for logits of shape {logits.shape}", fits=str(logits.shape))
    return logits.with_shape(logits.shape[:axis] + logits.shape[axis + 1 :])


@softmax_crossentropy.decompose
def _(labels: Tensor, logits: Tensor, axis: int) -> Tensor:
    terms = p.where(p.equal(labels, 0), 0, labels * log_softmax(logits, axis=axis))  # a class that is ruled out has logit -inf
    return -sum(terms, axis=axis)


@softmax_crossentropy.vjp
def _(g: Tensor, y: Tensor, labels: Tensor, logits: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    g = keep(g, logits, (axis,))
    total = sum(labels, axis=axis, keepdims=True)
    return -g * log_softmax(logits, axis=axis), g * (softmax(logits, axis=axis) * total - labels)


@softmax_crossentropy.vmap
def _(mapped: Sequence[bool], labels: Tensor, logits: Tensor, axis: int) -> Tensor:
    return softmax_crossentropy(*stacked(mapped, (labels, logits)), axis=axis + 1)


@op(
    None,
    flops=_sparse_flops,
    ulps=16,
    cases=(case((3,), (3, 4), integers={"labels": 4}), case((2, 2), (2, 2, 3), integers={"labels": 3})),
    text="-log softmax($logits)[$labels]",
    tex=r"-\log \mathrm{softmax}($logits)_{$labels}",
    promote=("logits",),
    compute=dtypes.floating,
)
def sparse_softmax_crossentropy(labels: TensorType, logits: TensorType) -> TensorType:
    """``-log_softmax(logits)[labels]`` along the last axis; a label outside the classes raises IndexError on NumPy, is NaN on JAX."""
    if not dtypes.is_integer(labels.dtype):
        raise DTypeError(f"labels of dtype {labels.dtype}", fits="whole numbers; categorical_crossentropy takes one-hot labels")
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(f"labels of shape {labels.shape} for logits of shape {logits.shape}", fits=f"labels of shape {logits.shape[:-1]}")
    return logits.with_shape(labels.shape)


@sparse_softmax_crossentropy.decompose
def _(labels: Tensor, logits: Tensor) -> Tensor:
    return -pick(log_softmax(logits), _from_front(labels, logits.shape[-1]))


@sparse_softmax_crossentropy.vjp
def _(g: Tensor, y: Tensor, labels: Tensor, logits: Tensor) -> tuple[Tensor | None, ...]:
    return None, expand_dims(g, axis=g.ndim) * (softmax(logits) - _one_hot(labels, logits.shape[-1], logits.dtype))


@sparse_softmax_crossentropy.vmap
def _(mapped: Sequence[bool], labels: Tensor, logits: Tensor) -> Tensor:
    return sparse_softmax_crossentropy(*stacked(mapped, (labels, logits)))


def _from_front(labels: Tensor, classes: Dim) -> Tensor:
    """Labels of which a negative one is out of bounds: NumPy and JAX would count it from the end."""
    if labels.dtype not in dtypes.SIGNED:
        return labels
    if dtypes.itemsize(labels.dtype) < 4:  # int8 may not hold the number of classes
        labels = p.cast(labels, dtype="int32")
    return p.where(labels < 0, number(classes, labels.dtype), labels)


def _one_hot(labels: Tensor, classes: Dim, dtype: str) -> Tensor:
    if isinstance(classes, int):
        return one_hot(labels, num_classes=classes, dtype=dtype)
    return p.cast(p.equal(expand_dims(labels, axis=labels.ndim), arange(0, classes)), dtype=dtype)


def _sigmoid_type(labels: TensorType, logits: TensorType) -> TensorType:
    """``-labels * log(sigmoid(logits)) - (1 - labels) * log(1 - sigmoid(logits))``, element by element.

    As ``|x| * weight + log(1 + exp(-|x|))``, where the weight is that of the answer which the logit speaks against: no term cancels.
    """
    return TensorType(logits.dtype, sizes.broadcast([labels.shape, logits.shape]))


sigmoid_crossentropy = register(
    "sigmoid_crossentropy",
    _sigmoid_type,
    pointwise=True,
    partials=(
        lambda y, labels, logits: -logits,
        lambda y, labels, logits: (1 - labels) * p.sigmoid(logits) - labels * p.sigmoid(-logits),
    ),
    promote=("labels", "logits"),
    compute=dtypes.floating,
    domain=((0.05, 0.95), (-3.0, 3.0)),
    flops=9,
    ulps=8,
    sympy="labels * log(1 + exp(-logits)) + (1 - labels) * log(1 + exp(logits))",
    text="crossentropy($labels, σ($logits))",
    tex=r"H($labels, \sigma($logits))",
)


@sigmoid_crossentropy.decompose
def _(labels: Tensor, logits: Tensor) -> Tensor:
    size = p.abs(logits)
    weight = p.where(logits > 0, 1 - labels, labels)
    return p.where(p.equal(weight, 0), 0, size * weight) + p.log1p(p.exp(-size))


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """Cross-entropy of one-hot (or any) target probabilities and ``output`` along an axis.

    ``output`` are logits, or probabilities, which are scaled to 1 in sum and kept ``1e-7`` from 0 and 1; probabilities that
    are a softmax are computed from its logits. Targets that are integers or truth values take the dtype of ``output``.

    Raises:
        ShapeError: the shapes differ.
    """
    output = _floats(output)
    target = _targets(target, output)
    logits = output if from_logits else _logits(output, "softmax", axis)
    if logits is not None:
        return softmax_crossentropy(target, logits, axis=axis)
    _same_shape("categorical_crossentropy", target, output, output.shape)
    return _as_float_of(output, -sum(target * p.log(_bounded(_scaled(output, axis))), axis=axis))


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """Cross-entropy of integer labels and ``output`` (logits or probabilities) along an axis. See ``categorical_crossentropy``.

    A label outside the classes raises IndexError on NumPy and gives NaN on JAX.
    """
    output = _floats(output)
    logits = output if from_logits else _logits(output, "softmax", axis)
    if logits is not None:
        return sparse_softmax_crossentropy(target, _classes_last(logits, axis))
    target, rows = as_tensor(target), _classes_last(_scaled(output, axis), axis)
    _same_shape("sparse_categorical_crossentropy", target, output, rows.shape[:-1])
    return _as_float_of(output, -p.log(_bounded(pick(rows, _from_front(target, rows.shape[-1])))))


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """Cross-entropy, element by element, of targets in [0, 1] and ``output``: logits, or probabilities kept ``1e-7`` from 0 and 1.

    The target is a number or has the shape of ``output``; integers and truth values take its dtype.

    Raises:
        ShapeError: the shapes differ.
    """
    output = _floats(output)
    target = _targets(target, output)
    if target.ndim:
        _same_shape("binary_crossentropy", target, output, output.shape)
    logits = output if from_logits else _logits(output, "sigmoid", None)
    if logits is not None:
        return sigmoid_crossentropy(target, logits)
    q = _bounded(_wide(output))
    return _as_float_of(output, -(target * p.log(q) + (1 - target) * p.log1p(-q)))


def _floats(output: Any) -> Tensor:
    output = as_tensor(output)
    return as_dtype(output, dtypes.floating(output.dtype))


def _targets(target: Any, output: Tensor) -> Tensor:
    """Targets as floats: those that are none, and literals, in the dtype of the output."""
    if not isinstance(target, Tensor | np.ndarray | np.generic):
        return as_dtype(target, output.dtype)
    tensor = as_tensor(target)
    return tensor if dtypes.is_float(tensor.dtype) else as_dtype(tensor, output.dtype)


def _same_shape(name: str, target: Tensor, output: Tensor, wanted: Shape) -> None:
    if target.shape != wanted:
        given = [f"target: {describe(target)}", f"output: {describe(output)}"]
        raise ShapeError(f"{name}(target, output): a target of shape {target.shape}", given=given, fits=f"shape {wanted}")


def _logits(output: Tensor, op: str, axis: int | None) -> Tensor | None:
    if output.op is None or output.op.name != op:
        return None
    fits = axis is None or output.attributes["axis"] == (axis % output.ndim,)
    return output.inputs[0] if fits else None


def _classes_last(x: Tensor, axis: int) -> Tensor:
    return x if axis in (-1, x.ndim - 1) else moveaxis(x, axis, -1)


def _scaled(output: Tensor, axis: int) -> Tensor:
    output = _wide(output)
    return output / sum(output, axis=axis, keepdims=True)


def _bounded(probability: Tensor) -> Tensor:
    """Kept from 0 and 1; the gradient is 0 beyond the bounds."""
    return p.clip(probability, EPSILON, 1 - EPSILON)


def _wide(x: Tensor) -> Tensor:
    """In float32 at least: float16 has no number between ``1 - 1e-7`` and 1."""
    return as_dtype(x, dtypes.wide(x.dtype))


def _as_float_of(output: Tensor, loss: Tensor) -> Tensor:
    """The loss in the dtype of the output, where it was computed in a wider one for accuracy alone."""
    return as_dtype(loss, output.dtype) if dtypes.itemsize(output.dtype) < 4 else loss
