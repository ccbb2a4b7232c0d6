"""Training and evaluating: epochs over a data set, and where they stand. What a step computes is the compiled function's business."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np

from graphc.core.errors import ArgumentError
from graphc.feed import Batches, Tally
from graphc.feed import epoch as run_epoch

Array = np.ndarray[Any, Any]
Step = Callable[[Array, Array], Sequence[Any]]
"""Of images and labels, the mean loss and the accuracy of the batch; a compiled function of that form."""

EVALUATED_AT_ONCE = 1_000
STEPS_PER_CALL = 64
"""Steps in one call, where that is one loop on a device: a hundredth of their time goes by between calls."""
PAUSE = 0.05
"""Seconds between two words to a listener: more often than an eye follows is time lost to the training."""


@dataclass(frozen=True)
class Score:
    """Mean loss (nats) and accuracy (0 to 1) over some images."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Standing:
    """Where a training stands after a step; ``score`` is the mean over the ``images`` of this epoch so far, ``seconds`` its time."""

    epoch: int
    epochs: int
    step: int
    steps: int
    images: int
    seconds: float
    score: Score

    @property
    def images_per_second(self) -> float:
        """Speed, averaged over this epoch so far."""
        return self.images / max(self.seconds, 1e-9)


Listener = Callable[[Standing], None]


def features(images: Array) -> Array:
    """Images of bytes, ``(n, height, width)``, as float32 of shape ``(n, height * width)`` in 0 to 1."""
    return np.divide(images.reshape(len(images), -1), np.float32(255), dtype=np.float32)


def train(
    step: Step,
    images: Array,
    labels: Array,
    *,
    epochs: int = 1,
    batch_size: int = 128,
    seed: int = 0,
    steps_per_call: int | Literal["epoch"] = 1,
    listen: Listener | None = None,
    pause: float = PAUSE,
) -> Iterator[Standing]:
    """Train, and yield where it stands after each whole epoch, so that the caller may save, look, or stop.

    Every epoch takes all images once in an order of its own, drawn from ``seed``; the last batch of an epoch may be smaller.
    ``steps_per_call`` is that of :func:`graphc.epoch`. ``listen`` is called after calls, at most once in ``pause`` seconds, and after
    the last of each epoch. Nothing runs before the first value is asked for. Raises :class:`ArgumentError` for numbers below 1, no
    images, or another number of labels.
    """
    _check(images, labels, epochs=epochs, batch_size=batch_size)
    batches = Batches((images, labels), batch_size, shuffle=seed)

    def one(number: int) -> Standing:
        began = perf_counter()

        def standing(tally: Tally) -> Standing:
            seconds = perf_counter() - began
            return Standing(number, epochs, tally.steps, len(batches), tally.rows, seconds, _score(tally))

        heard: list[Standing] = []  # the last one is that of the whole epoch

        def tell(tally: Tally) -> None:
            heard[:] = [standing(tally)]
            if listen:
                listen(heard[0])

        run_epoch(step, batches, steps_per_call=steps_per_call, listen=tell, pause=pause if listen else math.inf)
        return heard[0]

    return map(one, range(1, epochs + 1))


def equal_calls(images: int, batch_size: int, most: int = STEPS_PER_CALL) -> int:
    """A number of steps per call, at most ``most``, with which calls are of one length if that can be, so that it is compiled once."""
    steps = max(images // batch_size, 1)
    even = max(count for count in range(1, most + 1) if steps % count == 0)
    return even if 4 * even >= min(steps, most) else most


def evaluate(step: Step, images: Array, labels: Array) -> Score:
    """The score over all images. Raises :class:`ArgumentError` for no images, or another number of labels."""
    _check(images, labels)
    return _score(run_epoch(step, Batches((images, labels), EVALUATED_AT_ONCE)))


def _score(tally: Tally) -> Score:
    loss, accuracy = tally.means
    return Score(float(loss), float(accuracy))


def _check(images: Array, labels: Array, **counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ArgumentError(f"train: {name} is {count}", fits="a whole number from 1")
    if len(images) == 0 or len(images) != len(labels):
        raise ArgumentError(f"{len(images)} images and {len(labels)} labels", fits="as many labels as images, and at least one")
