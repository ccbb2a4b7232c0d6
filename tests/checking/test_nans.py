"""``compile(..., debug_nans=True)``: the first node that makes a NaN or an inf is named, with its line, its operands and a cause."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import graphc as gc
from graphc.core.errors import NonFiniteError

BACKENDS = ["numpy", "jax"]
F32 = np.float32


class Made(NamedTuple):
    """A graph of x, values of x with which a NaN or an inf is made, the op that makes it, and what the error says."""

    graph: Callable[[Any], Any]
    values: list[Any]
    op: str
    says: list[str]
    dtype: str = "float32"


def carried(x: Any, f: Callable[..., Any]) -> Any:
    return gc.scan(lambda c, item: (f(c, item), c), gc.constant(1.0, "float32"), x)[0]


MADE = {
    "log of 0": Made(
        lambda x: gc.sum(gc.log(x * 2)),
        [1, 0, 2],
        "log",
        ["an inf came of finite", "operand x: f32[n]", "at [1]: log(0.0) is -inf", "log(0)"],
    ),
    "log of -1": Made(lambda x: gc.log(x), [1, -1], "log", ["a NaN came of", "a negative number has no real logarithm"]),
    "the slope of sqrt at 0": Made(
        lambda x: gc.grad(gc.sum(gc.sqrt(x)), x),
        [1, 0],
        "divide",
        ["in the gradient of: f32[n]   sqrt", "the slope of sqrt is infinite at 0"],
    ),
    "the slope of a norm": Made(
        lambda x: gc.grad(gc.sqrt(gc.sum(gc.square(x))), x), [0, 0], "divide", ["in the gradient of: f32[]   sqrt", "is infinite at 0"]
    ),
    "0 / 0": Made(lambda x: x / (x * 2), [1, 0], "divide", ["operand a: f32[n]   input 'x'", "operand b:", "0 / 0 has no value"]),
    "1 / 0": Made(lambda x: 1 / x, [1, 0], "divide", ["divide(1.0, 0.0) is inf"]),
    "overflow of exp": Made(lambda x: gc.exp(x * 100), [0, 1], "exp", ["exp(100.0) is inf", "overflow: float32 holds no number beyond"]),
    "overflow of a sum": Made(lambda x: gc.sum(x * 3e38), [1, 1], "sum", ["likely cause: overflow", "[3.e+38, 3.e+38]"]),
    "overflow of a product": Made(lambda x: (x * 1e25) @ (x * 1e25), [1, 1], "matmul", ["likely cause: overflow"]),
    "overflow of half a number": Made(lambda x: gc.cast(x * 1e5, "float16"), [0, 1], "cast", ["float16 holds no number beyond 6.55e+04"]),
    "a root of -1": Made(lambda x: (x - 1) ** (x * 0.5), [0.5, 2], "power", ["a negative number to a broken power has no real value"]),
    "many elements": Made(
        lambda x: gc.sum(gc.log(x)), [*range(20)], "log", ["20, min 0, max 19, mean 9.5, 1 zero", "at [0]: log(0.0) is -inf"]
    ),
    "one of two results": Made(lambda x: [x * 2, gc.acosh(x)], [0.5, 1], "acosh", ["acosh is defined from 1 on"]),
    "beside what is masked": Made(lambda x: gc.where(x > 0, gc.log(x), 0) + gc.sqrt(x), [-1, 1], "sqrt", ["no real root"]),
    "in a loop": Made(
        lambda x: carried(x, lambda c, item: gc.log(c * item) + 2), [3, 0, 1], "log", ["in step 1 of n of scan, test_nans.py"]
    ),
    "in a loop, backward": Made(
        lambda x: gc.grad(carried(x, lambda c, item: gc.sqrt(c * item)), x),
        [3, 0],
        "divide",
        ["in the gradient of: f32[]   sqrt", "in step 0 of n, item n - 1 of scan"],
    ),
    "in a branch": Made(
        lambda x: gc.cond(gc.sum(x) > 0, gc.log, gc.sin, x - 1), [1, 1], "log", ["in the branch on_true of cond", "log(0.0) is -inf"]
    ),
    "in a while loop": Made(
        lambda x: gc.while_loop(lambda v: v > -3.0, lambda v: gc.log(v - 1), gc.sum(x)), [1, 1], "log", ["in call 1 of body of while_loop"]
    ),
    "in a loop in a branch": Made(
        lambda x: gc.cond(gc.sum(x) > 0, lambda v: carried(v, lambda c, item: gc.sqrt(c - item)), gc.sum, x),
        [1, 2],
        "sqrt",
        ["in step 1 of n of scan", "in the branch on_true of cond"],
    ),
    "of two results at once": Made(
        lambda x: gc.sum(gc.log(gc.linalg.slogdet(gc.reshape(x, (2, 2)))[1])), [1, 2, 2, 4], "slogdet", ["operand"], "float64"
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", MADE)
def test_the_node_and_the_line_are_named_and_variables_keep_their_values(name: str, backend: Any) -> None:
    case = MADE[name]
    shape = (4,) if case.dtype == "float64" else ("n",)
    x, w = gc.input("x", shape, case.dtype), gc.variable(F32([1, 2]), "w")
    with gc.scope("model"):
        y = case.graph(x)
    first = y[1] if isinstance(y, list) else y
    step = gc.compile([x], y, {w: w * 2 + gc.cast(gc.sum(first), "float32")}, backend=backend, debug_nans=True)
    with pytest.raises(NonFiniteError) as caught:
        step(np.array(case.values, case.dtype))
    error = caught.value
    text = str(error)
    assert error.node.op.name == case.op, text
    for said in [*case.says, "test_nans.py:", "in model"]:
        assert said in text, text
    first_line = case.graph.__code__.co_firstlineno
    assert error.node.origin.line in {first_line, *[line for *_, line in case.graph.__code__.co_lines()]}
    np.testing.assert_array_equal(w.value, [1, 2])


FINE: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    "what where does not choose": (lambda x: gc.where(x > 0, gc.log(x), 0), [0, 1]),
    "its gradient": (lambda x: gc.grad(gc.sum(gc.where(x > 0, gc.log(x) * gc.sqrt(x), 0)), x), [0, 1]),
    "an inf that is divided by": (lambda x: 1 / (1 / x), [0, 1]),
    "a mask of -inf": (lambda x: gc.softmax(gc.where(x > 0, x, -math.inf)), [0, 1]),
    "a NaN that was given": (lambda x: gc.sum(x * 2), [math.nan, 1]),
    "an inf that was given": (lambda x: gc.exp(x), [math.inf, 1]),
    "an inf that was asked for": (lambda x: gc.full((2,), math.inf), [0, 1]),
    "an op that stops before": (lambda x: gc.log(gc.maximum(x, 1e-9)), [0, 1]),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_reaches_no_result_or_was_given_is_no_error(backend: Any) -> None:
    x = gc.input("x", (2,))
    for name, (graph, values) in FINE.items():
        y = graph(x)
        found, plain = (gc.compile([x], y, backend=backend, debug_nans=on)(F32(values)) for on in (True, False))
        np.testing.assert_array_equal(found, plain, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_update_alone_is_looked_at_and_training_goes_on(backend: Any) -> None:
    x, w = gc.input("x", (2,)), gc.variable(F32([1, 4]), "w")
    step = gc.compile([x], gc.sum(x), {w: gc.sqrt(w - x)}, backend=backend, debug_nans=True)
    with pytest.raises(NonFiniteError, match=r"sqrt: a NaN came of"):
        step(F32([2, 0]))
    np.testing.assert_array_equal(w.value, [1, 4])
    step(F32([0, 0]))
    np.testing.assert_array_equal(w.value, [1, 2])


def test_a_variable_that_is_infinite_already_is_the_users_own() -> None:
    w = gc.variable(F32([math.inf, 1]), "w")
    step = gc.compile([], gc.sum(w), {w: w * 2}, debug_nans=True)
    step()
    np.testing.assert_array_equal(w.value, [math.inf, 2])


def test_what_only_the_compiled_function_makes_is_told_too() -> None:
    """The plain graph overflows nowhere, the function that runs does: a rule that promised not to."""
    from unittest import mock

    from graphc import rewrite
    from graphc.core.pattern import Var
    from graphc.pipeline import road

    a = Var("a")

    @rewrite.rule(gc.square(a), safety="overflow")
    def far(a: Any) -> Any:
        """Wrong, where numbers are large."""
        return (a * 1e30) * a * 1e-30

    road._rules.cache_clear()
    x = gc.input("x", (2,))
    with mock.patch.object(rewrite, "DEFAULT", rewrite.RuleSet([far])):
        step = gc.compile([x], gc.square(x), debug_nans=True)
    road._rules.cache_clear()
    with pytest.raises(NonFiniteError, match="multiply: an inf came of finite operands"):
        step(F32([1e9, 1]))


def test_the_words_for_complex_numbers() -> None:
    x = gc.input("x", (2,), "complex64")
    step = gc.compile([x], gc.log(x), debug_nans=True)
    with pytest.raises(NonFiniteError, match="log: "):
        step(np.complex64([0, 1]))
