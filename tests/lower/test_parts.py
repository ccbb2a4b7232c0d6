"""Lines that repeat as functions of their own: the same bits, the same memory, and text that a reader can follow."""

from __future__ import annotations

import re
import traceback
import tracemalloc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.lower.source import parts

Graph = tuple[list[Any], Any, dict[Any, Any]]
"""Inputs, outputs, updates."""


@contextmanager
def saving(lines: int) -> Generator[None]:
    """Parts have to save so many lines."""
    before, parts.SAVED = parts.SAVED, lines
    try:
        yield
    finally:
        parts.SAVED = before


def weights(rng: np.random.Generator, shape: tuple[int, ...], name: str, dtype: str = "float32") -> Any:
    return gc.variable((rng.normal(size=shape) / 4).astype(dtype), name)


def dense(activation: Callable[[Any], Any], dtype: str = "float32", depth: int = 12) -> Graph:
    rng = np.random.default_rng(0)
    x, t = gc.input("x", ("batch", 8), dtype), gc.input("t", ("batch", 8), dtype)
    y: Any = x
    learned: list[Any] = []
    for i in range(depth):
        w, b = weights(rng, (8, 8), f"w{i}", dtype), weights(rng, (8,), f"b{i}", dtype)
        y = activation(y @ w + b)
        learned += [w, b]
    loss = gc.mean(gc.square(y - t))
    return [x, t], [loss, y], {w: w - 0.1 * g for w, g in zip(learned, gc.grad(loss, learned), strict=True)}


def forward() -> Graph:
    """No gradient: what a layer computes is done with after the next one."""
    inputs, (_, y), _ = dense(lambda y: gc.where(y > 0, y, gc.sort(y, axis=-1)), depth=20)
    return inputs[:1], y, {}


def residual() -> Graph:
    """Blocks with two norms and a way around, each output read at the end, a size that is read in each block."""
    rng = np.random.default_rng(1)
    x = gc.input("x", ("batch", 8))
    y: Any = x
    seen: list[Any] = []
    for i in range(10):
        w = weights(rng, (8, 8), f"block{i}.w")
        y = (y + gc.layer_norm(gc.tanh(y @ w)) * gc.mean(x)).named(f"block{i}")
        seen.append(gc.max(y, axis=-1))
    return [x], [gc.stack(seen), *seen[::3]], {}


def loops() -> Graph:
    """A loop over time of twenty layers, and its gradient."""
    rng = np.random.default_rng(2)
    x = gc.input("x", (5, "batch", 8))
    stack = [weights(rng, (8, 8), f"w{i}") for i in range(20)]

    def step(h: Any, item: Any) -> Any:
        for w in stack:
            h = gc.tanh((h + item) @ w)
        return h, h

    last, every = gc.scan(step, gc.zeros((x.shape[1], 8)), x)
    loss = gc.sum(every) + gc.sum(last)
    return [x], [loss, *gc.grad(loss, stack)], {}


def rows() -> Graph:
    """Values so large that layers are loops over blocks of rows."""
    x = gc.input("x", (4096, 64))
    y: Any = x
    for _ in range(12):
        y = gc.exp(-gc.square(y - gc.mean(y, axis=1, keepdims=True))) * y
        y = y @ gc.constant(np.eye(64, dtype="float32"))
    return [x], [gc.sum(y), *gc.grad(gc.sum(y), [x])], {}


GRAPHS = {
    "relu": lambda: dense(gc.relu),
    "where": lambda: dense(lambda y: gc.where(y > 0, y, 0.1 * y)),
    "softmax": lambda: dense(gc.softmax),
    "sort": lambda: dense(lambda y: gc.sort(y, axis=-1)),
    "float64": lambda: dense(gc.tanh, "float64"),
    "bfloat16": lambda: dense(gc.sigmoid, "bfloat16"),
    "float16": lambda: dense(lambda y: gc.relu(y) * 2, "float16"),
    "forward": forward,
    "residual": residual,
    "loops": loops,
    "rows": rows,
}


def values(inputs: list[Any]) -> list[Any]:
    rng = np.random.default_rng(3)
    return [gc.evaluate(gc.cast(rng.normal(size=[s if isinstance(s, int) else 16 for s in x.shape]), x.dtype), {}) for x in inputs]


def bits(inputs: list[Any], outputs: Any, updates: dict[Any, Any]) -> tuple[list[bytes], str]:
    """What two calls return and leave behind, and the source."""
    before = {w: w.value.copy() for w in updates}
    step = gc.compile(inputs, outputs, updates)
    given = values(inputs)
    found: list[bytes] = []
    for _ in range(2):
        results: Any = step(*given)
        found += [np.asarray(y).tobytes() for y in (results if isinstance(outputs, list) else [results])]
    found += [w.value.tobytes() for w in updates]
    for w, value in before.items():
        w.value = value
    return found, str(step.source)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_parts_compute_the_same_bits(graph: Callable[[], Graph]) -> None:
    made = graph()
    with saving(1 << 30):
        expected, long = bits(*made)
    assert "def part" not in long
    for lines in (4, 12):
        with saving(lines):
            found, short = bits(*made)
        assert found == expected
        assert "def part" in short
        assert short.count("\n") < long.count("\n")


def net(depth: int) -> str:
    inputs, (loss, _), updates = dense(gc.relu, depth=depth)
    return str(gc.compile(inputs, loss, updates).source)


def test_a_part_reads_like_the_layer() -> None:
    source = net(60)
    assert re.search(r"def part0\(buffer, w, buffer_2, b\): +# 60 times\n +dot\(buffer, w, buffer_2\) +# f32\[batch, 8\]", source)
    assert "part0(buffer57, w58, buffer58, b58)" in source
    assert "test_parts.py:" in source
    assert source.count("\n") < 300


def test_a_small_step_is_left_as_it_is() -> None:
    assert "def part" not in net(6)


def test_the_step_is_called_with_what_it_mentions() -> None:
    source = net(200)
    head = source[source.index("def step(") : source.index("):", source.index("def step("))]
    body = source[source.index("):", source.index("def step(")) :]
    bound = re.findall(r"(\w+)=\1\b", head)
    assert bound
    assert all(re.search(rf"\b{name}\b", body) for name in bound)


def test_a_failure_in_a_part_shows_the_line_and_the_users_line() -> None:
    x, s = gc.input("x", (3, 3), "float64"), gc.input("s", (), "float64")
    y: Any = x
    for _ in range(60):
        y = gc.tanh(gc.linalg.inv(y) * s) * 2.0
    step = gc.compile([x, s], gc.sum(y))
    assert "def part" in str(step.source)
    with pytest.raises(np.linalg.LinAlgError) as caught:
        step(np.eye(3), 0.0)
    shown = "".join(traceback.format_exception(caught.value))
    assert "in part0" in shown
    assert "test_parts.py:" in shown


def test_memory_is_free_when_it_was() -> None:
    """The values of ``sort`` have no buffers, and are deleted after the next layer has read them."""
    x = gc.input("x", (1 << 14,), "float64")
    y: Any = x
    for _ in range(30):
        z = gc.sort(y)
        y = z - gc.flip(gc.sort(z * 2.0), axis=0)

    def peak() -> int:
        step = gc.compile([x], gc.sum(y))
        given = np.random.default_rng(0).normal(size=1 << 14)
        step(given)
        tracemalloc.start()
        step(given)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    with saving(1 << 30):
        expected = peak()
    with saving(10):
        assert peak() <= expected + 4096
