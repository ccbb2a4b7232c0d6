"""Random programs drawn from the table of ops: plain = optimised = written in place = JAX, and their gradients too."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, Tensor, dtypes
from graphc.core.expr import Input
from graphc.lower import interpret

SHAPES = [(), (3,), (2, 3), (2, 1), (3, 2), (1, 3)]
# A function of any number, smooth, with values that stay small: a chain of them neither overflows nor sits at a kink.
TAMED: dict[str, Callable[..., Any]] = {
    "log": lambda x: gc.log(1.5 + gc.square(x)),
    "log2": lambda x: gc.log2(1.5 + gc.square(x)),
    "log10": lambda x: gc.log10(1.5 + gc.square(x)),
    "log1p": lambda x: gc.log1p(gc.square(x)),
    "sqrt": lambda x: gc.sqrt(1.0 + gc.square(x)),
    "rsqrt": lambda x: gc.rsqrt(1.0 + gc.square(x)),
    "reciprocal": lambda x: gc.reciprocal(1.0 + gc.square(x)),
    "exp": lambda x: gc.exp(gc.sin(x)),
    "exp2": lambda x: gc.exp2(gc.sin(x)),
    "expm1": lambda x: gc.expm1(gc.sin(x)),
    "tan": lambda x: gc.tan(gc.sin(x)),
    "asin": lambda x: gc.asin(0.9 * gc.sin(x)),
    "acosh": lambda x: gc.acosh(1.5 + gc.square(x)),
    "atanh": lambda x: gc.atanh(0.9 * gc.sin(x)),
    "atan2": lambda a, b: gc.atan2(a, 1.0 + gc.square(b)),
    "xlog1py": lambda a, b: gc.xlog1py(a, gc.square(b)),
    "log1mexp": lambda x: gc.log1mexp(0.5 + gc.square(x)),
    "erfinv": lambda x: gc.erfinv(0.9 * gc.sin(x)),
    "lgamma": lambda x: gc.lgamma(1.5 + gc.sin(x)),
    "digamma": lambda x: gc.digamma(1.5 + gc.sin(x)),
    "polygamma": lambda x: gc.polygamma(1, 1.5 + gc.sin(x)),
    "zeta": lambda x: OPS["zeta"](1.5 + gc.sin(x)),
    "polygamma_rise": lambda a, b: OPS["polygamma_rise"](1.5 + gc.sin(a), 1.5 + gc.cos(b)),
    "betaln": lambda a, b: gc.betaln(1.5 + gc.sin(a), 1.5 + gc.cos(b)),
    "i0": lambda x: gc.i0(gc.sin(x)),
    "i1": lambda x: gc.i1(gc.sin(x)),
    "bessel_i": lambda x: OPS["bessel_i"](gc.sin(x)),
    "rad2deg": lambda x: gc.sin(gc.rad2deg(0.01 * x)),
    "acos": lambda x: gc.acos(0.9 * gc.sin(x)),
    "sinh": lambda x: gc.sinh(gc.sin(x)),
    "cosh": lambda x: gc.cosh(gc.sin(x)),
    "square": lambda x: gc.square(gc.sin(x)),
    "divide": lambda a, b: a / (1.0 + gc.square(b)),
    "power": lambda a, b: gc.sqrt(1.0 + gc.square(a)) ** gc.sin(b),
    "xlogy": lambda a, b: gc.xlogy(a, 1.0 + gc.square(b)),
    "multiply": lambda a, b: a * gc.sin(b),
    "hypot": lambda a, b: gc.hypot(a, 1.0 + gc.square(b)),
    "clip": lambda x, low, high: gc.clip(x, -0.77, 0.83),
    "where": lambda c, a, b: gc.where(c > 0.123, a, b),
    "sigmoid_crossentropy": lambda a, b: OPS["sigmoid_crossentropy"](gc.sigmoid(a), gc.sin(b)),
}
JUMPS = {"sign", "floor", "ceil", "round", "trunc", "mod", "floor_divide", "stop_gradient", "cast"}
POINTWISE = [op for op in OPS.values() if op.pointwise and op.name not in JUMPS and any(partial is not None for partial in op.partials)]


def _pointwise(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    op = POINTWISE[rng.integers(len(POINTWISE))]
    first = _any(rng, pool)
    rest = [_any(rng, [x for x in pool if _broadcasts(x, first)]) for _ in op.operands[1:]]
    return TAMED.get(op.name, op)(first, *rest)


def _broadcasts(a: Tensor, b: Tensor) -> bool:
    try:
        return np.broadcast_shapes(a.shape, b.shape) in SHAPES
    except ValueError:
        return False


def _any(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    return pool[rng.integers(len(pool))]


def _matrix(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    return _any(rng, [x for x in pool if x.ndim == 2])


def _reduction(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    reduce = [gc.sum, gc.mean, gc.logsumexp, gc.max, gc.min][rng.integers(5)]
    return reduce(_matrix(rng, pool), axis=int(rng.integers(2)), keepdims=True)


def _movement(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    x = _matrix(rng, pool)
    return [lambda: x.T, lambda: x[::-1], lambda: x[-1:], lambda: x.reshape(x.shape[::-1]), lambda: gc.concatenate([x[1:], x[:1]])][
        rng.integers(5)
    ]()


def _product(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    x = _matrix(rng, pool)
    return gc.sin(x @ x.T @ x)


def _normal(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    return [gc.softmax, gc.log_softmax][rng.integers(2)](_matrix(rng, pool), axis=int(rng.integers(2)))


def _gather(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    x = _matrix(rng, pool)
    return gc.take(x, rng.integers(0, x.shape[0], x.shape[0]), axis=0)


STEPS = [_pointwise, _pointwise, _pointwise, _pointwise, _reduction, _movement, _product, _normal, _gather]


def program(seed: int, steps: int = 14) -> tuple[list[Input], list[Tensor], list[Any]]:
    """Inputs, outputs and values of a random program in float64; results that are no SHAPES are left out of the pool."""
    rng = np.random.default_rng(seed)
    inputs = [gc.input(f"x{i}", shape, "float64") for i, shape in enumerate(SHAPES)]
    pool: list[Tensor] = list(inputs)
    while len(pool) < len(inputs) + steps:
        node = STEPS[rng.integers(len(STEPS))](rng, pool)
        if node.shape in SHAPES and dtypes.is_float(node.dtype):
            pool.append(node)
    loss = sum((gc.mean(gc.sin(node)) for node in pool[len(inputs) :]), start=gc.constant(0.0, "float64"))
    return inputs, [loss, *pool[-4:], *gc.grad(loss, inputs, disconnected="zero")], [rng.uniform(-1.3, 1.3, shape) for shape in SHAPES]


@pytest.mark.parametrize("seed", range(60))
def test_plain_optimised_and_in_place_agree(seed: int) -> None:
    inputs, outputs, values = program(seed)
    plain = interpret(outputs, dict(zip(inputs, values, strict=True)))
    for optimize in (False, True):
        run = gc.compile(inputs, outputs, optimize=optimize)
        for _ in range(2):
            for found, expected in zip(run(*values), plain, strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11, err_msg=run.source)
    assert all(np.isfinite(value).all() for value in plain)


@pytest.mark.parametrize("seed", range(60, 84))
def test_jax_agrees(seed: int) -> None:
    """To 1e-9: XLA's functions differ from NumPy's in the last places, and the programs amplify that a little."""
    inputs, outputs, values = program(seed)
    ours, theirs = gc.compile(inputs, outputs)(*values), gc.compile(inputs, outputs, backend="jax")(*values)
    for found, expected in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-9, atol=1e-9)


def test_the_programs_use_most_of_the_table() -> None:
    from graphc.core import toposort

    used = {node.op.name for seed in range(84) for node in toposort(program(seed)[1]) if node.op}
    missing = {op.name for op in POINTWISE} - used
    assert not missing
