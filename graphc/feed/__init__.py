"""Feeding: a data set batch by batch, and an epoch, which runs a function over all of it.

:class:`Batches` are rows of arrays in order or shuffled. :func:`epoch` takes them, or any other iterable of batches, through a
compiled function, has values checked only where their shapes or dtypes change, and adds up what the steps return. On JAX many steps
may be one call, over data that stays on the device.
"""

from graphc.feed.batches import Batch, Batches
from graphc.feed.running import Listener, epoch
from graphc.feed.sums import ADDED_AT_ONCE, Tally

__all__ = ["ADDED_AT_ONCE", "Batch", "Batches", "Listener", "Tally", "epoch"]
