"""Linear algebra beside NumPy, SciPy and JAX: values, gradients at singular and degenerate matrices, stacks, and what is refused."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import graphc as gc
from graphc import ops
from graphc.core import OPS, Tensor
from graphc.grad import vjp
from graphc.testing import check_gradient

both = pytest.mark.parametrize("backend", ["numpy", "jax"])
LinAlgError = np.linalg.LinAlgError


def sample(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def positive(*shape: int) -> Any:
    a = sample(*shape)
    return a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1])


def run(build: Any, *arrays: Any, backend: str = "numpy") -> list[Any]:
    """The results of ``build`` on inputs that have these values."""
    arrays = tuple(np.asarray(array) for array in arrays)
    inputs = [gc.input(f"x{i}", array.shape, array.dtype) for i, array in enumerate(arrays)]
    built = build(*inputs)
    outputs = list(built) if isinstance(built, list | tuple) else [built]
    return [np.asarray(found) for found in gc.compile(inputs, outputs, backend=backend)(*arrays)]


def gradient_of(build: Any) -> Any:
    """The gradient of the sum of the results, by the first input."""

    def gradient(x: Tensor, *others: Tensor) -> Tensor:
        built = build(x, *others)
        total = sum((gc.sum(y) for y in built), start=gc.zeros((), x.dtype)) if isinstance(built, list | tuple) else gc.sum(built)
        return gc.grad(total, x, disconnected="zero")

    return gradient


# ---------------------------------------------------------------- values
def _triangular(lower: bool, transpose: bool = False, unit: bool = False) -> Any:
    return lambda a, b: scipy.linalg.solve_triangular(a, b, lower=lower, trans=int(transpose), unit_diagonal=unit)


S, TALL = sample(4, 4), sample(5, 3)
STACK, WIDE = sample(2, 1, 3, 3), sample(2, 3, 5)
VALUES: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "solve, a vector": (gc.solve, np.linalg.solve, (S, sample(4, seed=1))),
    "solve, a matrix": (gc.solve, np.linalg.solve, (S, sample(4, 2, seed=1))),
    "solve, stacks that broadcast": (gc.solve, np.linalg.solve, (STACK, sample(4, 3, 2, seed=1))),
    "solve, a vector for a stack": (gc.solve, np.linalg.solve, (STACK, sample(3, seed=1))),
    "solve_triangular, upper": (gc.solve_triangular, _triangular(False), (S, sample(4, seed=1))),
    "solve_triangular, lower": (lambda a, b: gc.solve_triangular(a, b, lower=True), _triangular(True), (S, sample(4, 2, seed=1))),
    "solve_triangular, the transpose of a lower one with ones": (
        lambda a, b: gc.solve_triangular(a, b, lower=True, transpose=True, unit_diagonal=True),
        _triangular(True, True, True),
        (S, sample(4, 2, seed=1)),
    ),
    "solve_triangular, stacks that broadcast": (
        gc.solve_triangular,
        lambda a, b: np.linalg.solve(np.triu(a), b),
        (STACK, sample(4, 3, 2, seed=1)),
    ),
    "cholesky": (gc.cholesky, np.linalg.cholesky, (positive(2, 3, 3),)),
    "cholesky, upper": (lambda a: gc.cholesky(a, upper=True), lambda a: np.linalg.cholesky(a).mT, (positive(4, 4),)),
    "inv": (gc.inv, np.linalg.inv, (STACK,)),
    "pinv, tall": (gc.pinv, np.linalg.pinv, (TALL,)),
    "pinv, wide stack": (gc.pinv, np.linalg.pinv, (WIDE,)),
    "pinv, rank 1": (gc.pinv, np.linalg.pinv, (np.outer([1.0, 2, 3], [1.0, -1]),)),
    "pinv, a coarse rtol": (
        lambda a: gc.pinv(a, rtol=0.5),
        lambda a: np.linalg.pinv(a, rtol=0.5),
        (np.diag([3.0, 2.0, 1.0]),),
    ),
    "pinv of zeros": (gc.pinv, np.linalg.pinv, (np.zeros((2, 3)),)),
    "det": (gc.det, np.linalg.det, (STACK,)),
    "slogdet": (gc.slogdet, np.linalg.slogdet, (STACK,)),
    "slogdet of a singular matrix": (gc.slogdet, np.linalg.slogdet, (np.array([[1.0, 2], [2, 4]]),)),
    "logdet": (gc.logdet, lambda a: np.log(np.linalg.det(a)), (positive(3, 3),)),
    "logdet, not positive": (gc.logdet, lambda a: np.array([np.nan, -np.inf]), (np.array([[[0.0, 1], [1, 0]], [[1, 1], [1, 1]]]),)),
    "adjugate": (gc.adjugate, lambda a: np.linalg.inv(a) * np.linalg.det(a)[..., None, None], (STACK,)),
    "qr, tall": (gc.qr, np.linalg.qr, (TALL,)),
    "qr, wide": (gc.qr, np.linalg.qr, (WIDE,)),
    "qr, complete": (lambda a: gc.qr(a, mode="complete"), lambda a: np.linalg.qr(a, mode="complete"), (TALL,)),
    "svd": (lambda a: gc.svd(a)[1], lambda a: np.linalg.svd(a)[1], (TALL,)),
    "svd put together": (lambda a: gc.matmul(gc.svd(a)[0] * gc.svd(a)[1][:, None, :], gc.svd(a)[2]), lambda a: a, (WIDE,)),
    "svdvals": (gc.svdvals, np.linalg.svdvals, (WIDE,)),
    "eigh": (lambda a: gc.eigh(a)[0], lambda a: np.linalg.eigh(a)[0], (positive(2, 3, 3),)),
    "eigh put together": (lambda a: gc.eigh(a)[1] @ gc.diag(gc.eigh(a)[0]) @ gc.eigh(a)[1].T, lambda a: a, (positive(4, 4),)),
    "eigvalsh": (gc.eigvalsh, np.linalg.eigvalsh, (positive(2, 3, 3),)),
    "eigvalsh reads both triangles": (gc.eigvalsh, lambda a: np.linalg.eigvalsh((a + a.T) / 2), (S,)),
    "cholesky reads both triangles": (gc.cholesky, lambda a: np.linalg.cholesky((a + a.T) / 2), (positive(4, 4) + 0.1 * S,)),
    "lstsq, tall": (gc.lstsq, lambda a, b: np.linalg.lstsq(a, b)[0], (TALL, sample(5, seed=1))),
    "lstsq, wide": (gc.lstsq, lambda a, b: np.linalg.lstsq(a, b)[0], (TALL.T, sample(3, 2, seed=1))),
    "lstsq, rank 1": (gc.lstsq, lambda a, b: np.linalg.lstsq(a, b)[0], (np.outer([1.0, 2, 3], [1.0, -1]), sample(3, seed=1))),
    "lstsq, a coarse rcond": (
        lambda a, b: gc.lstsq(a, b, rcond=0.5),
        lambda a, b: np.linalg.lstsq(a, b, rcond=0.5)[0],
        (np.diag([3.0, 2.0, 1.0]), sample(3, seed=1)),
    ),
    "expm": (gc.expm, scipy.linalg.expm, (STACK,)),
    "expm of a large matrix": (gc.expm, scipy.linalg.expm, (30 * S,)),
    "trace": (lambda x: gc.trace(x, offset=1, axis1=2, axis2=0), lambda x: np.trace(x, offset=1, axis1=2, axis2=0), (sample(3, 4, 5),)),
    **{
        f"matrix_power {n}": (lambda a, n=n: gc.matrix_power(a, n), lambda a, n=n: np.linalg.matrix_power(a, n), (STACK,))
        for n in (-3, -1, 0, 1, 2, 3, 6, 11)
    },
    "matrix_rank": (gc.matrix_rank, np.linalg.matrix_rank, (np.stack([np.diag([1.0, 2, 0]), np.zeros((3, 3)), np.eye(3)]),)),
    "matrix_rank, coarse": (lambda a: gc.matrix_rank(a, rtol=0.6), lambda a: np.linalg.matrix_rank(a, rtol=0.6), (np.diag([1.0, 2, 0]),)),
    "matrix_rank of nothing": (gc.matrix_rank, lambda a: np.zeros(2, int), (np.zeros((2, 0, 3)),)),
    **{
        f"matrix_norm {kind}": (
            lambda x, kind=kind: gc.matrix_norm(x, ord=kind),
            lambda x, kind=kind: np.linalg.matrix_norm(x, ord=kind),
            (WIDE,),
        )
        for kind in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
    },
    "matrix_norm that keeps its axes": (
        lambda x: gc.matrix_norm(x, keepdims=True),
        lambda x: np.linalg.matrix_norm(x, keepdims=True),
        (WIDE,),
    ),
    "matrix_norm of what overflows": (gc.matrix_norm, lambda x: np.array(5e300), (np.array([[3e300, 0], [0, 4e300]]),)),
    "matrix_norm of what overflows summed up": (gc.matrix_norm, lambda x: np.array(5e307), (np.full((5, 5), 1e307),)),
    "matrix_norm of a NaN": (gc.matrix_norm, np.linalg.matrix_norm, (np.array([[math.nan, 1], [0, 1]]),)),
    "matrix_norm of an inf": (gc.matrix_norm, np.linalg.matrix_norm, (np.array([[math.inf, 1], [0, 1]]),)),
}


@both
@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_numpy_and_scipy(name: str, backend: str) -> None:
    build, reference, arrays = VALUES[name]
    with np.errstate(all="ignore"):
        expected = reference(*arrays)
    found = run(build, *arrays, backend=backend)
    for ours, theirs in zip(found, expected if isinstance(expected, tuple) else [expected], strict=True):
        assert ours.shape == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", VALUES)
def test_float32_stays_float32_and_its_gradient_too(name: str) -> None:
    build, _, arrays = VALUES[name]
    if "overflows" in name:
        pytest.skip("a value that float32 does not have")
    inputs = [gc.input(f"x{i}", np.shape(array), "float32") for i, array in enumerate(arrays)]
    built = build(*inputs)
    outputs = list(built) if isinstance(built, tuple) else [built]
    if "rank" in name and "matrix" in name:
        assert outputs[0].dtype == "int64"
        return
    assert {y.dtype for y in outputs} == {"float32"}
    if name not in ("qr, complete", "slogdet of a singular matrix", "logdet, not positive"):
        found = gc.compile(inputs, gradient_of(lambda *xs: outputs)(*inputs))(*[np.float32(array) for array in arrays])
        assert found.dtype == np.float32


@pytest.mark.parametrize("name", ["det", "inv", "expm", "svdvals", "eigvalsh", "pinv, tall", "solve, a vector", "lstsq, tall", "slogdet"])
def test_integers_are_computed_in_float64(name: str) -> None:
    build, _, arrays = VALUES[name]
    built = build(*[gc.input(f"x{i}", np.shape(array), "int32") for i, array in enumerate(arrays)])
    assert {y.dtype for y in (built if isinstance(built, tuple) else [built])} == {"float64"}


# ---------------------------------------------------------------- gradients beside JAX's
JAXS: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "solve": (gc.solve, lambda la, a, b: la.solve(a, b), (STACK, sample(4, 3, 2, seed=1))),
    "inv": (gc.inv, lambda la, a: la.inv(a), (STACK,)),
    "det": (gc.det, lambda la, a: la.det(a), (STACK,)),
    "slogdet": (gc.slogdet, lambda la, a: la.slogdet(a), (STACK,)),
    "cholesky": (gc.cholesky, lambda la, a: la.cholesky(a), (positive(2, 3, 3),)),
    "cholesky of what is not symmetric": (gc.cholesky, lambda la, a: la.cholesky(a), (positive(4, 4) + 0.1 * S,)),
    "eigvalsh of what is not symmetric": (lambda a: gc.eigvalsh(a)[::2], lambda la, a: la.eigvalsh(a)[::2], (S,)),
    "eigh": (lambda a: gc.square(gc.eigh(a)[1][0]), lambda la, a: la.eigh(a)[1][0] ** 2, (positive(4, 4),)),
    "svdvals": (gc.svdvals, lambda la, a: la.svdvals(a), (WIDE,)),
    "svd": (lambda a: gc.square(gc.svd(a)[0][0]), lambda la, a: la.svd(a, full_matrices=False)[0][0] ** 2, (TALL,)),
    "qr": (gc.qr, lambda la, a: la.qr(a), (TALL,)),
    "pinv": (gc.pinv, lambda la, a: la.pinv(a), (TALL,)),
    "matrix_power": (lambda a: gc.matrix_power(a, 5), lambda la, a: la.matrix_power(a, 5), (S,)),
}


@pytest.mark.parametrize("name", JAXS)
def test_gradients_are_those_of_jax(name: str) -> None:
    import jax
    import jax.numpy as jnp

    ours, theirs, arrays = JAXS[name]

    def total(*xs: Any) -> Any:
        found = theirs(jnp.linalg, *xs)
        return sum(jnp.sum(y) for y in found) if isinstance(found, tuple) else jnp.sum(found)

    with jax.enable_x64(True):
        expected = jax.grad(total)(*[jnp.asarray(array) for array in arrays])
    np.testing.assert_allclose(run(gradient_of(ours), *arrays)[0], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "build",
    [
        gc.cholesky,
        gc.eigvalsh,
        lambda a: gc.eigh(a)[0][0] + gc.square(gc.eigh(a)[1][0, 0]),
    ],
)
def test_gradients_of_functions_of_the_symmetric_part_are_symmetric_and_those_of_differences(build: Any) -> None:
    point = positive(3, 3) + 0.1 * sample(3, 3)
    (g,) = run(gradient_of(build), point)
    np.testing.assert_allclose(g, g.T, rtol=1e-12)
    x = gc.input("x", (3, 3), "float64")
    assert check_gradient(build(x), x, at={x: point}, order=2)


def test_expm_is_differentiated_along_a_cotangent_of_any_size() -> None:
    """The block whose exponential is taken has the cotangent in a corner, and would be squared on its account."""
    build = gradient_of(gc.expm)
    (small,) = run(build, S)
    for backend in ("numpy", "jax"):
        (large,) = run(gradient_of(lambda a: 1e12 * gc.expm(a)), S, backend=backend)
        np.testing.assert_allclose(large, 1e12 * small, rtol=1e-10)
    np.testing.assert_array_equal(run(gradient_of(lambda a: 0.0 * gc.expm(a)), S)[0], np.zeros((4, 4)))


# ---------------------------------------------------------------- determinants at any rank
@both
def test_the_gradient_of_det_at_a_singular_matrix_is_the_adjugate(backend: str) -> None:
    (g,) = run(gradient_of(gc.det), np.array([[1.0, 2], [2, 4]]), backend=backend)
    np.testing.assert_allclose(g, [[4, -2], [-2, 1]], rtol=1e-12)


def of_rank(rank: int, n: int) -> Any:
    return sample(n, rank) @ sample(rank, n, seed=1)


@pytest.mark.parametrize(("n", "rank"), [(n, rank) for n in (1, 2, 3, 4) for rank in range(n + 1)])
def test_det_at_any_rank_is_right_at_orders_1_and_2(n: int, rank: int) -> None:
    x = gc.input("x", (n, n), "float64")
    report = check_gradient(gc.det(x), x, at={x: of_rank(rank, n)}, order=2)
    assert report, str(report)


@both
@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_hessian_of_det_at_rank_n_minus_2_is_that_of_leibniz(n: int, backend: str) -> None:
    point, h = of_rank(n - 2, n), sample(n, n, seed=2)
    x = gc.input("x", (n, n), "float64")
    second = gc.grad(gc.sum(gc.grad(gc.det(x), x) * gc.constant(h)), x)
    found = np.asarray(gc.compile([x], second, backend=backend)(point))
    np.testing.assert_allclose(found, _curvature(point, h), rtol=1e-9, atol=1e-11)


def _curvature(a: Any, h: Any) -> Any:
    """The derivative along h of the gradient of the determinant, term by term of Leibniz's sum over permutations."""
    n = len(a)
    found = np.zeros((n, n))
    for order in itertools.permutations(range(n)):
        sign = np.linalg.det(np.eye(n)[list(order)])
        for i, k in itertools.permutations(range(n), 2):
            others = math.prod(a[j, order[j]] for j in range(n) if j not in (i, k))
            found[i, order[i]] += sign * h[k, order[k]] * others
    return found


