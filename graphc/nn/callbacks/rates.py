"""A learning rate for each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.core.errors import ArgumentError
from graphc.nn.hooks import Callback, Logs

if TYPE_CHECKING:
    from graphc.nn.model import Model


def note_rate(model: Model, logs: Logs | None) -> None:
    """Put the learning rate among the figures of the epoch, for ``History`` and other callbacks."""
    if isinstance(logs, dict):
        logs["learning_rate"] = float(model.optimizer.learning_rate)


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of each epoch.

    Args:
        schedule: a function of the number of the epoch, from 0, and the rate so far; or of the number alone. It returns the rate.
        verbose: 1 to print a line an epoch.

    The rate of each epoch is in ``History`` as ``learning_rate``. Raises :class:`ArgumentError` where it returns no float.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose
        self._done: int | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin anew."""
        self._done = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the rate; not again in an epoch that goes on in the middle."""
        if self._done == epoch:
            return
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError:  # Keras's rule for functions of one argument
            rate = self.schedule(epoch)
        if not isinstance(rate, float | np.floating):
            raise ArgumentError(f"LearningRateScheduler: the schedule returned {rate!r}", fits="a float")
        optimizer.learning_rate = float(rate)
        self._done = epoch
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the rate."""
        note_rate(self.model, logs)

    def get_state(self) -> Mapping[str, Any]:
        """The epoch that has its rate already."""
        return {"done": self._done}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on."""
        self._done = state["done"]
