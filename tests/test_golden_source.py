"""Golden pages of the book's network: the emitted source of a training step on both targets, and the report.

``GRAPHC_GOLDEN=write pytest -n0 tests/test_golden_source.py`` writes them anew; look at the difference before you keep it.
"""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import Constant, Origin, toposort

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("GRAPHC_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; GRAPHC_GOLDEN=write writes it anew"


def training_step(backend: Any) -> Any:
    """One step of gradient descent for Dense(512, relu), Dense(10, softmax), each node on a line of its own."""
    x, labels = gc.input("images", ("batch", 784)), gc.input("labels", ("batch",), "int32")
    shapes = {"W1": (784, 512), "b1": (512,), "W2": (512, 10), "b2": (10,)}
    w1, b1, w2, b2 = weights = [gc.variable(np.zeros(shape, "float32"), name) for name, shape in shapes.items()]
    hidden = gc.relu(x @ w1 + b1).named("hidden")
    loss = gc.mean(gc.sparse_categorical_crossentropy(labels, gc.softmax(hidden @ w2 + b2))).named("loss")
    for line, node in enumerate(toposort([loss]), 1):
        if not isinstance(node, Constant):
            node.origin = Origin("mlp.py", line)
    gradients = gc.grad(loss, weights)
    return gc.compile([x, labels], loss, updates={w: w - 0.1 * g for w, g in zip(weights, gradients, strict=True)}, backend=backend)


def without_this_file(source: str) -> str:
    """Lines of this file move when it is edited."""
    return re.sub(r"test_golden_source\.py:\d+", "train.py", source)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_the_source_of_a_training_step(backend: str) -> None:
    golden(f"book.{backend}.py.txt", without_this_file(training_step(backend).source))


def test_the_report_of_a_training_step() -> None:
    report = re.sub(r" +[\d.]+ ms", "", str(training_step("numpy").report))
    golden("book.report.txt", report + "\n")
