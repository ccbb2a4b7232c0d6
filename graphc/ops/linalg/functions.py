"""Functions of a matrix: the exponential, powers, the rank, norms."""

# The cases are made of lambdas, whose parameters the type checker cannot know.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from graphc.core import Tensor, TensorType, as_tensor, case, describe, dtypes, op
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.ops import pointwise as p
from graphc.ops import reduce
from graphc.ops.linalg.factorisations import svdvals
from graphc.ops.linalg.matrices import ONE, SQUARE, cubic, identity, over_stacks, refuse_oblong, scalar
from graphc.ops.linalg.solving import inv
from graphc.ops.product import matmul, swap
from graphc.ops.shape import broadcast_to, concatenate, narrow, number, zeros_like


@op(
    "linalg.expm($a)",
    imports="from scipy import linalg",
    jax="jax.scipy.linalg.expm($a)",
    flops=cubic(62),
    tex="e^{$a}",
    cases=tuple([case(shape) for shape in SQUARE]),
    **ONE,
)
def expm(a: TensorType) -> TensorType:
    """The exponential of a square matrix, ``1 + a + a a / 2 + ...``, by scaling and squaring (Higham, 2005).

    On JAX it is NaN where the 1-norm of ``a`` is above some 10⁵. The gradient is the exponential of a matrix of twice the size
    (Van Loan, 1978; Mathias, 1996), so that every order costs eight times the one before.
    """
    refuse_oblong(a)
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
    total = p.stop_gradient(reduce.sum(p.abs(h), axis=(-2, -1), keepdims=True))
    scale = p.where(total > 0, total, 1)
    n = a.shape[-1]
    upper = concatenate([a, h / scale], axis=-1)
    lower = concatenate([zeros_like(a), a], axis=-1)
    whole = expm(concatenate([upper, lower], axis=-2))
    return narrow(narrow(whole, axis=-2, start=0, length=n), axis=-1, start=n, length=n) * scale


over_stacks(expm)


def matrix_power(a: Any, n: int) -> Tensor:
    """The ``n``-th power of square matrices, by repeated squaring; of the inverse if ``n`` is negative, and the identity if it is 0.

    Raises :class:`ShapeError` for matrices that are not square.
    """
    a, n = as_tensor(a), operator.index(n)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"matrix_power(a, n): {a.type} is not square", given=[f"a: {describe(a)}"], fits="two last axes of one size")
    if n == 0:
        return broadcast_to(identity(a), shape=a.shape)
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
        rtol = unit * (max(m, n) if isinstance(m, int) and isinstance(n, int) else number(m, s.dtype))  # named sizes are equal
    if s.shape[-1] == 0:
        return p.cast(reduce.sum(s, axis=-1), dtype="int64")
    return reduce.sum(s > rtol * reduce.max(s, axis=-1, keepdims=True), axis=-1)


def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """A norm of matrices: ``"fro"`` (Frobenius), ``"nuc"`` (the sum of the singular values), 2 and -2 (the largest and the smallest).

    1 and -1 are the largest and smallest sum of a column, inf and -inf of a row, in absolute values. At the zero matrix the gradient of
    ``"fro"`` is 0. Raises :class:`ShapeError` for what has less than two axes, :class:`ArgumentError` for any other ``ord``.
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"matrix_norm(x): {x.type} is not a matrix", given=[f"x: {describe(x)}"], fits="at least two axes")
    found = _NORMS.get(ord)
    if found is None:
        raise ArgumentError(f"matrix_norm(x, ord={ord!r})", given=[f"x: {describe(x)}"], fits=", ".join(map(repr, _NORMS)))
    norm = found(x)
    return scalar(norm) if keepdims else norm


def _frobenius(x: Tensor) -> Tensor:
    """The root of the sum of the squares, in float64 of what is no float."""
    return reduce.norm(as_dtype(x, dtypes.averaging(x.dtype)), axis=(-2, -1))


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
