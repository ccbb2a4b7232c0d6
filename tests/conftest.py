"""One thread a worker: pytest-xdist has a worker a core already, and XLA and BLAS would each start one a core again.

Most of the time of the tests on JAX is LLVM's, which makes machine code of thousands of small programs: at its lowest level of
optimisation it takes two thirds. What XLA itself makes of a program is the same. ``XLA_FLAGS= python -m pytest`` takes the highest.
"""

import os
import sys
from collections.abc import Iterator

import pytest

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("GRAPHC_TRACEBACK", "full")  # whoever tests graphc wants its own lines
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0")


@pytest.fixture(autouse=True)
def _declarations_go_away() -> Iterator[None]:
    """An op that a test declares is none of the table's, which others go through; a class of its is not found by another's name."""
    from graphc.core import OPS

    ops, configured = len(OPS), sys.modules.get("graphc.nn.configured")
    classes = dict(configured._classes) if configured else {}
    yield
    for name in list(OPS)[ops:]:
        del OPS[name]
    for key, cls in list(configured._classes.items()) if configured else ():
        if cls is not classes.get(key) and not cls.__module__.startswith("graphc."):
            del configured._classes[key]
            configured._classes.update({key: classes[key]} if key in classes else {})
