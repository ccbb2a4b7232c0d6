"""A sketch as DOT text, Graphviz's language.

Nodes have labels of several sizes, which Graphviz calls HTML-like. The legend is a few rows of samples below everything else: nodes and
edges of the class ``legend``, held in place by edges that are not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import pairwise
from typing import Final

from graphc.show import style
from graphc.show.legend import Legend, colour_of, detail_colour, legend_of, look_of, mark_of
from graphc.show.measure import headline_size
from graphc.show.sketch import (
    Cluster,
    Edge,
    Node,
    Sketch,
    edge_lines,
    edge_tooltip,
    label_lines,
    legible,
    node_tooltip,
    one_line,
    printable,
    pulling,
)

# Without nslimit a 299-node graph takes 45 s instead of 2.7; with it nothing visible is lost.
_GRAPH: Final[Mapping[str, str]] = {
    "charset": "UTF-8",
    "fontname": style.FONT,
    "fontsize": f"{style.LEGEND_SIZE:g}",
    "newrank": "true",
    "nodesep": "0.25",
    "nslimit": "2",
    "nslimit1": "2",
    "ranksep": "0.35",
}
_NODE: Final[Mapping[str, str]] = {
    "fontname": style.FONT,
    "fontsize": f"{style.FONT_SIZE:g}",
    "height": "0.3",
    "margin": "{:g},{:g}".format(*style.MARGIN),
    "width": "0.4",
}
_EDGE: Final[Mapping[str, str]] = {"arrowsize": "0.7", "fontname": style.FONT, "fontsize": f"{style.LABEL_SIZE:g}"}
_UNSEEN: Final[Mapping[str, str]] = {"style": "invis"}


def to_dot(sketch: Sketch) -> str:
    """The sketch as DOT text for Graphviz: the same text for the same sketch, always."""
    return "".join(f"{line}\n" for line in _lines(legible(sketch)))


def _lines(sketch: Sketch) -> Iterator[str]:
    theme = sketch.colours
    graph = {**_GRAPH, "bgcolor": theme.background, "fontcolor": theme.ink, "rankdir": sketch.direction}
    yield f"digraph {_quoted(sketch.title)} {{"
    yield f"\tgraph{_attributes({**graph, 'tooltip': _hovered(sketch.title)})}"
    yield f"\tnode{_attributes({**_NODE, 'fontcolor': theme.ink})}"
    yield f"\tedge{_attributes(_EDGE)}"
    yield from _nodes(sketch, "", 1)
    back = {(edge.head, edge.tail) for edge in sketch.edges if edge.kind == "reversed" and edge.label}
    yield from (_edge(edge, pull, sketch, back) for edge, pull in zip(sketch.edges, pulling(sketch), strict=True))
    yield from _legend(legend_of(sketch), sketch)
    yield "}"


# -- nodes ---------------------------------------------------------------------------------------


def _nodes(sketch: Sketch, cluster: str, depth: int) -> Iterator[str]:
    """The nodes of a cluster, and the clusters in it."""
    tabs = "\t" * depth
    yield from (f"{tabs}{_quoted(node.id)}{_attributes(_of_node(node, sketch))}" for node in sketch.nodes if node.cluster == cluster)
    for inner in sketch.clusters:
        if inner.parent == cluster:
            yield f"{tabs}subgraph {_quoted(inner.id)} {{"
            yield f"{tabs}\tgraph{_attributes(_of_cluster(inner, depth, sketch))}"
            yield from _nodes(sketch, inner.id, depth + 1)
            yield f"{tabs}}}"


def _of_cluster(cluster: Cluster, depth: int, sketch: Sketch) -> dict[str, str]:
    theme, title = sketch.colours, printable(cluster.title)
    return {
        "bgcolor": theme.frames[(depth - 1) % len(theme.frames)],
        "color": theme.frame_stroke,
        "label": _escaped(one_line(title)),
        "labeljust": "l",
        "labelloc": "t",
        "margin": "12",
        "style": "rounded",
        "tooltip": _hovered(title),
    }


def _of_node(node: Node, sketch: Sketch) -> dict[str, str]:
    look, mark = look_of(node, sketch), mark_of(node, sketch)
    drawn = {
        "class": f"{node.kind} {node.mark}".rstrip(),
        "color": look.stroke,
        "fillcolor": look.fill,
        "label": _lettering(node, sketch),
        **_outline(look.shape),
        "tooltip": _hovered(node_tooltip(node)),
    }
    if mark is not None:
        drawn |= {"color": mark.colour, "penwidth": f"{mark.width:g}", "peripheries": f"{mark.borders}"}
        drawn["style"] += ",dashed" if mark.line == "dashed" else ""
    return drawn


def _outline(shape: style.Shape) -> dict[str, str]:
    if shape in ("box", "dashed box"):
        return {"shape": "box", "style": "filled,rounded" if shape == "box" else "filled,rounded,dashed"}
    if shape == "circle":
        return {"shape": "circle", "style": "filled", "margin": "0", "height": "0.24", "width": "0.24", "fixedsize": "true"}
    if shape in ("cylinder", "box3d"):  # its lid takes room from the text
        return {"shape": shape, "style": "filled", "margin": f"{style.MARGIN[0]:g},{2 * style.MARGIN[1]:g}"}
    if shape == "hexagon":  # which has room in its corners
        return {"shape": shape, "style": "filled", "margin": "0,0"}
    return {"shape": shape, "style": "filled"}


def _lettering(node: Node, sketch: Sketch) -> str:
    """The lines of a node: the first one large and bold, the others small."""
    head, *details = label_lines(node) or ("",)
    lines = [f'<font point-size="{headline_size(node):g}"><b>{_html(head)}</b></font>']
    colour = detail_colour(node, sketch)
    lines += [f'<font point-size="{style.DETAIL_SIZE:g}" color="{colour}">{_html(line)}</font>' for line in details]
    return _Markup(f"<{'<br/>'.join(lines)}>")


# -- edges ---------------------------------------------------------------------------------------


def _edge(edge: Edge, pull: tuple[str, str] | None, sketch: Sketch, back: set[tuple[str, str]]) -> str:
    # Drawn as running down, an edge that runs up pulls on nothing that the value does not pull on, and its label gets a place of its own:
    # with constraint=false a label in five hundred lay on another. A blank beside a label keeps two edges between the same nodes apart.
    tail, head = pull or (edge.tail, edge.head)
    more = {"constraint": "false"} if pull is None else {"dir": "back"} if tail != edge.tail else {}
    label = _of_label(edge, sketch) or ({"label": " "} if edge.kind == "forward" and (edge.tail, edge.head) in back else {})
    return f"\t{_quoted(tail)} -> {_quoted(head)}{_attributes({**_of_edge(edge, sketch), **more, **label})}"


def _of_edge(edge: Edge, sketch: Sketch) -> dict[str, str]:
    mark = mark_of(edge, sketch)
    line = sketch.colours.edges[edge.kind].line if mark is None or edge.kind != "forward" else mark.line
    thick = {} if mark is None else {"penwidth": f"{mark.width:g}"}
    kind = f"{edge.kind} {edge.mark}".rstrip()
    return {"class": kind, "color": colour_of(edge, sketch), "style": line, **thick, "tooltip": _hovered(edge_tooltip(edge))}


def _of_label(edge: Edge, sketch: Sketch) -> dict[str, str]:
    lines = edge_lines(edge)
    if not lines:
        return {}
    # Graphviz puts a label against its edge: the blanks keep the two apart (tried on an MLP, with xlabels and ports too).
    text = r"\n".join(f"  {_escaped(line)}  " for line in lines)
    return {"fontcolor": colour_of(edge, sketch), "label": text, "labeltooltip": _hovered(edge_tooltip(edge))}


# -- legend --------------------------------------------------------------------------------------
# A piece of the legend: an id, its attributes, and of an edge that is drawn to it from the piece before.
_Piece = tuple[str, Mapping[str, str], Mapping[str, str]]


def _legend(legend: Legend, sketch: Sketch) -> Iterator[str]:
    """Rows of samples, each below the one before, and the first below whatever has nothing below it."""
    rows = [row for row in (_shapes(legend, sketch), _arrows(legend, sketch), _shades(legend, sketch)) if row]
    above = _ends(sketch)
    for row in rows if above else ():
        yield "\t{"
        yield f"\t\tgraph{_attributes({'rank': 'same'})}"
        yield from (f"\t\t{_quoted(name)}{_attributes(look)}" for name, look, _ in row)
        for (one, _, _), (other, _, edge) in pairwise(row):
            yield f"\t\t{_quoted(one)} -> {_quoted(other)}{_attributes(edge)}"
        yield "\t}"
        middle = row[len(row) // 2][0]
        yield from (f"\t{_quoted(name)} -> {_quoted(middle)}{_attributes(_UNSEEN)}" for name in above)
        above = [middle]


def _ends(sketch: Sketch) -> list[str]:
    """The nodes that no forward edge leaves, which the legend lies below."""
    tails = {edge.tail for edge in sketch.edges if edge.kind == "forward" and edge.tail != edge.head}
    found = [node.id for node in sketch.nodes if node.id not in tails and node.kind != "sum"]
    return found or [node.id for node in sketch.nodes[-1:]]


def _shapes(legend: Legend, sketch: Sketch) -> list[_Piece]:
    pieces: list[_Piece] = []
    for i, node in enumerate(legend.nodes):
        text = label_lines(node)
        name = f"legend {node.mark or node.kind}"
        size = {"height": "0.2", "width": "0.3", "margin": "0.08,0.03"}
        look = {**_of_node(node, sketch), "class": "legend", "tooltip": text[-1], **(size if node.kind != "sum" else {})}
        pieces.append((name, {**look, "label": _small(text[0], sketch)}, _UNSEEN))
        if len(text) > 1:
            pieces.append((f"legend text {i}", _words(text[1], sketch), _UNSEEN))
    return pieces


def _arrows(legend: Legend, sketch: Sketch) -> list[_Piece]:
    pieces: list[_Piece] = []
    for i, edge in enumerate(legend.edges):
        look = {**_of_edge(edge, sketch), "class": "legend", "tooltip": edge.label, "weight": "100"}
        start = {"class": "legend", "shape": "point", "style": "invis", "height": "0.01", "width": "0.01"}
        pieces.append((f"legend start {i}", start, _UNSEEN))
        pieces.append((f"legend {edge.kind} {i}", _words(edge.label, sketch), look))
    return pieces


def _shades(legend: Legend, sketch: Sketch) -> list[_Piece]:
    scale = legend.scale
    if scale is None:
        return []
    theme = sketch.colours
    pieces: list[_Piece] = [("legend scale", _words(scale.title, sketch), _UNSEEN)]
    for i, (shade, text) in enumerate(zip(scale.shades, scale.texts, strict=True)):
        look = {"shape": "box", "style": "filled", "color": theme.ink, "fillcolor": theme.ramp[shade]}
        size = {"height": "0.2", "margin": "0.06,0.02"}
        pieces.append((f"legend shade {i}", {"class": "legend", "label": _small(text, sketch), **look, **size, "tooltip": text}, _UNSEEN))
    return pieces


def _words(text: str, sketch: Sketch) -> dict[str, str]:
    shape = {"shape": "plaintext", "height": "0.2", "width": "0.1", "margin": "0.1,0.02"}
    return {"class": "legend", "label": _small(text, sketch), **shape, "tooltip": text}


def _small(text: str, sketch: Sketch) -> str:
    return _Markup(f'<<font point-size="{style.LEGEND_SIZE:g}" color="{sketch.colours.ink}">{_html(text)}</font>>')


# -- text ----------------------------------------------------------------------------------------


class _Markup(str):
    """A label that is markup and is not quoted."""

    __slots__ = ()


def _attributes(values: Mapping[str, str]) -> str:
    return f" [{' '.join(f'{key}={value if isinstance(value, _Markup) else _literal(value)}' for key, value in values.items())}]"


def _quoted(identifier: str) -> str:
    # Ids stay distinct.  An id knows no escape but \", so doubling only keeps it from ending in half of one; and Graphviz copies what
    # looks like an entity into the SVG as it is, where an unknown one is an error.
    return _literal(printable(identifier).replace("&", "&amp;").replace("\\", "\\\\"))


def _literal(text: str) -> str:
    # The package has types and does not say so.
    from graphviz.quoting import nohtml, quote  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    return quote(nohtml(text))


def _html(text: str) -> str:
    # Markup is read once as XML, and then as any other text, with escapes such as \N. A line of nothing is a mistake to Graphviz.
    return escape(printable(text)).replace("\\", "\\\\") or " "


def _escaped(text: str) -> str:
    # Graphviz reads &lt; as <, and \N as the node's name: write both so that they come out as they are.
    return printable(text).replace("&", "&amp;").replace("\\", "\\\\").replace("\r\n", "\n").replace("\n", r"\n")


def _hovered(text: str) -> str:
    # Graphviz reads the escapes of a tooltip twice (2.43 to 16.1 do): \N in the text would become the node's name.
    return _escaped(text.replace("\\", "\\\\"))
