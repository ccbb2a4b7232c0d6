"""Short turns of ``leak.py``: objects are counted in the place of pages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import leak


@pytest.mark.parametrize("name", leak.CALLS)
def test_calls_leave_nothing(name: str) -> None:
    assert leak.left(name, 120) == {}


def test_the_memory_that_compiling_takes_is_linear_in_the_graph() -> None:
    (_, _, small), (_, _, large) = leak.a_node((400, 1600))
    assert large < 1.5 * small
