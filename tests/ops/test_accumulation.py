"""Running totals: NumPy's values, gradients that are exact at zeros and ties at every order, on both backends."""

import math
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.testing import check_gradient

NAN, INF = math.nan, math.inf
both = pytest.mark.parametrize("backend", ["numpy", "jax"])

RUNNING: dict[str, tuple[Any, Any]] = {
    "cumsum": (gc.cumsum, np.cumsum),
    "cumprod": (gc.cumprod, np.cumprod),
    "cummax": (gc.cummax, lambda x, axis=None: np.maximum.accumulate(np.ravel(x) if axis is None else x, axis or 0)),
    "cummin": (gc.cummin, lambda x, axis=None: np.minimum.accumulate(np.ravel(x) if axis is None else x, axis or 0)),
    "logcumsumexp": (gc.logcumsumexp, lambda x, axis=None: np.log(np.cumsum(np.exp(x), axis=axis))),
}


def gradients(builds: list[Any], points: list[Any], backend: str, order: int = 1) -> list[Any]:
    """The gradients of ``sum(build(x))`` at each point, or the gradients of the sum of the one before, in one compilation."""
    xs = [gc.input("x", np.shape(point), "float64") for point in points]
    ys = [build(x) for build, x in zip(builds, xs, strict=True)]
    for _ in range(order):
        ys = [gc.grad(gc.sum(y), x, disconnected="zero") for y, x in zip(ys, xs, strict=True)]
    return [np.asarray(y) for y in gc.compile(xs, ys, backend=backend)(*[np.asarray(point, "float64") for point in points])]


@both
def test_values_are_numpys(backend: str) -> None:
    point = np.random.default_rng(0).normal(size=(3, 1, 4))
    x = gc.input("x", point.shape, "float64")
    ways = [(name, axis) for name in RUNNING for axis in (None, 0, 1, -1)]
    for found, (name, axis) in zip(
        gc.compile([x], [RUNNING[name][0](x, axis=axis) for name, axis in ways], backend=backend)(point), ways, strict=True
    ):
        np.testing.assert_allclose(found, RUNNING[name][1](point, axis=axis), rtol=1e-13, err_msg=f"{name} {axis}")


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32"])
def test_dtypes_are_numpys(name: str, dtype: str) -> None:
    x, point = gc.input("x", (4,), dtype), np.ones(4, dtype)
    assert gc.compile([x], getattr(gc, name)(x))(point).dtype == getattr(np, name)(point).dtype


@pytest.mark.parametrize("name", RUNNING)
def test_named_sizes(name: str) -> None:
    ours, theirs = RUNNING[name]
    x = gc.input("x", ("n", 2), "float64")
    y = ours(x, axis=0)
    run = gc.compile([x], [y, gc.grad(gc.sum(y), x)])
    for n in (0, 1, 5):
        point = np.random.default_rng(n).normal(size=(n, 2))
        value, gradient = run(point)
        np.testing.assert_allclose(value, theirs(point, axis=0), rtol=1e-13)
        assert gradient.shape == (n, 2)


