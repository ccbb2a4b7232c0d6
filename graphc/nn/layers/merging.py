"""Layers of several inputs, element by element, beside each other, or as products; and the functions that make and call them.

Inputs are a list. Those with fewer axes get axes of size 1 behind the batch. Where all inputs have masks, a step counts in the output if it
does in one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import graphc as gc
from graphc.core.errors import ArgumentError, ShapeError, UnfinishedError
from graphc.nn.layer import Layer
from graphc.nn.layers.common import listed

Inputs = Sequence[gc.Tensor]
Masks = Sequence[gc.Tensor | None]


class Merge(Layer):
    """A layer of a list of inputs. Subclasses say in ``merge`` what is made of them."""

    supports_masking = True
    exactly: int | None = None
    """How many inputs there have to be, if not one at least."""

    def build(self, input_shape: Any) -> None:
        """Check that the input is a list. Raises :class:`ArgumentError`."""
        shapes = listed(input_shape)
        if not shapes or not all(isinstance(shape, list | tuple) for shape in shapes) or self.exactly not in (None, len(shapes)):
            fits = "a list of one tensor at least" if self.exactly is None else f"a list of {self.exactly} tensors"
            raise ArgumentError(f"{self.name}: called on what has the shape {input_shape}", fits=fits)

    def call(self, inputs: Inputs, mask: Masks | None = None) -> gc.Tensor:
        """The inputs with as many axes each, as one."""
        ndim = max([x.ndim for x in inputs])
        masks = [None] * len(inputs) if mask is None else list(mask)
        wide = [gc.expand_dims(x, axis=tuple(range(1, 1 + ndim - x.ndim))) if x.ndim < ndim else x for x in inputs]
        return self.merge(wide, [m if m is None else _beside(m, x) for m, x in zip(masks, wide, strict=True)])

    def merge(self, inputs: list[gc.Tensor], masks: Masks) -> gc.Tensor:
        """The output."""
        raise UnfinishedError(f"{type(self).__name__}.merge(inputs, masks)", fits="a subclass that defines it")

    def compute_mask(self, inputs: Inputs, previous_mask: Any) -> gc.Tensor | None:
        """Where one of the masks holds, if all inputs have one."""
        if previous_mask is None or any(mask is None for mask in previous_mask):
            return None
        return reduce(gc.logical_or, previous_mask)


def _beside(mask: gc.Tensor, x: gc.Tensor) -> gc.Tensor:
    """A mask of the steps as one of the elements."""
    behind = tuple(range(mask.ndim, x.ndim))
    return gc.expand_dims(mask, axis=behind) if behind else mask


class Add(Merge):
    """The sum of the inputs, which broadcast."""

    def merge(self, inputs: list[gc.Tensor], masks: Masks) -> gc.Tensor:
        """See the class."""
        return reduce(gc.add, inputs)


class Subtract(Merge):
    """The first of two inputs less the second. Raises :class:`ArgumentError` for another number of inputs."""

    exactly = 2

    def merge(self, inputs: list[gc.Tensor], masks: Masks) -> gc.Tensor:
        """See the class."""
        return inputs[0] - inputs[1]


class Multiply(Merge):
    """The product of the inputs, which broadcast. What a mask leaves out counts as 1."""

    def merge(self, inputs: list[gc.Tensor], masks: Masks) -> gc.Tensor:
        """See the class."""
        return reduce(gc.multiply, [x if mask is None else gc.where(mask, x, 1) for x, mask in zip(inputs, masks, strict=True)])


class Average(Merge):
    """The mean of the inputs, which broadcast."""

    def merge(self, inputs: list[gc.Tensor], masks: Masks) -> gc.Tensor:
        """See the class."""
        return reduce(gc.add, inputs) / len(inputs)


def _of_what_counts(function: Callable[[gc.Tensor, gc.Tensor], gc.Tensor], inputs: list[gc.Tensor], masks: Masks) -> gc.Tensor:
    """The function of the first two inputs, of what it gives and the third, and so on.

    Where a mask leaves one of the two out the other stands for it.
    """
    y, counts = inputs[0], masks[0]
    for x, mask in zip(inputs[1:], masks[1:], strict=True):
        other = x if mask is None else gc.where(mask, x, y)
        y = function(y if counts is None else gc.where(counts, y, other), other)
        counts = None if mask is None or counts is None else gc.logical_or(counts, mask)
    return y


class Maximum(Merge):
    """The largest of the inputs, which broadcast, of those that no mask leaves out."""

    def merge(self, inputs: list[gc.Tensor], masks: Masks) -> gc.Tensor:
        """See the class."""
        return _of_what_counts(gc.maximum, inputs, masks)


class Minimum(Merge):
    """The smallest of the inputs, which broadcast, of those that no mask leaves out."""

    def merge(self, inputs: list[gc.Tensor], masks: Masks) -> gc.Tensor:
        """See the class."""
        return _of_what_counts(gc.minimum, inputs, masks)


class Concatenate(Merge):
    """The inputs beside each other along ``axis``; all other sizes are equal. A mask is joined in the same way."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Inputs, mask: Masks | None = None) -> gc.Tensor:
        """See :func:`graphc.concatenate`."""
        return gc.concatenate(list(inputs), axis=self.axis)

    def compute_mask(self, inputs: Inputs, previous_mask: Any) -> gc.Tensor | None:
        """The masks joined, where all of an input without one counts; None if there is none."""
        if previous_mask is None or all(mask is None for mask in previous_mask):
            return None
        masks = [gc.ones(x.shape, "bool") if m is None else _spread(m, x) for m, x in zip(previous_mask, inputs, strict=True)]
        joined = gc.concatenate(masks, axis=self.axis)
        return gc.any(joined, axis=-1)


