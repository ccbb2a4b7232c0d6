"""Which memory each value lives in: liveness, reuse, views, values that take the place of an operand that is done with, and one arena.

A value of an op that can write into a buffer gets one, unless it leaves the function. A buffer goes back into the pool after the
last step that reads it or a view of it, and the next value of its type takes it while it is still in the cache. A pointwise op may write
over an operand whose last reader it is. Buffers of different types, and those that have lain idle, share memory: each has a span of
steps, and when the sizes are known :func:`~graphc.lower.arena.arena` lays them out so that no two overlap in both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphc.core import Tensor, TensorType, Variable
from graphc.core.sizes import Dim, Shape
from graphc.lower.liveness import holders, may_write_over, roots, takes_buffer
from graphc.lower.schedule import Schedule, may_raise, read_by, written_by

END = 1 << 60
IDLE = 8
"""After so many steps without a value a buffer's memory is better given to others than kept for its type."""


@dataclass
class Plan:
    """Where values live. ``buffers`` are the types of those that the function owns, ``place`` the buffer of each value that has one.

    ``spans`` are the first and the last step in which each buffer holds something. ``direct`` are the updates that are computed into
    their variable's own memory; the others are copied there at the end. ``dropped`` are, by step, the values without a
    buffer that nobody reads after it, and their views: memory that is free when their names are.
    """

    buffers: list[TensorType] = field(default_factory=list[TensorType])
    spans: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    place: dict[Tensor, int] = field(default_factory=dict[Tensor, int])
    in_place: set[Tensor] = field(default_factory=set[Tensor])
    direct: dict[Tensor, Variable] = field(default_factory=dict[Tensor, Variable])
    last_use: dict[Tensor, int] = field(default_factory=dict[Tensor, int])
    root: dict[Tensor, Tensor] = field(default_factory=dict[Tensor, Tensor])
    dropped: dict[int, list[Tensor]] = field(default_factory=dict[int, list[Tensor]])

    @property
    def nbytes(self) -> Dim:
        """Bytes of all buffers if none shared memory."""
        total: Dim = 0
        for type in self.buffers:
            total = type.nbytes + total
        return total

    def __str__(self) -> str:
        spans = [f"{first}-{last}" for first, last in self.spans]
        return "\n".join(f"b{i}: {type}  steps {span}" for i, (type, span) in enumerate(zip(self.buffers, spans, strict=True)))


def assign(schedule: Schedule, *, reuse: bool = True, idle: int = END) -> Plan:
    """Plan the memory of a schedule. Without ``reuse`` every value is allocated anew in each call.

    A buffer that has lain ``idle`` for more steps than that is not taken again, so that in an arena others can have its memory.
    """
    plan = Plan(root=roots(schedule))
    plan.last_use = _last_uses(schedule, plan.root)
    if reuse:
        _direct_updates(schedule, plan)
        _place(schedule, plan, idle)
    plan.dropped = _drops(schedule, plan)
    return plan


def _place(schedule: Schedule, plan: Plan, idle: int) -> None:
    """Give each value that can be written into a buffer one, step by step; those that nobody needs any more go back into the pool."""
    leaving = set(schedule.outputs)
    pool: dict[tuple[str, Shape], list[int]] = {}
    dying = _deaths(schedule, plan)
    for number, step in enumerate(schedule.steps):
        for node in written_by(step):
            if takes_buffer(step, node) and node not in leaving and node not in plan.direct:
                _settle(step, node, number, plan, pool, idle)
        written = {plan.place[node] for node in written_by(step) if node in plan.place}
        for dead in dying.get(number, ()):
            if plan.place[dead] not in written or dead in written_by(step):
                pool.setdefault((dead.dtype, dead.shape), []).append(plan.place[dead])
    _close(schedule, plan)


