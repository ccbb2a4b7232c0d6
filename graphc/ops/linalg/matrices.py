"""What ops of linear algebra are declared with: the dtype, the cost, what is no matrix, and the cases of their tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from graphc.core import Op, Tensor, TensorType, as_tensor, dtypes, sizes
from graphc.core.errors import DTypeError, ShapeError
from graphc.core.sizes import Dim
from graphc.ops import pointwise as p
from graphc.ops.creation import eye
from graphc.ops.product import matmul, swap
from graphc.ops.shape import expand_dims

Pair: TypeAlias = tuple[Tensor, Tensor]
Types: TypeAlias = tuple[TensorType, ...]


# ---------------------------------------------------------------- fields of their records
def computed(dtype: str) -> str:
    """The float in which LAPACK computes."""
    if dtypes.is_complex(dtype) or dtype in ("float16", "bfloat16"):
        raise DTypeError(f"matrices of {dtype} are not factorised", fits="float32, float64, or integers, which become float64")
    return dtypes.averaging(dtype)


def cubic(thirds: int) -> Callable[[Tensor], Dim]:
    """The cost of an op on ``m`` by ``n`` matrices, in thirds of ``m * n * n`` (Golub and Van Loan, 2013: Matrix Computations)."""

    def cost(node: Tensor) -> Dim:
        return sizes.sliced(node.inputs[0].size * node.inputs[0].shape[-1] * thirds, None, None, 3)

    return cost


_NUMPY_ON_FINITE = '''
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
ON_FINITE: dict[str, Any] = {"helper": _NUMPY_ON_FINITE, "jax_helper": _JAX_ON_FINITE}


def with_on_finite(text: str) -> dict[str, Any]:
    """A helper for both targets, beside the one that it calls."""
    return {"helper": f"{_NUMPY_ON_FINITE}\n{text}", "jax_helper": f"{_JAX_ON_FINITE}\n{text.replace('np.', 'jnp.')}"}


ONE: dict[str, Any] = {"promote": ("a",), "compute": computed, "ulps": 64, "group": "linalg"}
"""The fields of an op of one stack of matrices."""
TWO: dict[str, Any] = {"promote": ("a", "b"), "compute": computed, "linear": ("b",), "ulps": 64, "group": "linalg"}
"""Of an op of matrices and right-hand sides."""


def _stacked(f: Op, mapped: tuple[bool, ...], a: Tensor, **attributes: Any) -> Any:
    """A leading axis is one more axis of the stack."""
    return f(a, **attributes)


def over_stacks(*ops: Op) -> None:
    """These take stacks of matrices: so they do with an axis more."""
    for f in ops:
        f.batch = partial(_stacked, f)


# ---------------------------------------------------------------- what is refused
def refuse_vectors(a: TensorType) -> None:
    """Raise for what has less than two axes."""
    if a.ndim < 2:
        raise ShapeError(f"{a} is not a matrix", fits="at least two axes")


def refuse_oblong(a: TensorType) -> None:
    """Raise for what is no square matrix, or no stack of those."""
    refuse_vectors(a)
    if a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"a matrix of {a.shape[-2]} by {a.shape[-1]} is not square", fits="two last axes of one size")


# ---------------------------------------------------------------- shapes
def identity(like: Tensor) -> Tensor:
    """The identity of as many columns as this has."""
    return eye(like.shape[-1], dtype=like.dtype)


def column(x: Tensor) -> Tensor:
    """Vectors as matrices of one column."""
    return expand_dims(x, axis=-1)


def row(x: Tensor) -> Tensor:
    """Vectors as matrices of one row."""
    return expand_dims(x, axis=-2)


def scalar(x: Tensor) -> Tensor:
    """A number for each matrix, beside the matrices."""
    return expand_dims(x, axis=(-2, -1))


# ---------------------------------------------------------------- operands for the tests
def _in_floats(a: Any) -> Tensor:
    a = as_tensor(a)
    return a if dtypes.is_float(a.dtype) else p.cast(a, dtype="float64")


def regular(a: Any) -> Tensor:
    """A matrix far from singular, for the tests: with a large diagonal."""
    a = _in_floats(a)
    return a + 4 * identity(a)


def positive(a: Any) -> Tensor:
    """A positive definite matrix, for the tests."""
    a = _in_floats(a)
    return regular(matmul(a, swap(a)))


def regular_beside(a: Any, b: Any) -> Pair:
    """A matrix far from singular, and another operand as it is, for the tests."""
    return regular(a), as_tensor(b)


SQUARE = ((3, 3), (1, 1), (2, 3, 3), (0, 0), (0, 2, 2))
