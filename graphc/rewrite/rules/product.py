"""Products of matrices: fewer, larger and cheaper ones. Transposes are views on NumPy and flags to BLAS, so that they cost nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from graphc.core import Constant, Tensor, dtypes, sizes
from graphc.core.pattern import attr, const, var
from graphc.core.sizes import Dim, Shape, product, typical
from graphc.ops import (
    add,
    broadcast_to,
    diag,
    divide,
    expand_dims,
    greater_equal,
    less,
    logical_and,
    matmul,
    mean,
    multiply,
    one_hot,
    reshape,
    sum,
    take,
    transpose,
    where,
)
from graphc.ops.index import add_at
from graphc.ops.product import moved_product, swap
from graphc.ops.shape import place_diagonal
from graphc.rewrite.rule import Once, rule
from graphc.rewrite.rules.common import a, axes, axis, b, c, inverse, other_operand, rows_of, shape, with_axes_in_front, x, y

_a: Final[Any] = var("_a")
_b: Final[Any] = var("_b")
scale: Final[Any] = const("scale")
BLAS: Final = ("float32", "float64", "complex64", "complex128")
"""The dtypes that BLAS multiplies."""


# ---------------------------------------------------------------- outer products
NARROW: Final = 64
"""Rows of so few elements or fewer are many calls of a loop for NumPy, which repeats one of two operands; BLAS is quicker by half."""


def _is_for_blas(a: Tensor, b: Tensor) -> bool:
    """Whether a column, or a stack of them, and one row have a product that BLAS writes quicker."""
    plain = b.ndim == 2 and (a.ndim == 2 or not _is_strided(a)) and a.dtype in BLAS
    return plain and 1 < typical(b.shape[-1]) <= NARROW < typical(a.size)


@rule(
    matmul(a, b),
    safety="rounding",
    cases=(
        lambda leaf: leaf(3, 1) @ leaf(1, 4),
        lambda leaf: leaf(2, 3, 1) @ leaf(1, 4),
        lambda leaf: leaf(0, 1) @ leaf(1, 4),
    ),
)
def outer_product(a: Tensor, b: Tensor) -> Tensor | None:
    """A column times a row is a product element by element; BLAS keeps a tall one with short rows."""
    column = a.ndim > 1 and b.ndim > 1 and a.shape[-1] == 1 and a.dtype != "bool"
    return a * b if column and not _is_for_blas(a, b) else None


# ---------------------------------------------------------------- transposes
@rule(
    transpose(matmul(a, b), axes=axes),
    safety="rounding",
    cases=(
        lambda leaf: (leaf(3, 2).T @ leaf(3, 4)).T,
        lambda leaf: (leaf(2, 3) @ leaf(4, 3).T).T,
        lambda leaf: transpose(transpose(leaf(2, 3, 5, 4), (0, 2, 3, 1)) @ leaf(2, 5, 3, 2), (0, 3, 1, 2)),
    ),
)
def transposed_product(node: Tensor, a: Tensor, b: Tensor, axes: tuple[int, ...], once: Once) -> Tensor | None:
    """``(aᵀ b)ᵀ`` is ``bᵀ a``: one transpose less, or a result whose last axis stays the last."""
    last = len(axes) - 1
    if 1 in (a.ndim, b.ndim) or axes[-1] != last - 1 or transpose not in (a.op, b.op) or not once(node.inputs[0]):
        return None
    exchanged = {last: last - 1, last - 1: last}
    return transpose(matmul(swap(b), swap(a)), axes=tuple([exchanged.get(i, i) for i in axes]))


@rule(
    reshape(transpose(matmul(a, b), axes=axes), shape=shape),
    safety="rounding",
    cases=(
        lambda leaf: reshape(transpose(leaf(2, 3, 4, 5) @ leaf(2, 3, 5, 6), (0, 2, 1, 3)), (8, 18)),
        lambda leaf: reshape(transpose(leaf(3, 4, 5) @ leaf(5, 6), (1, 0, 2)), (4, -1)),
    ),
)
def product_in_its_place(node: Tensor, a: Tensor, b: Tensor, axes: tuple[int, ...], shape: Shape, once: Once) -> Tensor | None:
    """A product whose axes are moved and then merged, which would copy it, is written where it belongs."""
    moved = node.inputs[0]
    if axes[-1] != len(axes) - 1 or 1 in (a.ndim, b.ndim) or not once(moved) or not once(moved.inputs[0]) or node.dtype not in BLAS:
        return None
    return reshape(moved_product(a, b, places=inverse(axes)), shape=shape)


# ---------------------------------------------------------------- stacks of products
def _is_strided(x: Tensor) -> bool:
    """Whether a reshape would have to copy it."""
    return x.op is not None and x.op.view and x.op not in (reshape, expand_dims)


@rule(
    matmul(a, b),
    safety="rounding",
    cases=(lambda leaf: leaf(2, 3, 4) @ leaf(4, 5), lambda leaf: leaf(2, 0, 4) @ leaf(4, 5), lambda leaf: leaf(2, 1, 3, 4) @ leaf(4, 1)),
)
def product_of_stack(node: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """A stack of matrices times one matrix is one product of a taller matrix."""
    if a.ndim < 3 or b.ndim != 2 or _is_strided(a):
        return None
    return reshape(matmul(rows_of(a), b), shape=node.shape)


@rule(
    sum(matmul(transpose(a, axes=axes), b), axis=axis, keepdims=False),
    safety="rounding",
    regroups=True,
    cases=(
        lambda leaf: sum(swap(leaf(5, 3, 2)) @ leaf(5, 3, 4), axis=0),
        lambda leaf: sum(swap(leaf(2, 5, 3, 2)) @ leaf(2, 5, 3, 4), axis=(0, 1)),
    ),
)
def sum_of_products(node: Tensor, a: Tensor, b: Tensor, axes: tuple[int, ...], axis: tuple[int, ...], once: Once) -> Tensor | None:
    """The sum of the products ``aᵢᵀ bᵢ`` of a stack is one product of the matrices below one another: a gradient of weights."""
    lead = a.ndim - 2
    swapped = axes == (*range(lead), lead + 1, lead)
    if lead < 1 or not swapped or a.shape[:-1] != b.shape[:-1] or axis != tuple(range(lead)) or not once(node.inputs[0]):
        return None
    return None if _is_strided(a) else matmul(transpose(rows_of(a)), rows_of(b))


# ---------------------------------------------------------------- products of what is repeated
def _not_repeated(factor: Tensor) -> Tensor:
    """What a broadcast repeats, with axes of size 1."""
    (source,) = factor.inputs
    return reshape(source, shape=with_axes_in_front(source.shape, factor.ndim))


@rule(
    matmul(broadcast_to(a), b),
    safety="rounding",
    regroups=True,
    cases=(
        lambda leaf: broadcast_to(leaf(2, 1, 3), (2, 5, 3)) @ leaf(3, 4),
        lambda leaf: broadcast_to(leaf(3, 1), (3, 4)) @ leaf(4, 2),
        lambda leaf: broadcast_to(leaf(3), (2, 5, 3)) @ leaf(2, 3, 4),
        lambda leaf: broadcast_to(leaf(), (3,)) @ leaf(3, 4),
    ),
)
def product_of_repeated(node: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """Equal rows are multiplied once; equal columns, by the sum of what they meet."""
    wide = node.inputs[0]
    narrow = _not_repeated(wide)
    inner = max(b.ndim - 2, 0)
    if narrow.shape[-1] != wide.shape[-1]:
        b = reshape(sum(b, axis=inner), shape=(*b.shape[:inner], 1, *b.shape[inner + 1 :]))
    return matmul(narrow, b)


@rule(
    matmul(a, broadcast_to(b)),
    safety="rounding",
    regroups=True,
    cases=(
        lambda leaf: leaf(4, 3) @ broadcast_to(leaf(2, 3, 1), (2, 3, 5)),
        lambda leaf: leaf(2, 4) @ broadcast_to(leaf(3), (4, 3)),
        lambda leaf: leaf(2, 4, 3) @ broadcast_to(leaf(3, 1), (2, 3, 5)),
        lambda leaf: leaf(4, 3) @ broadcast_to(leaf(), (3,)),
        lambda leaf: swap(leaf(2, 5, 3)) @ broadcast_to(leaf(2, 1, 4), (2, 5, 4)),
    ),
)
def product_with_repeated(node: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """Equal columns are multiplied once; equal rows, by the sum of what they meet."""
    wide = node.inputs[1]
    narrow, inner = _not_repeated(wide), max(wide.ndim - 2, 0)
    if narrow.shape[inner] != wide.shape[inner]:
        a = expand_dims(sum(a, axis=a.ndim - 1), axis=(a.ndim - 1,))
    return matmul(a, narrow)


# ---------------------------------------------------------------- sums of a product
def _as_matrices(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The factors, with a vector as the row or the column that it stands for."""
    return expand_dims(a, axis=(0,)) if a.ndim == 1 else a, expand_dims(b, axis=(1,)) if b.ndim == 1 else b


