"""Models: layers put together, that are trained, evaluated, asked and saved.

A model is made in one of three ways, as in Keras: ``Sequential([layer, layer])``; ``Model(inputs, outputs)`` of what layers gave that
were called on :func:`Input`; or a subclass of ``Model`` with layers for attributes and a ``call``. A model is a layer, so it may be a part
of another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from graphc.backends import Backend
from graphc.core import Tensor, tree
from graphc.core.errors import ArgumentError, ShapeError, UnfinishedError, entries, near
from graphc.core.leaf import input
from graphc.nn import functional, saving
from graphc.nn.compiled import Compiled
from graphc.nn.configured import Objects, packed, unpacked
from graphc.nn.fit import Fitting, History
from graphc.nn.forward import Forward, current
from graphc.nn.functional import InputLayer, Network, Symbol, named_sizes
from graphc.nn.layer import Layer, parameters_of, shapes_of
from graphc.nn.naming import snake_case, unique_name
from graphc.nn.position import Position

L = TypeVar("L", bound=Layer)


@entries(
    *("__init__", "get_layer", "graph", "build", "summary", "compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch"),
    *("predict_on_batch", "save", "save_weights", "load_weights", "go_on", "get_config"),
)
class Model(Layer):
    """Layers between inputs and outputs.

    Args:
        inputs: what :func:`Input` gave, or a list or dict of such.
        outputs: what layers gave for them, or a list or dict of that. Operations of graphc may lie between layers.
        name: by default ``functional``, or the name of the subclass.
        trainable: whether training changes the weights.

    A subclass may leave out both and write ``call(self, inputs, training=False)``.

    Raises:
        ArgumentError: inputs without outputs, or outputs that need another input; two layers of one name.
    """

    supports_masking = True

    def __init__(
        self, inputs: Any = None, outputs: Any = None, *, name: str | None = None, trainable: bool = True, dtype: Any = None
    ) -> None:
        if (inputs is None) != (outputs is None):
            raise ArgumentError("Model: inputs and outputs go together", fits="both, or neither in a subclass with a call of its own")
        self._network: Network | None = None
        self._compiled_for: Compiled | None = None
        self._fitting: Fitting | None = None
        self.stop_training = False
        self._met_shape: Any = None
        default = "functional" if type(self) is Model else snake_case(type(self).__name__)
        super().__init__(name=name or unique_name(default), dtype=dtype)
        if inputs is not None:
            self._connect(Network(inputs, outputs))
        if not trainable:
            self.trainable = False

    def _connect(self, network: Network) -> None:
        names = [layer.name for layer in network.layers]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ArgumentError(f"{self.name}: two layers have the name {twice[0]!r}", fits="a name for each layer: Dense(10, name=...)")
        self._network, self.built = network, True

    # ------------------------------------------------------------ structure
    @property
    def layers(self) -> list[Layer]:
        """The layers: of a functional model those between inputs and outputs, inputs among them; else those that are attributes."""
        return self._sublayers() if self._network is None else self._network.layers

    def _sublayers(self) -> list[Layer]:
        own = [] if self._network is None else self._network.layers
        return list(dict.fromkeys([*own, *super()._sublayers()]))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer with this name, or at this place of ``layers``. Raises :class:`ArgumentError` if there is none."""
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ArgumentError(f"{self.name}.get_layer(index={index})", fits=f"an index below {len(self.layers)}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = [layer.name for layer in self.layers]
        raise ArgumentError(f"{self.name} has no layer {name!r}{near(name, known)}", fits=", ".join(known))

    @property
    def inputs(self) -> list[Symbol]:
        """The inputs of a functional model."""
        return self._the_network("inputs").symbols

    @property
    def outputs(self) -> list[Tensor]:
        """The outputs of a functional model."""
        return self._the_network("outputs").results

    @property
    def input(self) -> Any:
        """The inputs of a functional model, as it was made of them."""
        return self._the_network("input").inputs

    @property
    def output(self) -> Any:
        """The outputs of a functional model, as it was made of them."""
        return self._the_network("output").outputs

    @property
    def input_shape(self) -> Any:
        """The shapes of the inputs, with None for sizes that a call brings."""
        return shapes_of(self.input)

    @property
    def output_shape(self) -> Any:
        """The shapes of the outputs, with None for sizes that a call brings."""
        return shapes_of(self.output)

    def _the_network(self, what: str) -> Network:
        if self._network is None:
            raise ArgumentError(f"{self.name}.{what}: the model is not functional, or has not met its inputs yet", fits="Input, or a call")
        return self._network

    @property
    def network(self) -> Network | None:
        """What lies between the inputs and outputs of a functional model, or None."""
        return self._network

    @property
    def output_names(self) -> list[str] | None:
        """What losses and metrics of the outputs are called, or None if the outputs have no names."""
        return None if self._network is None else names_of(self._network.outputs)

    def graph(self, training: bool = False) -> Any:
        """The outputs as a graph over inputs of its own, as ``gc.draw`` and ``gc.formula`` take it: of a prediction, or of training.

        Raises :class:`ArgumentError` for a model that is not functional, or has not met its inputs yet.
        """
        leaves, rebuild = tree.flatten(self._the_network("graph").inputs)
        with Forward(training=training):
            return self(rebuild([input(str(x.label), x.shape, x.dtype) for x in leaves]))

    # ------------------------------------------------------------ calls
    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """The outputs of a functional model; a subclass may write its own."""
        if self._network is None:
            raise UnfinishedError(f"{type(self).__name__}.call(inputs)", fits="a subclass that defines it")
        return self._network(self._arranged(inputs, mask))

    def _arranged(self, inputs: Any, mask: Any) -> list[Tensor]:
        """The inputs in the order of the network's, each of the rank that it was declared with."""
        network = self._the_network("call")
        forward = current()
        if forward is not None and isinstance(mask, Tensor) and isinstance(inputs, Tensor):
            forward.masks[inputs] = mask
        given = by_name(inputs, network.inputs, [symbol.label or "" for symbol in network.symbols])
        if len(given) != len(network.symbols):
            fits = ", ".join([f"{symbol.label}: {symbol.type}" for symbol in network.symbols])
            raise ArgumentError(f"{self.name}: {len(given)} inputs for {len(network.symbols)}", fits=fits)
        return [self._of_rank(x, symbol) for x, symbol in zip(given, network.symbols, strict=True)]

    def _of_rank(self, x: Tensor, symbol: Symbol) -> Tensor:
        if x.ndim == symbol.ndim - 1 and symbol.shape[-1] == 1:
            x = x.reshape((*x.shape, 1))
        if x.ndim == symbol.ndim + 1 and x.shape[-1] == 1:
            x = x.reshape(x.shape[:-1])
        sizes = zip(x.shape, symbol.shape, strict=False)
        if x.ndim != symbol.ndim or any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in sizes):
            raise ShapeError(f"{self.name}: its input {symbol.label!r} is given {x.type}", fits=str(symbol.type))
        return x

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """None: outputs have the masks that the layers gave them."""
        return None

    def build(self, input_shape: Any) -> None:
        """Make the weights, for inputs of this shape, the batch among its sizes as None.

        Functional models have theirs. Of a subclass, ``call`` is traced.
        """
        if self.built or current() is not None:
            return
        with Forward():
            self(_mapped_shapes(lambda shape: input("x", named_sizes(shape, "x")), input_shape))

    def _build_for(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if not self.built and args:
            self._met_shape = shapes_of(args[0])
        super()._build_for(args, kwargs)

    @property
    def build_shape(self) -> Any:
        """What :meth:`build` makes the same weights of, or None where that is not known."""
        return self._met_shape if self._network is None else self.input_shape

    def summary(self, line_length: int | None = None, print_fn: Callable[[str], Any] | None = None, expand_nested: bool = False) -> None:
        """Print the layers with their output shapes and their numbers of parameters, and the memory of those.

        Args:
            line_length: width of the table, 80 by default at least.
            print_fn: what the text is given to instead of ``print``.
            expand_nested: whether layers within layers have lines too.
        """
        from graphc.nn import summary

        (print_fn or print)(summary.of_model(self, line_length, expand_nested))

    def _repr_html_(self) -> str:
        from graphc.nn import summary

        return summary.html_of(self)

    def __rich__(self) -> Any:
        from graphc.nn import summary

        return summary.page_of(self).__rich__()

    # ------------------------------------------------------------ training
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        *,
        backend: Backend = "numpy",
        steps_per_call: int | None = None,
    ) -> None:
        """Say what training is: its graphs are built and compiled when the first data comes.

        Args:
            optimizer: an optimiser, or its name.
            loss: a loss, its name, or a function of ``y_true`` and ``y_pred``; a list or dict of such for several outputs.
            loss_weights: a number for each output, by which its loss is multiplied in the sum.
            metrics: metrics, their names, or functions; for several outputs a list of such lists, or a dict by the outputs' names.
            weighted_metrics: metrics that regard sample weights.
            backend: ``"numpy"``, ``"jax"`` or :class:`graphc.Jax`.
            steps_per_call: how many steps are one call; 1 by default on NumPy, and up to 64 on JAX, where such a call is one loop on the
                device. Callbacks hear after calls.

        Which layers are trainable counts as of now. Raises :class:`ArgumentError` for unknown names.
        """
        self._compiled_for = Compiled(self, optimizer, loss, loss_weights, metrics, weighted_metrics, backend, steps_per_call)
        self._fitting = Fitting(self, self._compiled_for)
        self.stop_training = False

    @property
    def compiled(self) -> bool:
        """Whether ``compile`` was called."""
        return self._compiled_for is not None

    @property
    def training(self) -> Compiled:
        """What ``compile`` made: the graphs and functions of a step. Raises :class:`ArgumentError` before ``compile``."""
        if self._compiled_for is None:
            raise ArgumentError(f"{self.name} is not compiled", fits='model.compile(optimizer="rmsprop", loss="mse") before')
        return self._compiled_for

    @property
    def optimizer(self) -> Any:
        """The optimiser. Raises :class:`ArgumentError` before ``compile``."""
        return self.training.optimizer

    @property
    def loss(self) -> Any:
        """The loss, as ``compile`` was given it. Raises :class:`ArgumentError` before ``compile``."""
        return self.training.loss

    @property
    def metrics_names(self) -> list[str]:
        """The names of what ``evaluate`` returns: known after the first data."""
        return self.training.names

    def _fits(self) -> Fitting:
        """The loops; before ``compile`` they are good for predictions alone."""
        if self._fitting is None:
            self._fitting = Fitting(self, Compiled(self, None, None, None, None, None, "numpy", None))
        return self._fitting

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train for some epochs, and return what was measured in each.

        Args:
            x: samples, as an array (or a list or dict of arrays for several inputs); or an iterable of batches ``(x, y)`` or
                ``(x, y, sample_weight)``: a list of them, a generator, an object with ``__len__`` and ``__getitem__``.
            y: targets, with the first axis of ``x``.
            batch_size: samples in a step, 32 by default; the last one of an epoch may be smaller.
            epochs: the number of the last epoch.
            verbose: 0 for nothing, 1 or ``"auto"`` for a bar and a line an epoch, 2 for a line an epoch.
            callbacks: objects with Keras's hooks (``on_epoch_end`` ...).
            validation_split: the share of the samples, the last ones, that is evaluated after each epoch and not trained on.
            validation_data: ``(x, y)``, ``(x, y, sample_weight)`` or an iterable of batches, to be evaluated after each epoch.
            shuffle: whether each epoch has an order of its own; not of iterables.
            class_weight: a weight for each class, by its number.
            sample_weight: a weight for each sample.
            initial_epoch: epochs that are done already.
            steps_per_epoch: batches in an epoch; all of them by default.
            validation_steps: the same of the validation.
            validation_batch_size: ``batch_size`` by default.
            validation_freq: evaluate every so many epochs, or after these epochs, counted from 1.

        A loss that is NaN or infinite is warned of (:class:`NonFiniteWarning`) with the first node of the graph that is so, and its line.

        Raises:
            ArgumentError: not compiled, no data, arrays of different lengths, or arguments that do not go together.
        """
        self.training  # noqa: B018  (it raises)
        return self._fits().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics over all samples: a number if there are no metrics, else a list in the order of ``metrics_names``.

        Arguments and errors are those of :meth:`fit`; ``return_dict`` gives them by name.
        """
        self.training  # noqa: B018
        logs = self._fits().evaluate(x, y, batch_size, verbose, sample_weight, steps, callbacks)
        return logs if return_dict else _listed(logs)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None, callbacks: Any = None) -> Any:
        """The outputs for all samples, as NumPy arrays in the structure of the outputs. Arguments are those of :meth:`fit`."""
        return self._fits().predict(x, batch_size, verbose, steps, callbacks)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Mapping[int, float] | None = None, return_dict: bool = False
    ) -> Any:
        """One step on these samples: their loss and metrics, as :meth:`evaluate` returns them, from before the step."""
        self.training  # noqa: B018
        logs = self._fits().on_batch("train", x, y, sample_weight, class_weight)
        return logs if return_dict else _listed(logs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of these samples, as :meth:`evaluate` returns them."""
        self.training  # noqa: B018
        logs = self._fits().on_batch("test", x, y, sample_weight, None)
        return logs if return_dict else _listed(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for these samples."""
        return self._fits().predict_on_batch(x)

    # ------------------------------------------------------------ files
    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, include_optimizer: bool = True) -> None:
        """Write the model to a file: structure, weights, what ``compile`` was told, and the state of the training.

        :func:`graphc.nn.load_model` reads it. An earlier file stays whole until the new one is. The options of :class:`graphc.Jax` are
        not written, only that it was JAX.

        Args:
            filepath: the file; any name will do.
            overwrite: whether a file that is there may be replaced.
            include_optimizer: whether a training is to go on from the file: with the optimiser's state and what ``compile`` was told.

        Raises:
            ArgumentError: a part that has no form in a file, such as a ``Lambda`` of a function that is not registered.
            WeightsError: a model without weights as yet, or a file that cannot be written.
        """
        saving.save_model(self, filepath, overwrite, include_optimizer)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights, the states of random numbers and, as Keras does, the optimiser's state to a file, without the structure.

        Raises :class:`WeightsError` as :meth:`save` does.
        """
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Take weights from a file that :meth:`save_weights` or :meth:`save` wrote, or Keras 3 (``.weights.h5``, ``.keras``).

        A model that is compiled takes the optimiser's state as well, and ``fit`` with the ``initial_epoch`` that the file was written in
        goes on as if it had not stopped: with the next batch, if that was in the middle of an epoch.

        Raises:
            WeightsError: no such file, a damaged one, or one whose weights have other shapes, of which none is taken then; with
                ``skip_mismatch`` those that fit are, and a warning says how many do not.
        """
        saving.load_weights(self, filepath, skip_mismatch)

    @property
    def position(self) -> Position | None:
        """Where the training is that is going on, or where the last one ended, or the file that was loaded was written."""
        return self._fits().position

    def go_on(self, position: Position, *, anyway: bool = False) -> None:
        """Go on from a position in the next ``fit`` whose ``initial_epoch`` is that of the position, or in the next one ``anyway``."""
        self._fits().resume(position, anyway=anyway)

    # ------------------------------------------------------------ config
    def get_config(self) -> dict[str, Any]:
        """What :meth:`from_config` makes the model of again, without its weights. Errors are those of the layers' configs."""
        if self._network is None or parameters_of_init(type(self)) != parameters_of_init(Model):
            return super().get_config()
        from graphc.nn import wiring

        return {"name": self.name, "trainable": self.trainable, **wiring.written(self._network)}

    @classmethod
    def from_config(cls, config: Objects, custom_objects: Objects | None = None) -> Any:
        """The model with this config."""
        if "nodes" not in config:
            return super().from_config(config, custom_objects)
        from graphc.nn import wiring

        inputs, outputs = wiring.read(config, custom_objects)
        return cls(inputs, outputs, name=config.get("name"), trainable=config.get("trainable", True))


