"""W1 and W2: dense layers with relu and softmax cross-entropy, the book's network first."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.workload import (
    SGD,
    Gemm,
    Model,
    RMSprop,
    Task,
    Workload,
    batched,
    dense,
    glorot,
    images,
    picked,
    softmax_crossentropy,
    zeros,
)

mlp, predict = Model(), Model()


def layers(p: dict[str, Any]) -> list[tuple[Any, Any]]:
    """``w1, b1, w2, b2, ...`` as pairs."""
    values = list(p.values())
    return list(zip(values[::2], values[1::2], strict=True))


def logits(p: dict[str, Any], x: Any, relu: Any) -> Any:
    *hidden, (w, b) = layers(p)
    for v, c in hidden:
        x = relu(x @ v + c)
    return x @ w + b


@mlp.on("graphc")
def _(gc, p, x, t):
    return gc.mean(gc.sparse_categorical_crossentropy(t, logits(p, x, gc.relu), from_logits=True))


@mlp.on("numpy")
def _(np, p, x, t):
    inputs = []
    *hidden, (w, b) = layers(p)
    for v, c in hidden:
        inputs.append(x)
        x = np.maximum(x @ v + c, 0)
    loss, d = softmax_crossentropy(x @ w + b, t)
    gradients = [d.sum(axis=0), x.T @ d]  # from the last to the first
    after = w
    for (v, _), below in zip(reversed(hidden), reversed(inputs), strict=True):
        d = (d @ after.T) * (x > 0)
        gradients += [d.sum(axis=0), below.T @ d]
        x, after = below, v
    return loss, dict(zip(p, reversed(gradients), strict=True))


@mlp.on("jax")
def _(jax, p, x, t):
    logp = jax.nn.log_softmax(logits(p, x, jax.nn.relu))
    return -jax.numpy.mean(jax.numpy.take_along_axis(logp, t[:, None], axis=1))


@mlp.on("autograd")
def _(np, p, x, t):
    return picked(np, logits(p, x, lambda z: np.maximum(z, 0)), t)


@mlp.on("torch")
def _(torch, p, x, t):
    return torch.nn.functional.cross_entropy(logits(p, x, torch.relu), t)


@mlp.on("tensorflow")
def _(tf, p, x, t):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(t, logits(p, x, tf.nn.relu)))


@mlp.on("pytensor")
def _(pt, p, x, t):
    logp = pt.special.log_softmax(logits(p, x, lambda z: pt.maximum(z, 0)), axis=1)
    return -pt.mean(logp[pt.arange(t.shape[0]), t])


@mlp.on("keras")
def _(keras, p, x, t):
    *hidden, (_, b) = layers(p)
    return keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            *[keras.layers.Dense(len(c), activation="relu") for _, c in hidden],
            keras.layers.Dense(len(b), activation="softmax"),
        ]
    ), "sparse_categorical_crossentropy"


predict["keras"] = mlp["keras"]


@predict.on("graphc")
def _(gc, p, x, t):
    return gc.softmax(logits(p, x, gc.relu))


@predict.on("numpy", "autograd")
def _(np, p, x, t):
    z = logits(p, x, lambda z: np.maximum(z, 0))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@predict.on("jax")
def _(jax, p, x, t):
    return jax.nn.softmax(logits(p, x, jax.nn.relu))


@predict.on("torch")
def _(torch, p, x, t):
    return torch.softmax(logits(p, x, torch.relu), dim=1)


@predict.on("tensorflow")
def _(tf, p, x, t):
    return tf.nn.softmax(logits(p, x, tf.nn.relu))


@predict.on("pytensor")
def _(pt, p, x, t):
    return pt.special.softmax(logits(p, x, lambda z: pt.maximum(z, 0)), axis=1)


def parameters(rng: np.random.Generator, units: tuple[int, ...]) -> dict[str, Any]:
    p = {}
    for i, (a, b) in enumerate(pairwise(units), 1):
        p |= {f"w{i}": glorot(rng, a, b), f"b{i}": zeros(b)}
    return p


def training(rng: np.random.Generator, units: tuple[int, ...], batch: int, optimizer: Any, **options: Any) -> Task:
    p = parameters(rng, units)
    x, t = images(rng, 8 * batch, units[0])
    return Task("train", p, batched(batch, x, t), optimizer, **options)


def epoch(rng: np.random.Generator, units: tuple[int, ...], batch: int, count: int) -> Task:
    """All batches in a call, fed from the set as it lies in memory."""
    p = parameters(rng, units)
    batches = batched(batch, *images(rng, count, units[0]))
    return Task("train", p, batches, RMSprop(), steps=len(batches), resident=False)


def predicting(rng: np.random.Generator, units: tuple[int, ...], batch: int) -> Task:
    return Task("predict", parameters(rng, units), [images(rng, batch, units[0])])


def gemms(units: tuple[int, ...], batch: int, **_: Any) -> list[Gemm]:
    return [gemm for i, (a, b) in enumerate(pairwise(units)) for gemm in dense(batch, a, b, first=i == 0)]


def forward_gemms(units: tuple[int, ...], batch: int) -> list[Gemm]:
    return [("nn", batch, a, b) for a, b in pairwise(units)]


def state(units: tuple[int, ...], **_: Any) -> list[int]:
    """RMSprop reads and writes the weights and their velocities."""
    return [a * b for a, b in pairwise(units)] * 2


def rms(rng: np.random.Generator, units: tuple[int, ...], batch: int) -> Task:
    return training(rng, units, batch, RMSprop())


def sgd(rng: np.random.Generator, units: tuple[int, ...], batch: int) -> Task:
    return training(rng, units, batch, SGD())


BOOK = {"units": (784, 512, 10), "batch": 128}
OTHER = {"units": (784, 256, 256, 10)}
TINY = {"units": (12, 8, 10), "batch": 6}
TINY_OTHER = {"units": (12, 8, 7, 10), "batch": 6}
WORKLOADS = [
    Workload("W1", "MLP 784-512-10, batch 128, RMSprop step", mlp, rms, BOOK, TINY, gemms, state, drift=0.05),
    Workload(
        "W1-epoch",
        "the same, an epoch of 469 steps, fed",
        mlp,
        epoch,
        {**BOOK, "count": 60_000},
        {**TINY, "count": 20},
        lambda count, **s: gemms(**s) * (count // s["batch"]),
        lambda count, **s: state(**s) * (count // s["batch"]),
        rtol=1e-3,
        drift=0.1,  # after 469 steps
    ),
    Workload("W1-64", "MLP 784-256-256-10, batch 64, RMSprop step", mlp, rms, {**OTHER, "batch": 64}, TINY_OTHER, gemms, state, drift=0.05),
    Workload("W1-1000", "the same, batch 1,000", mlp, rms, {**OTHER, "batch": 1000}, TINY_OTHER, gemms, state, drift=0.05),
    Workload("W2", "MLP 784-512-10, batch 128, SGD step", mlp, sgd, BOOK, TINY, gemms),
    Workload("W2-predict", "the same, predict 10,000", predict, predicting, {**BOOK, "batch": 10_000}, TINY, forward_gemms),
]
