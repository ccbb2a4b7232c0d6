"""Stable spellings of formulas, and the derivatives that they have in terms of each other."""

# SymPy has no types that a checker could use, so everything that is SymPy's is Any.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from graphc.core import (
    OPS,
)
from graphc.symbolic.common import sympy


class _Spelt:
    """The stable functions as SymPy functions, which know their derivatives in terms of each other."""

    def __init__(self) -> None:
        sp = sympy()
        make = self._function
        self.sigmoid: Any = make("sigmoid", lambda x: (self.sigmoid(x) * self.sigmoid(-x),), is_positive=True)
        self.softplus: Any = make("softplus", lambda x: (self.sigmoid(x),), is_positive=True)
        self.log_sigmoid: Any = make("log_sigmoid", lambda x: (self.sigmoid(-x),), is_negative=True)
        self.expm1: Any = make("expm1", lambda x: (sp.exp(x),))
        self.log1p: Any = make("log1p", lambda x: (1 / (1 + x),))
        self.xlogy: Any = make("xlogy", lambda a, b: (sp.log(b), a / b))
        self.logaddexp: Any = make("logaddexp", lambda a, b: (self.sigmoid(a - b), self.sigmoid(b - a)))
        self.hypot: Any = make("hypot", lambda a, b: (self.leg(a, b), self.leg(b, a)), is_nonnegative=True)
        self.sech: Any = make("sech", lambda x: (-self.sech(x) * sp.tanh(x),), is_positive=True)
        self.sech2: Any = make("sech2", lambda x: (-2 * self.sech2(x) * sp.tanh(x),), is_positive=True)
        self.bose: Any = make("bose", lambda x: (self.bose(x) * self.bose(-x),))
        self.log_cosh: Any = make("log_cosh", lambda x: (sp.tanh(x),), is_nonnegative=True)
        self.leg: Any = make(
            "leg", lambda a, b: (self.leg(b, a) ** 2 / self.hypot(a, b), -self.leg(a, b) * self.leg(b, a) / self.hypot(a, b))
        )

    @staticmethod
    def _function(name: str, slopes: Callable[..., tuple[Any, ...]], **known: bool) -> Any:
        sp = sympy()

        def fdiff(self: Any, argindex: int = 1) -> Any:
            return slopes(*self.args)[argindex - 1]

        body = {"nargs": slopes.__code__.co_argcount, "fdiff": fdiff, "is_extended_real": True, **known}
        return type(sp.Function)(name, (sp.Function,), body | ({"graphc_op": name} if name in OPS else {}))


@functools.cache
def _spelt() -> _Spelt:
    return _Spelt()


def stable(expr: Any) -> Any:
    """The expression with stable spellings: ``log(1 + exp(u))`` becomes ``softplus(u)``. Everything else stays as it is."""
    known: dict[Any, Any] = {}

    def visit(e: Any) -> Any:
        if e not in known:
            known[e] = rebuilt(e) if e.args and e.free_symbols else e
        return known[e]

    def rebuilt(e: Any) -> Any:
        new = e.func(*map(visit, e.args))
        if type(new) is not type(e) and new.args:  # 1 / (2 * cosh(u)) becomes a product, whose power is new
            new = new.func(*map(_respelt, new.args))
        return _respelt(new)

    return visit(expr)


def _respelt(e: Any) -> Any:
    """The node with its stable spelling, those that come of it included."""
    while True:
        rule = _SPELLINGS.get(type(e).__name__)
        found = rule(e) if rule else None
        if found is None or found == e:
            return e
        e = found


