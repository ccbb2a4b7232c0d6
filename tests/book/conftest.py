"""MNIST for the book's programs: $GRAPHC_TEST_MNIST, or ``shared/mnist`` beside the repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


class Mnist(NamedTuple):
    """What the programs load, and its images as rows of float32 in 0 to 1."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    from graphc.compat.tensorflow.keras.datasets import mnist

    folder = Path(os.environ.get("GRAPHC_TEST_MNIST") or ROOT.parent / "shared" / "mnist")
    if not any((folder / f"train-images-idx3-ubyte{end}").is_file() for end in ("", ".gz")):
        pytest.skip(f"no MNIST in {folder}; $GRAPHC_TEST_MNIST names a folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHC_DATA", str(folder))
        (train_images, train_labels), (test_images, test_labels) = mnist.load_data()
    rows = [images.reshape((len(images), 28 * 28)).astype("float32") / 255 for images in (train_images, test_images)]
    return Mnist(train_images, train_labels, test_images, test_labels, *rows)