def _last_uses(schedule: Schedule, owner: Mapping[Tensor, Tensor]) -> dict[Tensor, int]:
    """The last step that writes or reads each owner of memory, or something in it; ``END`` for what is needed after all steps."""
    last: dict[Tensor, int] = {}
    for number, step in enumerate(schedule.steps):
        for node in (*written_by(step), *read_by(step)):
            last[owner[node]] = number
    for node in (*schedule.outputs, *schedule.updates.values()):
        last[owner[node]] = END
    return last


def _direct_updates(schedule: Schedule, plan: Plan) -> None:
    """Updates whose variable nobody reads after the step that computes them; who wants the new value reads it there.

    A step that may raise must come before all of them, so that a call that fails leaves every variable as it was.
    """
    position = {node: (number, step) for number, step in enumerate(schedule.steps) for node in written_by(step)}
    risky = max([number for number, step in enumerate(schedule.steps) if may_raise(step)], default=-1)
    uses = Counter(schedule.updates.values())
    outputs = set(schedule.outputs)
    for variable, value in schedule.updates.items():
        number, step = position.get(value, (-1, None))
        last = plan.last_use.get(variable, -1)
        if number <= risky or not takes_buffer(step, value) or uses[value] > 1 or value in outputs:
            continue
        if value.type is not variable.type:
            continue
        if last < number or (last == number and _may_update(step, value, variable, plan)):
            plan.direct[value] = variable


def _may_update(step: Any, value: Tensor, variable: Variable, plan: Plan) -> bool:
    """Whether a step that reads a variable may write its new value there: in a loop, where it is read by the very rows that are written."""
    if isinstance(step, Tensor):
        return may_write_over(value, variable, plan.root)
    views = [x for x in step.inputs if plan.root[x] is variable]
    return views == [variable] and variable not in step.whole


def _deaths(schedule: Schedule, plan: Plan) -> dict[int, list[Tensor]]:
    deaths: dict[int, list[Tensor]] = {}
    leaving = set(schedule.outputs)
    for step in schedule.steps:
        for node in written_by(step):
            owns = plan.root[node] is node and takes_buffer(step, node) and node not in leaving and node not in plan.direct
            if owns and plan.last_use[node] != END:
                deaths.setdefault(plan.last_use[node], []).append(node)
    return deaths


def _settle(step: Any, node: Tensor, number: int, plan: Plan, pool: dict[tuple[str, Shape], list[int]], idle: int) -> None:
    taken = _operand_to_take(node, number, plan) if isinstance(step, Tensor) else None
    if taken is not None:
        plan.place[node] = plan.place[taken]
        plan.in_place.add(node)
    else:
        free = pool.get((node.dtype, node.shape))
        if free and number - plan.spans[free[-1]][1] <= idle:
            plan.place[node] = free.pop()
        else:
            plan.place[node] = len(plan.buffers)
            plan.buffers.append(node.type)
            plan.spans.append((number, number))
    place = plan.place[node]
    plan.spans[place] = (plan.spans[place][0], max(number, plan.last_use[node]))


def _close(schedule: Schedule, plan: Plan) -> None:
    """What is needed at the end is needed until the last step."""
    last = len(schedule.steps)
    plan.spans = [(start, min(end, last)) for start, end in plan.spans]


def _operand_to_take(node: Tensor, step: int, plan: Plan) -> Tensor | None:
    for x in node.inputs:
        if x in plan.place and x.type is node.type and plan.last_use[x] == step and may_write_over(node, x, plan.root):
            return x
    return None


def _drops(schedule: Schedule, plan: Plan) -> dict[int, list[Tensor]]:
    """Values without a buffer, by the last step that reads them or what shares their memory."""
    holder = holders(schedule)
    made = [node for step in schedule.steps for node in written_by(step)]
    last = _last_uses(schedule, holder)
    own = {node for node in made if holder[node] is node and node not in plan.place and node not in plan.direct}
    dropped: dict[int, list[Tensor]] = {}
    for node in made:
        if holder[node] in own and last[holder[node]] != END:
            dropped.setdefault(last[holder[node]], []).append(node)
    return dropped
