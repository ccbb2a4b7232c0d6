"""``python -m benchmarks.saturation W1 W3``: equality saturation beside the worklist, on the graphs of workloads and a few of algebra.

Costs are estimated microseconds of a call, node by node, before anything is fused. Of workloads the calls are measured too, of graphc with
``saturate=True`` over that of graphc without.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import graphc as gc
from benchmarks import tables
from benchmarks.contestants import SATURATED, Graphc
from benchmarks.timing import measure
from benchmarks.worker import NoResultError, Settings, fix_threads
from benchmarks.workload import Workload, workloads
from graphc.core import Tensor, toposort
from graphc.lower.cost import Estimate
from graphc.rewrite import DEFAULT, simplify
from graphc.rewrite.saturation import saturate

HEAD = [
    "graph",
    "declared: nodes / us",
    "worklist",
    "and saturated",
    "worklist, s",
    "saturation, s",
    "nodes of the e-graph",
    "a call / without",
    "first result / without",
]


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


def measured(workload: Workload, settings: Settings) -> list[str]:
    """A call and the time to the first result, over those without saturation; ``~`` where noise may have made the difference."""
    found = measure(workload, ("graphc", SATURATED), settings)
    plain, saturated = found["graphc"], found[SATURATED]
    for one in (plain, saturated):
        if one.reason:
            raise NoResultError(one.reason)
    return [tables.relative(saturated, plain, "median"), tables.relative(saturated, plain, "first")]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.saturation", description=__doc__)
    parser.add_argument("names", nargs="*", default=["W1", "W3", "W7", "W9"], metavar="W1")
    parser.add_argument("--nodes", type=int, default=1_000, metavar="N", help="of the e-graph (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="for each graph (%(default)s)")
    parser.add_argument("--samples", type=float, default=5.0, metavar="S", help="seconds of calls of each function; 0: none (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="processors and threads for the calls (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: to see that it works")
    tables.add_markdown(parser)
    asked = parser.parse_args(arguments)
    settings = Settings(asked.samples, asked.threads, asked.tiny)
    if asked.samples:
        fix_threads(asked.threads)
    rows = [[*row(name, roots, {}, asked.nodes, asked.seconds), "", ""] for name, roots in algebra()]
    for name in asked.names:
        workload, recorder = workloads()[name], Recorder()
        recorder.start(1)
        task = workload.task(asked.tiny)
        recorder.build(workload.model["graphc"], task)
        batch = len(task.batches[0][0]) if task.batches[0] else 1
        calls = measured(workload, settings) if asked.samples else ["", ""]
        rows.append([*row(name, recorder.roots, {"batch": batch}, asked.nodes, asked.seconds), *calls])
    text = f"{tables.table(HEAD, rows)}\n\n{tables.about(['graphc'], asked.threads)}"
    tables.publish(text, "saturation", asked.markdown)


if __name__ == "__main__":
    main()
