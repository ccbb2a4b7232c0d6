"""Making functions of emitted source, where tracebacks and the debugger can show its lines."""

from __future__ import annotations

import functools
import itertools
import linecache
import weakref
from collections.abc import Callable
from types import CodeType
from typing import Any

_count = itertools.count(1)
_BETWEEN = "\n\n\n"
"""What stands between the functions of a source."""


def load(text: str, title: str) -> Callable[..., Any]:
    """The function ``make`` that the source defines. The source stays in ``linecache`` for as long as the function lives."""
    file = _remembered(text, title)
    namespace: dict[str, Any] = {"__name__": "graphc.emitted"}
    pieces = text.split(_BETWEEN)
    own = [_without_text(piece) if _is_helper(piece) else piece for piece in pieces]
    exec(compile(_BETWEEN.join(own), file, "exec"), namespace)
    for piece in pieces:
        if _is_helper(piece):
            exec(_helper(piece), namespace)
    make = namespace["make"]
    weakref.finalize(make, linecache.cache.pop, file, None)
    return make


def _is_helper(piece: str) -> bool:
    return piece.startswith("def ") and not piece.startswith("def make(")


def _without_text(piece: str) -> str:
    """As many lines, so that those behind it keep their numbers."""
    return "\n" * piece.count("\n")


@functools.cache
def _helper(text: str) -> CodeType:
    """The code of a helper, which is the same text in each source that has it. Small functions take longer to compile than to run."""
    return compile(text, _remembered(text, text[4 : text.index("(")]), "exec")


def _remembered(text: str, title: str) -> str:
    """The name of a file that ``linecache`` knows this text by."""
    file = f"<graphc {title} {next(_count)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    return file
