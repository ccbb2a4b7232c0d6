"""A graph and the same graph reversed, in one picture.

Forward edges are solid. For each forward edge from A to B that carries gradient there is a dashed edge from B to A, with the
derivative of B with respect to A: a partial derivative where the op is pointwise, else the map that takes a cotangent ``g`` of B
to one of A (a product ``g · W1ᵀ`` is shown as its factor ``W1ᵀ``). The gradient of the root is the product along a reversed path,
summed over paths: where several reversed edges lead to A they meet at a "+".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from graphc.core import Bundle, Tensor, describe
from graphc.core.errors import DrawError
from graphc.show.bodies import is_part
from graphc.show.formula import factor, inside, one_line
from graphc.show.groups import groups_of, with_nodes
from graphc.show.notation import see_through
from graphc.show.scene import TOOLTIP, Extras, Scene, partial, picture_of, scene_of, shortened
from graphc.show.sketch import Edge, Node, Sketch
from graphc.show.style import Mark
from graphc.show.unfold import CHOICE, SHARED, Unfolded, drawn_as, drawn_inputs, unfold

NEXT: Final = "g_next"
"""What the gradient of a carry in the next step is called."""
_MOST_JOINED: Final = 600
"""Nodes of a picture up to which sums are drawn: each is a rank more, and of 1,000 nodes dot takes five times as long with them."""
_LABEL: Final = 40
"""Characters of a line of an edge's label; the tooltip has all of it."""


@dataclass(frozen=True)
class Reversed:
    """What the edge from ``node.inputs[index]`` to ``node`` carries back.

    Attributes:
        node: the reader, B.
        index: which of its inputs is A.
        local: the partial derivative of a pointwise op; a number where it is that everywhere.
        probe: for other ops, what reaches A when the cotangent of B is an input labelled ``g``; where B has several results, they
            are ``g0``, ``g1``...
    """

    node: Tensor
    index: int
    local: Tensor | int | None
    probe: Tensor | None


def backprop_sketch(
    y: Tensor | Sequence[Tensor] | Unfolded,
    flow: Iterable[Reversed],
    cotangents: Mapping[Tensor, Tensor] | None = None,
    *,
    title: str = "graph",
    extras: Extras | None = None,
    layers: bool = True,
) -> Sketch:
    """The graph of ``y``, and over it the edges on which its gradient flows.

    What loops, branches and calls hold is drawn in frames; flows inside of them are flows of ``unfold(y)``, which is then given.
    So is what was made in a group (``gc.scope``, a layer), unless ``layers`` is False.

    ``cotangents`` are the derivatives of ``y`` with respect to nodes of its graph, which tooltips then show. Without any ``flow``
    it is the forward graph alone, of several results if ``y`` are several. Numbers are written into the nodes that read them.
    Raises :class:`DrawError` for a flow over an edge that the graph does not have, or that comes twice.
    """
    graph = y if isinstance(y, Unfolded) else unfold(y)
    found = tuple(flow)
    _check(graph, found)
    drawn = [edge for edge in found if drawn_as(edge.node) is edge.node]
    clusters, cluster_of = groups_of(graph) if layers else (graph.frames, graph.frame_of)
    carrying = {drawn_as(edge.node.inputs[edge.index]) for edge in drawn}
    scene = scene_of(graph, carrying, cotangents or {}, cluster_of, extras or Extras())
    nodes = [picture_of(node, scene) for node in scene.drawn]
    joins, backward = _joined([*_backward_edges(drawn, scene), *_carried_back(scene)], nodes, scene)
    return Sketch(
        title,
        nodes=(*nodes, *joins),
        edges=(*_forward_edges(scene), *_carried_edges(scene), *backward),
        clusters=with_nodes(clusters, [node.cluster for node in nodes]),
    )


