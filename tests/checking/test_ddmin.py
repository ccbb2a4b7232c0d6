"""Delta debugging, and what rounding may do."""

import numpy as np
import pytest

import graphc as gc
from graphc.checking.ddmin import Clock, ddmin
from graphc.checking.rounding import Plain, Promise

LONG = Clock(1e9)


@pytest.mark.parametrize("wanted", [{3}, {0, 7}, {1, 2, 30}, set(range(32)), set()])
def test_ddmin_finds_what_it_takes(wanted: set[int]) -> None:
    assert set(ddmin(range(32), lambda items: wanted <= set(items), LONG)) == wanted


def test_ddmin_asks_seldom_and_stops_in_time() -> None:
    asked: list[int] = []
    ddmin(range(1000), lambda items: asked.append(len(items)) or 617 in items, LONG)  # type: ignore[func-returns-value]
    assert len(asked) < 50
    assert ddmin(range(10), lambda items: len(items) == 10, Clock(0)) == list(range(10))


X = gc.input("x", (3,), "float64")
ONE = np.array([1.0, 2.0, 3.0])
ROUNDING = Promise()


def apart(graph: gc.Tensor, found: object, promise: Promise = ROUNDING) -> bool:
    return Plain([graph], {X: ONE}, {}).difference(0, np.asarray(found), promise) is not None


def test_what_promises_allow() -> None:
    y = gc.sin(X)
    right = np.sin(ONE)
    assert not apart(y, right)
    assert not apart(y, np.nextafter(right, 2))
    assert apart(y, np.nextafter(right, 2), Promise(exact=True))
    assert apart(y, np.add(right, [0, 0, 1e-13]))
    assert apart(y, [right[0], np.nan, right[2]])
    assert apart(y, right.astype("float32"))
    assert apart(y, right[:2])


def test_not_a_number() -> None:
    y = gc.log(X - 2)  # NaN, -inf, 0
    right = np.array([np.nan, -np.inf, 0.0])
    assert not apart(y, right)
    assert apart(y, [np.nan, np.inf, 0])
    assert apart(y, [0, -np.inf, 0])
    assert not apart(y, [0, 5.0, 0], Promise(overflow=True))
    assert not apart(y, [np.inf, np.nan, 0], Promise(finite_only=True))
    assert apart(y, [np.inf, np.nan, 1], Promise(finite_only=True))


def test_zeros_have_signs_only_where_all_bits_are_promised() -> None:
    y = X * 0.0
    assert not apart(y, -np.zeros(3))
    assert apart(y, -np.zeros(3), Promise(exact=True))


def test_cancellation_is_known_and_its_size_too() -> None:
    """The difference of two numbers that are nearly equal has few digits, and a sum has those of its largest number."""
    y = (X + 1e8) - 1e8
    assert not apart(y, ONE + 1e-8)
    assert apart(y, ONE + 1e-6)
    total = gc.sum(X * [1e16, -0.5e16, 0.0])
    assert not apart(total, 2.0)
    assert apart(total, 1000.0)
