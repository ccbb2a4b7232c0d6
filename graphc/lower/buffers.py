"""Which memory each value lives in: liveness, reuse, views, and values that take the place of an operand that is done with.

A value of an op that can write into a buffer gets one, unless it leaves the function. A buffer goes back into the pool after the
last step that reads it or a view of it. A pointwise op may write over an operand whose last reader it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from graphc.core import Bundle, Tensor, TensorType, Variable
from graphc.core.sizes import Dim, Shape
from graphc.lower.schedule import Schedule, may_raise, read_by, written_by

END = 1 << 60


@dataclass
class Plan:
    """Where values live. ``buffers`` are the types of those that the function owns, ``place`` the buffer of each value that has one.

    ``direct`` are the updates that are computed into their variable's own memory; the others are copied there at the end.
    """

    buffers: list[TensorType] = field(default_factory=list[TensorType])
    place: dict[Tensor, int] = field(default_factory=dict[Tensor, int])
    in_place: set[Tensor] = field(default_factory=set[Tensor])
    direct: dict[Tensor, Variable] = field(default_factory=dict[Tensor, Variable])
    last_use: dict[Tensor, int] = field(default_factory=dict[Tensor, int])
    root: dict[Tensor, Tensor] = field(default_factory=dict[Tensor, Tensor])

    @property
    def nbytes(self) -> Dim:
        """Bytes of all buffers together."""
        total: Dim = 0
        for type in self.buffers:
            total = type.nbytes + total
        return total

    def __str__(self) -> str:
        return "\n".join(f"b{i}: {type}" for i, type in enumerate(self.buffers))


def assign(schedule: Schedule) -> Plan:
    """Plan the memory of a schedule."""
    plan = Plan()
    _liveness(schedule, plan)
    _direct_updates(schedule, plan)
    leaving = set(schedule.outputs)
    pool: dict[tuple[str, Shape], list[int]] = {}
    dying = _deaths(schedule, plan)
    for number, step in enumerate(schedule.steps):
        for node in written_by(step):
            if _takes_buffer(step, node) and node not in leaving and node not in plan.direct:
                _settle(step, node, number, plan, pool)
        written = {plan.place[node] for node in written_by(step) if node in plan.place}
        for dead in dying.get(number, ()):
            if plan.place[dead] not in written or dead in written_by(step):
                pool.setdefault((dead.dtype, dead.shape), []).append(plan.place[dead])
    return plan


def _takes_buffer(step: Any, node: Tensor) -> bool:
    """Whether the step can write this result into memory that it is given."""
    if not isinstance(step, Tensor):
        return node in step.kept
    return node.op is not None and node.op.out is not None and node.shape != ()


def _liveness(schedule: Schedule, plan: Plan) -> None:
    for node in [*schedule.inputs, *schedule.variables, *schedule.constants, *schedule.hoisted]:
        plan.root[node] = node
    for number, step in enumerate(schedule.steps):
        for node in written_by(step):
            plan.root[node] = plan.root[node.inputs[0]] if isinstance(step, Tensor) and _is_view(step) else node
            plan.last_use[plan.root[node]] = number
        for x in read_by(step):
            plan.last_use[plan.root[x]] = number
    for node in [*schedule.outputs, *schedule.updates.values()]:
        plan.last_use[plan.root[node]] = END


def _is_view(node: Tensor) -> bool:
    return node.op is not None and node.op.view and not isinstance(node.inputs[0].type, Bundle)


def _direct_updates(schedule: Schedule, plan: Plan) -> None:
    """Updates whose variable nobody reads after the step that computes them; who wants the new value reads it there.

    A step that may raise must come before all of them, so that a call that fails leaves every variable as it was.
    """
    position = {node: (number, step) for number, step in enumerate(schedule.steps) for node in written_by(step)}
    risky = max((number for number, step in enumerate(schedule.steps) if may_raise(step)), default=-1)
    values = list(schedule.updates.values())
    for variable, value in schedule.updates.items():
        number, step = position.get(value, (-1, None))
        last = plan.last_use.get(variable, -1)
        if number <= risky or not _takes_buffer(step, value) or values.count(value) > 1 or value.type is not variable.type:
            continue
        if value in schedule.outputs:
            continue
        if last < number or (last == number and _may_update(step, value, variable, plan)):
            plan.direct[value] = variable


def _may_update(step: Any, value: Tensor, variable: Variable, plan: Plan) -> bool:
    """Whether a step that reads a variable may write its new value there: in a loop, where it is read by the very rows that are written."""
    if isinstance(step, Tensor):
        return _may_write_over(value, variable, plan)
    views = [x for x in step.inputs if plan.root[x] is variable]
    return views == [variable] and variable not in step.whole


def _may_write_over(node: Tensor, x: Tensor, plan: Plan) -> bool:
    """Whether a step may write its result over its operand ``x``: element by element, and no other operand may be a view of x.

    NumPy copies operands that overlap the result of one call; what several calls write, it cannot know.
    """
    op = node.op
    assert op is not None
    if not op.pointwise:
        return False
    allowed = op.operands if op.inplace is None else op.inplace
    return all(a is x and name in allowed for name, a in zip(op.operands, node.inputs, strict=True) if plan.root[a] is plan.root[x])


def _deaths(schedule: Schedule, plan: Plan) -> dict[int, list[Tensor]]:
    deaths: dict[int, list[Tensor]] = {}
    leaving = set(schedule.outputs)
    for step in schedule.steps:
        for node in written_by(step):
            owns = plan.root[node] is node and _takes_buffer(step, node) and node not in leaving and node not in plan.direct
            if owns and plan.last_use[node] != END:
                deaths.setdefault(plan.last_use[node], []).append(node)
    return deaths


def _settle(step: Any, node: Tensor, number: int, plan: Plan, pool: dict[tuple[str, Shape], list[int]]) -> None:
    taken = _operand_to_take(node, number, plan) if isinstance(step, Tensor) else None
    if taken is not None:
        plan.place[node] = plan.place[taken]
        plan.in_place.add(node)
        return
    free = pool.get((node.dtype, node.shape))
    if free:
        plan.place[node] = free.pop()
        return
    plan.place[node] = len(plan.buffers)
    plan.buffers.append(node.type)


def _operand_to_take(node: Tensor, step: int, plan: Plan) -> Tensor | None:
    for x in node.inputs:
        if x in plan.place and x.type is node.type and plan.last_use[x] == step and _may_write_over(node, x, plan):
            return x
    return None
