"""Factorisations: of Cholesky, into orthonormal and triangular matrices, by singular values and by eigenvalues."""

# The cases are made of lambdas, whose parameters the type checker cannot know.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from graphc.core import Tensor, TensorType, case, describe, dtypes, op
from graphc.core.errors import ArgumentError, GradientError, ShapeError
from graphc.core.expr import Constant
from graphc.core.sizes import Dim
from graphc.ops import pointwise as p
from graphc.ops import reduce
from graphc.ops.creation import eye
from graphc.ops.linalg.matrices import (
    ON_FINITE,
    ONE,
    SQUARE,
    Pair,
    Types,
    column,
    cubic,
    identity,
    over_stacks,
    positive,
    refuse_oblong,
    refuse_vectors,
    row,
    scalar,
)
from graphc.ops.linalg.solving import solve_triangular
from graphc.ops.product import matmul, swap
from graphc.ops.shape import broadcast_to, concatenate, narrow, tril, zeros_like

Triple: TypeAlias = tuple[Tensor, Tensor, Tensor]
Mode: TypeAlias = Literal["reduced", "complete"]

_SYMMETRIC = "0.5 * ($a + xp.matrix_transpose($a))"


def _shorter(a: TensorType) -> Dim:
    """The smaller of the sizes of a matrix."""
    refuse_vectors(a)
    m, n = a.shape[-2:]
    if m == n:
        return m
    if not (isinstance(m, int) and isinstance(n, int)):
        raise ShapeError(f"the smaller of {m} and {n} is not known", fits="matrices of known sizes, or square ones; stacks may have names")
    return min(m, n)


def _symmetric(x: Tensor) -> Tensor:
    return 0.5 * (x + swap(x))


def _near(gap: Tensor, values: Tensor) -> Tensor:
    """Whether a difference of these (the last axis) is no more than the rounding of the sum of their sizes."""
    unit = float(np.finfo(dtypes.numpy_dtype(values.dtype)).eps)
    return p.abs(gap) <= scalar(unit * reduce.sum(p.abs(values), axis=-1))


def _unless(condition: Tensor, x: Tensor) -> Tensor:
    """``1 / x``, and 0 where the condition holds."""
    return p.where(condition, 0, p.reciprocal(p.where(condition, 1, x)))


def _has_equal(values: Tensor) -> Tensor:
    """Whether two of the values (the last axis) are equal up to rounding, beside the matrices."""
    near = _near(row(values) - column(values), values)
    return reduce.any(p.logical_and(near, p.equal(eye(values.shape[-1]), 0)), axis=(-2, -1), keepdims=True)


def _over_gaps(values: Tensor) -> Tensor:
    """``1 / (v[j] - v[i])``, and 0 where the two are equal up to rounding."""
    gaps = row(values) - column(values)
    return _unless(_near(gaps, values), gaps)


@op(
    f"xp.linalg.cholesky({_SYMMETRIC}, upper=$upper)",
    raises=True,
    flops=cubic(1),
    cases=tuple([case(shape, through=positive, upper=upper) for shape in SQUARE for upper in (False, True)]),
    **ONE,
)
def cholesky(a: TensorType, *, upper: bool = False) -> TensorType:
    """The lower triangular ``l`` with a positive diagonal and ``l lᵀ = a``; with ``upper`` its transpose.

    ``a`` counts by its symmetric part, ``(a + aᵀ) / 2`` (NumPy reads one triangle alone). A matrix that is not positive definite raises
    LinAlgError on NumPy; on JAX it gives NaN. The gradient is by triangular solves (Murray, 2016: Differentiation of the Cholesky
    decomposition), and symmetric.
    """
    refuse_oblong(a)
    return a


@cholesky.vjp
def _(g: Tensor, y: Tensor, a: Tensor, upper: bool) -> tuple[Tensor]:
    factor, g = (swap(y), swap(g)) if upper else (y, g)
    inner = tril(matmul(swap(factor), g)) * (1 - 0.5 * identity(a))
    half = solve_triangular(factor, inner, lower=True, transpose=True)
    return (_symmetric(solve_triangular(factor, swap(half), lower=True, transpose=True)),)


def _refuse_arbitrary(what: str, cotangents: list[Tensor], a: Tensor, fits: str) -> None:
    """Raise unless nobody asks for the gradient of vectors that only fill a basis up."""
    for g in cotangents:
        seed = g.inputs[0] if g.op is broadcast_to else g
        if not (isinstance(seed, Constant) and seed.uniform == 0):
            m, n = a.shape[-2:]
            raise GradientError(
                f"{what} of a matrix of {m} by {n} are arbitrary in part and have no gradient", given=[f"a: {describe(a)}"], fits=fits
            )


