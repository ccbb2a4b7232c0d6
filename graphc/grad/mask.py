"""Which elements of a cotangent can differ from 0, where a ``where`` above has cut the others off.

``where(c, f(x), 0)`` sends ``f`` a cotangent that is 0 off ``c``; but ``f`` may be undefined there, and ``0 * inf`` is NaN. So the
mask goes down with the cotangent, and every share ``g * f'(x)`` under it becomes ``where(mask, g * f'(x), 0)``. That is again a
``where``: differentiating the gradient masks it by the same rule, at every order.
"""

from __future__ import annotations

from graphc import ops
from graphc.core import Tensor, dtypes


class Masks:
    """For each node the mask of its cotangent: None where any element may be met by a reader that masks nothing."""

    def __init__(self) -> None:
        self._arriving: dict[Tensor, Tensor | None] = {}

    def of(self, node: Tensor) -> Tensor | None:
        """The mask of the node's cotangent, once all of its readers have sent theirs."""
        return self._arriving.get(node)

    def send(self, node: Tensor, index: int) -> None:
        """Pass the mask of ``node`` on to one of its inputs."""
        x = node.inputs[index]
        mask = self._through(node, index)
        if x not in self._arriving:
            self._arriving[x] = mask
            return
        known = self._arriving[x]
        self._arriving[x] = None if known is None or mask is None else ops.logical_or(known, mask)

    def _through(self, node: Tensor, index: int) -> Tensor | None:
        mask = self.of(node)
        if node.op is ops.where:
            return _reduced(_and(mask, _chosen(node, index)), node.inputs[index])
        if mask is None or node.op is None:
            return None
        if node.op.pointwise:
            return _reduced(mask, node.inputs[index])
        return _moved(mask, node, index) if _moves(node) else None


def _chosen(node: Tensor, index: int) -> Tensor:
    condition = node.inputs[0]
    chosen = condition if index == 1 else ops.logical_not(condition)
    return chosen if chosen.shape == node.shape else ops.broadcast_to(chosen, shape=node.shape)


def _and(mask: Tensor | None, chosen: Tensor) -> Tensor:
    return chosen if mask is None else ops.logical_and(mask, chosen)


def _reduced(mask: Tensor, x: Tensor) -> Tensor:
    if mask.shape == x.shape:
        return mask
    return ops.sum_to(ops.cast(mask, dtype="float32"), x.shape) > 0


def _moves(node: Tensor) -> bool:
    """Whether each element of the result comes from elements of one tensor, unscaled or with positive weights."""
    op = node.op
    if op is None or not op.linear or op.reverse is None:
        return False
    return op.variadic or sum(dtypes.is_float(x.dtype) for x in node.inputs) == 1


def _moved(mask: Tensor, node: Tensor, index: int) -> Tensor:
    assert node.op is not None
    assert node.op.reverse is not None
    weights = ops.cast(mask, dtype=node.dtype)
    return node.op.reverse(weights, node, *node.inputs, **node.op.keywords(node))[index] > 0
