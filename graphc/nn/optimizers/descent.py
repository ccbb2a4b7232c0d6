"""Steps along the gradient, or by its sign, with one learning rate for all elements."""

from __future__ import annotations

from typing import ClassVar

import graphc as gc
from graphc.core import Tensor
from graphc.core.errors import ArgumentError
from graphc.nn.optimizers.base import LearningRate, Optimizer, Step
from graphc.nn.optimizers.ranges import NOT_POSITIVE


class SGD(Optimizer):
    """Gradient descent: ``w -= learning_rate * g``.

    With ``momentum``, ``m = momentum * m - learning_rate * g`` and ``w += m``; with ``nesterov`` as well,
    ``w += momentum * m - learning_rate * g`` with the new ``m`` (Y. Nesterov, 1983; I. Sutskever et al., 2013).
    """

    learning_rate: LearningRate = LearningRate(0.01)
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        """Check the fields. Raises :class:`ArgumentError`."""
        super().__post_init__()
        if self.nesterov and self.momentum == 0:
            raise ArgumentError("SGD: nesterov without momentum", given=["momentum=0"], fits="momentum=0.9, or nesterov=False")

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        if not self.momentum:
            return w - at.rate * g
        m = at.keep("momentum", self.momentum * at.slot("momentum") - at.rate * g)
        return w + (self.momentum * m - at.rate * g) if self.nesterov else w + m


class Lion(Optimizer):
    """``w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g)``, then ``m = beta_2 * m + (1 - beta_2) * g`` (X. Chen et al., 2023)."""

    learning_rate: LearningRate = LearningRate(0.001)
    beta_1: float = 0.9
    beta_2: float = 0.99

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        direction = gc.sign(self.beta_1 * at.slot("momentum") + (1 - self.beta_1) * g)
        at.mean("momentum", g, self.beta_2)
        return w - at.rate * direction


class Ftrl(Optimizer):
    """Follow the regularised leader, for sparse linear models (H. B. McMahan et al., 2013), with the shrinkage of TensorFlow.

    With ``n' = n + g²``, ``p = -learning_rate_power`` and ``l2 = l2_regularization_strength + beta / (2 learning_rate)``:
    ``z += g + 2 l2_shrinkage_regularization_strength w - (n'ᵖ - nᵖ) / learning_rate * w`` and
    ``w = (clip(z, -l1, l1) - z) / (n'ᵖ / learning_rate + 2 l2)``.
    """

    ranges: ClassVar = {**Optimizer.ranges, "learning_rate_power": NOT_POSITIVE}

    learning_rate: LearningRate = LearningRate(0.001)
    learning_rate_power: float = -0.5
    initial_accumulator_value: float = 0.1
    l1_regularization_strength: float = 0.0
    l2_regularization_strength: float = 0.0
    l2_shrinkage_regularization_strength: float = 0.0
    beta: float = 0.0

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        before = at.slot("accumulator", self.initial_accumulator_value)
        after = at.keep("accumulator", before + gc.square(g))
        grown, power = gc.power(after, -self.learning_rate_power), gc.power(before, -self.learning_rate_power)
        pull = g + 2 * self.l2_shrinkage_regularization_strength * w if self.l2_shrinkage_regularization_strength else g
        z = at.keep("linear", at.slot("linear") + pull - (grown - power) / at.rate * w)
        l1, l2 = self.l1_regularization_strength, self.l2_regularization_strength
        return (gc.clip(z, -l1, l1) - z) / (grown / at.rate + (2 * l2 + self.beta / at.rate if self.beta else 2 * l2))
