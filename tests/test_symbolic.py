"""SymPy both ways, and ops declared by a formula. Where it can be, the reference is SymPy's own arithmetic at 50 digits."""

import functools
import importlib
import math
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import graphc as gc
from graphc.core import OPS, Op, Tensor
from graphc.grad import vjp
from graphc.symbolic import from_sympy, pointwise, stable, to_sympy
from graphc.symbolic.common import LIMIT
from graphc.testing import check_op

BACKENDS = ("numpy", "jax")
SYMBOLIC = [op for op in OPS.values() if op.sympy]
x, y, z = sp.symbols("x y z", real=True)
both = pytest.mark.parametrize("backend", BACKENDS)


def tensors(*shape: int, dtype: str = "float64") -> dict[Any, Tensor]:
    """The symbols x, y, z as inputs."""
    return {symbol: gc.input(symbol.name, shape, dtype) for symbol in (x, y, z)}


def attributes(op: Op) -> dict[str, Any]:
    """The attributes' defaults; those of the first case where there is none."""
    return dict(op.defaults) if set(op.attributes) <= set(op.defaults) else dict(op.cases[0].attributes)


def form(op: Op) -> tuple[Any, dict[str, Any]]:
    """What the record says, and its symbols by name; attributes have their defaults."""
    known = {name: sp.Symbol(name, real=True) for name in op.operands}
    numbers = {name: sp.nsimplify(value) for name, value in attributes(op).items() if not isinstance(value, bool)}
    return sp.sympify(op.sympy, locals=known | numbers), known


