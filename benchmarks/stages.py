"""``python -m benchmarks.stages``: where the time from a declaration to the first result goes, by stage and by size.

Each column is a graph of its own size, so that a stage which is not linear in the nodes shows at once: its microseconds a node grow.
"""

from __future__ import annotations

import argparse
import gc as collector
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

import graphc as gc
from benchmarks.tables import table


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    asked = parser().parse_args(arguments)
    stages(deep, 3)  # modules are imported and rules made
    for make, sizes, what in ((deep, asked.depths, "layers"), (chain, asked.ops, "ops")):
        columns = [stages(make, size) for size in sizes]
        if columns:
            print(f"\n{shown([f'{size:,} {what}' for size in sizes], columns)}")
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.stages", description=__doc__)
    add = parser.add_argument
    add("--depths", type=_numbers, default=[100, 1_000], metavar="N,N", help="of nets of dense layers with their updates (%(default)s)")
    add("--ops", type=_numbers, default=[1_000, 10_000, 100_000], metavar="N,N", help="of chains with their gradient (%(default)s)")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


WEIGHT, BIAS = np.eye(64, dtype="float32"), np.zeros(64, "float32")
Graph = tuple[Any, list[Any], list[Any]]
"""A scalar, what it is differentiated by, and a value for each input."""


def deep(depth: int) -> Graph:
    """Dense layers with relu, 64 wide, and their mean squared error: the net of W4."""
    x, t = gc.input("x", ("batch", 64)), gc.input("t", ("batch", 64))
    weights: list[Any] = []
    y: Any = x
    for i in range(depth):
        w = gc.variable(WEIGHT, f"w{i}")
        b = gc.variable(BIAS, f"b{i}")
        y = gc.relu(y @ w + b)
        weights += [w, b]
    return gc.mean(gc.square(y - t)), [x, t], weights


def chain(ops: int) -> Graph:
    """One op after another on a small vector."""
    y: Any = gc.variable(np.linspace(0.1, 0.9, 8, dtype="float32"), "x")
    x = y
    kinds: list[Callable[[Any], Any]] = [gc.sin, gc.exp, gc.tanh, lambda y: y * x, lambda y: y + 0.5]
    for i in range(ops):
        y = kinds[i % len(kinds)](y)
    return gc.sum(y), [], [x]


def stages(make: Callable[[int], Graph], size: int) -> tuple[dict[str, float], int]:
    """Processor seconds by stage, and the nodes of the loss and its gradient."""
    collector.collect()
    clock = [time.thread_time()]
    loss, inputs, weights = make(size)
    clock.append(time.thread_time())
    gradients = gc.grad(loss, weights)
    updates = {w: w - 0.01 * g for w, g in zip(weights, gradients, strict=True)}
    clock.append(time.thread_time())
    step = gc.compile(inputs, loss, updates)
    clock.append(time.thread_time())
    step(*[np.ones((32, 64), "float32") for _ in inputs])
    clock.append(time.thread_time())
    declared, differentiated, compiled, called = np.diff(clock)
    found = {"declare": declared, "grad": differentiated, **step.report.seconds, "first call": called}
    found["compile"] = compiled
    found["all"] = clock[-1] - clock[0]
    return found, step.report.passes[0].nodes


def shown(heads: Iterable[str], columns: Sequence[tuple[dict[str, float], int]]) -> str:
    """Seconds, and microseconds for each of the nodes that were declared."""
    names = dict.fromkeys(name for found, _ in columns for name in found)
    rows = [
        [name, *[f"{found.get(name, 0):.3f} s {1e6 * found.get(name, 0) / nodes:7.1f} us" for found, nodes in columns]] for name in names
    ]
    return table(["", *heads], [["nodes", *[f"{nodes:,}" for _, nodes in columns]], *rows])


if __name__ == "__main__":
    sys.exit(main())
