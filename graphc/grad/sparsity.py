"""Which elements of a result depend on which of a tensor below it, found without values; and columns that can be computed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from graphc.core import Bundle, Constant, Tensor, toposort
from graphc.core.errors import GraphcError
from graphc.core.graph import ancestors_through
from graphc.grad.reverse import carries
from graphc.lower import compute

Array = np.ndarray[Any, Any]
LARGEST = 1 << 22
"""Entries of a Jacobian above which its pattern is not looked for."""


@dataclass(frozen=True)
class Colouring:
    """``colour`` of each column, ``count`` colours, and the ``pattern`` of the Jacobian, rows by columns."""

    pattern: Array
    colour: Array
    count: int


def pattern(y: Tensor, x: Tensor) -> Array | None:
    """True where an element of ``y`` (row) may depend on one of ``x`` (column); None when every entry may or the matrix is large.

    Sizes must be known. Every node gets, for each of its elements, the set of x's elements that it depends on, as a row of truth
    values: pointwise ops join the rows of their operands, linear ops that only move or add elements do so with the rows, and any other
    op makes all of its elements depend on all that its operands depend on.
    """
    assert isinstance(x.size, int)
    assert isinstance(y.size, int)
    if not 0 < x.size * y.size <= LARGEST:
        return None
    order = toposort([y])
    active = ancestors_through(order, [x], carries)
    rows: dict[Tensor, Array] = {x: np.eye(x.size, dtype=bool).reshape(*_known(x), x.size)}
    for node in order:
        if node in active and node not in rows:
            found = _rows(node, rows, x.size)
            if found is None:
                return None
            rows[node] = found
    whole = rows[y].reshape(y.size, x.size)
    return None if whole.all() else whole


def _known(x: Tensor) -> tuple[int, ...]:
    return tuple([int(size) for size in x.shape if isinstance(size, int)])


def _rows(node: Tensor, rows: dict[Tensor, Array], columns: int) -> Array | None:
    if len(_known(node)) < node.ndim:
        return None
    below = [(i, rows[x]) for i, x in enumerate(node.inputs) if x in rows and carries(node, i)]
    if node.op is not None and node.op.pointwise:
        joined = [np.broadcast_to(_aligned(found, node.ndim), (*_known(node), columns)) for _, found in below]
        return np.logical_or.reduce(joined)
    if len(below) == 1 and _moves(node, below[0][0]):
        return _through(node, below[0][0], below[0][1], columns)
    if isinstance(node.type, Bundle):
        return None
    if len(below) == 1 and (along := _along(node)) is not None:
        joined = below[0][1].any(axis=along, keepdims=True)
        return np.broadcast_to(joined, below[0][1].shape) if node.shape == node.inputs[0].shape else joined.reshape(*_known(node), columns)
    anything = np.logical_or.reduce([found.reshape(-1, columns).any(axis=0) for _, found in below])
    return np.broadcast_to(anything, (*_known(node), columns))


def _along(node: Tensor) -> tuple[int, ...] | None:
    """The axes along which elements meet, for an op that reduces or works along axes of its one operand."""
    axis: Any = node.attributes.get("axis")
    if axis is None or len(node.inputs) != 1:
        return None
    axes = cast("tuple[int, ...]", axis if isinstance(axis, tuple) else (axis,))
    x = node.inputs[0]
    left = tuple([size for i, size in enumerate(x.shape) if i not in axes])
    kept = tuple([1 if i in axes else size for i, size in enumerate(x.shape)])
    return axes if node.shape in (x.shape, left, kept) else None


def _aligned(found: Array, ndim: int) -> Array:
    return found.reshape((*[1] * (ndim - (found.ndim - 1)), *found.shape))


def _moves(node: Tensor, index: int) -> bool:
    """Whether the op is linear in this operand, and the others are constants: moves, sums, and products with constants."""
    op = node.op
    assert op is not None
    known = all(isinstance(x, Constant) for i, x in enumerate(node.inputs) if i != index)
    return known and not op.variadic and op.operands[index] in op.linear


def _through(node: Tensor, index: int, found: Array, columns: int) -> Array | None:
    """The op done to the pattern of each column, as numbers."""
    values: list[Any] = [
        np.abs(x.value) if isinstance(x, Constant) and x.dtype != "bool" else getattr(x, "value", None) for x in node.inputs
    ]
    own = node.inputs[index].dtype
    results: list[Array] = []
    for column in range(columns):
        values[index] = found[..., column].astype(own)
        try:
            results.append(np.asarray(compute(node, values)) != 0)
        except (GraphcError, IndexError, ValueError):
            return None
    return np.stack(results, axis=-1)


def colouring(pattern: Array) -> Colouring:
    """Colours for the columns, such that two that share a row differ: greedily, the fullest first (networkx)."""
    import networkx as nx  # takes longer to import than graphc, and few programs need it

    entries = pattern.astype(np.float32)  # BLAS has no truth values
    shared = entries.T @ entries
    np.fill_diagonal(shared, 0)
    colours: Any = cast("Any", nx).greedy_color(cast("Any", nx).from_numpy_array(shared > 0), strategy="largest_first")
    colour = np.array([colours[i] for i in range(pattern.shape[1])])
    return Colouring(pattern, colour, int(colour.max()) + 1)
