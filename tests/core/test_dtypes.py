"""Promotion is NumPy's, literals included."""

import itertools

import numpy as np
import pytest

import graphc as gc
from graphc.core import dtypes

NUMPYS = [name for name in dtypes.DTYPES if name != "bfloat16"]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(NUMPYS, repeat=2)))
def test_two_tensors_meet_where_numpy_says(a: str, b: str) -> None:
    assert dtypes.promote(a, b) == np.result_type(a, b).name
    assert gc.add(gc.input("x", (), a), gc.input("y", (), b)).dtype == np.result_type(a, b).name


@pytest.mark.parametrize("literal", [1, 2.5, True], ids=repr)
@pytest.mark.parametrize("dtype", NUMPYS)
def test_a_literal_is_as_weak_as_in_numpy(dtype: str, literal: float) -> None:
    x = np.ones(1, dtype)
    assert gc.add(gc.input("x", (1,), dtype), literal).dtype == (x + literal).dtype.name
    assert gc.multiply(literal, gc.input("x", (1,), dtype)).dtype == np.multiply(literal, x).dtype.name


@pytest.mark.parametrize("dtype", NUMPYS)
def test_exp_is_computed_in_the_float_that_numpy_takes(dtype: str) -> None:
    assert dtypes.inexact(dtype) == np.exp(np.ones(1, dtype)).dtype.name


@pytest.mark.parametrize("dtype", NUMPYS)
def test_sums_and_means_are_in_numpys_dtype(dtype: str) -> None:
    x = np.ones(2, dtype)
    assert dtypes.accumulator(dtype) == np.sum(x).dtype.name
    assert dtypes.averaging(dtype) == np.mean(x).dtype.name


@pytest.mark.parametrize("other", dtypes.DTYPES)
def test_bfloat16_is_symmetric_and_loses_nothing(other: str) -> None:
    meeting = dtypes.promote("bfloat16", other)
    assert meeting == dtypes.promote(other, "bfloat16")
    assert dtypes.is_inexact(meeting)
    assert dtypes.itemsize(meeting) >= dtypes.itemsize(other) or other in ("int64", "uint64")


def test_promotion_is_associative_among_floats() -> None:
    for a, b, c in itertools.product(dtypes.FLOATS, repeat=3):
        assert dtypes.promote(dtypes.promote(a, b), c) == dtypes.promote(a, dtypes.promote(b, c))


@pytest.mark.parametrize("spelling", ["float32", np.float32, np.dtype("float32"), "f4", float], ids=repr)
def test_a_dtype_has_many_spellings(spelling: object) -> None:
    assert dtypes.canonical(spelling) == ("float64" if spelling is float else "float32")


@pytest.mark.parametrize("bad", ["float31", "complex32", object, "U3", None.__class__], ids=repr)
def test_what_is_no_dtype_is_refused_with_the_list(bad: object) -> None:
    with pytest.raises(gc.errors.DTypeError, match="there is no dtype") as caught:
        gc.input("x", (), bad)
    assert "bfloat16" in str(caught.value)


def test_short_names() -> None:
    assert [dtypes.short(d) for d in ("float32", "bfloat16", "uint8", "int64", "bool")] == ["f32", "bf16", "u8", "i64", "bool"]
