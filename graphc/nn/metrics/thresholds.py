"""How often right and wrong, by threshold: counts, their ratios and the areas under their curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, TypeAlias, cast

import numpy as np

import graphc as gc
from graphc.core import Tensor, constant, describe
from graphc.core.errors import ArgumentError, ShapeError, UnfinishedError
from graphc.nn.losses import EPSILON, aligned, floats, masked_weight, paired
from graphc.nn.metrics.base import Array, Metric, States, Totals, one_of, ratio, same_shape

Thresholds = float | Sequence[float] | None
Counts: TypeAlias = tuple[Array, Array, Array, Array]
"""True positives, false positives, true negatives and false negatives at each threshold."""
_MOST_THRESHOLDS: Final = 1 << 20


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
        y_true, y_pred = same_shape(self, *paired(y_true, floats(y_pred, self.dtype)))
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

    def counts(self, totals: Totals) -> Counts:
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

    def at(self, counts: Counts) -> Array:
        """The figure at each threshold."""
        raise UnfinishedError(f"{type(self).__name__}.at(counts)", fits="a subclass that defines it")

    def figure(self, totals: Totals) -> Any:
        """An array for several thresholds."""
        figures = self.at(self.counts(totals))
        return figures[0] if len(figures) == 1 else figures


class TruePositives(_AtThresholds):
    """The weight of what is yes, rightly."""

    def at(self, counts: Counts) -> Array:
        """The first of the counts."""
        return counts[0]


class FalsePositives(_AtThresholds):
    """The weight of what is yes, wrongly."""

    def at(self, counts: Counts) -> Array:
        """The second of the counts."""
        return counts[1]


class TrueNegatives(_AtThresholds):
    """The weight of what is no, rightly."""

    def at(self, counts: Counts) -> Array:
        """The third of the counts."""
        return counts[2]


class FalseNegatives(_AtThresholds):
    """The weight of what is no, wrongly."""

    def at(self, counts: Counts) -> Array:
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

    def at(self, counts: Counts) -> Array:
        """True positives over all that is yes; 0 if there is none."""
        return _precision(counts)


class Recall(Precision):
    """Of what is to be yes, the share that is; of the class ``class_id`` alone, or of the ``top_k`` largest predictions alone."""

    def at(self, counts: Counts) -> Array:
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
        self._set("curve", one_of(self, "curve", self.curve.upper(), ("ROC", "PR", "PRGAIN")))
        methods = ("interpolation", "minoring", "majoring")
        self._set("summation_method", one_of(self, "summation_method", self.summation_method.lower(), methods))
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

    def _areas(self, counts: Counts) -> Array:
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _precision_recall_areas(counts)
        if self.curve == "ROC":
            x, y = 1 - _specificity(counts), _recall(counts)
            x = ratio(counts[1], counts[1] + counts[2])
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


# ---------------------------------------------------------------- pieces
def _precision(counts: Counts) -> Array:
    return ratio(counts[0], counts[0] + counts[1])


def _recall(counts: Counts) -> Array:
    return ratio(counts[0], counts[0] + counts[3])


def _specificity(counts: Counts) -> Array:
    return ratio(counts[2], counts[1] + counts[2])


def _gains(counts: Counts) -> tuple[Array, Array]:
    """Gains of recall and precision; where nothing is found 0 and 1, so that the curve has two ends."""
    tp, fp, tn, fn = counts
    odds = ratio(tp + fn, tn + fp)
    recall = np.where(tp == 0, 0.0, np.maximum(1 - odds * ratio(fn, tp), 0.0))
    return recall, np.where(tp == 0, 1.0, 1 - odds * ratio(fp, tp))


def _precision_recall_areas(counts: Counts) -> Array:
    """Between two thresholds the true positives grow in a straight line with all that is yes, and the precision is their ratio."""
    tp, fp, _, fn = counts
    yes = tp + fp
    found, more = tp[:-1] - tp[1:], yes[:-1] - yes[1:]
    slope = ratio(found, np.maximum(more, 0))
    both = (yes[:-1] > 0) & (yes[1:] > 0)
    growth = np.where(both, ratio(yes[:-1], yes[1:]), 1.0)
    return ratio(slope * (found + (tp[1:] - slope * yes[1:]) * np.log(growth)), np.maximum(tp[1:] + fn[1:], 0))


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


def _check_thresholds(metric: Metric, count: int, least: int) -> None:
    if not least <= count <= _MOST_THRESHOLDS:
        fits = f"a whole number from {least} to {_MOST_THRESHOLDS}"
        raise ArgumentError(f"{type(metric).__name__}: num_thresholds is {count}", fits=fits)
