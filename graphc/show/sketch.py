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
    reversed: bool = False


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
        names = [*(printable(n.id) for n in self.nodes), *(_legend_id(i) for i in range(len(self.legend)))]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise self._refusal(f"ids of several nodes: {_listed(twice)}", "one node for each id")
        known = {n.id for n in self.nodes}
        lost = [end for e in self.edges for end in (e.tail, e.head) if end not in known]
        if lost:
            raise self._refusal(f"edges that end at no node: {_listed(lost)}", "the ids of the sketch's nodes")

    def _refusal(self, given: str, fits: str) -> DrawError:
        return DrawError(f"Sketch({self.title!r}): nodes and edges do not fit together", given=(given,), fits=fits)

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


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"



def to_dot(sketch: Sketch) -> str:
    """The sketch as DOT text for Graphviz: the same text for the same sketch, always."""
    return "".join(f"{line}\n" for line in _dot_lines(sketch))


# Without nslimit a graph of 299 nodes takes Graphviz 45 s instead of 2.7; nothing visible is lost.
_GRAPH: Final = {
    "bgcolor": style.BACKGROUND,
    "fontname": style.FONT,
    "nodesep": "0.3",
    "nslimit": "2",
    "nslimit1": "2",
    "ranksep": "0.4",
}
_NODE: Final = {
    "fontcolor": style.INK,
    "fontname": style.FONT,
    "fontsize": f"{style.FONT_SIZE:g}",
    "height": "0.3",
    "margin": "{:g},{:g}".format(*style.MARGIN),
    "style": "filled",
    "width": "0.4",
}
_EDGE: Final = {
    "arrowsize": "0.7",
    "fontname": style.FONT,
    "fontsize": f"{style.LABEL_SIZE:g}",
}


def _dot_lines(sketch: Sketch) -> Iterator[str]:
    yield f"digraph {_id(sketch.title)} {{"
    # An empty tooltip keeps the graph's name from hanging over the whole picture.
    yield f"\tgraph{_attributes({**_GRAPH, 'tooltip': ' '})}"
    yield f"\tnode{_attributes(_NODE)}"
    yield f"\tedge{_attributes(_EDGE)}"
    yield from (f"\t{_node_line(node)}" for node in sketch.nodes)
    yield from (f"\t{_edge_line(edge)}" for edge in sketch.edges)
    yield from (f"\t{line}" for line in _legend_lines(sketch.legend))
    yield "}"


def _node_line(node: Node) -> str:
    look = Look(node.shape, node.fill, node.stroke)
    tooltip = node.tooltip or "\n".join(node.lines)
    return _id(node.id) + _attributes({**_look(look), "label": _text(node.lines), "tooltip": _text([tooltip])})


def _look(look: Look) -> dict[str, str]:
    rounded = {"style": "rounded,filled"} if look.shape == "box" else {}
    return {"color": look.stroke, "fillcolor": look.fill, "shape": look.shape, **rounded}


def _edge_line(edge: Edge) -> str:
    return f"{_id(edge.tail)} -> {_id(edge.head)}{_attributes(_edge_attributes(edge))}"


def _edge_attributes(edge: Edge) -> dict[str, str]:
    return {
        **_arrow(edge.colour, edge.dashed),
        **({"constraint": "false"} if edge.reversed else {}),
        **({"label": _edge_label(edge), "fontcolor": edge.colour} if edge.label else {}),
        **_tooltips(edge.tooltip),
    }


def _arrow(colour: str, dashed: bool) -> dict[str, str]:
    return {"color": colour, **({"style": "dashed"} if dashed else {})}


# Graphviz lets a label touch its own edge: a space on each side holds it off.
def _edge_label(edge: Edge) -> str:
    return _text([f" {line} " for line in label_lines([edge.label])])


# The line and its label are hovered over one by one; without a tooltip Graphviz names the edge's ends.
def _tooltips(text: str) -> dict[str, str]:
    return dict.fromkeys(("edgetooltip", "labeltooltip"), _text([text])) if text else {}


def _legend_lines(legend: tuple[Key, ...]) -> Iterator[str]:
    if not legend:
        return
    frame = {"color": style.FORWARD, "label": "", "margin": "10", "style": "dotted", "tooltip": " "}
    yield "subgraph cluster_legend {"
    yield f"\tgraph{_attributes(frame)}"
    for number, key in enumerate(legend):
        yield from (f"\t{line}" for line in _key_lines(_legend_id(number), key))
    # Invisible edges stack the entries in a column, which fits beside a tall graph.
    for number in range(1, len(legend)):
        yield f"\t{_id(_legend_end(legend, number - 1))} -> {_id(_legend_id(number))} [style=invis]"
    yield "}"


def _legend_id(number: int) -> str:
    return f"legend {number}"


def _legend_end(legend: tuple[Key, ...], number: int) -> str:
    return _legend_id(number) + ("" if legend[number].look else " end")


def _key_lines(name: str, key: Key) -> Iterator[str]:
    said = {"label": _text([key.text]), "tooltip": _text([key.text])}
    if key.look:
        yield _id(name) + _attributes({**_look(key.look), **said})
        return
    dot = {"color": key.colour, "height": "0.05", "label": "", "shape": "point", "tooltip": " ", "width": "0.05"}
    yield from (_id(end) + _attributes(dot) for end in (name, f"{name} end"))
    yield f"{_id(name)} -> {_id(f'{name} end')}{_attributes(_key_arrow(key))}"


def _key_arrow(key: Key) -> dict[str, str]:
    arrow = _edge_attributes(Edge("", "", key.text, key.colour, key.dashed, key.text))
    return {**arrow, **({"dir": "back"} if key.reversed else {})}


# A text that Graphviz shows as it stands: its own escapes (\N, \G, \l) and entities are undone.
def _text(lines: Iterable[str]) -> str:
    return r"\n".join(map(_escaped, label_lines(lines)))


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("&", "&amp;")


# nohtml: Graphviz takes a text that starts with < and ends with > for HTML.
def _attributes(attributes: Mapping[str, str]) -> str:
    from graphviz.quoting import attr_list, nohtml

    return attr_list(kwargs={name: nohtml(value) for name, value in attributes.items()})


def _id(name: str) -> str:
    from graphviz.quoting import nohtml, quote

    return quote(nohtml(printable(name).replace("\\", r"\\")))
