"""The calculus of graphc, row by row: what gradients are at kinks, at ties and where a formula breaks. On both backends."""

import math
import re
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import ops
from graphc.core import OPS, Tensor
from graphc.grad import vjp

NAN, INF = math.nan, math.inf
both = pytest.mark.parametrize("backend", ["numpy", "jax"])


def gradients(build: Any, *points: Any, backend: str = "numpy", dtype: str = "float64", kinks: Any = "zero") -> list[Any]:
    """The gradients of ``sum(build(*inputs))`` at these points."""
    arrays = [np.asarray(point, dtype) for point in points]
    inputs = [gc.input(f"x{i}", array.shape, dtype) for i, array in enumerate(arrays)]
    found = gc.compile(inputs, gc.grad(gc.sum(build(*inputs)), inputs, disconnected="zero", kinks=kinks), backend=backend)(*arrays)
    return [np.asarray(g) for g in found]


def orders(build: Any, point: Any, highest: int, backend: str) -> list[Any]:
    """The derivatives of order 1 to ``highest`` of an elementwise function."""
    x = gc.input("x", np.shape(point), "float64")
    derivatives: list[Tensor] = []
    y = build(x)
    for _ in range(highest):
        y = gc.grad(gc.sum(y), x, disconnected="zero")
        derivatives.append(y)
    return [np.asarray(d) for d in gc.compile([x], derivatives, backend=backend)(np.asarray(point, "float64"))]


# ---------------------------------------------------------------- kinks
KINKS = {
    "abs at 0": (ops.abs, 0, 0),
    "relu at 0": (ops.relu, 0, 0),
    "relu of -0": (ops.relu, -0.0, 0),
    "relu6 at 0": (ops.relu6, 0, 0),
    "relu6 at 6": (ops.relu6, 6, 0),
    "hard_sigmoid at -3": (ops.hard_sigmoid, -3, 0),
    "hard_sigmoid at 3": (ops.hard_sigmoid, 3, 0),
    "elu at 0": (lambda x: ops.elu(x, alpha=0.5), 0, 0.5),
    "leaky_relu at 0": (lambda x: ops.leaky_relu(x, negative_slope=0.2), 0, 0.2),
    "clip below": (lambda x: ops.clip(x, -1, 1), -1.5, 0),
    "clip at the lower bound": (lambda x: ops.clip(x, -1, 1), -1, 1),
    "clip inside": (lambda x: ops.clip(x, -1, 1), 0.5, 1),
    "clip at the upper bound": (lambda x: ops.clip(x, -1, 1), 1, 1),
    "clip above": (lambda x: ops.clip(x, -1, 1), 1.5, 0),
    "sqrt(x*x) at 0, as written": (lambda x: ops.sqrt(x * x), 0, NAN),
}


@both
def test_the_derivative_at_a_kink_is_the_policys(backend: str) -> None:
    x = {name: gc.input("x", (), "float64") for name in KINKS}
    outputs = {name: gc.grad(build(x[name]), x[name]) for name, (build, _, _) in KINKS.items()}
    found = gc.compile(list(x.values()), outputs, backend=backend, optimize=False)(*[point for _, point, _ in KINKS.values()])
    expected = {name: value for name, (_, _, value) in KINKS.items()}
    if backend == "jax":  # XLA rewrites sqrt(x*x) to |x| by itself
        for values in (found, expected):
            values.pop("sqrt(x*x) at 0, as written")
    np.testing.assert_equal({name: float(value) for name, value in found.items()}, {name: float(v) for name, v in expected.items()})


@both
def test_hypot_has_gradient_0_at_the_origin(backend: str) -> None:
    da, db = gradients(ops.hypot, [0.0, 3.0], [0.0, 4.0], backend=backend)
    np.testing.assert_allclose(da, [0, 0.6])
    np.testing.assert_allclose(db, [0, 0.8])


@both
def test_clip_gives_its_bounds_the_gradient_outside(backend: str) -> None:
    dx, low, high = gradients(ops.clip, [-2.0, -1, 0, 1, 2], -1.0, 1.0, backend=backend)
    np.testing.assert_array_equal(dx, [0, 1, 1, 1, 0])
    assert (low, high) == (1, 1)


# ---------------------------------------------------------------- ties
@both
@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_two_that_tie_share_evenly(name: str, backend: str) -> None:
    da, db = gradients(getattr(ops, name), [1.0, 2.0, 0.0], [1.0, 3.0, -0.0], backend=backend)
    np.testing.assert_array_equal(da + db, [1, 1, 1])
    np.testing.assert_array_equal(da, [0.5, 0 if name == "maximum" else 1, 0.5])


@both
def test_elements_that_tie_share_evenly(backend: str) -> None:
    (whole,) = gradients(ops.max, [[3.0, 1, 3], [3, 0, 2]], backend=backend)
    (rows,) = gradients(lambda x: ops.min(x, axis=1), [[0.0, 0, 3], [1, 1, 1]], backend=backend)
    np.testing.assert_allclose(whole, np.array([[1, 0, 1], [1, 0, 0]]) / 3)
    np.testing.assert_allclose(rows, [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])


@both
@pytest.mark.parametrize("count", [3000, 100_000])
def test_ties_are_counted_in_float32_even_in_float16(count: int, backend: str) -> None:
    """float16 holds no whole number above 65,504, and not every one above 2,048."""
    x = gc.input("x", (count,), "float16")
    (share,) = gc.compile([x], [gc.grad(gc.max(x), x)], backend=backend)(np.ones(count, "float16"))
    assert share.dtype == np.float16
    np.testing.assert_array_equal(np.asarray(share), np.float16(1 / count))