def _summed(x: Tensor, axes: list[int]) -> Tensor:
    return sum(x, axis=tuple(axes), keepdims=True) if axes else x


def _factors_summed(p: Tensor, axis: tuple[int, ...]) -> Tensor | None:
    """The sum of the product ``p`` over axes as the product of sums of its factors; without the axes, or None where both have all."""
    a, b = _as_matrices(*p.inputs)
    ndim = max(a.ndim, b.ndim)
    places = [i for i in range(ndim) if not (i == ndim - 2 and p.inputs[0].ndim == 1) and not (i == ndim - 1 and p.inputs[1].ndim == 1)]
    gone = [places[i] for i in axis]
    shape = sizes.broadcast([a.shape[:-2], b.shape[:-2]])
    lone_a = [i for i in gone if i == ndim - 2 or (i < ndim - 2 and _size(a, i, ndim) == shape[i] != _size(b, i, ndim))]
    lone_b = [i for i in gone if i == ndim - 1 or (i < ndim - 2 and _size(b, i, ndim) == shape[i] != _size(a, i, ndim))]
    if not lone_a and not lone_b:
        return None
    y = matmul(_summed(a, [i - ndim + a.ndim for i in lone_a]), _summed(b, [i - ndim + b.ndim for i in lone_b]))
    y = _summed(y, [i for i in gone if i not in lone_a and i not in lone_b])
    return reshape(y, shape=tuple([size for i, size in enumerate(p.shape) if i not in axis]))


