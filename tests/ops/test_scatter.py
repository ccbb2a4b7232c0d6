"""Writing by place: ``x.at[index]``, segments and blocks, against NumPy and JAX, with the policy's rows on duplicates and ties."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.testing import check_gradient

both = pytest.mark.parametrize("backend", ["numpy", "jax"])
SHAPE = (3, 4, 3)
ROWS, COLUMNS, MASK = np.array([0, 2, -1, 0]), np.array([[1], [0], [-3]]), np.arange(12).reshape(3, 4) % 3 == 0
INDICES: dict[str, Any] = {
    "a number": 1,
    "slices": (slice(None, None, -2), slice(1, 3)),
    "a new axis": (..., None, 0),
    "nothing": (slice(0, 0),),
    "all": ...,
    "rows": ROWS,
    "an axis in the middle": (slice(None), ROWS),
    "the last axis": (..., ROWS),
    "pairs": (ROWS, ROWS),
    "a grid": (COLUMNS, ROWS),
    "apart": (ROWS, slice(1, None), ROWS),
    "apart, with a number and a new axis": (ROWS, None, slice(None, None, -1), 1),
    "behind a number": (0, slice(None), ROWS),
    "a mask": MASK,
    "a mask and indices": (MASK, ROWS),
    "no rows": np.zeros(0, int),
    "one row": (np.array(2), slice(None, None, 2)),
    "one element": (np.array(2), np.array(1), np.array(0)),
}


def _reference(method: str, x: Any, index: Any, values: Any) -> Any:
    y = x.copy()
    if method == "set":
        y[index] = values
    else:
        {"add": np.add, "max": np.maximum, "min": np.minimum}[method].at(y, index, values)
    return y


def _at(x: Any, index: Any, method: str, values: Any) -> Any:
    return getattr(x.at[index], method)(values)


@both
@pytest.mark.parametrize("method", ["set", "add", "max", "min"])
def test_at_is_numpys(method: str, backend: str) -> None:
    """Every index, with values of its shape, of fewer axes, and a literal; NumPy and graphc leave the last of duplicates."""
    rng = np.random.default_rng(0)
    point = rng.normal(size=SHAPE)
    index_of_rows = gc.input("rows", ROWS.shape, "int64")
    x = gc.input("x", SHAPE, "float64")
    inputs, values, outputs, expected = [x, index_of_rows], [point, ROWS], [], []
    for index in INDICES.values():
        wanted = point[index].shape
        symbolic = tuple([index_of_rows if item is ROWS else item for item in index]) if isinstance(index, tuple) else index
        for shape in {wanted, wanted[1:], ()}:
            new = rng.normal(size=shape)
            v = gc.input("v", shape, "float64")
            inputs.append(v)
            values.append(new)
            outputs.append(_at(x, symbolic, method, v))
            expected.append(_reference(method, point, index, new))
        outputs.append(_at(x, index, method, 0.25))
        expected.append(_reference(method, point, index, 0.25))
    for found, theirs in zip(gc.compile(inputs, outputs, backend=backend)(*values), expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), theirs, rtol=1e-14)


@pytest.mark.parametrize("method", ["set", "add", "max", "min"])
@pytest.mark.parametrize("name", ["slices", "a new axis", "pairs", "apart, with a number and a new axis", "a mask and indices"])
def test_gradients_of_at_are_the_differences(name: str, method: str) -> None:
    index, point = INDICES[name], np.random.default_rng(0).normal(size=SHAPE)
    x, v = gc.input("x", SHAPE, "float64"), gc.input("v", point[index].shape, "float64")
    y = gc.sin(_at(gc.sin(x), index, method, gc.exp(v)))
    assert check_gradient(y, [x, v], order=2)


def _gradients(y: Any, xs: list[Any], points: list[Any], backend: str) -> list[Any]:
    return [np.asarray(g) for g in gc.compile(xs, gc.grad(gc.sum(y * y.shape[0] / y.shape[0]), xs), backend=backend)(*points)]


# ---------------------------------------------------------------- the policy
@both
def test_the_last_write_wins_and_it_alone_gets_the_gradient(backend: str) -> None:
    x, v, i = gc.input("x", (3, 2), "float64"), gc.input("v", (4, 2), "float64"), gc.input("i", (4,), "int32")
    y = x.at[i].set(v)
    weights = np.arange(6.0).reshape(3, 2) + 1
    points = np.zeros((3, 2)), np.arange(8.0).reshape(4, 2), np.int32([2, 0, -1, 2])
    value, dx, dv = gc.compile([x, v, i], [y, *gc.vjp(y, [x, v], weights)], backend=backend)(*points)
    np.testing.assert_array_equal(value, [[2, 3], [0, 0], [6, 7]])
    np.testing.assert_array_equal(dx, [[0, 0], [3, 4], [0, 0]])
    np.testing.assert_array_equal(dv, [[0, 0], [1, 2], [0, 0], [5, 6]])


@both
def test_many_writes_to_few_places(backend: str) -> None:
    """XLA writes duplicates in any order, NumPy in the order of the indices."""
    rng = np.random.default_rng(0)
    at, new = rng.integers(0, 50, (100, 30)), rng.normal(size=(100, 30))
    x, v, i = gc.input("x", (50,), "float64"), gc.input("v", (100, 30), "float64"), gc.input("i", (100, 30), "int64")
    y = x.at[i].set(v)
    value, dv = gc.compile([x, v, i], [y, gc.grad(gc.sum(y), v)], backend=backend)(np.zeros(50), new, at)
    expected = np.zeros(50)
    expected[at] = new
    np.testing.assert_array_equal(value, expected)
    assert (np.asarray(dv).sum(), set(np.unique(dv))) == (50, {0.0, 1.0})


@both
@pytest.mark.parametrize(("method", "sign"), [("max", 1), ("min", -1)])
def test_the_old_value_and_the_new_ones_that_tie_share_evenly(method: str, sign: int, backend: str) -> None:
    x, v, i = gc.input("x", (4,), "float64"), gc.input("v", (5,), "float64"), gc.input("i", (5,), "int64")
    y = _at(x, i, method, v)
    points = sign * np.array([1.0, 5, 2, 7]), sign * np.array([1.0, 1, 3, 3, 2]), np.array([0, 0, 2, 2, 2])
    value, dx, dv = gc.compile([x, v, i], [y, *gc.vjp(y, [x, v], [6.0, 6, 6, 6])], backend=backend)(*points)
    np.testing.assert_array_equal(value, sign * np.array([1, 5, 3, 7]))
    np.testing.assert_allclose(dx, [2, 6, 0, 6])
    np.testing.assert_allclose(dv, [2, 2, 3, 3, 0])
    at_once = _at(x, slice(0, 1), method, v[:1])
    np.testing.assert_array_equal(gc.evaluate(gc.grad(gc.sum(at_once), x), {x: points[0], v: points[1]}), [0.5, 1, 1, 1])


@both
def test_ties_are_counted_in_float32_even_in_float16(backend: str) -> None:
    v, i = gc.input("v", (3000,), "float16"), gc.input("i", (3000,), "int64")
    y = gc.sum(gc.segment_max(v, i, num_segments=1))
    share = gc.compile([v, i], gc.grad(y, v), backend=backend)(np.ones(3000, "float16"), np.zeros(3000, int))
    np.testing.assert_array_equal(np.asarray(share), np.float16(1 / 3000))


@pytest.mark.parametrize("method", ["set", "add", "max", "min"])
def test_out_of_bounds_raises_on_numpy_and_is_dropped_on_jax(method: str) -> None:
    x, i, v = gc.input("x", (3,), "float64"), gc.input("i", (2,), "int32"), gc.input("v", (2,), "float64")
    y = _at(x, i, method, v)
    for bad in (3, -4):
        with pytest.raises(IndexError, match=f"index {bad} is out of bounds for axis 0 with size 3"):
            gc.compile([x, i, v], y)(np.zeros(3), np.int32([1, bad]), np.ones(2))
        found = gc.compile([x, i, v], y, backend="jax")(np.zeros(3), np.int32([1, bad]), np.ones(2))
        np.testing.assert_array_equal(found, [0, method != "min", 0])


# ---------------------------------------------------------------- dtypes and shapes
def test_values_take_the_dtype_of_what_they_are_written_to() -> None:
    x, n = gc.input("x", (3,)), gc.input("n", (3,), "int32")
    assert x.at[0].set(np.float64(1.5)).dtype == "float32"
    assert n.at[ROWS[:2]].add(1).dtype == "int32"
    with pytest.raises(gc.errors.DTypeError, match="the values need float64, and x is int32") as caught:
        n.at[0].set(1.5)
    assert caught.value.given
    assert caught.value.fits


def test_values_that_do_not_broadcast_are_refused() -> None:
    x = gc.input("x", (3, 4))
    for index in (0, ROWS):
        with pytest.raises(gc.errors.ShapeError):
            x.at[index].set(np.zeros(3))
        with pytest.raises(gc.errors.ShapeError):
            x.at[index].add(np.zeros((5, 1, 1)))


@both
def test_named_sizes(backend: str) -> None:
    x, i, v = gc.input("x", ("n", 2, "m"), "float64"), gc.input("i", ("k",), "int64"), gc.input("v", ("k", 2), "float64")
    y = x.at[i, :, i].set(v).at[0].add(1).at[i, 0, 0].max(v[:, 0])
    run = gc.compile([x, i, v], [y, gc.grad(gc.sum(y), v)], backend=backend)
    for n, m, k in ((4, 5, 2), (2, 2, 0), (3, 3, 3)):
        point, at, new = np.random.default_rng(0).normal(size=(n, 2, m)), np.arange(k), np.random.default_rng(1).normal(size=(k, 2))
        expected = point.copy()
        expected[at, :, at] = new
        expected[0] += 1
        np.maximum.at(expected, (at, 0, 0), new[:, 0])
        value, slope = run(point, at, new)
        np.testing.assert_allclose(value, expected)
        assert slope.shape == (k, 2)


# ---------------------------------------------------------------- segments
@both
@pytest.mark.parametrize("dtype", ["float64", "int32"])
@pytest.mark.parametrize("name", ["segment_sum", "segment_max", "segment_min"])
def test_segments_are_those_of_jax(name: str, dtype: str, backend: str) -> None:
    import jax

    data, ids = (np.random.default_rng(0).normal(size=(6, 2)) * 10).astype(dtype), np.int32([3, 0, 0, 3, 1, 0])
    x, i = gc.input("x", data.shape, dtype), gc.input("i", ids.shape, "int32")
    found = gc.compile([x, i], getattr(gc, name)(x, i, num_segments=5), backend=backend)(data, ids)
    with jax.enable_x64(True):
        expected = getattr(jax.ops, name)(data, ids, num_segments=5)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected))


def test_gradients_of_segments() -> None:
    x, ids = gc.input("x", (6, 2), "float64"), [3, 0, 0, 3, 1, 0]
    for reduce in (gc.segment_sum, gc.segment_max, gc.segment_min):
        y = reduce(gc.sin(x), ids, num_segments=4)
        assert check_gradient(gc.where(gc.isfinite(y), y * y, 0), x, order=2)


@both
def test_bincount_is_numpys(backend: str) -> None:
    numbers, weights = np.array([1, 4, 1, 0, 4, 4]), np.arange(6.0)
    x, w = gc.input("x", (6,), "int64"), gc.input("w", (6,), "float64")
    plain, weighted = gc.bincount(x, length=6), gc.bincount(x, w, length=6)
    counts, sums, slope = gc.compile([x, w], [plain, weighted, gc.grad(gc.sum(weighted**2), w)], backend=backend)(numbers, weights)
    np.testing.assert_array_equal(counts, np.bincount(numbers, minlength=6))
    np.testing.assert_array_equal(sums, np.bincount(numbers, weights, 6))
    np.testing.assert_allclose(slope, 2 * np.bincount(numbers, weights, 6)[numbers])
    with pytest.raises(gc.errors.ShapeError, match="is not a vector"):
        gc.bincount(gc.input("x", (2, 2), "int64"), length=3)


# ---------------------------------------------------------------- blocks
@both
@pytest.mark.parametrize("start", [(0, 0), (1, 2), (9, 9), (-1, -3), (-99, 1)])
def test_blocks_are_those_of_lax(start: tuple[int, int], backend: str) -> None:
    import jax

    point, new = np.arange(12.0).reshape(4, 3), -np.ones((2, 2))
    x, v, i = gc.input("x", (4, 3), "float64"), gc.input("v", (2, 2), "float64"), gc.input("i", (), "int32")
    outputs = [gc.slice(x, [i, start[1]], (2, 2)), gc.slice_update(x, [i, start[1]], v)]
    found = gc.compile([x, v, i], outputs, backend=backend)(point, new, start[0])
    with jax.enable_x64(True):
        expected = jax.lax.dynamic_slice(point, start, (2, 2)), jax.lax.dynamic_update_slice(point, new, start)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    assert check_gradient(gc.sin(outputs[0]), x, at={i: start[0]}, order=2)
    assert check_gradient(gc.sin(outputs[1]), [x, v], at={i: start[0]}, order=2)


def test_blocks_that_are_too_large_are_refused() -> None:
    x = gc.input("x", (4, 3))
    with pytest.raises(gc.errors.ShapeError, match=r"there is no block of shape \(5, 1\)"):
        gc.slice(x, [0, 0], (5, 1))
    with pytest.raises(gc.errors.ShapeError, match=r"fits: shape \(2,\)"):
        gc.slice(x, [0], (2, 2))
    with pytest.raises(gc.errors.DTypeError, match="cannot be indices"):
        gc.slice(x, [0.5, 1.0], (2, 2))
