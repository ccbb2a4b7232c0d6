"""Which elements of a cotangent can differ from 0, where a ``where`` above has cut the others off.

``where(c, f(x), 0)`` sends ``f`` a cotangent that is 0 off ``c``; but ``f`` may be undefined there, and ``0 * inf`` is NaN. So the
mask goes down with the cotangent, and every share ``g * f'(x)`` under it becomes ``where(mask, g * f'(x), 0)``. That is again a
``where``: differentiating the gradient masks it by the same rule, at every order.

How a mask passes an op follows from the record. What a linear op adds up is found by its own VJP, of zeros and ones and at operands
that are ones, so that nothing cancels; what an op picks by value, by its VJP at these values. An op along axes takes what the mask has
anywhere along them, one of linear algebra what it has in each matrix, and any other op what it has at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from graphc import ops
from graphc.core import Bundle, Subgraph, Tensor, TensorType, close, dtypes, input, parts, substitute, toposort
from graphc.core.attributes import several
from graphc.ops.shape import spread_to

Mask: TypeAlias = Tensor | None
"""Where a cotangent may differ from 0; None: anywhere, and any element may be met by a reader that masks nothing."""

RISING = frozenset({"cumprod", "logcumsumexp", "recurrence"})
"""Ops that rise with their operands, so that their VJP at ones has no zeros but where nothing depends on anything."""
PICKING = frozenset({"cummax", "cummin", "max_at", "min_at", "sort", "top_k", "window_max"})
"""Ops whose results are elements of the operands: the VJP is made of shares from 0 to 1."""


class Masks:
    """The mask of each node's cotangent."""

    def __init__(self) -> None:
        self._arriving: dict[Tensor, Mask] = {}
        self._of_parts: dict[Tensor, dict[int, Mask]] = {}

    def of(self, node: Tensor) -> Mask:
        """The mask of the node's cotangent, once all of its readers have sent theirs; of one with several results: whether any has one."""
        if not isinstance(node.type, Bundle):
            return self._arriving.get(node)
        known = list(self._of_parts.get(node, {}).values())
        return None if not known or None in known else _either([_anywhere(mask) for mask in known if mask is not None])

    def send(self, node: Tensor, index: int) -> Mask:
        """Pass the mask of ``node`` on to one of its inputs, and return what was passed."""
        x = node.inputs[index]
        if node.op is ops.part:
            mask = self._of_parts.setdefault(x, {})[node.attributes["index"]] = self.of(node)
            return mask
        if self.of(node) is None and node.op is not ops.where:  # nearly always
            self._arriving[x] = None
            return None
        mask = self._through(node, index)
        self.meet(x, mask)
        return mask

    def meet(self, x: Tensor, mask: Mask) -> None:
        """One of the readers of ``x`` sends this mask."""
        known = self._arriving.get(x, mask)
        self._arriving[x] = None if known is None or mask is None else mask if known is mask else ops.logical_or(known, mask)

    def shares(self, node: Tensor, g: Any, y: Any) -> Sequence[Any]:
        """What the node's VJP gives for each operand, at safe ones; bodies mask what they return, or leave it out where nobody reads it."""
        op = node.op
        assert op is not None
        assert op.reverse is not None
        if op.name in _BODIES:
            return _of_masked_bodies(node, g, y, self._of_parts.get(node, {}))
        y, operands = self.safe(node, y)
        return op.reverse(g, y, *operands, **op.keywords(node))

    def safe(self, node: Tensor, y: Any) -> tuple[Any, Sequence[Tensor]]:
        """The node's result and operands, as its rules may read them.

        A VJP multiplies the cotangent, 0 off the mask, by operands which may hold an inf or a NaN there. Those of their elements that
        reach no result under the mask are a safe value instead.
        """
        op = node.op
        assert op is not None
        if self.of(node) is None or not (_has_structure(node) or op.group == "linalg"):
            return y, node.inputs
        met = [self._through(node, i) if dtypes.is_inexact(x.dtype) else None for i, x in enumerate(node.inputs)]
        operands = [
            x if mask is None else ops.where(mask, x, _safe(node, i)) for i, (x, mask) in enumerate(zip(node.inputs, met, strict=True))
        ]
        again = op.apply(tuple(operands), node.attrs)
        return parts(again) if isinstance(node.type, Bundle) else again, operands

    def needed(self, node: Tensor) -> bool:
        """Whether what the node's VJP gives has to be masked: not where elements only move."""
        return self.of(node) is not None and node.op is not None and not node.op.pointwise and not _moves(node)

    def _through(self, node: Tensor, index: int) -> Mask:
        mask, x = self.of(node), node.inputs[index]
        if node.op is ops.where:
            return _reduced(_and(mask, _chosen(node, index)), x)
        if mask is None or node.op is None:
            return None
        if node.op.pointwise or node.op.group == "complex_numbers":
            return _reduced(mask, x)
        if node.op is ops.matmul:
            return _of_factor(mask, node, index)
        masks = self._of_parts.get(node, {}) if isinstance(node.type, Bundle) else {0: mask}
        results = node.type.parts if isinstance(node.type, Bundle) else (node.type,)
        known = [masks.get(i) for i in range(len(results))]
        if _has_structure(node):
            ones = [ops.ones_like(v) if dtypes.is_inexact(v.dtype) else v for v in node.inputs]
            return _by_vjp(known, results, node, index, ones)
        if node.op.name in PICKING:
            return _by_vjp(known, results, node, index, node.inputs)
        if node.op.name == "checkpoint":
            return _through_body(node.attributes["body"], node.inputs, known, index)
        found = [_met(own, result, node, x) for own, result in zip(known, results, strict=True) if own is not None]
        return _either(found)


