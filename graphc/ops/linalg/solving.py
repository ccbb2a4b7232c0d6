"""Systems of equations, and inverses."""

# The cases are made of lambdas, whose parameters the type checker cannot know.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from functools import partial
from typing import Any

from graphc.core import Op, Tensor, TensorType, as_tensor, case, op, sizes
from graphc.core.errors import ShapeError
from graphc.core.sizes import Dim
from graphc.ops import reduce
from graphc.ops.linalg.matrices import (
    ON_FINITE,
    ONE,
    SQUARE,
    TWO,
    Pair,
    column,
    cubic,
    over_stacks,
    refuse_oblong,
    refuse_vectors,
    regular,
    regular_beside,
    with_on_finite,
)
from graphc.ops.product import matmul, swap
from graphc.ops.shape import aligned, reshape, tril, triu


def _solved(a: TensorType, b: TensorType, rows: Dim, unknowns: Dim) -> TensorType:
    """The type of ``x`` in ``a x = b``: b is one vector if it has one axis, else a stack of matrices."""
    if not b.shape or b.shape[-min(2, b.ndim)] != rows:
        raise ShapeError(f"{b} is no right-hand side for {a}", fits=f"({rows},) or (..., {rows}, k)")
    if b.ndim == 1:
        return a.with_shape((*a.shape[:-2], unknowns))
    return a.with_shape((*sizes.broadcast([a.shape[:-2], b.shape[:-2]]), unknowns, b.shape[-1]))


def _triangular_flops(node: Tensor) -> Dim:
    return node.size * node.inputs[0].shape[-1]


def _solve_flops(node: Tensor) -> Dim:
    """A factorisation, and two triangular systems."""
    return cubic(2)(node) + 2 * _triangular_flops(node)


def _columns(b: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """What goes with a right-hand side, as matrices: with columns of their own where b is one vector."""
    return tuple([column(x) if b.ndim == 1 else x for x in (b, *others)])


def _back(g: Tensor, x: Tensor) -> Tensor:
    """The cotangent of matrices, brought to the shape of the operand that they were broadcast from."""
    shape = (*x.shape, 1) if x.ndim == 1 else x.shape
    g = reduce.sum_to(g, shape)
    return reshape(g, x.shape) if x.ndim == 1 else g


@op(
    "xp.linalg.solve($a, $b)",
    raises=True,
    flops=_solve_flops,
    text="$a⁻¹ · $b",
    tex="$a^{-1} $b",
    binds=2,
    cases=tuple(
        [
            case(*shapes, through=regular_beside)
            for shapes in (((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 1, 2, 2), (3, 2, 1)), ((1, 1), (1,)), ((0, 0), (0, 2)))
        ]
    ),
    **TWO,
)
def solve(a: TensorType, b: TensorType) -> TensorType:
    """``x`` in ``a x = b`` for square ``a``, by LU. ``b`` is one vector if it has one axis, else a stack of matrices, as in NumPy 2.

    A singular matrix raises LinAlgError on NumPy; on JAX it gives inf or NaN.
    """
    refuse_oblong(a)
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
            case((3, 3), (3,), through=regular_beside, lower=lower, transpose=transpose, unit_diagonal=unit)
            for lower in (False, True)
            for transpose in (False, True)
            for unit in (False, True)
        ],
        case((3, 3), (3, 2), through=regular_beside),
        case((2, 3, 3), (3,), through=regular_beside, lower=True),
        case((2, 1, 2, 2), (3, 2, 1), through=regular_beside),
        case((0, 0), (0, 2)),
        case((0, 2, 2), (2,)),
    ),
    **TWO,
)
def solve_triangular(
    a: TensorType, b: TensorType, *, lower: bool = False, transpose: bool = False, unit_diagonal: bool = False
) -> TensorType:
    """``x`` in ``a x = b`` (``aᵀ x = b`` with ``transpose``), where only the upper triangle of ``a`` is read, or only the lower one.

    With ``unit_diagonal`` the diagonal is not read either, and counts as ones. ``b`` is a vector or matrices as in ``solve``. A zero on
    the diagonal raises LinAlgError on NumPy; on JAX it gives inf or NaN.
    """
    refuse_oblong(a)
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
    flops=cubic(6),
    text="$a⁻¹",
    tex="$a^{-1}",
    binds=1,
    cases=tuple([case(shape, through=regular) for shape in SQUARE]),
    **ONE,
)
def inv(a: TensorType) -> TensorType:
    """The inverse. ``solve`` is faster and more accurate where a product with it is wanted.

    A singular matrix raises LinAlgError on NumPy; on JAX it gives inf or NaN.
    """
    refuse_oblong(a)
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
    **with_on_finite(_LSTSQ),
    raises=True,
    flops=cubic(63),
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
    **TWO,
)
def lstsq(a: TensorType, b: TensorType, *, rcond: float | None = None) -> TensorType:
    """The least-squares solution of ``a x = b``: of all ``x`` that minimise ``|a x - b|`` the one of least norm.

    ``a`` has any sizes and any rank; singular values below ``rcond`` times the largest count as zero, where ``rcond`` is by default
    the larger size times the rounding unit. ``b`` is a vector or matrices as in ``solve``. The gradient is that among matrices of the
    same rank: where the rank changes, ``x`` jumps. An inf or a NaN in ``a`` raises LinAlgError on NumPy; on JAX it gives NaN. (NumPy's own
    returns residuals, rank and singular values too, and takes no stacks.)
    """
    refuse_vectors(a)
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
    **ON_FINITE,
    raises=True,
    flops=cubic(69),
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
    **ONE,
)
def pinv(a: TensorType, *, rtol: float | None = None) -> TensorType:
    """The pseudo-inverse of Moore and Penrose, for any sizes and any rank.

    Singular values below ``rtol`` times the largest count as zero; ``rtol`` is by default the larger size times the rounding unit. The
    gradient is that among matrices of the same rank (Golub and Pereyra, 1973): where the rank changes, the value jumps. An inf or a NaN
    raises LinAlgError on NumPy; on JAX it gives NaN.
    """
    refuse_vectors(a)
    return a.with_shape((*a.shape[:-2], a.shape[-1], a.shape[-2]))


@pinv.vjp
def _(g: Tensor, y: Tensor, a: Tensor, rtol: float | None) -> tuple[Tensor]:
    g, y_t = swap(g), swap(y)
    rows = matmul(g - matmul(a, matmul(y, g)), matmul(y, y_t))
    columns = matmul(matmul(y_t, y), g - matmul(matmul(g, y), a))
    return (rows + columns - matmul(y_t, matmul(swap(g), y_t)),)


# ---------------------------------------------------------------- on stacks of what they take
def _solved_stacks(f: Op, mapped: tuple[bool, ...], a: Tensor, b: Tensor, **attributes: Any) -> Tensor:
    """A stack of right-hand sides that are vectors gets columns; the stacks are aligned where both have one."""
    vector = b.ndim - mapped[1] == 1
    b = column(b) if vector else b
    a, b = aligned(mapped, (a, b))
    y = f(a, b, **attributes)
    return reshape(y, y.shape[:-1]) if vector else y


over_stacks(inv, pinv)
for _f in (solve, solve_triangular, lstsq):
    _f.batch = partial(_solved_stacks, _f)
