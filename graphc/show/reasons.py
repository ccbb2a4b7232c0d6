"""Why a step back over one operation is what it is, in a few words, by what the op's record says of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from graphc.core import Op, Tensor, bodies, input, toposort
from graphc.show.notation import is_layout
from graphc.show.template import op_of

_FACTOR: Final = "product rule: times what this factor is multiplied by"
_OTHER: Final = "chain rule: the operation's own vector-Jacobian product"
_Fits = Callable[[Tensor, int, Any, Collection[Tensor]], bool]
_KINDS: Final[tuple[tuple[_Fits, str], ...]] = (
    (lambda node, index, local, read: isinstance(local, int) and local == 1, "sum rule: it changes as much as this term"),
    (lambda node, index, local, read: isinstance(local, int) and local == -1, "sum rule: it changes as much as this term, the other way"),
    (
        lambda node, index, local, read: local is not None and _is_straight(node, index),
        _FACTOR,
    ),
    (lambda node, index, local, read: local is not None, "chain rule, element by element: times the slope"),
    (lambda node, index, local, read: _is_choice(node, index), "a choice: back to what was chosen"),
    (lambda node, index, local, read: _is_factor(node, index, read), "product rule: times the other factor, transposed"),
    (lambda node, index, local, read: op_of(node).view or is_layout(node), "elements only move: their derivatives move back"),
    (lambda node, index, local, read: _is_total(op_of(node)), "linear: each element has its share in the total"),
    (lambda node, index, local, read: _is_linear(op_of(node), index), "linear: back through the transposed map"),
)
"""What tells a kind of step from the others, and its reason; the first that fits."""


def reason(node: Tensor, index: int, local: Any, read: Collection[Tensor]) -> str:
    """Why the share of operand ``index`` is what it is.

    ``local`` is the partial derivative of a pointwise op, and ``read`` the operands that the share is made of.
    """
    if bodies(node):
        loops = "carries" in op_of(node).attributes
        return "a loop: its derivative is a loop that runs backwards" if loops else "a call: back through what it does"
    words = next((words for fits, words in _KINDS if fits(node, index, local, read)), _OTHER)
    note = op_of(node).kink_note
    return f"{words}; where it has none: {note}" if note else words


def repeated(node: Tensor, x: Tensor) -> str:
    """What broadcasting adds: the axes along which ``x`` is repeated; nothing where it is not."""
    if not (op_of(node).pointwise or is_layout(node)) or x.size == node.size:
        return ""
    extra = node.ndim - x.ndim
    axes = [str(i) for i in range(node.ndim) if i < extra or (x.shape[i - extra] == 1 and node.shape[i] != 1)]
    return f"repeated along {'axis' if len(axes) == 1 else 'axes'} {', '.join(axes)}, so summed over {'it' if len(axes) == 1 else 'them'}"


def _is_straight(node: Tensor, index: int) -> bool:
    """Whether a pointwise op is linear in this operand: whether its partial derivative depends on the other ones alone."""
    op = op_of(node)
    partial: Any = op.partials[index]
    if not callable(partial):
        return True
    y, *xs = [input("x", x.shape, x.dtype) for x in (node, *node.inputs)]
    found: Any = partial(y, *xs, **op.keywords(node))
    return not isinstance(found, Tensor) or not {y, xs[index]} & set(toposort([found]))


def _is_factor(node: Tensor, index: int, read: Collection[Tensor]) -> bool:
    """Whether the op is linear in this operand and in another one, which multiplies it."""
    op = op_of(node)
    if op.variadic:
        return _is_linear(op, index) and any(x in read for i, x in enumerate(node.inputs) if i != index)
    others = [x for name, x in zip(op.operands, node.inputs, strict=False) if name in op.linear and name != op.operands[index]]
    return op.operands[index] in op.linear and any(x in read for x in others)


def _is_choice(node: Tensor, index: int) -> bool:
    return _is_linear(op_of(node), index) and any(x.dtype == "bool" for x in node.inputs)


def _is_linear(op: Op, index: int) -> bool:
    return op.operands[0 if op.variadic else index] in op.linear


def _is_total(op: Op) -> bool:
    return bool(op.linear) and "axis" in op.attributes and "keepdims" in op.attributes
