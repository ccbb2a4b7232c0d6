"""Terms as matrices, columns, rows and single values.

A tensor of one axis is a column; a broadcast is a product with columns or rows of ones; a product of matrices is a chain, whose transpose
is the chain of the transposes in reverse.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from graphc.core import Tensor
from graphc.core.sizes import Shape
from graphc.show.coefficient import Factor, Scale
from graphc.show.notation import Form, without_ones
from graphc.show.template import op_of
from graphc.show.terms import Term, upright

_ONES: Final = Factor.of(lambda notation: Form(notation.ones))
IDENTITY: Final = Factor.of(lambda notation: Form("I"))


class Operand(NamedTuple):
    """What stands in an operand's place: the ``node`` itself, the ``core`` that it spreads, and the core's term."""

    node: Tensor
    core: Tensor
    term: Term


def standing(x: Operand) -> Operand:
    """A row that the graph takes for a vector is its transpose, a column."""
    return x._replace(term=oriented(x), core=x.node) if x.node.ndim == 1 and len(x.term.shape) == 2 else x


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
        return as_scalar(term) if shape == () else term
    return replace_shape(term, shape) if is_row(term.shape) == is_row(shape) else turned(term, shape)


def is_row(shape: Shape) -> bool:
    """Whether it is a matrix of one row, and of several columns."""
    return len(shape) == 2 and shape[0] == 1 and shape[1] != 1


def is_column(shape: Shape) -> bool:
    """Whether it is a matrix of one column, and of several rows."""
    return len(shape) == 2 and shape[1] == 1 and shape[0] != 1


def replace_shape(term: Term, shape: Shape) -> Term:
    """The same term, taken for one of this shape."""
    return Term(term.scale, term.kind, shape, term.items, term.over, term.terms)


def _repeated(term: Term, shape: Shape) -> Term:
    """The term along the axes that a broadcast adds: rows and columns of ones beside it."""
    if len(shape) > 2 or len(term.shape) > 2:
        return term
    if len(shape) == 2 and len(term.shape) == 1:  # it lies along the last axis
        term = turned(term, (1, term.shape[0])) if term.shape[0] != 1 else term
    if len(term.shape) != 2 or len(shape) != 2 or term.shape == shape:
        return term
    down, along = term.shape[0] != shape[0], term.shape[1] != shape[1]
    items = [*([_ONES] if down else []), *chained(term), *([replace(_ONES, turned=True)] if along else [])]
    return Term(term.scale, "matrix", shape, tuple(items))


def turned(term: Term, shape: Shape) -> Term:
    """The transpose."""
    if term.kind == "scalar":
        return replace_shape(term, shape)
    items = term.items if term.kind in ("matrix", "piece") else (term.body.factor,)
    found = tuple([replace(item, turned=not item.turned) for item in reversed(items)])
    return Term(term.scale, "matrix" if len(found) > 1 else "piece", shape, found)


def as_row(x: Operand) -> Term:
    """The left factor: of one axis it is a row."""
    found = as_matrix(x)
    return turned(found, (1, x.node.shape[0])) if x.node.ndim == 1 else found


def as_matrix(x: Operand) -> Term:
    """A factor of a product of matrices; a single value is a whole matrix or vector of it."""
    found = upright(oriented(x))
    return _ones(found, x.node.shape) if is_scalar(found) else found


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


def as_scalar(term: Term) -> Term:
    """A term of a single value: all of it is in the scale."""
    if term.kind == "scalar":
        return term
    return Term(term.scale * Scale(factors=(term.body.factor,)), "scalar", ())


def is_scalar(term: Term) -> bool:
    """Whether it is a single value, also one with axes of size 1."""
    return term.kind == "scalar" or without_ones(term.shape) == ()


def chained(*terms: Term) -> tuple[Factor, ...]:
    """The factors of a product of matrices; the identity is one where there is no other."""
    found = factors_of(*terms)
    return tuple([factor for factor in found if factor != IDENTITY]) or found[:1]


def factors_of(*terms: Term) -> tuple[Factor, ...]:
    """The factors of the terms, one after the other."""
    found: list[Factor] = []
    for term in terms:
        if term.kind != "scalar":
            found += term.items if term.kind in ("matrix", "piece") else (term.body.factor,)
    return tuple(found)