def _size(x: Tensor, axis: int, ndim: int) -> Dim:
    """The size of an axis, counted with those that a broadcast puts in front."""
    place = axis - ndim + x.ndim
    return x.shape[place] if place >= 0 else 1


def _rows_summed(p: Tensor, axis: tuple[int, ...]) -> Tensor | None:
    """The same of a product whose rows a reshape has put along several axes."""
    a, b = p.inputs[0].inputs
    if a.ndim != 2 or b.ndim != 2 or p.ndim < 2 or p.shape[-1] != b.shape[-1] or p.ndim - 1 in axis:
        return None
    rows = sum(reshape(a, shape=(*p.shape[:-1], a.shape[-1])), axis=axis)
    shape = tuple([size for i, size in enumerate(p.shape) if i not in axis])
    return reshape(matmul(reshape(rows, shape=(product(shape[:-1]), a.shape[-1])), b), shape=shape)


def _sum_inside(p: Tensor, axis: tuple[int, ...], once: Once) -> Tensor | None:
    """The sum of ``p`` as a smaller product, if it is a product that nothing else reads; without the axes."""
    if not once(p) or p.dtype not in BLAS or all(p.shape[i] == 1 for i in axis):
        return None
    if p.op is matmul:
        return _factors_summed(p, axis)
    if p.op is reshape and p.inputs[0].op is matmul and once(p.inputs[0]):
        return _rows_summed(p, axis)
    return None


@rule(
    sum(x, axis=axis),
    safety="rounding",
    regroups=True,
    cases=(
        lambda leaf: sum(leaf(3, 4) @ leaf(4, 5), axis=0),
        lambda leaf: sum(leaf(3, 4) @ leaf(4, 5), axis=1, keepdims=True),
        lambda leaf: sum(leaf(3, 4) @ leaf(4)),
        lambda leaf: sum(leaf(4) @ leaf(2, 4, 5)),
        lambda leaf: sum(leaf(2, 3, 4) @ leaf(4, 5), axis=(0, 2)),
        lambda leaf: sum(reshape(leaf(6, 4) @ leaf(4, 5), (2, 3, 5)), axis=1),
        lambda leaf: sum(leaf(2, 3, 4) @ leaf(2, 4, 5)),
        lambda leaf: sum(leaf(3, 4) @ leaf(2, 4, 5), axis=(0, 1)),
    ),
)
def sum_of_product(node: Tensor, x: Tensor, axis: tuple[int, ...], once: Once) -> Tensor | None:
    """The sum of the rows of a product is the product of the sum of the rows, and so for its columns."""
    found = _sum_inside(x, axis, once)
    return None if found is None else reshape(found, shape=node.shape)


