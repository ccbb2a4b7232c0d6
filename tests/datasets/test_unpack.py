"""Decompression with a bound, and the check of what came out."""

import gzip
import hashlib
import io
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc.nn.datasets import DamagedDataError
from graphc.nn.datasets.unpack import check_hash, gunzip, member, verify

MEGABYTE = 1 << 20
GOOD = gzip.compress(b"good news " * 20, mtime=0)


def _zip(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a/b", content)
    return out.getvalue()


ZIPPED = _zip(b"good news " * 20)


@given(st.binary(max_size=300))
def test_gunzip_reads_what_gzip_writes(content: bytes) -> None:
    assert gunzip(gzip.compress(content), most=len(content)) == content


def test_a_gzip_bomb_stops_at_the_bound() -> None:
    bomb = gzip.compress(bytes(50 * MEGABYTE))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedDataError, match="holds too much"):
            gunzip(bomb, most=MEGABYTE)
        assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GOOD[:-1], "truncated"),
        (GOOD[:5], "truncated"),
        (b"", "truncated"),
        (GOOD + b"x", "more than a gzip stream"),
        (GOOD + GOOD, "more than a gzip stream"),
        (GOOD[:-8] + b"\0" * 8, "damaged gzip stream"),
        (b"<html>", "damaged gzip stream"),
    ],
)
def test_gunzip_names_the_damage(data: bytes, says: str) -> None:
    with pytest.raises(DamagedDataError, match=says):
        gunzip(data, most=1000)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_byte_gives_other_content(place: int, change: int) -> None:
    changed = bytearray(GOOD)
    changed[place] ^= change
    try:
        content = gunzip(bytes(changed), most=1000)
    except DamagedDataError:
        return
    assert content == gunzip(GOOD, most=1000)  # only the header's idle fields may change


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_member_reads_one_file(method: int) -> None:
    assert member(io.BytesIO(_zip(b"content", method)), "a/b", most=7) == b"content"


def test_a_zip_bomb_stops_at_the_bound() -> None:
    bomb = io.BytesIO(_zip(bytes(50 * MEGABYTE)))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedDataError, match="holds too much"):
            member(bomb, "a/b", most=MEGABYTE)
        assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "archive",
    [b"", b"no zip", ZIPPED[:-30], _zip(b"x", zipfile.ZIP_LZMA), _zip(b"x", zipfile.ZIP_BZIP2), _zip(b"x").replace(b"a/b", b"a/c")],
    ids=["empty", "text", "truncated", "lzma", "bzip2", "other name"],
)
def test_an_unusable_zip_is_refused(archive: bytes) -> None:
    with pytest.raises(DamagedDataError, match="unreadable zip member a/b"):
        member(io.BytesIO(archive), "a/b", most=1000)


def test_an_encrypted_member_is_refused() -> None:
    entry, central = ZIPPED.index(b"PK\x03\x04"), ZIPPED.index(b"PK\x01\x02")
    locked = bytearray(ZIPPED)
    locked[entry + 6] |= 1
    locked[central + 8] |= 1
    with pytest.raises(DamagedDataError, match="encrypted"):
        member(io.BytesIO(bytes(locked)), "a/b", most=1000)


@given(st.integers(0, len(ZIPPED) - 1), st.integers(1, 255))
def test_a_changed_zip_gives_the_content_or_our_error(place: int, change: int) -> None:
    changed = bytearray(ZIPPED)
    changed[place] ^= change
    try:
        content = member(io.BytesIO(bytes(changed)), "a/b", most=1000)
    except DamagedDataError:
        return
    assert content == b"good news " * 20


def test_check_hash_says_both_hashes() -> None:
    right, wrong = hashlib.sha256(b"right").hexdigest(), hashlib.sha256(b"wrong").hexdigest()
    check_hash("it", b"right", right)
    with pytest.raises(DamagedDataError, match=f"(?s)of it.*{wrong[:12]}.*{right[:12]}"):
        check_hash("it", b"wrong", right)


def test_verify_takes_plain_and_gzipped(tiny) -> None:
    part = tiny.parts[0]
    plain = gzip.decompress(tiny.files[f"{part.stem}.gz"])
    assert verify(plain, part) == verify(tiny.files[f"{part.stem}.gz"], part) == plain


def test_verify_refuses_every_single_changed_pixel(tiny) -> None:
    part = tiny.parts[1]
    plain = gzip.decompress(tiny.files[f"{part.stem}.gz"])
    for place in range(len(plain)):
        changed = bytearray(plain)
        changed[place] ^= 1
        with pytest.raises(DamagedDataError, match="wrong content"):
            verify(bytes(changed), part)
    with pytest.raises(DamagedDataError, match="wrong size"):
        verify(plain[:-1], part)
