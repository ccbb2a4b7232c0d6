"""Which elements of a cotangent can differ from 0, where a ``where`` above has cut the others off.

``where(c, f(x), 0)`` sends ``f`` a cotangent that is 0 off ``c``; but ``f`` may be undefined there, and ``0 * inf`` is NaN. So the
mask goes down with the cotangent, and every share ``g * f'(x)`` under it becomes ``where(mask, g * f'(x), 0)``. That is again a
``where``: differentiating the gradient masks it by the same rule, at every order.
"""

from __future__ import annotations

from graphc import ops
from graphc.core import Bundle, Tensor, dtypes


class Masks:
    """For each node the mask of its cotangent: None where any element may be met by a reader that masks nothing."""

    def __init__(self) -> None:
        self._arriving: dict[Tensor, Tensor | None] = {}

    def of(self, node: Tensor) -> Tensor | None:
        """The mask of the node's cotangent, once all of its readers have sent theirs."""
        return self._arriving.get(node)

    def send(self, node: Tensor, index: int) -> Tensor | None:
        """Pass the mask of ``node`` on to one of its inputs, and return what was passed."""
        x = node.inputs[index]
        mask = self._through(node, index)
        if x not in self._arriving:
            self._arriving[x] = mask
        else:
            known = self._arriving[x]
            self._arriving[x] = None if known is None or mask is None else ops.logical_or(known, mask)
        return mask

    def cleaned(self, node: Tensor) -> tuple[Tensor, ...]:
        """The operands as the node's VJP may read them: 0 where they reach the result in no element under the mask.

        A product of matrices multiplies the cotangent, 0 there, by the other operand, which may hold an inf or a NaN.
        """
        if self.of(node) is None or node.op is not ops.matmul:
            return node.inputs
        masks = [self._through(node, i) for i in range(2)]
        return tuple([x if mask is None else ops.where(mask, x, 0) for x, mask in zip(node.inputs, masks, strict=True)])

    def needed(self, node: Tensor) -> bool:
        """Whether what the node's VJP gives has to be masked: not where elements only move."""
        return self.of(node) is not None and node.op is not None and not node.op.pointwise and not _moves(node)

    def _through(self, node: Tensor, index: int) -> Tensor | None:
        mask, x = self.of(node), node.inputs[index]
        if node.op is ops.where:
            return _reduced(_and(mask, _chosen(node, index)), x)
        if mask is None or node.op is None:
            return None
        if node.op is ops.part or isinstance(node.type, Bundle):
            return mask if node.op is ops.part and mask.shape == () else _anywhere(mask, x)
        if node.op.pointwise:
            return _reduced(mask, x)
        if _moves(node):
            return _moved(mask, node, index)
        if node.op is ops.matmul:
            return _of_factor(mask, node, index)
        return _anywhere(mask, x)


def _anywhere(mask: Tensor, x: Tensor) -> Tensor:
    """True in all of ``x`` if the mask is True anywhere: any element of the result may depend on any of ``x``."""
    found = ops.any(mask) if mask.ndim else mask
    return ops.broadcast_to(found, shape=x.shape) if x.shape else found


def _of_factor(mask: Tensor, node: Tensor, index: int) -> Tensor:
    """A row of the left factor is met by its row of the product, a column of the right one by its column."""
    x, other = node.inputs[index], node.inputs[1 - index]
    if x.ndim == 1:
        return _anywhere(mask, x)
    met = mask if other.ndim == 1 else ops.any(mask, axis=-1 if index == 0 else -2)
    wide = ops.expand_dims(met, axis=-1 if index == 0 else -2)
    return _reduced(ops.broadcast_to(wide, shape=(*wide.shape[:-2], *x.shape[-2:])), x)


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
    return op is ops.concatenate or sum(dtypes.is_inexact(x.dtype) for x in node.inputs) == 1


def _moved(mask: Tensor, node: Tensor, index: int) -> Tensor:
    assert node.op is not None
    assert node.op.reverse is not None
    weights = ops.cast(mask, dtype=node.dtype)  # 0 and 1, so that what arrives is 0 where nothing under the mask is met
    return ops.not_equal(node.op.reverse(weights, node, *node.inputs, **node.op.keywords(node))[index], 0)
