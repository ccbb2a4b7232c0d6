"""The idx parser: what it reads back, and that nothing hostile gets past its header."""

import struct

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graphc.nn.datasets import DamagedDataError
from graphc.nn.datasets.idx import encode_idx, parse_idx

ARRAYS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))


@given(ARRAYS)
def test_what_is_written_is_read_back(array: NDArray[np.uint8]) -> None:
    back = parse_idx(encode_idx(array))
    assert back.dtype == np.uint8
    assert not back.flags.writeable
    np.testing.assert_array_equal(back, array)


def test_layout_is_that_of_lecun() -> None:
    written = encode_idx(np.array([[1, 2, 3]], np.uint8))
    assert written == bytes.fromhex("00000802 00000001 00000003 010203")


def test_non_contiguous_arrays_are_written_in_c_order() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3).T
    np.testing.assert_array_equal(parse_idx(encode_idx(array)), array)


@given(st.binary(max_size=64))
def test_any_bytes_give_an_array_or_our_error(data: bytes) -> None:
    try:
        array = parse_idx(data)
    except DamagedDataError:
        return
    assert encode_idx(array) == data


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no idx header"),
        (b"\0\0\x08", "no idx header"),
        (b"\x1f\x8b\x08\x00more", "not an idx file"),
        (b"<html>", "not an idx file"),
        (b"\0\0\x0d\x01\0\0\0\1\0\0\0\0", "not an idx file of unsigned bytes"),
        (b"\0\0\x08\x00", "not an idx file"),
        (b"\0\0\x08\xff" + bytes(2000), "not an idx file"),
        (b"\0\0\x08\x03\0\0\0\1", "truncated idx header"),
        (b"\0\0\x08\x01\0\0\0\3ab", "do not fill"),
        (b"\0\0\x08\x01\0\0\0\3abcd", "do not fill"),
        # 2**32 items in 64 bits wrap around to nothing; in Python they do not.
        (struct.pack(">HBB4I", 0, 8, 4, *[1 << 16] * 4), "do not fill"),
        (struct.pack(">HBB8I", 0, 8, 8, *[0xFFFFFFFF] * 8), "do not fill"),
    ],
)
def test_damage_is_named(data: bytes, says: str) -> None:
    with pytest.raises(DamagedDataError, match=says) as caught:
        parse_idx(data)
    assert caught.value.given
    assert caught.value.fits
