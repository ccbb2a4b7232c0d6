"""``where`` keeps what is undefined out of the gradient: at every order, forward and backward, through every op of the table."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, Op, Tensor, case
from graphc.testing import Call, calls, takes_integers_alone

NAN, INF = math.nan, math.inf
BAD = (NAN, INF, -INF, 0.0, -7.0)
"""Undefined, or outside of most domains."""
BY_SVD = ("det", "svd", "svdvals", "pinv", "lstsq", "cofactors", "det_curvature")
"""LAPACK's singular value decomposition of what is not finite fails, or never returns."""


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
        self.op, self.inputs = call.op, call.inputs()
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
            for bad in BAD if self.op.name not in BY_SVD else BAD[3:]:
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
                mask &= mask.all() or call.op.group != "linalg"  # a matrix is taken whole
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


def test_no_op_leaks_on_jax() -> None:
    """The graph is the same; XLA's own rewrites must not undo it. One jitted function for many ops."""
    rng = np.random.default_rng(0)
    inputs, outputs, values, names = [], [], [], []
    for op in TABLE:
        call = small_call(op)
        assert call is not None
        if op.group in ("linalg", "normalization", "pooling", "convolution", "contraction") or rng.random() < 0.3:
            own = call.inputs()
            wrt = call.differentiable(own)
            mask = gc.input("mask", call.node(own).shape, "bool")
            gradients = gc.grad(gc.sum(gc.real(gc.where(mask, call.node(own), 0))), wrt)
            outputs += [gc.sum(gc.real(g)) for g in gradients]
            names += [op.name] * len(gradients)
            inputs += [*own, mask]
            values += [
                *[np.full_like(v, NAN) if x in wrt else v for x, v in zip(own, call.values(), strict=True)],
                np.zeros(mask.shape, bool),
            ]
    found = gc.compile(inputs, outputs, backend="jax")(*values)
    assert [name for name, f in zip(names, found, strict=True) if float(f) != 0] == []


# ---------------------------------------------------------------- compositions
def _loop_of_items(x: Tensor, m: Tensor) -> Tensor:
    return gc.where(m, gc.scan(lambda carry, item: (carry, gc.log(item)), (), gc.sqrt(x))[1], 0)


def _loop_with_a_carry(x: Tensor, m: Tensor) -> Tensor:
    return gc.where(m, gc.scan(lambda carry, item: (carry + 1, gc.log(item) * carry), gc.sum(x[1]), x)[1], 0)


