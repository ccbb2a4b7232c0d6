"""What the tuned workloads share: threads, parts of a batch, the end of a classifier, and updates in blocks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
f32 = np.float32
BLOCK = 1 << 15  # floats of one array that stay in a core's second-level cache beside others


class Team:
    """``team(work)`` runs ``work(0)`` here and ``work(1)``, ... in other threads, and returns when all are done."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.work: Callable[[int], None] = lambda member: None
        self.locks = [(threading.Lock(), threading.Lock()) for _ in range(count - 1)]
        for member, (go, done) in enumerate(self.locks, 1):
            go.acquire()
            done.acquire()
            threading.Thread(target=self._serve, args=(member, go, done), daemon=True).start()

    def _serve(self, member: int, go: Any, done: Any) -> None:
        while go.acquire():
            self.work(member)
            done.release()

    def __call__(self, work: Callable[[int], None]) -> None:
        self.work = work
        for go, _ in self.locks:
            go.release()
        work(0)
        for _, done in self.locks:
            done.acquire()


def parts(total: int, count: int) -> list[slice]:
    """About equal ones."""
    edges = [total * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def blocks(part: slice, size: int) -> list[slice]:
    return [slice(a, min(a + size, part.stop)) for a in range(part.start, part.stop, max(1, size))]


def empty(*shape: int) -> Array:
    return np.empty(shape, "float32")


class Classifier:
    """Softmax cross-entropy of rows of logits: turns them into the gradient in place, and returns the sum of the losses."""

    def __init__(self, rows: int, classes: int) -> None:
        self.first = np.arange(rows) * classes
        self.row = empty(rows, 1)

    def __call__(self, z: Array, labels: Array, scale: np.float32) -> float:
        """``scale`` is 1 over the size of the whole batch, or that times what the gradient shall carry."""
        row, flat, chosen = self.row, z.reshape(-1), self.first + labels
        np.maximum.reduce(z, axis=1, keepdims=True, out=row)
        np.subtract(z, row, z)
        right = float(np.add.reduce(flat[chosen]))
        np.exp(z, z)
        np.add.reduce(z, axis=1, keepdims=True, out=row)
        loss = float(np.add.reduce(np.log(row), axis=None)) - right
        np.divide(scale, row, row)
        np.multiply(z, row, z)
        flat[chosen] -= scale
        return loss


class Descent:
    """``w += g``, for gradients whose cotangent carries ``-learning_rate``."""

    def __init__(self, learning_rate: float) -> None:
        self.carried = -learning_rate

    def slot(self, w: Array) -> Array:
        return w  # none

    def __call__(self, w: Array, slot: Array, g: Array, scratch: Array) -> None:
        np.add(w, g, w)


class RootMeanSquare:
    """RMSprop whose state is ``v / (1 - rho)``, which saves a pass over memory."""

    carried = 1.0

    def __init__(self, learning_rate: float, rho: float, epsilon: float) -> None:
        self.rho, self.epsilon, self.rate = f32(rho), f32(epsilon / (1 - rho)), f32(learning_rate / (1 - rho) ** 0.5)

    def slot(self, w: Array) -> Array:
        return np.zeros_like(w)

    def __call__(self, w: Array, slot: Array, g: Array, scratch: Array) -> None:
        np.multiply(slot, self.rho, slot)
        np.multiply(g, g, scratch)
        np.add(slot, scratch, slot)
        np.add(slot, self.epsilon, scratch)
        np.sqrt(scratch, scratch)
        np.divide(g, scratch, scratch)
        np.multiply(scratch, self.rate, scratch)
        np.subtract(w, scratch, w)


def optimizer(asked: Any) -> Descent | RootMeanSquare:
    return RootMeanSquare(asked.learning_rate, asked.rho, asked.epsilon) if asked.slots else Descent(asked.learning_rate)
