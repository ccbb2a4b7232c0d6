"""Terms: what a node is as a person would write it, in both notations at once.

Sums are flat and collect equal terms; numbers and single values stand in front of a product, or below its line, and leave linear
operations; a product of matrices is a chain, whose transpose is the chain of the transposes in reverse; a tensor of one axis is a
column. Everything else is written by its op's template. What is equal by these laws of algebra is written alike; nothing is
assumed of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from graphc.core import OPS, Bundle, Constant, Tensor, sizes
from graphc.core.errors import ShapeError
from graphc.core.sizes import Shape
from graphc.show.bodies import written_as
from graphc.show.coefficient import MINUS_ONE, ONE, Factor, Scale, Writer, digits, merged, number_scale, size_scale
from graphc.show.names import short_number
from graphc.show.notation import (
    ATOM,
    JUXTAPOSED,
    POWER,
    PRODUCT,
    SUM,
    TEXT,
    Form,
    Notation,
    is_layout,
    leaf_number,
    without_ones,
)
from graphc.show.template import is_matrix_transpose, op_of, split
from graphc.show.writing import fill, wrapped

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


class Operand(NamedTuple):
    """What stands in an operand's place: the ``node`` itself, the ``core`` that it spreads, and the core's term."""

    node: Tensor
    core: Tensor
    term: Term


def term_of(node: Tensor, operands: Sequence[Operand]) -> Term:
    """An operator node as a term of its operands'."""
    if is_layout(node):
        return oriented(Operand(node, operands[0].core, operands[0].term))
    node = written_as(node)
    operands = [standing(x) for x in operands]
    rule = _RULES.get(op_of(node).name)
    found = rule(node, operands) if rule else None
    return found or _by_template(node, operands)


def standing(x: Operand) -> Operand:
    """A row that the graph takes for a vector is its transpose, a column."""
    return x._replace(term=oriented(x), core=x.node) if x.node.ndim == 1 and len(x.term.shape) == 2 else x


# ---------------------------------------------------------------- how a term is written
def _written(term: Term, notation: Notation) -> Form:
    if term.scale is ONE and term.kind == "piece":
        return term.items[0].form(notation)
    if term.scale.unsigned is not ONE:
        term = _upright(term)
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


def _upright(term: Term) -> Term:
    """A difference with its terms exchanged, where that takes a minus off the front: (b - a) / n for -(a - b) / n."""
    if term.kind != "sum" or term.scale.above > 0 or all(part.scale.above > 0 for part in term.terms):
        return term
    parts = _ordered([part.times(MINUS_ONE) for part in term.terms])
    return Term(term.scale.unsigned, "sum", term.shape, terms=tuple(parts))


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


# ---------------------------------------------------------------- layout, columns and rows
def oriented(x: Operand) -> Term:
    """The operand's term as the matrix, column or single value that its node is: a core of one axis is a column."""
    chain = [x.node]
    while chain[-1] is not x.core:
        chain.append(chain[-1].inputs[0])
    found = aligned(x.term, x.core.shape)
    for after in reversed(chain[:-1]):
        found = (_repeated if op_of(after).name == "broadcast_to" else aligned)(found, after.shape)
    return found


def aligned(term: Term, shape: Shape) -> Term:
    """The term as a matrix of this shape, where it is one but for axes of size 1."""
    if term.shape == shape or len(shape) > 2 or len(term.shape) > 2 or without_ones(term.shape) != without_ones(shape):
        return term
    if shape == () or term.shape == ():
        return _as_scalar(term) if shape == () else term
    is_row = _is_row(term.shape)
    return replace_shape(term, shape) if is_row == _is_row(shape) else _turned(term, shape)


def _is_row(shape: Shape) -> bool:
    return len(shape) == 2 and shape[0] == 1 and shape[1] != 1


def _is_column(shape: Shape) -> bool:
    return len(shape) == 2 and shape[1] == 1 and shape[0] != 1


def replace_shape(term: Term, shape: Shape) -> Term:
    """The same term, taken for one of this shape."""
    return Term(term.scale, term.kind, shape, term.items, term.over, term.terms)


