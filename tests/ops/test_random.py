"""Random numbers: the bits of Threefry and of JAX, the same on both backends, and the distributions that they are said to have."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import stats

import graphc as gc
from graphc.core import OPS, dtypes

R = gc.random
FLOATS = ("float16", "bfloat16", "float32", "float64")
SEEDS = (0, 1, 42, 2**31, 2**40 + 17, -1, -(2**63), 2**63 - 1)
both = pytest.mark.parametrize("backend", ["numpy", "jax"])


@pytest.fixture
def jr() -> Any:
    """``jax.random`` with the 64-bit types."""
    import jax

    with jax.enable_x64(True):
        yield jax.random


def draw(build: Any, seed: int = 42, backend: str = "numpy") -> Any:
    """The value of ``build(key)``, the key being an input: a constant one would be folded away."""
    key = gc.input("key", (2,), "uint32")
    return np.asarray(gc.compile([key], build(key), backend=backend)(R.key(seed).value))


def on_both(build: Any, seed: int = 42, units: int = 16) -> Any:
    """The value, which has to be the same on both backends: to the bit, or floats to a few units in the last place."""
    found, other = draw(build, seed), draw(build, seed, "jax")
    assert found.dtype == other.dtype
    assert found.shape == other.shape
    close(found, other, units)
    return found


def close(found: Any, expected: Any, units: int = 16) -> None:
    """Equal, but for floats up to a few units in the last place (of 1 at least)."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype
    if not dtypes.is_float(found.dtype.name):
        np.testing.assert_array_equal(found, expected)
        return
    import ml_dtypes

    eps = float(ml_dtypes.finfo(found.dtype).eps)
    np.testing.assert_allclose(found.astype("float64"), expected.astype("float64"), rtol=units * eps, atol=units * eps)


# ---------------------------------------------------------------- Threefry
# Known answers of Random123 1.14 (kat_vectors): the key, the counter and the block, as words in hexadecimal.
KNOWN = [
    ("00000000 00000000", "00000000 00000000", "6b200159 99ba4efe"),
    ("ffffffff ffffffff", "ffffffff ffffffff", "1cb996fc bb002be7"),
    ("13198a2e 03707344", "243f6a88 85a308d3", "c4923a9c 483df7a0"),
]


@both
@pytest.mark.parametrize(("key", "counter", "block"), KNOWN)
def test_known_answers(key: str, counter: str, block: str, backend: str) -> None:
    words = gc.input("key", (2,), "uint32")
    first = gc.input("counter", (), "uint64")
    run = gc.compile([words, first], OPS["random_bits"](words, first, shape=(), dtype="uint64"), backend=backend)
    found = run(np.array([int(word, 16) for word in key.split()], "uint32"), np.uint64(int(counter.replace(" ", ""), 16)))
    assert f"{int(found):016x}" == block.replace(" ", "")


def plain_threefry(key: tuple[int, int], counter: int) -> tuple[int, int]:
    """The paper's words, one counter at a time."""
    mask = 2**32 - 1
    words = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    a, b = (counter >> 32) + words[0] & mask, counter + words[1] & mask
    for i in range(20):
        turn = (13, 15, 26, 6, 17, 29, 16, 24)[i % 8]
        a = a + b & mask
        b = (b << turn | b >> 32 - turn) & mask ^ a
        if i % 4 == 3:
            block = i // 4 + 1
            a, b = a + words[block % 3] & mask, b + words[(block + 1) % 3] + block & mask
    return a, b


@both
def test_counters_carry_into_the_high_word_and_wrap(backend: str) -> None:
    words = gc.input("key", (2,), "uint32")
    first = gc.input("counter", (), "uint64")
    run = gc.compile([words, first], OPS["random_bits"](words, first, shape=(2, 3)), backend=backend)
    for start in (2**32 - 3, 2**64 - 2):
        blocks = [plain_threefry((7, 9), (start + i) % 2**64) for i in range(6)]
        found = run(np.array([7, 9], "uint32"), np.uint64(start))
        np.testing.assert_array_equal(found, np.array([a ^ b for a, b in blocks], "uint32").reshape(2, 3))