def _check(graph: Unfolded, flow: tuple[Reversed, ...]) -> None:
    known = set(graph.nodes)
    for (node, index), count in Counter((edge.node, edge.index) for edge in flow).items():
        if node in known and 0 <= index < len(node.inputs) and count == 1:
            continue
        wrong = f"{count} flows" if count > 1 else "a flow"
        raise DrawError(
            f"backprop_sketch({graph.root!r}): {wrong} over input {index} of {node!r}",
            given=[describe(node)],
            fits="one flow an edge of the graph of y",
        )


# ---------------------------------------------------------------- forward
_BRANCHES: Final = ("if", "true", "false")


def _forward_edges(scene: Scene) -> list[Edge]:
    ids, names, values = scene.ids, scene.names, scene.extras.values
    return [
        Edge(
            ids[x],
            ids[node],
            "\n".join(filter(None, [_BRANCHES[i] if node.op is CHOICE else "", values.get(x, "")])),
            tooltip=f"{names[x]}: {x.type} into {names[node]}",
        )
        for node in scene.drawn
        for i, x in enumerate(map(drawn_as, drawn_inputs(node)))
        if x not in scene.folded
    ]


def _carried_edges(scene: Scene) -> list[Edge]:
    ids, names = scene.ids, scene.names
    step = "step" if scene.graph.frames else "call"
    return [
        Edge(ids[after], ids[before], "", "carried", f"{names[after]} is {names[before]} of the next {step}")
        for after, before in scene.graph.carried
    ]


# ---------------------------------------------------------------- reversed
def _backward_edges(flow: Sequence[Reversed], scene: Scene) -> list[Edge]:
    paths = Counter(drawn_as(edge.node.inputs[edge.index]) for edge in flow)
    return [_backward_edge(edge, scene, paths) for edge in flow]


def _backward_edge(edge: Reversed, scene: Scene, paths: Counter[Tensor]) -> Edge:
    source, target = scene.ids[edge.node], scene.ids[edge.node.inputs[edge.index]]
    key = edge.node, edge.index
    label = "\n".join(filter(None, [_label(edge, scene), _brought(edge, scene, paths)]))
    return Edge(source, target, label, "reversed", _edge_tooltip(edge, scene, paths), "path" if key in scene.extras.marked else "")


def _brought(edge: Reversed, scene: Scene, paths: Counter[Tensor]) -> str:
    """The number that an edge brings: the gradient itself where no other does."""
    share, x = scene.extras.shares.get((edge.node, edge.index)), edge.node.inputs[edge.index]
    if share is None or paths[drawn_as(x)] > 1:
        return share or ""
    return f"{partial(scene.names[scene.root], scene.names[x])} = {share}"


def _carried_back(scene: Scene) -> list[Edge]:
    """The gradient of a carry goes to the step before."""
    ids, names, path = scene.ids, scene.names, scene.extras.path
    return [
        Edge(
            ids[before],
            ids[after],
            NEXT,
            "reversed",
            f"{NEXT}: the gradient of {names[before]} in the step that follows",
            "path" if before in path and after in path else "",
        )
        for after, before in scene.graph.carried
        if before in scene.gradients
    ]


def _joined(edges: list[Edge], nodes: Sequence[Node], scene: Scene) -> tuple[list[Node], list[Edge]]:
    """Where several edges lead to a node: a "+" before it, over which they go, and one edge from there on.

    In large pictures they meet at the node itself.
    """
    if len(nodes) > _MOST_JOINED:
        return [], edges
    arriving = Counter(edge.head for edge in edges)
    tensors = {name: node for node, name in scene.ids.items() if drawn_as(node) is node}
    root = scene.names[scene.root]
    joins: list[Node] = []
    onward: list[Edge] = []
    sums: dict[str, str] = {}
    for node in nodes:
        if arriving[node.id] < 2:
            continue
        sums[node.id] = name = f"+ {node.id}"
        mark: Mark = "path" if any(edge.mark for edge in edges if edge.head == node.id) else ""
        told = f"{partial(root, scene.names[tensors[node.id]])}: the sum over {arriving[node.id]} edges"
        joins.append(Node(name, ("+",), "sum", told, node.cluster, mark=mark))
        total = scene.extras.gradients.get(tensors[node.id], "")
        label = f"{partial(root, scene.names[tensors[node.id]])} = {total}" if total else ""
        onward.append(Edge(name, node.id, label, "reversed", told, mark))
    return joins, [*[replace(edge, head=sums.get(edge.head, edge.head)) for edge in edges], *onward]