def _terms(x: Tensor, once: Once) -> list[Tensor]:
    """What a sum of sums that nothing else reads adds up."""
    found: list[Tensor] = []
    waiting = [x]
    while waiting:
        one = waiting.pop()
        if one.op is add and once(one):
            waiting += one.inputs[::-1]
        else:
            found.append(one)
    return found


@rule(
    sum(x + y, axis=axis),
    safety="rounding",
    regroups=True,
    cases=(
        lambda leaf: sum(leaf(3, 4) @ leaf(4, 5) + leaf(5), axis=0),
        lambda leaf: sum(leaf(3, 5) + reshape(leaf(6, 4) @ leaf(4, 5), (2, 3, 5)) + leaf(2, 3, 5), axis=1, keepdims=True),
    ),
)
def sum_with_product(node: Tensor, x: Tensor, y: Tensor, axis: tuple[int, ...], once: Once) -> Tensor | None:
    """A product that is added to others is summed by itself where its factors can be summed first."""
    found = _summed_apart(node.inputs[0], axis, once)
    return None if found is None else reshape(found, shape=node.shape)


def _summed_apart(whole: Tensor, axis: tuple[int, ...], once: Once) -> Tensor | None:
    """The sum of a sum, without the axes, if it has products whose factors can be summed first."""
    products, wide, apart = list[Tensor](), list[Tensor](), list[Tensor]()
    for term in _terms(whole, once):
        inside = _sum_inside(term, axis, once) if term.shape == whole.shape else None
        if inside is not None:
            products.append(inside)
        elif term.shape == whole.shape:
            wide.append(term)
        else:
            apart.append(broadcast_to(term, shape=whole.shape))
    if not products:
        return None
    others = [functools.reduce(add, wide), *apart] if wide else apart
    return functools.reduce(add, [*products, *[sum(term, axis=axis) for term in others]])


@rule(
    mean(x, axis=axis),
    safety="rounding",
    regroups=True,
    cases=(
        lambda leaf: mean(leaf(3, 4) @ leaf(4, 5), axis=0),
        lambda leaf: mean(leaf(2, 3, 5) + reshape(leaf(6, 4) @ leaf(4, 5), (2, 3, 5)), axis=1, keepdims=True),
    ),
)
def mean_with_product(node: Tensor, x: Tensor, axis: tuple[int, ...], once: Once) -> Tensor | None:
    """The mean of the rows of a product, or of what it is added to, begins with the sum of the rows that it is a product of."""
    count = product(tuple([x.shape[i] for i in axis]))
    if not isinstance(count, int) or not count or not once(x):
        return None
    found = _summed_apart(x, axis, once) if x.op is add else _sum_inside(x, axis, once)
    return None if found is None else reshape(found / count, shape=node.shape)


# ---------------------------------------------------------------- scales
def _less_than_half(small: Dim, large: Dim) -> bool:
    return 2 * typical(small) <= typical(large) > 0


def _into_factor(node: Tensor, inner: Tensor, scale: Constant, scaled: Callable[[Tensor, Tensor], Tensor], once: Once) -> Tensor | None:
    """The product ``inner`` with its smaller factor scaled, where that is less work."""
    a, b = inner.inputs
    small = b if typical(b.size) < typical(a.size) else a
    plain = scale.value.size == 1 and scale.ndim < 2 and dtypes.is_float(node.dtype)
    if not plain or not _less_than_half(small.size, node.size) or not once(inner):
        return None
    factor = _under_views(small, lambda x: scaled(x, reshape(scale, shape=())), once)
    if factor is None:
        return None
    return matmul(a, factor) if small is b else matmul(factor, b)


