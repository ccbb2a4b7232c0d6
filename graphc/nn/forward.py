"""A pass through layers: what they register besides their outputs, and whether they are to train."""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar, Token
from typing import Any, Self

from graphc.core import Origin, Tensor, Variable, describe, scope
from graphc.core.errors import DTypeError, GraphcError, ShapeError


class PassError(GraphcError, RuntimeError):
    """What belongs to a pass through layers (losses, updates, the latest value of a variable), asked for where no pass is going on."""


class Forward:
    """Layers that are called in this block are parts of one graph, and say here what they change, cost and mask.

    >>> with nn.Forward(training=True) as forward:
    ...     y = model(x)
    >>> step = gc.compile(x, y, updates=forward.updates)

    ``updates`` has the new values of variables (moving statistics, seeds), ``losses`` numbers to be added to the loss, ``masks`` for a
    tensor which of its steps count. A block within a block is a pass of its own.
    """

    def __init__(self, training: bool = False) -> None:
        self.training = training
        self.updates: dict[Variable, Tensor] = {}
        self.losses: list[Tensor] = []
        self.masks: dict[Tensor, Tensor] = {}
        self._groups: Counter[tuple[str, ...]] = Counter()
        self._before: list[Token[Forward | None]] = []

    def latest(self, variable: Variable) -> Tensor:
        """The value of a variable at this point of the pass: its new one, if it was updated before."""
        return self.updates.get(variable, variable)

    def group(self, name: str, origin: Origin | None) -> scope:
        """The group of nodes that a call of the layer of this name makes: ``dense``, and ``dense (2)`` for its second call."""
        place = (*scope.names(), name)
        self._groups[place] += 1
        return scope(name if self._groups[place] == 1 else f"{name} ({self._groups[place]})", origin=origin)

    def update(self, variable: Variable, value: Tensor) -> None:
        """Register a new value. Raises :class:`ShapeError` and :class:`DTypeError` for one that is not of the variable's type."""
        if value.shape != variable.shape:
            given = [describe(variable), describe(value)]
            raise ShapeError(f"add_update: the new value of {variable.label} has another shape", given=given, fits=str(variable.type))
        if value.dtype != variable.dtype:
            given = [describe(variable), describe(value)]
            raise DTypeError(f"add_update: the new value of {variable.label} has another dtype", given=given, fits=variable.dtype)
        self.updates[variable] = value

    def __enter__(self) -> Self:
        self._before.append(_now.set(self))
        return self

    def __exit__(self, *_error: object) -> None:
        _now.reset(self._before.pop())


_now: ContextVar[Forward | None] = ContextVar("forward", default=None)


def current() -> Forward | None:
    """The pass that is going on, if one is."""
    return _now.get()


def the_pass(what: str) -> Any:
    """The pass that is going on. Raises :class:`PassError` if none is; ``what`` says who asks."""
    forward = _now.get()
    if forward is None:
        raise PassError(f"{what}: no layer is being called", fits="the call method of a layer, or a block of nn.Forward")
    return forward
