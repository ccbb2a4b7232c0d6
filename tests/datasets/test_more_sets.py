"""Fashion-MNIST, by stand-ins for its files; Keras's load_data; the two clouds of points."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from graphc.nn.datasets import DamagedDataError, NoDatasetError, fashion_mnist, load_fashion_mnist, mnist, point_clouds
from graphc.nn.datasets.locate import Catalogue
from graphc.nn.datasets.record import Part
from graphc.nn.datasets.sources import Mirror, address


@pytest.fixture
def published(tiny) -> tuple[Part, ...]:
    """The parts of a small set, known by the hashes of their gzipped files."""
    files = {part: hashlib.sha256(tiny.files[f"{part.stem}.gz"]).hexdigest() for part in tiny.parts}
    return tuple([dataclasses.replace(part, sha256=sha256, gzipped=True) for part, sha256 in files.items()])


def test_files_are_known_by_the_hashes_of_what_was_published(tiny, published: tuple[Part, ...], tmp_path: Path) -> None:
    catalogue = Catalogue("Fashion-MNIST", published, ())
    folder = tiny.write(tmp_path / "whole")
    data = load_fashion_mnist(folder, catalogue=catalogue)
    np.testing.assert_array_equal(data.train_images, tiny.arrays["train_images"])
    (x, y), (x_test, y_test) = data.split()
    assert [a.shape for a in (x, y, x_test, y_test)] == [(120, 8, 8), (120,), (20, 8, 8), (20,)]
    x[0] = 0  # the caller's own
    name = f"{published[0].stem}.gz"
    (folder / name).write_bytes(tiny.files[name][:-1] + b"\1")
    with pytest.raises(DamagedDataError, match=r"wrong content of train-images-idx3-ubyte\.gz"):
        load_fashion_mnist(folder, catalogue=catalogue)
    (folder / name).rename(folder / published[0].stem)
    with pytest.raises(NoDatasetError, match="train-images-idx3-ubyte missing"):
        load_fashion_mnist(folder, catalogue=catalogue)


def test_it_has_a_folder_of_its_own(tiny, published: tuple[Part, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_DATA", str(tmp_path))
    catalogue = Catalogue("Fashion-MNIST", published, (), folder="fashion-mnist")
    tiny.write(tmp_path / "fashion-mnist")
    assert load_fashion_mnist(catalogue=catalogue, progress=False).source == str(tmp_path / "fashion-mnist")


def test_it_is_fetched_once(tiny, published: tuple[Part, ...], site, quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("GRAPHC_DATA", raising=False)
    site.serve(tiny.files)
    catalogue = Catalogue("Fashion-MNIST", published, (Mirror(site.url),), quick, "fashion-mnist")
    for _ in range(2):
        data = load_fashion_mnist(catalogue=catalogue, progress=False)
        np.testing.assert_array_equal(data.test_labels, tiny.arrays["test_labels"])
    assert len(site.asked) == 4


def test_the_catalogue() -> None:
    assert [part.size for part in fashion_mnist.PARTS] == [47_040_016, 60_008, 7_840_016, 10_008]
    assert all(address(source).startswith("https://") for source in fashion_mnist.SOURCES)
    assert len(fashion_mnist.CLASSES) == 10


def test_kerass_call(real_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_DATA", str(real_mnist))
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    assert [(a.shape, a.dtype.name) for a in (x_train, y_train, x_test, y_test)] == [
        ((60_000, 28, 28), "uint8"),
        ((60_000,), "uint8"),
        ((10_000, 28, 28), "uint8"),
        ((10_000,), "uint8"),
    ]
    assert y_test[:3].tolist() == [7, 2, 1]
    assert x_train.flags.writeable


def test_points() -> None:
    points, targets = point_clouds(20_000, seed=3)
    assert (points.shape, points.dtype, targets.shape, targets.dtype) == ((40_000, 2), np.float32, (40_000, 1), np.float32)
    for half, mean, target in ((points[:20_000], (0, 3), 0), (points[20_000:], (3, 0), 1)):
        np.testing.assert_allclose(half.mean(axis=0), mean, atol=0.03)
        np.testing.assert_allclose(np.cov(half.T), [[1, 0.5], [0.5, 1]], atol=0.05)
        assert set(targets[20_000 * target :][:20_000].ravel().tolist()) == {target}
    np.testing.assert_array_equal(point_clouds(5, seed=1)[0], point_clouds(5, seed=1)[0])
    assert not np.array_equal(point_clouds(5, seed=1)[0], point_clouds(5, seed=2)[0])
