"""What goes wrong with files of functions."""

from __future__ import annotations

from graphc.core.errors import GraphcError


class ExportError(GraphcError):
    """A function that cannot be saved, or a file that holds no function which can be run here."""
