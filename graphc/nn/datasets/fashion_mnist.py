"""Fashion-MNIST: 70,000 images of articles of clothing in ten classes (H. Xiao, K. Rasul, R. Vollgraf, 2017; MIT licence)."""

import os

from graphc.nn.datasets.locate import Catalogue, load_set
from graphc.nn.datasets.progress import Listener
from graphc.nn.datasets.record import Digits, Part, Pixels
from graphc.nn.datasets.sources import Mirror, Source

PARTS = (
    Part(
        "train_images",
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        gzipped=True,
    ),
    Part(
        "train_labels",
        "train-labels-idx1-ubyte",
        (60_000,),
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        gzipped=True,
    ),
    Part(
        "test_images",
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        gzipped=True,
    ),
    Part(
        "test_labels",
        "t10k-labels-idx1-ubyte",
        (10_000,),
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        gzipped=True,
    ),
)

SOURCES: tuple[Source, ...] = (
    Mirror("https://storage.googleapis.com/tensorflow/tf-keras-datasets/"),
    Mirror("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"),
)

FASHION_MNIST = Catalogue("Fashion-MNIST", PARTS, SOURCES, folder="fashion-mnist")

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
"""What the labels 0 to 9 mean."""


def load_fashion_mnist(
    data: str | os.PathLike[str] | None = None,
    *,
    progress: bool | Listener = True,
    offline: bool = False,
    catalogue: Catalogue = FASHION_MNIST,
) -> Digits:
    """Fashion-MNIST, in the shapes of MNIST; ``CLASSES`` has the names of the labels.

    Looked for in the folder ``data``; without one in ``$GRAPHC_DATA/fashion-mnist``, then in the user's cache folder, and then fetched, as
    ``load_mnist`` does, with the same errors. The four files count gzipped alone, as their authors published them, since that is what
    their hashes are of.
    """
    return load_set(catalogue, data, progress=progress, offline=offline)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[tuple[Pixels, Pixels], tuple[Pixels, Pixels]]:
    """Fashion-MNIST as Keras gives it: ``((x_train, y_train), (x_test, y_test))``, uint8. ``path`` is a folder with the four files."""
    return load_fashion_mnist(path).split()
