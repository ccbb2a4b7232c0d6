"""The order of the steps: values that are needed again late are computed late, and what frees memory goes first.

Finding the order with the lowest peak is hard in general (Sethi, 1975), so two are made and the better one, by an estimate of the
bytes alive, is kept, as XLA does: the order as it is, and a list schedule that always takes the step with the best balance of bytes,
looking a few steps ahead along what it leads to. An update of a variable waits until everyone has read the variable, so
that it can be written in place, and goes first from then on.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from graphc.core import Tensor
from graphc.lower.liveness import is_part, may_be_view, may_write_over, nbytes, roots, takes_buffer
from graphc.lower.schedule import Schedule, may_raise, read_by, written_by

AHEAD = 4
"""How many steps the list schedule looks ahead."""
WORTHWHILE = 1 << 16
"""Bytes of all values from which on their order matters."""
LISTED = 1000
"""For how many steps another order is looked for."""
RISK = -1
"""Stands for all steps that may raise, where others wait for them."""


def arranged(schedule: Schedule, known: Mapping[str, int] | None = None) -> Schedule:
    """The schedule in an order that lowers the peak of memory at these sizes, and never raises it by the estimate.

    Views stand right before their first reader. The order of steps that are equal in bytes stays. Of more than ``LISTED`` steps it
    is left as it is, since there the search would take as long as all else.
    """
    return late_updates(_cheaper(schedule, known or {}))


def late_updates(schedule: Schedule) -> Schedule:
    """The schedule with each update after all that read its variable, so that it is written in place instead of copied at the end.

    Only what nobody else waits for is moved, so the order of the others stays.
    """
    if not schedule.updates:
        return schedule
    variables = {value: variable for variable, value in schedule.updates.items()}
    behind = roots(schedule)
    last: dict[Tensor, int] = {}
    for number, step in enumerate(schedule.steps):
        for x in read_by(step):
            last[behind[x]] = number
    leaving = {behind[node] for node in schedule.outputs}
    moved: dict[int, list[int]] = {}
    for number, values in enumerate(schedule.written):
        if values[0] in variables and all(node in variables and node not in last and node not in leaving for node in values):
            after = max([last.get(variables[node], -1) for node in values], default=-1)
            if after > number:
                moved.setdefault(after, []).append(number)
    if not moved:
        return schedule
    waiting = {number for numbers in moved.values() for number in numbers}
    order: list[int] = []
    for number in range(len(schedule.steps)):
        if number not in waiting:
            order.append(number)
        order += moved.get(number, ())
    return replace(schedule, steps=tuple([schedule.steps[number] for number in order]))


def _cheaper(schedule: Schedule, known: Mapping[str, int]) -> Schedule:
    if len(schedule.steps) > LISTED:
        return schedule
    if sum([nbytes(node, known) for nodes in schedule.written for node in nodes]) < WORTHWHILE:
        return schedule
    return _reordered(StepGraph(schedule, known), StepGraph.weight)


def spared(schedule: Schedule, known: Mapping[str, int]) -> Schedule:
    """The schedule in the order that has the least alive on average: the one to start from where the peak will be cut off."""
    return _reordered(StepGraph(late_updates(schedule), known), lambda graph, order: sum(graph.usage(order)))


def _reordered(graph: StepGraph, measure: Callable[[StepGraph, Sequence[int]], Any]) -> Schedule:
    """The better one of the order as it is and the list schedule, by this measure."""
    orders: list[Sequence[int]] = [range(len(graph.units)), graph.listed()]
    best = min(orders, key=lambda order: measure(graph, order))
    return replace(graph.schedule, steps=tuple(graph.with_views(best)))


class StepGraph:
    """The steps that are no views, as numbers, and the values that they hand on, as numbers too.

    A value here is memory: a result with all its views, or the several results of one step together.
    """

    def __init__(self, schedule: Schedule, known: Mapping[str, int]) -> None:
        self.schedule = schedule
        self.units: list[Any] = []
        self.views: dict[Tensor, tuple[Tensor, ...]] = {}  # with all values that have to be there for it
        self.root: dict[Tensor, Tensor] = {}
        self.writer: dict[Tensor, int] = {}
        for step in schedule.steps:
            if isinstance(step, Tensor) and not may_raise(step) and (may_be_view(step) or is_part(step)):
                self.root[step] = self.holder(step.inputs[0])
                self.views[step] = tuple(dict.fromkeys([y for x in step.inputs for y in self._behind(x)]))
                continue
            for node in written_by(step):
                self.root[node] = node
                self.writer[node] = len(self.units)
            self.units.append(step)
        self.reads = [self._read(step) for step in self.units]
        self.writes = [list(written_by(step)) for step in self.units]
        self.kept = {self.holder(node) for node in schedule.outputs}
        self.bytes = {node: nbytes(node, known) for node in self.writer}
        self.readers: dict[Tensor, list[int]] = {}
        for number, read in enumerate(self.reads):
            for x in read:
                self.readers.setdefault(x, []).append(number)
        self._updates()
        self.over = [self._may_take(number) for number in range(len(self.units))]

    def holder(self, node: Tensor) -> Tensor:
        """The value whose memory it is."""
        return self.root.get(node, node)

    def _read(self, step: Any) -> list[Tensor]:
        return list(dict.fromkeys([y for x in read_by(step) for y in self._behind(x)]))

    def _behind(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.views.get(x, (x,))

    def _updates(self) -> None:
        """What is written straight into a variable needs no memory, if it comes after all that read the variable, or may raise.

        ``copied`` are the bytes that such steps need if they come before, and the value is copied at the end.
        """
        self.waits_softly: dict[int, set[int]] = {}
        self.copied: dict[int, int] = {}
        self.risky = {number for number, step in enumerate(self.units) if may_raise(step)}
        for variable, value in self.schedule.updates.items():
            number = self.writer.get(value)
            if number is not None and value not in self.kept and takes_buffer(self.units[number], value):
                before = {*self.readers.get(variable, ()), *([RISK] if self.risky - {number} else [])} - {number}
                self.waits_softly.setdefault(number, set()).update(before)
                self.copied[number] = self.copied.get(number, 0) + self.bytes[value]
                self.bytes[value] = 0
            elif value in self.writer:
                self.kept.add(value)

    def _may_take(self, number: int) -> list[Tensor]:
        """The operands that the step may write its result over."""
        step = self.units[number]
        if not isinstance(step, Tensor) or step.op is None or not step.op.pointwise:
            return []
        root = {x: self.holder(x) for x in step.inputs}
        return [x for x in root if x in self.writer and x.type is step.type and may_write_over(step, x, root)]

    def weight(self, order: Iterable[int]) -> tuple[int, int]:
        """The most bytes that are alive at once in this order, and then what is alive on the whole."""
        usage = list(self.usage(order))
        return max(usage, default=0), sum(usage)

    def usage(self, order: Iterable[int]) -> Iterator[int]:
        """The most bytes that are alive in each step of this order."""
        left = {x: len(readers) for x, readers in self.readers.items()}
        alive, risks = 0, len(self.risky)
        done = [False] * len(self.units)
        for number in order:
            new = sum([self.bytes[node] for node in self.writes[number]])
            if number in self.copied and any(risks if i == RISK else not done[i] for i in self.waits_softly[number]):
                new += self.copied[number]
            done[number] = True
            risks -= number in self.risky
            taken = any(left[x] == 1 and x not in self.kept for x in self.over[number])
            most = alive + (0 if taken else new)
            alive += new
            for x in self.reads[number]:
                left[x] -= 1
                if not left[x] and x in self.bytes and x not in self.kept:
                    alive -= self.bytes[x]
            yield max(most, alive)

    def peak_as_it_is(self) -> tuple[int, int]:
        """The most bytes that are alive at once in the order of the schedule, and the last step where they are."""
        usage = self.usage(range(len(self.units)))
        return max(((count, number) for number, count in enumerate(usage)), default=(0, 0))

    def listed(self) -> list[int]:
        """The list schedule."""
        return _Listing(self).order()

    def with_views(self, order: Iterable[int]) -> Iterable[Any]:
        """The steps in this order, with each view before the first step that reads it."""
        placed: set[Tensor] = set()
        for number in order:
            step = self.units[number]
            for x in read_by(step):
                yield from self._needed(x, placed)
            yield step
        for node in chain(self.schedule.outputs, self.schedule.updates.values()):
            yield from self._needed(node, placed)

    def _needed(self, x: Tensor, placed: set[Tensor]) -> list[Tensor]:
        found: list[Tensor] = []
        waiting = [x]
        while waiting:
            view = waiting[-1]
            missing = [y for y in view.inputs if y in self.views and y not in placed]
            if view in self.views and view not in placed and not missing:
                placed.add(view)
                found.append(view)
            if missing and view in self.views:
                waiting += missing
            else:
                waiting.pop()
        return found


class _Listing:
    """The state of a list schedule. The heap has steps that can be next with the balance that they had when they were last looked at."""

    def __init__(self, graph: StepGraph) -> None:
        self.graph = graph
        count = len(graph.units)
        self.left = {x: len(readers) for x, readers in graph.readers.items()}
        self.after: list[list[int]] = [[] for _ in range(count)]
        self.waits = [0] * count
        self.before = [list({graph.writer[x] for x in roots if x in graph.writer}) for roots in graph.reads]
        for number, before in enumerate(self.before):
            self.waits[number] = len(before)
            for other in before:
                self.after[other].append(number)
        self.softly = {number: set(before) for number, before in graph.waits_softly.items()}
        self.soft_after: dict[int, list[int]] = {}
        for number, before in self.softly.items():
            for other in before:
                self.soft_after.setdefault(other, []).append(number)
        self.risky = set(graph.risky)
        self.done = [False] * count
        self.ready: list[tuple[int, int]] = []
        self.blocked: set[int] = set()

    def order(self) -> list[int]:
        found: list[int] = []
        for number, waits in enumerate(self.waits):
            if not waits:
                self._offer(number)
        while len(found) < len(self.done):
            number = self._next()
            self.done[number] = True
            found.append(number)
            self._finish(number)
        return found

    def _next(self) -> int:
        while self.ready:
            balance, number = heapq.heappop(self.ready)
            if self.done[number]:
                continue
            now = self._outlook(number)
            if now <= balance or not self.ready or (now, number) <= self.ready[0]:
                return number
            heapq.heappush(self.ready, (now, number))
        number = min(self.blocked)  # variables that read each other: one of them is written later, and copied
        self.blocked.discard(number)
        return number

    def _offer(self, number: int) -> None:
        if self.softly.get(number):
            self.blocked.add(number)
        else:
            heapq.heappush(self.ready, (self._outlook(number), number))

    def _finish(self, number: int) -> None:
        graph = self.graph
        for x in graph.reads[number]:
            self.left[x] -= 1
            if self.left[x] == 1 and x in graph.bytes:
                last = next(i for i in graph.readers[x] if not self.done[i])
                if not self.waits[last] and last not in self.blocked:
                    heapq.heappush(self.ready, (self._outlook(last), last))
        for other in self.after[number]:
            self.waits[other] -= 1
            if not self.waits[other]:
                self._offer(other)
            elif self.waits[other] == 1:
                self._look_back(other)
        self._release(number)
        if number in self.risky:
            self.risky.discard(number)
            if not self.risky:
                self._release(RISK)

    def _release(self, number: int) -> None:
        """Those that waited only for this one, so that they may write over a variable."""
        for other in self.soft_after.get(number, ()):
            self.softly[other].discard(number)
            if self.softly[other]:
                continue
            if other in self.blocked:
                self.blocked.discard(other)
                heapq.heappush(self.ready, (self._outlook(other), other))
            else:
                self._look_back(other)

    def _look_back(self, number: int) -> None:
        """The outlook of the step that alone holds this one up may be better than it was."""
        for _ in range(AHEAD):
            if self.waits[number] != 1:
                return
            number = next(i for i in self.before[number] if not self.done[i])
            if not self.waits[number]:
                if number not in self.blocked:
                    heapq.heappush(self.ready, (self._outlook(number), number))
                return

    def _outlook(self, number: int) -> int:
        """The lowest balance of bytes that is reached by this step and those that it alone holds up, one after the other."""
        best = balance = self._balance(number, number)
        before = number
        for _ in range(AHEAD):
            following = [i for i in self.after[before] if self.waits[i] == 1 and not self.softly.get(i)]
            if len(following) != 1:
                break
            balance += self._balance(following[0], before)
            best = min(best, balance)
            before = following[0]
        return best

    def _balance(self, number: int, before: int) -> int:
        """Bytes that the step takes less those that it frees, if ``before`` is done."""
        graph = self.graph
        balance = 0
        for node in graph.writes[number]:
            balance += graph.bytes[node]
        for x in graph.reads[number]:
            left = self.left[x] - (before != number and x in graph.reads[before])
            if left == 1 and x in graph.bytes and x not in graph.kept:
                balance -= graph.bytes[x]
        return balance
