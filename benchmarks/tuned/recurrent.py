"""An LSTM whose gates are one hyperbolic tangent: ``sigmoid(x) = tanh(x / 2) / 2 + 1 / 2``, with the halves in the weights.

Whatever does not depend on the step before is done for all steps at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tuned.parts import Array, empty, f32
from benchmarks.workload import Task
from benchmarks.workloads.recurrent import lstm

HALF, ONE = f32(0.5), f32(1)


class Cell:
    """Gates are kept in the order i, f, o, g, so that the three sigmoids lie together."""

    def __init__(self, task: Task) -> None:
        given, (x, _) = task.parameters, task.batches[0]
        self.batch, self.steps, self.features = x.shape
        self.units = u = given["wh"].shape[0]
        self.order = np.r_[0 : 2 * u, 3 * u : 4 * u, 2 * u : 3 * u]
        self.wx, self.wh, self.b = (np.ascontiguousarray(given[name][..., self.order]) for name in ("wx", "wh", "b"))
        self.wo, self.bo = given["wo"].copy(), given["bo"].copy()
        self.halved = np.repeat(np.float32([0.5, 0.5, 0.5, 1]), u)
        self.rate = f32(task.optimizer.learning_rate)
        n, s = self.batch, self.steps
        self.gates, self.slopes, self.dz = empty(s, n, 4 * u), empty(s, n, 4 * u), empty(s, n, 4 * u)
        self.h, self.c, self.tanh_c = np.zeros((s + 1, n, u), "float32"), np.zeros((s + 1, n, u), "float32"), empty(s, n, u)
        self.wxh, self.whh = np.empty_like(self.wx), np.empty_like(self.wh)
        self.z, self.t, self.dh, self.dc = empty(n, 4 * u), empty(n, u), empty(n, u), empty(n, u)
        self.ones = np.ones(s * n, "float32")
        i, f, o, g = (slice(k * u, (k + 1) * u) for k in range(4))
        gates, dz = self.gates, self.dz
        self.forward = list(
            zip(
                self.h[:-1],
                self.h[1:],
                self.c[:-1],
                self.c[1:],
                self.tanh_c,
                gates,
                gates[..., : 3 * u],
                *(gates[..., gate] for gate in (i, f, o, g)),
                strict=True,
            )
        )
        self.backward = list(
            zip(
                self.c[:-1],
                self.tanh_c,
                self.slopes,
                dz,
                *(gates[..., gate] for gate in (i, f, o, g)),
                *(dz[..., gate] for gate in (i, f, o, g)),
                strict=True,
            )
        )[::-1]

    def step(self, x: Array, t: Array) -> float:
        rows = np.ascontiguousarray(x.swapaxes(0, 1)).reshape(-1, self.features)
        self.run(rows)
        h = self.h[-1]
        e = np.dot(h, self.wo) + self.bo - t
        loss = float(np.vdot(e, e)) / e.size
        e *= f32(2 / e.size)
        np.dot(e, self.wo.T, self.dh)
        output = np.dot(h.T, e), e.sum(axis=0)
        self.back()
        dz = self.dz.reshape(-1, 4 * self.units)
        inner = np.dot(rows.T, dz), np.dot(self.h[:-1].reshape(-1, self.units).T, dz), np.dot(self.ones, dz)
        for w, g in zip((self.wx, self.wh, self.b, self.wo, self.bo), (*inner, *output), strict=True):
            np.multiply(g, self.rate, g)
            np.subtract(w, g, w)
        return loss

    def run(self, rows: Array) -> None:
        mul, add, tanh, dot = np.multiply, np.add, np.tanh, np.dot
        mul(self.wx, self.halved, self.wxh)
        mul(self.wh, self.halved, self.whh)
        dot(rows, self.wxh, self.gates.reshape(len(rows), -1))
        add(self.gates, self.b * self.halved, self.gates)
        wh, z, t = self.whh, self.z, self.t
        for h, new_h, c, new_c, tanh_c, gates, sigmoids, i, f, o, g in self.forward:
            dot(h, wh, z)
            add(z, gates, z)
            tanh(z, gates)
            mul(sigmoids, HALF, sigmoids)
            add(sigmoids, HALF, sigmoids)
            mul(f, c, new_c)
            mul(i, g, t)
            add(new_c, t, new_c)
            tanh(new_c, tanh_c)
            mul(o, tanh_c, new_h)

    def back(self) -> None:
        mul, add, sub, dot = np.multiply, np.add, np.subtract, np.dot
        u = 3 * self.units
        gates, slopes = self.gates, self.slopes
        sub(ONE, gates[..., :u], slopes[..., :u])
        mul(slopes[..., :u], gates[..., :u], slopes[..., :u])
        mul(gates[..., u:], gates[..., u:], slopes[..., u:])
        sub(ONE, slopes[..., u:], slopes[..., u:])
        dh, dc, t, s, turned = self.dh, self.dc, self.t, self.z[:, : self.units].copy(), self.wh.T
        dc[...] = 0
        for c, tanh_c, slope, dz, i, f, o, g, di, df, do, dg in self.backward:
            mul(dh, tanh_c, do)
            mul(dh, o, t)
            mul(tanh_c, tanh_c, s)
            mul(t, s, s)
            sub(t, s, t)
            add(dc, t, dc)
            mul(dc, g, di)
            mul(dc, c, df)
            mul(dc, i, dg)
            mul(dz, slope, dz)
            dot(dz, turned, dh)
            mul(dc, f, dc)

    def state(self) -> list[Array]:
        back = np.argsort(self.order)
        return [*(a[..., back] for a in (self.wx, self.wh, self.b)), self.wo, self.bo]


@lstm.on("tuned")
def _(task: Task, threads: int) -> Any:
    """One thread: the steps wait for one another, and each is short."""
    cell = Cell(task)
    return cell.step, cell.state
