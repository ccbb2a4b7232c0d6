"""Data sets of small images: found on this machine, or fetched, and checked by hash; and points in the plane.

This module is the only door: import from here, not from the modules behind it.
"""

from graphc.core.errors import open_to_users
from graphc.nn.datasets import fashion_mnist, mnist
from graphc.nn.datasets.digits import load_digits
from graphc.nn.datasets.errors import DamagedDataError, DatasetError, FetchError, NoDatasetError
from graphc.nn.datasets.fashion_mnist import load_fashion_mnist
from graphc.nn.datasets.mnist import load_mnist
from graphc.nn.datasets.points import point_clouds
from graphc.nn.datasets.progress import Event, Listener
from graphc.nn.datasets.record import Digits
from graphc.nn.datasets.store import cache_folder

__all__ = [
    "DamagedDataError",
    "DatasetError",
    "Digits",
    "Event",
    "FetchError",
    "Listener",
    "NoDatasetError",
    "cache_folder",
    "fashion_mnist",
    "load_digits",
    "load_fashion_mnist",
    "load_mnist",
    "mnist",
    "point_clouds",
]

open_to_users(globals(), ("load_digits", "load_fashion_mnist", "load_mnist", "point_clouds"))
