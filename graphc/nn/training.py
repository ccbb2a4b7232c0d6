"""Training and evaluating: batches in, running means out. What a step computes is the compiled function's business."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from graphc.core.errors import ArgumentError

Array = np.ndarray[Any, Any]
Step = Callable[[Array, Array], Sequence[Any]]
"""Of images and labels, the mean loss and the accuracy of the batch; a compiled function of that form."""

EVALUATED_AT_ONCE = 1_000


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
    step: Step, images: Array, labels: Array, *, epochs: int = 1, batch_size: int = 128, seed: int = 0, listen: Listener | None = None
) -> Iterator[Standing]:
    """Train, and yield where it stands after each whole epoch, so that the caller may save, look, or stop.

    Every epoch takes all images once in an order of its own, drawn from ``seed``; the last batch of an epoch may be smaller.
    ``listen`` is called after each step. Nothing runs before the first value is asked for.
    Raises :class:`ArgumentError` for numbers below 1, no images, or another number of labels.
    """
    _check(images, labels, epochs=epochs, batch_size=batch_size)
    order = np.random.default_rng(seed)
    batches = _Batches(images, labels, batch_size)
    return (batches.epoch(step, epoch, epochs, order.permutation(len(images)), listen) for epoch in range(1, epochs + 1))


def evaluate(step: Step, images: Array, labels: Array) -> Score:
    """The score over all images. Raises :class:`ArgumentError` for no images, or another number of labels."""
    _check(images, labels)
    mean = _Mean()
    for start in range(0, len(images), EVALUATED_AT_ONCE):
        rows = slice(start, start + EVALUATED_AT_ONCE)
        mean.add(step(images[rows], labels[rows]), len(images[rows]))
    return mean.score


@dataclass(frozen=True)
class _Batches:
    images: Array
    labels: Array
    size: int

    def epoch(self, step: Step, epoch: int, epochs: int, order: Array, listen: Listener | None) -> Standing:
        starts = range(0, len(order), self.size)
        mean, began = _Mean(), perf_counter()
        standing = Standing(epoch, epochs, 0, len(starts), 0, 0.0, Score(0.0, 0.0))
        for number, start in enumerate(starts, 1):
            rows = order[start : start + self.size]
            # A fresh batch, never a buffer: JAX may still read the last one.
            mean.add(step(self.images[rows], self.labels[rows]), len(rows))
            standing = Standing(epoch, epochs, number, len(starts), mean.images, perf_counter() - began, mean.score)
            if listen:
                listen(standing)
        return standing


class _Mean:
    """A running mean, weighted by the sizes of the batches."""

    def __init__(self) -> None:
        self.images = 0
        self._loss = self._right = 0.0

    def add(self, result: Sequence[Any], images: int) -> None:
        loss, accuracy = result
        self.images += images
        self._loss += float(loss) * images
        self._right += float(accuracy) * images

    @property
    def score(self) -> Score:
        return Score(self._loss / self.images, self._right / self.images)


def _check(images: Array, labels: Array, **counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ArgumentError(f"train: {name} is {count}", fits="a whole number from 1")
    if len(images) == 0 or len(images) != len(labels):
        raise ArgumentError(f"{len(images)} images and {len(labels)} labels", fits="as many labels as images, and at least one")
