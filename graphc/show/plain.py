"""The plain picture: a sketch as SVG text, without Graphviz.

The same nodes, edges, labels, colours, dashes and tooltips as Graphviz draws,
placed by `graphc.show.layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from graphc.show import style
from graphc.show.layout import Box, Point, place
from graphc.show.measure import LINE, text_width
from graphc.show.sketch import (
    Cluster,
    Edge,
    Node,
    Sketch,
    cluster_depth,
    edge_tooltip,
    label_lines,
    legend_lines,
    legible,
    node_tooltip,
    one_line,
    printable,
)
from graphc.show.style import Shape

_MARGIN: Final = 24.0
_ARROW: Final = 7.0
_CORNER: Final = 4.0
_DASHES: Final = {"solid": "", "dashed": ' stroke-dasharray="5,3"', "dotted": ' stroke-dasharray="1,3"'}


def to_svg(sketch: Sketch) -> str:
    """The sketch as SVG text: the same text for the same sketch, always."""
    sketch = legible(sketch)
    placement = place(sketch)
    ways = list(zip(sketch.edges, placement.ways, strict=True))
    legend = legend_lines(sketch)
    ends = [*(_label_end(edge, way) for edge, way in ways), *(text_width(line, style.LEGEND_SIZE) for line in legend)]
    marks = [_frame(cluster, box, sketch) for cluster, box in zip(sketch.clusters, placement.frames, strict=True)]
    marks += [_edge(edge, way) for edge, way in ways]
    marks += [_node(node, box) for node, box in zip(sketch.nodes, placement.boxes, strict=True)]
    marks += _legend(legend, placement.height + _MARGIN / 2)
    height = placement.height + _MARGIN / 2 + len(legend) * LINE * style.LEGEND_SIZE
    return _page(sketch, marks, max([placement.width, *ends]), height)


def _page(sketch: Sketch, marks: Sequence[str], width: float, height: float) -> str:
    across, down = width + 2 * _MARGIN, height + 2 * _MARGIN
    title = _escaped(sketch.title)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" width="{across:.0f}pt" height="{down:.0f}pt"'
            f' viewBox="{-_MARGIN:.2f} {-_MARGIN:.2f} {across:.2f} {down:.2f}" font-family="{style.FONT}">',
            f"<title>{title}</title>",
            f"<desc>{_escaped(sketch.description)}</desc>",
            f'<rect x="{-_MARGIN}" y="{-_MARGIN}" width="{across:.2f}" height="{down:.2f}" fill="{style.BACKGROUND}"/>',
            *marks,
            "</svg>\n",
        ]
    )


def _escaped(text: str) -> str:
    return escape(printable(text))


# -- frames --------------------------------------------------------------------------------------


def _frame(cluster: Cluster, box: Box, sketch: Sketch) -> str:
    fill = style.FRAMES[cluster_depth(cluster, sketch) % len(style.FRAMES)]
    left, top = box.x - box.width / 2, box.y - box.height / 2
    title = _text(one_line(cluster.title), left + 8, top + 1.4 * style.LEGEND_SIZE, style.LEGEND_SIZE)
    shape = f'<g fill="{fill}" stroke="{style.FRAME_STROKE}">{_box(box)}</g>'
    return f'<g class="cluster"><title>{_escaped(cluster.title)}</title>{shape}{title}</g>'


# -- nodes ---------------------------------------------------------------------------------------


def _node(node: Node, box: Box) -> str:
    look = style.NODES[node.kind]
    shape = f'<g fill="{look.fill}" stroke="{look.stroke}">{_SHAPES[look.shape](box)}</g>'
    return f'<g class="node {node.kind}"><title>{_escaped(node_tooltip(node))}</title>{shape}{_centred(node, box)}</g>'


def _centred(node: Node, box: Box) -> str:
    lines, step = label_lines(node), LINE * style.FONT_SIZE
    top = box.y - (len(lines) - 1) * step / 2 + 0.35 * style.FONT_SIZE
    middle = ' text-anchor="middle"'
    return "".join(_text(line, box.x, top + i * step, style.FONT_SIZE, more=middle) for i, line in enumerate(lines))


def _box(box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return f'<rect x="{left:.2f}" y="{top:.2f}" width="{box.width:.2f}" height="{box.height:.2f}" rx="{_CORNER:g}"/>'


def _ellipse(box: Box) -> str:
    return f'<ellipse cx="{box.x:.2f}" cy="{box.y:.2f}" rx="{box.width / 2:.2f}" ry="{box.height / 2:.2f}"/>'


def _cylinder(box: Box) -> str:
    half, lid = box.width / 2, box.height / 10
    left, right, top, bottom = box.x - half, box.x + half, box.y - box.height / 2 + lid, box.y + box.height / 2 - lid
    arc = f"A {half:.2f} {lid:.2f} 0 0"
    side = f"M {left:.2f} {top:.2f} L {left:.2f} {bottom:.2f} {arc} 0 {right:.2f} {bottom:.2f} L {right:.2f} {top:.2f}"
    return f'<path d="{side} {arc} 0 {left:.2f} {top:.2f} {arc} 0 {right:.2f} {top:.2f} {arc} 0 {left:.2f} {top:.2f}"/>'


def _note(box: Box) -> str:
    left, right, top, bottom = box.x - box.width / 2, box.x + box.width / 2, box.y - box.height / 2, box.y + box.height / 2
    fold = 6.0
    corners = [(left, top), (right - fold, top), (right, top + fold), (right, bottom), (left, bottom)]
    folded = [(right - fold, top), (right - fold, top + fold), (right, top + fold)]
    return f'<polygon points="{_points(corners)}"/><polyline points="{_points(folded)}"/>'


# Corners in units of the box, from its centre.
def _polygon(*corners: Point) -> Callable[[Box], str]:
    def drawn(box: Box) -> str:
        return f'<polygon points="{_points([(box.x + x * box.width, box.y + y * box.height) for x, y in corners])}"/>'

    return drawn


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


_SHAPES: Final[dict[Shape, Callable[[Box], str]]] = {
    "box": _box,
    "cylinder": _cylinder,
    "ellipse": _ellipse,
    "hexagon": _polygon((-0.5, 0), (-0.35, -0.5), (0.35, -0.5), (0.5, 0), (0.35, 0.5), (-0.35, 0.5)),
    "note": _note,
    "octagon": _polygon((-0.5, -0.2), (-0.3, -0.5), (0.3, -0.5), (0.5, -0.2), (0.5, 0.2), (0.3, 0.5), (-0.3, 0.5), (-0.5, 0.2)),
}


# -- edges ---------------------------------------------------------------------------------------


def _edge(edge: Edge, way: Sequence[Point]) -> str:
    look = style.EDGES[edge.kind]
    arrow = f'<path fill="none" stroke="{look.colour}"{_DASHES[look.line]} d="{_curve(way)}"/>'
    tip = f'<polygon fill="{look.colour}" points="{_points(_tip(way))}"/>'
    return f'<g class="edge {edge.kind}"><title>{_escaped(edge_tooltip(edge))}</title>{arrow}{tip}{_edge_label(edge, way)}</g>'


def _curve(way: Sequence[Point]) -> str:
    start = f"M {_points(way[:1])}"
    if len(way) == 3 and way[1][1] < min(way[0][1], way[2][1]):
        return f"{start} Q {_points(way[1:])}"  # over the top, to a node of the same row
    return start + "".join(_bend(one, other) for one, other in pairwise(way))


# Each stretch leaves and arrives upright, so that stretches join smoothly.
def _bend(start: Point, end: Point) -> str:
    middle = (start[1] + end[1]) / 2
    return f" C {start[0]:.2f} {middle:.2f} {end[0]:.2f} {middle:.2f} {end[0]:.2f} {end[1]:.2f}"


def _tip(way: Sequence[Point]) -> tuple[Point, Point, Point]:
    (x, y), (_, before) = way[-1], way[-2]
    back = y - _ARROW if y > before else y + _ARROW
    return (x, y), (x - _ARROW / 2, back), (x + _ARROW / 2, back)


# The halo keeps the text readable where it lies on a line.
def _edge_label(edge: Edge, way: Sequence[Point]) -> str:
    if not edge.label:
        return ""
    x, y = _label_spot(way)
    halo = f' stroke="{style.BACKGROUND}" stroke-width="3" paint-order="stroke"'
    return _text(one_line(edge.label), x, y + 0.35 * style.LABEL_SIZE, style.LABEL_SIZE, style.EDGES[edge.kind].colour, halo)


def _label_spot(way: Sequence[Point]) -> Point:
    (x, y), (other_x, other_y) = way[(len(way) - 1) // 2], way[(len(way) - 1) // 2 + 1]
    return (x + other_x) / 2 + 7, (y + other_y) / 2


def _label_end(edge: Edge, way: Sequence[Point]) -> float:
    return _label_spot(way)[0] + text_width(one_line(edge.label), style.LABEL_SIZE)


# -- legend --------------------------------------------------------------------------------------


def _legend(lines: Sequence[str], top: float) -> list[str]:
    return [_text(line, 0.0, top + (i + 0.8) * LINE * style.LEGEND_SIZE, style.LEGEND_SIZE) for i, line in enumerate(lines)]


def _text(line: str, x: float, y: float, size: float, colour: str = style.INK, more: str = "") -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" font-size="{size:g}" fill="{colour}"{more}>{_escaped(line)}</text>'
