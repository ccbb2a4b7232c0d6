"""The reversed graph of what is drawn: the flows, over frames too, with what each sends back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphc import ops
from graphc.core import Bundle, Tensor, TensorType, input, parts
from graphc.core.graph import ancestors_through
from graphc.grad import Flow, carries, reversed_graph
from graphc.grad.reverse import Sweep
from graphc.show import NEXT, Reversed, Unfolded, drawn_as


def flows_of(graph: Unfolded, y: Tensor, targets: list[Tensor]) -> tuple[list[Flow], Mapping[Tensor, Tensor]]:
    """The flows of the unfolded graph, in which a carry also gets what the step that follows sends back; and the cotangents."""
    if not graph.carried:
        return reversed_graph(graph.root, [graph.new.get(x, x) for x in targets])
    reversed_graph(y, targets)  # for what it raises
    wrt = with_carries(graph, [graph.new.get(x, x) for x in targets])
    sent: dict[Tensor, tuple[Tensor, Tensor]] = {}
    while True:
        sweep = Sweep([(graph.root, ops.ones_like(graph.root)), *sent.values()], wrt)
        new = [(after, before) for after, before in graph.carried if before in sweep.cotangents and before not in sent]
        if not new:
            return sweep.flows, sweep.cotangents
        sent |= {before: (after, _placeholder(NEXT, after.type)) for after, before in new}


def with_carries(graph: Unfolded, wrt: list[Tensor]) -> list[Tensor]:
    """The targets, and the carries that depend on them by way of the step before."""
    nodes = graph.nodes
    while True:
        reached = ancestors_through(nodes, wrt, carries)
        new = [before for after, before in graph.carried if after in reached and before not in reached and carries(before, 0)]
        if not new:
            return wrt
        wrt = [*wrt, *new]


def told(flow: Flow, cotangents: Mapping[Tensor, Tensor]) -> Reversed:
    """The flow as a picture tells it."""
    skipped = flow.local is not None or flow.node.op is ops.part or drawn_as(flow.node) is not flow.node
    return Reversed(flow.node, flow.index, flow.local, None if skipped else _probe(flow, cotangents))


def _probe(flow: Flow, cotangents: Mapping[Tensor, Tensor]) -> Tensor:
    """What the op sends back for a cotangent called ``g``, so that the label can be written in terms of it."""
    op, node = flow.node.op, flow.node
    assert op is not None
    assert op.reverse is not None
    if isinstance(node.type, Bundle):
        y: Any = parts(node)
        g: Any = tuple([_placeholder(f"g{i}", x.type) if x in cotangents else ops.zeros_like(x) for i, x in enumerate(y)])
    else:
        y, g = node, _placeholder("g", node.type)
    share: Any = op.reverse(g, y, *node.inputs, **op.keywords(node))[flow.index]
    return share


def _placeholder(label: str, type: TensorType) -> Tensor:
    return input(label, type.shape, type.dtype)