def _repeated(term: Term, shape: Shape) -> Term:
    """The term along the axes that a broadcast adds: rows and columns of ones beside it."""
    if len(shape) > 2 or len(term.shape) > 2:
        return term
    if len(shape) == 2 and len(term.shape) == 1:  # it lies along the last axis
        term = _turned(term, (1, term.shape[0])) if term.shape[0] != 1 else term
    if len(term.shape) != 2 or len(shape) != 2 or term.shape == shape:
        return term
    down, along = term.shape[0] != shape[0], term.shape[1] != shape[1]
    items = [*([_ONES] if down else []), *_chain(term), *([replace(_ONES, turned=True)] if along else [])]
    return Term(term.scale, "matrix", shape, tuple(items))


_ONES: Final = Factor.of(lambda notation: Form(notation.ones))
_IDENTITY: Final = Factor.of(lambda notation: Form("I"))


def _ones(term: Term, shape: Shape) -> Term:
    """A single value as a whole matrix or vector of it."""
    if without_ones(shape) == ():
        return term
    if len(shape) == 1 or shape[1] == 1:
        items: tuple[Factor, ...] = (_ONES,)
    else:
        row = replace(_ONES, turned=True)
        items = (row,) if shape[0] == 1 else (_ONES, row)
    return Term(term.scale, "matrix", shape, items)


def _turned(term: Term, shape: Shape) -> Term:
    """The transpose."""
    if term.kind == "scalar":
        return replace_shape(term, shape)
    items = term.items if term.kind in ("matrix", "piece") else (term.body.factor,)
    found = tuple([replace(item, turned=not item.turned) for item in reversed(items)])
    return Term(term.scale, "matrix" if len(found) > 1 else "piece", shape, found)


def _as_scalar(term: Term) -> Term:
    """A term of a single value: all of it is in the scale."""
    if term.kind == "scalar":
        return term
    return Term(term.scale * Scale(factors=(term.body.factor,)), "scalar", ())


def _is_scalar(term: Term) -> bool:
    return term.kind == "scalar" or without_ones(term.shape) == ()


def _chain(*terms: Term) -> tuple[Factor, ...]:
    """The factors of a product of matrices; the identity is one where there is no other."""
    found = _factors(*terms)
    return tuple([factor for factor in found if factor != _IDENTITY]) or found[:1]


def _factors(*terms: Term) -> tuple[Factor, ...]:
    """The factors of the terms, one after the other."""
    found: list[Factor] = []
    for term in terms:
        if term.kind != "scalar":
            found += term.items if term.kind in ("matrix", "piece") else (term.body.factor,)
    return tuple(found)