def test_the_third_derivative_of_det_is_right_where_there_is_an_inverse() -> None:
    x = gc.input("x", (3, 3), "float64")
    report = check_gradient(gc.det(x), x, order=3)
    assert report, str(report)


def test_det_of_a_large_matrix_has_a_gradient_that_is_det_times_the_inverse() -> None:
    a = sample(40, 40) / 6
    np.testing.assert_allclose(run(gradient_of(gc.det), a)[0], np.linalg.det(a) * np.linalg.inv(a).T, rtol=1e-9)


# ---------------------------------------------------------------- equal values
@both
@pytest.mark.parametrize("build", [gc.eigvalsh, gc.svdvals, lambda a: gc.eigh(a)[0], lambda a: gc.svd(a)[1]])
def test_values_only_have_finite_gradients_where_all_are_equal(build: Any, backend: str) -> None:
    """The sum of the values of the identity is its trace, whose gradient is the identity."""
    (g,) = run(gradient_of(build), np.eye(3), backend=backend)
    np.testing.assert_allclose(g, np.eye(3), atol=1e-12)


@both
@pytest.mark.parametrize("point", [np.eye(3), np.diag([1.0, 1, 2]), np.zeros((3, 3)), positive(3, 3) * 0 + np.ones((3, 3))])
def test_vectors_of_equal_values_have_finite_gradients(point: Any, backend: str) -> None:
    for build in (lambda a: gc.square(gc.eigh(a)[1]), lambda a: gc.square(gc.svd(a)[0]) + gc.square(gc.svd(a)[2])):
        (g,) = run(gradient_of(build), point, backend=backend)
        assert np.isfinite(g).all()


