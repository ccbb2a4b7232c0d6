"""W4: many small dense layers, where calls and compilation cost more than arithmetic; and the series of its compile times."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.workload import SGD, Gemm, Model, Task, Workload, dense, normal, zeros
from benchmarks.workloads.mlp import layers

deep = Model()


def stacked(p: dict[str, Any], x: Any, relu: Any) -> Any:
    for w, b in layers(p):
        x = relu(x @ w + b)
    return x


@deep.on("graphc")
def _(gc, p, x, t):
    return gc.mean(gc.square(stacked(p, x, gc.relu) - t))


@deep.on("numpy")
def _(np, p, x, t):
    xs = [x]
    for w, b in layers(p):
        xs.append(np.maximum(xs[-1] @ w + b, 0))
    e = xs[-1] - t
    d = e * (2 / e.size)
    gradients = []
    for (w, _), y, x in zip(reversed(layers(p)), reversed(xs[1:]), reversed(xs[:-1]), strict=True):
        d = d * (y > 0)
        gradients += [d.sum(axis=0), x.T @ d]
        d = d @ w.T
    return np.mean(e * e), dict(zip(p, reversed(gradients), strict=True))


@deep.on("jax")
def _(jax, p, x, t):
    return jax.numpy.mean(jax.numpy.square(stacked(p, x, jax.nn.relu) - t))


@deep.on("autograd", "pytensor")
def _(np, p, x, t):
    return np.mean((stacked(p, x, lambda z: np.maximum(z, 0)) - t) ** 2)


@deep.on("torch")
def _(torch, p, x, t):
    return torch.nn.functional.mse_loss(stacked(p, x, torch.relu), t)


@deep.on("tensorflow")
def _(tf, p, x, t):
    return tf.reduce_mean(tf.square(stacked(p, x, tf.nn.relu) - t))


@deep.on("keras")
def _(keras, p, x, t):
    return keras.Sequential(
        [keras.Input(x.shape[1:]), *[keras.layers.Dense(len(b), activation="relu") for _, b in layers(p)]]
    ), "mean_squared_error"


def training(rng: np.random.Generator, depth: int, units: int, batch: int) -> Task:
    """Orthogonal weights times the square root of 2, so that relu keeps the scale."""
    p = {}
    for i in range(depth):
        q, _ = np.linalg.qr(rng.standard_normal((units, units)))
        p |= {f"w{i}": (q * np.sqrt(2)).astype("float32"), f"b{i}": zeros(units)}
    return Task("train", p, [(normal(rng, batch, units), normal(rng, batch, units))], SGD(1e-2))


def declaring(rng: np.random.Generator, **sizes: int) -> Task:
    return replace(training(rng, **sizes), fresh=True)


def gemms(depth: int, units: int, batch: int) -> list[Gemm]:
    return [gemm for i in range(depth) for gemm in dense(batch, units, units, first=i == 0)]


TINY = {"depth": 3, "units": 5, "batch": 4}
SIZES = {"units": 64, "batch": 32}
WORKLOADS = [
    Workload("W4", "100 layers of 64, batch 32, SGD step", deep, training, {**SIZES, "depth": 100}, TINY, gemms, drift=0.3),
    *[
        Workload(f"compile-{n}", f"{n} layers of 64", deep, declaring, {**SIZES, "depth": n}, TINY, section="compile")
        for n in (10, 100, 1000)
    ],
]
