"""Variables that are read and assigned at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphc.compat.tensorflow.dtypes import TensorShape, name_of
from graphc.compat.tensorflow.tensor import OPERATIONS, Reference, Tensor, convert, read, shown
from graphc.core import Tensor as Node
from graphc.core import TensorType, dtypes
from graphc.core import Variable as Leaf
from graphc.core.errors import ArgumentError, DTypeError, ShapeError
from graphc.core.op import as_dtype
from graphc.nn.forward import current, the_pass

Array = np.ndarray[Any, Any]


class Storage(Leaf):
    """The leaf that a variable is in graphs. No tensor shares the array that compiled functions may write."""

    __slots__ = ("_array", "_lent", "_snapshot", "owner", "trainable")
    owner: Variable
    trainable: bool
    _array: Any
    _lent: bool
    _snapshot: Tensor | None

    @property
    def storage(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The array that compiled functions read, and may write: from here on tensors get copies."""
        if not self._lent:
            self._array, self._lent = np.array(self._array), True
        self._snapshot = None
        return self._array

    @storage.setter
    def storage(self, value: Any) -> None:
        self._array, self._snapshot, self._lent = value, None, True

    def keep(self, value: Tensor) -> None:
        """Make this the value."""
        self._array, self._snapshot, self._lent = value.array, value, False

    def snapshot(self) -> Tensor:
        """The present value as a tensor: the same one until the value may have changed."""
        if self._snapshot is None:
            array = np.array(self._array, dtypes.numpy_dtype(self.type.dtype)) if self._lent else self._array
            self._snapshot = Tensor(array, self.type)
        return self._snapshot


def storage_of(value: Tensor, label: str, trainable: bool) -> Storage:
    """The leaf with this first value."""
    leaf = Storage(None, (), (), TensorType(value.type.dtype, value.array.shape))
    leaf.label, leaf.trainable = label, trainable
    leaf.keep(Tensor(value.array, leaf.type))
    return leaf


class Place:
    """Where in a variable a tensor was read, so that what is there can be assigned to."""

    __slots__ = ("_index", "_variable")

    def __init__(self, variable: Variable, index: Any) -> None:
        self._variable, self._index = variable, index

    def now(self) -> Tensor:
        """What is there now."""
        return OPERATIONS["getitem"](self._variable.snapshot, index=self._index)

    def assign(self, value: Any) -> Variable:
        """Replace what is there by a value that broadcasts to it."""
        array = np.array(self._variable.snapshot.array)
        there = self.now()
        new = convert(convert(value, like=there.type.dtype), there.type.dtype)
        try:
            array[_plain(self._index)] = new.array
        except ValueError:
            name = self._variable.leaf.label
            given = [f"value: {new.shape}"]
            raise ShapeError(f"{name}[...].assign(value): the value has another shape", given=given, fits=str(there.shape)) from None
        return self._variable.assign(array)


def _plain(index: Any) -> Any:
    """The index with tensors as numbers, which NumPy takes."""
    if isinstance(index, tuple):
        return tuple([_plain(part) for part in index])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return np.asarray(index) if isinstance(index, Tensor) else index


