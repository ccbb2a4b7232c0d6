"""Which lines of graphc a call goes through, one after the other: what an input has to do that is new, to be kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

Step = tuple[CodeType, int, int]


class Coverage:
    """Steps from line to line in the files whose names end in one of ``files``, and how many kinds of them were seen.

    Tracing is Python's own (``sys.settrace``), so it needs no compiler and works in each version of Python.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self.seen: set[Step] = set()
        self._files = tuple(files)
        self._watched: dict[CodeType, bool] = {}

    def run(self, function: Callable[[], Any]) -> tuple[Any, int]:
        """What the function returns, and how many steps were new. Exceptions pass, and what was seen before them counts."""
        before, earlier = len(self.seen), sys.gettrace()
        sys.settrace(self._called)
        try:
            result = function()
        finally:
            sys.settrace(earlier)
        return result, len(self.seen) - before

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        watched = self._watched.get(code)
        if watched is None:
            watched = self._watched[code] = code.co_filename.endswith(self._files)
        return self._line_by_line(code) if watched else None

    def _line_by_line(self, code: CodeType) -> Any:
        last, seen = 0, self.seen

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                seen.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            elif event == "exception":
                seen.add((code, last, -1))
            return line

        return line
