"""``draw``: forward and reversed edges in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphc import ops
from graphc.core import Bundle, Tensor, TensorType, input, parts
from graphc.core.graph import ancestors_through
from graphc.grad import Flow, carries, reversed_graph
from graphc.grad.reverse import Sweep
from graphc.show import NEXT, Picture, Reversed, Unfolded, backprop_sketch, drawn_as, unfold


def draw(y: Tensor, wrt: Tensor | Sequence[Tensor] = (), *, title: str = "", engine: str | None = None) -> Picture:
    """Draw the graph of ``y``, and with ``wrt`` the reversed graph over which its gradient flows.

    Forward edges are solid. For every forward edge from A to B that carries gradient there is a dashed edge from B to A, labelled
    with the local derivative of B with respect to A; the gradient of ``y`` is the product along a reversed path, summed over paths.

    What a loop, a branch or a call holds is drawn in a frame, once: a dotted edge leads from the end of a step to the start of the
    next, and a dashed one back.

    Returns a :class:`Picture`: ``.save("file.svg")`` (or .png, .pdf, .dot), ``.svg``, ``.dot``; a notebook shows it. ``engine``
    names a Graphviz binary; without one the picture is laid out plainly, with a warning that says what to install.
    """
    targets = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    graph = unfold(y)
    flows, cotangents = _reversed_graph(graph, y, targets) if targets else ([], dict[Tensor, Tensor]())
    found = [_reversed(flow, cotangents) for flow in flows]
    return Picture(backprop_sketch(graph, found, cotangents, title=title or (y.label or "graph")), engine=engine)


def _reversed_graph(graph: Unfolded, y: Tensor, targets: list[Tensor]) -> tuple[list[Flow], Mapping[Tensor, Tensor]]:
    """The flows of the unfolded graph, in which a carry also gets what the step that follows sends back."""
    if not graph.carried:
        return reversed_graph(graph.root, [graph.new.get(x, x) for x in targets])
    reversed_graph(y, targets)  # for what it raises
    wrt = _with_carries(graph, [graph.new.get(x, x) for x in targets])
    sent: dict[Tensor, tuple[Tensor, Tensor]] = {}
    while True:
        sweep = Sweep([(graph.root, ops.ones_like(graph.root)), *sent.values()], wrt)
        new = [(after, before) for after, before in graph.carried if before in sweep.cotangents and before not in sent]
        if not new:
            return sweep.flows, sweep.cotangents
        sent |= {before: (after, _placeholder(NEXT, after.type)) for after, before in new}


def _with_carries(graph: Unfolded, wrt: list[Tensor]) -> list[Tensor]:
    """The targets, and the carries that depend on them by way of the step before."""
    nodes = graph.nodes
    while True:
        reached = ancestors_through(nodes, wrt, carries)
        new = [before for after, before in graph.carried if after in reached and before not in reached and carries(before, 0)]
        if not new:
            return wrt
        wrt = [*wrt, *new]


def _reversed(flow: Flow, cotangents: Mapping[Tensor, Tensor]) -> Reversed:
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
