"""How much memory the weights of a model may take while it is made from a file, which cannot need more than the file itself holds."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from graphc.core import dtypes
from graphc.core.errors import ShapeError

SLACK: Final = 1 << 24
"""Bytes that a model may take beside what its file holds: states that are not saved."""
_left: ContextVar[int | None] = ContextVar("_left", default=None)


@contextmanager
def allowance(nbytes: int) -> Generator[None]:
    """Within it the arrays of new variables may have so many bytes together, and ``SLACK``."""
    token = _left.set(nbytes + SLACK)
    try:
        yield
    finally:
        _left.reset(token)


def take(what: str, shape: Sequence[int], dtype: str) -> None:
    """Called before an array is allocated. Raises :class:`ShapeError` where a file asks for more than it holds."""
    left = _left.get()
    if left is None:
        return
    wanted = math.prod(shape) * dtypes.itemsize(dtype)
    if not 0 <= wanted <= left:
        raise ShapeError(f"{what} has shape {tuple(shape)} by a file that does not hold so much", fits=f"{left} bytes at most")
    _left.set(left - wanted)
