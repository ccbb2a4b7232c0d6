"""Optimisers that look at a weight as a matrix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, cast

import graphc as gc
from graphc.core import Tensor, Variable
from graphc.nn.optimizers.base import LearningRate, Optimizer, Step
from graphc.nn.optimizers.moments import alpha
from graphc.nn.optimizers.ranges import ANY, FACTOR, NOT_POSITIVE, POSITIVE, whole


class Adafactor(Optimizer):
    """Steps scaled as by RMSprop, with the mean squares of rows and of columns instead of those of elements (N. Shazeer, M. Stern, 2018).

    In step t, with ``beta = 1 - t ** beta_2_decay`` and ``s = g² + epsilon_1``, r and c are running means by ``beta`` of s along the last
    axis and the last but one, and ``v = r c / mean(r)``; of weights with fewer than two axes, v is the running mean of s. Then
    ``u = g / sqrt(v)`` and ``w -= max(epsilon_2, rms(w)) * min(learning_rate, 1 / sqrt(t)) * u / max(1, rms(u) / clip_threshold)``.

    ``relative_step`` changes nothing, as in Keras, where the minimum is taken either way. Keras keeps v too; here it is not stored.
    """

    ranges: ClassVar = {**Optimizer.ranges, "beta_2_decay": NOT_POSITIVE, "clip_threshold": POSITIVE}

    learning_rate: LearningRate = LearningRate(0.001)
    beta_2_decay: float = -0.8
    epsilon_1: float = 1e-30
    epsilon_2: float = 1e-3
    clip_threshold: float = 1.0
    relative_step: bool = True

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        beta = 1 - gc.power(at.count, self.beta_2_decay)
        u = self._scaled(g, gc.square(g) + self.epsilon_1, beta, at)
        rho = gc.minimum(at.rate, 1 / gc.sqrt(at.count)) * gc.maximum(_rms(w), self.epsilon_2)
        return w - rho / gc.maximum(_rms(u) / self.clip_threshold, 1.0) * u

    def _scaled(self, g: Tensor, squares: Tensor, beta: Tensor, at: Step) -> Tensor:
        """``g / sqrt(v)``. Of rows and columns the roots are taken before they meet, which are few and cannot underflow."""
        if len(g.shape) < 2:
            return g / gc.sqrt(at.mean("velocity", squares, beta))
        r, c = at.mean("row", gc.mean(squares, axis=-1), beta), at.mean("column", gc.mean(squares, axis=-2), beta)
        rows = gc.sqrt(r / gc.mean(r, axis=-1, keepdims=True))
        return g / gc.expand_dims(rows, -1) / gc.expand_dims(gc.sqrt(c), -2)


class Muon(Optimizer):
    """Steps whose singular values are about 1, for matrices; AdamW for all other weights (K. Jordan et al., 2024).

    ``m = momentum * m + g``; the step is along ``g + momentum * m`` (``nesterov``), or m, brought near an orthogonal matrix by
    ``ns_steps`` of the iteration ``x = a x + (b x xᵀ + c (x xᵀ)²) x`` of Newton and Schulz, times the learning rate and
    ``rms_rate * sqrt(max(rows, columns))``, or 1 where ``rms_rate`` is None. Adam has ``weight_decay`` in ``adam_weight_decay`` and its
    learning rate times ``adam_lr_ratio``.

    Args:
        exclude_layers: weights in whose name one of these patterns is found go to Adam.
        exclude_embeddings: weights with "embedding" in their name do too.
    """

    ranges: ClassVar = {
        **Optimizer.ranges,
        "adam_weight_decay": FACTOR,
        "muon_a": ANY,
        "muon_b": ANY,
        "muon_c": ANY,
        "rms_rate": POSITIVE,
    }
    optional: ClassVar = ("adam_weight_decay", "rms_rate", "weight_decay")

    learning_rate: LearningRate = LearningRate(0.001)
    adam_beta_1: float = 0.9
    adam_beta_2: float = 0.999
    adam_weight_decay: float | None = 0.004
    epsilon: float = 1e-7
    weight_decay: float | None = 0.004
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    loss_scale_factor: float | None = None
    gradient_accumulation_steps: int | None = None
    name: str | None = None
    exclude_layers: Sequence[str] | None = None
    exclude_embeddings: bool = True
    muon_a: float = 3.4445
    muon_b: float = -4.775
    muon_c: float = 2.0315
    adam_lr_ratio: float = 1.0
    momentum: float = 0.95
    ns_steps: int = 5
    nesterov: bool = True
    rms_rate: float | None = 0.2

    def __post_init__(self) -> None:
        """Check the fields. Raises :class:`ArgumentError`."""
        super().__post_init__()
        whole("Muon: ns_steps", self.ns_steps, 0)

    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """See the class."""
        if self._is_for_adam(at.weight):
            m, v = at.mean("momentum", g, self.adam_beta_1), at.mean("velocity", gc.square(g), self.adam_beta_2)
            return w - self.adam_lr_ratio * alpha(at, self.adam_beta_1, self.adam_beta_2) * (m / (gc.sqrt(v) + self.epsilon))
        m = at.keep("momentum", self.momentum * at.slot("momentum") + g)
        rows, columns = cast("tuple[int, int]", at.weight.shape)
        direction = self._orthogonal(g + self.momentum * m if self.nesterov else m, tall=rows > columns)
        scale = 1.0 if self.rms_rate is None else self.rms_rate * max(rows, columns) ** 0.5
        return w - (at.rate * scale) * direction

    def decay_of(self, weight: Variable) -> float | None:
        """The weight decay of Adam or of Muon."""
        return self.adam_weight_decay if self._is_for_adam(weight) else self.weight_decay

    def _is_for_adam(self, weight: Variable) -> bool:
        name = weight.label or ""
        embeds = self.exclude_embeddings and "embedding" in name.lower()
        return len(weight.shape) != 2 or embeds or any(re.search(pattern, name) for pattern in self.exclude_layers or ())

    def _orthogonal(self, x: Tensor, tall: bool) -> Tensor:
        """The iteration, on the side on which the product of the matrix with itself is the smaller one."""
        x = x.T if tall else x
        x = x / (gc.sqrt(gc.sum(gc.square(x))) + 1e-7)
        for _ in range(self.ns_steps):
            product = x @ x.T
            x = self.muon_a * x + (self.muon_b * product + self.muon_c * (product @ product)) @ x
        return x.T if tall else x


def _rms(x: Tensor) -> Tensor:
    return gc.sqrt(gc.mean(gc.square(x)))
