"""What checks cost: ``python tests/checking/cost.py`` prints the time of a checked training step in those of an unchecked one."""

import argparse
import statistics
import time
from typing import Any

import numpy as np

import graphc as gc

WATCHED: dict[str, dict[str, Any]] = {
    "unchecked": {},
    "debug_nans=True": {"debug_nans": True},
    "check=True, one backend": {"check": gc.Check(other_backend=False)},
    "check=True": {"check": True},
}


def step(backend: str, **options: Any) -> gc.Function:
    """A step of gradient descent of the network of 512 hidden units, on 28 x 28 pixels and 10 classes."""
    x, t = gc.input("x", ("batch", 784)), gc.input("t", ("batch",), "int32")
    shapes = {"w1": (784, 512), "w2": (512, 10)}
    w1, w2 = (gc.variable(gc.init.glorot_uniform(shape, seed=0), name=name) for name, shape in shapes.items())
    loss = gc.mean(gc.sparse_categorical_crossentropy(t, gc.relu(x @ w1) @ w2, from_logits=True))
    updates = {w: w - 0.01 * g for w, g in zip((w1, w2), gc.grad(loss, [w1, w2]), strict=True)}
    return gc.compile([x, t], loss, updates, backend=backend, **options)  # type: ignore[arg-type]


def main() -> None:
    """Measure processor time, the ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=12)
    rounds = parser.parse_args().times
    rng = np.random.default_rng(0)
    images, labels = rng.random((128, 784), "float32"), rng.integers(0, 10, 128).astype("int32")
    for backend in ("numpy", "jax"):
        steps = {name: step(backend, **options) for name, options in WATCHED.items()}
        spent: dict[str, list[int]] = {name: [] for name in steps}
        for _ in range(rounds + 1):
            for name, call in steps.items():
                before = time.process_time_ns()
                np.asarray(call(images, labels))
                spent[name].append(time.process_time_ns() - before)
        times = {name: statistics.median(found[1:]) for name, found in spent.items()}
        print(backend, *[f"{name}: {found / times['unchecked']:.2f}" for name, found in times.items()], sep="  ")


if __name__ == "__main__":
    main()
