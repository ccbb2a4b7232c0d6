"""What all metrics have in common: sums of batches that add up, and the figure that they make."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

import graphc as gc
from graphc.core import Tensor, describe, dtypes
from graphc.core.errors import ArgumentError, ShapeError, UnfinishedError, entries
from graphc.nn.configured import ConfiguredRecord
from graphc.nn.naming import snake_case, unique_name

Array = np.ndarray[Any, Any]
States = dict[str, Tensor]
"""What a batch contributes: sums by name."""
Totals = Mapping[str, Any]
"""The same sums over many batches, as float64."""
Figure = float | Array


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


def weighted(values: Tensor, weight: Tensor) -> Tensor:
    """Values times weights; 0 where the weight is, be the value NaN."""
    return gc.where(gc.equal(weight, 0), 0, values * weight)


def ratio(a: Any, b: Any) -> Any:
    """0 where there is nothing to divide by."""
    return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


def same_shape(metric: Metric, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and predictions as they are. Raises :class:`ShapeError` where they have two shapes."""
    if y_true.shape != y_pred.shape:
        given = [f"y_true: {describe(y_true)}", f"y_pred: {describe(y_pred)}"]
        raise ShapeError(f"{type(metric).__name__}: targets and predictions of two shapes", given=given, fits=str(y_pred.shape))
    return y_true, y_pred


def one_of(metric: Metric, name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """The value as it is. Raises :class:`ArgumentError` for one that is not allowed."""
    if value not in allowed:
        raise ArgumentError(f"{type(metric).__name__}: {name} is {value!r}", fits=", ".join(map(repr, allowed)))
    return value
