"""Fusing steps into loops over rows: what works on each row by itself is done block of rows by block of rows, in the cache.

A step works by rows when row ``i`` of its result needs only row ``i`` of some operands and the whole of others: pointwise ops, reductions
along other axes. A sum over all rows can be added up on the way. Steps of one number of rows that hang together only so become one
:class:`Rows`. Products of matrices stay out: BLAS has blocks and threads of its own, and is quicker on the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphc.core import Tensor, TensorType, sizes
from graphc.core.expr import Constant, Input
from graphc.core.sizes import Dim
from graphc.lower.schedule import Schedule, schedule

SMALLEST = 1 << 18
"""Bytes that the steps of a loop must touch for it to pay, where sizes are known."""


@dataclass(frozen=True)
class Rows:
    """Steps done together by rows. ``sliced`` operands are read by rows, ``whole`` ones by every row.

    ``kept`` are results by rows that others read, ``sums`` the sums over all rows. ``inner`` is the same graph on a block of rows: its
    inputs stand for ``sliced`` and ``whole``, its outputs are ``kept`` and then ``sums``.
    """

    size: Dim
    nodes: tuple[Tensor, ...]
    sliced: tuple[Tensor, ...]
    whole: tuple[Tensor, ...]
    kept: tuple[Tensor, ...]
    sums: tuple[Tensor, ...]
    inner: Schedule

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it reads, each once."""
        return tuple(dict.fromkeys((*self.sliced, *self.whole)))


def fuse(plan: Schedule) -> Schedule:
    """The schedule with loops over rows in the place of steps that can be done so, where that pays."""
    found = _Fusion(plan)
    return replace(plan, steps=tuple(found.steps()))


class _Fusion:
    def __init__(self, plan: Schedule) -> None:
        self.nodes: tuple[Tensor, ...] = plan.steps
        self.leaving = {*plan.outputs, *plan.updates.values()}
        self.readers: dict[Tensor, list[Tensor]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for x in dict.fromkeys(node.inputs):
                if x in self.readers:
                    self.readers[x].append(node)
        self.key = {node: _rows_of(node) for node in self.nodes}
        self.level: dict[Tensor, int] = {}
        self._raise_levels()
        self._sink()

    def steps(self) -> list[Any]:
        """The new steps: level by level, and within a level first what is in no loop, then one loop for each number of rows."""
        groups: dict[tuple[int, bool, Any], list[Tensor]] = {}
        for node in self.nodes:
            key = self.key[node]
            groups.setdefault((self.level[node], key is not None, key), []).append(node)
        found: list[Any] = []
        for (_, _, key), nodes in sorted(groups.items(), key=lambda item: item[0][:2]):
            found += [self._loop(key, nodes)] if self._pays(nodes) else nodes
        return found

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

    def _pays(self, nodes: Sequence[Tensor]) -> bool:
        if self.key[nodes[0]] is None or len(nodes) < 2:
            return False
        touched: Dim = 0
        for node in nodes:
            touched = node.type.nbytes + touched
        return not isinstance(touched, int) or touched >= SMALLEST

    def _loop(self, rows: Dim, nodes: Sequence[Tensor]) -> Rows:
        inside = set(nodes)
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
        kept = tuple([n for n in nodes if not _is_sum(n) and (n in self.leaving or any(r not in inside for r in self.readers[n]))])
        sums = tuple([n for n in nodes if _is_sum(n)])
        inner = schedule([*sliced.values(), *whole.values()], [stand_in[n] for n in (*kept, *sums)], {})
        return Rows(rows, tuple(nodes), tuple(sliced), tuple(whole), kept, sums, inner)


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
    x = node.inputs[0] if node.inputs else None
    if x is None or not x.ndim:
        return None
    if op.name in _REDUCTIONS:
        axes: tuple[int, ...] = node.attributes["axis"]
        if 0 not in axes:
            return x.shape[0]
        return x.shape[0] if op.name == "sum" and not node.attributes["keepdims"] else None
    return None


_REDUCTIONS = ("sum", "max", "min", "any", "all")


def _is_sum(node: Tensor) -> bool:
    """Whether the node adds up over the rows."""
    return node.op is not None and node.op.name == "sum" and 0 in node.attributes["axis"]


def _by_rows(node: Tensor, x: Tensor) -> bool:
    """Whether the node reads this operand row by row, and not whole in each."""
    if node.op is not None and node.op.pointwise:
        return x.ndim == node.ndim > 0 and x.shape[0] == node.shape[0] and x.shape[0] != 1
    return True
