"""Leaves: inputs, which get a value with each call, and variables, which keep one between calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.core import dtypes, sizes
from graphc.core.errors import DTypeError, ShapeError, entry
from graphc.core.expr import Input, Tensor
from graphc.core.types import TensorType
from graphc.memory import copy_aligned


def input(name: str, shape: Any = (), dtype: Any = "float32") -> Input:
    """Declare a value that each call of the compiled function brings.

    ``shape`` is a sequence of whole numbers and named sizes such as ``"batch"``; one name is one number in the whole graph.
    Two inputs are two nodes, even if all they are declared with is equal. Raises :class:`ShapeError`, :class:`DTypeError`.
    """
    node = Input(None, (), (), TensorType(dtypes.canonical(dtype), sizes.canonical(shape)))
    node.label = str(name)
    return node


class Variable(Tensor):
    """State: a leaf with a value, which compiled functions read, and write where it is among their updates.

    The array may live on a device between calls (``storage``); ``value`` is always a copy, which no later step changes.
    """

    __slots__ = ("storage",)
    storage: Any

    @property
    def kind(self) -> str:
        """``variable``."""
        return "variable"

    @property
    def value(self) -> np.ndarray[Any, Any]:
        """The present value, copied: shape and dtype are the variable's."""
        return np.array(self.storage, dtype=dtypes.numpy_dtype(self.dtype))

    @value.setter
    def value(self, value: Any) -> None:
        self.assign(value)

    @entry
    def assign(self, value: Any) -> None:
        """Replace the value by a copy of ``value``, which must have the variable's shape and a dtype that casts to its own."""
        array = np.asarray(value)
        own = dtypes.numpy_dtype(self.dtype)
        if array.shape != self.shape:
            raise ShapeError(
                f"{self.label}.assign(value): the value has another shape", given=[f"value: {array.shape}"], fits=str(self.shape)
            )
        if not np.can_cast(array.dtype, own, "same_kind"):
            raise DTypeError(f"{self.label}.assign(value): {array.dtype} does not cast to {self.dtype}", fits=self.dtype)
        self.storage = copy_aligned(array, own)


def variable(value: Any, name: str | None = None, dtype: Any = None) -> Variable:
    """Declare state with this first value, which is copied. Python floats become float32 unless ``dtype`` says otherwise.

    Raises :class:`DTypeError` for a dtype that graphc does not have.
    """
    array: np.ndarray[Any, Any] = np.asarray(value)
    if dtype is None:
        python_floats = array.dtype == np.float64 and not isinstance(value, np.ndarray | np.generic)
        dtype = "float32" if python_floats else array.dtype
    own = dtypes.canonical(dtype)
    node = Variable(None, (), (), TensorType(own, array.shape))
    node.storage = copy_aligned(array, dtypes.numpy_dtype(own))
    node.label = name
    return node
