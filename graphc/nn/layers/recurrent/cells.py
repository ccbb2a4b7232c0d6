"""Cells: one step of a recurrent layer, from what comes in and the states to the output and the new states.

What a cell makes of what comes in, ``project``, needs no step before; what it makes of that and of the states is ``step``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

import graphc as gc
from graphc.core import Tensor, Variable
from graphc.core.errors import ArgumentError, ShapeError, UnfinishedError
from graphc.core.op import as_dtype
from graphc.feed.batches import whole_number
from graphc.nn import activations
from graphc.nn.layer import Layer, Shape
from graphc.nn.layers.common import Weighted, listed, share, size_of, title
from graphc.nn.seeds import SeedGenerator

States: TypeAlias = list[Any]
"""Tensors; of stacked cells a list of them for each cell."""
Roles: TypeAlias = Mapping[str, tuple[Any, Any, Any]]


class Cell(Weighted):
    """One step of a recurrent layer, whose first state is its output: ``cell(inputs, states)`` gives the output and the new states.

    ``inputs`` are ``(batch, features)``, states ``(batch, units)``. Subclasses say in ``gates`` how many blocks of ``units`` the weights
    have side by side, and in ``step`` what is made of the projected inputs and the states.

    Attributes:
        kernel: ``(features, gates * units)``.
        recurrent_kernel: ``(units, gates * units)``.
        bias: ``(gates * units,)``, or None.
    """

    gates: ClassVar[int] = 1
    bias: Variable | None = None

    def __init__(
        self,
        units: int,
        activation: Any,
        use_bias: bool,
        roles: Roles,
        dropout: float,
        recurrent_dropout: float,
        seed: int | None,
        implementation: int = 2,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units = whole_number(f"{title(self)}: units", units, least=1)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        for role, choices in roles.items():
            self.declare(role, *choices)
        self.dropout, self.recurrent_dropout = share(self, "dropout", dropout), share(self, "recurrent_dropout", recurrent_dropout)
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    @property
    def state_size(self) -> int | list[int]:
        """How long the states are."""
        return self.units

    @property
    def output_size(self) -> int:
        """How long the output is."""
        return self.units

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """The shape of ``bias``."""
        return (self.gates * self.units,)

    def build(self, input_shape: Shape) -> None:
        """Add the weights."""
        if len(input_shape) != 2:
            raise ShapeError(f"{self.name}: a cell's input of shape {input_shape}", fits="(batch, features)")
        width = self.gates * self.units
        self.kernel = self.weight("kernel", (size_of(self, input_shape, -1), width))
        self.recurrent_kernel = self.weight("recurrent", (self.units, width), "recurrent_kernel")
        if self.use_bias:
            self.bias = self.weight("bias", self.bias_shape)

    def get_initial_state(self, batch_size: Any = None) -> States:
        """Zeros."""
        return [gc.zeros((batch_size, size), dtype=self.dtype) for size in listed(self.state_size)]

    def drawn(self, shape: Any, training: bool) -> tuple[list[Tensor], list[Tensor]]:
        """What inputs of this shape, and states, are multiplied by in training: nothing, one factor, or one for each gate."""
        if not training:
            return [], []
        count = self.gates if self.implementation == 1 else 1
        return self._noise(shape, self.dropout, count), self._noise((shape[0], self.units), self.recurrent_dropout, self.gates)

    def _noise(self, shape: Any, rate: float, count: int) -> list[Tensor]:
        ones = gc.ones(shape, dtype=self.dtype)
        return [gc.dropout(ones, rate, self.seed_generator.next()) for _ in range(count)] if rate else []

    def project(self, inputs: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """What ``step`` needs of inputs, ``(..., batch, features)``: their product with the kernel, and the bias."""
        y = _product(as_dtype(inputs, self.dtype), self.kernel, noise)
        return y if self.bias is None else y + self.bias

    def step(self, projected: Tensor, states: States, noise: Sequence[Tensor]) -> States:
        """The new states, the output first."""
        raise UnfinishedError(f"{title(self)}.step(projected, states, noise)", fits="a subclass that defines it")

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> Any:
        """The output, and the new states."""
        of_inputs, of_states = self.drawn(inputs.shape, training)
        new = self.step(self.project(inputs, of_inputs), listed(states), of_states)
        return new[0], new if isinstance(states, list | tuple) else new[0]

    def activated(self, x: Tensor) -> Tensor:
        """The activation of a tensor."""
        return x if self.activation is None else self.activation(x)


class GatedCell(Cell):
    """A cell with gates, whose activation is another one."""

    def __init__(self, recurrent_activation: Any, *values: Any, **options: Any) -> None:
        super().__init__(*values, **options)
        self.recurrent_activation = activations.get(recurrent_activation)

    def opened(self, x: Tensor) -> Tensor:
        """How far a gate is open."""
        return x if self.recurrent_activation is None else self.recurrent_activation(x)


class SimpleRNNCell(Cell):
    """``h = activation(x @ kernel + bias + h @ recurrent_kernel)``. Arguments are those of :class:`SimpleRNN`."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        roles = {
            "kernel": (kernel_initializer, kernel_regularizer, kernel_constraint),
            "recurrent": (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(units, activation, use_bias, roles, dropout, recurrent_dropout, seed, **options)

    def step(self, projected: Tensor, states: States, noise: Sequence[Tensor]) -> States:
        """The new ``h``."""
        return [self.activated(projected + _product(states[0], self.recurrent_kernel, noise))]


class LSTMCell(GatedCell):
    """Long short-term memory (S. Hochreiter and J. Schmidhuber, 1997; with a forget gate, F. Gers et al., 2000); see :class:`LSTM`.

    The weights have the blocks ``i, f, c, o``: ``c = f * c + i * activation(...)``, ``h = o * activation(c)``.
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        roles = {
            "kernel": (kernel_initializer, kernel_regularizer, kernel_constraint),
            "recurrent": (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(recurrent_activation, units, activation, use_bias, roles, dropout, recurrent_dropout, seed, **options)
        self.unit_forget_bias = bool(unit_forget_bias)
        if self.unit_forget_bias:
            self.bias_initializer = _ForgetBias(self.bias_initializer, self.units)

    @property
    def state_size(self) -> list[int]:
        """Those of ``h`` and of ``c``."""
        return [self.units, self.units]

    def step(self, projected: Tensor, states: States, noise: Sequence[Tensor]) -> States:
        """The new ``h`` and ``c``."""
        h, c = states
        i, f, g, o = gc.split(projected + _product(h, self.recurrent_kernel, noise), 4, axis=1)
        c = self.opened(f) * c + self.opened(i) * self.activated(g)
        return [self.opened(o) * self.activated(c), c]


@dataclass(frozen=True)
class _ForgetBias:
    """A first bias of 1 for the forget gate, so that nothing is forgotten at first (R. Jozefowicz et al., 2015)."""

    initializer: Any
    units: int

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        i, rest = self.initializer((self.units,), dtype=dtype), self.initializer((2 * self.units,), dtype=dtype)
        return np.concatenate([i, np.ones_like(i), rest])


class GRUCell(GatedCell):
    """A gated recurrent unit (K. Cho et al., 2014); see :class:`GRU`.

    The weights have the blocks ``z, r, h``: ``h = z * h + (1 - z) * activation(...)``. With ``reset_after`` ``r`` is a factor of the
    product of ``h`` with its kernel, and ``bias`` is ``(2, 3 * units)``: that of the inputs and that of the states; else ``r`` is a factor
    of ``h``.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        roles = {
            "kernel": (kernel_initializer, kernel_regularizer, kernel_constraint),
            "recurrent": (recurrent_initializer, recurrent_regularizer, recurrent_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(recurrent_activation, units, activation, use_bias, roles, dropout, recurrent_dropout, seed, **options)
        self.reset_after = bool(reset_after)

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """Two rows with ``reset_after``."""
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def project(self, inputs: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """The product with the kernel, and all biases but that of the states for ``h``, which ``r`` is a factor of."""
        y = _product(as_dtype(inputs, self.dtype), self.kernel, noise)
        if self.bias is None or not self.reset_after:
            return y if self.bias is None else y + self.bias
        both = self.bias[0, : 2 * self.units] + self.bias[1, : 2 * self.units]
        return y + gc.concatenate([both, self.bias[0, 2 * self.units :]])

    def step(self, projected: Tensor, states: States, noise: Sequence[Tensor]) -> States:
        """The new ``h``."""
        (h,) = states
        z, r, new = gc.split(projected, 3, axis=1)
        if self.reset_after:
            of_z, of_r, of_new = gc.split(_product(h, self.recurrent_kernel, noise), 3, axis=1)
            if self.bias is not None:
                of_new = of_new + self.bias[1, 2 * self.units :]
            z, r = self.opened(z + of_z), self.opened(r + of_r)
            of_new = r * of_new
        else:
            of_z, of_r = gc.split(_product(h, self.recurrent_kernel[:, : 2 * self.units], noise[:2]), 2, axis=1)
            z, r = self.opened(z + of_z), self.opened(r + of_r)
            of_new = _product(r * h, self.recurrent_kernel[:, 2 * self.units :], noise[2:])
        return [z * h + (1 - z) * self.activated(new + of_new)]


class StackedRNNCells(Layer):
    """Cells each of which takes the output of the one before. The states are a list for each cell.

    Raises :class:`ArgumentError` for what is no cell.
    """

    def __init__(self, cells: Sequence[Any], **options: Any) -> None:
        super().__init__(**options)
        self.cells = [checked_cell(self, cell) for cell in cells]

    @property
    def state_size(self) -> list[Any]:
        """Those of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """That of the last cell."""
        return output_size(self.cells[-1])

    def build(self, input_shape: Shape) -> None:
        """Build the cells."""
        for cell in self.cells:
            build_cell(cell, input_shape)
            input_shape = (input_shape[0], output_size(cell))

    def get_initial_state(self, batch_size: Any = None) -> States:
        """Those of each cell."""
        return [first_states(cell, batch_size) for cell in self.cells]

    def call(self, inputs: Any, states: States) -> Any:
        """The output of the last cell, and the new states."""
        new: States = []
        for cell, before in zip(self.cells, states, strict=True):
            inputs, after = cell(inputs, listed(before))
            new.append(listed(after))
        return inputs, new


# ---------------------------------------------------------------- any cell
def checked_cell(layer: Layer, cell: Any) -> Any:
    """The cell that a layer is given. Raises :class:`ArgumentError` for what is none."""
    if not isinstance(cell, Layer) or not hasattr(cell, "state_size"):
        fits = "a layer with call(inputs, states), which gives the output and the new states, and state_size; or a list of them"
        raise ArgumentError(f"{title(layer)}: {cell!r} is no cell", fits=fits)
    return cell


def build_cell(cell: Any, input_shape: Shape) -> None:
    """Build a cell, unless it is built."""
    if not cell.built:
        cell.build(input_shape)
        cell.built = True


def output_size(cell: Any) -> int:
    """How long the output of a cell is: its first state, if it does not say."""
    size = getattr(cell, "output_size", None)
    return listed(cell.state_size)[0] if size is None else size


def first_states(cell: Any, batch: Any) -> States:
    """The states of a cell before the first step: zeros, if it does not say."""
    if not hasattr(cell, "get_initial_state"):
        return [gc.zeros((batch, size), dtype=cell.dtype) for size in listed(cell.state_size)]
    return listed(cell.get_initial_state(batch_size=batch))


# ---------------------------------------------------------------- products
def _product(x: Tensor, kernel: Tensor, noise: Sequence[Tensor]) -> Tensor:
    """``x @ kernel``, with a factor of ``x`` for all columns, or for each of several blocks of columns its own."""
    if len(noise) <= 1:
        return _of_rows(x * noise[0] if noise else x, kernel)
    blocks = gc.split(kernel, len(noise), axis=1)
    return gc.concatenate([_of_rows(x * factor, block) for factor, block in zip(noise, blocks, strict=True)], axis=-1)


def _of_rows(x: Tensor, kernel: Tensor) -> Tensor:
    """``x @ kernel`` as the product of two matrices, also where ``x`` has an axis of steps."""
    if x.ndim == 2:
        return gc.matmul(x, kernel)
    steps, batch, features = x.shape
    return gc.reshape(gc.matmul(gc.reshape(x, (steps * batch, features)), kernel), (steps, batch, kernel.shape[1]))
