"""A picture before it is drawn: nodes and edges with their labels, shapes and colours.

A `Sketch` is what a graph becomes before Graphviz (`to_dot`) or the plain
layout (`graphc.show.layout`) draws it, so both draw the same picture.
Ids are data too: any text may stand in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from graphc.core.errors import DrawError
from graphc.show import style
from graphc.show.style import Look, Shape


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its lines of text, its outline, and what hovering over it tells."""

    id: str
    lines: tuple[str, ...]
    shape: Shape = "box"
    fill: str = style.OPERATOR.fill
    stroke: str = style.OPERATOR.stroke
    tooltip: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from ``tail`` to ``head``; a ``reversed`` one runs against the forward order.

    Reversed edges do not pull on the layout: the forward edges alone say what
    lies above what.  Keep labels short and put the rest into the tooltip.
    """

    tail: str
    head: str
    label: str = ""
    colour: str = style.FORWARD
    dashed: bool = False
    tooltip: str = ""
    reversed: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """A line of the legend: a node's look, or an arrow's when ``look`` is None."""

    text: str
    look: Look | None = None
    colour: str = style.FORWARD
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Sketch:
    """Everything that a picture shows.

    Raises ``DrawError`` where an id is given twice or an edge names no node.
    """

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    legend: tuple[Key, ...] = ()

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(n.id for n in self.nodes).items() if count > 1]
        if twice:
            raise DrawError(_complaint(self.title, f"node ids given twice: {_listed(twice)}", "one node for each id"))
        known = {n.id for n in self.nodes}
        lost = [end for e in self.edges for end in (e.tail, e.head) if end not in known]
        if lost:
            raise DrawError(_complaint(self.title, f"edges to unknown ids: {_listed(lost)}", "ids of nodes in the sketch"))

    @property
    def description(self) -> str:
        """One sentence about the picture, for readers who do not see it."""
        back = sum(e.reversed for e in self.edges)
        ahead = len(self.edges) - back
        tail = f" and {_count(back, 'reversed edge')}, dashed" if back else ""
        return f"A graph of {_count(len(self.nodes), 'node')}, {_count(ahead, 'forward edge')}{tail}."


def forward(tail: str, head: str, label: str = "", tooltip: str = "") -> Edge:
    """An edge that carries a value: solid, dark."""
    return Edge(tail, head, label, style.FORWARD, dashed=False, tooltip=tooltip)


def backward(tail: str, head: str, label: str = "", tooltip: str = "") -> Edge:
    """An edge that carries a cotangent from a result to an argument: dashed, in the other hue."""
    return Edge(tail, head, label, style.REVERSED, dashed=True, tooltip=tooltip, reversed=True)


def printable(text: str) -> str:
    """``text`` without what XML and Graphviz cannot hold: control characters, lone surrogates."""
    return "".join(c if _fits_xml(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)


def label_lines(lines: Iterable[str]) -> list[str]:
    """The lines as they are drawn: printable, each free of line breaks."""
    return [piece for line in lines for piece in printable(line).splitlines() or [""]]


def _fits_xml(code: int) -> bool:
    if code < 0x20:
        return code in (0x09, 0x0A, 0x0D)
    return not (0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF))


def _complaint(title: str, given: str, fits: str) -> str:
    return f"sketch of {title!r} cannot be drawn\n  given: {given}\n  fits: {fits}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# -- DOT -----------------------------------------------------------------------------------------

# Without nslimit a 299-node graph takes 45 s instead of 2.7; with it nothing visible is lost.
_GRAPH: Final[Mapping[str, str]] = {
    "bgcolor": style.BACKGROUND,
    "fontname": style.FONT,
    "nodesep": "0.3",
    "nslimit": "2",
    "nslimit1": "2",
    "ranksep": "0.4",
}
_NODE: Final[Mapping[str, str]] = {
    "fontcolor": style.INK,
    "fontname": style.FONT,
    "fontsize": f"{style.FONT_SIZE:g}",
    "margin": "{:g},{:g}".format(*style.MARGIN),
    "height": "0.3",
    "style": "filled",
    "width": "0.4",
}
_EDGE: Final[Mapping[str, str]] = {
    "arrowsize": "0.7",
    "fontname": style.FONT,
    "fontsize": f"{style.LABEL_SIZE:g}",
}


def to_dot(sketch: Sketch) -> str:
    """The sketch as DOT text for Graphviz: the same text for the same sketch, always."""
    return "".join(f"{line}\n" for line in _dot_lines(sketch))


def _dot_lines(sketch: Sketch) -> Iterator[str]:
    yield f"digraph {_quoted(sketch.title)} {{"
    yield f"\tgraph{_attributes({**_GRAPH, 'tooltip': _escaped(sketch.title)})}"
    yield f"\tnode{_attributes(_NODE)}"
    yield f"\tedge{_attributes(_EDGE)}"
    yield from (f"\t{_node_line(node)}" for node in sketch.nodes)
    yield from (f"\t{_edge_line(edge)}" for edge in sketch.edges)
    yield from (f"\t{line}" for line in _legend_lines(sketch))
    yield "}"


def _node_line(node: Node) -> str:
    return _quoted(node.id) + _attributes(
        {
            **_shape_attributes(Look(node.shape, node.fill, node.stroke)),
            "label": r"\n".join(map(_escaped, label_lines(node.lines))),
            "tooltip": _escaped(node.tooltip or " ".join(node.lines)),
        }
    )
