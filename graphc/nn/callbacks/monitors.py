"""Callbacks that look at a figure: whether it got better, and what is done if it did not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from graphc.core.errors import ArgumentError, warn
from graphc.nn.callbacks.rates import note_rate
from graphc.nn.hooks import Callback, Logs

MODES: Final = ("auto", "min", "max")


class MonitorWarning(UserWarning):
    """A figure that a callback looks at, and that is not there."""


class MonitorCallback(Callback):
    """The base of those that look at one figure.

    Args:
        monitor: the name of the figure in ``logs``: ``"val_loss"``.
        mode: ``"min"`` or ``"max"`` say what is better; ``"auto"`` that the figure is a loss, or a metric that knows.
        best: the value to be better than at first.
        min_delta: by how much a value has to be better to count.

    Raises :class:`ArgumentError` for another mode.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", best: float | None = None, min_delta: float = 0.0) -> None:
        if mode not in MODES:
            raise ArgumentError(f"{type(self).__name__}: mode is {mode!r}", fits=", ".join(map(repr, MODES)))
        self.monitor, self.mode, self.best = monitor, mode, best
        self.min_delta = abs(min_delta)
        self._sign: int | None = None

    def value_in(self, logs: Logs | None) -> float | None:
        """The figure; None, with a warning, if it is not there."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            told = f"{type(self).__name__}: there is no {self.monitor!r} among {', '.join(logs or ()) or 'no figures'}"
            warn(told, MonitorWarning)
        return value

    def is_better(self, value: float, reference: float | None) -> bool:
        """Whether a value is better by ``min_delta``; anything is better than None.

        Raises :class:`ArgumentError` if ``mode`` is ``"auto"`` and it is not known what is better.
        """
        if self._sign is None:
            self._sign = {"min": -1, "max": 1}.get(self.mode) or self._sign_of_metric()
        if reference is None or math.isnan(reference):
            return True
        return value - self.min_delta > reference if self._sign > 0 else value + self.min_delta < reference

    def _sign_of_metric(self) -> int:
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return -1
        directions = [one.metric.direction for one in self.model.training.measured if one.name == name]
        if not directions or directions[0] is None:
            told = f"{type(self).__name__}: whether {self.monitor!r} is to become smaller or larger is not known"
            raise ArgumentError(told, fits='mode="min" or mode="max"')
        return 1 if directions[0] == "up" else -1


class EarlyStopping(MonitorCallback):
    """Stop when a figure has not become better for ``patience`` epochs.

    Args:
        monitor: see :class:`MonitorCallback`, as for ``min_delta`` and ``mode``.
        min_delta: by how much.
        patience: how many epochs are waited for.
        verbose: 1 to print a line when it stops.
        mode: what is better.
        baseline: a value that has to be reached for the waiting to begin anew.
        restore_best_weights: whether the model gets the weights of the best epoch at the end.
        start_from_epoch: epochs before this one, counted from 0, are not looked at.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin anew."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at the figure, and stop the training if it is time."""
        value = self.value_in(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)
        self.wait += 1
        if self.is_better(value, self.best):
            self.best = value
            self._keep(epoch)
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Give the model its best weights."""
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_state(self) -> Mapping[str, Any]:
        """What was seen so far."""
        state = {"best": self.best, "wait": self.wait, "best_epoch": self.best_epoch, "stopped_epoch": self.stopped_epoch}
        return state if self.best_weights is None else {**state, "best_weights": self.best_weights}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on; a training that was stopped already stays so."""
        self.best, self.wait = state["best"], state["wait"]
        self.best_epoch, self.stopped_epoch = state["best_epoch"], state["stopped_epoch"]
        self.best_weights = state.get("best_weights")
        if self.stopped_epoch:
            self.model.stop_training = True


class ReduceLROnPlateau(MonitorCallback):
    """Multiply the learning rate by ``factor`` when a figure has not become better for ``patience`` epochs.

    Args:
        monitor: see :class:`MonitorCallback`, as for ``mode`` and ``min_delta``.
        factor: below 1.
        patience: how many epochs are waited for.
        verbose: 1 to print a line when the rate changes.
        mode: what is better.
        min_delta: by how much.
        cooldown: epochs after a change in which nothing is waited for.
        min_lr: the smallest rate.

    The rate of each epoch is in ``History`` as ``learning_rate``. Raises :class:`ArgumentError` for a factor from 1.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if not 0 <= factor < 1:
            raise ArgumentError(f"ReduceLROnPlateau: factor is {factor!r}", fits="a number below 1, from 0")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin anew."""
        self.best = None
        self.cooldown_counter = self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at the figure, and change the rate if it is time."""
        note_rate(self.model, logs)
        value = self.value_in(logs)
        if value is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        if optimizer.learning_rate > self.min_lr:
            optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
            if self.verbose:
                print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {optimizer.learning_rate}.")
            self.cooldown_counter, self.wait = self.cooldown, 0

    def get_state(self) -> Mapping[str, Any]:
        """What was seen so far."""
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on."""
        self.best, self.wait, self.cooldown_counter = state["best"], state["wait"], state["cooldown_counter"]


class TerminateOnNaN(Callback):
    """Stop when the loss is NaN or infinite."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True
