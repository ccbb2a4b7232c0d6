"""Where a loop keeps its values: what its steps write, so that a step allocates nothing.

A carry whose values are stacked lives in its own stack, a trail of one item more than there are steps: each step reads one item and
writes the next. Any other carry has one buffer, which each step writes over, and a number is a local variable. A result that is
stacked is computed straight into its item.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, cast

from graphc.core import Subgraph, Tensor, TensorType
from graphc.core.expr import Input
from graphc.core.sizes import Dim
from graphc.lower.schedule import Schedule, schedule

Where = Literal["state", "number", "last", "before", "after"]


@dataclass(frozen=True)
class Stack:
    """Memory of one item a step. ``target`` stands for the item that a step writes.

    A trail has one item more, and ``before`` stands for the item that a step reads. ``fresh`` memory leaves the function, so that each
    call makes its own.
    """

    type: TensorType
    target: Input
    before: Input | None
    fresh: bool


@dataclass(frozen=True)
class LoopPlan:
    """A scan in terms of memory.

    ``step`` is one step: its inputs are the body's parameters (``carries``, ``items``, ``steady``) and the targets of the stacks, its
    updates what it writes there and into the ``states``, its outputs the numbers for the next step. ``results`` says where each result
    of the scan lies: a state, a number, or the last item of a stack, its items ``before`` each step or ``after``.
    """

    length: Dim
    reverse: bool
    carries: tuple[Input, ...]
    items: tuple[Input, ...]
    steady: tuple[Input, ...]
    stacks: tuple[Stack, ...]
    states: tuple[Input, ...]
    numbers: dict[Input, Tensor]
    results: tuple[tuple[Where, Input], ...]
    step: Schedule


def is_loop(step: object) -> bool:
    """Whether this step is a scan."""
    return isinstance(step, Tensor) and step.op is not None and step.op.name == "scan"


def plan_loop(node: Tensor, leaving: Collection[int]) -> LoopPlan:
    """Plan the memory of a scan, of whose results those at ``leaving`` leave the function."""
    a = node.attributes
    body: Subgraph = a["body"]
    n, m = a["carries"], a["carries"] + a["sequences"]
    p = body.parameters
    history: tuple[int, ...] = a["history"]
    told: list[Tensor] = [*body.outputs[n:], *[p[j] for j in history]]
    stacks: dict[Tensor, Stack] = {}
    updates: dict[Input, Tensor] = {}
    states: list[Input] = []
    numbers: dict[Input, Tensor] = {}
    results: list[tuple[Where, Input]] = []

    def stacked(value: Tensor, before: Input | None, fresh: bool = False) -> Stack:
        target = Input(None, (), (), value.type)
        target.label, target.origin = value.label or "y", value.origin
        updates[target] = value
        length = a["length"] if before is None else a["length"] + 1
        return Stack(value.type.with_shape((length, *value.shape)), target, before, fresh)

    for before, after in zip(p[:n], body.outputs[:n], strict=True):
        if not before.shape:
            numbers[before] = after
            results.append(("number", before))
        elif before in told or (after in told and after not in stacks and after not in p):
            stacks[before] = stack = stacked(after, before)
            stacks.setdefault(after, stack)
            results.append(("last", stack.target))
        else:
            states.append(before)
            updates[before] = after
            results.append(("state", before))
    for i, value in enumerate(told):
        if value not in stacks:
            stacks[value] = stacked(value, None, fresh=n + i in leaving)
        stack = stacks[value]
        results.append(("before" if stack.before is value else "after", stack.target))
    every = tuple(dict.fromkeys(stacks.values()))
    step = schedule([*p, *(stack.target for stack in every)], list(numbers.values()), cast("Any", updates))
    return LoopPlan(a["length"], a["reverse"], p[:n], p[n:m], p[m:], every, tuple(states), numbers, tuple(results), step)
