"""Callbacks: what is told of a training while it goes on. The ready ones are in graphc.nn.callbacks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from graphc.core.errors import ArgumentError

if TYPE_CHECKING:
    from graphc.nn.model import Model

Logs = Mapping[str, float]


class Callback:
    """The base of callbacks: Keras's hooks, each of which does nothing here.

    ``model`` is the model, ``params`` has ``epochs``, ``steps`` (None if it is not known) and ``verbose``. ``logs`` are the figures so far,
    of an epoch with those of the validation as ``val_loss`` and so on. ``model.stop_training = True`` ends the training after the call that
    goes on. Hooks of batches hear after each call of a compiled function, which may be several steps; figures are made for them only
    if there are such hooks.
    """

    model: Model
    params: dict[str, Any]
    hears_last: ClassVar[bool] = False
    """Whether the others are called before, as one that saves needs it."""

    def set_model(self, model: Model) -> None:
        """Called before all else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before all else."""
        self.params = params

    def get_state(self) -> Mapping[str, Any]:
        """What the callback needs, beside its arguments, to go on in another process: numbers, strings, None, lists of arrays by name."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`get_state` told; called after ``on_train_begin``."""

    def is_due(self) -> bool:
        """Whether the hooks after batches are to be called now; a callback that need not hear each time may say no."""
        return True

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch of ``fit``."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last one."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; the first is 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch, its validation included."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """See ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """See ``on_train_batch_end``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a call of training steps; the number of the first one in the epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a call of training steps; the number of the last one in the epoch."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation, also one in ``fit``."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a call of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a call of an evaluation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before ``predict``."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After ``predict``."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of ``predict``."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of ``predict``."""

    def on_exception(self, exception: BaseException) -> None:
        """Before an exception, Ctrl-C among them, leaves ``fit``, ``evaluate`` or ``predict``; no other hook is called after it."""


HOOKS = tuple([name for name in vars(Callback) if name.startswith("on_")])


class History(Callback):
    """What ``fit`` returns: ``history`` has for each figure its values, epoch by epoch, and ``epoch`` the numbers of the epochs."""

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start with the first epoch."""
        self.epoch.clear()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add the figures of an epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class Callbacks:
    """Several callbacks as one: ``tell("on_epoch_end", 3, logs)``, and ``on_exception`` of what leaves a ``with`` of it.

    Objects with some of the hooks will do.

    Raises :class:`ArgumentError` for what has none of them.
    """

    def __init__(self, callbacks: Any, model: Model, params: dict[str, Any]) -> None:
        self.all = sorted(listed_callbacks(callbacks), key=lambda callback: getattr(callback, "hears_last", False))
        for callback in self.all:
            if isinstance(callback, type) or not any(hasattr(callback, hook) for hook in HOOKS):
                raise ArgumentError(f"{callback!r} is no callback", fits=f"an object with one of {', '.join(HOOKS[:4])} ...")
            if hasattr(callback, "set_model"):
                callback.set_model(model)
            if hasattr(callback, "set_params"):
                callback.set_params(params)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: Any, exception: BaseException | None, _trace: Any) -> None:
        if exception is not None:
            self.tell("on_exception", exception)

    def tell(self, hook: str, *arguments: Any) -> None:
        """Call this hook of all callbacks."""
        for method in self._methods(hook):
            method(*arguments)

    def due(self, hook: str) -> list[Callable[..., Any]]:
        """This hook of the callbacks that have something to do there now."""
        return [method for method in self._methods(hook) if not isinstance(one := _owner(method), Callback) or one.is_due()]

    def states(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The states of those that have one, each with the name of its class."""
        having = [one for one in self.all if getattr(one.__class__, "get_state", Callback.get_state) is not Callback.get_state]
        return tuple([(type(one).__name__, one.get_state()) for one in having])

    def go_on(self, states: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Give callbacks the states that :meth:`states` told, those of one class in their order."""
        for name in dict.fromkeys([name for name, _ in states]):
            ones = [one for one in self.all if type(one).__name__ == name and hasattr(one, "set_state")]
            for one, state in zip(ones, [state for other, state in states if other == name], strict=False):
                one.set_state(state)

    @functools.cached_property
    def _table(self) -> dict[str, list[Callable[..., Any]]]:
        return {hook: [getattr(callback, hook) for callback in self.all if _does(callback, hook)] for hook in HOOKS}

    def _methods(self, hook: str) -> list[Callable[..., Any]]:
        return self._table[hook]


def listed_callbacks(callbacks: Any) -> list[Any]:
    """The callbacks of a list, of a tuple, or the one that was given, or none."""
    if isinstance(callbacks, list | tuple):
        return list(cast("Iterable[Any]", callbacks))
    return [] if callbacks is None else [callbacks]


def _owner(method: Any) -> Any:
    return getattr(method, "__self__", None)


def _does(callback: Any, hook: str) -> bool:
    """Whether the hook is there and is not the one that does nothing; a batch of training is heard of under two names."""
    own = getattr(callback, hook, None)
    if own is None:
        return False
    if getattr(own, "__func__", own) is not getattr(Callback, hook):
        return True
    return hook.startswith("on_train_batch") and _does(callback, hook.replace("on_train_batch", "on_batch"))
