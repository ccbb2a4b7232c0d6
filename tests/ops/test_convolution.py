"""Convolutions against JAX and SciPy, for many arguments; and what the table cannot show: sizes with names, stacks, bad calls."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from scipy import signal

import graphc as gc
from graphc.grad import vjp
from graphc.ops.convolution import convolution, convolution_kernel_gradient

LETTERS = {1: "NWC WIO", 2: "NHWC HWIO", 3: "NDHWC DHWIO"}


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """JAX has 64-bit types in these tests, and is afterwards as it was."""
    with jax.enable_x64(True):
        yield


def inputs_of(*arrays: Any) -> list[Any]:
    return [gc.input(f"x{i}", array.shape, array.dtype) for i, array in enumerate(arrays)]


def run(build: Any, *arrays: Any, backend: str = "numpy") -> Any:
    inputs = inputs_of(*arrays)
    return np.asarray(gc.compile(inputs, build(*inputs), backend=backend)(*arrays))


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed + len(shape)).normal(size=shape)


def laxs(x: Any, kernel: Any, strides: Any, padding: Any, dilation: Any, groups: int = 1) -> Any:
    n = x.ndim - 2
    image, weights = LETTERS[n].split()
    each = lambda value: value if isinstance(value, tuple) else (value,) * n  # noqa: E731
    padding = padding.upper() if isinstance(padding, str) else padding
    return jax.lax.conv_general_dilated(
        x, kernel, each(strides), padding, None, each(dilation), (image, weights, image), feature_group_count=groups
    )


def first(x: Any) -> Any:
    return np.moveaxis(x, -1, 1)


PADDINGS = ["valid", "same", "pairs"]
PRODUCT = [
    *itertools.product([(9,)], [(1,), (2,), (3,)], [1, 2, 3], PADDINGS, [1, 2], [1, 2]),
    *itertools.product([(7, 8)], [(2, 3), (1, 1), (3, 3)], [1, 2, (3, 1)], PADDINGS, [1, (2, 1)], [1, 4]),
    *itertools.product([(4, 5, 6)], [(2, 1, 3)], [1, (1, 2, 2)], PADDINGS, [1], [1, 2]),
]
TABLE = PRODUCT[::5]  # spread over all values; the whole of it passes too, and takes a minute of XLA's


@pytest.mark.parametrize(("space", "taps", "strides", "padding", "dilation", "groups"), TABLE)
def test_values_and_gradients_are_those_of_lax(space: Any, taps: Any, strides: Any, padding: Any, dilation: Any, groups: int) -> None:
    x, kernel = numbers(2, *space, 4), numbers(*taps, 4 // groups, 4 * groups, seed=1)
    padding = tuple([(i % 2, 2 - i) for i in range(len(space))]) if padding == "pairs" else padding
    expected, back = jax.vjp(lambda x, k: laxs(x, k, strides, padding, dilation, groups), x, kernel)
    g = numbers(*expected.shape, seed=2)

    def build(x: Any, kernel: Any, g: Any) -> list[Any]:
        y = gc.conv(x, kernel, strides, padding, dilation_rate=dilation, groups=groups)
        return [y, *vjp(y, [x, kernel], g)]

    inputs = inputs_of(x, kernel, g)
    found = gc.compile(inputs, build(*inputs))(x, kernel, g)
    for ours, theirs in zip(found, [expected, *back(g)], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11)


# What takes several blocks: of images, of rows of one image, and of one row; with a kernel's taps in either order in memory.
BLOCKS: dict[str, tuple[Any, Any, Any, Any, Any, int]] = {
    "images": ((9, 20, 20, 8), (3, 3, 8, 4), 1, "valid", 1, 1),
    "rows of an image": ((2, 50, 40, 32), (3, 3, 32, 8), 1, "same", 1, 1),
    "strides": ((3, 41, 60, 24), (5, 3, 24, 20), 2, "valid", 1, 1),
    "a dilated kernel": ((3, 30, 41, 16), (3, 3, 16, 20), 1, "same", (2, 3), 1),
    "one row": ((2, 3000, 16), (9, 16, 8), 1, "same", 1, 1),
    "items of one row": ((1, 700, 64), (7, 64, 96), 3, "same", 1, 1),
    "one channel": ((6, 90, 80, 1), (5, 5, 1, 3), 1, "valid", 1, 1),
    "strides over one channel": ((6, 150, 141, 1), (3, 3, 1, 8), 2, "same", 1, 1),
    "volumes": ((2, 12, 13, 14, 8), (3, 3, 2, 8, 6), 1, "same", 1, 1),
    "groups": ((3, 30, 30, 12), (3, 3, 6, 10), 1, "same", 1, 2),
    "groups with strides": ((3, 60, 50, 12), (3, 3, 6, 10), 2, "valid", 1, 2),
    "channel by channel": ((5, 30, 30, 12), (3, 3, 1, 24), 1, "same", 1, 12),
    "channel by channel with strides": ((5, 61, 60, 12), (3, 3, 1, 12), 2, "same", 1, 12),
    "many channels": ((2, 24, 24, 70), (3, 3, 70, 3), 1, "same", 1, 1),
    "one tap": ((4, 30, 30, 20), (1, 1, 20, 8), 1, "valid", 1, 1),
    "one tap with strides": ((4, 60, 60, 20), (1, 1, 20, 8), 2, "valid", 1, 1),
    "a whole image": ((600, 4, 4, 16), (4, 4, 16, 8), 1, "valid", 1, 1),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_what_takes_several_blocks_is_lax_too(name: str, data_format: Any) -> None:
    shape, taps, strides, padding, dilation, groups = BLOCKS[name]
    x, kernel = numbers(*shape), numbers(*taps, seed=1)
    expected, back = jax.vjp(lambda x, k: laxs(x, k, strides, padding, dilation, groups), x, kernel)
    g = numbers(*expected.shape, seed=2)
    move = (lambda y: y) if data_format == "channels_last" else first

    def build(x: Any, kernel: Any, g: Any) -> list[Any]:
        y = gc.conv(x, kernel, strides, padding, data_format, dilation, groups)
        return [y, *vjp(y, [x, kernel], g)]

    inputs = inputs_of(move(x), kernel, move(g))
    found = gc.compile(inputs, build(*inputs))(move(x), kernel, move(g))
    of_x, of_kernel = back(g)
    for ours, theirs in zip(found, [move(expected), move(of_x), of_kernel], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mapped", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("groups", [1, 2])
def test_stacks_of_gradients_for_kernels_are_those_of_each(mapped: tuple[bool, bool], groups: int) -> None:
    attributes = {"strides": (2,), "padding": ((1, 0),), "input_dilation": (1,), "kernel_dilation": (1,), "groups": groups, "taps": (2,)}
    x, g = numbers(*(3,) * mapped[0], 2, 5, 4), numbers(*(3,) * mapped[1], 2, 3, 6, seed=1)
    found = run(lambda x, g: convolution_kernel_gradient.batch(mapped, x, g, **attributes), x, g)
    for i in range(3):
        of_one = [x[i] if mapped[0] else x, g[i] if mapped[1] else g]
        np.testing.assert_allclose(found[i], run(lambda x, g: convolution_kernel_gradient(x, g, **attributes), *of_one), rtol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_channels_first_is_channels_last_moved(backend: str) -> None:
    x, kernel = numbers(2, 5, 6, 3), numbers(2, 3, 3, 4)
    expected = laxs(x, kernel, 2, "same", 1)
    found = run(lambda x, k: gc.conv(x, k, 2, "same", "channels_first"), first(x), kernel, backend=backend)
    np.testing.assert_allclose(found, first(expected), rtol=1e-12)


@pytest.mark.parametrize("mode", ["valid", "same"])
def test_scipy_correlates_alike(mode: str) -> None:
    image, kernel = numbers(7, 9), numbers(3, 3, seed=1)
    found = run(lambda x, k: gc.conv(x, k, padding=mode), image[None, :, :, None], kernel[:, :, None, None])
    np.testing.assert_allclose(found[0, :, :, 0], signal.correlate(image, kernel, mode), rtol=1e-12)


# ---------------------------------------------------------------- the roads of the NumPy source
@pytest.mark.parametrize("groups", [1, 2])
def test_a_matrix_that_would_be_large_is_not_made(groups: int) -> None:
    x, kernel = numbers(1, 150, 150, 64).astype("float32"), numbers(3, 3, 64 // groups, 2).astype("float32")
    inputs = inputs_of(x, kernel)
    y = gc.conv(*inputs, padding="same", groups=groups)
    found = gc.compile(inputs, [y, *gc.grad(gc.sum(y * y), inputs)])(x, kernel)
    expected, back = jax.vjp(lambda x, k: laxs(x, k, 1, "same", 1, groups), x, kernel)
    for ours, theirs in zip(found, [expected, *back(2 * expected)], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("spread", [(2, 3), (1, 2), (4, 4)])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((-3, 2), (4, -2)), ((-1, -1), (-2, 5))])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1)])
def test_items_that_are_apart_land_where_lax_has_them(groups: int, spread: Any, padding: Any, strides: Any) -> None:
    x, kernel = numbers(2, 5, 6, 4), numbers(2, 3, 4 // groups, 4)
    attributes = {"strides": strides, "padding": padding, "input_dilation": spread, "kernel_dilation": (2, 1), "groups": groups}
    found = run(lambda x, k: convolution(x, k, **attributes), x, kernel)
    names = ("NHWC", "HWIO", "NHWC")
    expected = jax.lax.conv_general_dilated(x, kernel, strides, padding, spread, (2, 1), names, feature_group_count=groups)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_summed_in_float32(dtype: str) -> None:
    """The sum of 4,096 ones stops at 2,048 in float16 and at 256 in bfloat16."""
    x, kernel = gc.constant(np.ones((1, 4, 4096)), dtype), gc.constant(np.ones((1, 4096, 1)), dtype)
    y = gc.conv(x, kernel)
    assert y.dtype == dtype
    np.testing.assert_array_equal(gc.evaluate(y).astype(float), 4096)


# ---------------------------------------------------------------- what is made of it
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("strides", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2), ((2, 3), 1), (2, 3)])
@pytest.mark.parametrize("taps", [(1, 2), (3, 4), (5, 2)])
def test_conv_transpose_is_that_of_lax(padding: str, strides: Any, dilation: int, taps: Any) -> None:
    x, kernel = numbers(2, 3, 4, 2), numbers(*taps, 3, 2, seed=1)
    each = strides if isinstance(strides, tuple) else (strides,) * 2
    expected = jax.lax.conv_transpose(x, kernel, each, padding.upper(), (dilation,) * 2, ("NHWC", "HWIO", "NHWC"), transpose_kernel=True)
    found = run(lambda x, k: gc.conv_transpose(x, k, strides, padding, dilation_rate=dilation), x, kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    moved = run(lambda x, k: gc.conv_transpose(x, k, strides, padding, None, "channels_first", dilation), first(x), kernel)
    np.testing.assert_allclose(moved, first(found), rtol=1e-12)


@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("extra", [None, 0, 1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_sizes_of_conv_transpose_are_those_of_keras(taps: int, stride: int, extra: int | None, padding: str) -> None:
    x, kernel = numbers(1, 4, 1), numbers(taps, 1, 1)
    sizes = {
        "valid": 3 * stride + (max(taps, stride) if extra is None else taps + extra),
        "same": 4 * stride if extra is None else 3 * stride + taps % 2 + extra,
    }
    found = run(lambda x, k: gc.conv_transpose(x, k, stride, padding, extra), x, kernel)
    full = np.zeros(100)
    for i, value in enumerate(x.ravel()):
        full[50 + i * stride : 50 + i * stride + taps] += value * kernel.ravel()
    left = 0
    if padding == "same":  # as Keras's converter of paddings has it
        total = stride + taps - 2 if extra is None else taps + taps % 2 - 2 + extra
        left = taps - 1 - min(total // 2 + total % 2, taps - 1)
    np.testing.assert_allclose(found.ravel(), full[50 + left :][: sizes[padding]], atol=1e-13)


def test_conv_transpose_is_the_gradient_of_conv() -> None:
    x, kernel, g = gc.input("x", (2, 8, 9, 3), "float64"), gc.input("k", (3, 4, 3, 2), "float64"), gc.input("g", (2, 4, 3, 2), "float64")
    y = gc.conv(x, kernel, (2, 3), "same")
    values = [numbers(*node.shape) for node in (x, kernel, g)]
    by_gradient, directly = gc.compile([x, kernel, g], [vjp(y, x, g), gc.conv_transpose(g, kernel, (2, 3), "same")])(*values)
    np.testing.assert_allclose(by_gradient, directly, rtol=1e-12)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_depthwise_and_separable(data_format: Any) -> None:
    x, deep, point = numbers(2, 6, 7, 3), numbers(3, 2, 3, 2), numbers(1, 1, 6, 5)
    between = laxs(x, deep.reshape(3, 2, 1, 6), (2, 1), "same", 1, groups=3)
    expected = laxs(between, point, 1, "valid", 1)
    moved = (lambda y: y) if data_format == "channels_last" else first
    found = run(lambda x, d: gc.depthwise_conv(x, d, (2, 1), "same", data_format), moved(x), deep)
    np.testing.assert_allclose(found, moved(between), rtol=1e-11)
    found = run(lambda x, d, p: gc.separable_conv(x, d, p, (2, 1), "same", data_format), moved(x), deep, point)
    np.testing.assert_allclose(found, moved(expected), rtol=1e-11)


# ---------------------------------------------------------------- stacks
@pytest.mark.parametrize("mapped", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("groups", [1, 2])
def test_stacks_are_convolved_one_by_one(mapped: tuple[bool, bool], groups: int) -> None:
    attributes = {"strides": (2,), "padding": ((1, 0),), "input_dilation": (1,), "kernel_dilation": (1,), "groups": groups}
    x, kernel = numbers(*(3,) * mapped[0], 2, 5, 4), numbers(*(3,) * mapped[1], 2, 4 // groups, 6)
    found = run(lambda x, k: convolution.batch(mapped, x, k, **attributes), x, kernel)
    for i in range(3):
        one = run(lambda x, k: convolution(x, k, **attributes), x[i] if mapped[0] else x, kernel[i] if mapped[1] else kernel)
        np.testing.assert_allclose(found[i], one, rtol=1e-12)


# ---------------------------------------------------------------- sizes with names
@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize(("strides", "padding"), [(1, "valid"), (1, "same"), (2, "valid"), (2, "same"), (3, "same"), (2, 1)])
def test_sizes_may_have_names(strides: int, padding: Any, backend: str) -> None:
    x, kernel = gc.input("x", ("batch", "height", 6, 2), "float64"), gc.input("k", (3, 3, 2, 4), "float64")
    y = gc.conv(x, kernel, strides, padding)
    run = gc.compile([x, kernel], [y, *gc.grad(gc.sum(y * y), [x, kernel])], backend=backend)
    weights = numbers(3, 3, 2, 4)
    pairs = ((padding, padding),) * 2 if isinstance(padding, int) else padding
    for batch, height in ((2, 7), (1, 4), (3, 8)):
        image = numbers(batch, height, 6, 2)
        expected, back = jax.vjp(lambda x, k: laxs(x, k, strides, pairs, 1), image, weights)
        for ours, theirs in zip(run(image, weights), [expected, *back(2 * expected)], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_a_residual_block_adds_up_with_a_named_size() -> None:
    """Two ways to every second item have the same size, as a formula: by a kernel of 3, and by one of 1."""
    x = gc.input("x", ("batch", "n", 2))
    both = gc.conv(x, gc.zeros((3, 2, 4)), 2, "same") + gc.conv(x, gc.zeros((1, 2, 4)), 2, "valid")
    found = gc.compile([x], both)(np.zeros((2, 7, 2), "float32"))
    assert found.shape == (2, 4, 4)


def test_a_size_that_is_no_formula_is_refused() -> None:
    x = gc.input("x", ("batch", "n", 2))
    with pytest.raises(gc.errors.ShapeError, match="is not one formula"):
        gc.conv(x, gc.zeros((2, 2, 4)), 3, "same")


# ---------------------------------------------------------------- bad calls
X = gc.input("x", (2, 8, 8, 4))
BAD: dict[str, tuple[Any, Any, str, str]] = {
    "channels": (lambda k: gc.conv(X, k), (3, 3, 2, 4), "4 channels meet a kernel for 2", "groups=2"),
    "channels of groups": (lambda k: gc.conv(X, k, groups=2), (3, 3, 4, 4), "4 channels meet a kernel for 8", r"\(\*spatial, 2, outputs\)"),
    "groups": (lambda k: gc.conv(X, k, groups=2), (3, 3, 2, 5), "5 outputs are not 2 equal groups", "a multiple of 2"),
    "a large kernel": (lambda k: gc.conv(X, k), (9, 3, 4, 4), "a window of 9 does not fit into 8 items", "a smaller window"),
    "rank of the kernel": (lambda k: gc.conv(X, k), (3, 4, 4), "a kernel of 3 axes for 2 spatial axes", "4 axes"),
    "rank": (lambda k: gc.conv(X[0, 0], k), (3, 4, 4), "2 axes", "one to three spatial axes"),
    "padding": (lambda k: gc.conv(X, k, padding="full"), (3, 3, 4, 4), "padding='full'", "'same'"),
    "pairs": (lambda k: gc.conv(X, k, padding=[(1, 1)]), (3, 3, 4, 4), r"padding=\[\(1, 1\)\]", "a pair of numbers"),
    "a triple": (lambda k: gc.conv(X, k, padding=[(1, 1, 1), 2]), (3, 3, 4, 4), "padding=", "a pair of numbers"),
    "strides": (lambda k: gc.conv(X, k, 0), (3, 3, 4, 4), "strides=0", "1 or more"),
    "strides of three": (lambda k: gc.conv(X, k, (1, 1, 1)), (3, 3, 4, 4), r"strides=\(1, 1, 1\)", "2 of them"),
    "dilation": (lambda k: gc.conv(X, k, dilation_rate=1.5), (3, 3, 4, 4), "dilation_rate=1.5", "1 or more"),
    "format": (lambda k: gc.conv(X, k, data_format="NHWC"), (3, 3, 4, 4), "data_format='NHWC'", "'channels_first'"),
    "nothing": (lambda k: gc.conv(X[:, :0], k), (3, 3, 4, 4), "spatial axis 0 is empty", "at least one item"),
    "transposed channels": (lambda k: gc.conv_transpose(X, k), (3, 3, 4, 2), "a kernel of shape", r"\(\*spatial, outputs, 4\)"),
    "transposed padding": (lambda k: gc.conv_transpose(X, k, 2, 1), (3, 3, 2, 4), "padding=1", "'valid' or 'same'"),
    "output padding": (lambda k: gc.conv_transpose(X, k, 2, "same", -1), (3, 3, 2, 4), "output_padding=-1", "0 or more"),
    "depthwise channels": (lambda k: gc.depthwise_conv(X, k), (3, 3, 3, 1), "for 4 channels", r"\(\*spatial, 4, multiplier\)"),
    "pointwise": (lambda k: gc.separable_conv(X, gc.zeros((3, 3, 4, 1)), k), (2, 1, 4, 1), "more than one tap", "size 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_call_says_what_would_fit(name: str) -> None:
    build, shape, asked, fits = BAD[name]
    with pytest.raises((gc.errors.ShapeError, gc.errors.ArgumentError), match=asked) as caught:
        build(gc.input("kernel", shape))
    assert caught.value.given
    assert "(" in caught.value.asked.split(":")[0]
    assert re.search(fits, caught.value.fits)


def test_truth_values_are_refused() -> None:
    with pytest.raises(gc.errors.DTypeError):
        gc.conv(gc.input("x", (1, 3, 1), "bool"), gc.input("k", (2, 1, 1), "bool"))


def test_what_it_costs() -> None:
    y = gc.conv(gc.input("x", ("batch", 8, 8, 4)), gc.zeros((3, 3, 2, 6)), groups=2)
    assert str(convolution.count_flops(y)) == str(gc.input("x", ("batch", 6 * 6 * 6 * 9 * 2 * 2)).size)


def test_on_jax_all_have_the_layout_that_is_fast_in_a_loop() -> None:
    x, kernel = gc.input("x", (2, 9, 9, 4)), gc.input("kernel", (3, 3, 4, 6))
    y = gc.sum(gc.square(gc.conv(x, kernel, strides=2)))
    text = gc.compile([x, kernel], gc.grad(y, [x, kernel]), backend="jax").hlo((2, 9, 9, 4), (3, 3, 4, 6))
    layouts = re.findall(r"dim_numbers = (\[.*?\]x\[.*?\]->\[.*?\])", text)
    assert layouts == ["[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"] * 3
