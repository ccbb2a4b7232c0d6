"""Named sizes: their arithmetic is that of whole numbers, whatever the names are bound to."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc as gc
from graphc.core import sizes
from graphc.core.sizes import Size

NAMES = ("a", "b", "n")
bindings = st.fixed_dictionaries({name: st.integers(0, 12) for name in NAMES})
leaves = st.one_of(st.integers(-5, 5), st.sampled_from(NAMES))


@st.composite
def formulas(draw: st.DrawFn, depth: int = 3) -> tuple[sizes.Dim, str]:
    """A size, and the same as a Python expression."""
    if depth == 0 or draw(st.booleans()):
        leaf = draw(leaves)
        return (sizes.named(leaf), leaf) if isinstance(leaf, str) else (leaf, f"({leaf})")
    (x, left), (y, right) = draw(formulas(depth - 1)), draw(formulas(depth - 1))
    symbol = draw(st.sampled_from("+-*"))
    return {"+": x + y, "-": x - y, "*": x * y}[symbol], f"({left} {symbol} {right})"


@settings(deadline=None, max_examples=200)
@given(formulas(), bindings)
def test_arithmetic_is_that_of_whole_numbers(formula: tuple[sizes.Dim, str], bound: dict[str, int]) -> None:
    size, text = formula
    assert sizes.bind(size, bound) == eval(text, {}, bound)
    assert isinstance(size, int | Size)


@settings(deadline=None, max_examples=100)
@given(formulas(), bindings)
def test_a_size_prints_as_python_that_has_its_value(formula: tuple[sizes.Dim, str], bound: dict[str, int]) -> None:
    size, _ = formula
    assert eval(str(size), {}, bound) == sizes.bind(size, bound)


@settings(deadline=None, max_examples=100)
@given(formulas(), formulas())
def test_equal_polynomials_are_equal_sizes(first: tuple[sizes.Dim, str], second: tuple[sizes.Dim, str]) -> None:
    (x, _), (y, _) = first, second
    assert x + y == y + x
    assert x * y == y * x
    assert isinstance(x + y, int) or x + y is y + x
    assert (x - y) + y == x
    assert (x + y) * (x - y) == x * x - y * y


def test_a_size_is_one_object_also_as_a_copy() -> None:
    size = sizes.named("n") * 2 + sizes.sliced(sizes.named("n"), 1, None, 2)
    assert pickle.loads(pickle.dumps(size)) is size
    assert copy.deepcopy(size) is size
    assert gc.input("x", ("n", size)).type is gc.input("y", ("n", size)).type


@settings(deadline=None, max_examples=100)
@given(formulas(), formulas(), bindings)
def test_divide_is_exact_or_declines(first: tuple[sizes.Dim, str], second: tuple[sizes.Dim, str], bound: dict[str, int]) -> None:
    total, part = first[0], second[0]
    quotient = sizes.divide(total, part)
    if quotient is not None and sizes.bind(part, bound):
        assert sizes.bind(quotient, bound) * sizes.bind(part, bound) == sizes.bind(total, bound)


def test_divide_finds_the_quotient_that_a_reshape_needs() -> None:
    n = sizes.named("n")
    assert sizes.divide(n * 12, 4) == n * 3
    assert sizes.divide(n * 12, n) == 12
    assert sizes.divide(n * 12, 5) is None
    assert sizes.divide(n + 1, n + 1) == 1
    assert sizes.divide(12, 0) is None


ends = st.one_of(st.none(), st.integers(-8, 8))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 9), ends, ends, st.sampled_from([None, 1, 2, 3, -1, -2]))
def test_slices_of_a_named_axis_have_the_length_of_pythons(n: int, start: int | None, stop: int | None, step: int | None) -> None:
    size = sizes.sliced(sizes.named("n"), start, stop, step)
    expected = len(range(n)[start:stop:step])
    assert sizes.bind(size, {"n": n}) == expected
    assert eval(str(size), {}, {"n": n}) == expected


@pytest.mark.parametrize(
    "index", [slice(2, None), slice(None, -1), slice(None, None, 2), slice(None, None, -1), slice(-3, None), slice(100, None)], ids=str
)
@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_a_slice_of_a_named_axis_runs_and_has_a_gradient(index: slice, backend: str) -> None:
    x = gc.input("x", ("n", 2), "float64")
    y = x[index]
    run = gc.compile([x], [y * 1, gc.grad(gc.sum(y * y), x)], backend=backend)
    for n in (0, 1, 4, 7):
        point = np.arange(2.0 * n).reshape(n, 2)
        value, dx = run(point)
        expected = np.zeros((n, 2))
        expected[index] = 2 * point[index]
        np.testing.assert_array_equal(value, point[index])
        np.testing.assert_array_equal(dx, expected)


@pytest.mark.parametrize(
    "name", ["", "1st", "two words", "class", "_n", "a-b", "n\n", "n;import os", "größe", "np", "len", "step", "float"]
)
def test_names_that_are_no_identifiers_or_taken_are_refused(name: str) -> None:
    with pytest.raises(gc.errors.ShapeError, match="cannot name a size"):
        gc.input("x", (name,))


def test_names_next_to_builtins_and_helpers_work() -> None:
    for name in ("max", "x", "id", "i", "input", "time", "sum", "buffer0", "v0", "c0", "w"):
        x = gc.input("x", (name, 2), "float64")
        y = gc.mean(gc.concatenate([x, x]) * 2 + np.ones(2))
        assert gc.compile([x], gc.grad(y, x))(np.ones((3, 2))).shape == (3, 2)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_a_size_called_i_does_not_meet_the_loop_variable_of_pad(backend: str) -> None:
    x, z = gc.input("x", ("i",), "float64"), gc.input("z", ("j",), "float64")
    y = gc.concatenate([x, z])
    dx, dz = gc.grad(gc.sum(y * y), [x, z])
    second = gc.grad(gc.sum(dx * dx), x)
    found = gc.compile([x, z], [dx, dz, second, gc.concatenate([z, x])[1:]], backend=backend)([1.0, 2.0], [3.0, 4.0, 5.0])
    for got, expected in zip(found, ([2, 4], [6, 8, 10], [8, 16], [4, 5, 1, 2]), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_size_that_is_called_like_a_helper_is_refused_in_words() -> None:
    x = gc.input("x", ("place",))
    with pytest.raises(gc.errors.ShapeError, match="called 'place'"):
        gc.compile([x], gc.grad(gc.sum(x[1:]), x))


@pytest.mark.parametrize(("size", "message"), [(-1, "cannot be -1"), (1.5, "is not a size"), (None, "is not a size")])
def test_what_is_no_size_is_refused(size: object, message: str) -> None:
    with pytest.raises(gc.errors.ShapeError, match=message):
        gc.input("x", (size,))


# ---------------------------------------------------------------- at the call
def test_a_conflict_names_both_inputs() -> None:
    x, t = gc.input("images", ("batch", 2)), gc.input("labels", ("batch",))
    run = gc.compile([x, t], x + gc.expand_dims(t, axis=1))
    with pytest.raises(gc.errors.ShapeError, match="'batch' would be 3 and 4") as caught:
        run(np.zeros((3, 2), "float32"), np.zeros(4, "float32"))
    assert "images" in str(caught.value)
    assert "labels" in str(caught.value)


def test_an_input_whose_size_is_a_formula_is_checked_against_it() -> None:
    x = gc.input("x", ("n",), "float64")
    z = gc.input("z", (x.shape[0] + 1,), "float64")
    run = gc.compile([x, z], gc.sum(x) + z)
    np.testing.assert_array_equal(run([1.0, 2.0], [1.0, 2.0, 3.0]), [4, 5, 6])
    with pytest.raises(gc.errors.ShapeError, match=r"n \+ 1 = 3|shape \(2,\)"):
        run([1.0, 2.0], [1.0, 2.0])


def test_a_formula_of_a_name_that_no_input_has_is_refused() -> None:
    n = sizes.named("n")
    z = gc.input("z", (n * 2,))
    with pytest.raises(gc.errors.ShapeError, match="'n'"):
        gc.compile([z], z + 1)(np.zeros(4, "float32"))


# ---------------------------------------------------------------- broadcasting
shapes = st.lists(st.integers(0, 3), max_size=4).map(tuple)


@settings(deadline=None, max_examples=300)
@given(st.lists(shapes, min_size=1, max_size=3))
def test_broadcasting_is_numpys(given_shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = np.broadcast_shapes(*given_shapes)
    except ValueError:
        with pytest.raises(gc.errors.ShapeError):
            sizes.broadcast(given_shapes)
        return
    assert sizes.broadcast(given_shapes) == expected


def test_a_named_size_meets_itself_and_1_and_nothing_else() -> None:
    n, m = sizes.named("n"), sizes.named("m")
    assert sizes.broadcast([(n, 3), (1, 1)]) == (n, 3)
    assert sizes.broadcast([(n,), (n,)]) == (n,)
    for other in (m, 2, n + 1):
        with pytest.raises(gc.errors.ShapeError, match="do not broadcast"):
            sizes.broadcast([(n,), (other,)])
