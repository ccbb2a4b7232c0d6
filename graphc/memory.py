"""Memory that begins on a line of the cache: where a wide store crosses two lines, an elementwise loop takes up to twice as long.

NumPy's own arrays begin on multiples of 16 bytes, and its loops store 32 or 64 bytes at a time.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

LINE: Final = 64
"""Bytes of a line of the cache."""


def empty_aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """An array of this shape and dtype, in C order, whose values are arbitrary, and which begins on a line of the cache.

    The dtype is none of objects, whose references may not be arbitrary.
    """
    own = np.dtype(dtype)
    assert not own.hasobject
    count = math.prod(shape) * own.itemsize
    memory = np.empty(count + LINE, np.uint8)
    return np.ndarray(shape, own, memory, -memory.__array_interface__["data"][0] % LINE)


def copy_aligned(value: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """A copy of the value as such an array of this dtype."""
    array = np.asarray(value)
    copy = empty_aligned(array.shape, dtype)
    np.copyto(copy, array, casting="unsafe")
    return copy
