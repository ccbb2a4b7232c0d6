"""A picture before it is drawn: its nodes, its edges and their texts.

A `Sketch` is what a graph becomes before Graphviz (`to_dot`) or the plain layout (`graphc.show.layout`) draws it, so that both
draw the same picture.  Every text in it is data: quotes, backslashes, ``<b>`` and line breaks are shown as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from graphc.core.errors import DrawError
from graphc.show import style
from graphc.show.style import EDGES, NODES, EdgeKind, NodeKind


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its lines of text, its kind (which says how it looks), what hovering over it tells, and the cluster that it is in."""

    id: str
    lines: tuple[str, ...]
    kind: NodeKind = "operator"
    tooltip: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A frame around nodes, with a title; ``parent`` is the cluster around it. Its id is a word that begins with ``cluster``."""

    id: str
    title: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from ``tail`` to ``head``.

    ``"forward"`` edges say what lies above what; ``"reversed"`` ones, which run from a result to its argument, and ``"carried"``
    ones, which run from the end of a step to the start of the next, do not pull on the layout. Keep the label short
    (``∂h/∂x = W1ᵀ``) and put the rest into the tooltip.
    """

    tail: str
    head: str
    label: str = ""
    kind: EdgeKind = "forward"
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Sketch:
    """Everything that a picture shows; ``description`` is for readers who do not see it, and has a default that counts.

    Raises `DrawError` where an id is given twice, a kind does not exist, or an edge ends at no node.
    """

    title: str
    description: str = ""
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    clusters: tuple[Cluster, ...] = ()

    def __post_init__(self) -> None:
        counts = Counter(printable(node.id) for node in self.nodes)
        ends = [printable(end) for edge in self.edges for end in (edge.tail, edge.head)]
        self._refuse("node ids given twice", [name for name, count in counts.items() if count > 1], "one node for each id")
        self._refuse("edges that end at unknown ids", [end for end in ends if end not in counts], "ids of nodes in the sketch")
        self._refuse("unknown kinds of nodes", [n.kind for n in self.nodes if n.kind not in NODES], ", ".join(NODES))
        self._refuse("unknown kinds of edges", [e.kind for e in self.edges if e.kind not in EDGES], ", ".join(EDGES))
        frames = Counter(cluster.id for cluster in self.clusters)
        around = [x for x in (*(n.cluster for n in self.nodes), *(c.parent for c in self.clusters)) if x and x not in frames]
        self._refuse("cluster ids given twice", [name for name, count in frames.items() if count > 1], "one cluster for each id")
        self._refuse("unknown clusters", around, "ids of clusters in the sketch")
        object.__setattr__(self, "description", self.description or self._count())

    def _refuse(self, what: str, culprits: list[str], fits: str) -> None:
        if culprits:
            more = f" and {len(culprits) - 3} more" if len(culprits) > 3 else ""
            raise DrawError(f"a sketch of {self.title!r}", given=[f"{what}: {', '.join(map(repr, culprits[:3]))}{more}"], fits=fits)

    def _count(self) -> str:
        kinds = Counter(edge.kind for edge in self.edges)
        edges = [f"{kinds[kind]} {kind}" for kind in EDGES if kinds[kind]]
        frames = f"; frames: {', '.join(cluster.title for cluster in self.clusters)}" if self.clusters else ""
        return f"{len(self.nodes)} nodes; edges: {', '.join(edges) or 'none'}{frames}."


def printable(text: str) -> str:
    """``text`` without what XML and Graphviz cannot hold: control characters, lone surrogates, non-characters."""
    return "".join(c if _fits_xml(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)


def _fits_xml(code: int) -> bool:
    if code < 0x20:
        return code in (0x09, 0x0A, 0x0D)
    return not (0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF))


def label_lines(node: Node) -> tuple[str, ...]:
    """The lines of a node as they are drawn: printable, each free of line breaks."""
    return tuple(piece for line in node.lines for piece in printable(line).splitlines() or [""])


def one_line(text: str) -> str:
    """An edge's label as it is drawn: printable, in one line."""
    return " ".join(printable(text).split())


def legend_lines(sketch: Sketch) -> tuple[str, ...]:
    """What the shapes and lines of this picture mean, two shapes a line so that a narrow picture stays narrow."""
    used = {node.kind for node in sketch.nodes}
    shapes = [f"{look.shape}: {kind}" for kind, look in NODES.items() if kind in used]
    drawn = {edge.kind for edge in sketch.edges}
    arrows = [f"{look.line} arrow: {look.meaning}" for kind, look in EDGES.items() if kind in drawn]
    return (*(", ".join(shapes[i : i + 2]) for i in range(0, len(shapes), 2)), *arrows)


# Nobody reads so many, and Graphviz takes four times as long over them (a net of 3,000 nodes: 10.5 s instead of 3.1).
_MOST_LABELS: Final = 1000


def legible(sketch: Sketch) -> Sketch:
    """The sketch as it is drawn: where there are over a thousand labels on edges, they are told by the tooltips alone."""
    if sum(bool(edge.label) for edge in sketch.edges) <= _MOST_LABELS:
        return sketch
    return replace(sketch, edges=tuple(replace(edge, label="", tooltip=_with_label(edge)) for edge in sketch.edges))


def _with_label(edge: Edge) -> str:
    return edge.tooltip if edge.label in edge.tooltip else "\n".join(filter(None, (edge.label, edge.tooltip)))


# -- DOT -----------------------------------------------------------------------------------------

