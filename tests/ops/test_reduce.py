"""Reductions: NumPy's and SciPy's values on many arguments, and the policy's gradients, on both backends."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.testing import check_gradient

NAN, INF = math.nan, math.inf
both = pytest.mark.parametrize("backend", ["numpy", "jax"])
AXES = (None, 0, -1, (0, 2), (1, 2, 0), ())
POINT = np.random.default_rng(0).normal(size=(3, 2, 4))


def gradients(build: Any, points: list[Any], backend: str, order: int = 1) -> list[Any]:
    """The gradients of ``sum(build(x))`` at each point, or the gradients of the sum of the one before, in one compilation."""
    xs = [gc.input("x", np.shape(point), "float64") for point in points]
    ys = [build(x) for x in xs]
    for _ in range(order):
        ys = [gc.grad(gc.sum(y), x, disconnected="zero") for y, x in zip(ys, xs, strict=True)]
    return [np.asarray(y) for y in gc.compile(xs, ys, backend=backend)(*[np.asarray(point, "float64") for point in points])]


def _norms(p: float) -> tuple[Any, Any]:
    def theirs(x: Any, axis: Any, keepdims: bool) -> Any:
        size = np.abs(x)
        if math.isinf(p):
            return (np.max if p > 0 else np.min)(size, axis=axis, keepdims=keepdims)
        return np.sum(size**p, axis=axis, keepdims=keepdims) ** (1 / p)

    return lambda x, **how: gc.norm(x, p, **how), theirs


REDUCTIONS: dict[str, tuple[Any, Any]] = {
    "prod": (gc.prod, np.prod),
    "var": (gc.var, np.var),
    "std": (gc.std, np.std),
    "var, sample": (lambda x, **how: gc.var(x, ddof=1, **how), lambda x, **how: np.var(x, ddof=1, **how)),
    "std, sample": (lambda x, **how: gc.std(x, ddof=1, **how), lambda x, **how: np.std(x, ddof=1, **how)),
    "ptp": (gc.ptp, np.ptp),
    "count_nonzero": (gc.count_nonzero, np.count_nonzero),
    "median": (gc.median, np.median),
    "quantile": (lambda x, **how: gc.quantile(x, 0.3, **how), lambda x, **how: np.quantile(x, 0.3, **how)),
    "quantiles": (lambda x, **how: gc.quantile(x, [0, 0.25, 1], **how), lambda x, **how: np.quantile(x, [0, 0.25, 1], **how)),
    "norm": (gc.norm, _norms(2)[1]),
} | {f"norm {p}": _norms(p) for p in (0.5, 1, 2, 3, 4.5, INF, -INF)}


@both
def test_values_are_numpys(backend: str) -> None:
    """All in one compiled function, since ``jax.jit`` of one at a time takes a minute."""
    ways = [
        (name, {"axis": axis, "keepdims": keepdims})
        for name, axis, keepdims in itertools.product(REDUCTIONS, AXES, (False, True))
        if axis != () or name in ("prod", "var", "std", "norm")
    ]
    x = gc.input("x", POINT.shape, "float64")
    run = gc.compile([x], [REDUCTIONS[name][0](x, **way) for name, way in ways], backend=backend)
    for found, (name, way) in zip(run(POINT), ways, strict=True):
        exact = np.asarray(REDUCTIONS[name][1](POINT, **way))  # count_nonzero of all gives an int before NumPy 2.3
        assert (str(found.dtype), found.shape) == (exact.dtype.name, exact.shape), (name, way)
        np.testing.assert_allclose(found, exact, rtol=1e-13, err_msg=f"{name} {way}")


@pytest.mark.parametrize("name", ["prod", "var", "std", "norm", "median", "ptp", "count_nonzero"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_named_sizes(name: str, n: int) -> None:
    ours, theirs = REDUCTIONS[name]
    x = gc.input("x", ("n", 2), "float64")
    point = np.random.default_rng(n).normal(size=(n, 2))
    y = ours(x, axis=0)
    np.testing.assert_allclose(gc.compile([x], y)(point), theirs(point, axis=0, keepdims=False), rtol=1e-13)
    if name != "count_nonzero":
        assert gc.compile([x], gc.grad(gc.sum(y), x))(point).shape == (n, 2)


@pytest.mark.parametrize("name", ["median", "quantile", "quantiles", "ptp", "norm 0.5", "norm 1", "norm inf"])
@pytest.mark.parametrize("axis", [None, 1, (0, 2)])
def test_gradients_of_compositions(name: str, axis: Any) -> None:
    x = gc.input("x", POINT.shape, "float64")
    assert check_gradient(REDUCTIONS[name][0](x, axis=axis, keepdims=False), x, at={x: POINT})


# ---------------------------------------------------------------- products
@both
def test_the_gradient_of_prod_is_exact_at_zeros(backend: str) -> None:
    points: list[Any] = [[0.0, 2, 3], [0.0, 0, 3], [0.0, 0, 0], [2.0, 3, 4], [0.0], 0.0, [[1.0, 0, 2], [3, 4, 5]]]
    orders = gradients(gc.prod, points, backend), gradients(gc.prod, points, backend, order=2)
    for point, *found in zip(points, *orders, strict=True):
        flat = np.ravel(point)
        places = range(flat.size)
        first = [np.prod(np.delete(flat, i)) for i in places]
        second = [sum(np.prod(np.delete(flat, [i, j])) for j in places if j != i) for i in places]
        np.testing.assert_array_equal(np.reshape(found, (2, -1)), [first, second])


def test_prod_at_zeros_at_three_orders_by_differences() -> None:
    x = gc.input("x", (2, 3), "float64")
    assert check_gradient(gc.prod(x, axis=1), x, at={x: [[0, 2, 3], [0, 0, 1]]}, order=3, rtol=1e-5)


@pytest.mark.parametrize("name", ["prod", "sum"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float16"])
def test_the_dtype_of_a_product_is_numpys(name: str, dtype: str) -> None:
    x = gc.input("x", (3,), dtype)
    assert getattr(gc, name)(x).dtype == getattr(np, name)(np.ones(3, dtype)).dtype.name


# ---------------------------------------------------------------- spread
@both
def test_the_gradient_of_std_is_0_where_all_are_equal(backend: str) -> None:
    points = [[2.0, 2, 2], [1, 2, 3], 3.0]
    same, spread, one = gradients(gc.std, points, backend)
    np.testing.assert_array_equal(same, 0)
    np.testing.assert_allclose(spread, np.array([-1, 0, 1]) / (3 * np.std([1, 2, 3])), atol=1e-15)
    assert one == 0
    np.testing.assert_array_equal(gradients(gc.std, points, backend, order=2)[0], 0)


@pytest.mark.parametrize("ddof", [0, 1, 2, 3])
def test_too_few_for_the_degrees_of_freedom_is_what_numpy_gives(ddof: int) -> None:
    named, known = gc.input("x", ("n",), "float64"), gc.input("x", (2,), "float64")
    expected = 0.5 / max(2 - ddof, 0) if ddof < 2 else INF
    for x in (named, known):
        np.testing.assert_array_equal(gc.evaluate(gc.var(x, ddof=ddof), {x: [1.0, 2.0]}), expected)


@both
def test_var_of_many_in_float16_is_not_lost_in_the_count(backend: str) -> None:
    x = gc.input("x", (70_000,), "float16")
    point = np.resize(np.float16([1, 3]), 70_000)
    value, dx = gc.compile([x], [gc.var(x), gc.grad(gc.var(x), x)], backend=backend)(point)
    assert float(value) == 1
    np.testing.assert_allclose(dx, np.float16(2 / 70_000) * (point - 2), rtol=1e-2)


# ---------------------------------------------------------------- norms
@both
@pytest.mark.parametrize("ord", [None, 1, 2, 3, 1.5, INF])
def test_the_gradient_of_a_norm_is_0_at_0(ord: Any, backend: str) -> None:
    found = gradients(lambda x: gc.norm(x, ord), [[0.0, 0, 0], [3, 0, 0]], backend)
    np.testing.assert_array_equal(found, [[0, 0, 0], [1, 0, 0]])


@both
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("ord", [2, 3])
def test_a_norm_neither_overflows_nor_underflows(ord: float, dtype: str, backend: str) -> None:
    info = np.finfo(dtype)
    x = gc.input("x", (2, 2), dtype)
    y = gc.norm(x, ord, axis=1)
    point = np.array([[info.max / 64] * 2, [float(info.tiny) * 4] * 2], dtype)
    value, dx = gc.compile([x], [y, gc.grad(gc.sum(y), x)], backend=backend)(point)
    np.testing.assert_allclose(np.asarray(value, "float64"), point[:, 0].astype("float64") * 2 ** (1 / ord), rtol=4 * float(info.eps))
    np.testing.assert_allclose(np.asarray(dx, "float64"), 2 ** (1 / ord - 1), rtol=4 * float(info.eps))


@both
def test_norms_of_what_is_not_finite(backend: str) -> None:
    x = gc.input("x", (3, 2), "float64")
    found = gc.compile([x], gc.norm(x, axis=1), backend=backend)(np.array([[INF, 1], [-INF, INF], [NAN, 1]]))
    np.testing.assert_array_equal(found, [INF, INF, NAN])


def test_a_norm_of_order_0_counts() -> None:
    np.testing.assert_array_equal(gc.evaluate(gc.norm(gc.constant([[0.0, 2], [3, 4]]), 0, axis=1)), [1, 2])
    np.testing.assert_array_equal(gc.evaluate(gc.norm(gc.zeros((0, 3)), axis=0)), [0, 0, 0])


# ---------------------------------------------------------------- NaN
@both
def test_nans_share_the_gradient_of_the_extremum_that_they_are(backend: str) -> None:
    point = [[1.0, NAN, 3, NAN], [1, 2, 2, 0], [NAN, NAN, NAN, NAN]]
    for build in (gc.max, gc.min):
        x = gc.input("x", (3, 4), "float64")
        y = build(x, axis=1)
        value, dx = gc.compile([x], [y, gc.grad(gc.sum(y), x)], backend=backend)(np.array(point))
        np.testing.assert_array_equal(np.isnan(value), [True, False, True])
        np.testing.assert_array_equal(dx[0], [0, 0.5, 0, 0.5])
        np.testing.assert_array_equal(dx[1], [0, 0.5, 0.5, 0] if build is gc.max else [0, 0, 0, 1])
        np.testing.assert_array_equal(dx[2], [0.25] * 4)


# ---------------------------------------------------------------- order
@both
def test_quantiles_of_what_is_not_finite(backend: str) -> None:
    x = gc.input("x", (4, 3), "float64")
    outputs = [gc.median(x, axis=1), gc.quantile(x, 0.75, axis=1)]
    point = np.array([[1, INF, 2], [INF, INF, -INF], [NAN, 1, 2], [INF, INF, INF]])
    median, upper = gc.compile([x], outputs, backend=backend)(point)
    np.testing.assert_array_equal(median, [2, INF, NAN, INF])
    np.testing.assert_array_equal(upper, [INF, INF, NAN, INF])


@both
def test_the_gradient_of_a_median_goes_to_the_middle(backend: str) -> None:
    odd, even = gradients(gc.median, [[3.0, 1, 2], [3.0, 1, 2, 9]], backend)
    np.testing.assert_array_equal(odd, [0, 0, 1])
    np.testing.assert_array_equal(even, [0.5, 0, 0.5, 0])


def test_a_quantile_has_a_gradient_by_its_share() -> None:
    x, q = gc.input("x", (5,), "float64"), gc.input("q", (2,), "float64")
    y = gc.quantile(x, q)
    point, shares = [3.0, 1, 7, 2, 4], [0.3, 0.6]
    np.testing.assert_allclose(gc.evaluate(y, {x: point, q: shares}), np.quantile(point, shares))
    assert check_gradient(y, [x, q], at={x: point, q: shares})


def test_the_median_of_integers_is_a_float() -> None:
    x = gc.input("x", (4,), "int32")
    found = gc.evaluate(gc.median(x), {x: [4, 1, 2, 7]})
    assert (found, found.dtype) == (3, np.float64)


# ---------------------------------------------------------------- averages
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_averages_are_numpys(axis: int | None) -> None:
    point, weights = POINT[0], np.abs(POINT[1])
    x, w = gc.input("x", point.shape, "float64"), gc.input("w", weights.shape, "float64")
    y = gc.average(x, axis=axis, weights=w)
    np.testing.assert_allclose(gc.evaluate(y, {x: point, w: weights}), np.average(point, axis=axis, weights=weights))
    assert check_gradient(y, [x, w], at={x: point, w: weights})
    assert gc.average(x, axis=axis) is gc.mean(x, axis=axis)


def test_an_average_by_the_weights_of_one_axis() -> None:
    found = gc.evaluate(gc.average(gc.constant(POINT[0]), axis=0, weights=[1.0, 3.0]))
    np.testing.assert_allclose(found, np.average(POINT[0], axis=0, weights=[1, 3]))


# ---------------------------------------------------------------- refusals
X = gc.input("x", (2, 3))
REFUSED: dict[str, tuple[Any, Any]] = {
    "norm": (lambda: gc.norm(X, -1), gc.errors.ArgumentError),
    "norm, NaN": (lambda: gc.norm(X, NAN), gc.errors.ArgumentError),
    "norm, axis": (lambda: gc.norm(X, axis=2), gc.errors.ArgumentError),
    "quantile": (lambda: gc.quantile(X, 1.5), gc.errors.ArgumentError),
    "quantile, NaN": (lambda: gc.quantile(X, NAN), gc.errors.ArgumentError),
    "median of nothing": (lambda: gc.median(gc.zeros((0, 2)), axis=0), gc.errors.ShapeError),
    "average": (lambda: gc.average(X, weights=[1.0, 2.0]), gc.errors.ShapeError),
    "max of nothing": (lambda: gc.max(gc.zeros((0, 2)), axis=0), gc.errors.ShapeError),
    "prod": (lambda: gc.prod(X, axis=(0, 0)), gc.errors.ArgumentError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_three_parts(name: str) -> None:
    build, error = REFUSED[name]
    with pytest.raises(error) as caught:
        build()
    assert caught.value.given
    assert caught.value.fits
