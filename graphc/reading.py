"""Formulas after the simplifying rules: what a derivation ends with, and what ``gc.formula(y, simplify=True)`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from graphc import ops, show
from graphc.core import Tensor
from graphc.core.pattern import attr, var
from graphc.ops import multiply, one_hot, sigmoid, square, sum, tanh
from graphc.ops.pointwise import sech2, sigmoid_slope
from graphc.rewrite import DEFAULT, RuleSet, Simplified, rule
from graphc.rewrite import simplify as rewritten
from graphc.show import Formula
from graphc.show.formula import PARTS, WIDTH

x: Final[Any] = var("x")
y: Final[Any] = var("y")
axis: Final[Any] = attr("axis")


# These are for the eye: digits cancel in what they make, so that nothing is ever computed by them.
@rule(multiply(1 - y, sigmoid(x)) - multiply(y, sigmoid(-x)), safety="nan_unsafe")
def probability_minus_label(x: Tensor, y: Tensor) -> Tensor:
    """``(1 - y) p - y (1 - p)`` is ``p - y``, where ``p`` is a sigmoid."""
    return sigmoid(x) - y


@rule(sigmoid_slope(x), safety="nan_unsafe")
def slope_of_sigmoid(x: Tensor) -> Tensor:
    """The derivative of a sigmoid in terms of its value: ``p (1 - p)``."""
    return sigmoid(x) * (1 - sigmoid(x))


@rule(sech2(x), safety="nan_unsafe")
def slope_of_tanh(x: Tensor) -> Tensor:
    """The derivative of ``tanh`` in terms of its value: 1 less the square of that."""
    return 1 - square(tanh(x))


@rule(sum(one_hot(x), axis=axis), safety="nan_unsafe")
def one_class_a_row(x: Tensor, axis: tuple[int, ...], node: Tensor) -> Any:
    """The classes of a one-hot row add up to 1."""
    return ops.ones(node.shape, node.dtype) if axis == (x.ndim,) else None


@rule(sum(multiply(y, one_hot(x)), axis=axis), safety="nan_unsafe")
def multiple_of_one_class_a_row(x: Tensor, y: Tensor, axis: tuple[int, ...]) -> Any:
    """The classes of a one-hot row times a number add up to that number."""
    return y if axis == (x.ndim,) and y.ndim == 0 else None


@rule(sum(one_hot(x) / y, axis=axis), safety="nan_unsafe")
def quotient_of_one_class_a_row(x: Tensor, y: Tensor, axis: tuple[int, ...]) -> Any:
    """The classes of a one-hot row over a number add up to one over that number."""
    return ops.reciprocal(y) if axis == (x.ndim,) and y.ndim == 0 else None


_SPELT: Final = {
    "constant_to_the_smaller",
    "one_minus_sigmoid",
    "over_power_of_two",
    "reciprocal_of_sqrt",
    "to_the_fourth",
    "to_the_third",
}
"""Rules that cost a reader more than they save a machine."""
PLAIN: Final = DEFAULT.without("control", "pooling", "product", "xla") - _SPELT
"""Those of the compiler's rules that make a formula shorter."""
RULES: Final = (
    RuleSet(
        [
            probability_minus_label,
            slope_of_sigmoid,
            slope_of_tanh,
            one_class_a_row,
            multiple_of_one_class_a_row,
            quotient_of_one_class_a_row,
        ]
    )
    + PLAIN
)
"""The rules that formulas are simplified by."""


def readable(roots: Sequence[Tensor]) -> Simplified:
    """The graphs after :data:`RULES`, with the rules that fired."""
    return rewritten(list(roots), RULES)


def formula(
    y: Tensor, names: Mapping[Tensor, str] | None = None, *, simplify: bool = False, width: int = WIDTH, parts: int = PARTS
) -> Formula:
    """``y`` as a formula of its leaves, as a person writes it: text in a terminal, LaTeX in a notebook.

    Sums are flat, numbers and single values stand in front of a product or below its line, ``A B`` is the product of matrices and
    ``A ⊙ B`` that of elements, ``1[c]`` is 1 where the condition holds; a vector is a column, so that ``x @ A`` is ``Aᵀ x``. Parts
    that are read more than once, have a label or would make a line too long are named, and defined below with their shapes.

    Args:
        y: a tensor of the graph.
        names: values that get a name; what they are computed from is then left out.
        simplify: apply the simplifying rules first. Without it the formula is that of the graph as it is, but for the laws by which
            sums and products are written.
        width: characters past which a line is broken.
        parts: how many definitions are listed; the rest is counted.
    """
    if simplify:
        given = dict(names or {})
        y, *found = readable([y, *given]).roots
        names = dict(zip(found, given.values(), strict=True))
    return show.formula(y, names, width=width, parts=parts)
