"""A short turn of ``bits.py``: all workloads at tiny sizes, in two processes that differ in everything that may not matter."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bits


def test_source_and_numbers_are_the_same_in_each_process() -> None:
    found = [(str(i), bits.in_a_process(["--tiny"], **bits.PROCESSES[i])) for i in (0, 2)]
    assert len(found[0][1]) > 15
    assert bits.differing(found) == ([], [])