def _under_views(x: Tensor, scaled: Callable[[Tensor], Tensor], once: Once) -> Tensor | None:
    """``x`` scaled before it is seen in another shape; None of a view that others see too, which would be copied out of order."""
    if x.op is None or not x.op.view:
        return scaled(x)
    inner = _under_views(x.inputs[0], scaled, once) if once(x) and len(x.inputs) == 1 else None
    return None if inner is None else x.op.apply((inner,), x.attrs)


@rule(
    scale * matmul(_a, _b),
    safety="rounding",
    regroups=True,
    only="numpy",
    cases=(
        lambda leaf: (leaf(4, 2) @ leaf(2, 6)) * 0.3,
        lambda leaf: 0.3 * (leaf(2, 6, 2) @ leaf(2, 2, 6)),
        lambda leaf: 0.3 * (leaf(2, 6).T @ swap(leaf(6, 2))),
    ),
)
def scale_into_product(node: Tensor, scale: Constant, once: Once) -> Tensor | None:
    """A number goes to a factor of a product of matrices that has half as many elements as the product, or fewer."""
    return _into_factor(node, other_operand(node, scale), scale, multiply, once)


@rule(
    matmul(_a, _b) / scale,
    safety="rounding",
    regroups=True,
    only="numpy",
    cases=(lambda leaf: (leaf(4, 2) @ leaf(2, 6)) / 0.3, lambda leaf: (leaf(2, 6, 2) @ leaf(2, 2, 6)) / 3),
)
def divisor_into_product(node: Tensor, scale: Constant, once: Once) -> Tensor | None:
    """A divisor goes to a factor of a product of matrices that has half as many elements as the product, or fewer."""
    return _into_factor(node, node.inputs[0], scale, divide, once)


def _is_cheaper_outside(node: Tensor, scaled: Tensor, scale: Constant, once: Once) -> bool:
    """Whether one number may leave a factor that nothing else reads, for a product that has half as many elements, or fewer."""
    return scale.value.size == 1 and _less_than_half(node.size, scaled.size) and once(scaled) and dtypes.is_float(node.dtype)


@rule(matmul(scale * a, b), safety="rounding", regroups=True, cases=(lambda leaf: (leaf(4, 6) * 0.3) @ leaf(6),))
def scale_out_of_left(node: Tensor, scale: Constant, a: Tensor, b: Tensor, once: Once) -> Tensor | None:
    """A number multiplies a product of matrices that has half as many elements as its factor, or fewer."""
    scaled = node.inputs[0]
    return reshape(scale, shape=()) * matmul(a, b) if _is_cheaper_outside(node, scaled, scale, once) and a.shape == scaled.shape else None


@rule(matmul(a, scale * b), safety="rounding", regroups=True, cases=(lambda leaf: leaf(6) @ (leaf(6, 4) * 0.3),))
def scale_out_of_right(node: Tensor, scale: Constant, a: Tensor, b: Tensor, once: Once) -> Tensor | None:
    """A number multiplies a product of matrices that has half as many elements as its factor, or fewer."""
    scaled = node.inputs[1]
    return reshape(scale, shape=()) * matmul(a, b) if _is_cheaper_outside(node, scaled, scale, once) and b.shape == scaled.shape else None


# ---------------------------------------------------------------- small factors
def _are_small(a: Tensor, b: Tensor, node: Tensor) -> bool:
    """Whether both are much smaller than the node. Two constants have a rule of their own, which looks for overflow."""
    if isinstance(a, Constant) and isinstance(b, Constant):
        return False
    return _less_than_half(product(sizes.broadcast([a.shape, b.shape])), node.size) and dtypes.is_float(node.dtype)


@rule(
    (x * a) * b,
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: (leaf(5, 4) * leaf(4)) * leaf(4), lambda leaf: leaf() * (leaf(4) * leaf(5, 4))),
)
def small_factors_first(node: Tensor, x: Tensor, a: Tensor, b: Tensor, once: Once) -> Tensor | None:
    """Two factors that are repeated are multiplied before they meet what has all elements: one pass over it less."""
    return x * (a * b) if _are_small(a, b, node) and x.shape == node.shape and once(other_operand(node, b)) else None


