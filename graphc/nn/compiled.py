"""What ``model.compile`` makes: the graphs of a step of training, evaluation and prediction, each compiled for the data that comes."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

import graphc as gc
from graphc.backends import Backend, options_of
from graphc.core import Input, Tensor, Variable, as_tensor, here, scope, toposort, tree
from graphc.core.errors import ArgumentError, near, warn
from graphc.core.leaf import input
from graphc.core.op import as_dtype
from graphc.nn import losses, metrics, optimizers
from graphc.nn.data import Layout
from graphc.nn.forward import Forward
from graphc.nn.losses import Loss
from graphc.nn.metrics import Metric
from graphc.nn.naming import snake_case
from graphc.nn.nonfinite import Watched, watched
from graphc.pipeline import Function, compile

if TYPE_CHECKING:
    from graphc.nn.model import Model

Kind = Literal["train", "test", "predict"]


@dataclass(frozen=True)
class Measured:
    """A metric of an output, under the name that it has in logs; its states are among the results of a step under these keys."""

    name: str
    metric: Metric
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """A compiled step.

    Of training and evaluation it returns a dict: first the losses in ``averaged``, means over the batch, then states of the metrics, which
    add up. Of prediction it returns the outputs in a row; ``arranged`` gives them their structure. ``graph`` is what was compiled.
    """

    function: Function | Watched
    inputs: tuple[Input, ...]
    graph: Any
    averaged: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    arranged: Callable[[Sequence[Any]], Any] = tuple

    @property
    def names(self) -> list[str]:
        """The names of what is measured."""
        return [*self.averaged, *[one.name for one in self.measured]]

    def figures(self, means: Mapping[str, float], totals: Mapping[str, Any]) -> dict[str, float]:
        """What was measured, of the means of the losses and the totals of the states."""
        logs = {name: float(means[name]) for name in self.averaged}
        for one in self.measured:
            logs[one.name] = cast("float", one.metric.result({name: totals[key] for name, key in one.keys.items()}))
        return logs


class Compiled:
    """The choices of ``model.compile``, and the steps that they come to."""

    def __init__(
        self,
        model: Model,
        optimizer: Any,
        loss: Any,
        loss_weights: Any,
        metrics: Any,
        weighted_metrics: Any,
        backend: Backend,
        steps_per_call: int | None,
    ) -> None:
        self.model, self.loss, self.loss_weights = model, loss, loss_weights
        self.metrics, self.weighted_metrics = metrics, weighted_metrics
        self.optimizer = None if optimizer is None else optimizers.get(optimizer)
        self.backend: Backend = backend
        self.steps_per_call = steps_per_call
        self.on_jax = options_of(backend) is not None
        self.names: list[str] = []
        self.measured: list[Measured] = []
        self.origin = here()
        self._steps: dict[Any, Step] = {}
        self._trained = model.trainable_weights if model.built else None
        for factor in tree.flatten(loss_weights)[0]:
            if isinstance(factor, bool) or not isinstance(factor, int | float | np.number):
                fits = "numbers; metrics=[...] if metrics are meant"
                raise ArgumentError(f"compile: loss_weights has {factor!r}", fits=fits)
        _check_names(loss, losses.get, ("crossentropy", "ce"))
        for given in (metrics, weighted_metrics):
            _check_names(given, _metric, ("accuracy", "acc", "crossentropy", "ce"))

    def get_config(self) -> dict[str, Any]:
        """The arguments of ``compile`` by name, as a config. Raises :class:`ArgumentError` for one that cannot be written down."""
        from graphc.nn.configured import packed

        names = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "steps_per_call")
        config = {name: packed(getattr(self, name)) for name in names}
        return config | {"backend": "jax" if self.on_jax else "numpy"}

    def step(self, kind: Kind, layout: Layout) -> Step:
        """The step for data of this layout. Raises :class:`ArgumentError` where data, outputs and losses do not fit."""
        found = self._steps.get((kind, layout, self.model.network))
        if found is None:
            found = self._made(kind, layout)
            self._steps[kind, layout, self.model.network] = found  # a Sequential has its network from its first data on
        return found

    def latest(self, kind: Kind = "train") -> Step:
        """The step of this kind that was compiled last: ``.graph`` to be drawn, ``.function.source`` and ``.function.report`` to be read.

        Raises :class:`ArgumentError` before there was any data for it.
        """
        for (made, *_), step in reversed(self._steps.items()):
            if made == kind:
                return step
        does = {"train": "fit", "test": "evaluate", "predict": "predict"}[kind]
        raise ArgumentError(f"no step of {kind!r} was compiled yet", fits=f"model.{does}(...) before: steps are compiled for the data")

    @property
    def steps(self) -> list[Step]:
        """The steps that were compiled so far, in that order."""
        return list(self._steps.values())

    def declared(self) -> Tensor:
        """The loss that training would have, as a graph, for targets of the shapes that the losses take; nothing is compiled.

        Raises :class:`ArgumentError` for a model that does not know its inputs, and where outputs and losses do not fit.
        """
        leaves, arranged = tree.flatten(self.model.input)
        with Forward(training=True) as forward:
            outputs = self.model(arranged([input(x.label or "x", x.shape, x.dtype) for x in leaves]))
        results = tree.flatten(outputs)[0]
        return _Scored(self, outputs, [_target(self.loss, place, x) for place, x in enumerate(results)], None, forward).total

    def _made(self, kind: Kind, layout: Layout) -> Step:
        network = self.model.network
        inputs = layout.inputs(network.symbols if network else (), network.results if network else ())
        x, y, weight = layout.filled(inputs)
        with Forward(training=kind == "train") as forward:
            outputs = self.model(x)
        if kind == "predict":
            leaves, arranged = tree.flatten(outputs)
            used = tree.flatten(x)[0]
            return Step(compile(used, leaves, forward.updates, backend=self.backend), tuple(used), leaves, arranged=arranged)
        scored = _Scored(self, outputs, y, weight, forward)
        updates = {**forward.updates, **self._updates(scored.total)} if kind == "train" else {}
        results = scored.results
        self.names, self.measured = scored.names, scored.measured
        function: Function | Watched
        if kind == "train" and not self.on_jax:
            function = watched(inputs, results, updates, scored.total)
        else:
            function = compile(inputs, results, updates, backend=self.backend)
        return Step(function, tuple(inputs), scored.total, tuple(scored.losses), tuple(scored.measured))

    def trained(self) -> list[Variable]:
        """The weights that training changes: those that were trainable when ``compile`` was called."""
        if self._trained is None:
            self._trained = self.model.trainable_weights
        return self._trained

    def _updates(self, total: Tensor) -> dict[Variable, Tensor]:
        weights = self.trained()
        if self.optimizer is None or not weights:
            return {}
        scaled = self.optimizer.scale_loss(total)
        reached = set(toposort([scaled]))
        found = [weight for weight in weights if weight in reached and gc.why_no_gradient(scaled, weight) is None]
        if missing := [str(weight.label) for weight in weights if weight not in found]:
            warn(f"the loss does not depend on {', '.join(missing)}, which will not change")
        if not found:
            return {}
        gradients = dict(zip(found, gc.grad(scaled, found), strict=True))
        with scope(snake_case(type(self.optimizer).__name__), origin=self.origin):
            return self._constrained(self.optimizer.updates(gradients))

    def _constrained(self, updates: dict[Variable, Tensor]) -> dict[Variable, Tensor]:
        """The new values within the weights' constraints."""
        for record in self.model.weight_records():
            if record.constraint is not None and record.variable in updates:
                updates[record.variable] = as_dtype(as_tensor(record.constraint(updates[record.variable])), record.variable.dtype)
        return updates


