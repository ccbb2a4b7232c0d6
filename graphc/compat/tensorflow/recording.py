"""Who is told of what is computed: the tapes of a thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final, Protocol

from graphc.core import Variable


class Recorder(Protocol):
    """What is told of calls and of variables that are read."""

    def record(self, call: Any, operands: Sequence[Any], results: Sequence[Any]) -> None:
        """A call was made."""
        ...

    def accessed(self, variable: Variable, snapshot: Any) -> None:
        """A variable was read: ``snapshot`` is the tensor of its present value."""
        ...


class _Recording(threading.local):
    def __init__(self) -> None:
        self.tapes: list[Recorder] = []


recording: Final = _Recording()
"""The tapes that record what this thread does, the innermost last."""
