"""Constant folding: what depends on constants alone is computed once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graphc import ops
from graphc.core import Bundle, Constant, Tensor, constant
from graphc.core.pattern import var
from graphc.core.sizes import Size
from graphc.lower import compute
from graphc.rewrite.rule import rule

LARGEST: Final = 4096
"""A result of more elements than this is folded only when it is no bigger than what it is made of."""


@rule(
    var("node"),
    safety="exact",
    reads=(Constant,),
    reads_all=True,
    cases=(
        lambda leaf: ops.exp(constant([1.0, 2.0], "float32")),
        lambda leaf: leaf(2) + (constant(2.0, "float32") * 3 + 1).astype(leaf(2).dtype),
        lambda leaf: ops.sum(constant(np.arange(6).reshape(2, 3)), axis=0),
    ),
)
def fold_constants(node: Tensor) -> Any:
    """What is made of constants alone is a constant, unless that would be big, or not finite though all its parts are."""
    parts = [x.value for x in node.inputs if isinstance(x, Constant)]
    if not parts or not _worth_it(node, parts):
        return None
    try:
        value = compute(node, parts)
    except (IndexError, ValueError):  # it fails: let it fail where the user can see it, in the run
        return None
    if all(map(_finite, parts)) and not _finite(value):
        return None
    return constant(value, node.dtype)


def _worth_it(node: Tensor, parts: list[Any]) -> bool:
    if isinstance(node.type, Bundle) or not isinstance(node.size, int) or _has_names(node.attrs):
        return False
    if node.op is ops.broadcast_to:  # a view of a small constant, which costs nothing as it is
        return node.size == parts[0].size
    return node.size <= max(LARGEST, sum(part.size for part in parts))


def _has_names(attrs: tuple[Any, ...]) -> bool:
    flat: list[Any] = []
    for value in attrs:
        flat.extend(value if isinstance(value, tuple) else (value,))  # pyright: ignore[reportUnknownArgumentType]
    return any(isinstance(value, Size) for value in flat)


def _finite(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind in "biu" or bool(np.isfinite(array if array.dtype.kind == "c" else array.astype("float64")).all())