class _Scored:
    """The loss and the metrics of a batch as graphs: ``total``, ``results`` for a step to return, ``measured`` to make figures of them."""

    def __init__(self, compiled: Compiled, outputs: Any, y: Any, weight: Any, forward: Forward) -> None:
        from graphc.nn.model import names_of

        self._compiled, self._masks = compiled, forward.masks
        self.outputs: list[Tensor] = tree.flatten(outputs)[0]
        self.output_names = compiled.model.output_names or names_of(outputs)
        self._several = len(self.outputs) > 1
        wanted = self._spread("loss", compiled.loss)
        self._targets = self._targets_of(y, wanted)
        weights = self._spread("sample_weight", weight, every=True)
        with scope("loss", origin=compiled.origin):
            self.losses = self._losses(wanted, weights, [*forward.losses, *compiled.model.losses])
        self.total = self.losses["loss"]
        self.states: dict[str, Tensor] = {}
        self.measured: list[Measured] = []
        with scope("metrics", origin=compiled.origin):
            self._measure(compiled.metrics, [None] * len(self.outputs), "")
            self._measure(compiled.weighted_metrics, weights, "weighted_")

    @property
    def results(self) -> dict[str, Tensor]:
        """What a step returns."""
        return {**self.losses, **self.states}

    @property
    def names(self) -> list[str]:
        """The names of what is measured."""
        return [*self.losses, *[one.name for one in self.measured]]

    def _spread(self, what: str, given: Any, *, every: bool = False) -> list[Any]:
        """One for each output: of a list or a dict by names; a single one is for all, or for the only output."""
        names = self.output_names
        if isinstance(given, Mapping) and "class_name" not in given:
            table = cast("Mapping[str, Any]", given)
            if strange := [name for name in table if name not in names]:
                asked = f"{what} for an output {strange[0]!r}, which the model does not have{near(strange[0], names)}"
                raise ArgumentError(asked, fits=", ".join(names))
            return [table.get(name) for name in names]
        if isinstance(given, list | tuple):
            items = cast("Sequence[Any]", given)
            if len(items) != len(names):
                raise ArgumentError(
                    f"{what}: {len(items)} for {len(names)} outputs", given=[f"outputs: {', '.join(names)}"], fits="one for each"
                )
            return list(items)
        if every or given is None or not self._several or what == "loss":
            return [given] * len(names)
        raise ArgumentError(
            f"{what}: one for {len(names)} outputs", given=[f"outputs: {', '.join(names)}"], fits="a list or a dict of them"
        )

    def _targets_of(self, y: Any, wanted: Sequence[Any]) -> list[Any]:
        if isinstance(y, Mapping):
            return self._spread("y", y)
        found = tree.flatten(y)[0]
        if len(found) == len(self.outputs):
            return found
        having = [loss is not None for loss in wanted]
        if not found or len(found) == sum(having):
            rest = iter(found)
            return [next(rest, None) if has else None for has in having]
        fits = f"one for each of {', '.join(self.output_names)}"
        raise ArgumentError(f"y has {len(found)} targets for {len(self.outputs)} outputs", fits=fits)

    def _losses(self, wanted: Sequence[Any], weights: Sequence[Any], extra: Sequence[Tensor]) -> dict[str, Tensor]:
        factors = self._spread("loss_weights", self._compiled.loss_weights)
        each: dict[str, Tensor] = {}
        terms: list[Tensor] = []
        for name, y_pred, y_true, what, weight, factor in zip(
            self.output_names, self.outputs, self._targets, wanted, weights, factors, strict=True
        ):
            if what is None:
                continue
            if y_true is None:
                raise ArgumentError(f"the output {name!r} has a loss and no target", fits="a target in y, or None for its loss")
            value = _of_batch(losses.get(what, y_true, y_pred), y_true, y_pred, weight, self._masks.get(y_pred))
            each[f"{name}_loss"] = value
            terms.append(value if factor is None else value * factor)
        terms += [as_dtype(term, terms[0].dtype if terms else term.dtype) for term in extra]
        if not terms:
            raise ArgumentError("there is no loss to be computed", fits='compile(loss="mse"), or a layer with add_loss')
        total = {"loss": functools.reduce(operator.add, terms)}
        return total | (each if self._several else {})

    def _measure(self, given: Any, weights: Sequence[Any], prefix: str) -> None:
        if given is None or given == []:
            return
        by_output = self._several or isinstance(given, Mapping)
        listed: list[Any] = self._spread(f"{prefix}metrics", given) if by_output else [given]
        for place, wanted in enumerate(listed):
            for what in cast("Sequence[Any]", wanted) if isinstance(wanted, list | tuple) else [wanted]:
                if what is not None:
                    self._add(what, place, weights[place], prefix)

    def _add(self, what: Any, place: int, weight: Any, prefix: str) -> None:
        output, y_true, y_pred = self.output_names[place], self._targets[place], self.outputs[place]
        if y_true is None:
            raise ArgumentError(f"the output {output!r} has the metric {what!r} and no target", fits="a target in y")
        metric = cast("Metric", metrics.get(what, y_true, y_pred))
        name = f"{output}_{metric.name}" if self._several else str(metric.name)
        name = f"{prefix}{name}" if name in self.names else name
        while name in self.names:
            name += "_1"
        with scope(name):
            states = metric.states(y_true, y_pred, weight, self._masks.get(y_pred))
        keys = {state: f"{name}/{state}" for state in states}
        self.states |= {keys[state]: as_tensor(value) for state, value in states.items()}
        self.measured.append(Measured(name, metric, keys))


