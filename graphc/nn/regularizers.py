"""Penalties on weights, with Keras's names, arguments, defaults and formulas: of a tensor a number, which the loss is raised by.

Given tensors they make graphs, given values they compute at once.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import graphc as gc
from graphc.core import Tensor, as_tensor, describe
from graphc.core.errors import ArgumentError, ShapeError, UnfinishedError
from graphc.nn.configured import ConfiguredRecord
from graphc.nn.immediate import immediate
from graphc.nn.naming import find, spelled


class Regularizer(ConfiguredRecord):
    """A penalty on a weight or an output. Subclasses say which, in ``penalty``."""

    kind: ClassVar[str] = "regularizer"

    def __call__(self, x: Any) -> Any:
        """The penalty, a number in the dtype of ``x``."""
        return _penalty(self, x)

    def penalty(self, x: Tensor) -> Tensor:
        """A scalar tensor."""
        raise UnfinishedError(f"{type(self).__name__}.penalty(x)", fits="a subclass that defines it")


@immediate
def _penalty(regularizer: Regularizer, x: Any) -> Any:
    return regularizer.penalty(as_tensor(x))


class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x²)`` (H. Zou, T. Hastie, 2005)."""

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        """Check the factors; None is the default. Raises :class:`ArgumentError`."""
        for name in self.fields:
            value: Any = getattr(self, name)
            self._set(name, getattr(type(self), name) if value is None else _factor(self, name, value))

    def penalty(self, x: Tensor) -> Tensor:
        """What has the factor 0 is not computed."""
        return sum([factor * term(x) for factor, term in ((self.l1, _size), (self.l2, _squares)) if factor], gc.zeros_like(gc.sum(x)))


class L1(Regularizer):
    """``l1 * sum(|x|)``."""

    l1: float = 0.01

    __post_init__ = L1L2.__post_init__

    def penalty(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.l1 * _size(x)


class L2(Regularizer):
    """``l2 * sum(x²)``."""

    l2: float = 0.01

    __post_init__ = L1L2.__post_init__

    def penalty(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.l2 * _squares(x)


class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean size of the cosine between two rows of a matrix, or two columns."""

    factor: float = 0.01
    mode: str = "rows"

    def __post_init__(self) -> None:
        """Check the arguments. Raises :class:`ArgumentError`."""
        self._set("factor", _factor(self, "factor", self.factor))
        if self.mode not in ("rows", "columns"):
            raise ArgumentError(f"OrthogonalRegularizer: mode is {self.mode!r}", fits="'rows', 'columns'")

    def penalty(self, x: Tensor) -> Tensor:
        """See the class. One row alone has none to be compared with, and costs nothing."""
        if x.ndim != 2:
            raise ShapeError("OrthogonalRegularizer of what is no matrix", given=[describe(x)], fits="two axes")
        rows = gc.l2_normalize(x if self.mode == "rows" else x.T, axis=1)
        count = rows.shape[0]
        if not isinstance(count, int):
            raise ShapeError("OrthogonalRegularizer of an unknown number of rows", given=[describe(x)], fits="a number for each size")
        cosines = rows @ rows.T * (1 - gc.eye(count, dtype=x.dtype))
        return self.factor / max(count * (count - 1), 1) * _size(cosines)


def _size(x: Tensor) -> Tensor:
    return gc.sum(gc.abs(x))


def _squares(x: Tensor) -> Tensor:
    return gc.sum(gc.square(x))


def _factor(regularizer: Regularizer, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ArgumentError(f"{type(regularizer).__name__}: {name} is {value!r}", fits="a finite number from 0")
    return float(value)


CLASSES: Final[tuple[type[Regularizer], ...]] = (L1, L1L2, L2, OrthogonalRegularizer)
TABLE: Final = spelled(CLASSES, l1_l2=L1L2)
"""Every regularizer by the names that it has in Keras."""
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """The regularizer that is meant: one, its name or config, or a function of a tensor. None stays None.

    Raises:
        ArgumentError: no such regularizer.
    """
    return find(identifier, "regularizer", TABLE)
