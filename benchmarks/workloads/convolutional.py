"""W5: a small convolutional network on images of 28 x 28."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workload import SGD, Gemm, Model, Task, Workload, dense, glorot, images, picked, softmax_crossentropy, zeros


def network(strides: int, pooled: bool) -> Model:
    """Two convolutions with relu, each followed by a 2 x 2 maximum if ``pooled``, and a dense layer."""
    model = Model()

    @model.on("graphc")
    def _(gc, p, x, t):
        for k, b in ((p["k1"], p["b1"]), (p["k2"], p["b2"])):
            x = gc.relu(gc.conv(x, k, strides) + b)
            x = gc.max_pool(x, 2) if pooled else x
        logits = gc.reshape(x, (x.shape[0], -1)) @ p["w"] + p["b"]
        return gc.mean(gc.sparse_categorical_crossentropy(t, logits, from_logits=True))

    @model.on("numpy")
    def _(np, p, x, t):
        saved = []
        for k, b in ((p["k1"], p["b1"]), (p["k2"], p["b2"])):
            windows = cut(x, k.shape[0], strides)
            y = np.maximum(windows @ k.reshape(-1, k.shape[-1]) + b, 0)
            saved.append((x, k, windows, y))
            x = np.maximum.reduce(corners(y)) if pooled else y
        flat = x.reshape(len(x), -1)
        loss, d = softmax_crossentropy(flat @ p["w"] + p["b"], t)
        gradients = [d.sum(axis=0), flat.T @ d]
        d = (d @ p["w"].T).reshape(x.shape)
        for below, k, windows, y in reversed(saved):
            d = unpooled(d, x, y) if pooled else d
            d = d * (y > 0)
            gradients += [d.sum(axis=(0, 1, 2)), np.tensordot(windows, d, axes=([0, 1, 2], [0, 1, 2])).reshape(k.shape)]
            d, x = spread(d, k, below.shape, strides) if below.shape[-1] > 1 else None, below
        return loss, dict(zip(p, reversed(gradients), strict=True))

    @model.on("jax")
    def _(jax, p, x, t):
        lax, np = jax.lax, jax.numpy
        for k, b in ((p["k1"], p["b1"]), (p["k2"], p["b2"])):
            x = lax.conv_general_dilated(x, k, (strides, strides), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(x + b)
            x = lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") if pooled else x
        logp = jax.nn.log_softmax(x.reshape(x.shape[0], -1) @ p["w"] + p["b"])
        return -np.mean(np.take_along_axis(logp, t[:, None], axis=1))

    @model.on("autograd")
    def _(np, p, x, t):
        for k, b in ((p["k1"], p["b1"]), (p["k2"], p["b2"])):
            size = k.shape[0]
            height, width = ((n - size) // strides + 1 for n in x.shape[1:3])
            slices = [x[:, i : i + strides * height : strides, j : j + strides * width : strides] for i in range(size) for j in range(size)]
            x = np.maximum(np.dot(np.concatenate(slices, axis=3), k.reshape((-1, k.shape[-1]))) + b, 0)
            x = np.maximum(np.maximum(*corners(x)[:2]), np.maximum(*corners(x)[2:])) if pooled else x
        return picked(np, x.reshape((x.shape[0], -1)) @ p["w"] + p["b"], t)

    @model.on("pytensor")
    def _(pt, p, x, t):
        width = x.type.shape[1]
        for k, b in ((p["k1"], p["b1"]), (p["k2"], p["b2"])):
            size, _, _, channels = k.get_value(borrow=True).shape
            width = (width - size) // strides + 1
            reach = strides * (width - 1) + 1
            slices = [x[:, i : i + reach : strides, j : j + reach : strides] for i in range(size) for j in range(size)]
            x = pt.maximum(pt.concatenate(slices, axis=3) @ k.reshape((-1, channels)) + b, 0)
            if pooled:
                width //= 2
                one, two, three, four = [x[:, i : 2 * width : 2, j : 2 * width : 2] for i in range(2) for j in range(2)]
                x = pt.maximum(pt.maximum(one, two), pt.maximum(three, four))
        logp = pt.special.log_softmax(x.reshape((x.shape[0], -1)) @ p["w"] + p["b"], axis=1)
        return -pt.mean(logp[pt.arange(t.shape[0]), t])

    @model.on("torch")
    def _(torch, p, x, t):
        f = torch.nn.functional
        x = x.permute(0, 3, 1, 2)  # channels last in memory, as oneDNN likes it
        for k, b in ((p["k1"], p["b1"]), (p["k2"], p["b2"])):
            x = torch.relu(f.conv2d(x, k.permute(3, 2, 0, 1), b, strides))
            x = f.max_pool2d(x, 2) if pooled else x
        return f.cross_entropy(x.permute(0, 2, 3, 1).reshape(len(x), -1) @ p["w"] + p["b"], t)

    @model.on("tensorflow")
    def _(tf, p, x, t):
        for k, b in ((p["k1"], p["b1"]), (p["k2"], p["b2"])):
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, k, strides, "VALID"), b))
            x = tf.nn.max_pool2d(x, 2, 2, "VALID") if pooled else x
        logits = tf.reshape(x, (x.shape[0], -1)) @ p["w"] + p["b"]
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(t, logits))

    @model.on("keras")
    def _(keras, p, x, t):
        layers: list[Any] = [keras.Input(x.shape[1:])]
        for k in (p["k1"], p["k2"]):
            layers.append(keras.layers.Conv2D(k.shape[-1], k.shape[0], strides, activation="relu"))
            layers += [keras.layers.MaxPooling2D(2)] if pooled else []
        layers += [keras.layers.Flatten(), keras.layers.Dense(len(p["b"]), activation="softmax")]
        return keras.Sequential(layers), "sparse_categorical_crossentropy"

    return model


def cut(x: Any, size: int, strides: int) -> Any:
    """The windows of ``x``, each as a row: (batch, height, width, size * size * channels)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::strides, ::strides]
    windows = windows.transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(*windows.shape[:3], -1)