def _spelt_sum(e: Any) -> Any:
    """Differences that cancel: ``exp(u) - 1``, ``1 - tanh(u)**2``, ``1 - u**2``, ``cos(u) - 1``, ``1 - sigmoid(u)``."""
    sp = sympy()
    terms = e.as_coefficients_dict()
    number = terms.get(sp.S.One, 0)
    for term, factor in terms.items():
        left = e - factor * term
        if number != 0 and not term.is_Number:
            found = _beside_number(term, factor / number)
            if found is None and len(terms) == 2 and factor == -number and term.is_Pow and term.exp == 2:
                found = (1 - term.base) * (1 + term.base)
            if found is not None:
                return sp.Mul(number, found) + (left - number)
        if isinstance(term, sp.exp) and abs(terms.get(sp.exp(-term.args[0]), 0)) == abs(factor):
            other = terms[sp.exp(-term.args[0])]
            pair = sp.cosh(term.args[0]) if other == factor else sp.sinh(term.args[0])
            return 2 * factor * pair + (left - other * sp.exp(-term.args[0]))
    return None


def _beside_number(term: Any, factor: Any) -> Any:
    """``1 + factor * term`` without cancellation, or None where it has no other form."""
    sp, f = sympy(), _spelt()
    u: Any = term.args[0] if term.args else term
    if factor == -1:
        if isinstance(term, sp.exp):
            return -f.expm1(u)
        if isinstance(term, sp.cos):
            return 2 * sp.sin(u / 2) ** 2
        if isinstance(term, f.sigmoid):
            return f.sigmoid(-u)
        if term.is_Pow and term.exp == 2 and isinstance(term.base, sp.tanh):
            return f.sech2(term.base.args[0])
        if term.is_Pow and term.exp == 2 and isinstance(term.base, sp.sin | sp.cos):
            return (sp.cos if isinstance(term.base, sp.sin) else sp.sin)(term.base.args[0]) ** 2
    if factor == -2 and isinstance(term, f.sigmoid):
        return -sp.tanh(u / 2)
    if abs(factor) == 1 and isinstance(term, sp.erf) and "erfc" in OPS:
        return sp.erfc(-factor * u)
    return None


