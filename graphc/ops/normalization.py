"""Normalisations, and the losses and dropout that go with them."""

from __future__ import annotations

__all__: list[str] = []
