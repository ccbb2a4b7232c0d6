"""Steps scaled element by element, by sums or means of squared gradients."""

from __future__ import annotations

import graphc as gc
from graphc.core import Tensor
from graphc.nn.optimizers.base import LearningRate, Optimizer, Step


class RMSprop(Optimizer):
    """Steps scaled by a running mean of squared gradients (T. Tieleman, G. Hinton, 2012).

    ``v = rho * v + (1 - rho) * g²`` and ``w -= learning_rate * g / sqrt(v + epsilon)`` with the new ``v``.
    ``centered`` takes the square of the running mean of ``g`` off ``v`` (A. Graves, 2013), and not more than there is: the difference
    is a variance, and rounded it would be negative where gradients are constant. With ``momentum``, the steps add up as
    ``m = momentum * m + step``, ``w -= m``.
    """

    learning_rate: LearningRate = LearningRate(0.001)
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        v = at.mean("velocity", gc.square(g), self.rho)
        if self.centered:
            v = gc.maximum(v - gc.square(at.mean("average_gradient", g, self.rho)), 0.0)
        step = at.rate * (g / gc.sqrt(v + self.epsilon))
        if self.momentum:
            step = at.keep("momentum", self.momentum * at.slot("momentum") + step)
        return w - step


class Adagrad(Optimizer):
    """``n += g²`` and ``w -= learning_rate * g / sqrt(n + epsilon)`` (J. Duchi, E. Hazan, Y. Singer, 2011)."""

    learning_rate: LearningRate = LearningRate(0.001)
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        n = at.keep("accumulator", at.slot("accumulator", self.initial_accumulator_value) + gc.square(g))
        return w - at.rate * (g / gc.sqrt(n + self.epsilon))


class Adadelta(Optimizer):
    """Steps in the unit of the weights (M. D. Zeiler, 2012).

    With ``v`` the running mean of ``g²``: ``d = -g * sqrt(u + epsilon) / sqrt(v + epsilon)`` and ``w += learning_rate * d``; then ``u``
    becomes the running mean of ``d²``.
    """

    learning_rate: LearningRate = LearningRate(0.001)
    rho: float = 0.95
    epsilon: float = 1e-7

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        v = at.mean("accumulated_grad", gc.square(g), self.rho)
        d = g * gc.sqrt(at.slot("accumulated_delta_var") + self.epsilon) / gc.sqrt(v + self.epsilon)
        at.mean("accumulated_delta_var", gc.square(d), self.rho)
        return w - at.rate * d
