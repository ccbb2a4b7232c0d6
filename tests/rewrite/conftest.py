"""The checker of rules, ``rule_check.py``, as a fixture: with importlib mode, tests do not import one another."""

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("graphc_rule_check", Path(__file__).with_name("rule_check.py"))
assert _spec is not None
assert _spec.loader is not None
_module = sys.modules.setdefault("graphc_rule_check", importlib.util.module_from_spec(_spec))
if not hasattr(_module, "check_rule"):
    _spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def rule_check():
    return _module
