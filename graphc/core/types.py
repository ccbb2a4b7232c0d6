"""What is known of a tensor before it has a value: its dtype and its shape."""

from __future__ import annotations

from typing import Any, Final, Self

from graphc.core import dtypes, sizes
from graphc.core.dtypes import DType
from graphc.core.sizes import Dim, Shape


class TensorType:
    """A dtype and a shape. Equal types are the same object, so they are compared with ``is`` or ``==`` alike.

    ``size`` is the number of elements, ``nbytes`` that of the bytes of a dense array; of a bundle those of all parts.
    """

    __slots__ = ("dtype", "nbytes", "shape", "size")
    _table: Final[dict[tuple[DType, Shape], TensorType]] = {}
    dtype: DType
    shape: Shape
    size: Dim
    nbytes: Dim

    def __new__(cls, dtype: DType, shape: Shape) -> Self:
        """The one type of this dtype and shape."""
        key = (dtype, shape)
        found = cls._table.get(key)
        if found is None:
            found = object.__new__(cls)
            found.dtype, found.shape = key
            found.size = sizes.product(shape)
            found.nbytes = found.size * dtypes.itemsize(dtype)
            found = cls._table.setdefault(key, found)
        return found  # type: ignore[return-value]

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same shape in another dtype."""
        return TensorType(dtype, self.shape)

    def with_shape(self, shape: Shape) -> TensorType:
        """The same dtype in another shape."""
        return TensorType(self.dtype, shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorType, (self.dtype, self.shape)

    def __str__(self) -> str:
        return f"{dtypes.short(self.dtype)}[{', '.join(map(str, self.shape))}]"

    __repr__ = __str__


class Bundle(TensorType):
    """The types of the several results of one op. A node of this type is read through its parts alone."""

    __slots__ = ("parts",)
    _bundles: Final[dict[tuple[TensorType, ...], Bundle]] = {}
    parts: tuple[TensorType, ...]

    def __new__(cls, parts: tuple[TensorType, ...]) -> Self:
        """The one bundle of these types."""
        found = cls._bundles.get(parts)
        if found is None:
            found = object.__new__(cls)
            found.dtype, found.shape, found.parts = "bundle", (), parts
            found.size = sizes.total([part.size for part in parts])
            found.nbytes = sizes.total([part.nbytes for part in parts])
            found = cls._bundles.setdefault(parts, found)
        return found  # type: ignore[return-value]

    def __reduce__(self) -> tuple[Any, ...]:
        return Bundle, (self.parts,)

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.parts))})"

    __repr__ = __str__
