"""Sigmoids and slopes over the whole range, with NumPy's vector loops for their functions and without."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import toposort
from graphc.lower import expand
from graphc.ops import pointwise

SPECIAL = [0.0, -0.0, 1e-30, -1e-30, 44.0, -44.0, 90.0, -90.0, 1e30, -1e30, np.inf, -np.inf, np.nan]
RANGE = np.concatenate([np.linspace(-87, 87, 4001), np.linspace(-1, 1, 1001), SPECIAL])


def _sech2(x: Any) -> Any:
    e = np.exp(-2 * np.abs(x))
    return 4 * e / (1 + e) ** 2


def _slope(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return e / (1 + e) ** 2


OPS: dict[Any, Callable[[Any], Any]] = {
    pointwise.sech2: _sech2,
    pointwise.sigmoid_slope: _slope,
    gc.sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    gc.softplus: lambda x: np.logaddexp(x, 0),
}
BRANCHES: dict[str, Callable[[Any], Any]] = {
    "any": lambda x: x,
    "never positive": lambda x: -gc.abs(x),
}


@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_right_over_the_whole_range(op: Any, branch: str, dtype: str, vectors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    wide: Callable[[str, str], bool] = lambda function, dtype: vectors and dtype in ("float32", "float64")  # noqa: E731
    monkeypatch.setattr(pointwise, "by_vectors", wide)
    x = gc.input("x", RANGE.shape, dtype)
    values = RANGE.astype(dtype)
    found = gc.compile([x], op(BRANCHES[branch](x)))(values)
    with np.errstate(all="ignore"):
        exact = OPS[op](values.astype("longdouble") if branch == "any" else -np.abs(values.astype("longdouble")))
    info = np.finfo(dtype)
    assert np.array_equal(np.isnan(found), np.isnan(exact))
    kept = np.isfinite(exact) & (np.abs(exact) > info.tiny)
    off = np.abs(found[kept] - exact[kept]) / (info.eps * np.abs(exact[kept]))
    assert off.max() <= op.ulps
    faint = np.isfinite(exact) & ~kept
    assert np.all(np.abs(found[faint]) <= 2 * info.tiny)


@pytest.mark.parametrize("vectors", [True, False])
def test_which_functions_the_slope_of_tanh_is_made_of(vectors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    wide: Callable[[str, str], bool] = lambda function, dtype: vectors  # noqa: E731
    monkeypatch.setattr(pointwise, "by_vectors", wide)
    x = gc.input("x", (3,), "float32")
    names = {node.op.name for node in toposort(expand([pointwise.sech2(x)], "numpy")) if node.op}
    assert ("cosh" in names, "exp" in names) == (vectors, not vectors)
    assert [node.op.name for node in toposort(expand([pointwise.sech2(x)], "jax")) if node.op] == ["sech2"]


def test_whether_numpy_has_a_vector_loop_is_known_for_each_dtype() -> None:
    assert not pointwise.by_vectors("cosh", "float16")
    assert not pointwise.by_vectors("cosh", "bfloat16")
    assert not pointwise.by_vectors("no_such_function", "float32")
    assert isinstance(pointwise.by_vectors("cosh", "float32"), bool)