def _spread(mask: gc.Tensor, x: gc.Tensor) -> gc.Tensor:
    return gc.broadcast_to(_beside(gc.cast(mask, dtype="bool"), x), x.shape)


class Dot(Merge):
    """Products of two inputs, sample by sample, summed along one axis of each: ``(batch, ...)`` without it, then the rest of the second.

    ``axes`` is one number for both, or two; 0 is the batch and cannot be one of them. ``normalize`` divides by the Euclidean lengths
    along these axes before, which makes cosines of the products. Of two vectors a sample the output is ``(batch, 1)``.

    Raises :class:`ArgumentError` for other axes, or another number of inputs, :class:`ShapeError` where their sizes differ.
    """

    exactly = 2

    def __init__(self, axes: Any, normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        numbers = listed(axes) if isinstance(axes, list | tuple) else [axes, axes]
        if len(numbers) != 2 or not all(isinstance(axis, int) and axis != 0 for axis in numbers):
            raise ArgumentError(f"Dot: axes is {axes!r}", fits="an axis behind the batch, or two of them")
        self.axes: Any = axes
        self.normalize = bool(normalize)
        self._numbers: tuple[int, int] = (numbers[0], numbers[1])

    def call(self, inputs: Inputs, mask: Masks | None = None) -> gc.Tensor:
        """See the class."""
        axes = [self._axis(x, axis) for x, axis in zip(inputs, self._numbers, strict=True)]
        a, b = [gc.l2_normalize(x, axis, epsilon=1e-12) if self.normalize else x for x, axis in zip(inputs, axes, strict=True)]
        letters = [chr(ord("b") + place) for place in range(a.ndim + b.ndim)]
        of_a, of_b = ["a", *letters[1 : a.ndim]], ["a", *letters[a.ndim + 1 :]]
        of_b[axes[1]] = of_a[axes[0]]
        if a.shape[axes[0]] != b.shape[axes[1]]:
            raise ShapeError(f"{self.name}: axis {axes[0]} of {a.shape} with axis {axes[1]} of {b.shape}", fits="axes of one size")
        rest = [*[x for x in of_a if x != of_a[axes[0]]], *[x for x in of_b[1:] if x != of_a[axes[0]]]]
        y = gc.einsum(f"{''.join(of_a)},{''.join(of_b)}->{''.join(rest)}", a, b)
        return y if y.ndim > 1 else gc.expand_dims(y, axis=1)

    def _axis(self, x: gc.Tensor, axis: int) -> int:
        place = axis + x.ndim if axis < 0 else axis
        if not 0 < place < x.ndim:
            raise ArgumentError(f"{self.name}: axis {axis} of an input of shape {x.shape}", fits="an axis behind the batch")
        return place

    def compute_mask(self, inputs: Inputs, previous_mask: Any) -> None:
        """None."""


# ---------------------------------------------------------------- as functions
def add(inputs: Any, **options: Any) -> Any:
    """:class:`Add` of a list of inputs."""
    return Add(**options)(inputs)


def subtract(inputs: Any, **options: Any) -> Any:
    """:class:`Subtract` of two inputs."""
    return Subtract(**options)(inputs)


def multiply(inputs: Any, **options: Any) -> Any:
    """:class:`Multiply` of a list of inputs."""
    return Multiply(**options)(inputs)


def average(inputs: Any, **options: Any) -> Any:
    """:class:`Average` of a list of inputs."""
    return Average(**options)(inputs)


def maximum(inputs: Any, **options: Any) -> Any:
    """:class:`Maximum` of a list of inputs."""
    return Maximum(**options)(inputs)


def minimum(inputs: Any, **options: Any) -> Any:
    """:class:`Minimum` of a list of inputs."""
    return Minimum(**options)(inputs)


def concatenate(inputs: Any, axis: int = -1, **options: Any) -> Any:
    """:class:`Concatenate` of a list of inputs."""
    return Concatenate(axis, **options)(inputs)


def dot(inputs: Any, axes: Any = -1, **options: Any) -> Any:
    """:class:`Dot` of two inputs."""
    return Dot(axes, **options)(inputs)