@entries("add", "pop", "build", "get_config")
class Sequential(Model):
    """Layers one after the other.

    Without an :func:`Input` in front, or ``input_shape`` of the first layer, the weights are made when the first data comes.

    Args:
        layers: the layers, and perhaps what :func:`Input` gave as the first.
        name: ``sequential`` by default.
        trainable: whether training changes the weights.
    """

    def __init__(self, layers: Iterable[Any] | None = None, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name)
        self._stack: list[Layer] = []
        self._front: InputLayer | None = None
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    def add(self, layer: Any) -> None:
        """Append a layer. Raises :class:`ArgumentError` for what is none, and for a name that a layer of the model has already."""
        if isinstance(layer, Symbol) and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer
        if not isinstance(layer, Layer):
            raise ArgumentError(f"{self.name}.add({layer!r})", fits="a layer")
        if isinstance(layer, InputLayer):
            if self._front is not None or self._stack:
                raise ArgumentError(f"{self.name}: an Input after other layers", fits="an Input in front, once")
            self._start(layer)
            return
        if any(layer.name == other.name for other in self._stack):
            raise ArgumentError(f"{self.name}: two layers have the name {layer.name!r}", fits="a name for each layer: Dense(10, name=...)")
        declared = layer._declared_shape  # pyright: ignore[reportPrivateUsage]
        if not self._stack and self._front is None:
            if declared is not None:
                self._start(InputLayer(batch_shape=declared))
            elif isinstance(layer, Model) and layer.network is not None and len(layer.inputs) == 1:
                first = layer.inputs[0]
                self._start(InputLayer(batch_shape=shapes_of(first), dtype=first.dtype))
        self._stack.append(layer)
        if self._network is not None:
            self._extend([layer])

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer away, and return it. Raises :class:`ArgumentError` if there is none."""
        if not self._stack:
            raise ArgumentError(f"{self.name}.pop(): there is no layer", fits="a model with layers")
        layer = self._stack.pop()
        if self._network is not None:
            last = self._network.calls[-1]
            layer._calls.remove(last)  # pyright: ignore[reportPrivateUsage]
            self._network = Network(self._network.inputs, last.first_argument)
        return layer

    def _start(self, front: InputLayer) -> None:
        self._front = front
        self._network = Network(front.output, front.output)

    def _extend(self, layers: Sequence[Layer]) -> None:
        network = cast("Network", self._network)
        outputs = network.outputs
        for layer in layers:
            outputs = functional.remembered(layer, (outputs,), {})
        self._network = Network(network.inputs, outputs)
        self.built = True

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return list(self._stack)

    def _sublayers(self) -> list[Layer]:
        return list(self._stack)

    def build(self, input_shape: Any) -> None:
        """Make the weights, for inputs of this shape, the batch among its sizes as None."""
        if self._network is None:
            self._begin((None, *tuple(input_shape)[1:]), None)

    def _begin(self, shape: Any, dtype: Any) -> None:
        self._start(InputLayer(batch_shape=shape, dtype=dtype))
        self._extend(self._stack)

    def _build_for(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if self._network is None:
            x: Tensor = args[0]
            self._begin((None, *shapes_of(x)[1:]), x.dtype)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """The layers' configs, and the shape of the input if it is known."""
        if type(self) is not Sequential:
            return super().get_config()
        front = None if self._front is None else {"batch_shape": list(self._front.batch_shape), "dtype": self._front.dtype}
        layers = [packed(layer) for layer in self._stack]
        return {"name": self.name, "trainable": self.trainable, "input": front, "layers": layers}

    @classmethod
    def from_config(cls, config: Objects, custom_objects: Objects | None = None) -> Any:
        """The model with this config."""
        if set(config) != {"name", "trainable", "input", "layers"}:
            return super().from_config(config, custom_objects)
        front: Any = config["input"]
        model = cls([] if front is None else [InputLayer(**front)], name=config["name"])
        for layer in config["layers"]:
            model.add(unpacked(layer, custom_objects))
        if not config["trainable"]:
            model.trainable = False
        return model


