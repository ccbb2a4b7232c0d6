"""Where a node came from: the user's line, the group in which it was made, and, in a gradient, the forward node that it belongs to."""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from os.path import basename
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

if TYPE_CHECKING:
    from graphc.core.expr import Tensor


class Origin(NamedTuple):
    """A line of the user's program. ``scope`` are the names of the groups around it, the outermost first."""

    file: str
    line: int
    scope: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{_cell(self.file) or basename(self.file)}:{self.line}"


def _cell(file: str) -> str:
    """``In[3]`` for the file that a notebook's third cell is to Python; nothing for other files."""
    if "ipykernel_" not in file and not file.startswith("<ipython-input"):
        return ""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    count = getattr(getattr(shell, "compile", None), "_filename_map", {}).get(file)  # what IPython's own tracebacks read
    return "" if count is None else f"In[{count}]"


class scope:  # noqa: N801  (a context manager, used like a function)
    """Nodes made in this block are a group of this name, which pictures draw as a cluster; groups nest.

    >>> with gc.scope("encoder"):
    ...     h = gc.tanh(x @ w)

    A layer of a model makes a group by its name. A node that was made before, in another group, stays there, and so do the nodes of its
    gradient. ``origin`` is the line of nodes for which no line of the user's runs within the block, in place of the line that led to it.
    """

    __slots__ = ("_before", "_name", "_origin")
    _before: Token[_Group]

    def __init__(self, name: str, *, origin: Origin | None = None) -> None:
        self._name, self._origin = name, origin

    @staticmethod
    def names() -> tuple[str, ...]:
        """The names of the groups around what runs now, the outermost first."""
        return _group.get().names

    def __enter__(self) -> Self:
        around = _group.get()
        names = (*around.names, self._name)
        if self._origin is None:
            self._before = _group.set(around._replace(names=names))
        else:
            self._before = _group.set(_Group(names, sys._getframe(1), self._origin))  # pyright: ignore[reportPrivateUsage]
        return self

    def __exit__(self, *error: object) -> None:
        _group.reset(self._before)


class _Group(NamedTuple):
    """The names of the groups, the frame that opened the innermost one with a line of its own, and that line."""

    names: tuple[str, ...] = ()
    frame: Any = None
    origin: Origin | None = None


_OUTSIDE: Final = _Group()
_group: ContextVar[_Group] = ContextVar("group", default=_OUTSIDE)


class derived_from:  # noqa: N801  (a context manager, used like a function; a generator takes four times as long)
    """Nodes made in this block carry the line of ``node``, and belong to it as its gradient if ``gradient``.

    A block may go on to the next node, which takes a tenth of the time of another block. Without a node it has yet to do so.
    """

    __slots__ = ("_before", "forward", "origin")
    origin: Origin | None
    forward: Tensor | None
    _before: Token[Any]

    def __init__(self, node: Tensor | None = None, *, gradient: bool = False) -> None:
        self.origin = self.forward = None
        if node is not None:
            self.origin, self.forward = node.origin, node if gradient else node.forward

    def goes_on_to(self, node: Tensor) -> None:
        """From here on nodes carry the line of this node."""
        self.origin, self.forward = node.origin, node.forward

    def __enter__(self) -> Self:
        self._before = _scope.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        _scope.reset(self._before)


_scope: ContextVar[derived_from | None] = ContextVar("scope", default=None)


def current() -> tuple[Origin | None, Tensor | None]:
    """The line and the forward node that a node made now belongs to."""
    now = _scope.get()
    return (_caller(), None) if now is None or now.origin is None else (now.origin, now.forward)


def _caller() -> Origin | None:
    names, opened, origin = _group.get()
    frame: Any = sys._getframe(3)  # pyright: ignore[reportPrivateUsage]  (inspect.stack reads every file; this is 100 times as fast)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith("graphc.") and module != "graphc":
            return Origin(frame.f_code.co_filename, frame.f_lineno, names)
        if frame is opened:
            assert origin is not None
            return Origin(origin.file, origin.line, names)
        frame = frame.f_back
    return None


def here() -> Origin | None:
    """The user's line that runs now."""
    found = _caller()
    return None if found is None else found._replace(scope=())
