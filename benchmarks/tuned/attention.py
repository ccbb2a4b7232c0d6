"""Each thread takes its sequences through the whole block: they meet in the gradients of the weights alone. Queries, keys and values are
one product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tuned.parts import Array, Classifier, Team, empty, f32, parts
from benchmarks.workload import Task
from benchmarks.workloads.attention import EPSILON, HEADS, block


class Norm:
    """Layer normalisation of rows, and back. Means are products with a column of ``1 / width``."""

    def __init__(self, rows: int, width: int) -> None:
        self.normal, self.scaled, self.scratch = empty(rows, width), empty(rows, width), empty(rows, width)
        self.over, self.column, self.mean = empty(rows, 1), np.full((width, 1), 1 / width, "float32"), empty(rows, 1)
        self.ones = np.ones(rows, "float32")

    def __call__(self, x: Array, g: Array, c: Array) -> Array:
        normal, over = self.normal, self.over
        np.dot(x, self.column, self.mean)
        np.subtract(x, self.mean, normal)
        np.multiply(normal, normal, self.scratch)
        np.dot(self.scratch, self.column, over)
        np.add(over, f32(EPSILON), over)
        np.sqrt(over, over)
        np.reciprocal(over, over)
        np.multiply(normal, over, normal)
        np.multiply(normal, g, self.scaled)
        np.add(self.scaled, c, self.scaled)
        return self.scaled

    def back(self, du: Array, g: Array) -> tuple[Array, Array, Array]:
        """The gradients of the rows (in place of ``du``), of ``g`` and of ``c``."""
        scratch, normal = self.scratch, self.normal
        np.multiply(du, normal, scratch)
        dg, dc = np.dot(self.ones, scratch), np.dot(self.ones, du)
        np.multiply(du, g, du)
        np.multiply(du, normal, scratch)
        inner = np.dot(scratch, self.column)
        np.dot(du, self.column, self.mean)
        np.subtract(du, self.mean, du)
        np.multiply(normal, inner, scratch)
        np.subtract(du, scratch, du)
        np.multiply(du, self.over, du)
        return du, dg, dc


class Sequences:
    """One thread's memory, and a step through it; ``gradients`` are what it found, for a loss whose cotangent carries ``scale``."""

    def __init__(self, n: int, sequence: int, width: int, hidden: int, classes: int) -> None:
        rows, self.shape = n * sequence, (n, sequence, width)
        self.norm1, self.norm2 = Norm(rows, width), Norm(rows, width)
        self.qkv, self.dqkv = empty(rows, 3 * width), empty(rows, 3 * width)
        apart, dapart = (a.reshape(n, sequence, 3, HEADS, -1).transpose(2, 0, 3, 1, 4) for a in (self.qkv, self.dqkv))
        self.views, self.dviews = list(apart), list(dapart)
        heads = self.views[0].shape
        self.q, self.k, self.v, self.out = (empty(*heads) for _ in range(4))
        self.a, self.da = empty(*heads[:3], sequence), empty(*heads[:3], sequence)
        self.row = empty(*heads[:3], 1)
        self.joined, self.y, self.x2, self.dy, self.du = (empty(rows, width) for _ in range(5))
        self.f, self.df = empty(rows, hidden), empty(rows, hidden)
        self.joined_view = self.joined.reshape(n, sequence, HEADS, -1).transpose(0, 2, 1, 3)
        self.mask, self.zeros, self.ones = np.empty((rows, hidden), bool), np.zeros((rows, hidden), "float32"), np.ones(rows, "float32")
        self.logits, self.classify = empty(n, classes), Classifier(n, classes)
        self.scale = f32((HEADS / width) ** 0.5)

    def __call__(self, p: dict[str, Array], x: Array, t: Array, scale: np.float32) -> tuple[float, dict[str, Array]]:
        x = x.reshape(-1, self.shape[2])
        self.forward(p, x)
        mean = self.x2.reshape(self.shape).mean(axis=1)
        np.dot(mean, p["wc"], self.logits)
        np.add(self.logits, p["bc"], self.logits)
        loss = self.classify(self.logits, t, scale)
        g = {"wc": np.dot(mean.T, self.logits), "bc": self.logits.sum(axis=0)}
        d = np.dot(self.logits, p["wc"].T)
        d *= f32(1 / self.shape[1])
        self.dy.reshape(self.shape)[...] = d[:, None]
        g["b2"] = d.sum(axis=0) * f32(self.shape[1])
        self.dense_back(p, g)
        self.attention_back(p, g)
        return loss, g

    def forward(self, p: dict[str, Array], x: Array) -> None:
        u = self.norm1(x, p["g1"], p["c1"])
        np.dot(u, p["wqkv"], self.qkv)
        q, k, v = self.views
        np.multiply(q, self.scale, self.q)
        np.copyto(self.k, k)
        np.copyto(self.v, v)
        a, row = self.a, self.row
        np.matmul(self.q, self.k.swapaxes(2, 3), a)
        np.maximum.reduce(a, axis=3, keepdims=True, out=row)
        np.subtract(a, row, a)
        np.exp(a, a)
        np.add.reduce(a, axis=3, keepdims=True, out=row)
        np.reciprocal(row, row)
        np.multiply(a, row, a)
        np.matmul(a, self.v, self.out)
        np.copyto(self.joined_view, self.out)
        np.dot(self.joined, p["wo"], self.y)
        np.add(self.y, x, self.y)
        u = self.norm2(self.y, p["g2"], p["c2"])
        np.dot(u, p["f1"], self.f)
        np.add(self.f, p["b1"], self.f)
        np.maximum(self.f, self.zeros, out=self.f)
        np.dot(self.f, p["f2"], self.x2)
        np.add(self.x2, self.y, self.x2)
        np.add(self.x2, p["b2"], self.x2)

    def dense_back(self, p: dict[str, Array], g: dict[str, Array]) -> None:
        g["f2"] = np.dot(self.f.T, self.dy)
        np.dot(self.dy, p["f2"].T, self.df)
        np.greater(self.f, self.zeros, self.mask)
        np.multiply(self.df, self.mask, self.df)
        g["f1"], g["b1"] = np.dot(self.norm2.scaled.T, self.df), np.dot(self.ones, self.df)
        np.dot(self.df, p["f1"].T, self.du)
        du, g["g2"], g["c2"] = self.norm2.back(self.du, p["g2"])
        np.add(self.dy, du, self.dy)

    def attention_back(self, p: dict[str, Array], g: dict[str, Array]) -> None:
        g["wo"] = np.dot(self.joined.T, self.dy)
        np.dot(self.dy, p["wo"].T, self.joined)
        do, a, da, row = self.out, self.a, self.da, self.row
        np.copyto(do, self.joined_view)
        dq, dk, dv = self.dviews
        np.matmul(do, self.v.swapaxes(2, 3), da)
        np.matmul(a.swapaxes(2, 3), do, self.v)
        np.copyto(dv, self.v)
        np.multiply(da, a, da)
        np.add.reduce(da, axis=3, keepdims=True, out=row)
        np.multiply(a, row, a)
        np.subtract(da, a, da)
        np.matmul(da, self.k, self.v)
        np.multiply(self.v, self.scale, dq)
        np.matmul(da.swapaxes(2, 3), self.q, self.v)  # q carries the scale
        np.copyto(dk, self.v)
        g["wqkv"] = np.dot(self.norm1.scaled.T, self.dqkv)
        np.dot(self.dqkv, p["wqkv"].T, self.du)
        _, g["g1"], g["c1"] = self.norm1.back(self.du, p["g1"])


@block.on("tuned")
def _(task: Task, threads: int) -> Any:
    given, (x, _) = task.parameters, task.batches[0]
    fused = {"wqkv": np.concatenate([given[name] for name in ("wq", "wk", "wv")], axis=1)}
    p = {name: value.copy() for name, value in given.items() if name not in ("wq", "wk", "wv")} | fused
    threads = min(threads, len(x))
    team, shares, losses = Team(threads), parts(len(x), threads), [0.0] * threads
    memory = [Sequences(part.stop - part.start, *x.shape[1:], len(p["b1"]), len(p["bc"])) for part in shares]
    gradients: list[dict[str, Array]] = [{} for _ in shares]
    carried = -task.optimizer.learning_rate

    def step(x: Array, t: Array) -> float:
        def work(k: int) -> None:
            losses[k], gradients[k] = memory[k](p, x[shares[k]], t[shares[k]], f32(carried / len(x)))

        team(work)
        for found in gradients:
            for name, g in found.items():
                np.add(p[name], g, p[name])
        return sum(losses) / len(x)

    def state() -> list[Array]:
        whole = {**p, **dict(zip(("wq", "wk", "wv"), np.split(p["wqkv"], 3, axis=1), strict=True))}
        return [whole[name] for name in given]

    return step, state
