"""Recurrent layers: a cell is one step, a layer is a loop of it over the second axis of ``(batch, steps, features)``.

The loop is one ``gc.scan``. Products with what comes in need no step before, so those of all steps are one product ahead of the loop; only
the products with the state are within. Cells that are stacked are one loop after the other, each over all steps, which gives the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np

import graphc as gc
from graphc.core import Tensor, Variable, as_tensor, toposort, tree
from graphc.core.errors import ArgumentError, ShapeError, UnfinishedError, UnknownNameError, near
from graphc.core.op import as_dtype
from graphc.feed.batches import whole_number
from graphc.nn import activations
from graphc.nn.allowance import take
from graphc.nn.forward import Forward, the_pass
from graphc.nn.layer import Layer, Shape
from graphc.nn.layers.common import Weighted, listed, share, title
from graphc.nn.layers.common import size_of as size_of_axis
from graphc.nn.naming import snake_case
from graphc.nn.seeds import SeedGenerator

States: TypeAlias = list[Any]
"""Tensors; of stacked cells a list of them for each cell."""
Roles: TypeAlias = Mapping[str, tuple[Any, Any, Any]]


# ---------------------------------------------------------------- cells
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
        self.kernel = self.weight("kernel", (size_of_axis(self, input_shape, -1), width))
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
        self.cells = [_checked_cell(self, cell) for cell in cells]

    @property
    def state_size(self) -> list[Any]:
        """Those of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """That of the last cell."""
        return _output_size(self.cells[-1])

    def build(self, input_shape: Shape) -> None:
        """Build the cells."""
        for cell in self.cells:
            _build(cell, input_shape)
            input_shape = (input_shape[0], _output_size(cell))

    def get_initial_state(self, batch_size: Any = None) -> States:
        """Those of each cell."""
        return [_first_states(cell, batch_size) for cell in self.cells]

    def call(self, inputs: Any, states: States) -> Any:
        """The output of the last cell, and the new states."""
        new: States = []
        for cell, before in zip(self.cells, states, strict=True):
            inputs, after = cell(inputs, listed(before))
            new.append(listed(after))
        return inputs, new


def _checked_cell(layer: Layer, cell: Any) -> Any:
    if not isinstance(cell, Layer) or not hasattr(cell, "state_size"):
        fits = "a layer with call(inputs, states), which gives the output and the new states, and state_size; or a list of them"
        raise ArgumentError(f"{title(layer)}: {cell!r} is no cell", fits=fits)
    return cell


def _build(cell: Any, input_shape: Shape) -> None:
    if not cell.built:
        cell.build(input_shape)
        cell.built = True


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    return listed(cell.state_size)[0] if size is None else size


def _first_states(cell: Any, batch: Any) -> States:
    if not hasattr(cell, "get_initial_state"):
        return [gc.zeros((batch, size), dtype=cell.dtype) for size in listed(cell.state_size)]
    return listed(cell.get_initial_state(batch_size=batch))


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


