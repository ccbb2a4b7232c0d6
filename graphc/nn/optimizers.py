"""Optimisers as graph updates: from gradients, which are graphs, the new value of each variable, which is one too.

What an optimiser remembers between steps are variables as well, its slots; they are updated by the same call of the same
compiled function. The formulas and the defaults are Keras's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from graphc.core import Tensor, Variable, describe, variable
from graphc.core.errors import ArgumentError, ShapeError
from graphc.init import zeros
from graphc.ops import sqrt, square

Updates = dict[Variable, Tensor]


@dataclass(frozen=True)
class SGD:
    """Gradient descent: ``w -= learning_rate * g``.

    With ``momentum``, ``m = momentum * m - learning_rate * g`` and ``w += m``; with ``nesterov`` as well,
    ``w += momentum * m - learning_rate * g`` with the new ``m`` (Y. Nesterov, 1983; I. Sutskever et al., 2013).
    """

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        _check(self, momentum=1.0)
        if self.nesterov and self.momentum == 0:
            raise ArgumentError("SGD: nesterov without momentum", given=[repr(self)], fits="momentum=0.9, or nesterov=False")

    def updates(self, gradients: Mapping[Variable, Tensor]) -> Updates:
        """The new values of the variables and of their slots, for ``gc.compile(..., updates=...)``.

        Raises :class:`ShapeError` where a gradient has not its variable's shape, :class:`ArgumentError` for what is no variable.
        """
        new: Updates = {}
        for weight, gradient in _checked(gradients):
            step = -self.learning_rate * gradient
            if self.momentum:
                slot = _slot(weight, "momentum")
                new[slot] = moved = self.momentum * slot + step
                step = self.momentum * moved + step if self.nesterov else moved
            new[weight] = weight + step
        return new


@dataclass(frozen=True)
class RMSprop:
    """Steps scaled by a running mean of squared gradients (T. Tieleman, G. Hinton, 2012).

    ``v = rho * v + (1 - rho) * g²`` and ``w -= learning_rate * g / sqrt(v + epsilon)`` with the new ``v``.
    """

    learning_rate: float = 1e-3
    rho: float = 0.9
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        _check(self, rho=1.0)

    def updates(self, gradients: Mapping[Variable, Tensor]) -> Updates:
        """The new values of the variables and of their slots, for ``gc.compile(..., updates=...)``.

        Raises :class:`ShapeError` where a gradient has not its variable's shape, :class:`ArgumentError` for what is no variable.
        """
        new: Updates = {}
        for weight, gradient in _checked(gradients):
            slot = _slot(weight, "velocity")
            new[slot] = velocity = self.rho * slot + (1 - self.rho) * square(gradient)
            new[weight] = weight - self.learning_rate * gradient / sqrt(velocity + self.epsilon)
        return new


def _check(optimizer: SGD | RMSprop, **below: float) -> None:
    """Every number is at least 0, finite, and less than what ``below`` says; written so that NaN fails too."""
    for field in fields(optimizer):
        number, limit = getattr(optimizer, field.name), below.get(field.name, float("inf"))
        if not 0 <= number < limit:
            raise ArgumentError(f"{type(optimizer).__name__}: {field.name} is {number}", fits=f"0 <= {field.name} < {limit:g}")


def _slot(weight: Variable, name: str) -> Variable:
    shape = weight.value.shape
    return variable(zeros(shape, weight.dtype), f"{weight.label}/{name}" if weight.label else name)


def _checked(gradients: Mapping[Variable, Tensor]) -> list[tuple[Variable, Tensor]]:
    for weight, gradient in gradients.items():
        if not isinstance(weight, Variable):  # pyright: ignore[reportUnnecessaryIsInstance]  # not every caller runs a type checker
            raise ArgumentError(f"updates: {weight!r} is no variable", fits="{variable: gradient} with variables made by gc.variable")
        if gradient.shape != weight.shape:
            given = [describe(weight), describe(gradient)]
            raise ShapeError(f"updates: the gradient for {weight.label} has another shape", given=given, fits=str(weight.type))
    return list(gradients.items())
