"""What multiplies a whole term of a formula: a number, and single values above and below the line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from graphc.core.sizes import Dim, Size
from graphc.show.names import short_number, tex_name
from graphc.show.notation import ATOM, NOTATIONS, POWER, SUM, TEXT, Form, Notation

_DIGITS: Final = 8  # of a number that is spelt longer is asked whether it is a fraction
_LARGEST: Final = 10_000
_NUMBER: Final = re.compile(r"-?[\d.]+(e-?\d+)?")


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a product, in both notations: perhaps to a whole power, perhaps transposed.

    ``positive``: a size, which is never 0. ``square`` is what the square of a root is, and what is ``idempotent`` is its own square.
    """

    forms: tuple[Form, Form]
    power: int = 1
    turned: bool = False
    positive: bool = False
    square: tuple[Form, Form] | None = None
    idempotent: bool = False

    def form(self, notation: Notation) -> Form:
        """The factor as it is written."""
        form = self.forms[notation is not TEXT]
        if self.power == 1 and not self.turned:
            return form
        inverse, turned = _INVERSE[notation is not TEXT]
        if self.turned and self.power == 1 and form.text.endswith(inverse):
            return Form(form.text.removesuffix(inverse) + turned, POWER)
        if self.power > 1 and self.turned:
            form = replace(self, turned=False).form(notation)
        base = notation.bracketed(form.text) if form.level >= POWER else form.text
        return Form(base + (notation.transposed if self.turned else notation.exponent(str(self.power))), POWER)


_INVERSE: Final = (("⁻¹", "⁻ᵀ"), ("^{-1}", r"^{-\top}"))


@dataclass(frozen=True, slots=True)
class Scale:
    """``above * factors / (below * divisors)``; ``above`` carries the sign."""

    above: Fraction = Fraction(1)
    below: Fraction = Fraction(1)
    factors: tuple[Factor, ...] = ()
    divisors: tuple[Factor, ...] = ()

    def __mul__(self, other: Scale) -> Scale:
        if other == ONE:
            return self
        if self == ONE:
            return other
        above, below = _reduced(self.above * other.above, self.below * other.below)
        factors, divisors = _cancelled(merged(self.factors + other.factors), merged(self.divisors + other.divisors))
        return Scale(above, below, factors, divisors)

    def inverse(self) -> Scale:
        """One over it."""
        sign = -1 if self.above < 0 else 1
        above, below = _reduced(self.below * sign, abs(self.above))
        return Scale(above, below, self.divisors, self.factors)

    def negative(self) -> Scale:
        """With the other sign."""
        return replace(self, above=-self.above)

    @property
    def unsigned(self) -> Scale:
        """Without its sign."""
        return replace(self, above=abs(self.above))

    @property
    def bare(self) -> Scale:
        """Without its number."""
        return Scale(factors=self.factors, divisors=self.divisors)

    def plus(self, other: Scale) -> Scale:
        """The sum with a scale that differs in the number alone."""
        above, below = _reduced(self.above * other.below + other.above * self.below, self.below * other.below)
        return replace(self, above=above, below=below)


ONE: Final = Scale()
MINUS_ONE: Final = Scale(Fraction(-1))


def number_scale(text: str, value: Any) -> Scale | None:
    """The scale that is this number, whose shortest spelling is ``text``; None for what is no finite real number.

    What is the nearest to a fraction of two small numbers, such as 0.33333334 in float32, is that fraction.
    """
    if not _NUMBER.fullmatch(text):
        return None
    number = Fraction(text)
    near = number.limit_denominator(_LARGEST)
    if len(text) > _DIGITS and near and value.dtype.type(near.numerator / near.denominator) == value:
        return Scale(Fraction(near.numerator), Fraction(near.denominator))
    above, below = _reduced(number, Fraction(1))
    return Scale(above, below)


def size_scale(size: Dim) -> Scale:
    """A size as a scale: of a product of names each is a factor."""
    if not isinstance(size, Size):
        return Scale(Fraction(size))
    (monomial, count), *more = size.terms
    if more or not all(isinstance(atom, str) for atom in monomial):
        text = str(size)
        level = SUM if more else ATOM
        return Scale(factors=(Factor((Form(text, level), Form(NOTATIONS[1].attribute(text), level)), positive=True),))
    names = [Factor((Form(str(atom)), Form(tex_name(str(atom)))), positive=True) for atom in monomial]
    return Scale(Fraction(count), factors=merged(tuple(names)))


def digits(number: Fraction) -> str:
    """A positive number as it is written."""
    return short_number(float(number))


def _reduced(above: Fraction, below: Fraction) -> tuple[Fraction, Fraction]:
    """In lowest terms where both are whole; halves, quarters ... go below the line, other decimals stay what they were."""
    if not above:
        return above, Fraction(1)
    if below.numerator == 1:
        above, below = above / below, Fraction(1)
    if abs(above).numerator == 1 and above.denominator & (above.denominator - 1) == 0:
        above, below = Fraction(1 if above > 0 else -1), below * above.denominator
    if above.denominator == below.denominator == 1:
        whole = above / below
        above, below = Fraction(whole.numerator), Fraction(whole.denominator)
    return above, below


def merged(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """Equal factors as one to a power."""
    found: dict[Factor, int] = {}
    for factor in factors:
        base = replace(factor, power=1)
        found[base] = found.get(base, 0) + factor.power
    return tuple([_squared(replace(base, power=power)) for base, power in found.items()])


def _squared(factor: Factor) -> Factor:
    """An even power of a root is a power of what is below it; one of a condition as a number is that number."""
    if factor.idempotent:
        return replace(factor, power=1)
    if factor.square is None or factor.power % 2 or factor.turned:
        return factor
    return Factor(factor.square, factor.power // 2)


def _cancelled(factors: tuple[Factor, ...], divisors: tuple[Factor, ...]) -> tuple[tuple[Factor, ...], tuple[Factor, ...]]:
    """Sizes that stand above and below the line leave."""
    for factor in factors:
        base = replace(factor, power=1)
        below = next((one for one in divisors if factor.positive and replace(one, power=1) == base), None)
        if below is not None:
            common = min(factor.power, below.power)
            factors, divisors = _taken(factors, factor, common), _taken(divisors, below, common)
    return factors, divisors


def _taken(factors: tuple[Factor, ...], one: Factor, count: int) -> tuple[Factor, ...]:
    left = [replace(one, power=one.power - count)] if one.power > count else []
    return tuple([kept for factor in factors for kept in (left if factor is one else [factor])])