WEIGHTS = gc.constant(np.cos(np.arange(12.0)).reshape(3, 4))
KERNEL = gc.constant(np.cos(np.arange(12.0)).reshape(2, 3, 2))
COMPOSED: dict[str, Any] = {
    "a product of matrices": lambda x, m: gc.where(m[:, :1], gc.log(gc.sqrt(x)) @ WEIGHTS, 0),
    "a product with itself": lambda x, m: gc.where(m[:, :1] & m[:, 0], gc.log(x) @ gc.log(x).T, 0),
    "under a sum": lambda x, m: gc.sum(gc.where(m, gc.log(x) * gc.rsqrt(x), 0), axis=0),
    "under a sum of products": lambda x, m: gc.where(m[:, 0], gc.sum(gc.log(x) * gc.rsqrt(x), axis=1), 0),
    "rows of softmax": lambda x, m: gc.where(m, gc.softmax(gc.log(x)), 0),
    "rows of log_softmax": lambda x, m: gc.where(m, gc.log_softmax(gc.log(x) / x), 0),
    "rows of a norm": lambda x, m: gc.where(m[:, 0], gc.norm(gc.log(x), axis=1), 0),
    "rows of layer_norm": lambda x, m: gc.where(m, gc.layer_norm(gc.log(x)), 0),
    "sorted rows": lambda x, m: gc.where(m, gc.sort(gc.log(x), axis=1), 0),
    "the largest of rows": lambda x, m: gc.where(m[:, :2], gc.top_k(gc.log(x), k=2)[0], 0),
    "running products of columns": lambda x, m: gc.where(m[::-1], gc.cumprod(gc.log(x)[::-1] + 3, axis=0), 0)[::-1],
    "einsum": lambda x, m: gc.where(m[:, :1], gc.einsum("ij,jk,ij->ik", gc.log(x), WEIGHTS, gc.reciprocal(x)), 0),
    "a convolution of a batch": lambda x, m: gc.where(
        gc.expand_dims(m[:, :1], axis=2),
        gc.conv(gc.reshape(gc.concatenate([gc.log(x), x], axis=1), (2, 2, 3)), KERNEL, padding="same"),
        0,
    ),
    "a convolution of items": lambda x, m: gc.where(
        gc.reshape(m[:, 0], (1, 2, 1)), gc.conv(gc.reshape(gc.log(x), (1, 2, 3)), KERNEL[:1] * gc.sum(gc.cos(x[1])), padding="valid"), 0
    ),
    "both of a where": lambda x, m: gc.where(m, gc.log(x), gc.sin(gc.stop_gradient(gc.where(m, x, 0.5)))),
    "two masks": lambda x, m: gc.where(m, gc.log(x), 0) + gc.where(m & (x > 1.05), gc.log(x - 1), 0),
    "a real transform": lambda x, m: gc.where(m[:, :2], gc.real(gc.fft.rfft(gc.log(x), axis=1)), 0),
    "solve": lambda x, m: gc.where(m, gc.solve(gc.eye(3, dtype="float64") * 3 + gc.expand_dims(gc.log(x), axis=2), x[1]), 0),
    "a call": lambda x, m: gc.where(m, gc.checkpoint(lambda v: gc.log(v) * gc.reciprocal(v))(gc.sqrt(x)), 0),
    "a result of a call that nobody reads": lambda x, m: gc.where(m, gc.checkpoint(lambda v: (gc.log(v), v * v))(x)[1], 0),
    "a branch": lambda x, m: gc.where(m, gc.cond(gc.any(m), gc.log, gc.exp, x), 0),
    "a loop": _loop_of_items,
    "a loop with a carry": _loop_with_a_carry,
    "items apart": lambda x, m: gc.where(m[:, 0], gc.vmap(lambda r: gc.prod(gc.log(r)))(x), 0),
    "a transform of all elements": lambda x, m: gc.real(gc.fft.fft(gc.where(m, gc.log(x), 0), axis=0)),
}
ROW = np.array([[1.3, 2.1, 1.7], [1.2, 0.7, 2.4]])


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("name", COMPOSED)
def test_no_composition_leaks(name: str, backend: Any) -> None:
    """The first row is bad and masked; the second has the gradients that it has beside a clean row."""
    x, m = gc.input("x", (2, 3), "float64"), gc.input("m", (2, 3), "bool")
    y = COMPOSED[name](x, m)
    highest = 3 if backend == "numpy" else 2
    run = gc.compile([x, m], list(_derivatives(y, [x], highest))[1:], backend=backend)
    mask = np.array([[False] * 3, [True] * 3])
    expected = run(ROW, mask)
    assert any(np.asarray(e).any() for e in expected)
    for bad in (NAN, INF, 0.0, -1.0):
        with np.errstate(all="ignore"):
            found = run(np.where(mask, ROW, bad), mask)
        for f, e in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.asarray(f)[1], np.asarray(e)[1], rtol=1e-9, atol=1e-12)
            np.testing.assert_array_equal(np.asarray(f)[0], 0)


def test_a_mask_that_lets_all_pass_changes_nothing() -> None:
    """What a mask does not cut off keeps its gradient, whatever cancels: of a transform, of softmax, of a difference."""
    x = gc.input("x", (2, 4), "float64")
    m = gc.input("m", (2, 4), "bool")
    builds: list[Any] = [
        lambda v: gc.real(gc.fft.fft(v * v, axis=1)),
        lambda v: gc.softmax(v * v),
        lambda v: gc.layer_norm(v * v),
        lambda v: gc.cumsum(v * v, axis=1) - v,
        lambda v: gc.matmul(v * v, gc.constant(np.array([[1.0, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1]]))),
    ]
    point = np.linspace(0.5, 2, 8).reshape(2, 4)
    for build in builds:
        plain, masked = (gc.grad(gc.sum(gc.square(y)), x) for y in (build(x), gc.where(m, build(x), 0)))
        one, other = gc.compile([x, m], [plain, masked])(point, np.ones((2, 4), bool))
        np.testing.assert_allclose(other, one, rtol=1e-12)
