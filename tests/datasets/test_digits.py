"""scikit-learn's digits in the same record."""

import sys

import numpy as np
import pytest

from graphc.nn.datasets import DatasetError, load_digits


def test_shapes_types_and_range() -> None:
    pytest.importorskip("sklearn")
    digits = load_digits()
    assert digits.train_images.shape == (1500, 8, 8)
    assert digits.test_images.shape == (297, 8, 8)
    assert digits.train_labels.shape == (1500,)
    assert digits.test_labels.shape == (297,)
    for array in (digits.train_images, digits.train_labels, digits.test_images, digits.test_labels):
        assert array.dtype == np.uint8
        assert not array.flags.writeable
    assert (digits.train_images.min(), digits.train_images.max()) == (0, 255)
    assert set(digits.train_labels) == set(digits.test_labels) == set(range(10))


def test_the_images_are_those_of_scikit_learn_in_order() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    theirs, ours = datasets.load_digits(), load_digits()
    images = np.concatenate([ours.train_images, ours.test_images])
    np.testing.assert_array_equal(np.rint(images / 255 * 16), theirs.images)
    np.testing.assert_array_equal(np.concatenate([ours.train_labels, ours.test_labels]), theirs.target)


def test_without_scikit_learn_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DatasetError, match="pip install scikit-learn") as caught:
        load_digits()
    assert "--dataset mnist" in str(caught.value)
