"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.core import Tensor, TensorType, case, dtypes, op, sizes
from graphc.core.errors import ShapeError
from graphc.core.sizes import Dim
from graphc.ops.complex_numbers import conj
from graphc.ops.reduce import sum_to
from graphc.ops.shape import expand_dims, reshape, transpose

__all__ = [
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
    da, db = matmul(g, adjoint(column)), matmul(adjoint(row), g)
    return _back(da, row, a), _back(db, column, b)


def _back(g: Tensor, matrix: Tensor, x: Tensor) -> Tensor:
    g = sum_to(g, matrix.shape)
    return reshape(g, x.shape) if x is not matrix else g


def swap(x: Tensor) -> Tensor:
    """The last two axes exchanged."""
    return transpose(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def adjoint(x: Tensor) -> Tensor:
    """The conjugate transpose of each matrix."""
    return conj(swap(x)) if dtypes.is_complex(x.dtype) else swap(x)


@matmul.vmap
def _(mapped: Sequence[bool], a: Tensor, b: Tensor) -> Tensor:
    """Vectors become matrices, and the stack is the first of the leading axes."""
    row, column = a.ndim - mapped[0] == 1, b.ndim - mapped[1] == 1
    a = expand_dims(a, axis=a.ndim - 1) if row else a
    b = expand_dims(b, axis=b.ndim) if column else b
    ndim = max(a.ndim - mapped[0], b.ndim - mapped[1]) + 1
    y = matmul(_stacked(a, ndim) if mapped[0] else a, _stacked(b, ndim) if mapped[1] else b)
    kept = [size for i, size in enumerate(y.shape) if not (row and i == y.ndim - 2) and not (column and i == y.ndim - 1)]
    return reshape(y, tuple(kept)) if len(kept) < y.ndim else y


def _stacked(x: Tensor, ndim: int) -> Tensor:
    """The first axis in front of all axes of the others."""
    return expand_dims(x, axis=tuple(range(1, 1 + ndim - x.ndim))) if x.ndim < ndim else x
