"""``gc.Jax(check=True)``: an index out of bounds, or a NaN or inf that a node made, is an error that names the node and the user's line."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS
from graphc.core.errors import BoundsError, KinkError, NonFiniteError
from graphc.testing import calls

CHECKED = gc.Jax(check=True)
FLOATS, INDICES = gc.input("x", ("n",)), gc.input("i", ("m",), "int32")
x, i = FLOATS, INDICES


def total(y: gc.Tensor) -> gc.Tensor:
    return gc.sum(y)


def carried(f: Callable[..., Any], init: float = 1.0) -> gc.Tensor:
    """The carry of a loop over x in which nothing can be moved out of the body."""
    return gc.scan(lambda c, item: (f(c, item), c), gc.constant(init, "float32"), x)[0]


class Failing(NamedTuple):
    outputs: Any
    values: list[float]
    indices: list[int]
    error: type[Exception]
    named: str


FAILING = {
    "log of 0": Failing(total(gc.log(x)), [1, 0], [0], NonFiniteError, "log: an inf came of finite operands"),
    "log of -1": Failing(total(gc.log(x)), [1, -1], [0], NonFiniteError, "log: a NaN came of operands without one"),
    "overflow": Failing(gc.exp(x) - gc.exp(x) * 2, [1, 100], [0], NonFiniteError, "exp: an inf came of finite operands"),
    "inf minus inf": Failing(gc.cumsum(x / 0.0), [1, -1], [0], NonFiniteError, "divide: an inf"),
    "all masked": Failing(gc.softmax(gc.where(x > 0, x, -math.inf)), [-1, -1], [0], NonFiniteError, "softmax: a NaN"),
    "backward": Failing(gc.grad(total(gc.sqrt(x)), x), [1, 0], [0], NonFiniteError, r"in the gradient of: f32\[n\]   sqrt"),
    "one of two results": Failing([x * 2, gc.log(x)], [0, 1], [0], NonFiniteError, "log: an inf"),
    "beside what is masked": Failing(gc.where(x > 0, gc.log(x), 0) + gc.sqrt(x), [-1, 1], [0], NonFiniteError, "sqrt: a NaN"),
    "in a scan": Failing(carried(lambda c, item: gc.log(c) + item), [0, 0], [0], NonFiniteError, "log: a NaN or an inf"),
    "in a scan, backward": Failing(
        gc.grad(carried(lambda c, item: gc.sqrt(c * item)), x), [1, 0, 0], [0], NonFiniteError, "in the gradient of: f32.*sqrt"
    ),
    "in a branch": Failing(
        gc.cond(total(x) > 0, lambda v: gc.log(v), lambda v: v, x - 1), [1, 1], [0], NonFiniteError, "log: a NaN or an inf"
    ),
    "in a while loop": Failing(
        gc.while_loop(lambda v: v > -3.0, lambda v: gc.log(v), total(x)), [1, 0], [0], NonFiniteError, "log: a NaN or an inf"
    ),
    "take": Failing(gc.take(x, i), [1, 2], [0, 2], BoundsError, "take: an index is out of bounds for an axis of size n"),
    "take from the end": Failing(gc.take(x, i), [1, 2], [0, -3], BoundsError, "take: an index is out of bounds"),
    "the gradient of take": Failing(gc.grad(total(gc.take(x * x, i)), x), [1, 2], [2], BoundsError, "in the gradient of.*take"),
    "take_along_axis": Failing(gc.take_along_axis(x, i), [1, 2], [5], BoundsError, "take_along_axis: an index"),
    "brackets": Failing(x[i], [1, 2], [7], BoundsError, "take: an index"),
    "two indices": Failing((x * gc.ones((3, 1)))[i, i], [1, 2], [2], BoundsError, "an axis of size n"),
    "a place that a named size does not have": Failing(x[2], [1, 2], [0], BoundsError, "getitem: an index is out of bounds"),
    "set": Failing(x.at[i].set(0), [1, 2], [2], BoundsError, "set_at: an index"),
    "add": Failing(x.at[i].add(1), [1, 2], [2], BoundsError, "add_at: an index"),
    "max": Failing(x.at[i].max(1), [1, 2], [2], BoundsError, "max_at: an index"),
    "a label": Failing(
        gc.sparse_categorical_crossentropy(i, x * gc.ones(("m", 1)), from_logits=True), [1, 2], [0, 2], BoundsError, "pick: an index"
    ),
    "segments": Failing(gc.segment_sum(gc.cast(i, "float32"), i, num_segments=2), [1, 2], [0, 2], BoundsError, "an axis of size 2"),
    "in a scan out of bounds": Failing(
        carried(lambda c, item: c + gc.take(x, gc.cast(item, "int32"))), [0, 9], [0], BoundsError, "take: an index"
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_the_error_names_the_node_and_the_line_and_nothing_changes(name: str) -> None:
    case = FAILING[name]
    w = gc.variable(np.ones(2, "float32"), "w")
    step = gc.compile([x, i], case.outputs, {w: w * 2}, backend=CHECKED)
    with pytest.raises(case.error, match=case.named) as caught:
        step(np.float32(case.values), np.int32(case.indices))
    assert "test_jax_checks.py:" in str(caught.value)
    np.testing.assert_array_equal(w.value, [1, 1])
    with pytest.raises(case.error, match=case.named):  # the same a second time: nothing is left over from the first
        step(np.float32(case.values), np.int32(case.indices))


FINE = {
    "what where does not choose": gc.where(x > 0, gc.log(x), 0),
    "its gradient": gc.grad(total(gc.where(x > 0, gc.log(x), 0)), x),
    "an inf that is divided by": 1 / (1 / x),
    "a mask of -inf": gc.softmax(gc.where(x > 0, x, -math.inf)),
    "the inf that was asked for": gc.max(gc.pad(x, 1, constant_values=-math.inf)),
    "an empty segment": gc.segment_max(gc.cast(i, "float32"), i, num_segments=2)[:1],
    "a NaN at a kink": gc.grad(total(gc.abs(x)), x, kinks="nan"),
    "a deviation of 0": gc.grad(total(gc.std(x[:1])), x),
}


@pytest.mark.parametrize("name", FINE)
def test_what_reaches_no_result_or_was_asked_for_is_no_error(name: str) -> None:
    run, plain = (gc.compile([x, i], FINE[name], backend=backend) for backend in (CHECKED, "jax"))
    values = np.float32([0, 2]), np.int32([0, 0])
    np.testing.assert_array_equal(run(*values), plain(*values))


def test_values_that_are_not_finite_in_the_first_place_are_the_callers_own() -> None:
    run = gc.compile([x], [x * 2, gc.exp(x)], backend=CHECKED)
    np.testing.assert_array_equal(run(np.float32([np.nan, np.inf]))[0], [np.nan, np.inf])


def test_a_variable_that_would_become_nan_keeps_its_value_and_goes_on() -> None:
    w = gc.variable(np.float32([1.0, 4.0]), "w")
    less = gc.input("less", (2,))
    step = gc.compile([less], total(w), {w: gc.sqrt(w - less)}, backend=CHECKED)
    with pytest.raises(NonFiniteError, match="sqrt"):
        step(np.float32([2.0, 0.0]))
    np.testing.assert_array_equal(w.value, [1, 4])
    step(np.float32([0.0, 0.0]))
    np.testing.assert_array_equal(w.value, [1, 2])


def test_beside_kinks_that_raise() -> None:
    run = gc.compile([x], gc.grad(total(gc.abs(x) + gc.sqrt(x + 1)), x, kinks="raise"), backend=CHECKED)
    with pytest.raises(KinkError, match="abs"):
        run(np.float32([0, 1]))
    with pytest.raises(NonFiniteError, match=r"divide|rsqrt|power"):
        run(np.float32([-1, 1]))
    np.testing.assert_array_equal(run(np.float32([3])), [1.25])


def test_calls_in_bounds_pass() -> None:
    inputs, values, outputs = [], [], []
    for call in [call for op in OPS.values() if op.bounds for call in calls(op)]:
        own = call.inputs()
        inputs += own
        values += call.values()
        outputs.append(call.node(own))
    assert len(outputs) > 20
    gc.compile(inputs, outputs, backend=CHECKED)(*values)


def test_every_op_that_takes_indices_knows_their_bounds() -> None:
    taking = {op.name for op in OPS.values() if "indices" in op.operands and op.raises}
    assert {"take", "set_at"} < taking <= {op.name for op in OPS.values() if op.bounds}
