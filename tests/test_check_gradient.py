"""``gc.check_gradient``: what is right passes, what is wrong is found, named and blamed on the operation that it comes from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import Op
from graphc.core.errors import ArgumentError
from graphc.testing import check_gradient
from graphc.testing.slopes import by_steps_of, central, kink

X = gc.input("x", (3,), "float64")
POINT = [0.3, -0.7, 1.1]
W = gc.constant(np.arange(9.0).reshape(3, 3) / 7 - 0.4, "float64")


@gc.custom_gradient
def wrong(v: gc.Tensor) -> Any:
    """The sine, with a derivative that is one per cent too large."""
    return gc.sin(v), lambda g: g * gc.cos(v) * 1.01


def line_of(marker: str) -> int:
    """The line of this file that has a comment."""
    lines = inspect.getsource(inspect.getmodule(line_of)).splitlines()  # type: ignore[arg-type]
    return next(i for i, line in enumerate(lines, 1) if line.endswith(f"# {marker}") and "line_of" not in line)


# ---------------------------------------------------------------- what is right
@pytest.mark.parametrize("method", ["auto", "differences", "complex", "mpmath"])
def test_each_method_agrees_with_a_right_gradient(method: Any) -> None:
    report = check_gradient(gc.sum(gc.exp(X) * gc.sin(W @ X)), X, at={X: POINT}, method=method)
    assert report
    assert report.worst is not None
    assert {"complex": "real line", "mpmath": "60 digits"}.get(method, "differences") in report.worst.way or method == "auto"
    assert len(report.entries) == 4  # three, and forward mode


def test_sure_ways_are_right_to_the_last_digits() -> None:
    """Where differences of 1e-6 cannot tell, the others can."""
    for method in ("complex", "mpmath"):
        assert check_gradient(gc.sum(gc.exp(X) / X), X, at={X: [0.3, 1e-4, 70.0]}, method=method, rtol=1e-13)


@pytest.mark.parametrize(
    ("modes", "found"), [("reverse", {"reverse"}), ("forward", {"forward"}), (("reverse", "forward"), {"reverse", "forward"})]
)
def test_modes(modes: Any, found: set[str]) -> None:
    report = check_gradient(gc.tanh(W @ X), X, order=2, modes=modes)
    assert report
    assert {entry.mode for entry in report.entries} == found
    assert {entry.order for entry in report.entries} == {1, 2}


@pytest.mark.parametrize("point", [[1e-9, 3.0, 1e7], [1e-200, 1.0, 1e200], [5e-7, 1e-3, 1e3]])
def test_steps_are_of_the_size_of_the_number(point: list[float]) -> None:
    assert check_gradient(gc.log(X), X, at={X: point})
    assert not check_gradient(gc.log(X) + 0.1 * wrong(gc.log(X)), X, at={X: point})


def test_complex_leaves() -> None:
    z = gc.input("z", (2,), "complex128")
    y = gc.sum(gc.abs(z) ** 2) + gc.real(gc.sum(z * z))
    assert check_gradient(y, z, at={z: [1 + 2j, 0.5 - 1j]})
    assert check_gradient(z * z * (1 + 2j), z, at={z: [1 + 2j, 0.5 - 1j]}, modes="reverse")


def test_large_inputs_take_a_few_directions() -> None:
    b = gc.input("b", (60, 60), "float64")
    report = check_gradient(gc.sum(gc.tanh(b @ b)), b, modes="reverse")
    assert report
    assert len(report.entries) == 24


# ---------------------------------------------------------------- what is wrong
def middle(x: gc.Tensor) -> gc.Tensor:
    h = gc.exp(x) * 0.5
    v = wrong(h)  # the middle
    return gc.sum(gc.sqrt(v + 3) * gc.sin(h))


def in_a_loop(x: gc.Tensor) -> gc.Tensor:
    def step(carry: gc.Tensor, item: gc.Tensor) -> Any:
        return wrong(carry) + item, carry  # the loop

    return gc.sum(gc.square(gc.scan(step, gc.zeros((3,), "float64"), gc.stack([x, x * 2]))[0]))


def in_a_branch(x: gc.Tensor) -> gc.Tensor:
    return gc.sum(gc.cond(gc.sum(x) > 0, lambda v: gc.cos(wrong(v * 1.5)), gc.sin, x))  # the branch


@pytest.mark.parametrize(("build", "marker"), [(middle, "the middle"), (in_a_loop, "the loop"), (in_a_branch, "the branch")])
def test_a_wrong_derivative_is_blamed_at_its_operation(build: Callable[[gc.Tensor], gc.Tensor], marker: str) -> None:
    report = check_gradient(build(X), X, at={X: POINT})
    assert not report
    assert report.blame is not None
    assert report.blame.name == "custom_gradient"
    assert report.blame.origin is not None
    assert report.blame.origin.line == line_of(marker)
    told = str(report)
    assert "entries of the gradient are wrong; worst x[" in told
    assert "allowed: " in told
    assert "by rtol" in told
    assert f"most likely at fault: custom_gradient (test_check_gradient.py:{line_of(marker)})" in told


def test_a_wrong_second_derivative_is_found_at_order_two() -> None:
    @gc.custom_gradient
    def bent(v: gc.Tensor) -> Any:
        return gc.sin(v), lambda g: wrong_inside(g, v)

    def wrong_inside(g: gc.Tensor, v: gc.Tensor) -> Any:
        return g * gc.sin(wrong_phase(v))

    @gc.custom_gradient
    def wrong_phase(v: gc.Tensor) -> Any:
        return v + np.pi / 2, lambda g: g * 1.5

    report = check_gradient(gc.sum(bent(X)), X, at={X: POINT}, order=2)
    assert not report
    assert {entry.order for entry in report.wrong} == {2}
    assert report.blame is not None
    assert report.blame.name == "custom_gradient"


def test_one_wrong_entry_of_many_is_found_by_halving() -> None:
    b = gc.input("b", (60, 60), "float64")
    off = np.zeros((60, 60))
    off[17, 41] = 0.1

    @gc.custom_gradient
    def nearly(v: gc.Tensor) -> Any:
        return gc.sin(v), lambda g: g * (gc.cos(v) + off)

    report = check_gradient(gc.sum(gc.tanh(nearly(b))), b)
    assert not report
    assert report.worst is not None
    assert any(entry.place == "b[17, 41]" for entry in report.wrong)
    assert report.blame is not None
    assert report.blame.name == "custom_gradient"


def test_forward_mode_that_differs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc.tanh, "forward", None, raising=False)
    ours: Op = gc.core.OPS["matmul"]
    monkeypatch.setattr(ours, "forward", lambda t, y, a, b: 1.5 * gc.core.OPS["matmul"](a, t[1]) if t[1] is not None else y * 0)
    report = check_gradient(gc.sum(gc.tanh(W @ X)), X, at={X: POINT})
    assert not report
    assert {entry.mode for entry in report.wrong} == {"forward"}
    assert report.blame is not None
    assert report.blame.name == "matmul"


# ---------------------------------------------------------------- kinks
def test_kinks_are_told_and_are_no_failures() -> None:
    report = check_gradient(gc.sum(gc.relu(X) * 2 + gc.abs(X)), X, at={X: [0.0, 0.0, 1.0]}, modes="reverse")
    assert report
    assert [entry.place for entry in report.kinks] == ["x[0]", "x[1]"]
    assert "at a kink: x[0], 0 by graphc is between the derivatives on its left, -1, and on its right, 3" in str(report)


def test_a_kink_nearby_is_stepped_around() -> None:
    report = check_gradient(gc.sum(gc.relu(X)), X, at={X: [1e-7, -1e-7, 1e-5]}, modes="reverse")
    assert report
    assert not report.kinks


def test_a_kink_that_no_record_tells_of_is_seen() -> None:
    report = check_gradient(gc.where(X > 0, 3 * X, X), X, at={X: [0.0, 1.0, 2.0]}, modes="reverse")
    assert report
    assert [entry.place for entry in report.kinks] == ["x[0]"]
    assert "between the derivatives on its left, 1" in str(report)


def test_a_wrong_derivative_at_a_kink_is_wrong() -> None:
    @gc.custom_gradient
    def steep(v: gc.Tensor) -> Any:
        return gc.abs(v), lambda g: g * 5.0

    assert not check_gradient(gc.sum(steep(X)), X, at={X: [0.0, 1.0, 2.0]}, modes="reverse")


# ---------------------------------------------------------------- differences
def test_a_table_of_steps_is_better_than_one() -> None:
    f, exact = (lambda t: float(np.exp(30 * (1 + t)))), 30 * float(np.exp(30))
    rough, fine = central(f, 1e-4, float(np.exp(30))), by_steps_of(f, [0.1])
    assert abs(fine.value - exact) < abs(rough.value - exact)
    assert abs(fine.value - exact) <= 10 * fine.error


@pytest.mark.parametrize(
    ("f", "sides"), [(abs, (-1, 1)), (lambda t: t, None), (lambda t: t * t * 3, None), (lambda t: max(0.0, t), (0, 1))]
)
def test_sides(f: Callable[[float], float], sides: Any) -> None:
    found = kink(f, [1e-4, 1e-6])
    assert (found is None) if sides is None else np.allclose(found, sides, atol=1e-9)  # type: ignore[arg-type]


def test_a_jump_has_infinite_slopes() -> None:
    left, right = kink(lambda t: float(t >= 0), [1e-4]) or (0.0, 0.0)
    assert (left, right) == (np.inf, 0.0)


# ---------------------------------------------------------------- arguments
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"modes": "sideways"}, "modes='sideways'"),
        ({"modes": ()}, "modes=()"),
        ({"method": "guess"}, "method='guess'"),
    ],
)
def test_arguments(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError, match=r"fits") as caught:
        check_gradient(gc.sum(X), X, **arguments)
    assert told in str(caught.value)


@pytest.mark.parametrize("method", ["complex", "mpmath"])
def test_a_method_that_the_graph_does_not_allow(method: Any) -> None:
    y = gc.sum(gc.relu(X)) if method == "complex" else gc.linalg.slogdet(gc.eye(3, dtype="float64") + gc.outer(X, X))[1]
    with pytest.raises(ArgumentError, match=r"does not fit this graph"):
        check_gradient(y, X, method=method)


def test_an_x_that_is_no_leaf() -> None:
    with pytest.raises(ArgumentError, match="not a leaf"):
        check_gradient(gc.sum(X), gc.exp(X))
