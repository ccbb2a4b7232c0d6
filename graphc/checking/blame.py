"""Which node it is: from a result that differs down to the first node that does, on the road where it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.checking.problem import Problem
from graphc.checking.roads import LIBRARIES, Road, promise_of_rules
from graphc.checking.rounding import Difference, Plain, Promise, difference
from graphc.core import Bundle, Tensor, TensorType, Variable, describe, dtypes, parts, sizes, toposort
from graphc.core.expr import Input
from graphc.core.record import Record
from graphc.core.subgraph import Parameter
from graphc.lower import NumpyProgram
from graphc.lower.compute import JaxInterpreter
from graphc.lower.schedule import read_by, written_by
from graphc.lower.source.watching import noting

OPTIONAL = ("fuse", "threads", "order", "reuse")
"""What a plan for NumPy can do without."""


class Culprit(Record):
    """The first node that differs: the road, the node, its operands' values, how it differs, and what more is known."""

    road: str
    node: Tensor
    operands: tuple[Any, ...]
    difference: Difference
    rule: str = ""
    notes: tuple[str, ...] = ()


def culprit(problem: Problem, number: int, road: Road, found: Difference) -> Culprit | None:
    """Who makes a road's root of this number differ; None where its value is not unique and every node by itself is right."""
    lowered = problem.interpreted([road.report.lowered[number]])[0]
    if problem.plain.difference(number, lowered, road.promise._replace(units=1)) is not None:
        return _by_rules(problem, number, road, found)
    if isinstance(road.program, NumpyProgram):
        return _by_plan(problem, number, road, road.program, found)
    return _by_backend(problem, number, road, found)


# ---------------------------------------------------------------- rules
def _by_rules(problem: Problem, number: int, road: Road, found: Difference) -> Culprit:
    """The first use of a rule, or the first node that another pass changed, whose value is not what it was."""
    stage = _first_stage(problem, number, road)
    for application in stage.applied:
        one = _changed(problem, application.before, application.after, application.rule.safety)
        if one is not None:
            apart, operands = one
            rule = application.rule
            notes = [f"the rule {rule.name} ({rule.safety}: {rule.sentence.splitlines()[0]}) made of it {describe(application.after)}"]
            return Culprit("rules", application.before, operands, apart, rule.name, tuple(notes))
    note = f"the pass {stage.name!r} changed it"
    for became in stage.became:
        for before, after in became.items():
            one = _changed(problem, before, after, "overflow")
            if one is not None:
                return Culprit("rules", before, one[1], one[0], "", (note,))
    root = problem.roots[number]
    return Culprit("rules", root, _operands(problem, root), found, "", (note,))


def _first_stage(problem: Problem, number: int, road: Road) -> Any:
    for stage in road.report.passes:
        value = problem.interpreted([stage.roots[number]])[0]
        if problem.plain.difference(number, value, road.promise._replace(units=1)) is not None:
            return stage
    return road.report.passes[-1]


def _changed(problem: Problem, before: Tensor, after: Tensor, safety: str) -> tuple[Difference, tuple[Any, ...]] | None:
    """How a node differs from the one that took its place, and its operands' values. In a body it is tried on numbers at random."""
    if before.type is not after.type:
        return None
    for values in _values(problem, [before, after]):
        both = Problem(problem.inputs, (before, after), 2, (), values, problem.sizes)
        known = both.every()
        promise = promise_of_rules([safety])
        apart = difference(known[after], known[before], promise, lambda both=both: both.plain.spread(0, 1))
        if apart is not None:
            return apart, tuple([known[x] for x in before.inputs])
    return None


def _values(problem: Problem, roots: Sequence[Tensor]) -> Iterator[Mapping[Tensor, Any]]:
    """Values for the leaves: those of the problem, and some for the parameters of a body."""
    leaves = [x for x in toposort(roots) if isinstance(x, Input | Variable)]
    unknown = [x for x in leaves if x not in problem.values]
    if not unknown:
        yield problem.values
        return
    if not all(isinstance(x, Parameter) for x in unknown):
        return
    for low, high in ((0.5, 1.5), (-2.0, 2.0)):
        rng = np.random.default_rng(0)
        yield {**problem.values, **{x: _drawn(rng, x.type, problem.sizes, low, high) for x in unknown}}


def _drawn(rng: np.random.Generator, type: TensorType, known: Mapping[str, int], low: float, high: float) -> Any:
    shape = [sizes.bind(size, known) for size in type.shape]
    if not dtypes.is_inexact(type.dtype):
        return np.asarray(rng.integers(0, 2, shape)).astype(dtypes.numpy_dtype(type.dtype))
    return np.asarray(rng.uniform(low, high, shape)).astype(dtypes.numpy_dtype(type.dtype))