def test_pieces_of_the_size_of_the_cache_make_one_sequence(jr: Any) -> None:
    count = 3 * 32768 + 5
    np.testing.assert_array_equal(draw(lambda key: R.bits(key, (count,))), jr.bits(jr.key(42), (count,), "uint32"))


# ---------------------------------------------------------------- JAX
SHAPES = [(), (1,), (7,), (2, 3), (3, 1, 5), (0,), (2, 0, 3), (1000,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", dtypes.UNSIGNED)
def test_bits_are_those_of_jax(shape: tuple[int, ...], dtype: str, jr: Any) -> None:
    key = gc.input("key", (2,), "uint32")
    for backend in ("numpy", "jax"):
        run = gc.compile([key], R.bits(key, shape, dtype), backend=backend)
        for seed in (0, -1, 2**40 + 17):
            np.testing.assert_array_equal(run(R.key(seed).value), jr.bits(jr.key(seed), shape, dtype))


@both
def test_keys_are_those_of_jax(backend: str, jr: Any) -> None:
    key = gc.input("key", (2,), "uint32")
    data = (0, 1, 2**32 - 1)
    graphs = [R.split(key), R.split(key, 5), R.split(key, (2, 3)), *(R.fold_in(key, number) for number in data)]
    run = gc.compile([key], graphs, backend=backend)
    for seed in SEEDS:
        whole = jr.key(seed)
        np.testing.assert_array_equal(R.key(seed).value, jr.key_data(whole))
        theirs = [jr.split(whole), jr.split(whole, 5), jr.split(whole, (2, 3)), *(jr.fold_in(whole, number) for number in data)]
        for found, expected in zip(run(R.key(seed).value), theirs, strict=True):
            np.testing.assert_array_equal(found, jr.key_data(expected))


@both
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint32", "uint64"])
def test_seeds_and_data_may_be_tensors(dtype: str, backend: str, jr: Any) -> None:
    x = gc.input("x", (), dtype)
    run = gc.compile([x], [R.key(x), R.fold_in(R.key(3), x)], backend=backend)
    for value in (0, 5, 100, *([-1, -7] if dtype.startswith("i") else [])):
        whole = np.array(value, dtype)
        seeded, folded = run(whole)
        np.testing.assert_array_equal(seeded, jr.key_data(jr.key(whole)))
        np.testing.assert_array_equal(folded, jr.key_data(jr.fold_in(jr.key(3), whole.astype("uint32"))))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_is_that_of_jax_to_the_bit(shape: tuple[int, ...], dtype: str, jr: Any) -> None:
    for backend in ("numpy", "jax"):
        found = draw(lambda key: R.uniform(key, shape, dtype=dtype), backend=backend)
        np.testing.assert_array_equal(found, jr.uniform(jr.key(42), shape, dtype))


SAME = {
    "uniform": (
        lambda key, dtype: R.uniform(key, (500,), -2.0, 3.5, dtype),
        lambda jr, key, dtype: jr.uniform(key, (500,), dtype, -2, 3.5),
    ),
    "normal": (lambda key, dtype: R.normal(key, (500,), dtype=dtype), lambda jr, key, dtype: jr.normal(key, (500,), dtype)),
    "truncated_normal": (
        lambda key, dtype: R.truncated_normal(key, -1, 2.5, (500,), dtype),
        lambda jr, key, dtype: jr.truncated_normal(key, -1, 2.5, (500,), dtype),
    ),
    "exponential": (lambda key, dtype: R.exponential(key, (500,), dtype), lambda jr, key, dtype: jr.exponential(key, (500,), dtype)),
    "gumbel": (lambda key, dtype: R.gumbel(key, (500,), dtype), lambda jr, key, dtype: jr.gumbel(key, (500,), dtype)),
    "laplace": (lambda key, dtype: R.laplace(key, (500,), dtype), lambda jr, key, dtype: jr.laplace(key, (500,), dtype)),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", SAME)
def test_distributions_are_those_of_jax(name: str, dtype: str, jr: Any) -> None:
    ours, theirs = SAME[name]
    found = on_both(lambda key: ours(key, dtype), units=128)  # XLA's log1p of float64 is off by as much
    close(found, theirs(jr, jr.key(42), dtype), units=128)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_bernoulli_is_that_of_jax(p: float, jr: Any) -> None:
    found = on_both(lambda key: R.bernoulli(key, p, (200,)))
    np.testing.assert_array_equal(found, jr.bernoulli(jr.key(42), np.float32(p), (200,)))


@pytest.mark.parametrize(("axis", "shape"), [(-1, None), (0, None), (1, (7, 2, 3)), (2, (2, 1, 2, 5))])
def test_categorical_is_that_of_jax(axis: int, shape: Any, jr: Any) -> None:
    logits = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    found = on_both(lambda key: R.categorical(key, logits, axis, shape))
    np.testing.assert_array_equal(found, jr.categorical(jr.key(42), logits, axis, shape))


@pytest.mark.parametrize("n", [0, 1, 2, 10, 1625, 1626, 5000])
def test_permutations_are_those_of_jax(n: int, jr: Any) -> None:
    np.testing.assert_array_equal(on_both(lambda key: R.permutation(key, n)), jr.permutation(jr.key(42), n))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_permutations_of_an_axis_are_those_of_jax(axis: int, jr: Any) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(on_both(lambda key: R.permutation(key, x, axis)), jr.permutation(jr.key(42), x, axis))


# ---------------------------------------------------------------- whole numbers
RANGES = [
    ("int32", 0, 10),
    ("int32", -(2**31), 2**31),
    ("int32", -(2**31), 2**30),
    ("uint8", 0, 256),
    ("int8", -100, 100),
    ("uint16", 3, 4),
    ("uint32", 0, 3 * 2**30),
    ("int64", -5, 2**40),
    ("int64", -(2**63), 2**63 - 1),
    ("uint64", 3, 2**64 - 1),
    ("uint64", 0, 2**64 - 1),
]


@pytest.mark.parametrize(("dtype", "low", "high"), RANGES)
def test_randint_is_the_integer_part_of_the_exact_product(dtype: str, low: int, high: int) -> None:
    wide = dtype.endswith("64")
    words = draw(lambda key: R.bits(key, (2, 300) if wide else (300,), "uint64")).reshape(-1, 300).tolist()
    numbers = [int("".join(f"{word:016x}" for word in column), 16) for column in zip(*words, strict=True)]
    expected = [low + (number * (high - low) >> (128 if wide else 64)) for number in numbers]
    assert on_both(lambda key: R.randint(key, (300,), low, high, dtype)).tolist() == expected
    if high <= np.iinfo("int64" if dtype != "uint64" else "uint64").max:
        bounds = [np.array(bound, dtype if wide else "int64") for bound in (low, high)]
        assert on_both(lambda key: R.randint(key, (300,), *bounds, dtype)).tolist() == expected


@pytest.mark.parametrize(("low", "high"), [(0, 6), (-3, 4), (-(2**31), 2**30)])
def test_randint_prefers_no_number(low: int, high: int) -> None:
    """A remainder of 32 bits would give the lower third of the last range twice as often as the rest."""
    found = draw(lambda key: R.randint(key, (60_000,), low, high, "int32")).astype("int64") - low
    counts = np.bincount(found * 6 // (high - low) if high - low > 7 else found)
    assert stats.chisquare(counts).pvalue > 1e-3


@both
def test_randint_between_tensors(backend: str) -> None:
    key, low, high = gc.input("key", (2,), "uint32"), gc.input("low", (3, 1), "int32"), gc.input("high", (4,), "int32")
    run = gc.compile([key, low, high], R.randint(key, (5, 3, 4), low, high, "int32"), backend=backend)
    found = run(R.key(0).value, np.int32([[0], [5], [-9]]), np.int32([3, 6, 7, -20]))
    assert found.dtype == np.int32
    for i, a in enumerate((0, 5, -9)):
        for j, b in enumerate((3, 6, 7, -20)):
            column = np.asarray(found)[:, i, j]
            assert ((column >= a) & (column < b)).all() if b > a else (column == a).all()


@pytest.mark.parametrize("replace", [True, False])
def test_choice(replace: bool) -> None:
    x = np.arange(30).reshape(3, 10) + 100
    found = on_both(lambda key: R.choice(key, x, (2, 4), replace, axis=1))
    assert found.shape == (3, 2, 4)
    assert np.isin(found, x).all()
    np.testing.assert_array_equal(found - found[:1], np.broadcast_to([[[0]], [[10]], [[20]]], found.shape))
    indices = on_both(lambda key: R.choice(key, 8, (8,), replace))
    assert (sorted(indices) == list(range(8))) is not replace


def test_every_permutation_is_as_likely() -> None:
    key = gc.input("key", (2,), "uint32")
    run = gc.compile([key], [R.permutation(part, 3) for part in R.split(key, 100)])
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(30):
        for order in run(R.key(seed).value):
            counts[tuple(order.tolist())] = counts.get(tuple(order.tolist()), 0) + 1
    assert len(counts) == 6
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


# ---------------------------------------------------------------- distributions
COUNT = 40_000
DISTRIBUTIONS = {
    "uniform": (lambda key, dtype: R.uniform(key, (COUNT,), dtype=dtype), stats.uniform()),
    "uniform(-2, 5)": (lambda key, dtype: R.uniform(key, (COUNT,), -2.0, 5.0, dtype), stats.uniform(-2, 7)),
    "normal": (lambda key, dtype: R.normal(key, (COUNT,), dtype=dtype), stats.norm()),
    "normal(3, 0.5)": (lambda key, dtype: R.normal(key, (COUNT,), 3.0, 0.5, dtype), stats.norm(3, 0.5)),
    "truncated_normal(-1, 2)": (lambda key, dtype: R.truncated_normal(key, -1.0, 2.0, (COUNT,), dtype), stats.truncnorm(-1, 2)),
    "truncated_normal(2, inf)": (lambda key, dtype: R.truncated_normal(key, 2.0, np.inf, (COUNT,), dtype), stats.truncnorm(2, np.inf)),
    "exponential": (lambda key, dtype: R.exponential(key, (COUNT,), dtype), stats.expon()),
    "gumbel": (lambda key, dtype: R.gumbel(key, (COUNT,), dtype), stats.gumbel_r()),
    "laplace": (lambda key, dtype: R.laplace(key, (COUNT,), dtype), stats.laplace()),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_distribution_is_the_one_it_is_called(name: str, dtype: str) -> None:
    build, law = DISTRIBUTIONS[name]
    found = draw(lambda key: build(key, dtype), seed=7)
    assert np.isfinite(found).all()
    assert stats.kstest(found.astype("float64"), law.cdf).pvalue > 1e-3
    mean, variance = law.stats("mv")
    assert abs(found.mean(dtype="float64") - mean) < 5 * np.sqrt(variance / COUNT)
    assert abs(found.var(dtype="float64") / variance - 1) < 0.06


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_bernoulli_has_its_probability(p: float) -> None:
    total = int(draw(lambda key: R.bernoulli(key, p, (COUNT,))).sum())
    assert stats.binomtest(total, COUNT, p).pvalue > 1e-3


def test_categorical_has_the_probabilities_of_softmax() -> None:
    odds = np.array([0.1, 0.2, 0.3, 0.4, 0.0])
    with np.errstate(divide="ignore"):
        logits = np.log(odds).astype("float32") + np.float32(3)
    counts = np.bincount(draw(lambda key: R.categorical(key, logits, shape=(COUNT,))), minlength=5)
    assert counts[4] == 0
    assert stats.chisquare(counts[:4], odds[:4] * COUNT).pvalue > 1e-3


def test_bits_are_even_and_independent() -> None:
    words = draw(lambda key: R.bits(key, (COUNT,)))
    ones = (words[:, None] >> np.arange(32, dtype="uint32") & 1).sum(axis=0)
    assert stats.chi2.sf(((ones - COUNT / 2) ** 2 / (COUNT / 4)).sum(), 32) > 1e-3
    a, b = (draw(lambda key, i=i: R.uniform(R.split(key)[i], (COUNT,))) for i in range(2))
    assert stats.pearsonr(a, b).pvalue > 1e-3
    assert stats.pearsonr(a[1:], a[:-1]).pvalue > 1e-3


@pytest.mark.parametrize("dtype", FLOATS)
def test_numbers_stay_inside(dtype: str) -> None:
    """More numbers than float16 and bfloat16 have, so that the ends are among them."""
    u = draw(lambda key: R.uniform(key, (30_000,), dtype=dtype)).astype("float64")
    assert u.min() >= 0
    assert u.max() < 1
    for build in (R.normal, R.gumbel, R.laplace, R.exponential):
        assert np.isfinite(draw(lambda key, build=build: build(key, (30_000,), dtype=dtype)).astype("float64")).all()
    for low, high in ((-np.inf, np.inf), (0.5, np.inf), (-0.25, 0.25)):
        z = draw(lambda key, low=low, high=high: R.truncated_normal(key, low, high, (30_000,), dtype)).astype("float64")
        assert np.isfinite(z).all()
        assert z.min() >= low
        assert z.max() <= high


# ---------------------------------------------------------------- gradients
def test_gradients_pass_by_reparameterisation() -> None:
    key = R.key(5)
    a, b = gc.input("a", (3,)), gc.input("b", (2, 1))
    for y in (
        R.uniform(key, (2, 3), a, b + 4),
        R.normal(key, (2, 3), a, b),
        R.truncated_normal(key, a - 3, b + 3),
        gc.softmax(R.gumbel(key, (2, 3)) + a * b),
    ):
        assert gc.check_gradient(y, [a, b], order=2)


def test_the_gradient_of_a_normal_is_one_and_z() -> None:
    key, mean, stddev = gc.input("key", (2,), "uint32"), gc.input("mean", (4,)), gc.input("stddev", (4,))
    y = R.normal(key, (4,), mean, stddev)
    at = {key: R.key(1).value, mean: np.zeros(4), stddev: np.ones(4)}
    z, by_mean, by_stddev = gc.evaluate([y, *gc.grad(gc.sum(y), [mean, stddev])], at)
    np.testing.assert_array_equal(by_mean, np.ones(4))
    np.testing.assert_allclose(by_stddev, z, rtol=1e-6)


def test_choices_and_bits_carry_no_gradient_and_say_why() -> None:
    x = gc.input("x", (3,))
    for y in (R.categorical(R.key(0), x), gc.sum(gc.cast(R.bernoulli(R.key(0), gc.sigmoid(x)), "float32"))):
        total = gc.sum(gc.cast(y, "float32") * 2.0)
        np.testing.assert_array_equal(gc.evaluate(gc.grad(total, x), {x: [1, 2, 3]}), np.zeros(3))
        assert gc.why_no_gradient(total, x)
    assert OPS["random_bits"].zero_gradient
    assert OPS["bitcast"].zero_gradient


# ---------------------------------------------------------------- sizes, keys, state
@both
def test_named_sizes(backend: str) -> None:
    key, x = gc.input("key", (2,), "uint32"), gc.input("x", ("batch", 3))
    noise, order = R.normal(key, ("batch", 3)), R.permutation(key, x)
    run = gc.compile([key, x], [x + noise, order, R.split(key, "batch"), R.categorical(key, x)], backend=backend)
    for n in (0, 1, 5):
        point = np.arange(3.0 * n, dtype="float32").reshape(n, 3)
        moved, permuted, keys, classes = (np.asarray(value) for value in run(R.key(42).value, point))
        close(moved - point, draw(lambda key, n=n: R.normal(key, (n, 3))), units=64)
        np.testing.assert_array_equal(np.sort(permuted, axis=0), point)
        np.testing.assert_array_equal(keys, draw(lambda key, n=n: R.split(key, n)))
        assert classes.shape == (n,)


@both
def test_vmap_over_keys_is_a_loop_over_keys(backend: str) -> None:
    key, mean = gc.input("key", (2,), "uint32"), gc.input("mean", (4,))
    keys = R.split(key, 4)
    mapped = gc.vmap(lambda key, mean: R.normal(R.split(key)[1], (3,), mean))(keys, mean)
    single = [R.normal(R.split(keys[i])[1], (3,), mean[i]) for i in range(4)]
    found, *expected = gc.compile([key, mean], [mapped, *single], backend=backend)(R.key(0).value, np.arange(4, dtype="float32"))
    close(found, np.stack(expected))
    counter = gc.input("counter", (4,), "uint64")
    bits = gc.vmap(lambda key, counter: OPS["random_bits"](key, counter, shape=(2,)), in_axes=(None, 0))(key, counter)
    rows = gc.compile([key, counter], bits, backend=backend)(R.key(42).value, np.arange(0, 8, 2, dtype="uint64"))
    np.testing.assert_array_equal(np.asarray(rows).reshape(-1), draw(lambda key: R.bits(key, (8,))))


def test_a_call_keeps_no_state_and_a_key_in_a_variable_does() -> None:
    key = gc.input("key", (2,), "uint32")
    run = gc.compile([key], R.normal(key, (4,)))
    first = run(R.key(0).value)
    run(R.key(1).value)
    np.testing.assert_array_equal(run(R.key(0).value), first)

    held = gc.variable(R.key(0).value, "key")
    following, own = R.split(held)
    step = gc.compile([], R.normal(own, (4,)), updates={held: following})
    a, b = step(), step()
    assert (a != b).all()
    held.value = R.key(0).value
    np.testing.assert_array_equal(step(), a)


def test_equal_calls_are_one_node() -> None:
    key = gc.input("key", (2,), "uint32")
    assert R.normal(key, (4,)) is R.normal(key, (4,))
    assert R.normal(key, (4,)) is not R.normal(R.split(key)[0], (4,))


def test_another_process_draws_the_same() -> None:
    program = "import graphc as gc; print(gc.evaluate(gc.random.bits(gc.random.key(3), (5,))).tolist())"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(gc.evaluate(R.bits(R.key(3), (5,))).tolist())


# ---------------------------------------------------------------- what is refused
KEY = R.key(0)
WRONG = {
    "a seed as a key": (lambda: R.normal(0, (3,)), gc.errors.DTypeError, "random.normal"),
    "a float key": (lambda: R.uniform(gc.input("k", (2,)), (3,)), gc.errors.DTypeError, "gc.random.key(seed)"),
    "several keys": (lambda: R.bits(R.split(KEY), (3,)), gc.errors.ShapeError, "shape (2,)"),
    "a negative size": (lambda: R.uniform(KEY, (3, -1)), gc.errors.ShapeError, "a size cannot be -1"),
    "a negative number of keys": (lambda: R.split(KEY, -1), gc.errors.ShapeError, "random.split"),
    "a seed of 65 bits": (lambda: R.key(2**64), gc.errors.ArgumentError, "too many bits"),
    "a seed with a fraction": (lambda: R.key(1.5), gc.errors.ArgumentError, "no whole number"),
    "a seed that is a float tensor": (lambda: R.key(gc.input("s", ())), gc.errors.DTypeError, "random.key"),
    "data of 33 bits": (lambda: R.fold_in(KEY, 2**32), gc.errors.ArgumentError, "random.fold_in"),
    "data with a fraction": (lambda: R.fold_in(KEY, 0.5), gc.errors.ArgumentError, "random.fold_in"),
    "data with axes": (lambda: R.fold_in(KEY, gc.input("d", (2,), "int32")), gc.errors.DTypeError, "shape ()"),
    "signed bits": (lambda: R.bits(KEY, (3,), "int32"), gc.errors.DTypeError, "uint32"),
    "whole uniform numbers": (lambda: R.uniform(KEY, (3,), dtype="int32"), gc.errors.DTypeError, "float32"),
    "an empty range": (lambda: R.uniform(KEY, (3,), 1.0, 1.0), gc.errors.ArgumentError, "low < high"),
    "an empty range in an array": (lambda: R.uniform(KEY, (2,), np.zeros(2), np.array([1.0, -1.0])), gc.errors.ArgumentError, "low < high"),
    "a parameter larger than the shape": (lambda: R.normal(KEY, (3,), np.zeros((2, 3))), gc.errors.ShapeError, "shape=(2, 3)"),
    "a parameter that does not broadcast": (lambda: R.normal(KEY, (3,), np.zeros(4)), gc.errors.ShapeError, "sizes"),
    "a probability above 1": (lambda: R.bernoulli(KEY, 1.5), gc.errors.ArgumentError, "0 <= p <= 1"),
    "a probability that is NaN": (lambda: R.bernoulli(KEY, np.array([0.5, np.nan])), gc.errors.ArgumentError, "0 <= p <= 1"),
    "whole probabilities": (lambda: R.bernoulli(KEY, gc.input("p", (3,), "int32")), gc.errors.DTypeError, "bernoulli"),
    "whole logits": (lambda: R.categorical(KEY, gc.input("x", (3,), "int32")), gc.errors.DTypeError, "categorical"),
    "an axis that is not there": (lambda: R.categorical(KEY, gc.input("x", (3,)), axis=1), gc.errors.ArgumentError, "no axis 1"),
    "no classes": (lambda: R.categorical(KEY, gc.input("x", (3, 0))), gc.errors.ShapeError, "at least one item"),
    "bounds the wrong way round": (lambda: R.truncated_normal(KEY, 2.0, 1.0, (3,)), gc.errors.ArgumentError, "low < high"),
    "no whole numbers between": (lambda: R.randint(KEY, (3,), 5, 5), gc.errors.ArgumentError, "low < high"),
    "whole numbers that do not fit": (lambda: R.randint(KEY, (3,), 0, 257, "uint8"), gc.errors.ArgumentError, "0 to 256"),
    "whole numbers with a fraction": (lambda: R.randint(KEY, (3,), 0, 5, "float32"), gc.errors.DTypeError, "integer dtype"),
    "bounds with a fraction": (lambda: R.randint(KEY, (3,), 0.5, 5), gc.errors.DTypeError, "integers"),
    "more than there is": (lambda: R.choice(KEY, 3, (4,), replace=False), gc.errors.ArgumentError, "at most 3"),
    "an axis of a permutation": (lambda: R.permutation(KEY, gc.input("x", (3,)), axis=2), gc.errors.ArgumentError, "no axis 2"),
    "a view of another width": (lambda: OPS["bitcast"](gc.input("x", (3,)), dtype="int64"), gc.errors.DTypeError, "one width"),
    "half a key": (lambda: OPS["random_bits"](R.key(0)[:1], np.uint64(0)), gc.errors.ShapeError, "(..., 2)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name: str) -> None:
    build, error, part = WRONG[name]
    with pytest.raises(error) as caught:
        build()
    assert part in str(caught.value)
    assert caught.value.asked
    assert caught.value.fits
    assert caught.value.given or "axis" in name
