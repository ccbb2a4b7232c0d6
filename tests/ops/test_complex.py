"""Complex numbers through the table: every pointwise op takes them as NumPy does or refuses them, and its derivatives are right."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, Op, dtypes
from graphc.core.errors import DTypeError

rng = np.random.default_rng(0)
# What NumPy defines by comparing the real parts first, or on a branch.
NOT_COMPARED = {
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal", "maximum", "minimum", "clip"), "complex numbers have no order"),
    **dict.fromkeys(("sign", "round", "logical_and", "logical_or", "logical_not", "logical_xor"), "no meaning of their own"),
    **dict.fromkeys(
        ("asin", "acos", "atan", "asinh", "acosh", "atanh", "exp2", "log2", "log1p", "sinc", "sinc_derivative"),
        "branches that are not tested",
    ),
}
POINTWISE = [op for op in OPS.values() if op.pointwise and op.group == "pointwise" and not set(op.attributes) - set(op.defaults)]


def _call(op: Op, dtype: str) -> Any:
    inputs = [gc.input(name, (4,), "bool" if op.name == "where" and name == "c" else dtype) for name in op.operands]
    return inputs, op(*inputs)


def _accepts(op: Op) -> bool:
    try:
        _call(op, "complex128")
    except DTypeError:
        return False
    return True


ACCEPTED = [op for op in POINTWISE if _accepts(op)]


def _values(inputs: list[Any]) -> list[Any]:
    made = [rng.normal(size=(4, 2)) @ [1, 1j] if dtypes.is_complex(x.dtype) else np.array([True, False, True, False]) for x in inputs]
    return [value * 0.5 + 1.2 if dtypes.is_complex(x.dtype) else value for x, value in zip(inputs, made, strict=True)]


@pytest.mark.parametrize("op", [op for op in POINTWISE if op not in ACCEPTED], ids=lambda op: op.name)
def test_what_is_refused_is_refused_by_numpy_too_or_for_a_reason(op: Op) -> None:
    function = getattr(np, {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(op.name, op.name), None)
    if function is None or op.name in NOT_COMPARED:
        return
    with pytest.raises(TypeError):
        function(*[np.ones(2, "complex128")] * len(op.operands))


@pytest.mark.parametrize("op", ACCEPTED, ids=lambda op: op.name)
def test_values_are_numpys_and_jaxs(op: Op) -> None:
    for dtype in ("complex64", "complex128"):
        inputs, y = _call(op, dtype)
        values = [v.astype(x.dtype) for v, x in zip(_values(inputs), inputs, strict=True)]
        ours = gc.compile(inputs, y)(*values)
        assert ours.dtype.name == y.dtype
        theirs = gc.compile(inputs, y, backend="jax")(*values)
        assert str(theirs.dtype) == y.dtype
        np.testing.assert_allclose(np.asarray(theirs), ours, rtol=1e-5 if dtype == "complex64" else 1e-12)
        function = getattr(np, op.name, None)
        if function is not None:
            np.testing.assert_allclose(ours, function(*values), rtol=1e-5 if dtype == "complex64" else 1e-12)


@pytest.mark.parametrize("op", [op for op in ACCEPTED if not op.zero_gradient], ids=lambda op: op.name)
def test_derivatives_are_the_differences_in_both_directions(op: Op) -> None:
    """Of orders 1 and 2: the gradient of a real function of the result, and of a real function of that gradient."""
    inputs, y = _call(op, "complex128")
    values = _values(inputs)
    wrt = [x for x in inputs if dtypes.is_complex(x.dtype)]
    scalar = _real_function(y)
    for _ in range(2):
        gradients = gc.grad(scalar, wrt, disconnected="zero")
        run = gc.compile(inputs, [scalar, *gradients])
        found = run(*values)[1:]
        for x, g in zip(wrt, found, strict=True):
            place = inputs.index(x)
            for direction in (1.0, 1j):
                step = 1e-6 * direction * np.array([1.0, -0.5, 0.25, 2.0])
                up = run(*[v + step if i == place else v for i, v in enumerate(values)])[0]
                down = run(*[v - step if i == place else v for i, v in enumerate(values)])[0]
                expected = np.sum((np.conj(g) * step).real) * 2
                np.testing.assert_allclose(up - down, expected, rtol=2e-5, atol=1e-9)
        scalar = sum((_real_function(g) for g in gradients), start=gc.constant(0.0, "float64"))


def _real_function(y: Any) -> Any:
    weights = np.array([0.7, -0.3, 0.5, 1.1])
    if not dtypes.is_complex(y.dtype):
        return gc.sum(weights * y * y)
    return gc.sum(weights * gc.real(y) * gc.imag(y)) + gc.sum(weights[::-1] * gc.square(gc.real(y)))


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_abs_has_gradient_0_at_0(backend: Any) -> None:
    z = gc.input("z", (2,), "complex128")
    found = gc.evaluate(gc.grad(gc.sum(gc.abs(z)), z), {z: [0, 3 + 4j]}, backend=backend)
    np.testing.assert_allclose(found, [0, 0.6 + 0.8j])


def test_literals_and_constants() -> None:
    x, z = gc.input("x", (2,), "float32"), gc.input("z", (2,), "complex64")
    assert (x * 1j).dtype == "complex64"
    assert (z * 2.5).dtype == "complex64"
    assert (gc.input("d", (2,), "float64") * 1j).dtype == "complex128"
    assert gc.constant(1 + 2j).dtype == "complex128"
    np.testing.assert_array_equal(gc.evaluate(x * 1j + (1 - 2j), {x: [1.0, 2.0]}), np.array([1 - 1j, 1 + 0j], "complex64"))


def test_a_cast_that_would_lose_the_imaginary_part_is_refused() -> None:
    z = gc.input("z", (2,), "complex64")
    with pytest.raises(DTypeError, match="imaginary part") as caught:
        gc.cast(z, dtype="float32")
    assert "gc.real" in caught.value.fits


@pytest.mark.parametrize("reduction", [gc.max, gc.min, gc.argmax, gc.sort, gc.median])
def test_what_needs_an_order_is_refused(reduction: Any) -> None:
    with pytest.raises(DTypeError, match="complex"):
        reduction(gc.input("z", (3,), "complex64"))


def test_products_sums_and_means_of_complex_matrices() -> None:
    a, b = gc.input("a", (2, 3), "complex128"), gc.input("b", (3, 2), "complex128")
    va, vb = rng.normal(size=(2, 3, 2)) @ [1, 1j], rng.normal(size=(3, 2, 2)) @ [1, 1j]
    outputs = [a @ b, gc.sum(a, axis=0), gc.mean(a), gc.prod(a, axis=1), gc.einsum("ij,jk->ik", a, b), gc.trace(a @ b), a.T, a[::-1]]
    expected = [va @ vb, va.sum(0), va.mean(), va.prod(1), va @ vb, np.trace(va @ vb), va.T, va[::-1]]
    for backend in ("numpy", "jax"):
        for found, value in zip(gc.compile([a, b], outputs, backend=backend)(va, vb), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-12)