@op(
    "xp.linalg.qr($a, mode=$mode)",
    raises=True,
    flops=cubic(8),
    cases=(
        case((3, 3)),
        case((3, 2)),
        case((2, 3)),
        case((2, 3, 2)),
        case((2, 3), mode="complete"),
        case((1, 1)),
        case((0, 0)),
        case((0, 2, 2)),
    ),
    **ONE,
)
def qr(a: TensorType, *, mode: Mode = "reduced") -> Types:
    """Orthonormal columns ``q`` and an upper triangular ``r``, with ``q r = a``, for matrices of ``m`` by ``n``.

    ``"reduced"`` gives ``q`` the smaller of m and n columns, ``"complete"`` m. For ``m > n`` the complete q is arbitrary in its last
    columns and has no gradient. The gradient (Walter and Lehmann, 2012; for ``m < n`` Roberts and Roberts, 2020) solves with the first
    columns of ``r``, which have to be independent: else LinAlgError on NumPy, inf or NaN on JAX.
    """
    if mode not in ("reduced", "complete"):
        raise ArgumentError(f"mode={mode!r}", fits="'reduced' or 'complete'")
    refuse_vectors(a)
    k = _shorter(a) if mode == "reduced" else a.shape[-2]
    return a.with_shape((*a.shape[:-1], k)), a.with_shape((*a.shape[:-2], k, a.shape[-1]))


@qr.vjp
def _(g: Pair, y: Pair, a: Tensor, mode: Mode) -> tuple[Tensor]:
    m, n = a.shape[-2:]
    (gq, gr), (q, r) = g, y
    if mode == "complete" and _shorter(a.type) != m:
        _refuse_arbitrary("qr(a, mode='complete'): q", [gq], a, "mode='reduced'")
        q, r = qr(a)
        gq, gr = zeros_like(q), narrow(gr, axis=-2, start=0, length=n)
    if r.shape[-2] == n:
        return (_qr_gradient(gq, gr, q, r),)
    rest = n - m
    right = narrow(gr, axis=-1, start=m, length=rest)
    gq = gq + matmul(narrow(a, axis=-1, start=m, length=rest), swap(right))
    left = _qr_gradient(gq, narrow(gr, axis=-1, start=0, length=m), q, narrow(r, axis=-1, start=0, length=m))
    return (concatenate([left, matmul(q, right)], axis=-1),)


def _qr_gradient(gq: Tensor, gr: Tensor, q: Tensor, r: Tensor) -> Tensor:
    inner = matmul(r, swap(gr)) - matmul(swap(gq), q)
    symmetric = tril(inner) + swap(tril(inner, k=-1))
    return swap(solve_triangular(r, swap(gq + matmul(q, symmetric))))


def _has_equal_singular_values(y: Triple, a: Tensor, full_matrices: bool) -> tuple[Tensor]:
    """Two that are equal; of an oblong matrix also one that is 0, by which the vectors on its longer side are divided."""
    s, (m, n) = y[1], a.shape[-2:]
    equal = _has_equal(s)
    return (equal if m == n else p.logical_or(equal, reduce.any(_near(row(s), s), axis=-1, keepdims=True)),)


