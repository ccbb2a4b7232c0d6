"""The plain picture: a sketch as SVG text, without Graphviz.

The same nodes, edges, labels, colours, dashes and tooltips as Graphviz draws,
placed by `graphc.show.layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from itertools import pairwise
from typing import Final

from graphc.show import style
from graphc.show.labels import spread
from graphc.show.layout import Box, Point, is_level, label_size, place
from graphc.show.legend import colour_of, detail_colour, legend_of, look_of, mark_of
from graphc.show.measure import LINE, line_sizes, text_width
from graphc.show.shapes import outline, points, rounded
from graphc.show.sketch import (
    Cluster,
    Edge,
    Node,
    Sketch,
    cluster_depth,
    edge_lines,
    edge_tooltip,
    legible,
    node_tooltip,
    one_line,
    printable,
)

_MARGIN: Final = 24.0
_ARROW: Final = 7.0
_DASHES: Final = {"solid": "", "dashed": ' stroke-dasharray="5,3"', "dotted": ' stroke-dasharray="1,3"'}
_AROUND: Final = 6.0
"""How much larger the outer one of two borders is."""


def to_svg(sketch: Sketch) -> str:
    """The sketch as SVG text: the same text for the same sketch, always."""
    sketch = legible(sketch)
    placement = place(sketch)
    sizes = [label_size(edge) for edge in sketch.edges]
    labels = spread(placement.ways, sizes, placement.boxes, level=is_level(sketch.direction))
    width = max([placement.width, *[box.x + box.width / 2 for box in labels]])
    left = min([0.0, *[box.x - box.width / 2 for box in labels]])
    marks = [_frame(cluster, box, sketch) for cluster, box in zip(sketch.clusters, placement.frames, strict=True)]
    marks += [_edge(edge, way, box, sketch) for edge, way, box in zip(sketch.edges, placement.ways, labels, strict=True)]
    marks += [_node(node, box, sketch) for node, box in zip(sketch.nodes, placement.boxes, strict=True)]
    legend, (right, bottom) = _legend(sketch, placement.height + _MARGIN, max(width, _NARROWEST))
    return _page(sketch, [*marks, *legend], (left, max(width, right)), bottom)


def _page(sketch: Sketch, marks: Sequence[str], sides: Point, height: float) -> str:
    left, right = sides[0] - _MARGIN, sides[1] + _MARGIN
    across, down = right - left, height + 2 * _MARGIN
    title = _escaped(sketch.title)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" width="{across:.0f}pt" height="{down:.0f}pt"'
            f' viewBox="{left:.2f} {-_MARGIN:.2f} {across:.2f} {down:.2f}" font-family="{style.FONT}">',
            f"<title>{title}</title>",
            f"<desc>{_escaped(sketch.description)}</desc>",
            f'<rect x="{left:.2f}" y="{-_MARGIN}" width="{across:.2f}" height="{down:.2f}" fill="{sketch.colours.background}"/>',
            *marks,
            "</svg>\n",
        ]
    )


def _escaped(text: str) -> str:
    return escape(printable(text))


def _text(line: str, x: float, y: float, size: float, colour: str, more: str = "") -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" font-size="{size:g}" fill="{colour}"{more}>{_escaped(line)}</text>'


# -- frames --------------------------------------------------------------------------------------


def _frame(cluster: Cluster, box: Box, sketch: Sketch) -> str:
    theme = sketch.colours
    fill = theme.frames[cluster_depth(cluster, sketch) % len(theme.frames)]
    left, top = box.x - box.width / 2, box.y - box.height / 2
    title = _text(one_line(cluster.title), left + 8, top + 1.4 * style.LEGEND_SIZE, style.LEGEND_SIZE, theme.ink)
    shape = f'<g fill="{fill}" stroke="{theme.frame_stroke}">{rounded(box)}</g>'
    return f'<g class="cluster"><title>{_escaped(cluster.title)}</title>{shape}{title}</g>'


# -- nodes ---------------------------------------------------------------------------------------


def _node(node: Node, box: Box, sketch: Sketch) -> str:
    shape = _outlined(node, box, sketch)
    return f'<g class="node {node.kind}"><title>{_escaped(node_tooltip(node))}</title>{shape}{_centred(node, box, sketch)}</g>'


def _outlined(node: Node, box: Box, sketch: Sketch) -> str:
    look, mark = look_of(node, sketch), mark_of(node, sketch)
    shape = f'<g fill="{look.fill}" stroke="{look.stroke}">{outline(look.shape, box)}</g>'
    if mark is None:
        return shape
    around = replace(box, width=box.width + _AROUND, height=box.height + _AROUND) if mark.borders > 1 else box
    lines = "".join(outline(look.shape, one) for one in dict.fromkeys((around, box)))
    return f'{shape}<g fill="none" stroke="{mark.colour}" stroke-width="{mark.width:g}"{_DASHES[mark.line]}>{lines}</g>'


def _centred(node: Node, box: Box, sketch: Sketch) -> str:
    lines = line_sizes(node)
    y = box.y - sum(LINE * size for _, size in lines) / 2
    texts: list[str] = []
    for i, (line, size) in enumerate(lines):
        y += LINE * size
        look = ' text-anchor="middle"' if i else ' text-anchor="middle" font-weight="bold"'
        colour = detail_colour(node, sketch) if i else sketch.colours.ink
        texts.append(_text(line, box.x, y - 0.25 * LINE * size, size, colour, look))
    return "".join(texts)


# -- edges ---------------------------------------------------------------------------------------


def _edge(edge: Edge, way: Sequence[Point], box: Box, sketch: Sketch) -> str:
    along = 0 if is_level(sketch.direction) else 1
    colour, mark = colour_of(edge, sketch), mark_of(edge, sketch)
    line = sketch.colours.edges[edge.kind].line if mark is None or edge.kind != "forward" else mark.line
    thick = "" if mark is None else f' stroke-width="{mark.width:g}"'
    arrow = f'<path fill="none" stroke="{colour}"{_DASHES[line]}{thick} d="{_curve(way, along)}"/>'
    tip = f'<polygon fill="{colour}" points="{points(_tip(way, along))}"/>'
    label = _edge_label(edge, box, sketch)
    return f'<g class="edge {edge.kind}"><title>{_escaped(edge_tooltip(edge))}</title>{arrow}{tip}{label}</g>'


def _curve(way: Sequence[Point], along: int) -> str:
    start = f"M {points(way[:1])}"
    if len(way) == 3 and not min(way[0][along], way[2][along]) <= way[1][along] <= max(way[0][along], way[2][along]):
        return f"{start} Q {points(way[1:])}"  # over the top, to a node of the same row
    return start + "".join(_bend(one, other, along) for one, other in pairwise(way))


# Each stretch leaves and arrives in the direction of the picture, so that stretches join smoothly.
def _bend(start: Point, end: Point, along: int) -> str:
    middle = (start[along] + end[along]) / 2
    bends = ((middle, start[1]), (middle, end[1])) if along == 0 else ((start[0], middle), (end[0], middle))
    return f" C {' '.join(f'{x:.2f} {y:.2f}' for x, y in (*bends, end))}"


def _tip(way: Sequence[Point], along: int) -> tuple[Point, Point, Point]:
    (x, y), before = way[-1], way[-2]
    back = -_ARROW if way[-1][along] > before[along] else _ARROW
    if along == 0:
        return (x, y), (x + back, y - _ARROW / 2), (x + back, y + _ARROW / 2)
    return (x, y), (x - _ARROW / 2, y + back), (x + _ARROW / 2, y + back)


# The halo keeps the text readable where it lies on a line.
def _edge_label(edge: Edge, box: Box, sketch: Sketch) -> str:
    top = box.y - box.height / 2
    halo = f' stroke="{sketch.colours.background}" stroke-width="3" paint-order="stroke" text-anchor="middle"'
    step, colour = LINE * style.LABEL_SIZE, colour_of(edge, sketch)
    lines = enumerate(edge_lines(edge))
    return "".join(_text(line, box.x, top + (i + 0.8) * step, style.LABEL_SIZE, colour, halo) for i, line in lines)


# -- legend --------------------------------------------------------------------------------------

_NARROWEST: Final = 260.0
"""The least width that the legend is given."""
_SAMPLE: Final = (26.0, 14.0)
_ROW: Final = 22.0


def _legend(sketch: Sketch, top: float, width: float) -> tuple[list[str], Point]:
    """Samples with their meanings in rows of no more than this width, and where the last of them end."""
    marks: list[str] = []
    x = right = 0.0
    y = top
    for sample, text, first in _samples(sketch):
        long = _SAMPLE[0] + 6 + text_width(text, style.LEGEND_SIZE)
        if x and (first or x + long > width):
            x, y = 0.0, y + _ROW
        box = Box(x + _SAMPLE[0] / 2, y, *_SAMPLE)
        words = _text(text, x + _SAMPLE[0] + 6, y + 0.35 * style.LEGEND_SIZE, style.LEGEND_SIZE, sketch.colours.ink)
        marks.append(f'<g class="legend">{_sample(sample, box, sketch)}{words}</g>')
        right, x = max(right, x + long), x + long + 16
    return marks, (right, y)


_Sample = Node | Edge | str
"""What is drawn: a node's shape, an edge, or a box of a colour."""


