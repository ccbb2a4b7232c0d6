"""Fusing steps into loops over rows: what works on each row by itself is done block of rows by block of rows, in the cache.

A step works by rows when row ``i`` of its result needs only row ``i`` of some operands and the whole of others: pointwise ops, reductions
along other axes. A sum over all rows can be added up on the way. Steps of one number of rows that hang together only so become one
:class:`Rows`. Products of matrices stay out: BLAS has blocks and threads of its own, and is quicker on the whole.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from graphc import parallel
from graphc.core import Tensor, TensorType, sizes
from graphc.core.dtypes import itemsize
from graphc.core.expr import Constant, Input
from graphc.core.sizes import TYPICAL, Dim, typical
from graphc.lower.cost import Estimate, ways
from graphc.lower.schedule import Schedule, schedule

SMALLEST = 1 << 16
"""Bytes of the largest value below which no loop is even looked for: the calls take longer than their arithmetic."""
THREADS = 2
"""For how many threads a loop is reckoned, wherever it runs, so that the same code runs everywhere."""


@dataclass(frozen=True)
class Rows:
    """Steps done together by rows. ``sliced`` operands are read by rows, ``whole`` ones by every row.

    ``kept`` are results by rows that others read, ``sums`` the sums over all rows. ``inner`` is the same graph on a block of rows: its
    inputs stand for ``sliced`` and ``whole``, its outputs are ``kept`` and then ``sums``; ``on_block`` are its nodes in the order of
    ``nodes``.
    """

    size: Dim
    nodes: tuple[Tensor, ...]
    sliced: tuple[Tensor, ...]
    whole: tuple[Tensor, ...]
    kept: tuple[Tensor, ...]
    sums: tuple[Tensor, ...]
    inner: Schedule
    on_block: tuple[Tensor, ...]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it reads, each once."""
        return tuple(dict.fromkeys((*self.sliced, *self.whole)))


