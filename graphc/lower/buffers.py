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
from graphc.core.sizes import Dim
from graphc.lower.liveness import holders, may_write_over, roots, takes_buffer
from graphc.lower.schedule import Schedule, may_raise, read_by

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
        able = _able(schedule)
        _direct_updates(schedule, able, plan)
        for node in plan.direct:
            del able[node]
        _place(schedule, able, plan, idle)
    plan.dropped = _drops(schedule, plan)
    return plan


Able = dict[Tensor, None]
"""The results that can be written into memory that the function owns, in order."""


def _able(schedule: Schedule) -> Able:
    leaving = set(schedule.outputs)
    return {
        node: None
        for step, nodes in zip(schedule.steps, schedule.written, strict=True)
        for node in nodes
        if takes_buffer(step, node) and node not in leaving
    }


def _place(schedule: Schedule, able: Able, plan: Plan, idle: int) -> None:
    """Give each value that can be written into a buffer one, step by step; those that nobody needs any more go back into the pool."""
    pool: dict[TensorType, list[int]] = {}
    dying = _deaths(able, plan)
    for number, (step, nodes) in enumerate(zip(schedule.steps, schedule.written, strict=True)):
        for node in nodes:
            if node in able:
                _settle(step, node, number, plan, pool, idle)
        if number in dying:
            places = {plan.place[node] for node in nodes if node in able}
            for dead in dying[number]:
                if plan.place[dead] not in places or dead in nodes:
                    pool.setdefault(dead.type, []).append(plan.place[dead])
    _close(schedule, plan)


def _last_uses(schedule: Schedule, owner: Mapping[Tensor, Tensor]) -> dict[Tensor, int]:
    """The last step that writes or reads each owner of memory, or something in it; ``END`` for what is needed after all steps."""
    last: dict[Tensor, int] = {}
    for number, (step, nodes) in enumerate(zip(schedule.steps, schedule.written, strict=True)):
        for node in nodes:
            last[owner[node]] = number
        for node in read_by(step):
            last[owner[node]] = number
    for node in (*schedule.outputs, *schedule.updates.values()):
        last[owner[node]] = END
    return last


def _direct_updates(schedule: Schedule, able: Able, plan: Plan) -> None:
    """Updates whose variable nobody reads after the step that computes them; who wants the new value reads it there.

    A step that may raise must come before all of them, so that a call that fails leaves every variable as it was.
    """
    uses = Counter(schedule.updates.values())
    position = {node: number for number, nodes in enumerate(schedule.written) for node in nodes if node in uses}
    risky = max([number for number, step in enumerate(schedule.steps) if may_raise(step)], default=-1) if uses else -1
    for variable, value in schedule.updates.items():
        number = position.get(value, -1)
        last = plan.last_use.get(variable, -1)
        if number <= risky or value not in able or uses[value] > 1:
            continue
        if value.type is not variable.type:
            continue
        if last < number or (last == number and _may_update(schedule.steps[number], value, variable, plan)):
            plan.direct[value] = variable


def _may_update(step: Any, value: Tensor, variable: Variable, plan: Plan) -> bool:
    """Whether a step that reads a variable may write its new value there: in a loop, where it is read by the very rows that are written."""
    if isinstance(step, Tensor):
        return may_write_over(value, variable, plan.root)
    return _reads_its_rows_alone(step, variable, plan)


def _reads_its_rows_alone(loop: Any, x: Tensor, plan: Plan) -> bool:
    """Whether a loop over rows that reads ``x`` reads nothing else of its memory, and in each block of rows these rows alone."""
    return [y for y in loop.inputs if plan.root[y] is plan.root[x]] == [x] and x not in loop.whole


def _deaths(able: Able, plan: Plan) -> dict[int, list[Tensor]]:
    deaths: dict[int, list[Tensor]] = {}
    for node in able:
        last = plan.last_use.get(node, END)
        if last != END and plan.root[node] is node:
            deaths.setdefault(last, []).append(node)
    return deaths


def _settle(step: Any, node: Tensor, number: int, plan: Plan, pool: dict[TensorType, list[int]], idle: int) -> None:
    taken = _operand_to_take(node, number, plan) if isinstance(step, Tensor) else _rows_to_take(step, node, number, plan)
    last = max(number, plan.last_use[node])
    if taken is not None:
        place = plan.place[taken]
        plan.in_place.add(node)
    else:
        free = pool.get(node.type)
        if free and number - plan.spans[free[-1]][1] <= idle:
            place = free.pop()
        else:
            place = len(plan.buffers)
            plan.buffers.append(node.type)
            plan.spans.append((number, last))
    plan.place[node] = place
    plan.spans[place] = (plan.spans[place][0], last)


def _close(schedule: Schedule, plan: Plan) -> None:
    """What is needed at the end is needed until the last step."""
    last = len(schedule.steps)
    plan.spans = [(start, min(end, last)) for start, end in plan.spans]


def _operand_to_take(node: Tensor, step: int, plan: Plan) -> Tensor | None:
    for x in node.inputs:
        if x.type is node.type and x in plan.place and plan.last_use[x] == step and may_write_over(node, x, plan.root):
            return x
    return None


def _rows_to_take(loop: Any, node: Tensor, step: int, plan: Plan) -> Tensor | None:
    """The operand of a loop whose rows may become those of a result: nobody reads them any more, and the loop none but its own."""
    taken = {plan.place[other] for other in loop.kept if other is not node and other in plan.place}
    for x in loop.sliced:
        fits = x.type is node.type and x in plan.place and plan.last_use[x] == step and plan.place[x] not in taken
        if fits and _reads_its_rows_alone(loop, x, plan):
            return x
    return None


def _drops(schedule: Schedule, plan: Plan) -> dict[int, list[Tensor]]:
    """Values without a buffer, and their views, by the last step that reads the memory."""
    bare = [node for nodes in schedule.written for node in nodes if node not in plan.place and node not in plan.direct]
    if not bare:
        return {}
    holder = holders(schedule)
    last = {node: -1 for node in bare if holder[node] is node}
    for number, step in enumerate(schedule.steps if last else ()):
        for x in read_by(step):
            if holder[x] in last:
                last[holder[x]] = number
    kept = {holder[node] for node in (*schedule.outputs, *schedule.updates.values())}
    dropped: dict[int, list[Tensor]] = {}
    for number, nodes in enumerate(schedule.written if last else ()):
        for node in nodes:
            own = holder[node]
            if own in last and own not in kept:
                dropped.setdefault(max(last[own], number), []).append(node)
    return dropped
