"""The look of every picture: colours, shapes, fonts.

Each kind of node has its own shape *and* its own colour, so that a picture
reads in grey, in print and for the colour-blind.  Every text and every line
keeps a contrast of at least 4.5 : 1 against what lies behind it (WCAG 2.2,
1.4.3); ``contrast`` computes it and the tests hold the palette to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Shape = Literal["box", "ellipse", "house", "invhouse", "cylinder", "octagon", "note", "hexagon"]

FONT: Final = "Helvetica,Arial,sans-serif"
FONT_SIZE: Final = 12.0
"""Size of a node's text in points."""
LABEL_SIZE: Final = 10.0
"""Size of an edge's text in points."""
MARGIN: Final = (0.15, 0.06)
"""Space around a node's text in inches: left and right, above and below."""
CORNER: Final = 4.0
"""Radius of a box's corners in points: Graphviz's own, for ``style=rounded``."""

BACKGROUND: Final = "#ffffff"
INK: Final = "#1f2328"
FORWARD: Final = "#3d444d"
"""Edges that carry values: solid, dark."""
REVERSED: Final = "#b3400a"
"""Edges that carry cotangents: dashed, vermilion."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one kind of node is drawn: its outline, its inside, its border."""

    shape: Shape
    fill: str
    stroke: str


INPUT: Final = Look("invhouse", "#e3effb", "#1f5a96")
VARIABLE: Final = Look("cylinder", "#fff1cf", "#855600")
CONSTANT: Final = Look("octagon", "#eeeeee", "#565656")
OPERATOR: Final = Look("box", "#ffffff", "#3d444d")
OUTPUT: Final = Look("house", "#e3f4e4", "#226226")
GRADIENT: Final = Look("ellipse", "#fde9e0", "#a03a0c")

LOOKS: Final = {
    "input": INPUT,
    "variable": VARIABLE,
    "constant": CONSTANT,
    "operator": OPERATOR,
    "output": OUTPUT,
    "gradient": GRADIENT,
}
"""The kinds of nodes by name."""


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
