"""W6: a linear classifier of two classes in the plane, trained from nothing: declared, compiled and stepped in every call."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import SGD, Model, Task, Workload, zeros

linear = Model()


@linear.on("graphc")
def _(gc, p, x, t):
    return gc.mean(gc.square(x @ p["w"] + p["b"] - t))


@linear.on("numpy")
def _(np, p, x, t):
    e = x @ p["w"] + p["b"] - t
    d = e * (2 / e.size)
    return np.mean(e * e), {"w": x.T @ d, "b": d.sum(axis=0)}


@linear.on("jax")
def _(jax, p, x, t):
    return jax.numpy.mean(jax.numpy.square(x @ p["w"] + p["b"] - t))


@linear.on("autograd", "pytensor")
def _(np, p, x, t):
    return np.mean((x @ p["w"] + p["b"] - t) ** 2)


@linear.on("torch")
def _(torch, p, x, t):
    return torch.nn.functional.mse_loss(x @ p["w"] + p["b"], t)


@linear.on("tensorflow")
def _(tf, p, x, t):
    return tf.reduce_mean(tf.square(x @ p["w"] + p["b"] - t))


@linear.on("keras")
def _(keras, p, x, t):
    return keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Dense(1)]), "mean_squared_error"


def training(rng: np.random.Generator, count: int, steps: int) -> Task:
    covariance = [[1, 0.5], [0.5, 1]]
    x = np.vstack([rng.multivariate_normal(mean, covariance, count) for mean in ([0, 3], [3, 0])]).astype("float32")
    t = np.repeat(np.float32([0, 1]), count)[:, None]
    p = {"w": rng.uniform(size=(2, 1)).astype("float32"), "b": zeros(1)}
    return Task("train", p, [(x, t)], SGD(0.1), steps=steps, fresh=True)


WORKLOADS = [
    Workload(
        "W6", "linear classifier, 40 steps, all from nothing", linear, training, {"count": 1000, "steps": 40}, {"count": 10, "steps": 3}
    )
]
