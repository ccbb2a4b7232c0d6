"""Layers in which every unit reads every feature."""

from __future__ import annotations

import re
from typing import Any

import graphc as gc
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.op import as_dtype
from graphc.feed.batches import whole_number
from graphc.nn.layer import Shape
from graphc.nn.layers.common import Activated, size_of


class Dense(Activated):
    """``activation(x @ kernel + bias)`` along the last axis: ``(..., features)`` gives ``(..., units)``.

    ``kernel`` is ``(features, units)``, Glorot uniform by default; ``bias`` is ``(units,)``, zeros by default.
    Raises :class:`ArgumentError` for units below 1.
    """

    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = whole_number("Dense: units", units, least=1)
        self.declare("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.end_with(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Shape) -> None:
        """Add the kernel and the bias."""
        self.kernel = self.weight("kernel", (size_of(self, input_shape, -1), self.units))
        if self.use_bias:
            self.bias = self.weight("bias", (self.units,))

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The weighted sums, activated."""
        return self.ended(gc.matmul(as_dtype(inputs, self.dtype), self.kernel))


class EinsumDense(Activated):
    """``activation(einsum(equation, x, kernel) + bias)``: ``"abc,cd->abd"`` is :class:`Dense`, ``"...x,xy->...y"`` too.

    Args:
        equation: letters of the input, of the kernel, and of the output. The first axis of the input is the batch. An ellipsis before the
            letters of the input and the output, or behind them, stands for any further axes.
        output_shape: the sizes of the output without the batch, and without what the ellipsis stands for; None for those of the input.
        activation: a function, or its name.
        bias_axes: the letters of the output along which there is a bias; none by default.

    The sizes of the kernel are those of its letters. Raises :class:`ArgumentError` for an equation of another form, :class:`ShapeError`
    where a size cannot be known.
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.equation, self.bias_axes = equation, bias_axes
        self.partial_output_shape: tuple[int | None, ...] = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.declare("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self.end_with(activation, bias_axes is not None, bias_initializer, bias_regularizer, bias_constraint)
        self._letters = _terms(equation)
        wrong = set(bias_axes or "") - set(self._letters[2])
        if wrong:
            raise ArgumentError(f"EinsumDense: bias_axes is {bias_axes!r} for the output of {equation!r}", fits="letters of the output")

    def build(self, input_shape: Shape) -> None:
        """Add the kernel and the bias."""
        taken, kernel, given = [term.replace(".", "") for term in self._letters]
        before, behind = [self._letters[0].startswith("."), self._letters[0].endswith(".")]
        own = input_shape[len(input_shape) - len(taken) :] if before else input_shape[: len(taken)]
        if len(own) != len(taken) or (len(input_shape) > len(taken) and not (before or behind)):
            raise ShapeError(f"{self.name}: {self.equation!r} of an input of shape {input_shape}", fits=f"axes {taken!r}")
        behind_batch = given if before and len(input_shape) > len(taken) else given[1:]
        if len(behind_batch) != len(self.partial_output_shape):
            raise ShapeError(
                f"{self.name}: output_shape is {self.partial_output_shape} for {self.equation!r}",
                fits=f"a size for each of {behind_batch!r}",
            )
        sizes = {letter: size for letter, size in zip(taken, own, strict=True) if size is not None}
        for letter, size in zip(behind_batch, self.partial_output_shape, strict=True):
            if size is not None and sizes.setdefault(letter, size) != size:
                raise ShapeError(f"{self.name}: {letter!r} is {sizes[letter]} in the input and {size} in the output", fits="one size")
        self.kernel = self.weight("kernel", [sizes.get(letter) for letter in kernel])
        if self.bias_axes:
            start = min([given.index(letter) for letter in self.bias_axes])
            shape = [sizes.get(letter) if letter in self.bias_axes else 1 for letter in given[start:]]
            self.bias = self.weight("bias", (*shape, *(1,) * (len(input_shape) - len(taken) if behind else 0)))

    def call(self, inputs: gc.Tensor) -> gc.Tensor:
        """The sums of products, activated."""
        return self.ended(gc.einsum(self.equation, as_dtype(inputs, self.dtype), self.kernel))


def _terms(equation: str) -> tuple[str, str, str]:
    """The letters of the input, the kernel and the output, with an ellipsis where it stands."""
    written = equation.replace(" ", "") if isinstance(equation, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance]
    for taken in (r"[a-zA-Z]+", r"\.{3}[a-zA-Z]+", r"[a-zA-Z]+\.{3}"):
        if match := re.fullmatch(rf"({taken}),([a-zA-Z]+)->({taken})", written):
            return match[1], match[2], match[3]
    raise ArgumentError(f"EinsumDense: the equation is {equation!r}", fits="'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...'")
