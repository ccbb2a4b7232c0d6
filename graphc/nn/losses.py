"""Losses with Keras's names, arguments, defaults and formulas.

Each is a function of ``y_true`` and ``y_pred``, which gives a number for each sample (it averages over the last axis), and a class, which
holds the arguments and reduces to a number for the batch, by sample weights. Given tensors they make graphs, given values they
compute at once. Targets take the dtype of the predictions, which is float32 at least.

Probabilities that are a softmax or a sigmoid are not taken the logarithm of: their logits are used, as ``from_logits=True`` does with
logits. F. Chollet et al., Keras 3, keras.losses, is the reference; where this module departs from it, the docstring says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import graphc as gc
from graphc.core import Tensor, as_tensor, describe, dtypes
from graphc.core.errors import ArgumentError, ShapeError, UnfinishedError
from graphc.core.op import as_dtype
from graphc.nn.configured import ConfiguredRecord
from graphc.nn.immediate import immediate
from graphc.nn.naming import find, snake_case, spelled

EPSILON: Final = 1e-7
"""What keeps logarithms and quotients finite, as in Keras."""
REDUCTIONS: Final = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)
Axis = int | Sequence[int]


# ---------------------------------------------------------------- regression
@immediate
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((y_true - y_pred)²)`` of each sample."""
    y_true, y_pred = paired(y_true, y_pred)
    return gc.mean(gc.square(y_true - y_pred), axis=-1)


@immediate
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """``mean(|y_true - y_pred|)`` of each sample."""
    y_true, y_pred = paired(y_true, y_pred)
    return gc.mean(gc.abs(y_true - y_pred), axis=-1)


@immediate
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """``100 mean(|y_true - y_pred| / max(|y_true|, 1e-7))`` of each sample."""
    y_true, y_pred = paired(y_true, y_pred)
    return 100 * gc.mean(gc.abs((y_true - y_pred) / gc.maximum(gc.abs(y_true), EPSILON)), axis=-1)


@immediate
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((log(1 + y_true) - log(1 + y_pred))²)`` of each sample, with values below 1e-7 taken for that."""
    y_true, y_pred = paired(y_true, y_pred)
    return gc.mean(gc.square(_log_above(y_pred) - _log_above(y_true)), axis=-1)


@immediate
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Half the square of errors up to ``delta``, a line beyond, averaged over each sample (P. J. Huber, 1964)."""
    y_true, y_pred = paired(y_true, y_pred)
    error = y_pred - y_true
    size = gc.abs(error)
    return gc.mean(gc.where(size <= delta, 0.5 * gc.square(error), delta * size - 0.5 * delta**2), axis=-1)


@immediate
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """``mean(log(cosh(y_pred - y_true)))`` of each sample.

    Small errors as ``log1p(2 sinh(x / 2)²)``, in which nothing cancels; Keras's ``x + softplus(-2 x) - log(2)`` is 0 or noise there.
    """
    y_true, y_pred = paired(y_true, y_pred)
    error = y_pred - y_true
    size = gc.abs(error)
    small = gc.log1p(2 * gc.square(gc.sinh(gc.minimum(size, 1) / 2)))
    return gc.mean(gc.where(size < 1, small, size + gc.log1p(gc.exp(-2 * size)) - math.log(2)), axis=-1)


@immediate
def poisson(y_true: Any, y_pred: Any) -> Any:
    """``mean(y_pred - y_true log(y_pred + 1e-7))`` of each sample: the Poisson likelihood of counts, but for a constant."""
    y_true, y_pred = paired(y_true, y_pred)
    return gc.mean(y_pred - y_true * gc.log(y_pred + EPSILON), axis=-1)