def points(op: Op, count: int) -> list[dict[str, Any]]:
    """Rational points of the op's domain."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(count):
        raw = [rng.uniform(*op.domain[min(i, len(op.domain) - 1)]) for i in range(len(op.operands))]
        found.append({name: sp.Rational(round(value * 997), 997) for name, value in zip(op.operands, raw, strict=True)})
    return found


def at(e: Any, point: dict[str, Any], digits: int = 50) -> Any:
    return sp.sympify(e).xreplace({sp.Symbol(name, real=True): value for name, value in point.items()}).evalf(digits)


# ---------------------------------------------------------------- the table
symbolic = pytest.mark.parametrize("op", SYMBOLIC, ids=lambda op: op.name)


@symbolic
def test_an_op_is_written_as_its_record_says(op: Op) -> None:
    inputs = [gc.input(name, (), "float64") for name in op.operands]
    assert to_sympy(op(*inputs, **attributes(op))) == form(op)[0]


@symbolic
def test_its_form_is_the_op_on_both_backends(op: Op) -> None:
    inputs = {name: gc.input(name, (5,), "float64") for name in op.operands}
    values = [np.array([float(point[name]) for point in points(op, 5)]) for name in op.operands]
    back = from_sympy(form(op)[0], inputs)
    for backend in BACKENDS:
        found, expected = gc.compile(list(inputs.values()), [back, op(*inputs.values(), **attributes(op))], backend=backend)(*values)
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-12, atol=1e-14)


NO_FORM: dict[str, str] = {}
"""Ops whose partial has no SymPy form."""
TO_FEWER_DIGITS = {
    "selu": (16, "its constants are those of float64, and its form has more digits"),
    "sinc": (16, "near 0 its partial is a series, right to the last place of float64"),
}
_SMOOTH = [(op, i) for op in SYMBOLIC for i, partial in enumerate(op.partials) if partial not in (None, 0)]


@pytest.mark.parametrize(("op", "index"), [pytest.param(op, i, id=f"{op.name}-{op.operands[i]}") for op, i in _SMOOTH])
def test_partials_are_proved_at_20_points_to_40_digits(op: Op, index: int) -> None:
    """The partial's own graph, as SymPy, against SymPy's derivative of the form."""
    inputs = [gc.input(name, (), "float64") for name in op.operands]
    assert op.name not in NO_FORM
    partial = to_sympy(gc.vjp(op(*inputs, **attributes(op)), inputs[index], 1.0))
    digits, _ = TO_FEWER_DIGITS.get(op.name, (40, ""))
    exact = sp.diff(form(op)[0], sp.Symbol(op.operands[index], real=True))
    for point in points(op, 20):
        declared, expected = at(partial, point), at(exact, point)
        assert abs(declared - expected) <= sp.Float(10, 50) ** -digits * max(1, abs(expected)), point


@pytest.mark.parametrize("op", [op for op in SYMBOLIC if any(partial not in (None, 0) for partial in op.partials)], ids=lambda op: op.name)
def test_derivatives_to_order_3_are_those_of_sympy(op: Op) -> None:
    inputs = [gc.input(name, (), "float64") for name in op.operands]
    whole, exact = op(*inputs, **attributes(op)), form(op)[0]
    wrt = next(i for i, partial in enumerate(op.partials) if partial not in (None, 0))
    graphs, forms = [], []
    for _ in range(3):
        whole = vjp(whole, inputs[wrt], 1.0, disconnected="zero")
        exact = sp.diff(exact, sp.Symbol(op.operands[wrt], real=True))
        graphs.append(whole)
        forms.append(exact)
    run = gc.compile(inputs, graphs)
    for point in points(op, 4):
        expected = [float(at(_without_deltas(e), point)) for e in forms]
        np.testing.assert_allclose(run(*[float(value) for value in point.values()]), expected, rtol=1e-9, atol=1e-11)


def _without_deltas(e: Any) -> Any:
    return e.replace(sp.DiracDelta, lambda *args: sp.S.Zero)


# ---------------------------------------------------------------- from SymPy
f = sp.Function("f")
ELEMENTWISE: dict[str, Any] = {
    "polynomial": 3 * x**2 - x / 7 + sp.Rational(2, 3) * y - 1,
    "numbers": sp.pi * x + sp.E - sp.EulerGamma * y + sp.sqrt(2),
    "quotient": (x - y) / (2 * z * (1 + x**2)),
    "several below": 1 / (x**2 * y * sp.sqrt(z)),
    "powers": x**3 + x ** sp.Rational(3, 2) + 2**x + 3**y + x**y + x**-3,
    "roots": sp.sqrt(x) + 1 / sp.sqrt(y) + sp.cbrt(z) + z ** sp.Rational(-1, 3),
    "trigonometry": sp.sin(x) * sp.cos(y) + sp.tan(z) + sp.sec(x) + sp.csc(y) + sp.cot(z),
    "inverse": sp.asin(x / 4) + sp.acos(y / 4) + sp.atan(z) + sp.asinh(x),
    "hyperbolic": sp.sinh(x) + sp.cosh(y) + sp.tanh(z) + sp.sech(x) + sp.csch(y) + sp.coth(z),
    "logarithms": sp.log(x) + sp.log(y, 2) + 3 * sp.log(z, 10) / 5,
    "choice": sp.Piecewise((x, x > y), (y**2, sp.Eq(x, z)), (z, True)),
    "no case left": sp.Piecewise((x, x > -10)),
    "number or number": sp.Piecewise((1, x > 1), (sp.Rational(1, 2), True)),
    "logic": sp.Piecewise((x, sp.And(x > y, sp.Or(y < z, sp.Not(x <= 1)))), (z, sp.Xor(x > 1, y > 1)), (y, True)),
    "extrema": sp.Max(x, y, z) - sp.Min(x, y, 1),
    "absolute": sp.Abs(x - y) + sp.sign(x - 1) * 2,
    "step": sp.Heaviside(x - 1) + sp.Heaviside(y - 1, 0) + sp.Heaviside(z - 1, 1),
    "rounding": sp.floor(x) + sp.ceiling(y) + sp.Mod(z, 2) + sp.frac(x),
    "nothing of x": sp.Integer(3) + y * 0,
}
GRID = np.array([0.25, 0.5, 1.0, 1.5, 2.75])


@both
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_expressions_have_sympys_values(name: str, backend: str) -> None:
    e, given = ELEMENTWISE[name], tensors(5)
    values = [GRID, GRID[::-1].copy(), np.roll(GRID, 2)]
    expected = [float(e.subs(dict(zip((x, y, z), map(sp.Rational, point), strict=True))).evalf(30)) for point in zip(*values, strict=True)]
    found = gc.compile(list(given.values()), from_sympy(e, given), backend=backend)(*values)
    np.testing.assert_allclose(
        np.asarray(found), np.asarray(expected)[: np.size(found)].reshape(np.shape(found)) if np.ndim(found) else expected[0], rtol=1e-13
    )


def test_nodes_of_the_code_generator_keep_their_stable_form() -> None:
    cfunctions = importlib.import_module("sympy.codegen.cfunctions")
    given = tensors()
    e = cfunctions.expm1(x) + cfunctions.log1p(y) + cfunctions.exp2(z) + cfunctions.hypot(x, y)
    names = set()
    stack = [from_sympy(e, given)]
    while stack:
        node = stack.pop()
        names.add(node.op.name if node.op else "")
        stack += node.inputs
    assert {"expm1", "log1p", "exp2", "hypot"} <= names


def test_shapes_broadcast_and_equal_parts_are_one_node() -> None:
    a, b = gc.input("a", ("n", 1)), gc.input("b", (3,))
    node = from_sympy(sp.sin(x * y) + sp.cos(x * y), {x: a, y: b})
    assert [str(size) for size in node.shape] == ["n", "3"]
    sine, cosine = node.inputs
    assert sine.inputs[0] is cosine.inputs[0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_numbers_take_the_dtype_of_the_tensors(dtype: str) -> None:
    given = tensors(2, dtype=dtype)
    for e in (x + sp.pi, sp.Rational(1, 3) * x, sp.Piecewise((1, x > 0), (0, True)), sp.Integer(2), sp.Heaviside(x), sp.sqrt(2) ** x):
        assert from_sympy(e, given).dtype == (dtype if e.free_symbols else from_sympy(e, given).dtype)


def test_whole_numbers_stay_whole() -> None:
    assert from_sympy(2 * x**2 + 1, {x: gc.input("i", (2,), "int32")}).dtype == "int32"


def test_names_and_numbers_are_values_too() -> None:
    assert float(gc.evaluate(from_sympy(sp.Symbol("t") * sp.Symbol("s"), {"t": gc.constant(3.0), "s": 2}))) == 6


def test_the_value_of_a_step_at_its_step_is_said() -> None:
    given = gc.constant([-1.0, 0.0, 1.0])
    for e, expected in ((sp.Heaviside(x), [0, 0.5, 1]), (sp.Heaviside(x, 0), [0, 0, 1]), (sp.Heaviside(x, 1), [0, 1, 1])):
        np.testing.assert_array_equal(gc.evaluate(from_sympy(e, {x: given})), expected)


def test_sums_and_products_over_short_ranges() -> None:
    i, j = sp.symbols("i j", integer=True)
    a = sp.IndexedBase("a")
    values = {x: gc.constant(np.float64(0.5)), a: gc.constant(np.array([1.0, 2.0, 3.0]))}
    assert float(gc.evaluate(from_sympy(sp.Sum(x**i * a[i], (i, 0, 2)), values))) == 1 + 1 + 0.75
    assert float(gc.evaluate(from_sympy(sp.Product(x + i, (i, 1, 3)), values))) == 1.5 * 2.5 * 3.5
    assert float(gc.evaluate(from_sympy(sp.Sum(x * i * j, (i, 0, j), (j, 0, 2)), values))) == 0.5 * (1 + 2 * 3)
    assert float(gc.evaluate(from_sympy(sp.Sum(x**i, (i, 1, 0)), values))) == 0


def test_matrices_of_expressions_are_stacked_along_last_axes() -> None:
    given = tensors(5)
    node = from_sympy(sp.Matrix([[x, 1], [sp.Integer(2), x * y]]), given)
    assert node.shape == (5, 2, 2)
    found = gc.evaluate(node, {given[x]: GRID, given[y]: GRID})
    np.testing.assert_array_equal(found[:, 0, 0], GRID)
    np.testing.assert_array_equal(found[:, 1, 1], GRID**2)
    np.testing.assert_array_equal(found[:, 0, 1], np.ones(5))
    np.testing.assert_array_equal(gc.evaluate(from_sympy(sp.Matrix([[1, 2]]), {})), [[1, 2]])


M, N, V = sp.MatrixSymbol("M", 3, 3), sp.MatrixSymbol("N", 3, 3), sp.MatrixSymbol("V", 3, 1)
MATRICES: dict[str, tuple[Any, Any]] = {
    "sum": (M + 2 * N - M * N, lambda m, n, v: m + 2 * n - m @ n),
    "product": (M * N.T * V, lambda m, n, v: m @ n.T @ v),
    "scaled": (x * M, lambda m, n, v: 1.5 * m),
    "elements": (M[0, 1] * N[2, 2] + V[1, 0], lambda m, n, v: m[0, 1] * n[2, 2] + v[1, 0]),
    "hadamard": (sp.HadamardProduct(M, N), lambda m, n, v: m * n),
    "identity": (M + sp.Identity(3) + sp.OneMatrix(3, 3), lambda m, n, v: m + np.eye(3) + 1),
    "inverse": (M.I * N, lambda m, n, v: np.linalg.solve(m, n)),
    "inverse after": (N * M.I, lambda m, n, v: n @ np.linalg.inv(m)),
    "solved chain": (M.I * N * V, lambda m, n, v: np.linalg.solve(m, n @ v)),
    "trace": (sp.Trace(M * N) * x, lambda m, n, v: np.trace(m @ n) * 1.5),
    "determinant": (sp.Determinant(M), lambda m, n, v: np.linalg.det(m)),
    "power": (M**3, lambda m, n, v: m @ m @ m),
}


@pytest.mark.parametrize("name", MATRICES)
def test_matrix_expressions(name: str) -> None:
    needs = {
        "inverse": "solve",
        "inverse after": "inv",
        "solved chain": "solve",
        "trace": "trace",
        "determinant": "det",
        "power": "matrix_power",
    }
    assert hasattr(gc.linalg, needs.get(name, "__name__"))
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in ((3, 3), (3, 3), (3, 1))]
    e, expected = MATRICES[name]
    node = from_sympy(e, {**dict(zip((M, N, V), map(gc.constant, values), strict=True)), x: 1.5})
    np.testing.assert_allclose(gc.evaluate(node), expected(*values), rtol=1e-10)


BAD: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "an unknown function": (f(x), {x: 1.0}, gc.errors.ArgumentError, "no op for f"),
    "no value": (x + y, {x: 1.0}, gc.errors.ArgumentError, "y has no value"),
    "a complex number": (x + sp.I, {x: 1.0}, gc.errors.ArgumentError, "not a real number"),
    "a distribution": (sp.DiracDelta(x), {x: 1.0}, gc.errors.ArgumentError, "distribution"),
    "no range": (sp.Sum(x, (y, 0, z)), {x: 1.0}, gc.errors.ArgumentError, "no range"),
    "a long range": (sp.Sum(x * y, (y, 0, 10**6)), {x: 1.0}, gc.errors.ArgumentError, "no range"),
    "a variable index": (sp.IndexedBase("a")[z], {"a": gc.constant([1.0]), z: 1}, gc.errors.ArgumentError, "indices"),
    "a matrix of another shape": (M, {M: gc.constant(np.zeros((2, 3)))}, gc.errors.ShapeError, "matrix of shape"),
    "no size": (sp.Identity(sp.Symbol("n", integer=True)), {}, gc.errors.ArgumentError, "has no size"),
    "a root of a matrix": (M ** sp.Rational(1, 2), {M: gc.constant(np.eye(3))}, gc.errors.ArgumentError, "power of a matrix"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_graph_is_refused_in_three_parts(name: str) -> None:
    e, values, kind, words = BAD[name]
    with pytest.raises(kind, match=words) as caught:
        from_sympy(e, values)
    assert caught.value.given
    assert caught.value.fits


# ---------------------------------------------------------------- to SymPy
def _names() -> tuple[Tensor, Tensor, Tensor]:
    return gc.input("A", (2, 3), "float64"), gc.input("B", (3, 2), "float64"), gc.input("c", (3,), "float64")


WHOLE: dict[str, Any] = {
    "matmul": lambda A, B, c: A @ B,
    "a chain": lambda A, B, c: gc.tanh(A @ c)[None] @ gc.exp(A),
    "moves": lambda A, B, c: gc.concatenate([A.T.reshape(2, 3), A[::-1, ::-1], gc.broadcast_to(c, shape=(1, 3))])[1:, None],
    "reductions": lambda A, B, c: gc.sum(A, axis=0) + gc.mean(A) + gc.max(A, axis=0) * gc.min(B) - gc.var(c),
    "softmax": lambda A, B, c: gc.softmax(A) * gc.log_softmax(c) + gc.logsumexp(B),
    "choice": lambda A, B, c: gc.where(c < A, A * 0.3, gc.clip(c, -0.5, 0.5)),
    "counting": lambda A, B, c: gc.cast(gc.logical_and(A > 0, gc.logical_not(c < A)), dtype="float64") + gc.floor(A * 3),
    "one hot": lambda A, B, c: gc.one_hot(gc.constant([2, 0]), num_classes=3, dtype="float64") * A,
    "take": lambda A, B, c: gc.take(c, gc.constant([2, 0, 2])) * gc.take(A, gc.constant([1]), axis=0),
    "rounding": lambda A, B, c: gc.round(A * 4) + gc.trunc(c * 4),
    "a gradient": lambda A, B, c: gc.grad(gc.sum(gc.square(gc.sigmoid(A @ B @ A) * c)), A),
    "gradient of max": lambda A, B, c: gc.grad(gc.max(A * c), A),
    "gradient of a slice": lambda A, B, c: gc.grad(gc.sum(gc.log(2 + A[1, ::2])), A),
    "linear algebra": lambda A, B, c: gc.linalg.det(A @ B) + gc.linalg.inv(A @ B) + gc.linalg.solve(A @ B, A[:, :2]),
    "a column": lambda A, B, c: gc.linalg.solve(A @ B, B[0]),
    "gradient of det": lambda A, B, c: gc.grad(gc.linalg.det(A @ B), A),
    "a loss": lambda A, B, c: gc.categorical_crossentropy(gc.constant([[0.0, 1, 0], [1, 0, 0]], "float64"), A, from_logits=True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_graph_goes_there_and_back(name: str) -> None:
    leaves = _names()
    node = WHOLE[name](*leaves)
    e = to_sympy(node)
    rng = np.random.default_rng(2)
    values = [rng.uniform(-1, 1, leaf.shape) for leaf in leaves]
    expected = gc.evaluate(node, dict(zip(leaves, values, strict=True)))
    entries = {
        sp.IndexedBase(sp.Symbol(leaf.label, real=True), shape=leaf.shape)[i]: sp.Rational(float(value[i]))
        for leaf, value in zip(leaves, values, strict=True)
        for i in np.ndindex(*leaf.shape)
    }
    exact = np.array(sp.flatten([e] if node.ndim == 0 else e.tolist()), dtype=object)
    found = [float(item.xreplace(entries).evalf(25)) for item in exact]
    np.testing.assert_allclose(np.reshape(found, node.shape), expected, rtol=1e-12, atol=1e-14)
    back = from_sympy(e, {leaf.label: leaf for leaf in leaves})
    np.testing.assert_allclose(gc.evaluate(back, dict(zip(leaves, values, strict=True))), expected, rtol=1e-12, atol=1e-14)


def test_what_comes_out_is_what_one_would_write() -> None:
    s, t, A = gc.input("s"), gc.input("t", (2,)), gc.input("A", (2, 2))
    X = sp.Symbol("s", real=True)
    assert to_sympy(gc.square(s) * 0.1 + gc.log(s)) == X**2 / 10 + sp.log(X)
    assert isinstance(to_sympy(A), sp.ImmutableMatrix)
    assert isinstance(to_sympy(t), sp.ImmutableDenseNDimArray)
    assert str(to_sympy(gc.sum(A @ t))) == "A[0, 0]*t[0] + A[0, 1]*t[1] + A[1, 0]*t[0] + A[1, 1]*t[1]"
    assert to_sympy(gc.grad(gc.exp2(s), s)) == 2**X * sp.log(2)
    assert to_sympy(s, {s: "q"}, assumptions={"positive": True}) == sp.Symbol("q", positive=True)
    assert to_sympy(gc.sum(t), {t: [x, y]}) == x + y


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (1 / 3, "float64", sp.Rational(1, 3)),
        (0.1, "float32", sp.Rational(1, 10)),
        (1e-3, "float32", sp.Rational(1, 1000)),
        (0.2316419, "float64", sp.Rational(2316419, 10**7)),
        (math.pi / 4, "float32", sp.pi / 4),
        (math.log(2), "float64", sp.log(2)),
        (-math.inf, "float32", -sp.oo),
        (True, "bool", sp.true),
        (7, "int8", sp.Integer(7)),
    ],
)
def test_constants_are_the_simplest_numbers(value: float, dtype: str, expected: Any) -> None:
    assert to_sympy(gc.constant(value, dtype)) == expected


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "a named size": (lambda: gc.input("x", ("n",)), gc.errors.ShapeError, "named sizes"),
    "too much": (lambda: gc.input("x", (LIMIT + 1,)), gc.errors.ShapeError, "too many"),
    "two of a name": (lambda: gc.input("x") + gc.input("x"), gc.errors.ArgumentError, "two leaves"),
    "an index that is a symbol": (lambda: gc.take(gc.input("x", (3,)), gc.input("i", (1,), "int32")), gc.errors.ArgumentError, "no form"),
    "no words": (lambda: gc.argmax(gc.input("x", (3,))), gc.errors.ArgumentError, "no form"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_expression_is_refused_in_three_parts(name: str) -> None:
    build, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words) as caught:
        to_sympy(build())
    assert caught.value.given
    assert caught.value.fits


# ---------------------------------------------------------------- declared ops
DECLARED: dict[str, Any] = {
    "mish": x * sp.tanh(sp.log(1 + sp.exp(x))),
    "silu": x / (1 + sp.exp(-x)),
    "tanh by exp": (sp.exp(x) - sp.exp(-x)) / (sp.exp(x) + sp.exp(-x)),
    "tanh by exp of 2x": (sp.exp(2 * x) - 1) / (sp.exp(2 * x) + 1),
    "tanh by sigmoid": 2 / (1 + sp.exp(-2 * x)) - 1,
    "sigmoid twice": sp.exp(-x) / (1 + sp.exp(-x)) ** 2,
    "sech": 1 / sp.cosh(x),
    "log cosh": sp.log(sp.cosh(x)),
    "log of exps": sp.log(1 + 2 * sp.exp(x) + sp.exp(-3 * x)),
    "softplus with a rate": sp.log(1 + sp.exp(3 * x)) / 3,
    "hypotenuse": sp.sqrt(1 + x**2),
    "arc": sp.atan(x) + sp.asinh(x),
    "planck": 1 / (sp.exp(sp.sqrt(1 + x**2)) - 1),
    "gaussian": sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi),
    "log sigmoid": sp.log(1 / (1 + sp.exp(-x))),
    "smooth absolute value": x * sp.tanh(x),
    "steps": sp.floor(x / 3 + sp.Rational(1, 7)) + x * sp.Heaviside(x + sp.Rational(1, 9)) + sp.sign(x + 2) * x,
    "two": x * sp.exp(-(y**2)) + sp.log(sp.exp(x) + sp.exp(y)),
    "entropy-like": sp.Abs(x) * sp.log(1 + x**2),
    "three": sp.Max(x, y, z) * sp.sin(x * y * z) + sp.Mod(x, 5),
}
FAR = np.float32([-1000, -100, -20, -1.5, -1e-3, 1e-3, 0.7, 5, 30, 100, 1000])


@functools.cache
def exactly(name: str, order: int) -> Any:
    """A derivative of a declared formula far out, with enough digits for what cancels there."""
    e = DECLARED[name]
    for _ in range(order):
        e = _without_deltas(sp.diff(e, x)).replace(lambda part: isinstance(part, sp.Subs | sp.Derivative), lambda part: sp.S.Zero)
    value = sp.lambdify(x, e.rewrite(sp.Piecewise) if e.has(sp.Heaviside) else e, "mpmath")
    with mpmath.workdps(3000):
        return np.array([float(value(mpmath.mpf(float(point)))) for point in FAR])


@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_op_passes_the_checks_of_ops(name: str) -> None:
    op = pointwise("declared", DECLARED[name])
    report = check_op(op, order=2, backends=BACKENDS)
    assert report, report


@both
@pytest.mark.parametrize("name", [name for name in DECLARED if DECLARED[name].free_symbols == {x}])
def test_values_and_derivatives_are_right_far_out_in_float32(name: str, backend: str) -> None:
    """The value to 16 units, derivatives to a millionth or so of the function's own scale; finite everywhere."""
    t = gc.input("t", FAR.shape, "float32")
    graphs = [pointwise("declared", DECLARED[name])(t)]
    for _ in range(3):
        graphs.append(gc.grad(gc.sum(graphs[-1]), t, disconnected="zero"))
    for order, found in enumerate(gc.compile([t], graphs, backend=backend)(FAR)):
        assert np.isfinite(found).all(), (order, found)
        rtol, atol = (2e-5, 1e-6) if order else (4e-6, 1e-30)
        np.testing.assert_allclose(np.asarray(found), exactly(name, order), rtol=rtol, atol=atol, err_msg=str(order))


