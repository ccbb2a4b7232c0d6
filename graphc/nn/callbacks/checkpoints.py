"""Files of a training that goes on: to choose the best one from, or to go on from after whatever ended it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from graphc.core.errors import ArgumentError
from graphc.feed.batches import whole_number
from graphc.nn import saving
from graphc.nn.callbacks.monitors import MonitorCallback
from graphc.nn.hooks import Callback, Logs
from graphc.nn.weights import WeightsError

Frequency = int | Literal["epoch"]


class _Cadence:
    """When it is time: at the end of each epoch, or after so many batches, counted over epochs."""

    def __init__(self, what: str, save_freq: Any) -> None:
        if save_freq != "epoch":
            whole_number(f"{what}: save_freq", save_freq, least=1)
        self.every: Frequency = save_freq
        self.seen = self.first = 0

    @property
    def in_batches(self) -> bool:
        """Whether batches are counted."""
        return self.every != "epoch"

    def is_due_after(self, batch: int) -> bool:
        """Whether it is time after this batch, which is the last of a call that began with ``first``."""
        if self.every == "epoch":
            return False
        self.seen += batch - self.first + 1
        if self.seen < self.every:
            return False
        self.seen = 0
        return True


class _Saving:
    """What callbacks that save have in common: they hear last, and their count goes on."""

    hears_last: ClassVar[bool] = True
    _cadence: _Cadence

    def is_due(self) -> bool:
        """Whether batches are counted."""
        return self._cadence.in_batches

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Note the first batch of a call."""
        self._cadence.first = batch


class ModelCheckpoint(_Saving, MonitorCallback):
    """Save the model, or its weights, at the end of each epoch or after every so many batches.

    A training may go on from such a file: ``load_model(path)``, then ``fit`` with the ``initial_epoch`` that it was written in. A file
    is there whole or not at all, whenever the program is ended.

    Args:
        filepath: the file, with figures in its name if there is to be one for each time: ``"{epoch:02d}-{val_loss:.2f}.graphc"``; epochs
            count from 1, and so does ``batch``.
        monitor: the figure that says which is the best, see :class:`EarlyStopping`.
        verbose: 1 to print a line each time.
        save_best_only: whether a file is written only if the figure is the best so far.
        save_weights_only: whether weights are written, by ``save_weights``, or the model with its structure, by ``save``.
        mode: what is better.
        save_freq: ``"epoch"``, or a number of batches. Where several steps are one call, it is looked at after calls.
        initial_value_threshold: what the first figure has to be better than.

    Raises:
        ArgumentError: another ``save_freq`` or mode; a figure in the name that is not there; when ``fit`` begins, a part of the model
            that has no form in a file.
        WeightsError: a file that cannot be written.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Frequency = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self._cadence = _Cadence("ModelCheckpoint", save_freq)
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Look whether the model can be saved, now and not after an epoch."""
        if not self.save_weights_only:
            saving.structure(self.model)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the number."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if it is time."""
        if self._cadence.is_due_after(batch):
            self._save(self._epoch, {"batch": batch + 1, **(logs or {})})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save if it is time."""
        if not self._cadence.in_batches:
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: Logs) -> None:
        path = Path(self._path(epoch, logs))
        if not self._is_wanted(epoch, logs, path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)

    def _path(self, epoch: int, logs: Logs) -> str:
        try:
            return self.filepath.format(epoch=epoch + 1, **logs)
        except KeyError as error:
            fits = ", ".join(["epoch", *logs])
            raise ArgumentError(f"ModelCheckpoint: there is no {error} for {self.filepath!r}", fits=fits) from None

    def _is_wanted(self, epoch: int, logs: Logs, path: Path) -> bool:
        value = self.value_in(logs) if self.save_best_only else None
        if value is None:
            self._say(f"\nEpoch {epoch + 1}: saving model to {path}")
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self.is_better(value, self.best):
            self._say(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {before}")
            return False
        self._say(f"\nEpoch {epoch + 1}: {self.monitor} improved from {before} to {value:.5f}, saving model to {path}")
        self.best = value
        return True

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text)

    def get_state(self) -> Mapping[str, Any]:
        """The best figure, and how many batches were counted."""
        return {"best": self.best, "seen": self._cadence.seen}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on."""
        self.best, self._cadence.seen = state["best"], state["seen"]


class BackupAndRestore(_Saving, Callback):
    """Go on where a training was ended, by whatever it was: the same program, run again, comes to the same bits.

    While ``fit`` goes on, ``latest.safetensors`` in a folder has its state: weights, the optimiser's state, where it is in the data, and
    the states of the other callbacks. If there is such a file when ``fit`` begins, it goes on from there, whatever its ``initial_epoch``.

    Args:
        backup_dir: the folder, of this training alone.
        save_freq: ``"epoch"``, or a number of batches.
        double_checkpoint: whether the file before is kept as well, and is taken if the latest is damaged.
        delete_checkpoint: whether the files are removed when the training has ended as it should.

    Raises:
        ArgumentError: no folder, or another ``save_freq``.
        WeightsError: files that cannot be written, or read, or are of another model.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: Frequency = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not os.fspath(backup_dir):
            raise ArgumentError("BackupAndRestore: backup_dir is empty", fits="a folder for this training")
        self.folder = Path(backup_dir)
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._cadence = _Cadence("BackupAndRestore", save_freq)
        self.latest = self.folder / "latest.safetensors"
        self.before = self.folder / "before.safetensors"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Take what is there."""
        found = [path for path in (self.latest, self.before) if path.is_file()]
        for path in found:
            try:
                self._restore(path)
            except WeightsError:
                if path is found[-1]:
                    raise
            else:
                return

    def _restore(self, path: Path) -> None:
        position = saving.load_weights(self.model, path)
        if position is not None:
            self.model.go_on(position, anyway=True)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if it is time."""
        if self._cadence.is_due_after(batch):
            self._save()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save if it is time."""
        if not self._cadence.in_batches:
            self._save()

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint and self.latest.is_file():
            self.latest.replace(self.before)
        self.model.save_weights(self.latest)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Remove the files, and the folder if there is nothing else in it."""
        if self.delete_checkpoint and self.folder.is_dir():
            self.latest.unlink(missing_ok=True)
            self.before.unlink(missing_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def get_state(self) -> Mapping[str, Any]:
        """How many batches were counted."""
        return {"seen": self._cadence.seen}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on."""
        self._cadence.seen = state["seen"]