def test_the_largest_is_found_again_however_xla_rounds() -> None:
    """XLA rounded ``x + y / 6`` in two ways in two fusions, so that no element was the smallest and the gradient was lost."""
    x, z = gc.input("x", (2, 3), "float64"), gc.input("z", (1, 3), "float64")
    h = gc.hard_sigmoid(x)
    least = gc.min(z + h, axis=1, keepdims=True)
    y = gc.mean(gc.sin(h)) + gc.mean(gc.sin(z + h)) + gc.mean(gc.sin(least)) + gc.mean(gc.sin(gc.relu(least))) + gc.mean(gc.sin(gc.abs(h)))
    rng = np.random.default_rng(0)
    ours, theirs = (gc.compile([x, z], gc.grad(y, [x, z]), backend=backend) for backend in ("numpy", "jax"))
    for _ in range(50):
        point = rng.uniform(-1.3, 1.3, (2, 3)), rng.uniform(-1.3, 1.3, (1, 3))
        for found, expected in zip(theirs(*point), ours(*point), strict=True):
            np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-9)


def test_max_of_nan_is_nan() -> None:
    assert math.isnan(gc.evaluate(gc.max(gc.constant([1.0, NAN]))))
    assert math.isnan(gc.evaluate(gc.maximum(1.0, NAN)))


# ---------------------------------------------------------------- powers
POWERS = [  # x, y, value, d/dx, d/dy
    (0.0, 0.0, 1.0, 0.0, 0.0),
    (0.0, 2.0, 0.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 1.0, 0.0),
    (0.0, -1.0, INF, -INF, -INF),
    (2.0, 0.0, 1.0, 0.0, math.log(2)),
    (-2.0, 0.0, 1.0, 0.0, NAN),
    (-2.0, 3.0, -8.0, 12.0, NAN),
    (2.0, 3.0, 8.0, 12.0, 8 * math.log(2)),
    (INF, 0.0, 1.0, 0.0, INF),
]