# ---------------------------------------------------------------- how a mask passes an op
def _either(masks: Sequence[Tensor]) -> Tensor:
    found = masks[0]
    for mask in masks[1:]:
        found = ops.logical_or(found, mask)
    return found


def _anywhere(mask: Tensor) -> Tensor:
    return ops.any(mask) if mask.ndim else mask


def _by_vjp(masks: Sequence[Mask], results: Sequence[TensorType], node: Tensor, index: int, at: Sequence[Tensor]) -> Tensor:
    """Where the VJP of the masks as zeros and ones is not 0; its coefficients at these operands are not negative."""
    op = node.op
    assert op is not None
    assert op.reverse is not None
    weights = [
        ops.zeros(r.shape, r.dtype) if mask is None else ops.cast(mask, dtype=r.dtype) for mask, r in zip(masks, results, strict=True)
    ]
    several = isinstance(node.type, Bundle)
    y = node if list(at) == list(node.inputs) else op.apply(tuple(at), node.attrs)
    g, result = (tuple(weights), parts(y)) if several else (weights[0], y)
    share = op.reverse(g, result, *at, **op.keywords(node))[index]
    return share > 0 if op.name in PICKING else ops.not_equal(share, 0)  # nothing is picked where nothing equals NaN, and 0 / 0 is NaN


def _met(mask: Tensor, result: TensorType, node: Tensor, x: Tensor) -> Tensor:
    """Where an op along axes, on matrices, or on everything at once may have taken what is under the mask."""
    assert node.op is not None
    if node.op.name == "scan":
        return _by_step(mask, node, x)
    if node.op.group == "linalg":
        return _by_matrix(mask, node, x)
    axis: Any = node.attributes.get("axis", node.attributes.get("axes"))
    if node.op.name == "sparse_softmax_crossentropy":
        axis = x.ndim - 1
    if axis is None:
        return spread_to(_anywhere(mask), x.shape)
    axes = several(axis)
    if result.ndim == x.ndim:
        return spread_to(ops.any(mask, axis=axes, keepdims=True), x.shape)
    return (
        spread_to(ops.expand_dims(mask, axis=axes), x.shape) if result.ndim == x.ndim - len(axes) else spread_to(_anywhere(mask), x.shape)
    )


def _by_matrix(mask: Tensor, node: Tensor, x: Tensor) -> Tensor:
    """The leading axes are a stack, and broadcast."""
    stack = max(max(v.ndim - 2, 0) for v in node.inputs)
    if x.ndim < 2 or mask.ndim < stack:
        return spread_to(_anywhere(mask), x.shape)
    met = ops.any(mask, axis=tuple(range(stack, mask.ndim))) if mask.ndim > stack else mask
    wide = ops.expand_dims(met, axis=(-2, -1))
    return _reduced(ops.broadcast_to(wide, shape=(*met.shape, *x.shape[-2:])), x)


def _by_step(mask: Tensor, node: Tensor, x: Tensor) -> Tensor:
    """An item of a loop's sequence reaches what its step returns, and without a carry nothing else."""
    attributes = node.attributes
    place = node.inputs.index(x)
    of_step = attributes["carries"] == 0 and place < attributes["sequences"] and node.inputs.count(x) == 1
    if not of_step:
        return spread_to(_anywhere(mask), x.shape)
    met = ops.any(mask, axis=tuple(range(1, mask.ndim))) if mask.ndim > 1 else mask
    return spread_to(ops.reshape(met, (x.shape[0], *[1] * (x.ndim - 1))), x.shape)


def _through_body(body: Subgraph, operands: Sequence[Tensor], masks: Sequence[Mask], index: int) -> Tensor:
    """The way down through the nodes of a body, as if it were written out."""
    stand_ins = [input("x", x.shape, x.dtype) for x in operands]
    outputs = body(*stand_ins)
    inner = Masks()
    for output, mask in zip(outputs, masks, strict=True):
        inner.meet(output, ops.zeros(output.shape, "bool") if mask is None else mask)
    for node in reversed(toposort(outputs)):
        for i in [i for i, x in enumerate(node.inputs) if _is_inexact(node) and _is_inexact(x)]:
            inner.send(node, i)
    found = inner.of(stand_ins[index])
    if found is None:
        return ops.zeros(operands[index].shape, "bool")
    return substitute([found], dict(zip(stand_ins, operands, strict=True)))[0]


