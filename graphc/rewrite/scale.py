"""Scales that a gradient is multiplied by in the end, multiplied into the number that it begins with.

``w - 0.01 * gradient`` walks over each gradient once more than it has to. A gradient is linear in the number at which the backward
sweep begins (1/128 for the mean of a batch), so that this number may take the factor, as long as every path from it ends in a
multiplication by that factor. Whether this is so no pattern can see: it is a property of the whole graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Final

from graphc.core import Constant, Tensor, derived_from, rebuild, sizes, toposort
from graphc.ops import add, cast, concatenate, divide, matmul, multiply, subtract, where
from graphc.ops.convolution import convolution

SMALLEST: Final = 2.0**-20
"""A scale below this could bring a gradient too near to the smallest numbers; above 1 it could overflow."""
_DTYPES: Final = ("float32", "float64")
_TYPICAL: Final = 64
"""What a named size is taken for where elements are counted."""
_JOINT: Final = frozenset([add, subtract, concatenate])
"""Linear in all operands together."""
_EITHER: Final = frozenset([multiply, matmul, convolution])
"""Linear in each operand alone."""


def fold_scales(roots: Sequence[Tensor]) -> list[Tensor]:
    """The roots with such scales folded, wherever that leaves fewer elements to multiply. Safety: rounding, with products regrouped.

    Numbers narrower than float32 are left alone, since there a scale on the way is what keeps a gradient from underflow.
    """
    roots = list(roots)
    order = toposort(roots)
    by_scale: dict[Constant, dict[Tensor, Tensor]] = {}
    for node in order:
        if node.op is multiply and node.dtype in _DTYPES:
            scale, factor = _scale(node)
            if scale is not None:
                by_scale.setdefault(scale, {})[node] = factor
    for scale, factors in sorted(by_scale.items(), key=lambda item: -len(item[1]))[:2]:
        folded = _Folding(roots, order, scale, factors).run()
        if folded is not None:
            return folded
    return roots


def _scale(node: Tensor) -> tuple[Constant | None, Tensor]:
    """The number that a product multiplies by, if it is one that may be folded, and what it multiplies."""
    for scale, factor in (node.inputs, node.inputs[::-1]):
        if isinstance(scale, Constant) and scale.value.size == 1 and factor.type is node.type:
            return (scale if SMALLEST <= abs(scale.value.item()) < 1 else None), factor
    return None, node


def _count(node: Tensor) -> int:
    size = node.size
    return size if isinstance(size, int) else sizes.bind(size, dict.fromkeys(sizes.names(size), _TYPICAL))


class _Folding:
    """One scale in one graph.

    A node takes the scale if it is one number, or linear in what takes it. It is scaled if all that read it are scaled through it or
    multiply it by the scale. Where that ends, a multiplication is put in.
    """

    def __init__(self, roots: list[Tensor], order: list[Tensor], scale: Constant, factors: dict[Tensor, Tensor]) -> None:
        self.roots, self.order, self.scale, self.factors = roots, order, scale, factors
        self.readers = Counter(chain(roots, chain.from_iterable([node.inputs for node in order])))
        self.through: dict[Tensor, tuple[int, ...]] = {}
        """For a node that takes the scale, the operands through which."""
        self.scaled: set[Tensor] = set()

    def run(self) -> list[Tensor] | None:
        """The new roots, or None if it does not pay."""
        for node in self.order:
            operands = self._operands(node)
            if operands is not None:
                self.through[node] = operands
        return self._rebuilt() if self._pays() else None

    def _operands(self, node: Tensor) -> tuple[int, ...] | None:
        if node.dtype not in _DTYPES:
            return None
        if node.size == 1:
            return ()  # a number, which is multiplied for next to nothing
        if node.op is None:
            return None
        takes = [i for i, x in enumerate(node.inputs) if x in self.through]
        if node.op in _JOINT:
            return tuple(takes) if len(takes) == len(node.inputs) else None
        if node.op is where:
            return (1, 2) if {1, 2} <= set(takes) else None
        if node.op is divide:
            return (0,) if 0 in takes else None
        if node.op in _EITHER:
            return (takes[0] if len(takes) < 2 else min(takes, key=lambda i: self._rank(node.inputs[i])),) if takes else None
        alone = node.op is cast or node.op.linear == node.op.operands[:1]
        return (0,) if alone and 0 in takes else None

    def _rank(self, x: Tensor) -> tuple[bool, int]:
        """Of two factors that both take the scale, the smaller one passes it on, and no number if there is another."""
        return x.size == 1, _count(x)

    def _pays(self) -> bool:
        """Find what is scaled, and whether the multiplications that go have more elements than those that are put in."""
        direct, passed = Counter[Tensor](), Counter[Tensor]()
        balance = 0
        for node in reversed(self.order):
            if node in self.factors:
                direct[self.factors[node]] += 1
            elif node in self.through and direct[node] + passed[node] == self.readers[node]:
                self.scaled.add(node)
                passed.update([node.inputs[i] for i in self.through[node]])
                balance += direct[node] * _count(node)
            elif passed[node] and not direct[node] and node.size != 1:
                balance -= 2 * _count(node)  # a multiplication is put in here, and it has to be worth it
        return balance > 0

    def _rebuilt(self) -> list[Tensor]:
        plain: dict[Tensor, Tensor] = {}
        times: dict[Tensor, Tensor] = {}
        for node in self.order:
            with derived_from(node):
                if node in self.factors:
                    plain[node] = self._times(self.factors[node], plain, times)
                elif node in self.scaled and self.through[node]:
                    through = self.through[node]
                    inputs = [self._times(x, plain, times) if i in through else plain[x] for i, x in enumerate(node.inputs)]
                    times[node] = rebuild(node, tuple(inputs))
                    continue
                else:
                    plain[node] = rebuild(node, tuple([plain[x] for x in node.inputs]))
                if node.label and not plain[node].label and node.op is not None:
                    plain[node].label = node.label
        return [plain[root] for root in self.roots]

    def _times(self, node: Tensor, plain: dict[Tensor, Tensor], times: dict[Tensor, Tensor]) -> Tensor:
        if node not in times:
            times[node] = plain[node] * self.scale.value.item()
        return times[node]
