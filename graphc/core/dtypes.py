"""The element types, and NumPy's rules for what comes out when they meet.

A dtype is known by its name, so that a graph can be built where the package that stores ``bfloat16`` is not imported.
"""

from __future__ import annotations

import functools
from typing import Any, Final, TypeAlias, cast

import numpy as np

from graphc.core.errors import DTypeError, near

DType: TypeAlias = str
"""The name of an element type, one of :data:`DTYPES`."""

FLOATS: Final = ("float16", "bfloat16", "float32", "float64")
SIGNED: Final = ("int8", "int16", "int32", "int64")
UNSIGNED: Final = ("uint8", "uint16", "uint32", "uint64")
COMPLEX: Final = ("complex64", "complex128")
DTYPES: Final = ("bool", *SIGNED, *UNSIGNED, *FLOATS, *COMPLEX)

_SHORT: Final = {"bool": "bool", "bfloat16": "bf16", "complex64": "c64", "complex128": "c128"}


def canonical(dtype: Any) -> DType:
    """The name of ``dtype``, which may be a name, a NumPy dtype or a scalar type. Raises :class:`DTypeError`."""
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    try:
        name = _name(np.dtype(dtype))
    except TypeError:
        name = str(dtype)
    if name not in DTYPES:
        raise DTypeError(f"there is no dtype {name!r}{near(name, DTYPES)}", fits=", ".join(DTYPES))
    return name


@functools.lru_cache(maxsize=256)
def _name(dtype: np.dtype[Any]) -> str:
    """NumPy makes it anew each time, which takes longer than a small array."""
    return dtype.name


@functools.cache
def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """The NumPy dtype of this name; ``bfloat16`` comes from the package ml_dtypes."""
    if dtype == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(dtype)


def finfo(dtype: DType) -> Any:
    """The limits of a float, as ``numpy.finfo`` has them: ``max``, ``tiny``, ``eps``, ``smallest_subnormal``."""
    if dtype == "bfloat16":
        import ml_dtypes

        return cast("Any", ml_dtypes.finfo(ml_dtypes.bfloat16))
    return cast("Any", np.finfo(dtype))


def short(dtype: DType) -> str:
    """A name of three or four letters, as listings show it: ``float32`` is ``f32``."""
    return _SHORT.get(dtype) or dtype.replace("float", "f").replace("int", "i").replace("ui", "u")


def is_float(dtype: DType) -> bool:
    """Whether this is a real number with a fraction."""
    return dtype in FLOATS


def is_complex(dtype: DType) -> bool:
    """Whether this has a real and an imaginary part."""
    return dtype in COMPLEX


def is_inexact(dtype: DType) -> bool:
    """Whether a tensor of this dtype can carry a gradient: a float or a complex number."""
    return dtype in FLOATS or dtype in COMPLEX


def is_integer(dtype: DType) -> bool:
    """Whether this is a signed or unsigned integer (``bool`` is neither)."""
    return dtype in SIGNED or dtype in UNSIGNED


@functools.cache
def itemsize(dtype: DType) -> int:
    """Bytes an element."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


@functools.cache
def promote(a: DType, b: DType) -> DType:
    """The dtype that holds both, by NumPy's table; ``bfloat16`` meets every other float in ``float32`` or wider."""
    if a == b:
        return a
    if "bfloat16" in (a, b):
        return _promote_bfloat16(b if a == "bfloat16" else a)
    return np.promote_types(a, b).name


def _promote_bfloat16(other: DType) -> DType:
    if other in ("bool", "int8", "uint8"):
        return "bfloat16"
    return promote("float32", other)


def real(dtype: DType) -> DType:
    """The dtype of a real or imaginary part; a real dtype itself."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def complex_of(dtype: DType) -> DType:
    """The complex dtype whose parts hold this one: complex64 up to float32, else complex128."""
    if is_complex(dtype):
        return dtype
    return "complex64" if dtype in ("float16", "bfloat16", "float32") else "complex128"


def part(dtype: DType) -> DType:
    """The dtype in which the parts of a complex number are given: float32 or float64."""
    return real(complex_of(ordered(dtype)))


def ordered(dtype: DType) -> DType:
    """The dtype itself; complex numbers, which have no order, raise :class:`DTypeError`."""
    if is_complex(dtype):
        raise DTypeError("this is not defined for complex numbers", fits="a real dtype; gc.real(z), gc.imag(z), gc.abs(z)")
    return dtype


@functools.cache
def inexact(dtype: DType) -> DType:
    """The float in which NumPy computes ``exp`` of this dtype: ``int8`` in ``float16``, ``int64`` in ``float64``; complex as it is."""
    if is_inexact(dtype):
        return dtype
    return {1: "float16", 2: "float32"}.get(itemsize(dtype), "float64")


def floating(dtype: DType) -> DType:
    """As :func:`inexact`, for functions of real numbers alone."""
    return inexact(ordered(dtype))


def accumulator(dtype: DType) -> DType:
    """The dtype in which NumPy sums: 64 bits for bool and integers, a float itself."""
    if is_inexact(dtype):
        return dtype
    return "uint64" if dtype in UNSIGNED else "int64"


def wide(dtype: DType) -> DType:
    """The dtype in which sums and counts of these numbers are held: float32 at least, since float16 holds no count above 65,504."""
    return "float32" if itemsize(dtype) < 4 else dtype


def averaging(dtype: DType) -> DType:
    """The dtype of a mean and of a quotient: a float itself, float64 for the others."""
    return dtype if is_inexact(dtype) else "float64"


def counting(dtype: DType) -> DType:
    """The dtype in which NumPy computes powers and remainders: that of the operands, but int8 for truth values."""
    return "int8" if dtype == "bool" else dtype


def averaging_in_order(dtype: DType) -> DType:
    """As :func:`averaging`, for numbers that have an order."""
    return averaging(ordered(dtype))


def counting_in_order(dtype: DType) -> DType:
    """As :func:`counting`, for numbers that have an order."""
    return counting(ordered(dtype))


def numeric(dtype: DType) -> DType:
    """The dtype itself; truth values, which are no numbers, raise :class:`DTypeError`."""
    if dtype == "bool":
        raise DTypeError("truth values are not numbers", fits="an integer or float dtype; gc.logical_not and its like for truth values")
    return dtype


def signed(dtype: DType) -> DType:
    """As :func:`numeric`, for numbers that have an order."""
    return ordered(numeric(dtype))


def weak(value: bool | int | float | complex, dtype: DType) -> DType:
    """The dtype of a Python literal beside a tensor of ``dtype``: the tensor's, unless the literal is of a higher kind."""
    if isinstance(value, bool):
        return dtype
    if isinstance(value, int):
        return "int64" if dtype == "bool" else dtype
    if isinstance(value, float):
        return dtype if is_inexact(dtype) else "float64"
    return complex_of(dtype)
