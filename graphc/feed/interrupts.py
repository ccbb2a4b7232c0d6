"""Ctrl-C between calls and not in them."""

from __future__ import annotations

import signal
import threading
from typing import Any, Self


class Interrupts:
    """Ctrl-C waits while ``wait`` is set, and ``heed`` lets it come; a second one does not wait.

    Whatever handler was there is the one that is called. Only the main thread hears signals.
    """

    def __init__(self) -> None:
        self.wait = False
        self._pending: tuple[int, Any] | None = None

    def __enter__(self) -> Self:
        here = threading.current_thread() is threading.main_thread()
        self._handler = signal.getsignal(signal.SIGINT) if here else None
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._hear)
        return self

    def _hear(self, number: int, frame: Any) -> None:
        now = not self.wait or self._pending is not None
        self._pending = number, frame
        if now:
            self.heed()

    def heed(self) -> None:
        """Hand on what has waited."""
        pending, self._pending = self._pending, None
        if pending is not None and callable(self._handler):
            self._handler(*pending)

    def __exit__(self, *_error: object) -> None:
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._handler)
        self.heed()
