"""Patterns of rewrite rules, written with the same operators and ops as graphs.

>>> x = var("x")
>>> pattern = log(1 + x)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphc.core.expr import Operators

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphc.core.op import Op


class Pattern(Operators):
    """An op on patterns: variables, literals (which match a constant that is this number everywhere) and patterns again.

    Attributes that are named must be equal, or are captured where they are a :class:`Capture`; the others may be anything.
    """

    __slots__ = ("attributes", "op", "operands")

    def __init__(self, op: Op | None, operands: tuple[Any, ...] = (), attributes: Mapping[str, Any] | None = None) -> None:
        self.op, self.operands, self.attributes = op, operands, dict(attributes or {})

    def __repr__(self) -> str:
        parts = [*map(repr, self.operands), *(f"{k}={v!r}" for k, v in self.attributes.items())]
        return f"{self.op.name if self.op else '?'}({', '.join(parts)})"


class Var(Pattern):
    """Matches any tensor, the same one wherever the name occurs; ``constant`` restricts it to constants."""

    __slots__ = ("constant", "name")

    def __init__(self, name: str, *, constant: bool = False) -> None:
        super().__init__(None)
        self.name, self.constant = name, constant

    def __repr__(self) -> str:
        return self.name


class Capture:
    """Matches any value of an attribute, and hands it to the rule under this name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def var(name: str) -> Any:
    """A variable of a pattern."""
    return Var(name)


def const(name: str) -> Any:
    """A variable of a pattern that matches constants alone."""
    return Var(name, constant=True)


def attr(name: str) -> Any:
    """A variable for an attribute."""
    return Capture(name)
