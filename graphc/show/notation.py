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
JUXTAPOSED: Final = 1.5
"""The level of ``A B``, which binds tighter than ``A ⊙ B`` and ``a / b``."""


@dataclass(frozen=True, slots=True)
class Form:
    """A piece of a formula. ``greedy``: it ends in the operand of a prefix such as ``Σ``, which would take in a factor to its right."""

    text: str
    level: float = ATOM
    greedy: bool = False


@dataclass(frozen=True, slots=True)
class Notation:
    """One way to write: ``TEXT`` for a terminal, ``TEX`` for a page."""

    template: Callable[[Op], str]
    name: Callable[[str], str]
    attribute: Callable[[str], str]
    number: Callable[[str], Form]
    fraction: Callable[[str, str], str] | None
    """How a numerator and a denominator become one piece; None: with a slash."""
    exponent: Callable[[str], str]
    transposed: str
    beside: str
    """What is between two factors that stand side by side, and ``times`` between two where the second begins with a digit."""
    times: str
    elementwise: str
    ones: str
    indicator: str
    subscript: Callable[[str], str]
    index: Callable[[str], str]
    """Letters as indices, and what an indexed name, a sum over indices and a tensor given by its elements look like."""
    grouped: Callable[[str], str]
    sum_over: Callable[[str], str]
    elements: Callable[[str], str]
    call: str
    brackets: tuple[str, str]

    def bracketed(self, text: str) -> str:
        """The text in round brackets."""
        opening, closing = self.brackets
        return f"{opening}{text}{closing}"


def is_layout(node: Tensor) -> bool:
    """Whether the node only moves between shapes that a formula does not tell apart."""
    if node.op is None:
        return False
    if node.op.name == "part":
        return isinstance(node.inputs[0].type, Bundle) and len(node.inputs[0].type.parts) == 1 and not is_choice(node)
    if node.op.name == "reshape":
        return without_ones(node.shape) == without_ones(node.inputs[0].shape)
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


def without_ones(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """The sizes other than 1."""
    return tuple([size for size in shape if size != 1])


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


def _text_index(letters: str) -> str:
    return letters.translate(_INDICES)


def _text_exponent(digits: str) -> str:
    return digits.translate(_SUPERSCRIPTS)


def _tex_exponent(digits: str) -> str:
    return f"^{{{digits}}}" if len(digits) > 1 else f"^{digits}"


def _tex_fraction(above: str, below: str) -> str:
    return rf"\frac{{{above}}}{{{below}}}"


_SUBSCRIPTS: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_INDICES: Final = str.maketrans("ijklmnprst", "ᵢⱼₖₗₘₙₚᵣₛₜ")
_SUPERSCRIPTS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
TEXT: Final = Notation(
    template=_text_template,
    name=_text_name,
    attribute=_text_name,
    number=_text_number,
    fraction=None,
    exponent=_text_exponent,
    transposed="ᵀ",
    beside=" ",
    times=" · ",
    elementwise=" ⊙ ",
    ones="𝟏",
    indicator="1[$x]",
    subscript=_text_subscript,
    index=_text_index,
    grouped=_text_name,
    sum_over="Σ{} ".format,
    elements="[{}]".format,
    call="%s(%s)",
    brackets=("(", ")"),
)
TEX: Final = Notation(
    template=_tex_template,
    name=tex_name,
    attribute=_tex_attribute,
    number=_tex_number,
    fraction=_tex_fraction,
    exponent=_tex_exponent,
    transposed=r"^\top",
    beside=r" \, ",
    times=r" \cdot ",
    elementwise=r" \odot ",
    ones=r"\mathbf{1}",
    indicator=r"\mathbb{1}[$x]",
    subscript=_tex_subscript,
    index=_tex_subscript,
    grouped="{{{}}}".format,
    sum_over=r"\sum{} ".format,
    elements=r"\left[{}\right]".format,
    call=r"\operatorname{%s}(%s)",
    brackets=(r"\left(", r"\right)"),
)
NOTATIONS: Final = (TEXT, TEX)
"""Both, in the order in which a term is written in them."""
