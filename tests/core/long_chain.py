"""A chain of nodes that is too long to recurse over, differentiated, compiled, run and freed; the time of each.

``python tests/core/long_chain.py --nodes 100000``; the suite takes a shorter one (test_nodes.py).
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np

import graphc as gc

STAGES = ("build", "differentiate", "compile", "run")


def main() -> None:
    """Take the chain from end to end. Raises ``AssertionError`` for a wrong value or derivative."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100_000)
    count = parser.parse_args().nodes
    start = np.array([0.1, 0.2, 0.3, 0.4])
    times = [perf_counter()]
    x = y = gc.input("x", (4,), "float64")
    for _ in range(count):
        y = gc.sin(y)
    times.append(perf_counter())
    dx = gc.grad(gc.sum(y), x)
    times.append(perf_counter())
    run = gc.compile([x], [gc.sum(y), dx])
    times.append(perf_counter())
    value, slope = run(start)
    times.append(perf_counter())

    exact, factor = start, np.ones(4)
    for _ in range(count):
        factor *= np.cos(exact)
        exact = np.sin(exact)
    assert np.isclose(value, exact.sum(), rtol=1e-9), (value, exact)
    assert np.allclose(slope, factor, rtol=1e-6), (slope, factor)
    told = ", ".join([f"{stage} {t1 - t0:.2f} s" for stage, t0, t1 in zip(STAGES, times, times[1:], strict=False)])

    freeing = perf_counter()
    del x, y, dx, run
    print(f"{count:,} nodes: {told}, freed in {perf_counter() - freeing:.2f} s")


if __name__ == "__main__":
    main()
