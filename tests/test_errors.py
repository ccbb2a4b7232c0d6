"""Errors have three parts: the call; what it got, with names and the user's lines; what would fit."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core.op import register


def x(shape: Any = (2, 3), dtype: str = "float32") -> Any:
    return gc.input("x", shape, dtype)


def w(shape: Any = (2, 3), dtype: str = "float32") -> Any:
    return gc.variable(np.zeros(shape, dtype), "w")


ERRORS: dict[str, tuple[Any, type[Exception], list[str]]] = {
    "matmul": (
        lambda: gc.matmul(x((2, 784)), w((128, 10))),
        gc.errors.ShapeError,
        [
            "matmul(a, b): inner sizes differ, 784 and 128",
            "f32[2, 784]   input 'x', test_errors.py:",
            "f32[128, 10]   variable 'w', test_errors.py:",
            "fits: b of shape (784, n)",
        ],
    ),
    "matmul of a number": (lambda: x(()) @ x(), gc.errors.ShapeError, ["a number is not a matrix", "fits: at least one axis each"]),
    "stacks": (lambda: gc.matmul(x((2, 3, 4)), x((3, 4, 5))), gc.errors.ShapeError, ["sizes 2 and 3 do not broadcast"]),
    "add": (
        lambda: x((2, 3)) + w((4, 3)),
        gc.errors.ShapeError,
        ["add(a, b): sizes 2 and 4 do not broadcast", "a: f32[2, 3]", "b: f32[4, 3]", "fits: equal sizes, or 1"],
    ),
    "add of names": (lambda: x(("n",)) + x(("m",)), gc.errors.ShapeError, ["sizes n and m do not broadcast"]),
    "cancelled before": (lambda: x((3,)) + gc.zeros_like(x((4,))), gc.errors.ShapeError, ["sizes 3 and 4"]),
    "cancelled after": (lambda: (lambda a: a - a + x((4,)))(x((3,))), gc.errors.ShapeError, ["sizes 3 and 4"]),
    "indexed away": (lambda: (x((3,)) + x((4,)))[0], gc.errors.ShapeError, ["sizes 3 and 4"]),
    "axis": (lambda: gc.sum(x(), axis=2), gc.errors.ArgumentError, ["sum(x): there is no axis 2", "x: f32[2, 3]", "fits: -2 to 1"]),
    "axis of a number": (lambda: gc.sum(x(()), axis=0), gc.errors.ArgumentError, ["there is no axis 0", "the tensor has none"]),
    "axis twice": (
        lambda: gc.sum(x(), axis=(0, -2)),
        gc.errors.ArgumentError,
        ["an axis is named twice in (0, -2)", "fits: each axis once"],
    ),
    "axis of no whole number": (lambda: gc.sum(x(), axis=0.5), gc.errors.ArgumentError, ["axis 0.5 is not a whole number"]),
    "permutation": (lambda: gc.transpose(x(), axes=(0,)), gc.errors.ArgumentError, ["leaves axes out", "a permutation of (0, 1)"]),
    "reshape": (
        lambda: x().reshape(4),
        gc.errors.ShapeError,
        ["reshape(x): 6 elements do not fit into (4,)", "fits: a shape of 6 elements"],
    ),
    "reshape -1": (lambda: x().reshape(4, -1), gc.errors.ShapeError, ["-1 in (4, -1) has no size"]),
    "reshape two -1": (lambda: x().reshape(-1, -1), gc.errors.ShapeError, ["fits: one -1, and a divisor"]),
    "broadcast_to": (
        lambda: gc.broadcast_to(x(), shape=(2, 4)),
        gc.errors.ShapeError,
        ["broadcast_to(x):", "sizes 3 and 4 do not broadcast"],
    ),
    "concatenate": (
        lambda: gc.concatenate([x((2, 3)), w((2, 4))]),
        gc.errors.ShapeError,
        ["concatenate(xs[0], xs[1]):", "cannot be joined along axis 0", "xs[1]: f32[2, 4]", "but for that axis"],
    ),
    "concatenate nothing": (lambda: gc.concatenate([]), Exception, []),
    "squeeze": (lambda: gc.squeeze(x(), axis=0), gc.errors.ShapeError, ["are not all of size 1"]),
    "indices": (lambda: x()[0, 0, 0], gc.errors.ArgumentError, ["getitem(x): 3 indices for 2 axes", "fits: at most 2"]),
    "two ellipses": (lambda: x()[..., ...], gc.errors.ArgumentError, ["'...' occurs twice"]),
    "a step of 0": (lambda: x()[::0], gc.errors.ArgumentError, ["a slice cannot have step 0"]),
    "a float index": (lambda: x()[1.5], gc.errors.ArgumentError, ["1.5 cannot index an axis", "integer indices"]),
    "float indices": (lambda: gc.take(x(), x((2,))), gc.errors.DTypeError, ["float32 values cannot be indices", "indices: f32[2]"]),
    "labels": (
        lambda: gc.sparse_categorical_crossentropy(x((2,)), x((2, 3)), from_logits=True),
        gc.errors.DTypeError,
        ["labels of dtype float32", "fits: whole numbers"],
    ),
    "label shape": (
        lambda: gc.sparse_categorical_crossentropy(x((3,), "int32"), x((2, 3)), from_logits=True),
        gc.errors.ShapeError,
        ["labels of shape (3,)", "fits: labels of shape (2,)"],
    ),
    "max of nothing": (lambda: gc.max(x((0,))), gc.errors.ShapeError, ["there is no element to choose from"]),
    "negative truth": (lambda: -x((3,), "bool"), gc.errors.DTypeError, ["truth values are not numbers", "fits: an integer or float dtype"]),
    "where": (lambda: gc.where(x(), 1.0, 0.0), gc.errors.DTypeError, ["where(c, a, b): the condition is float32", "c: f32[2, 3]"]),
    "no tensor": (lambda: gc.exp("text"), gc.errors.DTypeError, ["'text' is not a tensor"]),
    "ragged": (lambda: gc.exp([[1], [2, 3]]), gc.errors.DTypeError, ["is not a tensor"]),
    "misspelt": (
        lambda: gc.sum(x(), axes=0),
        gc.errors.ArgumentError,
        ["sum has no argument 'axes'; is 'axis' meant?", "fits: x, axis, keepdims"],
    ),
    "not an input": (lambda: gc.compile([w()], w()), gc.errors.ArgumentError, ["is no input", "fits: tensors made by gc.input"]),
    "a missing input": (
        lambda: gc.compile([], x() + 1),
        gc.errors.ArgumentError,
        ["not in the list", "input 'x', test_errors.py:", "fits: every input"],
    ),
    "an unknown backend": (
        lambda: gc.compile([], gc.constant(1), backend="torch"),
        gc.errors.BackendError,
        ["there is no backend 'torch'", "'numpy', 'jax'"],
    ),
    "not a variable": (lambda: gc.compile([], [], updates={x(): 1.0}), gc.errors.ArgumentError, ["is no variable"]),
    "vjp of a number": (lambda: gc.vjp(3.0, x(), 1.0), gc.errors.DTypeError, ["grad: y is 3.0"]),
    "disconnected": (
        lambda: gc.grad(gc.sum(x()), x(), disconnected="none"),
        gc.errors.ArgumentError,
        ["disconnected='none'", "fits: 'raise' or 'zero'"],
    ),
    "a fan": (lambda: gc.init.glorot_uniform((3,)), gc.errors.ArgumentError, ["has no fan", "fits: at least two axes"]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_says_what_was_asked_given_and_would_fit(name: str) -> None:
    build, error, parts = ERRORS[name]
    with pytest.raises(error) as caught:
        build()
    text = str(caught.value)
    assert [part for part in parts if part not in text] == [], text
    if isinstance(caught.value, gc.errors.GraphcError):
        assert caught.value.fits


# ---------------------------------------------------------------- at the call
CALLS: dict[str, tuple[Any, type[Exception], list[str]]] = {
    "too few values": ([], gc.errors.ArgumentError, ["was given 0 values", "input 'x'", "fits: 1 values, in this order"]),
    "another shape": ([np.zeros((2, 4), "float32")], gc.errors.ShapeError, ["the value of x has shape (2, 4)", "fits: f32[n, 3]"]),
    "fewer axes": ([np.zeros(3, "float32")], gc.errors.ShapeError, ["has shape (3,)", "fits: 2 axes"]),
    "text": ([np.array([["a", "b", "c"]])], gc.errors.DTypeError, ["the value of x is <U1", "fits: float32"]),
    "complex numbers": ([np.zeros((2, 3), complex)], gc.errors.DTypeError, ["complex128"]),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_a_call_with_values_that_do_not_fit(name: str, backend: str) -> None:
    values, error, parts = CALLS[name]
    run = gc.compile([x(("n", 3))], gc.constant(1.0) * 2, backend=backend)
    with pytest.raises(error) as caught:
        run(*values)
    assert [part for part in parts if part not in str(caught.value)] == [], str(caught.value)


def test_values_that_cast_safely_are_taken() -> None:
    run = gc.compile([a := x((2,)), i := x((2,), "int32")], [a * 1, i * 1])
    floats, integers = run([1, 2], np.array([3, 4], "int64"))
    assert (floats.dtype, integers.dtype) == ("float32", "int32")
    with pytest.raises(gc.errors.DTypeError, match="numbers that int32 does not hold"):
        run([1, 2], np.array([3, 2**40]))
    with pytest.raises(gc.errors.DTypeError, match="is float64"):
        run([1, 2], np.array([3.0, 4.0]))


def test_variables_refuse_values_of_another_type() -> None:
    v = w((2,))
    with pytest.raises(gc.errors.ShapeError, match=r"w\.assign"):
        v.value = np.zeros(3)
    with pytest.raises(gc.errors.DTypeError, match="complex128 does not cast to float32"):
        v.assign(np.zeros(2, complex))
    v.value = [1, 2]
    assert v.value.dtype == np.float32


def test_the_value_of_a_variable_is_a_copy() -> None:
    v = w((2,))
    before = v.value
    before[:] = 9
    np.testing.assert_array_equal(v.value, [0, 0])


def test_an_attribute_that_graphc_lacks_names_a_near_one() -> None:
    with pytest.raises(AttributeError, match="is 'softmax' meant"):
        gc.sofmax  # noqa: B018


# ---------------------------------------------------------------- declarations
def test_a_rule_with_the_wrong_parameters_is_refused() -> None:
    with pytest.raises(TypeError, match=r"takes \(g, y, x, axis, keepdims\), this one takes \(g, x\)"):
        gc.sum.vjp(lambda g, x: (g,))


def test_a_name_stands_for_one_op() -> None:
    with pytest.raises(TypeError, match="there is an op 'exp' already"):
        register("exp", gc.exp.rule)


def test_every_error_is_a_graphc_error_and_a_python_one() -> None:
    assert issubclass(gc.errors.ShapeError, (gc.errors.GraphcError, ValueError))
    assert issubclass(gc.errors.DTypeError, TypeError)
    assert issubclass(gc.errors.KinkError, ArithmeticError)