# ---------------------------------------------------------------- loops
@dataclass(frozen=True)
class _Loop:
    """How a cell goes over ``(steps, batch, ...)``. ``mask`` is ``(steps, batch, 1)``, and tells which steps count."""

    mask: Tensor | None
    training: bool
    reverse: bool
    unroll: bool
    zero_output: bool

    def through(self, cell: Any, xs: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        """The output of the last step, those of all steps, and the last states."""
        if type(cell) is not StackedRNNCells:
            return self._of(cell, xs, states)
        last = xs
        after: States = []
        for one, before in zip(cell.cells, states, strict=True):
            last, xs, new = self._of(one, xs, before)
            after.append(new)
        return last, xs, after

    def _of(self, cell: Any, xs: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        xs, step, is_state = self._steps(cell, xs)
        # The last output is carried where it is not the first state.
        first = (states,) if is_state else (states, gc.zeros((xs.shape[1], _output_size(cell)), dtype=cell.dtype))

        def body(carry: Any, items: Any) -> Any:
            before, *outputs = carry
            output, new = step(items[0], before)
            if len(items) > 1:
                new = _zipped(lambda after, earlier: _chosen(items[1], after, earlier), new, before)
                previous = gc.zeros_like(output) if self.zero_output else outputs[0] if outputs else before[0]
                output = _chosen(items[1], output, previous)
            return (new, output) if outputs else (new,), output

        (after, *outputs), ys = self._run(body, first, [xs] if self.mask is None else [xs, self.mask])
        return outputs[0] if outputs else after[0], ys, after

    def _steps(self, cell: Any, xs: Tensor) -> tuple[Tensor, Callable[[Tensor, States], tuple[Tensor, States]], bool]:
        """What to loop over, the step, and whether its output is the first state."""
        if not isinstance(cell, Cell) or type(cell).call is not Cell.call:
            return xs, self._guarded(cell), False
        of_inputs, of_states = cell.drawn(xs.shape[1:], self.training)

        def step(projected: Tensor, states: States) -> tuple[Tensor, States]:
            new = cell.step(projected, states, of_states)
            return new[0], new

        return cell.project(xs, of_inputs), step, not self.zero_output

    def _guarded(self, cell: Any) -> Callable[[Tensor, States], tuple[Tensor, States]]:
        """The call of any cell. What it registers in the pass has to be the same in each step, since a loop is registered once."""
        forward = the_pass("a cell")

        def step(item: Tensor, states: States) -> tuple[Tensor, States]:
            updates, losses = dict(forward.updates), len(forward.losses)
            output, new = cell(item, states)
            if not self.unroll:
                _refuse_changes(cell, forward, updates, losses, [item, *tree.flatten(states)[0]])
            return output, listed(new)

        return step

    def _run(self, body: Callable[..., Any], first: Any, xs: list[Tensor]) -> Any:
        if not self.unroll or xs[0].shape[0] == 0:
            return gc.scan(body, first, xs, reverse=self.reverse)
        steps = range(cast("int", xs[0].shape[0]))
        carry = first
        ys: list[Tensor] = []
        for i in reversed(steps) if self.reverse else steps:
            carry, y = body(carry, [x[i] for x in xs])
            ys.append(y)
        return carry, gc.stack(ys[::-1] if self.reverse else ys)


def _chosen(counts: Tensor, after: Tensor, before: Tensor) -> Tensor:
    """``after`` in the samples that count, ``(batch, 1)``, else ``before``."""
    return gc.where(counts if after.ndim == 2 else gc.reshape(counts, (after.shape[0], *(1,) * (after.ndim - 1))), after, before)


def _zipped(function: Callable[[Tensor, Tensor], Tensor], one: Any, other: Any) -> Any:
    leaves, rebuilt = tree.flatten(one)
    return rebuilt([function(as_tensor(a), b) for a, b in zip(leaves, tree.flatten(other)[0], strict=True)])


def _refuse_changes(cell: Layer, forward: Forward, updates: Mapping[Any, Any], losses: int, read: Sequence[Any]) -> None:
    new = [value for variable, value in forward.updates.items() if updates.get(variable) is not value] + forward.losses[losses:]
    if new and not set(toposort(new)).isdisjoint(read):
        raise ArgumentError(
            f"{cell.name}: a step updates a variable, or adds a loss, by what it computes",
            fits="a cell whose steps change nothing but states; or unroll=True",
        )


# ---------------------------------------------------------------- layers
@dataclass(frozen=True, eq=False)
class _Kept:
    """Variables that hold the last states. They are no weights, so that weights do not depend on the batch."""

    variables: States

    @property
    def flat(self) -> list[Variable]:
        return tree.flatten(self.variables)[0]


class RNN(Layer):
    """A cell at each step of ``(batch, steps, ...)``: the output of the last step, ``(batch, units)``.

    Args:
        cell: :class:`LSTMCell` or another; or a list of cells, each of which takes the output of the one before. One's own is a layer whose
            ``call(inputs, states)`` gives the output and the new states, with ``state_size``: a number or a list of them.
            ``output_size`` is the first of them if it is not said, and ``get_initial_state(batch_size)`` zeros.
        return_sequences: the output of each step instead, ``(batch, steps, units)``.
        return_state: a tuple, the output and the last states.
        go_backwards: begin with the last step. The outputs are in the order in which they are made.
        stateful: keep the states for the next batch, which has to have the size of the first: ``reset_state()`` makes them 0 again.
        unroll: the graph has each step by itself, and no loop; the number of steps has to be known. It takes longer to compile.
        zero_output_for_mask: the output of a step that does not count is 0.

    A call takes ``initial_state``, a list as long as that of the states, else they begin with 0; and ``mask``, ``(batch, steps)``. At a
    step that does not count the states stay as they are, and the output is that of the step before. Without any step it is the state.
    Random numbers that a cell draws are one draw for all steps.

    Raises :class:`ArgumentError` and :class:`ShapeError` for what is no cell, and for states, masks and numbers of steps that do not fit.
    """

    supports_masking = True

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.cell: Any = StackedRNNCells(listed(cell)) if isinstance(cell, list | tuple) else _checked_cell(self, cell)
        self.return_sequences, self.return_state = bool(return_sequences), bool(return_state)
        self.go_backwards, self.stateful, self.unroll = bool(go_backwards), bool(stateful), bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self._kept: _Kept | None = None

    def build(self, input_shape: Shape) -> None:
        """Build the cell, and variables for the states if they are kept."""
        if len(input_shape) < 3:
            raise ShapeError(f"{self.name}: an input of shape {input_shape}", fits="(batch, steps, features)")
        _build(self.cell, (input_shape[0], *input_shape[2:]))
        if self.stateful and self._kept is None:
            batch = input_shape[0]
            if batch is None:
                raise ShapeError(f"{self.name}: stateful needs to know the size of the batch", fits="nn.Input(batch_shape=(32, 10, 8))")
            self._kept = _Kept(_mapped(self._variable, _first_states(self.cell, batch)))

    def _variable(self, state: Tensor) -> Variable:
        take(f"{self.name}/rnn_state", cast("tuple[int, ...]", state.shape), state.dtype)
        return gc.variable(np.zeros(cast("tuple[int, ...]", state.shape), state.dtype), name=f"{self.name}/rnn_state")

    @property
    def states(self) -> States | None:
        """The variables that the states are kept in, if they are."""
        return None if self._kept is None else self._kept.variables

    def reset_state(self, states: Any = None) -> None:
        """Make the states that are kept 0, or the given ones. Raises :class:`ArgumentError` for another number of them."""
        kept = [] if self._kept is None else self._kept.flat
        given: list[Any] = [np.zeros_like(x.value) for x in kept] if states is None else tree.flatten(states)[0]
        if len(given) != len(kept):
            raise ArgumentError(f"{self.name}.reset_state: {len(given)} states", fits=f"{len(kept)} of them, or None")
        for variable, value in zip(kept, given, strict=True):
            variable.assign(value)

    reset_states = reset_state

    def get_initial_state(self, batch_size: Any) -> States:
        """The states before the first step."""
        return _first_states(self.cell, batch_size)

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """The outputs."""
        if self.unroll and not isinstance(sequences.shape[1], int):
            raise ArgumentError(f"{self.name}: unroll of {sequences.shape[1]} steps", fits="a known number of steps, or unroll=False")
        counts = self._counting(sequences, mask)
        loop = _Loop(counts, training, self.go_backwards, self.unroll, self.zero_output_for_mask)
        states = self._beginning(sequences.shape[0], initial_state)
        last, ys, after = loop.through(self.cell, gc.swapaxes(sequences, 0, 1), states)
        if self._kept is not None:
            for variable, state in zip(self._kept.flat, tree.flatten(after)[0], strict=True):
                self.add_update(variable, state)
        y = gc.swapaxes(gc.flip(ys, axis=0) if self.go_backwards else ys, 0, 1) if self.return_sequences else last
        return (y, *after) if self.return_state else y

    def _counting(self, sequences: Tensor, mask: Any) -> Tensor | None:
        mask = listed(mask)[0]
        if mask is None:
            return None
        mask = as_tensor(mask)
        if mask.shape != sequences.shape[:2]:
            raise ShapeError(f"{self.name}: a mask of shape {mask.shape} for an input of shape {sequences.shape}", fits="(batch, steps)")
        return gc.expand_dims(gc.swapaxes(as_dtype(mask, "bool"), 0, 1), axis=2)

    def _beginning(self, batch: Any, given: Any) -> States:
        """The states before the first step: those given, those kept, or those of the cell."""
        own = _first_states(self.cell, batch)
        if given is None and self._kept is None:
            return own
        likes, rebuilt = tree.flatten(own)
        states = tree.flatten(given)[0] if given is not None else [self.latest(x) for x in cast("_Kept", self._kept).flat]
        if len(states) != len(likes):
            raise ArgumentError(f"{self.name}: {len(states)} first states", fits=f"{len(likes)}, each (batch, its size)")
        found = [as_dtype(as_tensor(state), like.dtype) for state, like in zip(states, likes, strict=True)]
        for state, like in zip(found, likes, strict=True):
            if state.shape != like.shape:
                raise ShapeError(f"{self.name}: a first state of shape {state.shape}", fits=str(like.shape))
        return rebuilt(found)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """That of the input, if there is an output for each step."""
        return listed(previous_mask)[:1] if self.return_sequences else None


def _mapped(function: Callable[[Any], Any], structure: Any) -> Any:
    leaves, rebuilt = tree.flatten(structure)
    return rebuilt([function(leaf) for leaf in leaves])


class OfOneCell(RNN):
    """A layer that makes its cell itself, and has the attributes that the cell was made with: ``units``, ``activation``."""

    def __init__(self, cell: Cell, use_cudnn: Any = "auto", **options: Any) -> None:
        super().__init__(cell, **options)
        self.use_cudnn = use_cudnn
        # Names of weights begin with that of the layer: cells of two layers have different ones.
        cell.name = f"{self.name}/{snake_case(type(cell).__name__)}"

    def __getattr__(self, name: str) -> Any:
        cell = self.__dict__.get("cell")
        if name.startswith("_") or cell is None or name not in inspect.signature(type(cell).__init__).parameters:
            raise UnknownNameError(f"{type(self).__name__} has no attribute {name!r}{near(name, vars(self))}", fits="dir() of it")
        return getattr(cell, name)

    def build(self, input_shape: Shape) -> None:
        """See :meth:`RNN.build`. Raises :class:`ShapeError` unless there are three axes."""
        if len(input_shape) != 3:
            raise ShapeError(f"{self.name}: an input of shape {input_shape}", fits="(batch, steps, features)")
        super().build(input_shape)


class SimpleRNN(OfOneCell):
    """A dense layer of the input and its own last output, at each step: ``h = activation(x @ kernel + bias + h @ recurrent_kernel)``.

    ``(batch, steps, features)`` gives ``(batch, units)``; see :class:`RNN` for what a call takes and for ``return_sequences`` and the
    arguments after it.

    Args:
        units: how long the output is.
        activation: a function, or its name.
        use_bias: whether there is a bias.
        dropout: the share of the inputs that are 0 in training, at all steps the same ones; the others are ``1 / (1 - dropout)`` times
            what they are (Y. Gal and Z. Ghahramani, 2016).
        recurrent_dropout: that of the states.
        seed: of the dropout.

    The others say how weights begin, what they add to the loss, and what they are kept to. Raises :class:`ArgumentError` for units below 1
    and shares that are not from 0 to 1, :class:`ShapeError` for inputs that have not three axes.
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        cell = SimpleRNNCell(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            seed,
            dtype=options.get("dtype"),
            name="cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **options,
        )


class LSTM(OfOneCell):
    """Long short-term memory (S. Hochreiter and J. Schmidhuber, 1997): gates say what a step keeps, takes up and gives out.

    ``i, f, o`` are ``recurrent_activation(x @ kernel + h @ recurrent_kernel + bias)``, and ``c = f * c + i * activation(...)``,
    ``h = o * activation(c)``. The states are ``h`` and ``c``; the weights have the blocks ``i, f, c, o``, ``units`` wide each.

    Args:
        recurrent_activation: that of the gates.
        unit_forget_bias: whether the bias of ``f`` begins with 1.
        recurrent_dropout: if it is not 0, what is dropped is drawn for each of the blocks, and for the inputs too.
        implementation: 1 draws for each of the blocks in any case.
        use_cudnn: has no meaning here.

    The other arguments and the errors are those of :class:`SimpleRNN`.
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        *,
        implementation: int = 2,
        **options: Any,
    ) -> None:
        cell = LSTMCell(
            units,
            activation,
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            unit_forget_bias,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            seed,
            implementation=implementation,
            dtype=options.get("dtype"),
            name="cell",
        )
        super().__init__(
            cell,
            use_cudnn,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **options,
        )


class GRU(OfOneCell):
    """A gated recurrent unit (K. Cho et al., 2014): one gate ``z`` says how much of the state stays, one ``r`` what of it is read.

    ``h = z * h + (1 - z) * activation(...)``. The weights have the blocks ``z, r, h``, ``units`` wide each. See :class:`GRUCell` for
    ``reset_after``; the other arguments and the errors are those of :class:`LSTM`.
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        *,
        implementation: int = 2,
        **options: Any,
    ) -> None:
        cell = GRUCell(
            units,
            activation,
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            reset_after,
            seed,
            implementation=implementation,
            dtype=options.get("dtype"),
            name="cell",
        )
        super().__init__(
            cell,
            use_cudnn,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **options,
        )
