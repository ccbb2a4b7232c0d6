"""Products of matrices: fewer, larger and cheaper ones. Transposes are views on NumPy and flags to BLAS, so that they cost nothing."""

from __future__ import annotations

from typing import Any, Final

from graphc.core import Constant, Tensor, dtypes
from graphc.core.pattern import attr, const, var
from graphc.core.sizes import Dim, product
from graphc.ops import add, expand_dims, matmul, reshape, sum, transpose
from graphc.ops.product import swap
from graphc.rewrite.rule import Once, rule

x: Final[Any] = var("x")
y: Final[Any] = var("y")
a: Final[Any] = var("a")
b: Final[Any] = var("b")
c: Final[Any] = var("c")
scale: Final[Any] = const("scale")
axis: Final[Any] = attr("axis")
axes: Final[Any] = attr("axes")


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
    return reshape(matmul(reshape(a, shape=(product(a.shape[:-1]), a.shape[-1])), b), shape=node.shape)


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
    if _is_strided(a):
        return None
    rows = product(a.shape[:-1])
    return matmul(transpose(reshape(a, shape=(rows, a.shape[-1]))), reshape(b, shape=(rows, b.shape[-1])))


@rule(
    matmul(a, b),
    safety="rounding",
    cases=(lambda leaf: leaf(3, 1) @ leaf(1, 4), lambda leaf: leaf(2, 3, 1) @ leaf(1, 4), lambda leaf: leaf(0, 1) @ leaf(1, 4)),
)
def outer_product(a: Tensor, b: Tensor) -> Tensor | None:
    """A column times a row is a product element by element."""
    return a * b if a.ndim > 1 and b.ndim > 1 and a.shape[-1] == 1 and a.dtype != "bool" else None


# ---------------------------------------------------------------- scales
def _less_than_half(small: Dim, large: Dim) -> bool:
    return isinstance(small, int) and isinstance(large, int) and 2 * small <= large > 0


@rule(
    scale * matmul(a, b),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: (leaf(4, 2) @ leaf(2, 6)) * 0.3, lambda leaf: 0.3 * (leaf(2, 6, 2) @ leaf(2, 2, 6))),
)
def scale_into_product(node: Tensor, scale: Constant, a: Tensor, b: Tensor, once: Once) -> Tensor | None:
    """A number goes to a factor of a product of matrices that has half as many elements as the product, or fewer."""
    if scale.value.size != 1 or scale.ndim > 1 or not dtypes.is_float(node.dtype):
        return None
    inner = node.inputs[node.inputs[0] is scale]
    small = b if isinstance(b.size, int) and isinstance(a.size, int) and b.size < a.size else a
    if not _less_than_half(small.size, node.size) or not once(inner):
        return None
    number = reshape(scale, shape=())
    return matmul(a, number * b) if small is b else matmul(number * a, b)


def _outwards(node: Tensor, scaled: Tensor, scale: Constant, once: Once) -> bool:
    return scale.value.size == 1 and _less_than_half(node.size, scaled.size) and once(scaled) and dtypes.is_float(node.dtype)


@rule(matmul(scale * a, b), safety="rounding", regroups=True, cases=(lambda leaf: (leaf(4, 6) * 0.3) @ leaf(6),))
def scale_out_of_left(node: Tensor, scale: Constant, a: Tensor, b: Tensor, once: Once) -> Tensor | None:
    """A number multiplies a product of matrices that has half as many elements as its factor, or fewer."""
    scaled = node.inputs[0]
    return reshape(scale, shape=()) * matmul(a, b) if _outwards(node, scaled, scale, once) and a.shape == scaled.shape else None


@rule(matmul(a, scale * b), safety="rounding", regroups=True, cases=(lambda leaf: leaf(6) @ (leaf(6, 4) * 0.3),))
def scale_out_of_right(node: Tensor, scale: Constant, a: Tensor, b: Tensor, once: Once) -> Tensor | None:
    """A number multiplies a product of matrices that has half as many elements as its factor, or fewer."""
    scaled = node.inputs[1]
    return reshape(scale, shape=()) * matmul(a, b) if _outwards(node, scaled, scale, once) and b.shape == scaled.shape else None


# ---------------------------------------------------------------- chains
def _flops(m: Dim, k: Dim, n: Dim) -> Dim:
    return m * k * n


def _chain(a: Tensor, b: Tensor, c: Tensor) -> tuple[int, int] | None:
    """The price of ``(a b) c`` and of ``a (b c)``, where all sizes are known."""
    if b.ndim != 2 or a.ndim not in (1, 2) or c.ndim not in (1, 2):
        return None
    m, n = a.shape[0] if a.ndim == 2 else 1, c.shape[1] if c.ndim == 2 else 1
    k, p = b.shape
    left, right = _flops(m, k, p) + _flops(m, p, n), _flops(k, p, n) + _flops(m, k, n)
    return (left, right) if isinstance(left, int) and isinstance(right, int) else None


@rule(
    matmul(matmul(a, b), c),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: leaf(4, 3) @ leaf(3, 5) @ leaf(5), lambda leaf: leaf(6, 2) @ leaf(2, 6) @ leaf(6, 2)),
)
def chain_to_the_right(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``(a b) c`` is ``a (b c)``, where that is less work."""
    price = _chain(a, b, c)
    return matmul(a, matmul(b, c)) if price and price[1] < price[0] and once(node.inputs[0]) else None


@rule(
    matmul(a, matmul(b, c)),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: leaf(5) @ (leaf(5, 3) @ leaf(3, 4)), lambda leaf: leaf(2, 6) @ (leaf(6, 2) @ leaf(2, 6))),
)
def chain_to_the_left(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``a (b c)`` is ``(a b) c``, where that is less work."""
    price = _chain(a, b, c)
    return matmul(matmul(a, b), c) if price and price[0] < price[1] and once(node.inputs[1]) else None


# ---------------------------------------------------------------- factors in common
def _all_once(node: Tensor, once: Once) -> bool:
    return all(once(part) for part in node.inputs) and node.inputs[0] is not node.inputs[1]


def _same_shapes(a: Tensor, b: Tensor) -> bool:
    return a.type is b.type


@rule(
    matmul(a, b) + matmul(a, c),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: _left_in_common(leaf(2, 3), leaf(3, 4), leaf(3, 4)),),
)
def left_factor_of_sum(node: Tensor, a: Tensor, b: Tensor, c: Tensor, once: Once) -> Tensor | None:
    """``a b + a c`` is ``a (b + c)``, where the sum is no dearer than a product."""
    return matmul(a, add(b, c)) if _same_shapes(b, c) and _all_once(node, once) else None


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
    return matmul(add(a, b), c) if _same_shapes(a, b) and _all_once(node, once) else None


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
