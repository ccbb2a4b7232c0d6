"""Order on both backends: NaN counts as the largest, equal elements keep their order, and gradients go back to where values came from."""

import math
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import dtypes

both = pytest.mark.parametrize("backend", ["numpy", "jax"])
NAN, INF = math.nan, math.inf
SPECIAL = np.array([1, NAN, -0.0, 3, -NAN, 0.0, 3, INF, -INF, 1])
ASCENDING, DESCENDING = [8, 2, 5, 0, 9, 3, 6, 7, 1, 4], [1, 4, 7, 3, 6, 0, 9, 2, 5, 8]
FLOATS = ["float16", "bfloat16", "float32", "float64"]


def _run(build: Any, point: Any, backend: str) -> Any:
    x = gc.input("x", point.shape, point.dtype)
    found = gc.compile([x], build(x), backend=backend)(point)
    return [np.asarray(f) for f in found] if isinstance(found, tuple | list) else np.asarray(found)


def _same(found: Any, expected: Any) -> None:
    """Equal in value, and in the sign of zeros."""
    found, expected = found.astype("float64"), expected.astype("float64")
    np.testing.assert_array_equal(found, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


@both
@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values_in_order(dtype: str, backend: str) -> None:
    point = SPECIAL.astype(dtypes.numpy_dtype(dtype))
    for descending, order in ((False, ASCENDING), (True, DESCENDING)):
        values, places = _run(lambda x, d=descending: [gc.sort(x, descending=d), gc.argsort(x, descending=d)], point, backend)
        np.testing.assert_array_equal(places, order)
        _same(values, point[order])
    for k in (0, 3, 10):
        values, places = _run(lambda x, k=k: list(gc.top_k(x, k=k)), point, backend)
        np.testing.assert_array_equal(places, DESCENDING[:k])
        _same(values, point[DESCENDING[:k]])


@both
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool", "float32"])
@pytest.mark.parametrize(("shape", "axis"), [((7,), 0), ((3, 5), 0), ((3, 5), -1), ((2, 4, 3), 1), ((0, 3), 0), ((3, 0), 0), ((1,), 0)])
def test_sorting_is_numpys(shape: tuple[int, ...], axis: int, dtype: str, backend: str) -> None:
    point = np.random.default_rng(0).integers(0, 5, shape).astype(dtype)
    found = _run(lambda x: [gc.sort(x, axis=axis), gc.argsort(x, axis=axis), gc.sort(x, axis=axis, descending=True)], point, backend)
    ascending = np.sort(point, axis=axis, stable=True)
    for ours, theirs in zip(found, (ascending, np.argsort(point, axis=axis, stable=True), np.flip(ascending, axis)), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@both
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool", "float32"])
def test_top_k_is_that_of_lax(dtype: str, backend: str) -> None:
    import jax

    point = np.random.default_rng(0).integers(0, 4, (3, 6)).astype(dtype)
    values, places = _run(lambda x: list(gc.top_k(x, k=4)), point, backend)
    with jax.enable_x64(True):
        expected = jax.lax.top_k(point, 4)
    assert (values.dtype, places.dtype) == (point.dtype, "int64")
    np.testing.assert_array_equal(values, np.asarray(expected[0]))
    np.testing.assert_array_equal(places, np.asarray(expected[1]))


@both
def test_the_gradient_goes_back_through_the_permutation(backend: str) -> None:
    """Stable: of equal elements the first gets what the first place gets."""
    x = gc.input("x", (5,), "float64")
    point, weights = np.array([2.0, 1, 2, 1, 0]), np.array([1.0, 10, 100, 1000, 10000])
    ascending, descending = gc.vjp(gc.sort(x), x, weights), gc.vjp(gc.sort(x, descending=True), x, weights)
    largest = gc.vjp(gc.top_k(x, k=2)[0], x, weights[:2])
    median = gc.grad(gc.sort(x)[2], x)
    found = gc.compile([x], [ascending, descending, largest, median], backend=backend)(point)
    expected = [[1000, 10, 10000, 100, 1], [1, 100, 10, 1000, 10000], [1, 0, 10, 0, 0], [0, 0, 0, 1, 0]]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_index_carries_no_gradient_and_says_so() -> None:
    x = gc.input("x", (3,))
    assert "an index jumps" in str(gc.why_no_gradient(gc.sum(gc.cast(gc.argsort(x), "float32")), x))


@both
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", [*FLOATS, "int32"])
def test_searchsorted_is_numpys(dtype: str, side: str, backend: str) -> None:
    a, v = np.array([-1, 0, 0, 2, 5]).astype(dtypes.numpy_dtype(dtype)), np.array([[-2, 0, 2], [3, 5, 9]]).astype(dtypes.numpy_dtype(dtype))
    row, x = gc.input("a", a.shape, dtype), gc.input("v", v.shape, dtype)
    found = gc.compile([row, x], gc.searchsorted(row, x, side=side), backend=backend)(a, v)
    assert str(found.dtype) == "int64"
    np.testing.assert_array_equal(found, np.searchsorted(a.astype("float64"), v.astype("float64"), side=side))


def test_named_sizes() -> None:
    x = gc.input("x", ("n", 4), "float64")
    outputs = [gc.sort(x, axis=0), gc.argsort(x, axis=0), *gc.top_k(x, k=3), gc.grad(gc.sum(gc.sort(x, axis=0)[0]), x)]
    run = gc.compile([x], outputs)
    for n in (1, 5):
        point = np.random.default_rng(0).normal(size=(n, 4))
        for found, expected in zip(run(point), (np.sort(point, 0), np.argsort(point, 0), np.sort(point)[:, :0:-1]), strict=False):
            np.testing.assert_array_equal(found, expected)


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "more than there are": (lambda x: gc.top_k(x, k=4), gc.errors.ArgumentError, "there are no 4 largest"),
    "fewer than none": (lambda x: gc.top_k(x, k=-1), gc.errors.ArgumentError, "there are no -1 largest"),
    "of a number": (lambda x: gc.top_k(x[0, 0], k=1), gc.errors.ShapeError, "nothing to be put in order"),
    "complex": (lambda x: gc.sort(gc.cast(x, "complex64")), gc.errors.DTypeError, "complex64 numbers have no order"),
    "not a vector": (lambda x: gc.searchsorted(x, x), gc.errors.ShapeError, "not a sorted vector"),
    "a side that is none": (lambda x: gc.searchsorted(x[0], x, side="middle"), gc.errors.ArgumentError, "side='middle'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_has_no_order_is_refused(name: str) -> None:
    build, error, message = WRONG[name]
    with pytest.raises(error, match=message) as caught:
        build(gc.input("x", (2, 3)))
    assert isinstance(caught.value, gc.errors.GraphcError)
    assert caught.value.given
    assert caught.value.fits
