"""What the steps of an epoch return, added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from graphc.core.errors import ArgumentError

ADDED_AT_ONCE = 64
"""Steps whose results wait to be added up: a backend that returns before it has computed is waited for once in so many steps."""


@dataclass(frozen=True)
class Tally:
    """After so many steps on so many rows: ``means`` is what the steps returned, in that form, averaged with the rows as weights."""

    steps: int
    rows: int
    means: Any


class Sums:
    """Results, added up as float64 in the order of the steps, however many at a time, so that the bits do not depend on that.

    What a call of many steps returned waits until the next such call is on its way, so that a device need not wait for the host.
    """

    def __init__(self) -> None:
        self.steps = self.rows = 0
        self._like: Any = None
        self._totals: list[Any] = []
        self._stacked: tuple[Sequence[int], Any] | None = None
        self._waiting: list[tuple[int, Any]] = []

    def add(self, result: Any, rows: int | Sequence[int]) -> None:
        """Add what a step on so many rows returned; or, stacked, what several did, on so many rows each."""
        if isinstance(rows, int):
            self.steps += 1
            self.rows += rows
            self._waiting.append((rows, result))
            if len(self._waiting) == ADDED_AT_ONCE:
                self._add_up()
        else:
            self.steps += len(rows)
            self.rows += sum(rows)
            self._add_up()
            self._stacked = rows, result

    def _add_up(self) -> None:
        if self._stacked:
            weights, self._like = self._stacked
            self._stacked = None
            self._add(weights, [cast("Iterable[Any]", np.asarray(column)) for column in _listed(self._like)])
        if self._waiting:
            weights, results = zip(*self._waiting, strict=True)
            self._waiting.clear()
            self._like = results[-1]
            self._add(weights, zip(*map(_listed, results), strict=True))

    def _add(self, weights: Sequence[int], columns: Iterable[Iterable[Any]]) -> None:
        listed = list(columns)
        self._totals = [_added(total, weights, column) for total, column in zip(self._totals or [0.0] * len(listed), listed, strict=True)]

    def tally(self) -> Tally:
        """The averages so far. Raises :class:`ArgumentError` if there was no step."""
        self._add_up()
        if not self.steps:
            raise ArgumentError("epoch: there was no batch", fits="at least one; an iterator that is used up has none")
        return Tally(self.steps, self.rows, _formed(self._like, [total / self.rows for total in self._totals]))


def _added(total: Any, weights: Sequence[int], values: Any) -> Any:
    real = np.float64 if np.ndim(values[0]) else float
    for weight, value in zip(weights, map(real, values), strict=True):
        total = total + weight * value
    return total


def _listed(result: Any) -> Sequence[Any]:
    if isinstance(result, dict):
        return list(cast("dict[Any, Any]", result).values())
    if result is None:
        return ()
    return cast("Sequence[Any]", result) if isinstance(result, tuple | list) else (result,)


def _formed(like: Any, values: list[Any]) -> Any:
    if isinstance(like, dict):
        return dict(zip(cast("dict[Any, Any]", like), values, strict=True))
    return tuple(values) if isinstance(like, tuple) else values if isinstance(like, list) else values[0] if values else None
