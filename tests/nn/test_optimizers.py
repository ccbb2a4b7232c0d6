"""Optimisers as graph updates, step by step beside NumPy loops written from the formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.nn.optimizers import SGD, RMSprop

Array = np.ndarray[Any, Any]
Reference = Callable[[Array, list[Array]], list[Array]]
"""Of a first weight and the gradients of each step, the weight after each step."""

STEPS = 6
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def rmsprop(learning_rate: float, rho: float, epsilon: float) -> Reference:
    def run(w: Array, gradients: list[Array]) -> list[Array]:
        mean_square, path = np.zeros_like(w), []
        for g in gradients:
            mean_square = rho * mean_square + (1 - rho) * g**2
            w = w - learning_rate * g / (mean_square + epsilon) ** 0.5
            path.append(w)
        return path

    return run


def sgd(learning_rate: float, momentum: float, nesterov: bool) -> Reference:
    def run(w: Array, gradients: list[Array]) -> list[Array]:
        m, path = np.zeros_like(w), []
        for g in gradients:
            m = momentum * m - learning_rate * g
            w = w + momentum * m - learning_rate * g if nesterov else w + m
            path.append(w)
        return path

    return run


CASES = [
    (RMSprop(), rmsprop(1e-3, 0.9, 1e-7)),
    (RMSprop(0.05, rho=0.5, epsilon=0.3), rmsprop(0.05, 0.5, 0.3)),  # an epsilon that shows whether it is under the root
    (RMSprop(0.1, rho=0.0), rmsprop(0.1, 0.0, 1e-7)),
    (SGD(), sgd(0.01, 0.0, False)),
    (SGD(0.1, momentum=0.9), sgd(0.1, 0.9, False)),
    (SGD(0.1, momentum=0.9, nesterov=True), sgd(0.1, 0.9, True)),
]


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("optimizer", "reference"), CASES, ids=lambda value: repr(value) if isinstance(value, SGD | RMSprop) else "")
def test_each_step_is_the_formulas(optimizer: SGD | RMSprop, reference: Reference, dtype: str, backend: Any) -> None:
    if backend == "jax":
        pytest.importorskip("jax")
    random = np.random.default_rng(1)
    first = random.normal(size=(3, 2)).astype(dtype)
    gradients = [random.normal(size=(3, 2)).astype(dtype) * scale for scale in (1, 1e-4, 0, 1e3, 1, -1)]
    w, g = gc.variable(first, "w"), gc.input("g", (3, 2), dtype)
    step = gc.compile([g], [], updates=optimizer.updates({w: g}), backend=backend)
    expected = reference(first.astype("float64"), [value.astype("float64") for value in gradients])
    for value, after in zip(gradients, expected, strict=True):
        step(value.astype(dtype))
        assert w.value.dtype == dtype
        np.testing.assert_allclose(w.value, after, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("optimizer", [RMSprop(0.1), SGD(0.1), SGD(0.1, momentum=0.5)], ids=repr)
def test_several_variables_do_not_mix(optimizer: SGD | RMSprop) -> None:
    x = gc.input("x", (2,))
    alone, together = [[gc.variable(np.array([value, 1.0], "float32"), "w") for value in (1.0, 2.0)] for _ in range(2)]
    for w in alone:
        step = gc.compile([x], [], updates=optimizer.updates({w: gc.grad(gc.sum(gc.square(w * x)), w)}))
        step(np.array([1, 2], "float32"))
    loss = gc.sum(gc.square(together[0] * x)) + gc.sum(gc.square(together[1] * x))
    both = gc.compile([x], loss, updates=optimizer.updates(dict(zip(together, gc.grad(loss, together), strict=True))))
    both(np.array([1, 2], "float32"))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-6)


def test_slots_are_named_zero_variables_of_the_weights_type() -> None:
    w = gc.variable(np.ones((2, 3), "float32"), "kernel")
    updates = RMSprop().updates({w: w * 2})
    slot = next(variable for variable in updates if variable is not w)
    assert (slot.label, slot.shape, slot.dtype) == ("kernel/velocity", (2, 3), "float32")
    assert not slot.value.any()


def test_plain_sgd_has_no_slots() -> None:
    w = gc.variable(np.ones(3, "float32"), "w")
    assert list(SGD().updates({w: w})) == [w]


@pytest.mark.parametrize(
    "make",
    [
        lambda: RMSprop(-1e-3),
        lambda: RMSprop(float("nan")),
        lambda: RMSprop(float("inf")),
        lambda: RMSprop(rho=1.0),
        lambda: RMSprop(epsilon=-1e-7),
        lambda: SGD(-0.1),
        lambda: SGD(momentum=1.5),
        lambda: SGD(nesterov=True),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(gc.errors.ArgumentError, match=r"RMSprop|SGD") as caught:
        make()
    assert caught.value.fits


def test_a_gradient_of_another_shape_is_refused() -> None:
    w = gc.variable(np.ones((2, 3), "float32"), "kernel")
    with pytest.raises(gc.errors.ShapeError, match="kernel"):
        SGD().updates({w: gc.sum(w)})


def test_a_gradient_for_no_variable_is_refused() -> None:
    x = gc.input("x", (2,))
    with pytest.raises(gc.errors.ArgumentError, match="no variable"):
        RMSprop().updates({x: x})  # type: ignore[dict-item]
