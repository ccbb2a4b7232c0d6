"""Fourier transforms beside NumPy's own, their gradients by differences and beside JAX's, and named sizes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import graphc as gc
from graphc.testing import check_gradient

rng = np.random.default_rng(0)
REAL, COMPLEX = rng.normal(size=(4, 5, 6)), rng.normal(size=(4, 5, 6, 2)) @ [1, 1j]
NORMS = ["backward", "ortho", "forward"]
FUNCTIONS = ["fft", "ifft", "fft2", "ifft2", "fftn", "ifftn", "rfft", "irfft", "rfft2", "irfft2", "rfftn", "irfftn"]
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "one": [{}, {"axis": 0}, {"n": 3}, {"n": 8}, {"n": 7, "axis": 1}],
    "two": [{}, {"axes": (0, 1)}, {"s": (3, 8)}],
    "many": [{}, {"axes": (0, 2)}, {"s": (3, 8)}, {"s": (2, 5, 9)}, {"s": (6, 3), "axes": (2, 0)}],
}
CALLS = [
    pytest.param(name, arguments, id=f"{name}-{arguments}")
    for name in FUNCTIONS
    for arguments in ARGUMENTS["two" if name.endswith("2") else "many" if name.endswith("n") else "one"]
]


def _operand(name: str) -> Any:
    return REAL if name.startswith("rfft") else COMPLEX


@pytest.mark.filterwarnings("ignore:`axes` should not be `None`:DeprecationWarning")
@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_values_are_numpys(name: str, arguments: dict[str, Any]) -> None:
    value = _operand(name)
    x = gc.input("x", value.shape, value.dtype)
    outputs = [getattr(gc.fft, name)(x, norm=norm, **arguments) for norm in NORMS]
    for found, node, norm in zip(gc.compile([x], outputs)(value), outputs, NORMS, strict=True):
        expected = getattr(np.fft, name)(value, norm=norm, **arguments)
        assert (found.shape, found.dtype.name) == (node.shape, node.dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_jaxs_and_the_differences(name: str) -> None:
    """JAX's gradient of a complex number is the conjugate of ours."""
    value = _operand(name)[:2, :3, :4]
    x = gc.input("x", value.shape, value.dtype)

    def loss(xp: Any, f: Any, x: Any) -> Any:
        y = f(x)
        return xp.sum(xp.square(xp.abs(y)) * xp.cos(xp.real(y)))

    ours = gc.grad(loss(gc, getattr(gc.fft, name), x), x)
    with jax.enable_x64(True):
        theirs = np.conj(jax.grad(lambda x: loss(jnp, getattr(jnp.fft, name), x))(value))
    for backend in ("numpy", "jax"):
        np.testing.assert_allclose(gc.evaluate(ours, {x: value}, backend=backend), theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["fft", "rfft"])
def test_there_and_back(name: str) -> None:
    x = gc.input("x", (5,), "float64")
    y = getattr(gc.fft, f"i{name}")(getattr(gc.fft, name)(x), n=5)
    back = gc.real(y)
    np.testing.assert_allclose(gc.evaluate(back, {x: REAL[0, :, 0]}), REAL[0, :, 0], rtol=1e-12)
    assert check_gradient(back, x, order=2)


def test_a_convolution_by_transforms() -> None:
    x, k = gc.input("x", (6,), "float64"), gc.input("k", (6,), "float64")
    y = gc.fft.irfft(gc.fft.rfft(x) * gc.fft.rfft(k), n=6)
    a, b = REAL[0, 0], REAL[1, 0]
    expected = [sum(a[j] * b[(i - j) % 6] for j in range(6)) for i in range(6)]
    np.testing.assert_allclose(gc.evaluate(y, {x: a, k: b}), expected, rtol=1e-12)
    assert check_gradient(y, [x, k], order=2)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_a_size_may_be_a_name(n: int) -> None:
    x = gc.input("x", ("n",), "float64")
    y = gc.fft.rfft(x)
    run = gc.compile([x], [y, gc.grad(gc.sum(gc.square(gc.abs(y))), x)])
    value = rng.normal(size=n)
    spectrum, g = run(value)
    np.testing.assert_allclose(spectrum, np.fft.rfft(value), rtol=1e-12, atol=1e-14)
    half = np.fft.rfft(value)
    expected = 2 * np.real(np.fft.ifft(np.concatenate([half, np.zeros(n - len(half))])) * n)
    np.testing.assert_allclose(g, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies_and_shifts(n: int) -> None:
    np.testing.assert_allclose(gc.evaluate(gc.fft.fftfreq(n, 0.5, dtype="float64")), np.fft.fftfreq(n, 0.5))
    np.testing.assert_allclose(gc.evaluate(gc.fft.rfftfreq(n, 0.5, dtype="float64")), np.fft.rfftfreq(n, 0.5))
    value = rng.normal(size=(n, 3))
    for shift in ("fftshift", "ifftshift"):
        for axes in (None, 0, (0, 1)):
            np.testing.assert_array_equal(gc.evaluate(getattr(gc.fft, shift)(value, axes)), getattr(np.fft, shift)(value, axes))


BAD: dict[str, tuple[type[Exception], str, Any]] = {
    "a norm that is none": (gc.errors.ArgumentError, "norm='orthogonal'", lambda x: gc.fft.fft(x, norm="orthogonal")),
    "no items": (gc.errors.ArgumentError, "n=0", lambda x: gc.fft.fft(x, n=0)),
    "an empty axis": (gc.errors.ShapeError, "empty", lambda x: gc.fft.fft(x[:0])),
    "no axis": (gc.errors.ArgumentError, "no axis", lambda x: gc.fft.fftn(x, axes=())),
    "an axis that is not there": (gc.errors.ArgumentError, "there is no axis 2", lambda x: gc.fft.fft(x, axis=2)),
    "too many sizes": (gc.errors.ArgumentError, "2 numbers for 1", lambda x: gc.fft.fftn(x, s=(2, 2), axes=(0,))),
    "a complex operand": (gc.errors.DTypeError, "complex", lambda x: gc.fft.rfft(gc.complex(x, x))),
    "a name cut": (gc.errors.ShapeError, "cannot be brought", lambda x: gc.fft.fft(gc.input("x", ("n",)), n=4)),
}


@pytest.mark.parametrize(("error", "text", "call"), BAD.values(), ids=BAD.keys())
def test_bad_calls_say_what_fits(error: Any, text: str, call: Any) -> None:
    with pytest.raises(error, match=text) as caught:
        call(gc.input("x", (4,), "float64"))
    assert caught.value.fits
