"""The calls that an epoch is made of: a step each, or many steps each over data that is on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np

from graphc.feed.batches import Array, Batches

Call: TypeAlias = tuple[Callable[..., Any], Sequence[Any], int | list[int], bool]
"""A function and its arguments; the rows of a step, or a list of them for each step of the call; whether a listener may hear after it."""
ROWS: Final = 1 << 31
"""Rows that 32-bit numbers, which are those that JAX has unless it is told, can count."""


class Repeated(Protocol):
    """Many steps of a compiled function as one call, for batches of one form."""

    def hold(self, arrays: Sequence[Any], held: dict[Any, Any]) -> Sequence[Any]:
        """The arrays where the function reads them, out of ``held`` if it has them, or else copied there and put into it."""
        ...

    def __call__(self, data: Sequence[Any], index: Array | None) -> Any:
        """The results of the steps, stacked.

        ``index`` has the rows of ``data`` for each step, ``(steps, size)``, or the first row of each, ``(steps,)``; if there is none,
        ``data`` is the batches themselves, stacked.
        """
        ...


@runtime_checkable
class Preparing(Protocol):
    """What a compiled function has and a plain one has not.

    ``prepared(*values)`` is the call for values of these shapes and dtypes, without looking at them again; ``holds_inputs`` says that
    values may still be read after a call has returned. ``repeats`` says that many steps may be one call, which is ``repeated(*values)``
    for batches of these shapes and dtypes.
    """

    holds_inputs: bool
    repeats: bool

    def prepared(self, *values: Any) -> Callable[..., Any]:
        """The call for values like these."""
        ...

    def repeated(self, *values: Any) -> Repeated:
        """Many calls for values like these as one."""
        ...


def calls(step: Callable[..., Any], batches: Iterable[Any], many: int) -> Iterator[Call]:
    """Calls that take ``step`` over the batches, up to ``many`` steps each where that can be."""
    if many == 1 or not isinstance(step, Preparing) or not step.repeats:
        return _one_by_one(step, batches, many)
    if isinstance(batches, Batches) and batches.rows < ROWS:
        return _over_rows(step, batches, many)
    return _over_stacks(step, batches, many)


def _one_by_one(step: Any, batches: Iterable[Any], many: int) -> Iterator[Call]:
    call = _Prepared(step)
    reuse = isinstance(step, Preparing) and not step.holds_inputs
    for number, batch in enumerate(_each(batches, reuse), 1):
        yield call.of(batch), batch, len(batch[0]), number % many == 0


def _over_rows(step: Preparing, batches: Batches, many: int) -> Iterator[Call]:
    """Rows are taken on the device. The last batch, if it is smaller, is a call of its own."""
    order, size, rows = batches.order(), min(batches.size, batches.rows), batches.rows
    whole, rest = divmod(rows, size)
    repeated = step.repeated(*[array[:size] for array in batches.arrays])
    data = repeated.hold(batches.arrays, batches.held)
    for first in range(0, whole, many):
        count = min(many, whole - first)
        yield repeated, (data, _index(order, first * size, count, size)), [size] * count, True
    if rest:
        last = step.repeated(*[array[:rest] for array in batches.arrays])
        yield last, (data, _index(order, whole * size, 1, rest)), [rest], True


def _index(order: Array | None, start: int, count: int, size: int) -> Array:
    """The rows of so many batches, a line each; or, where they come as they lie, the first row of each."""
    if order is None:
        return start + size * np.arange(count, dtype=np.int32)
    return order[start : start + count * size].reshape(count, size).astype(np.int32)


def _over_stacks(step: Preparing, batches: Iterable[Any], many: int) -> Iterator[Call]:
    """Batches of one form that follow one another are stacked on the host."""
    call, group = _Prepared(step), _Group(many)
    for batch in _each(batches, reuse=False):
        if not group.takes(batch):
            yield from group.calls(step, call)
        group.add(batch)
    yield from group.calls(step, call)


class _Group:
    """Batches that may be one call: up to ``many``, of one form."""

    def __init__(self, many: int) -> None:
        self._many = many
        self._form: Form = None
        self._batches: list[Sequence[Any]] = []

    def takes(self, batch: Sequence[Any]) -> bool:
        if not self._batches:
            return True
        return len(self._batches) < self._many and self._form is not None and _form(batch) == self._form

    def add(self, batch: Sequence[Any]) -> None:
        """Copied, because whoever makes the batches may use their memory again."""
        self._form = _form(batch)
        self._batches.append([np.array(value) for value in batch] if self._form else batch)

    def calls(self, step: Preparing, call: _Prepared) -> Iterator[Call]:
        """The one call of what is there, which leaves the group empty."""
        batches, self._batches = self._batches, []
        if len(batches) > 1:
            stacks = [np.stack(values) for values in zip(*batches, strict=True)]
            yield step.repeated(*batches[0]), (stacks, None), [len(batch[0]) for batch in batches], True
        elif batches:
            yield call.of(batches[0]), batches[0], len(batches[0][0]), True


class _Prepared:
    """A step, prepared anew where the form of the batches changes."""

    def __init__(self, step: Any) -> None:
        self._step = self._call = step
        self._prepare = step.prepared if isinstance(step, Preparing) else None
        self._form: Form = None

    def of(self, batch: Sequence[Any]) -> Callable[..., Any]:
        """The call for this batch."""
        if self._prepare and (form := _form(batch)) != self._form:
            self._form = form
            self._call = self._prepare(*batch) if form else self._step
        return self._call


def _each(batches: Iterable[Any], reuse: bool) -> Iterator[Sequence[Any]]:
    if isinstance(batches, Batches):
        return batches.each(reuse=reuse)
    return (cast("Sequence[Any]", batch) if isinstance(batch, tuple | list) else (batch,) for batch in batches)


Form: TypeAlias = list[tuple[Any, Any]] | None
"""What tells whether a function that was prepared for one batch takes another; None for values that are no arrays."""


def _form(batch: Sequence[Any]) -> Form:
    try:
        return [(value.shape, value.dtype) for value in batch]
    except AttributeError:
        return None
