"""Activations as layers, and layers that are any function."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import graphc as gc
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.feed.batches import whole_number
from graphc.nn import activations
from graphc.nn.layer import Layer, Shape
from graphc.nn.layers.common import Weighted, listed, size_of, title


class Activation(Layer):
    """A function of the input, element by element as a rule: ``Activation("relu")``, ``Activation(gc.tanh)``."""

    supports_masking = True

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The function's value."""
        return inputs if self.activation is None else self.activation(inputs)


class Identity(Layer):
    """What comes in."""

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs."""
        return inputs


class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` along ``axis``, a number or several.

    With a mask, which broadcasts with the input, what it leaves out is 0 and the rest 1 in sum; where nothing is left all are 0.
    Raises :class:`ShapeError` for a mask that does not broadcast.
    """

    supports_masking = True

    def __init__(self, axis: Any = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: gc.Tensor, mask: gc.Tensor | None = None) -> gc.Tensor:
        """See :func:`graphc.softmax`."""
        inputs = as_dtype(inputs, self.dtype)
        if mask is None:
            return self._of(inputs)
        if mask.ndim > inputs.ndim:
            raise ShapeError(f"{self.name}: a mask of shape {mask.shape} for an input of shape {inputs.shape}", fits="one that broadcasts")
        counts = mask if mask.dtype == "bool" else mask > 0.5
        return gc.where(counts, self._of(gc.where(counts, inputs, _least(self.dtype))), 0)

    def _of(self, x: gc.Tensor) -> gc.Tensor:
        if isinstance(self.axis, int):
            return gc.softmax(x, axis=self.axis)
        return gc.exp(x - gc.logsumexp(x, axis=tuple(listed(self.axis)), keepdims=True))


def _least(dtype: str) -> float:
    """A number whose exponential is 0 beside any other, and which is no infinity in the dtype."""
    return -3e4 if dtype == "float16" else -1e9


class ReLU(Layer):
    """``x`` from ``threshold`` on, ``max_value`` at most; below the threshold ``negative_slope * (x - threshold)``.

    Raises :class:`ArgumentError` for numbers below 0.
    """

    supports_masking = True

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.max_value = None if max_value is None else _from_0(self, "max_value", max_value)
        self.negative_slope = _from_0(self, "negative_slope", negative_slope)
        self.threshold = _from_0(self, "threshold", threshold)

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.nn.activations.relu`."""
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Layer):
    """``x`` where it is positive, else ``negative_slope * x`` (A. L. Maas et al., 2013). ``alpha`` is an older name of the argument."""

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, *, alpha: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = _from_0(self, "negative_slope", negative_slope if alpha is None else alpha)

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.leaky_relu`."""
        return gc.leaky_relu(inputs, negative_slope=self.negative_slope)


class PReLU(Weighted):
    """``x`` where it is positive, else ``alpha * x``, where ``alpha``, one number for each place of a sample, is learnt (He et al., 2015).

    ``shared_axes`` are those along which it is one: ``[1, 2]`` for one a channel. Raises :class:`ShapeError` where a size is not known.
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.declare("alpha", alpha_initializer, alpha_regularizer, alpha_constraint)
        given = [] if shared_axes is None else listed(shared_axes)
        self.shared_axes = [whole_number("PReLU: a shared axis", axis, least=1) for axis in given]

    def build(self, input_shape: Shape) -> None:
        """Add ``alpha``."""
        axes = range(1, len(input_shape))
        self.alpha = self.weight("alpha", [1 if axis in self.shared_axes else size_of(self, input_shape, axis) for axis in axes])

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The positive part, less ``alpha`` times the negative one."""
        inputs = as_dtype(inputs, self.dtype)
        return gc.relu(inputs) - self.alpha * gc.relu(-inputs)


class ELU(Layer):
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)`` (D.-A. Clevert et al., 2016)."""

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """See :func:`graphc.elu`."""
        return gc.elu(inputs, alpha=self.alpha)


class Lambda(Layer):
    """A function of the input, written with gc's functions: ``Lambda(lambda x: x ** 2)``.

    Args:
        function: of a tensor, or of what the layer is called on; it is told ``training`` and ``mask`` if it has parameters of these names.
        output_shape: not needed, since it is inferred.
        mask: that of the output, or a function of the inputs and their mask.
        arguments: further arguments of the function, by name.

    A model with such a layer can be saved if the function is known by name (:func:`graphc.nn.register`). Variables that the function
    reads are not the layer's, and are not trained. Raises :class:`ArgumentError` for what cannot be called.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not callable(function):
            raise ArgumentError(f"Lambda: the function is {function!r}", fits="a function of a tensor")
        self.function, self.output_shape, self.mask = function, output_shape, mask
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        """The function's value."""
        told = {"mask": mask, "training": training}
        known = inspect.signature(self.function).parameters
        return self.function(inputs, **self.arguments, **{name: value for name, value in told.items() if name in known})

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """What ``mask`` says."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask


def _from_0(layer: Layer, name: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf:
        raise ArgumentError(f"{title(layer)}: {name} is {given!r}", fits="a number from 0")
    return float(given)
