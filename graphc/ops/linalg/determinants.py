"""Determinants, their derivatives, and traces."""

# The cases are made of lambdas, whose parameters the type checker cannot know.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.core import Tensor, TensorType, case, dtypes, op
from graphc.core.attributes import Axis
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.sizes import Dim
from graphc.ops import pointwise as p
from graphc.ops.creation import eye
from graphc.ops.linalg.matrices import (
    ONE,
    SQUARE,
    Pair,
    Types,
    computed,
    cubic,
    identity,
    over_stacks,
    refuse_oblong,
    refuse_vectors,
    regular_beside,
    scalar,
    with_on_finite,
)
from graphc.ops.linalg.solving import inv
from graphc.ops.product import matmul, swap
from graphc.ops.shape import broadcast_to, expand_dims, reshape


@op(
    "xp.linalg.det($a)",
    flops=cubic(2),
    tex=r"\det($a)",
    cases=tuple([case(shape) for shape in (*SQUARE, (2, 2), (4, 4))]),
    **ONE,
)
def det(a: TensorType) -> TensorType:
    """The determinant. Its gradient, the transposed adjugate, divides by nothing and is right for singular matrices, as is the next one.

    Derivatives of order 3 and above go by the inverse, and need matrices that have one. The gradient of a matrix with an inf or a NaN
    raises LinAlgError on NumPy; on JAX it is NaN.
    """
    refuse_oblong(a)
    return a.with_shape(a.shape[:-2])


@det.vjp
def _(g: Tensor, y: Tensor, a: Tensor) -> tuple[Tensor]:
    return (scalar(g) * cofactors(a),)


_COFACTORS = '''
def cofactors(a):
    """The minors with their signs: in the axes of the singular vectors, the products of all singular values but one."""
    u, s, vh = on_finite(np.linalg.svd, a, "cofactors")
    one = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([one, s[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([one, s[..., :0:-1]], -1), -1)[..., ::-1]
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return sign[..., None, None] * ((u * (before * after)[..., None, :]) @ vh)
'''


