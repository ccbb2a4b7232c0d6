"""Metrics with Keras's names, arguments, defaults and formulas.

A metric is two halves. In the graph, ``states`` says what a batch contributes: sums, which add up over batches. On the host, ``result``
makes a figure of the totals, in float64. So a metric needs no variables in a graph, and the figure of an epoch is that of all its
samples. Used alone it adds up by itself, as in Keras: ``update_state``, ``result``, ``reset_state``.

What has the weight 0 does not count, be it NaN. F. Chollet et al., Keras 3, keras.metrics, is the reference; where this module departs
from it, the docstring says so.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Self, cast

import numpy as np

import graphc as gc
from graphc.core import Tensor, as_tensor, constant, describe, dtypes
from graphc.core.errors import ArgumentError, ShapeError, UnfinishedError, entries
from graphc.core.op import as_dtype
from graphc.nn import losses
from graphc.nn.configured import ConfiguredRecord
from graphc.nn.immediate import immediate
from graphc.nn.losses import EPSILON, Loss, aligned, answers_of, floats, masked_weight, paired, same_rank
from graphc.nn.naming import find, snake_case, spelled, unique_name
from graphc.ops.shape import number

Array = np.ndarray[Any, Any]
States = dict[str, Tensor]
"""What a batch contributes: sums by name."""
Totals = Mapping[str, Any]
"""The same sums over many batches, as float64."""
Figure = float | Array
Thresholds = float | Sequence[float] | None


# ---------------------------------------------------------------- of each sample, right or wrong
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


# ---------------------------------------------------------------- the base
@entries("__call__", "update_state", "result")
class Metric(ConfiguredRecord, kw_only=True):
    """A figure of many batches. Subclasses say what a batch contributes, in ``states``, and what figure that makes, in ``figure``.

    ``name`` is that of the class by default, with a number if it was given before. ``dtype`` is what is computed in: by default that of
    the predictions, float32 at least.
    """

    kind: ClassVar[str] = "metric"
    direction: ClassVar[str | None] = None
    """``"up"`` if more is better, ``"down"`` if less is."""
    name: str | None = None
    dtype: str | None = None
    _totals: ClassVar[dict[str, Array]]
    _compiled: ClassVar[dict[Any, Any]]

    def __post_init__(self) -> None:
        """Give a name to who has none. Raises :class:`ArgumentError` for arguments that do not fit."""
        if self.name is None:
            self._set("name", unique_name(snake_case(type(self).__name__)))
        self._set("_totals", {})
        self._set("_compiled", {})

    def states(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> States:
        """What a batch contributes, as tensors: sums, which add up.

        Args:
            y_true: targets.
            y_pred: predictions.
            sample_weight: a weight for each value; where it has fewer axes, they are the first, so that a vector has a weight a sample.
            mask: which values count.
        """
        raise UnfinishedError(f"{type(self).__name__}.states(y_true, y_pred, sample_weight, mask)", fits="a subclass that defines it")

    def figure(self, totals: Totals) -> Any:
        """What the totals come to."""
        raise UnfinishedError(f"{type(self).__name__}.figure(totals)", fits="a subclass that defines it")

    def result(self, totals: Totals | None = None) -> Figure:
        """The figure for these totals of ``states``, by default those of ``update_state``: a float, or an array where there are several."""
        if totals is None and not self._totals:
            return 0.0
        exact = {name: np.asarray(value, np.float64) for name, value in (totals or self._totals).items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            figure = np.asarray(self.figure(exact))
        return figure if figure.ndim else float(figure)

    def update_state(self, *operands: Any, **named: Any) -> None:
        """Add what a batch of values contributes: the arguments are those of ``states``."""
        arrays = {name: np.asarray(value) for name, value in [*enumerate(operands), *named.items()] if value is not None}
        key = tuple([(name, value.shape, value.dtype.name) for name, value in arrays.items()])
        if key not in self._compiled:
            self._compiled[key] = self._compile(arrays, operands)
        for name, value in self._compiled[key](*arrays.values()).items():
            self._totals[name] = self._totals.get(name, 0.0) + np.asarray(value, np.float64)

    def reset_state(self) -> None:
        """Forget what was added."""
        self._totals.clear()

    def __call__(self, *operands: Any, **named: Any) -> Figure:
        """Add a batch, and return the figure so far."""
        self.update_state(*operands, **named)
        return self.result()

    def named(self, name: str) -> Self:
        """The same metric under another name, with nothing added yet."""
        other = copy.copy(self)
        other._set("name", name)
        other._set("_totals", {})
        return other

    def _compile(self, arrays: Mapping[Any, Array], operands: Sequence[Any]) -> Any:
        leaves = {name: gc.input(f"operand_{name}", value.shape, dtypes.canonical(value.dtype)) for name, value in arrays.items()}
        places = [leaves.get(place) for place in range(len(operands))]
        return gc.compile([*leaves.values()], self.states(*places, **{name: x for name, x in leaves.items() if isinstance(name, str)}))

    # Two metrics of one config have added up different batches.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


# ---------------------------------------------------------------- sums and means
class Sum(Metric):
    """The sum of values, weighted: ``update_state(values, sample_weight)``."""

    name: str | None = "sum"
    dtype: str | None = None

    def states(self, values: Any, sample_weight: Any = None, mask: Any = None) -> States:  # type: ignore[override]
        """``total``."""
        values = floats(values, self.dtype)
        weight = masked_weight(sample_weight, mask, values.dtype)
        return {"total": gc.sum(values if weight is None else _weighted(*_on_values(values, weight)))}

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
        values, weight = _weighted(values, weight), gc.broadcast_to(weight, values.shape)
        return {"total": gc.sum(_of_samples(values)), "count": gc.sum(_of_samples(weight))}

    def figure(self, totals: Totals) -> Any:
        """The total over the count; 0 of nothing."""
        return _ratio(totals["total"], totals["count"])


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


# ---------------------------------------------------------------- how often right and wrong, by threshold
class _Confusion(Metric):
    """How many positives and negatives have their prediction between two thresholds: two histograms, which add up.

    A prediction is yes if it is above a threshold; targets that are not 0 are positive.
    """

    class_id: ClassVar[Any] = None
    top_k: ClassVar[Any] = None

    def levels(self) -> Array:
        """The thresholds."""
        raise UnfinishedError(f"{type(self).__name__}.levels()", fits="a subclass that defines it")

    def prepared(self, y_pred: Tensor) -> Tensor:
        """Predictions that can be compared with thresholds."""
        return y_pred if self.top_k is None else _only_top(y_pred, self.top_k)

    def by_label(self) -> bool:
        """Whether each label has its own histogram."""
        return False

    def label_weight(self) -> Any:
        """A weight for each label, or None."""
        return None

    def states(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> States:
        """``positives`` and ``negatives``: of n thresholds n + 1 sums of weights, for each label if they are apart."""
        y_true, y_pred = _same_shape(self, *paired(y_true, floats(y_pred, self.dtype)))
        y_pred = self.prepared(y_pred)
        weight = masked_weight(sample_weight, mask, y_pred.dtype)
        weight = gc.ones_like(y_pred) if weight is None else gc.broadcast_to(aligned(weight, y_pred), y_pred.shape)
        if self.label_weight() is not None:
            weight = weight * constant(self.label_weight(), weight.dtype)
        if self.class_id is not None:
            y_true, y_pred, weight = [_of_class(self, y, self.class_id) for y in (y_true, y_pred, weight)]
        positive = gc.not_equal(y_true, 0)
        return {
            "positives": self._histogram(y_pred, gc.where(positive, weight, 0)),
            "negatives": self._histogram(y_pred, gc.where(positive, 0, weight)),
        }

    def _histogram(self, y_pred: Tensor, weight: Tensor) -> Tensor:
        levels = np.sort(self.levels())
        bins = len(levels) + 1
        place = gc.searchsorted(constant(levels, y_pred.dtype), gc.where(gc.isnan(y_pred), -np.inf, y_pred))
        if not self.by_label():
            return gc.bincount(gc.reshape(place, -1), gc.reshape(weight, -1), length=bins)
        labels = y_pred.shape[-1]
        place = gc.reshape(place + bins * gc.arange(0, labels, dtype="int64"), -1)
        return gc.reshape(gc.bincount(place, gc.reshape(weight, -1), length=bins * labels), (labels, bins)).T

    def counts(self, totals: Totals) -> tuple[Array, Array, Array, Array]:
        """True positives, false positives, true negatives and false negatives at each threshold, in the order they were given in."""
        rank = np.argsort(np.argsort(self.levels(), kind="stable"), kind="stable")
        below = {name: np.cumsum(totals[name], axis=0)[:-1][rank] for name in ("positives", "negatives")}
        above = {name: np.sum(totals[name], axis=0) - below[name] for name in below}
        return above["positives"], above["negatives"], below["negatives"], below["positives"]


class _AtThresholds(_Confusion):
    """Figures at thresholds that are given: numbers from 0 to 1, by default 0.5, or whatever is among the ``top_k``."""

    thresholds: Thresholds = None
    name: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        """Check the thresholds. Raises :class:`ArgumentError`."""
        super().__post_init__()
        given = [] if self.thresholds is None else np.ravel(self.thresholds).tolist()
        if not all(0 <= threshold <= 1 for threshold in given):
            raise ArgumentError(f"{type(self).__name__}: thresholds are {self.thresholds}", fits="numbers from 0 to 1")

    def levels(self) -> Array:
        """As given."""
        default = 0.5 if self.top_k is None else -np.inf
        return np.ravel(default if self.thresholds is None else self.thresholds).astype(np.float64)

    def at(self, counts: tuple[Array, Array, Array, Array]) -> Array:
        """The figure at each threshold."""
        raise UnfinishedError(f"{type(self).__name__}.at(counts)", fits="a subclass that defines it")

    def figure(self, totals: Totals) -> Any:
        """An array for several thresholds."""
        figures = self.at(self.counts(totals))
        return figures[0] if len(figures) == 1 else figures


class TruePositives(_AtThresholds):
    """The weight of what is yes, rightly."""

    def at(self, counts: tuple[Array, Array, Array, Array]) -> Array:
        """The first of the counts."""
        return counts[0]


class FalsePositives(_AtThresholds):
    """The weight of what is yes, wrongly."""

    def at(self, counts: tuple[Array, Array, Array, Array]) -> Array:
        """The second of the counts."""
        return counts[1]


class TrueNegatives(_AtThresholds):
    """The weight of what is no, rightly."""

    def at(self, counts: tuple[Array, Array, Array, Array]) -> Array:
        """The third of the counts."""
        return counts[2]


class FalseNegatives(_AtThresholds):
    """The weight of what is no, wrongly."""

    def at(self, counts: tuple[Array, Array, Array, Array]) -> Array:
        """The last of the counts."""
        return counts[3]


class Precision(_AtThresholds):
    """Of what is yes, the share that is so rightly; of the class ``class_id`` alone, or of the ``top_k`` largest predictions alone."""

    direction: ClassVar[str | None] = "up"
    thresholds: Thresholds = None
    top_k: int | None = None  # type: ignore[misc]
    class_id: int | None = None  # type: ignore[misc]
    name: str | None = None
    dtype: str | None = None

    def at(self, counts: tuple[Array, Array, Array, Array]) -> Array:
        """True positives over all that is yes; 0 if there is none."""
        return _precision(counts)


class Recall(Precision):
    """Of what is to be yes, the share that is; of the class ``class_id`` alone, or of the ``top_k`` largest predictions alone."""

    def at(self, counts: tuple[Array, Array, Array, Array]) -> Array:
        """True positives over all positives; 0 if there is none."""
        return _recall(counts)


class _Curve(_Confusion, kw_only=True):
    """Figures at thresholds that cover 0 to 1 evenly; predictions beyond count as 0 or 1."""

    direction: ClassVar[str | None] = "up"
    num_thresholds: int = 200
    name: str | None = None
    dtype: str | None = None

    def levels(self) -> Array:
        """``num_thresholds`` of them, with both ends."""
        return np.linspace(0.0, 1.0, self.num_thresholds) if self.num_thresholds > 1 else np.array([0.5])

    def prepared(self, y_pred: Tensor) -> Tensor:
        """Within [0, 1]."""
        return gc.clip(y_pred, 0, 1)


class _BestWhere(_Curve, kw_only=True):
    """The best of one figure at those thresholds where another one is at least what is asked for; 0 if it is so nowhere."""

    num_thresholds: int = 200
    class_id: int | None = None  # type: ignore[misc]
    name: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        """Check the arguments. Raises :class:`ArgumentError`."""
        super().__post_init__()
        wanted = self.fields[0]
        if not 0 <= getattr(self, wanted) <= 1:
            raise ArgumentError(f"{type(self).__name__}: {wanted} is {getattr(self, wanted)}", fits=f"0 <= {wanted} <= 1")
        _check_thresholds(self, self.num_thresholds, least=1)

    def best(self, totals: Totals, asked: Callable[..., Array], figure: Callable[..., Array]) -> Any:
        """The best ``figure`` where ``asked`` is at least the first argument."""
        counts = self.counts(totals)
        return np.max(np.where(asked(counts) >= getattr(self, self.fields[0]), figure(counts), 0.0), initial=0.0)


class SensitivityAtSpecificity(_BestWhere):
    """The best sensitivity with at least this specificity."""

    specificity: float

    def figure(self, totals: Totals) -> Any:
        """See the class."""
        return self.best(totals, _specificity, _recall)


class SpecificityAtSensitivity(_BestWhere):
    """The best specificity with at least this sensitivity."""

    sensitivity: float

    def figure(self, totals: Totals) -> Any:
        """See the class."""
        return self.best(totals, _recall, _specificity)


class PrecisionAtRecall(_BestWhere):
    """The best precision with at least this recall."""

    recall: float

    def figure(self, totals: Totals) -> Any:
        """See the class."""
        return self.best(totals, _recall, _precision)


class RecallAtPrecision(_BestWhere):
    """The best recall with at least this precision."""

    precision: float

    def figure(self, totals: Totals) -> Any:
        """See the class."""
        return self.best(totals, _precision, _recall)


class AUC(_Curve):
    """The area under a curve through the figures at many thresholds.

    ``curve``: ``"ROC"`` has the recall over the rate of false positives, ``"PR"`` the precision over the recall, ``"PRGAIN"`` the gains of
    both (P. Flach, M. Kull, 2015). ``summation_method``: ``"interpolation"`` takes the mean height of an interval, for ``"PR"`` the
    interpolation by J. Davis and M. Goadrich (2006); ``"minoring"`` the lower and ``"majoring"`` the higher end. ``thresholds`` are within
    0 and 1, in place of ``num_thresholds`` even ones. With ``multi_label``, each of the labels, which are the last axis, has its area, and
    the figure is their mean, weighted by ``label_weights``; without, all labels make one curve. ``from_logits`` takes the sigmoid first.
    """

    num_thresholds: int = 200
    curve: str = "ROC"
    summation_method: str = "interpolation"
    name: str | None = None
    dtype: str | None = None
    thresholds: Sequence[float] | None = None
    multi_label: bool = False
    num_labels: int | None = None
    label_weights: Sequence[float] | None = None
    from_logits: bool = False

    def __post_init__(self) -> None:
        """Check the arguments. Raises :class:`ArgumentError`."""
        super().__post_init__()
        self._set("curve", _one_of(self, "curve", self.curve.upper(), ("ROC", "PR", "PRGAIN")))
        methods = ("interpolation", "minoring", "majoring")
        self._set("summation_method", _one_of(self, "summation_method", self.summation_method.lower(), methods))
        if self.thresholds is not None:
            self._set("num_thresholds", len(self.thresholds) + 2)
            if not all(0 <= threshold <= 1 for threshold in self.thresholds):
                raise ArgumentError(f"AUC: thresholds are {self.thresholds}", fits="numbers from 0 to 1")
        _check_thresholds(self, self.num_thresholds, least=2)
        if self.num_labels and not self.multi_label:
            raise ArgumentError(f"AUC: num_labels is {self.num_labels} without multi_label", fits="multi_label=True, or no num_labels")

    def levels(self) -> Array:
        """With both ends a little beyond 0 and 1, so that the curve starts with all and ends with none."""
        inner = np.linspace(0.0, 1.0, self.num_thresholds)[1:-1] if self.thresholds is None else np.sort(self.thresholds)
        return np.concatenate([[-EPSILON], inner, [1 + EPSILON]])

    def prepared(self, y_pred: Tensor) -> Tensor:
        """Probabilities."""
        if self.multi_label and (y_pred.ndim != 2 or self.num_labels not in (None, y_pred.shape[1])):
            raise ShapeError("AUC: predictions of many labels", given=[describe(y_pred)], fits=f"(batch, {self.num_labels or 'labels'})")
        return gc.clip(gc.sigmoid(y_pred) if self.from_logits else y_pred, 0, 1)

    def by_label(self) -> bool:
        """As asked for."""
        return self.multi_label

    def label_weight(self) -> Any:
        """For the samples, if all labels make one curve."""
        return None if self.multi_label else self.label_weights

    def figure(self, totals: Totals) -> Any:
        """The area."""
        area = np.sum(self._areas(self.counts(totals)), axis=0)
        return np.average(area, weights=cast("Any", self.label_weights)) if self.multi_label else area

    def _areas(self, counts: tuple[Array, Array, Array, Array]) -> Array:
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _precision_recall_areas(counts)
        if self.curve == "ROC":
            x, y = 1 - _specificity(counts), _recall(counts)
            x = _ratio(counts[1], counts[1] + counts[2])
        elif self.curve == "PR":
            x, y = _recall(counts), _precision(counts)
        else:
            x, y = _gains(counts)
        ends: dict[str, Callable[[Array, Array], Array]] = {
            "interpolation": lambda a, b: (a + b) / 2,
            "minoring": np.minimum,
            "majoring": np.maximum,
        }
        return (x[:-1] - x[1:]) * ends[self.summation_method](y[:-1], y[1:])


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
        _one_of(self, "average", self.average, (None, "micro", "macro", "weighted"))
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
            return gc.sum(values if weight is None else _weighted(values, aligned(weight, values)), axis=0)

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


# ---------------------------------------------------------------- explained variance
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
        _one_of(self, "class_aggregation", self.class_aggregation, (None, "uniform_average", "variance_weighted_average"))
        if self.num_regressors < 0:
            raise ArgumentError(f"R2Score: num_regressors is {self.num_regressors}", fits="a whole number from 0")

    def states(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> States:
        """Sums of targets, of their squares, of squared errors and of weights for each output, and the number of values."""
        y_true, y_pred = _columns(self, *same_rank(as_dtype(as_tensor(y_true), "float64"), floats(y_pred, "float64")))
        weight = masked_weight(sample_weight, mask, "float64")
        weight = gc.ones_like(y_true) if weight is None else gc.broadcast_to(aligned(weight, y_true), y_true.shape)
        return {
            "sum": gc.sum(_weighted(y_true, weight), axis=0),
            "squared_sum": gc.sum(_weighted(gc.square(y_true), weight), axis=0),
            "residual": gc.sum(_weighted(gc.square(y_true - y_pred), weight), axis=0),
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


# ---------------------------------------------------------------- intersection over union
class _Overlap(Metric):
    """The intersection over the union of targets and predictions for each class, out of the weight of each pair of them."""

    direction: ClassVar[str | None] = "up"
    num_classes: ClassVar[Any] = 2
    ignore_class: ClassVar[Any] = None
    sparse_y_true: ClassVar[Any] = True
    sparse_y_pred: ClassVar[Any] = True
    axis: ClassVar[Any] = -1

    def __post_init__(self) -> None:
        """Check the classes. Raises :class:`ArgumentError`."""
        super().__post_init__()
        if not all(0 <= number < self.num_classes for number in self.classes):
            asked = f"{type(self).__name__}: classes {list(self.classes)} of {self.num_classes}"
            raise ArgumentError(asked, fits=f"0 to {self.num_classes - 1}")

    @property
    def classes(self) -> Sequence[int]:
        """Those whose mean is taken."""
        return range(self.num_classes)

    def numbers(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        """Targets and predictions as class numbers."""
        y_true, y_pred = as_tensor(y_true), as_tensor(y_pred)
        y_true = y_true if self.sparse_y_true else gc.argmax(y_true, axis=self.axis)
        return y_true, y_pred if self.sparse_y_pred else gc.argmax(y_pred, axis=self.axis)

    def states(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> States:
        """``confusion``: the weight of each pair of target and prediction, ``(classes, classes)``."""
        y_true, y_pred = _same_shape(self, *same_rank(*self.numbers(y_true, y_pred)))
        weight = masked_weight(sample_weight, mask)
        weight = gc.ones(y_true.shape, "float32") if weight is None else gc.broadcast_to(aligned(weight, y_true), y_true.shape)
        within = [gc.logical_and(y >= 0, y < self.num_classes) for y in (y_true, y_pred)]
        counted = gc.logical_and(*within)
        if self.ignore_class is not None:
            counted = gc.logical_and(counted, gc.not_equal(y_true, self.ignore_class))
        place = as_dtype(y_true, "int64") * self.num_classes + as_dtype(y_pred, "int64")
        place, weight = gc.where(counted, place, 0), gc.where(counted, weight, 0)
        pairs = gc.bincount(gc.reshape(place, -1), gc.reshape(weight, -1), length=self.num_classes**2)
        return {"confusion": gc.reshape(pairs, (self.num_classes, self.num_classes))}

    def figure(self, totals: Totals) -> Any:
        """The mean over the classes that there are; 0 if there are none."""
        confusion: Array = totals["confusion"]
        both = np.diag(confusion)
        either = confusion.sum(axis=0) + confusion.sum(axis=1) - both
        chosen = [number for number in self.classes if either[number] > 0]
        shares: Array = both[chosen] / either[chosen]
        return np.mean(shares) if chosen else 0.0


class MeanIoU(_Overlap):
    """The intersection over the union of targets and predictions, averaged over the classes.

    Targets and predictions are class numbers, or scores along ``axis`` where they are not sparse. Values of the class ``ignore_class``,
    and those outside the classes, do not count; nor do classes that are in neither. Weights are not cut to whole numbers, as in Keras.
    """

    num_classes: int  # type: ignore[misc]
    name: str | None = None
    dtype: str | None = None
    ignore_class: int | None = None  # type: ignore[misc]
    sparse_y_true: bool = True  # type: ignore[misc]
    sparse_y_pred: bool = True  # type: ignore[misc]
    axis: int = -1  # type: ignore[misc]


class OneHotMeanIoU(_Overlap):
    """The intersection over the union of one-hot targets and predictions, averaged over the classes; see :class:`MeanIoU`."""

    sparse_y_true: ClassVar[Any] = False
    num_classes: int  # type: ignore[misc]
    name: str | None = None
    dtype: str | None = None
    ignore_class: int | None = None  # type: ignore[misc]
    sparse_y_pred: bool = False  # type: ignore[misc]
    axis: int = -1  # type: ignore[misc]


class _SomeClasses(_Overlap):
    """Of some classes alone."""

    target_class_ids: ClassVar[Any]

    @property
    def classes(self) -> Sequence[int]:
        """As given."""
        return self.target_class_ids


class IoU(_SomeClasses):
    """The intersection over the union, averaged over the classes ``target_class_ids``; see :class:`MeanIoU`."""

    num_classes: int  # type: ignore[misc]
    target_class_ids: Sequence[int]  # type: ignore[misc]
    name: str | None = None
    dtype: str | None = None
    ignore_class: int | None = None  # type: ignore[misc]
    sparse_y_true: bool = True  # type: ignore[misc]
    sparse_y_pred: bool = True  # type: ignore[misc]
    axis: int = -1  # type: ignore[misc]


class OneHotIoU(_SomeClasses):
    """The intersection over the union of one-hot targets, averaged over the classes ``target_class_ids``; see :class:`MeanIoU`."""

    sparse_y_true: ClassVar[Any] = False
    num_classes: int  # type: ignore[misc]
    target_class_ids: Sequence[int]  # type: ignore[misc]
    name: str | None = None
    dtype: str | None = None
    ignore_class: int | None = None  # type: ignore[misc]
    sparse_y_pred: bool = False  # type: ignore[misc]
    axis: int = -1  # type: ignore[misc]


class BinaryIoU(_SomeClasses):
    """The intersection over the union of answers that are yes or no: yes is a prediction of at least ``threshold``."""

    target_class_ids: Sequence[int] = (0, 1)  # type: ignore[misc]
    threshold: float = 0.5
    name: str | None = None
    dtype: str | None = None

    def numbers(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        """Targets as they are, predictions as 0 or 1."""
        return as_tensor(y_true), as_dtype(floats(y_pred) >= self.threshold, "int32")


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


def _on_values(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Values averaged over the axes that weights have not, and weights of as many axes."""
    weight = aligned(weight, values)
    return (
        (gc.reshape(values, (*values.shape, *[1] * (weight.ndim - values.ndim))), weight) if values.ndim < weight.ndim else (values, weight)
    )


