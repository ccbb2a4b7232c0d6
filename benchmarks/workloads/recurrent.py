"""W8: recurrent layers over a sequence: an LSTM of 50 steps, a GRU of 20."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import SGD, Gemm, Model, Task, Workload, dense, glorot, normal, zeros

lstm, gru = Model(), Model()


# ---------------------------------------------------------------- the cells, for any module: gates i, f, g, o and r, z, n
def lstm_cell(carry: Any, z: Any, wh: Any, split: Any, sigmoid: Any, tanh: Any) -> Any:
    h, c = carry
    i, f, g, o = split(z + h @ wh)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru_cell(carry: Any, z: Any, wh: Any, split: Any, sigmoid: Any, tanh: Any) -> Any:
    """The variant that resets after the product (that of cuDNN), without a bias of its own."""
    (h,) = carry
    (xr, xz, xn), (hr, hz, hn) = split(z), split(h @ wh)
    z = sigmoid(xz + hz)
    return ((1 - z) * tanh(xn + sigmoid(xr + hr) * hn) + z * h,)


def loss(p: dict[str, Any], h: Any, t: Any, mean: Any) -> Any:
    e = h @ p["wo"] + p["bo"] - t
    return mean(e * e)


for model, cell, gates, carries in ((lstm, lstm_cell, 4, 2), (gru, gru_cell, 3, 1)):

    @model.on("graphc")
    def _(gc, p, x, t, cell=cell, gates=gates, carries=carries):
        def step(carry, z):
            return cell(carry, z, p["wh"], lambda z: gc.split(z, gates, axis=1), gc.sigmoid, gc.tanh), ()

        start = gc.zeros((x.shape[0], p["wh"].shape[0]))
        (h, *_), _ = gc.scan(step, (start,) * carries, gc.swapaxes(x @ p["wx"] + p["b"], 0, 1))
        return loss(p, h, t, gc.mean)

    @model.on("jax")
    def _(jax, p, x, t, cell=cell, gates=gates, carries=carries):
        np = jax.numpy

        def step(carry, z):
            return cell(carry, z, p["wh"], lambda z: np.split(z, gates, axis=1), jax.nn.sigmoid, np.tanh), None

        start = np.zeros((x.shape[0], p["wh"].shape[0]))
        (h, *_), _ = jax.lax.scan(step, (start,) * carries, np.swapaxes(x @ p["wx"] + p["b"], 0, 1))
        return loss(p, h, t, np.mean)

    @model.on("autograd")
    def _(np, p, x, t, cell=cell, gates=gates, carries=carries):
        z = np.dot(x, p["wx"]) + p["b"]
        carry = (np.zeros((len(x), len(p["wh"])), "float32"),) * carries
        for i in range(x.shape[1]):
            carry = cell(carry, z[:, i], p["wh"], lambda z: np.split(z, gates, axis=1), lambda z: 1 / (1 + np.exp(-z)), np.tanh)
        return loss(p, carry[0], t, np.mean)

    @model.on("tensorflow")
    def _(tf, p, x, t, cell=cell, gates=gates, carries=carries):
        z = tf.tensordot(x, p["wx"], 1) + p["b"]
        carry = (tf.zeros((x.shape[0], p["wh"].shape[0])),) * carries
        for item in tf.unstack(z, axis=1):
            carry = cell(carry, item, p["wh"], lambda z: tf.split(z, gates, axis=1), tf.sigmoid, tf.tanh)
        return loss(p, carry[0], t, tf.reduce_mean)

    @model.on("pytensor")
    def _(pt, p, x, t, cell=cell, gates=gates, carries=carries):
        from pytensor.scan.basic import scan

        units = p["wh"].get_value(borrow=True).shape[0]

        def step(z, *rest):
            *carry, wh = rest
            return list(cell(carry, z, wh, lambda z: pt.split(z, splits_size=[units] * gates, axis=1), pt.sigmoid, pt.tanh))

        start = [pt.zeros((x.shape[0], units), dtype="float32")] * carries
        z = (x @ p["wx"] + p["b"]).swapaxes(0, 1)
        found = scan(step, sequences=[z], outputs_info=start, non_sequences=[p["wh"]], return_updates=False)
        return loss(p, (found[0] if carries > 1 else found)[-1], t, pt.mean)


@lstm.on("torch")
def _(torch, p, x, t):
    start = torch.zeros(1, len(x), len(p["wh"]))
    weights = [p["wx"].T, p["wh"].T, p["b"], torch.zeros(len(p["b"]))]
    _, h, _ = torch.lstm(x, (start, start), weights, True, 1, 0.0, True, False, True)
    return loss(p, h[0], t, torch.mean)


@gru.on("torch")
def _(torch, p, x, t):
    start = torch.zeros(1, len(x), len(p["wh"]))
    weights = [p["wx"].T, p["wh"].T, p["b"], torch.zeros(len(p["b"]))]
    _, h = torch.gru(x, start, weights, True, 1, 0.0, True, False, True)
    return loss(p, h[0], t, torch.mean)


@lstm.on("keras")
def _(keras, p, x, t):
    return keras.Sequential([keras.Input(x.shape[1:]), keras.layers.LSTM(len(p["wh"])), keras.layers.Dense(1)]), "mean_squared_error"


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


@lstm.on("numpy")
def _(np, p, x, t):
    z = x @ p["wx"] + p["b"]
    h = c = np.zeros((len(x), len(p["wh"])), x.dtype)
    saved = []
    for step in range(x.shape[1]):
        i, f, g, o = np.split(z[:, step] + h @ p["wh"], 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        new = f * c + i * g
        tanh_c = np.tanh(new)
        saved.append((h, c, i, f, g, o, tanh_c))
        h, c = o * tanh_c, new
    value, dh, gradients = head(p, h, t)
    dc, dz = np.zeros_like(c), np.empty_like(z)
    for step, (_, c, i, f, g, o, tanh_c) in reversed(list(enumerate(saved))):
        dc = dc + dh * o * (1 - tanh_c * tanh_c)
        dz[:, step] = np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * tanh_c * o * (1 - o)], axis=1)
        dh, dc = dz[:, step] @ p["wh"].T, dc * f
    hs = np.stack([step[0] for step in saved], axis=1)
    return value, {**weights(x, hs, dz, dz), **gradients}


@gru.on("numpy")
def _(np, p, x, t):
    xz = x @ p["wx"] + p["b"]
    h = np.zeros((len(x), len(p["wh"])), x.dtype)
    saved = []
    for step in range(x.shape[1]):
        (xr, xu, xn), (hr, hu, hn) = np.split(xz[:, step], 3, axis=1), np.split(h @ p["wh"], 3, axis=1)
        r, u = sigmoid(xr + hr), sigmoid(xu + hu)
        n = np.tanh(xn + r * hn)
        saved.append((h, r, u, n, hn))
        h = (1 - u) * n + u * h
    value, dh, gradients = head(p, h, t)
    dx, dr = np.empty_like(xz), np.empty_like(xz)
    for step, (h, r, u, n, hn) in reversed(list(enumerate(saved))):
        dn, du = dh * (1 - u) * (1 - n * n), dh * (h - n) * u * (1 - u)
        shared = [dn * hn * r * (1 - r), du]
        dx[:, step] = np.concatenate([*shared, dn], axis=1)
        dr[:, step] = np.concatenate([*shared, dn * r], axis=1)
        dh = dh * u + dr[:, step] @ p["wh"].T
    hs = np.stack([step[0] for step in saved], axis=1)
    return value, {**weights(x, hs, dx, dr), **gradients}


def head(p: dict[str, Any], h: Any, t: Any) -> tuple[Any, Any, dict[str, Any]]:
    """The loss, the gradient of the last ``h``, and those of the output's parameters."""
    e = h @ p["wo"] + p["bo"] - t
    d = e * (2 / e.size)
    return np.mean(e * e), d @ p["wo"].T, {"wo": h.T @ d, "bo": d.sum(axis=0)}


