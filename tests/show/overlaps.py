"""Where the texts of a drawn picture are, to see whether one lies on another."""

from itertools import combinations
from typing import Any
from xml.etree import ElementTree as ET

from graphc.show.measure import text_width

Box = tuple[float, float, float, float, str]
"""Left, top, right, bottom, and the text."""
SVG = "{http://www.w3.org/2000/svg}"
_TIGHT = 0.85
"""How wide letters are at least, against the estimate, and how tall."""


def text_boxes(svg: str) -> list[Box]:
    """A box for each text; the lines of one label are one."""
    found: list[Box] = []
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        texts = [element for element in group if element.tag == f"{SVG}text"]
        texts += [text for link in group for a in link if a.tag == f"{SVG}a" for text in a if text.tag == f"{SVG}text"]
        boxes = [_box(text) for text in texts if "".join(text.itertext()).strip()]
        if boxes:
            lefts, tops, rights, bottoms, words = zip(*boxes, strict=True)
            found.append((min(lefts), min(tops), max(rights), max(bottoms), "\n".join(words)))
    return found


def _box(text: Any) -> Box:
    words = "".join(text.itertext()).replace("\N{NO-BREAK SPACE}", " ").strip()
    x, y, size = (float(text.get(name)) for name in ("x", "y", "font-size"))
    width = text_width(words, size) * _TIGHT
    left = x - width / 2 if text.get("text-anchor") == "middle" else x + (1 - _TIGHT) * width / 2
    return left, y - 0.7 * size, left + width, y + 0.1 * size, words


def overlapping(svg: str) -> list[tuple[str, str]]:
    """The pairs of texts that lie on one another."""
    return [
        (one[4], other[4])
        for one, other in combinations(text_boxes(svg), 2)
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ]
