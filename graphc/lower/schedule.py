"""The order in which nodes are computed, and what can be computed once and for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphc.core import Origin, Subgraph, Tensor, Variable, describe, toposort
from graphc.core.errors import ArgumentError
from graphc.core.expr import Constant, Input


@dataclass(frozen=True)
class Schedule:
    """A graph in order.

    ``hoisted`` depend on constants and sizes alone and are computed when the function is made; ``steps`` in each call. A step is a
    node, or a :class:`~graphc.lower.rows.Rows`: several nodes in one loop.
    """

    inputs: tuple[Input, ...]
    variables: tuple[Variable, ...]
    constants: tuple[Constant, ...]
    hoisted: tuple[Tensor, ...]
    steps: tuple[Any, ...]
    outputs: tuple[Tensor, ...]
    updates: Mapping[Variable, Tensor]

    @property
    def given(self) -> tuple[Tensor, ...]:
        """What is there before the first step."""
        return (*self.inputs, *self.variables, *self.constants, *self.hoisted)

    @cached_property
    def written(self) -> tuple[tuple[Tensor, ...], ...]:
        """By step, what it computes that others may read."""
        return tuple([written_by(step) for step in self.steps])

    @cached_property
    def nodes(self) -> tuple[Tensor, ...]:
        """Every node that is computed, those in loops among them."""
        return (*self.hoisted, *[node for step in self.steps for node in written_by(step, inside=True)])

    @cached_property
    def lines(self) -> Mapping[Tensor, Origin]:
        """For what is hoisted, which other graphs may share and which so has no line of its own, that of its first reader."""
        found: dict[Tensor, Origin] = {}
        for node in reversed(self.nodes if self.hoisted else ()):
            line = node.origin or found.get(node)
            if line is not None:
                found.update({x: line for x in node.inputs if x.origin is None})
        return found

    def __str__(self) -> str:
        rows = ["hoisted  " + _line(node) for node in self.hoisted]
        for step in self.steps:
            kind = "step     " if isinstance(step, Tensor) else "by rows  "
            rows += [kind + _line(node) for node in written_by(step, inside=True)]
        return "\n".join(rows)


def written_by(step: Any, inside: bool = False) -> tuple[Tensor, ...]:
    """What a step computes that others may read; with ``inside`` all that it computes."""
    if isinstance(step, Tensor):
        return (step,)
    return step.nodes if inside else (*step.kept, *step.sums)


def read_by(step: Any) -> tuple[Tensor, ...]:
    """What a step reads."""
    return step.inputs


def may_raise(step: Any) -> bool:
    """Whether a step may fail for the values that it gets."""
    if isinstance(step, Tensor):
        return step.op is not None and step.op.raises
    return any(node.op is not None and node.op.raises for node in written_by(step, inside=True))


def _line(node: Tensor) -> str:
    assert node.op is not None
    return f"{node.op.name} {node.type}"


def schedule(inputs: Sequence[Input], outputs: Sequence[Tensor], updates: Mapping[Variable, Tensor]) -> Schedule:
    """Order the graph of outputs and updates. Raises :class:`ArgumentError` for an input that the call does not bring.

    Updates come in the order of their depth, so that the gradients of the last layers, which are there first, are done with first.
    They are listed in the order of the variables, in which JAX gives the memory of donated arguments to results of the same type.
    """
    order = _by_depth([*outputs, *updates.values()], len(outputs))
    missing = [node for node in order if isinstance(node, Input) and node not in inputs]
    if missing:
        raise ArgumentError(
            "the outputs depend on inputs that are not in the list",
            given=[describe(node) for node in missing],
            fits="every input, in the order of the call",
        )
    depends: set[Tensor] = {node for node in order if isinstance(node, Input | Variable)}
    hoisted: list[Tensor] = []
    steps: list[Tensor] = []
    for node in order:
        if node.op is None:
            continue
        if depends.isdisjoint(node.inputs):
            hoisted.append(node)
        else:
            depends.add(node)
            steps.append(node)
    variables = dict.fromkeys([*(node for node in order if isinstance(node, Variable)), *updates])
    constants = tuple([node for node in order if isinstance(node, Constant)])
    new = {variable: updates[variable] for variable in variables if variable in updates}
    return Schedule(tuple(inputs), tuple(variables), constants, tuple(hoisted), tuple(steps), tuple(outputs), new)


def _by_depth(roots: Sequence[Tensor], kept: int) -> list[Tensor]:
    """The nodes in an order in which the first ``kept`` roots come first, and then the others, the shallowest first."""
    order = toposort(roots)
    depth: dict[Tensor, int] = {}
    for node in order:
        depth[node] = 1 + max([depth[x] for x in node.inputs], default=0)
    later = sorted(roots[kept:], key=depth.__getitem__)
    return order if later == list(roots[kept:]) else toposort([*roots[:kept], *later])


def schedule_body(body: Subgraph) -> Schedule:
    """Order a body: its parameters are the inputs."""
    return schedule(body.parameters, body.outputs, {})
