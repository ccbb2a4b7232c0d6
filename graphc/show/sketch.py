"""A picture before it is drawn: its nodes, its edges and their texts.

A `Sketch` is what a graph becomes before Graphviz (`to_dot`) or the plain layout (`graphc.show.layout`) draws it, so that both
draw the same picture.  Every text in it is data: quotes, backslashes, ``<b>`` and line breaks are shown as they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from graphc.core.errors import DrawError
from graphc.show.scale import Scale
from graphc.show.style import DIRECTIONS, EDGES, NODES, THEMES, Direction, EdgeKind, Mark, NodeKind, Theme, ThemeName


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its lines of text, its kind (which says how it looks), what hovering over it tells, and the cluster that it is in.

    The first line is its symbol or its name; the others are details. A node with an ``amount`` has the colour that the scale of the
    sketch gives it. A ``mark`` makes it stand out: as added, removed or changed where two graphs are compared, or as one of a path.
    """

    id: str
    lines: tuple[str, ...]
    kind: NodeKind = "operator"
    tooltip: str = ""
    cluster: str = ""
    amount: float | None = None
    mark: Mark = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A frame around nodes, with a title; ``parent`` is the cluster around it. Its id is a word that begins with ``cluster``.

    A cluster of a ``layer`` can be folded into one node (`graphc.show.fold`).
    """

    id: str
    title: str
    parent: str = ""
    layer: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from ``tail`` to ``head``.

    ``"forward"`` edges say what lies above what; ``"reversed"`` ones, which run from a result to its argument, and ``"carried"``
    ones, which run from the end of a step to the start of the next, do not pull on the layout. Keep the label short
    (``∂h/∂x = W1ᵀ``), one or two lines, and put the rest into the tooltip. A ``mark`` is that of a node.
    """

    tail: str
    head: str
    label: str = ""
    kind: EdgeKind = "forward"
    tooltip: str = ""
    mark: Mark = ""


@dataclass(frozen=True, slots=True)
class Sketch:
    """Everything that a picture shows; ``description`` is for readers who do not see it, and has a default that counts.

    ``direction`` is where forward edges run to, ``scale`` what the amounts of nodes are, ``path`` what the path is
    that is marked. Raises `DrawError` where an id is given twice, a kind, a theme or a direction does not exist, or an edge ends at no
    node.
    """

    title: str
    description: str = ""
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    theme: ThemeName = "light"
    direction: Direction = "TB"
    scale: Scale | None = None
    path: str = ""

    def __post_init__(self) -> None:
        counts = Counter(printable(node.id) for node in self.nodes)
        ends = [printable(end) for edge in self.edges for end in (edge.tail, edge.head)]
        self._refuse("node ids given twice", [name for name, count in counts.items() if count > 1], "one node for each id")
        self._refuse("edges that end at unknown ids", [end for end in ends if end not in counts], "ids of nodes in the sketch")
        self._refuse("unknown kinds of nodes", [n.kind for n in self.nodes if n.kind not in NODES], ", ".join(NODES))
        self._refuse("unknown kinds of edges", [e.kind for e in self.edges if e.kind not in EDGES], ", ".join(EDGES))
        self._refuse("an unknown theme", [self.theme] if self.theme not in THEMES else [], ", ".join(THEMES))
        self._refuse("an unknown direction", [self.direction] if self.direction not in DIRECTIONS else [], ", ".join(DIRECTIONS))
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
        thick = f" {sum(edge.mark == 'path' for edge in self.edges)} thick edges: {self.path}." if self.path else ""
        colour = f" Nodes are coloured by {self.scale.title}." if self.scale else ""
        return f"{len(self.nodes)} nodes; edges: {', '.join(edges) or 'none'}{frames}.{thick}{colour}"

    @property
    def colours(self) -> Theme:
        """The colours of its theme."""
        return THEMES[self.theme]

    @property
    def has_path(self) -> bool:
        """Whether a path stands out, and other edges therefore stand back."""
        return any(edge.mark == "path" for edge in self.edges)


def pulling(sketch: Sketch) -> list[tuple[str, str] | None]:
    """For each edge what it says of the layout: the node that lies above, and the one below; None where it says nothing.

    A reversed edge says what the forward edge between the same nodes says. A sum lies below what it is the gradient of, and above the
    readers that bring their shares.
    """
    sums = {edge.tail: edge.head for edge in sketch.edges if edge.kind == "reversed" and edge.tail in _sums(sketch)}
    forward = {(edge.tail, edge.head) for edge in sketch.edges if edge.kind == "forward"}
    found: list[tuple[str, str] | None] = []
    for edge in sketch.edges:
        below = edge.tail in sums or (edge.kind == "reversed" and (sums.get(edge.head, edge.head), edge.tail) in forward)
        found.append((edge.tail, edge.head) if edge.kind == "forward" else (edge.head, edge.tail) if below else None)
    return found


def _sums(sketch: Sketch) -> set[str]:
    return {node.id for node in sketch.nodes if node.kind == "sum"}


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


def edge_lines(edge: Edge) -> tuple[str, ...]:
    """The lines of an edge's label as they are drawn: printable, with single blanks; none if there is no label."""
    return tuple(" ".join(line.split()) for line in printable(edge.label).splitlines() if line.strip())


def one_line(text: str) -> str:
    """A text as it is drawn in one line: printable, with single blanks."""
    return " ".join(printable(text).split())


# Nobody reads so many, and Graphviz takes four times as long over them (a net of 3,000 nodes: 10.5 s instead of 3.1).
_MOST_LABELS: Final = 1000


def legible(sketch: Sketch) -> Sketch:
    """The sketch as it is drawn: where there are over a thousand labels on edges, they are told by the tooltips alone."""
    if sum(bool(edge.label) for edge in sketch.edges) <= _MOST_LABELS:
        return sketch
    return replace(sketch, edges=tuple(replace(edge, label="", tooltip=_with_label(edge)) for edge in sketch.edges))


def _with_label(edge: Edge) -> str:
    return edge.tooltip if edge.label in edge.tooltip else "\n".join(filter(None, (edge.label, edge.tooltip)))


def cluster_depth(cluster: Cluster, sketch: Sketch) -> int:
    """How many clusters are around this one."""
    around = next((other for other in sketch.clusters if other.id == cluster.parent), None)
    return 0 if around is None else 1 + cluster_depth(around, sketch)


def node_tooltip(node: Node) -> str:
    """What hovering over the node tells: its tooltip, or its text."""
    return printable(node.tooltip) or " ".join(label_lines(node))


def edge_tooltip(edge: Edge) -> str:
    """What hovering over the edge tells: its tooltip, its label, or its two ends."""
    return printable(edge.tooltip or edge.label or f"{edge.tail} → {edge.head}")
