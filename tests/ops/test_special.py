"""Special functions and their kin, against SciPy and mpmath: tails, poles, both sides of 0, and where a formula would cancel."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special

import graphc as gc
from graphc.core import OPS, dtypes

NAN, INF = math.nan, math.inf
both = pytest.mark.parametrize("backend", ["numpy", "jax"])


def values(build: Any, *points: Any, backend: str = "numpy", dtype: str = "float64") -> Any:
    """The function at these points."""
    arrays = [np.asarray(point).astype(dtypes.numpy_dtype(dtype)) for point in points]
    inputs = [gc.input(f"x{i}", array.shape, dtype) for i, array in enumerate(arrays)]
    return np.asarray(gc.compile(inputs, build(*inputs), backend=backend)(*arrays))


def derivative(build: Any, *points: Any, by: int = 0, order: int = 1, backend: str = "numpy", dtype: str = "float64") -> Any:
    """The derivative of the elementwise function by one of its operands at these points."""

    def differentiated(*inputs: Any) -> Any:
        y = build(*inputs)
        for _ in range(order):
            y = gc.grad(gc.sum(y), inputs[by], disconnected="zero")
        return y

    return values(differentiated, *points, backend=backend, dtype=dtype)


def exact(function: Any, *points: Any) -> Any:
    """mpmath's values to 60 digits, as float64."""
    with mpmath.workdps(60):
        return np.array([float(mpmath.re(function(*map(mpmath.mpf, map(float, point))))) for point in zip(*points, strict=True)])


# ---------------------------------------------------------------- values are SciPy's, on both sides of 0
SIDES = np.array([-7.3, -2.5, -1.25, -0.5, -1e-3, 1e-3, 0.5, 1.0, 1.4616, 2.0, 3.7, 12.5, 150.0])
SCIPY: dict[str, tuple[Any, Any]] = {
    "erf": (gc.erf, special.erf),
    "erfc": (gc.erfc, special.erfc),
    "ndtr": (gc.ndtr, special.ndtr),
    "lgamma": (gc.lgamma, special.gammaln),
    "digamma": (gc.digamma, special.digamma),
    "i0": (gc.i0, special.i0),
    "i1": (gc.i1, special.i1),
    **{f"polygamma {n}": (lambda x, n=n: gc.polygamma(n, x), lambda x, n=n: exact(lambda x: mpmath.polygamma(n, x), x)) for n in range(5)},
    **{f"bessel {n}": (lambda x, n=n: OPS["bessel_i"](x, n=n), lambda x, n=n: special.iv(n, x)) for n in (2, 3, 5)},
}


@both
@pytest.mark.parametrize("name", SCIPY)
def test_values_on_both_sides_of_0(name: str, backend: str) -> None:
    ours, theirs = SCIPY[name]
    points = np.clip(SIDES, -9, 9) if name == "erfc" else SIDES
    np.testing.assert_allclose(values(ours, points, backend=backend), theirs(points), rtol=2e-13, atol=2e-14)


@both
def test_erfinv_to_its_ends(backend: str) -> None:
    points = [-1.0, -0.999999, -0.5, 0.0, 1e-20, 0.3, 1.0, 1.5]
    np.testing.assert_allclose(values(gc.erfinv, points, backend=backend), special.erfinv(points), rtol=1e-11)


@both
def test_poles_of_the_gamma_family(backend: str) -> None:
    poles = [0.0, -1.0, -2.0, -30.0]
    np.testing.assert_array_equal(values(gc.lgamma, poles, backend=backend), [INF] * 4)
    np.testing.assert_array_equal(values(gc.digamma, [0.0, -0.0, -1.0, -2.0], backend=backend), [-INF, INF, NAN, NAN])
    for n in (1, 2, 3):
        np.testing.assert_array_equal(values(lambda x, n=n: gc.polygamma(n, x), poles, backend=backend), special.polygamma(n, poles))


