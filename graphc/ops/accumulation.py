"""Running reductions along an axis: sums, products, extrema so far."""

from __future__ import annotations

__all__: list[str] = []
