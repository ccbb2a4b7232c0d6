"""The cyclic garbage collector, held off while a graph grows: it would walk the growing graph again and again and find nothing."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collecting_paused() -> Generator[None, None, None]:
    """No cyclic garbage is collected in this block, in any thread; reference counts free things as ever.

    Blocks may be nested, and a program that has put the collector off finds it off.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
