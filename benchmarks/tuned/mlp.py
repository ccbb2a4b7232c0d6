"""Each thread takes its rows of the batch forward and back, then its rows of every weight: their gradient is computed and used at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tuned.parts import BLOCK, Array, Classifier, Descent, RootMeanSquare, Team, blocks, empty, f32, optimizer, parts
from benchmarks.workload import Task
from benchmarks.workloads.mlp import layers, mlp, predict


class Memory:
    """What one size of a batch needs: activations, their gradients, and what each thread sees of them."""

    def __init__(self, batch: int, units: list[int], threads: int) -> None:
        self.parts = parts(batch, threads)
        self.hidden = [empty(batch, n) for n in units[1:-1]]
        self.gradients = [empty(batch, n) for n in units[1:]]
        self.zeros = [np.zeros((part.stop - part.start, max(units[1:])), "float32") for part in self.parts]
        self.masks = [np.empty((part.stop - part.start, max(units[1:])), bool) for part in self.parts]
        self.heads = [Classifier(part.stop - part.start, units[-1]) for part in self.parts]
        self.ones = np.ones(batch, "float32")


class Network:
    def __init__(self, task: Task, threads: int) -> None:
        self.p = {name: value.copy() for name, value in task.parameters.items()}
        self.layers = layers(self.p)
        self.units = [w.shape[0] for w, _ in self.layers] + [len(self.layers[-1][1])]
        self.update: Descent | RootMeanSquare = optimizer(task.optimizer)
        self.slots = [tuple(map(self.update.slot, pair)) for pair in self.layers]
        self.team, self.losses = Team(threads), [0.0] * threads
        self.memory: dict[int, Memory] = {}
        largest = max(-(-w.shape[0] // threads) * w.shape[1] for w, _ in self.layers)
        self.panels = [(empty(largest), empty(BLOCK + max(self.units))) for _ in range(threads)]

    def step(self, x: Array, t: Array) -> float:
        n = len(x)
        if n not in self.memory:
            self.memory[n] = Memory(n, self.units, self.team.count)
        m = self.memory[n]
        self.team(lambda k: self.through(k, m, x, t, f32(self.update.carried / n)))
        self.team(lambda k: self.learn(k, m, x))
        return sum(self.losses) / n

    def through(self, k: int, m: Memory, x: Array, t: Array, scale: np.float32) -> None:
        rows, below = m.parts[k], x[m.parts[k]]
        for (w, b), h in zip(self.layers, m.hidden, strict=False):
            h = h[rows]
            np.dot(below, w, h)
            np.add(h, b, h)
            np.maximum(h, m.zeros[k][:, : len(b)], out=h)
            below = h
        w, b = self.layers[-1]
        d = m.gradients[-1][rows]
        np.dot(below, w, d)
        np.add(d, b, d)
        self.losses[k] = m.heads[k](d, t[rows], scale)
        for i in range(len(m.hidden) - 1, -1, -1):
            h, above, mask = m.hidden[i][rows], m.gradients[i][rows], m.masks[k][:, : self.units[i + 1]]
            np.dot(d, self.layers[i + 1][0].T, above)
            np.greater(h, m.zeros[k][:, : self.units[i + 1]], mask)
            np.multiply(above, mask, above)
            d = above

    def learn(self, k: int, m: Memory, x: Array) -> None:
        panel, scratch = self.panels[k]
        for (w, b), (v, u), below, d in zip(self.layers, self.slots, [x, *m.hidden], m.gradients, strict=True):
            rows = parts(w.shape[0], self.team.count)[k]
            columns = w.shape[1]
            g = panel[: (rows.stop - rows.start) * columns].reshape(-1, columns)
            np.dot(below[:, rows].T, d, g)
            for block in blocks(rows, BLOCK // columns):
                here = slice(block.start - rows.start, block.stop - rows.start)
                count = here.stop - here.start
                self.update(w[block], v[block], g[here], scratch[: count * columns].reshape(count, columns))
            if k == self.team.count - 1:
                self.update(b, u, np.dot(m.ones, d), scratch[:columns])


@mlp.on("tuned")
def _(task: Task, threads: int) -> Any:
    network = Network(task, threads)
    return network.step, lambda: list(network.p.values())


@predict.on("tuned")
def _(task: Task, threads: int) -> Any:
    """Some rows at a time, so that the hidden ones stay in the cache."""
    pairs, team = layers(dict(task.parameters)), Team(threads)
    at_once, widest = 500, max(len(b) for _, b in pairs)
    memory = [(empty(at_once, widest), np.zeros((at_once, widest), "float32"), empty(at_once, 1)) for _ in range(threads)]

    def step(x: Array, t: Array) -> Array:
        out = empty(len(x), len(pairs[-1][1]))

        def work(k: int) -> None:
            hidden, zeros, row = memory[k]
            for rows in blocks(parts(len(x), threads)[k], at_once):
                count = rows.stop - rows.start
                below, z, r = x[rows], out[rows], row[:count]
                for w, b in pairs[:-1]:
                    h = hidden[:count, : len(b)]
                    below = np.add(np.dot(below, w, h if h.flags.c_contiguous else None), b, h)
                    np.maximum(h, zeros[:count, : len(b)], out=h)
                w, b = pairs[-1]
                np.dot(below, w, z)
                np.add(z, b, z)
                np.maximum.reduce(z, axis=1, keepdims=True, out=r)
                np.subtract(z, r, z)
                np.exp(z, z)
                np.add.reduce(z, axis=1, keepdims=True, out=r)
                np.divide(z, r, z)

        team(work)
        return out

    return step, tuple
