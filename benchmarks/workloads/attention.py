"""W9: a transformer block (attention, then two dense layers, each behind a layer normalisation) and a classifier of the mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workload import SGD, Gemm, Model, Task, Workload, dense, glorot, normal, picked, softmax_crossentropy, zeros

block = Model()
HEADS, EPSILON = 4, 1e-5


def through(p: dict[str, Any], x: Any, norm: Any, relu: Any, attend: Any) -> Any:
    """The block, for any module. ``x`` may be flat, (batch * sequence, width): only ``attend`` needs to know."""
    u = norm(x, p["g1"], p["c1"])
    x = x + attend(u @ p["wq"], u @ p["wk"], u @ p["wv"]) @ p["wo"]
    u = norm(x, p["g2"], p["c2"])
    return x + relu(u @ p["f1"] + p["b1"]) @ p["f2"] + p["b2"]


@block.on("graphc")
def _(gc, p, x, t):
    def heads(a):
        return gc.reshape(a, (*a.shape[:-1], HEADS, -1))

    def attend(q, k, v):
        scores = gc.einsum("nqhd,nkhd->nhqk", heads(q), heads(k)) / (q.shape[-1] / HEADS) ** 0.5
        return gc.reshape(gc.einsum("nhqk,nkhd->nqhd", gc.softmax(scores), heads(v)), q.shape)

    y = through(p, x, lambda x, g, c: gc.layer_norm(x, g, c, epsilon=EPSILON), gc.relu, attend)
    logits = gc.mean(y, axis=1) @ p["wc"] + p["bc"]
    return gc.mean(gc.sparse_categorical_crossentropy(t, logits, from_logits=True))


@block.on("jax")
def _(jax, p, x, t):
    np = jax.numpy

    def norm(x, g, c):
        d = x - np.mean(x, axis=-1, keepdims=True)
        return d * jax.lax.rsqrt(np.mean(d * d, axis=-1, keepdims=True) + EPSILON) * g + c

    def attend(q, k, v):
        q, k, v = (a.reshape(*a.shape[:-1], HEADS, -1) for a in (q, k, v))
        weights = jax.nn.softmax(np.einsum("nqhd,nkhd->nhqk", q, k) / q.shape[-1] ** 0.5)
        return np.einsum("nhqk,nkhd->nqhd", weights, v).reshape(x.shape)

    logp = jax.nn.log_softmax(np.mean(through(p, x, norm, jax.nn.relu, attend), axis=1) @ p["wc"] + p["bc"])
    return -np.mean(np.take_along_axis(logp, t[:, None], axis=1))


@block.on("autograd")
def _(np, p, x, t):
    batch, sequence, width = x.shape

    def norm(x, g, c):
        d = x - np.mean(x, axis=-1, keepdims=True)
        return d / np.sqrt(np.mean(d * d, axis=-1, keepdims=True) + EPSILON) * g + c

    def attend(q, k, v):
        q, k, v = (a.reshape((batch, sequence, HEADS, -1)).transpose((0, 2, 1, 3)) for a in (q, k, v))
        a = q @ k.transpose((0, 1, 3, 2)) * (HEADS / width) ** 0.5
        a = np.exp(a - np.max(a, axis=-1, keepdims=True))
        return ((a / np.sum(a, axis=-1, keepdims=True)) @ v).transpose((0, 2, 1, 3)).reshape((-1, width))

    y = through(p, x.reshape((-1, width)), norm, lambda z: np.maximum(z, 0), attend)
    return picked(np, np.mean(y.reshape(x.shape), axis=1) @ p["wc"] + p["bc"], t)


@block.on("pytensor")
def _(pt, p, x, t):
    _, sequence, width = x.type.shape

    def norm(x, g, c):
        d = x - pt.mean(x, axis=-1, keepdims=True)
        return d / pt.sqrt(pt.mean(d * d, axis=-1, keepdims=True) + EPSILON) * g + c

    def attend(q, k, v):
        q, k, v = (a.reshape((-1, sequence, HEADS, width // HEADS)).transpose((0, 2, 1, 3)) for a in (q, k, v))
        weights = pt.special.softmax(q @ k.transpose((0, 1, 3, 2)) * (HEADS / width) ** 0.5, axis=-1)
        return (weights @ v).transpose((0, 2, 1, 3)).reshape((-1, width))

    y = through(p, x.reshape((-1, width)), norm, lambda z: pt.maximum(z, 0), attend)
    logp = pt.special.log_softmax(pt.mean(y.reshape((-1, sequence, width)), axis=1) @ p["wc"] + p["bc"], axis=1)
    return -pt.mean(logp[pt.arange(t.shape[0]), t])


@block.on("torch")
def _(torch, p, x, t):
    f = torch.nn.functional

    def attend(q, k, v):
        q, k, v = (a.view(*a.shape[:-1], HEADS, -1).transpose(1, 2) for a in (q, k, v))
        return f.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)

    y = through(p, x, lambda x, g, c: f.layer_norm(x, x.shape[-1:], g, c, EPSILON), torch.relu, attend)
    return f.cross_entropy(y.mean(1) @ p["wc"] + p["bc"], t)


@block.on("tensorflow")
def _(tf, p, x, t):
    batch, sequence, width = x.shape

    def norm(x, g, c):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, c, g, EPSILON)

    def attend(q, k, v):
        q, k, v = (tf.transpose(tf.reshape(a, (batch, sequence, HEADS, -1)), (0, 2, 1, 3)) for a in (q, k, v))
        weights = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) * (HEADS / width) ** 0.5)
        return tf.reshape(tf.transpose(weights @ v, (0, 2, 1, 3)), (-1, width))

    y = through(p, tf.reshape(x, (-1, width)), norm, tf.nn.relu, attend)
    logits = tf.reduce_mean(tf.reshape(y, x.shape), axis=1) @ p["wc"] + p["bc"]
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(t, logits))


@block.on("keras")
def _(keras, p, x, t):
    layers, width = keras.layers, x.shape[-1]
    inputs = keras.Input(x.shape[1:])
    u = layers.LayerNormalization(epsilon=EPSILON)(inputs)
    y = inputs + layers.MultiHeadAttention(HEADS, width // HEADS, use_bias=False)(u, u)
    u = layers.LayerNormalization(epsilon=EPSILON)(y)
    y = y + layers.Dense(width)(layers.Dense(len(p["b1"]), activation="relu")(u))
    outputs = layers.Dense(len(p["bc"]), activation="softmax")(layers.GlobalAveragePooling1D()(y))
    return keras.Model(inputs, outputs), "sparse_categorical_crossentropy"


@block.on("numpy")
def _(np, p, x, t):
    batch, sequence, width = x.shape
    scale = (HEADS / width) ** 0.5

    def heads(a):
        return a.reshape(batch, sequence, HEADS, -1).transpose(0, 2, 1, 3)

    def flat(a):
        return a.transpose(0, 2, 1, 3).reshape(-1, width)

    # Forward.
    rows = x.reshape(-1, width)
    u1, normal1, deviation1 = normalised(rows, p["g1"], p["c1"])
    q, k, v = (heads(u1 @ p[name]) for name in ("wq", "wk", "wv"))
    e = q @ k.transpose(0, 1, 3, 2) * scale
    e = np.exp(e - e.max(axis=-1, keepdims=True))
    a = e / e.sum(axis=-1, keepdims=True)
    o = flat(a @ v)
    y = rows + o @ p["wo"]
    u2, normal2, deviation2 = normalised(y, p["g2"], p["c2"])
    hidden = np.maximum(u2 @ p["f1"] + p["b1"], 0)
    mean = (y + hidden @ p["f2"] + p["b2"]).reshape(x.shape).mean(axis=1)
    loss, d = softmax_crossentropy(mean @ p["wc"] + p["bc"], t)

    # Backward: dy is the gradient of what stands between the two halves.
    g = {"wc": mean.T @ d, "bc": d.sum(axis=0)}
    dy = np.repeat(d @ p["wc"].T / sequence, sequence, axis=0)
    dh = (dy @ p["f2"].T) * (hidden > 0)
    g |= {"f2": hidden.T @ dy, "b2": dy.sum(axis=0), "f1": u2.T @ dh, "b1": dh.sum(axis=0)}
    du, g["g2"], g["c2"] = normalised_back(dh @ p["f1"].T, normal2, deviation2, p["g2"])
    dy = dy + du
    g["wo"] = o.T @ dy
    do = heads(dy @ p["wo"].T)
    da = do @ v.transpose(0, 1, 3, 2)
    ds = a * (da - (a * da).sum(axis=-1, keepdims=True)) * scale
    shares = {"wq": flat(ds @ k), "wk": flat(ds.transpose(0, 1, 3, 2) @ q), "wv": flat(a.transpose(0, 1, 3, 2) @ do)}
    g |= {name: u1.T @ share for name, share in shares.items()}
    du = sum(share @ p[name].T for name, share in shares.items())
    _, g["g1"], g["c1"] = normalised_back(du, normal1, deviation1, p["g1"])
    return loss, {name: g[name] for name in p}


def normalised(x: Any, g: Any, c: Any) -> tuple[Any, Any, Any]:
    """The layer normalisation of each row, before scale and offset too, and the standard deviations."""
    d = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((d * d).mean(axis=-1, keepdims=True) + EPSILON)
    return d / deviation * g + c, d / deviation, deviation


def normalised_back(du: Any, normal: Any, deviation: Any, g: Any) -> tuple[Any, Any, Any]:
    """The gradients of the rows, of the scale and of the offset."""
    d = du * g
    dx = (d - d.mean(axis=-1, keepdims=True) - normal * (d * normal).mean(axis=-1, keepdims=True)) / deviation
    return dx, (du * normal).sum(axis=0), du.sum(axis=0)


def training(rng: np.random.Generator, batch: int, sequence: int, width: int, hidden: int) -> Task:
    p = {"g1": np.ones(width, "float32"), "c1": zeros(width)}
    p |= {name: glorot(rng, width, width) for name in ("wq", "wk", "wv", "wo")}
    p |= {"g2": np.ones(width, "float32"), "c2": zeros(width)}
    p |= {"f1": glorot(rng, width, hidden), "b1": zeros(hidden), "f2": glorot(rng, hidden, width), "b2": zeros(width)}
    p |= {"wc": glorot(rng, width, 10), "bc": zeros(10)}
    return Task("train", p, [(normal(rng, batch, sequence, width), rng.integers(0, 10, batch).astype("int32"))], SGD())


def gemms(batch: int, sequence: int, width: int, hidden: int) -> list[Gemm]:
    """Attention's products are too small to be bound by GEMM: one for all heads of the batch stands for each of the six."""
    rows, head = batch * sequence, width // HEADS
    scores = ("nt", rows * HEADS, head, sequence), ("nn", rows * HEADS, sequence, head)
    dense_layers = [(width, width)] * 4 + [(width, hidden), (hidden, width)]
    return [gemm for k, n in dense_layers for gemm in dense(rows, k, n)] + [*scores * 3, *dense(batch, width, 10)]


WORKLOADS = [
    Workload(
        "W9",
        "transformer block, d 128, 4 heads, sequence 64, batch 16, SGD step",
        block,
        training,
        {"batch": 16, "sequence": 64, "width": 128, "hidden": 512},
        {"batch": 2, "sequence": 5, "width": 8, "hidden": 6},
        gemms,
    )
]
