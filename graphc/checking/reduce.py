"""A failing problem made small: fewer results, fewer nodes, smaller arrays, plainer numbers, for as long as it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from graphc.checking.blame import Culprit
from graphc.checking.ddmin import Clock, ddmin
from graphc.checking.problem import Compile, Problem, at_node, bound, cut, resized, selected
from graphc.checking.roads import promise_of, roads_of
from graphc.core import Bundle, Tensor, dtypes, toposort
from graphc.core.errors import GraphcError
from graphc.core.subgraph import Parameter

Fails = Callable[[Problem], bool]
REFUSED: Final = (GraphcError, ArithmeticError, AssertionError, LookupError, NotImplementedError, TypeError, ValueError)
"""What may come of a problem that was cut up wrongly: it is no smaller problem then."""


def failing(road: str, compile: Compile, backend: Any) -> Fails:
    """Whether a problem differs on the road of this kind."""

    def fails(problem: Problem) -> bool:
        try:
            return _differs(road, problem, problem.compiled(compile, backend).report)
        except REFUSED:
            return False

    return fails


def _differs(kind: str, problem: Problem, report: Any) -> bool:
    if kind == "rules":
        promise = promise_of(report)._replace(units=1)
        values = problem.interpreted(report.lowered)
        return any(problem.plain.difference(i, value, promise) is not None for i, value in enumerate(values))
    return any(road.differences(problem) is not None for road in roads_of(report))


def smaller(problem: Problem, number: int, found: Culprit, fails: Fails, clock: Clock) -> Problem | None:
    """A small problem that fails as this one does in its root of this number; None if it does not fail when it is done again."""
    for start in _starts(problem, number, found):
        if fails(start):
            break
    else:
        return None
    for step in (_with_numbers, _without_updates, _with_fewer_nodes, _with_fewer_items, _with_plain_numbers):
        start = step(start, fails, clock)
    return start


def _starts(problem: Problem, number: int, found: Culprit) -> Iterator[Problem]:
    """Where to begin, the most hopeful first: the node that was found, the result that differs, everything."""
    reached = toposort([found.node])
    if not isinstance(found.node.type, Bundle) and not any(isinstance(x, Parameter) for x in reached) and found.node.op is not None:
        yield at_node(problem, [found.node])
    yield selected(problem, [number])
    yield problem


def _with_numbers(problem: Problem, fails: Fails, clock: Clock) -> Problem:
    """Numbers in the place of named sizes."""
    return _if_it_fails(lambda: bound(problem), fails) or problem


def _without_updates(problem: Problem, fails: Fails, clock: Clock) -> Problem:
    """Results alone, and inputs in the place of variables."""
    if not problem.updated:
        return problem
    return _if_it_fails(lambda: at_node(problem, problem.roots), fails) or problem


def _if_it_fails(make: Callable[[], Problem], fails: Fails) -> Problem | None:
    try:
        made = make()
    except REFUSED:
        return None
    return made if fails(made) else None


def _with_fewer_nodes(problem: Problem, fails: Fails, clock: Clock) -> Problem:
    """Inputs of the values that were computed in the place of all nodes that can be spared."""
    if problem.sizes:
        return problem  # an input needs a shape that others say
    known = problem.every()
    nodes = [node for node in toposort(problem.roots) if node.op is not None and not isinstance(node.type, Bundle)]
    spare = [node for node in nodes if node not in problem.roots]

    def still(kept: Sequence[Tensor]) -> bool:
        return fails(cut(problem, known, kept))

    kept = ddmin(spare, still, clock)
    return _if_it_fails(lambda: cut(problem, known, kept), fails) or problem


def _with_fewer_items(problem: Problem, fails: Fails, clock: Clock) -> Problem:
    """Shorter axes: of all that have one size, the items without which it fails no more."""
    if problem.sizes:
        return problem
    lengths = {size for x in problem.values for size in np.shape(problem.values[x]) if size > 1}
    for length in sorted(lengths, reverse=True):
        if clock.is_over:
            return problem

        def shorter(items: Sequence[int], now: Problem = problem, length: int = length) -> Problem:
            return resized(now, lambda size: len(items) if size == length else size, lambda value: _taken(value, length, items))

        def still(items: Sequence[int], shorter: Callable[[Sequence[int]], Problem] = shorter) -> bool:
            return bool(items) and _if_it_fails(lambda: shorter(items), fails) is not None

        items = ddmin(range(length), still, clock)
        if len(items) < length:
            problem = _if_it_fails(lambda items=items, shorter=shorter: shorter(items), fails) or problem
    return problem


def _taken(value: Any, length: int, items: Sequence[int]) -> Any:
    for axis, size in enumerate(np.shape(value)):
        if size == length:
            value = np.take(value, items, axis)
    return value


def _with_plain_numbers(problem: Problem, fails: Fails, clock: Clock) -> Problem:
    """Whole numbers, or few digits, in the place of what was computed."""
    for x in list(problem.values):
        if not dtypes.is_float(x.dtype) or x in problem.updated:
            continue
        for plainer in _plainer(np.asarray(problem.values[x])):
            if clock.is_over:
                return problem
            other = _with_value(problem, x, plainer)
            if fails(other):
                problem = other
                break
    return problem


def _plainer(value: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    yield np.ones_like(value)
    for digits in (0, 1, 2, 3):
        with np.errstate(all="ignore"):
            yield np.asarray(np.round(value.astype(np.float64), digits)).astype(value.dtype)


def _with_value(problem: Problem, x: Tensor, value: Any) -> Problem:
    values: Mapping[Tensor, Any] = {**problem.values, x: value}
    return Problem(problem.inputs, problem.roots, problem.outputs, problem.updated, values, problem.sizes)
