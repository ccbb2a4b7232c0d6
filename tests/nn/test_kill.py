"""A few kills of a training; ``python tests/nn/kill.py --times 50`` does more."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def kill() -> Any:
    spec = importlib.util.spec_from_file_location("kill", Path(__file__).with_name("kill.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_training_that_is_killed_goes_on_to_the_same_bits(kill: Any) -> None:
    ended, files = kill.run(3, seed=1)
    assert ended
    assert files
