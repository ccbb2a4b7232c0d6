"""Sums of products in a step, written so that few of them depend on the carry.

What a backward step does element by element is linear in the cotangents that it carries. ``(g * a) * b`` becomes ``g * (a * b)``, and
``g * a - g * b`` becomes ``g * (a - b)``, where ``a`` and ``b`` do not depend on the carry: then ``a * b`` is computed for all steps at
once. No step has more to do than before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from graphc import ops
from graphc.core import Tensor, dtypes, rebuild, toposort
from graphc.core.op import as_dtype
from graphc.grad.loops.loop import Loop, elements

Terms = dict[Tensor, Tensor | int]
"""A sum: for each base its factor, a tensor, 1 or -1."""


def regroup(loop: Loop, free: Callable[[Tensor], bool]) -> None:
    """Rewrite the sums and products of the body's values, given which of them are ``free`` of the carry."""
    order = toposort(loop.outputs)
    readers = Counter(x for node in order for x in node.inputs) + Counter(loop.outputs)
    terms: dict[Tensor, Terms] = {}
    new: dict[Tensor, Tensor] = {}

    def terms_of(x: Tensor) -> Terms:
        return terms[x] if x in terms and (len(terms[x]) == 1 or readers[x] == 1) else {new[x]: 1}

    for node in order:
        if free(node) or node.op is None or not dtypes.is_float(node.dtype):
            new[node] = node if node.op is None or free(node) else rebuild(node, tuple([new[x] for x in node.inputs]))
            continue
        found = _terms(node, terms_of, free, new)
        if found is None:
            new[node] = rebuild(node, tuple([new[x] for x in node.inputs]))
        else:
            terms[node] = found
            new[node] = _written(found)
    loop.replace({node: new[node] for node in loop.outputs if new[node] is not node})


def _terms(node: Tensor, terms_of: Callable[[Tensor], Terms], free: Callable[[Tensor], bool], new: Mapping[Tensor, Tensor]) -> Terms | None:
    """The node as a sum, where it is one."""
    op, operands = node.op, node.inputs
    if op is ops.negative:
        return {base: _times(factor, -1) for base, factor in terms_of(operands[0]).items()}
    if op in (ops.add, ops.subtract) and all(x.type is node.type and not free(x) for x in operands):
        one, other = map(terms_of, operands)
        sign = 1 if op is ops.add else -1
        return _added(one, {base: _times(factor, sign) for base, factor in other.items()})
    if op is ops.multiply and any(map(free, operands)):
        factor, x = operands if free(operands[0]) else operands[::-1]
        if x.type is not node.type:
            return None
        found = terms_of(x)
        (base, other), *more = found.items()
        if more:
            return {new[x]: factor}
        product = _times(other, factor)
        small = isinstance(other, int) or isinstance(product, int) or elements(product) <= max(elements(other), elements(factor))
        return {base: product} if small else None
    return None


def _added(one: Terms, other: Terms) -> Terms:
    total = dict(one)
    for base, factor in other.items():
        total[base] = _sum(total[base], factor, base) if base in total else factor
    return total


def _sum(a: Tensor | int, b: Tensor | int, base: Tensor) -> Tensor:
    if isinstance(a, int) and isinstance(b, int):
        return as_dtype(a + b, base.dtype)
    return ops.add(a, b)


def _times(a: Tensor | int, b: Tensor | int) -> Tensor | int:
    if isinstance(a, int):
        a, b = b, a
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    return {1: a, -1: ops.negative(a)}[b] if isinstance(b, int) else ops.multiply(a, b)


def _written(terms: Terms) -> Tensor:
    """The sum as nodes; what is subtracted comes after what is added."""
    plus = [_term(base, factor) for base, factor in terms.items() if factor != -1 or isinstance(factor, Tensor)]
    minus = [base for base, factor in terms.items() if isinstance(factor, int) and factor == -1]
    total = plus[0] if plus else ops.negative(minus.pop(0))
    for x in plus[1:]:
        total = ops.add(total, x)
    for x in minus:
        total = ops.subtract(total, x)
    return total


def _term(base: Tensor, factor: Tensor | int) -> Tensor:
    return base if isinstance(factor, int) else ops.multiply(base, factor)