@op(
    'on_finite(lambda a: xp.linalg.svd(a, full_matrices=$full_matrices), $a, "svd")',
    **ON_FINITE,
    raises=True,
    flops=cubic(63),
    kink_note="the vectors of equal singular values are arbitrary; their share of the gradient is 0",
    choice=_has_equal_singular_values,
    cases=(
        *[
            case(shape, seen=lambda u, s, vh: [matmul(u, vh), p.square(u), s, p.square(vh)])
            for shape in ((3, 3), (3, 2), (2, 3), (2, 3, 2), (1, 1), (0, 0), (0, 2, 2))
        ],
        case((2, 2), full_matrices=True, seen=lambda u, s, vh: [matmul(u, vh), s]),
    ),
    **ONE,
)
def svd(a: TensorType, *, full_matrices: bool = False) -> Types:
    """``u``, ``s`` and ``vh`` with ``(u * s) @ vh = a``: orthonormal columns, values in descending order, orthonormal rows.

    With ``full_matrices`` (NumPy's default, not this one's) ``u`` and ``vh`` are square; the vectors that only fill them up are
    arbitrary and have no gradient. Vectors of equal singular values (up to rounding) are arbitrary too: there the gradient takes 0 for
    ``1 / (s[i] - s[j])``, and for ``1 / s[i]`` where that is 0, which is right for what depends on the space alone that they span.
    ``svdvals`` has no such term. The gradient is Townsend's (2016: Differentiating the singular value decomposition). An inf or a NaN
    raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    k = _shorter(a)
    m, n = a.shape[-2:] if full_matrices else (k, k)
    stack = a.shape[:-2]
    return a.with_shape((*a.shape[:-1], m)), a.with_shape((*stack, k)), a.with_shape((*stack, n, a.shape[-1]))


@svd.vjp
def _(g: Triple, y: Triple, a: Tensor, full_matrices: bool) -> tuple[Tensor]:
    m, n = a.shape[-2:]
    if full_matrices and m != n:
        _refuse_arbitrary("svd(a, full_matrices=True): u and vh", [g[0], g[2]], a, "full_matrices=False")
        return (_of_singular_values(g[1], a),)
    (gu, gs, gvh), (u, s, vh) = g, y
    u_t, v, gv = swap(u), swap(vh), swap(gvh)
    totals = row(s) + column(s)
    gaps = _over_gaps(s) * _unless(p.equal(totals, 0), totals)
    left, right = gaps * matmul(u_t, gu), gaps * matmul(vh, gv)
    inner = (left + swap(left)) * row(s) + column(s) * (right + swap(right)) + column(gs) * identity(s)
    total = matmul(u, matmul(inner, vh))
    inverse = _unless(_near(row(s), s), row(s))
    if m != s.shape[-1]:
        outside = gu - matmul(u, matmul(u_t, gu))
        total = total + matmul(outside * inverse, vh)
    if n != s.shape[-1]:
        outside = gvh - matmul(matmul(gvh, v), vh)
        total = total + matmul(u, swap(inverse) * outside)
    return (total,)


@op(
    'on_finite(lambda a: xp.linalg.svd(a, compute_uv=False), $a, "svdvals")',
    **ON_FINITE,
    raises=True,
    flops=cubic(8),
    cases=tuple([case(shape) for shape in ((3, 3), (3, 2), (2, 3), (2, 3, 2), (1, 1), (0, 2), (0, 2, 2))]),
    **ONE,
)
def svdvals(a: TensorType) -> TensorType:
    """The singular values in descending order. The gradient, ``u diag(g) vh``, is finite also where some are equal.

    An inf or a NaN raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    return a.with_shape((*a.shape[:-2], _shorter(a)))


@svdvals.vjp
def _(g: Tensor, y: Tensor, a: Tensor) -> tuple[Tensor]:
    return (_of_singular_values(g, a),)


def _of_singular_values(g: Tensor, a: Tensor) -> Tensor:
    u, _, vh = svd(a)
    return matmul(u * row(g), vh)


@op(
    f'on_finite(xp.linalg.eigh, {_SYMMETRIC}, "eigh")',
    **ON_FINITE,
    raises=True,
    flops=cubic(27),
    kink_note="the vectors of equal eigenvalues are arbitrary; their share of the gradient is 0",
    choice=lambda y, a: (_has_equal(y[0]),),
    cases=tuple([case(shape, seen=lambda w, v: [w, p.square(v)]) for shape in SQUARE]),
    **ONE,
)
def eigh(a: TensorType) -> Types:
    """Eigenvalues of a symmetric matrix in ascending order, and its eigenvectors, orthonormal, as the columns of a matrix.

    ``a`` counts by its symmetric part, ``(a + aᵀ) / 2`` (NumPy reads one triangle alone), and the gradient is symmetric. Vectors of equal
    eigenvalues (up to rounding) are arbitrary: there the gradient takes 0 for ``1 / (w[i] - w[j])``, which is right for what depends on
    the space alone that they span, such as a projection; ``(v * f(w)) @ vᵀ`` loses a share. ``eigvalsh`` has no such term. An
    inf or a NaN raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    refuse_oblong(a)
    return a.with_shape(a.shape[:-1]), a


@eigh.vjp
def _(g: Pair, y: Pair, a: Tensor) -> tuple[Tensor]:
    (gw, gv), (w, v) = g, y
    inner = _over_gaps(w) * matmul(swap(v), gv) + column(gw) * identity(a)
    return (_symmetric(matmul(v, matmul(inner, swap(v)))),)


@op(
    f'on_finite(xp.linalg.eigvalsh, {_SYMMETRIC}, "eigvalsh")',
    **ON_FINITE,
    raises=True,
    flops=cubic(4),
    cases=tuple([case(shape) for shape in SQUARE]),
    **ONE,
)
def eigvalsh(a: TensorType) -> TensorType:
    """Eigenvalues of the symmetric part of a matrix in ascending order.

    The gradient, ``v diag(g) vᵀ``, is finite also where some are equal. An inf or a NaN raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    refuse_oblong(a)
    return a.with_shape(a.shape[:-1])


@eigvalsh.vjp
def _(g: Tensor, y: Tensor, a: Tensor) -> tuple[Tensor]:
    _, v = eigh(a)
    return (matmul(v * row(g), swap(v)),)


over_stacks(cholesky, qr, svd, svdvals, eigh, eigvalsh)
