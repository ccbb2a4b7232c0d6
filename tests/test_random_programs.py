"""Random programs from the op table: plain = optimised = JAX, values and gradients.

A program grows from two inputs by ops drawn from the table; each value that comes out is bounded again, so that depth makes neither
overflow nor noise. Seeds are fixed, so a failure names the program that makes it.
"""

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, Op, Tensor
from graphc.lower import interpret

PROGRAMS = 40
STEPS = 14


def drawable(op: Op) -> bool:
    """Float to float, element by element, and defined everywhere that the operands can be brought to."""
    return op.pointwise and len(op.domain) == len(op.operands) <= 2 and not op.attributes and all(p is not None for p in op.partials)


def into(x: Tensor, low: float, high: float) -> Tensor:
    """x brought smoothly into the interval."""
    return (high - low) / 2 * gc.tanh(x) + (high + low) / 2


def pointwise(rng: np.random.Generator, values: list[Tensor]) -> Tensor:
    op = POINTWISE[rng.integers(len(POINTWISE))]
    operands = [into(values[rng.integers(len(values))], *interval) for interval in op.domain]
    return op(*operands)


def reduce(rng: np.random.Generator, values: list[Tensor]) -> Tensor:
    x = values[rng.integers(len(values))]
    op = [gc.sum, gc.mean, gc.max, gc.logsumexp, gc.softmax, gc.log_softmax][rng.integers(6)]
    if x.ndim == 0:
        return x
    return op(x, axis=int(rng.integers(x.ndim)))


def move(rng: np.random.Generator, values: list[Tensor]) -> Tensor:
    x = values[rng.integers(len(values))]
    moves = [
        lambda: gc.transpose(x),
        lambda: gc.reshape(x, -1),
        lambda: gc.expand_dims(x, 0) if x.ndim < 3 else x,
        lambda: x[..., ::-1] if x.ndim else x,
        lambda: gc.concatenate([x, 2 * x], axis=0) if x.ndim and x.shape[0] < 5 else x,
        lambda: gc.where(x > 0, gc.log(into(x, 0.5, 2)), x),
    ]
    return moves[rng.integers(len(moves))]()


def product(rng: np.random.Generator, values: list[Tensor]) -> Tensor:
    x = values[rng.integers(len(values))]
    return gc.tanh(gc.transpose(x) @ x) if x.ndim == 2 else x


def fits(values: list[Tensor], x: Tensor) -> bool:
    """Whether x broadcasts with every value so far, so that any pair of them may meet."""
    try:
        for value in values:
            gc.add(value, x)
    except gc.errors.ShapeError:
        return False
    return True


POINTWISE = [op for op in OPS.values() if drawable(op)]


def program(seed: int) -> tuple[list[Tensor], Tensor, list[Tensor]]:
    """Inputs, a scalar, and its gradients."""
    rng = np.random.default_rng(seed)
    inputs = [gc.input("a", (3, 4), "float64"), gc.input("b", (4,), "float64")]
    values: list[Tensor] = list(inputs)
    total = gc.constant(0.0, "float64")
    for _ in range(STEPS):
        grow = [pointwise, pointwise, pointwise, reduce, move, product][rng.integers(6)]
        new = grow(rng, values)
        total = total + gc.mean(gc.sin(new))
        if fits(values, new):
            values.append(new)
    return inputs, total, gc.grad(total, inputs, disconnected="zero")


def arrays(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1000 + seed)
    return [rng.normal(size=(3, 4)), rng.normal(size=4)]


def test_the_table_has_something_to_draw_from() -> None:
    assert len(POINTWISE) > 30


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_plain_optimised_and_jax_agree(seed: int) -> None:
    inputs, total, gradients = program(seed)
    values = arrays(seed)
    roots = [total, *gradients]
    plain = interpret(roots, dict(zip(inputs, values, strict=True)))
    assert all(np.isfinite(x).all() for x in plain)
    assert any(np.abs(x).max() > 1e-6 for x in plain[1:])
    for backend in ("numpy", "jax"):
        found = gc.compile(inputs, roots, backend=backend)(*values)
        for expected, value in zip(plain, found, strict=True):
            np.testing.assert_allclose(np.asarray(value), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(0, PROGRAMS, 4))
def test_gradients_are_the_differences(seed: int) -> None:
    inputs, total, gradients = program(seed)
    values = arrays(seed)
    f = gc.compile(inputs, total)
    direction = [np.random.default_rng(2000 + seed).normal(size=v.shape) for v in values]
    slope = sum(float((g * d).sum()) for g, d in zip(gc.compile(inputs, gradients)(*values), direction, strict=True))
    h = 1e-4
    ahead, behind = (f(*[v + s * h * d for v, d in zip(values, direction, strict=True)]) for s in (1, -1))
    assert slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-4, abs=1e-5)
