"""The book's network: its gradients are the differences', and a fresh run from the same seed gives the same bits."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.testing import check_gradient

SIZES, BATCH = (20, 16, 10), 8


def network(dtype: str) -> tuple[Any, Any, list[Any], Any]:
    """Dense(16, relu), Dense(10, softmax), and the mean sparse cross-entropy, over weights that are not zero."""
    rng = np.random.default_rng(0)
    x, labels = gc.input("x", ("batch", SIZES[0]), dtype), gc.input("labels", ("batch",), "int32")
    shapes = {"w1": SIZES[:2], "b1": SIZES[1:2], "w2": SIZES[1:], "b2": SIZES[2:]}
    parameters = [gc.variable(rng.normal(size=shape, scale=0.5).astype(dtype), name) for name, shape in shapes.items()]
    w1, b1, w2, b2 = parameters
    hidden = gc.relu(x @ w1 + b1)
    return x, labels, parameters, gc.mean(gc.sparse_categorical_crossentropy(labels, gc.softmax(hidden @ w2 + b2)))


def batch(dtype: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(41)
    return rng.uniform(0, 1, (BATCH, SIZES[0])).astype(dtype), rng.integers(0, SIZES[2], BATCH, dtype="int32")


def test_no_hidden_unit_is_near_its_kink() -> None:
    """Else differences would see both sides of relu, and the test below would prove nothing."""
    _, _, (w1, b1, *_), _ = network("float64")
    assert np.abs(batch("float64")[0] @ w1.value + b1.value).min() > 0.05


def test_gradients_of_all_parameters_are_the_differences_to_1e_7_relative() -> None:
    """The gradients as they are compiled, rewritten and all; differences of the loss as it is written, Richardson-extrapolated.

    Relative to the entry, or to a thousandth of the largest entry of its tensor where it is smaller than that: below, the
    differences themselves are not right to 1e-7.
    """
    x, labels, parameters, loss = network("float64")
    images, classes = batch("float64")
    report = check_gradient(loss, parameters, at={x: images, labels: classes}, rtol=1e-7, eps=1e-3, modes="reverse")
    assert report, report
    assert len(report.entries) == 20 * 16 + 16 + 16 * 10 + 10
    compiled = gc.compile([x, labels], gc.grad(loss, parameters))(images, classes)
    ours = np.concatenate([g.reshape(-1) for g in compiled])
    differences = np.array([entry.differences for entry in report.entries])
    floor = np.concatenate([np.full(g.size, 1e-3 * np.abs(g).max()) for g in compiled])
    error = np.abs(ours - differences) / np.maximum(np.abs(ours), floor)
    assert error.max() <= 1e-7, f"{error.max():.2g} relative"
    assert np.linalg.norm(ours - differences) <= 1e-9 * np.linalg.norm(ours)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_gradients_in_float32_are_those_of_float64(backend: str) -> None:
    x, labels, parameters, loss = network("float64")
    exact = gc.compile([x, labels], gc.grad(loss, parameters))(*batch("float64"))
    x, labels, parameters, loss = network("float32")
    found = gc.compile([x, labels], gc.grad(loss, parameters), backend=backend)(*batch("float32"))
    for single, double in zip(found, exact, strict=True):
        assert np.abs(np.asarray(single) - double).max() <= 2e-6 * np.abs(double).max()


RUN = """
import hashlib, sys
import numpy as np
import graphc as gc

rng = np.random.default_rng(0)
x, labels = gc.input("x", ("batch", 20)), gc.input("labels", ("batch",), "int32")
w1, w2 = gc.variable(gc.init.glorot_uniform((20, 16), seed=1), "w1"), gc.variable(gc.init.glorot_uniform((16, 10), seed=2), "w2")
b1, b2 = gc.variable(gc.init.zeros((16,)), "b1"), gc.variable(gc.init.zeros((10,)), "b2")
loss = gc.mean(gc.sparse_categorical_crossentropy(labels, gc.softmax(gc.relu(x @ w1 + b1) @ w2 + b2)))
variables = [w1, b1, w2, b2]
step = gc.compile([x, labels], loss, updates={v: v - 0.1 * g for v, g in zip(variables, gc.grad(loss, variables))}, backend=sys.argv[1])
losses = [float(step(rng.random((8, 20), "float32"), rng.integers(0, 10, 8, dtype="int32"))) for _ in range(10)]
digest = hashlib.sha256(b"".join(v.value.tobytes() for v in variables)).hexdigest()
print(digest, hashlib.sha256(step.source.encode()).hexdigest(), losses[0].hex(), losses[-1].hex())
"""


def _fresh_run(backend: str, hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", RUN, backend],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_a_fresh_run_from_the_same_seed_gives_the_same_bits(backend: str) -> None:
    """Weights, losses and emitted source, in processes whose strings hash differently."""
    first, second = _fresh_run(backend, "1"), _fresh_run(backend, "2")
    assert first == second
    assert len(first.split()) == 4
