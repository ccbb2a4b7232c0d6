"""Where a node came from: the user's line, and, for a node of a gradient, the forward node that it belongs to."""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from os.path import basename
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from graphc.core.expr import Tensor


class Origin(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{basename(self.file)}:{self.line}"


_scope: ContextVar[tuple[Origin | None, Tensor | None]] = ContextVar("scope", default=(None, None))


class derived_from:  # noqa: N801  (a context manager, used like a function; a generator takes four times as long)
    """Nodes made in this block carry the line of ``node``, and belong to it as its gradient if ``gradient``."""

    __slots__ = ("_before", "_inside")
    _before: Token[Any]

    def __init__(self, node: Tensor, *, gradient: bool = False) -> None:
        self._inside = node.origin, node if gradient else node.forward

    def __enter__(self) -> None:
        self._before = _scope.set(self._inside)

    def __exit__(self, *error: object) -> None:
        _scope.reset(self._before)


def current() -> tuple[Origin | None, Tensor | None]:
    """The line and the forward node that a node made now belongs to."""
    now = _scope.get()
    return (_caller(), None) if now[0] is None else now


def _caller() -> Origin | None:
    frame: Any = sys._getframe(3)  # pyright: ignore[reportPrivateUsage]  (inspect.stack reads every file; this is 100 times as fast)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith("graphc") or module[6:7] not in ("", "."):
            return Origin(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None
