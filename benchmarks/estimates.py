"""``python -m benchmarks.estimates W1 W3``: estimated over measured time of the nodes of the workloads, each computed by itself.

A node is one call of what its op emits, into a buffer where it has such a form. Times are processor time of one thread, so run it with
OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import graphc as gc
from benchmarks.contestants import Graphc
from benchmarks.tables import table
from benchmarks.workload import workloads
from graphc.core import Bundle, Constant, Subgraph, Tensor, TensorType, Variable, bodies, dtypes, map_bodies, sizes, toposort
from graphc.lower import compute, expand, prune
from graphc.lower.cost import Estimate
from graphc.lower.template import Written, call, helpers, imports, in_namespace, numpy_dtype_source, out_template, template_of
from graphc.pipeline import RAISING
from graphc.rewrite import DEFAULT, simplify

SAMPLES = 9
ROUND_SECONDS = 3e-4


class Timed(NamedTuple):
    """A node, how often a call of the workload computes it, and the microseconds of each time."""

    node: Tensor
    count: int
    measured: float
    estimated: float


class Recorder(Graphc):
    """Keeps what is compiled, and measures it on the values that it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Timed] = []

    def compile(self, inputs: Sequence[Tensor], outputs: Any, updates: Any = None) -> Callable[..., None]:
        roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        roots = lowered([*roots, *(updates or {}).values()])

        def step(*values: Any) -> None:
            known = {
                name: n for x, v in zip(inputs, values, strict=True) for s, n in zip(x.shape, v.shape, strict=True) if (name := str(s))
            }
            leaves = [gc.input(x.label or "x", v.shape, x.dtype) for x, v in zip(inputs, values, strict=True)]
            graph = with_numbers(roots, dict(zip(inputs, leaves, strict=True)), known)
            self.found += timed(graph, dict(zip(leaves, map(np.asarray, values), strict=True)), 1)

        return step


def lowered(roots: Sequence[Tensor]) -> list[Tensor]:
    """The graph as it is emitted, but for loops over rows."""

    def simplified(roots: Sequence[Tensor], rules: Any) -> list[Tensor]:
        return simplify(map_bodies(roots, lambda outputs: simplify(outputs, rules).roots), rules).roots

    roots = expand(prune(simplified(roots, DEFAULT)), "numpy")
    return simplified(roots, DEFAULT.without(*RAISING))


def timed(roots: Sequence[Tensor], values: dict[Tensor, Any], count: int) -> Iterator[Timed]:
    """The nodes in their order, those of bodies on made-up values."""
    estimate = Estimate()
    seen: dict[Any, float] = {}
    for node in toposort(roots):
        if isinstance(node, Constant | Variable):
            values[node] = np.asarray(node.value)
        if node in values:
            continue
        operands = [values[x] for x in node.inputs]
        values[node] = compute(node, operands)
        for body in bodies(node):
            made_up = {p: example(p) for p in body.parameters}
            yield from timed(body.outputs, made_up, count * node.attributes.get("length", 1))
        if bodies(node) or isinstance(node.type, Bundle) or (node.op and node.op.name == "part"):
            continue
        key = (node.op, node.attrs, *[(x.shape, x.strides, x.dtype) for x in operands])
        if key not in seen:
            seen[key] = microseconds(kernel(node), np.empty_like(values[node]), operands)
        yield Timed(node, count, seen[key], estimate(node))


