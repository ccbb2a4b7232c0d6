"""The frames of a picture: the groups in which nodes were made (``gc.scope``, the layers of a model), and in them the bodies of loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphc.core import Tensor
from graphc.show.sketch import Cluster
from graphc.show.unfold import Unfolded, drawn_as, drawn_inputs

Names = tuple[str, ...]
"""The names of the groups around a node, the outermost first."""


def groups_of(graph: Unfolded) -> tuple[list[Cluster], dict[Tensor, str]]:
    """The clusters of a graph, each after the one around it, and the cluster of every node that is in one.

    A variable or a constant is where all that read it are; so is what is made of constants alone, which belongs to no line.
    """
    scopes = _scopes(graph)
    around = {cluster.id: cluster.parent for cluster in graph.frames}
    inside: dict[str, list[Names]] = {}
    for node, frame in graph.frame_of.items():
        if node.op is not None and node in scopes:
            inside.setdefault(_outermost(frame, around), []).append(scopes[node])
    of_frame = {frame: _shared(names) for frame, names in inside.items()}
    used = [*(names for node, names in scopes.items() if node not in graph.frame_of), *of_frame.values()]
    ids = {names: f"cluster_of_{i}" for i, names in enumerate(_with_prefixes(used))}
    clusters = [Cluster(ids[names], _title(names), ids.get(names[:-1], ""), layer=True) for names in ids]
    clusters += [Cluster(frame.id, frame.title, frame.parent or ids.get(of_frame.get(frame.id, ()), "")) for frame in graph.frames]
    return clusters, {**{node: ids[names] for node, names in scopes.items() if names in ids}, **graph.frame_of}


def _scopes(graph: Unfolded) -> dict[Tensor, Names]:
    nodes = graph.nodes
    found = {node: node.origin.scope for node in nodes if node.op is not None and node.origin is not None}
    _enclose(nodes, found)
    read_in: dict[Tensor, list[Names]] = {}
    for node in reversed(nodes):
        if drawn_as(node) is not node:
            continue
        if node not in found and node.kind != "input" and node in read_in:
            found[node] = _shared(read_in[node])
        for x in map(drawn_as, drawn_inputs(node)):
            read_in.setdefault(x, []).append(found.get(node, ()))
    return found


def _enclose(nodes: Sequence[Tensor], scopes: dict[Tensor, Names]) -> None:
    """What lies between two nodes of a group that has groups in it, as a sum between two layers of a model does, is in it too."""
    forward = [node for node in nodes if node.forward is None]
    outer = {names[:i] for names in scopes.values() for i in range(1, len(names))}
    for group in sorted(outer):
        within = {node for node in forward if scopes.get(node, ())[: len(group)] == group}
        after = _reached(forward, within)
        before = _leading(forward, within)
        for node in forward:
            own = scopes.get(node)
            if own is not None and node in after and node in before and own == group[: len(own)]:
                scopes[node] = group
    for node in nodes:
        if node.forward is not None and node in scopes and node.forward in scopes:
            scopes[node] = scopes[node.forward]


def _reached(nodes: Sequence[Tensor], within: set[Tensor]) -> set[Tensor]:
    """Those of the sorted nodes that read one of a group, directly or not."""
    found = set(within)
    for node in nodes:
        if not found.isdisjoint(node.inputs):
            found.add(node)
    return found


def _leading(nodes: Sequence[Tensor], within: set[Tensor]) -> set[Tensor]:
    """Those of the sorted nodes that one of a group reads, directly or not."""
    found = set(within)
    for node in reversed(nodes):
        if node in found:
            found.update(node.inputs)
    return found


def _title(names: Names) -> str:
    """The name of a group, less that of the group around it, with which the names of layers in layers begin."""
    return names[-1].removeprefix(f"{names[-2]}/" if len(names) > 1 else "")


def _shared(scopes: Sequence[Names]) -> Names:
    """The groups around all of these."""
    same = [set(names) for names in zip(*scopes, strict=False)]
    return scopes[0][: next((i for i, names in enumerate(same) if len(names) > 1), len(same))]


def _outermost(frame: str, around: Mapping[str, str]) -> str:
    while around[frame]:
        frame = around[frame]
    return frame


def _with_prefixes(scopes: Iterable[Names]) -> list[Names]:
    """Each group once, after those around it."""
    return sorted({names[:i] for names in scopes for i in range(1, len(names) + 1)})


def with_nodes(clusters: Sequence[Cluster], used: Iterable[str]) -> tuple[Cluster, ...]:
    """The clusters without groups of which no node is drawn, for numbers are written into their readers."""
    parents = {cluster.id: cluster.parent for cluster in clusters}
    kept = {""}
    for name in [*used, *[cluster.id for cluster in clusters if not cluster.layer]]:
        while name not in kept:
            kept.add(name)
            name = parents[name]
    return tuple([cluster for cluster in clusters if cluster.id in kept])
