"""Forward mode: how a graph's values move when its leaves do, as a graph.

One sweep along the order. A pointwise op sends on the sum of its partial derivatives times the tangents; an op with a JVP of its own
what that says; for every other op the VJP, which is linear in the cotangent, is transposed: ``J t`` is the derivative of
``u -> sum(t * (J^T u))``, whatever ``u`` is (the trick is Townsend's, 2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from graphc import ops
from graphc.core import Bundle, Op, Tensor, derived_from, dtypes, input, parts, toposort
from graphc.core.graph import ancestors_through
from graphc.grad.kinks import asked, asking, choices, guarded
from graphc.grad.reverse import Kinks, carries, local_derivative, or_zeros, pullback, scaled
from graphc.ops.shape import spread_to


def pushforward(ys: Sequence[Tensor], tangents: Mapping[Tensor, Tensor], kinks: Kinks | None = None) -> list[Tensor | None]:
    """The tangent of each y, given those of nodes below; None for a y that does not depend on them."""
    with asking(kinks or asked()):
        return _swept(ys, tangents, asked())


def tangents_of(ys: Sequence[Tensor], tangents: Mapping[Tensor, Tensor], kinks: Kinks | None = None) -> list[Tensor]:
    """As :func:`pushforward`, with zeros for a y that does not depend on the nodes."""
    return [or_zeros(t, y) for y, t in zip(ys, pushforward(ys, tangents, kinks), strict=True)]


def _swept(ys: Sequence[Tensor], tangents: Mapping[Tensor, Tensor], kinks: Kinks) -> list[Tensor | None]:
    order = toposort(ys)
    active = ancestors_through(order, tangents, carries)
    found: dict[Tensor, Any] = dict(tangents)
    for node in order:
        if node in active and node not in found and node.op is not None:
            with derived_from(node, gradient=True):
                found[node] = _tangent(node, node.op, [found.get(x) for x in node.inputs], kinks)
    return [found.get(y) for y in ys]


def _tangent(node: Tensor, op: Op, t: list[Any], kinks: Kinks) -> Any:
    if op is ops.part:
        return t[0][node.attributes["index"]]
    y: Any = parts(node) if isinstance(node.type, Bundle) else node
    chosen = choices(node, op, y, node.inputs, kinks)
    t = [tangent if tangent is None or at is None else guarded(tangent, node, at, kinks) for tangent, at in zip(t, chosen, strict=True)]
    if op.forward is not None:
        return op.forward(tuple(t), y, *node.inputs, **op.keywords(node))
    reached = [i for i, x in enumerate(t) if x is not None and carries(node, i)]
    if op.pointwise or op.reverse is None:
        return _sum([_pointwise(node, op, i, t[i], kinks) for i in reached], node)
    return _transposed(node, op, y, {i: t[i] for i in reached})


def _pointwise(node: Tensor, op: Op, index: int, t: Tensor, kinks: Kinks) -> Tensor:
    local = local_derivative(node, op, index, kinks)
    share = scaled(t, local)
    if dtypes.is_complex(share.dtype) and not dtypes.is_complex(node.dtype):
        share = ops.real(share)
    if share.dtype != node.dtype:
        share = ops.cast(share, dtype=node.dtype)
    return spread_to(share, node.shape)


def _sum(shares: list[Tensor], node: Tensor) -> Tensor:
    return reduce(ops.add, shares) if shares else ops.zeros_like(node)


def _transposed(node: Tensor, op: Op, y: Any, tangents: dict[int, Tensor]) -> Any:
    assert op.reverse is not None
    several = isinstance(node.type, Bundle)
    us = tuple([input("u", r.shape, r.dtype) if dtypes.is_inexact(r.dtype) else ops.zeros_like(r) for r in (y if several else (y,))])
    shares = op.reverse(us if several else us[0], y, *node.inputs, **op.keywords(node))
    sent = [(shares[i], t) for i, t in tangents.items() if shares[i] is not None]
    found = pullback([share for share, _ in sent], [t for _, t in sent], us)
    return tuple(found) if several else found[0]