def _label(edge: Reversed, scene: Scene) -> str:
    if is_part(edge.node):
        return ""
    head = partial(scene.names[edge.node], scene.names[edge.node.inputs[edge.index]])
    number = scene.extras.locals.get((edge.node, edge.index), "")
    return shortened(f"{head}{_derivative(edge, scene)}", _LABEL) + (f" = {number}" if number else "")


def _edge_tooltip(edge: Reversed, scene: Scene, paths: Counter[Tensor]) -> str:
    source, x = edge.node, edge.node.inputs[edge.index]
    head = partial(scene.names[source], scene.names[x])
    derivative = _derivative(edge, scene)
    lines = [f"{head}{derivative}"]
    if edge.probe is not None and "↦" not in derivative:
        lines.append(f"{_cotangents(edge)} ↦ {one_line(edge.probe, scene.values)}")
    if x.op is SHARED:
        lines.append("summed over the steps")
    if edge.probe is None and not is_part(source) and x.shape != source.shape:
        lines.append(f"summed over the axes along which {scene.names[x]}: {x.type} is repeated")
    if paths[drawn_as(x)] > 1:
        lines.append(f"one of {paths[drawn_as(x)]} edges whose gradients add up at {scene.names[x]}")
    if (source, edge.index) in scene.extras.shares:
        lines.append(f"brings {scene.extras.shares[source, edge.index]}")
    return "\n".join(shortened(line, TOOLTIP) for line in lines)


def _derivative(edge: Reversed, scene: Scene) -> str:
    """`` = W1ᵀ``, as the books have it, where the derivative is a factor; else ``: g ↦ ...``, what it makes of a cotangent."""
    if isinstance(edge.local, Tensor):
        return f" = {one_line(edge.local, scene.values)}"
    if edge.probe is None:
        return "" if edge.local is None else f" = {edge.local}"
    g = _placeholder(edge.probe, scene)
    factor = None if g is None else _multiplier(edge.probe, g, scene)
    return f": {_cotangents(edge)} ↦ {one_line(edge.probe, scene.values)}" if factor is None else f" = {factor}"


def _cotangents(edge: Reversed) -> str:
    """``g``, or ``g0, g1`` where the op has several results."""
    count = len(edge.node.type.parts) if isinstance(edge.node.type, Bundle) else 1
    return "g" if count == 1 else ", ".join([f"g{i}" for i in range(count)])


def _multiplier(probe: Tensor, g: Tensor, scene: Scene) -> str | None:
    """What ``g`` is multiplied by: ``W1ᵀ`` in ``g · W1ᵀ``, ``1 / n`` in ``g / n``, 1 in ``g`` itself."""
    node = see_through(probe)
    if node is g:
        return "1"
    if node.op is None:
        return None
    xs = [see_through(x) for x in node.inputs]
    if xs.count(g) != 1 or any(g in inside(x, scene.values) for x in xs if x is not g):
        return None
    others = [x for x in xs if x is not g]
    if node.op.name == "divide":
        return f"1 / {factor(others[0], scene.values)}" if xs[0] is g else None
    if node.op.name in ("matmul", "multiply"):
        return one_line(others[0], scene.values)
    return "-1" if node.op.name == "negative" else None


def _placeholder(probe: Tensor, scene: Scene) -> Tensor | None:
    """The input ``g`` of a probe that is none of the graph's own."""
    return next((x for x in inside(probe, scene.values) if x.kind == "input" and x.label == "g" and x not in scene.names), None)
