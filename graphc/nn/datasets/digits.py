"""The small stand-in for MNIST: scikit-learn's 1,797 digits of 8 x 8 pixels, on disk with it."""

import importlib
from typing import cast

import numpy as np
from numpy.typing import NDArray

from graphc.nn.datasets.errors import DatasetError
from graphc.nn.datasets.record import Digits

TRAIN = 1_500
INK = 16  # the source counts inked dots in cells of 4 x 4


def load_digits() -> Digits:
    """Digits of 8 x 8 pixels: ``train_images`` uint8 ``(1500, 8, 8)``, ``test_images`` ``(297, 8, 8)``.

    The 0 to 16 of the source are scaled to 0 to 255. The split keeps the source's order, so it is
    the same everywhere, and the last digits come from other hands than the first
    (E. Alpaydin, C. Kaynak, 1998).

    Raises ``DatasetError`` where scikit-learn cannot be imported.
    """
    images, labels = _from_scikit_learn()
    pixels = _frozen(np.rint(images * (255 / INK)).astype(np.uint8))
    targets = _frozen(labels.astype(np.uint8))
    return Digits(
        train_images=pixels[:TRAIN],
        train_labels=targets[:TRAIN],
        test_images=pixels[TRAIN:],
        test_labels=targets[TRAIN:],
        name="digits",
        source="scikit-learn",
    )


def _from_scikit_learn() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise DatasetError(
            "scikit-learn's digits need scikit-learn, which cannot be imported",
            given=[str(error)],
            fits="python -m pip install scikit-learn; or --dataset mnist",
        ) from error
    bunch = datasets.load_digits()
    return cast("NDArray[np.float64]", bunch.images), cast("NDArray[np.int64]", bunch.target)


def _frozen(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    array.flags.writeable = False
    return array
