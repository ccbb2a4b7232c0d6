"""Recomputation under a budget of memory: values that are needed again late are dropped and computed once more.

The steps are gone through with a limit on the bytes alive. When one does not fit, the value goes whose second computation costs least for
the memory that it frees and the time until it is needed: what must be computed for it, those that were dropped before among it, over its
bytes times the steps until its next use. So what is kept spreads by itself, as the checkpoints of Chen et al. (2016) do in a chain, in
any graph. This is dynamic tensor rematerialisation (Kirisame et al., 2021) done while compiling, where the next use of a value is
known; Checkmate (Jain et al., 2020) finds the optimum by integer programming, at its price.

What is computed again are nodes of their own, which :data:`AGAIN` keeps apart from the first ones, so that the graph stays a
plain one and no later stage knows of recomputation.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import replace

from graphc.core import Bundle, Op, Tensor, TensorType, derived_from
from graphc.core.errors import BackendError
from graphc.lower.cost import Estimate
from graphc.lower.footprint import written
from graphc.lower.order import StepGraph, spared
from graphc.lower.planning import planned
from graphc.lower.schedule import Schedule, schedule

ROUNDS = 6
"""How often the limit is set anew, because the bytes alive are not all that a call needs."""
SHARES = (1, 4, 16)
"""What is computed again at once may be such a part of the peak: long runs cost less, short ones need less."""
HELD_FOR = 4
"""A value that was computed again stays for others that were dropped and are made of it within so many steps."""
TIDIED = 8
"""Every so many steps what is not needed any more is looked for."""
LOOKED_AT = 12
"""So many steps are added up at most to see what computing a value again takes."""
MOST_WORK = 3.0
"""More time for computing again than so many whole calls is taken for impossible."""


def _again(x: TensorType, after: TensorType) -> TensorType:
    """``x``, and not before ``after`` is there. What reads it is another node than what reads ``x``."""
    return x


AGAIN = Op(
    "again",
    _again,
    ("x", "after"),
    False,
    (),
    {},
    emit="$x",
    jax="jax.lax.optimization_barrier(($x, $after))[0]",
    view=True,
    flops=0,
)
"""An op of the compiler alone: it is in no table, and neither gradients nor rules ever see it."""


def within_budget(whole: Schedule, budget: int, known: Mapping[str, int], dropped: frozenset[str] = frozenset()) -> Schedule:
    """The schedule of a graph that needs at most ``budget`` bytes beside its leaves, with as little computed twice as is found.

    It will be :func:`~graphc.lower.planning.planned` for these sizes without what is ``dropped``. Raises :class:`BackendError` with the
    least that can be reached, and what holds it.
    """
    plain = planned(whole, known, dropped).footprint
    if plain.peak <= budget:
        return whole
    steps = spared(whole, known)
    graph = StepGraph(steps, known)
    top, over = graph.peak_as_it_is()[0], plain.peak - budget
    least = plain
    for share in SHARES:
        limit, last = top - over, plain.peak
        for _ in range(ROUNDS):
            found = recomputed(steps, limit, known, run=top // share)
            if found is None:
                break
            needed = planned(found, known, dropped).footprint
            least = min(least, needed, key=lambda one: one.peak)
            if needed.peak <= budget:
                return found
            if needed.peak > last:
                break
            limit, last = limit - max(needed.peak - budget, top // 100), needed.peak
    raise BackendError(
        f"memory_budget={budget}: a call needs at least {least.peak} bytes ({written(least.peak)}), {plain.peak} without recomputation",
        given=str(least).splitlines()[1:],
        fits=f"memory_budget={least.peak} or more, smaller inputs, or gc.checkpoint around parts of the graph",
    )


def recomputed(steps: Schedule, limit: int, known: Mapping[str, int], *, run: int) -> Schedule | None:
    """The graph with values computed again so that at most ``limit`` bytes are alive; None where none is found.

    What is dropped and hangs together is at most ``run`` bytes, because it will be there at once when it is computed again.
    The order of ``steps`` is gone through; bytes are of values, neither of leaves nor of updates in place.
    """
    walk = _Walk(StepGraph(steps, known), limit, Estimate(known), run)
    if not walk.done():
        return None
    outputs = [walk.current(node) for node in steps.outputs]
    found = schedule(steps.inputs, outputs, {variable: walk.current(value) for variable, value in steps.updates.items()})
    return _in_order(found, {node: number for number, node in reversed(list(enumerate(walk.sequence)))})


def _in_order(found: Schedule, place: Mapping[Tensor, int]) -> Schedule:
    """The schedule in the order in which the walk went."""
    graph = StepGraph(found, {})
    order = sorted(range(len(graph.units)), key=lambda number: place[graph.units[number]])
    return replace(found, steps=tuple(graph.with_views(order)))


class _Walk:
    """The steps one after the other, and what is in memory. A value is its node in the first graph, whichever node computed it last."""

    def __init__(self, graph: StepGraph, limit: int, cost: Callable[[Tensor], float], run: int) -> None:
        self.graph, self.limit, self.run = graph, limit, run
        self.top = graph.peak_as_it_is()[1]
        self.time = [sum([cost(node) for node in nodes]) for nodes in graph.writes]
        self.patience = MOST_WORK * sum(self.time)
        self.spent = 0.0
        self.deadline = self._deadlines()
        self.there: set[Tensor] = set()
        self.node: dict[Tensor, Tensor] = {}
        self.used = 0
        self.now = 0
        self.pinned: dict[Tensor, int] = {}
        self.queue: list[tuple[float, int, Tensor]] = []
        self.fresh: set[Tensor] = set()
        self.lent: set[Tensor] = set()
        self.promised: dict[Tensor, Tensor] = {}
        self.group: dict[Tensor, Tensor] = {}
        self.weight: dict[Tensor, int] = {}
        self.recent: list[Tensor] = []
        self.sequence: list[Tensor] = []

    def _deadlines(self) -> list[int]:
        """Until which step each can be done again: then a variable that it reads gets its new value."""
        graph = self.graph
        new: dict[Tensor, int] = {v: graph.writer[value] for v, value in graph.schedule.updates.items() if value in graph.writer}
        never = len(graph.units)
        return [min([new[x] for x in roots if x in new], default=never) for roots in graph.reads]

    def done(self) -> bool:
        """Go through all steps. False if one does not fit."""
        for number in range(len(self.graph.units)):
            self.now = number
            self.fresh.clear()
            if not self._brought(self.graph.reads[number]) or not self._computed(number, again=False):
                return False
            for x in self.graph.reads[number]:
                self._let_go(x)
            if not number % TIDIED:
                self._tidy()
        return True

    def current(self, node: Tensor) -> Tensor:
        """What stands for the node now; views are made of what they are views of now."""
        chain: list[Tensor] = []
        while node in self.graph.views:
            chain.append(node)
            node = node.inputs[0]
        found = self.node.get(node, node)
        for view in reversed(chain):
            assert view.op is not None
            with derived_from(view):
                found = view.op.apply((found, *view.inputs[1:]), view.attrs)
        return found

    # ---------------------------------------------------------------- computing
    def _brought(self, values: list[Tensor]) -> bool:
        """Compute again what is not there, and before it what is missing for it. What the step reads stays until it is done."""
        for x in values:
            self._pin(x)
        waiting = [x for x in reversed(values) if self._missing(x)]
        while waiting:
            x = waiting[-1]
            if not self._missing(x):
                waiting.pop()
                continue
            number = self.graph.writer[x]
            missing = [y for y in self.graph.reads[number] if self._missing(y)]
            if missing:
                waiting += missing
                continue
            for y in self.graph.reads[number]:
                self._pin(y)
            if not self._computed(number, again=True):
                return False
            for y in self.graph.reads[number]:
                self._let_go(y)
            waiting.pop()
        return True

    def _missing(self, x: Tensor) -> bool:
        return x in self.graph.writer and x not in self.there

    def _computed(self, number: int, *, again: bool) -> bool:
        graph = self.graph
        writes = [node for node in graph.writes[number] if node not in self.there]
        count = sum([graph.bytes[node] for node in writes])
        over = any(self.pinned.get(x) == 1 and self._next(x) is None and x not in graph.kept for x in graph.over[number])
        if not over and not self._room(count):
            return False
        for node in writes:
            self.node[node] = self._built(node, again)
            self.sequence.append(self.node[node])
            self.there.add(node)
            self._offer(node)
            if again:
                self.fresh.add(self.node[node])
            else:
                self.recent.append(node)
        self.used += count
        if again:
            self.spent += self.time[number]
        return self.spent <= self.patience

    def _built(self, node: Tensor, again: bool) -> Tensor:
        inputs = [self.current(x) for x in node.inputs]
        if again and self.fresh.isdisjoint(inputs):
            inputs[0] = AGAIN.apply((inputs[0], self._latest()), ())
        if tuple(inputs) == node.inputs:
            return node
        assert node.op is not None
        with derived_from(node):
            found = node.op.apply(tuple(inputs), node.attrs)
        found.label = found.label or node.label
        return found

    def _latest(self) -> Tensor:
        """The last value that was computed in its turn and is still to be read: what is computed again comes after it."""
        while self.recent:
            x = self.recent[-1]
            if x in self.there and self._next(x, self.now) is not None and not isinstance(x.type, Bundle):
                return self.node[x]
            self.recent.pop()
        return next(self.node[x] for x in reversed(list(self.there)) if not isinstance(x.type, Bundle))

    # ---------------------------------------------------------------- memory
    def _pin(self, x: Tensor) -> None:
        self.pinned[x] = self.pinned.get(x, 0) + 1

    def _let_go(self, x: Tensor) -> None:
        self.pinned[x] -= 1
        if self.pinned[x] or x not in self.there:
            return
        if self._next(x) is not None or x in self.graph.kept or self._exchanged(x):
            self._offer(x)
        elif self._wanted(x, HELD_FOR):
            self.lent.add(x)
        else:
            self._drop(x)

    def _exchanged(self, x: Tensor) -> bool:
        """Keep the value instead of one that is made of it alone, element by element: more can be computed again from it."""
        if self.run >= self.limit or self.now > self.top:
            return False
        graph = self.graph
        for number in graph.readers.get(x, ()):
            (y, *more), step = graph.writes[number], graph.units[number]
            if number > self.now or more or y not in self.there or self.pinned.get(y) or graph.bytes[y] < graph.bytes[x]:
                continue
            alone = all(z is x or z not in graph.writer for z in graph.reads[number])
            if alone and step.op.pointwise and y not in graph.kept and self._may_go(y):
                self._drop(y)
                self.promised[x] = y
                return True
        return False

    def _wanted(self, x: Tensor, depth: int) -> bool:
        """Whether something that was dropped and will be read has to be computed from it, over a few steps."""
        if not depth:
            return False
        for number in self.graph.readers.get(x, ()):
            if number > self.now:
                break
            for y in self.graph.writes[number]:
                if y not in self.there and (self._next(y, self.now) is not None or self._wanted(y, depth - 1)):
                    return True
        return False

    def _tidy(self) -> None:
        """Let go of what was computed again for something that is there by now."""
        self._give_back([x for x in self.lent if not self._wanted(x, HELD_FOR)])

    def _give_back(self, lent: list[Tensor]) -> None:
        for x in lent:
            self.lent.discard(x)
            if x in self.there and self._next(x) is None:
                self._drop(x)

    def _drop(self, x: Tensor) -> None:
        self.there.discard(x)
        self.used -= self.graph.bytes[x]
        weight = self.graph.bytes[x] if self._next(x) is not None else 0
        for group in self._neighbours(x):
            weight += self.weight.pop(group)
            self.group[group] = x
        self.group[x], self.weight[x] = x, weight

    def _neighbours(self, x: Tensor) -> set[Tensor]:
        """The groups of dropped values that hang together with this one: it is made of them, or they of it."""
        graph = self.graph
        near = [*graph.reads[graph.writer[x]]]
        for number in graph.readers.get(x, ()):
            near += graph.writes[number]
        return {self._group_of(y) for y in near if y is not x and y in self.group and y not in self.there}

    def _group_of(self, x: Tensor) -> Tensor:
        while self.group[x] is not x:
            self.group[x] = self.group[self.group[x]]
            x = self.group[x]
        return x

    def _with_neighbours(self, x: Tensor) -> int:
        """Bytes of all that was dropped and hangs together, if this one is dropped too."""
        return self.graph.bytes[x] + sum([self.weight[group] for group in self._neighbours(x)])

    def _next(self, x: Tensor, after: int | None = None) -> int | None:
        """The next step in its turn that reads the value after this one, or from step ``after`` on."""
        readers = self.graph.readers.get(x, [])
        place = bisect_right(readers, self.now if after is None else after - 1)
        if place < len(readers):
            return readers[place]
        promised = self.promised.get(x)
        return self._next(promised, after) if promised is not None and promised not in self.there else None

    def _offer(self, x: Tensor) -> None:
        if self.graph.bytes[x] and x not in self.graph.kept and self._may_go(x):
            heapq.heappush(self.queue, (self._regret(x), self.graph.writer[x], x))

    def _may_go(self, x: Tensor) -> bool:
        number = self.graph.writer[x]
        following = self._next(x)
        node = self.graph.units[number]
        return following is not None and following <= self.deadline[number] and bool(node.inputs) and not node.op.raises

    def _room(self, count: int) -> bool:
        """Drop values until so many bytes fit; after the peak there is room, and nothing is dropped twice.

        Regret grows with time, so what comes out of the queue is looked at once more.
        """
        if self.now > self.top:
            return True
        held: list[tuple[float, int, Tensor]] = []
        while self.used + count > self.limit and self.queue:
            regret, number, x = heapq.heappop(self.queue)
            if x not in self.there:
                continue
            if self.pinned.get(x):
                held.append((regret, number, x))
                continue
            if not self._may_go(x):
                continue
            now = self._regret(x)
            if self.queue and now > self.queue[0][0] and now > regret:
                heapq.heappush(self.queue, (now, number, x))
                continue
            if self._with_neighbours(x) <= self.run:
                self._drop(x)
        for entry in held:
            heapq.heappush(self.queue, entry)
        if self.used + count > self.limit:
            self._give_back([x for x in self.lent if not self.pinned.get(x)])
        return self.used + count <= self.limit

    def _regret(self, x: Tensor) -> float:
        """The time to compute it again over the bytes that are free meanwhile and how long they are."""
        following = self._next(x)
        steps = (following if following is not None else len(self.graph.units)) - self.now
        return self._time(x) / (self.graph.bytes[x] * max(1, steps))

    def _time(self, x: Tensor) -> float:
        seen = {x}
        waiting = [x]
        total = 0.0
        while waiting and len(seen) < LOOKED_AT:
            number = self.graph.writer[waiting.pop()]
            total += self.time[number]
            more = [y for y in self.graph.reads[number] if self._missing(y) and y not in seen]
            more = [y for y in more if self._next(y) is None and not self._wanted(y, HELD_FOR)]
            seen.update(more)
            waiting += more
        return total