def _target(wanted: Any, place: int, output: Tensor) -> Input:
    """A target as the loss of the output at this place takes it: labels without the axis of the classes, or the output's own shape."""
    if isinstance(wanted, Mapping) and "class_name" not in wanted:
        wanted = list(cast("Mapping[str, Any]", wanted).values())
    if isinstance(wanted, list | tuple):
        wanted = cast("Sequence[Any]", wanted)[place % len(cast("Sequence[Any]", wanted))]
    loss = losses.get(wanted, output, output)
    if loss is not None and loss.takes_labels:
        return input("y", output.shape[:-1], "int32")
    return input("y", output.shape, output.dtype)


def _of_batch(loss: Loss | None, y_true: Tensor, y_pred: Tensor, weight: Any, mask: Tensor | None) -> Tensor:
    assert loss is not None
    value = loss.of(y_true, y_pred, weight, mask)
    return value if not value.ndim else gc.mean(value)


def _metric(identifier: Any) -> Any:
    return metrics.get(identifier)


def _check_names(given: Any, get: Callable[[Any], Any], by_shape: Sequence[str]) -> None:
    """Look up every name among losses or metrics now, so that a misspelt one is an error of ``compile``."""
    if isinstance(given, str):
        if given.lower() not in by_shape:
            get(given)
    elif isinstance(given, list | tuple):
        for item in cast("Sequence[Any]", given):
            _check_names(item, get, by_shape)
    elif isinstance(given, dict) and "class_name" not in given:
        for item in cast("dict[Any, Any]", given).values():
            _check_names(item, get, by_shape)
