"""Golden files: `GRAPHC_GOLDEN=write pytest tests/show` writes them anew; look at the difference before you keep it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graphc import ops as gc
from graphc.core import Constant, Origin, Tensor, input, toposort, variable

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with the golden file of that name."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("GRAPHC_GOLDEN") == "write":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; GRAPHC_GOLDEN=write pytest tests/show writes it anew"

    return check


@pytest.fixture
def book() -> dict[str, Tensor]:
    """`loss(y, softmax(dot(relu(dot(x, W1) + b1), W2) + b2))`: the graph that books draw, each node on a line of its own."""
    x, y = input("x", ("batch", 784)), input("y", ("batch", 10))
    shapes = {"W1": (784, 512), "b1": (512,), "W2": (512, 10), "b2": (10,)}
    weights = {name: variable(np.zeros(shape, "float32"), name) for name, shape in shapes.items()}
    hidden = gc.relu(gc.dot(x, weights["W1"]) + weights["b1"]).named("h")
    p = gc.softmax(gc.dot(hidden, weights["W2"]) + weights["b2"]).named("p")
    loss = gc.mean(-gc.sum(y * gc.log(p), axis=-1)).named("loss")
    for line, node in enumerate(toposort([loss]), 1):
        if not isinstance(node, Constant):
            node.origin = Origin("mlp.py", line)
    return {"x": x, "y": y, **weights, "h": hidden, "p": p, "loss": loss}
