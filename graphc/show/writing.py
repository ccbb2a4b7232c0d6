"""How one node is written over its operands: its template, with parentheses where mathematics needs them.

``write`` joins the forms of the operands to that of the node; it reads the op's record (``text``, ``tex``, ``binds``) and the
literal text around each operand. ``a + -b`` becomes ``a - b``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.core import Tensor
from graphc.show.bodies import written_as
from graphc.show.notation import ATOM, COMPARISON, POWER, PRODUCT, SUM, TEXT, Form, Notation, is_layout, see_through
from graphc.show.template import is_scale, op_of, split, template_of, value_text


def write(node: Tensor, operands: Sequence[Form], notation: Notation) -> Form:
    """The form of an operator node, given those of what stands between its brackets."""
    if is_layout(node):
        return operands[0]
    node = written_as(node)
    template = template_of(node, notation)
    literals, slots = split(template)
    places = [_place(literals, i) for i in range(len(slots))]
    family = _family(node)
    texts = [literals[0]]
    inner = [Form("")]
    for place, name, literal in zip(places, slots, literals[1:], strict=True):
        form = _operand(node, name, place, operands, family, notation)
        texts[-1], text = _joined(texts[-1], form.text)
        texts += [text, literal]
        inner.append(Form("") if place.closed else form)
    level = _level(node, template, places)
    return Form(
        "".join(texts), level, family or _inherited(level, inner), _greedy(node, literals) or (not literals[-1] and inner[-1].greedy)
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an operand stands: what is before it, whether it ends the text, whether brackets or commas close it in."""

    before: str
    last: bool
    closed: bool


def _place(literals: tuple[str, ...], i: int) -> _Place:
    before, after = literals[i].rstrip(), literals[i + 1].lstrip()
    closed = before.endswith(("(", "[", "{", "|", ",", "⌊", "⌈")) and after.startswith((")", "]", "}", "|", ",", "⌋", "⌉", r"\right)"))
    return _Place(before, not after and i + 2 == len(literals), closed)


def _operand(node: Tensor, name: str, place: _Place, operands: Sequence[Form], family: str, notation: Notation) -> Form:
    op = op_of(node)
    if name not in op.operands:
        return _attribute(node, name, notation)
    if op.variadic:
        return Form(", ".join(form.text for form in operands))
    index = op.operands.index(name)
    form = operands[index]
    if not _needs_brackets(node, index, place, form, family):
        return form
    opening, closing = notation.brackets
    return Form(f"{opening}{form.text}{closing}")


def _attribute(node: Tensor, name: str, notation: Notation) -> Form:
    text = value_text(op_of(node).keywords(node)[name])
    return Form(notation.attribute(text), SUM if " + " in text or " - " in text else PRODUCT if "*" in text else ATOM)


def _needs_brackets(node: Tensor, index: int, place: _Place, form: Form, family: str) -> bool:
    limit = op_of(node).binds or COMPARISON
    if place.closed or op_of(node).binds == ATOM:
        return False
    if limit <= PRODUCT and ((place.before and form.text.startswith("-")) or (form.greedy and not place.last)):
        return True
    if form.level != limit:
        return form.level > limit
    return _same_level(node, index, place, form, family)


def _same_level(node: Tensor, index: int, place: _Place, form: Form, family: str) -> bool:
    level = form.level
    if level == PRODUCT:
        mixed = form.family != family if family else is_scale(node) and node.inputs[index].ndim == 0
        return place.before.endswith("/") or bool(form.family and mixed)
    if level == SUM:
        return place.before.endswith("-")
    return level == POWER or not _reads_on(node, node.inputs[index])


def _reads_on(node: Tensor, operand: Tensor) -> bool:
    """``a > b and c > d``, ``a and b and c`` need no brackets; other conditions of conditions do."""
    op, inner = op_of(node), see_through(operand).op
    joins = len(op.operands) == 2 and op.name.startswith("logical_")
    return joins and inner is not None and (inner is op or not inner.name.startswith("logical_"))


def _family(node: Tensor) -> str:
    op = op_of(node)
    if op.binds != PRODUCT or len(op.operands) != 2 or is_scale(node):
        return ""
    return "matrix" if op.name == "matmul" else "element"


def _inherited(level: int, inner: Sequence[Form]) -> str:
    if level != PRODUCT:
        return ""
    return next((form.family for form in inner if form.family and not form.greedy), "")


def _greedy(node: Tensor, literals: tuple[str, ...]) -> bool:
    head = literals[0].rstrip()
    return op_of(node).binds == PRODUCT and len(literals) == 2 and not literals[1] and bool(head) and not head.endswith(("-", "/"))


def _level(node: Tensor, template: str, places: Sequence[_Place]) -> int:
    if not places:
        return ATOM
    if not node.inputs:
        return _attribute(node, split(template)[1][0], TEXT).level
    if template.startswith("-"):
        return PRODUCT
    if not all(place.closed for place in places):
        return ATOM if template.startswith(r"\left(") and template.endswith(r"\right)") else op_of(node).binds
    # A fraction or an exponential is of one piece, but no base of a power.
    return POWER if not template.endswith((")", "]")) and (op_of(node).binds or "^" in template) else ATOM


def _joined(before: str, text: str) -> tuple[str, str]:
    """``a + -b`` is ``a - b`` and ``a - -b`` is ``a + b``."""
    if text.startswith("-") and before.endswith(("+ ", "- ")):
        return before[:-2] + ("- " if before.endswith("+ ") else "+ "), text[1:]
    return before, text
