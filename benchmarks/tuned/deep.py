"""Many small layers: as few calls as can be. Batches lie in columns, with a row of ones, so that biases are a column of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tuned.parts import Array, empty, f32
from benchmarks.workload import Task
from benchmarks.workloads.deep import deep
from benchmarks.workloads.mlp import layers


@deep.on("tuned")
def _(task: Task, threads: int) -> Any:
    """For layers of one width; one thread, since a product takes less than it costs to hand it over."""
    pairs, ((x, t), *_) = layers(dict(task.parameters)), task.batches
    (units, _), batch = pairs[0][0].shape, len(x)
    weights = [np.concatenate([w, b[None]]).T.copy() for w, b in pairs]
    extended = [np.ones((units + 1, batch), "float32") for _ in range(len(pairs) + 1)]
    values = [a[:units] for a in extended]
    gradient, d, e = empty(units, units + 1), empty(units, batch), empty(units, batch)
    mask, zeros = np.empty((units, batch), bool), np.zeros((units, batch), "float32")
    forward = list(zip(weights, extended, values[1:], strict=False))
    backward = [(w, w[:, :units].T, below.T, value) for w, below, value in forward][::-1]
    scale = f32(-task.optimizer.learning_rate * 2 / t.size)

    def step(x: Array, t: Array, dot=np.dot, maximum=np.maximum, greater=np.greater, multiply=np.multiply, add=np.add) -> float:
        one, other = d, e
        values[0][...] = x.T
        for w, below, value in forward:
            dot(w, below, value)
            maximum(value, zeros, out=value)
        np.subtract(values[-1], t.T, one)
        loss = float(np.vdot(one, one)) / t.size
        multiply(one, scale, one)
        for w, turned, below, value in backward:
            greater(value, zeros, mask)
            multiply(one, mask, one)
            dot(one, below, gradient)
            dot(turned, one, other)
            add(w, gradient, w)
            one, other = other, one
        return loss

    return step, lambda: [part for w in weights for part in (w[:, :units].T, w[:, units])]
