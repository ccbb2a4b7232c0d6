"""Where weights are brought back to after each step, with Keras's names, arguments, defaults and formulas.

Given tensors they make graphs, given values they compute at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import graphc as gc
from graphc.core import Tensor, as_tensor
from graphc.core.errors import ArgumentError, UnfinishedError
from graphc.nn.configured import ConfiguredRecord
from graphc.nn.immediate import immediate
from graphc.nn.naming import find, spelled

EPSILON: Final = 1e-7
"""What is added to a length before it is divided by, as in Keras."""
Axis = int | Sequence[int] | None


class Constraint(ConfiguredRecord):
    """Of a weight the nearest allowed one. Subclasses say which, in ``constrained``."""

    kind: ClassVar[str] = "constraint"

    def __call__(self, w: Any) -> Any:
        """The new value of the weight, with its shape and dtype."""
        return _constrained(self, w)

    def constrained(self, w: Tensor) -> Tensor:
        """The new value as a tensor."""
        raise UnfinishedError(f"{type(self).__name__}.constrained(w)", fits="a subclass that defines it")


@immediate
def _constrained(constraint: Constraint, w: Any) -> Any:
    return constraint.constrained(as_tensor(w))


class NonNeg(Constraint):
    """Nothing below 0."""

    def constrained(self, w: Tensor) -> Tensor:
        """``max(w, 0)``."""
        return gc.maximum(w, 0)


class UnitNorm(Constraint):
    """Length 1 along an axis, or axes: ``(0, 1, 2)`` for the kernels of a Conv2D."""

    axis: Axis = 0

    def constrained(self, w: Tensor) -> Tensor:
        """``w / (length + 1e-7)``."""
        return w / (_length(w, self.axis) + EPSILON)


class MaxNorm(Constraint):
    """A length of at most ``max_value`` along an axis, or axes (N. Srivastava et al., 2014)."""

    max_value: float = 2
    axis: Axis = 0

    def __post_init__(self) -> None:
        """Check the arguments. Raises :class:`ArgumentError`."""
        _check(self, self.max_value >= 0, "max_value", "a number from 0")

    def constrained(self, w: Tensor) -> Tensor:
        """``w`` times the allowed length over ``length + 1e-7``."""
        length = _length(w, self.axis)
        return w * (gc.minimum(length, self.max_value) / (length + EPSILON))


class MinMaxNorm(Constraint):
    """A length from ``min_value`` to ``max_value`` along an axis, or axes; ``rate`` is the share of the way that is gone each time."""

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: Axis = 0

    def __post_init__(self) -> None:
        """Check the arguments. Raises :class:`ArgumentError`."""
        _check(self, 0 <= self.min_value <= self.max_value, "min_value", "0 <= min_value <= max_value")
        _check(self, 0 <= self.rate <= 1, "rate", "0 <= rate <= 1")

    def constrained(self, w: Tensor) -> Tensor:
        """``w`` times the wanted length over ``length + 1e-7``."""
        length = _length(w, self.axis)
        wanted = self.rate * gc.clip(length, self.min_value, self.max_value) + (1 - self.rate) * length
        return w * (wanted / (length + EPSILON))


def _length(w: Tensor, axis: Axis) -> Tensor:
    return gc.sqrt(gc.sum(gc.square(w), axis=axis if axis is None or isinstance(axis, int) else tuple(axis), keepdims=True))


def _check(constraint: Constraint, fine: bool, name: str, fits: str) -> None:
    if not fine:
        raise ArgumentError(f"{type(constraint).__name__}: {name} is {getattr(constraint, name)}", given=[repr(constraint)], fits=fits)


CLASSES: Final[tuple[type[Constraint], ...]] = (MaxNorm, MinMaxNorm, NonNeg, UnitNorm)
TABLE: Final = spelled(CLASSES)
"""Every constraint by the names that it has in Keras."""
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm


def get(identifier: Any) -> Any:
    """The constraint that is meant: one, its name or config, or a function of a tensor. None stays None.

    Raises:
        ArgumentError: no such constraint.
    """
    return find(identifier, "constraint", TABLE)
