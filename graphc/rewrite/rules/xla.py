"""What XLA is told in its own words. These rules come last: what they make is what no other rule knows."""

from __future__ import annotations

from graphc.core import Tensor
from graphc.ops import abs, exp, log1p, matmul, sigmoid, softplus, transpose
from graphc.ops.pointwise import never_positive
from graphc.ops.product import swap, turned_product
from graphc.rewrite.rule import rule
from graphc.rewrite.rules.common import a, b, x


def _is_turned(x: Tensor) -> bool:
    """Whether it is the transpose of each matrix of a stack."""
    last = x.ndim - 1
    return x.op is transpose and x.attributes["axes"] == (*range(last - 1), last, last - 1)


@rule(
    matmul(a, b),
    safety="rounding",
    only="jax",
    cases=(
        lambda leaf: leaf(3, 2).T @ leaf(3, 4),
        lambda leaf: leaf(2, 3) @ leaf(4, 3).T,
        lambda leaf: swap(leaf(5, 3, 2)) @ swap(leaf(5, 4, 3)),
    ),
)
def product_of_turned(a: Tensor, b: Tensor) -> Tensor | None:
    """A product with transposed factors says which axes meet."""
    left, right = _is_turned(a), _is_turned(b)
    if not (left or right) or a.ndim != b.ndim or a.shape[:-2] != b.shape[:-2]:
        return None
    return turned_product(a.inputs[0] if left else a, b.inputs[0] if right else b, left=left, right=right)


# ---------------------------------------------------------------- exponentials that several functions may share
@rule(softplus(x), safety="rounding", only="jax", cases=(lambda leaf: softplus(-abs(leaf(2, 3))),))
def softplus_below_zero(x: Tensor) -> Tensor | None:
    """Of an operand that is never positive, ``log(1 + exp(x))`` cannot overflow."""
    return log1p(exp(x)) if never_positive(x) else None


@rule(sigmoid(x), safety="rounding", only="jax", cases=(lambda leaf: sigmoid(-abs(leaf(2, 3))),))
def sigmoid_below_zero(x: Tensor) -> Tensor | None:
    """Of an operand that is never positive, a sigmoid is ``e / (1 + e)``, where ``e`` is what the softplus is made of."""
    if not never_positive(x):
        return None
    e = exp(x)
    return e / (1 + e)
