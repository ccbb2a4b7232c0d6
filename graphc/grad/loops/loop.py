"""A loop taken apart, so that passes can move things in and out of it, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphc.core import OPS, Bundle, Constant, Subgraph, Tensor, bodies, close, derived_from, parts, rebuild, sizes, substitute, toposort
from graphc.core.sizes import Dim

SMALL = 1 << 16
"""Elements beyond which the work of one call outweighs its overhead, so that nothing is gained by doing several steps in one call."""
MOVEMENT = frozenset({"narrow", "reshape", "transpose", "expand_dims", "squeeze"})
"""Ops whose results are other views of their operand."""


def is_loop(node: Tensor) -> bool:
    """Whether this is a scan."""
    return node.op is not None and node.op.name == "scan"


def elements(node: Tensor) -> int:
    """About how many elements a node has."""
    if isinstance(node.type, Bundle):
        return sum(sizes.typical(type.size) for type in node.type.parts)
    return sizes.typical(node.size)


@dataclass
class Carry:
    """What goes from step to step: the body's parameter, the value before the first step, and the body's value for the next."""

    before: Tensor
    first: Tensor
    after: Tensor


@dataclass
class Loop:
    """A scan by what its parts are.

    ``items`` and ``steady`` say what the body's parameters stand for outside: an item of a stack, and the same in every step. ``told``
    are the body's values that are stacked; a history is the parameter of a carry among them.
    """

    node: Tensor
    carries: list[Carry]
    items: dict[Tensor, Tensor]
    steady: dict[Tensor, Tensor]
    told: list[Tensor]
    length: Dim

    @staticmethod
    def of(node: Tensor, operands: Sequence[Tensor]) -> Loop:
        """The loop of a node, on these operands."""
        a = node.attributes
        n, m = a["carries"], a["carries"] + a["sequences"]
        body: Subgraph = a["body"]
        p: tuple[Tensor, ...] = body.parameters
        carries = [Carry(*together) for together in zip(p[:n], operands[:n], body.outputs[:n], strict=True)]
        history: tuple[int, ...] = a["history"]
        told: list[Tensor] = [*body.outputs[n:], *[p[j] for j in history]]
        items: dict[Tensor, Tensor] = {}
        items.update(zip(p[n:m], operands[n:m], strict=True))
        steady: dict[Tensor, Tensor] = {}
        steady.update(zip(p[m:], operands[m:], strict=True))
        return Loop(node, carries, items, steady, told, a["length"])

    @property
    def outputs(self) -> list[Tensor]:
        """All that the body computes."""
        return [*(c.after for c in self.carries), *self.told]

    def replace(self, new: Mapping[Tensor, Tensor]) -> None:
        """Put other nodes in the place of some of the body's."""
        if not new:
            return
        outputs = substitute(self.outputs, new)
        for carry, after in zip(self.carries, outputs, strict=False):
            carry.after = after
        self.told = outputs[len(self.carries) :]

    def built(self) -> tuple[Tensor, ...]:
        """The results of the loop: the last carries, and what it tells."""
        read = set(toposort(self.outputs))
        items, steady = [x for x in self.items if x in read], [x for x in self.steady if x in read]
        order = [*(c.before for c in self.carries), *items, *steady]
        body, _ = close(order, self.outputs)
        attributes = self.node.attributes | {
            "body": body,
            "carries": len(self.carries),
            "sequences": len(items),
            "history": (),
            "results": tuple([y.type for y in self.told]),
        }
        operands = [*(c.first for c in self.carries), *(self.items[x] for x in items), *(self.steady[x] for x in steady)]
        with derived_from(self.node):
            made = OPS["scan"].apply(tuple(operands), tuple(attributes.values()))
            return parts(made)


def recurrent(outputs: Iterable[Tensor], carries: Iterable[Tensor]) -> set[Tensor]:
    """The body's values that depend on the carry, the carry included."""
    found = set(carries)
    for node in toposort(outputs):
        if not found.isdisjoint(node.inputs):
            found.add(node)
    return found


def with_loops(roots: Sequence[Tensor], change: Callable[[Tensor, tuple[Tensor, ...]], Sequence[Tensor]]) -> list[Tensor]:
    """The roots with every loop changed: ``change(node, new operands)`` gives what its results become."""
    new: dict[Tensor, Any] = {}
    for node in toposort(roots):
        inputs = tuple([new[x] for x in node.inputs])
        if is_loop(node):
            with derived_from(node):
                new[node] = change(node, inputs)
        elif inputs and isinstance(inputs[0], tuple | list):
            new[node] = inputs[0][node.attributes["index"]]
        else:
            new[node] = rebuild(node, inputs)
    return [new[root] for root in roots]


def has_loops(roots: Sequence[Tensor]) -> bool:
    """Whether a scan is in this graph or in a body of it."""
    holding = [node for node in toposort(roots) if node.attrs and bodies(node)]
    return any(is_loop(node) or any(has_loops(body.outputs) for body in bodies(node)) for node in holding)


def is_fixed(node: Tensor) -> bool:
    """Whether this is a constant, or one spread out."""
    while node.op is not None and node.op.name in ("broadcast_to", *MOVEMENT):
        node = node.inputs[0]
    return isinstance(node, Constant)
