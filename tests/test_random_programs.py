"""Random programs drawn from the table of ops: plain = optimised = written in place = JAX, and their gradients too.

``python tests/test_random_programs.py --seeds 1000`` tries as many programs as it is told, prints what fails, and then how many
programs there were and how many failed. Each is also rewritten by random subsets of the rules in random orders, and one of random sizes
(0 and 1 among them) and dtypes goes with each.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, Op, Tensor, dtypes
from graphc.core.errors import ArgumentError, GraphcError, RewriteError
from graphc.core.expr import Input
from graphc.core.subgraph import every_node
from graphc.lower import interpret
from graphc.rewrite import ALL, RuleSet, simplify
from graphc.testing import Call, calls

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
    "cbrt": lambda x: gc.cbrt(1.0 + gc.square(x)),
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
# What is no step of its own, and why.
NOT_DRAWN = {
    "ties": "its second operand is the extremum of the first",
    "part": "it comes with every op that has several results",
    "guard": "inserted by kinks='raise' alone",
    "while_loop": "it has no reverse mode",
    "custom": "its gradient is whatever its author says",
}


# ---------------------------------------------------------------- steps
def _pointwise(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    op = _one(rng, POINTWISE)
    operands = [_one(rng, pool)]
    while len(operands) < len(op.operands):
        operands.append(_one(rng, [x for x in pool if _broadcast([x, *operands])]))
    return TAMED.get(op.name, op)(*operands)


def _broadcast(tensors: Sequence[Tensor]) -> bool:
    try:
        return np.broadcast_shapes(*[x.shape for x in tensors]) in SHAPES
    except ValueError:
        return False


def _one(rng: np.random.Generator, items: Sequence[Any]) -> Any:
    return items[rng.integers(len(items))]


def _matrix(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    return _one(rng, [x for x in pool if x.ndim == 2])


def _movement(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    x = _matrix(rng, pool)
    return _one(rng, [lambda: x.T, lambda: x[::-1], lambda: x[-1:], lambda: x.reshape(x.shape[::-1]), lambda: x.at[0].set(x[-1])])()


def _product(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    x = _matrix(rng, pool)
    return gc.sin(x @ x.T @ x)


def _gather(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    x = _matrix(rng, pool)
    return gc.take(x, rng.integers(0, x.shape[0], x.shape[0]), axis=0)


def _drawable(op: Op) -> list[Call]:
    """The calls of an op that are not empty, but for those that ``_pointwise`` makes."""
    if op in POINTWISE:
        return []
    return [call for call in calls(op) if call.case.shapes and all(0 not in shape for shape in call.case.shapes)]


CASES = {op: found for op in OPS.values() if op.name not in NOT_DRAWN and (found := _drawable(op))}


def _from_the_table(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    """One of an op's cases, on operands that are made of tensors of the program, and its result brought to one of the shapes."""
    call = _one(rng, CASES[_one(rng, list(CASES))])
    operands: list[Any] = []
    for i, (name, shape, dtype) in enumerate(zip(call.names, call.case.shapes, call.operand_dtypes("float64"), strict=True)):
        if name in call.case.integers:
            operands.append(gc.constant(rng.integers(0, call.case.integers[name], shape), "int64"))
        else:
            x = _fitted(rng, _one(rng, pool), shape, call.op.domain[min(i, len(call.op.domain) - 1)] if call.op.domain else (-1.5, 1.5))
            operands.append(x > 0.05 if dtype == "bool" else x)
    y = call.node(operands)
    y = gc.cast(gc.real(y) + gc.imag(y) if dtypes.is_complex(y.dtype) else y, dtype="float64")
    return _fitted(rng, y, _one(rng, SHAPES[1:]), (-1.5, 1.5))


