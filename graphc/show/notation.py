"""How one node is written over its operands: the op's template, with parentheses where mathematics needs them.

A `Form` is a piece of a formula together with what its surroundings have to know of it.  ``write`` joins the forms of the
operands to that of the node; it reads the op's record (``text``, ``tex``, ``binds``) and nothing else.

Formulas write mathematics and not layout: broadcasts, inserted axes and reshapes that only add or drop axes of size 1 are left
out, a cast of a condition is an indicator ``1[...]``, and ``a + -b`` is ``a - b``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from graphc.core import Constant, Op, Tensor
from graphc.show.names import short_number, tex_name

ATOM, POWER, PRODUCT, SUM, COMPARISON = range(5)
"""Levels of precedence, as ``Op.binds`` has them."""


@dataclass(frozen=True, slots=True)
class Form:
    """A piece of a formula.

    ``family`` is the kind of product that stands open in a product's text: ``matrix`` or ``element``, which do not associate with
    each other.  ``greedy``: it ends in the operand of a prefix such as ``Σ``, which would take in a factor to its right.
    """

    text: str
    level: int = ATOM
    family: str = ""
    greedy: bool = False


@dataclass(frozen=True, slots=True)
class Notation:
    """One way to write: ``TEXT`` for a terminal, ``TEX`` for a page."""

    template: Callable[[Op], str]
    name: Callable[[str], str]
    number: Callable[[str], Form]
    indicator: str
    scale: str
    subscript: Callable[[str], str]
    call: str
    brackets: tuple[str, str]


def write(node: Tensor, operands: Sequence[Form], notation: Notation) -> Form:
    """The form of an operator node, given those of its operands."""
    if is_layout(node):
        return operands[0]
    template = _template(node, notation)
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
    return Form("".join(texts), level, family or _inherited(level, inner), _greedy(node, literals) or (not literals[-1] and inner[-1].greedy))


def is_layout(node: Tensor) -> bool:
    """Whether the node only moves between shapes that a formula does not tell apart."""
    if node.op is None:
        return False
    if node.op.name == "reshape":
        return _without_ones(node) == _without_ones(node.inputs[0])
    return node.op.name in ("broadcast_to", "expand_dims")


def see_through(node: Tensor, stop: Container[Tensor] = ()) -> Tensor:
    """What is written in place of ``node``: itself, or what it spreads.  Nodes that have a name are not seen through."""
    while node not in stop and not node.label and is_layout(node):
        node = node.inputs[0]
    return node


def symbol(node: Tensor) -> str:
    """An operator node in one short word: ``+`` for a sum, ``Σ₀`` for one over an axis, else the op's name."""
    op = _op(node)
    literals, _ = split(_spelling(op, TEXT))
    middle = [literal.strip() for literal in literals]
    if len(middle) == 3 and not middle[0] and not middle[2] and middle[1]:
        return middle[1]
    prefix = len(middle) == 2 and middle[0] and not middle[1]
    return with_axis(middle[0] if prefix else op.name, node, TEXT)


def leaf_number(node: Tensor) -> str | None:
    """The number that every element of a constant is, in short; None for anything else."""
    if not isinstance(node, Constant) or node.uniform is None:
        return None
    return short_number(node.value.reshape(-1)[0])


# ---------------------------------------------------------------- templates
# What the op's own record does not say yet.
_SPELLED: Final = {"count": "$size", "getitem": "$x[$index]"}
_SLOT: Final = re.compile(r"\$([a-z_]\w*)", re.ASCII)