@both
def test_infinities(backend: str) -> None:
    for build, expected in {
        gc.erf: [-1, 1, NAN],
        gc.erfc: [2, 0, NAN],
        gc.ndtr: [0, 1, NAN],
        OPS["gaussian"]: [0, 0, NAN],
    }.items():
        np.testing.assert_array_equal(values(build, [-INF, INF, NAN], backend=backend), expected)


@both
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", SCIPY)
def test_short_floats_stay_short(name: str, dtype: str, backend: str) -> None:
    ours, theirs = SCIPY[name]
    points = np.array([0.25, 0.5, 1.75, 3.0])
    found = values(ours, points, backend=backend, dtype=dtype)
    assert found.dtype == dtypes.numpy_dtype(dtype)
    np.testing.assert_allclose(found.astype(float), theirs(points), rtol=0.03, atol=0.01)


def test_polygamma_refuses_a_negative_order() -> None:
    with pytest.raises(gc.errors.ArgumentError, match="n is -1") as caught:
        gc.polygamma(-1, gc.input("x", ("n",)))
    assert caught.value.given
    assert "digamma" in caught.value.fits


# ---------------------------------------------------------------- derivatives where a formula would cancel or overflow
@both
def test_the_bell_keeps_its_digits_in_the_tail(backend: str) -> None:
    points = np.float32([-9.1, -5.3, 0.1, 3.3, 7.7, 9.2])
    found = derivative(gc.erf, points, backend=backend, dtype="float32")
    np.testing.assert_allclose(found, exact(lambda x: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-(x**2)), points), rtol=5e-7)


@both
@pytest.mark.parametrize("by", [0, 1])
def test_the_gradient_of_betaln_does_not_cancel(by: int, backend: str) -> None:
    a, b = np.array([1000.0, 1e6, 1e-3, 2.0, 1e-8, 0.3, 30.0]), np.array([1e-3, 2.0, 1e6, 3.0, 1e-9, 1e8, 40.0])
    slope = [lambda a, b: mpmath.digamma(a) - mpmath.digamma(a + b), lambda a, b: mpmath.digamma(b) - mpmath.digamma(a + b)][by]
    np.testing.assert_allclose(derivative(gc.betaln, a, b, by=by, backend=backend), exact(slope, a, b), rtol=1e-13)
    found = derivative(gc.betaln, a, b, by=by, backend=backend, dtype="float32")
    np.testing.assert_allclose(found, exact(slope, np.float32(a), np.float32(b)), rtol=2e-6)


@both
def test_the_second_derivative_of_betaln_does_not_cancel(backend: str) -> None:
    a, b = np.array([1000.0, 1e4, 0.2]), np.array([1e-3, 2.0, 1e-7])
    curve = exact(lambda a, b: mpmath.polygamma(1, a) - mpmath.polygamma(1, a + b), a, b)
    np.testing.assert_allclose(derivative(gc.betaln, a, b, order=2, backend=backend), curve, rtol=1e-12)


@both
def test_betaln_of_large_arguments(backend: str) -> None:
    a, b = np.array([1e8, 1e5, 3.0, 20.0, 1e-9, 0.5, 11.0]), np.array([2.0, 1e5, 1e7, 11.0, 1e3, 0.5, 0.1])
    expected = exact(lambda a, b: mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b), a, b)
    np.testing.assert_allclose(values(gc.betaln, a, b, backend=backend), expected, rtol=1e-11)
    np.testing.assert_allclose(values(gc.betaln, a, b, backend=backend, dtype="float32"), expected, rtol=3e-6)


def test_betaln_has_no_gradient_off_its_domain() -> None:
    assert np.isnan(derivative(gc.betaln, [-1.5, 2.0], [2.0, -0.5])).all()


