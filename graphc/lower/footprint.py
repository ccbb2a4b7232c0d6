"""How much memory a call needs, predicted from the plan: what is kept between calls, and the most that one call allocates on top.

Counted are the arrays that the emitted source makes. Inputs, variables and constants are there anyway and are counted apart.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from graphc.core import Tensor, bodies, describe
from graphc.core.sizes import typical
from graphc.lower.arena import layout
from graphc.lower.buffers import END, Plan, assign
from graphc.lower.liveness import holders, nbytes
from graphc.lower.rows import Rows, row_bytes, work_of_a_row
from graphc.lower.schedule import Schedule, schedule_body, written_by
from graphc.parallel import available, cut

SHOWN = 8
"""How many values a report names."""


@dataclass(frozen=True)
class Footprint:
    """Bytes at given sizes.

    ``arena`` is the memory of all buffers, ``loops`` what loops over rows keep for their blocks, ``hoisted`` what was computed
    when the function was made: these stay between calls. ``call`` is the most that one call allocates on top: outputs, results of ops that
    cannot write into a buffer, and what ops need while they work. ``leaves`` are inputs, variables and constants, which come
    from outside. ``holders`` are the largest values that are alive when most is in use.
    """

    arena: int
    loops: int
    hoisted: int
    call: int
    leaves: int
    holders: tuple[tuple[Tensor, int], ...] = ()

    @property
    def peak(self) -> int:
        """Bytes that are allocated at most, leaves apart."""
        return self.arena + self.loops + self.hoisted + self.call

    def __str__(self) -> str:
        parts = {"buffers": self.arena, "loops": self.loops, "hoisted": self.hoisted, "call": self.call}
        text = ", ".join(f"{name} {written(count)}" for name, count in parts.items() if count)
        lines = [f"peak of a call: {written(self.peak)}" + (f" ({text})" if text else "") + f", and {written(self.leaves)} of leaves"]
        lines += [f"  {written(count):>10}  {describe(node)}" for node, count in self.holders]
        return "\n".join(lines)


def written(count: float) -> str:
    """Bytes with three digits and a unit."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"


def footprint(schedule: Schedule, plan: Plan, known: Mapping[str, int] | None = None) -> Footprint:
    """What a call of this schedule with this plan needs. Named sizes that are not ``known`` count as if they were small."""
    known = known or {}
    inner = [footprint(body, assign(body), known) for body in _bodies(schedule)]
    arena = layout(plan.spans, [typical(type.nbytes, known) for type in plan.buffers])[1]
    loops = sum([_loop_bytes(step, known) for step in schedule.steps if isinstance(step, Rows)])
    usage = _Usage(schedule, plan, known)
    call = max(usage.locals, default=0) + max([one.call for one in inner], default=0)
    leaves = [*schedule.inputs, *schedule.variables, *schedule.constants]
    return Footprint(
        arena=arena + sum([one.arena for one in inner]),
        loops=loops + sum([one.loops for one in inner]),
        hoisted=sum([nbytes(node, known) for node in schedule.hoisted]) + sum([one.hoisted for one in inner]),
        call=call,
        leaves=sum([nbytes(node, known) for node in leaves]),
        holders=usage.holders(),
    )


def _bodies(schedule: Schedule) -> Iterator[Schedule]:
    """The functions that bodies become, each once; those inside them are counted with them."""
    for body in dict.fromkeys(body for node in (*schedule.hoisted, *schedule.steps) if isinstance(node, Tensor) for body in bodies(node)):
        yield schedule_body(body)


def _loop_bytes(loop: Rows, known: Mapping[str, int]) -> int:
    """The blocks of a loop's inner values, for every thread that may work on it, and its totals, for every shard."""
    rows = typical(loop.size, known)
    plan = cut(rows, *[typical(size, known) for size in work_of_a_row(loop.inner.steps)])
    workers = min(len(plan.shards), available())
    block = sum([typical(row_bytes(type), known) for type in assign(loop.inner).buffers]) * min(plan.block, rows)
    return workers * block + len(plan.shards) * sum([nbytes(node, known) for node in loop.sums])