@immediate
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between them along an axis, so that less is nearer: -1 is the same direction."""
    y_true, y_pred = paired(y_true, y_pred)
    return -gc.sum(gc.l2_normalize(y_true, axis=axis) * gc.l2_normalize(y_pred, axis=axis), axis=axis)


# ---------------------------------------------------------------- margins
@immediate
def hinge(y_true: Any, y_pred: Any) -> Any:
    """``mean(max(1 - y_true y_pred, 0))`` of each sample; targets are -1 or 1, or 0 or 1 throughout the batch."""
    return gc.mean(_margin(y_true, y_pred), axis=-1)


@immediate
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """``mean(max(1 - y_true y_pred, 0)²)`` of each sample; targets are -1 or 1, or 0 or 1 throughout the batch."""
    return gc.mean(gc.square(_margin(y_true, y_pred)), axis=-1)


@immediate
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """``max(1 + max((1 - y_true) y_pred) - sum(y_true y_pred), 0)`` of each sample; targets are one-hot."""
    y_true, y_pred = paired(y_true, y_pred)
    right, wrong = gc.sum(y_true * y_pred, axis=-1), gc.max((1 - y_true) * y_pred, axis=-1)
    return gc.maximum(wrong - right + 1, 0)


# ---------------------------------------------------------------- probabilities
@immediate
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """``sum(y_true log(y_true / y_pred))`` of each sample, both kept within [1e-7, 1] (S. Kullback, R. A. Leibler, 1951)."""
    y_true, y_pred = [gc.clip(y, EPSILON, 1) for y in paired(y_true, y_pred)]
    return gc.sum(y_true * gc.log(y_true / y_pred), axis=-1)


@immediate
def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: Axis = -1) -> Any:
    """Mean cross-entropy over an axis of targets in [0, 1] and probabilities of yes, or logits.

    ``label_smoothing`` draws the targets towards 0.5. Probabilities are kept within ``[1e-7, 1 - 1e-7]``, unless they are a sigmoid.
    """
    y_true, y_pred = paired(y_true, y_pred)
    smoothed = _smoothed(y_true, label_smoothing, 2)
    return gc.mean(gc.binary_crossentropy(smoothed, y_pred, from_logits=from_logits), axis=axis)


@immediate
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Axis = -1,
) -> Any:
    """Binary cross-entropy, each term times ``(1 - p)^gamma`` with the probability p given to what is true (T.-Y. Lin et al., 2017).

    ``apply_class_balancing`` weighs yes by ``alpha`` and no by ``1 - alpha``. From logits, and from a sigmoid, no term is cut off at 1e-7.
    """
    y_true, y_pred = paired(y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, 2)
    yes, no = _yes_and_no(y_pred, from_logits)
    wrong = y_true * no + (1 - y_true) * yes
    terms = _modulation(wrong, gamma) * gc.binary_crossentropy(y_true, y_pred, from_logits=from_logits)
    return gc.mean((y_true * alpha + (1 - y_true) * (1 - alpha)) * terms if apply_class_balancing else terms, axis=axis)


@immediate
def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1) -> Any:
    """Cross-entropy along an axis of one-hot targets and probabilities, or logits.

    ``label_smoothing`` is shared out among all classes (C. Szegedy et al., 2016). Probabilities are scaled to 1 in sum and kept within
    ``[1e-7, 1 - 1e-7]``, unless they are a softmax.
    """
    y_true, y_pred = paired(y_true, y_pred)
    return gc.categorical_crossentropy(_smoothed_classes(y_true, label_smoothing, axis), y_pred, from_logits=from_logits, axis=axis)


@immediate
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """``-sum(alpha (1 - p)^gamma y_true log(p))`` along an axis (T.-Y. Lin et al., 2017).

    From logits, and from a softmax, no term is cut off at 1e-7.
    """
    y_true, y_pred = paired(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        given = [f"y_true: {describe(y_true)}", f"y_pred: {describe(y_pred)}"]
        raise ShapeError("categorical_focal_crossentropy: targets and predictions of two shapes", given=given, fits=str(y_pred.shape))
    y_true = _smoothed_classes(y_true, label_smoothing, axis)
    logits = y_pred if from_logits else _under(y_pred, "softmax", axis)
    if logits is None:
        share = gc.clip(y_pred / gc.sum(y_pred, axis=axis, keepdims=True), EPSILON, 1 - EPSILON)
        wrong, log_share = 1 - share, gc.log(share)
    else:
        log_share = gc.log_softmax(logits, axis=axis)
        wrong = -gc.expm1(log_share)
    return -gc.sum(alpha * _modulation(wrong, gamma) * y_true * log_share, axis=axis)


@immediate
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """Cross-entropy along an axis of class numbers and probabilities, or logits. See ``categorical_crossentropy``.

    Targets have the shape of the predictions without the axis, or with 1 in its place. Those that are ``ignore_class`` give 0.
    """
    y_pred = floats(y_pred)
    y_true = _labels(y_true, y_pred, axis)
    if ignore_class is None:
        return gc.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    counts = gc.not_equal(y_true, ignore_class)
    known = gc.where(counts, y_true, 0)
    terms = gc.sparse_categorical_crossentropy(known, y_pred, from_logits=from_logits, axis=axis)
    return gc.where(counts, terms, 0)


# ---------------------------------------------------------------- overlaps
@immediate
def dice(y_true: Any, y_pred: Any, axis: Axis | None = None) -> Any:
    """``1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred))`` over axes, by default all (F. Milletari et al., 2016)."""
    y_true, y_pred = paired(y_true, y_pred)
    return 1 - 2 * _total(y_true * y_pred, axis) / (_total(y_true, axis) + _total(y_pred, axis) + EPSILON)


@immediate
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axis | None = None) -> Any:
    """``1 - both / (both + alpha missed + beta wrong)`` over axes, by default all (S. S. M. Salehi et al., 2017).

    ``both`` is ``sum(y_true y_pred)``, ``missed`` is ``sum(y_true (1 - y_pred))``, ``wrong`` is ``sum((1 - y_true) y_pred)``.
    """
    y_true, y_pred = paired(y_true, y_pred)
    both, missed, wrong = [_total(x, axis) for x in (y_true * y_pred, y_true * (1 - y_pred), (1 - y_true) * y_pred)]
    return 1 - both / (both + alpha * missed + beta * wrong + EPSILON)


# ---------------------------------------------------------------- classes
class Loss(ConfiguredRecord, kw_only=True):
    """A number for a batch: ``loss(y_true, y_pred, sample_weight)``. Subclasses say what a sample costs, in ``call``.

    ``reduction``: ``"sum_over_batch_size"`` and ``"mean"`` divide the sum of the weighted values by their number,
    ``"mean_with_sample_weight"`` by the sum of the weights; ``"sum"`` does not divide, and ``"none"`` or None leaves the values as they
    are. ``name`` is that of the class by default. ``dtype`` is what is computed in: by default that of the predictions, float32 at least.
    """

    kind: ClassVar[str] = "loss"
    takes_labels: ClassVar[bool] = False
    """Whether targets are whole numbers that stay so; else they take the dtype of the predictions."""
    name: str | None = None
    reduction: str | None = "sum_over_batch_size"
    dtype: str | None = None

    def __post_init__(self) -> None:
        """Check the reduction. Raises :class:`ArgumentError`."""
        if self.reduction not in REDUCTIONS:
            raise ArgumentError(f"{type(self).__name__}: reduction is {self.reduction!r}", fits=", ".join(map(repr, REDUCTIONS)))
        if self.name is None:
            self._set("name", snake_case(type(self).__name__))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """A value for each sample, as a tensor; targets and predictions are tensors."""
        raise UnfinishedError(f"{type(self).__name__}.call(y_true, y_pred)", fits="a subclass that defines it")

    def valid(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        """Which values count, as truth values of their shape, or None if all do."""
        return None

    def values(self, y_true: Any, y_pred: Any, mask: Any = None) -> tuple[Tensor, Tensor | None]:
        """The value for each sample, and which of them count: those of the mask that the loss itself does not leave out."""
        y_pred = floats(y_pred, self.dtype)
        y_true = as_tensor(y_true)
        if not self.takes_labels:
            y_true = as_dtype(as_tensor(y_true), y_pred.dtype)
        valid = self.valid(y_true, y_pred)
        return as_tensor(self.call(y_true, y_pred)), valid if mask is None else _both(valid, mask)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Any:
        """The loss of a batch.

        Args:
            y_true: targets.
            y_pred: predictions.
            sample_weight: a weight for each value; where it has fewer axes, they are the first, so that a vector has a weight a sample.
            mask: which values count; the mean is taken of those.
        """
        return _at_once(self, y_true, y_pred, sample_weight, mask)

    def of(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Tensor:
        """The loss of a batch as a graph, whatever it is given."""
        values, valid = self.values(y_true, y_pred, mask)
        return reduced(values, sample_weight, valid, self.reduction)


@immediate
def _at_once(loss: Loss, y_true: Any, y_pred: Any, sample_weight: Any, mask: Any) -> Any:
    return loss.of(y_true, y_pred, sample_weight, mask)


class LossFunctionWrapper(Loss):
    """A function of ``y_true`` and ``y_pred`` as a loss; arguments that are not Keras's own are passed on to it."""

    fn: ClassVar[Callable[..., Any]]
    arguments: ClassVar[dict[str, Any]]

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(reduction=reduction, name=name or getattr(fn, "__name__", None), dtype=dtype)
        self._set("fn", fn)
        self._set("arguments", arguments)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """What the function says."""
        return self.fn(*same_rank(as_tensor(y_true), as_tensor(y_pred)), **self.arguments)


