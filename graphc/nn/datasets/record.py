"""The records that the loaders pass around: one file of a set, and the whole set."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """One idx file of a data set, known before it is read.

    ``field`` names the field of ``Digits`` it fills, ``stem`` is the usual file name without ``.gz``,
    ``shape`` is that of the uint8 array inside and ``sha256`` the hash of the decompressed file, or, if
    ``gzipped``, of the file as its authors compressed it: then a plain one does not count.
    """

    field: str
    stem: str
    shape: tuple[int, ...]
    sha256: str
    gzipped: bool = False

    @property
    def size(self) -> int:
        """Bytes of the decompressed file: magic number, one word per axis, one byte per item."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """The file names it goes by, plain before gzipped: ``a-idx3-ubyte``, ``a.idx3-ubyte``."""
        dotted = self.stem.replace("-idx", ".idx")
        packed = (f"{self.stem}.gz", f"{dotted}.gz")
        return packed if self.gzipped else (self.stem, dotted, *packed)


@dataclass(frozen=True, eq=False)
class Digits:
    """Small grey images, such as handwritten digits, with their labels, split for training and testing.

    ``train_images`` and ``test_images`` are uint8 of shape ``(count, height, width)``, 0 is background
    and 255 full ink; the labels are uint8 of shape ``(count,)``, 0 to 9. The arrays are read-only.
    ``source`` says in words where the set came from.
    """

    train_images: Pixels
    train_labels: Pixels
    test_images: Pixels
    test_labels: Pixels
    name: str
    source: str

    def split(self) -> tuple[tuple[Pixels, Pixels], tuple[Pixels, Pixels]]:
        """``((train_images, train_labels), (test_images, test_labels))``, copied: Keras's form, for the caller to change."""
        train, test = (self.train_images, self.train_labels), (self.test_images, self.test_labels)
        return (train[0].copy(), train[1].copy()), (test[0].copy(), test[1].copy())
