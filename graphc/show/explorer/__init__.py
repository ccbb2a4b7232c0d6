"""A page to look at a graph and at all that the compiler did with it: one HTML file that loads nothing."""

from graphc.show.explorer.exhibit import (
    Application,
    Cotangent,
    Exhibit,
    Gradient,
    Group,
    Held,
    Memory,
    Node,
    Origin,
    Pass,
    Rule,
)
from graphc.show.explorer.page import to_html

__all__ = ["Application", "Cotangent", "Exhibit", "Gradient", "Group", "Held", "Memory", "Node", "Origin", "Pass", "Rule", "to_html"]
