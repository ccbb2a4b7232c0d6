"""The book's job from end to end: load, build, train, evaluate, save, draw."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import graphc as gc
from graphc.nn import book, datasets, report
from graphc.nn.datasets import Digits
from graphc.nn.hooks import Callback, Logs
from graphc.nn.model import Model
from graphc.nn.optimizers import RMSprop
from graphc.nn.progress import ProgressBar
from graphc.nn.seeds import set_random_seed

Array = np.ndarray[Any, Any]
Say = Callable[[str], None]
WEIGHTS, PICTURE = "weights.safetensors", "backprop.svg"
EVALUATED_AT_ONCE = 1_000


class JobError(gc.errors.GraphcError):
    """A job that cannot begin as it was asked for."""


class InterruptedJob(KeyboardInterrupt):
    """Ctrl-C in a job; the text says what was kept."""


@dataclass(frozen=True)
class Job:
    """What ``graphc train`` was asked to do. ``data`` is a folder with MNIST's files, ``out`` one for what comes out."""

    dataset: Literal["mnist", "digits"] = "mnist"
    out: Path = Path("out/mnist")
    data: Path | None = None
    epochs: int = 5
    batch_size: int = 128
    backend: Literal["numpy", "jax"] = "numpy"
    seed: int = 0

    @property
    def is_the_books(self) -> bool:
        """Whether the notes' figures are for this job."""
        return (self.dataset, self.epochs, self.batch_size) == ("mnist", 5, 128)


def _say(text: str) -> None:
    print(text, flush=True)  # a log file has it in step with the progress


def run(job: Job, say: Say = _say) -> None:
    """Do the job; ``say`` gets the lines for the user. Progress goes to standard error.

    The weights are saved after every epoch. Random numbers, those of the program too, are those of ``job.seed`` from here on. Raises
    :class:`JobError` where ``out`` is no place to write, the errors of loading, compiling, saving and drawing, and
    :class:`InterruptedJob` after Ctrl-C.
    """
    saving = _Saving(job.out / WEIGHTS)
    try:
        _run(job, say, saving)
    except KeyboardInterrupt:
        raise InterruptedJob(_kept(job, len(saving.done))) from None


class _Saving(Callback):
    """Saves the weights after each epoch; ``done`` has the figures of the epochs for which that was done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: list[Logs] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save them."""
        self.model.save_weights(self.path)
        self.done.append(logs or {})


def _run(job: Job, say: Say, saving: _Saving) -> None:
    _check_out(job.out)
    gc.compile([], gc.constant(0.0), backend=job.backend)  # a backend that is missing says so before a download
    data = _load(job)
    say(report.of_data(data))
    set_random_seed(job.seed)
    model = book.network(data.train_images[0].size)
    model.compile(RMSprop(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"], backend=job.backend)
    heard = [ProgressBar(sys.stderr), saving]
    model.fit(_features(data.train_images), data.train_labels, job.batch_size, job.epochs, verbose=0, callbacks=heard)
    test = model.evaluate(_features(data.test_images), data.test_labels, EVALUATED_AT_ONCE, verbose=0, return_dict=True)
    say(report.of_scores(saving.done, test, job.is_the_books))
    say(f"saved {job.out / WEIGHTS}: the weights")
    _draw(model, job.out / PICTURE)  # last, so that nothing is lost by it
    say(f"saved {job.out / PICTURE}: the graph of the loss, and the reversed graph")


def _features(images: Array) -> Array:
    """Images of bytes, ``(n, height, width)``, as float32 of shape ``(n, height * width)`` in 0 to 1."""
    return np.divide(images.reshape(len(images), -1), np.float32(255), dtype=np.float32)


def _load(job: Job) -> Digits:
    return datasets.load_mnist(job.data) if job.dataset == "mnist" else datasets.load_digits()


def _check_out(out: Path) -> None:
    """Make the folder and write in it, so that what is wrong with it comes out now and not after the first epoch."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        given = "that is a file" if out.is_file() else error.strerror or str(error)
        raise JobError(f"nothing can be saved in --out {out}", given=[given], fits="a folder that can be made or written to") from error
    for name in (WEIGHTS, PICTURE):
        if (out / name).is_dir():
            raise JobError(f"nothing can be saved as {out / name}", given=["that is a folder"], fits=f"another --out, or {name} renamed")


def _draw(model: Model, path: Path) -> None:
    _image, _label, loss = book.loss_of(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = gc.draw(loss, wrt=model.trainable_weights)
        try:
            picture.save(path)
        except OSError as error:
            given = [error.strerror or str(error)]
            raise JobError(f"the picture cannot be saved to {path}", given=given, fits="free space there") from error
    for warning in caught:
        print(f"note: {warning.message}", file=sys.stderr)


def _kept(job: Job, epochs: int) -> str:
    if not epochs:
        return "interrupted before the end of the first epoch: nothing was saved"
    return f"interrupted: {job.out / WEIGHTS} has the weights after epoch {epochs} of {job.epochs}"
