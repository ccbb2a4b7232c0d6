"""Products of matrices."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, Any

from graphc.core import Tensor, TensorType, case, dtypes, op, sizes
from graphc.core.errors import ShapeError
from graphc.core.sizes import Dim, Shape
from graphc.ops.complex_numbers import conj
from graphc.ops.reduce import sum_to
from graphc.ops.shape import broadcast_to, expand_dims, reshape, transpose

__all__ = [
    "matmul",
]


def _flops(node: Tensor) -> Dim:
    return node.size * node.inputs[0].shape[-1] * 2


_IN_FLOAT32 = "np.matmul($a.astype(np.float32), $b.astype(np.float32))"


def _is_narrow(x: TensorType) -> bool:
    return dtypes.is_float(x.dtype) and dtypes.itemsize(x.dtype) == 2


def _called(a: TensorType, b: TensorType) -> str:
    """Two plain matrices go to BLAS by the shorter way; BLAS has no numbers of 16 bits, and NumPy's own loops take ten times as long."""
    if _is_narrow(a):
        return f"{_IN_FLOAT32}.astype($a.dtype)"
    return "xp.dot($a, $b)" if a.ndim == b.ndim == 2 else "xp.matmul($a, $b)"


def _into(a: TensorType, b: TensorType) -> str:
    if _is_narrow(a):
        return f"np.copyto($out, {_IN_FLOAT32}, casting='same_kind')"
    return "np.dot($a, $b, $out)" if a.ndim == b.ndim == 2 else "np.matmul($a, $b, $out)"


_PRODUCT: dict[str, Any] = {
    "linear": ("a", "b"),
    "promote": ("a", "b"),
    "flops": _flops,
    "text": "$a · $b",
    "tex": r"$a \, $b",
    "binds": 2,
    "ulps": 16,
    "precision": "low",
}


@op(
    _called,
    jax="xp.matmul($a, $b)",
    out=_into,
    **_PRODUCT,
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
    return TensorType(a.dtype, _shape(a, b))


def _shape(a: TensorType, b: TensorType) -> Shape:
    stacked = sizes.broadcast([a.shape[:-2], b.shape[:-2]])
    return stacked + a.shape[-2:-1] + (b.shape[-1:] if b.ndim > 1 else ())


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


# ---------------------------------------------------------------- with its axes moved
def _places(value: Any, types: tuple[TensorType, ...]) -> tuple[int, ...]:
    return tuple([operator.index(place) for place in value])


@op(
    "np.ascontiguousarray(np.moveaxis(np.matmul($a, $b), range(len($places)), $places))",
    jax="xp.moveaxis(xp.matmul($a, $b), range(len($places)), $places)",
    out="np.matmul($a, $b, out=$out.transpose($places))",
    **_PRODUCT,
    group="internal",
    cases=(
        case((2, 3, 4), (2, 4, 5), places=(1, 0, 2)),
        case((2, 3, 4), (5, 1, 4, 6), places=(2, 0, 1, 3)),
        case((0, 3, 4), (4, 1), places=(1, 0, 2)),
    ),
)
def moved_product(a: TensorType, b: TensorType, *, places: Annotated[tuple[int, ...], _places]) -> TensorType:
    """``matmul(a, b)`` of stacks, with axis ``i`` in the place ``places[i]``: BLAS writes it there at once, if the last axis stays last."""
    shape = _shape(a, b)
    return TensorType(a.dtype, tuple([shape[places.index(i)] for i in range(len(shape))]))


@moved_product.vjp
def _(g: Tensor, y: Tensor, a: Tensor, b: Tensor, places: tuple[int, ...]) -> tuple[Tensor, ...]:
    assert matmul.reverse is not None
    return matmul.reverse(transpose(g, axes=places), y, a, b)


@moved_product.vmap
def _(mapped: Sequence[bool], a: Tensor, b: Tensor, places: tuple[int, ...]) -> Tensor:
    a, b = (_stacked(x, len(places) + 1) if own else x for x, own in zip((a, b), mapped, strict=True))
    return moved_product(a, b, places=(0, *[1 + place for place in places]))


# ---------------------------------------------------------------- of transposed factors
def _turned(left: bool, right: bool) -> str:
    first = "np.swapaxes($a, -1, -2)" if left else "$a"
    second = "np.swapaxes($b, -1, -2)" if right else "$b"
    return f"np.matmul({first}, {second})"


def _contracted(a: TensorType, left: bool, right: bool) -> str:
    """The axes that meet, as XLA is told them: a transpose before a product it does not always take into it."""
    last, stack = len(a.shape) - 1, tuple(range(len(a.shape) - 2))
    meeting = (last - left,), (last - 1 + right,)
    return f"jax.lax.dot_general($a, $b, ({meeting}, {(stack, stack)}))"


def _turned_flops(node: Tensor) -> Dim:
    return node.size * node.inputs[0].shape[-2 if node.attributes["left"] else -1] * 2


@op(
    _turned,
    jax=_contracted,
    linear=("a", "b"),
    promote=("a", "b"),
    flops=_turned_flops,
    ulps=16,
    precision="low",
    group="internal",
    cases=(
        case((3, 2), (3, 4), left=True, right=False),
        case((2, 3), (4, 3), left=False, right=True),
        case((5, 3, 2), (5, 4, 3), left=True, right=True),
        case((0, 3, 2), (0, 3, 4), left=True, right=False),
    ),
)
def turned_product(a: TensorType, b: TensorType, *, left: bool, right: bool) -> TensorType:
    """``matmul`` of stacks of one shape, of whose matrices those on the ``left`` or the ``right`` are transposed first."""
    first, second = [(*x.shape[:-2], x.shape[-1], x.shape[-2]) if turned else x.shape for x, turned in ((a, left), (b, right))]
    if len(first) < 2 or first[:-2] != second[:-2] or first[-1] != second[-2]:
        raise ShapeError("factors that do not fit", fits="stacks of one shape, of matrices whose inner sizes are equal")
    return TensorType(a.dtype, (*first[:-1], second[-1]))


@turned_product.vjp
def _(g: Tensor, y: Tensor, a: Tensor, b: Tensor, left: bool, right: bool) -> tuple[Tensor, Tensor]:
    first, second = swap(a) if left else a, swap(b) if right else b
    da, db = matmul(g, adjoint(second)), matmul(adjoint(first), g)
    return swap(da) if left else da, swap(db) if right else db


@turned_product.vmap
def _(mapped: Sequence[bool], a: Tensor, b: Tensor, left: bool, right: bool) -> Tensor:
    stack = (a if mapped[0] else b).shape[:1]
    a, b = (x if own else broadcast_to(x, (*stack, *x.shape)) for x, own in zip((a, b), mapped, strict=True))
    return turned_product(a, b, left=left, right=right)
