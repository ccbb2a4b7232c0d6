"""A compiled graph that is called: its values are checked, named sizes are read off them, and results come in the outputs' structure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from graphc.core import Tensor, describe, dtypes, sizes
from graphc.core.errors import ArgumentError, DTypeError, KinkError, ShapeError
from graphc.core.expr import Input
from graphc.lower import JaxProgram, NumpyProgram
from graphc.pipeline.report import Report

KNOWN_SHAPES: Final = 1024
"""For how many combinations of shapes a function remembers that they fit."""


class Function:
    """A compiled graph. Call it with a value for each input; named sizes are read off the values.

    ``source`` is the code that runs, ``report`` what the compiler did. A call leaves the inputs as they are, updates the
    variables, and returns fresh arrays (NumPy arrays and scalars, or JAX arrays on JAX) in the structure of the outputs.
    It may be called from several threads; calls that update variables wait for one another.
    """

    def __init__(self, inputs: tuple[Input, ...], structure: Any, program: NumpyProgram | JaxProgram, report: Report) -> None:
        self.inputs, self.report = inputs, report
        self._structure, self._program = structure, program
        self._dtypes = [dtypes.numpy_dtype(x.dtype) for x in inputs]
        self._updates = bool(program.schedule.updates)
        self._lock = threading.Lock()
        self._known_shapes: dict[tuple[tuple[int, ...], ...], tuple[int, ...]] = {}

    @property
    def source(self) -> str:
        """The Python source that runs: ``make(sizes and constants)`` allocates and returns ``step(inputs, variables)``."""
        return self._program.source.text

    def __call__(self, *values: Any) -> Any:
        """Run on these values. Raises :class:`ShapeError` and :class:`DTypeError` for values that do not fit the inputs."""
        bound = self._known_shapes.get(tuple([value.shape for value in values])) if self._fits(values) else None
        if bound is None:
            values, bound = self._checked(values)
        return self._run(values, bound)

    def prepared(self, *values: Any) -> Callable[..., Any]:
        """The call for values of the shapes and dtypes of these, which are then not looked at again. Raises as a call does."""
        arrays, bound = self._checked(values)
        if any(array is not value for array, value in zip(arrays, values, strict=True)):
            return self  # each value has to be brought to its dtype
        return lambda *values: self._run(values, bound)

    @property
    def holds_inputs(self) -> bool:
        """Whether values may still be read after a call has returned, as JAX does."""
        return self.report.backend == "jax"

    def _run(self, values: Sequence[Any], bound: tuple[int, ...]) -> Any:
        try:
            if not self._updates:
                return structured(self._structure, self._program.run(values, bound))
            with self._lock:
                return structured(self._structure, self._program.run(values, bound))
        except ArithmeticError as error:
            raise KinkError(str(error)) from None

    def _fits(self, values: Sequence[Any]) -> bool:
        """Whether these are arrays of the inputs' own dtypes, of which only the shapes may be unknown."""
        if len(values) != len(self._dtypes):
            return False
        return all(getattr(value, "dtype", None) is dtype for value, dtype in zip(values, self._dtypes, strict=True))

    def _checked(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[int, ...]]:
        """The values as arrays of the inputs' dtypes, and the numbers for the named sizes."""
        if len(values) != len(self.inputs):
            raise ArgumentError(
                f"the function was given {len(values)} values",
                given=[describe(x) for x in self.inputs],
                fits=f"{len(self.inputs)} values, in this order",
            )
        arrays = tuple([_value(value, x, dtype) for value, x, dtype in zip(values, self.inputs, self._dtypes, strict=True)])
        bound = self._sizes(arrays)
        if len(self._known_shapes) >= KNOWN_SHAPES:
            self._known_shapes.clear()
        self._known_shapes[tuple([array.shape for array in arrays])] = bound
        return arrays, bound

    def _sizes(self, arrays: Sequence[Any]) -> tuple[int, ...]:
        found: dict[str, tuple[int, Input]] = {}
        for array, x in zip(arrays, self.inputs, strict=True):
            _bind_shape(array.shape, x, found)
        known = {name: size for name, (size, _) in found.items()}
        for array, x in zip(arrays, self.inputs, strict=True):
            _check_formulas(array.shape, x, known)
        return tuple([known[name] for name in self._program.source.sizes])

    def __repr__(self) -> str:
        return f"<graphc function of ({', '.join(str(x.label) for x in self.inputs)}) on {self.report.backend}>"


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
