"""What values of a graph may be had from others of it: exponentials, as few as can be and by the quicker function, and masks.

The gradient of ``log(1 + exp(-|x|))``, the stable spelling of many losses, holds ``h = sigmoid(-|x|)``, which is 1/2 at most. So neither
``h * (1 - h)``, the slope of the sigmoid on both sides, nor ``1 - h``, the sigmoid on the right, cancels. Whether a graph has ``h`` no
pattern can see: it is a property of the whole graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from graphc.core import Constant, Tensor, derived_from, rebuild, toposort
from graphc.ops import abs, add, cast, divide, exp, exp2, greater, matmul, multiply, negative, relu, sigmoid, square, subtract, sum
from graphc.ops.pointwise import by_vectors, never_positive, sigmoid_slope
from graphc.rewrite.engine import Application
from graphc.rewrite.rule import rule
from graphc.rewrite.rules.common import x

ROUNDED: Final = frozenset([add, subtract, multiply, divide, square, matmul, sum])
"""Ops whose results are rounded. Of such an ``x`` half a unit in the last place is unknown, which ``exp`` turns into ``|x| / 2`` units."""


def share_exponentials(roots: Sequence[Tensor], backend: str = "numpy") -> list[Tensor]:
    """The roots with sigmoids and slopes made of the ``sigmoid(-|x|)`` that the graph has, and on NumPy ``exp2`` for ``exp``.

    Safety: rounding.
    """
    order = toposort(roots)
    shared = {_without_sign(node.inputs[0].inputs[0].inputs[0]) for node in order if _is_half(node)}
    changing = ((sigmoid, sigmoid_slope) if shared else ()) + ((exp,) if backend == "numpy" else ())
    places = [node for node in order if node.op in changing]
    return _remade(roots, order, places, lambda node, inputs: _from_shared(node, inputs, shared)) if places else list(roots)


@rule(greater(x, 0), safety="exact")
def mask_by_result(x: Tensor) -> Tensor:
    """``relu(x)`` is asked what would be asked of ``x``, which then need not be kept. Only where the graph has ``relu(x)`` anyway."""
    return greater(relu(x), 0)


def masks_by_results(roots: Sequence[Tensor]) -> list[Application]:
    """Where :func:`mask_by_result` is worth it. Whether a graph has ``relu(x)`` too, no pattern can see."""
    order = toposort(roots)
    rectified = {node.inputs[0] for node in order if node.op is relu}
    masks = [node for node in order if node.op is greater and node.inputs[0] in rectified and _is_zero(node.inputs[1])] if rectified else []
    found: list[Application] = []
    with derived_from() as line:
        for node in masks:
            line.goes_on_to(node)
            found.append(Application(mask_by_result, node, mask_by_result.body(node.inputs[0])))
    return found


def _remade(
    roots: Sequence[Tensor],
    order: Sequence[Tensor],
    places: Sequence[Tensor],
    remake: Callable[[Tensor, tuple[Tensor, ...]], Tensor],
) -> list[Tensor]:
    """The roots after each node at these places, in its turn, was made again from its new operands; lines and labels stay."""
    chosen, new = set(places), dict[Tensor, Tensor]()
    for node in order:
        if node in chosen:
            with derived_from(node):
                new[node] = found = remake(node, tuple([new.get(x, x) for x in node.inputs]))
            found.label = found.label or node.label
        elif not new.keys().isdisjoint(node.inputs):
            new[node] = rebuild(node, tuple([new.get(x, x) for x in node.inputs]))
    return [new.get(root, root) for root in roots]


def _is_zero(x: Tensor) -> bool:
    return isinstance(x, Constant) and x.uniform == 0


def _from_shared(node: Tensor, inputs: tuple[Tensor, ...], shared: set[Tensor]) -> Tensor:
    if node.op in (sigmoid, sigmoid_slope) and not _is_half(node) and _without_sign(node.inputs[0]) in shared:
        half = sigmoid(-abs(_without_sign(inputs[0])))
        return half * (1 - half) if node.op is sigmoid_slope else abs(cast(inputs[0] >= 0, dtype=node.dtype) - half)
    if node.op is exp and node.dtype == "float32" and by_vectors("exp2", node.dtype):
        scale, x = _scaled(inputs[0])
        if scale is not None and x.op in ROUNDED:
            return exp2(x * (scale * math.log2(math.e)))
    return rebuild(node, inputs)


def _scaled(x: Tensor) -> tuple[float | None, Tensor]:
    """The number that a tensor is multiplied by, where that costs a pass of its own, and the tensor."""
    if x.op is negative:
        return -1.0, x.inputs[0]
    if x.op is multiply:
        for scale, factor in (x.inputs, x.inputs[::-1]):
            if isinstance(scale, Constant) and scale.uniform is not None and factor.type is x.type:
                return float(scale.uniform), factor
    return None, x


def _is_half(node: Tensor) -> bool:
    return node.op is sigmoid and never_positive(node.inputs[0])


def _without_sign(x: Tensor) -> Tensor:
    return x.inputs[0] if x.op is negative else x