# ---------------------------------------------------------------- products
def _matmul(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    x, y = operands
    if x.node.ndim > 2 or y.node.ndim > 2:
        items = _factors(x.term, y.term)  # of a stack the identity may be another matrix in each place
        return Term(x.term.scale * y.term.scale, "matrix", node.shape, items) if len(items) > 1 else None
    a, b = _as_row(x), _as_matrix(y)
    scale, items = a.scale * b.scale, _chain(a, b)
    if not items:
        return Term(scale, "scalar", ())
    shape = (x.node.shape[0] if x.node.ndim == 2 else 1, y.node.shape[1] if y.node.ndim == 2 else 1)
    found = Term(scale, "matrix" if len(items) > 1 else "piece", shape, items)
    return aligned(found, node.shape)


def _as_row(x: Operand) -> Term:
    """The left factor: of one axis it is a row."""
    found = _as_matrix(x)
    return _turned(found, (1, x.node.shape[0])) if x.node.ndim == 1 else found


def _as_matrix(x: Operand) -> Term:
    found = _upright(oriented(x))
    return _ones(found, x.node.shape) if _is_scalar(found) else found


def _multiply(node: Tensor, operands: Sequence[Operand]) -> Term:
    a, b = operands[0].term, operands[1].term
    if _is_scalar(a):
        return b.scaled_to(_as_scalar(a).scale * b.scale)
    if _is_scalar(b):
        return a.times(_as_scalar(b).scale)
    return _outer(node, operands) or _elementwise(node, _upright(a), _upright(b))


def _outer(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    """A column times a row, element by element, is their product as matrices."""
    for x, y in (operands, operands[::-1]):
        if node.ndim == 2 and _is_column(x.node.shape) and _is_row(y.node.shape):
            column, row = oriented(x), oriented(y)
            return Term(column.scale * row.scale, "matrix", node.shape, _chain(column, row))
    return None


def _elementwise(node: Tensor, a: Term, b: Term) -> Term:
    items = merged(_elements(a) + _elements(b))
    return Term(a.scale * b.scale, "element", _meeting(node, a, b), items, merged(a.over + b.over))


def _elements(term: Term) -> tuple[Factor, ...]:
    return term.items if term.kind in ("element", "piece") else (term.body.factor,) if term.kind != "scalar" else ()


def _meeting(node: Tensor, *terms: Term) -> Shape:
    """The shape of what is written: that of the node, unless it is one of fewer axes."""
    try:
        found = sizes.broadcast([term.shape for term in terms])
    except ShapeError:
        return node.shape
    return found if without_ones(found) == without_ones(node.shape) else node.shape


def _divide(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    return _quotient(node, operands[0].term, operands[1].term)


def _quotient(node: Tensor, a: Term, b: Term) -> Term | None:
    if b.scale.above == 0:
        return None
    if _is_scalar(b):
        return a.times(_as_scalar(b).scale.inverse())
    scale = a.scale * b.scale.inverse()
    above = _elements(a) + (b.over if b.kind == "element" else ())
    below = b.items if b.kind in ("element", "piece") else (b.body.factor,)
    if b.kind == "element" and not b.items:
        below = ()
    return Term(scale, "element", _meeting(node, a, b), merged(above), merged(a.over + below))


_UNIT: Final = Term(ONE, "scalar", ())


def _reciprocal(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    return _quotient(node, _UNIT, operands[0].term)


def _rsqrt(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    return _quotient(node, _UNIT, _sqrt(OPS["sqrt"].apply(node.inputs, ()), operands))


def _sqrt(node: Tensor, operands: Sequence[Operand]) -> Term:
    term = operands[0].term
    factor = Factor.of(lambda notation: fill(node, [term.form(notation)], notation))
    return piece(replace(factor, square=Factor.of(term.form)), node.shape)


def _power(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    a, b = operands[0].term, operands[1].term
    if b.kind != "scalar" or b.scale.bare != ONE or b.scale.below != 1 or b.scale.above.denominator != 1 or b.scale.above < 1:
        return None
    return a if b.scale.above == 1 else _to_the(a, int(b.scale.above))


def _square(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    return _to_the(operands[0].term, 2)


def _to_the(base: Term, power: int) -> Term:
    """A whole power; of a single value it is a factor, which meets others."""
    if base.kind == "scalar" and base.scale == base.scale.bare:
        both = (base.scale.factors, base.scale.divisors)
        factors, divisors = [merged(tuple([replace(one, power=one.power * power) for one in group])) for group in both]
        return Term(Scale(factors=factors, divisors=divisors), "scalar", ())
    factor = base.factor
    if factor.turned or factor.power > 1:
        factor = Factor.of(factor.form)
    (factor,) = merged((replace(factor, power=power),))
    return piece(factor, () if _is_scalar(base) else base.shape)


def _negative(node: Tensor, operands: Sequence[Operand]) -> Term:
    return operands[0].term.times(MINUS_ONE)


def _where(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    condition, chosen, other = [x.term for x in operands]
    if other.kind != "scalar" or other.scale.above != 0:
        return None
    mask = _indicator(condition)
    if _is_scalar(mask) or _is_scalar(chosen):
        return _scaled_by(chosen, mask)
    return _elementwise(node, chosen, mask)


def _scaled_by(a: Term, b: Term) -> Term:
    return b.times(_as_scalar(a).scale) if _is_scalar(a) else a.times(_as_scalar(b).scale)


def _cast(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    return _indicator(operands[0].term) if node.inputs[0].dtype == "bool" else None


def _indicator(condition: Term) -> Term:
    """1 where it holds, 0 elsewhere."""
    factor = Factor.of(lambda notation: Form(notation.indicator.replace("$x", condition.form(notation).text)))
    return piece(replace(factor, idempotent=True), condition.shape)


# ---------------------------------------------------------------- sums
def _add(node: Tensor, operands: Sequence[Operand]) -> Term:
    return _total(node, operands[0].term, operands[1].term)


def _subtract(node: Tensor, operands: Sequence[Operand]) -> Term:
    return _total(node, operands[0].term, operands[1].term.times(MINUS_ONE))


def _total(node: Tensor, a: Term, b: Term) -> Term:
    """The terms of both, equal ones as one; what multiplies all of them stands outside."""
    shape = _meeting(node, a, b)
    terms = _collected([*_terms(a), *_terms(b)])
    if not terms:
        return Term(Scale(0), "scalar", ())
    if len(terms) == 1:
        return replace_shape(terms[0], shape) if terms[0].kind != "scalar" else terms[0]
    common = _common(terms)
    if common != ONE:
        bodies = [term.scaled_to(MINUS_ONE if term.scale != common else ONE) for term in terms]
        terms = [inner for term in bodies for inner in _terms(term)]
    return Term(common, "sum", shape, terms=tuple(_ordered(terms)))


def _terms(term: Term) -> tuple[Term, ...]:
    return term.terms if term.kind == "sum" and term.scale == ONE else (term,)


def _collected(terms: Sequence[Term]) -> list[Term]:
    found: dict[Any, Term] = {}
    for term in terms:
        body = term.body.form(TEXT).text if term.kind == "sum" else ""
        key = (term.kind, term.items, term.over, term.scale.bare, body)
        known = found.get(key)
        found[key] = term if known is None else known.scaled_to(known.scale.plus(term.scale))
    return [term for term in found.values() if term.scale.above != 0] if len(found) > 1 or len(terms) > 1 else list(terms)


def _common(terms: Sequence[Term]) -> Scale:
    """The scale that all terms have, but for their signs."""
    first = terms[0].scale.unsigned
    shared = all(term.kind != "scalar" and term.scale.unsigned == first for term in terms)
    return first if shared else ONE


def _ordered(terms: Sequence[Term]) -> list[Term]:
    """A sum does not begin with a minus where it can help it, nor with a number before a multiple: 2 x + 2, but 1 - y."""
    first, second = terms[:2]
    if first.scale.above > 0 and not (_is_number(first) and second.scale.above > 0 and second.scale.above != second.scale.below):
        return list(terms)
    start = next((term for term in terms if term.scale.above > 0 and not _is_number(term)), first)
    return [start, *[term for term in terms if term is not start]]


def _is_number(term: Term) -> bool:
    return term.kind == "scalar" and term.scale.bare == ONE


def _reduced(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    """A sum over axes along which one single value is repeated is a multiple of it."""
    term, x = operands[0].term, node.inputs[0]
    if not _is_scalar(term):
        return None
    axes = cast("tuple[int, ...]", node.attributes["axis"])
    count = sizes.product(tuple([x.shape[axis] for axis in axes]))
    return _as_scalar(term).times(size_scale(count))


def _mean(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    return _as_scalar(operands[0].term) if _is_scalar(operands[0].term) else None


def _transpose(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    term = operands[0].term
    if node.attrs[0] == tuple(range(node.ndim)):
        return term
    if not is_matrix_transpose(node):
        return None
    if _is_scalar(term):
        return _as_scalar(term)
    if node.ndim <= 2:
        return _turned(oriented(operands[0]), node.shape)
    swaps = node.attrs[0][:-2] == tuple(range(node.ndim - 2))
    whole = term if swaps or len(term.items) == 1 else Term(term.scale, "piece", term.shape, (term.body.factor,))
    return _turned(whole, node.shape)


def _number(node: Tensor, operands: Sequence[Operand]) -> Term:
    return Term(size_scale(node.attributes["size"]), "scalar", ())


def _part(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    """Of a determinant's sign and logarithm, the logarithm."""
    whole = node.inputs[0]
    if op_of(whole).name != "slogdet" or node.attrs[0] != 1:
        return None
    inner = operands[0].term  # slogdet(a)

    def write(notation: Notation) -> Form:
        log, call = ("log ", "slogdet(") if notation is TEXT else (r"\log ", r"\operatorname{slogdet}(")
        return Form(f"{log}|{log[:-4]}det({inner.form(notation).text.removeprefix(call)}|")

    return atom(write, node.shape)


def _identity(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    square = node.attributes["N"] == node.attributes["M"] and node.attributes["k"] == 0
    return Term(ONE, "piece", node.shape, (_IDENTITY,)) if square else None


def _einsum(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    """Sums over indices, element by element: ``[Σₖ Aᵢₖ Bₖⱼ]ᵢⱼ``; of two matrices along the axes that meet, their product."""
    given, _, out = cast("str", node.attributes["subscripts"]).partition("->")
    inner = given.split(",")
    if inner == ["ab", "bc"] and out == "ac":
        return _matmul(node, operands)
    labels = sorted(set(given) - {","})
    if len(labels) > len(INDICES):
        return None
    letters = str.maketrans("".join(labels), INDICES[: len(labels)])
    summed = "".join([label for label in labels if label not in out])
    terms, indices = [x.term for x in operands], [one.translate(letters) for one in inner]
    return atom(lambda notation: _indexed(terms, indices, summed.translate(letters), out.translate(letters), notation), node.shape)


INDICES: Final = "ijklmnprst"
"""The letters that index an ``einsum``: those that Unicode has as subscripts."""


def _indexed(terms: Sequence[Term], labels: Sequence[str], summed: str, out: str, notation: Notation) -> Form:
    factors = [
        _with_index(wrapped(term.form(notation), ATOM, notation), "" if _is_scalar(term) else one, notation)
        for term, one in zip(terms, labels, strict=True)
    ]
    text = notation.beside.join(factors)
    if summed:
        text = notation.sum_over(notation.index(summed)) + text
    if not out:
        return Form(text, PRODUCT, greedy=bool(summed))
    return Form(notation.elements(text) + notation.index(out))


def _with_index(text: str, labels: str, notation: Notation) -> str:
    return notation.grouped(text) + notation.index(labels) if labels else text


# ---------------------------------------------------------------- all others
def _by_template(node: Tensor, operands: Sequence[Operand]) -> Term:
    """By the op's template; what multiplies the operand of a linear op stands before it."""
    terms = [x.term for x in operands]
    i = _linear(node)
    scale = ONE
    if i is not None and terms[i].kind != "scalar" and terms[i].scale != ONE and terms[i].scale.above != 0:
        scale, terms[i] = terms[i].scale, terms[i].body
    return atom(lambda notation: fill(node, [term.form(notation) for term in terms], notation), shape_of(node)).times(scale)


def _linear(node: Tensor) -> int | None:
    """The operand in which the op is linear, if it is one alone."""
    op = op_of(node)
    if op.variadic or len(op.linear) != 1 or len(node.inputs) != len(op.operands):
        return None
    return op.operands.index(op.linear[0])


def _inverse_times(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    """``a⁻¹ b``, as its template has it, is a product of matrices."""
    if node.ndim > 2 or operands[0].node.ndim > 2:
        return None
    a, b = operands[0], _as_matrix(operands[1])
    body = a.term.body
    factor = Factor.of(lambda notation: _marked(body.form(notation), node, notation))
    scale = a.term.scale.inverse() * b.scale if a.term.scale.above else b.scale
    return aligned(Term(scale, "matrix", b.shape, (factor, *_chain(b))), node.shape)


def _marked(form: Form, node: Tensor, notation: Notation) -> Form:
    """The left operand with the sign of an inverse that the op's template has."""
    mark = split(notation.template(op_of(node)))[0][1].rstrip(" ·")
    return Form(wrapped(form, ATOM, notation) + mark, POWER)


_RULES: Final[dict[str, Callable[[Tensor, Sequence[Operand]], Term | None]]] = {
    "add": _add,
    "cast": _cast,
    "count": _number,
    "divide": _divide,
    "einsum": _einsum,
    "eye": _identity,
    "lstsq": _inverse_times,
    "matmul": _matmul,
    "mean": _mean,
    "multiply": _multiply,
    "negative": _negative,
    "part": _part,
    "power": _power,
    "reciprocal": _reciprocal,
    "rsqrt": _rsqrt,
    "solve": _inverse_times,
    "sqrt": _sqrt,
    "square": _square,
    "subtract": _subtract,
    "sum": _reduced,
    "transpose": _transpose,
    "where": _where,
}