@op(
    "cofactors($a)",
    **with_on_finite(_COFACTORS),
    raises=True,
    flops=cubic(73),
    tex=r"\operatorname{adj}($a)^\top",
    text="adj($a)ᵀ",
    cases=tuple([case(shape) for shape in (*SQUARE, (2, 2), (4, 4))]),
    **ONE,
)
def cofactors(a: TensorType) -> TensorType:
    """The cofactors of a square matrix, which are the gradient of its determinant; the transposed adjugate.

    By the singular values, with products of all but one (Stewart, 1998: On the adjugate matrix), so that no rank is special. An
    inf or a NaN raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    refuse_oblong(a)
    return a


@cofactors.vjp
def _(g: Tensor, y: Tensor, a: Tensor) -> tuple[Tensor]:
    return (det_curvature(a, g),)


_CURVATURE = '''
def det_curvature(a, h):
    """The second derivative of the determinant along h: in the axes of the singular vectors, products of all but two singular values."""
    u, s, vh = on_finite(np.linalg.svd, a, "det_curvature")
    one = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([one, s[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([one, s[..., :0:-1]], -1), -1)[..., ::-1]
    n = s.shape[-1]
    later = np.where(np.tri(n, dtype=bool), 1, s[..., None, :])
    between = np.cumprod(np.concatenate([np.ones_like(later[..., :1]), later[..., :-1]], -1), -1)
    pairs = np.triu(before[..., :, None] * between * after[..., None, :], 1)
    pairs = pairs + np.matrix_transpose(pairs)
    h = np.matrix_transpose(u) @ h @ np.matrix_transpose(vh)
    diagonal = (pairs @ np.diagonal(h, axis1=-2, axis2=-1)[..., None])[..., 0]
    inner = np.where(np.eye(n, dtype=bool), diagonal[..., None, :], -pairs * np.matrix_transpose(h))
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return sign[..., None, None] * (u @ inner @ vh)
'''


@op(
    "det_curvature($a, $h)",
    **with_on_finite(_CURVATURE),
    raises=True,
    promote=("a", "h"),
    compute=computed,
    linear=("h",),
    ulps=64,
    group="linalg",
    flops=cubic(97),
    tex=r"\nabla^2 \det($a)[$h]",
    cases=tuple([case(shape, shape, through=regular_beside) for shape in (*SQUARE, (2, 2), (4, 4))]),
)
def det_curvature(a: TensorType, h: TensorType) -> TensorType:
    """The derivative of the cofactors of ``a`` along ``h``: the Hessian of the determinant, applied to ``h``. Right at any rank.

    For an invertible matrix it is ``det(a) (tr(a⁻¹ h) a⁻ᵀ - a⁻ᵀ hᵀ a⁻ᵀ)``. An inf or a NaN in ``a`` raises LinAlgError on NumPy; on JAX
    it gives NaN.
    """
    refuse_oblong(a)
    if a.shape != h.shape:
        raise ShapeError(f"the direction {h} is not of a's shape", fits=f"{a.shape}")
    return a


@det_curvature.vjp
def _(g: Tensor, y: Tensor, a: Tensor, h: Tensor) -> Pair:
    inverse = inv(a)
    h_in, g_in = matmul(inverse, h), matmul(inverse, g)
    h_trace, g_trace = scalar(_last_trace(h_in)), scalar(_last_trace(g_in))
    once = h_trace * g_in + g_trace * h_in
    mixed = matmul(h_in, g_in)
    both = h_trace * g_trace - scalar(_last_trace(mixed))
    inner = both * identity(a) - once + mixed + matmul(g_in, h_in)
    return scalar(det(a)) * swap(matmul(inner, inverse)), det_curvature(a, g)


def adjugate(a: Any) -> Tensor:
    """The transposed cofactors of a square matrix, at any rank; the product with the matrix is ``det(a)`` times the identity."""
    return swap(cofactors(a))


@op(
    "xp.linalg.slogdet($a)",
    flops=cubic(2),
    cases=tuple([case(shape) for shape in (*SQUARE, (2, 2))]),
    **ONE,
)
def slogdet(a: TensorType) -> Types:
    """The sign of the determinant (-1, 0 or 1) and the logarithm of its size, which does not overflow; ``(0, -inf)`` if singular.

    The gradient of the logarithm is ``a⁻ᵀ``, so that of a singular matrix raises LinAlgError on NumPy; on JAX it is inf or NaN.
    """
    refuse_oblong(a)
    each = a.with_shape(a.shape[:-2])
    return each, each


@slogdet.vjp
def _(g: Pair, y: Pair, a: Tensor) -> tuple[Tensor]:
    return (scalar(g[1]) * swap(inv(a)),)


def logdet(a: Any) -> Tensor:
    """The logarithm of the determinant, without its overflow: NaN if that is negative, -inf if it is 0."""
    sign, logarithm = slogdet(a)
    return p.where(sign < 0, np.nan, logarithm)


def _trace_flops(node: Tensor) -> Dim:
    return node.size * node.inputs[0].shape[node.attributes["axis1"]]


@op(
    "xp.trace($x, offset=$offset, axis1=$axis1, axis2=$axis2)",
    linear=("x",),
    promote=("x",),
    compute=dtypes.accumulator,
    flops=_trace_flops,
    text="tr($x)",
    tex=r"\operatorname{tr}($x)",
    ulps=8,
    group="linalg",
    cases=(
        case((3, 3)),
        case((2, 3), offset=1),
        case((3, 2), offset=-1),
        case((2, 3, 4), axis1=2, axis2=0),
        case((2, 3, 4), axis1=-2, axis2=-1, offset=-1),
        case((0, 3)),
        case((2, 2), offset=5),
    ),
)
def trace(x: TensorType, *, offset: int = 0, axis1: Axis = 0, axis2: Axis = 1) -> TensorType:
    """The sum of a diagonal, of the first two axes unless others are named; bool and integers are summed in 64 bits."""
    refuse_vectors(x)
    if axis1 == axis2:
        raise ArgumentError(f"axis1 and axis2 are both {axis1}", fits="two axes")
    return x.with_shape(tuple([size for axis, size in enumerate(x.shape) if axis not in (axis1, axis2)]))


@trace.vjp
def _(g: Tensor, y: Tensor, x: Tensor, offset: int, axis1: int, axis2: int) -> tuple[Tensor]:
    first, second = sorted((axis1, axis2))
    ones = eye(x.shape[first], x.shape[second], k=offset if axis1 < axis2 else -offset, dtype=x.dtype)
    ones = reshape(ones, tuple([size if axis in (first, second) else 1 for axis, size in enumerate(x.shape)]))
    return (expand_dims(g, axis=(first, second)) * ones,)


@trace.vmap
def _(mapped: tuple[bool, ...], x: Tensor, offset: int, axis1: int, axis2: int) -> Tensor:
    return trace(x, offset=offset, axis1=axis1 + 1, axis2=axis2 + 1)


def _last_trace(x: Tensor) -> Tensor:
    return trace(x, axis1=-2, axis2=-1)


# ---------------------------------------------------------------- on stacks of what they take
over_stacks(det, cofactors, slogdet)


@det_curvature.vmap
def _(mapped: tuple[bool, ...], a: Tensor, h: Tensor) -> Tensor:
    shape = a.shape if mapped[0] else h.shape
    return det_curvature(broadcast_to(a, shape=shape), broadcast_to(h, shape=shape))