def test_mish_at_1000() -> None:
    mish = pointwise("mish2", x * sp.tanh(sp.log(1 + sp.exp(x))))
    t = gc.input("t", (2,), "float32")
    first = gc.grad(gc.sum(mish(t)), t)
    second = gc.grad(gc.sum(first), t)
    for backend in BACKENDS:
        value, slope, bend = gc.compile([t], [mish(t), first, second], backend=backend)(np.float32([-1000, 1000]))
        np.testing.assert_array_equal(value, [0, 1000])
        np.testing.assert_array_equal(slope, [0, 1])
        np.testing.assert_array_equal(bend, [0, 0])


SPELLINGS = {
    sp.log(1 + sp.exp(x)): "softplus(x)",
    1 / (1 + sp.exp(-x)): "sigmoid(x)",
    sp.exp(x) / (1 + sp.exp(x)): "sigmoid(x)",
    sp.exp(x * y) - 1: "expm1(x*y)",
    3 - 3 * sp.exp(x): "-3*expm1(x)",
    sp.log(1 + x**3): "log1p(x**3)",
    1 - sp.tanh(x) ** 2: "sech2(x)",
    1 - 1 / (1 + sp.exp(-x)): "sigmoid(-x)",
    x * sp.log(y): "xlogy(x, y)",
    x * sp.log(1 + sp.exp(y)): "x*softplus(y)",
    sp.log(sp.exp(x) + sp.exp(y)): "logaddexp(x, y)",
    sp.sqrt(x**2 + y**2): "hypot(x, y)",
    1 - x**2: "(1 - x)*(x + 1)",
    sp.log(x + 2): "log(x + 2)",
    x * sp.exp(x) + 1: "x*exp(x) + 1",
}


