"""Sums and means: of values, and of what a function says of each sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

import graphc as gc
from graphc.core import Tensor, as_tensor
from graphc.core.op import as_dtype
from graphc.nn import losses
from graphc.nn.losses import Loss, aligned, floats, masked_weight, paired, same_rank
from graphc.nn.metrics.base import Metric, States, Totals, ratio, weighted
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
from graphc.ops.shape import number


class Sum(Metric):
    """The sum of values, weighted: ``update_state(values, sample_weight)``."""

    name: str | None = "sum"
    dtype: str | None = None

    def states(self, values: Any, sample_weight: Any = None, mask: Any = None) -> States:  # type: ignore[override]
        """``total``."""
        values = floats(values, self.dtype)
        weight = masked_weight(sample_weight, mask, values.dtype)
        return {"total": gc.sum(values if weight is None else weighted(*_on_values(values, weight)))}

    def figure(self, totals: Totals) -> Any:
        """The total."""
        return totals["total"]


class Mean(Metric):
    """The mean of values, weighted: ``update_state(values, sample_weight)``. Of several values in a sample the mean is taken first."""

    name: str | None = "mean"
    dtype: str | None = None

    def states(self, values: Any, sample_weight: Any = None, mask: Any = None) -> States:  # type: ignore[override]
        """``total``, and the sum of the weights as ``count``."""
        values = floats(values, self.dtype)
        weight = masked_weight(sample_weight, mask, values.dtype)
        if weight is None:
            return {"total": gc.sum(_of_samples(values)), "count": number(values.shape[0] if values.ndim else 1, values.dtype)}
        values, weight = _on_values(values, weight)
        values, weight = weighted(values, weight), gc.broadcast_to(weight, values.shape)
        return {"total": gc.sum(_of_samples(values)), "count": gc.sum(_of_samples(weight))}

    def figure(self, totals: Totals) -> Any:
        """The total over the count; 0 of nothing."""
        return ratio(totals["total"], totals["count"])


class _MeanOf(Mean):
    """The mean of a function of targets and predictions, which gets the fields of a subclass but for its name and dtype."""

    function: ClassVar[Callable[..., Any]]

    def values(self, y_true: Any, y_pred: Any) -> Tensor:
        """A value for each sample."""
        arguments = {name: getattr(self, name) for name in self.fields if name not in ("name", "dtype")}
        return as_tensor(type(self).function(as_tensor(y_true), floats(y_pred, self.dtype), **arguments))

    def valid(self, y_true: Any, y_pred: Any) -> Tensor | None:
        """Which values count, or None if all do."""
        return None

    def states(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> States:  # type: ignore[override]
        """Those of the mean of the values."""
        valid = self.valid(y_true, y_pred)
        if valid is not None:
            mask = valid if mask is None else gc.logical_and(valid, aligned(as_dtype(as_tensor(mask), "bool"), valid))
        return super().states(self.values(y_true, y_pred), sample_weight, mask)


class MeanMetricWrapper(_MeanOf):
    """The mean of a function of ``y_true`` and ``y_pred``, or of a loss; arguments that are not Keras's own are passed on to it."""

    fn: ClassVar[Callable[..., Any]]
    arguments: ClassVar[dict[str, Any]]

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: str | None = None, **arguments: Any) -> None:
        own = getattr(fn, "name", None) or getattr(fn, "__name__", None)
        super().__init__(name=name or own, dtype=dtype)
        self._set("fn", fn)
        self._set("arguments", arguments)

    @property
    def direction(self) -> str | None:  # type: ignore[override]
        """Less of a loss is better; of another function it is not known."""
        return "down" if isinstance(self.fn, Loss) or self.fn in losses.FUNCTIONS else None

    def values(self, y_true: Any, y_pred: Any) -> Tensor:
        """What the function says."""
        y_true, y_pred = as_tensor(y_true), floats(y_pred, self.dtype)
        if isinstance(self.fn, Loss):
            return self.fn.values(y_true, y_pred)[0]
        return as_tensor(self.fn(*same_rank(y_true, y_pred), **self.arguments))

    def valid(self, y_true: Any, y_pred: Any) -> Tensor | None:
        """What a loss does not leave out."""
        return self.fn.values(y_true, y_pred)[1] if isinstance(self.fn, Loss) else None

    def _named_arguments(self) -> dict[str, Any]:
        return {"fn": self.fn, "name": self.name, "dtype": self.dtype, **self.arguments}


