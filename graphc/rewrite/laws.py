"""Rules that need no line: those that follow from the laws on the op records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from graphc.core import Op, Tensor, dtypes
from graphc.core.op import table
from graphc.core.pattern import var
from graphc.rewrite.rule import Rule, RuleSet

x: Final[Any] = var("x")
_SAFETY: Final = {
    "add_unit": "rounding",  # -0.0 + 0.0 is 0.0
    "power_unit": "rounding",  # a vectorised pow may be an ulp off
}


def derive(op: Op) -> Iterator[Rule]:
    """The rules that the laws of one op give."""
    for law in op.laws:
        kind: str
        kind, number = law if isinstance(law, tuple) else (law, None)  # pyright: ignore[reportUnknownVariableType]
        if kind in ("unit", "right unit"):
            yield _rule(f"{op.name}_unit", op(x, number), lambda x: x, f"``{number}`` changes nothing under ``{op.name}``.")
        elif kind == "zero":
            yield from _zeros(op, number)
        elif kind == "involution":
            yield _rule(f"{op.name}_twice", op(op(x)), lambda x: x, f"``{op.name}`` undoes itself.")
        elif kind == "idempotent":
            yield _idempotent(op)


def _idempotent(op: Op) -> Rule:
    if len(op.operands) == 1:
        return _rule(f"{op.name}_again", op(op(x)), lambda x: op(x), f"``{op.name}`` changes nothing the second time.")
    return _rule(f"{op.name}_same", op(x, x), lambda x: x, f"``{op.name}`` of two equal operands is either of them.")


def _rule(name: str, pattern: Any, body: Any, sentence: str) -> Rule:
    return Rule(name, pattern, _SAFETY.get(name, "exact"), body, sentence, "laws")


def _zeros(op: Op, number: Any) -> Iterator[Rule]:
    """An absorbing element: exact where there is no NaN or inf to absorb, and an assumption elsewhere."""
    pattern, sentence = op(x, number), f"``{op.name}`` with ``{number}`` is ``{number}``"

    def whole(x: Tensor) -> Any:
        return None if dtypes.is_inexact(x.dtype) else number

    def assumed(x: Tensor) -> Any:
        return number

    yield Rule(f"{op.name}_zero_of_integers", pattern, "exact", whole, f"{sentence} for bool and whole numbers.", "laws")
    yield Rule(f"{op.name}_zero", pattern, "nan_unsafe", assumed, f"{sentence}, if ``x`` is finite.", "laws")


LAWS: Final = RuleSet(found for op in table() for found in derive(op))
"""The rules of all laws of all ops."""
