"""Variables that live stacked on the device, for loops over equal layers.

Layers that a loop takes have their weights in one array, between calls too: neither stacking the weights of 300 layers nor taking them
apart is part of a step. Each variable holds an :class:`Item`, and stays what it is for everybody else: ``value`` reads the item, ``assign``
puts an array in its place, other functions read and update it. Where one did, the next call puts the stack together again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import is_
from typing import Any, Final

import numpy as np

from graphc.core import TensorType, Variable
from graphc.lower.rolling import Stack
from graphc.lower.targets.jax.devices import import_jax

_UNLABELLED: Final = "w"


class Item:
    """The value of a variable that is an item of a stack."""

    __slots__ = ("index", "stack")

    def __init__(self, stack: DeviceStack, index: int) -> None:
        self.stack, self.index = stack, index

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(np.asarray(self.stack.array)[self.index], dtype=dtype)

    def __jax_array__(self) -> Any:
        return import_jax().lax.dynamic_index_in_dim(self.stack.array, self.index, keepdims=False)


class DeviceStack(Stack):
    """A stack with an array on the device."""

    __slots__ = ("array", "items")
    items: tuple[Item, ...]
    array: Any

    @property
    def storage(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The array, put together anew if a variable has got another value since."""
        if not all(map(is_, [variable.storage for variable in self.variables], self.items)):
            self.storage = self._together()
        return self.array

    @storage.setter
    def storage(self, array: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        owners = {item.stack for variable in self.variables if isinstance(item := variable.storage, Item)} - {self}
        self.array = array
        for variable, item in zip(self.variables, self.items, strict=True):
            variable.storage = item
        for owner in owners:
            owner.release()

    def release(self) -> None:
        """Let go of the array if it is nobody's value any more."""
        if not any(map(is_, [variable.storage for variable in self.variables], self.items)):
            self.array = None

    def _together(self) -> Any:
        """The values, one above the other: on the device if some of them are in stacks there."""
        pieces = list(_pieces([variable.storage for variable in self.variables]))
        return pieces[0] if len(pieces) == 1 else import_jax().numpy.concatenate(pieces)


def stacked(variables: Sequence[Variable]) -> DeviceStack:
    """The stack of these variables, which are of one type. Their values stay where they are until it is read."""
    type = variables[0].type
    node = DeviceStack(None, (), (), TensorType(type.dtype, (len(variables), *type.shape)))
    node.label = f"{variables[0].label or _UNLABELLED}_to_{variables[-1].label or _UNLABELLED}"
    node.variables = tuple(variables)
    node.items = tuple([Item(node, i) for i in range(len(variables))])
    node.array = None
    return node


def _pieces(values: Sequence[Any]) -> Iterator[Any]:
    """Stacks of values: what lies side by side in a stack as a slice of it, and what lies between as a stack of NumPy's."""
    bounds = [0, *[i + 1 for i, pair in enumerate(pairwise(values)) if not _together(*pair)], len(values)]
    for start, stop in pairwise(bounds):
        first = values[start]
        if isinstance(first, Item):
            yield first.stack.array[first.index : first.index + stop - start]
        else:
            yield np.stack([np.asarray(value) for value in values[start:stop]])


def _together(one: Any, other: Any) -> bool:
    if isinstance(one, Item) and isinstance(other, Item):
        return one.stack is other.stack and one.index + 1 == other.index
    return not isinstance(one, Item) and not isinstance(other, Item)
