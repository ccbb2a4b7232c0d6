"""Products of matrices."""

from __future__ import annotations

from typing import Any

from graphc.core import Tensor, TensorType, as_tensor, case, op, sizes
from graphc.core.errors import ShapeError
from graphc.core.sizes import Dim
from graphc.ops.pointwise import multiply
from graphc.ops.reduce import sum_to
from graphc.ops.shape import expand_dims, reshape, transpose

__all__ = [
    "dot",
    "matmul",
]


def _flops(node: Tensor) -> Dim:
    return node.size * node.inputs[0].shape[-1] * 2


@op(
    "xp.matmul($a, $b)",
    out="np.matmul($a, $b, out=$out)",
    linear=("a", "b"),
    promote=("a", "b"),
    flops=_flops,
    text="$a · $b",
    tex=r"$a \, $b",
    binds=2,
    ulps=16,
    cases=(
        case((2, 3), (3, 4)),
        case((3,), (3,)),
        case((3,), (3, 2)),
        case((2, 3), (3,)),
        case((2, 1, 2, 3), (4, 3, 2)),
        case((0, 3), (3, 2)),
        case((2, 0), (0, 2)),
    ),
)
def matmul(a: TensorType, b: TensorType) -> TensorType:
    """Product of matrices, stacked along leading axes, which broadcast. One axis alone is a row on the left, a column on the right."""
    if not a.shape or not b.shape:
        raise ShapeError("a number is not a matrix", fits="at least one axis each; `*` multiplies by a number")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(f"inner sizes differ, {a.shape[-1]} and {inner}", fits=f"b of shape ({a.shape[-1]}, n)")
    stacked = sizes.broadcast([a.shape[:-2], b.shape[:-2]])
    return TensorType(a.dtype, stacked + a.shape[-2:-1] + (b.shape[-1:] if b.ndim > 1 else ()))


@matmul.vjp
def _(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    row = expand_dims(a, axis=0) if a.ndim == 1 else a
    column = expand_dims(b, axis=1) if b.ndim == 1 else b
    stacked = sizes.broadcast([row.shape[:-2], column.shape[:-2]])
    g = reshape(g, (*stacked, row.shape[-2], column.shape[-1])) if 1 in (a.ndim, b.ndim) else g
    da, db = matmul(g, swap(column)), matmul(swap(row), g)
    return _back(da, row, a), _back(db, column, b)


def _back(g: Tensor, matrix: Tensor, x: Tensor) -> Tensor:
    g = sum_to(g, matrix.shape)
    return reshape(g, x.shape) if x is not matrix else g


def swap(x: Tensor) -> Tensor:
    """The last two axes exchanged."""
    return transpose(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def dot(x: Any, y: Any) -> Tensor:
    """NumPy's ``dot`` of up to two axes each: a product of matrices, an inner product, or a multiple."""
    x, y = as_tensor(x), as_tensor(y)
    if x.ndim > 2 or y.ndim > 2:
        raise ShapeError(f"dot({x.type}, {y.type}): more than two axes", fits="matmul, which stacks matrices along leading axes")
    return multiply(x, y) if 0 in (x.ndim, y.ndim) else matmul(x, y)
