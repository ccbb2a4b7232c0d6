"""Constraints against Keras's recorded values, and by what they promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.nn import constraints as c

KERAS = json.loads((Path(__file__).parent / "reference" / "keras_values.json").read_text())
REALS = np.array(KERAS["inputs"]["reals"], "float32")


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_weights_are_kerass(backend: Any) -> None:
    if backend == "jax":
        pytest.importorskip("jax")
    rows = [row for row in KERAS["weights"] if row[0] == "constraints"]
    constraints = [getattr(c, name)(**arguments) for _, name, arguments, _ in rows]
    weights = [gc.variable(REALS, f"w{i}") for i in range(len(rows))]
    gc.compile([], [], updates={w: constraint(w) for w, constraint in zip(weights, constraints, strict=True)}, backend=backend)()
    for w, constraint, row in zip(weights, constraints, rows, strict=True):
        np.testing.assert_allclose(w.value, row[-1], rtol=2e-6, atol=1e-7, err_msg=str(row))
        np.testing.assert_allclose(constraint(REALS), row[-1], rtol=2e-6, atol=1e-7, err_msg=str(row))


def lengths(w: Any) -> Any:
    return np.linalg.norm(w, axis=0)


def test_lengths_are_as_promised() -> None:
    w = 10 * REALS
    np.testing.assert_allclose(lengths(c.UnitNorm()(w)), 1, rtol=1e-6)
    assert (lengths(c.MaxNorm(3)(w)) <= 3).all()
    np.testing.assert_allclose(c.MaxNorm(1000)(w), w, rtol=1e-6)
    low, high = lengths(c.MinMaxNorm(2.0, 3.0)(w / 100)), lengths(c.MinMaxNorm(2.0, 3.0)(w))
    np.testing.assert_allclose(low, 2, rtol=1e-5)
    np.testing.assert_allclose(high, 3, rtol=1e-5)
    assert (c.NonNeg()(w) >= 0).all()


@pytest.mark.parametrize("cls", c.CLASSES, ids=lambda cls: cls.__name__)
def test_zeros_stay_zeros_and_the_dtype_stays(cls: Any) -> None:
    for dtype in ("float16", "float32", "float64"):
        found = cls()(np.zeros((3, 2), dtype))
        assert found.dtype == dtype
        assert not np.asarray(found, "float64").any()


BAD = {
    "max": (lambda: c.MaxNorm(-1), ["MaxNorm: max_value is -1", "from 0"]),
    "min": (lambda: c.MinMaxNorm(2.0, 1.0), ["min_value is 2.0", "0 <= min_value <= max_value"]),
    "rate": (lambda: c.MinMaxNorm(rate=1.5), ["rate is 1.5"]),
    "axis": (lambda: c.UnitNorm(axis=2)(REALS), ["axis 2"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused(what: str) -> None:
    call, words = BAD[what]
    with pytest.raises(gc.errors.GraphcError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
