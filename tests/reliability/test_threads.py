"""Short turns of ``threads.py``, but for those that take long to start; calls on JAX are in tests/lower/test_functions.py."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import threads

TURNS: dict[str, Callable[[], int]] = {
    "calls, numpy": lambda: threads.same_bits(4),
    "updates, numpy": lambda: threads.counted(60),
    "updates, jax": lambda: threads.counted(8, backend="jax"),
    "compilations": lambda: threads.compiled(3),
    "spawn": lambda: threads.spawned(2),
    **{name: (lambda name=name: threads.shared(name, 4, processes=2)) for name in ("calibrations", "models", "compilations", "data sets")},
}


@pytest.mark.parametrize("name", TURNS)
def test_together(name: str) -> None:
    assert TURNS[name]() > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fork() -> None:
    """In a process of its own: JAX, which other tests have imported, does not live through a fork."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import threads; assert threads.forked(2) == 2"
    threads.subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
