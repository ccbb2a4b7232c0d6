"""Scores of each class or output and their averages: F scores and the share of the variance that is explained."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

import graphc as gc
from graphc.core import Tensor, as_tensor, describe
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.nn.losses import EPSILON, aligned, floats, masked_weight, same_rank
from graphc.nn.metrics.base import Array, Metric, States, Totals, one_of, same_shape, weighted
from graphc.ops.shape import number


class FBetaScore(Metric):
    """``(1 + beta²) precision recall / (beta² precision + recall)`` of each class (C. J. van Rijsbergen, 1979).

    Targets and predictions are ``(batch, classes)``. ``average``: None gives an array, ``"micro"`` counts all classes together,
    ``"macro"`` takes the mean of the classes, ``"weighted"`` that by how often they come. Without a ``threshold``, the largest prediction
    is yes.
    """

    direction: ClassVar[str | None] = "up"
    average: str | None = None
    beta: float = 1.0
    threshold: float | None = None
    name: str | None = "fbeta_score"
    dtype: str | None = None

    def __post_init__(self) -> None:
        """Check the arguments. Raises :class:`ArgumentError`."""
        super().__post_init__()
        one_of(self, "average", self.average, (None, "micro", "macro", "weighted"))
        if not self.beta > 0:
            raise ArgumentError(f"{type(self).__name__}: beta is {self.beta}", fits="a positive number")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ArgumentError(f"{type(self).__name__}: threshold is {self.threshold}", fits="0 < threshold <= 1, or None")

    def states(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> States:
        """True positives, false positives and false negatives of each class."""
        y_pred = floats(y_pred, self.dtype)
        y_true, y_pred = _columns(self, as_dtype(as_tensor(y_true), y_pred.dtype), y_pred)
        if self.threshold is None:
            yes = gc.logical_and(y_pred >= gc.max(y_pred, axis=-1, keepdims=True), gc.abs(y_pred) > 1e-9)
        else:
            yes = y_pred > self.threshold
        yes, weight = as_dtype(yes, y_pred.dtype), masked_weight(sample_weight, mask, y_pred.dtype)

        def added(values: Tensor) -> Tensor:
            return gc.sum(values if weight is None else weighted(values, aligned(weight, values)), axis=0)

        return {
            "true_positives": added(yes * y_true),
            "false_positives": added(yes * (1 - y_true)),
            "false_negatives": added((1 - yes) * y_true),
        }

    def figure(self, totals: Totals) -> Any:
        """The score of each class, or their average."""
        tp, fp, fn = [totals[name] for name in ("true_positives", "false_positives", "false_negatives")]
        support = tp + fn
        if self.average == "micro":
            tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        score: Array = (1 + self.beta**2) * precision * recall / (self.beta**2 * precision + recall + EPSILON)
        if self.average == "weighted":
            return np.sum(score * support / (support.sum() + EPSILON))
        return score if self.average is None else np.mean(score)


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall; see :class:`FBetaScore`."""

    beta: ClassVar[float] = 1.0  # type: ignore[misc]
    average: str | None = None
    threshold: float | None = None
    name: str | None = "f1_score"
    dtype: str | None = None


class R2Score(Metric):
    """The share of the variance of the targets that predictions explain: 1 is all of it, 0 what their mean does.

    Targets and predictions are ``(batch, outputs)``. ``class_aggregation``: None gives an array, ``"uniform_average"`` the mean of the
    outputs, ``"variance_weighted_average"`` that by their variance. ``num_regressors`` adjusts the score for so many variables. The sums
    are float64: the squares of targets far from 0 would cancel.
    """

    direction: ClassVar[str | None] = "up"
    class_aggregation: str | None = "uniform_average"
    num_regressors: int = 0
    name: str | None = "r2_score"
    dtype: str | None = None

    def __post_init__(self) -> None:
        """Check the arguments. Raises :class:`ArgumentError`."""
        super().__post_init__()
        one_of(self, "class_aggregation", self.class_aggregation, (None, "uniform_average", "variance_weighted_average"))
        if self.num_regressors < 0:
            raise ArgumentError(f"R2Score: num_regressors is {self.num_regressors}", fits="a whole number from 0")

    def states(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> States:
        """Sums of targets, of their squares, of squared errors and of weights for each output, and the number of values."""
        y_true, y_pred = _columns(self, *same_rank(as_dtype(as_tensor(y_true), "float64"), floats(y_pred, "float64")))
        weight = masked_weight(sample_weight, mask, "float64")
        weight = gc.ones_like(y_true) if weight is None else gc.broadcast_to(aligned(weight, y_true), y_true.shape)
        return {
            "sum": gc.sum(weighted(y_true, weight), axis=0),
            "squared_sum": gc.sum(weighted(gc.square(y_true), weight), axis=0),
            "residual": gc.sum(weighted(gc.square(y_true - y_pred), weight), axis=0),
            "count": gc.sum(weight, axis=0),
            "num_samples": number(y_true.size, "float64"),
        }

    def figure(self, totals: Totals) -> Any:
        """The score of each output, or their average."""
        total = totals["squared_sum"] - totals["sum"] ** 2 / totals["count"]
        scores = 1 - totals["residual"] / total
        scores = np.where(np.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = np.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = np.sum(total * scores) / np.sum(total)
        free = totals["num_samples"] - self.num_regressors - 1
        if self.num_regressors == 0 or free <= 0:
            return scores
        return 1 - (1 - scores) * (totals["num_samples"] - 1) / free


def _columns(metric: Metric, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    if y_pred.ndim != 2:
        raise ShapeError(f"{type(metric).__name__}: predictions of {y_pred.ndim} axes", given=[describe(y_pred)], fits="two axes")
    return same_shape(metric, y_true, y_pred)
