"""The layers: a cell at each step, the states before the first step and after the last one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

import graphc as gc
from graphc.core import Tensor, Variable, as_tensor, tree
from graphc.core.errors import ArgumentError, ShapeError, UnknownNameError, near
from graphc.core.op import as_dtype
from graphc.nn.allowance import take
from graphc.nn.layer import Layer, Shape
from graphc.nn.layers.common import listed
from graphc.nn.layers.recurrent.cells import (
    Cell,
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    States,
    build_cell,
    checked_cell,
    first_states,
)
from graphc.nn.layers.recurrent.loop import Loop
from graphc.nn.naming import snake_case


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
        self.cell: Any = StackedRNNCells(listed(cell)) if isinstance(cell, list | tuple) else checked_cell(self, cell)
        self.return_sequences, self.return_state = bool(return_sequences), bool(return_state)
        self.go_backwards, self.stateful, self.unroll = bool(go_backwards), bool(stateful), bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self._kept: _Kept | None = None

    def build(self, input_shape: Shape) -> None:
        """Build the cell, and variables for the states if they are kept."""
        if len(input_shape) < 3:
            raise ShapeError(f"{self.name}: an input of shape {input_shape}", fits="(batch, steps, features)")
        build_cell(self.cell, (input_shape[0], *input_shape[2:]))
        if self.stateful and self._kept is None:
            batch = input_shape[0]
            if batch is None:
                raise ShapeError(f"{self.name}: stateful needs to know the size of the batch", fits="nn.Input(batch_shape=(32, 10, 8))")
            self._kept = _Kept(_mapped(self._variable, first_states(self.cell, batch)))

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
        return first_states(self.cell, batch_size)

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """The outputs."""
        if self.unroll and not isinstance(sequences.shape[1], int):
            raise ArgumentError(f"{self.name}: unroll of {sequences.shape[1]} steps", fits="a known number of steps, or unroll=False")
        counts = self._counting(sequences, mask)
        loop = Loop(counts, training, self.go_backwards, self.unroll, self.zero_output_for_mask)
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
        own = first_states(self.cell, batch)
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
