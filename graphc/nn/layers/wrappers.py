"""Layers around layers: in both directions of time, at each step."""

from __future__ import annotations

from typing import Any, Final, cast

import graphc as gc
from graphc.core import as_tensor, tree
from graphc.core.errors import ArgumentError, ShapeError
from graphc.nn.forward import the_pass
from graphc.nn.layer import Layer, Shape
from graphc.nn.layers.common import title

MERGE_MODES: Final = ("sum", "mul", "concat", "ave", None)


class Wrapper(Layer):
    """A layer that has another one, ``layer``. Raises :class:`ArgumentError` for what is no layer."""

    def __init__(self, layer: Layer, **options: Any) -> None:
        super().__init__(**options)
        self.layer = _checked(self, layer)


class TimeDistributed(Wrapper):
    """A layer at each step: of ``(batch, steps, ...)`` it is called on ``(batch * steps, ...)``, and its output is taken apart again.

    The steps are samples for the layer within, of which a mask with more than two axes is told without the axis of steps.
    Raises :class:`ShapeError` for an input without steps, and for a mask that does not begin with ``(batch, steps)``.
    """

    supports_masking = True

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """The outputs, each with the axes ``(batch, steps)`` in front."""
        if inputs.ndim < 3:
            raise ShapeError(f"{self.name}: an input of shape {inputs.shape}", fits="(batch, steps, features), or more axes")
        batch, steps = inputs.shape[:2]
        merged = gc.reshape(inputs, (batch * steps, *inputs.shape[2:]))
        if mask is not None:
            mask = as_tensor(mask)
            if mask.shape[:2] != inputs.shape[:2]:
                raise ShapeError(
                    f"{self.name}: a mask of shape {mask.shape} for an input of shape {inputs.shape}", fits="(batch, steps, ...)"
                )
            if mask.ndim > 2:
                the_pass("TimeDistributed").masks[merged] = gc.reshape(mask, (batch * steps, *mask.shape[2:]))
        leaves, rebuilt = tree.flatten(self.layer(merged, training=training))
        return rebuilt([gc.reshape(y, (batch, steps, *y.shape[1:])) for y in leaves])


class Bidirectional(Layer):
    """A recurrent layer over ``(batch, steps, features)`` and one that begins with the last step, merged.

    Args:
        layer: a recurrent layer, from whose config both are made: ``forward_layer`` and ``backward_layer``.
        merge_mode: ``"concat"`` along the last axis, ``"sum"``, ``"mul"``, ``"ave"``, or None for a tuple of both outputs.
        weights: first values, of the first layer and then of the second.
        backward_layer: a layer that goes the other way, instead of the one that is made.

    With ``return_sequences`` both outputs are in the order of the steps, and 0 where a step does not count. With ``return_state`` the
    states of both come after the output, and ``initial_state`` has those of both.

    Raises :class:`ArgumentError` for what is no recurrent layer, another mode, and layers that do not fit each other.
    """

    supports_masking = True

    def __init__(
        self, layer: Layer, merge_mode: str | None = "concat", weights: Any = None, backward_layer: Layer | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        if merge_mode not in MERGE_MODES:
            raise ArgumentError(f"Bidirectional: merge_mode is {merge_mode!r}", fits=", ".join(map(repr, MERGE_MODES)))
        for one in (layer,) if backward_layer is None else (layer, backward_layer):
            if not hasattr(_checked(self, one), "go_backwards"):
                raise ArgumentError(f"Bidirectional: {one!r} has no direction", fits="a recurrent layer: LSTM, GRU, SimpleRNN, RNN")
        self.merge_mode = merge_mode
        self.forward_layer: Any = _copy(layer, "forward")
        self.backward_layer: Any = backward_layer or _copy(layer, "backward", go_backwards=not cast("Any", layer).go_backwards)
        self._check_layers()
        self.return_sequences, self.return_state = self.forward_layer.return_sequences, self.forward_layer.return_state
        for one in (self.forward_layer, self.backward_layer):
            one.zero_output_for_mask = self.return_sequences
        self.initial_weights = weights

    def _check_layers(self) -> None:
        one, other = self.forward_layer, self.backward_layer
        if one.go_backwards == other.go_backwards:
            raise ArgumentError(f"Bidirectional: go_backwards is {one.go_backwards} in both layers", fits="layers of both directions")
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(one, name) != getattr(other, name):
                given = f"{name} is {getattr(one, name)} in one layer and {getattr(other, name)} in the other"
                raise ArgumentError(f"Bidirectional: {given}", fits="the same in both")

    def build(self, input_shape: Shape) -> None:
        """Build both layers."""
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(input_shape)
                layer.built = True
        if self.initial_weights is not None:
            self.set_weights(self.initial_weights)

    def reset_state(self) -> None:
        """Make the states that are kept 0."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """The outputs, merged, and the states."""
        half = 0 if initial_state is None else len(initial_state) // 2
        of_each = (None, None) if initial_state is None else (initial_state[:half], initial_state[half:])
        found: list[Any] = []
        states: list[Any] = []
        for layer, state in zip((self.forward_layer, self.backward_layer), of_each, strict=True):
            y = layer(sequences, initial_state=state, mask=mask, training=training)
            y, *after = y if self.return_state else (y,)
            found.append(gc.flip(y, axis=1) if self.return_sequences and layer.go_backwards else y)
            states += after
        merged = self._merged(*found)
        if not self.return_state:
            return merged
        return (*(merged if self.merge_mode is None else (merged,)), *states)

    def _merged(self, y: gc.Tensor, other: gc.Tensor) -> Any:
        match self.merge_mode:
            case "sum":
                return y + other
            case "mul":
                return y * other
            case "ave":
                return (y + other) / 2
            case "concat":
                return gc.concatenate([y, other], axis=-1)
            case _:
                return y, other

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """That of the input, if there is an output for each step."""
        return [previous_mask] * (2 if self.merge_mode is None else 1) if self.return_sequences else None


def _checked(wrapper: Layer, layer: Any) -> Layer:
    if not isinstance(layer, Layer):
        raise ArgumentError(f"{title(wrapper)}: {layer!r} is no layer", fits="a layer")
    return layer


def _copy(layer: Layer, direction: str, **others: Any) -> Layer:
    """A layer with the same config and weights of its own."""
    config = {**layer.get_config(), "name": f"{direction}_{layer.name.removeprefix(f'{direction}_')}", **others}
    return type(layer).from_config(config)