@both
def test_what_depends_on_the_space_of_equal_values_alone_is_right(backend: str) -> None:
    """The projection on the space of the eigenvalue 1, which does not move within itself."""
    weights = sample(3, 3)

    def projection(a: Tensor) -> Tensor:
        _, v = gc.eigh(a)
        return gc.matmul(v[:, :2], v[:, :2].T) * gc.constant(weights)

    expected = -(weights + weights.T) / 2 * np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]])
    np.testing.assert_allclose(run(gradient_of(projection), np.diag([1.0, 1, 2]), backend=backend)[0], expected, atol=1e-12)


@both
def test_a_function_of_a_matrix_by_its_vectors_loses_the_share_of_equal_values(backend: str) -> None:
    """``v diag(w) vᵀ`` is the matrix; what turns the vectors of the eigenvalue 1 into one another is taken as 0, as documented."""
    weights = sample(3, 3)

    def again(a: Tensor) -> Tensor:
        w, v = gc.eigh(a)
        return gc.matmul(v * w, v.T) * gc.constant(weights)

    expected = (weights + weights.T) / 2
    expected[0, 1] = expected[1, 0] = 0
    np.testing.assert_allclose(run(gradient_of(again), np.diag([1.0, 1, 2]), backend=backend)[0], expected, atol=1e-12)


