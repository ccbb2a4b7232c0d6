"""Jacobians, Hessians and their products: beside JAX's, in every mode, and as few sweeps as the pattern allows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import graphc as gc
from graphc.core import dtypes, toposort
from graphc.grad.sparsity import colouring, pattern

A = np.random.default_rng(0).normal(size=(4, 3))


class Function(NamedTuple):
    """A function twice, the shape of its argument, and how many colours its Jacobian needs (None: it is dense)."""

    ours: Callable[[Any], Any]
    theirs: Callable[[Any], Any]
    shape: tuple[int, ...]
    colours: int | None


def _same(f: Callable[[Any, Any], Any], shape: tuple[int, ...], colours: int | None) -> Function:
    return Function(lambda x: f(gc, x), lambda x: f(jnp, x), shape, colours)


FUNCTIONS = {
    "elementwise": _same(lambda xp, x: xp.sin(x) * x, (5,), 1),
    "elementwise matrix": _same(lambda xp, x: xp.exp(-x), (2, 3), 1),
    "neighbours": _same(lambda xp, x: x[1:] * x[:-1], (6,), 2),
    "second differences": _same(lambda xp, x: x[2:] - 2 * x[1:-1] + xp.sin(x[:-2]), (7,), 3),
    "rows": _same(lambda xp, x: xp.sum(x * x, axis=1), (3, 4), 4),
    "reversed and transposed": _same(lambda xp, x: xp.tanh(x.T[::-1]), (2, 3), 1),
    "one from many": _same(lambda xp, x: xp.sum(xp.sin(x)), (4,), None),
    "many from one": _same(lambda xp, x: xp.sin(x) * xp.arange(4.0), (), None),
    "dense": _same(lambda xp, x: xp.tanh(xp.matmul(A, x)), (3,), None),
    "dense, wide": _same(lambda xp, x: xp.tanh(xp.matmul(A.T, x)), (4,), None),
    "through a reduction": _same(lambda xp, x: x / xp.sum(x * x), (3,), None),
    "constant times": _same(lambda xp, x: xp.matmul(np.diag([1.0, 2.0, 3.0]), x), (3,), 1),
    "where": _same(lambda xp, x: xp.where(x > 0, x * x, -x), (5,), 1),
    "max": _same(lambda xp, x: xp.max(x, axis=0), (3, 2), 3),
}
every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())


def _values(function: Function, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=function.shape)


def _at_full_precision(function: Any, value: Any) -> Any:
    with jax.enable_x64(True):
        return np.asarray(function(value))


def _exact(transform: Any, function: Function, value: Any) -> Any:
    return _at_full_precision(transform(function.theirs), value)


@every_function
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse", "coloured"])
def test_jacobian_is_jaxs_in_every_mode(function: Function, mode: Any) -> None:
    x, value = gc.input("x", function.shape, "float64"), _values(function)
    y = function.ours(x)
    if mode == "coloured" and function.colours is None:
        pytest.skip("every element depends on every other")
    found = gc.jacobian(y, x, mode=mode)
    assert found.type.shape == (*y.shape, *x.shape)
    np.testing.assert_allclose(gc.evaluate(found, {x: value}), _exact(jax.jacobian, function, value), rtol=1e-12, atol=1e-14)


@every_function
def test_hessian_of_the_sum_is_jaxs_on_both_backends(function: Function) -> None:
    x, value = gc.input("x", function.shape, "float64"), _values(function)
    found = gc.hessian(gc.sum(gc.sin(function.ours(x))), x)
    with jax.enable_x64(True):
        expected = jax.hessian(lambda x: jnp.sum(jnp.sin(function.theirs(x))))(value)
    for backend in ("numpy", "jax"):
        np.testing.assert_allclose(gc.evaluate(found, {x: value}, backend=backend), expected, rtol=1e-11, atol=1e-13)


@every_function
def test_hvp_is_the_hessian_times_the_vector(function: Function) -> None:
    x, value, v = gc.input("x", function.shape, "float64"), _values(function), _values(function, 2)
    y = gc.sum(gc.sin(function.ours(x)))
    hessian, product = gc.evaluate([gc.hessian(y, x), gc.hvp(y, x, v)], {x: value})
    np.testing.assert_allclose(product, np.tensordot(hessian, v, axes=v.ndim), rtol=1e-11, atol=1e-13)


@every_function
def test_the_pattern_covers_the_jacobian_and_has_as_few_colours_as_it_may(function: Function) -> None:
    x, value = gc.input("x", function.shape, "float64"), _values(function)
    found = pattern(function.ours(x), x)
    if function.colours is None:
        assert found is None
        return
    assert found is not None
    exact = _exact(jax.jacobian, function, value).reshape(found.shape)
    assert not (exact[~found] != 0).any()
    groups = colouring(found)
    assert groups.count == function.colours
    for colour in range(groups.count):
        assert found[:, groups.colour == colour].sum(axis=1).max() <= 1, "two columns of a colour share a row"


def test_a_jacobian_of_a_named_size() -> None:
    x = gc.input("x", ("n",), "float64")
    for mode in ("auto", "forward", "reverse"):
        run = gc.compile([x], gc.jacobian(gc.sin(x) * gc.sum(x), x, mode=mode))
        for n in (1, 3):
            value = np.random.default_rng(3).normal(size=n)
            exact = np.diag(np.cos(value)) * value.sum() + np.sin(value)[:, None]
            np.testing.assert_allclose(run(value), exact, rtol=1e-12)


def _layers(gcs: Any, p: Any, x: Any) -> Any:
    w, b, v = p[:6].reshape((3, 2)), p[6:8], p[9:11]
    return gcs.tanh(x @ w + b) @ v + p[11]


def test_parameters_in_one_vector_have_columns_part_by_part() -> None:
    """Element 8 is read by nobody, and element 11 by its number."""
    p, x = gc.input("p", (12,), "float64"), gc.input("x", (4, 3), "float64")
    values = {p: np.linspace(-1, 1, 12), x: np.cos(np.arange(12.0)).reshape(4, 3)}
    loss = gc.sum(gc.square(_layers(gc, p, x)))
    expected = _at_full_precision(jax.hessian(lambda p: jnp.sum(_layers(jnp, p, values[x]) ** 2)), values[p])
    np.testing.assert_allclose(gc.evaluate(gc.hessian(loss, p), values), expected, rtol=1e-10, atol=1e-12)
    y = _layers(gc, p, x)
    rows = _at_full_precision(jax.jacobian(lambda p: _layers(jnp, p, values[x])), values[p])
    for mode in ("auto", "forward", "reverse"):
        np.testing.assert_allclose(gc.evaluate(gc.jacobian(y, p, mode=mode), values), rows, rtol=1e-10, atol=1e-12)  # type: ignore[arg-type]
    run = gc.compile([p, x], gc.hessian(loss, p))
    assert "(12, " not in run.source.partition("def make")[2], "no stack of all columns"


def test_parts_that_overlap_are_one_sweep() -> None:
    p = gc.input("p", (5,), "float64")
    y = gc.sum(gc.exp(p[:3]) * p[2:] ** 3)
    value = np.linspace(0.5, 1.5, 5)
    expected = _at_full_precision(jax.hessian(lambda p: jnp.sum(jnp.exp(p[:3]) * p[2:] ** 3)), value)
    np.testing.assert_allclose(gc.evaluate(gc.hessian(y, p), {p: value}), expected, rtol=1e-10, atol=1e-12)


def test_elementwise_hessians_take_one_sweep() -> None:
    """The products of the coloured Jacobian are of stacks with one row, not a thousand."""
    x = gc.input("x", (1000,), "float64")
    products = [node for node in toposort([gc.jacobian(gc.sin(x), x)]) if node.op and node.op.name == "multiply"]
    assert [node.shape for node in products] == [(1, 1000)]
    value = np.linspace(0, 1, 1000)
    np.testing.assert_allclose(gc.evaluate(gc.jacobian(gc.sin(x), x), {x: value}), np.diag(np.cos(value)))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_forward_over_forward_is_reverse_over_reverse(order: int) -> None:
    x = gc.input("x", (), "float64")
    forward = reverse = gc.exp(gc.sin(x)) * x
    for _ in range(order):
        forward, reverse = gc.jvp(forward, x, 1.0), gc.grad(reverse, x)
    np.testing.assert_allclose(*gc.evaluate([forward, reverse], {x: 0.7}), rtol=1e-12)


def test_jvp_takes_and_gives_lists() -> None:
    x, w = gc.input("x", (2,), "float64"), gc.input("w", (2,), "float64")
    y, z = x * w, gc.sum(w)
    moved = gc.jvp([y, z], [x, w], [[1.0, 2.0], np.array([3.0, 4.0])])
    assert isinstance(moved, list)
    found = gc.evaluate(moved, {x: [5.0, 6.0], w: [7.0, 8.0]})
    np.testing.assert_allclose(found[0], [1 * 7 + 3 * 5, 2 * 8 + 4 * 6])
    np.testing.assert_allclose(found[1], 7.0)


def test_a_jvp_of_what_does_not_depend_is_zeros() -> None:
    x, w = gc.input("x", (2,)), gc.input("w", (3,))
    np.testing.assert_array_equal(gc.evaluate(gc.jvp(w * 2, x, [1.0, 1.0]), {x: [0, 0], w: [1, 2, 3]}), np.zeros(3))


def test_forward_mode_never_sees_the_branch_that_was_not_taken() -> None:
    x = gc.input("x", (2,), "float64")
    y = gc.where(x > 0, gc.log(x), 0.0)
    np.testing.assert_array_equal(gc.evaluate(gc.jvp(y, x, [1.0, 1.0]), {x: [0.0, 2.0]}), [0.0, 0.5])


# ---------------------------------------------------------------- complex numbers
def test_the_gradient_of_a_complex_number_points_uphill() -> None:
    """dL/dRe + i dL/dIm, by differences of the two parts."""
    z = gc.input("z", (3,), "complex128")
    m = np.random.default_rng(5).normal(size=(3, 3, 2)) @ [1, 1j]
    w = gc.matmul(gc.constant(m), gc.exp(z) * z) / (2 + gc.sin(z))
    loss = gc.sum(gc.square(gc.abs(w))) + gc.sum(gc.real(w * w) * gc.angle(z)) + gc.sum(gc.imag(gc.conj(w) * z))
    value = np.array([0.3 + 0.2j, -0.5 + 1j, 0.7 - 0.4j])
    run = gc.compile([z], [loss, gc.grad(loss, z)])
    _, found = run(value)
    assert dtypes.is_complex(found.dtype.name)
    h = 1e-6
    for i in range(3):
        step = np.eye(3)[i] * h
        re = (run(value + step)[0] - run(value - step)[0]) / (2 * h)
        im = (run(value + 1j * step)[0] - run(value - 1j * step)[0]) / (2 * h)
        np.testing.assert_allclose(found[i], re + 1j * im, rtol=1e-7)
    np.testing.assert_allclose(gc.compile([z], gc.grad(loss, z), backend="jax")(value), found, rtol=1e-10)


def test_jvp_and_vjp_of_complex_functions_are_transposes() -> None:
    z, t, g = (gc.input(name, (3,), "complex128") for name in "ztg")
    y = gc.fft.fft(gc.exp(z) * z)
    rng = np.random.default_rng(6)
    values = {x: rng.normal(size=(3, 2)) @ [1, 1j] for x in (z, t, g)}
    moved, back = gc.evaluate([gc.jvp(y, z, t), gc.vjp(y, z, g)], values)
    np.testing.assert_allclose(np.vdot(values[g], moved).real, np.vdot(back, values[t]).real, rtol=1e-12)


def test_gradient_descent_on_a_complex_number_goes_down() -> None:
    z = gc.variable(np.array([1 + 1j, -2j]), name="z")
    loss = gc.sum(gc.square(gc.abs(z * z - (3 + 4j))))
    step = gc.compile([], loss, updates={z: z - gc.grad(loss, z) * 0.02})
    last = min(step() for _ in range(200))
    assert last < 1e-10
    np.testing.assert_allclose(z.value**2, [3 + 4j, 3 + 4j], rtol=1e-6)


# ---------------------------------------------------------------- bad calls
X = gc.input("x", (2,))
BAD = {
    "a tangent of another shape": (gc.errors.ShapeError, "tangent has shape", lambda: gc.jvp(X * 2, X, [1.0])),
    "too few tangents": (gc.errors.ArgumentError, "1 tangents for 2", lambda: gc.jvp(X * 2, [X, X], [X])),
    "an integer": (gc.errors.DTypeError, "only floats", lambda: gc.jvp(X, gc.input("i", (2,), "int32"), [1, 1])),
    "no path": (gc.errors.GradientError, "does not depend", lambda: gc.jacobian(gc.input("w", (2,)), X)),
    "a mode that is none": (gc.errors.ArgumentError, "mode='back'", lambda: gc.jacobian(X, X, mode="back")),  # type: ignore[arg-type]
    "colours of a name": (gc.errors.ArgumentError, "known sizes", lambda: _coloured_by_name()),
    "a Hessian of a vector": (gc.errors.GradientError, "not a scalar", lambda: gc.hessian(X * X, X)),
    "a complex loss": (gc.errors.DTypeError, "gc.abs", lambda: gc.grad(gc.sum(gc.complex(X, X)), X)),
}


def _coloured_by_name() -> Any:
    x = gc.input("x", ("n",))
    return gc.jacobian(gc.sin(x), x, mode="coloured")


@pytest.mark.parametrize(("error", "text", "call"), BAD.values(), ids=BAD.keys())
def test_bad_calls_say_what_fits(error: Any, text: str, call: Any) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert caught.value.fits