@both
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_sinc(order: int, backend: str) -> None:
    points = np.array([0.0, 1e-9, -1e-3, 0.2, 0.49, 0.51, -0.8, 1.3, 2.5, -7.25, 30.1])

    def integral(x: Any) -> Any:
        """The derivative of the integral of ``cos(pi x t)`` over t from 0 to 1."""
        turn = mpmath.pi * mpmath.mpf(order) / 2
        return mpmath.quad(lambda t: (mpmath.pi * t) ** order * mpmath.cos(mpmath.pi * x * t + turn), mpmath.linspace(0, 1, 20))

    np.testing.assert_allclose(derivative(gc.sinc, points, order=order, backend=backend), exact(integral, points), rtol=1e-12, atol=1e-12)


@both
def test_sinc_of_short_floats_at_0(backend: str) -> None:
    np.testing.assert_array_equal(values(gc.sinc, [0.0], backend=backend, dtype="float16"), [1])


@both
def test_log1mexp_at_both_ends(backend: str) -> None:
    points = np.array([1e-300, 1e-10, 0.1, math.log(2), 1.0, 40.0, 80.0])
    expected, slopes = exact(lambda x: mpmath.log(-mpmath.expm1(-x)), points), exact(lambda x: 1 / mpmath.expm1(x), points)
    np.testing.assert_allclose(values(gc.log1mexp, points, backend=backend), expected, rtol=1e-14)
    np.testing.assert_array_equal(values(gc.log1mexp, [0.0, INF, -1.0], backend=backend), [-INF, 0, NAN])
    np.testing.assert_allclose(derivative(gc.log1mexp, points, backend=backend), slopes, rtol=1e-14)


FAR: dict[str, Any] = {
    "gelu": gc.gelu,
    "gelu by tanh": lambda x: gc.gelu(x, approximate=True),
    "selu": gc.selu,
    "celu": lambda x: gc.celu(x, alpha=0.5),
    "hard_silu": gc.hard_silu,
    "erf": gc.erf,
    "erfc": gc.erfc,
    "ndtr": gc.ndtr,
    "log1mexp": lambda x: gc.log1mexp(gc.abs(x)),
    "atan2": lambda x: gc.atan2(x, 3.0),
    "acosh": lambda x: gc.acosh(gc.abs(x)),
}


@both
@pytest.mark.parametrize("name", FAR)
def test_derivatives_are_finite_far_out(name: str, backend: str) -> None:
    points = np.float32([-1e30, -1e4, -200, -80, 80, 200, 1e4, 1e30])
    for order in (1, 2):
        found = derivative(FAR[name], points, order=order, backend=backend, dtype="float32")
        assert np.isfinite(found).all(), found


# ---------------------------------------------------------------- near the edges of a domain
@both
def test_slopes_at_the_edge_of_acosh_and_atanh(backend: str) -> None:
    near = np.float32([1 + 2.0**-23, 1.0001, 3.0, 1e20])
    found = derivative(gc.acosh, near, backend=backend, dtype="float32")
    np.testing.assert_allclose(found, exact(lambda x: 1 / mpmath.sqrt(x * x - 1), near), rtol=5e-7)
    inside = np.float32([1 - 2.0**-24, -0.9999, 1e-10, 0.5])
    found = derivative(gc.atanh, inside, backend=backend, dtype="float32")
    np.testing.assert_allclose(found, exact(lambda x: 1 / (1 - x * x), inside), rtol=5e-7)


# ---------------------------------------------------------------- policy: kinks and corners
@both
def test_atan2_at_the_origin_and_on_the_axes(backend: str) -> None:
    a, b = np.array([0.0, 0.0, 0.0, 2.0, -2.0, 1e-200]), np.array([0.0, 1.0, -1.0, 0.0, 0.0, 1e-200])
    np.testing.assert_array_equal(values(gc.atan2, a, b, backend="numpy"), np.arctan2(a, b))
    np.testing.assert_allclose(derivative(gc.atan2, a, b, backend=backend), [0, 1, -1, 0, 0, 5e199])
    np.testing.assert_allclose(derivative(gc.atan2, a, b, by=1, backend=backend), [0, 0, 0, -0.5, 0.5, -5e199])


