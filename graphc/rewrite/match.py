"""Matching a pattern against a node. It goes as deep as the pattern and no deeper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from graphc.core import Constant, Tensor
from graphc.core.pattern import Capture, Pattern, Var

Bound: TypeAlias = dict[str, Any]


def matches(pattern: Any, node: Tensor, bound: Bound | None = None) -> Sequence[Bound]:
    """Every way in which the pattern fits the node: the names with what they stand for. Commutative ops are tried both ways."""
    # Lists and no generators: there is seldom more than one way, and nearly always none.
    bound = bound or {}
    if isinstance(pattern, Var):
        return _variable(pattern, node, bound)
    if not isinstance(pattern, Pattern):
        return (bound,) if is_literal(node, pattern) else ()
    return operation(pattern, node, bound) if node.op is pattern.op else ()


def _variable(pattern: Var, node: Tensor, bound: Bound) -> Sequence[Bound]:
    if pattern.constant and not isinstance(node, Constant):
        return ()
    known = bound.get(pattern.name)
    if known is None:
        return ({**bound, pattern.name: node},)
    return (bound,) if known is node else ()


def operation(pattern: Pattern, node: Tensor, bound: Bound) -> Sequence[Bound]:
    """Every way in which a pattern that is an op fits a node of that op."""
    op = node.op
    assert op is not None
    inputs, operands = node.inputs, pattern.operands
    if len(operands) != len(inputs):
        return ()
    fits = _plausible(operands, inputs)
    swapped = inputs[::-1] if "commutative" in op.laws and inputs[0] is not inputs[1] else ()
    fits_swapped = bool(swapped) and _plausible(operands, swapped)
    if not (fits or fits_swapped):
        return ()
    known = match_attributes(pattern, node, bound) if pattern.attributes else bound
    if known is None:
        return ()
    found = _operands(operands, inputs, known) if fits else ()
    return (*found, *_operands(operands, swapped, known)) if fits_swapped else found


def _plausible(patterns: tuple[Any, ...], inputs: tuple[Tensor, ...]) -> bool:
    """Whether literals, constants and the operands' ops fit, which is quick to see, and where nearly every attempt fails."""
    for pattern, x in zip(patterns, inputs, strict=True):
        kind = pattern.__class__
        if kind is Pattern:
            if pattern.op is not x.op:
                return False
        elif kind is Var:
            if pattern.constant and not isinstance(x, Constant):
                return False
        elif not is_literal(x, pattern):
            return False
    return True


def _operands(patterns: tuple[Any, ...], inputs: tuple[Tensor, ...], bound: Bound) -> Sequence[Bound]:
    """Every way in which the operands fit that are plausible: variables get their values, and ops are looked into."""
    found: Sequence[Bound] = (bound,)
    for pattern, x in zip(patterns, inputs, strict=True):
        fit = _variable if pattern.__class__ is Var else operation if pattern.__class__ is Pattern else None
        if fit is not None:
            found = fit(pattern, x, found[0]) if len(found) == 1 else [new for one in found for new in fit(pattern, x, one)]
            if not found:
                break
    return found


def match_attributes(pattern: Pattern, node: Tensor, bound: Bound) -> Bound | None:
    """The names bound so far and those of captured attributes, or None where an attribute is another one."""
    op = node.op
    assert op is not None
    for name, wanted in pattern.attributes.items():
        value = node.attrs[op.attributes.index(name)]
        if not isinstance(wanted, Capture):
            if wanted != value:
                return None
        elif wanted.name not in bound:
            bound = {**bound, wanted.name: value}
        elif bound[wanted.name] != value:
            return None
    return bound


def is_literal(node: Tensor, literal: bool | int | float) -> bool:
    """Whether every element of the node is this number, a zero with the same sign. It sees through a broadcast."""
    if node.op is not None and node.op.name == "broadcast_to":
        node = node.inputs[0]
    if not isinstance(node, Constant) or not node.value.size:
        return False
    # The first element decides nearly always, and spares a walk over a big array.
    value = node.value
    first = value.item(0)
    if first != literal or not (value.size == 1 or (value == literal).all()):
        return False
    if literal != 0:
        return True
    if value.dtype.kind == "c":
        return math.copysign(1, literal) > 0 and not (np.signbit(value.real) | np.signbit(value.imag)).any()
    if value.size == 1:
        return math.copysign(1, first) == math.copysign(1, literal)
    return bool((np.signbit(value.astype("float64")) == (math.copysign(1, literal) < 0)).all())
