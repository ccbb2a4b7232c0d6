"""What a layer is: variables, and a function of tensors that reads them.

How a layer is written::

    class Linear(Layer):
        '''``x @ kernel + bias``.'''

        supports_masking = True                       # a mask of the input is that of the output; else compute_mask, or none

        def __init__(self, units: int, use_bias: bool = True, **options: Any) -> None:
            super().__init__(**options)               # name, dtype, trainable, activity_regularizer
            self.units, self.use_bias = units, use_bias
            self.seeds = SeedGenerator()              # where call draws random numbers

        def build(self, input_shape: Shape) -> None:  # once, before the first call; None where a size is known later
            self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
            self.bias = self.add_weight((self.units,), "zeros", name="bias") if self.use_bias else None

        def call(self, x: gc.Tensor, training: bool = False, mask: gc.Tensor | None = None) -> gc.Tensor:
            ...

- ``call`` is written with gc's functions of tensors, and gives a tensor, or a tuple, list or dict of them. ``training`` is a plain bool,
  since training and inference are two graphs; it, and ``mask``, are passed to layers that have parameters of these names. Leading sizes
  are names (``"batch"``): shapes are to be written with ``x.shape``, or -1, and not with numbers.
- What changes from step to step besides weights is registered in ``call``: ``self.add_update(variable, new)`` for what a step leaves
  behind (``self.latest(variable)`` is its value so far, if the layer is called twice), ``self.seeds.next()`` for a key of ``gc.random``,
  ``self.add_loss(scalar)`` for what is added to the loss.
- Layers and variables that are attributes, or in lists, tuples and dicts that are, belong to the layer, in the order of the attributes.
- The config of a layer is the arguments of its ``__init__`` (graphc.nn.configured), by name, so nothing need be written for it to be
  saved. Arguments that are names ("relu") are looked up in ``__init__`` and kept as attributes.
- Output shapes are inferred. Masks go with tensors from layer to layer: ``compute_mask(inputs, previous_mask)`` gives that of the output.
  Inputs that are several tensors (a list) have a list of masks.
- Inputs of float dtypes are brought to the layer's dtype, float32 unless it says otherwise; integers are left as they are.

A layer is called on tensors, and gives a tensor; on values (arrays, lists, numbers), and gives arrays, computed at once; or on what
:func:`graphc.nn.Input` gives, and then the call is remembered, for a :class:`graphc.nn.Model`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias, cast

import numpy as np

from graphc.core import Input, Tensor, Variable, as_tensor, dtypes, here, tree, variable
from graphc.core.errors import ArgumentError, ShapeError, SignatureError, UnfinishedError, entries, near
from graphc.core.leaf import input
from graphc.core.op import as_dtype
from graphc.nn.allowance import take
from graphc.nn.configured import Configured
from graphc.nn.forward import Forward, current, the_pass
from graphc.nn.immediate import recorder, variable_of
from graphc.nn.naming import snake_case, unique_name
from graphc.nn.seeds import SeedGenerator
from graphc.ops.shape import number
from graphc.pipeline import Function, compile

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int | None, ...]
"""Sizes, or None for those that have a name: what ``build`` is given."""
FLOAT: Final = "float32"
_COMPILED_AT_ONCE: Final = 8
"""Graphs of calls on values that a layer keeps compiled."""


@dataclass(frozen=True, eq=False)
class Weight:
    """A variable of a layer, and what was said of it when it was added."""

    variable: Variable
    name: str
    trainable: bool = True
    regularizer: Any = None
    constraint: Any = None


def _no_argument(cls: type, name: str) -> SignatureError:
    known = [known for one in cls.__mro__ if "__init__" in vars(one) for known in inspect.signature(vars(one)["__init__"]).parameters]
    takes = [one for one in dict.fromkeys(known) if one not in ("self", "options", "unknown", "args", "kwargs")]
    return SignatureError(f"{cls.__name__} has no argument {name!r}{near(name, takes)}", fits=", ".join(takes))


@entries("__init__", "__call__", "add_weight", "add_update", "latest", "add_loss", "set_weights", "get_config")
class Layer(Configured):
    """Variables, and a function of tensors that reads them. See above for how a layer is written.

    Args:
        activity_regularizer: a function of the output, whose value, divided by the samples, is added to the loss; or its name.
        trainable: whether training changes the variables; it may be set later, and counts when a model is compiled.
        dtype: of variables, and of the floats that are computed with.
        name: one that no other layer of a model has; by default that of the class, with a number.
    """

    kind: ClassVar[str] = "layer"
    supports_masking: bool = False

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        input_shape: Any = None,
        input_dim: int | None = None,
        batch_input_shape: Any = None,
        **unknown: Any,
    ) -> None:
        from graphc.nn import regularizers

        if unknown:
            raise _no_argument(type(self), next(iter(unknown)))
        self.name = name or unique_name(snake_case(type(self).__name__))
        self._origin = here()
        self.dtype = dtypes.canonical(FLOAT if dtype is None else dtype)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.built = False
        self._trainable = bool(trainable)
        self._weights: list[Weight] = []
        self._compiled: dict[Any, Any] = {}
        self._calls: list[Any] = []
        self._declared_shape: tuple[Any, ...] | None = None
        self.last_shape: Any = None
        if input_dim is not None:
            input_shape = (input_dim,)
        if input_shape is not None:
            batch_input_shape = (None, *input_shape)
        if batch_input_shape is not None:
            self._declared_shape = tuple(batch_input_shape)

    # ------------------------------------------------------------ to be overridden
    def build(self, input_shape: Any) -> None:
        """Add the weights. Sizes that are known later are None; where the input is several tensors, ``input_shape`` has their structure.

        A ``build`` of several parameters gets the shape of the argument ``x`` of ``call`` as ``x_shape``.
        """

    def call(self, *inputs: Any, **options: Any) -> Any:
        """The outputs as graphs of the inputs."""
        raise UnfinishedError(f"{type(self).__name__}.call(inputs)", fits="a subclass that defines it")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the output, or None: here that of the input. Asked of layers with ``supports_masking`` alone."""
        return previous_mask

    # ------------------------------------------------------------ what build and call use
    def add_weight(
        self,
        shape: Sequence[int | None] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable of the layer.

        Args:
            shape: its sizes; ``()`` by default.
            initializer: a name, or a function of a shape and a dtype; Glorot uniform by default, zeros for whole numbers.
            dtype: the layer's by default.
            trainable: whether training changes it.
            regularizer: a function of the variable, whose value is added to the loss; or its name.
            constraint: a function that brings a new value to what is allowed, after each step; or its name.
            name: ``kernel``, ``bias``.

        Raises:
            ShapeError: a size is not known.
        """
        from graphc.nn import constraints, initializers, regularizers

        sizes = tuple(shape or ())
        name = name or f"variable{f'_{len(self._weights)}' if self._weights else ''}"
        if any(size is None for size in sizes):
            raise ShapeError(
                f"{self.name}: the weight {name!r} has shape {sizes}", fits="an input whose sizes, but for the first, are known"
            )
        dtype = self.dtype if dtype is None else dtypes.canonical(dtype)
        take(f"{self.name}/{name}", cast("tuple[int, ...]", sizes), dtype)
        initializer = initializers.get(initializer or ("glorot_uniform" if dtypes.is_inexact(dtype) else "zeros"))
        weight = variable(np.asarray(initializer(sizes, dtype=dtype)), f"{self.name}/{name}", dtype)
        self._weights.append(Weight(weight, name, trainable, regularizers.get(regularizer), constraints.get(constraint)))
        return weight

    def add_update(self, variable: Variable, value: Any) -> None:
        """In ``call``: the value that a variable has after this step. Raises :class:`ShapeError`, :class:`DTypeError`."""
        the_pass("add_update").update(variable, as_dtype(as_tensor(value), variable.dtype))

    def latest(self, variable: Variable) -> Tensor:
        """In ``call``: the value of a variable, with what earlier calls in this step changed."""
        return the_pass("latest").latest(variable)

    def add_loss(self, loss: Any) -> None:
        """In ``call``: a number that is added to the loss; the sum of a tensor that is none."""
        loss = as_tensor(loss)
        the_pass("add_loss").losses.append(loss.sum() if loss.ndim else loss)

    # ------------------------------------------------------------ variables
    @property
    def trainable(self) -> bool:
        """Whether training changes the variables; setting it sets it in the layers within too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self._sublayers():
            layer.trainable = value

    def weight_records(self) -> list[Weight]:
        """Every weight with what was said of it, each once: the layer's own, trainable ones first, then those of layers within.

        A weight counts as trainable only if its layer is.
        """
        return list({record.variable: record for record in self._records(set(), True)}.values())

    def _records(self, seen: set[Layer], trainable: bool) -> Iterator[Weight]:
        seen.add(self)
        trainable = trainable and self._trainable
        for record in sorted(self._own_records(), key=lambda record: not record.trainable):
            yield self._as_of_now(record, trainable)
        for layer in self._sublayers():
            if layer not in seen:
                yield from layer._records(seen, trainable)

    @staticmethod
    def _as_of_now(record: Weight, trainable: bool) -> Weight:
        if trainable or not record.trainable:
            return record
        return Weight(record.variable, record.name, False, record.regularizer, record.constraint)

    def _own_records(self) -> list[Weight]:
        known = {record.variable for record in self._weights}
        others = [x for x in self._attributes(Variable) if x not in known]
        return [*self._weights, *[Weight(x, x.label or "variable", dtypes.is_inexact(x.dtype)) for x in others]]

    def _attributes(self, kind: type) -> Iterator[Any]:
        """The attributes of this type, and those in lists, tuples and dicts that are attributes."""
        for name, value in list(self.__dict__.items()):
            if name not in ("_arguments", "_weights", "_compiled", "_calls"):
                yield from _found(value, kind)

    def _sublayers(self) -> list[Layer]:
        return [layer for layer in dict.fromkeys(self._attributes(Layer)) if layer is not self]

    def _flattened(self) -> list[Layer]:
        """This layer and all within it, each once."""
        found: dict[Layer, None] = {}
        waiting: list[Layer] = [self]
        while waiting:
            layer = waiting.pop()
            if layer not in found:
                found[layer] = None
                waiting += layer._sublayers()[::-1]
        return list(found)

    @property
    def weights(self) -> list[Variable]:
        """The variables that a layer learns or keeps, without the states of random numbers."""
        return [record.variable for record in self.weight_records()]

    @property
    def trainable_weights(self) -> list[Variable]:
        """Those that training changes."""
        return [record.variable for record in self.weight_records() if record.trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Those that training does not change, though a step may: moving statistics."""
        return [record.variable for record in self.weight_records() if not record.trainable]

    @property
    def seed_generators(self) -> list[SeedGenerator]:
        """Where the layer, and those within, draw random numbers from."""
        return list(dict.fromkeys([seeds for layer in self._flattened() for seeds in layer._attributes(SeedGenerator)]))

    @property
    def variables(self) -> list[Variable]:
        """The weights and the states of random numbers: all that a step can change."""
        return [*self.weights, *[seeds.state for seeds in self.seed_generators]]

    trainable_variables, non_trainable_variables = trainable_weights, non_trainable_weights

    @property
    def losses(self) -> list[Tensor]:
        """What the regularisers of trainable weights add to the loss, as graphs."""
        records = [record for record in self.weight_records() if record.trainable and record.regularizer is not None]
        return [as_tensor(record.regularizer(record.variable)) for record in records]

    def get_weights(self) -> list[Array]:
        """The values of the weights, copied."""
        return [weight.value for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give each weight a value, in the order of ``get_weights``.

        Raises :class:`ArgumentError` for another number of them, :class:`ShapeError` for other shapes; then none was changed.
        """
        own = self.weights
        if len(weights) != len(own):
            given = [f"{weight.label}: {weight.type}" for weight in own]
            raise ArgumentError(
                f"{self.name}.set_weights: {len(weights)} values for {len(own)} weights", given=given, fits=f"{len(own)} arrays"
            )
        arrays = [np.asarray(value) for value in weights]
        for weight, array in zip(own, arrays, strict=True):
            if array.shape != weight.shape:
                raise ShapeError(f"{self.name}.set_weights: {array.shape} for {weight.label}", fits=str(weight.shape))
        for weight, array in zip(own, arrays, strict=True):
            weight.assign(array)

    def count_params(self) -> int:
        """How many numbers the weights have. Raises :class:`ArgumentError` before the layer is built."""
        if not self.built:
            raise ArgumentError(f"{self.name}.count_params(): the layer has no weights yet", fits="a call, or build(input_shape), before")
        return sum([cast("int", weight.size) for weight in self.weights])

    # ------------------------------------------------------------ calls
    @property
    def input(self) -> Any:
        """What the layer was called on in a functional model. Raises :class:`ArgumentError` if it was not, or more than once."""
        return self._the_call("input").first_argument

    @property
    def output(self) -> Any:
        """What the layer gave in a functional model. Raises :class:`ArgumentError` if it was not called in one, or more than once."""
        return self._the_call("output").outputs

    def _the_call(self, what: str) -> Any:
        if len(self._calls) != 1:
            why = f"is part of {len(self._calls)} calls" if self._calls else "was not called on an Input yet"
            raise ArgumentError(f"{self.name}.{what}: the layer {why}", fits="a layer that was called on an Input once")
        return self._calls[0]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs: graphs for tensors, arrays for values, and a remembered call for what depends on an ``nn.Input``.

        ``training`` and ``mask`` are for layers whose ``call`` has parameters of these names, and are passed on to layers within.
        Updates of a call on tensors are known to the :class:`~graphc.nn.Forward` around it, if there is one; those of a call on values
        are done at once.
        """
        forward = current()
        if forward is not None:
            return self._within(forward, args, kwargs)
        leaves, _ = tree.flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        own = recorder(leaves)
        if own is not None:
            return own(self, args, kwargs)
        if not tensors:
            return self._at_once(args, kwargs)
        from graphc.nn import functional

        if functional.is_symbolic(tensors):
            return functional.remembered(self, args, kwargs)
        with Forward() as forward:
            return self._within(forward, args, kwargs)

    def _within(self, forward: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call as a part of a pass."""
        accepted = parameters_of(type(self))
        names = list(accepted)
        kwargs = {**dict(zip(names[1:], args[1:], strict=False)), **kwargs} if len(args) <= len(names) else kwargs
        args = args[:1] if len(args) <= len(names) else args
        training = kwargs.pop("training", None)
        before, forward.training = forward.training, forward.training if training is None else bool(training)
        try:
            if "training" in accepted:
                kwargs["training"] = forward.training
            with forward.group(self.name, self._origin):
                return self._traced(forward, accepted, args, kwargs)
        finally:
            forward.training = before

    def _traced(self, forward: Forward, accepted: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = self._cast(forward, args), self._cast(forward, kwargs)
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        masks = _mapped(lambda x: forward.masks.get(x) if isinstance(x, Tensor) else None, inputs)
        self._build_for(args, kwargs)
        if "mask" in accepted and kwargs.get("mask") is None:
            kwargs["mask"] = masks if _tensors(masks) else None
        outputs = _mapped(as_tensor, self.call(*args, **kwargs))
        self.last_shape = shapes_of(outputs)
        if self.activity_regularizer is not None:
            forward.losses += [_a_sample(as_tensor(self.activity_regularizer(y)), y) for y in _tensors(outputs)]
        if self.supports_masking:
            given = kwargs.get("mask")
            self._mask(forward, outputs, self.compute_mask(inputs, masks if given is None else given))
        return outputs

    def _cast(self, forward: Forward, arguments: Any) -> Any:
        """The arguments with arrays as constants, and floats in the layer's dtype, under their masks."""
        return _mapped(lambda x: self._brought(forward, x) if isinstance(x, Tensor | np.ndarray | np.generic) else x, arguments)

    def _brought(self, forward: Forward, x: Any) -> Tensor:
        x = as_tensor(x)
        if not dtypes.is_float(x.dtype) or x.dtype == self.dtype:
            return x
        cast = as_dtype(x, self.dtype)
        if x in forward.masks:
            forward.masks[cast] = forward.masks[x]
        return cast

    @staticmethod
    def _mask(forward: Forward, outputs: Any, masks: Any) -> None:
        tensors, _ = tree.flatten(outputs)
        found = list(_leaves(masks)) if isinstance(masks, list | tuple | dict) else [masks] * len(tensors)
        for y, mask in zip(tensors, found, strict=False):
            if mask is not None:
                forward.masks[y] = as_tensor(mask)

    def _build_for(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if self.built:
            return
        names = list(inspect.signature(self.build).parameters)
        if len(names) <= 1:
            shapes = [shapes_of(args[0] if args else next(iter(kwargs.values()), None))] if names else []
            self.build(*shapes)
        else:
            bound = inspect.signature(self.call).bind(*args, **kwargs).arguments
            shapes = {f"{name}_shape": shapes_of(value) for name, value in bound.items() if _tensors(value)}
            self.build(**{name: shape for name, shape in shapes.items() if name in names})
        self.built = True

    def _at_once(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The outputs for values. The graph is made each time and compiled if it is another than before: nodes that are equal are one."""
        if args and isinstance(args[0], list | tuple | int | float) and not any(_is_value(leaf) for leaf in tree.flatten(args[0])[0]):
            args = (np.asarray(args[0]), *args[1:])
        leaves, refill = tree.flatten((args, kwargs))
        arrays = [np.asarray(leaf) if _is_value(leaf) else None for leaf in leaves]
        inputs = [None if array is None else self._input_for(place, array) for place, array in enumerate(arrays)]
        args, kwargs = refill([leaf if x is None else x for leaf, x in zip(leaves, inputs, strict=True)])
        with Forward() as forward:
            outputs = self._within(forward, args, kwargs)
        tensors, rebuilt = tree.flatten(outputs)
        function = self._function([x for x in inputs if x is not None], tensors, forward.updates)
        return rebuilt(function(*[array for array in arrays if array is not None]))

    def _input_for(self, place: int, array: Array) -> Input:
        key = (place, array.shape, array.dtype)
        if key not in self._compiled:
            dtype = self.dtype if array.dtype == np.float64 else dtypes.canonical(array.dtype)
            self._compiled[key] = input(f"x{place}", array.shape, dtype)
        return self._compiled[key]

    def _function(self, inputs: list[Input], outputs: list[Tensor], updates: dict[Variable, Tensor]) -> Function:
        key = (*inputs, *outputs, *updates.items())
        if key not in self._compiled:
            if len(self._compiled) > 2 * _COMPILED_AT_ONCE:
                self._compiled.clear()
            self._compiled[key] = compile(inputs, outputs, updates)
        return self._compiled[key]

    # ------------------------------------------------------------ config
    def get_config(self) -> dict[str, Any]:
        """The arguments that the layer was made with, by name, and its name and whether it is trainable, if ``__init__`` takes them."""
        config = super().get_config()
        parameters = inspect.signature(type(self).__init__).parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        own = {"name": self.name, "trainable": self._trainable}
        return config | {name: value for name, value in own.items() if open_ended or name in parameters}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def _a_sample(loss: Tensor, y: Tensor) -> Tensor:
    """The cost of an output for each sample on average, so that it does not grow with the batch."""
    return loss / number(y.shape[0], loss.dtype) if y.ndim else loss


@functools.cache
def parameters_of(cls: type[Layer]) -> dict[str, Any]:
    """The parameters of a layer's ``call``, each with its default."""
    parameters = list(inspect.signature(cls.call).parameters.values())[1:]
    return {p.name: p.default for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def shapes_of(inputs: Any) -> Any:
    """The shapes of tensors, in their structure, with None where a size has a name."""
    return _mapped(lambda x: tuple([size if isinstance(size, int) else None for size in as_tensor(x).shape]), inputs)


def _mapped(function: Any, structure: Any) -> Any:
    leaves, rebuilt = tree.flatten(structure)
    return rebuilt([function(leaf) for leaf in leaves])


def _tensors(structure: Any) -> list[Tensor]:
    leaves, _ = tree.flatten(structure)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def _leaves(structure: Any) -> Iterator[Any]:
    """The leaves, of which None is one."""
    if isinstance(structure, Mapping):
        structure = list(cast("Mapping[Any, Any]", structure).values())
    if isinstance(structure, list | tuple):
        for item in cast("Iterable[Any]", structure):
            yield from _leaves(item)
    else:
        yield structure


def _found(value: Any, kind: type) -> Iterator[Any]:
    value = variable_of(value)
    if isinstance(value, kind):
        yield value
    elif isinstance(value, dict):
        for item in list(cast("dict[Any, Any]", value).values()):
            yield from _found(item, kind)
    elif isinstance(value, list | tuple):
        for item in cast("Iterable[Any]", value):
            yield from _found(item, kind)


def _is_value(leaf: Any) -> bool:
    """Whether an argument is an array."""
    return isinstance(leaf, np.ndarray | np.generic) or (hasattr(leaf, "__array__") and not isinstance(leaf, Tensor))
