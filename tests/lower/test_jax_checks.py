"""``gc.Jax(check=True)``: an index out of bounds, or a NaN or inf that a node made, is an error that names the node and the user's line."""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS
from graphc.core.errors import BoundsError, KinkError, NonFiniteError
from graphc.testing import calls

CHECKED = gc.Jax(check=True)
x, i = gc.input("x", ("n",)), gc.input("i", ("m",), "int32")


def total(y: gc.Tensor) -> gc.Tensor:
    return gc.sum(y)


def carried(x: gc.Tensor, f: Callable[..., Any]) -> gc.Tensor:
    """The carry of a loop over x, from 1 on, in which nothing can be moved out of the body."""
    return gc.scan(lambda c, item: (f(c, item), c), gc.constant(1.0, "float32"), x)[0]


class Failing(NamedTuple):
    """A graph of x and i, values of the two with which it fails and how, and others of x with which it does not; i is then 0."""

    outputs: Callable[[gc.Tensor, gc.Tensor], Any]
    values: list[float]
    indices: list[int]
    error: type[Exception]
    named: str
    fine: tuple[float, float] = (1, 2)


FAILING = {
    "log of 0": Failing(lambda x, i: total(gc.log(x)), [1, 0], [0, 0], NonFiniteError, "log: an inf came of finite operands"),
    "log of -1": Failing(lambda x, i: total(gc.log(x)), [1, -1], [0, 0], NonFiniteError, "log: a NaN came of operands without one"),
    "overflow": Failing(lambda x, i: gc.exp(x) - gc.exp(x) * 2, [1, 100], [0, 0], NonFiniteError, "exp: an inf came of finite operands"),
    "inf minus inf": Failing(lambda x, i: gc.cumsum(1 / x), [0.0, -0.0], [0, 0], NonFiniteError, "reciprocal: an inf"),
    "all masked": Failing(lambda x, i: gc.softmax(gc.where(x > 0, x, -math.inf)), [-1, -1], [0, 0], NonFiniteError, "softmax: a NaN"),
    "backward": Failing(lambda x, i: gc.grad(total(gc.sqrt(x)), x), [1, 0], [0, 0], NonFiniteError, r"in the gradient of: f32\[n\]   sqrt"),
    "one of two results": Failing(lambda x, i: [x * 2, gc.log(x)], [0, 1], [0, 0], NonFiniteError, "log: an inf"),
    "beside what is masked": Failing(
        lambda x, i: gc.where(x > 0, gc.log(x), 0) + gc.sqrt(x), [-1, 1], [0, 0], NonFiniteError, "sqrt: a NaN"
    ),
    "in a scan": Failing(
        lambda x, i: carried(x, lambda c, item: gc.log(c + gc.square(item)) + item), [0, 0], [0, 0], NonFiniteError, "log: a NaN or an inf"
    ),
    "in a scan, backward": Failing(
        lambda x, i: gc.grad(carried(x, lambda c, item: gc.sqrt(c * item)), x),
        [1, 0],
        [0, 0],
        NonFiniteError,
        "in the gradient of: f32.*sqrt",
    ),
    "in a branch": Failing(
        lambda x, i: gc.cond(total(x) > 0, lambda v: gc.log(v), lambda v: v, x - 1),
        [1, 1],
        [0, 0],
        NonFiniteError,
        "log: a NaN or an inf",
        (2, 3),
    ),
    "in a while loop": Failing(
        lambda x, i: gc.while_loop(lambda v: v > -3.0, lambda v: gc.log(v + v), total(x)),
        [1, 0],
        [0, 0],
        NonFiniteError,
        "log: a NaN or an inf",
        (-4, 0),
    ),
    "take": Failing(lambda x, i: gc.take(x, i), [1, 2], [0, 2], BoundsError, "take: an index is out of bounds for an axis of size n"),
    "take from the end": Failing(lambda x, i: gc.take(x, i), [1, 2], [0, -3], BoundsError, "take: an index is out of bounds"),
    "the gradient of take": Failing(
        lambda x, i: gc.grad(total(gc.take(x * x, i)), x), [1, 2], [0, 2], BoundsError, "in the gradient of.*take"
    ),
    "take_along_axis": Failing(lambda x, i: gc.take_along_axis(x, i), [1, 2], [0, 5], BoundsError, "take_along_axis: an index"),
    "brackets": Failing(lambda x, i: x[i], [1, 2], [0, 7], BoundsError, "take: an index"),
    "two indices": Failing(lambda x, i: (x * gc.ones((3, 1)))[i, i], [1, 2], [0, 2], BoundsError, "an axis of size n"),
    "set": Failing(lambda x, i: x.at[i].set(0), [1, 2], [0, 2], BoundsError, "set_at: an index"),
    "add": Failing(lambda x, i: x.at[i].add(1), [1, 2], [0, 2], BoundsError, "add_at: an index"),
    "max": Failing(lambda x, i: x.at[i].max(1), [1, 2], [0, 2], BoundsError, "max_at: an index"),
    "a label": Failing(
        lambda x, i: gc.sparse_categorical_crossentropy(i, x * gc.ones(("m", 1)), from_logits=True),
        [1, 2],
        [0, 2],
        BoundsError,
        "pick: an index",
    ),
    "segments": Failing(
        lambda x, i: gc.segment_sum(gc.cast(i, "float32"), i, num_segments=2), [1, 2], [0, 2], BoundsError, "an axis of size 2"
    ),
    "in a scan out of bounds": Failing(
        lambda x, i: carried(x, lambda c, item: c + gc.take(x, gc.cast(item, "int32"))),
        [0, 9],
        [0, 0],
        BoundsError,
        "take: an index",
        (0, 1),
    ),
}