class Held(NamedTuple):
    """A value in memory of its own: the steps in which it is held, its bytes, and where they begin.

    ``buffer`` is the number of its buffer, if it has one.
    """

    node: Tensor
    first: int
    last: int
    nbytes: int
    begin: int
    buffer: int | None


class Timeline(NamedTuple):
    """What is held when: the values in the order in which they are made, and the bytes in use in each step.

    Buffers lie where the arena has them; what a call allocates is shown above them. ``steps`` says what each step writes.
    """

    values: tuple[Held, ...]
    used: tuple[int, ...]
    steps: tuple[tuple[Tensor, ...], ...]


def timeline(schedule: Schedule, plan: Plan, known: Mapping[str, int] | None = None) -> Timeline:
    """What the functions of this schedule hold in each step of a call, at these sizes; loops over time count as one step."""
    usage = _Usage(schedule, plan, known or {})
    steps = tuple([written_by(step, inside=True) for step in schedule.steps])
    made = {node: number for number, nodes in enumerate(steps) for node in nodes}
    begins, arena = layout(plan.spans, [typical(type.nbytes, usage.known) for type in plan.buffers])
    spans = [(node, size, made[node], min(end, len(steps) - 1)) for node, size, _, end in usage.spans if size]
    loose = [one for one in spans if one[0] not in plan.place]
    above = dict(zip([node for node, *_ in loose], layout([one[2:] for one in loose], [one[1] for one in loose])[0], strict=True))
    values: list[Held] = []
    for node, size, first, end in spans:
        buffer = plan.place.get(node)
        values.append(Held(node, first, end, size, arena + above[node] if buffer is None else begins[buffer], buffer))
    return Timeline(tuple(values), tuple(usage.total[: len(steps)]), steps)


class _Usage:
    """What is in use in each step: ``locals`` are bytes of values without a buffer, ``alive`` the values of all kinds."""

    def __init__(self, schedule: Schedule, plan: Plan, known: Mapping[str, int]) -> None:
        self.schedule, self.plan, self.known = schedule, plan, known
        count = len(schedule.steps)
        self.spans = list(self._spans())
        changes, locals_ = [0] * (count + 1), [0] * (count + 1)
        for node, size, first, last in self.spans:
            for table in (changes, locals_) if node not in plan.place else (changes,):
                table[first] += size
                table[min(last, count - 1) + 1] -= size
        self.locals = _added_up(locals_)
        self.total = _added_up(changes)
        for number, nodes in enumerate(schedule.written):
            scratch = sum([self._scratch(node) for node in nodes])
            self.locals[number] += scratch
            self.total[number] += scratch

    def _spans(self) -> Iterator[tuple[Tensor, int, int, int]]:
        """Each value with memory of its own: its bytes, the step that makes it and the last in which its memory is held."""
        plan, holder = self.plan, holders(self.schedule)
        gone = {holder[node]: number for number, nodes in plan.dropped.items() for node in nodes}
        for number, nodes in enumerate(self.schedule.written):
            for node in nodes:
                if holder[node] is node and node not in plan.direct:
                    first = number + (node in plan.in_place)  # up to this step the memory is its operand's
                    yield node, nbytes(node, self.known), first, plan.last_use[node] if node in plan.place else gone.get(node, END)

    def _scratch(self, node: Tensor) -> int:
        """What the op needs beside its operands and its result while it works."""
        return typical(node.op.scratch(node), self.known) if node.op and node.op.scratch else 0

    def holders(self) -> tuple[tuple[Tensor, int], ...]:
        """The largest values that are alive in the step in which most is in use."""
        if not self.total:
            return ()
        worst = max(range(len(self.total)), key=self.total.__getitem__)
        alive = [(size, -number, node) for number, (node, size, first, last) in enumerate(self.spans) if first <= worst <= last and size]
        return tuple([(node, size) for size, _, node in heapq.nlargest(SHOWN, alive, key=lambda one: one[:2])])


def _added_up(changes: list[int]) -> list[int]:
    total = 0
    found: list[int] = []
    for change in changes:
        total += change
        found.append(total)
    return found
