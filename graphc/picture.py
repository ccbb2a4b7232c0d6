"""``draw``: forward and reversed edges in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc.core import Input, Tensor
from graphc.grad import Flow, reversed_graph
from graphc.show import Picture, Reversed, backprop_sketch


def draw(y: Tensor, wrt: Tensor | Sequence[Tensor] = (), *, title: str = "", engine: str | None = None) -> Picture:
    """Draw the graph of ``y``, and with ``wrt`` the reversed graph over which its gradient flows.

    Forward edges are solid. For every forward edge from A to B that carries gradient there is a dashed edge from B to A, labelled
    with the local derivative of B with respect to A; the gradient of ``y`` is the product along a reversed path, summed over paths.

    Returns a :class:`Picture`: ``.save("file.svg")`` (or .png, .pdf, .dot), ``.svg``, ``.dot``; a notebook shows it. ``engine``
    names a Graphviz binary; without one the picture is laid out plainly, with a warning that says what to install.
    """
    targets = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    flows, cotangents = reversed_graph(y, targets)
    return Picture(backprop_sketch(y, [_reversed(flow) for flow in flows], cotangents, title=title or (y.label or "graph")), engine=engine)


def _reversed(flow: Flow) -> Reversed:
    return Reversed(flow.node, flow.index, flow.local, None if flow.local is not None else _probe(flow), flow.cotangent)


def _probe(flow: Flow) -> Tensor:
    """What the op sends back for a cotangent called ``g``, so that the label can be written in terms of it."""
    op, node = flow.node.op, flow.node
    assert op is not None
    assert op.reverse is not None
    g = Input(None, (), (), node.type)
    g.label = "g"
    share: Any = op.reverse(g, node, *node.inputs, **op.keywords(node))[flow.index]
    return share