class Together(NamedTuple):
    """One function of all cases: what it does for the values given to some of them, and the variable that it doubles."""

    call: Callable[[dict[str, tuple[Any, Any]]], Any]
    w: gc.Variable


@pytest.fixture(scope="module")
def together() -> Together:
    inputs = {name: (gc.input("x", ("n",)), gc.input("i", ("m",), "int32")) for name in FAILING}
    w = gc.variable(np.ones(2, "float32"), "w")
    outputs = [case.outputs(*inputs[name]) for name, case in FAILING.items()]
    results = [one for each in outputs for one in (each if isinstance(each, list) else [each])]
    step = gc.compile([one for pair in inputs.values() for one in pair], results, {w: w * 2}, backend=CHECKED)

    def call(given: dict[str, tuple[Any, Any]]) -> Any:
        pairs = [given.get(name, (case.fine, [0, 0])) for name, case in FAILING.items()]
        return step(*[value for values, indices in pairs for value in (np.float32(values), np.int32(indices))])

    return Together(call, w)


@pytest.mark.parametrize("name", FAILING)
def test_the_error_names_the_node_and_the_line_and_nothing_changes(name: str, together: Together) -> None:
    """Each case fails alone among all the others, so that nothing of one may be told of another."""
    case = FAILING[name]
    together.w.assign(np.float32([1, 1]))
    with pytest.raises(case.error, match=case.named) as caught:
        together.call({name: (case.values, case.indices)})
    line = re.search(r"test_jax_checks\.py:(\d+)", str(caught.value))
    first = case.outputs.__code__.co_firstlineno
    assert line is not None
    assert int(line[1]) in {first, *[line for *_, line in case.outputs.__code__.co_lines()]}, caught.value
    np.testing.assert_array_equal(together.w.value, [1, 1])
    together.call({})  # nothing is left over
    np.testing.assert_array_equal(together.w.value, [2, 2])


def test_a_place_that_a_named_size_does_not_have() -> None:
    run = gc.compile([x], x[2], backend=CHECKED)
    for _ in range(2):
        with pytest.raises(BoundsError, match="getitem: an index is out of bounds") as caught:
            run(np.float32([1, 2]))
        assert "test_jax_checks.py:" in str(caught.value)


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


def test_what_reaches_no_result_or_was_asked_for_is_no_error() -> None:
    values = np.float32([0, 2]), np.int32([0, 0])
    found, plain = (gc.compile([x, i], FINE, backend=backend)(*values) for backend in (CHECKED, "jax"))
    for name in FINE:
        np.testing.assert_array_equal(found[name], plain[name], err_msg=name)


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
