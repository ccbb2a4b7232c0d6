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
from graphc.show.measure import LINE, node_size, text_width
from graphc.show.sketch import Edge, Key, Node, Sketch, label_lines, printable
from graphc.show.style import Shape

_MARGIN: Final = 24.0
_ARROW: Final = 7.0
_DASH: Final = "5,3"
_KEY_LINE: Final = 36.0


def to_svg(sketch: Sketch) -> str:
    """The sketch as SVG text: the same text for the same sketch, always."""
    placement = place(sketch)
    ways = list(zip(sketch.edges, placement.ways, strict=True))
    width = max([placement.width, *(_label_end(edge, way) for edge, way in ways)])
    legend, legend_width, legend_height = _legend(sketch.legend, placement.height + _MARGIN, max(width, 360.0))
    marks = [_edge(edge, way) for edge, way in ways]
    marks += [_node(node, box) for node, box in zip(sketch.nodes, placement.boxes, strict=True)]
    return _page(sketch, [*marks, *legend], max(width, legend_width), placement.height + legend_height)


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


# -- nodes ---------------------------------------------------------------------------------------


def _node(node: Node, box: Box) -> str:
    tooltip = _escaped(node.tooltip or "\n".join(node.lines))
    shape = f'<g fill="{node.fill}" stroke="{node.stroke}">{_SHAPES[node.shape](box)}</g>'
    return f'<g class="node"><title>{tooltip}</title>{shape}{_centred(node.lines, box)}</g>'


def _centred(lines: Sequence[str], box: Box) -> str:
    shown = label_lines(lines)
    top = box.y - (len(shown) - 1) * LINE * style.FONT_SIZE / 2 + 0.35 * style.FONT_SIZE
    return "".join(
        f'<text text-anchor="middle" x="{box.x:.2f}" y="{top + i * LINE * style.FONT_SIZE:.2f}"'
        f' font-size="{style.FONT_SIZE:g}" fill="{style.INK}">{escape(line)}</text>'
        for i, line in enumerate(shown)
    )


def _box(box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return f'<rect x="{left:.2f}" y="{top:.2f}" width="{box.width:.2f}" height="{box.height:.2f}" rx="{style.CORNER:g}"/>'


def _ellipse(box: Box) -> str:
    return f'<ellipse cx="{box.x:.2f}" cy="{box.y:.2f}" rx="{box.width / 2:.2f}" ry="{box.height / 2:.2f}"/>'


def _cylinder(box: Box) -> str:
    half, lid = box.width / 2, box.height / 10
    left, right, top, bottom = box.x - half, box.x + half, box.y - box.height / 2 + lid, box.y + box.height / 2 - lid
    arc = f"A {half:.2f} {lid:.2f} 0 0"
    side = f"M {left:.2f} {top:.2f} L {left:.2f} {bottom:.2f} {arc} 0 {right:.2f} {bottom:.2f} L {right:.2f} {top:.2f}"
    return f'<path d="{side} {arc} 0 {left:.2f} {top:.2f} {arc} 0 {right:.2f} {top:.2f} {arc} 0 {left:.2f} {top:.2f}"/>'


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
    "house": _polygon((0, -0.5), (0.5, -0.2), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.2)),
    "invhouse": _polygon((0, 0.5), (0.5, 0.2), (0.5, -0.5), (-0.5, -0.5), (-0.5, 0.2)),
    "note": _polygon((-0.5, -0.5), (0.4, -0.5), (0.5, -0.25), (0.5, 0.5), (-0.5, 0.5)),
    "octagon": _polygon((-0.5, -0.2), (-0.3, -0.5), (0.3, -0.5), (0.5, -0.2), (0.5, 0.2), (0.3, 0.5), (-0.3, 0.5), (-0.5, 0.2)),
}


# -- edges ---------------------------------------------------------------------------------------


def _edge(edge: Edge, way: Sequence[Point]) -> str:
    tooltip = _escaped(edge.tooltip or f"{edge.tail} → {edge.head}")
    return f'<g class="edge"><title>{tooltip}</title>{_arrow(way, edge.colour, edge.dashed)}{_edge_label(edge, way)}</g>'


