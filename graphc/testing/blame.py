"""Which operation makes a gradient wrong: each is checked by itself, with the values that come to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphc.core import Bundle, Input, Subgraph, Tensor, as_tensor, dtypes, input, sizes, toposort
from graphc.core.errors import GraphcError
from graphc.core.graph import ancestors_through
from graphc.core.op import parts
from graphc.grad import carries
from graphc.lower.compute import Interpreter
from graphc.testing.gradients import How, Level, projected
from graphc.testing.report import Blame, Entry, GradientReport

Array = np.ndarray[Any, Any]
_TITLES = {"custom": "custom_gradient"}


def at_fault(y: Tensor, xs: Sequence[Tensor], values: Mapping[Input, Array], how: How) -> Blame | None:
    """The first operation between ``xs`` and ``y`` whose own derivative is wrong at these values; None if each is right by itself."""
    found = {name: n for x, value in values.items() for name, n in _sizes(x, value)}
    return _first(y, xs, {**values}, found, replace(how, method="auto", kinks=False))


def _sizes(x: Input, value: Array) -> list[tuple[str, int]]:
    return [(name, n) for size, n in zip(x.shape, value.shape, strict=True) if (name := sizes.name_of(size)) is not None]


def _first(y: Tensor, xs: Sequence[Tensor], values: dict[Tensor, Any], bound: Mapping[str, int], how: How) -> Blame | None:
    watching = _Watching(bound)
    order = toposort([y])
    known = watching.every([y], values)
    carrying = ancestors_through(order, xs, carries)
    on_the_way = [node for node in order if node in carrying]
    # What cuts the path on purpose, as stop_gradient does, comes after what does not.
    cutting = [node for node in order if node not in carrying and not carrying.isdisjoint(node.inputs)]
    for node in [*on_the_way, *cutting]:
        if node.op is None:
            continue
        entry = _own(node, [known[x] for x in node.inputs], how)
        if entry is not None:
            inner = _inside(watching.calls.get(node, {}), bound, how)
            return inner or Blame(_TITLES.get(node.op.name, node.op.name), (node.forward or node).origin or node.origin, entry)
    return None


def _own(node: Tensor, given: Sequence[Any], how: How) -> Entry | None:
    """The worst entry of a node's own derivative, if it is wrong."""
    assert node.op is not None
    operands = zip(_names(node), node.inputs, strict=True)
    fresh = [x if isinstance(x.type, Bundle) else input(name, x.shape, x.dtype) for name, x in operands]
    if any(not isinstance(x, Input) for x in fresh):
        return None  # a part of several results only picks one
    values: dict[Input, Array] = {x: np.asarray(value) for x, value in zip(fresh, given, strict=True) if isinstance(x, Input)}
    made = node.op.apply(tuple(fresh), node.attrs, node)
    try:
        results = [y for y in (parts(made) if isinstance(made.type, Bundle) else (made,)) if dtypes.is_inexact(y.dtype)]
        wrt = [x for x in values if dtypes.is_inexact(x.dtype)]
        if not results or not wrt:
            return None
        total = sum([projected(y, values, how.rng, always=True) for y in results], start=as_tensor(np.float64(0)))
        report = GradientReport(tuple(Level(total, wrt, values, 1, how).entries()))
    except GraphcError:
        return None  # it cannot be run by itself: a named size that no operand has
    return None if report else report.worst


def _inside(calls: Mapping[Subgraph, Sequence[Any]], bound: Mapping[str, int], how: How) -> Blame | None:
    """The first wrong operation in the bodies of a loop or a branch, at the values of their first calls."""
    for body, arguments in calls.items():
        wrt = [x for x in body.parameters if dtypes.is_inexact(x.dtype)]
        for y in [y for y in body.outputs if dtypes.is_inexact(y.dtype)]:
            found = _first(y, wrt, dict(zip(body.parameters, arguments, strict=True)), bound, how)
            if found is not None:
                return found
    return None


class _Watching(Interpreter):
    """An interpreter that keeps what bodies were first called with."""

    def __init__(self, bound: Mapping[str, int]) -> None:
        super().__init__(bound)
        self.calls: dict[Tensor, dict[Subgraph, Sequence[Any]]] = {}

    def call(self, node: Tensor, body: Subgraph, *arguments: Any) -> tuple[Any, ...]:
        """The results of a body, as without watching."""
        self.calls.setdefault(node, {}).setdefault(body, [np.array(x) for x in arguments])
        return super().call(node, body, *arguments)


def _names(node: Tensor) -> list[str]:
    assert node.op is not None
    return [f"{node.op.operands[0]}{i}" for i in range(len(node.inputs))] if node.op.variadic else list(node.op.operands)
