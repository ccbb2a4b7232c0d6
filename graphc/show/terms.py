"""Terms: what a node is as a person would write it, in both notations at once.

A term is a scale times a body. Numbers and single values stand in front of a product, or below its line; a sum has its signs between its
terms, and does not begin with one where it can help it; there are brackets where mathematics needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from graphc.core import Bundle, Constant, Tensor
from graphc.core.sizes import Shape
from graphc.show.coefficient import MINUS_ONE, ONE, Factor, Scale, Writer, digits, number_scale
from graphc.show.names import short_number
from graphc.show.notation import JUXTAPOSED, POWER, PRODUCT, SUM, TEXT, Form, Notation, leaf_number
from graphc.show.writing import wrapped

Kind: TypeAlias = Literal["scalar", "piece", "matrix", "element", "sum"]
SHORT: Final = 30
"""Of how many characters a body at most goes onto the line of a fraction on a page; a longer one stands beside it."""


@dataclass(slots=True)
class Term:
    """A scale times a body: a product of ``items`` over ``over``, or the sum of ``terms``; nothing where the kind is ``scalar``.

    ``shape`` is that of what is written: of a column that a graph has as a row it has one axis.
    """

    scale: Scale
    kind: Kind
    shape: Shape
    items: tuple[Factor, ...] = ()
    over: tuple[Factor, ...] = ()
    terms: tuple[Term, ...] = ()
    _forms: dict[str, Form] = field(default_factory=dict[str, Form], compare=False, repr=False)

    def form(self, notation: Notation) -> Form:
        """The term as it is written."""
        found = self._forms.get(notation.beside)
        if found is None:
            found = self._forms[notation.beside] = _written(self, notation)
        return found

    @property
    def body(self) -> Term:
        """The term without its scale."""
        return self.scaled_to(ONE)

    def scaled_to(self, scale: Scale) -> Term:
        """The body with another scale."""
        return self if scale == self.scale else Term(scale, self.kind, self.shape, self.items, self.over, self.terms)

    def times(self, scale: Scale) -> Term:
        """The term times a scale."""
        return self.scaled_to(self.scale * scale)

    @property
    def factor(self) -> Factor:
        """The whole term as one factor of a product."""
        if self.scale == ONE and self.kind in ("piece", "matrix") and len(self.items) == 1:
            return self.items[0]
        return Factor.of(self.form)


def atom(write: Writer, shape: Shape) -> Term:
    """A term of one piece, which is written so."""
    return piece(Factor.of(write), shape)


def piece(factor: Factor, shape: Shape) -> Term:
    """A term of one factor."""
    return Term(Scale(factors=(factor,)), "scalar", ()) if shape == () else Term(ONE, "piece", shape, (factor,))


def shape_of(node: Tensor) -> Shape:
    """The shape of a value; of several results, which no product takes, one that is no single value's."""
    return (0,) if isinstance(node.type, Bundle) else node.shape


def leaf_term(node: Constant) -> Term:
    """A constant of equal elements: a number, unless it is one that does not go with others."""
    text = leaf_number(node)
    assert text is not None
    scale = number_scale(text, node.value.reshape(-1)[0]) if node.dtype != "bool" else None
    if scale is not None:
        return Term(scale, "scalar", ())
    return atom(lambda notation: notation.number(text), ())


# ---------------------------------------------------------------- how a term is written
def _written(term: Term, notation: Notation) -> Form:
    if term.scale is ONE and term.kind == "piece":
        return term.items[0].form(notation)
    if term.scale.unsigned is not ONE:
        term = upright(term)
    scale = term.scale
    if scale.above == 0:
        return Form("0")
    if term.kind == "scalar" and scale.bare == ONE and scale.below.numerator & (scale.below.numerator - 1) == 0:
        return notation.number(short_number(float(scale.above / scale.below)))
    above, below = abs(scale.above), scale.below
    front = [notation.number(digits(above))] if above != 1 else []
    front += [factor.form(notation) for factor in _calls_last(scale.factors)]
    under = [notation.number(digits(below))] if below != 1 else []
    under += [factor.form(notation) for factor in scale.divisors]
    body = _body(term, notation)
    form = _fraction(front, body, under, term, notation) if under or term.over else _beside(front, body, notation)
    if scale.above > 0:
        return form
    return Form(f"-{notation.bracketed(form.text) if form.level >= SUM else form.text}", PRODUCT, form.greedy)


def upright(term: Term) -> Term:
    """A difference with its terms exchanged, where that takes a minus off the front: (b - a) / n for -(a - b) / n."""
    if term.kind != "sum" or term.scale.above > 0 or all(part.scale.above > 0 for part in term.terms):
        return term
    parts = ordered([part.times(MINUS_ONE) for part in term.terms])
    return Term(term.scale.unsigned, "sum", term.shape, terms=tuple(parts))