# ---------------------------------------------------------------- zeros
def _running_products(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gradient and the Hessian's row sums of ``sum(cumprod(x))`` from their definitions."""
    n = len(x)
    first, second = np.zeros(n), np.zeros(n)
    for i in range(n):
        for j in range(i + 1):
            first[j] += np.prod(np.delete(x[: i + 1], j))
            second[j] += sum(np.prod(np.delete(x[: i + 1], [j, k])) for k in range(i + 1) if k != j)
    return first, second


@both
def test_the_gradient_of_cumprod_is_exact_at_zeros(backend: str) -> None:
    points = [[0.0, 2, 3], [2.0, 0, 3], [0.0, 0, 3, 4], [1.0, 2, 0, 3, 0, 4], [0.0, 0, 0], [0.0], [2.0, 3, 4]]
    builds = [gc.cumprod] * len(points)
    orders = gradients(builds, points, backend), gradients(builds, points, backend, order=2)
    for point, first, second in zip(points, *orders, strict=True):
        np.testing.assert_array_equal([first, second], _running_products(np.array(point)))


def test_the_row_of_the_policy() -> None:
    np.testing.assert_array_equal(gradients([gc.cumprod], [[0, 2, 3]], "numpy"), [[9, 0, 0]])


@pytest.mark.parametrize("point", [[0.0, 2, 3, -1], [2.0, 0, 0, 3]])
def test_cumprod_at_zeros_at_three_orders_by_differences(point: list[float]) -> None:
    x = gc.input("x", (4,), "float64")
    assert check_gradient(gc.cumprod(x), x, at={x: point}, order=3, rtol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_recurrence_differentiates_to_recurrences(order: int) -> None:
    a, b = gc.input("a", (4, 2), "float64"), gc.input("b", (4, 2), "float64")
    assert check_gradient(gc.core.OPS["recurrence"](a, b, axis=0), [a, b], order=order, rtol=1e-5)


def test_a_recurrence_has_a_factor_for_each_item() -> None:
    with pytest.raises(gc.errors.ShapeError, match="a factor for each item") as caught:
        gc.core.OPS["recurrence"](gc.zeros(3), gc.zeros(4), axis=0)
    assert caught.value.given


# ---------------------------------------------------------------- ties
TIES: dict[str, tuple[Any, list[float], list[float]]] = {  # the gradient of the sum
    "rising": (gc.cummax, [1, 2, 3], [1, 1, 1]),
    "falling": (gc.cummax, [3, 2, 1], [3, 0, 0]),
    "two tie": (gc.cummax, [2, 2], [1.5, 0.5]),
    "three tie": (gc.cummax, [2, 2, 2], [1 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 3, 1 / 3]),
    "a tie beyond a lower one": (gc.cummax, [2, 1, 2, 3], [1 + 1 + 1 / 2, 0, 1 / 2, 1]),
    "a tie that ends": (gc.cummax, [2, 2, 3, 3], [1.5, 0.5, 1.5, 0.5]),
    "zeros of both signs": (gc.cummax, [0.0, -0.0], [1.5, 0.5]),
    "least": (gc.cummin, [2, 1, 1, 2], [1, 1 + 1 / 2 + 1 / 2, 1 / 2 + 1 / 2, 0]),
    "infinite": (gc.cummin, [INF, INF, -INF, -INF], [1.5, 0.5, 1.5, 0.5]),
    "NaN shares with NaN": (gc.cummax, [1, NAN, 5, NAN], [1, 1 + 1 + 1 / 2, 0, 1 / 2]),
}


@both
def test_items_that_tie_share_the_gradient_evenly(backend: str) -> None:
    builds, points, expected = zip(*TIES.values(), strict=True)
    for found, exact, name in zip(gradients(builds, points, backend), expected, TIES, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-15, err_msg=name)


def test_ties_are_counted_in_float32_even_in_float16() -> None:
    x = gc.input("x", (3000,), "float16")
    (share,) = gc.compile([x], [gc.grad(gc.cummax(x)[-1], x)])(np.ones(3000, "float16"))
    assert share.dtype == np.float16
    np.testing.assert_array_equal(np.asarray(share), np.float16(1 / 3000))


def test_the_policy_has_a_line_for_them() -> None:
    for name in ("cummax", "cummin"):
        assert any(line.split()[0] == name for line in gc.kinks().splitlines())


# ---------------------------------------------------------------- sums of exponentials
@both
def test_logcumsumexp_far_out_and_of_nothing(backend: str) -> None:
    x = gc.input("x", (5,), "float64")
    y = gc.logcumsumexp(x)
    value, dx = gc.compile([x], [y, gc.grad(gc.sum(y), x)], backend=backend)(np.array([-INF, -INF, 1000.0, 1000.0, -1e6]))
    np.testing.assert_allclose(value, [-INF, -INF, 1000, 1000 + math.log(2), 1000 + math.log(2)])
    np.testing.assert_allclose(dx, [0, 0, 2, 1, 0], atol=1e-15)


def test_logcumsumexp_to_second_order() -> None:
    x = gc.input("x", (2, 4), "float64")
    assert check_gradient(gc.logcumsumexp(x, axis=1), x, order=2)