def test_values_that_are_equal_up_to_rounding_count_as_equal() -> None:
    a = np.diag([1.0, np.nextafter(1.0, 2), 2.0])
    (g,) = run(gradient_of(lambda a: gc.eigh(a)[1]), a)
    assert np.abs(g).max() < 10


@both
def test_the_nuclear_and_frobenius_norms_at_zero(backend: str) -> None:
    for kind in ("fro", "nuc"):
        (g,) = run(gradient_of(lambda x, kind=kind: gc.matrix_norm(x, ord=kind)), np.zeros((2, 3)), backend=backend)
        assert np.isfinite(g).all()
        assert kind == "nuc" or not g.any()


# ---------------------------------------------------------------- what fails in the call
FAILS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "solve": (gc.solve, (np.ones((2, 2)), np.ones(2))),
    "inv": (gc.inv, (np.zeros((2, 2)),)),
    "solve_triangular": (gc.solve_triangular, (np.zeros((2, 2)), np.ones(2))),
    "cholesky": (gc.cholesky, (-np.eye(2),)),
    "the gradient of slogdet": (gradient_of(gc.slogdet), (np.zeros((2, 2)),)),
}


@pytest.mark.parametrize("name", FAILS)
def test_a_singular_matrix_raises_on_numpy_and_is_not_finite_on_jax(name: str) -> None:
    build, arrays = FAILS[name]
    with pytest.raises(LinAlgError):
        run(build, *arrays)
    assert not np.isfinite(run(build, *arrays, backend="jax")[0]).all()


