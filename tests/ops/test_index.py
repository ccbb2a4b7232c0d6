"""Indexing is NumPy's: what stands between the brackets, on both backends, and what goes back through it."""

import itertools
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.testing import check_gradient

both = pytest.mark.parametrize("backend", ["numpy", "jax"])

A, B, C = np.array([0, 2, -1]), np.array([[1], [0]]), np.array([1, 1, 0])
MASK = np.array([[True, False, True, False], [False, False, True, True], [True, True, False, False]])
# The items of every index below are drawn from these; arrays are inputs of the graph.
ITEMS: tuple[Any, ...] = (1, slice(None), slice(None, None, -2), None, ..., A, C)


def _legal(index: tuple[Any, ...]) -> bool:
    return sum(item is ... for item in index) < 2 and sum(item is not None and item is not ... for item in index) < 4


INDICES: list[Any] = [
    *[index for n in (1, 2, 3, 4) for index in itertools.product(ITEMS, repeat=n) if _legal(index)],
    (A, B),
    (B, slice(None), A),
    (None, B, 1, A),
    (B, ..., None, C),
    (np.zeros((0,), int), slice(None)),
    (np.zeros((0, 2), int), A[:2]),
    (np.array(1), np.array(0)),
    (np.array(1), slice(1), A),
]
MASKS: list[Any] = [
    MASK,
    (MASK, 1),
    (MASK, A[:2].repeat(3)),
    (slice(None), np.array([True, False, True, False])),
    ([True, False, True],),
    (np.array([False, False, False]), ...),
    (None, MASK, None),
    (..., np.array([True, True, False]), None),
]
LISTS: list[Any] = [[0, 2], ([0, 1], [1, 1]), [[0], [1]], ([0, 1], slice(None), [1, 1]), [], ((0, 2), 1), (np.int8(1), np.array(2))]
SHAPE = (3, 4, 3)


def _graph(index: Any, made: dict[Any, Any]) -> Any:
    """``x[index]`` with the integer arrays of the index as inputs."""
    return tuple([_input(item, made) if isinstance(item, np.ndarray) and item.dtype == np.int64 else item for item in index])


def _input(value: Any, made: dict[Any, Any]) -> Any:
    made[gc.input("i", value.shape, "int64")] = value
    return list(made)[-1]


def _run(outputs: Any, values: dict[Any, Any], backend: str) -> list[Any]:
    return [np.asarray(found) for found in gc.compile(list(values), outputs, backend=backend)(*values.values())]


def _in_one_go(indices: list[Any], backend: str, constants: bool) -> None:
    """All of them in one function: the value, and the gradient, which adds up where a place is read twice."""
    point = np.random.default_rng(0).normal(size=SHAPE)
    x = gc.input("x", SHAPE, "float64")
    values: dict[Any, Any] = {x: point}
    outputs, expected = [], []
    for index in indices:
        y = x[index if constants else _graph(index, values)]
        theirs = point[index]
        weights = np.random.default_rng(1).normal(size=theirs.shape)
        outputs += [y, gc.vjp(y, x, weights)]
        back = np.zeros(SHAPE)
        np.add.at(back, index, weights)
        expected += [theirs, back]
        assert y.shape == theirs.shape, index
    for found, wanted, index in zip(_run(outputs, values, backend), expected, np.repeat(range(len(indices)), 2), strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-12, err_msg=str(indices[index]))


def test_every_index_has_numpys_shape() -> None:
    assert len(INDICES) > 1000
    x, point = gc.input("x", SHAPE), np.zeros(SHAPE)
    for index in INDICES:
        assert x[_graph(index, {})].shape == point[index].shape, index


@pytest.mark.parametrize(("backend", "step"), [("numpy", 5), ("jax", 61)])
def test_every_index_is_numpys(backend: str, step: int) -> None:
    _in_one_go(INDICES[::step] + INDICES[-8:], backend, constants=False)


@both
def test_masks_and_lists_are_numpys(backend: str) -> None:
    _in_one_go(MASKS + [index for index in LISTS if index != []], backend, constants=True)
    x = gc.constant(np.arange(3.0))
    assert x[[]].shape == (0,)


def test_tensors_in_a_list_are_one_tensor_of_indices() -> None:
    x, i = gc.input("x", (4, 2)), gc.input("i", (), "int32")
    point = np.arange(8, dtype="float32").reshape(4, 2)
    np.testing.assert_array_equal(gc.evaluate(x[[i, 0]], {x: point, i: 3}), point[[3, 0]])


@pytest.mark.parametrize(
    "index", [(A, slice(None), C), (slice(1, None), B, A), (B, None, 0, A[:2])], ids=["apart", "together", "with a number"]
)
def test_gradients_of_gradients(index: Any) -> None:
    x = gc.input("x", SHAPE, "float64")
    assert check_gradient(gc.sin(x[index]) * x[index], x, order=2)


@both
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64"])
def test_narrow_indices_reach_behind_what_they_can_count(dtype: str, backend: str) -> None:
    """JAX adds the size to negative indices in their own dtype."""
    point = np.arange(300.0)
    x, i = gc.input("x", (300,), "float64"), gc.input("i", (2,), dtype)
    at = np.array([-1 if dtype[0] == "i" else 200, 5]).astype(dtype)
    value, slope = gc.compile([x, i], [x[i], gc.grad(gc.sum(x[i]), x)], backend=backend)(point, at)
    np.testing.assert_array_equal(value, point[at])
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(slope)), sorted(np.arange(300)[at]))