def weights(x: Any, h: Any, dx: Any, dh: Any) -> dict[str, Any]:
    """Gradients from those of the two products, all steps at once."""

    def both(a: Any, d: Any) -> Any:
        return a.reshape(-1, a.shape[-1]).T @ d.reshape(-1, d.shape[-1])

    return {"wx": both(x, dx), "wh": both(h, dh), "b": dx.sum(axis=(0, 1))}


def training(gates: int) -> Callable[..., Task]:
    def task(rng: np.random.Generator, steps: int, batch: int, features: int, units: int) -> Task:
        p = {
            "wx": glorot(rng, features, gates * units),
            "wh": glorot(rng, units, gates * units),
            "b": np.repeat(np.float32([0, 1, 0, 0][:gates]), units),
            "wo": glorot(rng, units, 1),
            "bo": zeros(1),
        }
        return Task("train", p, [(normal(rng, batch, steps, features), normal(rng, batch, 1))], SGD())

    return task


def gemms(gates: int) -> Callable[..., list[Gemm]]:
    def products(steps: int, batch: int, features: int, units: int) -> list[Gemm]:
        one = ("nn", batch, units, gates * units), ("nt", batch, gates * units, units)
        return [*dense(batch * steps, features, gates * units, first=True), *one * steps, ("tn", units, batch * steps, gates * units)]

    return products


SIZES = {"batch": 32, "features": 32, "units": 64}
TINY = {"steps": 4, "batch": 3, "features": 5, "units": 6}
WORKLOADS = [
    Workload("W8", "LSTM, 50 steps, batch 32, 64 units, SGD step", lstm, training(4), {**SIZES, "steps": 50}, TINY, gemms(4)),
    Workload("W8-gru", "GRU, 20 steps, batch 32, 64 units, SGD step", gru, training(3), {**SIZES, "steps": 20}, TINY, gemms(3)),
]