# ---------------------------------------------------------------- order, memory, source
def _by_plan(problem: Problem, number: int, road: Road, program: NumpyProgram, found: Difference) -> Culprit:
    """The first step that writes what it should not, or that reads what it should not, although it was written well."""
    noted = program.watched("note")
    with noting() as notes:
        problem.run(noted)
    schedule = noted.planned[0]
    roots = (*schedule.outputs, *schedule.updates.values())
    lowered = Problem(problem.inputs, roots, len(roots), (), problem.values, problem.sizes)
    expected = lowered.every()
    more = tuple(_without(problem, road))
    for note in notes:
        step = schedule.steps[note.step]
        for x, value in zip(read_by(step), note.read, strict=True):
            apart = _off(lowered, x, value, expected, road.promise)
            if apart is not None:
                node = written_by(step)[0]
                lost = f"its operand {describe(x)} was right when written, and wrong when read: its memory was taken too early"
                return Culprit("plan", node, note.read, apart, "", (lost, *_by_rows(step), *more))
        for node, value in zip(written_by(step), note.written, strict=True):
            apart = _off(lowered, node, value, expected, road.promise)
            if apart is not None:
                return Culprit("plan", node, note.read if node is step else (), apart, "", (*_by_rows(step), *more))
    root = road.report.lowered[number]
    return Culprit("plan", root, (), found, "", ("each step wrote what it should: it was lost at the end of the call", *more))


def _off(lowered: Problem, node: Tensor, value: Any, expected: Mapping[Tensor, Any], promise: Promise) -> Difference | None:
    def spread() -> Any:
        return Plain([node], lowered.values, lowered.sizes).spread(0, 1)

    return difference(value, expected[node], promise._replace(exact=False), spread)


def _by_rows(step: Any) -> list[str]:
    return [] if isinstance(step, Tensor) else [f"it is one of {len(step.nodes)} nodes in a loop over rows"]


def _without(problem: Problem, road: Road) -> Iterator[str]:
    """Optimisations without which the difference is gone."""
    assert isinstance(road.program, NumpyProgram)
    for name in OPTIONAL:
        other = Road(road.title, road.kind, road.program.watched("free", [name]), road.report, road.promise)
        if other.differences(problem) is None:
            yield f"the difference is gone with without={name!r}"


# ---------------------------------------------------------------- backend
def _by_backend(problem: Problem, number: int, road: Road, found: Difference) -> Culprit | None:
    """The first op whose form on JAX, by itself, is not what its form on NumPy is on the same operands."""
    interpreter = JaxInterpreter(problem.sizes)
    promise = Promise(units=road.promise.units)
    unique = True
    for root in (problem.roots[number], road.report.lowered[number]):
        known = problem.interpreted_nodes(root)
        for node in toposort([root]):
            if node.op is None or node.op.name in ("part", "guard"):
                continue
            if any(case.seen for case in node.op.cases):
                unique = False
                continue
            operands = tuple([known[x] for x in node.inputs])
            apart = difference(interpreter.compute(node, operands), known[node], promise, _spread_of(node, operands, problem))
            if apart is not None:
                return Culprit("backend", node, operands, apart, "", ("on the same operands JAX's form of the op gives another value",))
    if not unique:
        return None
    root = problem.roots[number]
    note = "each op agrees by itself: it is what XLA makes of them together"
    return Culprit("backend", root, _operands(problem, root), found, "", (note,))


def _spread_of(node: Tensor, operands: Sequence[Any], problem: Problem) -> Callable[[], Any]:
    """How far rounding moves one node, given its operands."""

    def spread() -> Any:
        assert node.op is not None
        leaves = [Input(None, (), (), x.type) for x in node.inputs]
        alone = node.op.apply(tuple(leaves), node.attrs)
        values: dict[Tensor, Any] = dict(zip(leaves, operands, strict=True))
        roots = parts(alone) if isinstance(alone.type, Bundle) else (alone,)
        plain = Plain(roots, values, problem.sizes)
        spreads = tuple([plain.spread(i, LIBRARIES) for i in range(len(roots))])
        return spreads if isinstance(alone.type, Bundle) else spreads[0]

    return spread


def _operands(problem: Problem, node: Tensor) -> tuple[Any, ...]:
    return tuple(problem.interpreted(node.inputs)) if node.inputs and not isinstance(node.inputs[0].type, Bundle) else ()
