"""A NaN or an inf that came of finite operands: which node made it, and what an error says of that node."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from graphc.core import Tensor, describe, dtypes
from graphc.core.errors import NonFiniteError
from graphc.core.expr import Constant
from graphc.lower.compute import is_several

FINITE, INF, NAN = range(3)
_MADE: Final = {
    FINITE: "a NaN or an inf came of finite operands",
    INF: "an inf came of finite operands",
    NAN: "a NaN came of operands without one",
}


def kind_of(value: Any) -> int:
    """``NAN`` if there is a NaN in a value, ``INF`` if there is an inf, else ``FINITE``; of several results the worst."""
    if is_several(value):
        return max([kind_of(part) for part in value], default=FINITE)
    array = np.asarray(value)
    if not dtypes.is_inexact(array.dtype.name) or np.isfinite(array).all():
        return FINITE
    return NAN if np.isnan(array).any() else INF


def maker(kinds: Mapping[Tensor, int], results: Sequence[Tensor]) -> Tensor | None:
    """The first node that made a NaN or an inf of finite operands, or else a NaN of infs, among those that results got theirs from.

    ``kinds`` are those of the nodes, in their order; a node without one is finite. What ``where`` did not choose reaches no result, nor
    does an inf by which something is divided.
    """

    def kind(x: Tensor) -> int:
        return kind_of(x.value) if isinstance(x, Constant) else kinds.get(x, FINITE)

    makers: dict[int, list[Tensor]] = {FINITE: [], INF: []}
    waiting = [x for x in results if kind(x)]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        bad = [x for x in node.inputs if kind(x)]
        worst = max([kind(x) for x in bad], default=FINITE)
        if worst < kind(node) and makes(node):
            makers[worst].append(node)
        waiting += [x for x in dict.fromkeys(bad) if x not in seen]
        seen.update(bad)
    order = {node: place for place, node in enumerate(kinds)}
    return min(makers[FINITE] or makers[INF], key=order.__getitem__, default=None)


def makes(node: Tensor) -> bool:
    """Whether a NaN or inf of this node need not be what the user asked for, as in ``full(shape, -inf)``."""
    return bool(node.inputs) and not any(isinstance(value, float) and not math.isfinite(value) for value in node.attrs)


def not_finite(node: Tensor, kind: int = FINITE, operands: Iterable[str] = (), more: Iterable[str] = ()) -> NonFiniteError:
    """The error for a node that made one, of this kind if that is known.

    ``operands`` are what is said of each operand, the line that describes it by default; ``more`` is said after them.
    """
    assert node.op is not None
    given = [*told(node, operands), *more]
    return NonFiniteError(f"{node.op.name}: {_MADE[kind]}", given=given, fits="operands for which the result is finite")


def told(node: Tensor, operands: Iterable[str] = ()) -> list[str]:
    """The node, the node whose gradient it belongs to, and its operands."""
    forward = [f"in the gradient of: {place(node.forward)}"] if node.forward is not None else []
    return [place(node), *forward, *(operands or [f"operand: {describe(x)}" for x in node.inputs])]


def place(node: Tensor) -> str:
    """The node, the user's line and the group in which it was made."""
    scope = node.origin.scope if node.origin else ()
    return describe(node) + (f", in {'/'.join(scope)}" if scope else "")
