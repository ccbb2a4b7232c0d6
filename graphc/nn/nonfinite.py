"""A loss that is NaN or infinite: which node of the graph was the first, and the line that it is from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphc.checking import explained
from graphc.core import Input, Tensor, Variable
from graphc.core.errors import KinkError, warn
from graphc.feed.calls import Repeated
from graphc.grad.kinks import guard
from graphc.ops import isfinite, logical_not
from graphc.pipeline import Function, compile

MESSAGE = "the loss is not finite"


class NonFiniteWarning(RuntimeWarning):
    """A loss that is NaN or infinite."""


def watched(inputs: Sequence[Input], results: Mapping[str, Tensor], updates: Mapping[Variable, Tensor], total: Tensor) -> Watched:
    """A step for NumPy that finds out why its loss, ``total``, is not finite, where that happens."""
    return Watched(list(inputs), dict(results), dict(updates), total)


class Watched:
    """A compiled step, which does what it would do without this, and warns at the first loss that is not finite.

    The loss is looked at before any variable has its new value, so that what led to it can be computed again, node by node. From
    then on the step is one that does not look.
    """

    def __init__(self, inputs: list[Input], results: dict[str, Tensor], updates: dict[Variable, Tensor], total: Tensor) -> None:
        self._inputs, self._results, self._updates, self._total = inputs, results, updates, total
        checked = guard(total, logical_not(isfinite(total)), message=MESSAGE)
        self._function: Function = compile(inputs, {**results, "loss": checked}, updates)
        self._looks = True

    holds_inputs = False
    repeats = False

    @property
    def report(self) -> Any:
        """What the compiler did."""
        return self._function.report

    @property
    def source(self) -> str:
        """The source that runs."""
        return self._function.source

    def __call__(self, *values: Any) -> Any:
        """Run on these values."""
        return self._tried(self._function, values)

    def prepared(self, *values: Any) -> Callable[..., Any]:
        """The call for values like these."""
        call = self._function.prepared(*values)
        return lambda *values: self._tried(call, values)

    def repeated(self, *values: Any) -> Repeated:
        """There is no such call on NumPy."""
        return self._function.repeated(*values)

    def _tried(self, call: Callable[..., Any], values: Sequence[Any]) -> Any:
        if not self._looks and call is not self._function:
            return self._function(*values)
        try:
            return call(*values)
        except KinkError as error:
            if error.asked != MESSAGE:
                raise
        self._looks = False
        warn(first_bad(self._inputs, self._total, values), NonFiniteWarning)
        self._function = compile(self._inputs, self._results, self._updates)
        return self._function(*values)


def first_bad(inputs: Sequence[Input], total: Tensor, values: Sequence[Any]) -> str:
    """The node that made a loss NaN or infinite, in words: its line, its operands' values, and why."""
    found = explained(inputs, [total], values)
    if found is None:
        return "the loss is not finite in the compiled step, though it is when its graph is computed node by node"
    return f"the loss is not finite: {found}"
