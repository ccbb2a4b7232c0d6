"""W7: second derivatives of a small network: its whole Hessian, and a product with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workload import Model, Task, Workload, normal

hessian, hvp = Model(), Model()
INPUTS, UNITS = 10, 16
W1, B1, W2 = INPUTS * UNITS, (INPUTS + 1) * UNITS, (INPUTS + 2) * UNITS  # where each parameter ends
SIZE = W2 + 1


def parts(p: Any) -> tuple[Any, Any, Any, Any]:
    return p[:W1].reshape((INPUTS, UNITS)), p[W1:B1], p[B1:W2], p[W2]


def residual(p: Any, x: Any, t: Any, tanh: Any) -> Any:
    w1, b1, w2, b2 = parts(p)
    return tanh(x @ w1 + b1) @ w2 + b2 - t


for model in (hessian, hvp):

    @model.on("graphc")
    def _(gc, p, x, t):
        p = p["p"]
        w1, b1, w2, b2 = gc.reshape(p[:W1], (INPUTS, UNITS)), p[W1:B1], p[B1:W2], p[W2]
        return gc.mean(gc.square(gc.tanh(x @ w1 + b1) @ w2 + b2 - t))

    @model.on("jax")
    def _(jax, p, x, t):
        return jax.numpy.mean(jax.numpy.square(residual(p["p"], x, t, jax.numpy.tanh)))

    @model.on("autograd", "pytensor", "torch")
    def _(np, p, x, t):
        return np.mean(residual(p["p"], x, t, np.tanh) ** 2)

    @model.on("tensorflow")
    def _(tf, p, x, t):
        p = p["p"]
        w1, b1, w2, b2 = tf.reshape(p[:W1], (INPUTS, UNITS)), p[W1:B1], p[B1:W2], p[W2]
        return tf.reduce_mean(tf.square(tf.linalg.matvec(tf.tanh(x @ w1 + b1), w2) + b2 - t))


@hessian.on("numpy")
def _(np, p, x, t):
    w1, b1, w2, b2 = parts(p["p"])
    a = np.tanh(x @ w1 + b1)
    c = 2 / len(x)
    e, s = c * (a @ w2 + b2 - t), 1 - a * a
    one = np.ones((len(x), 1), x.dtype)
    x1 = np.concatenate([x, one], axis=1)
    # Gauss-Newton's part from the Jacobian of the residuals, whose columns are in the order of the parameters ...
    jacobian = np.concatenate([(x1[:, :, None] * (s * w2)[:, None]).reshape(len(x), -1), a, one], axis=1)
    h = c * jacobian.T @ jacobian
    # ... and the curvature of the network: within a unit, and between it and its output weight.
    unit = np.arange(INPUTS + 1)[:, None] * UNITS + np.arange(UNITS)
    within = np.einsum("nu,ni,nj->uij", -2 * e[:, None] * s * a * w2, x1, x1, optimize=True)
    np.add.at(h, (unit.T[:, :, None], unit.T[:, None, :]), within)
    cross = np.einsum("n,ni,nu->iu", e, x1, s, optimize=True)
    out = B1 + np.broadcast_to(np.arange(UNITS), unit.shape)
    h[unit, out] += cross
    h[out, unit] += cross
    return h


@hvp.on("numpy")
def _(np, p, v, x, t):
    w1, b1, w2, b2 = parts(p["p"])
    v1, c1, v2, c2 = parts(v)
    a = np.tanh(x @ w1 + b1)
    c = 2 / len(x)
    e, s = c * (a @ w2 + b2 - t), 1 - a * a
    da = s * (x @ v1 + c1)
    de = c * (da @ w2 + a @ v2 + c2)
    dz = (de[:, None] * w2 + e[:, None] * v2) * s - 2 * e[:, None] * w2 * a * da
    return np.concatenate([(x.T @ dz).ravel(), dz.sum(axis=0), da.T @ e + a.T @ de, [de.sum()]])


def task(rng: np.random.Generator, question: Any, batch: int) -> Task:
    p = {"p": np.float32(0.5) * normal(rng, SIZE)}
    direction = normal(rng, SIZE) if question == "hvp" else None
    return Task(question, p, [(normal(rng, batch, INPUTS), normal(rng, batch))], direction=direction)


WORKLOADS = [
    Workload(name, title, model, task, {"question": question, "batch": 32}, {"batch": 4})
    for name, title, model, question in (
        ("W7", "full Hessian, MLP 10-16-1, batch 32", hessian, "hessian"),
        ("W7-hvp", "the same, Hessian-vector product", hvp, "hvp"),
    )
]
