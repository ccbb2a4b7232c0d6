"""Convolutions in one, two and three dimensions, and what is made of them."""

from __future__ import annotations

__all__: list[str] = []
