"""The ops that work bit by bit: NumPy's values for every integer dtype, and Python's operators."""

import operator
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import dtypes

both = pytest.mark.parametrize("backend", ["numpy", "jax"])
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
BINARY: dict[str, Any] = {"bitwise_and": operator.and_, "bitwise_or": operator.or_, "bitwise_xor": operator.xor}
SHIFTS: dict[str, Any] = {"left_shift": operator.lshift, "right_shift": operator.rshift}


def _evaluated(build: Any, *values: Any, backend: str = "numpy") -> Any:
    inputs = [gc.input(f"x{i}", np.shape(value), np.asarray(value).dtype.name) for i, value in enumerate(values)]
    return np.asarray(gc.compile(inputs, build(*inputs), backend=backend)(*values))


def _edges(dtype: str) -> Any:
    limits = np.iinfo(dtype)
    return np.array([limits.min, limits.max, 0, 1, 5, limits.max // 3], dtype)


@both
@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
@pytest.mark.parametrize("name", BINARY)
def test_two_by_two_every_pair_is_numpys(name: str, dtype: str, backend: str) -> None:
    values = np.array([True, False]) if dtype == "bool" else _edges(dtype)
    a, b = values[:, None], values[None]
    found = _evaluated(getattr(gc, name), a, b, backend=backend)
    assert found.dtype == dtypes.numpy_dtype(dtype)
    np.testing.assert_array_equal(found, getattr(np, name)(a, b))


@both
@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
def test_not_is_numpys(dtype: str, backend: str) -> None:
    values = np.array([True, False]) if dtype == "bool" else _edges(dtype)
    np.testing.assert_array_equal(_evaluated(gc.bitwise_not, values, backend=backend), np.invert(values))


@both
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", SHIFTS)
def test_shifts_are_numpys_even_past_the_last_bit(name: str, dtype: str, backend: str) -> None:
    bits = np.iinfo(dtype).bits
    places = np.array([0, 1, bits - 1, bits, bits + 9, *([-1] if dtype in dtypes.SIGNED else [])], dtype)
    a, b = _edges(dtype)[:, None], places[None]
    np.testing.assert_array_equal(_evaluated(getattr(gc, name), a, b, backend=backend), getattr(np, name)(a, b))


@pytest.mark.parametrize("name", [*BINARY, *SHIFTS])
def test_operators_on_integers_are_the_ops_bit_by_bit(name: str) -> None:
    symbol = (BINARY | SHIFTS)[name]
    x, y = gc.input("x", (3,), "int32"), gc.input("y", (3,), "int32")
    assert symbol(x, y) is getattr(gc, name)(x, y)
    assert symbol(x, 3) is getattr(gc, name)(x, 3)
    assert symbol(3, x) is getattr(gc, name)(3, x)
    array = np.array([1, 2, 3], "int32")
    assert symbol(array, x) is getattr(gc, name)(array, x)


def test_operators_on_truth_values_are_the_logical_ops() -> None:
    a, b = gc.input("a", (3,), "bool"), gc.input("b", (3,), "bool")
    assert (a & b) is gc.logical_and(a, b)
    assert (a | True) is gc.logical_or(a, True)
    assert (np.array([True, False, True]) ^ a) is gc.logical_xor(np.array([True, False, True]), a)
    assert (~a) is gc.logical_not(a)


def test_a_truth_value_beside_an_integer_is_a_bit() -> None:
    """As in NumPy: ``True & 2`` is 0, where the logical op would say True."""
    truth, number = np.array([True, False, True]), np.array([2, 3, 3], "int8")
    found = _evaluated(lambda a, b: a & b, truth, number)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, truth & number)
    np.testing.assert_array_equal(_evaluated(lambda a: a | 4, truth), truth | 4)


def test_not_of_an_integer_is_not_the_logical_not() -> None:
    np.testing.assert_array_equal(_evaluated(lambda x: ~x, np.array([0, 1, -1])), [-1, -2, 0])


def test_optimising_changes_nothing() -> None:
    def build(x: Any) -> Any:
        return ((~~x & x) | 0) ^ 0 ^ (x & 0) ^ ((x << 0) >> 0)

    np.testing.assert_array_equal(_evaluated(build, np.arange(-4, 4)), np.zeros(8, int))


def test_named_sizes() -> None:
    x = gc.input("x", ("n", 1), "uint8")
    y = x & np.arange(3, dtype="uint8")
    assert y.type == gc.input("z", ("n", 3), "uint8").type


@pytest.mark.parametrize("name", [*BINARY, *SHIFTS])
def test_floats_have_no_bits(name: str) -> None:
    x = gc.input("x", (3,), "float32")
    for given in ((x, x), (x, 1), (gc.input("i", (3,), "uint64"), gc.input("j", (3,), "int64"))):
        with pytest.raises(gc.errors.DTypeError, match="no bits") as caught:
            getattr(gc, name)(*given)
        assert caught.value.asked.startswith(name)
        assert caught.value.given
        assert "integers" in caught.value.fits


def test_no_gradient_passes() -> None:
    x = gc.input("x", (3,), "float32")
    y = gc.sum(gc.cast(gc.cast(x, dtype="int32") & 1, dtype="float32"))
    np.testing.assert_array_equal(gc.evaluate(gc.grad(y, x, disconnected="zero"), {x: [1, 2, 3]}), [0, 0, 0])
