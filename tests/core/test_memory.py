"""Memory that begins on a line of the cache, and who has it."""

import numpy as np
import pytest

import graphc as gc
from graphc import parallel
from graphc.memory import LINE, copy_aligned, empty_aligned


def begins_on_a_line(array: np.ndarray) -> bool:
    return array.ctypes.data % LINE == 0


@pytest.mark.parametrize("dtype", ["bool", "int8", "float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 3), (2, 0, 5), (300, 77)])
def test_arrays_are_what_was_asked_for(shape: tuple[int, ...], dtype: str) -> None:
    array = empty_aligned(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert begins_on_a_line(array)


def test_copies_are_equal_and_share_nothing() -> None:
    value = np.arange(12.0).reshape(3, 4).T
    copy = copy_aligned(value, value.dtype)
    np.testing.assert_array_equal(copy, value)
    assert copy.dtype == value.dtype
    assert copy.flags.c_contiguous
    assert not np.shares_memory(copy, value)
    assert copy_aligned([1, 2], np.float32).dtype == np.float32


def test_objects_have_no_memory_that_is_left_as_it_is() -> None:
    for value in (None, [object()] * 1000, np.full((20, 20), None)):
        with pytest.raises(gc.errors.DTypeError, match="no dtype 'object'"):
            gc.variable(value)


def test_variables_and_what_is_written_by_rows_begin_on_a_line() -> None:
    w = gc.variable(np.ones((5, 5), "float32"), name="w")
    assert begins_on_a_line(w.storage)
    w.assign(np.zeros((5, 5)))
    assert begins_on_a_line(w.storage)
    seen: list[bool] = []
    run = parallel.by_rows(lambda low, high, buffer, total: seen.append(begins_on_a_line(buffer)), 4, 4, 4, [((3,), "f4")], [((), "f4")])
    run()
    assert seen == [True]
    x = gc.input("x", (1000, 1000))
    large = gc.compile(x, gc.exp(x) * x + 1)
    assert "by_rows(" in large.source
    assert begins_on_a_line(large(np.ones((1000, 1000), "float32")))
