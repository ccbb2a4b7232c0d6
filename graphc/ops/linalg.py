"""Linear algebra on stacks of matrices: the last two axes are a matrix, the leading ones are a stack and broadcast.

They compute in float32 or float64, integers in float64. Where LAPACK gives up (a singular matrix in ``inv``, one that is not positive
definite in ``cholesky``), NumPy raises ``numpy.linalg.LinAlgError`` in the call; JAX cannot, and gives inf or NaN. What goes by
singular values or eigenvalues (``svd``, ``svdvals``, ``pinv``, ``lstsq``, ``matrix_norm`` of some orders, ``eigh``, ``eigvalsh``, the
gradient of ``det``) raises the same for an inf or a NaN in a matrix, on which LAPACK may loop for ever; on JAX it is NaN.

``cholesky``, ``eigh`` and ``eigvalsh`` read both triangles evenly: they are functions of the symmetric part ``(a + aᵀ) / 2``, so that
their gradients are symmetric matrices, and those of the function that is computed.
"""

# The cases are made of lambdas, whose parameters the type checker cannot know.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np

from graphc.core import Op, Tensor, TensorType, as_tensor, case, describe, dtypes, op, sizes
from graphc.core.attributes import Axis
from graphc.core.errors import ArgumentError, DTypeError, GradientError, ShapeError
from graphc.core.expr import Constant
from graphc.core.sizes import Dim
from graphc.ops import pointwise as p
from graphc.ops import reduce
from graphc.ops.creation import eye
from graphc.ops.product import matmul, swap
from graphc.ops.shape import aligned, broadcast_to, concatenate, expand_dims, narrow, reshape, tril, triu, zeros_like

__all__ = [
    "adjugate",
    "cholesky",
    "det",
    "eigh",
    "eigvalsh",
    "expm",
    "inv",
    "logdet",
    "lstsq",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "trace",
]

Pair: TypeAlias = tuple[Tensor, Tensor]
Triple: TypeAlias = tuple[Tensor, Tensor, Tensor]
Types: TypeAlias = tuple[TensorType, ...]

_SYMMETRIC = "0.5 * ($a + xp.matrix_transpose($a))"


def _computed(dtype: str) -> str:
    """The float in which LAPACK computes."""
    if dtypes.is_complex(dtype) or dtype in ("float16", "bfloat16"):
        raise DTypeError(f"matrices of {dtype} are not factorised", fits="float32, float64, or integers, which become float64")
    return dtypes.averaging(dtype)


def _cubic(thirds: int) -> Callable[[Tensor], Dim]:
    """The cost of an op on ``m`` by ``n`` matrices, in thirds of ``m * n * n`` (Golub and Van Loan, 2013: Matrix Computations)."""

    def cost(node: Tensor) -> Dim:
        return sizes.sliced(node.inputs[0].size * node.inputs[0].shape[-1] * thirds, None, None, 3)

    return cost


def _triangular_flops(node: Tensor) -> Dim:
    return node.size * node.inputs[0].shape[-1]


def _solve_flops(node: Tensor) -> Dim:
    """A factorisation, and two triangular systems."""
    return _cubic(2)(node) + 2 * _triangular_flops(node)


_ON_FINITE = '''
def on_finite(f, a, name):
    """f of matrices; LAPACK may loop for ever on those with an inf or a NaN, or give anything."""
    if not np.isfinite(a).all():
        raise np.linalg.LinAlgError(f"{name}: a matrix has an inf or a NaN")
    return f(a)
'''
_JAX_ON_FINITE = '''
def on_finite(f, a, name):
    """f of matrices; NaN for those with an inf or a NaN, on which LAPACK may loop for ever, or give anything."""
    finite = jnp.isfinite(a).all((-2, -1), keepdims=True)
    found = f(jnp.where(finite, a, 0))
    return jax.tree.map(lambda y: jnp.where(finite if y.ndim == a.ndim else finite[..., 0], y, jnp.nan), found)
'''
_HELPERS: dict[str, Any] = {"helper": _ON_FINITE, "jax_helper": _JAX_ON_FINITE}


def _on_finite(text: str) -> dict[str, Any]:
    """A helper for both targets, beside the one that it calls."""
    return {"helper": f"{_ON_FINITE}\n{text}", "jax_helper": f"{_JAX_ON_FINITE}\n{text.replace('np.', 'jnp.')}"}


_ONE: dict[str, Any] = {"promote": ("a",), "compute": _computed, "ulps": 64}
_TWO: dict[str, Any] = {"promote": ("a", "b"), "compute": _computed, "linear": ("b",), "ulps": 64}


