"""``explore``: a graph, its gradient and all that the compiler did with them, as a page for a browser."""

from graphc.exploration.explore import Exploration, explore

__all__ = ["Exploration", "explore"]