def _samples(sketch: Sketch) -> list[tuple[_Sample, str, bool]]:
    """The samples, their texts, and whether a row begins with them."""
    legend = legend_of(sketch)
    found: list[tuple[_Sample, str, bool]] = [(node, node.lines[-1], i == 0) for i, node in enumerate(legend.nodes)]
    found += [(edge, edge.label, i == 0) for i, edge in enumerate(legend.edges)]
    if legend.scale is not None:
        found.append(("", legend.scale.title, True))
        found += [(sketch.colours.ramp[i], text, False) for i, text in zip(legend.scale.shades, legend.scale.texts, strict=True)]
    return found


def _sample(sample: _Sample, box: Box, sketch: Sketch) -> str:
    if isinstance(sample, Node):
        sign = _text("+", box.x, box.y + 4, 12, sketch.colours.ink, ' text-anchor="middle"') if sample.kind == "sum" else ""
        return _outlined(sample, box if sample.kind != "sum" else Box(box.x, box.y, box.height, box.height), sketch) + sign
    if isinstance(sample, Edge):
        return _edge(Edge("", "", "", sample.kind, sample.label, sample.mark), _level(box, sketch), box, sketch)
    return f'<g fill="{sample}" stroke="{sketch.colours.ink}">{rounded(box)}</g>' if sample else ""


def _level(box: Box, sketch: Sketch) -> tuple[Point, Point]:
    """The way of a sample of an edge: as the picture's edges run."""
    if is_level(sketch.direction):
        return (box.x - box.width / 2, box.y), (box.x + box.width / 2, box.y)
    return (box.x, box.y - box.height / 2 - 2), (box.x, box.y + box.height / 2 + 2)