def _of_samples(values: Tensor) -> Tensor:
    """One value a sample: the mean over all axes but the first."""
    return gc.mean(values, axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values


def _weighted(values: Tensor, weight: Tensor) -> Tensor:
    return gc.where(gc.equal(weight, 0), 0, values * weight)


def _ratio(a: Any, b: Any) -> Any:
    """0 where there is nothing to divide by."""
    return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


def _precision(counts: tuple[Array, Array, Array, Array]) -> Array:
    return _ratio(counts[0], counts[0] + counts[1])


def _recall(counts: tuple[Array, Array, Array, Array]) -> Array:
    return _ratio(counts[0], counts[0] + counts[3])


def _specificity(counts: tuple[Array, Array, Array, Array]) -> Array:
    return _ratio(counts[2], counts[1] + counts[2])


def _gains(counts: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
    """Gains of recall and precision; where nothing is found 0 and 1, so that the curve has two ends."""
    tp, fp, tn, fn = counts
    odds = _ratio(tp + fn, tn + fp)
    recall = np.where(tp == 0, 0.0, np.maximum(1 - odds * _ratio(fn, tp), 0.0))
    return recall, np.where(tp == 0, 1.0, 1 - odds * _ratio(fp, tp))


def _precision_recall_areas(counts: tuple[Array, Array, Array, Array]) -> Array:
    """Between two thresholds the true positives grow in a straight line with all that is yes, and the precision is their ratio."""
    tp, fp, _, fn = counts
    yes = tp + fp
    found, more = tp[:-1] - tp[1:], yes[:-1] - yes[1:]
    slope = _ratio(found, np.maximum(more, 0))
    both = (yes[:-1] > 0) & (yes[1:] > 0)
    growth = np.where(both, _ratio(yes[:-1], yes[1:]), 1.0)
    return _ratio(slope * (found + (tp[1:] - slope * yes[1:]) * np.log(growth)), np.maximum(tp[1:] + fn[1:], 0))


def _only_top(y_pred: Tensor, k: int) -> Tensor:
    """-inf in place of what is not among the k largest."""
    places = gc.top_k(y_pred, k=k)[1]
    chosen = gc.any(gc.equal(gc.expand_dims(places, axis=-1), gc.arange(0, y_pred.shape[-1], dtype="int64")), axis=-2)
    return gc.where(chosen, y_pred, -np.inf)


def _of_class(metric: Metric, y: Tensor, number: int) -> Tensor:
    if y.ndim < 2:
        raise ShapeError(
            f"{type(metric).__name__}: class_id={number} of predictions of one axis", given=[describe(y)], fits="(batch, classes)"
        )
    return y[..., number]


def _same_shape(metric: Metric, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    if y_true.shape != y_pred.shape:
        given = [f"y_true: {describe(y_true)}", f"y_pred: {describe(y_pred)}"]
        raise ShapeError(f"{type(metric).__name__}: targets and predictions of two shapes", given=given, fits=str(y_pred.shape))
    return y_true, y_pred


def _columns(metric: Metric, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    if y_pred.ndim != 2:
        raise ShapeError(f"{type(metric).__name__}: predictions of {y_pred.ndim} axes", given=[describe(y_pred)], fits="two axes")
    return _same_shape(metric, y_true, y_pred)


def _one_of(metric: Metric, name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ArgumentError(f"{type(metric).__name__}: {name} is {value!r}", fits=", ".join(map(repr, allowed)))
    return value


_MOST_THRESHOLDS: Final = 1 << 20


def _check_thresholds(metric: Metric, count: int, least: int) -> None:
    if not least <= count <= _MOST_THRESHOLDS:
        fits = f"a whole number from {least} to {_MOST_THRESHOLDS}"
        raise ArgumentError(f"{type(metric).__name__}: num_thresholds is {count}", fits=fits)
