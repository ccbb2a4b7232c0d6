"""Which nodes of two graphs stand for one another.

Nodes are matched from the leaves up where all that they are made of is equal (a structural hash, as compilers number values: J. Cocke and
J. T. Schwartz, 1970), then by their labels, and then from the roots down and on, reader by reader and operand by operand, as in the
alignment of trees by S. S. Chawathe, A. Rajaraman, H. Garcia-Molina and J. Widom (SIGMOD 1996). Leaves that have other names are matched
by their types at last. All of it is linear in the number of nodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from graphc.core import Constant, Tensor, bodies, consumers, toposort

Key = Callable[[Tensor], Hashable]


def matched(a: Sequence[Tensor], b: Sequence[Tensor]) -> dict[Tensor, Tensor]:
    """For nodes of the graph of ``a`` the node of that of ``b`` that is most like it; no node of ``b`` comes twice."""
    run = _Matching(toposort(a), toposort(b))
    run.leaves()
    run.equal_from_below()
    run.by(_op_and_label)
    run.pair(zip(a, b, strict=False))
    run.outwards()
    run.by(_line)
    run.outwards()
    run.by(_kind_and_type)
    run.equal_from_below()
    run.outwards()
    run.by(_label)
    run.in_changed_places([(x, y) for x, y in zip(a, b, strict=False) if x.type is y.type])
    return {x: run.found[x] for x in run.nodes if x in run.found}


def matched_with_bodies(a: Sequence[Tensor], b: Sequence[Tensor]) -> dict[Tensor, Tensor]:
    """The same with the nodes inside of loops and branches, where the nodes that hold them are matched."""
    found = matched(a, b)
    waiting = list(found.items())
    while waiting:
        x, y = waiting.pop()
        if x is not y:
            for inner, other in zip(bodies(x), bodies(y), strict=False):
                fresh = {one: twin for one, twin in matched(inner.outputs, other.outputs).items() if one not in found}
                found.update(fresh)
                waiting += fresh.items()
    return found


class _Matching:
    def __init__(self, nodes: list[Tensor], others: list[Tensor]) -> None:
        self.nodes, self.others = nodes, others
        self.found: Final[dict[Tensor, Tensor]] = {}
        self.back: Final[dict[Tensor, Tensor]] = {}
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def _match(self, x: Tensor, y: Tensor) -> bool:
        if x in self.found or y in self.back:
            return False
        self.found[x], self.back[y] = y, x
        self._waiting.append((x, y))
        return True

    def leaves(self) -> None:
        """Nodes that both graphs have, and then leaves of one kind, label and type, in their order."""
        there = set(self.others)
        for x in self.nodes:
            if x in there:
                self._match(x, x)
        for key in (_leaf, _kind_and_label):
            self.by(key)

    def by(self, key: Key) -> None:
        """Match what has one key, the first with the first and so on, if both graphs have as many of them."""
        mine, others = _groups(self.nodes, self.found, key), _groups(self.others, self.back, key)
        for name, group in mine.items():
            if len(group) == len(others.get(name, ())):
                for x, y in zip(group, others[name], strict=True):
                    self._match(x, y)

    def equal_from_below(self) -> None:
        """Nodes that do the same to operands that are matched."""
        table: dict[Any, Tensor] = {}
        for y in self.others:
            if y.op is not None and y not in self.back:
                table.setdefault((y.op, y.attrs, y.type, *y.inputs), y)
        for x in self.nodes:
            if x.op is not None and x not in self.found:
                twin = table.get((x.op, x.attrs, x.type, *[self.found.get(operand) for operand in x.inputs]))
                if twin is not None:
                    self._match(x, twin)

    def pair(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Match those of these pairs that are of one op."""
        for x, y in pairs:
            if alike(x, y):
                self._match(x, y)

    def outwards(self) -> None:
        """From what is matched on to operands at the same places, and to readers that are of one op each, until nothing new comes."""
        mine, others = consumers(self.nodes), consumers(self.others)
        while self._waiting:
            x, y = self._waiting.pop()
            self.pair(zip(x.inputs, y.inputs, strict=False))
            self.pair(_only_ones(self._free(mine[x], self.found), self._free(others[y], self.back)))

    def _free(self, nodes: Iterable[Tensor], taken: Mapping[Tensor, Tensor]) -> list[Tensor]:
        return [node for node in nodes if node not in taken]

    def in_changed_places(self, roots: Iterable[tuple[Tensor, Tensor]]) -> None:
        """These roots, and operands of matched nodes at the same places, though the op is another."""
        for x, y in roots:
            if (x.op is None) == (y.op is None):
                self._match(x, y)
        self._waiting = list(self.found.items())
        while self._waiting:
            x, y = self._waiting.pop()
            if len(x.inputs) == len(y.inputs):
                for one, other in zip(x.inputs, y.inputs, strict=True):
                    if (one.op is None) == (other.op is None):
                        self._match(one, other)


def alike(x: Tensor, y: Tensor) -> bool:
    """Whether both are of one op, or leaves of one kind."""
    return x.op is y.op and x.kind == y.kind


def _only_ones(mine: Sequence[Tensor], others: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The nodes that are alone in being of their op, on both sides."""
    one, other = _groups(mine, {}, _op), _groups(others, {}, _op)
    return [(group[0], other[op][0]) for op, group in one.items() if len(group) == 1 == len(other.get(op, ()))]


def _groups(nodes: Iterable[Tensor], taken: Mapping[Tensor, Tensor], key: Key) -> dict[Hashable, list[Tensor]]:
    found: dict[Hashable, list[Tensor]] = defaultdict(list)
    for node in nodes:
        if node not in taken and (name := key(node)) is not None:
            found[name].append(node)
    return dict(found)


def _leaf(x: Tensor) -> Hashable:
    return (x.kind, x.label, x.type) if x.op is None and not isinstance(x, Constant) else None


def _kind_and_label(x: Tensor) -> Hashable:
    return (x.kind, x.label) if x.op is None and x.label else None


def _kind_and_type(x: Tensor) -> Hashable:
    return (x.kind, x.type) if x.op is None and not isinstance(x, Constant) else None


def _label(x: Tensor) -> Hashable:
    return x.label if x.op is not None else None


def _op_and_label(x: Tensor) -> Hashable:
    return (x.op, x.label) if x.op is not None and x.label else None


def _op(x: Tensor) -> Hashable:
    return (x.op, x.kind)


def _line(x: Tensor) -> Hashable:
    """What is made on one line by one op, of one type."""
    return None if x.op is None or x.origin is None else (x.op, x.type, x.origin[:2])
