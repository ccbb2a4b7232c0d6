"""W3: losses made of elementwise operations, value and gradient; what memory and transcendental functions cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workload import Model, Task, Workload, normal

loss, chain = Model(), Model()
LINKS = 6  # of five operations each


@loss.on("graphc")
def _(gc, p):
    x, u = p["x"], p["x"] * p["w"] + p["b"]
    return gc.mean(gc.square(gc.tanh(u)) * gc.sigmoid(x) + gc.log1p(gc.exp(-gc.abs(x))) + 0.5 * gc.exp(-gc.square(u)))


@loss.on("numpy")
def _(np, p):
    x, w, b = p["x"], p["w"], p["b"]
    u = x * w + b
    t, s, a, q = np.tanh(u), 1 / (1 + np.exp(-x)), np.exp(-np.abs(x)), 0.5 * np.exp(-u * u)
    value = np.mean(t * t * s + np.log1p(a) + q)
    du = (2 * t * (1 - t * t) * s - 2 * u * q) / x.size
    dx = du * w + (t * t * s * (1 - s) - np.sign(x) * a / (1 + a)) / x.size
    return value, {"w": (du * x).sum(axis=0), "b": du.sum(axis=0), "x": dx}


@loss.on("jax")
def _(jax, p):
    np, x, u = jax.numpy, p["x"], p["x"] * p["w"] + p["b"]
    return np.mean(np.square(np.tanh(u)) * jax.nn.sigmoid(x) + np.log1p(np.exp(-np.abs(x))) + 0.5 * np.exp(-np.square(u)))


@loss.on("autograd")
def _(np, p):
    x, u = p["x"], p["x"] * p["w"] + p["b"]
    return np.mean(np.tanh(u) ** 2 / (1 + np.exp(-x)) + np.log1p(np.exp(-np.abs(x))) + 0.5 * np.exp(-u * u))


@loss.on("torch")
def _(torch, p):
    x, u = p["x"], p["x"] * p["w"] + p["b"]
    return torch.mean(torch.tanh(u) ** 2 * torch.sigmoid(x) + torch.log1p(torch.exp(-torch.abs(x))) + 0.5 * torch.exp(-u * u))


@loss.on("tensorflow")
def _(tf, p):
    x, u = p["x"], p["x"] * p["w"] + p["b"]
    return tf.reduce_mean(tf.tanh(u) ** 2 * tf.sigmoid(x) + tf.math.log1p(tf.exp(-tf.abs(x))) + 0.5 * tf.exp(-u * u))


@loss.on("pytensor")
def _(pt, p):
    x, u = p["x"], p["x"] * p["w"] + p["b"]
    return pt.mean(pt.tanh(u) ** 2 * pt.sigmoid(x) + pt.log1p(pt.exp(-pt.abs(x))) + 0.5 * pt.exp(-u * u))


def linked(p: dict[str, Any], tanh: Any, mean: Any) -> Any:
    y = x = p["x"]
    for _ in range(LINKS):
        y = tanh(y * p["w"] + p["b"]) + 0.5 * x
    return mean(y)


@chain.on("graphc")
def _(gc, p):
    return linked(p, gc.tanh, gc.mean)


@chain.on("numpy")
def _(np, p):
    x, w, b = p["x"], p["w"], p["b"]
    ys, ts = [x], []
    for _ in range(LINKS):
        ts.append(np.tanh(ys[-1] * w + b))
        ys.append(ts[-1] + 0.5 * x)
    dy = np.full_like(x, 1 / x.size)
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for y, t in zip(reversed(ys[:-1]), reversed(ts), strict=True):
        dx += 0.5 * dy
        du = dy * (1 - t * t)
        dw += (du * y).sum(axis=0)
        db += du.sum(axis=0)
        dy = du * w
    return np.mean(ys[-1]), {"w": dw, "b": db, "x": dx + dy}


@chain.on("jax")
def _(jax, p):
    return linked(p, jax.numpy.tanh, jax.numpy.mean)


@chain.on("autograd", "pytensor", "torch")
def _(np, p):
    return linked(p, np.tanh, np.mean)


@chain.on("tensorflow")
def _(tf, p):
    return linked(p, tf.tanh, tf.reduce_mean)


def task(rng: np.random.Generator, rows: int, columns: int) -> Task:
    p = {"w": normal(rng, columns), "b": normal(rng, columns), "x": normal(rng, rows, columns)}
    return Task("gradient", p)


def floor(rows: int, columns: int) -> list[int]:
    """``x`` is read and its gradient written."""
    return [rows * columns]


TINY = {"rows": 5, "columns": 7}
WORKLOADS = [
    Workload(name, title, model, task, {"rows": rows, "columns": 1000}, TINY, copies=floor)
    for name, title, model, rows in (
        ("W3", "elementwise loss, value and gradient, (1000, 1000)", loss, 1000),
        ("W3-4k", "the same, (4000, 1000)", loss, 4000),
        ("W3-chain", f"chain of {5 * LINKS} elementwise operations, value and gradient, (1000, 1000)", chain, 1000),
    )
]