@cache
def split(template: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The literal pieces of a template and, between them, the names that stand for operands and attributes."""
    pieces = _SLOT.split(template)
    return tuple(pieces[::2]), tuple(pieces[1::2])


def _template(node: Tensor, notation: Notation) -> str:
    op = _op(node)
    if op.name == "cast" and node.inputs[0].dtype == "bool":
        return notation.indicator
    if _is_scale(node):
        return notation.scale if op.name == "multiply" else notation.template(op)
    if op.name == "transpose" and not _is_matrix_transpose(node):
        return notation.call % ("transpose", f"$x, {value_text(node.attrs[0])}")
    return _with_attributes(with_axis(_spelling(op, notation), node, notation), node, notation)


def _spelling(op: Op, notation: Notation) -> str:
    own = notation.template(op)
    return _SPELLED[op.name] if op.name in _SPELLED and op.name in own.replace("\\_", "_") else own


_HEAD: Final = re.compile(r"\\operatorname\{[^}]*\}|\\mathrm\{[^}]*\}|\\[a-zA-Z]+|[^\W\d]\w*|Σ")


def with_axis(template: str, node: Tensor, notation: Notation) -> str:
    """The template with the axes as a subscript of its head, where they are not the op's default."""
    axis = told(node).get("axis")
    head = _HEAD.match(template)
    if axis is None or head is None or "$axis" in template:
        return template
    axes = ",".join(map(str, axis)) if isinstance(axis, tuple) else str(axis)
    return head[0] + notation.subscript(axes) + template[head.end() :]


def _with_attributes(template: str, node: Tensor, notation: Notation) -> str:
    names = split(template)[1]
    extra = [f"{name}={value_text(value)}" for name, value in told(node).items() if name not in ("axis", "keepdims", "dtype", *names)]
    if not extra or not template.endswith(")"):
        return template
    more = ", ".join(notation.name(text) if notation is TEX else text for text in extra)
    return f"{template[:-1]}{', ' if node.inputs else ''}{more})"


def told(node: Tensor) -> dict[str, Any]:
    """The attributes of a node that are not what the op takes by default."""
    op = _op(node)
    types = tuple([x.type for x in node.inputs])
    given = op.keywords(node)
    return {name: value for name, value in given.items() if name not in op.defaults or op.attributes[name](op.defaults[name], types) != value}


def value_text(value: Any) -> str:
    """An attribute's value as it is read: ``(2, 3)``, ``batch``, ``1:3``."""
    if isinstance(value, tuple):
        items: list[str] = [value_text(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    return short_number(value) if isinstance(value, float) else str(value)


def _op(node: Tensor) -> Op:
    assert node.op is not None, f"{node!r} is a leaf"
    return node.op


def _without_ones(node: Tensor) -> tuple[Any, ...]:
    return tuple([size for size in node.shape if size != 1])


def _is_scale(node: Tensor) -> bool:
    """A multiple: a product or quotient of which one side is a number, which goes with any other product."""
    name, inputs = _op(node).name, node.inputs
    if name == "multiply":
        return any(_is_number(x) for x in inputs)
    return name == "divide" and _is_number(inputs[1])


def _is_number(node: Tensor) -> bool:
    return see_through(node).ndim == 0 or leaf_number(see_through(node)) is not None


def _is_matrix_transpose(node: Tensor) -> bool:
    axes, last = node.attrs[0], node.ndim - 1
    return axes in (tuple(range(last, -1, -1)), (*range(last - 1), last, last - 1))


# ---------------------------------------------------------------- precedence
@dataclass(frozen=True, slots=True)
class _Place:
    """Where an operand stands: what is before it, whether it ends the text, whether brackets or commas close it in."""

    before: str
    last: bool
    closed: bool


def _place(literals: tuple[str, ...], i: int) -> _Place:
    before, after = literals[i].rstrip(), literals[i + 1].lstrip()
    closed = before.endswith(("(", "[", "{", "|", ",", "⌊", "⌈")) and after.startswith((")", "]", "}", "|", ",", "⌋", "⌉"))
    return _Place(before, not after and i + 2 == len(literals), closed)


def _operand(node: Tensor, name: str, place: _Place, operands: Sequence[Form], family: str, notation: Notation) -> Form:
    op = _op(node)
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
    text = value_text(_op(node).keywords(node)[name])
    return Form(notation.name(text), SUM if " + " in text or " - " in text else PRODUCT if "*" in text else ATOM)


def _needs_brackets(node: Tensor, index: int, place: _Place, form: Form, family: str) -> bool:
    limit = _op(node).binds or COMPARISON
    if place.closed or _op(node).binds == ATOM:
        return False
    if limit <= PRODUCT and ((place.before and form.text.startswith("-")) or (form.greedy and not place.last)):
        return True
    if form.level != limit:
        return form.level > limit
    return _same_level(node, index, place, form, family)


def _same_level(node: Tensor, index: int, place: _Place, form: Form, family: str) -> bool:
    level = form.level
    if level == PRODUCT:
        mixed = form.family != family if family else _is_scale(node) and node.inputs[index].ndim == 0
        return place.before.endswith("/") or bool(form.family and mixed)
    if level == SUM:
        return place.before.endswith("-")
    return level == POWER or not _reads_on(node, node.inputs[index])


def _reads_on(node: Tensor, operand: Tensor) -> bool:
    """``a > b and c > d``, ``a and b and c`` need no brackets; other conditions of conditions do."""
    op, inner = _op(node), see_through(operand).op
    joins = len(op.operands) == 2 and op.name.startswith("logical_")
    return joins and inner is not None and (inner is op or not inner.name.startswith("logical_"))


def _family(node: Tensor) -> str:
    op = _op(node)
    if op.binds != PRODUCT or len(op.operands) != 2 or _is_scale(node):
        return ""
    return "matrix" if op.name == "matmul" else "element"


def _inherited(level: int, inner: Sequence[Form]) -> str:
    if level != PRODUCT:
        return ""
    return next((form.family for form in inner if form.family and not form.greedy), "")


def _greedy(node: Tensor, literals: tuple[str, ...]) -> bool:
    head = literals[0].rstrip()
    return _op(node).binds == PRODUCT and len(literals) == 2 and not literals[1] and bool(head) and not head.endswith(("-", "/"))


def _level(node: Tensor, template: str, places: Sequence[_Place]) -> int:
    if not places:
        return ATOM
    if not node.inputs:
        return _attribute(node, split(template)[1][0], TEXT).level
    if template.startswith("-"):
        return PRODUCT
    if not all(place.closed for place in places):
        return _op(node).binds
    # A fraction or an exponential is of one piece, but no base of a power.
    return POWER if not template.endswith((")", "]")) and (_op(node).binds or "^" in template) else ATOM


def _joined(before: str, text: str) -> tuple[str, str]:
    """``a + -b`` is ``a - b`` and ``a - -b`` is ``a + b``."""
    if text.startswith("-") and before.endswith(("+ ", "- ")):
        return before[:-2] + ("- " if before.endswith("+ ") else "+ "), text[1:]
    return before, text


# ---------------------------------------------------------------- the two notations
def _text_number(text: str) -> Form:
    return Form(text, PRODUCT if text.startswith("-") else ATOM)


def _tex_number(text: str) -> Form:
    text = text.replace("∞", r"\infty")
    mantissa, _, exponent = text.partition("e")
    if text[-1].isdigit() and exponent:
        power = f"10^{{{exponent}}}"
        return Form(power, POWER) if mantissa == "1" else Form(rf"{mantissa} \cdot {power}", PRODUCT)
    word = r"\mathrm{%s}" % text if text.isalpha() else text
    return Form(word, PRODUCT if text.startswith("-") else ATOM)


def _text_template(op: Op) -> str:
    return op.text


def _tex_template(op: Op) -> str:
    return op.tex


def _text_name(name: str) -> str:
    return name


def _text_subscript(axes: str) -> str:
    return axes.translate(_SUBSCRIPTS)


def _tex_subscript(axes: str) -> str:
    return f"_{{{axes}}}"


_SUBSCRIPTS: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
TEXT: Final = Notation(_text_template, _text_name, _text_number, "1[$x]", "$a * $b", _text_subscript, "%s(%s)", ("(", ")"))
TEX: Final = Notation(_tex_template, tex_name, _tex_number, r"\mathbb{1}[$x]", r"$a \cdot $b", _tex_subscript, r"\operatorname{%s}(%s)", (r"\left(", r"\right)"))
