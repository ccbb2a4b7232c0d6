"""Expressions and programs give what TensorFlow gives, as text: reference.json has what it printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import graphc.compat.tensorflow as tf
from tests.compat.make_reference import outcome

REFERENCE = json.loads(Path(__file__).with_name("reference.json").read_text())


@pytest.mark.parametrize("text", REFERENCE)
def test_as_tensorflow(text: str) -> None:
    assert outcome(text, tf) == REFERENCE[text]
