"""Matching a pattern against a node. It goes as deep as the pattern and no deeper."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from graphc.core import Constant, Tensor
from graphc.core.pattern import Capture, Pattern, Var

Bound: TypeAlias = dict[str, Any]


def matches(pattern: Any, node: Tensor, bound: Bound | None = None) -> Iterator[Bound]:
    """Every way in which the pattern fits the node: the names with what they stand for. Commutative ops are tried both ways."""
    bound = bound or {}
    if isinstance(pattern, Var):
        yield from _variable(pattern, node, bound)
    elif not isinstance(pattern, Pattern):
        if is_literal(node, pattern):
            yield bound
    elif node.op is pattern.op:
        yield from _operation(pattern, node, bound)


def _variable(pattern: Var, node: Tensor, bound: Bound) -> Iterator[Bound]:
    if pattern.constant and not isinstance(node, Constant):
        return
    known = bound.get(pattern.name)
    if known is None:
        yield {**bound, pattern.name: node}
    elif known is node:
        yield bound


def _operation(pattern: Pattern, node: Tensor, bound: Bound) -> Iterator[Bound]:
    op = node.op
    assert op is not None
    inputs, operands = node.inputs, pattern.operands
    with_attributes = match_attributes(pattern, op.keywords(node), bound) if pattern.attributes else bound
    if with_attributes is None or len(operands) != len(inputs):
        return
    if _plausible(operands, inputs):
        yield from _operands(operands, inputs, with_attributes)
    if "commutative" in op.laws and inputs[0] is not inputs[1] and _plausible(operands, inputs[::-1]):
        yield from _operands(operands, inputs[::-1], with_attributes)


def _plausible(patterns: tuple[Any, ...], inputs: tuple[Tensor, ...]) -> bool:
    """A quick look at the operands' ops and at literals, since nearly every attempt fails there."""
    for pattern, x in zip(patterns, inputs, strict=True):
        kind = pattern.__class__
        if kind is Pattern:
            if pattern.op is not x.op:
                return False
        elif kind is not Var and not is_literal(x, pattern):
            return False
    return True


def _operands(patterns: tuple[Any, ...], inputs: tuple[Tensor, ...], bound: Bound) -> Iterator[Bound]:
    if not patterns:
        yield bound
        return
    for found in matches(patterns[0], inputs[0], bound):
        yield from _operands(patterns[1:], inputs[1:], found)


def match_attributes(pattern: Pattern, values: dict[str, Any], bound: Bound) -> Bound | None:
    """The names bound so far and those of captured attributes, or None where an attribute is another one."""
    for name, wanted in pattern.attributes.items():
        key, value = (wanted.name, values[name]) if isinstance(wanted, Capture) else ("", wanted)
        if not key and value != values[name]:
            return None
        if key and key in bound and bound[key] != value:
            return None
        bound = {**bound, key: value} if key else bound
    return bound


def is_literal(node: Tensor, literal: bool | int | float) -> bool:
    """Whether every element of the node is this number, a zero with the same sign. It sees through a broadcast."""
    if node.op is not None and node.op.name == "broadcast_to":
        node = node.inputs[0]
    if not isinstance(node, Constant) or not node.value.size:
        return False
    # The first element decides nearly always, and spares a walk over a big array.
    if node.value.item(0) != literal or not (node.value == literal).all():
        return False
    if literal != 0:
        return True
    if node.value.dtype.kind == "c":
        return math.copysign(1, literal) > 0 and not (np.signbit(node.value.real) | np.signbit(node.value.imag)).any()
    return bool((np.signbit(node.value.astype("float64")) == (math.copysign(1, literal) < 0)).all())
