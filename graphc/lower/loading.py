"""Making functions of emitted source, where tracebacks and the debugger can show its lines."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Callable
from typing import Any

_count = itertools.count(1)


def load(text: str, title: str) -> Callable[..., Any]:
    """The function ``make`` that the source defines. The source stays in ``linecache`` for as long as the function lives."""
    file = f"<graphc {title} {next(_count)}>"
    namespace: dict[str, Any] = {"__name__": "graphc.emitted"}
    exec(compile(text, file, "exec"), namespace)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    make = namespace["make"]
    weakref.finalize(make, linecache.cache.pop, file, None)
    return make
