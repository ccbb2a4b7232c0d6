"""The idx format of LeCun's files: bytes to a uint8 array and back, nothing else.

Layout: two zero bytes, a type code (8 is unsigned byte), the number of axes, each axis as a
big-endian 32-bit word, then the items in C order. Nothing is believed before it is checked: the
array is never larger than the bytes that were given.
"""

import math
import struct

import numpy as np
from numpy.typing import NDArray

from graphc.nn.datasets.errors import DamagedDataError

UNSIGNED_BYTE = 8
MOST_AXES = 8


def parse_idx(data: bytes) -> NDArray[np.uint8]:
    """The uint8 array in ``data``, read-only and without a copy.

    Raises ``DamagedDataError`` where ``data`` is not exactly one idx file of unsigned bytes.
    """
    axes = _axes(data)
    shape = _shape(data, axes)
    start = 4 + 4 * axes
    _check_length(len(data) - start, shape)
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def encode_idx(array: NDArray[np.uint8]) -> bytes:
    """The one idx file that holds ``array``: what ``parse_idx`` reads back."""
    header = struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes()


def _axes(data: bytes) -> int:
    if len(data) < 4:
        raise DamagedDataError("no idx header", given=[f"{len(data)} bytes"], fits="4 bytes or more")
    zero, code, axes = struct.unpack_from(">HBB", data)
    if zero != 0 or code != UNSIGNED_BYTE or not 1 <= axes <= MOST_AXES:
        raise DamagedDataError(
            "not an idx file of unsigned bytes",
            given=[f"it starts with {data[:4].hex()}"],
            fits="00000801 for labels, 00000803 for images",
        )
    return axes


def _shape(data: bytes, axes: int) -> tuple[int, ...]:
    if len(data) < 4 + 4 * axes:
        raise DamagedDataError(
            f"truncated idx header of {axes} axes",
            given=[f"{len(data)} bytes"],
            fits=f"{4 + 4 * axes} bytes or more",
        )
    return struct.unpack_from(f">{axes}I", data, 4)


def _check_length(given: int, shape: tuple[int, ...]) -> None:
    # Python's integers do not overflow, so a hostile header cannot wrap around to a small size.
    wanted = math.prod(shape)
    if given != wanted:
        raise DamagedDataError(
            f"idx items do not fill the shape {shape}",
            given=[f"{given} bytes after the header"],
            fits=f"{wanted} bytes",
        )