@rule(
    (x * a) / b,
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: (leaf(5, 4) * leaf(4)) / 3, lambda leaf: (leaf(4) * leaf(5, 4)) / 3),
)
def small_quotient_first(node: Tensor, x: Tensor, a: Tensor, b: Tensor, once: Once) -> Tensor | None:
    """A factor that is repeated is divided by a divisor that is, before they meet what has all elements."""
    return x * (a / b) if _are_small(a, b, node) and x.shape == node.shape and once(node.inputs[0]) else None


# ---------------------------------------------------------------- chains
def _prices(a: Tensor, b: Tensor, c: Tensor) -> tuple[int, int] | None:
    """The multiplications of ``(a b) c`` and of ``a (b c)``; None where one of them is a stack."""
    if b.ndim != 2 or a.ndim not in (1, 2) or c.ndim not in (1, 2):
        return None
    m, n = typical(a.shape[0]) if a.ndim == 2 else 1, typical(c.shape[1]) if c.ndim == 2 else 1
    k, p = map(typical, b.shape)
    return m * k * p + m * p * n, k * p * n + m * k * n


@rule(
    matmul(matmul(a, b), c),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: leaf(4, 3) @ leaf(3, 5) @ leaf(5), lambda leaf: leaf(6, 2) @ leaf(2, 6) @ leaf(6, 2)),
)
def chain_to_the_right(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``(a b) c`` is ``a (b c)``, where that is less work."""
    prices = _prices(a, b, c)
    return matmul(a, matmul(b, c)) if prices and prices[1] < prices[0] and once(node.inputs[0]) else None


@rule(
    matmul(a, matmul(b, c)),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: leaf(5) @ (leaf(5, 3) @ leaf(3, 4)), lambda leaf: leaf(2, 6) @ (leaf(6, 2) @ leaf(2, 6))),
)
def chain_to_the_left(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``a (b c)`` is ``(a b) c``, where that is less work."""
    prices = _prices(a, b, c)
    return matmul(matmul(a, b), c) if prices and prices[0] < prices[1] and once(node.inputs[1]) else None


# ---------------------------------------------------------------- products with little but zeros
MANY: Final = 32
"""Of so many classes it is quicker to fetch or to add rows than to multiply by ones and zeros."""


def _within(indices: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Which indices name a class, as a column, and the indices with 0 for the others."""
    valid = logical_and(greater_equal(indices, 0), less(indices, classes))
    return expand_dims(valid, axis=(indices.ndim,)), where(valid, indices, 0)


@rule(
    matmul(one_hot(a, num_classes=attr("classes")), b),
    safety="nan_unsafe",
    cases=(
        lambda leaf: one_hot(leaf(5, dtype="int32"), 40, leaf().dtype) @ leaf(40, 3),
        lambda leaf: one_hot(leaf(2, 3, dtype="int32"), 40, leaf().dtype) @ leaf(40, 3),
    ),
)
def one_hot_times_matrix(a: Tensor, b: Tensor, classes: int) -> Tensor | None:
    """One-hot rows times a matrix are rows of the matrix."""
    if b.ndim != 2 or classes < MANY:
        return None
    valid, indices = _within(a, classes)
    return where(valid, take(b, indices, axis=0), 0)


@rule(
    matmul(transpose(one_hot(a, num_classes=attr("classes"))), b),
    safety="nan_unsafe",
    cases=(lambda leaf: one_hot(leaf(5, dtype="int32"), 40, leaf().dtype).T @ leaf(5, 3),),
)
def one_hot_columns_times_matrix(node: Tensor, a: Tensor, b: Tensor, classes: int) -> Tensor | None:
    """One-hot columns times a matrix add up its rows class by class."""
    if a.ndim != 1 or b.ndim != 2 or node.inputs[0].shape[0] != classes or classes < MANY:
        return None
    valid, indices = _within(a, classes)
    return add_at(where(valid, b, 0), indices, axis=0, length=classes)


@rule(
    matmul(place_diagonal(a, offset=0, axis1=0, axis2=1), b),
    safety="nan_unsafe",
    cases=(lambda leaf: diag(leaf(3)) @ leaf(3, 4), lambda leaf: diag(leaf(3)) @ leaf(3)),
)
def diagonal_times_matrix(node: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """A diagonal on the left scales rows."""
    return None if not _is_square(node.inputs[0], a) else a * b if b.ndim == 1 else expand_dims(a, axis=(1,)) * b


@rule(
    matmul(a, place_diagonal(b, offset=0, axis1=0, axis2=1)),
    safety="nan_unsafe",
    cases=(lambda leaf: leaf(4, 3) @ diag(leaf(3)), lambda leaf: leaf(3) @ diag(leaf(3))),
)
def matrix_times_diagonal(node: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """A diagonal on the right scales columns."""
    return a * b if _is_square(node.inputs[1], b) else None


def _is_square(matrix: Tensor, diagonal: Tensor) -> bool:
    return matrix.ndim == 2 and matrix.shape == diagonal.shape * 2


# ---------------------------------------------------------------- factors in common
def _may_be_joined(node: Tensor, a: Tensor, b: Tensor, once: Once) -> bool:
    """Whether both products of a sum go, and the factors that they do not share are of one type, so that no broadcast makes them larger."""
    left, right = node.inputs
    return a.type is b.type and once(left) and once(right) and left is not right


@rule(
    matmul(a, b) + matmul(a, c),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: _left_in_common(leaf(2, 3), leaf(3, 4), leaf(3, 4)),),
)
def left_factor_of_sum(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``a b + a c`` is ``a (b + c)``, where the sum is no dearer than a product."""
    return matmul(a, add(b, c)) if _may_be_joined(node, b, c, once) else None


def _left_in_common(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return a @ b + a @ c


@rule(
    matmul(a, c) + matmul(b, c),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: _right_in_common(leaf(2, 3), leaf(2, 3), leaf(3, 4)),),
)
def right_factor_of_sum(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``a c + b c`` is ``(a + b) c``, where the sum is no dearer than a product."""
    return matmul(add(a, b), c) if _may_be_joined(node, a, b, once) else None


def _right_in_common(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return a @ c + b @ c


# ---------------------------------------------------------------- products that are summed
@rule(
    sum(x * y, axis=axis),
    safety="rounding",
    regroups=True,
    cases=(
        lambda leaf: sum(expand_dims(leaf(2, 3), 2) * expand_dims(leaf(3, 4), 0), axis=1),
        lambda leaf: sum(expand_dims(leaf(2, 3), 1) * leaf(4, 3), axis=2, keepdims=True),
        lambda leaf: sum(leaf(2, 3) * leaf(3), axis=1),
        lambda leaf: sum(leaf(5, 1, 2, 3) * leaf(4, 2, 1), axis=2),
    ),
)
def sum_of_broadcast_product(node: Tensor, x: Tensor, y: Tensor, axis: tuple[int, ...], once: Once) -> Tensor | None:
    """A sum over axes that both factors have, of a product that repeats one of them along others, is a product of matrices."""
    wide = node.inputs[0]
    if not dtypes.is_float(node.dtype) or not once(wide):
        return None
    left, right = _axes_of(x, wide), _axes_of(y, wide)
    both = [i for i in left if i in right]
    rows, columns = [i for i in left if i not in right], [i for i in right if i not in left]
    if not both or both != [i for i in axis if wide.shape[i] != 1] or not rows + columns:
        return None  # nothing is repeated, or a stack of products, which BLAS does one by one
    result = matmul(_matrix(x, wide, [rows, both]), _matrix(y, wide, [both, columns]))
    order = rows + columns
    result = reshape(result, shape=tuple([wide.shape[i] for i in order]))
    return reshape(transpose(result, axes=tuple([order.index(i) for i in sorted(order)])), shape=node.shape)


def _axes_of(x: Tensor, wide: Tensor) -> list[int]:
    """The axes of the product along which a factor is not repeated."""
    lead = wide.ndim - x.ndim
    return [lead + i for i, size in enumerate(x.shape) if size != 1]


def _matrix(x: Tensor, wide: Tensor, groups: list[list[int]]) -> Tensor:
    """The factor with its axes in two groups, of which an empty one leaves no axis."""
    own = _axes_of(x, wide)
    x = reshape(x, shape=tuple([wide.shape[i] for i in own]))
    x = transpose(x, axes=tuple([own.index(i) for group in groups for i in group]))
    return reshape(x, shape=tuple([product(tuple([wide.shape[i] for i in group])) for group in groups if group]))
