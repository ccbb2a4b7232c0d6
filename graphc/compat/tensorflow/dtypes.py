"""Dtypes and shapes as TensorFlow shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np

from graphc.core import dtypes
from graphc.core.errors import DTypeError
from graphc.core.sizes import Dim


class DType:
    """An element type: ``tf.float32``. Equal to its name, and to NumPy's dtype and scalar type."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: Final = name

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's, so that NumPy takes it for a dtype."""
        return dtypes.numpy_dtype(self.name)

    @property
    def as_numpy_dtype(self) -> type:
        """NumPy's scalar type."""
        return self.dtype.type

    @property
    def is_floating(self) -> bool:
        """Whether this is a real number with a fraction."""
        return dtypes.is_float(self.name)

    @property
    def is_integer(self) -> bool:
        """Whether this is a whole number."""
        return dtypes.is_integer(self.name)

    @property
    def is_complex(self) -> bool:
        """Whether this has a real and an imaginary part."""
        return dtypes.is_complex(self.name)

    @property
    def is_bool(self) -> bool:
        """Whether this is a truth value."""
        return self.name == "bool"

    @property
    def size(self) -> int:
        """Bytes an element."""
        return dtypes.itemsize(self.name)

    def __eq__(self, other: object) -> bool:
        try:
            return self.name == name_of(other)
        except DTypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"


_ALIASES: Final[dict[Any, str]] = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "int": "int32",
    float: "float32",
    int: "int32",
    bool: "bool",
}
DTYPES: Final = {name: DType(name) for name in dtypes.DTYPES}


def name_of(dtype: Any) -> str:
    """The name of a dtype in any spelling. Raises :class:`DTypeError`."""
    if isinstance(dtype, DType):
        return dtype.name
    if isinstance(dtype, str | type) and dtype in _ALIASES:
        return _ALIASES[dtype]
    if dtype is None:
        raise DTypeError("there is no dtype None", fits=", ".join(dtypes.DTYPES))
    return dtypes.canonical(dtype)


def as_dtype(dtype: Any) -> DType:
    """The :class:`DType` in any spelling: ``"float32"``, ``np.float32``, ``float``. Raises :class:`DTypeError`."""
    return DTYPES[name_of(dtype)]


class TensorShape(tuple[Dim, ...]):
    """The sizes of the axes: a tuple, shown as TensorFlow does."""

    __slots__ = ()

    def as_list(self) -> list[Dim]:
        """The sizes as a list."""
        return list(self)

    @property
    def rank(self) -> int:
        """How many axes."""
        return len(self)

    @property
    def ndims(self) -> int:
        """How many axes."""
        return len(self)

    def num_elements(self) -> Dim:
        """How many elements a tensor of this shape has."""
        count: Dim = 1
        for size in self:
            count = count * size
        return count

    def __repr__(self) -> str:
        return f"TensorShape([{', '.join(map(str, self))}])"

    def __str__(self) -> str:
        return repr(tuple(self))


def shape_of(sizes: Any) -> tuple[int, ...]:
    """A shape from a size, a sequence of sizes, or a tensor of them."""
    if isinstance(sizes, list | tuple):
        return tuple([int(size) for size in cast("Sequence[Any]", sizes)])
    return tuple([int(size) for size in np.atleast_1d(np.asarray(sizes))])
