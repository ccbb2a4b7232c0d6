"""The network that the checks train, 784-64-10 with Adam's two slots for each variable, as updates of the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gc

BATCH, STEPS = 128, 5
RULES = {"hidden/w": (None, "model"), "hidden/b": ("model",), "out/w": ("model", None)}
"""Megatron's cut of two layers (M. Shoeybi et al., 2019): the first by columns, the second by rows, so that one sum joins them."""


def batch(rows: int = BATCH) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.random((rows, 784), "float32"), rng.integers(0, 10, rows).astype("int32")


class Network:
    """Inputs, variables, loss, logits, and the updates of a step. The slots have names that no rule knows."""

    def __init__(self, dtype: str = "float32", seed: int = 0) -> None:
        self.inputs = gc.input("x", ("batch", 784), dtype), gc.input("t", ("batch",), "int32")
        self.weights = [
            gc.variable(gc.init.glorot_uniform((784, 64), seed=seed), "hidden/w", dtype),
            gc.variable(np.zeros(64), "hidden/b", dtype),
            gc.variable(gc.init.glorot_uniform((64, 10), seed=seed + 1), "out/w", dtype),
            gc.variable(np.zeros(10), "out/b", dtype),
        ]
        w, b, v, c = self.weights
        x, t = self.inputs
        self.logits = gc.relu(x @ w + b) @ v + c
        self.loss = gc.mean(gc.sparse_categorical_crossentropy(t, self.logits, from_logits=True))
        self.updates: dict[Any, Any] = {}
        self.slots: list[tuple[gc.Variable, gc.Variable]] = []
        for weight, gradient in zip(self.weights, gc.grad(self.loss, self.weights), strict=True):
            mean, square = (gc.variable(np.zeros(weight.shape), name, dtype) for name in ("mean", "square"))
            self.updates[mean] = moved = 0.9 * mean + 0.1 * gradient
            self.updates[square] = scaled = 0.99 * square + 0.01 * gradient * gradient
            self.updates[weight] = weight - 1e-3 * moved / (gc.sqrt(scaled) + 1e-3)
            self.slots.append((mean, square))

    def step(self, backend: Any = "jax") -> gc.Function:
        return gc.compile(self.inputs, self.loss, updates=self.updates, backend=backend)

    def train(self, backend: Any = "jax", data: Any = None, steps: int = STEPS) -> list[float]:
        """The losses of some steps."""
        step, data = self.step(backend), data or batch()
        return [float(step(*data)) for _ in range(steps)]