SELU = 1.0507009873554805 * 1.6732632423543772


@both
@pytest.mark.parametrize(
    ("build", "point", "slope"),
    [
        (gc.selu, 0.0, SELU),
        (lambda x: gc.celu(x, alpha=0.5), 0.0, 1.0),
        (gc.hard_silu, -3.0, 0.0),
        (gc.hard_silu, 3.0, 1.0),
        (gc.gelu, 0.0, 0.5),
        (gc.nan_to_num, NAN, 0.0),
        (gc.nan_to_num, INF, 0.0),
        (lambda a: gc.xlogy(a, 2.0), 0.0, math.log(2)),
        (lambda b: gc.xlogy(0.0, b), 0.0, 0.0),
        (lambda b: gc.xlog1py(0.0, b), -1.0, 0.0),
    ],
)
def test_slopes_where_the_policy_chooses(build: Any, point: float, slope: float, backend: str) -> None:
    np.testing.assert_allclose(derivative(build, [point], backend=backend), [slope], rtol=1e-15)


@both
def test_the_mixed_derivative_of_xlogy_on_the_line_where_it_is_0(backend: str) -> None:
    def mixed(a: Any, b: Any) -> Any:
        return gc.grad(gc.sum(gc.grad(gc.sum(gc.xlogy(a, b)), b)), a)

    np.testing.assert_allclose(values(mixed, [0.0, 1.0], [2.0, 4.0], backend=backend), [0.5, 0.25])


@both
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_nan_to_num_is_numpys(dtype: str, backend: str) -> None:
    points = np.array([NAN, INF, -INF, 1.5, -0.0])
    found = values(gc.nan_to_num, points, backend=backend, dtype=dtype)
    assert found.dtype == dtypes.numpy_dtype(dtype)
    assert np.isfinite(found.astype(float)).all()
    if dtype != "bfloat16":  # which NumPy takes for no float
        np.testing.assert_array_equal(found, np.nan_to_num(points.astype(dtype)))
    given = values(lambda x: gc.nan_to_num(x, nan=1, posinf=2, neginf=-3), points, backend=backend, dtype=dtype)
    np.testing.assert_array_equal(given.astype(float), [1, 2, -3, 1.5, 0])


@both
@pytest.mark.parametrize("equal_nan", [False, True])
def test_isclose_is_numpys(equal_nan: bool, backend: str) -> None:
    a = np.array([1.0, 1.0, INF, INF, NAN, 0.0, 1.0, INF, -INF])
    b = np.array([1.0 + 1e-6, 1.1, INF, -INF, NAN, 1e-9, NAN, 1.0, -INF])
    found = values(lambda a, b: gc.isclose(a, b, equal_nan=equal_nan), a, b, backend=backend)
    np.testing.assert_array_equal(found, np.isclose(a, b, equal_nan=equal_nan))


def test_celu_refuses_an_alpha_that_is_not_positive() -> None:
    with pytest.raises(gc.errors.ArgumentError, match=r"alpha is 0\.0") as caught:
        gc.celu(gc.input("x", (3,)), alpha=0)
    assert caught.value.given
    assert "positive" in caught.value.fits


def test_gelu_is_both_of_its_formulas() -> None:
    x = np.linspace(-6, 6, 41)
    np.testing.assert_allclose(values(gc.gelu, x), x * special.ndtr(x), rtol=1e-14)
    by_tanh = x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    np.testing.assert_allclose(values(lambda x: gc.gelu(x, approximate=True), x), by_tanh, rtol=1e-12, atol=1e-15)


def test_named_sizes() -> None:
    x = gc.input("x", ("n", 3))
    for y in (gc.gelu(x), gc.polygamma(2, x), gc.betaln(x, gc.exp(x)), gc.sinc(x), gc.nan_to_num(x), gc.isclose(x, x)):
        assert y.shape == x.shape
