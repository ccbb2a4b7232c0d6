"""The pickle reader: it reads one kind of pickle, and runs nothing."""

import io
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest

from graphc.nn.datasets import DamagedDataError
from graphc.nn.datasets.pickled import read_pairs

FLOATS = np.array([[0.5, 0.25], [0, 1]], np.float32)
LABELS = np.array([7, 3], np.int64)


def python2_array(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """The array as Python 2 pickled it, protocol 2: its contents in a string, its dtype's name as well."""
    raw = array.tobytes()
    code = {"float32": b"f4", "int64": b"i8", "uint8": b"u1"}[array.dtype.name]
    lengths = b"(" + b"".join(b"J" + length.to_bytes(4, "little", signed=True) for length in shape or array.shape) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
        b"(K\x01" + lengths + b"cnumpy\ndtype\n(U\x02" + code + b"K\x00K\x01tR"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )


PAIR = python2_array(FLOATS) + python2_array(LABELS) + b"\x86"
GOOD = b"\x80\x02" + PAIR + b"\x85."


def test_pairs_come_out_in_order() -> None:
    images, labels = read_pairs(GOOD, pairs=1)
    np.testing.assert_array_equal(images, FLOATS)
    np.testing.assert_array_equal(labels, LABELS)
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)


def test_the_stream_written_here_is_one_that_numpy_reads() -> None:
    class Reader(pickle.Unpickler):
        def find_class(self, module_name: str, global_name: str) -> object:
            return super().find_class(module_name.replace("numpy.core", "numpy._core"), global_name)

    ((images, labels),) = Reader(io.BytesIO(GOOD), encoding="latin1").load()
    np.testing.assert_array_equal(images, FLOATS)
    np.testing.assert_array_equal(labels, LABELS)


HOSTILE = {
    "system": b"cos\nsystem\n(U\x04trueK\x00tR.",
    "eval": b"c__builtin__\neval\n(U\x011tR.",
    "exec of Python 3": b"cbuiltins\nexec\n(U\x011tR.",
    "subprocess": b"csubprocess\nPopen\n(U\x04truetR.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
    "a name of numpy": b"cnumpy\nload\n(U\x01xtR.",
    "scalar": b"cnumpy.core.multiarray\nscalar\n(tR.",
    "encode": b"c_codecs\nencode\n(U\x01xtR.",
    "a persistent id": b"Pmine\n.",
    "an extension": b"\x82\x01.",
    "not a pickle": b"<html>",
    "nothing": b"",
    "truncated": GOOD[:-40],
    "a list": b"].",
    "too many pairs": b"\x80\x02" + PAIR + PAIR + b"\x86.",
    "not pairs": b"\x80\x02" + python2_array(LABELS) + b"\x85.",
    "a class itself": b"\x80\x02cnumpy\nndarray\n" + python2_array(LABELS) + b"\x86\x85.",
    "an array without contents": b"\x80\x02cnumpy\nndarray\n)R" + python2_array(LABELS) + b"\x86\x85.",
    "objects": b"\x80\x02" + PAIR.replace(b"U\x02f4", b"U\x02O8") + b"\x85.",
    "another type": b"\x80\x02" + PAIR.replace(b"U\x02i8", b"U\x02u1") + b"\x85.",
    "big-endian": b"\x80\x02" + PAIR.replace(b"U\x01<", b"U\x01>") + b"\x85.",
    "a negative length": b"\x80\x02" + python2_array(LABELS, (-1, -2)) * 2 + b"\x86\x85.",
    "a huge shape": b"\x80\x02" + python2_array(LABELS, (1 << 30, 1 << 30)) * 2 + b"\x86\x85.",
    "too few items": b"\x80\x02" + python2_array(LABELS, (3,)) * 2 + b"\x86\x85.",
    "in itself": b"\x80\x02]q\x00h\x00ah\x00\x86\x85.",
}


@pytest.mark.parametrize("stream", HOSTILE.values(), ids=HOSTILE)
def test_anything_else_is_refused(stream: bytes) -> None:
    with pytest.raises(DamagedDataError, match="refused pickle"):
        read_pairs(stream, pairs=1)


def test_a_refused_pickle_ran_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    stream = pickle.dumps(Trap(), protocol=2)
    assert any(op.name == "REDUCE" for op, _, _ in pickletools.genops(stream))
    with pytest.raises(DamagedDataError, match="is not allowed"):
        read_pairs(stream, pairs=1)
    assert not (tmp_path / "ran").exists()
    pickle.loads(stream)
    assert (tmp_path / "ran").exists()  # the trap works, so the reader is what stopped it
