"""Windows over spatial axes: pooling, patches, resizing."""

from __future__ import annotations

__all__: list[str] = []