# LAPACK's singular value decomposition loops for minutes on some of these, and eigh gives numbers for a NaN.
NOT_FINITE: dict[str, tuple[str, Any]] = {
    "svd": ("svd", lambda a: gc.svd(a)),
    "svdvals": ("svdvals", gc.svdvals),
    "pinv": ("pinv", gc.pinv),
    "pinv, a coarse rtol": ("pinv", lambda a: gc.pinv(a, rtol=1e-3)),
    "lstsq": ("lstsq", lambda a: gc.lstsq(a, gc.ones((5,), "float64"))),
    "adjugate": ("cofactors", gc.adjugate),
    "eigh": ("eigh", lambda a: gc.eigh(a)),
    "eigvalsh": ("eigvalsh", gc.eigvalsh),
    "the nuclear norm": ("svdvals", lambda a: gc.matrix_norm(a, ord="nuc")),
    "the gradient of det": ("cofactors", gradient_of(gc.det)),
    "the second gradient of det": ("det_curvature", gradient_of(gradient_of(gc.det))),
}


def spoiled(value: float) -> Any:
    a = sample(5, 5)
    a[1, 2] = value
    return a


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", NOT_FINITE)
def test_a_matrix_that_is_not_finite_is_refused(name: str, value: float) -> None:
    op, build = NOT_FINITE[name]
    with pytest.raises(LinAlgError, match=f"^{op}: a matrix has an inf or a NaN"):
        run(build, spoiled(value))


