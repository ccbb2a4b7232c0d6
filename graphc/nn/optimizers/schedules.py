"""Learning rates that change, with Keras's names, arguments, defaults and formulas: of the count of steps a number.

Given a tensor (the optimiser gives its count of calls) they make a graph, given a number they compute at once. They compute in float32, or
in float64 if the count is that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import graphc as gc
from graphc.core import Tensor, as_tensor
from graphc.core.errors import ArgumentError, UnfinishedError
from graphc.core.op import as_dtype
from graphc.nn.configured import ConfiguredRecord
from graphc.nn.immediate import immediate
from graphc.nn.optimizers.ranges import ANY, FACTOR, POSITIVE, Range

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]


class LearningRateSchedule(ConfiguredRecord):
    """A learning rate by the count of steps. Subclasses say which, in ``rate``."""

    kind: ClassVar[str] = "schedule"
    ranges: ClassVar[dict[str, Range]] = {
        "alpha": FACTOR,
        "decay_rate": FACTOR,
        "decay_steps": POSITIVE,
        "end_learning_rate": FACTOR,
        "first_decay_steps": POSITIVE,
        "initial_learning_rate": FACTOR,
        "m_mul": FACTOR,
        "power": ANY,
        "t_mul": POSITIVE,
        "warmup_steps": FACTOR,
        "warmup_target": FACTOR,
    }

    def __post_init__(self) -> None:
        """Check the fields. Raises :class:`ArgumentError`."""
        for field in self.fields:
            value = getattr(self, field)
            if field in self.ranges and not (value is None and getattr(type(self), field, 0) is None):
                self.ranges[field].check(f"{type(self).__name__}: {field}", value)

    def __call__(self, step: Any) -> Any:
        """The learning rate after ``step`` steps: a scalar tensor of a tensor, a number of a number."""
        return _rate(self, step)

    def rate(self, step: Tensor) -> Tensor:
        """The learning rate as a graph of ``step``, which is float32 or float64."""
        raise UnfinishedError(f"{type(self).__name__}.rate(step)", fits="a subclass that defines it")


@immediate
def _rate(schedule: LearningRateSchedule, step: Any) -> Tensor:
    count = as_tensor(step)
    return schedule.rate(as_dtype(count, "float64" if count.dtype == "float64" else "float32"))


class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``; with ``staircase`` the exponent is whole."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str = "ExponentialDecay"

    def rate(self, step: Tensor) -> Tensor:
        """See the class."""
        return self.initial_learning_rate * gc.power(self.decay_rate, _passed(step, self.decay_steps, self.staircase))


class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``; with ``staircase`` the quotient is whole."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str = "InverseTimeDecay"

    def rate(self, step: Tensor) -> Tensor:
        """See the class."""
        return self.initial_learning_rate / (1 + self.decay_rate * _passed(step, self.decay_steps, self.staircase))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` up to and with step ``boundaries[i]``, the last value beyond all of them."""

    boundaries: Sequence[float]
    values: Sequence[float]
    name: str = "PiecewiseConstant"

    def __post_init__(self) -> None:
        """Check the lists. Raises :class:`ArgumentError`."""
        bounds, values = [list(self.boundaries), list(self.values)]
        if len(values) != len(bounds) + 1 or bounds != sorted(bounds) or not all(value in FACTOR for value in values):
            fits = "boundaries in order, and one value more than boundaries, none of them negative"
            raise ArgumentError("PiecewiseConstantDecay: these are no steps", given=[repr(bounds), repr(values)], fits=fits)

    def rate(self, step: Tensor) -> Tensor:
        """See the class."""
        rate = as_dtype(self.values[-1], step.dtype)
        for bound, value in zip(reversed(self.boundaries), [*reversed(self.values)][1:], strict=True):
            rate = gc.where(gc.less_equal(step, float(bound)), as_dtype(value, step.dtype), rate)
        return rate


class PolynomialDecay(LearningRateSchedule):
    """``(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power + end_learning_rate``, constant after the decay.

    With ``cycle``, the decay is as long as the first multiple of ``decay_steps`` that the steps have not passed.
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str = "PolynomialDecay"

    def rate(self, step: Tensor) -> Tensor:
        """See the class."""
        last: Any = self.decay_steps
        if self.cycle:
            whole = _passed(step, self.decay_steps, staircase=True)
            last = last * gc.maximum(whole + gc.cast(gc.less(whole * last, step), step.dtype), 1.0)
        left = (last - gc.minimum(step, last)) / last  # 0 at the end, however the quotient is rounded
        return (self.initial_learning_rate - self.end_learning_rate) * gc.power(left, self.power) + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a wave of the cosine from the first rate to ``alpha`` times that, in ``decay_steps`` (I. Loshchilov, F. Hutter, 2016).

    With a ``warmup_target`` the rate rises on a line to that in ``warmup_steps``, and the wave starts there and then.
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    name: str = "CosineDecay"
    warmup_target: float | None = None
    warmup_steps: float = 0

    def rate(self, step: Tensor) -> Tensor:
        """See the class."""
        if self.warmup_target is None:
            return self._wave(step, self.initial_learning_rate)
        wave = self._wave(gc.maximum(step - self.warmup_steps, 0.0), self.warmup_target)
        if self.warmup_steps == 0:
            return wave
        line = self.initial_learning_rate + (self.warmup_target - self.initial_learning_rate) * (step / self.warmup_steps)
        return gc.where(gc.less(step, self.warmup_steps), line, wave)

    def _wave(self, step: Tensor, first: float) -> Tensor:
        return first * _wave(gc.minimum(step, self.decay_steps) / self.decay_steps, self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Waves as of :class:`CosineDecay`, each ``t_mul`` times as long and ``m_mul`` times as high as that before it.

    Which wave a step falls into is found by a logarithm, as in Keras, and then set right where that was rounded over a boundary.
    """

    initial_learning_rate: float
    first_decay_steps: float
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0
    name: str = "SGDRDecay"

    def rate(self, step: Tensor) -> Tensor:
        """See the class."""
        passed = step / self.first_decay_steps
        if self.t_mul == 1:
            wave, start, length = (whole := gc.floor(passed)), whole, 1.0
        else:
            guess = gc.floor(gc.log1p(passed * (self.t_mul - 1)) / math.log(self.t_mul))
            guess = guess - gc.cast(gc.greater(self._start(guess), passed), step.dtype)
            wave = guess + gc.cast(gc.less_equal(self._start(guess + 1), passed), step.dtype)
            start, length = self._start(wave), gc.power(self.t_mul, wave)
        return self.initial_learning_rate * _wave((passed - start) / length, self.alpha, gc.power(self.m_mul, wave))

    def _start(self, wave: Tensor) -> Tensor:
        """When this wave starts, in lengths of the first: ``1 + t_mul + t_mul² ...``."""
        return (gc.power(self.t_mul, wave) - 1) / (self.t_mul - 1)


def _passed(step: Tensor, decay_steps: float, staircase: bool) -> Tensor:
    """``step / decay_steps``, or the whole part of it, set right where the quotient was rounded below a whole number."""
    passed = step / decay_steps
    if not staircase:
        return passed
    whole = gc.floor(passed)
    return whole + gc.cast(gc.less_equal((whole + 1) * decay_steps, step), step.dtype)


def _wave(passed: Tensor, alpha: float, height: Any = 1.0) -> Tensor:
    """Of how much of a wave has passed, from 0 to 1, a factor from ``height`` down to ``alpha``."""
    return (1 - alpha) * (0.5 * height * (1 + gc.cos(math.pi * passed))) + alpha
