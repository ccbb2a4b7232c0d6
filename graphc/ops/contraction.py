"""Sums of products over named axes: einsum and what is spelt with it."""

from __future__ import annotations

__all__: list[str] = []
