"""Normalisations against their definitions in NumPy, in every dtype and for sizes that have a name; dropout."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import toposort
from graphc.testing import check_gradient

both = pytest.mark.parametrize("backend", ["numpy", "jax"])
NARROW = ["float16", "bfloat16"]


def drawn(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def evaluated(y: Any, values: dict[Any, Any], backend: str = "numpy") -> Any:
    result = gc.compile(list(values), y, backend=backend)(*values.values())
    return [np.asarray(part) for part in result] if isinstance(result, list | tuple) else np.asarray(result)


def placed(value: Any, ndim: int, axes: tuple[int, ...]) -> Any:
    shape = [1] * ndim
    for axis, size in zip(axes, np.shape(value), strict=True):
        shape[axis] = size
    return np.reshape(value, shape)


# ---------------------------------------------------------------- layer and rms norm
AXES: list[tuple[tuple[int, ...], Any]] = [
    ((2, 3), -1),
    ((2, 3), 0),
    ((2, 3), (0, 1)),
    ((2, 4, 3), 1),
    ((2, 4, 3), (1, 2)),
    ((2, 4, 3), (-1, 0)),
    ((2, 1), -1),
    ((0, 3), -1),
    ((5,), None),
]


@both
@pytest.mark.parametrize(("shape", "axis"), AXES)
@pytest.mark.parametrize("epsilon", [1e-7, 0.1])
def test_layer_and_rms_norm_are_their_formulas(shape: tuple[int, ...], axis: Any, epsilon: float, backend: str) -> None:
    axes = tuple(sorted(i % len(shape) for i in (range(len(shape)) if axis is None else np.atleast_1d(axis).tolist())))
    sizes = tuple(shape[i] for i in axes)
    value, a, b = drawn(*shape), drawn(*sizes, seed=1), drawn(*sizes, seed=2)
    x, scale, offset = gc.input("x", shape, "float64"), gc.input("scale", sizes, "float64"), gc.input("offset", sizes, "float64")
    found = evaluated(
        [
            gc.layer_norm(x, axis=axis, epsilon=epsilon),
            gc.layer_norm(x, scale, offset, axis, epsilon),
            gc.rms_norm(x, axis=axis, epsilon=epsilon),
            gc.rms_norm(x, scale, axis, epsilon),
        ],
        {x: value, scale: a, offset: b},
        backend,
    )
    mean, square = value.mean(axes, keepdims=True), np.square(value).mean(axes, keepdims=True)
    plain = (value - mean) / np.sqrt(value.var(axes, keepdims=True) + epsilon)
    root = value / np.sqrt(square + epsilon)
    a, b = placed(a, len(shape), axes), placed(b, len(shape), axes)
    for result, expected in zip(found, [plain, plain * a + b, root, root * a], strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_their_gradients_are_the_differences(name: str) -> None:
    x, scale = gc.input("x", (2, 3, 2), "float64"), gc.input("scale", (3, 2), "float64")
    y = getattr(gc, name)(x, scale, axis=(1, 2), epsilon=0.01)
    assert check_gradient(y, [x, scale], order=2)


@both
@pytest.mark.parametrize("dtype", NARROW)
def test_statistics_of_half_precision_are_those_of_float32(dtype: str, backend: str) -> None:
    """In float16 the sum of these is above 65,504 and their squares overflow."""
    x = gc.input("x", (2, 512), dtype)
    values = np.asarray(evaluated(gc.cast(x, "float32"), {x: np.stack([drawn(512) * 8 + 1000, drawn(512, seed=1) * 2e4])}))
    y = {"layer": gc.layer_norm(x), "rms": gc.rms_norm(x), "variance": gc.moments(x, 1)[1], "length": gc.l2_normalize(x)}
    found = gc.compile([x], y, backend=backend)(values)
    exact = values.astype("float64")
    centred = exact - exact.mean(1, keepdims=True)
    expected = {
        "layer": centred / exact.std(1, keepdims=True),
        "rms": exact / np.sqrt(np.square(exact).mean(1, keepdims=True)),
        "length": exact / np.sqrt(np.square(exact).sum(1, keepdims=True)),
    }
    step = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    for name, known in expected.items():
        assert str(found[name].dtype) == dtype
        np.testing.assert_allclose(np.asarray(found[name]).astype("float64"), known, rtol=step, atol=1e-6, err_msg=name)
    assert np.asarray(found["variance"])[0].astype(float) == pytest.approx(exact[0].var(), rel=step)


@both
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "l2_normalize"])
def test_gradients_of_half_precision_are_those_of_float32(name: str, backend: str) -> None:
    values, weights = (drawn(2, 64) * 300 + 100).astype("float16"), drawn(2, 64, seed=1).astype("float16")
    gradients = []
    for dtype in ("float16", "float64"):
        x = gc.input("x", (2, 64), dtype)
        y = gc.sum(gc.cast(getattr(gc, name)(x) * gc.constant(weights, dtype), "float32"))
        gradients.append(evaluated(gc.grad(y, x), {x: values.astype(dtype)}, backend).astype("float64"))
    np.testing.assert_allclose(*gradients, rtol=0.01, atol=2e-5)


@both
def test_what_is_all_equal_is_0_with_a_finite_gradient(backend: str) -> None:
    x = gc.input("x", (2, 3), "float32")
    for norm in (gc.layer_norm, gc.rms_norm, gc.l2_normalize):
        y = norm(x)
        value, dx = evaluated([y, gc.grad(gc.sum(y * gc.constant([1.0, 2, 4])), x)], {x: np.zeros((2, 3), "float32")}, backend)
        np.testing.assert_array_equal(value, 0)
        assert np.isfinite(dx).all()
    x7 = np.full((2, 3), 7, "float32")
    np.testing.assert_array_equal(evaluated(gc.layer_norm(x), {x: x7}, backend), 0)


@both
def test_a_large_mean_does_not_cancel(backend: str) -> None:
    x = gc.input("x", (1, 4), "float32")
    values = np.float32([[10000, 10001, 10002, 10003]])
    found = evaluated([gc.layer_norm(x), gc.moments(x, 1)[1]], {x: values}, backend)
    np.testing.assert_allclose(found[0], [[-1.3416408, -0.4472136, 0.4472136, 1.3416408]], rtol=1e-6)
    np.testing.assert_allclose(found[1], [1.25])


def test_they_stay_whole_until_the_target_takes_them_apart() -> None:
    x = gc.input("x", (2, 3))
    assert [node.op.name for node in toposort([gc.layer_norm(x)]) if node.op] == ["layer_norm"]
    assert gc.layer_norm(x) is gc.layer_norm(x, axis=1)


def test_named_sizes() -> None:
    x = gc.input("x", ("batch", "n"), "float64")
    scale = gc.input("scale", ("n",), "float64")
    outputs = [gc.layer_norm(x, scale), gc.rms_norm(x, scale), gc.l2_normalize(x), gc.moments(x, 0)[1]]
    total = gc.sum(gc.sin(outputs[0]) + outputs[1] * outputs[2])
    run = gc.compile([x, scale], [*outputs, *gc.grad(total, [x, scale])])
    for shape in ((2, 3), (4, 5), (0, 2)):
        value, a = drawn(*shape), drawn(shape[1], seed=1)
        found = run(value, a)
        expected = (value - value.mean(1, keepdims=True)) / np.sqrt(value.var(1, keepdims=True) + 1e-7) * a
        np.testing.assert_allclose(found[0], expected, rtol=1e-12)
        assert found[4].shape == shape


# ---------------------------------------------------------------- batch and group norm
@both
@pytest.mark.parametrize(("shape", "axis"), [((4, 3), -1), ((2, 3, 4), 1), ((2, 3, 4, 2), -1), ((3, 2), 0)])
def test_batch_norm_is_its_formula(shape: tuple[int, ...], axis: int, backend: str) -> None:
    count = shape[axis]
    names = ("mean", "variance", "offset", "scale")
    parts = {name: gc.input(name, (count,), "float64") for name in names}
    values = {name: np.abs(drawn(count, seed=i)) for i, name in enumerate(names)}
    x, value = gc.input("x", shape, "float64"), drawn(*shape, seed=9)
    found = evaluated(gc.batch_norm(x, axis=axis, **parts), {x: value, **{parts[name]: values[name] for name in names}}, backend)
    m, v, b, a = (placed(values[name], len(shape), (axis % len(shape),)) for name in names)
    np.testing.assert_allclose(found, (value - m) / np.sqrt(v + 1e-3) * a + b, rtol=1e-12)


def test_batch_norm_with_the_moments_of_the_batch_is_centred_and_differentiable() -> None:
    x = gc.input("x", (5, 3), "float64")
    y = gc.batch_norm(x, *gc.moments(x, 0), epsilon=0.01)
    np.testing.assert_allclose(gc.evaluate(gc.sum(y, axis=0), {x: drawn(5, 3)}), 0, atol=1e-12)
    assert check_gradient(y, x, order=2)


def test_batch_norm_of_half_precision_takes_statistics_in_float32() -> None:
    x, m, v = gc.input("x", (2, 3), "float16"), gc.input("m", (3,), "float32"), gc.input("v", (3,), "float32")
    y = gc.batch_norm(x, m, v)
    assert y.dtype == "float16"
    value = np.float16([[60000, 1, 2], [50016, 3, 4]])
    found = gc.evaluate(y, {x: value, m: [55008, 2, 3], v: [4992**2, 1, 1]})
    np.testing.assert_allclose(found, [[1, -1, -1], [-1, 1, 1]], rtol=2e-3)


@both
@pytest.mark.parametrize(("shape", "axis", "groups"), [((2, 6), -1, 3), ((2, 4, 6), -1, 2), ((2, 6, 3, 2), 1, 3), ((2, 3, 4), -1, 4)])
def test_group_norm_is_its_formula(shape: tuple[int, ...], axis: int, groups: int, backend: str) -> None:
    value, a, b = drawn(*shape), drawn(shape[axis], seed=1), drawn(shape[axis], seed=2)
    x, scale, offset = (gc.input(name, np.shape(v), "float64") for name, v in (("x", value), ("scale", a), ("offset", b)))
    found = evaluated(gc.group_norm(x, groups, scale, offset, axis), {x: value, scale: a, offset: b}, backend)
    moved = np.moveaxis(value, axis, 1)
    rows = moved.reshape(shape[0] * groups, -1)
    rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-3)
    place = (axis % len(shape),)
    expected = np.moveaxis(rows.reshape(moved.shape), 1, axis) * placed(a, len(shape), place) + placed(b, len(shape), place)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_one_group_a_channel_and_one_of_all() -> None:
    x = gc.input("x", ("batch", 4, 3), "float64")
    value = drawn(2, 4, 3)
    one, each = gc.evaluate([gc.group_norm(x, 1), gc.group_norm(x, 3)], {x: value})
    whole, rows = gc.evaluate([gc.layer_norm(x, axis=(1, 2), epsilon=1e-3), gc.layer_norm(x, axis=1, epsilon=1e-3)], {x: value})
    np.testing.assert_allclose(one, whole)
    np.testing.assert_allclose(each, rows)


# ---------------------------------------------------------------- length
@both
def test_l2_normalize(backend: str) -> None:
    x = gc.input("x", (4, 2), "float64")
    value = np.array([[3.0, 4], [0, 0], [3e-200, 4e-200], [3e200, 4e200]])
    y = gc.l2_normalize(x, epsilon=1e-250)
    found, dx = evaluated([y, gc.grad(gc.sum(y[:, 0]), x)], {x: value}, backend)
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [0.6, 0.8], [0.6, 0.8]], rtol=1e-12)
    slopes = {0: [0.128, -0.096], 1: [1e250, 0], 3: [0.64 / 5e200, -0.48 / 5e200]}
    rows = [*slopes] if backend == "numpy" else [0]  # XLA may divide by a product, which overflows
    np.testing.assert_allclose(dx[rows], [slopes[row] for row in rows], rtol=1e-9)
    assert check_gradient(gc.l2_normalize(x), x, order=2)


def test_below_epsilon_it_is_a_multiple() -> None:
    x = gc.input("x", (2,), "float32")
    y = gc.l2_normalize(x, epsilon=0.5)
    value, dx = gc.evaluate([y, gc.grad(gc.sum(y), x)], {x: [0.0, 0.0]})
    np.testing.assert_array_equal(value, [0, 0])
    np.testing.assert_array_equal(dx, [2, 2])


# ---------------------------------------------------------------- dropout
def test_dropout_keeps_the_mean_and_is_the_same_on_both_backends() -> None:
    x, key = gc.input("x", (200, 300)), gc.random.key(3)
    y = gc.dropout(x, 0.3, key)
    outputs = [y, gc.grad(gc.sum(y), x)]
    value = np.ones((200, 300), "float32")
    (ours, dx), (theirs, dx_jax) = (evaluated(outputs, {x: value}, backend) for backend in ("numpy", "jax"))
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(dx, dx_jax)
    np.testing.assert_array_equal(dx, ours)
    np.testing.assert_allclose(np.unique(ours), [0, 1 / 0.7], rtol=1e-6)
    assert np.mean(ours) == pytest.approx(1, abs=0.01)


def test_dropout_at_its_ends_and_of_infinities() -> None:
    x, key = gc.input("x", (3,)), gc.random.key(0)
    assert gc.dropout(x, 0, key) is x
    np.testing.assert_array_equal(gc.evaluate(gc.dropout(x, 1, key), {x: [1, 2, np.inf]}), [0, 0, 0])
    half = gc.evaluate(gc.dropout(gc.full((1000,), np.inf), 0.5, key))
    assert set(half.tolist()) == {0.0, np.inf}


def test_places_that_share_their_fate() -> None:
    x = gc.input("x", ("batch", 4, 3))
    found = gc.evaluate(gc.dropout(x, 0.5, gc.random.key(1), noise_shape=(1, 4, 1)), {x: np.ones((50, 4, 3), "float32")})
    np.testing.assert_array_equal(found, np.broadcast_to(found[:1, :, :1], found.shape))
    assert gc.dropout(gc.input("h", (2, 3), "float16"), 0.5, gc.random.key(1)).dtype == "float16"


# ---------------------------------------------------------------- bad input
def _x(*shape: Any) -> Any:
    return gc.input("x", shape or (2, 6))


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "a scale of another size": (lambda: gc.layer_norm(_x(), np.ones(5, "float32")), gc.errors.ShapeError, r"scale has shape \(5,\)"),
    "an offset of all axes": (lambda: gc.layer_norm(_x(), None, np.ones((2, 6))), gc.errors.ShapeError, "offset has shape"),
    "an axis of layer_norm": (lambda: gc.layer_norm(_x(), axis=2), gc.errors.ArgumentError, "there is no axis 2"),
    "an axis of batch_norm": (lambda: gc.batch_norm(_x(), np.ones(6), np.ones(6), axis=2), gc.errors.ArgumentError, "there is no axis 2"),
    "a mean of another size": (lambda: gc.batch_norm(_x(), np.ones(2), np.ones(6)), gc.errors.ShapeError, "mean has shape"),
    "groups that do not divide": (lambda: gc.group_norm(_x(), 4), gc.errors.ShapeError, "4 groups of 6 channels"),
    "groups of a named size": (lambda: gc.group_norm(_x(2, "n"), 4), gc.errors.ShapeError, "4 groups of n channels"),
    "groups of samples": (lambda: gc.group_norm(_x(), 2, axis=0), gc.errors.ArgumentError, "axis 0 is that of the samples"),
    "a rate above 1": (lambda: gc.dropout(_x(), 1.5, gc.random.key(0)), gc.errors.ArgumentError, "a rate of 1.5"),
    "noise of another shape": (lambda: gc.dropout(_x(), 0.5, gc.random.key(0), (3, 6)), gc.errors.ShapeError, "noise of shape"),
    "noise of more axes": (lambda: gc.dropout(_x(), 0.5, gc.random.key(0), (1, 2, 6)), gc.errors.ShapeError, "noise of shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_in_three_parts(name: str) -> None:
    build, kind, message = BAD[name]
    with pytest.raises(kind, match=message) as caught:
        build()
    error: Any = caught.value
    assert error.asked
    assert error.given
    assert error.fits
