"""What lint looks at: the graphs of a program as they were declared, and what the rules ask of them."""

from __future__ import annotations

import linecache
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from graphc.core import Constant, Input, Tensor, Variable, consumers, describe, dtypes
from graphc.core.origin import Origin
from graphc.core.subgraph import Parameter, every_node
from graphc.ranges import REARRANGING, Range, peeled, ranges

MOVING: Final = (*REARRANGING, "concatenate", "cast", "checkpoint")
"""Ops that move values and change none, but by rounding."""


LOSSES: Final = ("loss", "total_loss", "cost", "objective")
"""What a loss is called."""


class Graph(NamedTuple):
    """One graph. ``inputs`` and ``updates`` are None where they are not known: of a tensor, which no function was compiled of."""

    name: str
    outputs: tuple[Tensor, ...]
    inputs: tuple[Input, ...] | None = None
    updates: Mapping[Variable, Tensor] | None = None
    frozen: frozenset[Variable] = frozenset()
    """Variables that are said not to be trained."""

    @property
    def roots(self) -> tuple[Tensor, ...]:
        """Outputs and new values."""
        return (*self.outputs, *(self.updates or {}).values())


class Program:
    """The graphs, and facts of their nodes that are found once, when a rule first asks for them.

    ``known`` are variables that the program has by name, whether a graph reads them or not; ``names`` what the program calls its tensors.
    """

    def __init__(
        self, graphs: Iterable[Graph], known: Mapping[str, Variable] | None = None, names: Mapping[Tensor, str] | None = None
    ) -> None:
        self.graphs: Final = tuple(graphs)
        self.known: Final = dict(known or {})
        self.names: Final = dict(names or {})

    @cached_property
    def nodes(self) -> list[Tensor]:
        """Every node of all graphs and of the bodies of loops and branches, inputs before readers within a graph."""
        return every_node([root for graph in self.graphs for root in graph.roots])

    @cached_property
    def forward(self) -> list[Tensor]:
        """The nodes with an op that are no part of a gradient: what the user wrote."""
        return [node for node in self.nodes if node.op is not None and node.forward is None]

    @cached_property
    def readers(self) -> dict[Tensor, list[Tensor]]:
        """For each node those that read it."""
        return consumers(self.nodes)

    @cached_property
    def ranges(self) -> dict[Tensor, Range]:
        """Between which numbers the values of each node lie."""
        return ranges(self.nodes)

    @cached_property
    def has_gradients(self) -> bool:
        """Whether some graph has the nodes of a gradient."""
        return any(node.forward is not None for node in self.nodes)

    @cached_property
    def differentiated(self) -> set[Tensor]:
        """The nodes that a gradient goes through. Where no gradient was taken yet: those between float variables and a float number."""
        if self.has_gradients:
            return differentiated(self.nodes)
        reached = _sloping(self.nodes)
        return _between([root for graph in self.graphs for root in graph.outputs if root in reached and not root.ndim], reached)

    def called(self, node: Tensor) -> str:
        """What the program or the user calls the node, or nothing."""
        return self.names.get(node) or node.label or ""

    def is_loss(self, node: Tensor) -> bool:
        """Whether this is one float number that is differentiated, or that is called a loss."""
        named = self.called(node).rpartition("/")[2].lower() in LOSSES
        return not node.ndim and dtypes.is_inexact(node.dtype) and (named or (self.has_gradients and node in self.differentiated))

    def guarded(self, node: Tensor) -> bool:
        """Whether what comes of the node is read through a ``where`` alone whose condition looks at the node's own operands.

        graphc masks the gradient of a branch that is not taken, so such a node may be NaN there and does no harm.
        """
        below = {node, *node.inputs, *[x for operand in node.inputs for x in operand.inputs]}
        return self._guarded(node, {x for x in below if not isinstance(x, Constant)})

    def _guarded(self, node: Tensor, below: set[Tensor], depth: int = 6) -> bool:
        readers = [reader for reader in self.readers[node] if reader.forward is None]
        if not readers or not depth or any(node in graph.outputs for graph in self.graphs):
            return False
        return all(self._chosen(reader, node, below, depth) for reader in readers)

    def _chosen(self, reader: Tensor, node: Tensor, below: set[Tensor], depth: int) -> bool:
        if reader.op is None:
            return False
        if reader.op.name == "where":
            return node in reader.inputs[1:] and not below.isdisjoint(_near([reader.inputs[0]], 4))
        return (reader.op.pointwise or reader.op.name in MOVING) and self._guarded(reader, below, depth - 1)

    def place(self, node: Tensor) -> Origin | None:
        """The user's line of a node; of one that belongs to none, as constants do, that of its first reader."""
        for _ in range(8):
            if node.origin is not None:
                return node.origin
            readers = self.readers.get(node)
            if not readers:
                return None
            node = readers[0]
        return None

    def text(self, node: Tensor) -> str:
        """The user's line of a node as it is written, or nothing where it cannot be read."""
        place = self.place(node)
        return "" if place is None else text_of(place)


def text_of(place: Origin) -> str:
    """The line as it is written, without its margin."""
    return linecache.getline(place.file, place.line).strip()


def differentiated(nodes: Sequence[Tensor]) -> set[Tensor]:
    """The forward nodes among these that a gradient goes through: those that have nodes of one, and what is between them and variables."""
    found = {node.forward for node in nodes if node.forward is not None}
    return found | _between(found, _sloping(nodes))


def _sloping(nodes: Iterable[Tensor]) -> set[Tensor]:
    """What depends on a float variable with a slope."""
    reached: set[Tensor] = set()
    for node in nodes:
        slopes = isinstance(node, Variable) or (not _stops(node) and not reached.isdisjoint(node.inputs))
        if slopes and node.forward is None and (dtypes.is_inexact(node.dtype) or node.dtype == "bundle"):
            reached.add(node)
    return reached


def _between(roots: Iterable[Tensor], reached: set[Tensor]) -> set[Tensor]:
    """The nodes under the roots that are among those reached."""
    found: set[Tensor] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [x for x in node.inputs if x in reached]
    return found


def _stops(node: Tensor) -> bool:
    return node.op is not None and bool(node.op.zero_gradient)


def _near(nodes: Sequence[Tensor], depth: int) -> set[Tensor]:
    """The nodes, and those under them down to this depth."""
    found = set(nodes)
    for _ in range(depth):
        nodes = [x for node in nodes for x in node.inputs]
        found.update(nodes)
    return found


# ---------------------------------------------------------------- what rules ask of a node
def name_of(node: Tensor) -> str:
    """The name of the op, or nothing for a leaf."""
    return node.op.name if node.op is not None else ""


def value_of(node: Tensor) -> Any:
    """The number that a constant is, spread out or not, or None."""
    node = peeled(node, ("broadcast_to", "cast"))
    return node.uniform if isinstance(node, Constant) else None


def moved(node: Tensor) -> Tensor:
    """What the values are that this node moves."""
    return peeled(node, MOVING)


def under(node: Tensor, depth: int) -> Iterator[Tensor]:
    """The nodes under a node down to this depth, itself among them."""
    yield from _near([node], depth)


def is_leaf(node: Tensor) -> bool:
    """Whether its values come from outside the graph."""
    return isinstance(node, Input | Variable | Parameter | Constant)


def spelled(node: Tensor) -> str:
    """A node in a few words."""
    return describe(node)