class _Builtin(Loss):
    """A loss of this module: its function gets the fields that a subclass adds. The order of the last arguments is Keras's."""

    function: ClassVar[Callable[..., Any]]
    reduction: str | None = "sum_over_batch_size"
    name: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        """Check the arguments. Raises :class:`ArgumentError`."""
        super().__post_init__()
        if not 0 <= getattr(self, "label_smoothing", 0) <= 1:
            raise ArgumentError(
                f"{type(self).__name__}: label_smoothing is {getattr(self, 'label_smoothing', 0)}", fits="0 <= label_smoothing <= 1"
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """What the function says, which is documented there."""
        arguments = {name: getattr(self, name) for name in self.fields if name not in Loss.fields}
        return type(self).function(y_true, y_pred, **arguments)


class MeanSquaredError(_Builtin):
    """The mean of squared errors."""

    function = staticmethod(mean_squared_error)


class MeanAbsoluteError(_Builtin):
    """The mean of absolute errors."""

    function = staticmethod(mean_absolute_error)


class MeanAbsolutePercentageError(_Builtin):
    """The mean of errors in per cent of the targets."""

    function = staticmethod(mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(_Builtin):
    """The mean of squared differences of logarithms."""

    function = staticmethod(mean_squared_logarithmic_error)


class CosineSimilarity(_Builtin):
    """Minus the cosine of the angle between targets and predictions."""

    function = staticmethod(cosine_similarity)
    axis: int = -1


class Huber(_Builtin):
    """Squares of small errors and lines for large ones."""

    function = staticmethod(huber)
    delta: float = 1.0
    name = "huber_loss"


class LogCosh(_Builtin):
    """The mean of the logarithm of the hyperbolic cosine of errors."""

    function = staticmethod(log_cosh)


class Hinge(_Builtin):
    """How far answers stay below a margin of 1."""

    function = staticmethod(hinge)


class SquaredHinge(_Builtin):
    """How far answers stay below a margin of 1, squared."""

    function = staticmethod(squared_hinge)


class CategoricalHinge(_Builtin):
    """How far the right class stays below a margin of 1 to the best of the wrong ones."""

    function = staticmethod(categorical_hinge)


class KLDivergence(_Builtin):
    """The Kullback-Leibler divergence of two distributions."""

    function = staticmethod(kl_divergence)


class Poisson(_Builtin):
    """The Poisson likelihood of counts."""

    function = staticmethod(poisson)


class BinaryCrossentropy(_Builtin):
    """Cross-entropy of answers that are yes or no."""

    function = staticmethod(binary_crossentropy)
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: Axis = -1


class BinaryFocalCrossentropy(_Builtin):
    """Cross-entropy of answers that are yes or no, with less weight on those that are right already."""

    function = staticmethod(binary_focal_crossentropy)
    apply_class_balancing: bool = False
    alpha: float = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: Axis = -1


class CategoricalCrossentropy(_Builtin):
    """Cross-entropy of one-hot targets."""

    function = staticmethod(categorical_crossentropy)
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1


class CategoricalFocalCrossentropy(_Builtin):
    """Cross-entropy of one-hot targets, with less weight on samples that are right already."""

    function = staticmethod(categorical_focal_crossentropy)
    alpha: float = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1


class SparseCategoricalCrossentropy(_Builtin):
    """Cross-entropy of class numbers. Samples of the class ``ignore_class`` do not count."""

    function = staticmethod(sparse_categorical_crossentropy)
    takes_labels: ClassVar[bool] = True
    from_logits: bool = False
    ignore_class: int | None = None
    reduction: str | None = "sum_over_batch_size"
    axis: int = -1

    def valid(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        """Which labels are not ``ignore_class``."""
        return not_ignored(y_true, y_pred, self.ignore_class, self.axis)


class Dice(_Builtin):
    """1 minus twice the overlap over both areas."""

    function = staticmethod(dice)
    reduction: str | None = "sum_over_batch_size"
    name: str | None = "dice"
    axis: Axis | None = None


class Tversky(_Builtin):
    """1 minus the overlap over itself and what is wrong, each kind with its weight."""

    function = staticmethod(tversky)
    alpha: float = 0.5
    beta: float = 0.5
    reduction: str | None = "sum_over_batch_size"
    name: str | None = "tversky"
    axis: Axis | None = None


CLASSES: Final[tuple[type[_Builtin], ...]] = (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
)
FUNCTIONS: Final = tuple([cls.function for cls in CLASSES])
"""What the classes compute, as functions."""
_SHORT: Final[dict[str, type[Loss]]] = {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}
TABLE: Final = spelled(CLASSES, **_SHORT, **{name.upper(): cls for name, cls in _SHORT.items()})
"""Every loss by the names that it has in Keras."""
mse, mae, mape, msle = mean_squared_error, mean_absolute_error, mean_absolute_percentage_error, mean_squared_logarithmic_error
bce, kld = binary_crossentropy, kl_divergence


def get(identifier: Any, y_true: Tensor | None = None, y_pred: Tensor | None = None) -> Loss | None:
    """The loss that is meant: a :class:`Loss`, its name or config, or a function of ``y_true`` and ``y_pred``. None stays None.

    ``"crossentropy"`` and ``"ce"`` are chosen by the shapes of targets and predictions, as in Keras.

    Raises:
        ArgumentError: no such loss; the shapes are wanted and not given.
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        by_shape = {"binary": BinaryCrossentropy, "sparse": SparseCategoricalCrossentropy, "categorical": CategoricalCrossentropy}
        return by_shape[answers_of(identifier, y_true, y_pred)]()
    found = find(identifier, "loss", TABLE)
    return found if found is None or isinstance(found, Loss) else LossFunctionWrapper(found)


def answers_of(what: str, y_true: Tensor | None, y_pred: Tensor | None) -> str:
    """How classes are written in targets and predictions of these shapes: ``"binary"``, ``"sparse"`` or ``"categorical"``.

    Keras's rule: one prediction a sample is binary, targets with an axis less (or with 1 there) are sparse. Predictions of one axis,
    for which its rule has no sensible answer, are binary too.
    """
    if y_true is None or y_pred is None:
        raise ArgumentError(f"{what!r} is chosen by shapes", fits=f"get({what!r}, y_true, y_pred), or the name of one")
    if y_pred.ndim < 2 or y_pred.shape[-1] == 1:
        return "binary"
    return "sparse" if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1 else "categorical"


# ---------------------------------------------------------------- samples and weights
def reduced(values: Tensor, sample_weight: Any, mask: Tensor | None, reduction: str | None) -> Tensor:
    """The values of a batch as one number, weighted; of those that the mask leaves out nothing comes in, be they NaN."""
    weight = None if sample_weight is None else aligned(as_dtype(as_tensor(sample_weight), values.dtype), values)
    if weight is not None and values.ndim < weight.ndim:
        values = gc.reshape(values, (*values.shape, 1))
    if weight is not None:
        values = values * weight
    if mask is not None:
        mask = aligned(mask, values)
        values = gc.where(mask, values, 0)
    if reduction in (None, "none") or not values.ndim:
        return values
    if reduction == "sum":
        return gc.sum(values)
    if reduction == "mean_with_sample_weight" and (weight is not None or mask is not None):
        return _quotient(gc.sum(values), gc.sum(_counted(weight, mask, values.dtype)))
    return gc.mean(values) if mask is None else _quotient(gc.mean(values), gc.mean(as_dtype(as_tensor(mask), values.dtype)))


def aligned(weight: Any, values: Tensor) -> Tensor:
    """Weights or a mask with axes of size 1 after their own, so that they are those of the first axes of the values."""
    weight = as_tensor(weight)
    if weight.ndim > values.ndim and weight.shape[-1] == 1 and values.ndim > 1:
        weight = gc.squeeze(weight, axis=-1)
    if not weight.ndim or weight.ndim >= values.ndim:
        return weight
    return gc.reshape(weight, (*weight.shape, *[1] * (values.ndim - weight.ndim)))


def masked_weight(sample_weight: Any, mask: Any, dtype: str = "float32") -> Tensor | None:
    """One weight out of sample weights and a mask, either of which may be None: 0 where the mask does not count."""
    if mask is None:
        return None if sample_weight is None else as_dtype(as_tensor(sample_weight), dtype)
    mask = as_dtype(as_tensor(mask), "bool")
    if sample_weight is None:
        return as_dtype(as_tensor(mask), dtype)
    weight = as_dtype(as_tensor(sample_weight), dtype)
    mask, weight = (mask, aligned(weight, mask)) if mask.ndim >= weight.ndim else (aligned(mask, weight), weight)
    return gc.where(mask, weight, 0)


def floats(y: Any, dtype: str | None = None) -> Tensor:
    """Predictions as floats: in ``dtype``, or in their own, but float32 at least."""
    y = as_tensor(y)
    own = y.dtype if dtypes.is_float(y.dtype) else "float32"
    return _beneath(y, dtype or dtypes.wide(own))


def paired(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Targets and predictions in the floats of the predictions and, where one has an axis of size 1 more, in one rank."""
    y_pred = floats(y_pred)
    return same_rank(as_dtype(as_tensor(y_true), y_pred.dtype), y_pred)


def same_rank(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Where one has a last axis of size 1 more than the other it loses it; a vector gets one, as in Keras."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        return (y_true, _with_axis(y_pred)) if y_pred.ndim == 1 else (gc.squeeze(y_true, axis=-1), y_pred)
    if y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        return (_with_axis(y_true), y_pred) if y_true.ndim == 1 else (y_true, _without_axis(y_pred))
    return y_true, y_pred


def _with_axis(y: Tensor) -> Tensor:
    logits = _under(y, "sigmoid", None)
    return gc.expand_dims(y, axis=-1) if logits is None else gc.sigmoid(gc.expand_dims(logits, axis=-1))


def _without_axis(y: Tensor) -> Tensor:
    logits = _under(y, "sigmoid", None)
    return gc.squeeze(y, axis=-1) if logits is None else gc.sigmoid(gc.squeeze(logits, axis=-1))


def _beneath(y: Tensor, dtype: str) -> Tensor:
    """A cast, taken before a softmax or a sigmoid, so that it stays in sight, and sharper."""
    if y.dtype == dtype:
        return y
    if y.op is not None and y.op.name in ("softmax", "sigmoid"):
        return y.op(as_dtype(as_tensor(y.inputs[0]), dtype), **y.attributes)
    return as_dtype(as_tensor(y), dtype)


def _under(y: Tensor, op: str, axis: int | None) -> Tensor | None:
    """The operand if y is this op (along this axis)."""
    if y.op is None or y.op.name != op or (axis is not None and y.attributes["axis"] != (axis % y.ndim,)):
        return None
    return y.inputs[0]


# ---------------------------------------------------------------- pieces of formulas
def _log_above(y: Tensor) -> Tensor:
    return gc.log1p(gc.maximum(y, EPSILON))


def _margin(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = paired(y_true, y_pred)
    binary = gc.all(gc.logical_or(gc.equal(y_true, 0), gc.equal(y_true, 1)))
    return gc.maximum(1 - gc.where(binary, 2 * y_true - 1, y_true) * y_pred, 0)


def _smoothed(y_true: Tensor, amount: float, classes: Any) -> Tensor:
    return y_true * (1 - amount) + amount / classes if amount else y_true


def _smoothed_classes(y_true: Tensor, amount: float, axis: int) -> Tensor:
    if not amount:
        return y_true
    classes = y_true.shape[axis]
    if not isinstance(classes, int):
        raise ShapeError(f"label_smoothing among {classes} classes", given=[f"y_true: {describe(y_true)}"], fits="a number of classes")
    return _smoothed(y_true, amount, classes)


def _total(x: Tensor, axis: Axis | None) -> Tensor:
    return gc.sum(x, axis=axis if axis is None or isinstance(axis, int) else tuple(axis))


def _yes_and_no(y_pred: Tensor, from_logits: bool) -> tuple[Tensor, Tensor]:
    """The probabilities of yes and of no, neither by subtraction if there are logits."""
    logits = y_pred if from_logits else _under(y_pred, "sigmoid", None)
    return (y_pred, 1 - y_pred) if logits is None else (gc.sigmoid(logits), gc.sigmoid(-logits))


def _modulation(wrong: Tensor, gamma: float) -> Tensor:
    """``wrong ** gamma``, with finite slopes for a gamma below 1 too."""
    return gc.power(gc.maximum(wrong, EPSILON), gamma)


def _labels(y_true: Any, y_pred: Tensor, axis: int) -> Tensor:
    """Class numbers as integers, without the axis of size 1 that stands where the classes are."""
    y_true = as_tensor(y_true)
    if y_true.ndim == y_pred.ndim and y_true.shape[axis] == 1:
        y_true = gc.squeeze(y_true, axis=axis)
    return y_true if dtypes.is_integer(y_true.dtype) else as_dtype(as_tensor(y_true), "int32")


def not_ignored(y_true: Tensor, y_pred: Tensor, ignore_class: int | None, axis: int = -1) -> Tensor | None:
    """Which labels are not ``ignore_class``; None if that is None."""
    return None if ignore_class is None else gc.not_equal(_labels(y_true, y_pred, axis), ignore_class)


def _both(valid: Tensor | None, mask: Any) -> Tensor:
    mask = as_dtype(as_tensor(mask), "bool")
    if valid is None:
        return mask
    return gc.logical_and(aligned(valid, mask), aligned(mask, valid))


def _counted(weight: Tensor | None, mask: Tensor | None, dtype: str) -> Tensor:
    if mask is None or weight is None:
        return as_dtype(as_tensor(mask if weight is None else weight), dtype)
    return gc.where(mask, weight, 0)


def _quotient(total: Tensor, count: Tensor) -> Tensor:
    """The total itself where nothing counts: then it is 0."""
    return total / gc.where(gc.equal(count, 0), 1, count)
