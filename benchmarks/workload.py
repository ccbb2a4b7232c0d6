"""What is measured: a model, in each contestant's words, and a task on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

Array = np.ndarray
Question = Literal["train", "gradient", "predict", "hessian", "hvp"]


@dataclass(frozen=True)
class SGD:
    """``w -= learning_rate * g``."""

    learning_rate: float = 1e-2
    slots = False

    def move(self, w: Any, v: Any, g: Any, sqrt: Callable[[Any], Any]) -> tuple[Any, Any]:
        return w - self.learning_rate * g, v


@dataclass(frozen=True)
class RMSprop:
    """Keras's: ``v = rho * v + (1 - rho) * g²`` and ``w -= learning_rate * g / sqrt(v + epsilon)``."""

    learning_rate: float = 1e-3
    rho: float = 0.9
    epsilon: float = 1e-7
    slots = True

    def move(self, w: Any, v: Any, g: Any, sqrt: Callable[[Any], Any]) -> tuple[Any, Any]:
        v = self.rho * v + (1 - self.rho) * g * g
        return w - self.learning_rate * g / sqrt(v + self.epsilon), v


class Model(dict[str, Callable[..., Any]]):
    """A function of parameters (a dict) and a batch, written for each contestant.

    Its first argument is the contestant's own module. It returns the loss (or what is predicted); the one for ``numpy`` returns
    the loss and a dict of gradients, or the matrix that is asked for, because NumPy has no gradients. Keras's returns the network
    and the name of its loss, and its weights are the parameters in their order.
    """

    def on(self, *contestants: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            self.update(dict.fromkeys(contestants, function))
            return function

        return add


@dataclass(frozen=True)
class Task:
    """A question about a model, with its numbers. A call of a job does ``steps`` steps, each on the next of ``batches``.

    ``direction`` is the vector of a Hessian-vector product. ``resident``: batches may be brought to the contestant's own arrays
    beforehand. ``fresh``: every call declares and compiles anew.
    """

    question: Question
    parameters: Mapping[str, Array]
    batches: Sequence[tuple[Array, ...]] = ((),)
    optimizer: SGD | RMSprop = field(default_factory=SGD)
    steps: int = 1
    direction: Array | None = None
    resident: bool = True
    fresh: bool = False

    @property
    def checked_calls(self) -> int:
        """How many calls are compared: several, so that updates show, but of long ones one."""
        return 1 if self.fresh or self.steps > 1 else 3

    def doubled(self) -> Task:
        """The same in float64, for the reference."""
        return replace(
            self,
            parameters={name: _double(value) for name, value in self.parameters.items()},
            batches=[tuple(map(_double, batch)) for batch in self.batches],
            direction=None if self.direction is None else _double(self.direction),
        )


def _double(value: Array) -> Array:
    return value.astype("float64") if value.dtype == np.float32 else value


Gemm = tuple[str, int, int, int]
"""What is transposed (``"nn"``, ``"tn"``, ``"nt"``), and m, k, n of (m, k) times (k, n)."""


@dataclass(frozen=True)
class Workload:
    """A model, a task made for given sizes, and the floor below which no contestant on the CPU can come.

    ``gemms`` and ``copies`` (of so many floats each) are what has to be done however clever the rest is. Results agree if they differ
    by less than ``rtol`` of their norm, and so do changes of parameters with ``drift``, which is larger: where a relu's input is 0 but
    for rounding, float32 and float64 have another gradient. ``section`` is the table where it stands.
    """

    name: str
    title: str
    model: Model
    make: Callable[..., Task]
    sizes: Mapping[str, Any]
    tiny: Mapping[str, Any]
    gemms: Callable[..., list[Gemm]] = lambda **_: []
    copies: Callable[..., list[int]] = lambda **_: []
    rtol: float = 1e-4
    drift: float = 1e-2
    section: Literal["speed", "compile"] = "speed"

    def task(self, tiny: bool = False) -> Task:
        return self.make(np.random.default_rng(0), **self._sizes(tiny))

    def floor(self, tiny: bool = False) -> tuple[list[Gemm], list[int]]:
        return self.gemms(**self._sizes(tiny)), self.copies(**self._sizes(tiny))

    def _sizes(self, tiny: bool) -> Mapping[str, Any]:
        return {**self.sizes, **self.tiny} if tiny else self.sizes


def workloads() -> dict[str, Workload]:
    """All of them by name, in the order of the tables."""
    from benchmarks import tuned  # noqa: F401  (its models register themselves with those of the workloads)
    from benchmarks.workloads import attention, convolutional, curvature, deep, elementwise, linear, mlp, recurrent

    modules = mlp, elementwise, deep, convolutional, linear, curvature, recurrent, attention
    return {workload.name: workload for module in modules for workload in module.WORKLOADS}


def dense(m: int, k: int, n: int, *, first: bool = False) -> Iterator[Gemm]:
    """The products of a dense layer and its gradients: forward, weights, and inputs unless it is the ``first``."""
    yield "nn", m, k, n
    yield "tn", k, m, n
    if not first:
        yield "nt", m, n, k


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape, dtype="float32")


def glorot(rng: np.random.Generator, *shape: int, fans: tuple[int, int] | None = None) -> Array:
    limit = np.sqrt(6 / sum(fans or shape[-2:]))
    return rng.uniform(-limit, limit, shape).astype("float32")


def zeros(*shape: int) -> Array:
    return np.zeros(shape, "float32")


def images(rng: np.random.Generator, count: int, pixels: int) -> tuple[Array, Array]:
    """Ten noisy classes, learnable, with labels. No two pixels are equal, so that no maximum ties."""
    centres = (rng.random((10, pixels)) < 0.2).astype("float32") * np.float32(0.8)
    labels = rng.integers(0, 10, count).astype("int32")
    noise = normal(rng, count, pixels)
    noise *= np.float32(0.25)
    noise += centres[labels]
    return noise, labels


def batched(size: int, *arrays: Array) -> list[tuple[Array, ...]]:
    """Slices along the first axis: views."""
    return [tuple(array[i : i + size] for array in arrays) for i in range(0, len(arrays[0]), size)]


def softmax_crossentropy(logits: Array, labels: Array) -> tuple[Any, Array]:
    """For NumPy's contestants: the mean loss and its gradient."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - shifted[rows, labels])
    gradient = e / total
    gradient[rows, labels] -= 1
    return loss, gradient / len(labels)


def picked(xp: Any, logits: Any, labels: Any) -> Any:
    """Mean cross-entropy for contestants that have no op for it: ``xp`` is NumPy-like."""
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    chosen = shifted[xp.arange(labels.shape[0]), labels]
    return xp.mean(xp.log(xp.sum(xp.exp(shifted), axis=1)) - chosen)
