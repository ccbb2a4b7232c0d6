"""``tf.linalg``: products, norms and factorisations of matrices."""

from __future__ import annotations

from typing import Any

import graphc as gc
from graphc.compat.tensorflow.eager import function
from graphc.compat.tensorflow.functions import einsum, eye, matmul, norm, tensordot, transpose


@function("input", floats=True)
def inv(input: Any) -> Any:
    """The inverse."""
    return gc.inv(input)


@function("input", floats=True)
def det(input: Any) -> Any:
    """The determinant."""
    return gc.det(input)


@function("matrix", "rhs", floats=True)
def solve(matrix: Any, rhs: Any) -> Any:
    """The x with ``matrix @ x = rhs``."""
    return gc.solve(matrix, rhs)


@function("input", floats=True)
def cholesky(input: Any) -> Any:
    """The lower triangular L with ``L @ Lᵀ = input``."""
    return gc.cholesky(input)


@function("x")
def trace(x: Any) -> Any:
    """The sum of the diagonal."""
    return gc.trace(x)


@function("diagonal")
def diag(diagonal: Any) -> Any:
    """The matrix with this diagonal."""
    return gc.diag(diagonal)


@function("input")
def diag_part(input: Any) -> Any:
    """The diagonal."""
    return gc.diagonal(input)


@function("a")
def matrix_transpose(a: Any) -> Any:
    """The last two axes exchanged."""
    return gc.swapaxes(a, -1, -2)


@function("a", "b", floats=True)
def matvec(a: Any, b: Any) -> Any:
    """The product of a matrix with a vector, or of stacks of them."""
    return gc.squeeze(gc.matmul(a, gc.expand_dims(b, axis=-1)), axis=-1)


__all__ = [
    "cholesky",
    "det",
    "diag",
    "diag_part",
    "einsum",
    "eye",
    "inv",
    "matmul",
    "matrix_transpose",
    "matvec",
    "norm",
    "solve",
    "tensordot",
    "trace",
    "transpose",
]