class RootMeanSquaredError(Mean):
    """The root of the mean of squared errors."""

    direction: ClassVar[str | None] = "down"
    name: str | None = "root_mean_squared_error"
    dtype: str | None = None

    def states(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> States:  # type: ignore[override]
        """Those of the mean of squared errors."""
        y_true, y_pred = paired(y_true, floats(y_pred, self.dtype))
        return super().states(gc.square(y_true - y_pred), sample_weight, mask)

    def figure(self, totals: Totals) -> Any:
        """The root of the mean."""
        return np.sqrt(super().figure(totals))


# ---------------------------------------------------------------- of each sample
class _Distance(_MeanOf):
    """Less is better."""

    direction: ClassVar[str | None] = "down"
    name: str | None = None
    dtype: str | None = None


class _Agreement(_MeanOf):
    """More is better."""

    direction: ClassVar[str | None] = "up"
    name: str | None = None
    dtype: str | None = None


class MeanSquaredError(_Distance):
    """The mean of squared errors."""

    function = staticmethod(losses.mean_squared_error)
    name = "mean_squared_error"


class MeanAbsoluteError(_Distance):
    """The mean of absolute errors."""

    function = staticmethod(losses.mean_absolute_error)
    name = "mean_absolute_error"


class MeanAbsolutePercentageError(_Distance):
    """The mean of errors in per cent of the targets."""

    function = staticmethod(losses.mean_absolute_percentage_error)
    name = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(_Distance):
    """The mean of squared differences of logarithms."""

    function = staticmethod(losses.mean_squared_logarithmic_error)
    name = "mean_squared_logarithmic_error"


class LogCoshError(_Distance):
    """The mean of the logarithm of the hyperbolic cosine of errors."""

    function = staticmethod(losses.log_cosh)
    name = "logcosh"


class Hinge(_Distance):
    """How far answers stay below a margin of 1."""

    function = staticmethod(losses.hinge)
    name = "hinge"


class SquaredHinge(_Distance):
    """How far answers stay below a margin of 1, squared."""

    function = staticmethod(losses.squared_hinge)
    name = "squared_hinge"


class CategoricalHinge(_Distance):
    """How far the right class stays below a margin of 1 to the best of the wrong ones."""

    function = staticmethod(losses.categorical_hinge)
    name = "categorical_hinge"


class KLDivergence(_Distance):
    """The Kullback-Leibler divergence of two distributions."""

    function = staticmethod(losses.kl_divergence)
    name = "kl_divergence"


class Poisson(_Distance):
    """The Poisson likelihood of counts."""

    function = staticmethod(losses.poisson)
    name = "poisson"


class BinaryCrossentropy(_Distance):
    """Cross-entropy of answers that are yes or no."""

    function = staticmethod(losses.binary_crossentropy)
    name: str | None = "binary_crossentropy"
    dtype: str | None = None
    from_logits: bool = False
    label_smoothing: float = 0.0


class CategoricalCrossentropy(_Distance):
    """Cross-entropy of one-hot targets."""

    function = staticmethod(losses.categorical_crossentropy)
    name: str | None = "categorical_crossentropy"
    dtype: str | None = None
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1


class SparseCategoricalCrossentropy(_Distance):
    """Cross-entropy of class numbers. Samples of the class ``ignore_class`` do not count, as in the loss; Keras counts them as 0."""

    function = staticmethod(losses.sparse_categorical_crossentropy)
    name: str | None = "sparse_categorical_crossentropy"
    dtype: str | None = None
    from_logits: bool = False
    ignore_class: int | None = None
    axis: int = -1

    def valid(self, y_true: Any, y_pred: Any) -> Tensor | None:
        """Which labels are not ``ignore_class``."""
        return losses.not_ignored(as_tensor(y_true), as_tensor(y_pred), self.ignore_class, self.axis)


class CosineSimilarity(_Agreement):
    """The cosine of the angle between targets and predictions."""

    function = staticmethod(cosine_similarity)
    name: str | None = "cosine_similarity"
    dtype: str | None = None
    axis: int = -1


class PearsonCorrelation(_Agreement):
    """The correlation of targets and predictions in each sample."""

    function = staticmethod(pearson_correlation)
    name: str | None = "pearson_correlation"
    dtype: str | None = None
    axis: int = -1


class ConcordanceCorrelation(_Agreement):
    """How near targets and predictions of each sample are to being equal."""

    function = staticmethod(concordance_correlation)
    name: str | None = "concordance_correlation"
    dtype: str | None = None
    axis: int = -1


class Accuracy(_Agreement):
    """How often a prediction is equal to the target."""

    function = staticmethod(accuracy)
    name = "accuracy"


class BinaryAccuracy(_Agreement):
    """How often answers that are yes or no are right."""

    function = staticmethod(binary_accuracy)
    name: str | None = "binary_accuracy"
    dtype: str | None = None
    threshold: float = 0.5


class CategoricalAccuracy(_Agreement):
    """How often the class with the largest prediction is that of a one-hot target."""

    function = staticmethod(categorical_accuracy)
    name = "categorical_accuracy"


class SparseCategoricalAccuracy(_Agreement):
    """How often the class with the largest prediction is the target."""

    function = staticmethod(sparse_categorical_accuracy)
    name = "sparse_categorical_accuracy"


class TopKCategoricalAccuracy(_Agreement):
    """How often the class of a one-hot target is among the ``k`` with the largest predictions."""

    function = staticmethod(top_k_categorical_accuracy)
    k: int = 5
    name: str | None = "top_k_categorical_accuracy"
    dtype: str | None = None


class SparseTopKCategoricalAccuracy(_Agreement):
    """How often the target is among the ``k`` classes with the largest predictions."""

    function = staticmethod(sparse_top_k_categorical_accuracy)
    k: int = 5
    name: str | None = "sparse_top_k_categorical_accuracy"
    dtype: str | None = None
    from_sorted_ids: bool = False


# ---------------------------------------------------------------- pieces
def _on_values(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Values averaged over the axes that weights have not, and weights of as many axes."""
    weight = aligned(weight, values)
    if values.ndim < weight.ndim:
        values = gc.reshape(values, (*values.shape, *[1] * (weight.ndim - values.ndim)))
    return values, weight


def _of_samples(values: Tensor) -> Tensor:
    """One value a sample: the mean over all axes but the first."""
    return gc.mean(values, axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values