def _is_inexact(x: Tensor) -> bool:
    return isinstance(x.type, Bundle) or dtypes.is_inexact(x.dtype)


def _of_factor(mask: Tensor, node: Tensor, index: int) -> Tensor:
    """A row of the left factor is met by its row of the product, a column of the right one by its column."""
    x, other = node.inputs[index], node.inputs[1 - index]
    if x.ndim == 1:
        return spread_to(_anywhere(mask), x.shape)
    met = mask if other.ndim == 1 else ops.any(mask, axis=-1 if index == 0 else -2)
    wide = ops.expand_dims(met, axis=-1 if index == 0 else -2)
    return _reduced(ops.broadcast_to(wide, shape=(*wide.shape[:-2], *x.shape[-2:])), x)


def _chosen(node: Tensor, index: int) -> Tensor:
    condition = node.inputs[0]
    chosen = condition if index == 1 else ops.logical_not(condition)
    return spread_to(chosen, node.shape)


def _and(mask: Mask, chosen: Tensor) -> Tensor:
    return chosen if mask is None else ops.logical_and(mask, chosen)


def _reduced(mask: Tensor, x: Tensor) -> Tensor:
    if mask.shape == x.shape:
        return mask
    return ops.sum_to(ops.cast(mask, dtype="float32"), x.shape) > 0


# ---------------------------------------------------------------- kinds of ops
def _linear(node: Tensor) -> bool:
    """Whether the op only adds multiples, none of them negative, of elements, or of products of elements of several operands."""
    op = node.op
    if op is None or op.reverse is None or op.group == "fft":
        return False
    names = op.operands * len(node.inputs) if op.variadic else op.operands
    return all(name in op.linear for name, x in zip(names, node.inputs, strict=False) if dtypes.is_inexact(x.dtype))


def _has_structure(node: Tensor) -> bool:
    """Whether the VJP at ones tells what depends on what."""
    return _linear(node) or (node.op is not None and node.op.name in RISING)


def _safe(node: Tensor, index: int) -> Any:
    """What an op may read in the place of what reaches no result: 0, but an identity for what is factorised or solved with."""
    op, x = node.op, node.inputs[index]
    assert op is not None
    if op.group != "linalg" or op.operands[index] in op.linear:
        return 0
    return ops.eye(x.shape[-2], x.shape[-1], dtype=x.dtype)


def _moves(node: Tensor) -> bool:
    """Whether each element of the result comes from elements of one tensor, whose values the VJP does not read."""
    op = node.op
    if op is None or not op.linear or op.reverse is None:
        return False
    return op is ops.concatenate or sum(dtypes.is_inexact(x.dtype) for x in node.inputs) == 1


# ---------------------------------------------------------------- bodies
_BODIES = {"checkpoint": ("body",), "cond": ("on_true", "on_false"), "scan": ("body",)}


def _of_masked_bodies(node: Tensor, g: Any, y: Any, masks: dict[int, Mask]) -> Sequence[Any]:
    """The shares of a loop, a branch or a call whose bodies send a mask with the cotangent of each result, and none for the unread.

    The carry of a loop is read by the next step, whatever the mask of the last one is.
    """
    op, attributes = node.op, dict(node.attributes)
    assert op is not None
    assert op.reverse is not None
    first: int = attributes["carries"] if op.name == "scan" else 0
    count = len(attributes[_BODIES[op.name][0]].outputs)
    known = {i: mask for i, mask in masks.items() if first <= i < count and mask is not None}
    unread = [i for i in range(first, count) if i not in masks]
    place = first + attributes["sequences"] if op.name == "scan" else len(node.inputs)
    leading = 1 if op.name == "cond" else 0
    for name in _BODIES[op.name]:
        attributes[name] = _masked(attributes[name], known, unread, place - leading, step=op.name == "scan")
    if op.name == "scan":
        attributes["sequences"] += len(known)
    operands = [*node.inputs[:place], *known.values(), *node.inputs[place:]]
    shares = op.reverse(g, y, *operands, **attributes)
    return [*shares[:place], *shares[place + len(known) :]]


def _masked(body: Subgraph, masks: dict[int, Tensor], unread: Sequence[int], place: int, step: bool) -> Subgraph:
    """The body with its results 0 off their masks, which become parameters from ``place`` on; of a step, an item of each."""
    own = [input(f"p{i}", p.shape, p.dtype) for i, p in enumerate(body.parameters)]
    given = {i: input("mask", mask.shape[1:] if step else mask.shape, "bool") for i, mask in masks.items()}
    outputs = body(*own)
    for i, mask in given.items():
        outputs[i] = ops.where(mask, outputs[i], 0) if dtypes.is_inexact(outputs[i].dtype) else outputs[i]
    for i in unread:
        outputs[i] = ops.zeros_like(outputs[i])
    return close([*own[:place], *given.values(), *own[place:]], outputs)[0]
