"""The shapes of nodes as SVG, in a box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from graphc.show.layout import Box, Point
from graphc.show.style import Shape

_CORNER: Final = 4.0
_DEPTH: Final = 4.0


def outline(shape: Shape, box: Box) -> str:
    """The outline of a node that fills this box."""
    return _SHAPES[shape](box)


def rounded(box: Box, more: str = "") -> str:
    """A rectangle with round corners."""
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return f'<rect x="{left:.2f}" y="{top:.2f}" width="{box.width:.2f}" height="{box.height:.2f}" rx="{_CORNER:g}"{more}/>'


def points(corners: Sequence[Point]) -> str:
    """Points as SVG has them."""
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in corners)


def _dashed(box: Box) -> str:
    return rounded(box, ' stroke-dasharray="5,3"')


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
    return f'<polygon points="{points(corners)}"/><polyline points="{points(folded)}"/>'


def _block(box: Box) -> str:
    """A box with a top and a side."""
    left, right, top, bottom = box.x - box.width / 2, box.x + box.width / 2, box.y - box.height / 2, box.y + box.height / 2
    d = _DEPTH
    corners = [(left, top + d), (left + d, top), (right, top), (right, bottom - d), (right - d, bottom), (left, bottom)]
    edges = [(left, top + d), (right - d, top + d), (right - d, bottom)]
    lines = "".join(f'<polyline points="{points(line)}"/>' for line in (edges, [edges[1], (right, top)]))
    return f'<polygon points="{points(corners)}"/>{lines}'


# Corners in units of the box, from its centre.
def _polygon(*corners: Point) -> Callable[[Box], str]:
    def drawn(box: Box) -> str:
        return f'<polygon points="{points([(box.x + x * box.width, box.y + y * box.height) for x, y in corners])}"/>'

    return drawn


_SHAPES: Final[dict[Shape, Callable[[Box], str]]] = {
    "box": rounded,
    "box3d": _block,
    "circle": _ellipse,
    "cylinder": _cylinder,
    "dashed box": _dashed,
    "ellipse": _ellipse,
    "hexagon": _polygon((-0.5, 0), (-0.35, -0.5), (0.35, -0.5), (0.5, 0), (0.35, 0.5), (-0.35, 0.5)),
    "note": _note,
    "octagon": _polygon((-0.5, -0.2), (-0.3, -0.5), (0.3, -0.5), (0.5, -0.2), (0.5, 0.2), (0.3, 0.5), (-0.3, 0.5), (-0.5, 0.2)),
}
