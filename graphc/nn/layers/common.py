"""What layers have in common: arguments with a number for each axis, where the channels are, weights that play a role."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast

from graphc.core import Variable
from graphc.core.errors import ArgumentError, ShapeError
from graphc.feed.batches import whole_number
from graphc.nn import activations, constraints, initializers, regularizers
from graphc.nn.layer import Layer, Shape

Format: TypeAlias = Literal["channels_last", "channels_first"]
AXES = {1: "one spatial axis", 2: "two spatial axes", 3: "three spatial axes"}


def listed(given: Any) -> list[Any]:
    """The items of a list or a tuple; anything else as the only one."""
    return list(cast("list[Any]", given)) if isinstance(given, list | tuple) else [given]


def title(layer: Layer) -> str:
    """What an error calls a layer: its class."""
    return type(layer).__name__


def data_format_of(layer: Layer, given: str | None) -> Format:
    """Where the channels are; last by default. Raises :class:`ArgumentError`."""
    return one_of(layer, "data_format", given or "channels_last", ("channels_last", "channels_first"))


def one_of(layer: Layer, name: str, given: Any, choices: tuple[str, ...]) -> Any:
    """The choice in small letters. Raises :class:`ArgumentError` for what is none."""
    choice = given.lower() if isinstance(given, str) else given
    if choice not in choices:
        raise ArgumentError(f"{title(layer)}: {name} is {given!r}", fits=", ".join(map(repr, choices)))
    return choice


def an_axis(layer: Layer, name: str, given: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """A whole number for each of ``count`` axes, given one for all of them or a sequence. Raises :class:`ArgumentError`."""
    numbers = listed(given) * (1 if isinstance(given, list | tuple) else count)
    if len(numbers) != count:
        raise ArgumentError(f"{title(layer)}: {name} is {given!r}", fits=f"a whole number from {least}, or {count} of them")
    return tuple([whole_number(f"{title(layer)}: {name}", number, least) for number in numbers])


def pairs(layer: Layer, name: str, given: Any, count: int) -> tuple[tuple[int, int], ...]:
    """Two numbers for each of ``count`` axes, (before, after): given one for all, or one or a pair for each. Raises :class:`ArgumentError`.

    A pair for the only axis may stand alone.
    """
    items = listed(given) * (1 if isinstance(given, list | tuple) else count)
    if count == 1 and len(items) == 2:
        items = [items]
    if len(items) != count:
        raise ArgumentError(f"{title(layer)}: {name} is {given!r}", fits=f"a number, or {count} numbers or pairs of them")
    found = [an_axis(layer, name, item, 2, 0) for item in items]
    return tuple([(before, after) for before, after in found])


def share(layer: Layer, name: str, given: Any, *, whole: bool = True) -> float:
    """A number from 0 to 1; less than 1 unless ``whole``. Raises :class:`ArgumentError`."""
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not 0 <= given <= 1 or (given == 1 and not whole):
        raise ArgumentError(f"{title(layer)}: {name} is {given!r}", fits=f"a number from 0 to {'1' if whole else 'less than 1'}")
    return given


def size_of(layer: Layer, input_shape: Shape, axis: int) -> int:
    """The size of an axis of the input. Raises :class:`ShapeError` where it is not there, or is not known."""
    size = input_shape[axis] if -len(input_shape) <= axis < len(input_shape) else None
    if size is None:
        raise ShapeError(f"{layer.name}: axis {axis} of an input of shape {input_shape}", fits="an axis whose size is a number")
    return size


def check_axes(layer: Layer, input_shape: Shape, count: int, what: str) -> None:
    """Raise :class:`ShapeError` unless an input has ``count`` axes."""
    if len(input_shape) != count:
        raise ShapeError(f"{layer.name}: an input of shape {input_shape}", fits=f"{count} axes: {what}")


class Weighted(Layer):
    """A layer whose arguments say, for the role that a weight plays, how it begins, is penalised and is kept within bounds."""

    def declare(self, role: str, initializer: Any, regularizer: Any, constraint: Any) -> None:
        """Keep them by Keras's names: ``kernel_initializer``, ``kernel_regularizer``, ``kernel_constraint``."""
        setattr(self, f"{role}_initializer", initializers.get(initializer))
        setattr(self, f"{role}_regularizer", regularizers.get(regularizer))
        setattr(self, f"{role}_constraint", constraints.get(constraint))

    def weight(self, role: str, shape: Any, name: str | None = None) -> Variable:
        """A new weight that plays a declared role, by whose name it goes unless another is given."""
        return self.add_weight(
            shape,
            getattr(self, f"{role}_initializer"),
            regularizer=getattr(self, f"{role}_regularizer"),
            constraint=getattr(self, f"{role}_constraint"),
            name=name or role,
        )


class Activated(Weighted):
    """A layer that ends with a bias, if ``use_bias``, and an activation, if it has one."""

    bias: Variable | None = None

    def end_with(self, activation: Any, use_bias: bool, initializer: Any, regularizer: Any, constraint: Any) -> None:
        """Keep the arguments."""
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.declare("bias", initializer, regularizer, constraint)

    def ended(self, y: Any, trailing: int = 0) -> Any:
        """The output: ``y`` with the bias, along the axis behind which there are ``trailing`` more, activated."""
        if self.bias is not None:
            y = y + (self.bias.reshape((*self.bias.shape, *(1,) * trailing)) if trailing else self.bias)
        return y if self.activation is None else self.activation(y)