def _fitted(rng: np.random.Generator, x: Tensor, shape: tuple[int, ...], domain: tuple[float, float]) -> Tensor:
    """The elements of ``x``, each moved by its place so that no two tie, between the bounds and in this shape."""
    count, size = math.prod(shape), math.prod(int(n) for n in x.shape)
    flat = gc.reshape(x, (size,))
    rows = gc.concatenate([flat] * -(-count // size), axis=0)[:count] if size else gc.zeros((count,), "float64")
    spread = gc.constant(rng.permutation(count) * 0.618 + 0.2, "float64")
    low, high = domain
    return gc.reshape((low + high) / 2 + 0.49 * (high - low) * gc.sin(0.3 * gc.tanh(rows) + spread), shape)


def _control(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    """A step of the program inside a loop, a branch, a call, or on many items."""
    x, step = _matrix(rng, pool), _one(rng, [_pointwise, _from_the_table, _movement])
    inside = [v for v in pool if v.shape == x.shape] or [x]
    seed = int(rng.integers(1 << 30))

    def body(v: Tensor) -> Tensor:
        found = step(np.random.default_rng(seed), [v, *inside[:1]])
        return v + gc.mean(gc.sin(found)) if found.shape != v.shape else gc.sin(found)

    return _one(
        rng,
        [
            lambda: gc.scan(lambda carry, item: (body(carry), gc.sum(item)), x, x)[0],
            lambda: gc.cond(gc.sum(x) > 0.1, body, gc.cos, x),
            lambda: gc.checkpoint(body)(x),
            lambda: gc.vmap(lambda row: gc.sin(row) * gc.sum(gc.softmax(row)) + gc.prod(row))(x),
            lambda: gc.where(
                x > 0.31, gc.log(gc.where(x > 0.31, x, 1) if rng.random() < 0.5 else x), body(x) if body(x).shape == x.shape else x
            ),
        ],
    )()


CONTROL = {"scan", "cond", "checkpoint"}
STEPS = [_pointwise] * 3 + [_from_the_table] * 5 + [_movement, _product, _gather, _control]


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


def failures(seed: int, backends: Sequence[str] = ("numpy",), steps: int = 14) -> list[str]:
    """How the roads from one program to its values differ."""
    inputs, outputs, values = program(seed, steps)
    plain = interpret(outputs, dict(zip(inputs, values, strict=True)))
    found = [f"output {i} is not finite" for i, value in enumerate(plain) if not np.isfinite(value).all()]
    for backend in backends:
        for optimize in (False, True) if backend == "numpy" else (True,):
            run = gc.compile(inputs, outputs, optimize=optimize, backend=backend)
            for _ in range(2 if backend == "numpy" else 1):
                found += _differences(run(*values), plain, f"{backend}, optimize={optimize}", 1e-9 if backend == "numpy" else 1e-7)
    return found


def _differences(found: Sequence[Any], expected: Sequence[Any], road: str, tolerance: float) -> list[str]:
    """Each output against its own size: XLA's functions differ from NumPy's in the last places, and programs amplify that a little."""
    worst = [float(np.max(np.abs(np.asarray(f) - e) / (1 + np.abs(e)), initial=0)) for f, e in zip(found, expected, strict=True)]
    return [f"{road}: output {i} differs by {off:.1e}" for i, off in enumerate(worst) if not off <= tolerance]


# ---------------------------------------------------------------- rewriting
def rewritten(seed: int, steps: int = 14) -> list[str]:
    """How a program's values change when some of the rules, in some order, are applied, and then some others."""
    rng = np.random.default_rng([seed, 1])
    inputs, outputs, values = program(seed, steps)
    known = dict(zip(inputs, values, strict=True))
    plain, rules, found = interpret(outputs, known), list(ALL), list[str]()
    for share in (0.9, 0.5):
        order = [rules[i] for i in rng.permutation(len(rules)) if rng.random() < share and rules[i].safety != "nan_unsafe"]
        try:
            outputs = simplify(outputs, RuleSet(order)).roots
        except RewriteError as error:
            return [*found, f"{len(order)} rules: {error}"]
        found += _differences(interpret(outputs, known), plain, f"{len(order)} rules", 1e-8)
    return found


# ---------------------------------------------------------------- sizes and dtypes
SIZES = (0, 1, 1, 2, 3, 5)
DTYPES = ("bool", "int8", "int32", "int64", "uint8", "float16", "bfloat16", "float32", "float64")
CLOSE = {"float16": 0.05, "bfloat16": 0.3, "float32": 1e-3, "float64": 1e-8}
"""How far two roads may be apart, for the dtype of least precision that a program has: a rule may round otherwise, and steps add up."""


def odd_program(seed: int, steps: int = 10) -> tuple[list[Input], list[Tensor], list[Any]]:
    """Inputs, outputs and values of a program of random sizes, 0 and 1 among them, and dtypes; steps that are refused are left out."""
    rng = np.random.default_rng([seed, 2])
    a, b, c = (int(_one(rng, SIZES)) for _ in range(3))
    shapes = [(), (a,), (b,), (a, b), (1, b), (a, 1), (b, c), (a, b, c), (1, 1, c)]
    own = list(dict.fromkeys([_one(rng, DTYPES) for _ in range(4)]))
    inputs = [gc.input(f"x{i}", _one(rng, shapes), _one(rng, own)) for i in range(6)]
    pool: list[Tensor] = list(inputs)
    refused = 0
    while len(pool) < len(inputs) + steps and refused < 200:
        try:
            node = _one(rng, ODD)(rng, pool)
        except GraphcError:
            refused += 1
            continue
        if node.ndim <= 4 and all(int(size) <= 60 for size in node.shape):
            pool.append(node)
    outputs = pool[-6:]
    floats = [x for x in inputs if x.dtype in ("float32", "float64")]
    total = [gc.sum(gc.cast(y, dtype="float64")) for y in outputs if dtypes.is_float(y.dtype)]
    if floats and total:
        outputs = [*outputs, *gc.grad(sum(total, start=gc.constant(0.0, "float64")), floats, disconnected="zero")]
    return inputs, outputs, [_random_values(rng, x) for x in inputs]


def _random_values(rng: np.random.Generator, x: Tensor) -> Any:
    if dtypes.is_float(x.dtype):
        return rng.uniform(-1.2, 1.2, x.shape).astype(dtypes.numpy_dtype(x.dtype))
    return rng.integers(0, 2 if x.dtype == "bool" else 9, x.shape).astype(x.dtype)


def _odd_pointwise(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    """A smooth op of floats, or any of whole numbers: a comparison of rounded numbers may come out either way."""
    op = _one(rng, POINTWISE if rng.random() < 0.6 else WHOLE)
    operands = [_one(rng, pool) for _ in op.operands]
    if op in WHOLE and any(dtypes.is_inexact(x.dtype) for x in operands):
        raise ArgumentError("a jump of floats")
    if "shift" in op.name:
        operands[1] = gc.constant(np.array(rng.integers(0, 7)), operands[0].dtype)
    if op.name in ("mod", "floor_divide", "divide"):
        operands[1] = gc.where(gc.equal(operands[1], 0), 1, operands[1])
    node = TAMED.get(op.name, op)(*operands)
    return gc.sin(node) if dtypes.is_float(node.dtype) else node


def _odd_reduction(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    x = _one(rng, pool)
    axis = None if rng.random() < 0.2 or not x.ndim else int(rng.integers(x.ndim))
    reduce = _one(rng, [gc.sum, gc.mean, gc.max, gc.min, gc.any, gc.all, gc.prod, gc.logsumexp, gc.softmax])
    return reduce(x, axis=axis) if reduce is gc.softmax or rng.random() < 0.5 else reduce(x, axis=axis, keepdims=True)


def _odd_movement(rng: np.random.Generator, pool: list[Tensor]) -> Tensor:
    x, y = _one(rng, pool), _one(rng, pool)
    return _one(
        rng,
        [
            lambda: x.T,
            lambda: x.reshape(-1) if 0 not in x.shape else x.reshape(x.shape[::-1]),
            lambda: x[::-1],
            lambda: x[..., -1:],
            lambda: x[1:],
            lambda: gc.concatenate([x, y], axis=0),
            lambda: gc.expand_dims(x, int(rng.integers(x.ndim + 1))),
            lambda: gc.broadcast_to(x, (int(_one(rng, SIZES)), *x.shape)),
            lambda: x @ y,
            lambda: gc.where(gc.cast(y, dtype="bool"), x, 0) if not dtypes.is_inexact(y.dtype) else x,
            lambda: gc.cast(x, dtype=_one(rng, DTYPES[5:])),
            lambda: gc.cumsum(x, axis=0),
            lambda: gc.pad(x, 1),
        ],
    )()


WHOLE = [op for op in OPS.values() if op.pointwise and (op.name in JUMPS - {"cast"} or all(partial is None for partial in op.partials))]
ODD = [_odd_pointwise] * 4 + [_odd_reduction, _odd_movement, _odd_movement]


def odd_failures(seed: int) -> list[str]:
    """How the roads of such a program differ, in types, shapes and values; NaN is NaN on each."""
    inputs, outputs, values = odd_program(seed)
    plain = interpret(outputs, dict(zip(inputs, values, strict=True)))
    kinds = {node.dtype for node in every_node(outputs)} & set(CLOSE)
    tolerance = max([CLOSE[kind] for kind in kinds], default=0.0)
    found: list[str] = []
    for optimize in (False, True):
        run = gc.compile(inputs, outputs, optimize=optimize)
        for y, value, expected in [item for _ in range(2) for item in zip(outputs, run(*values), plain, strict=True)]:
            value = np.asarray(value)
            if (dtypes.canonical(value.dtype), value.shape) != (y.dtype, y.shape):
                found.append(f"optimize={optimize}: {value.dtype}{value.shape} where {y} was declared")
            elif not np.allclose(*(v.astype("float64") for v in (value, expected)), rtol=tolerance, atol=tolerance, equal_nan=True):
                found.append(f"optimize={optimize}: {y} is {value!r}, and {expected!r} by the interpreter")
    return found


@pytest.mark.parametrize("seed", range(40))
def test_plain_optimised_and_in_place_agree(seed: int) -> None:
    assert not failures(seed)


@pytest.mark.parametrize("seed", range(20))
def test_rules_in_any_order_keep_the_values(seed: int) -> None:
    assert not rewritten(seed)


@pytest.mark.parametrize("seed", range(60))
def test_programs_of_any_size_and_dtype(seed: int) -> None:
    assert not odd_failures(seed)


@pytest.mark.parametrize("seed", range(40, 46))
def test_jax_agrees(seed: int) -> None:
    assert not failures(seed, ["jax"], steps=10)


def test_the_programs_use_the_whole_table() -> None:
    """Ops without operands, and those in NOT_DRAWN, are no steps; every other is one, in enough programs."""
    drawn = {*(op.name for op in POINTWISE), *(op.name for op in CASES), *CONTROL}
    operands = {op.name for op in OPS.values() if op.operands} - set(NOT_DRAWN)
    assert operands - drawn == set()
    used = {node.op.name for seed in range(150) for node in every_node(program(seed)[1]) if node.op}
    assert drawn - used == set()


def main() -> None:
    """Try many programs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--jax", action="store_true", help="compare with XLA too, which takes seconds a program")
    given = parser.parse_args()
    bad = 0
    for seed in range(given.first, given.first + given.seeds):
        try:
            found = failures(seed, ["numpy", "jax"] if given.jax else ["numpy"], given.steps)
            found += [*rewritten(seed, given.steps), *odd_failures(seed)]
        except (GraphcError, ArithmeticError, LookupError, ValueError, TypeError, AssertionError) as error:
            found = [f"{type(error).__name__}: {error}"]
        bad += bool(found)
        for line in found:
            print(f"seed {seed}: {line}", flush=True)
    print(f"{given.seeds} programs, {given.seeds} with rules in random orders, {given.seeds} of random sizes and dtypes: {bad} failed")


if __name__ == "__main__":
    main()
