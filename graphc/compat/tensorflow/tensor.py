"""Tensors that have a value, their operators, and how values become tensors, by TensorFlow's rules for dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np

from graphc.compat.tensorflow.dtypes import DTYPES, DType, TensorShape, name_of
from graphc.compat.tensorflow.recording import recording
from graphc.core import Tensor as Node
from graphc.core import TensorType, Variable, describe, dtypes
from graphc.core.errors import ArgumentError, DTypeError, ShapeError, UnfinishedError

Array = np.ndarray[Any, Any]
OPERATIONS: Final[dict[str, Callable[..., Any]]] = {}
"""What operators do, by the name of the op. The module of functions fills it."""


def _operator(name: str) -> Any:
    def operator(self: Any) -> Any:
        return OPERATIONS[name](self)

    return operator


def _operators(name: str) -> tuple[Any, Any]:
    def operator(self: Any, other: Any) -> Any:
        return OPERATIONS[name](self, other)

    def reflected(self: Any, other: Any) -> Any:
        return OPERATIONS[name](other, self)

    return operator, reflected


class Operators:
    """Python's operators of what has a value, tensors and variables."""

    __slots__ = ()
    __array_priority__ = 100  # so that ``array * tensor`` comes to __rmul__ and not to NumPy
    __add__, __radd__ = _operators("add")
    __sub__, __rsub__ = _operators("subtract")
    __mul__, __rmul__ = _operators("multiply")
    __truediv__, __rtruediv__ = _operators("divide")
    __floordiv__, __rfloordiv__ = _operators("floordiv")
    __mod__, __rmod__ = _operators("floormod")
    __pow__, __rpow__ = _operators("pow")
    __matmul__, __rmatmul__ = _operators("matmul")
    __and__, __rand__ = _operators("and")
    __or__, __ror__ = _operators("or")
    __xor__, __rxor__ = _operators("xor")
    __lt__, __gt__ = _operators("less")
    __le__, __ge__ = _operators("less_equal")
    __neg__, __abs__, __invert__ = _operator("negative"), _operator("abs"), _operator("invert")

    def __pos__(self) -> Any:
        return self

    def __getitem__(self, index: Any) -> Any:
        return OPERATIONS["getitem"](self, index=index)


class Reference(Operators):
    """What stands for a variable of graphc, ``leaf``: to read it is to read that."""

    __slots__ = ("__weakref__",)

    @property
    def leaf(self) -> Variable:
        """The variable."""
        raise UnfinishedError(type(self).__name__, fits="a subclass that defines it")

    @property
    def dtype(self) -> DType:
        """The element type."""
        return DTYPES[self.leaf.type.dtype]

    @property
    def __graphc_variable__(self) -> Variable:
        """What ``graphc.nn`` takes it for."""
        return self.leaf

    def __graphc_function__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """As that of tensors."""
        return _on_values(function, args, kwargs)