# ---------------------------------------------------------------- types
def _refuse_vectors(a: TensorType) -> None:
    if a.ndim < 2:
        raise ShapeError(f"{a} is not a matrix", fits="at least two axes")


def _refuse_oblong(a: TensorType) -> None:
    _refuse_vectors(a)
    if a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"a matrix of {a.shape[-2]} by {a.shape[-1]} is not square", fits="two last axes of one size")


def _shorter(a: TensorType) -> Dim:
    """The smaller of the sizes of a matrix."""
    _refuse_vectors(a)
    m, n = a.shape[-2:]
    if m == n:
        return m
    if not (isinstance(m, int) and isinstance(n, int)):
        raise ShapeError(f"the smaller of {m} and {n} is not known", fits="matrices of known sizes, or square ones; stacks may have names")
    return min(m, n)


def _solved(a: TensorType, b: TensorType, rows: Dim, unknowns: Dim) -> TensorType:
    """The type of ``x`` in ``a x = b``: b is one vector if it has one axis, else a stack of matrices."""
    if not b.shape or b.shape[-min(2, b.ndim)] != rows:
        raise ShapeError(f"{b} is no right-hand side for {a}", fits=f"({rows},) or (..., {rows}, k)")
    if b.ndim == 1:
        return a.with_shape((*a.shape[:-2], unknowns))
    return a.with_shape((*sizes.broadcast([a.shape[:-2], b.shape[:-2]]), unknowns, b.shape[-1]))


# ---------------------------------------------------------------- what the rules below are made of
def _identity(like: Tensor) -> Tensor:
    """The identity of as many columns as this has."""
    return eye(like.shape[-1], dtype=like.dtype)


def _symmetric(x: Tensor) -> Tensor:
    return 0.5 * (x + swap(x))


def _column(x: Tensor) -> Tensor:
    return expand_dims(x, axis=-1)


def _row(x: Tensor) -> Tensor:
    return expand_dims(x, axis=-2)


def _scalar(x: Tensor) -> Tensor:
    """A number for each matrix, beside the matrices."""
    return expand_dims(x, axis=(-2, -1))


