"""First values: their distributions, seeds, shapes and dtypes, by name and as functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import graphc as gc
from graphc import init
from graphc.nn import initializers as i
from graphc.nn.seeds import set_random_seed

SHAPE = (3, 3, 20, 100)  # fans of 180 and 900
SIZE = 3 * 3 * 20 * 100
CUT = stats.truncnorm(-2, 2)
ALPHA = 1e-4


def uniform(limit: float) -> Any:
    return stats.uniform(-limit, 2 * limit)


def cut(stddev: float) -> Any:
    """The truncated normal with this standard deviation after the cut."""
    return stats.truncnorm(-2, 2, scale=stddev / CUT.std())


DRAWN: list[tuple[i.Initializer, Any]] = [
    (i.RandomNormal(0.5, 2.0, seed=1), stats.norm(0.5, 2.0)),
    (i.TruncatedNormal(0.5, 2.0, seed=1), stats.truncnorm(-2, 2, loc=0.5, scale=2.0)),
    (i.RandomUniform(-1.0, 3.0, seed=1), stats.uniform(-1.0, 4.0)),
    (i.RandomNormal(seed=1), stats.norm(0, 0.05)),
    (i.RandomUniform(seed=1), uniform(0.05)),
    (i.GlorotUniform(seed=1), uniform(math.sqrt(6 / 1080))),
    (i.GlorotNormal(seed=1), cut(math.sqrt(2 / 1080))),
    (i.LecunUniform(seed=1), uniform(math.sqrt(3 / 180))),
    (i.LecunNormal(seed=1), cut(math.sqrt(1 / 180))),
    (i.HeUniform(seed=1), uniform(math.sqrt(6 / 180))),
    (i.HeNormal(seed=1), cut(math.sqrt(2 / 180))),
    (i.VarianceScaling(seed=1), cut(math.sqrt(1 / 180))),
    (i.VarianceScaling(3.0, "fan_out", "untruncated_normal", seed=1), stats.norm(0, math.sqrt(3 / 900))),
    (i.VarianceScaling(3.0, "fan_avg", "normal", seed=1), cut(math.sqrt(3 / 540))),
    (i.VarianceScaling(2.0, "fan_in", "uniform", seed=1, input_axes=[3], output_axes=[2]), uniform(math.sqrt(6 / 100))),
]


@pytest.mark.parametrize(("initializer", "distribution"), DRAWN, ids=[repr(one) for one, _ in DRAWN])
def test_values_have_their_distribution(initializer: i.Initializer, distribution: Any) -> None:
    values = initializer(SHAPE)
    assert (values.shape, values.dtype) == (SHAPE, np.float32)
    assert stats.kstest(values.ravel(), distribution.cdf).pvalue > ALPHA
    error = 5 * distribution.std() / math.sqrt(SIZE)
    assert abs(values.mean() - distribution.mean()) < error
    assert abs(values.std() - distribution.std()) < error


def test_the_cut_is_at_two_standard_deviations() -> None:
    assert np.abs(i.TruncatedNormal(0.0, 1.0, seed=0)((100_000,), "float64")).max() <= 2
    np.testing.assert_allclose(init.CUT_STDDEV, CUT.std(), rtol=1e-12)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (2, 3, 4), (2, 2, 9)])
def test_orthogonal_rows_or_columns(shape: tuple[int, ...]) -> None:
    q = i.Orthogonal(gain=2.0, seed=3)(shape, "float64").reshape(-1, shape[-1]) / 2
    product = q @ q.T if q.shape[0] < q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_orthogonal_matrices_are_uniform() -> None:
    """The sum of the diagonal of a uniform orthogonal matrix has mean 0 and variance 1; without the signs its mean is not 0."""
    traces = [np.trace(i.Orthogonal(seed=seed)((3, 3))) for seed in range(200)]
    assert abs(np.mean(traces)) < 5 / math.sqrt(200)
    assert abs(np.var(traces) - 1) < 0.5


def test_what_is_not_drawn() -> None:
    assert not i.Zeros()((2, 3)).any()
    assert (i.Ones()((2, 3)) == 1).all()
    assert (i.Constant(2.5)((2, 3)) == 2.5).all()
    np.testing.assert_array_equal(i.Constant([1, 2, 3])((2, 3)), [[1, 2, 3]] * 2)
    np.testing.assert_array_equal(i.Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    np.testing.assert_array_equal(i.get(np.arange(4.0))((4,)), range(4))


@pytest.mark.parametrize("cls", i.CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_shapes_and_dtypes_are_as_asked(cls: Any, dtype: str) -> None:
    values = cls()((3, 4), dtype)
    assert (values.shape, values.dtype.name) == ((3, 4), dtype)
    assert values.flags.writeable
    assert cls()((3, 4)).dtype == np.float32


@pytest.mark.parametrize("cls", [i.GlorotUniform, i.HeNormal, i.RandomNormal, i.RandomUniform, i.TruncatedNormal, i.Zeros, i.Constant])
@pytest.mark.parametrize("shape", [(), (5,), (0, 3)])
def test_numbers_vectors_and_nothing(cls: Any, shape: tuple[int, ...]) -> None:
    assert cls()(shape).shape == shape


def test_a_vector_has_its_length_for_both_fans() -> None:
    assert abs(i.GlorotUniform(seed=0)((10_000,))).max() <= math.sqrt(3 / 10_000)


RANDOM = [cls for cls in i.CLASSES if issubclass(cls, i.RandomInitializer)]


@pytest.mark.parametrize("cls", RANDOM, ids=lambda cls: cls.__name__)
def test_seeds(cls: Any) -> None:
    first, again, other, none = cls(seed=4), cls(seed=4), cls(seed=5), cls()
    np.testing.assert_array_equal(first((3, 4)), again((3, 4)))
    np.testing.assert_array_equal(first((3, 4)), first((3, 4)))
    assert (first((3, 4)) != other((3, 4))).any()
    np.testing.assert_array_equal(none((3, 4)), none((3, 4)))
    assert (none((3, 4)) != cls()((3, 4))).any()
    assert none.get_config()["seed"] is None


def test_what_has_no_seed_goes_by_that_of_the_program() -> None:
    def drawn() -> Any:
        set_random_seed(7)
        return [i.GlorotUniform()((2, 2)), i.GlorotUniform()((2, 2))]

    first, again = drawn(), drawn()
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize(
    ("initializer", "function"),
    [
        (i.GlorotUniform(seed=2), lambda: init.glorot_uniform((4, 5), seed=2)),
        (i.HeNormal(seed=2), lambda: init.he_normal((4, 5), seed=2)),
        (i.Orthogonal(seed=2), lambda: init.orthogonal((4, 5), seed=2)),
        (i.RandomUniform(seed=2), lambda: init.uniform((4, 5), seed=2)),
    ],
    ids=["glorot_uniform", "he_normal", "orthogonal", "uniform"],
)
def test_functions_give_the_same_bits(initializer: i.Initializer, function: Any) -> None:
    np.testing.assert_array_equal(initializer((4, 5)), function())


def test_glorot_uniform_has_the_bits_it_always_had() -> None:
    expected = np.random.default_rng(1).uniform(-math.sqrt(6 / 7), math.sqrt(6 / 7), (3, 4)).astype("float32")
    np.testing.assert_array_equal(init.glorot_uniform((3, 4), seed=1), expected)


BAD = {
    "scale": (lambda: i.VarianceScaling(scale=0.0), ["scale is 0.0", "positive"]),
    "mode": (lambda: i.VarianceScaling(mode="fan"), ["mode is 'fan'", "'fan_avg'"]),
    "distribution": (lambda: i.VarianceScaling(distribution="cauchy"), ["distribution is 'cauchy'", "'uniform'"]),
    "seed": (lambda: i.GlorotUniform(seed=-1), ["GlorotUniform: seed is -1", "from 0"]),
    "half a seed": (lambda: i.RandomNormal(seed=0.5), ["seed is 0.5"]),
    "identity": (lambda: i.Identity()((2, 2, 2)), ["shape of no matrix", "two axes"]),
    "orthogonal": (lambda: i.Orthogonal()((2,)), ["no matrix has the shape (2,)", "at least two axes"]),
    "constant": (lambda: i.Constant([1, 2])((3,)), ["a value of shape (2,) for a weight of shape (3,)"]),
    "dtype": (lambda: i.Zeros()((3,), "float31"), ["no dtype 'float31'"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused(what: str) -> None:
    call, words = BAD[what]
    with pytest.raises(gc.errors.GraphcError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
