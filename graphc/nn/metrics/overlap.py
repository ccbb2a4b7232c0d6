"""The intersection over the union of targets and predictions, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

import graphc as gc
from graphc.core import Tensor, as_tensor
from graphc.core.errors import ArgumentError
from graphc.core.op import as_dtype
from graphc.nn.losses import aligned, floats, masked_weight, same_rank
from graphc.nn.metrics.base import Array, Metric, States, Totals, same_shape


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
        y_true, y_pred = same_shape(self, *same_rank(*self.numbers(y_true, y_pred)))
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
