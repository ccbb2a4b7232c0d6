"""Data sets of handwritten digits: found on this machine, or fetched, and checked by hash.

This module is the only door: import from here, not from the modules behind it.
"""

from graphc.nn.datasets.digits import load_digits
from graphc.nn.datasets.errors import DamagedDataError, DatasetError, FetchError, NoDatasetError
from graphc.nn.datasets.mnist import load_mnist
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
    "load_digits",
    "load_mnist",
]
