"""Of each sample: right or wrong, or how near. Given tensors they make graphs, given values they compute at once."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gc
from graphc.core import Tensor, as_tensor, describe
from graphc.core.errors import ShapeError
from graphc.core.op import as_dtype
from graphc.nn import losses
from graphc.nn.immediate import immediate
from graphc.nn.losses import EPSILON, floats, paired


@immediate
def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where prediction and target are equal, else 0."""
    return _truth(gc.equal(*paired(y_true, y_pred)))


@immediate
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where the prediction is above the threshold and the target is 1, or neither, else 0."""
    y_true, y_pred = paired(y_true, y_pred)
    return _truth(gc.equal(y_true, _truth(y_pred > threshold)))


@immediate
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the place of the largest target, else 0; the last axis is that of the classes."""
    return sparse_categorical_accuracy(gc.argmax(as_tensor(y_true), axis=-1), y_pred)


@immediate
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the place that the target, a class number, says, else 0."""
    y_true, y_pred = _numbered(y_true, y_pred)
    return _truth(gc.equal(y_true, gc.argmax(y_pred, axis=-1)))


@immediate
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the class of the largest target is among the ``k`` with the largest predictions, else 0."""
    return sparse_top_k_categorical_accuracy(gc.argmax(as_tensor(y_true), axis=-1), y_pred, k)


@immediate
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """1 where the target, a class number, is among the ``k`` classes with the largest predictions, else 0.

    It is among them if fewer than ``k`` are larger than its own. ``from_sorted_ids`` says that predictions are class numbers, best first.
    """
    y_true, y_pred = _numbered(y_true, y_pred)
    label = gc.expand_dims(y_true, axis=-1)
    if from_sorted_ids:
        return _truth(gc.any(gc.equal(label, y_pred[..., :k]), axis=-1))
    at = gc.equal(label, gc.arange(0, y_pred.shape[-1], dtype="int64"))
    own = gc.max(gc.where(at, gc.where(gc.isnan(y_pred), -np.inf, y_pred), -np.inf), axis=-1, keepdims=True)
    larger = gc.sum(as_dtype(y_pred > own, "int32"), axis=-1)
    return _truth(gc.logical_and(gc.any(at, axis=-1), larger < k))


@immediate
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine of the angle between them along an axis: 1 is the same direction."""
    return -losses.cosine_similarity(y_true, y_pred, axis)


@immediate
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The correlation of targets and predictions along an axis (K. Pearson, 1895)."""
    y_true, y_pred = [_centred(y, axis) for y in paired(y_true, y_pred)]
    return gc.mean(y_true / _deviation(y_true, axis) * (y_pred / _deviation(y_pred, axis)), axis=axis)


@immediate
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """How near targets and predictions are to the line on which they are equal, along an axis (L. Lin, 1989)."""
    y_true, y_pred = paired(y_true, y_pred)
    true, pred = _centred(y_true, axis), _centred(y_pred, axis)
    apart = gc.square(gc.mean(y_true, axis=axis) - gc.mean(y_pred, axis=axis))
    spread = gc.mean(gc.square(true), axis=axis) + gc.mean(gc.square(pred), axis=axis) + apart
    return 2 * gc.mean(true * pred, axis=axis) / (spread + EPSILON)


# ---------------------------------------------------------------- pieces
def _truth(x: Tensor) -> Tensor:
    return as_dtype(x, "float32")


def _numbered(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Class numbers and scores; the numbers have an axis less, or one of size 1 there."""
    y_true, y_pred = as_tensor(y_true), floats(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = gc.squeeze(y_true, axis=-1)
    if y_true.ndim != y_pred.ndim - 1:
        given = [f"y_true: {describe(y_true)}", f"y_pred: {describe(y_pred)}"]
        raise ShapeError("class numbers for scores of other shapes", given=given, fits=f"y_true of shape {y_pred.shape[:-1]}")
    return y_true, y_pred


def _centred(y: Tensor, axis: int) -> Tensor:
    return y - gc.mean(y, axis=axis, keepdims=True)


def _deviation(centred: Tensor, axis: int) -> Tensor:
    return gc.sqrt(gc.mean(gc.square(centred), axis=axis, keepdims=True))
