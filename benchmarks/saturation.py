"""``python -m benchmarks.saturation W1 W3``: equality saturation beside the worklist, on the graphs of workloads and a few of algebra.

Costs are estimated microseconds of a call, node by node, before anything is fused.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import graphc as gc
from benchmarks.contestants import Graphc
from benchmarks.tables import table
from benchmarks.workload import workloads
from graphc.core import Tensor, toposort
from graphc.lower.cost import Estimate
from graphc.rewrite import DEFAULT, simplify
from graphc.rewrite.saturation import saturate


class Recorder(Graphc):
    """Keeps what is to be compiled."""

    roots: Sequence[Tensor] = ()

    def compile(self, inputs: Sequence[Tensor], outputs: Any, updates: Any = None) -> Any:
        self.roots = [*([outputs] if isinstance(outputs, Tensor) else outputs), *(updates or {}).values()]
        return lambda *values: None


def algebra() -> Iterator[tuple[str, list[Tensor]]]:
    x, y, z = (gc.input(name, (1000, 100)) for name in "xyz")
    a, b, c = gc.input("a", (200, 10)), gc.input("b", (10, 200)), gc.input("c", (200, 5))
    m, n = gc.input("m", (100, 100)), gc.input("n", (100, 100))
    yield "(a b a b) c", [(((a @ b) @ a) @ b) @ c]
    yield "a (b (a (b c))), a b", [a @ (b @ (a @ (b @ c))), a @ b]
    yield "x y + x z + x²", [x * y + x * z + gc.square(x)]
    yield "x m + x n + x mᵀ", [x @ m + x @ n + x @ m.T]
    yield "((x m) n + z n)", [(x @ m) @ n + z @ n]
    yield "x (y + z) - x y", [x * (y + z) - x * y]
    yield "(x y) (x z)", [(x * y) * (x * z), x * x]


def row(name: str, roots: Sequence[Tensor], known: dict[str, int], nodes: int, seconds: float) -> list[str]:
    estimate = Estimate(known)
    started = time.perf_counter()
    plain = simplify(roots)
    between = time.perf_counter()
    found = saturate(plain.roots, DEFAULT, estimate, nodes=nodes, seconds=seconds)
    done = time.perf_counter()
    both = [(len(toposort(some)), estimate.total(some)) for some in (roots, plain.roots, found.roots)]
    counts = [f"{count} / {cost:.4g}" for count, cost in both]
    return [name, *counts, f"{between - started:.3f}", f"{done - between:.3f}", f"{found.nodes}, {found.stopped}"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.saturation", description=__doc__)
    parser.add_argument("names", nargs="*", default=["W1", "W3", "W7", "W9"], metavar="W1")
    parser.add_argument("--nodes", type=int, default=1_000, metavar="N", help="of the e-graph (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="for each graph (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: to see that it works")
    asked = parser.parse_args(arguments)
    rows = [row(name, roots, {}, asked.nodes, asked.seconds) for name, roots in algebra()]
    for name in asked.names:
        workload, recorder = workloads()[name], Recorder()
        recorder.start(1)
        task = workload.task(asked.tiny)
        recorder.build(workload.model["graphc"], task)
        batch = len(task.batches[0][0]) if task.batches[0] else 1
        rows.append(row(name, recorder.roots, {"batch": batch}, asked.nodes, asked.seconds))
    head = ["graph", "declared: nodes / us", "worklist", "and saturated", "worklist, s", "saturation, s", "nodes of the e-graph"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
