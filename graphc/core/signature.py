"""What a compiled function is called with: values are checked against the inputs, and named sizes are read off them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from graphc.core import dtypes, sizes
from graphc.core.errors import ArgumentError, DTypeError, ShapeError
from graphc.core.expr import Input, Tensor, describe

KNOWN_SHAPES: Final = 1024
"""For how many combinations of shapes a function remembers that they fit."""


class Signature:
    """The inputs of a function, and the named sizes, in the order in which the function wants their numbers."""

    def __init__(self, inputs: Sequence[Input], names: Sequence[str]) -> None:
        self.inputs, self.names = tuple(inputs), tuple(names)
        self._dtypes = [dtypes.numpy_dtype(x.dtype) for x in self.inputs]
        self._known: dict[tuple[tuple[np.dtype[Any], tuple[int, ...]], ...], tuple[int, ...]] = {}

    def remembered(self, values: Sequence[Any]) -> tuple[int, ...] | None:
        """The numbers for the named sizes if these are arrays of the inputs' own dtypes in shapes that fitted before; else None."""
        try:
            return self._known.get(tuple([(value.dtype, value.shape) for value in values]))
        except (AttributeError, TypeError):
            return None  # no arrays

    def checked(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[int, ...]]:
        """The values as arrays of the inputs' dtypes, and the numbers for the named sizes.

        Raises :class:`ArgumentError`, :class:`ShapeError` and :class:`DTypeError` for values that do not fit.
        """
        arrays = self.cast(values)
        bound = self._sizes(arrays)
        if len(self._known) >= KNOWN_SHAPES:
            self._known.clear()
        self._known[tuple([(array.dtype, array.shape) for array in arrays])] = bound
        return arrays, bound

    def cast(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The values as arrays of the inputs' dtypes, whatever their shapes. Raises :class:`ArgumentError` and :class:`DTypeError`."""
        if len(values) != len(self.inputs):
            raise ArgumentError(
                f"the function was given {len(values)} values",
                given=[describe(x) for x in self.inputs],
                fits=f"{len(self.inputs)} values, in this order",
            )
        return tuple([_value(value, x, dtype) for value, x, dtype in zip(values, self.inputs, self._dtypes, strict=True)])

    def _sizes(self, arrays: Sequence[Any]) -> tuple[int, ...]:
        found: dict[str, tuple[int, Input]] = {}
        for array, x in zip(arrays, self.inputs, strict=True):
            _bind_shape(array.shape, x, found)
        known = {name: size for name, (size, _) in found.items()}
        for array, x in zip(arrays, self.inputs, strict=True):
            _check_formulas(array.shape, x, known)
        return tuple([known[name] for name in self.names])


def structured(like: Any, results: Sequence[Any]) -> Any:
    """The results as what the outputs were: one, a list, a tuple or a dict."""
    if isinstance(like, Tensor):
        return results[0]
    if isinstance(like, Mapping):
        return dict(zip(like, results, strict=True))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return type(like)(results)


def _value(value: Any, x: Input, dtype: np.dtype[Any]) -> Any:
    if getattr(value, "dtype", None) == dtype and hasattr(value, "shape"):
        return value
    array = np.asarray(value)
    if array.dtype == dtype:
        return array
    if not np.can_cast(array.dtype, dtype, "same_kind") and array.size:
        raise DTypeError(f"the value of {x.label} is {array.dtype}", given=[describe(x)], fits=f"{x.dtype}, or a dtype that casts to it")
    cast = array.astype(dtype)
    if array.dtype.kind in "iu" and dtype.kind in "iu" and not np.array_equal(cast, array):
        raise DTypeError(
            f"the value of {x.label} has numbers that {x.dtype} does not hold", given=[describe(x)], fits=f"numbers that {x.dtype} holds"
        )
    return cast


def _bind_shape(shape: tuple[int, ...], x: Input, found: dict[str, tuple[int, Input]]) -> None:
    if len(shape) != x.ndim:
        raise ShapeError(f"the value of {x.label} has shape {shape}", given=[describe(x)], fits=f"{x.ndim} axes")
    for declared, given in zip(x.shape, shape, strict=True):
        if isinstance(declared, int):
            if declared != given:
                raise ShapeError(f"the value of {x.label} has shape {shape}", given=[describe(x)], fits=f"{x.type}")
            continue
        name = sizes.name_of(declared)
        if name is None:
            continue  # a formula of names: _check_formulas
        known, first = found.setdefault(name, (given, x))
        if known != given:
            raise ShapeError(
                f"the size {name!r} would be {known} and {given} in one call",
                given=[f"{known}: {describe(first)}", f"{given}: {describe(x)}"],
                fits="values that agree on every named size",
            )


def _check_formulas(shape: tuple[int, ...], x: Input, known: Mapping[str, int]) -> None:
    """Compare the sizes that are formulas of named sizes, such as ``n + 1``, with the values' own."""
    for declared, given in zip(x.shape, shape, strict=True):
        if isinstance(declared, int) or sizes.name_of(declared) is not None:
            continue
        missing = sorted(sizes.names(declared) - set(known))
        if missing:
            raise ShapeError(
                f"the size {missing[0]!r} is no input's own size", given=[describe(x)], fits=f"an input with an axis of {missing[0]!r}"
            )
        if sizes.bind(declared, known) != given:
            raise ShapeError(
                f"the value of {x.label} has shape {shape}", given=[describe(x)], fits=f"{declared} = {sizes.bind(declared, known)}"
            )
