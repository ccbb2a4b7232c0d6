"""Metrics with Keras's names, arguments, defaults and formulas.

A metric is two halves. In the graph, ``states`` says what a batch contributes: sums, which add up over batches. On the host, ``result``
makes a figure of the totals, in float64. So a metric needs no variables in a graph, and the figure of an epoch is that of all its
samples. Used alone it adds up by itself, as in Keras: ``update_state``, ``result``, ``reset_state``.

What has the weight 0 does not count, be it NaN. F. Chollet et al., Keras 3, keras.metrics, is the reference; where this module departs
from it, the docstring says so.
"""

from __future__ import annotations

from typing import Any, Final

from graphc.core import Tensor
from graphc.nn import losses
from graphc.nn.losses import answers_of
from graphc.nn.metrics.base import Array, Figure, Metric, States, Totals
from graphc.nn.metrics.functions import (
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    concordance_correlation,
    cosine_similarity,
    pearson_correlation,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from graphc.nn.metrics.means import (
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanMetricWrapper,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    Sum,
    TopKCategoricalAccuracy,
)
from graphc.nn.metrics.overlap import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from graphc.nn.metrics.scores import F1Score, FBetaScore, R2Score
from graphc.nn.metrics.thresholds import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    Thresholds,
    TrueNegatives,
    TruePositives,
)
from graphc.nn.naming import find, spelled

__all__ = [
    "AUC",
    "Accuracy",
    "Array",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Figure",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "States",
    "Sum",
    "Thresholds",
    "TopKCategoricalAccuracy",
    "Totals",
    "TrueNegatives",
    "TruePositives",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "concordance_correlation",
    "cosine_similarity",
    "get",
    "pearson_correlation",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

CLASSES: Final[tuple[type[Metric], ...]] = (
    AUC,
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    BinaryIoU,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    F1Score,
    FBetaScore,
    FalseNegatives,
    FalsePositives,
    Hinge,
    IoU,
    KLDivergence,
    LogCoshError,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanIoU,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    OneHotIoU,
    OneHotMeanIoU,
    PearsonCorrelation,
    Poisson,
    Precision,
    PrecisionAtRecall,
    R2Score,
    Recall,
    RecallAtPrecision,
    RootMeanSquaredError,
    SensitivityAtSpecificity,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SpecificityAtSensitivity,
    SquaredHinge,
    Sum,
    TopKCategoricalAccuracy,
    TrueNegatives,
    TruePositives,
)
_SHORT: Final[dict[str, type[Metric]]] = {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}
TABLE: Final = losses.TABLE | spelled(CLASSES, **_SHORT, **{name.upper(): cls for name, cls in _SHORT.items()})
"""Every metric by the names that it has in Keras, and what losses there are besides."""
_BY_SHAPE: Final[dict[str, dict[str, type[Metric]]]] = {
    "accuracy": {"binary": BinaryAccuracy, "sparse": SparseCategoricalAccuracy, "categorical": CategoricalAccuracy},
    "crossentropy": {"binary": BinaryCrossentropy, "sparse": SparseCategoricalCrossentropy, "categorical": CategoricalCrossentropy},
}
_CHOSEN: Final = {"accuracy": "accuracy", "acc": "accuracy", "crossentropy": "crossentropy", "ce": "crossentropy"}


def get(identifier: Any, y_true: Tensor | None = None, y_pred: Tensor | None = None) -> Metric | None:
    """The metric that is meant: a :class:`Metric`, its name or config, a loss, or a function of ``y_true`` and ``y_pred``.

    One that is given by name has that name. ``"accuracy"`` (``"acc"``) and ``"crossentropy"`` (``"ce"``) are chosen by the shapes of
    targets and predictions, as in Keras. None stays None.

    Raises:
        ArgumentError: no such metric; the shapes are wanted and not given.
    """
    if isinstance(identifier, str) and identifier.lower() in _CHOSEN:
        return _BY_SHAPE[_CHOSEN[identifier.lower()]][answers_of(identifier, y_true, y_pred)](name=identifier)
    found = find(identifier, "metric", TABLE)
    if found is None:
        return None
    metric = found if isinstance(found, Metric) else MeanMetricWrapper(found)
    return metric.named(identifier) if isinstance(identifier, str) else metric
