"""Which memory each value lives in: liveness, reuse, views, and values that take the place of an operand that is done with.

A value of an op that can write into a buffer gets one, unless it leaves the function. A buffer goes back into the pool after the
last step that reads it or a view of it. A pointwise op may write over an operand whose last reader it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from graphc.core import Bundle, Tensor, TensorType, Variable
from graphc.core.sizes import Dim, Shape
from graphc.lower.schedule import Schedule

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
    for step, node in enumerate(schedule.steps):
        if _takes_buffer(node) and node not in leaving and node not in plan.direct:
            _settle(node, step, plan, pool)
        for dead in dying.get(step, ()):
            if plan.place[dead] not in {plan.place.get(node)} or dead is node:
                pool.setdefault((dead.dtype, dead.shape), []).append(plan.place[dead])
    return plan


def _takes_buffer(node: Tensor) -> bool:
    return node.op is not None and node.op.out is not None and node.shape != ()


def _liveness(schedule: Schedule, plan: Plan) -> None:
    for node in [*schedule.inputs, *schedule.variables, *schedule.constants, *schedule.hoisted]:
        plan.root[node] = node
    for step, node in enumerate(schedule.steps):
        assert node.op is not None
        plan.root[node] = plan.root[node.inputs[0]] if node.op.view and not isinstance(node.inputs[0].type, Bundle) else node
        plan.last_use[plan.root[node]] = step
        for x in node.inputs:
            plan.last_use[plan.root[x]] = step
    for node in [*schedule.outputs, *schedule.updates.values()]:
        plan.last_use[plan.root[node]] = END


def _direct_updates(schedule: Schedule, plan: Plan) -> None:
    """Updates whose variable nobody reads after the step that computes them, and whose value nobody else wants.

    A step that may raise must come before all of them, so that a call that fails leaves every variable as it was.
    """
    position = {node: step for step, node in enumerate(schedule.steps)}
    risky = max((step for step, node in enumerate(schedule.steps) if node.op is not None and node.op.raises), default=-1)
    readers = _reader_counts(schedule)
    values = list(schedule.updates.values())
    for variable, value in schedule.updates.items():
        if position.get(value, -1) <= risky or not _takes_buffer(value) or readers.get(value, 0) or values.count(value) > 1:
            continue
        last = plan.last_use.get(variable, -1)
        if value.type is variable.type and (last < position[value] or (last == position[value] and _may_write_over(value, variable, plan))):
            plan.direct[value] = variable


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


def _reader_counts(schedule: Schedule) -> dict[Tensor, int]:
    counts: dict[Tensor, int] = {}
    for node in schedule.steps:
        for x in node.inputs:
            counts[x] = counts.get(x, 0) + 1
    for node in schedule.outputs:
        counts[node] = counts.get(node, 0) + 1
    return counts


def _deaths(schedule: Schedule, plan: Plan) -> dict[int, list[Tensor]]:
    deaths: dict[int, list[Tensor]] = {}
    leaving = set(schedule.outputs)
    for node in schedule.steps:
        owns = plan.root[node] is node and _takes_buffer(node) and node not in leaving and node not in plan.direct
        if owns and plan.last_use[node] != END:
            deaths.setdefault(plan.last_use[node], []).append(node)
    return deaths


def _settle(node: Tensor, step: int, plan: Plan, pool: dict[tuple[str, Shape], list[int]]) -> None:
    taken = _operand_to_take(node, step, plan)
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
