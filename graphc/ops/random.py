"""Random numbers from counters: the same key gives the same numbers, on every backend."""

from __future__ import annotations

__all__: list[str] = []
