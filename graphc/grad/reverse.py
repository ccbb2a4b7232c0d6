"""Reverse mode: the gradient of a graph is a graph.

One sweep against the order of the graph. Each node adds up what its readers send it (its cotangent) and sends each input its
share: a pointwise op the cotangent times its partial derivative, every other op what its VJP says.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from graphc import ops
from graphc.core import Bundle, Op, Tensor, TensorType, collecting_paused, derived_from, dtypes, parts, toposort
from graphc.core.expr import Constant
from graphc.core.graph import ancestors_through
from graphc.grad.kinks import asked, asking, choices, guarded
from graphc.grad.mask import Masks

Kinks: TypeAlias = Literal["zero", "nan", "raise"]


class Flow:
    """What the edge from ``node.inputs[index]`` to ``node`` carries back.

    ``local`` is the partial derivative of a pointwise op, ``contribution`` what reaches the input, and ``cotangent`` the
    derivative of the whole with respect to ``node``: where that has several results, one for each. From one of them, a ``part``, the
    contribution is the share of that result.
    """

    __slots__ = ("contribution", "cotangent", "index", "local", "node")

    def __init__(
        self, node: Tensor, index: int, local: Tensor | int | None, contribution: Tensor, cotangent: Tensor | tuple[Tensor, ...]
    ) -> None:
        self.node, self.index, self.local, self.contribution, self.cotangent = node, index, local, contribution, cotangent


def carries(node: Tensor, index: int) -> bool:
    """Whether a gradient can pass from ``node`` to its input ``index``."""
    op = node.op
    if op is None or not (_has_gradient(node.type) and _has_gradient(node.inputs[index].type)):
        return False
    if op.reverse is not None or op is ops.part:
        return True
    return op.pointwise and op.partials[index] not in (None, 0)


@functools.cache
def _has_gradient(type: TensorType) -> bool:
    return any(map(_has_gradient, type.parts)) if isinstance(type, Bundle) else dtypes.is_inexact(type.dtype)


def or_zeros(share: Tensor | None, x: Tensor) -> Tensor:
    """A cotangent or tangent of ``x``; zeros where there is none."""
    return ops.zeros_like(x) if share is None else share


def scaled(g: Tensor, local: Tensor | int) -> Tensor:
    """``g * local``, without a product where that is 1 or -1."""
    if isinstance(local, int) and local in (1, -1):
        return g if local == 1 else -g
    return g * local


class Sweep:
    """One backward pass from the roots, each with its cotangent, to everything in ``wrt`` that they reach."""

    def __init__(self, roots: Sequence[tuple[Tensor, Tensor]], wrt: Sequence[Tensor], kinks: Kinks = "zero") -> None:
        order = toposort([y for y, _ in roots])
        self.kinks: Kinks = kinks
        self.active = ancestors_through(order, wrt, carries)
        self.cotangents: dict[Tensor, Tensor] = {}
        self.flows: list[Flow] = []
        self._masks = Masks()
        self._arriving: dict[Tensor, list[Any]] = {}
        for y, seed in roots:
            self._arriving.setdefault(y, []).append(seed)
        with asking(kinks), collecting_paused():
            for node in reversed(order):
                if node in self._arriving and node in self.active:
                    self._visit(node)

    def _visit(self, node: Tensor) -> None:
        with derived_from(node, gradient=True):
            shares = self._arriving.pop(node)
            if isinstance(node.type, Bundle):
                g: Any = self._of_parts(node, shares)
            else:
                self.cotangents[node] = g = self.met(node, shares)
            reached = [i for i, x in enumerate(node.inputs) if x in self.active and carries(node, i)]
            if reached and node.op is not None:
                self._send(node, node.op, g, reached)

    def met(self, node: Tensor, shares: list[Tensor]) -> Tensor:
        """The cotangent of a node, of what its readers send."""
        return functools.reduce(ops.add, shares)

    def _of_parts(self, node: Tensor, shares: list[Any]) -> tuple[Tensor, ...]:
        """The cotangent of each result, zeros where nobody asked; the shares come as ``(part, cotangent)``."""
        arrived: dict[Tensor, Tensor] = dict(shares)
        return tuple([or_zeros(arrived.get(result), result) for result in parts(node)])

    def _send(self, node: Tensor, op: Op, g: Any, reached: list[int]) -> None:
        if op is ops.part:
            self._arriving.setdefault(node.inputs[0], []).append((node, g))
            self._masks.send(node, 0)
            self.flows.append(Flow(node, 0, None, g, g))
            return
        y = parts(node) if isinstance(node.type, Bundle) else node
        shares = self._masks.shares(node, g, y) if op.reverse else None
        chosen = choices(node, op, *self._masks.safe(node, y), self.kinks) if op.choice else None
        for i in reached:
            if shares is not None and shares[i] is None:
                continue
            local = None if shares else local_derivative(node, op, i, self.kinks)
            share: Tensor = shares[i] if shares else self._pointwise(node, g, local)
            if op.pointwise and share.type is not node.inputs[i].type:
                share = ops.sum_to(share, node.inputs[i].shape)
            mask = self._masks.send(node, i)
            if mask is not None and self._masks.needed(node):
                share = ops.where(mask, share, 0)
            at = chosen[i] if chosen else None
            if at is not None:
                share = guarded(share, node, at if mask is None else ops.logical_and(mask, at), self.kinks)
            self._arriving.setdefault(node.inputs[i], []).append(share)
            self.flows.append(Flow(node, i, local, share, g))

    def _pointwise(self, node: Tensor, g: Tensor, local: Any) -> Tensor:
        if isinstance(local, int):
            return scaled(g, local)
        if dtypes.is_complex(local.dtype):
            local = ops.conj(local)
        mask = self._masks.of(node)
        share = local if _is_one(g) and local.type is g.type else g * local
        return share if mask is None else ops.where(mask, share, 0)


def local_derivative(node: Tensor, op: Op, index: int, kinks: Kinks) -> Any:
    """The partial derivative of a pointwise node with respect to an operand: a tensor, or the number that it is everywhere."""
    partial: Any = op.partials[index]
    if isinstance(partial, int):
        return partial
    attributes = op.keywords(node)
    value = partial(node, *node.inputs, **attributes)
    if op.kinks is None or kinks == "zero" or isinstance(value, int):
        return value
    return guarded(value, node, op.kinks(*node.inputs, **attributes), kinks)


def pullback(ys: Sequence[Tensor], cotangents: Sequence[Tensor], xs: Sequence[Tensor], kinks: Kinks | None = None) -> list[Tensor]:
    """The cotangents of ``xs`` given those of ``ys``; zeros for an x that no y depends on. Only inexact ys take part."""
    roots = [(y, g) for y, g in zip(ys, cotangents, strict=True) if dtypes.is_inexact(y.dtype)]
    found = Sweep(roots, xs, kinks or asked()).cotangents
    return [or_zeros(found.get(x), x) for x in xs]


def _is_one(g: Tensor) -> bool:
    """Whether this is the seed of a scalar, which no gradient needs to be multiplied by."""
    return isinstance(g, Constant) and g.uniform == 1