@pytest.mark.parametrize("name", NOT_FINITE)
def test_a_matrix_that_is_not_finite_gives_nan_on_jax_and_its_neighbours_their_values(name: str) -> None:
    _, build = NOT_FINITE[name]
    whole = sample(5, 5, seed=1)
    for both_of_them, alone in zip(
        run(build, np.stack([spoiled(math.inf), spoiled(math.nan), whole]), backend="jax"), run(build, whole, backend="jax"), strict=True
    ):
        assert np.isnan(both_of_them[:2]).all()
        np.testing.assert_allclose(both_of_them[2], alone, rtol=1e-9, atol=1e-11)


@both
@pytest.mark.parametrize("build", [gc.det, lambda a: gc.sum(gc.svdvals(a), axis=-1), lambda a: gc.sum(gc.pinv(a), axis=(-2, -1))])
def test_a_condition_keeps_what_is_not_finite_out_of_the_gradient(build: Any, backend: str) -> None:
    def chosen(a: Tensor) -> Tensor:
        return gc.where(gc.all(gc.isfinite(a), axis=(-2, -1)), build(a), 0)

    whole = sample(5, 5)
    (g,) = run(gradient_of(chosen), np.stack([spoiled(math.inf), whole]), backend=backend)
    assert not g[0].any()
    np.testing.assert_allclose(g[1], run(gradient_of(build), whole)[0], rtol=1e-9, atol=1e-11)


def test_the_determinant_of_what_is_not_finite_is_not_finite() -> None:
    for value in (math.inf, math.nan):
        assert not np.isfinite(run(gc.det, spoiled(value))[0])


@pytest.mark.parametrize(
    "name",
    [
        *("solve", "inv", "solve_triangular", "cholesky", "pinv", "lstsq", "qr"),
        *("svd", "svdvals", "eigh", "eigvalsh", "cofactors", "det_curvature"),
    ],
)
def test_ops_that_may_fail_say_so(name: str) -> None:
    assert OPS[name].raises


