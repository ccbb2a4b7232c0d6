"""Nested tuples, lists and dicts of tensors, as one flat list and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast


def flatten(structure: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves in order, and the function that puts other leaves into the same structure. None holds no leaf."""
    leaves: list[Any] = []
    skeleton = _skeleton(structure, leaves)
    return leaves, lambda values: _filled(skeleton, list(values))


class _Leaf(int):
    """The place of a leaf."""


def _skeleton(structure: Any, leaves: list[Any]) -> Any:
    if structure is None:
        return None
    if isinstance(structure, Mapping):
        return {name: _skeleton(value, leaves) for name, value in cast("Mapping[Any, Any]", structure).items()}
    if isinstance(structure, list | tuple):
        items = [_skeleton(item, leaves) for item in cast("Sequence[Any]", structure)]
        return items if isinstance(structure, list) else tuple(items)
    leaves.append(structure)
    return _Leaf(len(leaves) - 1)


def _filled(skeleton: Any, values: list[Any]) -> Any:
    if isinstance(skeleton, _Leaf):
        return values[skeleton]
    if isinstance(skeleton, Mapping):
        return {name: _filled(value, values) for name, value in cast("Mapping[Any, Any]", skeleton).items()}
    if isinstance(skeleton, list | tuple):
        items = [_filled(item, values) for item in cast("Sequence[Any]", skeleton)]
        return items if isinstance(skeleton, list) else tuple(items)
    return skeleton
