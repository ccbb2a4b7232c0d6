"""Adam and what came of it: running means of gradients and of their squares, corrected for starting at 0."""

from __future__ import annotations

import math

import graphc as gc
from graphc.core import Tensor
from graphc.nn.optimizers.base import LearningRate, Optimizer, Step


class Adam(Optimizer):
    """``w -= learning_rate * sqrt(1 - beta_2ᵗ) / (1 - beta_1ᵗ) * m / (sqrt(v) + epsilon)`` in step t (D. P. Kingma, J. Ba, 2014).

    ``m`` is the running mean of ``g`` by ``beta_1``, ``v`` that of ``g²`` by ``beta_2``; with ``amsgrad``, the largest ``v`` so far
    (S. J. Reddi, S. Kale, S. Kumar, 2018).
    """

    learning_rate: LearningRate = LearningRate(0.001)
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        m, v = at.mean("momentum", g, self.beta_1), at.mean("velocity", gc.square(g), self.beta_2)
        if self.amsgrad:
            v = at.keep("velocity_hat", gc.maximum(at.slot("velocity_hat"), v))
        return w - alpha(at, self.beta_1, self.beta_2) * (m / (gc.sqrt(v) + self.epsilon))


class AdamW(Adam):
    """:class:`Adam` with weights that decay (I. Loshchilov, F. Hutter, 2017): first ``w -= learning_rate * weight_decay * w``."""

    learning_rate: LearningRate = LearningRate(0.001)
    weight_decay: float | None = 0.004


class Adamax(Optimizer):
    """Adam by the largest gradient: ``w -= learning_rate / (1 - beta_1ᵗ) * m / (u + epsilon)``, ``u = max(beta_2 * u, |g|)``.

    D. P. Kingma, J. Ba, 2014, section 7.1.
    """

    learning_rate: LearningRate = LearningRate(0.001)
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        m = at.mean("momentum", g, self.beta_1)
        u = at.keep("norm", gc.maximum(self.beta_2 * at.slot("norm"), gc.abs(g)))
        return w - at.rate / started(self.beta_1, at.count) * (m / (u + self.epsilon))


class Nadam(Optimizer):
    """Adam with Nesterov's momentum (T. Dozat, 2015).

    ``w -= learning_rate * n / (sqrt(v / (1 - beta_2ᵗ)) + epsilon)`` with ``n = uₜ₊₁ m / (1 - pₜ uₜ₊₁) + (1 - uₜ) g / (1 - pₜ)``,
    ``uₜ = beta_1 * (1 - 0.96ᵗ / 2)`` and ``pₜ = u₁ u₂ ... uₜ``.
    """

    learning_rate: LearningRate = LearningRate(0.001)
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        m, v = at.mean("momentum", g, self.beta_1), at.mean("velocity", gc.square(g), self.beta_2)
        u, u_next = self._factor(at.count), self._factor(at.count + 1)
        before = at.shared("u_product", 1.0)
        product = at.keep_shared(before, before * u)
        n = u_next / (1 - product * u_next) * m + (1 - u) / (1 - product) * g
        return w - at.rate * (n / (gc.sqrt(v / started(self.beta_2, at.count)) + self.epsilon))

    def _factor(self, count: Tensor) -> Tensor:
        return self.beta_1 * (1 - 0.5 * gc.power(0.96, count))


class Lamb(Optimizer):
    """Adam's step, as long as the weight times the learning rate, layer by layer (Y. You et al., 2019).

    ``w -= learning_rate * |w| / |d| * d`` with ``d = m / (1 - beta_1ᵗ) / (sqrt(v / (1 - beta_2ᵗ)) + epsilon)``; a norm of 0 makes
    the quotient 1.
    """

    learning_rate: LearningRate = LearningRate(0.001)
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        m, v = at.mean("momentum", g, self.beta_1), at.mean("velocity", gc.square(g), self.beta_2)
        d = m / started(self.beta_1, at.count) / (gc.sqrt(v / started(self.beta_2, at.count)) + self.epsilon)
        size, length = gc.sqrt(gc.sum(gc.square(w))), gc.sqrt(gc.sum(gc.square(d)))
        ratio = gc.where(gc.logical_and(gc.greater(size, 0), gc.greater(length, 0)), size / length, 1.0)
        return w - ratio * at.rate * d


def alpha(at: Step, beta_1: float, beta_2: float) -> Tensor:
    """Adam's learning rate in step t: ``learning_rate * sqrt(1 - beta_2ᵗ) / (1 - beta_1ᵗ)``."""
    return at.rate * (gc.sqrt(started(beta_2, at.count)) / started(beta_1, at.count))


def started(beta: float, count: Tensor) -> Tensor:
    """``1 - betaᵗ``: the share of a running mean in step t that is not the 0 it started from.

    By ``expm1``, since of 1 - 0.999 float32 keeps but four digits.
    """
    return -gc.expm1(count * math.log(beta)) if beta else gc.ones_like(count)
