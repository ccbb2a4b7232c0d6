"""The book's network: its gradients beside central differences, and the same bits from the same seed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphc as gc

ROOT = Path(__file__).parents[1]
STEP = 1e-3


def network(seed: int) -> tuple[gc.Input, gc.Input, gc.Tensor, list[gc.Variable]]:
    x = gc.input("x", ("batch", 20), "float64")
    t = gc.input("t", ("batch",), "int32")
    weights = [
        gc.variable(gc.init.glorot_uniform((20, 16), seed=seed, dtype="float64"), name="W1"),
        gc.variable(np.full(16, 0.1), name="b1"),
        gc.variable(gc.init.glorot_uniform((16, 10), seed=seed + 1, dtype="float64"), name="W2"),
        gc.variable(np.full(10, -0.1), name="b2"),
    ]
    hidden = gc.relu(x @ weights[0] + weights[1])
    probabilities = gc.softmax(hidden @ weights[2] + weights[3])
    return x, t, gc.mean(gc.sparse_categorical_crossentropy(t, probabilities)), weights


def difference(loss_at, value: np.ndarray, place: tuple[int, ...]) -> float:
    """The central difference of order 4: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h, with an error of h**4."""
    found = []
    for steps in (1, -1, 2, -2):
        moved = value.copy()
        moved[place] += steps * STEP
        found.append(loss_at(moved))
    return (8 * (found[0] - found[1]) - (found[2] - found[3])) / (12 * STEP)


@pytest.mark.parametrize("which", range(4), ids=["W1", "b1", "W2", "b2"])
@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_gradients_equal_central_differences(which: int, backend: str) -> None:
    x, t, loss, weights = network(seed=3)
    rng = np.random.default_rng(5)
    images, labels = rng.normal(size=(8, 20)), rng.integers(0, 10, 8)
    variable = weights[which]
    gradient = np.asarray(gc.compile([x, t], gc.grad(loss, variable), backend=backend)(images, labels))
    forward = gc.compile([x, t], loss)

    def loss_at(value: np.ndarray) -> float:
        variable.value = value
        return float(forward(images, labels))

    start = variable.value
    numeric = np.array([difference(loss_at, start, place) for place in np.ndindex(start.shape)]).reshape(start.shape)
    assert np.abs(gradient).max() > 1e-3
    assert np.linalg.norm(gradient - numeric) <= 1e-7 * np.linalg.norm(numeric)


TRAIN = """
import hashlib, sys
import numpy as np
import graphc as gc
sys.path.insert(0, sys.argv[1])
x = gc.input("x", ("batch", 20))
t = gc.input("t", ("batch",), "int32")
w1 = gc.variable(gc.init.glorot_uniform((20, 16), seed=0), name="W1")
w2 = gc.variable(gc.init.glorot_uniform((16, 10), seed=1), name="W2")
loss = gc.mean(gc.sparse_categorical_crossentropy(t, gc.relu(x @ w1) @ w2, from_logits=True))
d1, d2 = gc.grad(loss, [w1, w2])
step = gc.compile([x, t], loss, {w1: w1 - 0.1 * d1, w2: w2 - 0.1 * d2})
rng = np.random.default_rng(2)
for _ in range(20):
    step(rng.random((32, 20), "float32"), rng.integers(0, 10, 32))
print(hashlib.sha256(w1.value.tobytes() + w2.value.tobytes()).hexdigest(), hashlib.sha256(step.source.encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bits_and_the_same_source(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    printed = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, str(script), str(tmp_path)], env=environment, capture_output=True, text=True, check=True)
        printed.add(done.stdout)
    assert len(printed) == 1
    assert len(printed.pop().split()[0]) == hashlib.sha256().digest_size * 2
