"""TensorBoard's event files, written without TensorBoard.

A file is records of ``length, crc(length), bytes, crc(bytes)``, the bytes an ``Event`` in the wire format of protocol buffers: a few
fields of tensorflow/core/util/event.proto, framework/summary.proto and framework/graph.proto, written out here, since a package for them
would bring a runtime of protocol buffers along.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5  # wire types
BINS: Final = 30
"""Of a histogram, TensorFlow's number."""


class EventFile:
    """A file in a folder, made with its first event; TensorBoard finds it by its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Any = None

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add a number to the curve ``tag``."""
        self._summary(step, _text(1, tag) + _field(2, _FLOAT, struct.pack("<f", value)))

    def histogram(self, tag: str, values: Array, step: int) -> None:
        """Add a histogram of the finite ones of some values."""
        self._summary(step, _text(1, tag) + _message(5, _histogram(values)))

    def graph(self, nodes: Iterable[tuple[str, str, Sequence[str]]]) -> None:
        """Add a graph: for each node its name, its kind and the names of the nodes that it reads."""
        written = [_text(1, name) + _text(2, kind) + b"".join([_text(3, read) for read in reads]) for name, kind, reads in nodes]
        versions = _message(4, _field(1, _VARINT, _varint(1)))
        self._event(0, _message(4, b"".join([_message(1, node) for node in written]) + versions))

    def flush(self) -> None:
        """Hand what was written to the system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file; the next event makes another one."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _summary(self, step: int, value: bytes) -> None:
        self._event(step, _message(5, _message(1, value)))

    def _event(self, step: int, what: bytes) -> None:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time_ns() // 10**9:010d}.{socket.gethostname()}.{os.getpid()}.{time.time_ns()}.v2"
            self._file = (self._folder / name).open("xb")
            self._record(0, _text(3, "brain.Event:2"))
        self._record(step, what)

    def _record(self, step: int, what: bytes) -> None:
        event = _field(1, _DOUBLE, struct.pack("<d", time.time())) + _field(2, _VARINT, _varint(step)) + what
        length = struct.pack("<Q", len(event))
        self._file.write(length + _masked(length) + event + _masked(event))


def _histogram(values: Array) -> bytes:
    finite = np.asarray(values, np.float64).ravel()
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return b""
    counts, edges = np.histogram(finite, BINS)
    numbers = [finite.min(), finite.max(), finite.size, finite.sum(), np.square(finite).sum()]
    told = b"".join([_field(place, _DOUBLE, struct.pack("<d", number)) for place, number in enumerate(numbers, 1)])
    return told + _message(6, edges[1:].astype("<f8").tobytes()) + _message(7, counts.astype("<f8").tobytes())


# ---------------------------------------------------------------- protocol buffers
def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _field(number: int, wire: int, content: bytes) -> bytes:
    return _varint(number << 3 | wire) + content


def _message(number: int, content: bytes) -> bytes:
    return _field(number, _BYTES, _varint(len(content)) + content)


def _text(number: int, content: str) -> bytes:
    return _message(number, content.encode())


# ---------------------------------------------------------------- checksums
@functools.cache
def _table() -> list[int]:
    """CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), for a byte at a time (D. V. Sarwate, 1988)."""
    found: list[int] = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        found.append(byte)
    return found


def crc32c(content: bytes) -> int:
    """The checksum of RFC 3720."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(content: bytes) -> bytes:
    """The checksum as records have it: rotated, and with a constant added."""
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
