"""What loops want of the stacks that they read and tell: the axis of the steps first, without copies of large arrays.

A recurrent layer gets ``x`` with the items first and needs ``x @ w`` with the steps first. It is the smaller of the two that changes
its order: before the product, and in the gradient of ``w`` too, where both factors have all their rows below one another and any order
will do.
"""

from __future__ import annotations

from graphc.core import Tensor
from graphc.core.pattern import attr
from graphc.core.sizes import Dim
from graphc.ops.pointwise import add
from graphc.ops.product import matmul
from graphc.ops.shape import reshape, transpose
from graphc.rewrite.rule import Once, rule
from graphc.rewrite.rules.common import axes, g, inverse, rows_of, x, y


def _keeps_last(axes: tuple[int, ...]) -> bool:
    """Whether a permutation changes the order of the leading axes alone."""
    return len(axes) > 2 and axes[-1] == len(axes) - 1 and axes != tuple(range(len(axes)))


def _smaller(a: Dim, b: Dim) -> bool:
    return isinstance(a, int) and isinstance(b, int) and a < b


def _stack(product_of_rows: Tensor) -> tuple[Tensor, Tensor] | None:
    """The stack and the matrix of which this is the product, however its rows are laid."""
    inner = product_of_rows.inputs[0] if product_of_rows.op is reshape else product_of_rows
    if inner.op is not matmul or inner.inputs[1].ndim != 2:
        return None
    rows, matrix = inner.inputs
    x = rows.inputs[0] if rows.op is reshape else rows
    lead = product_of_rows.shape[:-1]
    return (x, matrix) if x.shape[:-1] == lead and x.shape[-1] == matrix.shape[0] else None


def _ordered(y: Tensor, axes: tuple[int, ...], once: Once) -> Tensor | None:
    """The rows of a product, or of one and a bias, in the order of the transpose, by way of its smaller factor."""
    if not once(y):
        return None
    if y.op is add:
        for one, bias in (y.inputs, y.inputs[::-1]):
            if bias.ndim < 2 and one.type is y.type:
                rows = _ordered(one, axes, once)
                return None if rows is None else add(rows, bias)
        return None
    found = _stack(y)
    if found is None or not _smaller(found[0].shape[-1], y.shape[-1]):
        return None
    return matmul(rows_of(transpose(found[0], axes=axes)), found[1])


@rule(
    transpose(y, axes=axes),
    safety="rounding",
    reads=(add, matmul, reshape),
    cases=(
        lambda leaf: transpose(leaf(2, 3, 2) @ leaf(2, 4), axes=(1, 0, 2)),
        lambda leaf: transpose(leaf(2, 3, 2) @ leaf(2, 4) + leaf(4), axes=(1, 0, 2)),
        lambda leaf: transpose(reshape(reshape(leaf(2, 3, 2), shape=(6, 2)) @ leaf(2, 4), shape=(2, 3, 4)), axes=(1, 0, 2)),
    ),
)
def order_before_product(y: Tensor, axes: tuple[int, ...], once: Once) -> Tensor | None:
    """The rows of ``x @ w`` in another order are those of ``x``, where ``x`` is the smaller."""
    rows = _ordered(y, axes, once) if _keeps_last(axes) else None
    return None if rows is None else reshape(rows, shape=tuple([y.shape[axis] for axis in axes]))


@rule(
    matmul(transpose(reshape(x, shape=attr("_s")), axes=(1, 0)), reshape(transpose(g, axes=axes), shape=attr("_t"))),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: transpose(reshape(leaf(2, 3, 2), shape=(6, 2))) @ reshape(transpose(leaf(3, 2, 4), axes=(1, 0, 2)), shape=(6, 4)),),
)
def rows_in_their_order(node: Tensor, x: Tensor, g: Tensor, axes: tuple[int, ...]) -> Tensor | None:
    """A sum over the rows of two stacks takes them in any order: the smaller stack follows the larger."""
    left, right = node.inputs
    permuted = right.inputs[0]
    if not _keeps_last(axes) or x.shape[:-1] != permuted.shape[:-1] or right.shape[-1] != g.shape[-1] or left.shape[0] != x.shape[-1]:
        return None
    if not _smaller(x.shape[-1], g.shape[-1]):
        return None
    return matmul(transpose(rows_of(transpose(x, axes=inverse(axes)))), rows_of(g))
