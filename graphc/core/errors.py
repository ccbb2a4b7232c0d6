"""Every error that graphc raises on purpose, the three parts that each message has, and tracebacks without graphc's own lines.

A message says what was asked (the call), what was given (types, names, the user's lines) and what would fit. Where an error leaves graphc
for the user's code, its traceback keeps the user's frames and one line of graphc; ``GRAPHC_TRACEBACK=full`` in the environment, or
:func:`full_tracebacks`, keeps all of them. docs/errors.md has a section on each class.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


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


class SignatureError(GraphcError, TypeError):
    """A call with an argument that is missing, given twice, or one too many."""


class UnknownNameError(GraphcError, AttributeError):
    """A name that a module or an object of graphc does not have."""


class UnknownSizeError(GraphcError, TypeError):
    """A number that is asked of a size that has a name, and gets its value when the compiled function is called."""


class FrozenError(GraphcError, AttributeError):
    """An assignment to an attribute of an object that is not to be changed."""


class DeclarationError(GraphcError, TypeError):
    """An op, a rule or a record whose declaration contradicts itself: a VJP with other parameters than its op, a name that is taken."""


class UnfinishedError(GraphcError, NotImplementedError):
    """A method that a subclass of a layer, a loss, a metric or the like has to write, and did not."""


class BoundsError(GraphcError, IndexError):
    """An index that an axis of this size does not have."""


class GradientError(GraphcError):
    """A gradient that does not exist as asked: a non-scalar output, an integer input, no path."""


class KinkError(GraphcError, ArithmeticError):
    """A gradient taken exactly where the function has a kink, under ``kinks="raise"``."""


class NonFiniteError(GraphcError, FloatingPointError):
    """A NaN or an inf that came of finite operands, under ``compile(..., debug_nans=True)`` or ``gc.Jax(check=True)``.

    Of ``debug_nans`` it knows the ``node`` that made it, and the ``steps`` of loops and branches in which that is, outermost first.
    """

    node: Any = None
    steps: tuple[Any, ...] = ()


class CheckError(GraphcError, AssertionError):
    """Two ways to compute a graph that differ by more than rounding, under ``compile(..., check=True)``.

    ``road`` says where they part ("rules", "plan" or "backend"), ``node`` is the first node that differs, ``rule`` the name of the rule
    that did it, if one did, and ``script`` the path of a small program that shows it, if one was written.
    """

    road: str = ""
    node: Any = None
    rule: str = ""
    script: Any = None


class RewriteError(GraphcError):
    """A rewrite rule that broke its promise: another type, or two rules that undo each other for ever."""


class BackendError(GraphcError, RuntimeError):
    """A backend that is not installed, or that cannot run what it was given."""


class ScriptError(GraphcError):
    """A script of the user's that failed while a command ran it; ``given`` has its traceback."""


class DrawError(GraphcError):
    """A picture that cannot be made in the format asked for."""


class DrawWarning(UserWarning):
    """A picture that was made, but not by Graphviz."""


class PlacementWarning(UserWarning):
    """A value that was to be spread over devices, but that each device has as a whole."""


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's that led here, however many frames of graphc are between."""
    frame: Any = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    level = 2
    while frame is not None and _is_own(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=2 if frame is None else level)


# ---------------------------------------------------------------- suggestions
def near(name: object, known: Iterable[object]) -> str:
    """``; is 'softmax' meant?``, to be put behind a message about a name that is not known, or nothing if no name is like it."""
    import difflib  # costs every start a millisecond, and is for the one that fails

    names = {str(one).lower(): str(one) for one in known}
    found = difflib.get_close_matches(str(name).lower(), names, 1)
    return f"; is {names[found[0]]!r} meant?" if found else ""


# ---------------------------------------------------------------- tracebacks
_full = os.environ.get("GRAPHC_TRACEBACK", "").lower() == "full"
_OWN = "graphc."
_NOWHERE = "<graphc>"
_BETWEEN = ("contextlib", "functools")
"""Modules of Python whose frames are between two of graphc's."""


def full_tracebacks(on: bool = True) -> None:
    """Whether tracebacks of graphc's errors have graphc's own frames too; off by default, unless $GRAPHC_TRACEBACK is ``full``."""
    global _full
    _full = on


def trimmed(error: GraphcError) -> GraphcError:
    """The error, to be raised where it leaves graphc: its traceback, and those of its causes, without graphc's frames."""
    one: BaseException | None = None if _full else error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        one.__traceback__ = _outside(one.__traceback__)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return error


def _outside(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of graphc: those of a function of the user's that graphc called stay."""
    kept: list[TracebackType] = []
    while trace is not None:
        if not _is_own(trace.tb_frame):
            kept.append(trace)
        trace = trace.tb_next
    found: TracebackType | None = None
    for one in reversed(kept):
        found = TracebackType(found, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return found


def _is_own(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module.startswith(_OWN) or module == "graphc" or module in _BETWEEN


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """The function, as users call it: graphc's errors that leave it have no frames of graphc but this one, which debuggers hide."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True  # pytest and IPython leave this frame out
        try:
            return function(*args, **kwargs)
        except GraphcError as error:
            raise trimmed(error) from error.__cause__

    return called(function.__name__, call)


def called(name: str, function: F) -> F:
    """The function with another name in tracebacks, in which its frame has no source."""
    code: CodeType = cast("Any", function).__code__
    cast("Any", function).__code__ = code.replace(co_name=name, co_filename=_NOWHERE)
    return function


def entries(*names: str) -> Callable[[C], C]:
    """A class whose methods of these names, or else all its public ones, are entries."""

    def declare(cls: C) -> C:
        for name in names or [name for name in vars(cls) if not name.startswith("_")]:
            method = vars(cls)[name]
            if isinstance(method, FunctionType):
                setattr(cls, name, entry(method))
        return cls

    return declare


def open_to_users(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Make entries of the functions of graphc that a module has under these names; ``namespace`` is its ``globals()``."""
    for name in names:
        namespace[name] = opened(namespace.get(name), (namespace["__name__"], name))


def opened(value: Any, place: tuple[str, str] | None = None) -> Any:
    """An entry, if this is a function of graphc that is none yet; else the value itself.

    ``place`` is the module in which the entry is found, and its name there, by which it is pickled.
    """
    is_function = isinstance(value, FunctionType) and value.__code__.co_filename != _NOWHERE
    if not is_function or not value.__module__.startswith(_OWN):
        return value
    call = entry(value)
    if place is not None:
        call.__module__, call.__qualname__ = place
    return call
