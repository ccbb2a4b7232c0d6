"""Writing elements by place, and reading by arrays of indices."""

from __future__ import annotations

__all__: list[str] = []
