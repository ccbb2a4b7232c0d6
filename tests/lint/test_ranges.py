"""The ranges that lint knows hold the values that ops have, for every op that it knows, on every small call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, constant, toposort
from graphc.ranges import BOUNDED, RULES, ranges
from graphc.testing import Call, calls

KNOWN = [OPS[name] for name in (*RULES, *BOUNDED)]
WITHOUT_CALLS = {"part", "guard"}
"""They hand on a result of another op, and what they are given."""


@pytest.mark.parametrize("call", [call for op in KNOWN if op.name not in WITHOUT_CALLS for call in calls(op)], ids=str)
def test_a_range_holds_every_value(call: Call) -> None:
    for moved in (0.0, 1.0, -1.0, 30.0):
        values: list[Any] = [value + moved if value.dtype.kind == "f" else value for value in call.values()]
        y = call.node([constant(value) for value in values])
        known = ranges(toposort([y]))[y]
        with np.errstate(all="ignore"):
            found = np.asarray(gc.evaluate(y), np.float64)
        found, close = found[~np.isnan(found)], 1e-6 if y.dtype == "float32" else 1e-12
        assert np.all(found >= known.low - close * abs(known.low)), (moved, known)
        assert np.all(found <= known.high + close * abs(known.high)), (moved, known)
