"""How a tensor shows itself: ``print`` lists its graph, a notebook has the formula of a small one and a folded listing of others."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from graphc.core import Tensor, toposort
from graphc.show.formula import formula
from graphc.show.listing import printed
from graphc.show.page import Code
from graphc.show.page import html as html_of

SMALL: Final = 40
"""Operators up to which a notebook shows a formula."""


def text(x: Tensor) -> str:
    """What ``print`` writes."""
    return printed(x)


def latex(x: Tensor) -> str | None:
    """The formula, if it is of few operators."""
    return f"$${formula(x).latex}$$" if _operators(x) <= SMALL else None


def html(x: Tensor) -> str | None:
    """What it is, and the listing to unfold, if the formula would be long."""
    count = _operators(x)
    if count <= SMALL:
        return None
    return f"<details><summary><code>{escape(repr(x))}</code>, {count:,} operators</summary>{html_of(Code(printed(x)))}</details>"


def rich(x: Tensor) -> Any:
    """What rich prints: the listing with colours."""
    return printed(x).__rich__()


def _operators(x: Tensor) -> int:
    return sum([node.op is not None for node in toposort([x])])