def test_named_sizes() -> None:
    x, i = gc.input("x", ("n", 3, "m"), "float64"), gc.input("i", ("k",), "int64")
    y = x[i, :, i]
    assert str(y.shape) == "(k, 3)"
    run = gc.compile([x, i], [y, gc.grad(gc.sum(y), x)])
    for n, m, k in ((4, 5, 2), (2, 2, 0), (1, 3, 1)):
        point, at = np.random.default_rng(0).normal(size=(n, 3, m)), np.arange(k)
        back = np.zeros((n, 3, m))
        np.add.at(back, (at, slice(None), at), 1)
        value, slope = run(point, at)
        np.testing.assert_array_equal(value, point[at, :, at])
        np.testing.assert_array_equal(slope, back)


# ---------------------------------------------------------------- out of bounds
def test_an_index_out_of_bounds_names_axis_and_size() -> None:
    x, i, j = gc.input("x", (4, 3, 2)), gc.input("i", (2,), "int32"), gc.input("j", (2,), "int32")
    zeros = np.zeros((4, 3, 2), "float32")
    for index, bad, axis, size in (((slice(None), i, j), (3, 0), 1, 3), ((slice(None), i, j), (0, -3), 2, 2), ((..., i, j), (-4, 0), 1, 3)):
        with pytest.raises(IndexError, match=rf"index {next(b for b in bad if b)} is out of bounds for axis {axis} with size {size}"):
            gc.compile([x, i, j], x[index])(zeros, *[np.int32([0, b]) for b in bad])
    with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
        gc.compile([x, i], gc.grad(gc.sum(x[i]), x))(zeros, np.int32([0, 4]))


def test_an_index_out_of_bounds_on_jax_reads_nan_and_writes_nothing() -> None:
    x, i, j = gc.input("x", (4, 3)), gc.input("i", (2,), "int32"), gc.input("j", (2,), "int32")
    y = x[i, j]
    value, slope = gc.compile([x, i, j], [y, gc.grad(gc.sum(y), x)], backend="jax")(np.ones((4, 3), "float32"), [0, 1], [0, 3])
    np.testing.assert_array_equal(value, [1, np.nan])
    assert (np.asarray(slope).sum(), np.asarray(slope)[0, 0]) == (1, 1)


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "a known index": (lambda x: x[[0, 4]], IndexError, "index 4 is out of bounds for axis 0 with size 4"),
    "too many": (lambda x: x[A, A, A], gc.errors.ArgumentError, "3 indices for 2 axes"),
    "too many by a mask": (lambda x: x[MASK.T, 0], gc.errors.ArgumentError, "3 indices for 2 axes"),
    "two gaps": (lambda x: x[..., A, ...], gc.errors.ArgumentError, "occurs twice"),
    "floats": (lambda x: x[x], gc.errors.DTypeError, "float32 values cannot be indices"),
    "a mask of another shape": (lambda x: x[MASK], gc.errors.ShapeError, r"a mask of shape \(3, 4\)"),
    "a mask without axes": (lambda x: x[gc.constant(True)], gc.errors.ShapeError, "a mask of shape"),
    "a truth value": (lambda x: x[True], gc.errors.ArgumentError, "True cannot index an axis"),
    "a mask that is computed": (lambda x: x[x > 0], gc.errors.DTypeError, r"(?s)how many elements.*gc\.where"),
    "do not broadcast": (lambda x: x[A, [0, 1]], gc.errors.ShapeError, "sizes 3 and 2"),
    "one of each row": (lambda x: gc.take_along_axis(x, gc.constant([0, 1])), gc.errors.ShapeError, "indices of 1 axes for 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_an_index_is_refused(name: str) -> None:
    build, error, message = WRONG[name]
    with pytest.raises(error, match=message) as caught:
        build(gc.input("x", (4, 3)))
    assert isinstance(caught.value, gc.errors.GraphcError)
    assert caught.value.given
    assert caught.value.fits


# ---------------------------------------------------------------- an index for each element
@both
@pytest.mark.parametrize(
    ("shape", "wanted", "axis"), [((3, 4), (3, 2), 1), ((3, 1, 2), (1, 5, 2), 0), ((3, 4), (3, 4), -2), ((2, 0), (2, 0), 1)]
)
def test_take_along_axis_is_numpys(shape: Any, wanted: Any, axis: int, backend: str) -> None:
    rng = np.random.default_rng(0)
    point, at = rng.normal(size=shape), rng.integers(-shape[axis], max(1, shape[axis]), wanted) if 0 not in shape else np.zeros(wanted, int)
    x, i = gc.input("x", shape, "float64"), gc.input("i", wanted, "int64")
    y = gc.take_along_axis(x, i, axis=axis)
    (value,) = _run([y], {x: point, i: at}, backend)
    np.testing.assert_array_equal(value, np.take_along_axis(point, at, axis))
    assert check_gradient(y, x, at={x: point, i: at})


def test_take_along_axis_out_of_bounds() -> None:
    x, i = gc.input("x", (2, 3)), gc.input("i", (2, 1), "int32")
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 1 with size 3"):
        gc.compile([x, i], gc.take_along_axis(x, i))(np.zeros((2, 3), "float32"), np.int32([[0], [3]]))
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 1 with size 3"):
        gc.compile([x, i], gc.grad(gc.sum(gc.take_along_axis(x, i)), x))(np.zeros((2, 3), "float32"), np.int32([[0], [3]]))
