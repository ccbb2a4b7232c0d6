"""A reader for one kind of pickle: pairs of plain NumPy arrays.

Loading a pickle runs whatever it names, so nothing it can name runs here: the three allowed names
stand for inert records of this module, NumPy's own rebuilding code is never called, and the
arrays are made afterwards from a checked type, shape and length. Anything else is refused.
"""

import io
import math
import pickle
import pickletools
from typing import cast

import numpy as np
from numpy.typing import NDArray

from graphc.nn.datasets.errors import DamagedDataError, printable

Numbers = NDArray[np.float32] | NDArray[np.int64]
_TYPES = {b"f4": "<f4", b"i8": "<i8"}


class _Type:
    """Stands for ``numpy.dtype``: one of two number types, little-endian."""

    def __init__(self, code: object, *_flags: object) -> None:
        if not isinstance(code, bytes) or code not in _TYPES:
            raise pickle.UnpicklingError(f"array type {code!r} is not allowed")
        self.code = _TYPES[code]

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if state[1] != b"<":
            raise pickle.UnpicklingError(f"byte order {state[1]!r} is not allowed")


class _Array:
    """Stands for ``numpy.ndarray``, and is filled by the pickle's own state tuple."""

    state: tuple[object, ...] = ()

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.state = state


def _rebuild(_kind: object, _shape: object, _code: object) -> _Array:
    return _Array()


_ALLOWED: dict[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _rebuild,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
}


_OPCODES = frozenset({
    "PROTO", "GLOBAL", "REDUCE", "BUILD", "STOP", "MARK", "TUPLE", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "NONE", "NEWFALSE", "NEWTRUE", "BININT", "BININT1", "BININT2", "BINUNICODE", "SHORT_BINSTRING", "BINSTRING",
    "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
})  # fmt: skip
"""What tuples of arrays, numbers and strings are written with. Others take memory by a length that is in the file."""
_PLACES = frozenset({"BINPUT", "LONG_BINPUT"})


def _check_opcodes(data: bytes) -> None:
    """The unpickler makes a table as long as the largest place that is put into it; each honest one is the next."""
    puts = 0
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name not in _OPCODES:
            raise pickle.UnpicklingError(f"the opcode {opcode.name} is not allowed")
        if opcode.name in _PLACES:
            puts += 1
            if int(argument or 0) > 256 + puts:
                raise pickle.UnpicklingError(f"place {argument} after {puts} places")


class _Reader(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> object:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"the name {module_name}.{global_name} is not allowed") from None


def read_pairs(data: bytes, pairs: int) -> list[Numbers]:
    """The arrays of a pickled tuple of ``pairs`` pairs of arrays, in order; float32 or int64.

    Raises ``DamagedDataError`` for a pickle that names or holds anything else.
    """
    try:
        _check_opcodes(data)
        # Strings of Python 2 arrive as bytes: array contents are then never decoded.
        tree = _Reader(io.BytesIO(data), encoding="bytes").load()
        return [_array(item) for pair in _tuple(tree, pairs) for item in _tuple(pair, 2)]
    # The pickle module lets any exception out on hostile input; each one means the same here.
    except Exception as error:
        reason = printable(f"{type(error).__name__}: {error}")
        raise DamagedDataError("refused pickle", given=[reason], fits="pairs of plain float32 and int64 arrays") from error


def _tuple(tree: object, length: int) -> tuple[object, ...]:
    # A fixed depth: a tuple that holds itself twice, and so on, would never end otherwise.
    kind = type(tree).__name__
    branches = cast("tuple[object, ...]", tree) if isinstance(tree, tuple) else ()
    if len(branches) != length:
        raise pickle.UnpicklingError(f"{kind} where a tuple of {length} is expected")
    return branches


def _array(record: object) -> Numbers:
    if not isinstance(record, _Array) or len(record.state) != 5:
        raise pickle.UnpicklingError(f"{type(record).__name__} where an array is expected")
    _version, shape, kind, fortran, raw = record.state
    if not isinstance(kind, _Type) or not isinstance(raw, bytes) or fortran:
        raise pickle.UnpicklingError("array without plain contents")
    flat = np.frombuffer(raw, kind.code)
    return flat.reshape(_lengths(shape, flat.size))


def _lengths(shape: object, size: int) -> tuple[int, ...]:
    lengths = cast("tuple[object, ...]", shape) if isinstance(shape, tuple) else ()
    axes = tuple(length for length in lengths if isinstance(length, int) and length >= 0)
    if len(axes) != len(lengths) or math.prod(axes) != size:
        raise pickle.UnpicklingError(f"shape {shape!r} for {size} items")
    return axes