# ---------------------------------------------------------------- what is refused when it is built
def matrix(*shape: Any, dtype: str = "float32") -> Tensor:
    return gc.input("a", shape, dtype)


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "det of a vector": (lambda: gc.det(matrix(3)), gc.errors.ShapeError, "is not a matrix"),
    "det of an oblong": (lambda: gc.det(matrix(2, 3)), gc.errors.ShapeError, "2 by 3 is not square"),
    "inv of named sizes that differ": (lambda: gc.inv(matrix("m", "n")), gc.errors.ShapeError, "m by n is not square"),
    "svd of named sizes": (lambda: gc.svd(matrix("batch", 3)), gc.errors.ShapeError, "the smaller of batch and 3 is not known"),
    "solve of the wrong rows": (lambda: gc.solve(matrix(3, 3), matrix(2)), gc.errors.ShapeError, "no right-hand side"),
    "solve by a number": (lambda: gc.solve(matrix(3, 3), 1.0), gc.errors.ShapeError, "no right-hand side"),
    "solve of stacks that do not meet": (lambda: gc.solve(matrix(2, 3, 3), matrix(4, 3, 1)), gc.errors.ShapeError, "do not broadcast"),
    "qr in an unknown mode": (lambda: gc.qr(matrix(2, 2), mode="economic"), gc.errors.ArgumentError, "mode='economic'"),
    "float16": (lambda: gc.det(matrix(2, 2, dtype="float16")), gc.errors.DTypeError, "float16 are not factorised"),
    "complex": (lambda: gc.inv(matrix(2, 2, dtype="complex64")), gc.errors.DTypeError, "complex64 are not factorised"),
    "trace along one axis": (lambda: gc.trace(matrix(2, 2), axis1=1), gc.errors.ArgumentError, "axis1 and axis2 are both 1"),
    "trace of a vector": (lambda: gc.trace(matrix(2), axis2=0), gc.errors.ShapeError, "is not a matrix"),
    "a power of an oblong": (lambda: gc.matrix_power(matrix(2, 3), 2), gc.errors.ShapeError, "not square"),
    "a norm that is none": (lambda: gc.matrix_norm(matrix(2, 3), ord=3), gc.errors.ArgumentError, "ord=3"),
    "a norm of a vector": (lambda: gc.matrix_norm(matrix(3)), gc.errors.ShapeError, "not a matrix"),
    "curvature in another shape": (lambda: OPS["det_curvature"](matrix(2, 2), matrix(3, 3)), gc.errors.ShapeError, "not of a's shape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_calls_are_refused_in_three_parts(name: str) -> None:
    build, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message) as caught:
        build()
    assert caught.value.asked
    assert caught.value.given
    assert caught.value.fits


@pytest.mark.parametrize("build", [lambda a: gc.qr(a, mode="complete")[1], lambda a: gc.svd(a, full_matrices=True)[1]])
def test_what_is_not_arbitrary_beside_them_has_one(build: Any) -> None:
    x = gc.input("x", (3, 2), "float64")
    report = check_gradient(build(x), x, order=2, modes="reverse")  # a tangent is one of all results
    assert report, str(report)


@pytest.mark.parametrize(
    ("build", "way"),
    [
        (lambda a: gc.qr(a, mode="complete")[0], "mode='reduced'"),
        (lambda a: gc.svd(a, full_matrices=True)[0], "full_matrices=False"),
    ],
)
def test_vectors_that_only_fill_a_basis_up_have_no_gradient(build: Any, way: str) -> None:
    a = matrix(3, 2)
    with pytest.raises(gc.errors.GradientError, match="arbitrary in part") as caught:
        gc.grad(gc.sum(build(a)), a)
    assert way in caught.value.fits


# ---------------------------------------------------------------- named sizes and stacks
def test_named_sizes_stand_in_stacks_and_in_square_matrices() -> None:
    a, b = gc.input("a", ("batch", "n", "n"), "float64"), gc.input("b", ("n",), "float64")
    builds = {
        "solve": gc.solve(a, b),
        "cholesky": gc.cholesky(a),
        "eigh": gc.eigh(a)[0],
        "svd": gc.svd(a)[1],
        "qr": gc.qr(a)[1],
        "expm": gc.expm(a),
        "det": gc.det(a),
        "trace": gc.trace(a, axis1=1, axis2=2),
        "power": gc.matrix_power(a, 0) + gc.matrix_power(a, 3),
    }
    gradients = {name: gc.grad(gc.sum(y), a) for name, y in builds.items() if name != "power"}
    step = gc.compile([a, b], [*builds.values(), *gradients.values()])
    for batch, n in ((1, 1), (2, 3), (0, 2), (3, 0)):
        found = step(positive(batch, n, n), np.ones(n))
        np.testing.assert_allclose(found[0], np.linalg.solve(positive(batch, n, n), np.ones(n)))
        for value in found[len(builds) :]:
            assert value.shape == (batch, n, n)