def ordered(terms: Sequence[Term]) -> list[Term]:
    """A sum does not begin with a minus where it can help it, nor with a number before a multiple: 2 x + 2, but 1 - y."""
    first, second = terms[:2]
    if first.scale.above > 0 and not (_is_number(first) and second.scale.above > 0 and second.scale.above != second.scale.below):
        return list(terms)
    start = next((term for term in terms if term.scale.above > 0 and not _is_number(term)), first)
    return [start, *[term for term in terms if term is not start]]


def _is_number(term: Term) -> bool:
    return term.kind == "scalar" and term.scale.bare == ONE


def _calls_last(factors: Sequence[Factor]) -> list[Factor]:
    """Names and their powers before what is longer: 3 x² sin(x)."""
    return sorted(factors, key=lambda factor: not factor.form(TEXT).text[-1].isalnum())


def _body(term: Term, notation: Notation) -> Form | None:
    """The body without scale and divisors; None where there is none."""
    if term.kind == "sum":
        return _sum(term.terms, notation)
    if term.kind == "matrix":
        return _product([item.form(notation) for item in term.items], JUXTAPOSED, notation)
    if term.kind == "element" and term.items:
        return _product([item.form(notation) for item in term.items], PRODUCT, notation)
    return term.items[0].form(notation) if term.items else None


def _product(forms: Sequence[Form], level: float, notation: Notation) -> Form:
    if len(forms) == 1:
        return forms[0]
    limit = POWER if level == JUXTAPOSED else JUXTAPOSED
    last = len(forms) - 1
    texts = [_as_factor(form, limit, i == last, notation) for i, form in enumerate(forms)]
    text = _side_by_side(texts, notation) if level == JUXTAPOSED else notation.elementwise.join(texts)
    return Form(text, level, forms[-1].greedy and _ends_openly(forms[-1], texts[-1]))


def _as_factor(form: Form, limit: float, last: bool, notation: Notation) -> str:
    """A factor among others; what ends openly may be the last one without brackets."""
    if form.text.startswith("-") or (form.greedy and not last):
        return notation.bracketed(form.text)
    return form.text if form.greedy and form.level <= PRODUCT else wrapped(form, limit, notation)


def _ends_openly(form: Form, text: str) -> bool:
    return text == form.text


def _side_by_side(texts: Sequence[str], notation: Notation) -> str:
    found = texts[0]
    for text in texts[1:]:
        found += (notation.times if text[0] in "0123456789" else notation.beside) + text
    return found


def _beside(front: list[Form], body: Form | None, notation: Notation) -> Form:
    """Numbers and single values in front of a body."""
    if not front:
        return body or Form("1")
    if body is None:
        return _product(front, JUXTAPOSED, notation)
    if body.level == PRODUCT and not body.greedy:  # 2 a ⊙ b
        return Form(_side_by_side([*[_as_factor(form, POWER, False, notation) for form in front], body.text], notation), PRODUCT)
    return _product([*front, Form(body.text, POWER, body.greedy) if body.level == JUXTAPOSED else body], JUXTAPOSED, notation)


def _fraction(front: list[Form], body: Form | None, under: list[Form], term: Term, notation: Notation) -> Form:
    over = _product([factor.form(notation) for factor in term.over], PRODUCT, notation) if term.over else None
    below = _beside(under, over, notation)
    if notation.fraction is None:
        above = _beside(front, body, notation)
        # Σ a / n is the same, however it is read; a product of many factors is not.
        takes_in = above.greedy and (bool(term.over) or "Π" in above.text)
        text = notation.bracketed(above.text) if takes_in or above.level > PRODUCT else above.text
        return Form(f"{text} / {wrapped(below, POWER, notation)}", PRODUCT)
    # On a page a long body stands beside the fraction.
    if body is None or term.over or len(_text_of(term)) <= SHORT:
        above = _beside(front, body, notation)
        return Form(notation.fraction(above.text, below.text), POWER)
    fraction = Form(notation.fraction(_beside(front, None, notation).text, below.text))
    return _beside([fraction], body, notation)


def _text_of(term: Term) -> str:
    body = _body(term, TEXT)
    return body.text if body else ""


def _sum(terms: Sequence[Term], notation: Notation) -> Form:
    first, *rest = [term.form(notation) for term in terms]
    text = first.text
    for form in rest:
        sign, shown = signed(form, notation)
        text += f" {sign} {shown}"
    return Form(text, SUM)


def signed(form: Form, notation: Notation) -> tuple[str, str]:
    """The sign of a term of a sum, and the rest: sums and what begins with another sign in brackets."""
    negative = form.text.startswith("-")
    text = form.text[1:] if negative else form.text
    return "-" if negative else "+", notation.bracketed(text) if form.level >= SUM else text
