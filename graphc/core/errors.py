"""Every error that graphc raises on purpose, and the three parts that each message has.

A message says what was asked (the call), what was given (types, names, the user's lines) and what would fit.
"""

from __future__ import annotations

from collections.abc import Iterable


class GraphcError(Exception):
    """The base of every error that graphc raises on purpose.

    ``asked`` is the call and what is wrong with it, ``given`` the values it got, one a line, ``fits`` what would be accepted.
    """

    def __init__(self, asked: str, *, given: Iterable[str] = (), fits: str = "") -> None:
        self.asked = asked
        self.given = tuple(given)
        self.fits = fits
        super().__init__(asked)

    def __str__(self) -> str:
        lines = [self.asked, *(f"  {line}" for line in self.given)]
        if self.fits:
            lines.append(f"  fits: {self.fits}")
        return "\n".join(lines)


class ShapeError(GraphcError, ValueError):
    """Shapes that do not fit the operation, or sizes that contradict each other."""


class DTypeError(GraphcError, TypeError):
    """A dtype that the operation is not defined for."""


class ArgumentError(GraphcError, ValueError):
    """An argument with a value that no call could accept: a misspelt option, an axis that is not there."""


class BoundsError(GraphcError, IndexError):
    """An index that an axis of this size does not have."""


class GradientError(GraphcError):
    """A gradient that does not exist as asked: a non-scalar output, an integer input, no path."""


class KinkError(GraphcError, ArithmeticError):
    """A gradient taken exactly where the function has a kink, under ``kinks="raise"``."""


class NonFiniteError(GraphcError, FloatingPointError):
    """A NaN or an inf that came of finite operands, under ``gc.Jax(check=True)``."""


class RewriteError(GraphcError):
    """A rewrite rule that broke its promise: another type, or two rules that undo each other for ever."""


class BackendError(GraphcError, RuntimeError):
    """A backend that is not installed, or that cannot run what it was given."""


class DrawError(GraphcError):
    """A picture that cannot be made in the format asked for."""


class DrawWarning(UserWarning):
    """A picture that was made, but not by Graphviz."""


class PlacementWarning(UserWarning):
    """A value that was to be spread over devices, but that each device has as a whole."""
