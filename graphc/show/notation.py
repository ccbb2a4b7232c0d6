"""The two notations of a formula, text and LaTeX, and what of a graph a formula shows.

Formulas write mathematics and not layout: broadcasts, inserted axes and reshapes that only add or drop axes of size 1 are left
out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, Final

from graphc.core import Bundle, Constant, Op, Tensor
from graphc.show.bodies import is_choice
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
    attribute: Callable[[str], str]
    number: Callable[[str], Form]
    indicator: str
    scale: str
    subscript: Callable[[str], str]
    call: str
    brackets: tuple[str, str]


def is_layout(node: Tensor) -> bool:
    """Whether the node only moves between shapes that a formula does not tell apart."""
    if node.op is None:
        return False
    if node.op.name == "part":
        return isinstance(node.inputs[0].type, Bundle) and len(node.inputs[0].type.parts) == 1 and not is_choice(node)
    if node.op.name == "reshape":
        return _without_ones(node) == _without_ones(node.inputs[0])
    return node.op.name in ("broadcast_to", "expand_dims")


def see_through(node: Tensor, stop: Container[Tensor] = ()) -> Tensor:
    """What is written in place of ``node``: itself, or what it spreads.  Nodes that have a name are not seen through."""
    while node not in stop and not node.label and is_layout(node):
        node = node.inputs[0]
    return node


def leaf_number(node: Tensor) -> str | None:
    """The number that every element of a constant is, in short; None for anything else."""
    if not isinstance(node, Constant) or node.uniform is None:
        return None
    return short_number(node.value.reshape(-1)[0])


def _without_ones(node: Tensor) -> tuple[Any, ...]:
    return tuple([size for size in node.shape if size != 1])


# ---------------------------------------------------------------- the two
def _text_number(text: str) -> Form:
    return Form(text, _number_level(text))


def _number_level(text: str) -> int:
    return SUM if _SIGN.search(text) else PRODUCT if text.startswith("-") else ATOM


_SIGN: Final = re.compile(r" ([+-]) ")


def _tex_number(text: str) -> Form:
    if _SIGN.search(text):
        real, sign, imaginary = _SIGN.split(text)
        return Form(f"{_tex_number(real).text} {sign} {_tex_number(imaginary).text}", SUM)
    if text.endswith("i"):
        factor = _tex_number(text[:-1]).text if text.strip("-") != "i" else text[:-1]
        return Form(rf"{factor}\mathrm{{i}}", _number_level(text))
    text = text.replace("∞", r"\infty")
    mantissa, _, exponent = text.partition("e")
    if text[-1].isdigit() and exponent:
        power = f"10^{{{exponent}}}"
        return Form(power, POWER) if mantissa == "1" else Form(rf"{mantissa} \cdot {power}", PRODUCT)
    return Form(rf"\mathrm{{{text}}}" if text.isalpha() else text, PRODUCT if text.startswith("-") else ATOM)


def _text_template(op: Op) -> str:
    return op.text


def _tex_template(op: Op) -> str:
    return op.tex


def _text_name(name: str) -> str:
    return name


def _tex_attribute(text: str) -> str:
    return re.sub(r"[^\W\d]\w*", lambda word: tex_name(word[0]), text)


def _text_subscript(axes: str) -> str:
    return axes.translate(_SUBSCRIPTS)


def _tex_subscript(axes: str) -> str:
    return f"_{{{axes}}}"


_SUBSCRIPTS: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
TEXT: Final = Notation(
    template=_text_template,
    name=_text_name,
    attribute=_text_name,
    number=_text_number,
    indicator="1[$x]",
    scale="$a * $b",
    subscript=_text_subscript,
    call="%s(%s)",
    brackets=("(", ")"),
)
TEX: Final = Notation(
    template=_tex_template,
    name=tex_name,
    attribute=_tex_attribute,
    number=_tex_number,
    indicator=r"\mathbb{1}[$x]",
    scale=r"$a \cdot $b",
    subscript=_tex_subscript,
    call=r"\operatorname{%s}(%s)",
    brackets=(r"\left(", r"\right)"),
)
