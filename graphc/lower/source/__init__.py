"""Emitting source: a function ``make`` that allocates, and inside it ``step``, one line an operation."""

from graphc.lower.source.checks import Checks
from graphc.lower.source.numpy import emit_numpy
from graphc.lower.source.places import Place, Places, places
from graphc.lower.source.writer import Source, size_names

__all__ = ["Checks", "Place", "Places", "Source", "emit_numpy", "places", "size_names"]