def _columns(b: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """What goes with a right-hand side, as matrices: with columns of their own where b is one vector."""
    return tuple([_column(x) if b.ndim == 1 else x for x in (b, *others)])


def _back(g: Tensor, x: Tensor) -> Tensor:
    """The cotangent of matrices, brought to the shape of the operand that they were broadcast from."""
    shape = (*x.shape, 1) if x.ndim == 1 else x.shape
    g = reduce.sum_to(g, shape)
    return reshape(g, x.shape) if x.ndim == 1 else g


def _near(gap: Tensor, values: Tensor) -> Tensor:
    """Whether a difference of these (the last axis) is no more than the rounding of the largest."""
    unit = float(np.finfo(dtypes.numpy_dtype(values.dtype)).eps)
    return p.abs(gap) <= _scalar(unit * reduce.sum(p.abs(values), axis=-1))


def _unless(condition: Tensor, x: Tensor) -> Tensor:
    """``1 / x``, and 0 where the condition holds."""
    return p.where(condition, 0, p.reciprocal(p.where(condition, 1, x)))


def _has_equal(values: Tensor) -> Tensor:
    """Whether two of the values (the last axis) are equal up to rounding, beside the matrices."""
    near = _near(_row(values) - _column(values), values)
    return reduce.any(p.logical_and(near, p.equal(eye(values.shape[-1]), 0)), axis=(-2, -1), keepdims=True)


def _over_gaps(values: Tensor) -> Tensor:
    """``1 / (v[j] - v[i])``, and 0 where the two are equal up to rounding."""
    gaps = _row(values) - _column(values)
    return _unless(_near(gaps, values), gaps)


def _in_floats(a: Any) -> Tensor:
    a = as_tensor(a)
    return a if dtypes.is_float(a.dtype) else p.cast(a, dtype="float64")


def _regular(a: Any) -> Tensor:
    """A matrix far from singular, for the tests: with a large diagonal."""
    a = _in_floats(a)
    return a + 4 * _identity(a)


def _positive(a: Any) -> Tensor:
    """A positive definite matrix, for the tests."""
    a = _in_floats(a)
    return _regular(matmul(a, swap(a)))


def _regular_beside(a: Any, b: Any) -> Pair:
    return _regular(a), as_tensor(b)


_SQUARE = ((3, 3), (1, 1), (2, 3, 3), (0, 0), (0, 2, 2))


# ---------------------------------------------------------------- systems of equations
@op(
    "xp.linalg.solve($a, $b)",
    raises=True,
    flops=_solve_flops,
    text="$a⁻¹ · $b",
    tex="$a^{-1} $b",
    binds=2,
    cases=tuple(
        [
            case(*shapes, through=_regular_beside)
            for shapes in (((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 1, 2, 2), (3, 2, 1)), ((1, 1), (1,)), ((0, 0), (0, 2)))
        ]
    ),
    **_TWO,
)
def solve(a: TensorType, b: TensorType) -> TensorType:
    """``x`` in ``a x = b`` for square ``a``, by LU. ``b`` is one vector if it has one axis, else a stack of matrices, as in NumPy 2.

    A singular matrix raises LinAlgError on NumPy; on JAX it gives inf or NaN.
    """
    _refuse_oblong(a)
    return _solved(a, b, a.shape[-1], a.shape[-1])


@solve.vjp
def _(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Pair:
    _, g, x = _columns(b, g, y)
    db = solve(swap(a), g)
    return _back(-matmul(db, swap(x)), a), _back(db, b)


@op(
    "solve_triangular($a, $b, $lower, $transpose, $unit_diagonal)",
    helper='''
def solve_triangular(a, b, lower, transpose, unit_diagonal):
    """x in a x = b for stacks, which SciPy before 1.16 does not take."""
    columns = b[:, None] if b.ndim == 1 else b
    stack = np.broadcast_shapes(a.shape[:-2], columns.shape[:-2])
    n, k = columns.shape[-2:]
    left = np.broadcast_to(a, (*stack, n, n)).reshape(-1, n, n) if n else np.empty((0, 0, 0))
    right = np.broadcast_to(columns, (*stack, n, k)).reshape(len(left), n, k)
    x = np.empty(right.shape, a.dtype)
    for i in range(len(left) if k else 0):
        x[i] = linalg.solve_triangular(
            left[i], right[i], trans=int(transpose), lower=lower, unit_diagonal=unit_diagonal, check_finite=False
        )
    return x.reshape((*stack, n)) if b.ndim == 1 else x.reshape((*stack, n, k))
''',
    imports="from scipy import linalg",
    jax_helper='''
def solve_triangular(a, b, lower, transpose, unit_diagonal):
    """x in a x = b; XLA's own form broadcasts nothing."""
    columns = b[:, None] if b.ndim == 1 else b
    stack = jnp.broadcast_shapes(a.shape[:-2], columns.shape[:-2])
    x = jax.lax.linalg.triangular_solve(
        jnp.broadcast_to(a, (*stack, *a.shape[-2:])),
        jnp.broadcast_to(columns, (*stack, *columns.shape[-2:])),
        left_side=True, lower=lower, transpose_a=transpose, unit_diagonal=unit_diagonal,
    )
    return x[..., 0] if b.ndim == 1 else x
''',
    raises=True,
    flops=_triangular_flops,
    cases=(
        *[
            case((3, 3), (3,), through=_regular_beside, lower=lower, transpose=transpose, unit_diagonal=unit)
            for lower in (False, True)
            for transpose in (False, True)
            for unit in (False, True)
        ],
        case((3, 3), (3, 2), through=_regular_beside),
        case((2, 3, 3), (3,), through=_regular_beside, lower=True),
        case((2, 1, 2, 2), (3, 2, 1), through=_regular_beside),
        case((0, 0), (0, 2)),
        case((0, 2, 2), (2,)),
    ),
    **_TWO,
)
def solve_triangular(
    a: TensorType, b: TensorType, *, lower: bool = False, transpose: bool = False, unit_diagonal: bool = False
) -> TensorType:
    """``x`` in ``a x = b`` (``aᵀ x = b`` with ``transpose``), where only the upper triangle of ``a`` is read, or only the lower one.

    With ``unit_diagonal`` the diagonal is not read either, and counts as ones. ``b`` is a vector or matrices as in ``solve``. A zero on
    the diagonal raises LinAlgError on NumPy; on JAX it gives inf or NaN.
    """
    _refuse_oblong(a)
    return _solved(a, b, a.shape[-1], a.shape[-1])


@solve_triangular.vjp
def _(g: Tensor, y: Tensor, a: Tensor, b: Tensor, lower: bool, transpose: bool, unit_diagonal: bool) -> Pair:
    _, g, x = _columns(b, g, y)
    db = solve_triangular(a, g, lower=lower, transpose=not transpose, unit_diagonal=unit_diagonal)
    da = -matmul(x, swap(db)) if transpose else -matmul(db, swap(x))
    offset = 1 if unit_diagonal else 0
    return _back(tril(da, k=-offset) if lower else triu(da, k=offset), a), _back(db, b)


@op(
    "xp.linalg.inv($a)",
    raises=True,
    flops=_cubic(6),
    text="$a⁻¹",
    tex="$a^{-1}",
    binds=1,
    cases=tuple([case(shape, through=_regular) for shape in _SQUARE]),
    **_ONE,
)
def inv(a: TensorType) -> TensorType:
    """The inverse. ``solve`` is faster and more accurate where a product with it is wanted.

    A singular matrix raises LinAlgError on NumPy; on JAX it gives inf or NaN.
    """
    _refuse_oblong(a)
    return a


@inv.vjp
def _(g: Tensor, y: Tensor, a: Tensor) -> tuple[Tensor]:
    return (-matmul(swap(y), matmul(g, swap(y))),)


_LSTSQ = '''
def lstsq(a, b, rcond):
    """The shortest x of those that bring a x nearest to b, by the singular value decomposition."""
    columns = b[:, None] if b.ndim == 1 else b
    u, s, vh = on_finite(lambda a: np.linalg.svd(a, full_matrices=False), a, "lstsq")
    if rcond is None:
        rcond = max(a.shape[-2:]) * float(np.finfo(a.dtype).eps)
    small = s <= rcond * s[..., :1]
    inverse = np.where(small, 0, 1 / np.where(small, 1, s))
    x = np.matrix_transpose(vh) @ (inverse[..., None] * (np.matrix_transpose(u) @ columns))
    return x[..., 0] if b.ndim == 1 else x
'''


@op(
    "lstsq($a, $b, $rcond)",
    **_on_finite(_LSTSQ),
    raises=True,
    flops=_cubic(63),
    text="$a⁺ · $b",
    tex="$a^{+} $b",
    binds=2,
    cases=(
        case((3, 2), (3,)),
        case((2, 3), (2, 2)),
        case((2, 3, 2), (3,)),
        case((2, 1, 2, 2), (3, 2, 1)),
        case((3, 2), (3,), rcond=1e-3),
        case((3, 2), (3,), through=lambda a, b: (matmul(a, swap(as_tensor(a))), b)),
        case((0, 2), (0,)),
        case((2, 0), (2, 1)),
    ),
    **_TWO,
)
def lstsq(a: TensorType, b: TensorType, *, rcond: float | None = None) -> TensorType:
    """The least-squares solution of ``a x = b``: of all ``x`` that minimise ``|a x - b|`` the one of least norm.

    ``a`` has any sizes and any rank; singular values below ``rcond`` times the largest count as zero, where ``rcond`` is by default
    the larger size times the rounding unit. ``b`` is a vector or matrices as in ``solve``. The gradient is that among matrices of the
    same rank: where the rank changes, ``x`` jumps. An inf or a NaN in ``a`` raises LinAlgError on NumPy; on JAX it gives NaN. (NumPy's own
    returns residuals, rank and singular values too, and takes no stacks.)
    """
    _refuse_vectors(a)
    return _solved(a, b, a.shape[-2], a.shape[-1])


@lstsq.vjp
def _(g: Tensor, y: Tensor, a: Tensor, b: Tensor, rcond: float | None) -> Pair:
    """The derivative of the pseudo-inverse (Golub and Pereyra, 1973), applied to b."""
    columns, g, x = _columns(b, g, y)
    db = lstsq(swap(a), g, rcond=rcond)
    residual, outside = columns - matmul(a, x), g - matmul(swap(a), db)
    da = matmul(residual, swap(lstsq(a, db, rcond=rcond))) + matmul(lstsq(swap(a), x, rcond=rcond), swap(outside)) - matmul(db, swap(x))
    return _back(da, a), _back(db, b)


_RTOL = "max(a.shape[-2:]) * xp.finfo(a.dtype).eps"


@op(
    'on_finite(lambda a: xp.linalg.pinv(a, rtol=$rtol), $a, "pinv")',
    jax=lambda rtol: f'on_finite(lambda a: xp.linalg.pinv(a, rtol={_RTOL if rtol is None else "$rtol"}), $a, "pinv")',
    **_HELPERS,
    raises=True,
    flops=_cubic(69),
    text="$a⁺",
    tex="$a^{+}",
    binds=1,
    cases=(
        case((3, 2)),
        case((2, 3)),
        case((2, 2, 2)),
        case((1, 1)),
        case((0, 2)),
        case((2, 3), rtol=1e-3),
        case((3, 2), through=lambda a: matmul(a, swap(as_tensor(a)))),
    ),
    **_ONE,
)
def pinv(a: TensorType, *, rtol: float | None = None) -> TensorType:
    """The pseudo-inverse of Moore and Penrose, for any sizes and any rank.

    Singular values below ``rtol`` times the largest count as zero; ``rtol`` is by default the larger size times the rounding unit. The
    gradient is that among matrices of the same rank (Golub and Pereyra, 1973): where the rank changes, the value jumps. An inf or a NaN
    raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    _refuse_vectors(a)
    return a.with_shape((*a.shape[:-2], a.shape[-1], a.shape[-2]))


@pinv.vjp
def _(g: Tensor, y: Tensor, a: Tensor, rtol: float | None) -> tuple[Tensor]:
    g, y_t = swap(g), swap(y)
    rows = matmul(g - matmul(a, matmul(y, g)), matmul(y, y_t))
    columns = matmul(matmul(y_t, y), g - matmul(matmul(g, y), a))
    return (rows + columns - matmul(y_t, matmul(swap(g), y_t)),)


# ---------------------------------------------------------------- determinants
@op(
    "xp.linalg.det($a)",
    flops=_cubic(2),
    tex=r"\det($a)",
    cases=tuple([case(shape) for shape in (*_SQUARE, (2, 2), (4, 4))]),
    **_ONE,
)
def det(a: TensorType) -> TensorType:
    """The determinant. Its gradient, the transposed adjugate, divides by nothing and is right for singular matrices, as is the next one.

    Derivatives of order 3 and above go by the inverse, and need matrices that have one. The gradient of a matrix with an inf or a NaN
    raises LinAlgError on NumPy; on JAX it is NaN.
    """
    _refuse_oblong(a)
    return a.with_shape(a.shape[:-2])


@det.vjp
def _(g: Tensor, y: Tensor, a: Tensor) -> tuple[Tensor]:
    return (_scalar(g) * cofactors(a),)


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
    **_on_finite(_COFACTORS),
    raises=True,
    flops=_cubic(73),
    tex=r"\operatorname{adj}($a)^\top",
    text="adj($a)ᵀ",
    cases=tuple([case(shape) for shape in (*_SQUARE, (2, 2), (4, 4))]),
    **_ONE,
)
def cofactors(a: TensorType) -> TensorType:
    """The cofactors of a square matrix, which are the gradient of its determinant; the transposed adjugate.

    By the singular values, with products of all but one (Stewart, 1998: On the adjugate matrix), so that no rank is special. An
    inf or a NaN raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    _refuse_oblong(a)
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
    **_on_finite(_CURVATURE),
    raises=True,
    promote=("a", "h"),
    compute=_computed,
    linear=("h",),
    ulps=64,
    flops=_cubic(97),
    tex=r"\nabla^2 \det($a)[$h]",
    cases=tuple([case(shape, shape, through=_regular_beside) for shape in (*_SQUARE, (2, 2), (4, 4))]),
)
def det_curvature(a: TensorType, h: TensorType) -> TensorType:
    """The derivative of the cofactors of ``a`` along ``h``: the Hessian of the determinant, applied to ``h``. Right at any rank.

    For an invertible matrix it is ``det(a) (tr(a⁻¹ h) a⁻ᵀ - a⁻ᵀ hᵀ a⁻ᵀ)``. An inf or a NaN in ``a`` raises LinAlgError on NumPy; on JAX
    it gives NaN.
    """
    _refuse_oblong(a)
    if a.shape != h.shape:
        raise ShapeError(f"the direction {h} is not of a's shape", fits=f"{a.shape}")
    return a


@det_curvature.vjp
def _(g: Tensor, y: Tensor, a: Tensor, h: Tensor) -> Pair:
    inverse = inv(a)
    h_in, g_in = matmul(inverse, h), matmul(inverse, g)
    h_trace, g_trace = _scalar(_last_trace(h_in)), _scalar(_last_trace(g_in))
    once = h_trace * g_in + g_trace * h_in
    mixed = matmul(h_in, g_in)
    both = h_trace * g_trace - _scalar(_last_trace(mixed))
    inner = both * _identity(a) - once + mixed + matmul(g_in, h_in)
    return _scalar(det(a)) * swap(matmul(inner, inverse)), det_curvature(a, g)


def adjugate(a: Any) -> Tensor:
    """The transposed cofactors of a square matrix, at any rank; the product with the matrix is ``det(a)`` times the identity."""
    return swap(cofactors(a))


@op(
    "xp.linalg.slogdet($a)",
    flops=_cubic(2),
    cases=tuple([case(shape) for shape in (*_SQUARE, (2, 2))]),
    **_ONE,
)
def slogdet(a: TensorType) -> Types:
    """The sign of the determinant (-1, 0 or 1) and the logarithm of its size, which does not overflow; ``(0, -inf)`` if singular.

    The gradient of the logarithm is ``a⁻ᵀ``, so that of a singular matrix raises LinAlgError on NumPy; on JAX it is inf or NaN.
    """
    _refuse_oblong(a)
    each = a.with_shape(a.shape[:-2])
    return each, each


@slogdet.vjp
def _(g: Pair, y: Pair, a: Tensor) -> tuple[Tensor]:
    return (_scalar(g[1]) * swap(inv(a)),)


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
    _refuse_vectors(x)
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


# ---------------------------------------------------------------- factorisations
@op(
    f"xp.linalg.cholesky({_SYMMETRIC}, upper=$upper)",
    raises=True,
    flops=_cubic(1),
    cases=tuple([case(shape, through=_positive, upper=upper) for shape in _SQUARE for upper in (False, True)]),
    **_ONE,
)
def cholesky(a: TensorType, *, upper: bool = False) -> TensorType:
    """The lower triangular ``l`` with a positive diagonal and ``l lᵀ = a``; with ``upper`` its transpose.

    ``a`` counts by its symmetric part, ``(a + aᵀ) / 2`` (NumPy reads one triangle alone). A matrix that is not positive definite raises
    LinAlgError on NumPy; on JAX it gives NaN. The gradient is by triangular solves (Murray, 2016: Differentiation of the Cholesky
    decomposition), and symmetric.
    """
    _refuse_oblong(a)
    return a


@cholesky.vjp
def _(g: Tensor, y: Tensor, a: Tensor, upper: bool) -> tuple[Tensor]:
    factor, g = (swap(y), swap(g)) if upper else (y, g)
    inner = tril(matmul(swap(factor), g)) * (1 - 0.5 * _identity(a))
    half = solve_triangular(factor, inner, lower=True, transpose=True)
    return (_symmetric(solve_triangular(factor, swap(half), lower=True, transpose=True)),)


Mode: TypeAlias = Literal["reduced", "complete"]


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
    flops=_cubic(8),
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
    **_ONE,
)
def qr(a: TensorType, *, mode: Mode = "reduced") -> Types:
    """Orthonormal columns ``q`` and an upper triangular ``r``, with ``q r = a``, for matrices of ``m`` by ``n``.

    ``"reduced"`` gives ``q`` the smaller of m and n columns, ``"complete"`` m. For ``m > n`` the complete q is arbitrary in its last
    columns and has no gradient. The gradient (Walter and Lehmann, 2012; for ``m < n`` Roberts and Roberts, 2020) solves with the first
    columns of ``r``, which have to be independent: else LinAlgError on NumPy, inf or NaN on JAX.
    """
    if mode not in ("reduced", "complete"):
        raise ArgumentError(f"mode={mode!r}", fits="'reduced' or 'complete'")
    _refuse_vectors(a)
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
    return (equal if m == n else p.logical_or(equal, reduce.any(_near(_row(s), s), axis=-1, keepdims=True)),)


