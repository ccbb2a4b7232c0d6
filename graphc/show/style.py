"""The look of every picture: colours, shapes, fonts.

Each kind of node has its own shape *and* its own colour, so that a picture reads in grey, in print and for the colour-blind.
Every text and every line keeps a contrast of at least 4.5 : 1 against what lies behind it (WCAG 2.2, 1.4.3); ``contrast``
computes it and the tests hold the palette to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

NodeKind = Literal["input", "variable", "constant", "parameter", "operator", "output"]
EdgeKind = Literal["forward", "reversed", "carried"]
Shape = Literal["ellipse", "cylinder", "octagon", "note", "box", "hexagon"]

FONT: Final = "Helvetica,Arial,sans-serif"
FONT_SIZE: Final = 12.0
"""Size of a node's text in points."""
LABEL_SIZE: Final = 10.0
"""Size of an edge's text in points."""
LEGEND_SIZE: Final = 9.0
"""Size of the legend's text in points."""
MARGIN: Final = (0.15, 0.06)
"""Space around a node's text in inches: left and right, above and below."""

BACKGROUND: Final = "#ffffff"
INK: Final = "#1f2328"


@dataclass(frozen=True, slots=True)
class NodeLook:
    """How one kind of node is drawn: its outline, its inside, its border."""

    shape: Shape
    fill: str
    stroke: str


@dataclass(frozen=True, slots=True)
class EdgeLook:
    """How one kind of edge is drawn; ``meaning`` is its line in the legend."""

    colour: str
    line: Literal["solid", "dashed", "dotted"]
    meaning: str


NODES: Final[Mapping[NodeKind, NodeLook]] = MappingProxyType(
    {
        "input": NodeLook("ellipse", "#e3effb", "#1f5a96"),
        "variable": NodeLook("cylinder", "#fff1cf", "#855600"),
        "constant": NodeLook("octagon", "#eeeeee", "#565656"),
        "parameter": NodeLook("note", "#f1e9fa", "#66389b"),
        "operator": NodeLook("box", "#ffffff", "#3d444d"),
        "output": NodeLook("hexagon", "#e3f4e4", "#226226"),
    }
)
"""The kinds of nodes by name."""

EDGES: Final[Mapping[EdgeKind, EdgeLook]] = MappingProxyType(
    {
        "forward": EdgeLook("#3d444d", "solid", "a value"),
        "reversed": EdgeLook("#b3400a", "dashed", "a derivative, in reverse"),
        "carried": EdgeLook("#66389b", "dotted", "carried to the next step"),
    }
)
"""The kinds of edges by name."""

FRAMES: Final = ("#f6f7f9", "#eceef1")
"""The inside of a frame, and of a frame inside it, and so on in turns."""
FRAME_STROKE: Final = "#5f636a"
"""The border of a frame."""


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, from 0 (black) to 1 (white); WCAG 2.2's definition."""
    red, green, blue = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def contrast(one: str, other: str) -> float:
    """Contrast of two colours ``#rrggbb``, from 1 (the same) to 21 (black on white)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
