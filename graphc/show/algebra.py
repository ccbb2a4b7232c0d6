"""The laws of algebra by which an operator node becomes a term of its operands'.

Sums are flat and collect equal terms; numbers and single values go into the scale, and leave linear operations; a product of matrices is
a chain. Everything else is written by its op's template. What is equal by these laws is written alike; nothing is assumed of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from graphc.core import OPS, Tensor, sizes
from graphc.core.errors import ShapeError
from graphc.core.sizes import Shape
from graphc.show.bodies import written_as
from graphc.show.coefficient import MINUS_ONE, ONE, Factor, Scale, merged, size_scale
from graphc.show.columns import (
    IDENTITY,
    Operand,
    aligned,
    as_matrix,
    as_row,
    as_scalar,
    chained,
    factors_of,
    is_column,
    is_row,
    is_scalar,
    oriented,
    replace_shape,
    standing,
    turned,
)
from graphc.show.notation import ATOM, POWER, PRODUCT, TEXT, Form, Notation, is_layout, without_ones
from graphc.show.template import is_matrix_transpose, op_of, split
from graphc.show.terms import Term, atom, ordered, piece, shape_of, upright
from graphc.show.writing import fill, wrapped


def term_of(node: Tensor, operands: Sequence[Operand]) -> Term:
    """An operator node as a term of its operands'."""
    if is_layout(node):
        return oriented(Operand(node, operands[0].core, operands[0].term))
    node = written_as(node)
    operands = [standing(x) for x in operands]
    rule = _RULES.get(op_of(node).name)
    found = rule(node, operands) if rule else None
    return found or _by_template(node, operands)


# ---------------------------------------------------------------- products
def _matmul(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    x, y = operands
    if x.node.ndim > 2 or y.node.ndim > 2:
        items = factors_of(x.term, y.term)  # of a stack the identity may be another matrix in each place
        return Term(x.term.scale * y.term.scale, "matrix", node.shape, items) if len(items) > 1 else None
    a, b = as_row(x), as_matrix(y)
    scale, items = a.scale * b.scale, chained(a, b)
    if not items:
        return Term(scale, "scalar", ())
    shape = (x.node.shape[0] if x.node.ndim == 2 else 1, y.node.shape[1] if y.node.ndim == 2 else 1)
    found = Term(scale, "matrix" if len(items) > 1 else "piece", shape, items)
    return aligned(found, node.shape)


def _multiply(node: Tensor, operands: Sequence[Operand]) -> Term:
    a, b = operands[0].term, operands[1].term
    if is_scalar(a):
        return b.scaled_to(as_scalar(a).scale * b.scale)
    if is_scalar(b):
        return a.times(as_scalar(b).scale)
    return _outer(node, operands) or _elementwise(node, upright(a), upright(b))


def _outer(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    """A column times a row, element by element, is their product as matrices."""
    for x, y in (operands, operands[::-1]):
        if node.ndim == 2 and is_column(x.node.shape) and is_row(y.node.shape):
            column, row = oriented(x), oriented(y)
            return Term(column.scale * row.scale, "matrix", node.shape, chained(column, row))
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
    if is_scalar(b):
        return a.times(as_scalar(b).scale.inverse())
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
    return piece(factor, () if is_scalar(base) else base.shape)


def _negative(node: Tensor, operands: Sequence[Operand]) -> Term:
    return operands[0].term.times(MINUS_ONE)


def _where(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    condition, chosen, other = [x.term for x in operands]
    if other.kind != "scalar" or other.scale.above != 0:
        return None
    mask = _indicator(condition)
    if is_scalar(mask) or is_scalar(chosen):
        return _scaled_by(chosen, mask)
    return _elementwise(node, chosen, mask)


def _scaled_by(a: Term, b: Term) -> Term:
    return b.times(as_scalar(a).scale) if is_scalar(a) else a.times(as_scalar(b).scale)


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
    return Term(common, "sum", shape, terms=tuple(ordered(terms)))


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


def _reduced(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    """A sum over axes along which one single value is repeated is a multiple of it."""
    term, x = operands[0].term, node.inputs[0]
    if not is_scalar(term):
        return None
    axes = cast("tuple[int, ...]", node.attributes["axis"])
    count = sizes.product(tuple([x.shape[axis] for axis in axes]))
    return as_scalar(term).times(size_scale(count))


def _mean(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    return as_scalar(operands[0].term) if is_scalar(operands[0].term) else None


def _transpose(node: Tensor, operands: Sequence[Operand]) -> Term | None:
    term = operands[0].term
    if node.attrs[0] == tuple(range(node.ndim)):
        return term
    if not is_matrix_transpose(node):
        return None
    if is_scalar(term):
        return as_scalar(term)
    if node.ndim <= 2:
        return turned(oriented(operands[0]), node.shape)
    swaps = node.attrs[0][:-2] == tuple(range(node.ndim - 2))
    whole = term if swaps or len(term.items) == 1 else Term(term.scale, "piece", term.shape, (term.body.factor,))
    return turned(whole, node.shape)


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
    return Term(ONE, "piece", node.shape, (IDENTITY,)) if square else None


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
        _with_index(wrapped(term.form(notation), ATOM, notation), "" if is_scalar(term) else one, notation)
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
    a, b = operands[0], as_matrix(operands[1])
    body = a.term.body
    factor = Factor.of(lambda notation: _marked(body.form(notation), node, notation))
    scale = a.term.scale.inverse() * b.scale if a.term.scale.above else b.scale
    return aligned(Term(scale, "matrix", b.shape, (factor, *chained(b))), node.shape)


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