@op(
    'on_finite(lambda a: xp.linalg.svd(a, full_matrices=$full_matrices), $a, "svd")',
    **_HELPERS,
    raises=True,
    flops=_cubic(63),
    kink_note="the vectors of equal singular values are arbitrary; their share of the gradient is 0",
    choice=_has_equal_singular_values,
    cases=(
        *[
            case(shape, seen=lambda u, s, vh: [matmul(u, vh), p.square(u), s, p.square(vh)])
            for shape in ((3, 3), (3, 2), (2, 3), (2, 3, 2), (1, 1), (0, 0), (0, 2, 2))
        ],
        case((2, 2), full_matrices=True, seen=lambda u, s, vh: [matmul(u, vh), s]),
    ),
    **_ONE,
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
    totals = _row(s) + _column(s)
    gaps = _over_gaps(s) * _unless(p.equal(totals, 0), totals)
    left, right = gaps * matmul(u_t, gu), gaps * matmul(vh, gv)
    inner = (left + swap(left)) * _row(s) + _column(s) * (right + swap(right)) + _column(gs) * _identity(s)
    total = matmul(u, matmul(inner, vh))
    inverse = _unless(_near(_row(s), s), _row(s))
    if m != s.shape[-1]:
        outside = gu - matmul(u, matmul(u_t, gu))
        total = total + matmul(outside * inverse, vh)
    if n != s.shape[-1]:
        outside = gvh - matmul(matmul(gvh, v), vh)
        total = total + matmul(u, swap(inverse) * outside)
    return (total,)


@op(
    'on_finite(lambda a: xp.linalg.svd(a, compute_uv=False), $a, "svdvals")',
    **_HELPERS,
    raises=True,
    flops=_cubic(8),
    cases=tuple([case(shape) for shape in ((3, 3), (3, 2), (2, 3), (2, 3, 2), (1, 1), (0, 2), (0, 2, 2))]),
    **_ONE,
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
    return matmul(u * _row(g), vh)


@op(
    f'on_finite(xp.linalg.eigh, {_SYMMETRIC}, "eigh")',
    **_HELPERS,
    raises=True,
    flops=_cubic(27),
    kink_note="the vectors of equal eigenvalues are arbitrary; their share of the gradient is 0",
    choice=lambda y, a: (_has_equal(y[0]),),
    cases=tuple([case(shape, seen=lambda w, v: [w, p.square(v)]) for shape in _SQUARE]),
    **_ONE,
)
def eigh(a: TensorType) -> Types:
    """Eigenvalues of a symmetric matrix in ascending order, and its eigenvectors, orthonormal, as the columns of a matrix.

    ``a`` counts by its symmetric part, ``(a + aᵀ) / 2`` (NumPy reads one triangle alone), and the gradient is symmetric. Vectors of equal
    eigenvalues (up to rounding) are arbitrary: there the gradient takes 0 for ``1 / (w[i] - w[j])``, which is right for what depends on
    the space alone that they span, such as a projection; ``(v * f(w)) @ vᵀ`` loses a share. ``eigvalsh`` has no such term. An
    inf or a NaN raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    _refuse_oblong(a)
    return a.with_shape(a.shape[:-1]), a


@eigh.vjp
def _(g: Pair, y: Pair, a: Tensor) -> tuple[Tensor]:
    (gw, gv), (w, v) = g, y
    inner = _over_gaps(w) * matmul(swap(v), gv) + _column(gw) * _identity(a)
    return (_symmetric(matmul(v, matmul(inner, swap(v)))),)


@op(
    f'on_finite(xp.linalg.eigvalsh, {_SYMMETRIC}, "eigvalsh")',
    **_HELPERS,
    raises=True,
    flops=_cubic(4),
    cases=tuple([case(shape) for shape in _SQUARE]),
    **_ONE,
)
def eigvalsh(a: TensorType) -> TensorType:
    """Eigenvalues of the symmetric part of a matrix in ascending order.

    The gradient, ``v diag(g) vᵀ``, is finite also where some are equal. An inf or a NaN raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    _refuse_oblong(a)
    return a.with_shape(a.shape[:-1])


@eigvalsh.vjp
def _(g: Tensor, y: Tensor, a: Tensor) -> tuple[Tensor]:
    _, v = eigh(a)
    return (matmul(v * _row(g), swap(v)),)


# ---------------------------------------------------------------- functions of a matrix
@op(
    "linalg.expm($a)",
    imports="from scipy import linalg",
    jax="jax.scipy.linalg.expm($a)",
    flops=_cubic(62),
    tex="e^{$a}",
    cases=tuple([case(shape) for shape in _SQUARE]),
    **_ONE,
)
def expm(a: TensorType) -> TensorType:
    """The exponential of a square matrix, ``1 + a + a a / 2 + ...``, by scaling and squaring (Higham, 2005).

    On JAX it is NaN where the 1-norm of ``a`` is above some 10⁵. The gradient is the exponential of a matrix of twice the size
    (Van Loan, 1978; Mathias, 1996), so that every order costs eight times the one before.
    """
    _refuse_oblong(a)
    return a


@expm.vjp
def _(g: Tensor, y: Tensor, a: Tensor) -> tuple[Tensor]:
    return (_expm_along(swap(a), g),)


@expm.jvp
def _(t: tuple[Tensor], y: Tensor, a: Tensor) -> Tensor:
    return _expm_along(a, t[0])


def _expm_along(a: Tensor, h: Tensor) -> Tensor:
    """The derivative along h: the corner of ``expm([[a, h], [0, a]])``, linear in h, which is brought to the size of 1.

    Else a large h would have the whole scaled down and squared on its account.
    """
    largest = p.stop_gradient(reduce.sum(p.abs(h), axis=(-2, -1), keepdims=True))
    scale = p.where(largest > 0, largest, 1)
    n = a.shape[-1]
    upper = concatenate([a, h / scale], axis=-1)
    lower = concatenate([zeros_like(a), a], axis=-1)
    whole = expm(concatenate([upper, lower], axis=-2))
    return narrow(narrow(whole, axis=-2, start=0, length=n), axis=-1, start=n, length=n) * scale


def matrix_power(a: Any, n: int) -> Tensor:
    """The ``n``-th power of square matrices, by repeated squaring; of the inverse if ``n`` is negative, and the identity if it is 0."""
    a, n = as_tensor(a), operator.index(n)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"matrix_power(a, n): {a.type} is not square", given=[f"a: {describe(a)}"], fits="two last axes of one size")
    if n == 0:
        return broadcast_to(_identity(a), shape=a.shape)
    square, left = (inv(a), -n) if n < 0 else (a, n)
    result: Tensor | None = None
    while left:
        if left % 2:
            result = square if result is None else matmul(result, square)
        left //= 2
        square = matmul(square, square) if left else square
    assert result is not None
    return result


def matrix_rank(a: Any, rtol: float | None = None) -> Tensor:
    """How many singular values, int64, are above ``rtol`` times the largest: by default the larger size times the rounding unit.

    An inf or a NaN raises LinAlgError on NumPy; on JAX it gives 0.
    """
    s = svdvals(a)
    m, n = as_tensor(a).shape[-2:]
    if rtol is None:
        unit = float(np.finfo(dtypes.numpy_dtype(s.dtype)).eps)
        rtol = unit * max(m, n) if isinstance(m, int) and isinstance(n, int) else unit
    if s.shape[-1] == 0:
        return p.cast(reduce.sum(s, axis=-1), dtype="int64")
    return reduce.sum(s > rtol * reduce.max(s, axis=-1, keepdims=True), axis=-1)


def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """A norm of matrices: ``"fro"`` (Frobenius), ``"nuc"`` (the sum of the singular values), 2 and -2 (the largest and the smallest).

    1 and -1 are the largest and smallest sum of a column, inf and -inf of a row. At the zero matrix the gradient of ``"fro"`` is 0.
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"matrix_norm(x): {x.type} is not a matrix", given=[f"x: {describe(x)}"], fits="at least two axes")
    found = _NORMS.get(ord)
    if found is None:
        raise ArgumentError(f"matrix_norm(x, ord={ord!r})", given=[f"x: {describe(x)}"], fits=", ".join(map(repr, _NORMS)))
    norm = found(x)
    return _scalar(norm) if keepdims else norm


def _frobenius(x: Tensor) -> Tensor:
    """Of elements divided by the largest, so that no square overflows."""
    largest = p.stop_gradient(reduce.sum(p.abs(x), axis=(-2, -1)))
    scale = p.where(largest > 0, largest, 1)
    total = reduce.sum(p.square(x / _scalar(scale)), axis=(-2, -1))
    return p.where(total > 0, scale * p.sqrt(total), 0)


def _sums(choose: Any, along: int) -> Any:
    return lambda x: choose(reduce.sum(p.abs(x), axis=along), axis=-1)


_NORMS: dict[Any, Any] = {
    "fro": _frobenius,
    "nuc": lambda x: reduce.sum(svdvals(x), axis=-1),
    2: lambda x: reduce.max(svdvals(x), axis=-1),
    -2: lambda x: reduce.min(svdvals(x), axis=-1),
    1: _sums(reduce.max, -2),
    -1: _sums(reduce.min, -2),
    np.inf: _sums(reduce.max, -1),
    -np.inf: _sums(reduce.min, -1),
}


# ---------------------------------------------------------------- on stacks of what they take
def _stacked(f: Op, mapped: tuple[bool, ...], a: Tensor, **attributes: Any) -> Any:
    """A leading axis is one more axis of the stack."""
    return f(a, **attributes)


def _solved_stacks(f: Op, mapped: tuple[bool, ...], a: Tensor, b: Tensor, **attributes: Any) -> Tensor:
    """A stack of right-hand sides that are vectors gets columns; the stacks are aligned where both have one."""
    vector = b.ndim - mapped[1] == 1
    b = _column(b) if vector else b
    a, b = aligned(mapped, (a, b))
    y = f(a, b, **attributes)
    return reshape(y, y.shape[:-1]) if vector else y


for _f in (inv, pinv, det, cofactors, slogdet, cholesky, qr, svd, svdvals, eigh, eigvalsh, expm):
    _f.batch = partial(_stacked, _f)
for _f in (solve, solve_triangular, lstsq):
    _f.batch = partial(_solved_stacks, _f)


@det_curvature.vmap
def _(mapped: tuple[bool, ...], a: Tensor, h: Tensor) -> Tensor:
    shape = a.shape if mapped[0] else h.shape
    return det_curvature(broadcast_to(a, shape=shape), broadcast_to(h, shape=shape))
