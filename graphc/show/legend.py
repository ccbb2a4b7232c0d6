"""The legend of a picture: a sample of each shape, line and shade that it has, each with its meaning."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.show.scale import Scale
from graphc.show.sketch import Edge, Node, Sketch
from graphc.show.style import EDGES, MARKS, NODES, MarkLook, NodeLook


@dataclass(frozen=True, slots=True)
class Legend:
    """Samples of nodes, whose text is their meaning, and of edges, each with its meaning for a label; and the scale of colours."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    scale: Scale | None


def legend_of(sketch: Sketch) -> Legend:
    """What is in the picture, and nothing else."""
    kinds = {node.kind for node in sketch.nodes}
    nodes = [Node("", (look.meaning,), kind) for kind, look in NODES.items() if kind in kinds and kind != "sum"]
    drawn = {edge.kind for edge in sketch.edges if edge.mark != "path"}
    edges = [Edge("", "", look.meaning, kind) for kind, look in EDGES.items() if kind in drawn]
    if sketch.path and sketch.has_path:
        edges.append(Edge("", "", sketch.path, "reversed", mark="path"))
    joins = [Node("", ("+", NODES["sum"].meaning), "sum")] if "sum" in kinds else []
    marks = {node.mark for node in sketch.nodes} | {edge.mark for edge in sketch.edges}
    marked = [Node("", (f"{look.sign} {mark}",), mark=mark) for mark, look in MARKS.items() if mark in marks and look.sign]
    return Legend((*nodes, *joins, *marked), tuple(edges), sketch.scale)


def mark_of(thing: Node | Edge, sketch: Sketch) -> MarkLook | None:
    """How a node or an edge stands out, if it does."""
    return sketch.colours.marks[thing.mark] if thing.mark else None


def look_of(node: Node, sketch: Sketch) -> NodeLook:
    """How a node of the sketch looks: as its kind does, in the shade of its amount."""
    theme = sketch.colours
    look = theme.nodes[node.kind]
    if sketch.scale is not None and node.amount is not None:
        return NodeLook(look.shape, theme.ramp[sketch.scale.shade(node.amount)], theme.ink, look.meaning)
    return look


def detail_colour(node: Node, sketch: Sketch) -> str:
    """The ink of a node's details: muted, but on a shade."""
    return sketch.colours.ink if sketch.scale is not None and node.amount is not None else sketch.colours.muted


def colour_of(edge: Edge, sketch: Sketch) -> str:
    """The colour of an edge: that of its mark, or of its kind; what is on no path stands back where there is one."""
    theme, mark = sketch.colours, mark_of(edge, sketch)
    if mark is not None:
        return mark.colour
    return theme.aside if sketch.has_path else theme.edges[edge.kind].colour