# Without nslimit a 299-node graph takes 45 s instead of 2.7; with it nothing visible is lost.
_GRAPH: Final[Mapping[str, str]] = {
    "bgcolor": style.BACKGROUND,
    "charset": "UTF-8",
    "fontcolor": style.INK,
    "fontname": style.FONT,
    "fontsize": f"{style.LEGEND_SIZE:g}",
    "labeljust": "l",
    "labelloc": "b",
    "nodesep": "0.3",
    "nslimit": "2",
    "nslimit1": "2",
    "ranksep": "0.4",
}
_NODE: Final[Mapping[str, str]] = {
    "fontcolor": style.INK,
    "fontname": style.FONT,
    "fontsize": f"{style.FONT_SIZE:g}",
    "height": "0.3",
    "margin": "{:g},{:g}".format(*style.MARGIN),
    "width": "0.4",
}
_EDGE: Final[Mapping[str, str]] = {"arrowsize": "0.7", "fontname": style.FONT, "fontsize": f"{style.LABEL_SIZE:g}"}


def to_dot(sketch: Sketch) -> str:
    """The sketch as DOT text for Graphviz: the same text for the same sketch, always."""
    return "".join(f"{line}\n" for line in _dot_lines(legible(sketch)))


def _dot_lines(sketch: Sketch) -> Iterator[str]:
    legend = "".join(rf"{_escaped(line)}\l" for line in legend_lines(sketch))
    yield f"digraph {_quoted(sketch.title)} {{"
    yield f"\tgraph{_attributes({**_GRAPH, 'label': legend, 'tooltip': _hovered(sketch.title)})}"
    yield f"\tnode{_attributes(_NODE)}"
    yield f"\tedge{_attributes(_EDGE)}"
    yield from _nodes(sketch, "", 1)
    yield from (f"\t{_quoted(edge.tail)} -> {_quoted(edge.head)}{_attributes(_of_edge(edge))}" for edge in sketch.edges)
    yield "}"


def _nodes(sketch: Sketch, cluster: str, depth: int) -> Iterator[str]:
    """The nodes of a cluster, and the clusters in it."""
    tabs = "\t" * depth
    yield from (f"{tabs}{_quoted(node.id)}{_attributes(_of_node(node))}" for node in sketch.nodes if node.cluster == cluster)
    for inner in sketch.clusters:
        if inner.parent == cluster:
            yield f"{tabs}subgraph {_quoted(inner.id)} {{"
            yield f"{tabs}\tgraph{_attributes(_of_cluster(inner, depth))}"
            yield from _nodes(sketch, inner.id, depth + 1)
            yield f"{tabs}}}"


def cluster_depth(cluster: Cluster, sketch: Sketch) -> int:
    """How many clusters are around this one."""
    around = next((other for other in sketch.clusters if other.id == cluster.parent), None)
    return 0 if around is None else 1 + cluster_depth(around, sketch)


def _of_cluster(cluster: Cluster, depth: int) -> dict[str, str]:
    title = printable(cluster.title)
    return {
        "bgcolor": style.FRAMES[(depth - 1) % len(style.FRAMES)],
        "color": style.FRAME_STROKE,
        "label": _escaped(one_line(title)),
        "labeljust": "l",
        "labelloc": "t",
        "margin": "12",
        "style": "rounded",
        "tooltip": _hovered(title),
    }


def _of_node(node: Node) -> dict[str, str]:
    look = NODES[node.kind]
    return {
        "class": node.kind,
        "color": look.stroke,
        "fillcolor": look.fill,
        "label": r"\n".join(map(_escaped, label_lines(node))),
        "shape": look.shape,
        "style": "filled,rounded" if look.shape == "box" else "filled",
        "tooltip": _hovered(node_tooltip(node)),
    }


def _of_edge(edge: Edge) -> dict[str, str]:
    look = EDGES[edge.kind]
    tooltip = _hovered(edge_tooltip(edge))
    free = {"constraint": "false"} if edge.kind != "forward" else {}
    return {"class": edge.kind, "color": look.colour, "style": look.line, "tooltip": tooltip, **free, **_of_label(edge, tooltip)}


def _of_label(edge: Edge, tooltip: str) -> dict[str, str]:
    text = one_line(edge.label)
    if not text:
        return {}
    # Graphviz puts a label against its edge: the blanks keep the two apart (tried on an MLP, with xlabels and ports too).
    return {"fontcolor": EDGES[edge.kind].colour, "label": f"  {_escaped(text)}  ", "labeltooltip": tooltip}


def node_tooltip(node: Node) -> str:
    """What hovering over the node tells: its tooltip, or its text."""
    return printable(node.tooltip) or " ".join(label_lines(node))


def edge_tooltip(edge: Edge) -> str:
    """What hovering over the edge tells: its tooltip, its label, or its two ends."""
    return printable(edge.tooltip or edge.label or f"{edge.tail} → {edge.head}")


def _attributes(values: Mapping[str, str]) -> str:
    return f" [{' '.join(f'{key}={_literal(value)}' for key, value in values.items())}]"


def _quoted(identifier: str) -> str:
    # Ids stay distinct.  An id knows no escape but \", so doubling only keeps it from ending in half of one; and Graphviz copies what
    # looks like an entity into the SVG as it is, where an unknown one is an error.
    return _literal(printable(identifier).replace("&", "&amp;").replace("\\", "\\\\"))


def _literal(text: str) -> str:
    # The package has types and does not say so.
    from graphviz.quoting import nohtml, quote  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    return quote(nohtml(text))


def _escaped(text: str) -> str:
    # Graphviz reads &lt; as <, and \N as the node's name: write both so that they come out as they are.
    return printable(text).replace("&", "&amp;").replace("\\", "\\\\").replace("\r\n", "\n").replace("\n", r"\n")


def _hovered(text: str) -> str:
    # Graphviz reads the escapes of a tooltip twice (2.43 to 16.1 do): \N in the text would become the node's name.
    return _escaped(text.replace("\\", "\\\\"))
