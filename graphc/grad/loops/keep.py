"""What a loop computes and a later one computes again, such as a gradient's, is kept: the first tells it, the second reads it.

A step of the later loop that starts from what the earlier one told (its history and its sequences) computes the same nodes as the
earlier loop's step, since nodes are interned; so they are found by writing the later step in terms of the earlier one's parameters.
Kept is what is dear, products, reductions and transcendental functions; what is cheap is computed again from that, for all steps at
once, unless keeping it takes no more memory than what it is computed from. Inside ``checkpoint`` nothing is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.core import Bundle, Constant, Subgraph, Tensor, input, parts, rebuild, toposort
from graphc.grad.loops.loop import MOVEMENT, Loop, elements, is_loop, recurrent, with_loops

CHEAP = frozenset(
    {"add", "subtract", "multiply", "negative", "abs", "square", "maximum", "minimum", "where", "cast", "sign", "logical_and", "logical_or"}
    | {"logical_not", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "broadcast_to"}
)
"""Ops that are done again sooner than kept."""


def keep(roots: Sequence[Tensor]) -> list[Tensor]:
    """The roots with every loop reading what an earlier one has computed, in bodies too."""
    roots = _kept([*roots])
    return _in_bodies(roots)


def _in_bodies(roots: list[Tensor]) -> list[Tensor]:
    new: dict[Tensor, Tensor] = {}
    for node in toposort(roots):
        inputs = tuple([new[x] for x in node.inputs])
        attrs = tuple([value.transformed(keep) if isinstance(value, Subgraph) else value for value in node.attrs])
        new[node] = rebuild(node, inputs, attrs)
    return [new[root] for root in roots]


def _kept(roots: list[Tensor]) -> list[Tensor]:
    loops = [node for node in toposort(roots) if is_loop(node)]
    if len(loops) < 2:
        return roots
    seen: list[_Seen] = []
    for node in loops:
        found = _Seen(node)
        found.reuse(seen)
        seen.append(found)
    if not any(one.wanted for one in seen):
        return roots
    by_node = {one.node: one for one in seen}
    return with_loops(roots, lambda node, operands: by_node[node].built(operands))


class _Seen:
    """A loop, what it is asked to tell beside its own results, and what it need not compute."""

    def __init__(self, node: Tensor) -> None:
        self.node = node
        self.loop = Loop.of(node, node.inputs)
        self.results: Sequence[Tensor] = ()
        self.wanted: dict[Tensor, None] = {}
        self.given: dict[Tensor, tuple[_Seen, Tensor]] = {}
        self.nodes = set(toposort(self.loop.outputs))
        self.recurrent = recurrent(self.loop.outputs, [c.before for c in self.loop.carries])
        self.stands: dict[Tensor, Tensor] = {x: p for p, x in (*self.loop.steady.items(), *self.loop.items.items())}

    def tells(self) -> dict[Tensor, Tensor]:
        """The stacked results of the loop as the graph has them, by the values of the body."""
        return dict(zip(parts(self.node)[len(self.loop.carries) :], self.loop.told, strict=True))

    def reuse(self, earlier: Sequence[_Seen]) -> None:
        """Find the values of this loop that do not depend on its carry and that an earlier one has."""
        found: dict[Tensor, tuple[_Seen, Tensor]] = {}
        for one in earlier:
            if one.loop.length == self.loop.length:
                for node, twin in self._twins(one).items():
                    found.setdefault(node, (one, twin))
        if not found:
            return
        inner = [x for node in toposort(self.loop.outputs) if node in self.recurrent for x in node.inputs]
        chosen = _Choice(found)
        for node in (*self.loop.outputs, *inner):
            if node not in self.recurrent:
                self.given |= {x: found[x] for x in chosen.needed(node)}
        for one, twin in self.given.values():
            one.wanted[twin] = None

    def _twins(self, one: _Seen) -> dict[Tensor, Tensor]:
        """The values of this loop's step that are recurrent ones of the other's, and what they are there."""
        known = one.stands | one.tells()
        twin: dict[Tensor, Tensor] = {p: known[x] for p, x in (*self.loop.steady.items(), *self.loop.items.items()) if x in known}
        if not any(p in twin for p in self.loop.items):
            return {}
        for node in toposort(self.loop.outputs):
            if isinstance(node, Constant):
                twin[node] = node
            elif node.op is not None and all(x in twin for x in node.inputs):
                candidate = node.op.apply(tuple([twin[x] for x in node.inputs]), node.attrs)
                if candidate in one.nodes:
                    twin[node] = candidate
        return {node: t for node, t in twin.items() if t in one.recurrent and node.op is not None}

    def built(self, operands: Sequence[Tensor]) -> Sequence[Tensor]:
        """The results of the loop on these operands, those of before first."""
        loop = Loop.of(self.node, operands)
        loop.told += [x for x in self.wanted if x not in loop.told]
        places = {x: i for i, x in enumerate(loop.told)}
        self.places = {x: len(loop.carries) + places[x] for x in self.wanted}
        new: dict[Tensor, Tensor] = {}
        for node, (one, twin) in self.given.items():
            new[node] = input("kept", node.shape, node.dtype)
            loop.items[new[node]] = one.results[one.places[twin]]
        loop.replace(new)
        self.results = loop.built()
        return self.results


class _Choice:
    """What to keep, so that a value can be had."""

    def __init__(self, found: dict[Tensor, tuple[_Seen, Tensor]]) -> None:
        self.found = found
        self.known: dict[Tensor, tuple[Tensor, ...]] = {}

    def needed(self, root: Tensor) -> tuple[Tensor, ...]:
        """The nodes that are kept for this one."""
        for node in toposort([root]):
            if node not in self.known:
                below = tuple(dict.fromkeys(y for x in node.inputs for y in self.known[x]))
                self.known[node] = self._kept_for(node, below)
        return self.known[root]

    def _kept_for(self, node: Tensor, below: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if node not in self.found or node.op is None or isinstance(node.type, Bundle) or node.op.name in MOVEMENT:
            return below
        cheap = node.op.name in CHEAP and elements(node) > sum(map(elements, below))
        return below if cheap else (node,)