def _spelt_power(e: Any) -> Any:
    """Negative powers of ``1 + exp(u)`` and its like, and roots of sums of squares."""
    sp, f = sympy(), _spelt()
    base, exponent = e.args
    if not exponent.is_Rational:
        return None
    if base.is_Add and exponent.is_negative:
        u = _one_plus_exp(base)
        if u is not None:
            return f.sigmoid(-u) ** -exponent
    if isinstance(base, f.expm1) and exponent.is_Integer and exponent < 0:
        return f.bose(base.args[0]) ** -exponent
    if isinstance(base, sp.cosh) and exponent.is_Integer and exponent < 0:
        n = -exponent
        return f.sech2(base.args[0]) ** (n // 2) * f.sech(base.args[0]) ** (n % 2)
    if base.is_Add and exponent.q == 2:
        legs = [_square_root(term) for term in base.args]
        if all(leg is not None for leg in legs):
            return functools.reduce(f.hypot, legs) ** (2 * exponent)
    return None


def _one_plus_exp(e: Any) -> Any:
    """``u`` of ``1 + exp(u)``, or None."""
    sp = sympy()
    exps = [arg for arg in e.args if isinstance(arg, sp.exp)]
    return exps[0].args[0] if len(e.args) == 2 and exps and e.args[0] == 1 else None


def _square_root(term: Any) -> Any:
    """``v`` of ``v**2``, of a positive number too, or None."""
    sp = sympy()
    factor, square = term.as_coeff_Mul()
    if not factor.is_positive or not (square == 1 or (square.is_Pow and square.exp == 2)):
        return None
    return sp.sqrt(factor) * (1 if square == 1 else square.base)


def _spelt_log(e: Any) -> Any:
    """Logarithms of sums with 1, of sums of exponentials, of ``cosh``."""
    sp, f = sympy(), _spelt()
    (u,) = e.args
    if isinstance(u, f.sigmoid):
        return f.log_sigmoid(u.args[0])
    factor, rest = u.as_coeff_Mul()
    if isinstance(rest, sp.cosh):
        return f.log_cosh(rest.args[0]) + sp.log(factor) if factor.is_positive else None
    if factor == -1 and isinstance(rest, f.expm1):
        v = rest.args[0]
        return sp.Piecewise((e, v > -sp.log(2)), (f.log1p(-sp.exp(v)), True))  # Mächler, 2012
    if not u.is_Add:
        return None
    exponents = [_exponent(term) for term in u.args]
    if all(v is not None for v in exponents):
        return _log_of_exps(exponents)
    return f.log1p(u - 1) if u.args[0] == 1 else None


def _exponent(term: Any) -> Any:
    """``v`` of ``exp(v)``, positive factors taken in, or None."""
    sp = sympy()
    factor, rest = term.as_coeff_Mul()
    if not factor.is_positive or not (rest == 1 or isinstance(rest, sp.exp)):
        return None
    return sp.log(factor) + (0 if rest == 1 else rest.args[0])


def _log_of_exps(exponents: Sequence[Any]) -> Any:
    f = _spelt()
    named = [v for v in exponents if v.free_symbols]
    rest = [v for v in exponents if not v.free_symbols]
    if len(named) == 1 and rest == [0]:
        return f.softplus(named[0])
    return functools.reduce(f.logaddexp, [*named, *rest])


def _spelt_product(e: Any) -> Any:
    """Products of which one factor overflows where another underflows, and ``u * log(v)`` where both may be 0."""
    sp, f = sympy(), _spelt()
    powers = e.as_powers_dict()
    for base, exponent in powers.items():
        if isinstance(base, f.sigmoid | f.bose) and exponent.is_Integer and exponent > 0:
            found = _with_exp(e, base)
            if found is not None:
                return found
        if isinstance(base, f.sigmoid) and powers.get(f.expm1(-base.args[0])) == 1 and exponent is sp.S.One:
            return e / base / f.expm1(-base.args[0]) * sp.tanh(-base.args[0] / 2)
        if isinstance(base, f.expm1) and exponent is sp.S.One and powers.get(f.sigmoid(-base.args[0])) == 1:
            return e / base / f.sigmoid(-base.args[0]) * sp.tanh(base.args[0] / 2)
        if isinstance(base, sp.sinh) and exponent.is_positive:
            found = _with_sech(e, base, powers)
            if found is not None:
                return found
    return _spelt_xlogy(e)


def _with_exp(e: Any, base: Any) -> Any:
    """``exp(v) * sigmoid(-v)`` is ``sigmoid(v)``, and ``exp(v) * bose(v)`` is ``-bose(-v)``."""
    sp, f = sympy(), _spelt()
    sign = 1 if isinstance(base, f.bose) else -1
    v = base.args[0]
    for factor in e.args:
        if isinstance(factor, sp.exp):
            count = sp.cancel(factor.args[0] / (sign * v))
            if count.is_Integer and count > 0:
                return e / factor / base * sp.exp((count - 1) * sign * v) * -sign * base.func(-v)
    return None


def _with_sech(e: Any, base: Any, powers: Mapping[Any, Any]) -> Any:
    """``sinh(u) * sech(u)`` is ``tanh(u)``."""
    sp, f = sympy(), _spelt()
    u = base.args[0]
    if powers.get(f.sech(u), 0) >= 1:
        return e / base / f.sech(u) * sp.tanh(u)
    if powers.get(f.sech2(u), 0) >= 1:
        return e / base / f.sech2(u) * sp.tanh(u) * f.sech(u)
    return None


def _spelt_xlogy(e: Any) -> Any:
    sp, f = sympy(), _spelt()
    logs = [factor for factor in e.args if isinstance(factor, sp.log) and not factor.args[0].is_positive]
    if not logs:
        return None
    number, rest = (e / logs[0]).as_coeff_Mul()
    above, below = sp.fraction(rest)
    return number * f.xlogy(above, logs[0].args[0]) / below if above.free_symbols else None


_SPELLINGS: Final[dict[str, Callable[[Any], Any]]] = {
    "Add": _spelt_sum,
    "Pow": _spelt_power,
    "log": _spelt_log,
    "Mul": _spelt_product,
}