class Variable(Reference):
    """State with a first value. A tensor that was computed from it keeps its value, whatever is assigned later.

    In graphs it is ``leaf``, a variable of graphc: layers may own it, optimisers update it, and the graphs of tapes have it.

    Args:
        initial_value: a tensor, an array, numbers, or a function without arguments that gives one.
        trainable: whether tapes watch it.
        name: shown, and drawn.
        dtype: of the variable; by default that of the value, float32 for Python's floats and int32 for its whole numbers.
        shape: checked, if it is given.

    Raises:
        ShapeError, DTypeError: the value is of another shape or dtype.
    """

    __slots__ = ("_leaf",)
    __hash__ = None  # type: ignore[assignment]
    _leaf: Storage

    def __init__(
        self,
        initial_value: Any,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: Any = None,
        constraint: Any = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ) -> None:
        value = convert(initial_value() if callable(initial_value) else initial_value, like=None if dtype is None else name_of(dtype))
        value = convert(value, dtype)
        if shape is not None and tuple(shape) != value.shape:
            raise ShapeError(f"Variable: a value of shape {value.shape}", given=[f"shape: {tuple(shape)}"], fits=f"shape={value.shape}")
        if constraint is not None:
            raise ArgumentError("Variable: constraint", fits="Layer.add_weight(..., constraint=), which training heeds")
        self._leaf = storage_of(value, name or "Variable", trainable is None or bool(trainable))
        self._leaf.owner = self

    # ------------------------------------------------------------ the value
    @property
    def leaf(self) -> Storage:
        """What it is in graphs."""
        return self._leaf

    @property
    def snapshot(self) -> Tensor:
        """The present value as a tensor, without a tape's hearing of it."""
        return self.leaf.snapshot()

    def read_value(self) -> Tensor:
        """The present value as a tensor, which stays what it is."""
        return read(self.leaf)

    def value(self) -> Tensor:
        """The present value as a tensor, which stays what it is."""
        return read(self.leaf)

    def numpy(self) -> Any:
        """The present value as an array, or a NumPy scalar; it is the caller's own."""
        return self.snapshot.numpy()

    # ------------------------------------------------------------ assignments
    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Variable:
        """Replace the value. In the ``call`` of a layer that builds a graph, that is an update of the step.

        Raises :class:`ShapeError` and :class:`DTypeError` for a value of another shape or dtype.
        """
        leaf = self.leaf
        if isinstance(value, Node) and current() is not None:
            the_pass("assign").update(leaf, as_dtype(value, leaf.type.dtype))
            return self
        new = convert(convert(value, like=leaf.type.dtype), leaf.type.dtype)
        if new.array.shape != leaf.type.shape:
            raise ShapeError(
                f"{leaf.label}.assign(value): the value has another shape", given=[f"value: {new.shape}"], fits=str(self.shape)
            )
        leaf.keep(Tensor(new.array, leaf.type))
        return self

    def assign_add(self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Variable:
        """Add to the value."""
        return self.assign(OPERATIONS["add"](self._latest(), delta))

    def assign_sub(self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Variable:
        """Subtract from the value."""
        return self.assign(OPERATIONS["subtract"](self._latest(), delta))

    def _latest(self) -> Any:
        """The value so far; assignments have no gradient, so no tape hears of it."""
        forward = current()
        return self.snapshot if forward is None else forward.latest(self.leaf)

    def __getitem__(self, index: Any) -> Any:
        part = OPERATIONS["getitem"](self, index=index)
        if isinstance(part, Tensor):
            part.place = Place(self, index)
        return part

    # ------------------------------------------------------------ what it looks like
    @property
    def trainable(self) -> bool:
        """Whether tapes watch it."""
        return self.leaf.trainable

    @property
    def shape(self) -> TensorShape:
        """The sizes of the axes."""
        return self.snapshot.shape

    @property
    def ndim(self) -> int:
        """How many axes."""
        return self.leaf.ndim

    @property
    def name(self) -> str:
        """The name, with TensorFlow's number."""
        return f"{self.leaf.label}:0"

    def __eq__(self, other: object) -> Any:
        return OPERATIONS["equal"](self, other) if other is not None else False

    def __ne__(self, other: object) -> Any:
        return OPERATIONS["not_equal"](self, other) if other is not None else True

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if current() is not None:
            raise DTypeError(
                f"{self!r} would be a constant in the graph of a layer", fits="functions of tf, such as tf.multiply(x, v), or v.numpy()"
            )
        return self.snapshot.__array__(dtype, copy)

    def __len__(self) -> int:
        return len(self.snapshot)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.snapshot)

    def __int__(self) -> int:
        return int(self.snapshot)

    def __float__(self) -> float:
        return float(self.snapshot)

    def __index__(self) -> int:
        return self.snapshot.__index__()

    def __format__(self, form: str) -> str:
        return format(self.snapshot, form) if form else str(self)

    def __repr__(self) -> str:
        value = self.snapshot
        return f"<tf.Variable {self.name!r} shape={value.shape} dtype={value.type.dtype}, numpy={shown(value.array)}>"

    __str__ = __repr__
