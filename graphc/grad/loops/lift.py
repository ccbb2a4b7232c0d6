"""What need not be done step by step is done before a loop or after it, for all steps at once.

    steady   a value of what every step reads is computed once, before the loop
    items    a value of what lies in sequences is computed for the whole stacks before the loop: x[t] @ W becomes one product
    sums     a carry that only adds up is the sum of a stack after the loop, and of products one product: a gradient of weights
    told     what a loop only tells, and does not need itself, is computed from what it tells beside it

What is left in the loop is what truly depends on the step before (loop-invariant motion; Allen and Cocke, 1972, and loop
distribution, Kennedy and McKinley, 1990). It is done where steps are small, so that the overhead of their calls counts, and where
stacks do not become much larger than those that they are made of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce

from graphc import ops
from graphc.core import Bundle, Tensor, dtypes, input, map_bodies, substitute, toposort
from graphc.core.dtypes import DType
from graphc.core.graph import consumers
from graphc.grad.batch import batched
from graphc.grad.loops.linear import regroup
from graphc.grad.loops.loop import SMALL, Carry, Loop, elements, has_loops, is_fixed, is_loop, recurrent, with_loops
from graphc.grad.loops.slices import join
from graphc.ops.shape import narrow

LINEAR = frozenset({"transpose", "reshape", "negative"})
"""Ops of one operand through which a sum over steps passes, whatever their attributes."""
GROWTH = 8
"""How much larger than what it is made of a stack may be."""


def lift(roots: Sequence[Tensor]) -> list[Tensor]:
    """The roots with less done in loops, in bodies too."""
    if not has_loops(roots):
        return list(roots)
    return _lifted(map_bodies(roots, _lifted))


def _lifted(roots: Sequence[Tensor]) -> list[Tensor]:
    if not any(map(is_loop, toposort(roots))):
        return list(roots)
    read: dict[Tensor, set[int]] = {}
    for node in toposort(roots):
        if node.op is ops.part:
            read.setdefault(node.inputs[0], set()).add(node.attributes["index"])
    return with_loops(roots, lambda node, operands: _Lift(Loop.of(node, operands), read[node]).results())


class _Lift:
    """One loop on its way out of its work.

    ``stacks`` stand for what it tells, and ``last`` for the last carries; results outside are made of them. ``total`` has the last
    carries that are known without the loop. ``read`` are the places of the results that anybody reads.
    """

    def __init__(self, loop: Loop, read: set[int]) -> None:
        self.loop, self.read = loop, read
        self.last = {c.before: input("last", c.first.shape, c.first.dtype) for c in loop.carries}
        self.total: dict[Tensor, Tensor] = {}
        self.stacks: dict[Tensor, Tensor] = {}
        self.core = set[Tensor]()

    def results(self) -> list[Tensor]:
        """Move what can be moved; the results of the loop that is left, and what became of the others."""
        loop = self.loop
        lasts = list(self.last)
        n = len(lasts)
        loop.told = [y for i, y in enumerate(loop.told) if n + i in self.read]
        if loop.carries:
            self._settle()
            regroup(loop, self._movable().__contains__)
            join(loop, self._movable().__contains__)
            self._hoist()
            self._sum()
        own, loop.told = loop.told, []
        told = dict(zip([i for i in sorted(self.read) if i >= n], self._tell(own), strict=True))
        found = {i: self.total.get(p, self.last[p]) for i, p in enumerate(lasts) if i in self.read} | told
        done = dict(zip(found, self._built(list(found.values())), strict=True))
        return [done.get(i, self.loop.node) for i in range(max(self.read) + 1)]

    # ---------------------------------------------------------------- what is the same in every step
    def _settle(self) -> None:
        """Items that are all the same are steady; a carry that never changes is steady too; constants come into the body."""
        loop = self.loop
        for p, stack in list(loop.items.items()):
            if stack.op is ops.broadcast_to and (x := _one_item(stack)) is not None:
                del loop.items[p]
                loop.steady[p] = x
        same = {c.before: c.first for c in loop.carries if c.after is c.before}
        loop.steady |= same
        self.total |= same
        loop.carries = [c for c in loop.carries if c.before not in same]
        fixed = {p: x for p, x in loop.steady.items() if is_fixed(x)}
        for p in fixed:
            del loop.steady[p]
        loop.replace(fixed)

    # ---------------------------------------------------------------- before the loop
    def _movable(self) -> set[Tensor]:
        """The body's values that do not depend on the carry and can be computed for all steps at once."""
        found: set[Tensor] = {*self.loop.items, *self.loop.steady}
        carried = {c.before for c in self.loop.carries}
        for node in toposort(self.loop.outputs):
            if node.op is None:
                found |= set() if node in carried else {node}
            elif _can_be_batched(node) and all(x in found for x in node.inputs):
                found.add(node)
        return found

    def _hoist(self) -> None:
        loop = self.loop
        movable = self._movable()
        outputs = [c.after for c in loop.carries]
        inner = [x for node in toposort(loop.outputs) if node not in movable for x in node.inputs]
        new: dict[Tensor, Tensor] = {}
        for node in dict.fromkeys([*outputs, *inner]):
            if node in movable and node.op is not None and not is_fixed(node) and self._pays(node):
                new[node] = input("item", node.shape, node.dtype)
                if node in recurrent([node], loop.items):
                    loop.items[new[node]] = self._stacked(node)
                else:
                    loop.steady[new[node]] = substitute([node], loop.steady)[0]
        loop.replace(new)

    def _pays(self, node: Tensor) -> bool:
        sources = [x for x in toposort([node]) if x in self.loop.items or x in self.loop.steady]
        return elements(node) <= GROWTH * max(sum(map(elements, sources)), 1)

    def _stacked(self, node: Tensor) -> Tensor:
        """The value of a node of the body for all steps at once, in terms of stacks."""
        loop = self.loop
        known = {p: (x, True) for p, x in loop.items.items()} | {p: (x, False) for p, x in loop.steady.items()}
        return batched([node], known, loop.length)[0]

    # ---------------------------------------------------------------- after the loop
    def _cut(self, node: Tensor) -> list[Tensor]:
        """What has to be told so that a value can be computed outside."""
        movable, found, waiting = self._movable(), dict[Tensor, None](), [node]
        while waiting:
            x = waiting.pop()
            if x in movable:
                continue
            if x in self.core or not _can_be_batched(x):
                found[x] = None
            else:
                waiting += x.inputs
        return list(found)

    def _outside(self, node: Tensor, cut: Sequence[Tensor]) -> Tensor:
        """A value of the body for all steps at once, from the stacks of the ``cut``."""
        loop = self.loop
        here = {x: input("told", x.shape, x.dtype) for x in cut}
        (moved,) = substitute([node], here)
        known = {here[x]: (self._stack(x), True) for x in cut}
        known |= {p: (x, True) for p, x in loop.items.items()} | {p: (x, False) for p, x in loop.steady.items()}
        return batched([moved], known, loop.length)[0]

    def _stack(self, node: Tensor) -> Tensor:
        """What stands for the stacked values of a node that the loop tells."""
        if node not in self.stacks:
            self.stacks[node] = input("stack", (self.loop.length, *node.shape), node.dtype)
        return self.stacks[node]

    def _tell(self, own: list[Tensor]) -> list[Tensor]:
        """The stacks of these values: told by the loop, or made of others that it tells."""
        self.core = _reached(self.loop.carries)
        seen = Counter[Tensor]()
        for y in dict.fromkeys(own):
            if y in self.core and y.op is narrow:
                seen[y.inputs[0]] += elements(y)
        whole = {x for x, count in seen.items() if count >= elements(x) or x in own}
        parts = {y: y.inputs[0] for y in own if y.op is narrow and y.inputs[0] in whole}
        found = {y: self._outside(y, [parts[y]]) if y in parts else self._stack(y) for y in own if y in self.core}
        return [found[y] if y in found else self._sunk(y) for y in own]

    def _sunk(self, node: Tensor) -> Tensor:
        """The stack of a value that the loop itself does not need."""
        cut = self._cut(node)
        new = [x for x in cut if x not in self.stacks]
        return self._outside(node, cut) if sum(map(elements, new)) <= 2 * elements(node) else self._stack(node)

    def _sum(self) -> None:
        """Carries that only add up leave the loop."""
        loop = self.loop
        readers = consumers(toposort(loop.outputs))
        uses = Counter(loop.outputs)
        adding = {c.before: (c, _addends(c.before, c.after, readers, uses)) for c in loop.carries if _adds_up(c.first.dtype)}
        adding = {p: (c, shares) for p, (c, shares) in adding.items() if shares is not None}
        self.core = _reached([c for c in loop.carries if c.before not in adding])
        for p, (carry, shares) in adding.items():
            sums = [self._summed(x) for x in shares]
            if None not in sums:
                self.total[p] = reduce(ops.add, sums, carry.first)
        loop.carries = [c for c in loop.carries if c.before not in self.total]

    def _summed(self, node: Tensor) -> Tensor | None:
        """The sum of a value over all steps, or None where it is better added up on the way."""
        if node.op is not None and node.op.name in LINEAR:
            inner = self._summed(node.inputs[0])
            return None if inner is None else node.op.apply((inner,), node.attrs)
        if node.op is ops.matmul and all(x.ndim == 2 for x in node.inputs):
            return self._summed_product(*node.inputs)
        cut = self._cut(node)
        if node in cut or elements(node) > GROWTH * sum(map(elements, [*cut, *self.loop.items])):
            return None
        return ops.sum(self._outside(node, cut), axis=0)

    def _summed_product(self, a: Tensor, b: Tensor) -> Tensor | None:
        """The sum of products of matrices is one product, of all columns of the left beside one another and all rows of the right below."""
        left = a.inputs[0] if a.op is ops.transpose else ops.transpose(a)
        cuts = [self._cut(left), self._cut(b)]
        known = {*self.loop.items, *self.stacks}
        new = [x for x in dict.fromkeys([*cuts[0], *cuts[1]]) if x not in known]
        if sum(map(elements, new)) > GROWTH * elements(a) + elements(b):
            return None
        rows = self.loop.length * left.shape[0]
        tall = [ops.reshape(self._outside(x, cut), shape=(rows, x.shape[1])) for x, cut in zip((left, b), cuts, strict=True)]
        return ops.matmul(ops.transpose(tall[0]), tall[1])

    # ---------------------------------------------------------------- together again
    def _built(self, results: list[Tensor]) -> list[Tensor]:
        loop = self.loop
        read = set(toposort(results))
        loop.told = [node for node, stack in self.stacks.items() if stack in read]
        live = _live(loop, {p for p, last in self.last.items() if last in read})
        loop.carries = [c for c in loop.carries if c.before in live]
        if not loop.carries and not loop.told:
            return results
        stand_ins = [*(self.last[c.before] for c in loop.carries), *(self.stacks[x] for x in loop.told)]
        return substitute(results, dict(zip(stand_ins, loop.built(), strict=True)))


