"""The look of every picture: colours, shapes, fonts.

Two hues: blue for what runs forward, vermilion for what runs in reverse; the rest is grey. What a node is, its shape tells, and the
colour only repeats it, so that a picture reads in grey, in print and for the colour-blind. Every text and every line keeps a contrast of
at least 4.5 : 1 against what lies behind it (WCAG 2.2, 1.4.3); ``contrast`` computes it and the tests hold the palettes to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

NodeKind = Literal["input", "variable", "constant", "parameter", "operator", "output", "gradient", "sum", "layer"]
EdgeKind = Literal["forward", "reversed", "carried"]
Shape = Literal["ellipse", "cylinder", "octagon", "note", "box", "hexagon", "circle", "box3d", "dashed box"]
Mark = Literal["", "added", "removed", "changed", "path"]
ThemeName = Literal["light", "dark"]
Direction = Literal["TB", "LR", "BT", "RL"]
DIRECTIONS: Final[tuple[str, ...]] = get_args(Direction)
"""From the top to the bottom, from left to right, and each the other way."""

FONT: Final = "Helvetica,Arial,sans-serif"
FONT_SIZE: Final = 13.0
"""Size of the first line of a node, its symbol or name, in points; it is bold."""
SIGN_SIZE: Final = 17.0
"""Size of a symbol of one or two characters."""
DETAIL_SIZE: Final = 9.5
"""Size of a node's other lines."""
LABEL_SIZE: Final = 10.0
"""Size of an edge's text in points."""
LEGEND_SIZE: Final = 9.5
"""Size of the legend's text, and of the titles of frames."""
MARGIN: Final = (0.13, 0.05)
"""Space around a node's text in inches: left and right, above and below."""


@dataclass(frozen=True, slots=True)
class NodeLook:
    """How one kind of node is drawn: its outline, its inside, its border."""

    shape: Shape
    fill: str
    stroke: str
    meaning: str


@dataclass(frozen=True, slots=True)
class EdgeLook:
    """How one kind of edge is drawn; ``meaning`` is its line in the legend."""

    colour: str
    line: Literal["solid", "dashed", "dotted"]
    meaning: str


@dataclass(frozen=True, slots=True)
class MarkLook:
    """How what stands out is drawn: its colour, its line, how many borders a node has; ``sign`` stands before its text.

    Of two graphs that are compared it is what tells them apart, and in a graph a path.
    """

    colour: str
    line: Literal["solid", "dashed"]
    borders: int
    sign: str = ""
    width: float = 2.0


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a picture.

    ``muted`` is the ink of details, ``aside`` the colour of edges off the path where there is one. ``frames`` are the insides of a
    frame, of a frame in it, and so on in turns. ``ramp`` are the fills of nodes that are coloured by an amount, from the least to the most.
    """

    background: str
    ink: str
    muted: str
    aside: str
    nodes: Mapping[NodeKind, NodeLook]
    edges: Mapping[EdgeKind, EdgeLook]
    marks: Mapping[Mark, MarkLook]
    frames: tuple[str, ...]
    frame_stroke: str
    ramp: tuple[str, ...]


_SHAPES: Final[Mapping[NodeKind, tuple[Shape, str]]] = {
    "input": ("ellipse", "input"),
    "variable": ("cylinder", "variable"),
    "constant": ("octagon", "constant"),
    "parameter": ("note", "parameter of a step"),
    "operator": ("box", "operation"),
    "output": ("hexagon", "result"),
    "gradient": ("dashed box", "operation of a gradient"),
    "sum": ("circle", "where paths join"),
    "layer": ("box3d", "layer"),
}
_LINES: Final[Mapping[EdgeKind, tuple[Literal["solid", "dashed", "dotted"], str]]] = {
    "forward": ("solid", "value"),
    "reversed": ("dashed", "derivative, in reverse"),
    "carried": ("dotted", "carried on"),
}


def _nodes(forward: str, grey: str, reverse: str, fills: Mapping[NodeKind, str]) -> Mapping[NodeKind, NodeLook]:
    strokes: dict[NodeKind, str] = {"constant": grey, "gradient": reverse, "sum": reverse}
    return MappingProxyType(
        {kind: NodeLook(shape, fills[kind], strokes.get(kind, forward), meaning) for kind, (shape, meaning) in _SHAPES.items()}
    )


def _marks(added: str, removed: str, changed: str, path: str) -> Mapping[Mark, MarkLook]:
    return MappingProxyType(
        {
            "added": MarkLook(added, "solid", 1, "+"),
            "removed": MarkLook(removed, "dashed", 1, "−"),
            "changed": MarkLook(changed, "solid", 2, "~"),
            "path": MarkLook(path, "solid", 1, width=2.8),
        }
    )


def _edges(forward: str, reverse: str) -> Mapping[EdgeKind, EdgeLook]:
    return MappingProxyType(
        {kind: EdgeLook(reverse if kind == "reversed" else forward, line, meaning) for kind, (line, meaning) in _LINES.items()}
    )


LIGHT: Final = Theme(
    background="#ffffff",
    ink="#17202a",
    muted="#4a5560",
    aside="#656d76",
    nodes=_nodes(
        "#1f5488",
        "#565d64",
        "#ac3d0a",
        {
            "input": "#e9f2fb",
            "variable": "#d5e6f7",
            "constant": "#f0f1f3",
            "parameter": "#e9f2fb",
            "operator": "#ffffff",
            "output": "#d5e6f7",
            "gradient": "#fdf1e9",
            "sum": "#fdf1e9",
            "layer": "#f3f8fd",
        },
    ),
    edges=_edges("#1f5488", "#ac3d0a"),
    marks=_marks("#1a6334", "#a8201a", "#6a4a00", "#ac3d0a"),
    frames=("#f6f7f9", "#eceef1"),
    frame_stroke="#5f666e",
    ramp=("#fffbe0", "#fde9a0", "#fdcf6b", "#f7ae45", "#ee8f3c"),
)
DARK: Final = Theme(
    background="#0f1419",
    ink="#e8edf2",
    muted="#aeb9c4",
    aside="#8a949e",
    nodes=_nodes(
        "#7db8ee",
        "#9aa4ae",
        "#ff9c66",
        {
            "input": "#15293c",
            "variable": "#1b3a57",
            "constant": "#23292f",
            "parameter": "#15293c",
            "operator": "#0f1419",
            "output": "#1b3a57",
            "gradient": "#33200f",
            "sum": "#33200f",
            "layer": "#13202d",
        },
    ),
    edges=_edges("#7db8ee", "#ff9c66"),
    marks=_marks("#6fd08c", "#ff8f8a", "#e3b341", "#ff9c66"),
    frames=("#171d24", "#20272f"),
    frame_stroke="#98a2ad",
    ramp=("#1d1a12", "#3a2d0f", "#57400f", "#6f4a0c", "#85500a"),
)
THEMES: Final[Mapping[ThemeName, Theme]] = MappingProxyType({"light": LIGHT, "dark": DARK})
"""The themes by name."""
NODES: Final = LIGHT.nodes
"""The kinds of nodes by name; their shapes are those of every theme."""
EDGES: Final = LIGHT.edges
"""The kinds of edges by name; their lines are those of every theme."""

MARKS: Final = LIGHT.marks
"""What stands out, by name; the lines and signs are those of every theme."""


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
