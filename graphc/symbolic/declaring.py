"""Pointwise ops that a formula declares."""

# SymPy has no types that a checker could use, so everything that is SymPy's is Any.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import functools
import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphc import ops
from graphc.core import (
    OPS,
    Constant,
    Op,
    Tensor,
    TensorType,
    dtypes,
    register,
    sizes,
)
from graphc.core.errors import ArgumentError, GradientError
from graphc.core.op import as_dtype
from graphc.symbolic.common import DECLARED, sympy
from graphc.symbolic.lowering import Lowering
from graphc.symbolic.spelling import stable


def pointwise(name: str, expr: Any, *, operands: Sequence[Any] | None = None, title: str = "", tex: str | None = None, **fields: Any) -> Op:
    """Declare a pointwise op by a formula: a SymPy expression in real symbols, which become its operands.

    >>> x = sympy.Symbol("x")
    >>> mish = gc.pointwise("my_mish", x * sympy.tanh(sympy.log(1 + sympy.exp(x))))
    >>> gc.grad(gc.sum(mish(gc.input("t", (3,)))), ...)

    The operands come in the alphabetical order of the symbols' names, or in that of ``operands``. The value and the derivatives are
    graphs, so there are derivatives of every order, formulas, and both backends. Before that the formula gets stable spellings:
    ``log(1 + exp(u))`` is computed as ``softplus(u)``, ``1 / (1 + exp(-u))`` as ``sigmoid(u)``, ``exp(u) - 1`` as ``expm1(u)``,
    ``1 - tanh(u)**2`` without its difference; nothing is simplified. Steps (``floor``, ``sign``, ``Heaviside``) are flat to the gradient.

    Args:
        name: what the op is called in errors, listings and pictures.
        expr: the formula.
        operands: the symbols of the formula, each once.
        title: the op's docstring; by default the formula.
        tex: how LaTeX writes it, with ``$x`` for an operand; by default SymPy's LaTeX.
        fields: further fields of the record: ``domain``, ``kinks``, ``kink_note``, ``text``, ``ulps``...

    A symbol whose name is no identifier in lower case gets one: ``T`` becomes ``t``, and what cannot be so called ``x0``, ``x1``.
    Declaring an op again in the same words gives the same op, so that a notebook's cell may run twice.

    Raises:
        ArgumentError: the name is another op's, or ``operands`` are not the symbols, or ``expr`` is not a formula in symbols.
        GradientError: from the gradient, where SymPy has no derivative.
    """
    declaration = _Declaration.of(name, expr, operands)
    given = (declaration.form, declaration.names, title, tex, tuple([(key, _comparable(value)) for key, value in sorted(fields.items())]))
    if name in OPS:
        made = DECLARED.get(name)
        if made is not None and OPS[name] is made[0] and made[1] == given:
            return made[0]
        raise ArgumentError(
            f"pointwise({name!r}, expr): there is an op of this name",
            given=[f"that op: {OPS[name].__doc__}", f"expr: {expr}"],
            fits="another name, or the very declaration of that op",
        )
    record = declaration.register(title, tex, fields)
    DECLARED[name] = record, given
    return record


def _comparable(value: Any) -> Any:
    """A function by what it does, since a cell that runs again makes a new one."""
    code = getattr(value, "__code__", None)
    return repr(value) if code is None else (code.co_code, code.co_consts, code.co_names)


