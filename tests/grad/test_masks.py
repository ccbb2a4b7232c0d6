"""``where`` keeps what is undefined out of the gradient: at every order, forward and backward, through every op of the table."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, Op, Tensor, case, dtypes
from graphc.testing import Call, calls, takes_integers_alone

NAN, INF = math.nan, math.inf
BAD = (NAN, INF, -INF, 0.0, -7.0)
"""Undefined, or outside of most domains."""
SINGULAR = "an operand that is not finite raises, or the values have no inverse"


def small_call(op: Op) -> Call | None:
    """A call of the op whose first operand has elements to spoil."""
    if op.pointwise and not op.cases and not takes_integers_alone(op):
        return Call(op, case(*[(3,)] * len(op.operands)))
    return next(iter(calls(op)), None)


def differentiable(op: Op) -> bool:
    call = small_call(op)
    return call is not None and bool(call.differentiable(call.inputs()))


TABLE = [op for op in OPS.values() if differentiable(op)]


class Masked:
    """``where(mask, op(*inputs), 0)``, its derivatives, and the value of the op alone."""

    def __init__(self, call: Call, backend: Any, highest: int) -> None:
        self.inputs = call.inputs()
        self.values = call.values()
        y = call.node(self.inputs)
        mask = gc.input("mask", y.shape, "bool")
        wrt = call.differentiable(self.inputs)
        kept = gc.where(mask, y, 0)
        self.wrt = [self.inputs.index(x) for x in wrt]
        self.value = gc.compile(self.inputs, y, backend=backend)
        self.derivatives = gc.compile([*self.inputs, mask], list(_derivatives(kept, wrt, highest)), backend=backend)

    def spoilt(self) -> Iterator[tuple[str, list[Any], list[Any]]]:
        """The values with bad elements: what was done, the values, and where they are bad."""
        for i in self.wrt:
            for bad in BAD:
                for name, where in _places(self.values[i].shape):
                    at = [np.zeros(v.shape, bool) for v in self.values]
                    at[i][where] = True
                    values = [np.where(a, bad, v) if a.any() else v for a, v in zip(at, self.values, strict=True)]
                    yield f"{bad} {name} of operand {i}", values, at


def _derivatives(y: Tensor, wrt: list[Any], highest: int) -> Iterator[Tensor]:
    """Gradients of each order of a weighted sum, and the tangent forward."""
    yield gc.jvp(y, wrt, [_weights(x) for x in wrt])
    found: list[Tensor] = [y]
    for _ in range(highest):
        total = sum([gc.sum(gc.real(_weights(v) * v)) for v in found], start=gc.constant(0.0, "float64"))
        found = gc.grad(total, wrt, disconnected="zero")
        yield from found


def _weights(x: Tensor) -> Tensor:
    count = int(np.prod(x.shape))
    return gc.constant(np.cos(np.arange(count, dtype="float64")).reshape(x.shape) + 1.5, x.dtype)


def _places(shape: tuple[int, ...]) -> list[tuple[str, Any]]:
    if not math.prod(shape):
        return []
    if math.prod(shape) == 1:
        return [("everywhere", ...)]
    last = tuple([n - 1 for n in shape])
    return [("in the last element", last), ("in the first row", 0), ("everywhere", ...)]


def problems(call: Call, backend: Any, highest: int) -> Iterator[str]:
    """Where a derivative is not finite, or not what it is with clean values."""
    run = Masked(call, backend, highest)
    clean = np.asarray(run.value(*run.values))
    for name, values, at in run.spoilt():
        try:
            with np.errstate(all="ignore"):
                y = np.asarray(run.value(*values))
                mask = np.isfinite(y) & (y == clean)
                found = [np.asarray(d) for d in run.derivatives(*values, mask)]
        except np.linalg.LinAlgError:
            continue  # the value itself is refused
        expected = [np.asarray(d) for d in run.derivatives(*run.values, mask)]
        spots = [~mask, *[at[i] for _ in range(highest) for i in run.wrt]]
        for place, (f, e, bad) in enumerate(zip(found, expected, spots, strict=True)):
            what = "forward" if place == 0 else f"order {1 + (place - 1) // len(run.wrt)}"
            if not np.isfinite(f).all():
                yield f"{name}: {what}: {f.tolist()}"
            elif not np.allclose(f[~bad], e[~bad], rtol=1e-7, atol=1e-9):
                yield f"{name}: {what}: {f.tolist()} is not {e.tolist()}"


@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_no_op_leaks_through_where(op: Op) -> None:
    call = small_call(op)
    assert call is not None
    found = list(problems(call, "numpy", 3))
    assert not found, "\n".join(found)
