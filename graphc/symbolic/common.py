"""What the two directions share: SymPy itself, and what it calls each op."""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import functools
from typing import Any, Final, cast

from graphc.core import Op

LIMIT: Final = 4096
"""Entries that a tensor may have to become SymPy expressions, and terms that a ``Sum`` may have to become a graph."""


def sympy() -> Any:
    """SymPy, which takes half a second to import."""
    import sympy  # pyright: ignore[reportMissingTypeStubs]

    return cast("Any", sympy)


def flat(e: Any) -> list[Any]:
    """The entries of a matrix or an array in row-major order."""
    return list(e.flat()) if callable(getattr(e, "flat", None)) else list(sympy().flatten(e.tolist()))


FORMS: Final[dict[str, str]] = {
    "equal": "Eq(a, b)",
    "not_equal": "Ne(a, b)",
    "less": "Lt(a, b)",
    "less_equal": "Le(a, b)",
    "greater": "Gt(a, b)",
    "greater_equal": "Ge(a, b)",
    "logical_and": "And(a, b)",
    "logical_or": "Or(a, b)",
    "logical_xor": "Xor(a, b)",
    "logical_not": "Not(x)",
    "where": "Piecewise((a, c), (b, True))",
    "clip": "Min(Max(x, low), high)",
    "mod": "a - b * floor(a / b)",
    "floor_divide": "floor(a / b)",
    "trunc": "sign(x) * floor(Abs(x))",
    "stop_gradient": "x",
    "isnan": "false",
    "isinf": "false",
    "isfinite": "true",
}
"""Ops that SymPy has no number or no derivative for, so that their records name no form."""


@functools.cache
def form_of(op: Op) -> Any:
    """What an op is in SymPy, as an expression in symbols named like its operands and attributes, or None."""
    made = DECLARED.get(op.name)
    if made is not None and made[0] is op:
        return made[1][0]
    sp = sympy()
    text = op.sympy or FORMS.get(op.name)
    if text is None:
        return None
    real = op.sympy is not None
    known = {name: sp.Symbol(name, real=True) if real else sp.Symbol(name) for name in (*op.operands, *op.attributes)}
    return sp.sympify(text, locals=known)


DECLARED: Final[dict[str, tuple[Op, Any]]] = {}
"""The ops that ``pointwise`` has made, with what each was declared by, the formula first."""
