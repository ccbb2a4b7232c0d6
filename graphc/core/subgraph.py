"""Graphs as attributes: what a loop repeats, what a branch chooses from, what a call recomputes.

A subgraph is closed: it reads its parameters and constants, and nothing else of the graph around it. Its parameters are known by
their places, so that bodies which are written twice are the same body, and the nodes that hold them the same node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphc.core.expr import Input, Tensor, intern_leaf
from graphc.core.graph import rebuild, substitute, toposort
from graphc.core.leaf import Variable
from graphc.core.types import TensorType


class Parameter(Input):
    """The leaf that stands for one argument of a subgraph, known by its place and type."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """``parameter``."""
        return "parameter"


def parameter(place: int, type: TensorType) -> Parameter:
    """The parameter of this place and type; there is one."""
    return intern_leaf(("parameter", place, type), lambda: _labelled(Parameter(None, (), (), type), f"p{place}"))


def _labelled(node: Parameter, label: str) -> Parameter:
    node.label = label
    return node


class Subgraph:
    """A function as a graph: ``outputs`` of ``parameters``. Equal ones compare equal."""

    __slots__ = ("outputs", "parameters")
    parameters: tuple[Parameter, ...]
    outputs: tuple[Tensor, ...]

    def __init__(self, types: Sequence[TensorType], outputs: Sequence[Tensor]) -> None:
        self.parameters = tuple([parameter(i, type) for i, type in enumerate(types)])
        self.outputs = tuple(outputs)

    @property
    def types(self) -> tuple[TensorType, ...]:
        """The types of the results."""
        return tuple([output.type for output in self.outputs])

    @property
    def nodes(self) -> list[Tensor]:
        """Every node of the body in order."""
        return toposort(self.outputs)

    def __call__(self, *arguments: Tensor) -> list[Tensor]:
        """The results as nodes of the graph around, on these arguments."""
        return substitute(self.outputs, dict(zip(self.parameters, arguments, strict=True)))

    def transformed(self, change: Callable[[list[Tensor]], Sequence[Tensor]]) -> Subgraph:
        """The subgraph with other nodes for its outputs, of the same types."""
        return Subgraph([p.type for p in self.parameters], change(list(self.outputs)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subgraph) and (self.parameters, self.outputs) == (other.parameters, other.outputs)

    def __hash__(self) -> int:
        return hash((self.parameters, self.outputs))

    def __repr__(self) -> str:
        return f"<subgraph ({', '.join(str(p.type) for p in self.parameters)}) -> ({', '.join(map(str, self.types))})>"


def close(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Subgraph, tuple[Tensor, ...]]:
    """The graph from ``inputs`` to ``outputs`` as a subgraph, and what else it reads, which becomes its last parameters.

    What depends on other leaves and not on ``inputs`` is read from outside as it is, so that a loop computes it once.
    """
    order = toposort(outputs)
    inside, outside = set(inputs), set[Tensor]()
    for node in order:
        if any(x in inside for x in node.inputs):
            inside.add(node)
        elif node not in inside and (isinstance(node, Input | Variable) or any(x in outside for x in node.inputs)):
            outside.add(node)
    read = dict.fromkeys(x for node in order if node in inside for x in node.inputs if x in outside)
    captured = tuple(read | dict.fromkeys(y for y in outputs if y in outside))
    arguments = [*inputs, *captured]
    stand_ins = {x: parameter(i, x.type) for i, x in enumerate(arguments)}
    return Subgraph([x.type for x in arguments], substitute(outputs, stand_ins)), captured


def bodies(node: Tensor) -> list[Subgraph]:
    """The subgraphs among a node's attributes."""
    return [value for value in node.attrs if isinstance(value, Subgraph)] if node.attrs else []


def every_node(roots: Sequence[Tensor]) -> list[Tensor]:
    """The nodes under ``roots`` and those of all bodies, at any depth; each once."""
    found: dict[Tensor, None] = {}
    waiting: list[Sequence[Tensor]] = [roots]
    while waiting:
        for node in toposort(waiting.pop()):
            if node not in found:
                found[node] = None
                waiting += [body.outputs for body in bodies(node)]
    return list(found)


def map_bodies(
    roots: Sequence[Tensor], change: Callable[[list[Tensor]], Sequence[Tensor]], became: list[Mapping[Tensor, Tensor]] | None = None
) -> list[Tensor]:
    """The roots with ``change`` done to the outputs of every body, innermost first; ``became`` is told what took the place of nodes."""
    order = toposort(roots)
    if not any(value.__class__ is Subgraph for node in order for value in node.attrs):
        return list(roots)
    done: dict[Subgraph, Subgraph] = {}

    def changed(value: Any) -> Any:
        if not isinstance(value, Subgraph):
            return value
        if value not in done:
            done[value] = value.transformed(lambda outputs: change(map_bodies(outputs, change, became)))
        return done[value]

    new: dict[Tensor, Tensor] = {}
    for node in order:
        inputs = tuple([new[x] for x in node.inputs])
        attrs = tuple([changed(value) for value in node.attrs])
        new[node] = rebuild(node, inputs, attrs)
    if became is not None:
        became.append({node: other for node, other in new.items() if other is not node})
    return [new[root] for root in roots]
