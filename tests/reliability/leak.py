"""Memory over many calls, and memory to compile.

``python tests/reliability/leak.py --times 100000`` calls each function so often and prints the resident memory after a tenth of the
calls, at the end, and the drift between; then the memory that compiling graphs of 1,000, 4,000 and 16,000 nodes takes at its peak, in
bytes a node. It ends with 1 if a drift is above 1 MiB or a node of the largest graph takes half as much again as one of the smallest.
"""

from __future__ import annotations

import argparse
import gc as garbage
import os
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gc
from graphc import nn

Call = Callable[[int], Any]
DRIFT = 1 << 20
SIZES = (1_000, 4_000, 16_000)


# ---------------------------------------------------------------- calls
def trained() -> Call:
    """A step of training with Adam."""
    model = nn.Sequential([nn.Input((8,)), nn.layers.Dense(16, activation="relu"), nn.layers.BatchNormalization(), nn.layers.Dense(1)])
    model.compile(nn.optimizers.Adam(1e-3), "mse")
    x, y = np.ones((4, 8), "float32"), np.ones((4, 1), "float32")
    return lambda number: model.train_on_batch(x, y)


def sized() -> Call:
    """A function of many batch sizes, more than it keeps buffers for."""
    x = gc.input("x", ("n", 8))
    run = gc.compile([x], gc.sum(gc.tanh(x) @ gc.transpose(gc.exp(x)), axis=0))
    points = [np.ones((n, 8), "float32") for n in range(1, 21)]
    return lambda number: run(points[number % len(points)])


def looped() -> Call:
    """A loop and its gradient."""
    x = gc.input("x", (5, 3))
    total = gc.sum(gc.scan(lambda carry, item: (gc.tanh(carry + item), carry), gc.zeros((3,)), x)[0])
    run, point = gc.compile([x], [total, gc.grad(total, x)]), np.ones((5, 3), "float32")
    return lambda number: run(point)


def refused() -> Call:
    """Calls that raise."""
    x = gc.input("x", (3,))
    run, bad = gc.compile([x], gc.exp(x)), np.ones((4,), "float32")

    def call(number: int) -> None:
        try:
            run(bad)
        except gc.errors.ShapeError:
            return
        raise AssertionError("a wrong shape was taken")

    return call


def declared() -> Call:
    """Graphs that are built, differentiated and dropped; one in a hundred is compiled as well."""

    def call(number: int) -> None:
        x = gc.input("x", (3,))
        y = gc.sum(gc.tanh(x * float(number)))
        slope = gc.grad(y, x)
        if number % 100 == 0:
            gc.compile([x], [y, slope])(np.ones(3, "float32"))

    return call


CALLS: dict[str, Callable[[], Call]] = {make.__name__: make for make in (trained, sized, looped, refused, declared)}


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def drift(name: str, times: int) -> tuple[int, int]:
    """Bytes resident after a tenth of the calls, and after all."""
    call = CALLS[name]()
    for number in range(times // 10):
        call(number)
    garbage.collect()
    before = resident()
    for number in range(times // 10, times):
        call(number)
    garbage.collect()
    return before, resident()


def left(name: str, times: int = 200) -> dict[str, int]:
    """The objects, by type, of which there are more after so many more calls, and how many more."""
    call = CALLS[name]()
    for number in range(times):
        call(number)
    before = _objects()
    for number in range(times, 2 * times):
        call(number)
    return {kind: count - before[kind] for kind, count in _objects().items() if count - before[kind] > times // 20}


def _objects() -> Counter[str]:
    garbage.collect()
    return Counter(type(item).__qualname__ for item in garbage.get_objects())


# ---------------------------------------------------------------- compilations
def chain(nodes: int) -> tuple[Any, Any]:
    """A graph of about so many nodes, no two layers of which are alike in their constants."""
    x = gc.input("x", (4, 4))
    y = x
    for number in range(nodes // 4):
        y = gc.tanh(y * (1 + number / nodes)) + x * (number + 1.5)
    return x, gc.sum(y)


def taken(nodes: int) -> tuple[int, int]:
    """How many nodes a graph has, and the bytes that compiling it takes at the peak."""
    x, y = chain(nodes)
    count = len(gc.core.toposort([y]))
    garbage.collect()
    tracemalloc.start()
    kept = gc.compile([x], y)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept is not None
    return count, most


def a_node(sizes: tuple[int, ...] = SIZES) -> Iterator[tuple[int, int, float]]:
    """For each size: nodes, bytes, bytes a node."""
    taken(sizes[0])  # what is made once and stays
    for size in sizes:
        count, most = taken(size)
        yield count, most, most / count


def main() -> int:
    """Measure all of it, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100_000)
    parser.add_argument("--only", choices=CALLS, action="append")
    given = parser.parse_args()
    bad = 0
    for name in given.only or CALLS:
        before, after = drift(name, given.times)
        bad += after - before > DRIFT
        print(
            f"{name}: {given.times} calls, {before / 2**20:.1f} MiB, then {after / 2**20:.1f} MiB: {(after - before) / 1024:+.0f} KiB",
            flush=True,
        )
    if not given.only:
        found = list(a_node())
        bad += found[-1][2] > 1.5 * found[0][2]
        for count, most, each in found:
            print(f"compiling {count} nodes: {most / 2**20:.1f} MiB, {each:.0f} bytes a node", flush=True)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
