"""scikit-learn's digits in the same record."""

import sys

import numpy as np
import pytest

from graphc.nn.datasets import DatasetError, load_digits


def test_the_split_and_the_scale() -> None:
    sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    digits = load_digits()
    assert (digits.train_images.shape, digits.test_images.shape) == ((1500, 8, 8), (297, 8, 8))
    assert (digits.train_labels.shape, digits.test_labels.shape) == ((1500,), (297,))
    assert (digits.train_images.dtype, digits.train_labels.dtype) == (np.uint8, np.uint8)
    assert (digits.train_images.min(), digits.train_images.max()) == (0, 255)
    source = sklearn.load_digits()
    np.testing.assert_array_equal(np.rint(digits.test_images / 255 * 16), source.images[1500:])
    np.testing.assert_array_equal(digits.test_labels, source.target[1500:])
    assert set(digits.test_labels.tolist()) == set(range(10))


def test_arrays_are_read_only() -> None:
    pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    assert not load_digits().train_images.flags.writeable


def test_without_scikit_learn_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DatasetError, match="fits: python -m pip install scikit-learn; or --dataset mnist"):
        load_digits()
