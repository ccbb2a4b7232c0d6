"""Pooling, patches and resizing against JAX and SciPy, the policy at ties and borders, sizes with names, stacks, bad calls."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from scipy import ndimage

import graphc as gc
from graphc.core import dtypes
from graphc.grad import vjp
from graphc.ops import pooling

both = pytest.mark.parametrize("backend", ["numpy", "jax"])


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """JAX has 64-bit types in these tests, and is afterwards as it was."""
    with jax.enable_x64(True):
        yield


def run(build: Any, *arrays: Any, backend: str = "numpy") -> Any:
    inputs = [gc.input(f"x{i}", array.shape, array.dtype) for i, array in enumerate(arrays)]
    result = gc.compile(inputs, build(*inputs), backend=backend)(*arrays)
    return [np.asarray(r) for r in result] if isinstance(result, list | tuple) else np.asarray(result)


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed + len(shape)).normal(size=shape)


def first(x: Any) -> Any:
    return np.moveaxis(x, -1, 1)


def reduced(x: Any, start: float, by: Any, size: Any, strides: Any, padding: Any, dilation: Any) -> Any:
    padding = padding.upper() if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    return jax.lax.reduce_window(x, start, by, (1, *size, 1), (1, *strides, 1), padding, window_dilation=(1, *dilation, 1))


PRODUCT = [
    *itertools.product([(9,)], [(2,), (3,)], [(1,), (2,), (3,)], ["valid", "same", ((1, 0),)], [(1,), (2,)]),
    *itertools.product([(6, 7)], [(2, 2), (3, 2)], [(1, 1), (2, 3)], ["valid", "same", ((0, 1), (1, 1))], [(1, 1), (2, 1)]),
    *itertools.product([(4, 5, 3)], [(2, 3, 1)], [(1, 2, 1)], ["valid", "same"], [(1, 1, 1)]),
]
TABLE = PRODUCT[::5]  # spread over all values; the whole of it passes too, and takes a minute of XLA's


@pytest.mark.parametrize(("space", "size", "strides", "padding", "dilation"), TABLE)
def test_values_and_gradients_are_those_of_reduce_window(space: Any, size: Any, strides: Any, padding: Any, dilation: Any) -> None:
    x, rest = numbers(2, *space, 3), (size, strides, padding, dilation)
    ones = np.ones_like(x)
    largest, of_largest = jax.vjp(lambda x: reduced(x, -np.inf, jax.lax.max, *rest), x) if dilation == (1,) * len(size) else (None, None)
    means, of_means = jax.vjp(lambda x: reduced(x, 0.0, jax.lax.add, *rest) / reduced(ones, 0.0, jax.lax.add, *rest), x)
    g = numbers(*means.shape, seed=2)

    def build(x: Any, g: Any) -> list[Any]:
        best, mean = gc.max_pool(x, size, strides, padding, dilation_rate=dilation), gc.average_pool(x, *rest[:3], dilation_rate=dilation)
        return [best, vjp(best, x, g), mean, vjp(mean, x, g)]

    best, dbest, mean, dmean = run(build, x, g)
    np.testing.assert_allclose(mean, means, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(dmean, of_means(g)[0], rtol=1e-11, atol=1e-12)
    if largest is None:
        np.testing.assert_array_equal(best, reduced(x, -np.inf, jax.lax.max, *rest))
        assert np.sum(dbest) == pytest.approx(np.sum(g))
    else:
        np.testing.assert_array_equal(best, largest)
        np.testing.assert_allclose(dbest, of_largest(g)[0], rtol=1e-11, atol=1e-12)


# What takes several blocks of images: windows apart, that overlap, that leave items out, over padding, of one axis after the other.
BLOCKS: dict[str, tuple[Any, Any, Any, Any]] = {
    "apart": ((30, 26, 26, 12), (2, 2), (2, 2), "valid"),
    "leaving items out": ((30, 27, 29, 12), (2, 3), (2, 4), "valid"),
    "overlapping": ((30, 20, 22, 12), (3, 3), (2, 2), "same"),
    "one after the other": ((20, 30, 22, 6), (5, 4), (1, 1), "same"),
    "one axis": ((50, 400, 8), (4,), (4,), "same"),
    "volumes": ((20, 8, 9, 10, 5), (2, 2, 2), (2, 2, 2), "valid"),
    "one window": ((50, 8, 8, 9), (8, 8), (8, 8), "valid"),
    "one tap": ((50, 20, 20, 5), (1, 1), (2, 2), "valid"),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_what_takes_several_blocks_is_reduce_window_too(name: str) -> None:
    shape, size, strides, padding = BLOCKS[name]
    x, dilation = numbers(*shape), (1,) * len(size)
    largest, of_largest = jax.vjp(lambda x: reduced(x, -np.inf, jax.lax.max, size, strides, padding, dilation), x)
    total, of_total = jax.vjp(lambda x: reduced(x, 0.0, jax.lax.add, size, strides, padding, dilation), x)
    g = numbers(*largest.shape, seed=2)

    def build(x: Any, g: Any) -> list[Any]:
        best, mean = gc.max_pool(x, size, strides, padding), gc.average_pool(x, size, strides, padding, count_padding=True)
        return [best, vjp(best, x, g), mean, vjp(mean, x, g)]

    best, dbest, mean, dmean = run(build, x, g)
    count = np.prod(size)
    np.testing.assert_array_equal(best, largest)
    np.testing.assert_allclose(dbest, of_largest(g)[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(mean, total / count, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(dmean, of_total(g)[0] / count, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("size", "strides"), [(2, 2), (3, 1), (20, 20)])
def test_many_items_may_tie(dtype: str, size: int, strides: int) -> None:
    """Each window passes on all of its cotangent, in shares of one over the number that tie."""
    x = gc.input("x", (2, 40, 40, 3), dtype)
    y = gc.max_pool(x, size, strides)
    places = (40 - size) // strides + 1
    expected = np.zeros((40, 40))
    for i, j in itertools.product(range(places), repeat=2):
        expected[i * strides : i * strides + size, j * strides : j * strides + size] += 1 / size**2
    found = gc.compile([x], gc.grad(gc.sum(gc.cast(y, dtype="float64")), x))(np.zeros(x.shape, dtypes.numpy_dtype(dtype)))
    np.testing.assert_allclose(found.astype("float64"), np.broadcast_to(expected[..., None], x.shape), rtol=0.04)


@both
@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
def test_channels_first_is_channels_last_moved(name: str, backend: str) -> None:
    x, pool = numbers(2, 5, 6, 3), getattr(gc, name)
    expected = run(lambda x: pool(x, (2, 3), padding="same"), x)
    found = run(lambda x: pool(x, (2, 3), padding="same", data_format="channels_first"), first(x), backend=backend)
    np.testing.assert_allclose(found, first(expected), rtol=1e-12)


def test_scipys_filters_agree_inside() -> None:
    x = numbers(8, 9)
    largest = run(lambda x: gc.max_pool(x, 3, 1), x[None, :, :, None])[0, :, :, 0]
    mean = run(lambda x: gc.average_pool(x, 3, 1), x[None, :, :, None])[0, :, :, 0]
    np.testing.assert_array_equal(largest, ndimage.maximum_filter(x, 3)[1:-1, 1:-1])
    np.testing.assert_allclose(mean, ndimage.uniform_filter(x, 3)[1:-1, 1:-1], rtol=1e-11)


# ---------------------------------------------------------------- the policy
@both
def test_items_that_tie_share_evenly(backend: str) -> None:
    x = np.array([2.0, 2, 1, 3, 3, 3]).reshape(1, 6, 1)
    gradient = run(lambda x: gc.grad(gc.sum(gc.max_pool(x, 3)), x), x, backend=backend)
    np.testing.assert_allclose(gradient.ravel(), [0.5, 0.5, 0, 1 / 3, 1 / 3, 1 / 3])
    overlapping = run(lambda x: gc.grad(gc.sum(gc.max_pool(x, 2, 1)), x), x, backend=backend)
    np.testing.assert_allclose(overlapping.ravel(), [0.5, 1.5, 0, 1.5, 1, 0.5])


@both
def test_padding_is_never_the_largest_and_takes_no_share(backend: str) -> None:
    x = np.array([-3.0, -2, -np.inf]).reshape(1, 3, 1)

    def build(x: Any) -> list[Any]:
        y = gc.max_pool(x, 3, 2, ((2, 2),))
        return [y, gc.grad(gc.sum(y), x)]

    value, gradient = run(build, x, backend=backend)
    np.testing.assert_array_equal(value.ravel(), [-3, -2, -np.inf])
    np.testing.assert_array_equal(gradient.ravel(), [1, 1, 1])


@both
def test_border_windows_are_divided_by_what_they_have_unless_asked(backend: str) -> None:
    x = np.arange(1.0, 6).reshape(1, 5, 1)
    both = run(lambda x: [gc.average_pool(x, 3, 2, "same"), gc.average_pool(x, 3, 2, "same", count_padding=True)], x, backend=backend)
    np.testing.assert_allclose(both[0].ravel(), [1.5, 3, 4.5])
    np.testing.assert_allclose(both[1].ravel(), [1, 3, 3])


@both
def test_a_maximum_of_nan_is_nan(backend: str) -> None:
    found = run(lambda x: gc.max_pool(x, 2), np.array([1.0, np.nan, 2, 3]).reshape(1, 4, 1), backend=backend)
    np.testing.assert_array_equal(found.ravel(), [np.nan, 3])


@both
def test_integers_have_a_maximum_and_a_mean(backend: str) -> None:
    x = np.array([-5, -7, 3, 4], "int32").reshape(1, 4, 1)
    best, mean = run(lambda x: [gc.max_pool(x, 3, 2, "same"), gc.average_pool(x, 2)], x, backend=backend)
    assert (best.dtype, mean.dtype) == ("int32", "float64")
    np.testing.assert_array_equal(best.ravel(), [3, 4])
    np.testing.assert_array_equal(mean.ravel(), [-6, 3.5])


@both
def test_a_mean_of_large_halves_does_not_overflow(backend: str) -> None:
    found = run(lambda x: gc.average_pool(x, 4), np.full((1, 4, 1), 60000, "float16"), backend=backend)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found.ravel(), [np.float16(60000)])


def test_global_pools_are_reductions() -> None:
    x = numbers(2, 3, 4, 5)
    pools: list[Any] = [gc.global_average_pool, gc.global_max_pool]
    for pool, reduction in zip(pools, (np.mean, np.max), strict=True):
        np.testing.assert_allclose(run(pool, x), reduction(x, (1, 2)))
        np.testing.assert_allclose(
            run(lambda x, pool=pool: pool(x, "channels_first", keepdims=True), x), reduction(x, (2, 3), keepdims=True)
        )


# ---------------------------------------------------------------- patches
@both
@pytest.mark.parametrize(("space", "size", "strides", "padding", "dilation"), TABLE)
def test_patches_are_those_of_lax_and_fold_is_the_adjoint(
    space: Any, size: Any, strides: Any, padding: Any, dilation: Any, backend: str
) -> None:
    x = numbers(2, *space, 3)
    names = {1: ("NWC", "WIO"), 2: ("NHWC", "HWIO"), 3: ("NDHWC", "DHWIO")}[len(space)]
    around = padding.upper() if isinstance(padding, str) else padding
    theirs = jax.lax.conv_general_dilated_patches(x, size, strides, around, None, dilation, (names[0], names[1], names[0]))
    theirs = np.asarray(theirs).reshape(*theirs.shape[:-1], 3, -1).swapaxes(-1, -2).reshape(theirs.shape)  # its channels are outermost
    g = numbers(*theirs.shape, seed=2)

    def build(x: Any, g: Any) -> list[Any]:
        y = gc.unfold(x, size, strides, dilation, padding)
        return [y, gc.fold(g, space, size, strides, dilation, padding), vjp(y, x, g)]

    patches, folded, gradient = run(build, x, g, backend=backend)
    np.testing.assert_allclose(patches, theirs, rtol=1e-12)
    np.testing.assert_allclose(np.sum(patches * g), np.sum(x * folded), rtol=1e-11)
    np.testing.assert_array_equal(folded, gradient)


def test_patches_with_channels_first() -> None:
    x = numbers(2, 4, 6, 3)
    last = run(lambda x: gc.unfold(x, 2), x)
    there = run(lambda x: gc.unfold(x, 2, data_format="channels_first"), first(x))
    np.testing.assert_array_equal(there, first(last))
    back = run(lambda p: gc.fold(p, (4, 6), 2, data_format="channels_first"), there)
    np.testing.assert_array_equal(back, first(x))  # patches that do not overlap


# ---------------------------------------------------------------- resizing
@both
@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("space", "size"), [((5,), (9,)), ((5, 4), (3, 7)), ((2, 3), (2, 6)), ((8, 1), (3, 2)), ((2, 3, 4), (4, 2, 5))])
def test_resize_is_that_of_jax(space: Any, size: Any, name: Any, backend: str) -> None:
    x = numbers(2, *space, 3)
    method = {"bilinear": "linear", "bicubic": "cubic"}.get(name, name)
    expected = jax.image.resize(x, (2, *size, 3), method, antialias=False)
    np.testing.assert_allclose(run(lambda x: gc.resize(x, size, name), x, backend=backend), expected, rtol=2e-5, atol=1e-5)
    moved = run(lambda x: gc.resize(x, size, name, "channels_first"), first(x), backend=backend)
    np.testing.assert_allclose(moved, first(expected), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic"])
def test_the_gradient_of_resize_is_its_adjoint(name: Any) -> None:
    x, g = numbers(2, 5, 4, 3), numbers(2, 8, 3, 3)
    value, gradient = run(lambda x, g: [gc.resize(x, (8, 3), name), vjp(gc.resize(x, (8, 3), name), x, g)], x, g)
    np.testing.assert_allclose(np.sum(value * g), np.sum(x * gradient), rtol=1e-11)


def test_resize_of_what_is_no_float() -> None:
    x = np.arange(4, dtype="uint8").reshape(1, 4, 1)
    assert run(lambda x: gc.resize(x, 2, "nearest"), x).dtype == "uint8"
    assert run(lambda x: gc.resize(x, 2), x).dtype == "float64"


# ---------------------------------------------------------------- sizes with names, and stacks
@both
@pytest.mark.parametrize(("strides", "padding"), [(1, "valid"), (2, "valid"), (1, "same"), (2, "same")])
def test_sizes_may_have_names(strides: int, padding: Any, backend: str) -> None:
    def build(x: Any) -> list[Any]:
        parts = [gc.max_pool(x, 2, strides, padding), gc.average_pool(x, 2, strides, padding), gc.unfold(x, 2, strides, padding=padding)]
        return [*parts, *(gc.grad(gc.sum(y * y), x) for y in parts)]

    x = gc.input("x", ("batch", "n", 2), "float64")
    compiled = gc.compile([x], build(x), backend=backend)
    for batch, n in ((2, 5), (1, 2), (3, 8)):
        value = numbers(batch, n, 2)
        for found, expected in zip(compiled(value), run(build, value), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("op", [pooling.windows, pooling.window_max, pooling.window_ties, pooling.window_sum], ids=lambda op: op.name)
def test_stacks_go_one_by_one(op: Any) -> None:
    attributes = {"size": (2,), "strides": (1,), "padding": ((1, 0),), "dilation": (2,)}
    attributes |= {"input_dilation": (1,)} if op is pooling.window_sum else {}
    x = numbers(3, 2, 5, 4)
    found = run(lambda x: op.batch((True,), x, **attributes), x)
    for i in range(3):
        np.testing.assert_array_equal(found[i], run(lambda x: op(x, **attributes), x[i]))


def test_stacks_of_windows_are_added_up_one_by_one() -> None:
    attributes = {"space": (5,), "strides": (1,), "padding": ((1, 0),), "dilation": (2,)}
    x = numbers(3, 2, 4, 2, 4)
    found = run(lambda x: pooling.overlap_add.batch((True,), x, **attributes), x)
    for i in range(3):
        np.testing.assert_array_equal(found[i], run(lambda x: pooling.overlap_add(x, **attributes), x[i]))


# ---------------------------------------------------------------- bad calls
X = gc.input("x", (2, 8, 8, 4))
N = gc.input("x", ("batch", "n", 4))
BAD: dict[str, tuple[Any, str, str]] = {
    "size": (lambda: gc.max_pool(X, 0), "pool_size=0", "1 or more"),
    "a large window": (lambda: gc.average_pool(X, 9), "a window of 9 does not fit into 8 items", "a smaller window"),
    "padding alone": (lambda: gc.max_pool(X, 2, padding=2), "a window along spatial axis 0 lies in the padding alone", "below"),
    "rank": (lambda: gc.max_pool(X[0, 0], 2), "2 axes", "one to three spatial axes"),
    "padding": (lambda: gc.average_pool(X, 2, padding="full"), "padding='full'", "'valid', 'same'"),
    "format": (lambda: gc.global_max_pool(X, "NHWC"), "data_format='NHWC'", "'channels_last'"),
    "strides": (lambda: gc.unfold(X, 2, (1, 2, 3)), r"strides=\(1, 2, 3\)", "2 of them"),
    "rows": (lambda: gc.fold(X, (16, 16), 3), "rows of 4 are not patches", "image_size and size"),
    "places": (lambda: gc.fold(X, (9, 16), 2), "are not the windows of", "places"),
    "interpolation": (lambda: gc.resize(X, (2, 2), "cubic"), "interpolation='cubic'", "'nearest', 'bilinear', 'bicubic'"),
    "target": (lambda: gc.resize(X, (2, 2, 2)), r"size=\(2, 2, 2\)", "2 of them"),
    "a name": (lambda: gc.resize(N, 3), "axis 1 has size n", "a number"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_call_says_what_would_fit(name: str) -> None:
    build, asked, fits = BAD[name]
    with pytest.raises((gc.errors.ShapeError, gc.errors.ArgumentError), match=asked) as caught:
        build()
    assert caught.value.given
    assert "(" in caught.value.asked.split(":")[0]
    assert re.search(fits, caught.value.fits)
