"""Fitting, evaluating and predicting: compiled steps over the batches of a data set, figures over all samples, and callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from graphc.core import tree
from graphc.core.errors import ArgumentError, warn
from graphc.feed import ADDED_AT_ONCE, Batches
from graphc.feed.batches import whole_number
from graphc.feed.calls import calls
from graphc.feed.interrupts import Interrupts
from graphc.nn.compiled import Compiled, Kind, Step
from graphc.nn.data import Part, Source, flat, parts_of, source, split, weighted_by_class
from graphc.nn.hooks import Callbacks, History, listed_callbacks
from graphc.nn.nonfinite import NonFiniteWarning
from graphc.nn.position import Position
from graphc.nn.seeds import make_seed

if TYPE_CHECKING:
    from graphc.nn.model import Model

STEPS_PER_CALL = 64
"""Steps in one call, where that is one loop on a device: a hundredth of their time goes by between calls."""
Array = np.ndarray[Any, Any]


class Totals:
    """What the steps of an epoch return, added up in float64 in the order of the steps, so that the bits do not depend on the calls.

    Losses are means over the rows of a batch, and count as many times; states of metrics add up. Results wait, so that a backend that
    returns before it has computed is waited for only now and then.
    """

    def __init__(self, averaged: Sequence[str]) -> None:
        self.steps = self.rows = 0
        self._averaged = frozenset(averaged)
        self._sums: dict[str, Any] = {}
        self._waiting: list[tuple[list[int], Mapping[str, Any], bool]] = []

    def state(self) -> dict[str, Array]:
        """The sums so far, for :meth:`go_on`."""
        self._add_up()
        counts = {"steps": np.array(self.steps), "rows": np.array(self.rows)}
        return counts | {f"sum of {name}": np.asarray(value, np.float64) for name, value in self._sums.items()}

    def go_on(self, state: Mapping[str, Array]) -> None:
        """Begin with these sums."""
        if state:
            self.steps, self.rows = int(state["steps"]), int(state["rows"])
            self._sums = {name.removeprefix("sum of "): value for name, value in state.items() if name not in ("steps", "rows")}

    def add(self, result: Mapping[str, Any], rows: int | list[int]) -> None:
        """Add what a step on so many rows returned; or, stacked, what several did, on so many rows each."""
        stacked = not isinstance(rows, int)
        counts = [rows] if isinstance(rows, int) else rows
        self.steps += len(counts)
        self.rows += sum(counts)
        self._waiting.append((counts, result, stacked))
        if len(self._waiting) >= (2 if stacked else ADDED_AT_ONCE):
            self._add_up(keep=int(stacked))

    def _add_up(self, keep: int = 0) -> None:
        ready = self._waiting[: len(self._waiting) - keep]
        del self._waiting[: len(ready)]
        for counts, result, stacked in ready:
            for name, values in result.items():
                array = np.asarray(values, np.float64)
                for count, value in zip(counts, array if stacked else [array], strict=True):
                    self._sums[name] = self._sums.get(name, 0.0) + (value * count if name in self._averaged else value)

    def figures(self, step: Step) -> dict[str, float]:
        """The figures so far."""
        self._add_up()
        return step.figures({name: self._sums[name] / max(self.rows, 1) for name in self._averaged}, self._sums)


@dataclass
class _Epoch:
    """One pass over a data set: the calls, and the word for callbacks."""

    kind: Kind
    compiled: Compiled
    callbacks: Callbacks
    before: Mapping[str, Array] | None = None  # what batches that are done already came to
    totals: Totals | None = None
    step: Step | None = None

    def run(self, parts: Iterable[Part], stop: Callable[[], bool]) -> None:
        """Take the step over all batches, until ``stop`` says so."""
        for part in parts:
            self.step = self.compiled.step(self.kind, part.layout)
            if self.totals is None:
                self.totals = Totals(self.step.averaged)
                self.totals.go_on(self.before or {})
            self._over(part, self.step)
            if stop():
                return

    def _over(self, part: Part, step: Step) -> None:
        first, last = f"on_{self.kind}_batch_begin", f"on_{self.kind}_batch_end"
        totals = cast("Totals", self.totals)
        many = self._many(part)
        with Interrupts() as interrupts:
            for call, arguments, rows, _ in calls(step.function, part.batches, many):
                self.callbacks.tell(first, totals.steps, None)
                interrupts.wait = True
                result = call(*arguments)
                interrupts.wait = False
                interrupts.heed()
                totals.add(result, rows)
                if due := self.callbacks.due(last):
                    figures = totals.figures(step)
                    for method in due:
                        method(totals.steps - 1, figures)
                if self.compiled.model.stop_training:
                    return

    def _many(self, part: Part) -> int:
        if self.compiled.steps_per_call is not None:
            return whole_number("steps_per_call", self.compiled.steps_per_call, least=1)
        if not self.compiled.on_jax:
            return 1
        batches = part.batches  # of arrays, the last batch is a call of its own if it is smaller
        return equal_calls(batches.rows // batches.size) if isinstance(batches, Batches) else STEPS_PER_CALL

    @property
    def figures(self) -> dict[str, float]:
        """What was measured. Raises :class:`ArgumentError` if there was no batch."""
        if self.totals is None or self.step is None or not self.totals.steps:
            raise ArgumentError("there was no batch", fits="at least one; a generator that is used up has none")
        return self.totals.figures(self.step)


def equal_calls(steps: int, most: int = STEPS_PER_CALL) -> int:
    """A number of steps per call, at most ``most``, with which calls are of one length if that can be, so that it is compiled once."""
    even = max(count for count in range(1, most + 1) if max(steps, 1) % count == 0)
    return even if 4 * even >= min(steps, most) else most


@dataclass
class _Going:
    """A training that is going on."""

    source: Source
    seed: int | None
    heard: Callbacks
    number: int
    epoch: _Epoch | None = None

    @property
    def position(self) -> Position:
        """Where it is."""
        totals = None if self.epoch is None else self.epoch.totals
        steps = 0 if totals is None else totals.steps
        drawn, used = self.source.order_at(self.number, steps)
        sums = {} if totals is None else totals.state()
        return Position(self.number, steps, self.seed, drawn, used, sums, self.heard.states())

    def end(self) -> None:
        """The epoch is over."""
        self.source.settle(self.number, cast("Totals", cast("_Epoch", self.epoch).totals).steps)
        self.number, self.epoch = self.number + 1, None


class Fitting:
    """A model, and what ``compile`` made for it."""

    def __init__(self, model: Model, compiled: Compiled) -> None:
        self.model, self.compiled = model, compiled
        self._validation: tuple[Any, Source] | None = None
        self._going: _Going | None = None
        self._resumed: Position | None = None
        self._anyway = False

    @property
    def position(self) -> Position | None:
        """Where the training is that is going on, or where the last one ended."""
        return self._resumed if self._going is None else self._going.position

    def resume(self, position: Position, *, anyway: bool = False) -> None:
        """Go on from a position in the next ``fit`` whose ``initial_epoch`` is that of the position, or in the next one ``anyway``.

        Within ``on_train_begin`` the next one is the one that begins.
        """
        self._resumed, self._anyway, self._going = position, anyway, None

    def _begin(self, source: Source, seed: int | None, heard: Callbacks, initial_epoch: int) -> Position:
        given, self._resumed = self._resumed, None
        if given is None or not (self._anyway or given.epoch == initial_epoch):
            given = Position(initial_epoch, seed=seed)
        else:
            self._anyway = False
            seed = seed if seed is None or given.seed is None else given.seed
            if source.steps is not None and given.steps > source.steps:
                told = f"fit goes on after {given.steps} batches of epoch {given.epoch + 1}, which has {source.steps}"
                raise ArgumentError(told, fits="the data and the batch size of the training that is to go on, or another initial_epoch")
            source.go_on(given)
            heard.go_on(given.callbacks)
        self._going = _Going(source, seed, heard, given.epoch)
        return given

    # ------------------------------------------------------------ training
    def fit(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int | None,
        epochs: int,
        verbose: Any,
        callbacks: Any,
        validation_split: float,
        validation_data: Any,
        shuffle: bool,
        class_weight: Mapping[int, float] | None,
        sample_weight: Any,
        initial_epoch: int,
        steps_per_epoch: int | None,
        validation_steps: int | None,
        validation_batch_size: int | None,
        validation_freq: int | Sequence[int],
    ) -> History:
        """See :meth:`graphc.nn.Model.fit`."""
        whole_number("fit: epochs", epochs, least=0)
        whole_number("fit: initial_epoch", initial_epoch, least=0)
        validated = _frequency(validation_freq)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split(x, y, sample_weight, validation_split)
        seed = make_seed() if shuffle else None
        options: dict[str, Any] = {"seed": seed, "steps": steps_per_epoch, "class_weight": class_weight}
        training = source(x, y, sample_weight, batch_size=batch_size, **options)
        validation = None
        if validation_data is not None:
            given = parts_of(validation_data) if isinstance(validation_data, tuple | list) else (validation_data, None, None)
            validation = source(*given, batch_size=validation_batch_size or batch_size, steps=validation_steps, what="fit: validation_data")
        with self._heard(callbacks, verbose, {"epochs": epochs, "steps": training.steps}, history := History()) as heard:
            self.model.stop_training = False
            heard.tell("on_train_begin", None)
            start = self._begin(training, seed, heard, initial_epoch)
            self._train(cast("_Going", self._going), start, epochs, validation, validated)
        return history

    def _train(self, going: _Going, start: Position, epochs: int, validation: Source | None, validated: Callable[[int], bool]) -> None:
        heard = going.heard
        logs: dict[str, float] = {}
        for number in range(start.epoch, start.epoch if self.model.stop_training else epochs):
            heard.tell("on_epoch_begin", number, None)
            first = number == start.epoch
            going.epoch = epoch = _Epoch("train", self.compiled, heard, start.totals if first else None)
            epoch.run(going.source.epoch(number, start.steps if first else 0), lambda: self.model.stop_training)
            logs = epoch.figures
            going.end()
            self._warn_of(logs, number)
            if validation is not None and validated(number + 1):
                logs = logs | {f"val_{name}": value for name, value in self._tested(validation, heard).items()}
            heard.tell("on_epoch_end", number, logs)
            if self.model.stop_training:
                break
        if self.compiled.optimizer is not None:
            self.compiled.optimizer.finalize_variable_values(self.compiled.trained() if self.model.built else [])
        self.resume(replace(going.position, callbacks=()))
        heard.tell("on_train_end", logs)

    def _heard(self, callbacks: Any, verbose: Any, params: dict[str, Any], *more: Any) -> Callbacks:
        """The user's callbacks and our own; who was made a list of callbacks before keeps it."""
        if isinstance(callbacks, Callbacks):
            return callbacks
        listed = listed_callbacks(callbacks)
        from graphc.nn.progress import bar

        shown = bar(verbose)
        return Callbacks([*listed, *more, *([] if shown is None else [shown])], self.model, {"verbose": verbose, **params})

    def _warn_of(self, logs: Mapping[str, float], epoch: int) -> None:
        if self.compiled.on_jax and not np.isfinite(logs["loss"]):
            advice = 'compile(backend="numpy") names the first node that is not finite, and backend=gc.Jax(check=True) is an error there'
            warn(f"the loss of epoch {epoch + 1} is {logs['loss']}; {advice}", NonFiniteWarning)

    # ------------------------------------------------------------ evaluation and prediction
    def evaluate(
        self, x: Any, y: Any, batch_size: int | None, verbose: Any, weight: Any, steps: int | None, callbacks: Any
    ) -> dict[str, float]:
        """See :meth:`graphc.nn.Model.evaluate`."""
        data = source(x, y, weight, batch_size=batch_size, steps=steps, what="evaluate")
        with self._heard(callbacks, verbose, {"epochs": 1, "steps": data.steps}) as heard:
            return self._tested(data, heard)

    def _tested(self, data: Source, heard: Callbacks) -> dict[str, float]:
        heard.tell("on_test_begin", None)
        stopped, self.model.stop_training = self.model.stop_training, False
        epoch = _Epoch("test", self.compiled, heard)
        epoch.run(data.epoch(0), lambda: False)
        self.model.stop_training = stopped or self.model.stop_training
        logs = epoch.figures
        heard.tell("on_test_end", logs)
        return logs

    def predict(self, x: Any, batch_size: int | None, verbose: Any, steps: int | None, callbacks: Any) -> Any:
        """See :meth:`graphc.nn.Model.predict`."""
        data = source(x, batch_size=batch_size, steps=steps, what="predict")
        with self._heard(callbacks, verbose, {"epochs": 1, "steps": data.steps}) as heard:
            return self._predicted(data, heard)

    def _predicted(self, data: Source, heard: Callbacks) -> Any:
        heard.tell("on_predict_begin", None)
        found: list[list[Any]] = []
        step: Step | None = None
        for part in data.epoch(0):
            inputs = part.layout.filled(range(len(part.layout.forms)))[0]
            places = tree.flatten(inputs)[0]
            step = self.compiled.step("predict", part.layout)
            for batch in part.batches:
                heard.tell("on_predict_batch_begin", len(found), None)
                found.append([np.asarray(y) for y in step.function(*[batch[place] for place in places])])
                heard.tell("on_predict_batch_end", len(found) - 1, {"outputs": step.arranged(found[-1])})
        if step is None:
            raise ArgumentError("predict: there was no batch", fits="at least one")
        heard.tell("on_predict_end", None)
        return step.arranged([np.concatenate(parts) if np.ndim(parts[0]) else np.stack(parts) for parts in zip(*found, strict=True)])

    # ------------------------------------------------------------ single batches
    def on_batch(self, kind: Kind, x: Any, y: Any, weight: Any, class_weight: Mapping[int, float] | None) -> dict[str, float]:
        """One call of a step, and its figures."""
        arrays, layout = flat(x, y, weighted_by_class(y, weight, class_weight))
        step = self.compiled.step(kind, layout)
        totals = Totals(step.averaged)
        totals.add(step.function(*arrays), len(arrays[0]))
        return totals.figures(step)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for some samples."""
        arrays, layout = flat(x, None, None)
        step = self.compiled.step("predict", layout)
        return step.arranged([np.asarray(y) for y in step.function(*arrays)])


def _frequency(given: Any) -> Callable[[int], bool]:
    """Whether there is a validation after an epoch, by its number from 1."""
    if isinstance(given, list | tuple | set | range):
        chosen = set(cast("Iterable[int]", given))
        return lambda number: number in chosen
    every = whole_number("fit: validation_freq", given, least=1)
    return lambda number: number % every == 0
