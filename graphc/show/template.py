"""The template by which one node is written: its op's, with the attributes that the reader has to know of."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, cast

from graphc.core import Op, Tensor, bodies
from graphc.show.bodies import shown_attributes
from graphc.show.names import short_number
from graphc.show.notation import TEXT, Notation

_SLOT: Final = re.compile(r"\$([a-z_]\w*)", re.ASCII)


@cache
def split(template: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The literal pieces of a template and, between them, the names that stand for operands and attributes."""
    pieces = _SLOT.split(template)
    return tuple(pieces[::2]), tuple(pieces[1::2])


def template_of(node: Tensor, notation: Notation) -> str:
    """What ``node`` is written as, with ``$name`` where an operand or an attribute stands."""
    op = op_of(node)
    if op.name == "cast" and node.inputs[0].dtype == "bool":
        return notation.indicator
    if op.name == "transpose" and not is_matrix_transpose(node):
        return notation.call % ("transpose", f"$x, {value_text(node.attrs[0])}")
    return _with_attributes(with_axis(notation.template(op), node, notation), node, notation)


_HEAD: Final = re.compile(r"\\operatorname\{[^}]*\}|\\mathcal\{[^}]*\}|\\mathrm\{[^}]*\}|\\[a-zA-Z]+|[^\W\d]\w*|Σ")


def with_axis(template: str, node: Tensor, notation: Notation) -> str:
    """The template with the axes as a subscript of its head, where they are not the op's default."""
    axis = told(node).get("axis")
    head = _HEAD.match(template)
    if axis is None or head is None or "$axis" in template:
        return template
    axes = ",".join(map(str, cast("tuple[int, ...]", axis))) if isinstance(axis, tuple) else str(axis)
    return head[0] + notation.subscript(axes) + template[head.end() :]


_UNSAID: Final = ("axis", "keepdims", "dtype", "length", "num_classes")
"""Attributes that stand elsewhere, or that the shape tells."""


def _with_attributes(template: str, node: Tensor, notation: Notation) -> str:
    names = split(template)[1]
    unsaid = () if bodies(node) else _UNSAID
    extra = [f"{name}={value_text(value)}" for name, value in told(node).items() if name not in (*names, *unsaid)]
    if not extra or not template.endswith(")"):
        return template
    more = ", ".join(notation.attribute(text) for text in extra)
    return f"{template[:-1]}{', ' if node.inputs else ''}{more})"


def told(node: Tensor) -> dict[str, Any]:
    """The attributes of a node that are not what the op takes by default."""
    op = op_of(node)
    types = tuple([x.type for x in node.inputs])
    given = op.keywords(node)
    if bodies(node):
        return _told_of_a_call(node)
    return {
        name: value for name, value in given.items() if name not in op.defaults or op.canonical[name](op.defaults[name], types) != value
    }


def _told_of_a_call(node: Tensor) -> dict[str, Any]:
    """Of a loop its length, if no sequence tells it, and whether it goes backwards; what it remembers is among its results."""
    unsaid = ("history", "length") if node.attributes.get("sequences") else ("history",)
    return {name: value for name, value in shown_attributes(node).items() if name not in unsaid and value not in (False, None)}


def value_text(value: Any) -> str:
    """An attribute's value as it is read: ``(2, 3)``, ``batch``, ``1:3``."""
    if isinstance(value, tuple):
        items = [value_text(item) for item in cast("tuple[Any, ...]", value)]
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    return short_number(value) if isinstance(value, float) else str(value)


def symbol(node: Tensor) -> str:
    """An operator node in one short word: ``+``, ``Σ₀`` for a sum over an axis; the op's name if it has no sign or a faint one."""
    op = op_of(node)
    literals, _ = split(TEXT.template(op))
    middle = [literal.strip() for literal in literals]
    if len(middle) == 3 and not middle[0] and not middle[2] and middle[1]:
        return op.name if middle[1] == "·" else middle[1]
    prefix = len(middle) == 2 and middle[0] and not middle[1] and middle[0] != "-"
    return with_axis(middle[0] if prefix else op.name, node, TEXT)


def op_of(node: Tensor) -> Op:
    """The op of an operator node."""
    assert node.op is not None, f"{node!r} is a leaf"
    return node.op


def is_matrix_transpose(node: Tensor) -> bool:
    """Whether a ``transpose`` exchanges the last two axes, or reverses all of them."""
    axes, last = node.attrs[0], node.ndim - 1
    return axes in (tuple(range(last, -1, -1)), (*range(last - 1), last, last - 1))