def _live(loop: Loop, wanted: set[Tensor]) -> set[Tensor]:
    """The carries that a result needs."""
    live = set(wanted)
    while True:
        reached = set(toposort([*loop.told, *(c.after for c in loop.carries if c.before in live)]))
        more = {c.before for c in loop.carries if c.before in reached} - live
        if not more:
            return live
        live |= more


def _reached(carries: Sequence[Carry]) -> set[Tensor]:
    """What these carries need, they themselves among it."""
    return {*toposort([c.after for c in carries]), *(c.before for c in carries)}


def _adds_up(dtype: DType) -> bool:
    """Whether a sum in another order is as good."""
    return dtypes.is_inexact(dtype) and dtypes.itemsize(dtype) >= 4


def _one_item(stack: Tensor) -> Tensor | None:
    """The item of a stack whose items are all the same."""
    (x,) = stack.inputs
    if x.ndim < stack.ndim:
        return ops.broadcast_to(x, shape=stack.shape[1:])
    if x.shape[0] == 1 and stack.shape[0] != 1:
        return ops.broadcast_to(ops.reshape(x, shape=x.shape[1:]), shape=stack.shape[1:])
    return None


def _can_be_batched(node: Tensor) -> bool:
    """Whether a node does as well on stacks, and cannot fail where no step is made."""
    op = node.op
    if op is None or op.raises or isinstance(node.type, Bundle) or op is ops.part or elements(node) > SMALL:
        return False
    return op.pointwise or op.batch is not None or op.expand is not None


def _addends(before: Tensor, after: Tensor, readers: dict[Tensor, list[Tensor]], uses: Counter[Tensor]) -> list[Tensor] | None:
    """What is added to a carry in each step, if nothing else is done with it."""
    if len(readers.get(before, ())) != 1 or before in uses:
        return None
    terms, waiting = list[Tensor](), [after]
    while waiting:
        x = waiting.pop()
        inside = x.op is ops.add and x.type is before.type and all(y.type is before.type for y in x.inputs)
        if inside and (x is after or (len(readers[x]) == 1 and x not in uses)):
            waiting += x.inputs[::-1]
        else:
            terms.append(x)
    if terms.count(before) != 1 or uses[after] != 1 or readers.get(after):
        return None
    terms.remove(before)
    return terms
