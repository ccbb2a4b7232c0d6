"""The book's job from end to end: load, build, train, evaluate, save, draw."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

import graphc as gc
from graphc.nn import datasets, optimizers, report
from graphc.nn.classifier import Classifier, dense_classifier
from graphc.nn.datasets import Digits
from graphc.nn.progress import progress
from graphc.nn.training import Standing, Step, equal_calls, evaluate, features, train
from graphc.nn.weights import save_weights

Say = Callable[[str], None]
WEIGHTS, PICTURE = "weights.safetensors", "backprop.svg"


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

    The weights are saved after every epoch. Raises :class:`JobError` where ``out`` is no place to write, the errors of loading,
    compiling, saving and drawing, and :class:`InterruptedJob` after Ctrl-C.
    """
    done: list[Standing] = []
    try:
        _Run(job, say, done).run()
    except KeyboardInterrupt:
        raise InterruptedJob(_kept(job, done)) from None


@dataclass(frozen=True)
class _Run:
    """One run of a job; ``done`` has an entry for each epoch whose weights are saved."""

    job: Job
    say: Say
    done: list[Standing] = field(default_factory=list[Standing])

    def run(self) -> None:
        _check_out(self.job.out)
        gc.compile([], gc.constant(0.0), backend=self.job.backend)  # a backend that is missing says so before a download
        data = _load(self.job)
        self.say(report.of_data(data))
        network, step, score = self._built(data)
        self._train(step, data, network)
        test = evaluate(score, features(data.test_images), data.test_labels.astype(np.int32))
        self.say(report.of_scores([epoch.score for epoch in self.done], test, self.job.is_the_books))
        self.say(f"saved {self.job.out / WEIGHTS}: the weights")
        _draw(network, self.job.out / PICTURE)  # last, so that nothing is lost by it
        self.say(f"saved {self.job.out / PICTURE}: the graph of the loss, and the reversed graph")

    def _built(self, data: Digits) -> tuple[Classifier, Step, Step]:
        job, seeds = self.job, _seeds(self.job.seed)
        network = dense_classifier(data.train_images[0].size, seeds=(seeds[0], seeds[1]))
        gradients: Any = gc.grad(network.loss, network.variables)
        updates = optimizers.RMSprop(learning_rate=1e-3, rho=0.9).updates(dict(zip(network.variables, gradients, strict=True)))
        inputs, outputs = [network.image, network.label], [network.loss, network.accuracy]
        step = gc.compile(inputs, outputs, updates=updates, backend=job.backend)
        return network, step, gc.compile(inputs, outputs, backend=job.backend)

    def _train(self, step: Step, data: Digits, network: Classifier) -> None:
        job, images, labels = self.job, features(data.train_images), data.train_labels.astype(np.int32)
        many = equal_calls(len(images), job.batch_size) if job.backend == "jax" else 1
        options: Any = {"epochs": job.epochs, "batch_size": job.batch_size, "seed": _seeds(job.seed)[2], "steps_per_call": many}
        with progress() as listen:
            for epoch in train(step, images, labels, **options, listen=listen):
                save_weights(job.out / WEIGHTS, network.variables)
                self.done.append(epoch)


def _seeds(seed: int) -> list[int]:
    """Seeds for the two kernels and for the order of the images; none can be told from another by its numbers."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(3)]


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


def _draw(network: Classifier, path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = gc.draw(network.loss, wrt=network.variables)
        try:
            picture.save(path)
        except OSError as error:
            given = [error.strerror or str(error)]
            raise JobError(f"the picture cannot be saved to {path}", given=given, fits="free space there") from error
    for warning in caught:
        print(f"note: {warning.message}", file=sys.stderr)


def _kept(job: Job, done: list[Standing]) -> str:
    if not done:
        return "interrupted before the end of the first epoch: nothing was saved"
    return f"interrupted: {job.out / WEIGHTS} has the weights after epoch {done[-1].epoch} of {job.epochs}"
