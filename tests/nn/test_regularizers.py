"""Penalties against Keras's recorded values and NumPy, with gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.nn import regularizers as r

KERAS = json.loads((Path(__file__).parent / "reference" / "keras_values.json").read_text())
REALS = np.array(KERAS["inputs"]["reals"], "float32")


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_penalties_are_kerass(backend: Any) -> None:
    if backend == "jax":
        pytest.importorskip("jax")
    rows = [row for row in KERAS["weights"] if row[0] == "regularizers"]
    x = gc.input("x", REALS.shape)
    penalties = [getattr(r, name)(**arguments) for _, name, arguments, _ in rows]
    found = gc.compile([x], [penalty(x) for penalty in penalties], backend=backend)(REALS)
    for value, penalty, row in zip(found, penalties, rows, strict=True):
        np.testing.assert_allclose(value, row[-1], rtol=2e-6, err_msg=str(row))
        np.testing.assert_allclose(penalty(REALS), row[-1], rtol=2e-6, err_msg=str(row))


@pytest.mark.parametrize("regularizer", [r.L1(0.3), r.L2(0.3), r.L1L2(0.1, 0.2), r.OrthogonalRegularizer(0.3)], ids=repr)
def test_gradients_are_the_differences(regularizer: r.Regularizer) -> None:
    x = gc.input("x", REALS.shape, "float64")
    assert gc.check_gradient(regularizer(x), x, at={x: REALS.astype("float64")})


def test_the_dtype_is_that_of_the_weight() -> None:
    for regularizer in (r.L1(), r.L2(), r.L1L2(0.1), r.L1L2(), r.OrthogonalRegularizer()):
        for dtype in ("float16", "float64"):
            assert regularizer(gc.input("x", (2, 3), dtype)).dtype == dtype


def test_none_is_the_default() -> None:
    assert r.L1L2(None, 0.5) == r.L1L2(0.0, 0.5)  # type: ignore[arg-type]
    assert r.L2(None) == r.L2(0.01)  # type: ignore[arg-type]
    assert r.get("l1_l2") == r.L1L2()


def test_rows_that_are_orthogonal_and_one_alone_cost_nothing() -> None:
    assert r.OrthogonalRegularizer()(np.eye(3, 4)) == 0
    assert r.OrthogonalRegularizer()(np.ones((1, 4))) == 0


BAD = {
    "negative": (lambda: r.L1(-0.1), ["L1: l1 is -0.1", "a finite number from 0"]),
    "infinite": (lambda: r.L1L2(l2=float("inf")), ["L1L2: l2 is inf"]),
    "a word": (lambda: r.L2("0.1"), ["L2: l2 is '0.1'"]),  # type: ignore[arg-type]
    "mode": (lambda: r.OrthogonalRegularizer(mode="diagonals"), ["mode is 'diagonals'", "'rows', 'columns'"]),
    "rank": (lambda: r.OrthogonalRegularizer()(np.ones(3)), ["no matrix", "two axes"]),
    "size": (lambda: r.OrthogonalRegularizer()(gc.input("x", ("n", 3))), ["unknown number of rows"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused(what: str) -> None:
    call, words = BAD[what]
    with pytest.raises(gc.errors.GraphcError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