@pytest.mark.parametrize("e", SPELLINGS, ids=str)
def test_stable_spellings(e: Any) -> None:
    assert str(stable(e)) == SPELLINGS[e]


def test_an_entropy_is_0_at_0_and_its_slope_infinite() -> None:
    entropy = pointwise("entropy", -x * sp.log(x), domain=((0.1, 2.0),))
    t = gc.input("t", (2,), "float64")
    value, slope = gc.compile([t], [entropy(t), gc.grad(gc.sum(entropy(t)), t)])(np.array([0.0, 1.0]))
    np.testing.assert_array_equal(value, [0, 0])
    np.testing.assert_array_equal(slope, [math.inf, -1])


def test_operands_come_in_alphabetical_order_or_as_said() -> None:
    T, k = sp.symbols("T k")
    assert pointwise("one", k - T).operands == ("t", "k")
    two = pointwise("two", k - T, operands=(k, T))
    assert two.operands == ("k", "t")
    assert float(gc.evaluate(two(5.0, 3.0))) == 2
    assert pointwise("greek", sp.Symbol("α") * sp.Symbol("lambda")).operands == ("x0", "x1")


def test_formulas() -> None:
    op = pointwise("bump", x * sp.exp(-(x**2)))
    t, u = gc.input("t"), gc.input("u")
    assert str(gc.formula(op(t))) == "bump(t)"
    assert gc.formula(op(t)).latex == r"\left(t e^{- t^{2}}\right)"
    assert gc.formula(gc.square(op(t + u))).latex == r"\left(\left(t + u\right) e^{- \left(t + u\right)^{2}}\right)^2"
    assert gc.formula(pointwise("l", sp.log(1 + x))(t * u)).latex == r"\log{\left(\left(t \, u\right) + 1 \right)}"
    assert gc.formula(pointwise("own", x + 1, tex="$x^{+}")(t)).latex == "t^{+}"
    assert op.sympy == "x*exp(-x**2)"
    assert "declared by this formula" in (op.__doc__ or "")
    assert to_sympy(op(t)) == sp.Symbol("t", real=True) * sp.exp(-(sp.Symbol("t", real=True) ** 2))


