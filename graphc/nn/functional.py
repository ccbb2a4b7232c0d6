"""Functional models: calls of layers that are remembered, and made again where a model is called.

:func:`Input` gives a leaf. A layer that is called on what depends on such a leaf gives a leaf again, for each of its outputs, which knows
of the call; operations between layers are graphs like any other. A :class:`Network` is what lies between inputs and outputs: given other
tensors for the inputs it calls the layers again, each time it is asked, so that training and inference are what the layers say they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from graphc.core import Input as Leaf
from graphc.core import Tensor, TensorType, rebuild, sizes, toposort, tree
from graphc.core.errors import ArgumentError
from graphc.core.sizes import Dim, Size
from graphc.nn.forward import Forward
from graphc.nn.layer import Layer


class Symbol(Leaf):
    """An input of a functional model, or an output of a layer in one."""

    __slots__ = ("call",)
    call: Call


@dataclass(eq=False)
class Call:
    """A layer that was called, on what, and what it gave: tensors are among ``args`` and ``kwargs``, symbols in ``outputs``."""

    layer: Layer
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    outputs: Any = None

    @property
    def first_argument(self) -> Any:
        """What the layer was called on."""
        return self.args[0] if self.args else next(iter(self.kwargs.values()), self.outputs)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors among the arguments."""
        leaves, _ = tree.flatten((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


class InputLayer(Layer):
    """Where values come into a model. ``shape`` is without the batch; None stands for a size that a call brings."""

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        name: str | None = None,
        *,
        batch_shape: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if (shape is None) == (batch_shape is None):
            raise ArgumentError("Input: either shape or batch_shape has to be given", fits="shape=(784,)")
        if batch_shape is None:
            batch_shape = (batch_size, *((shape,) if isinstance(shape, int | str) else shape))
        self.batch_shape: tuple[Any, ...] = tuple(batch_shape)
        self.built = True
        symbol = _symbol(Call(self), TensorType(self.dtype, named_sizes(self.batch_shape, self.name)), self.name)
        symbol.call.outputs = symbol
        self._calls.append(symbol.call)

    def call(self, x: Tensor) -> Tensor:
        """What comes in."""
        return x


def Input(  # noqa: N802  (Keras's name)
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    name: str | None = None,
    *,
    batch_shape: Any = None,
) -> Any:
    """A tensor on which layers are called, to make a functional model.

    Args:
        shape: without the batch; a size is a number, a name, or None for one that a call brings.
        batch_size: a number if the batch has one size for good.
        dtype: float32 by default.
        name: what the model calls it.
        batch_shape: the whole shape, instead of ``shape``.

    Raises:
        ArgumentError: neither or both shapes.
    """
    return InputLayer(shape, batch_size, dtype, name, batch_shape=batch_shape).output


def named_sizes(shape: Sequence[Any], name: str) -> tuple[Dim, ...]:
    """A shape with a name for each size that is None: ``batch`` for the first, else one made of ``name`` and the axis."""
    letters = "".join([letter if letter.isalnum() and letter.isascii() else "_" for letter in name]).strip("_") or "input"
    prefix = letters if letters[0].isalpha() else f"input_{letters}"
    given = [size if size is not None else ("batch" if axis == 0 else f"{prefix}_{axis}") for axis, size in enumerate(shape)]
    return sizes.canonical(given)


def _symbol(call: Call, type: TensorType, name: str) -> Symbol:
    symbol = Symbol(None, (), (), type)
    symbol.label, symbol.call = name, call
    return symbol


def is_symbolic(tensors: Iterable[Tensor]) -> bool:
    """Whether one of the tensors depends on an ``nn.Input``."""
    return any(isinstance(node, Symbol) for node in toposort(tensors))


def remembered(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The outputs of a layer as leaves that know how they were made."""
    with Forward():
        given = layer(*args, **kwargs)
    call = Call(layer, args, kwargs)
    leaves, rebuilt = tree.flatten(given)
    call.outputs = rebuilt([_symbol(call, leaf.type, layer.name) for leaf in leaves])
    layer._calls.append(call)  # pyright: ignore[reportPrivateUsage]
    return call.outputs


class Network:
    """What lies between inputs and outputs, each a symbol or a structure of tensors: layers in an order in which they can be called.

    Raises :class:`ArgumentError` where an input is none, or the outputs need another one.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.symbols: list[Symbol] = _checked(tree.flatten(inputs)[0])
        self.results: list[Tensor] = tree.flatten(outputs)[0]
        self.calls = _in_order(self.symbols, self.results)

    @property
    def layers(self) -> list[Layer]:
        """The layers, each once: the inputs where they are first, then in the order of the calls."""
        return list(dict.fromkeys([*[s.call.layer for s in self.symbols], *[call.layer for call in self.calls]]))

    def __call__(self, inputs: Sequence[Tensor]) -> Any:
        """The outputs for these inputs, in the pass that is going on."""
        replay = _Replay(dict(zip(self.symbols, inputs, strict=True)))
        for call in self.calls:
            replay.make(call)
        return tree.flatten(self.outputs)[1](replay.values(self.results))


def _checked(leaves: Sequence[Any]) -> list[Symbol]:
    for leaf in leaves:
        if not isinstance(leaf, Symbol):
            raise ArgumentError(f"Model: {leaf!r} is no input of a model", fits="what nn.Input(shape) gives, or the output of a layer")
    return list(leaves)


def _in_order(inputs: Sequence[Symbol], outputs: Sequence[Tensor]) -> list[Call]:
    order: dict[Call, None] = {}
    known = set(inputs)
    waiting: list[tuple[Call | None, Iterable[Tensor]]] = [(None, outputs)]
    while waiting:
        call, needs = waiting[-1]
        missing = next((c for c in _calls_of(needs, known) if c not in order), None)
        if missing is None:
            waiting.pop()
            if call is not None:
                order[call] = None
        elif isinstance(missing.layer, InputLayer):
            raise ArgumentError(
                f"Model: the outputs need the input {missing.layer.name!r}",
                given=[f"inputs: {[x.label for x in inputs]}"],
                fits="all inputs",
            )
        else:
            waiting.append((missing, missing.tensors))
    return list(order)


def _calls_of(tensors: Iterable[Tensor], known: set[Symbol]) -> list[Call]:
    return [node.call for node in toposort(tensors) if isinstance(node, Symbol) and node not in known]


class _Replay:
    """The tensors of a network on other inputs."""

    def __init__(self, new: Mapping[Symbol, Tensor]) -> None:
        self.new: dict[Tensor, Tensor] = {**new}
        self.sizes: dict[str, Dim] = {}
        for symbol, value in new.items():
            self._note_sizes(symbol, value)

    def _note_sizes(self, symbol: Tensor, value: Tensor) -> None:
        if symbol.type is not value.type and symbol.ndim == value.ndim:
            for declared, given in zip(symbol.shape, value.shape, strict=True):
                name = sizes.name_of(declared)
                if name is not None and declared != given:
                    self.sizes[name] = given

    def make(self, call: Call) -> None:
        """Call the layer again; what it gives stands for what it gave."""
        leaves, rebuilt = tree.flatten((call.args, call.kwargs))
        args, kwargs = rebuilt([self.values([leaf])[0] if isinstance(leaf, Tensor) else leaf for leaf in leaves])
        outputs, _ = tree.flatten(call.layer(*args, **kwargs))
        for symbol, value in zip(tree.flatten(call.outputs)[0], outputs, strict=True):
            self.new[symbol] = value
            self._note_sizes(symbol, value)

    def values(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The tensors with all symbols replaced."""
        for node in toposort(tensors):
            if node not in self.new:
                inputs = tuple([self.new[x] for x in node.inputs])
                self.new[node] = rebuild(node, inputs, _resized(node.attrs, self.sizes) if self.sizes else node.attrs)
        return [self.new[x] for x in tensors]


def _resized(attribute: Any, given: dict[str, Dim]) -> Any:
    """Attributes with other sizes for the named ones."""
    if isinstance(attribute, tuple):
        return tuple([_resized(item, given) for item in cast("tuple[Any, ...]", attribute)])
    if not isinstance(attribute, Size) or sizes.names(attribute).isdisjoint(given):
        return attribute
    total: Dim = 0
    for monomial, count in attribute.terms:
        term: Dim = count
        for atom in monomial:
            term = term * (given.get(atom, sizes.named(atom)) if isinstance(atom, str) else _atom(atom, given))
        total = total + term
    return total


def _atom(atom: sizes.Sliced, given: dict[str, Dim]) -> Dim:
    return sizes.sliced(_resized(atom.length, given), atom.start, atom.stop, atom.step)