def spread(d: Any, k: Any, shape: tuple[int, ...], strides: int) -> Any:
    """The gradient of the inputs: each place of the kernel adds its share."""
    out = np.zeros(shape, d.dtype)
    height, width = d.shape[1:3]
    for i in range(k.shape[0]):
        for j in range(k.shape[1]):
            out[:, i : i + strides * height : strides, j : j + strides * width : strides] += d @ k[i, j].T
    return out


def corners(y: Any) -> list[Any]:
    """What the 2 x 2 windows hold, place by place; a last odd row or column is in none."""
    height, width = y.shape[1] // 2 * 2, y.shape[2] // 2 * 2
    return [y[:, i:height:2, j:width:2] for i in range(2) for j in range(2)]


def unpooled(d: Any, largest: Any, y: Any) -> Any:
    """To where each maximum came from. Only zeros tie, and relu gives them no gradient."""
    out = np.zeros(y.shape, d.dtype)
    for place, corner in zip(corners(out), corners(y), strict=True):
        place[...] = d * (corner == largest)
    return out


def reach(pixels: int, size: int, strides: int, pooled: bool) -> tuple[int, int, int]:
    """The width after the first convolution, after the second, and of what the dense layer reads."""
    first = (pixels - size) // strides + 1
    second = ((first // 2 if pooled else first) - size) // strides + 1
    return first, second, second // 2 if pooled else second


def training(rng: np.random.Generator, pixels: int, channels: tuple[int, int], size: int, strides: int, pooled: bool, batch: int) -> Task:
    one, two = channels
    last = reach(pixels, size, strides, pooled)[2]
    area = size * size
    p = {
        "k1": glorot(rng, size, size, 1, one, fans=(area, area * one)),
        "b1": zeros(one),
        "k2": glorot(rng, size, size, one, two, fans=(area * one, area * two)),
        "b2": zeros(two),
        "w": glorot(rng, last * last * two, 10),
        "b": zeros(10),
    }
    x, t = images(rng, batch, pixels * pixels)
    return Task("train", p, [(x.reshape(batch, pixels, pixels, 1), t)], SGD())


def gemms(pixels: int, channels: tuple[int, int], size: int, strides: int, pooled: bool, batch: int) -> list[Gemm]:
    """Of im2col, every window once."""
    first, second, last = reach(pixels, size, strides, pooled)
    one, two = channels
    area = size * size
    return [
        *dense(batch * first * first, area, one, first=True),
        *dense(batch * second * second, area * one, two),
        *dense(batch, last * last * two, 10),
    ]


pooling, strided = network(1, True), network(2, False)
BOOK = {"pixels": 28, "channels": (32, 64), "batch": 64}
TINY = {"pixels": 10, "channels": (2, 3), "batch": 3}
WORKLOADS = [
    Workload(
        "W5",
        "CNN conv3x3x32, pool, conv3x3x64, pool, dense; batch 64, SGD step",
        pooling,
        training,
        {**BOOK, "size": 3, "strides": 1, "pooled": True},
        TINY,
        gemms,
    ),
    Workload(
        "W5-5x5",
        "CNN conv5x5x32 and conv5x5x64 with stride 2, dense; batch 64, SGD step",
        strided,
        training,
        {**BOOK, "size": 5, "strides": 2, "pooled": False},
        {**TINY, "pixels": 13},
        gemms,
    ),
]