def names_of(outputs: Any) -> list[str]:
    """A name for each output: its key in a dict, or else that of the layer that gave it, or its own, made different by a number."""
    if isinstance(outputs, dict):
        return [str(key) for key in cast("dict[Any, Any]", outputs)]
    found: list[str] = []
    for y in tree.flatten(outputs)[0]:
        name = y.call.layer.name if isinstance(y, Symbol) else (y.label or (y.op.name if y.op else y.kind))
        count = sum([other == name or other.rpartition("_")[0] == name for other in found])
        found.append(f"{name}_{count}" if name in found else name)
    return found


def by_name(values: Any, like: Any, names: Sequence[str]) -> list[Any]:
    """Values in the order of the names, if they are a dict; else in their own, as the structure ``like`` has them."""
    if isinstance(values, dict) and not isinstance(like, dict):
        given = cast("dict[str, Any]", values)
        if missing := [name for name in names if name not in given]:
            asked = f"there is no value for {missing[0]!r}{near(missing[0], given)}"
            raise ArgumentError(asked, given=[f"given: {', '.join(given)}"], fits=", ".join(names))
        return [given[name] for name in names]
    if isinstance(values, dict) and isinstance(like, dict):
        given = cast("dict[str, Any]", values)
        return tree.flatten([given[key] for key in cast("dict[str, Any]", like)])[0]
    return tree.flatten(values)[0]


def parameters_of_init(cls: type) -> Any:
    """The ``__init__`` that a class has."""
    return cls.__init__


def _mapped_shapes(function: Callable[[Any], Any], shapes: Any) -> Any:
    """The structure with the function's result for each shape: a list or tuple of sizes."""
    if isinstance(shapes, dict):
        return {key: _mapped_shapes(function, shape) for key, shape in cast("dict[Any, Any]", shapes).items()}
    if all(size is None or isinstance(size, int | str | np.integer) for size in shapes):
        return function(shapes)
    return [_mapped_shapes(function, shape) for shape in shapes]


def _listed(logs: dict[str, float]) -> Any:
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


__all__ = ["Model", "Sequential", "by_name", "names_of", "parameters_of"]