def test_a_cell_may_run_twice() -> None:
    def declare() -> Op:
        return pointwise("again", sp.Symbol("x") ** 2, title="Again.", kinks=lambda x: x > 0, kink_note="none")

    assert declare() is declare()
    for change in (lambda: pointwise("again", x**3), lambda: pointwise("exp", sp.exp(x))):
        with pytest.raises(gc.errors.ArgumentError, match="there is an op of this name") as caught:
            change()
        assert caught.value.given
        assert caught.value.fits


WRONG: dict[str, tuple[Any, dict[str, Any], type[Exception]]] = {
    "no symbol": (sp.Integer(3), {}, gc.errors.ArgumentError),
    "a condition": (x > 0, {}, gc.errors.ArgumentError),
    "a matrix": (sp.Matrix([x]), {}, gc.errors.ArgumentError),
    "an element": (sp.IndexedBase("a")[0] + x, {}, gc.errors.ArgumentError),
    "operands left out": (x + y, {"operands": (x,)}, gc.errors.ArgumentError),
    "operands twice": (x + y, {"operands": (x, y, x)}, gc.errors.ArgumentError),
    "a template without a hole": (x + y, {"tex": "$x"}, gc.errors.ArgumentError),
}


@pytest.mark.parametrize("name", WRONG)
def test_declarations_that_make_no_op_are_refused(name: str) -> None:
    e, options, kind = WRONG[name]
    with pytest.raises(kind) as caught:
        pointwise("wrong", e, **options)
    assert caught.value.given
    assert caught.value.fits
    assert "wrong" not in OPS


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(gc.errors.ArgumentError, match="cannot be called"):
        pointwise("two words", x)


def test_what_sympy_cannot_differentiate_says_so() -> None:
    op, t = pointwise("jumpy", x + sp.Function("f")(x)), gc.input("t")
    with pytest.raises(gc.errors.GradientError, match="no derivative") as caught:
        gc.grad(op(t), t)
    assert caught.value.fits


def test_a_mask_keeps_a_declared_op_out_where_it_is_undefined() -> None:
    op = pointwise("root", sp.sqrt(x) * sp.log(x))
    t = gc.input("t", (2,), "float64")
    np.testing.assert_allclose(gc.evaluate(gc.grad(gc.sum(gc.where(t > 0, op(t), 0)), t), {t: [0, 1]}), [0, 1])