@pytest.mark.parametrize("units", [1.4, 2.6, 3.2])
def test_the_rank_of_a_named_size_is_that_of_the_number(units: float) -> None:
    """A singular value counts above the size times the rounding unit, which are three units here."""
    point = np.diag([1.0, 0.5, units * np.finfo("float64").eps])
    named = gc.input("a", ("n", "n"), "float64")
    found = gc.compile([named], gc.matrix_rank(named))(point)
    assert found == np.linalg.matrix_rank(point) == run(gc.matrix_rank, point)[0]


def test_least_squares_of_a_named_number_of_rows() -> None:
    a, b = gc.input("a", ("batch", 3), "float64"), gc.input("b", ("batch",), "float64")
    x = gc.lstsq(a, b)
    step = gc.compile([a, b], [x, *gc.grad(gc.sum(x), [a, b])])
    for rows in (2, 3, 7):
        found, da, db = step(sample(rows, 3), sample(rows, seed=1))
        np.testing.assert_allclose(found, np.linalg.lstsq(sample(rows, 3), sample(rows, seed=1))[0])
        assert (da.shape, db.shape) == ((rows, 3), (rows,))
    assert gc.pinv(a).shape[::-1] == a.shape


STACKED = [op for op in OPS.values() if op.group == "linalg" and op.batch is not None]


def _cases(op: Any) -> list[tuple[Any, dict[str, Any]]]:
    return [(c.shapes, dict(c.attributes)) for c in op.cases]


@pytest.mark.parametrize("op", STACKED, ids=lambda op: op.name)
def test_the_op_on_stacks_is_the_op_on_each(op: Any) -> None:
    rng = np.random.default_rng(0)
    for shapes, attributes in _cases(op):
        for mapped in np.ndindex(*[2] * len(shapes)):
            if not any(mapped):
                continue
            values = [positive(*shape) if shape[-1:] == shape[-2:-1] else rng.normal(size=shape) for shape in shapes]
            stacks = [np.stack([v, 2 * v, 3 * v]) if m else v for v, m in zip(values, mapped, strict=True)]
            inputs = [gc.input(f"x{i}", s.shape, "float64") for i, s in enumerate(stacks)]
            together = op.batch(tuple(bool(m) for m in mapped), *inputs, **OPS[op.name].keywords(_node(op, values, attributes)))
            each = [_parts(op(*[x[i] if m else x for x, m in zip(inputs, mapped, strict=True)], **attributes)) for i in range(3)]
            outputs = [*_parts(together), *[gc.stack(column) for column in zip(*each, strict=True)]]
            found = gc.compile(inputs, outputs)(*stacks)
            half = len(found) // 2
            for ours, looped in zip(found[:half], found[half:], strict=True):
                np.testing.assert_allclose(ours, looped, rtol=1e-9, atol=1e-11)


def _parts(result: Any) -> list[Tensor]:
    return list(result) if isinstance(result, tuple) else [result]


def _node(op: Any, values: list[Any], attributes: dict[str, Any]) -> Tensor:
    """The op's node on these, whose attributes are canonical."""
    node = _parts(op(*[gc.input("x", v.shape, "float64") for v in values], **attributes))[0]
    return node.inputs[0] if node.op is ops.part else node


@pytest.mark.parametrize("name", ["inv", "expm", "cholesky", "det", "svdvals", "eigvalsh", "pinv"])
def test_matrices_of_no_size_and_of_one(name: str) -> None:
    op = OPS[name]
    for shape in ((0, 0), (1, 1), (0, 1, 1), (2, 0, 0)):
        x = gc.input("x", shape, "float64")
        y = op(x)
        value, g = gc.compile([x], [y, vjp(y, x, gc.ones_like(y))])(np.ones(shape))
        assert g.shape == shape
        expected = {"inv": 1, "expm": math.e, "cholesky": 1, "det": 1, "svdvals": 1, "eigvalsh": 1, "pinv": 1}[name]
        np.testing.assert_allclose(value, np.full(value.shape, expected))