class Tensor(Operators):
    """A value that does not change: ``tf.constant`` makes one, and every function of tensors.

    ``numpy()`` gives it as an array; ``print`` shows it. Tensors are compared element by element, so they are no keys.
    """

    __slots__ = ("__weakref__", "array", "place", "type")
    __hash__ = None  # type: ignore[assignment]
    array: Final[Array]
    type: Final[TensorType]
    place: Any
    """Where in a variable it was read, if it was read there by an index."""

    def __init__(self, array: Array, type: TensorType) -> None:
        if array.flags.writeable:
            array.setflags(write=False)
        self.array, self.type, self.place = array, type, None

    @property
    def shape(self) -> TensorShape:
        """The sizes of the axes."""
        return TensorShape(self.array.shape)

    @property
    def dtype(self) -> DType:
        """The element type."""
        return DTYPES[self.type.dtype]

    @property
    def ndim(self) -> int:
        """How many axes."""
        return self.array.ndim

    def get_shape(self) -> TensorShape:
        """The sizes of the axes."""
        return self.shape

    def numpy(self) -> Any:
        """The value as an array, or a NumPy scalar if it has no axes; it is the caller's own."""
        return np.array(self.array)[()]

    def assign(self, value: Any) -> Any:
        """Replace the part of a variable that this is: ``v[0, 0].assign(3.0)``. The tensor itself keeps its value.

        Raises :class:`ArgumentError` for a tensor that was not read from a variable by an index, :class:`ShapeError`, :class:`DTypeError`.
        """
        return self._place("assign").assign(value)

    def assign_add(self, delta: Any) -> Any:
        """Add to the part of a variable that this is, as it is now."""
        place = self._place("assign_add")
        return place.assign(OPERATIONS["add"](place.now(), delta))

    def assign_sub(self, delta: Any) -> Any:
        """Subtract from the part of a variable that this is, as it is now."""
        place = self._place("assign_sub")
        return place.assign(OPERATIONS["subtract"](place.now(), delta))

    def _place(self, asked: str) -> Any:
        if self.place is None:
            raise ArgumentError(
                f"{asked} of a tensor, which does not change", given=[str(self.type)], fits="a tf.Variable, or v[index] of one"
            )
        return self.place

    def __eq__(self, other: object) -> Any:
        return OPERATIONS["equal"](self, other) if other is not None else False

    def __ne__(self, other: object) -> Any:
        return OPERATIONS["not_equal"](self, other) if other is not None else True

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        wanted = None if dtype is None else np.dtype(dtype)
        return np.array(self.array, wanted, copy=copy)  # without a copy it is read-only

    def __graphc_function__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What ``graphc.nn`` asks when one of its functions is called on a tensor: the result is one too, and tapes know of it."""
        return _on_values(function, args, kwargs)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __complex__(self) -> complex:
        return complex(self.array)

    def __index__(self) -> int:
        return self.array.__index__()

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __format__(self, form: str) -> str:
        return format(self.array[()], form) if form else str(self)

    def __str__(self) -> str:
        return f"tf.Tensor({_on_lines(str(self.array))}, shape={self.shape}, dtype={self.type.dtype})"

    def __repr__(self) -> str:
        return f"<tf.Tensor: shape={self.shape}, dtype={self.type.dtype}, numpy={shown(self.array)}>"


def _on_values(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    from graphc.compat.tensorflow.eager import on_values

    return on_values(function, args, kwargs)


def shown(array: Array) -> str:
    """An array as the representations of tensors show it."""
    return _on_lines(repr(array if array.ndim else array.item()))


def _on_lines(text: str) -> str:
    """The text, below if it is several lines."""
    return f"\n{text}" if "\n" in text else text


def tensor_of(array: Array) -> Tensor:
    """The tensor with this value, which nobody else may write."""
    return Tensor(array, TensorType(dtypes.canonical(array.dtype), array.shape))


def variable_of(x: Any) -> Variable:
    """The variable of graphc that this is, or stands for."""
    return x.leaf if isinstance(x, Reference) else x


def read(variable: Variable) -> Tensor:
    """The present value of a variable, of which tapes are told."""
    own = getattr(variable, "snapshot", None)
    snapshot = own() if own else Tensor(variable.value, variable.type)
    for tape in recording.tapes:
        tape.accessed(variable, snapshot)
    return snapshot


def convert(value: Any, dtype: Any = None, like: str | None = None) -> Tensor:
    """The value as a tensor.

    Arrays keep their dtype; Python's numbers are int32 and float32, or take the dtype of what they are ``like``, and so do arrays. A list
    with tensors in it is stacked, and gradients pass. Raises :class:`DTypeError` for a tensor of another dtype than ``dtype``, and for
    numbers that the dtype does not hold.
    """
    name = None if dtype is None else name_of(dtype)
    if isinstance(value, Reference | Variable):
        value = read(variable_of(value))
    if isinstance(value, Tensor):
        if name is not None and name != value.type.dtype:
            raise DTypeError(f"a tensor of {value.type.dtype} is no {name}", given=[str(value.type)], fits=f"tf.cast(x, tf.{name})")
        return value
    if isinstance(value, Node):
        raise DTypeError(f"{value!r} is a node of a graph, and has no value", given=[describe(value)], fits="a value, or gc.evaluate")
    if isinstance(value, list | tuple) and _holds_tensors(cast("Sequence[Any]", value)):
        stacked = OPERATIONS["stack"](list(cast("Sequence[Any]", value)))
        return convert(stacked, dtype)
    return tensor_of(_array(value, name or like))


def _holds_tensors(items: Sequence[Any]) -> bool:
    return any(
        isinstance(x, Tensor | Reference | Variable) or (isinstance(x, list | tuple) and _holds_tensors(cast("Sequence[Any]", x)))
        for x in items
    )


def _array(value: Any, dtype: str | None) -> Array:
    if dtype is None:
        return default_array(value)
    own = dtypes.numpy_dtype(dtype)
    array = _as_array(value)
    if array.dtype == own:
        return array
    if not np.can_cast(array.dtype, own, "same_kind") and not (array.dtype.kind in "iu" and own.kind in "iu") and array.size:
        raise DTypeError(f"{_brief(value)} is no {dtype}", given=[f"of {array.dtype}"], fits=f"numbers that {dtype} holds, or tf.cast")
    cast_to = array.astype(own)
    if array.dtype.kind in "iu" and own.kind in "iu" and not np.array_equal(cast_to, array):
        raise DTypeError(f"{_brief(value)} does not fit into {dtype}", fits=f"numbers that {dtype} holds")
    return cast_to


def default_array(value: Any) -> Array:
    """The value as an array: NumPy's own keep their dtype, Python's floats are float32 and its whole numbers int32, or int64 if larger."""
    array = _as_array(value)
    if _is_numpy(value):
        return array
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype == np.int64 and (array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)):
        return array.astype(np.float32 if array.size == 0 else np.int32)
    return array


def _as_array(value: Any) -> Array:
    try:
        array = np.array(value)
    except ValueError:
        raise ShapeError("a list of lists of several lengths is no tensor", given=[_brief(value)], fits="lists of one length") from None
    if array.dtype.kind not in "biufcV":
        raise DTypeError(f"{_brief(value)} is not a tensor", fits="a tensor, an array of numbers, a number, or nested lists of numbers")
    return array


def _is_numpy(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_numpy(item) for item in cast("Sequence[Any]", value)[:1])
    return hasattr(value, "dtype")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
