"""Memory over time as a chart: a box for each value, as long as it is held and as high as it is large, where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from graphc.show.explorer.exhibit import Memory, Node

HEIGHT: Final = 1000
"""Units from the bottom to the top."""
_SHADES: Final = 4


def chart(memory: Memory, nodes: list[Node]) -> str:
    """The chart as SVG: a unit across is a step, the first byte is at the bottom. Each box has the id ``m`` and the place of its value."""
    top = max([one.begin + one.nbytes for one in memory.values], default=0) or 1
    count = len(memory.used)
    lines = [
        f'<svg id="timeline" viewBox="0 0 {count} {HEIGHT}" preserveAspectRatio="none" role="img" aria-labelledby="chart-title">',
        f'<title id="chart-title">Memory over {count} steps, at most {max(memory.used, default=0)} bytes</title>',
        *_boxes(memory, nodes, top),
        f'<path id="used" d="{_outline(memory, top)}"/>',
        f'<line id="now" x1="0.5" x2="0.5" y1="0" y2="{HEIGHT}"/>',
        "</svg>",
    ]
    return "\n".join(lines)


def _boxes(memory: Memory, nodes: list[Node], top: int) -> Iterator[str]:
    for i, one in enumerate(memory.values):
        height = HEIGHT * one.nbytes / top
        y = HEIGHT * (1 - one.begin / top) - height
        told = escape(f"{nodes[one.node].name}: {one.nbytes} bytes, {one.where}")
        look = "gradient" if nodes[one.node].is_reversed else "value"
        yield (
            f'<rect id="m{i}" class="{look} shade{i % _SHADES}" x="{one.first}" y="{y:.2f}" width="{one.last - one.first + 1}" '
            f'height="{height:.2f}"><title>{told}</title></rect>'
        )


def _outline(memory: Memory, top: int) -> str:
    """The bytes in use, step by step."""
    heights = [f"{HEIGHT * (1 - used / top):.2f}" for used in memory.used]
    return "".join([f"{'L' if i else 'M'}{i} {y}H{i + 1}" for i, y in enumerate(heights)])
