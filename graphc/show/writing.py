"""How one node is written over its operands: its template, with brackets where mathematics needs them.

``fill`` joins the forms of the operands to that of the node; it reads the op's record (``text``, ``tex``, ``binds``) and the
literal text around each operand. Sums and products are not written so: they have an order of their own (``terms``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from graphc.core import Op, Tensor
from graphc.show.notation import ATOM, COMPARISON, JUXTAPOSED, POWER, PRODUCT, SUM, TEX, TEXT, Form, Notation, see_through
from graphc.show.template import op_of, split, template_of, value_text

_TALL: Final = (r"\frac", r"\sum", r"\prod", r"\left[", r"\begin")
"""What round brackets on a page have to grow for."""
_SUMS: Final = re.compile(r"(Σ|Π|\\sum|\\prod)(_\{[\d,]+\}|[₀-₉,]*)$")
"""Prefixes that take in a whole product without brackets."""


def wrapped(form: Form, limit: float, notation: Notation) -> str:
    """The text of a form as it stands among what binds as tightly as ``limit``."""
    return notation.bracketed(form.text) if form.level > limit else form.text


def fill(node: Tensor, operands: Sequence[Form], notation: Notation) -> Form:
    """The form of an operator node, given those of what stands between its brackets."""
    return fill_template(node, template_of(node, notation), operands, notation)


def fill_template(node: Tensor, template: str, operands: Sequence[Form], notation: Notation) -> Form:
    """The form of a node that is written by this template."""
    literals, slots = split(template)
    places = [_place(literals, i) for i in range(len(slots))]
    texts = [literals[0]]
    last = Form("")
    for place, name, literal in zip(places, slots, literals[1:], strict=True):
        last = _operand(node, name, place, operands, notation)
        texts[-1], text = _joined(texts[-1], last.text)
        texts += [text, literal]
    if notation is TEX and _is_call(literals) and any(tall in text for text in texts for tall in _TALL):
        texts[0], texts[-1] = texts[0].replace("(", r"\left("), texts[-1][:-1] + r"\right)"
    open_end = bool(slots) and not literals[-1] and not last.text.endswith((")", "}"))
    return Form("".join(texts), _level(node, template, places), open_end and (last.greedy or _greedy(op_of(node), literals)))


def _is_call(literals: tuple[str, ...]) -> bool:
    """Whether one pair of round brackets takes in all operands."""
    return literals[0].count("(") == 1 and literals[-1].endswith(")") and sum(map(_brackets, literals)) == 2


def _brackets(literal: str) -> int:
    return literal.count("(") + literal.count(")")


def _joined(before: str, text: str) -> tuple[str, str]:
    """``1 + -a`` is ``1 - a`` and ``1 - -a`` is ``1 + a``."""
    if text.startswith("-") and before.endswith(("+ ", "- ")):
        return before[:-2] + ("- " if before.endswith("+ ") else "+ "), text[1:]
    return before, text


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an operand stands: what is before it, whether a superscript follows, whether it ends the text, whether it is closed in."""

    before: str
    raised: bool
    last: bool
    closed: bool


def _place(literals: tuple[str, ...], i: int) -> _Place:
    before, after = literals[i].rstrip(), literals[i + 1].lstrip()
    closed = before.endswith(("(", "[", "{", "|", "‖", r"\lVert", ",", "⌊", "⌈", r"\lfloor", r"\lceil")) and after.startswith(
        (")", "]", "}", "|", "‖", r"\rVert", ",", "⌋", "⌉", r"\rfloor", r"\rceil", r"\right)")
    )
    return _Place(before, after.startswith(("^", "⁻", "⁺")), not after and i + 2 == len(literals), closed)


def _operand(node: Tensor, name: str, place: _Place, operands: Sequence[Form], notation: Notation) -> Form:
    op = op_of(node)
    if name not in op.operands:
        return _attribute(node, name, notation)
    if op.variadic:
        return Form(", ".join(form.text for form in operands))
    index = op.operands.index(name)
    form = operands[index]
    return Form(notation.bracketed(form.text)) if _needs_brackets(node, index, place, form) else form


def _attribute(node: Tensor, name: str, notation: Notation) -> Form:
    text = value_text(op_of(node).keywords(node)[name])
    return Form(notation.attribute(text), SUM if " + " in text or " - " in text else PRODUCT if "*" in text else ATOM)


def _needs_brackets(node: Tensor, index: int, place: _Place, form: Form) -> bool:
    op = op_of(node)
    limit = op.binds or COMPARISON
    if place.closed or op.binds == ATOM:
        return False
    if place.raised and form.level >= POWER:
        return True
    if limit <= PRODUCT and ((place.before and form.text.startswith("-")) or (form.greedy and not place.last)):
        return True
    if limit == PRODUCT and _SUMS.search(place.before):
        return form.level > PRODUCT
    if limit == PRODUCT and place.before[-1:].isalpha():  # of \log x
        return form.level >= JUXTAPOSED
    if form.level != limit:
        return form.level > limit
    return limit <= PRODUCT or not _reads_on(node, node.inputs[index])


def _reads_on(node: Tensor, operand: Tensor) -> bool:
    """``a > b and c > d``, ``a and b and c`` need no brackets; other conditions of conditions do."""
    op, inner = op_of(node), see_through(operand).op
    joins = len(op.operands) == 2 and op.name.startswith("logical_")
    return joins and inner is not None and (inner is op or not inner.name.startswith("logical_"))


def _greedy(op: Op, literals: tuple[str, ...]) -> bool:
    head = literals[0].rstrip()
    return op.binds == PRODUCT and len(literals) == 2 and not literals[1] and bool(head)


def _level(node: Tensor, template: str, places: Sequence[_Place]) -> float:
    if not places:
        return ATOM
    if not node.inputs:
        return _attribute(node, split(template)[1][0], TEXT).level
    if not all(place.closed for place in places):
        return ATOM if template.startswith(r"\left(") and template.endswith(r"\right)") else op_of(node).binds
    # A fraction or an exponential is of one piece, but no base of a power.
    return POWER if not template.endswith((")", "]")) and (op_of(node).binds or "^" in template) else ATOM
