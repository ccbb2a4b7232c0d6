"""Blocks of rows through all operations while they are in the cache, a half of them a thread; exponentials and logarithms to base 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tuned.parts import BLOCK, Team, blocks, empty, f32, parts
from benchmarks.workload import Task
from benchmarks.workloads.elementwise import loss

LOG2_E, LN_2 = f32(np.log2(np.e)), float(np.log(2))
ONE = f32(1)


@loss.on("tuned")
def _(task: Task, threads: int) -> Any:
    w, b, x = (task.parameters[name] for name in "wbx")
    rows, columns = x.shape
    team, at_once = Team(threads), max(1, 3 * BLOCK // 2 // columns)
    scratch = [[empty(at_once, columns) for _ in range(5)] for _ in range(threads)]
    sums = [(empty(columns), empty(columns)) for _ in range(threads)]
    ones, losses, over = np.ones(at_once, "float32"), [0.0] * threads, f32(1 / x.size)
    shares = [blocks(part, at_once) for part in parts(rows, threads)]

    def step() -> tuple[Any, ...]:
        gradient = np.empty_like(x)
        team(lambda k: work(k, gradient))
        dw, db = (sum(arrays) for arrays in zip(*sums, strict=True))
        return sum(losses) / x.size, dw, db, gradient

    def work(k: int, gradient: Any) -> None:
        dw, db = sums[k]
        dw[...] = db[...] = 0
        total = 0.0
        for block in shares[k]:
            total += one(x[block], gradient[block], *[a[: block.stop - block.start] for a in scratch[k]], dw, db)
        losses[k] = total

    def one(x: Any, dx: Any, u: Any, t: Any, s: Any, side: Any, q: Any, dw: Any, db: Any) -> float:
        mul, add, sub, exp2 = np.multiply, np.add, np.subtract, np.exp2
        mul(x, w, u)
        add(u, b, u)
        np.tanh(u, t)
        mul(x, -LOG2_E, s)
        exp2(s, s)
        add(s, ONE, s)
        np.reciprocal(s, s)  # sigmoid(x)
        # log1p(exp(-|x|)) = -log(max(s, 1 - s)), and its derivative is s, less 1 where x > 0.
        np.rint(s, q)
        sub(s, q, side)
        np.abs(side, q)
        sub(ONE, q, q)
        np.log2(q, q)
        total = -LN_2 * float(add.reduce(q, axis=None))
        mul(u, u, q)
        mul(q, -LOG2_E, q)
        exp2(q, q)
        total += 0.5 * float(add.reduce(q, axis=None))
        mul(q, u, q)  # minus the derivative of exp(-u * u) / 2
        mul(t, t, u)
        total += float(np.vdot(u, s))
        # The derivative by u: 2 t (1 - t t) s - q.
        mul(t, u, dx)
        sub(t, dx, t)
        mul(t, s, t)
        add(t, t, t)
        sub(t, q, t)
        mul(t, over, t)
        db += np.dot(ones[: len(t)], t)
        mul(t, x, q)
        dw += np.dot(ones[: len(t)], q)
        # By x: what comes through u, t t s (1 - s), and the logarithm's.
        sub(ONE, s, q)
        mul(q, s, q)
        mul(q, u, q)
        add(q, side, q)
        mul(q, over, q)
        mul(t, w, t)
        add(t, q, dx)
        return total

    return step, tuple