class _Declaration:
    """A formula with its operands; derivatives are taken when they are asked for, once each."""

    def __init__(self, name: str, form: Any, symbols: Sequence[Any]) -> None:
        self.name, self.form, self.symbols = name, form, tuple(symbols)
        self.names = tuple([symbol.name for symbol in symbols])
        self.slopes: dict[int, Any] = {}

    @staticmethod
    def of(name: str, expr: Any, operands: Sequence[Any] | None) -> _Declaration:
        """The formula in real symbols that are called like the operands."""
        sp = sympy()
        call = f"pointwise({name!r}, expr)"
        if not (name.isidentifier() and name.isascii()):
            raise ArgumentError(f"{call}: an op cannot be called so", given=[f"name: {name!r}"], fits="an identifier")
        expr = sp.sympify(expr)
        free = expr.free_symbols if isinstance(expr, sp.Expr) and not expr.is_Matrix else set()
        if not free or not all(isinstance(symbol, sp.Symbol) for symbol in free) or expr.has(sp.Indexed):
            raise ArgumentError(f"{call}: no formula in symbols", given=[f"expr: {expr}"], fits="a SymPy expression such as x * exp(-x)")
        symbols = sorted(free, key=lambda symbol: symbol.name) if operands is None else list(operands)
        if set(symbols) != free or len(symbols) != len(free):
            raise ArgumentError(
                f"{call}: operands are not the formula's symbols",
                given=[f"operands: {', '.join(map(str, symbols))}", f"symbols: {', '.join(sorted(map(str, free)))}"],
                fits="each symbol of the formula once",
            )
        real = [sp.Symbol(text, real=True) for text in _operand_names([symbol.name for symbol in symbols])]
        return _Declaration(name, expr.xreplace(dict(zip(symbols, real, strict=True))), real)

    def register(self, title: str, tex: str | None, fields: Mapping[str, Any]) -> Op:
        """The op's record."""
        rule = _type_rule(self.names)
        rule.__doc__ = title or f"``{self.form}``, declared by this formula."
        defaults: dict[str, Any] = {
            "group": "pointwise",
            "domain": ((-3.0, 3.0),) * len(self.names),
            "flops": int(sympy().count_ops(self.form)),
            "binds": 1 if tex is None else 0,
            "tex": self.tex() if tex is None else self.checked(tex),
        }
        record = register(
            self.name,
            rule,
            pointwise=True,
            partials=tuple([functools.partial(self.slope, i) for i in range(len(self.names))]),
            promote=self.names,
            compute=dtypes.floating,
            sympy=str(self.form),
            **defaults | dict(fields),
        )
        record.expand = self.value
        return record

    @functools.cached_property
    def spelt(self) -> Any:
        """The formula as it is computed."""
        sp = sympy()
        whole = self.form.replace(sp.Mod, lambda a, b: a - b * sp.floor(a / b)).replace(sp.frac, lambda a: a - sp.floor(a))
        return stable(whole)

    def value(self, *xs: Tensor) -> Tensor:
        """The formula as a graph."""
        return self._graph(self.spelt, xs)

    def slope(self, index: int, y: Tensor, *xs: Tensor) -> Tensor | int:
        """The partial derivative by one operand, as a graph."""
        if index not in self.slopes:
            self.slopes[index] = stable(self._without_steps(sympy().diff(self.spelt, self.symbols[index])))
        form = self.slopes[index]
        return int(form) if form in (-1, 0, 1) else self._graph(form, xs)

    def _graph(self, form: Any, xs: Sequence[Tensor]) -> Tensor:
        lower = Lowering(dict(zip(self.symbols, xs, strict=True)))
        found = as_dtype(lower(form), xs[0].dtype)
        shape = sizes.broadcast([x.shape for x in xs])
        return found if found.shape == shape or (not found.shape and isinstance(found, Constant)) else ops.broadcast_to(found, shape=shape)

    def _without_steps(self, slope: Any) -> Any:
        """A derivative without those of steps, which are 0 wherever they exist."""
        sp = sympy()
        slope = slope.replace(sp.DiracDelta, lambda *args: sp.S.Zero)
        flat = sp.floor | sp.ceiling | sp.sign | sp.Heaviside
        slope = slope.replace(lambda part: isinstance(part, sp.Derivative) and isinstance(part.expr, flat), lambda part: sp.S.Zero)
        slope = slope.xreplace({part: part.doit() for part in slope.atoms(sp.Subs)})
        if slope.has(sp.Derivative):
            raise GradientError(
                f"{self.name}: SymPy has no derivative for the formula",
                given=[f"formula: {self.form}", f"derivative: {slope}"],
                fits="functions that SymPy differentiates",
            )
        return slope

    def tex(self) -> str:
        """SymPy's LaTeX with holes for the operands; sums and products in parentheses, since it stands for one piece."""
        sp = sympy()
        text = sp.latex(self.form, symbol_names={symbol: f"${symbol.name}" for symbol in self.symbols})
        return rf"\left({text}\right)" if (self.form.is_Add or self.form.is_Mul) and not text.startswith(r"\frac") else text

    def checked(self, tex: str) -> str:
        """A template that has a hole for each operand."""
        missing = [name for name in self.names if f"${name}" not in tex]
        if missing:
            raise ArgumentError(
                f"pointwise({self.name!r}, expr, tex=): the template leaves an operand out",
                given=[f"tex: {tex}"],
                fits=f"${missing[0]} in it",
            )
        return tex


def _operand_names(names: Sequence[str]) -> list[str]:
    """A parameter's name for each symbol: its own in lower case, if that will do."""
    found: list[str] = []
    for i, name in enumerate(names):
        own = name.lower()
        fits = re.fullmatch(r"[a-z]\w*", own, re.ASCII) and not keyword.iskeyword(own) and own not in found
        found.append(own if fits else f"x{i}")
    return found


def _type_rule(names: Sequence[str]) -> Any:
    """A type rule whose parameters have these names, which are identifiers."""

    def broadcast(*types: TensorType) -> TensorType:
        return types[0].with_shape(sizes.broadcast([type.shape for type in types]))

    parameters = ", ".join(names)
    rule = eval(f"lambda {parameters}: broadcast({parameters})", {"broadcast": broadcast})
    rule.__annotations__ = dict.fromkeys(names, TensorType)
    return rule