def with_numbers(roots: Sequence[Tensor], new: dict[Tensor, Tensor], known: dict[str, int]) -> list[Tensor]:
    """The graph with numbers for its named sizes; ``new`` has its leaves so already."""

    def bound(value: Any) -> Any:
        if isinstance(value, Subgraph):
            types = [p.type.with_shape(bound(p.shape)) for p in value.parameters]
            leaves = Subgraph(types, ()).parameters
            return Subgraph(types, with_numbers(value.outputs, dict(zip(value.parameters, leaves, strict=True)), known))
        if isinstance(value, TensorType):
            return value.with_shape(bound(value.shape))
        if isinstance(value, tuple):
            items = [bound(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return sizes.bind(value, known) if isinstance(value, sizes.Size) else value

    for node in toposort(roots):
        if node not in new:
            new[node] = node if node.op is None else node.op.apply(tuple([new[x] for x in node.inputs]), bound(node.attrs))
    return [new[root] for root in roots]


def example(x: Tensor) -> Any:
    return np.random.default_rng(0).uniform(0.1, 1, x.shape).astype(dtypes.numpy_dtype(x.dtype))


def kernel(node: Tensor) -> Callable[..., None]:
    """What the op emits, as a function of the place for the result and the operands."""
    op = node.op
    assert op is not None
    names = [f"x{i}" for i in range(len(node.inputs))]
    written = Written(numpy_dtype_source, {})
    template = template_of(node, "numpy")
    assert template is not None
    body = call(node, out_template(node) or in_namespace(template, "np"), names, written, out="out")
    namespace: dict[str, Any] = {"np": np}
    exec(f"{imports([op])}{helpers([op])}def f({', '.join(['out', *names])}):\n    {body}", namespace)
    return namespace["f"]


def microseconds(function: Callable[..., None], out: Any, operands: Sequence[Any]) -> float:
    """The median of the smaller half."""

    def sample(calls: int) -> float:
        started = time.thread_time_ns()
        for _ in range(calls):
            function(out, *operands)
        return (time.thread_time_ns() - started) * 1e-9

    with np.errstate(all="ignore"):
        sample(1)
        calls = max(1, int(ROUND_SECONDS / max(1e-7, sample(1))))
        samples = sorted(sample(calls) / calls for _ in range(SAMPLES))
    return 1e6 * statistics.median(samples[: SAMPLES // 2 + 1])


def within(found: Sequence[Timed], factor: float) -> float:
    """The share of the measured time in nodes that are estimated within this factor."""
    good = math.fsum(t.count * t.measured for t in found if 1 / factor <= t.estimated / t.measured <= factor)
    return good / math.fsum(t.count * t.measured for t in found)


def correlation(found: Sequence[Timed]) -> float:
    """Of the logarithms, each node once."""
    return float(np.corrcoef(np.log([t.measured for t in found]), np.log([t.estimated for t in found]))[0, 1])


def kinds(found: Sequence[Timed]) -> str:
    """By op, the most expensive first."""
    groups: dict[str, list[Timed]] = defaultdict(list)
    for t in found:
        assert t.node.op is not None
        groups[t.node.op.name].append(t)
    rows = []
    for name, group in groups.items():
        measured, estimated = (math.fsum(t.count * t[i] for t in group) for i in (2, 3))
        ratios = sorted(t.estimated / t.measured for t in group)
        rows.append((name, len(group), measured, estimated, estimated / measured, ratios[0], ratios[-1]))
    rows.sort(key=lambda row: -row[2])
    head = ["op", "nodes", "measured, us", "estimated, us", "ratio", "least", "most"]
    return table(head, [[name, str(count), *[f"{x:.2f}" if x < 100 else f"{x:.0f}" for x in numbers]] for name, count, *numbers in rows])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.estimates", description=__doc__)
    parser.add_argument("names", nargs="*", default=["W1", "W2", "W3", "W4", "W5", "W7", "W7-hvp", "W8", "W9"], metavar="W1")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: to see that it works")
    asked = parser.parse_args(arguments)
    every: list[Timed] = []
    rows = []
    for name in asked.names:
        workload, recorder = workloads()[name], Recorder()
        recorder.start(1)
        recorder.build(workload.model["graphc"], workload.task(asked.tiny)).call()
        found = recorder.found
        every += found
        measured, estimated = (math.fsum(t.count * t[i] for t in found) for i in (2, 3))
        share, fit = within(found, 2), correlation(found)
        rows.append(
            [name, str(len(found)), f"{measured:.0f}", f"{estimated:.0f}", f"{estimated / measured:.2f}", f"{share:.0%}", f"{fit:.2f}"]
        )
    print(table(["workload", "nodes", "measured, us", "estimated, us", "ratio", "of the time within a factor of 2", "correlation"], rows))
    print(f"\nOver all: {within(every, 2):.1%} of the time within a factor of 2, correlation {correlation(every):.3f}\n")
    print(kinds(every))


if __name__ == "__main__":
    main()