class Loops:
    """The loops that a schedule allows. Which of them pay is known when the sizes are; ``fused`` is the schedule with those."""

    def __init__(self, plan: Schedule) -> None:
        self.plan = plan
        self.nodes: tuple[Tensor, ...] = plan.steps

    @cached_property
    def groups(self) -> tuple[tuple[Tensor, ...], ...]:
        """The nodes of each loop."""
        self.leaving = {*self.plan.outputs, *self.plan.updates.values()}
        self.readers: dict[Tensor, list[Tensor]] = {node: [] for node in self.nodes}
        self.key = {node: _rows_of(node) for node in self.nodes}
        for node in self.nodes:
            for x in dict.fromkeys(node.inputs):
                if x in self.readers:
                    self.readers[x].append(node)
        self.level: dict[Tensor, int] = {}
        self._raise_levels()
        self._sink()
        groups: dict[tuple[int, Any], list[Tensor]] = {}
        for node in self.nodes:
            if self.key[node] is not None:
                groups.setdefault((self.level[node], self.key[node]), []).append(node)
        return tuple([tuple(group) for group in groups.values() if len(group) > 1])

    def worth(self, known: Mapping[str, int]) -> tuple[int, ...]:
        """The numbers of the loops that pay at these sizes, by an estimate; a name that is not among them counts as ``TYPICAL``."""
        if all(typical(type.nbytes, known) < SMALLEST for type in {node.type for node in self.nodes}):
            return ()
        estimate = Estimate(known, unknown=TYPICAL)
        return tuple([i for i in range(len(self.groups)) if self._pays(i, estimate)])

    def _pays(self, number: int, estimate: Estimate) -> bool:
        group = self.groups[number]
        rows = self.key[group[0]]
        assert rows is not None
        count = estimate.number(rows)
        shards = len(parallel.cut(count, *[estimate.number(size) for size in work_of_a_row(group)]).shards)
        return ways(group, self._kept(group), count, estimate, threads=min(THREADS, shards)).loop_pays

    def fused(self, chosen: Sequence[int]) -> Schedule:
        """The schedule with these loops in the place of their steps, and everything else as near to its old place as can be."""
        if not chosen:
            return self.plan
        loop_of: dict[Tensor, int] = {node: i for i in chosen for node in self.groups[i]}
        made = {i: self._loop(self.groups[i]) for i in chosen}
        return replace(self.plan, steps=tuple(_in_order(self.nodes, loop_of, made)))

    def _joins(self, x: Tensor, node: Tensor) -> bool:
        """Whether ``node`` can be in the loop that computes its operand ``x``."""
        return self.key.get(x) is not None and self.key[x] == self.key[node] and not _is_sum(x) and _by_rows(node, x)

    def _raise_levels(self) -> None:
        for node in self.nodes:
            level = 0
            for x in node.inputs:
                if x in self.level:
                    level = max(level, self.level[x] + (0 if self.key[x] is None or self._joins(x, node) else 1))
            self.level[node] = level

    def _sink(self) -> None:
        """What only one later loop reads is computed in that loop, so that it never exists as a whole."""
        for node in reversed(self.nodes):
            readers = self.readers[node]
            if node in self.leaving or self.key[node] is None or not readers or not all(self._joins(node, reader) for reader in readers):
                continue
            levels = {self.level[reader] for reader in readers}
            if len(levels) == 1:
                self.level[node] = levels.pop()

    def _kept(self, nodes: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The results by rows that are read outside."""
        inside = set(nodes)
        return tuple([n for n in nodes if not _is_sum(n) and (n in self.leaving or any(r not in inside for r in self.readers[n]))])

    def _loop(self, nodes: Sequence[Tensor]) -> Rows:
        rows, inside = self.key[nodes[0]], set(nodes)
        assert rows is not None
        size = sizes.canonical((f"rows_{len(nodes)}",))[0]
        stand_in: dict[Tensor, Tensor] = {}
        sliced: dict[Tensor, Input] = {}
        whole: dict[Tensor, Input] = {}
        for node in nodes:
            for x in node.inputs:
                if x in inside or (isinstance(x, Constant) and not x.shape):
                    continue
                if _by_rows(node, x):
                    sliced.setdefault(x, _stand_in(x, (size, *x.shape[1:])))
                else:
                    whole.setdefault(x, _stand_in(x, x.shape))
        for node in nodes:
            operands = [
                x
                if isinstance(x, Constant) and not x.shape
                else stand_in[x]
                if x in inside
                else (sliced if _by_rows(node, x) else whole)[x]
                for x in node.inputs
            ]
            assert node.op is not None
            stand_in[node] = node.op.apply(tuple(operands), node.attrs)
            if node.label and not stand_in[node].label:
                stand_in[node].label = node.label
        kept = self._kept(nodes)
        sums = tuple([n for n in nodes if _is_sum(n)])
        inner = schedule([*sliced.values(), *whole.values()], [stand_in[n] for n in (*kept, *sums)], {})
        on_block = tuple([stand_in[n] for n in nodes])
        return Rows(rows, tuple(nodes), tuple(sliced), tuple(whole), kept, sums, inner, on_block)


def work_of_a_row(nodes: Sequence[Tensor]) -> tuple[Dim, Dim]:
    """Bytes that a row writes in all, and into the widest array: of several formulas the first."""
    widths = list(dict.fromkeys([row_bytes(node.type) for node in nodes]))
    named = [width for width in widths if not isinstance(width, int)]
    widest = named[0] if named else max([width for width in widths if isinstance(width, int)], default=0)
    return sizes.total([row_bytes(node.type) for node in nodes]), widest


def row_bytes(type: TensorType) -> Dim:
    """Bytes of a row of this type; a number has no rows."""
    return sizes.product(type.shape[1:]) * itemsize(type.dtype) if type.shape else 0


def _in_order(nodes: Sequence[Tensor], loop_of: Mapping[Tensor, int], loops: Mapping[int, Rows]) -> Iterator[Any]:
    """Nodes and loops, each after what it reads, and of those that can come next the first in the old order."""
    position = {node: i for i, node in enumerate(nodes)}
    first: dict[int, int] = {}
    for node, i in loop_of.items():
        first[i] = min(first.get(i, position[node]), position[node])

    def unit(node: Tensor) -> int:
        return first[loop_of[node]] if node in loop_of else position[node]

    steps: dict[int, Any] = {unit(node): loops[loop_of[node]] if node in loop_of else node for node in nodes}
    readers: dict[int, set[int]] = {i: set() for i in steps}
    waits = dict.fromkeys(steps, 0)
    for node in nodes:
        reader = unit(node)
        for x in node.inputs:
            if x in position and unit(x) != reader and reader not in readers[unit(x)]:
                readers[unit(x)].add(reader)
                waits[reader] += 1
    ready = [i for i, count in waits.items() if not count]
    heapq.heapify(ready)
    while ready:
        i = heapq.heappop(ready)
        yield steps[i]
        for reader in readers[i]:
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(ready, reader)


def _stand_in(x: Tensor, shape: Any) -> Input:
    node = Input(None, (), (), TensorType(x.dtype, shape))
    node.label, node.origin = x.label, x.origin
    return node


def _rows_of(node: Tensor) -> Dim | None:
    """How many rows the node works on one by one, or None."""
    op = node.op
    if op is None or node.dtype in ("bundle", "bfloat16") or any(x.dtype == "bfloat16" for x in node.inputs):
        return None
    if op.pointwise and op.emit is not None:
        return node.shape[0] if node.ndim and any(_by_rows(node, x) for x in node.inputs) else None
    if not _is_reduction(node) or not node.inputs[0].ndim:
        return None
    return node.inputs[0].shape[0] if 0 not in node.attributes["axis"] or _is_sum(node) else None


def _is_reduction(node: Tensor) -> bool:
    """Whether the node is one call that reduces axes."""
    return node.op is not None and "keepdims" in node.op.attributes and node.op.expand is None


def _is_sum(node: Tensor) -> bool:
    """Whether the node adds up over the rows: linear, it may be done block by block, and the results added."""
    return _is_reduction(node) and bool(node.op and node.op.linear) and 0 in node.attributes["axis"] and not node.attributes["keepdims"]


def _by_rows(node: Tensor, x: Tensor) -> bool:
    """Whether the node reads this operand row by row, and not whole in each."""
    if node.op is not None and node.op.pointwise:
        return x.ndim == node.ndim > 0 and x.shape[0] == node.shape[0] and x.shape[0] != 1
    return True
