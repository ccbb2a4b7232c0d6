"""Layers as nodes: a sketch in which the clusters of layers are folded into one node each.

A folded node shows what it gives and the weights that only it reads, each with its type. Edges between folded nodes are one for each
direction and kind; of several labels none is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from graphc.show.sketch import Cluster, Edge, Node, Sketch, label_lines, node_tooltip

_WEIGHTS: Final = 4
"""Weights that a folded node shows; the rest is counted."""
_TOLD: Final = 12
"""Nodes that its tooltip lists."""


def fold(sketch: Sketch, depth: int | None = None, combine: Callable[[Sequence[float]], float] = math.fsum) -> Sketch:
    """Fold the innermost layers; with ``depth`` those that have so many layers around and in themselves, or less and none inside.

    ``combine`` makes one amount of those of the nodes in a layer.
    """
    into = _chosen(sketch.clusters, depth)
    if not into:
        return sketch
    members: dict[str, list[Node]] = {}
    for node in sketch.nodes:
        if node.cluster in into:
            members.setdefault(into[node.cluster], []).append(node)
    titles = {cluster.id: cluster for cluster in sketch.clusters}
    taken = {node.id for node in sketch.nodes if node.cluster not in into}
    renamed: dict[str, str] = {}
    folded: dict[str, Node] = {}
    for cluster, nodes in members.items():
        name = _unlike(titles[cluster].title, taken)
        taken.add(name)
        renamed |= {node.id: name for node in nodes}
        folded[nodes[0].id] = _node(name, titles[cluster], nodes, sketch, combine)
    nodes = [folded.get(node.id, node) for node in sketch.nodes if node.id in folded or node.id not in renamed]
    kept = tuple([cluster for cluster in sketch.clusters if cluster.id not in into])
    return replace(sketch, nodes=tuple(nodes), edges=_edges(sketch.edges, renamed), clusters=kept, description="")


def _chosen(clusters: Sequence[Cluster], depth: int | None) -> dict[str, str]:
    """For each cluster that goes, the one that becomes a node."""
    parents = {cluster.id: cluster.parent for cluster in clusters}
    layers = {cluster.id for cluster in clusters if cluster.layer}
    outer = {cluster.parent for cluster in clusters if cluster.layer}
    found: dict[str, str] = {}
    for cluster in clusters:
        chain = _around(cluster.id, parents)
        own = [name for name in chain if name in layers]
        folds = [name for i, name in enumerate(own) if name not in outer or (depth is not None and i + 1 >= depth)]
        if folds:
            found[cluster.id] = folds[0]
    return found


def _around(cluster: str, parents: Mapping[str, str]) -> list[str]:
    """The cluster and those around it, the outermost first."""
    chain: list[str] = []
    while cluster:
        chain.append(cluster)
        cluster = parents[cluster]
    return chain[::-1]


def _unlike(name: str, taken: set[str]) -> str:
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name} #{count}"
    return candidate


def _node(name: str, cluster: Cluster, nodes: Sequence[Node], sketch: Sketch, combine: Callable[[Sequence[float]], float]) -> Node:
    inside = {node.id for node in nodes}
    leaving = {edge.tail for edge in sketch.edges if edge.kind == "forward" and edge.tail in inside and edge.head not in inside}
    results = [node for node in nodes if node.id in leaving or node.kind == "output"]
    types = dict.fromkeys(_type(node) for node in results if node.kind not in ("variable", "constant"))
    weights = [f"{_within(node, cluster)}: {_type(node)}" for node in nodes if node.kind == "variable"]
    more = [f"and {len(weights) - _WEIGHTS} more weights"] if len(weights) > _WEIGHTS else []
    told = [_formula(node) for node in nodes if node.kind not in ("variable", "sum")]
    rest = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
    amounts = [node.amount for node in nodes if node.amount is not None]
    return Node(
        name,
        (cluster.title, *[f"→ {type}" for type in types], *weights[:_WEIGHTS], *more),
        "layer",
        "\n".join([cluster.title, *told[:_TOLD], *rest]),
        cluster.parent,
        combine(amounts) if amounts else None,
        "path" if any(node.mark for node in nodes) else "",
    )


def _formula(node: Node) -> str:
    """What a node computes: the second line of its tooltip, where there is one."""
    lines = node_tooltip(node).splitlines()
    return lines[min(1, len(lines) - 1)]


def _within(node: Node, cluster: Cluster) -> str:
    """What a weight is called in a layer: ``kernel``, or ``query/kernel`` in a layer of layers."""
    return node.id.strip('"').rpartition(f"{cluster.title}/")[2]


def _type(node: Node) -> str:
    """The type of a node's value, which is its second line."""
    detail = label_lines(node)[1:2]
    return detail[0].rpartition(": ")[2] if detail else ""


def _edges(edges: Sequence[Edge], renamed: Mapping[str, str]) -> tuple[Edge, ...]:
    merged: dict[tuple[str, str, str], Edge] = {}
    for edge in edges:
        tail, head = renamed.get(edge.tail, edge.tail), renamed.get(edge.head, edge.head)
        if edge.kind == "reversed" and (tail, head) != (edge.tail, edge.head):
            edge = replace(edge, label="\n".join(edge.label.splitlines()[1:]))  # the derivative is about nodes that are not seen
        if tail == head and (edge.tail in renamed or edge.head in renamed):
            continue
        one = merged.get((tail, head, edge.kind))
        if one is None:
            merged[tail, head, edge.kind] = replace(edge, tail=tail, head=head)
            continue
        told = edge.tooltip if edge.tooltip in one.tooltip else f"{one.tooltip}\n{edge.tooltip}"
        label = one.label if one.label == edge.label else ""
        merged[tail, head, edge.kind] = replace(one, label=label, tooltip=told, mark=one.mark or edge.mark)
    return tuple(merged.values())
