"""How wide a text is and how large its node: estimates, for there is no font to ask."""

from __future__ import annotations

from typing import Final
from unicodedata import combining, east_asian_width

from graphc.show import style
from graphc.show.sketch import Node, label_lines
from graphc.show.style import Shape

LINE: Final = 1.2
"""Height of a line of text, in its font size."""
_INCH: Final = 72.0
_NARROW: Final = frozenset("ijlftrI.,:;'|!()[]{} `-\"/\\")
_WIDE: Final = frozenset("mwMW@%&")
# What a shape needs around a rectangle of text: factors of its width and height.
_ROOM: Final[dict[Shape, tuple[float, float]]] = {
    "box": (1.0, 1.0),
    "cylinder": (1.0, 1.35),
    "ellipse": (1.35, 1.4),
    "hexagon": (1.4, 1.1),
    "note": (1.0, 1.0),
    "octagon": (1.3, 1.2),
}


def text_width(text: str, size: float) -> float:
    """Width of one line in points, in Helvetica of ``size`` points."""
    return size * sum(map(_advance, text))


def _advance(char: str) -> float:
    if combining(char):
        return 0.0
    if char in _NARROW:
        return 0.34
    if char in _WIDE or char.isupper():
        return 0.76
    return 1.0 if east_asian_width(char) in "WF" else 0.58


def node_size(node: Node) -> tuple[float, float]:
    """Width and height of a node in points: its lines, the margin, and what its shape needs."""
    lines = label_lines(node)
    across, down = _ROOM[style.NODES[node.kind].shape]
    width = max((text_width(line, style.FONT_SIZE) for line in lines), default=0.0)
    height = LINE * style.FONT_SIZE * max(len(lines), 1)
    left, top = (2 * _INCH * margin for margin in style.MARGIN)
    return max(across * (width + left), 0.4 * _INCH), max(down * (height + top), 0.3 * _INCH)
