"""Order: sorting, the largest k, searching, counting."""

from __future__ import annotations

__all__: list[str] = []