@both
def test_powers_at_the_rows_of_the_policy(backend: str) -> None:
    x, y, value, dx, dy = np.array(POWERS).T
    a, b = gc.input("a", x.shape, "float64"), gc.input("b", x.shape, "float64")
    p = a**b
    found = gc.compile([a, b], [p, *gc.grad(gc.sum(p), [a, b])], backend=backend)(x, y)
    for got, expected in zip(found, (value, dx, dy), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@both
@pytest.mark.parametrize("exponent", [0, 0.0, 1, 2, 3, 0.5])
def test_powers_with_a_literal_exponent(exponent: float, backend: str) -> None:
    points = np.array([0.0, 0.5, 2.0])
    (dx,) = gradients(lambda x: x**exponent, points, backend=backend)
    with np.errstate(divide="ignore"):
        expected = exponent * points ** (exponent - 1) if exponent else np.zeros(3)
    np.testing.assert_allclose(dx, expected)


# ---------------------------------------------------------------- all of nothing
@both
def test_logsumexp_of_nothing_but_minus_infinity(backend: str) -> None:
    x = gc.input("x", (3, 2), "float64")
    y = gc.logsumexp(x, axis=1)
    point = np.array([[-INF, -INF], [-INF, 0.0], [1000.0, 1000.0]])
    value, dx = gc.compile([x], [y, gc.grad(gc.sum(y), x)], backend=backend)(point)
    np.testing.assert_allclose(value, [-INF, 0, 1000 + math.log(2)])
    np.testing.assert_allclose(dx, [[0, 0], [0, 1], [0.5, 0.5]], atol=1e-15)


@both
def test_logaddexp_of_two_minus_infinities(backend: str) -> None:
    a, b = gc.input("a", (3,), "float64"), gc.input("b", (3,), "float64")
    y = gc.logaddexp(a, b)
    value, da, db = gc.compile([a, b], [y, *gc.grad(gc.sum(y), [a, b])], backend=backend)([-INF, -INF, 800.0], [-INF, 1.0, 800.0])
    np.testing.assert_allclose(value, [-INF, 1, 800 + math.log(2)])
    np.testing.assert_allclose(da, [0, 0, 0.5])
    np.testing.assert_allclose(db, [0, 1, 0.5])


# ---------------------------------------------------------------- where
def _sliced(x: Tensor) -> Tensor:
    return gc.where(x[1:] > 0, gc.log(x)[1:], 0)


WHERES: dict[str, tuple[Any, list[float], list[list[float]]]] = {
    "log at 0": (lambda x: gc.where(x > 0, gc.log(x), 0), [0.0, 2.0], [[0, 0.5], [0, -0.25], [0, 0.25]]),
    "exp at 1000": (lambda x: gc.where(x < 1, gc.exp(x), 0), [1000.0, 0.0], [[0, 1], [0, 1], [0, 1]]),
    "sqrt at 0 and below": (lambda x: gc.where(x > 0, gc.sqrt(x), 0), [0.0, -1.0, 4.0], [[0, 0, 1 / 4], [0, 0, -1 / 32], [0, 0, 3 / 256]]),
    "x/x at 0": (lambda x: gc.where(x > 0, 1 / x, 0), [0.0, 2.0], [[0, -1 / 4], [0, 1 / 4], [0, -3 / 8]]),
    "a product that is undefined": (lambda x: gc.where(x < 1, x * gc.exp(x), 0), [1000.0, 0.0], [[0, 1], [0, 2], [0, 3]]),
    "the other branch": (lambda x: gc.where(x <= 0, 0, gc.log(x)), [0.0, 2.0], [[0, 0.5], [0, -0.25], [0, 0.25]]),
    "nested": (lambda x: gc.where(x > 0, gc.where(x < 5, gc.log(x), x), 0), [0.0, 2.0, 7.0], [[0, 0.5, 1], [0, -0.25, 0], [0, 0.25, 0]]),
    "a power": (lambda x: gc.where(x > 0, x**0.5, 0), [0.0, 4.0], [[0, 1 / 4], [0, -1 / 32], [0, 3 / 256]]),
    "over a slice": (_sliced, [5.0, 0.0, 2.0], [[0, 0, 0.5], [0, 0, -0.25], [0, 0, 0.25]]),
    "over a reshape": (lambda x: gc.where(x.reshape(2, 1) > 0, gc.log(x).reshape(2, 1), 0), [0.0, 2.0], [[0, 0.5], [0, -0.25], [0, 0.25]]),
    "over a broadcast": (
        lambda x: gc.where(gc.broadcast_to(x, shape=(3, 2)) > 0, gc.broadcast_to(gc.log(x), shape=(3, 2)), 0),
        [0.0, 2.0],
        [[0, 1.5], [0, -0.75], [0, 0.75]],
    ),
    "over a transposition": (
        lambda x: gc.where(gc.expand_dims(x, axis=0).T > 0, gc.log(gc.expand_dims(x, axis=0)).T, 0),
        [0.0, 2.0],
        [[0, 0.5], [0, -0.25], [0, 0.25]],
    ),
    "over a sum": (lambda x: gc.where(gc.sum(x) > 100, gc.sum(gc.log(x)), gc.sum(x)), [0.0, 2.0], [[1, 1], [0, 0], [0, 0]]),
    "of a concatenation": (
        lambda x: gc.where(gc.concatenate([x, x]) > 0, gc.concatenate([gc.log(x), x]), 0),
        [0.0, 2.0],
        [[0, 1.5], [0, -0.25], [0, 0.25]],
    ),
    "a chain": (lambda x: gc.where(x > 0, gc.log(gc.sqrt(x) * 1.0), 0), [0.0, 2.0], [[0, 0.25], [0, -0.125], [0, 0.125]]),
}


@both
@pytest.mark.parametrize("name", WHERES)
def test_the_branch_that_was_not_taken_is_never_seen(name: str, backend: str) -> None:
    build, point, expected = WHERES[name]
    found = orders(build, point, 3, backend)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@both
def test_a_quotient_behind_a_condition_of_its_own(backend: str) -> None:
    c = np.array([True, False])
    dx, dy = gradients(lambda x, y: gc.where(gc.constant(c), x / y, 0), [1.0, 1.0], [2.0, 0.0], backend=backend)
    np.testing.assert_array_equal(dx, [0.5, 0])
    np.testing.assert_array_equal(dy, [-0.25, 0])


@both
def test_a_value_that_is_read_outside_the_condition_too_is_not_masked(backend: str) -> None:
    """log(x) is wanted unmasked, so its derivative at 0 is what it is."""
    (dx,) = gradients(lambda x: gc.where(x > 1, gc.log(x), 0) + gc.log(x), [0.0, 0.5, 2.0], backend=backend)
    np.testing.assert_array_equal(dx, [INF, 2, 1])


@both
def test_a_condition_shared_by_both_branches(backend: str) -> None:
    def build(x: Tensor) -> Tensor:
        e = gc.exp(x)
        return gc.where(x > 0, 1 / (1 + gc.exp(-x)), e / (1 + e))

    (dx,) = gradients(build, [-1000.0, 0.0, 1000.0], backend=backend)
    np.testing.assert_allclose(dx, [0, 0.25, 0])


def test_where_wants_truth_values() -> None:
    x = gc.input("x", (3,))
    with pytest.raises(gc.errors.DTypeError, match="the condition is float32"):
        gc.where(x, x, 0)


# ---------------------------------------------------------------- stable to second order
STABLE: dict[str, Any] = {
    "tanh": gc.tanh,
    "sigmoid": gc.sigmoid,
    "softplus": gc.softplus,
    "log_sigmoid": gc.log_sigmoid,
    "silu": gc.silu,
    "mish": gc.mish,
    "softsign": gc.softsign,
    "asinh": gc.asinh,
    "atan": gc.atan,
    "elu": gc.elu,
    "log1p of exp": lambda x: gc.log1p(gc.exp(-gc.abs(x))),
}


@both
@pytest.mark.parametrize("name", STABLE)
def test_derivatives_of_stable_functions_are_finite_far_out(name: str, backend: str) -> None:
    x = gc.input("x", (6,), "float32")
    first = gc.grad(gc.sum(STABLE[name](x)), x)
    second = gc.grad(gc.sum(first), x, disconnected="zero")
    for found in gc.compile([x], [first, second], backend=backend)(np.float32([-1e4, -200, -80, 80, 200, 1e4])):
        assert np.isfinite(found).all(), found


@both
def test_softmax_and_its_kin_far_out(backend: str) -> None:
    x = gc.input("x", (2, 3), "float32")
    point = np.float32([[1e4, 0, -1e4], [-1e4, -1e4, -1e4]])
    outputs = [gc.softmax(x), gc.log_softmax(x), gc.grad(gc.sum(gc.log_softmax(x)[:, 0]), x), gc.grad(gc.sum(gc.softmax(x)[:, 0]), x)]
    soft, log, dlog, dsoft = gc.compile([x], outputs, backend=backend)(point)
    np.testing.assert_allclose(soft, [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
    np.testing.assert_allclose(log, [[0, -1e4, -2e4], [-math.log(3)] * 3], rtol=1e-6)
    np.testing.assert_allclose(dlog, [[0, 0, 0], [2 / 3, -1 / 3, -1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(dsoft, [[0, 0, 0], [2 / 9, -1 / 9, -1 / 9]], rtol=1e-5)


# ---------------------------------------------------------------- indices
@both
def test_gather_with_duplicates_accumulates(backend: str) -> None:
    x, i = gc.input("x", (4,), "float64"), gc.input("i", (5,), "int32")
    y = gc.sum(gc.take(x, i) * gc.constant([1.0, 2, 3, 4, 5], "float64"))
    found = gc.compile([x, i], gc.grad(y, x), backend=backend)(np.zeros(4), np.int32([0, 2, 2, -1, 0]))
    np.testing.assert_array_equal(found, [6, 0, 5, 4])


@pytest.mark.parametrize("bad", [4, -5])
def test_an_index_out_of_bounds(bad: int) -> None:
    """IndexError on NumPy; on JAX take fills with NaN."""
    x, i = gc.input("x", (4,)), gc.input("i", (1,), "int32")
    with pytest.raises(IndexError):
        gc.compile([x, i], gc.take(x, i))(np.zeros(4, "float32"), np.int32([bad]))
    assert np.isnan(gc.compile([x, i], gc.take(x, i), backend="jax")(np.zeros(4, "float32"), np.int32([bad]))).all()


@pytest.mark.parametrize("bad", [3, -1])
def test_a_label_outside_the_classes(bad: int) -> None:
    x, t = gc.input("x", (2, 3)), gc.input("t", (2,), "int32")
    y = gc.sparse_categorical_crossentropy(t, x, from_logits=True)
    arguments = np.zeros((2, 3), "float32"), np.int32([0, bad])
    with pytest.raises(IndexError):
        gc.compile([x, t], y)(*arguments)
    found = np.asarray(gc.compile([x, t], y, backend="jax")(*arguments))
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


# ---------------------------------------------------------------- no gradient
def test_an_integer_wrt_raises_and_names_the_tensor_and_its_line() -> None:
    i = gc.input("labels", (3,), "int32")
    with pytest.raises(gc.errors.DTypeError, match=r"labels.*test_policy\.py:\d+") as caught:
        gc.grad(gc.sum(i * 1.5), i)
    assert "only floats have gradients" in str(caught.value)


def test_an_output_that_does_not_depend_raises_or_gives_zeros() -> None:
    x, w = gc.input("x", (3,)), gc.input("w", (2, 2))
    y = gc.sum(x * x)
    with pytest.raises(gc.errors.GradientError, match="does not depend on x") as caught:
        gc.grad(y, w)
    assert "'w'" in str(caught.value)
    zeros = gc.grad(y, w, disconnected="zero")
    assert (zeros.shape, zeros.dtype) == ((2, 2), "float32")
    np.testing.assert_array_equal(gc.evaluate(zeros), np.zeros((2, 2)))


def test_a_path_that_is_cut_gives_zeros_and_says_why() -> None:
    x = gc.input("x", (3,))
    for build, reason in {
        gc.floor: "rounding is flat",
        lambda x: gc.cast(x > 0, "float32"): "a comparison is flat",
        gc.stop_gradient: "stop_gradient",
    }.items():
        y = gc.sum(build(x) * 2)
        np.testing.assert_array_equal(gc.evaluate(gc.grad(y, x), {x: [1, 2, 3]}), [0, 0, 0])
        why = gc.why_no_gradient(y, x)
        assert reason in why
        assert "test_policy.py:" in why
    assert gc.why_no_gradient(gc.sum(x), x) is None
    assert "no path" in gc.why_no_gradient(gc.sum(x), gc.input("z", (3,)))


@pytest.mark.parametrize(
    "name", ["floor", "ceil", "round", "trunc", "sign", "equal", "less", "argmax", "isnan", "logical_not", "floor_divide", "one_hot"]
)
def test_ops_without_a_gradient_say_why(name: str) -> None:
    assert getattr(ops, name).zero_gradient


def test_a_non_scalar_raises_and_names_the_ways_on() -> None:
    x = gc.input("x", (3,))
    with pytest.raises(gc.errors.GradientError, match="not a scalar") as caught:
        gc.grad(x * x, x)
    for way in ("vjp", "jacobian", "sum"):
        assert way in caught.value.fits


# ---------------------------------------------------------------- kinks="nan" and kinks="raise"
def _write(method: str) -> Any:
    return lambda x, v: getattr(x.at[gc.constant([0, 0, 1], "int32")], method)(v)


def _pool(x: Tensor) -> Tensor:
    return gc.max_pool(gc.reshape(x, (1, x.shape[0], 1)), 2)


_SPLIT = [[[1.0, 0], [0, 1]], [[1.0, 0], [0, 2]]]
# An op with a policy -> a case -> what is computed, at which points, where it is a choice, and points where nothing is.
CHOICES: dict[str, dict[str, tuple[Any, list[Any], list[Any], list[Any]]]] = {
    "abs": {"0": (gc.abs, [[-1.0, 0, 1]], [[0, 1, 0]], [[-1.0, 2, 1]])},
    "relu": {"0": (gc.relu, [[-1.0, 0, 1]], [[0, 1, 0]], [[-1.0, 2, 1]])},
    "relu6": {"0 and 6": (gc.relu6, [[-1.0, 0, 6]], [[0, 1, 1]], [[-1.0, 2, 7]])},
    "hard_sigmoid": {"-3 and 3": (gc.hard_sigmoid, [[-3.0, 0, 3]], [[1, 0, 1]], [[-4.0, 0, 4]])},
    "hard_silu": {"-3 and 3": (gc.hard_silu, [[-3.0, 0, 3]], [[1, 0, 1]], [[-4.0, 0, 4]])},
    "selu": {"0": (gc.selu, [[-1.0, 0, 1]], [[0, 1, 0]], [[-1.0, 2, 1]])},
    "elu": {"0": (lambda x: gc.elu(x, alpha=0.5), [[-1.0, 0, 1]], [[0, 1, 0]], [[-1.0, 2, 1]])},
    "leaky_relu": {"0": (gc.leaky_relu, [[-1.0, 0, 1]], [[0, 1, 0]], [[-1.0, 2, 1]])},
    "clip": {"bounds": (lambda x: gc.clip(x, 0, 5), [[-1.0, 0, 5]], [[0, 1, 1]], [[-1.0, 2, 6]])},
    "maximum": {"ties": (gc.maximum, [[1.0, 2], [1.0, 3]], [[1, 0], [1, 0]], [[0.0, 2], [1.0, 3]])},
    "minimum": {"ties": (gc.minimum, [[1.0, 2], [1.0, 3]], [[1, 0], [1, 0]], [[0.0, 2], [1.0, 3]])},
    "hypot": {"the origin": (gc.hypot, [[0.0, 0], [0.0, 1]], [[1, 0], [1, 0]], [[0.0, 0], [2.0, 1]])},
    "atan2": {"the origin": (gc.atan2, [[0.0, 0], [0.0, 1]], [[1, 0], [1, 0]], [[0.0, 0], [2.0, 1]])},
    "max": {
        "ties": (gc.max, [[3.0, 1, 3]], [[1, 0, 1]], [[3.0, 1, 1]]),
        "ties of one row": (lambda x: gc.max(x, axis=1), [[[3.0, 3], [1, 2]]], [[[1, 1], [0, 0]]], [[[3.0, 2], [1, 2]]]),
        "a branch that was not taken": (
            lambda x: gc.where(x[:, :1] > 0, gc.max(x, axis=1, keepdims=True), 0),
            [[[-1.0, -1], [1, 1]]],
            [[[0, 0], [1, 1]]],
            [[[-1.0, -1], [1, 2]]],
        ),
    },
    "min": {"ties": (lambda x: gc.min(x, axis=0), [[[0.0, 3], [0, 4]]], [[[1, 0], [1, 0]]], [[[0.0, 3], [1, 4]]])},
    "std": {
        "no spread": (lambda x: gc.std(x, axis=1), [[[5.0, 5], [1, 2]]], [[[1, 1], [0, 0]]], [[[5.0, 4], [1, 2]]]),
        "one element, which has none": (gc.std, [[5.0]], [[0]], [[4.0]]),
    },
    "norm": {
        "0": (lambda x: gc.norm(x, axis=1), [[[0.0, 0], [0, 4]]], [[[1, 1], [0, 0]]], [[[1.0, 0], [0, 4]]]),
        "nothing": (lambda x: gc.norm(x, axis=0), [np.zeros((0, 2))], [np.zeros((0, 2))], [np.zeros((0, 2))]),
    },
    "cummax": {"ties": (gc.cummax, [[1.0, 3, 2, 3, 5, 4]], [[0, 1, 0, 1, 0, 0]], [[1.0, 3, 2, 4, 5, 4]])},
    "cummin": {"ties": (gc.cummin, [[4.0, 2, 3, 2, 1, 1]], [[0, 1, 0, 1, 1, 1]], [[4.0, 2, 3, 1.5, 1, 2]])},
    "angle": {"0": (lambda a, b: gc.angle(gc.complex(a, b)), [[0.0, 1], [0.0, 0]], [[1, 0], [0, 0]], [[2.0, 1], [0.0, 0]])},
    "eigh": {
        "equal values": (lambda x: gc.square(gc.eigh(x)[1]), [_SPLIT], [[[[1, 1], [1, 1]], [[0, 0], [0, 0]]]], [[_SPLIT[1], _SPLIT[1]]]),
        "a branch that was not taken": (
            lambda x: gc.where(gc.trace(x) > 2, gc.sum(gc.square(gc.eigh(x)[1])), 0),
            [_SPLIT[0]],
            [np.zeros((2, 2))],
            [_SPLIT[1]],
        ),
    },
    "svd": {
        "equal values": (lambda x: gc.square(gc.svd(x)[0]), [_SPLIT], [[[[1, 1], [1, 1]], [[0, 0], [0, 0]]]], [[_SPLIT[1], _SPLIT[1]]]),
        "a value that is 0": (lambda x: gc.square(gc.svd(x)[0]), [[[1.0, 0, 0], [0, 0, 0]]], [np.ones((2, 3))], [[[1.0, 0, 0], [0, 2, 0]]]),
    },
    "window_max": {"ties": (_pool, [[1.0, 1, 0, 2]], [[1, 1, 0, 0]], [[1.0, 3, 0, 2]])},
    "max_at": {"ties": (_write("max"), [[1.0, 5, 0], [1.0, 0, 5]], [[1, 1, 0], [1, 0, 1]], [[1.0, 5, 0], [2.0, 0, 6]])},
    "min_at": {"ties": (_write("min"), [[1.0, 5, 0], [1.0, 2, 5]], [[1, 1, 0], [1, 0, 1]], [[1.0, 5, 0], [2.0, 0, 6]])},
}
POINTS = [(op, name) for op, cases in CHOICES.items() for name in cases]


def test_every_op_with_a_policy_has_a_point_where_it_counts() -> None:
    assert set(CHOICES) == {op.name for op in OPS.values() if op.kink_note}


def _told(kinks: Any, backend: str) -> tuple[Any, dict[Any, list[Any]]]:
    """One function of the points of all the cases to their gradients; and the points where nothing is a choice."""
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    for op, name in POINTS:
        build, points, _, _ = CHOICES[op][name]
        own = [gc.input("x", np.shape(point), "float64") for point in points]
        inputs += own
        outputs += gc.grad(gc.sum(build(*own)), own, kinks=kinks, disconnected="zero")
    run = gc.compile(inputs, outputs, backend=backend)
    return lambda points: run(*[np.asarray(p, "float64") for case in points.values() for p in case]), {
        (op, name): CHOICES[op][name][3] for op, name in POINTS
    }


@both
def test_kinks_nan_marks_the_choices_and_nothing_else(backend: str) -> None:
    run, smooth = _told("nan", backend)
    for found in run(smooth):
        assert np.isfinite(found).all()
    masks = [(op, name, mask) for op, name in POINTS for mask in CHOICES[op][name][2]]
    for found, (op, name, mask) in zip(run({(op, name): CHOICES[op][name][1] for op, name in POINTS}), masks, strict=True):
        np.testing.assert_array_equal(np.isnan(found), np.asarray(mask, bool), err_msg=f"{op}, {name}")


@both
def test_kinks_raise_names_the_op_the_line_and_the_policy(backend: str) -> None:
    run, smooth = _told("raise", backend)
    run(smooth)
    for op, name in POINTS:
        points = smooth | {(op, name): CHOICES[op][name][1]}
        if not any(np.any(mask) for mask in CHOICES[op][name][2]):
            run(points)
            continue
        told = rf"{op} \(test_policy\.py:\d+\) was differentiated at a kink; the policy there: {re.escape(OPS[op].kink_note)}"
        with pytest.raises(gc.errors.KinkError, match=told):
            run(points)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_kinks_are_told_in_both_modes(mode: Any) -> None:
    x = gc.input("x", (3,), "float64")
    for build in (gc.max, gc.abs):
        run = gc.compile([x], gc.jacobian(build(x), x, mode=mode, kinks="raise"))
        assert np.isfinite(run([1.0, 2, 3])).all()
        with pytest.raises(gc.errors.KinkError):
            run([0.0, 0, -1])


@both
def test_kinks_raise_raises_in_the_call_that_meets_one(backend: str) -> None:
    x = gc.input("x", (3,), "float64")
    run = gc.compile([x], gc.grad(gc.sum(gc.abs(x)), x, kinks="raise"), backend=backend)
    np.testing.assert_array_equal(run([-1.0, 2, 3]), [-1, 1, 1])
    with pytest.raises(gc.errors.KinkError, match=r"abs \(test_policy\.py:\d+\) was differentiated at a kink"):
        run([-1.0, 0, 3])
    np.testing.assert_array_equal(run([-1.0, 2, -3]), [-1, 1, -1])


def test_a_policy_that_is_none_is_refused() -> None:
    x = gc.input("x", ())
    with pytest.raises(gc.errors.ArgumentError, match="kinks='zeros'"):
        gc.grad(gc.abs(x), x, kinks="zeros")


def test_the_policy_prints_itself() -> None:
    text = gc.kinks()
    for name in ("abs", "relu", "maximum", "clip", "max", "hypot"):
        assert any(line.split()[0] == name for line in text.splitlines())


# ---------------------------------------------------------------- literals
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_literals_keep_the_dtype(dtype: str) -> None:
    x = gc.input("x", (3,), dtype)
    for y in (x * 2, 2 * x, x + 0.5, x**2, x / 3, gc.maximum(x, 0), gc.where(x > 0, x, 0.0), x - True, gc.clip(x, 0, 1)):
        assert y.dtype == dtype
        assert gc.grad(gc.sum(y), x).dtype == dtype


def test_literals_of_a_higher_kind_win() -> None:
    i, b = gc.input("i", (3,), "int8"), gc.input("b", (3,), "bool")
    assert ((i * 2).dtype, (i * 2.5).dtype, (b * 2).dtype) == ("int8", "float64", "int64")


def test_a_literal_that_does_not_fit_is_refused() -> None:
    with pytest.raises(gc.errors.DTypeError, match="300 does not fit into uint8"):
        gc.input("i", (3,), "uint8") + 300


# ---------------------------------------------------------------- broadcasting and repetition
@both
def test_a_broadcast_input_sums_over_every_broadcast_axis(backend: str) -> None:
    x, b = gc.input("x", ("n", 3), "float64"), gc.input("b", (1, 3), "float64")
    run = gc.compile([x, b], gc.grad(gc.sum((x + b) * x), b), backend=backend)
    for n in (0, 1, 4):
        point = np.arange(3.0 * n).reshape(n, 3)
        np.testing.assert_allclose(run(point, np.zeros((1, 3))), point.sum(axis=0, keepdims=True))


def test_an_input_used_twice_adds_both_contributions() -> None:
    (dx,) = gradients(lambda x: gc.sum(x * x) + gc.matmul(x, x), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(dx, [4, 8, 12])


def test_vjp_with_an_array_as_cotangent() -> None:
    x = gc.input("x", (2,), "float64")
    np.testing.assert_array_equal(gc.evaluate(vjp(x * x, x, [10.0, 100.0]), {x: [1, 2]}), [20, 400])
    with pytest.raises(gc.errors.ShapeError, match="cotangent has shape"):
        vjp(x * x, x, [1.0, 2.0, 3.0])


# ---------------------------------------------------------------- the table of the policy, row by row
def _eigenvectors(x: Tensor) -> Tensor:
    return gc.abs(gc.eigh(x)[1][:, 0])


def _set(x: Tensor, v: Tensor) -> Tensor:
    return x.at[gc.constant([0, 2, 2, 0], "int32")].set(v) * gc.constant([1.0, 2, 3, 4], "float64")


def _windows(pool: Any, **how: Any) -> Any:
    return lambda x: gc.reshape(pool(gc.reshape(x, (1, x.shape[0], 1)), 2, **how), (-1,))


_I2, _SAME = [[1.0, 0], [0, 1]], [[2.0, 0], [0, 2]]
# The row of the table -> a case -> what is computed, at which points, and the gradients of the sum of its elements.
ROWS: dict[str, dict[str, tuple[Any, list[Any], list[Any]]]] = {
    "abs, relu, norm, hypot, std at 0": {
        "abs": (gc.abs, [[0.0, -2]], [[0, -1]]),
        "relu": (gc.relu, [[0.0, -0.0, 2]], [[0, 0, 1]]),
        "norm": (gc.norm, [[0.0, 0, 0]], [[0, 0, 0]]),
        "norm of rows": (lambda x: gc.norm(x, axis=1), [[[0.0, 0], [3, 4]]], [[[0, 0], [0.6, 0.8]]]),
        "norm of order 3": (lambda x: gc.norm(x, ord=3), [[0.0, 0]], [[0, 0]]),
        "norm of order 1": (lambda x: gc.norm(x, ord=1), [[0.0, -1]], [[0, -1]]),
        "hypot": (gc.hypot, [[0.0, 3], [0.0, 4]], [[0, 0.6], [0, 0.8]]),
        "std": (gc.std, [[5.0, 5, 5]], [[0, 0, 0]]),
        "std of one": (gc.std, [[5.0]], [[0]]),
    },
    "max/min/maximum/minimum ties": {
        "max": (gc.max, [[3.0, 1, 3]], [[0.5, 0, 0.5]]),
        "min": (lambda x: gc.min(x, axis=1), [[[0.0, 0, 3], [1, 1, 1]]], [[[0.5, 0.5, 0], [1 / 3] * 3]]),
        "maximum": (gc.maximum, [[1.0, 2], [1.0, 3]], [[0.5, 0], [0.5, 1]]),
        "minimum": (gc.minimum, [[1.0, 2], [1.0, 3]], [[0.5, 1], [0.5, 0]]),
        "cummax": (lambda x: gc.cummax(x, axis=0), [[2.0, 2, 1]], [[2, 1, 0]]),
        "a write of the largest": (
            lambda x, v: x.at[gc.constant([0, 0], "int32")].max(v),
            [[1.0, 5], [1.0, 1]],
            [[1 / 3, 1], [1 / 3, 1 / 3]],
        ),
    },
    "clip inside the closed interval": {
        "its operand": (lambda x: gc.clip(x, -1, 1), [[-2.0, -1, 0, 1, 2]], [[0, 1, 1, 1, 0]]),
    },
    "x**y": {
        "both": (gc.power, [[0.0, 0, 0, 2, 2], [0.0, 2, 1, 0, 3]], [[0, 0, 1, 0, 12], [0, 0, 0, math.log(2), 8 * math.log(2)]]),
        "0 to a negative": (gc.power, [[0.0], [-1.0]], [[-INF], [-INF]]),
    },
    "prod, cumprod with zeros": {
        "cumprod": (lambda x: gc.cumprod(x, axis=0), [[0.0, 2, 3]], [[9, 0, 0]]),
        "cumprod with two zeros": (lambda x: gc.cumprod(x, axis=0), [[2.0, 0, 0, 3]], [[1, 2, 0, 0]]),
        "prod": (gc.prod, [[0.0, 2, 3]], [[6, 0, 0]]),
        "prod with two zeros": (gc.prod, [[0.0, 2, 0]], [[0, 0, 0]]),
    },
    "logsumexp/logaddexp of all -inf": {
        "logsumexp": (lambda x: gc.logsumexp(x, axis=1), [[[-INF, -INF], [-INF, 0]]], [[[0, 0], [0, 1]]]),
        "logaddexp": (gc.logaddexp, [[-INF, -INF], [-INF, 1.0]], [[0, 0], [0, 1]]),
        "logcumsumexp": (lambda x: gc.logcumsumexp(x, axis=0), [[-INF, -INF]], [[0, 0]]),
    },
    "where(c, f(x), g) with f undefined off c": {
        "log": (lambda x: gc.where(x > 0, gc.log(x), 0), [[0.0, 2]], [[0, 0.5]]),
        "exp": (lambda x: gc.where(x < 1, gc.exp(x), 0), [[1000.0, 0]], [[0, 1]]),
    },
    "sqrt(x*x), at 0": {"away from it": (lambda x: gc.sqrt(x * x), [[-2.0, 3]], [[-1, 1]])},
    "det of a singular matrix": {
        "rank 1": (gc.det, [[[1.0, 2], [2, 4]]], [[[4, -2], [-2, 1]]]),
        "rank 0": (gc.det, [np.zeros((2, 2))], [np.zeros((2, 2))]),
        "rank 2 of 3": (gc.det, [np.diag([2.0, 3, 0])], [np.diag([0.0, 0, 6])]),
    },
    "eigh/svd with equal values": {
        "eigvalsh": (gc.eigvalsh, [_I2], [_I2]),
        "svdvals": (gc.svdvals, [_SAME], [_I2]),
        "the values of eigh": (lambda x: gc.eigh(x)[0], [_SAME], [_I2]),
        "the vectors of eigh": (_eigenvectors, [_SAME], [np.zeros((2, 2))]),
        "the values of svd": (lambda x: gc.svd(x)[1], [_SAME], [_I2]),
        "the vectors of svd": (lambda x: gc.svd(x)[0] * gc.svd(x)[0], [_SAME], [np.zeros((2, 2))]),
    },
    "gather with duplicate indices": {
        "take": (lambda x: gc.take(x, gc.constant([0, 2, 2, -1, 0], "int32")), [[0.0, 1, 2, 3]], [[2, 0, 2, 1]]),
        "brackets": (lambda x: x[gc.constant([1, 1], "int32")], [[0.0, 1]], [[0, 2]]),
        "take_along_axis": (lambda x: gc.take_along_axis(x, gc.constant([1, 1, 0], "int32"), axis=0), [[5.0, 6, 7]], [[1, 2, 0]]),
    },
    "scatter_set with duplicates": {
        "set": (_set, [[0.0] * 4, [1.0, 2, 3, 4]], [[0, 2, 0, 4], [0, 0, 3, 1]]),
        "add": (lambda x, v: x.at[gc.constant([1, 1], "int32")].add(v) * 2, [[0.0, 0], [1.0, 2]], [[2, 2], [2, 2]]),
    },
    "max_pool": {
        "ties": (_windows(gc.max_pool), [[1.0, 1, 0, 2]], [[0.5, 0.5, 0, 1]]),
        "padding of -inf": (_windows(gc.max_pool, strides=1, padding=[(1, 1)]), [[-3.0, -5]], [[2, 1]]),
        "the mean of a true window": (_windows(gc.average_pool, strides=1, padding=[(1, 1)]), [[-3.0, -5]], [[1.5, 1.5]]),
        "the mean with padding": (_windows(gc.average_pool, strides=1, padding=[(1, 1)], count_padding=True), [[1.0, 2]], [[1, 1]]),
    },
    "sort, top_k, median": {
        "sort": (lambda x: gc.sort(x) * gc.constant([1.0, 2, 3]), [[2.0, 3, 1]], [[2, 3, 1]]),
        "sort of ties": (lambda x: gc.sort(x) * gc.constant([1.0, 2, 3]), [[2.0, 1, 2]], [[2, 1, 3]]),
        "top_k": (lambda x: gc.top_k(x, k=2)[0] * gc.constant([1.0, 2]), [[2.0, 3, 3]], [[0, 1, 2]]),
        "median": (gc.median, [[2.0, 9, 1, 5]], [[0.5, 0, 0, 0.5]]),
        "median of an odd number": (gc.median, [[2.0, 9, 1]], [[1, 0, 0]]),
    },
    "rounding, comparison, argmax": {
        "round": (gc.round, [[0.4, 2.5]], [[0, 0]]),
        "floor": (gc.floor, [[0.4]], [[0]]),
        "sign": (gc.sign, [[0.0]], [[0]]),
    },
    "index out of bounds": {"within": (lambda x: gc.take(x, gc.constant([-1], "int32")), [[1.0, 2]], [[0, 1]])},
    "Broadcasting": {
        "over both": (lambda x, b: (x + b) * x, [[[1.0, 2], [3, 4]], [[0.0, 0]]], [[[2, 4], [6, 8]], [[4, 6]]]),
        "of a number": (lambda x, b: x * b, [[1.0, 2], 3.0], [[3, 3], 3]),
    },
    "Repeated inputs": {
        "a product": (lambda x: x * x, [[1.0, 3]], [[2, 6]]),
        "a concatenation": (lambda x: gc.concatenate([x, 2 * x]), [[1.0]], [[3]]),
        "a product of matrices": (lambda x: gc.matmul(x, x), [[1.0, 2]], [[2, 4]]),
    },
    "Unused outputs": {
        "values alone": (lambda x: gc.eigh(x)[0], [[[2.0, 0], [0, 3]]], [_I2]),
        "top_k": (lambda x: gc.top_k(x, k=1)[0], [[1.0, 4]], [[0, 1]]),
        "slogdet": (lambda x: gc.slogdet(x)[1], [[[2.0, 0], [0, 4]]], [[[0.5, 0], [0, 0.25]]]),
    },
    "Python literals": {"a factor": (lambda x: x * 2 + 1, [[1.0]], [[2]])},
}
# Rows that say what a call refuses or tells, and the test above that has them.
TOLD: dict[str, Any] = {
    "integer or bool wrt": test_an_integer_wrt_raises_and_names_the_tensor_and_its_line,
    "output does not depend on wrt": test_an_output_that_does_not_depend_raises_or_gives_zeros,
    "non-scalar output in grad": test_a_non_scalar_raises_and_names_the_ways_on,
}
NAMES = (
    "abs, relu, norm, hypot, std at 0",
    "max/min/maximum/minimum ties",
    "clip inside the closed interval",
    "x**y",
    "prod, cumprod with zeros",
    "logsumexp/logaddexp of all -inf",
    "where(c, f(x), g) with f undefined off c",
    "sqrt(x*x), at 0",
    "det of a singular matrix",
    "eigh/svd with equal values",
    "gather with duplicate indices",
    "scatter_set with duplicates",
    "max_pool",
    "sort, top_k, median",
    "rounding, comparison, argmax",
    "integer or bool wrt",
    "output does not depend on wrt",
    "non-scalar output in grad",
    "index out of bounds",
    "Broadcasting",
    "Repeated inputs",
    "Unused outputs",
    "Python literals",
)
CELLS = [(row, name) for row, cases in ROWS.items() for name in cases]
STEEP = {("x**y", "both"), ("x**y", "0 to a negative")}
"""Cases whose second derivative is infinite in truth."""


def test_every_row_of_the_policy_has_a_case() -> None:
    assert {*ROWS, *TOLD} == set(NAMES)
    assert all(ROWS.values())


@pytest.mark.parametrize(("row", "name"), CELLS, ids=[f"{row}: {name}" for row, name in CELLS])
def test_the_gradient_is_the_policys(row: str, name: str) -> None:
    build, points, expected = ROWS[row][name]
    for found, value in zip(gradients(build, *points), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-12)


def test_the_gradients_are_the_policys_on_jax() -> None:
    """All rows in one jitted function."""
    inputs, outputs, values, expected = [], [], [], []
    for row, name in CELLS:
        build, points, wanted = ROWS[row][name]
        own = [gc.input("x", np.shape(point), "float64") for point in points]
        outputs += gc.grad(gc.sum(build(*own)), own, disconnected="zero")
        inputs += own
        values += [np.asarray(point, "float64") for point in points]
        expected += [(f"{row}: {name}", value) for value in wanted]
    found = gc.compile(inputs, outputs, backend="jax")(*values)
    for got, (name, value) in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), value, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("row", "name"), [cell for cell in CELLS if cell not in STEEP], ids=[f"{r}: {n}" for r, n in CELLS if (r, n) not in STEEP]
)
def test_the_second_derivative_is_finite_where_the_first_is(row: str, name: str) -> None:
    build, points, _ = ROWS[row][name]
    arrays = [np.asarray(point, "float64") for point in points]
    inputs = [gc.input("x", array.shape, "float64") for array in arrays]
    first = gc.grad(gc.sum(gc.sin(build(*inputs))), inputs, disconnected="zero")
    if any(np.isinf(array).any() for array in arrays):
        first = gc.grad(gc.sum(build(*inputs)), inputs, disconnected="zero")  # the sine of an infinity has none
    total = sum([gc.sum(gc.square(g)) for g in first], start=gc.constant(0.0, "float64"))
    for found in gc.compile(inputs, gc.grad(total, inputs, disconnected="zero"))(*arrays):
        assert np.isfinite(found).all(), found


@both
def test_results_that_nobody_reads_have_zeros_of_their_type(backend: str) -> None:
    seen: list[Any] = []
    record = ops.top_k.reverse
    try:
        ops.top_k.vjp(lambda g, y, x, k: seen.append(g) or record(g, y, x, k))
        x = gc.input("x", (2, 3), "float32")
        gc.grad(gc.sum(gc.top_k(x, k=2)[0]), x)
    finally:
        ops.top_k.reverse = record
    ((used, unused),) = seen
    assert (used.type, unused.dtype, unused.shape) == (gc.top_k(x, k=2)[0].type, "int64", (2, 2))
    np.testing.assert_array_equal(gc.compile([], unused, backend=backend)(), np.zeros((2, 2)))


def test_steps_that_cut_a_path_say_why() -> None:
    x = gc.input("x", (3,))
    for build in (gc.round, gc.sign, lambda x: gc.cast(gc.equal(x, 0), "float32"), lambda x: gc.cast(gc.argmax(x), "float32")):
        y = gc.sum(build(x))
        assert "test_policy.py:" in gc.why_no_gradient(y, x)


def test_an_error_about_an_output_that_does_not_depend_lists_the_edge_that_cuts() -> None:
    x = gc.input("x", (3,), "float64")
    labels = gc.cast(x, "int32")
    y = gc.sum(gc.cast(labels, "float64") * 2)
    assert "cast" in gc.why_no_gradient(y, x)


def test_a_truth_value_wrt_raises() -> None:
    b = gc.input("mask", (3,), "bool")
    with pytest.raises(gc.errors.DTypeError, match=r"mask.*test_policy\.py:\d+"):
        gc.grad(gc.sum(gc.where(b, 1.0, 2.0)), b)


def test_the_policy_prints_every_op_with_a_choice() -> None:
    text = gc.kinks()
    lines = {line.split()[0]: line for line in text.splitlines()}
    choices = {op.name: op.kink_note for op in OPS.values() if op.kinks or op.kink_note}
    assert set(lines) == set(choices)
    assert all(note and note in lines[name] for name, note in choices.items())
