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
_BOLD: Final = 1.08
"""How much wider bold letters are."""
# What a shape needs around a rectangle of text: factors of its width and height.
_ROOM: Final[dict[Shape, tuple[float, float]]] = {
    "box": (1.0, 1.0),
    "box3d": (1.05, 1.2),
    "circle": (1.0, 1.0),
    "cylinder": (1.0, 1.35),
    "dashed box": (1.0, 1.0),
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


def headline_size(node: Node) -> float:
    """The size of a node's first line: a sign is written larger than a name."""
    head = label_lines(node)[:1]
    sign = node.kind in ("operator", "output", "gradient") and bool(head) and len(head[0]) <= 2 and not head[0].isalnum()
    return style.SIGN_SIZE if sign else style.FONT_SIZE


def line_sizes(node: Node) -> list[tuple[str, float]]:
    """The lines of a node with their font sizes."""
    return [(line, style.DETAIL_SIZE if i else headline_size(node)) for i, line in enumerate(label_lines(node))]


def node_size(node: Node) -> tuple[float, float]:
    """Width and height of a node in points: its lines, the margin, and what its shape needs."""
    lines = line_sizes(node)
    shape = style.NODES[node.kind].shape
    if shape == "circle":
        return 17.0, 17.0
    across, down = _ROOM[shape]
    width = max((text_width(line, size) * (1.0 if i else _BOLD) for i, (line, size) in enumerate(lines)), default=0.0)
    height = sum(LINE * size for _, size in lines) or LINE * style.FONT_SIZE
    left, top = (2 * _INCH * margin for margin in style.MARGIN)
    return max(across * (width + left), 0.4 * _INCH), max(down * (height + top), 0.3 * _INCH)
