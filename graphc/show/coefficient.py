"""What multiplies a whole term of a formula: a number, and single values above and below the line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final, TypeAlias

from graphc.core.sizes import Dim, Size
from graphc.show.names import short_number, tex_name
from graphc.show.notation import ATOM, POWER, SUM, TEX, TEXT, Form, Notation

_DIGITS: Final = 8  # of a number that is spelt longer is asked whether it is a fraction
_LARGEST: Final = 10_000
_CHANCE: Final = 500
_BITS: Final = {8: 53, 4: 24}
"""Of the significands of floats, by the bytes of the dtype."""
_NUMBER: Final = re.compile(r"-?[\d.]+(e-?\d+)?")


Number: TypeAlias = int | Fraction
Writer: TypeAlias = Callable[[Notation], Form]
"""What writes something in one notation or the other."""


def both(text: Form, tex: Form) -> Writer:
    """What is known in both notations."""
    return lambda notation: text if notation is TEXT else tex


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a product: perhaps to a whole power, perhaps transposed. Those that are the same text are the same.

    It is written for a page when that is asked for, since of most nothing but the text is. ``positive``: a size, which is never 0.
    ``square`` is what the square of a root is, and what is ``idempotent`` is its own square.
    """

    text: Form
    write: Writer = field(compare=False)
    power: int = 1
    turned: bool = False
    positive: bool = False
    square: Factor | None = field(default=None, compare=False)
    idempotent: bool = False

    @classmethod
    def of(cls, write: Writer) -> Factor:
        """The factor that is written so."""
        return cls(write(TEXT), write)

    def form(self, notation: Notation) -> Form:
        """The factor as it is written."""
        form = self.text if notation is TEXT else self.write(notation)
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

    above: Number = 1
    below: Number = 1
    factors: tuple[Factor, ...] = ()
    divisors: tuple[Factor, ...] = ()

    def __mul__(self, other: Scale) -> Scale:
        if other is ONE or other == ONE:
            return self
        if self is ONE or self == ONE:
            return other
        above, below = _reduced(self.above * other.above, self.below * other.below)
        factors, divisors = _cancelled(merged(self.factors + other.factors), merged(self.divisors + other.divisors))
        return _scale(above, below, factors, divisors)

    def inverse(self) -> Scale:
        """One over it."""
        if self is ONE:
            return self
        sign = -1 if self.above < 0 else 1
        above, below = _reduced(self.below * sign, abs(self.above))
        return _scale(above, below, self.divisors, self.factors)

    @property
    def unsigned(self) -> Scale:
        """Without its sign."""
        return self if self.above > 0 else _scale(-self.above, self.below, self.factors, self.divisors)

    @property
    def bare(self) -> Scale:
        """Without its number."""
        return _scale(1, 1, self.factors, self.divisors)

    def plus(self, other: Scale) -> Scale:
        """The sum with a scale that differs in the number alone."""
        above, below = _reduced(self.above * other.below + other.above * self.below, self.below * other.below)
        return _scale(above, below, self.factors, self.divisors)


ONE: Final = Scale()
MINUS_ONE: Final = Scale(-1)


def _scale(above: Number, below: Number, factors: tuple[Factor, ...], divisors: tuple[Factor, ...]) -> Scale:
    return Scale(above, below, factors, divisors) if factors or divisors or above != 1 or below != 1 else ONE


def number_scale(text: str, value: Any) -> Scale | None:
    """The scale that is this number, whose shortest spelling is ``text``; None for what is no finite real number.

    What is the nearest to a fraction of two small numbers, such as 0.33333334 in float32, is that fraction, and what is the nearest to
    the root of one is that root.
    """
    if not _NUMBER.fullmatch(text):
        return None
    number = Fraction(text)
    if len(text) > _DIGITS and number:
        fraction = _simple(number, value)
        if fraction and value.dtype.type(fraction.numerator / fraction.denominator) == value:
            return _scale(fraction.numerator, fraction.denominator, (), ())
        square = _simple(number * number, value)
        if square and abs(value) in _rounded_roots(square, value.dtype.type):
            return _scale(1 if number > 0 else -1, 1, _roots(square.numerator), _roots(square.denominator))
    return _scale(*_reduced(_whole(number), 1), (), ())


def _simple(number: Fraction, value: Any) -> Fraction | None:
    """The fraction of small numbers that is near; None where so many have such a size that one is near by chance."""
    near = number.limit_denominator(_LARGEST)
    return near if 0 < abs(near.numerator) * near.denominator * _CHANCE <= 1 << _BITS.get(value.dtype.itemsize, 8) else None


def _rounded_roots(square: Fraction, dtype: Callable[[float], Any]) -> set[Any]:
    """What programs get for a root: that of the quotient, and the quotient of roots."""
    above, below = square.numerator, square.denominator
    return {dtype(math.sqrt(above / below)), dtype(math.sqrt(above) / math.sqrt(below))}


def _roots(number: int) -> tuple[Factor, ...]:
    """The root of a whole number as factors: none of 1."""
    return () if number == 1 else (Factor.of(both(Form(f"√{number}"), Form(rf"\sqrt{{{number}}}"))),)


def size_scale(size: Dim) -> Scale:
    """A size as a scale: of a product of names each is a factor."""
    if not isinstance(size, Size):
        return _scale(size, 1, (), ())
    (monomial, count), *more = size.terms
    if more or not all(isinstance(atom, str) for atom in monomial):
        text = str(size)
        level = SUM if more else ATOM
        return Scale(factors=(_positive(Form(text, level), Form(TEX.attribute(text), level)),))
    names = [_positive(Form(str(atom)), Form(tex_name(str(atom)))) for atom in monomial]
    return Scale(count, factors=merged(tuple(names)))


def _positive(text: Form, tex: Form) -> Factor:
    return Factor(text, both(text, tex), positive=True)


def digits(number: Number) -> str:
    """A positive number as it is written."""
    return short_number(float(number))


def _whole(number: Fraction) -> Number:
    return number.numerator if number.denominator == 1 else number


def _reduced(above: Number, below: Number) -> tuple[Number, Number]:
    """In lowest terms where both are whole; halves, quarters ... go below the line, other decimals stay what they were."""
    if not above or (above == 1 and below == 1):
        return above, 1
    if below.numerator == 1:
        above, below = _whole(Fraction(above) / below), 1
    if abs(above).numerator == 1 and above.denominator & (above.denominator - 1) == 0:
        above, below = 1 if above > 0 else -1, _whole(Fraction(below * above.denominator))
    if above.denominator == below.denominator == 1:
        whole = Fraction(above.numerator, below.numerator)
        above, below = whole.numerator, whole.denominator
    return above, below


def merged(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """Equal factors as one to a power."""
    if len(factors) < 2 and all(factor.power == 1 for factor in factors):
        return factors
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
    return replace(factor.square, power=factor.square.power * (factor.power // 2))


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