def _arrow(way: Sequence[Point], colour: str, dashed: bool) -> str:
    dash = f' stroke-dasharray="{_DASH}"' if dashed else ""
    line = f'<path fill="none" stroke="{colour}"{dash} d="M {way[0][0]:.2f} {way[0][1]:.2f}{_curve(way)}"/>'
    return line + f'<polygon fill="{colour}" points="{_points(_tip(way))}"/>'


def _curve(way: Sequence[Point]) -> str:
    if len(way) == 3 and way[1][1] < min(way[0][1], way[2][1]):
        return f" Q {_points(way[1:])}"  # over the top, to a node of the same row
    return "".join(_bend(one, other) for one, other in pairwise(way))


# Each stretch leaves and arrives upright, so that stretches join smoothly.
def _bend(start: Point, end: Point) -> str:
    middle = (start[1] + end[1]) / 2
    return f" C {start[0]:.2f} {middle:.2f} {end[0]:.2f} {middle:.2f} {end[0]:.2f} {end[1]:.2f}"


def _tip(way: Sequence[Point]) -> tuple[Point, Point, Point]:
    (x, y), (_, before) = way[-1], way[-2]
    back = y - _ARROW if y > before else y + _ARROW
    return (x, y), (x - _ARROW / 2, back), (x + _ARROW / 2, back)


def _edge_label(edge: Edge, way: Sequence[Point]) -> str:
    x, y = _label_spot(way)
    first = y - (len(label_lines([edge.label])) - 1) * LINE * style.LABEL_SIZE / 2
    # The halo keeps the text readable where it lies on a line.
    return "".join(
        f'<text x="{x:.2f}" y="{first + (0.35 + i * LINE) * style.LABEL_SIZE:.2f}" font-size="{style.LABEL_SIZE:g}" fill="{edge.colour}"'
        f' stroke="{style.BACKGROUND}" stroke-width="3" paint-order="stroke">{escape(line)}</text>'
        for i, line in enumerate(label_lines([edge.label]) if edge.label else ())
    )


def _label_spot(way: Sequence[Point]) -> Point:
    (x, y), (other_x, other_y) = way[(len(way) - 1) // 2], way[(len(way) - 1) // 2 + 1]
    return (x + other_x) / 2 + 4, (y + other_y) / 2


def _label_end(edge: Edge, way: Sequence[Point]) -> float:
    return _label_spot(way)[0] + max(text_width(line, style.LABEL_SIZE) for line in label_lines([edge.label]))


# -- legend --------------------------------------------------------------------------------------


# Entries side by side under the picture, in as many lines as its width needs.
def _legend(keys: Sequence[Key], top: float, width: float) -> tuple[list[str], float, float]:
    marks: list[str] = []
    x, y, right = 0.0, top + _KEY_LINE / 2, 0.0
    for key in keys:
        node, across = _key_node(key)
        if x and x + across > width:
            x, y = 0.0, y + _KEY_LINE
        marks.append(_key(key, node, Box(x + across / 2, y, across, _KEY_LINE * 0.75)))
        x, right = x + across + 12, max(right, x + across)
    return marks, right, y + _KEY_LINE / 2 - top + _MARGIN if keys else 0.0


def _key_node(key: Key) -> tuple[Node, float]:
    look = key.look or style.OPERATOR
    node = Node("", (key.text,), look.shape, look.fill, look.stroke, key.text)
    return node, node_size(node)[0] if key.look else text_width(key.text, style.LABEL_SIZE) + 20


def _key(key: Key, node: Node, box: Box) -> str:
    if key.look:
        return _node(node, box).replace('class="node"', 'class="key"', 1)
    left, top, bottom = box.x - box.width / 2 + 8, box.y - box.height / 2, box.y + box.height / 2
    way = [(left, bottom), (left, top)] if key.reversed else [(left, top), (left, bottom)]
    edge = Edge("", "", key.text, key.colour, key.dashed, key.text)
    return _edge(edge, way).replace('class="edge"', 'class="key"', 1)
