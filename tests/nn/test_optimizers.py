"""Optimisers, step by step beside NumPy loops in float64 written from the formulas, and beside what Keras did."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.nn import optimizers
from graphc.nn.optimizers import SGD, Adam, LossScaleOptimizer, Muon, Optimizer, RMSprop, schedules

Array = np.ndarray[Any, Any]
State = dict[str, Any]
Formula = Callable[[Array, Array, int, float, State], Array]
"""Of a weight, its gradient, the number of the step, the learning rate and a memory: the new weight."""

STEPS = 100
RECORD = json.loads((Path(__file__).parent / "reference" / "optimizers.json").read_text())
BACKENDS = ["numpy", "jax"]


def sgd(momentum: float = 0.0, nesterov: bool = False) -> Formula:
    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        s["m"] = momentum * s.get("m", 0) - lr * g
        return w + momentum * s["m"] - lr * g if nesterov else w + s["m"]

    return step


def rmsprop(rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7, centered: bool = False) -> Formula:
    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
        s["a"] = rho * s.get("a", 0) + (1 - rho) * g
        s["m"] = momentum * s.get("m", 0) + lr * g / (s["v"] - centered * s["a"] ** 2 + epsilon) ** 0.5
        return w - s["m"]

    return step


def adagrad(initial_accumulator_value: float = 0.1, epsilon: float = 1e-7) -> Formula:
    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        s["n"] = s.get("n", initial_accumulator_value) + g**2
        return w - lr * g / np.sqrt(s["n"] + epsilon)

    return step


def adadelta(rho: float = 0.95, epsilon: float = 1e-7) -> Formula:
    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
        d = g * np.sqrt(s.get("u", 0) + epsilon) / np.sqrt(s["v"] + epsilon)
        s["u"] = rho * s.get("u", 0) + (1 - rho) * d**2
        return w - lr * d

    return step


def moments(g: Array, s: State, beta_1: float, beta_2: float) -> tuple[Array, Array]:
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g**2
    return s["m"], s["v"]


def adam(beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False, weight_decay: float = 0.0) -> Formula:
    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        m, v = moments(g, s, beta_1, beta_2)
        v = s["top"] = np.maximum(s.get("top", 0), v) if amsgrad else v
        return w * (1 - lr * weight_decay) - lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)

    return step


def adamax(beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> Formula:
    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        m, _ = moments(g, s, beta_1, beta_2)
        s["u"] = np.maximum(beta_2 * s.get("u", 0), abs(g))
        return w - lr / (1 - beta_1**t) * m / (s["u"] + epsilon)

    return step


def nadam(beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> Formula:
    def u(t: int) -> float:
        return beta_1 * (1 - 0.5 * 0.96**t)

    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        m, v = moments(g, s, beta_1, beta_2)
        p = float(np.prod([u(i) for i in range(1, t + 1)]))
        n = u(t + 1) * m / (1 - p * u(t + 1)) + (1 - u(t)) * g / (1 - p)
        return w - lr * n / (np.sqrt(v / (1 - beta_2**t)) + epsilon)

    return step


def lamb(beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> Formula:
    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        m, v = moments(g, s, beta_1, beta_2)
        d = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        return w - lr * float(np.linalg.norm(w) / np.linalg.norm(d)) * d

    return step


def lion(beta_1: float = 0.9, beta_2: float = 0.99) -> Formula:
    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        m = s.get("m", 0)
        s["m"] = beta_2 * m + (1 - beta_2) * g
        return w - lr * np.sign(beta_1 * m + (1 - beta_1) * g)

    return step


def ftrl(power: float = -0.5, l1: float = 0.0, l2: float = 0.0, shrinkage: float = 0.0, beta: float = 0.0) -> Formula:
    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        before = s.get("n", 0.1)
        s["n"] = before + g**2
        s["z"] = s.get("z", 0) + g + 2 * shrinkage * w - (s["n"] ** -power - before**-power) / lr * w
        return (np.clip(s["z"], -l1, l1) - s["z"]) / (s["n"] ** -power / lr + 2 * l2 + beta / lr)

    return step


def adafactor(decay: float = -0.8, clip: float = 1.0) -> Formula:
    def rms(x: Array) -> float:
        return float(np.sqrt(np.mean(x**2)))

    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        beta, squares = 1 - t**decay, g**2 + 1e-30
        if w.ndim == 1:
            s["v"] = beta * s.get("v", 0) + (1 - beta) * squares
        else:
            s["r"] = beta * s.get("r", 0) + (1 - beta) * squares.mean(-1)
            s["c"] = beta * s.get("c", 0) + (1 - beta) * squares.mean(-2)
            s["v"] = np.outer(s["r"], s["c"]) / s["r"].mean()
        u = g / np.sqrt(s["v"])
        return w - max(1e-3, rms(w)) * min(lr, t**-0.5) * u / max(1, rms(u) / clip)

    return step


def muon(nesterov: bool = True) -> Formula:
    others = adam(weight_decay=0.004)

    def step(w: Array, g: Array, t: int, lr: float, s: State) -> Array:
        if w.ndim == 1:
            return others(w, g, t, lr, s)
        s["m"] = 0.95 * s.get("m", 0) + g
        x = g + 0.95 * s["m"] if nesterov else s["m"]
        x = x / (np.linalg.norm(x) + 1e-7)
        for _ in range(5):  # on the singular values, which is what it does
            u, values, v = np.linalg.svd(x, full_matrices=False)
            x = u @ np.diag(3.4445 * values - 4.775 * values**3 + 2.0315 * values**5) @ v
        return w * (1 - lr * 0.004) - lr * 0.2 * max(w.shape) ** 0.5 * x

    return step


TABLE: list[tuple[str, State, Formula]] = [
    ("SGD", {}, sgd()),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9}, sgd(0.9)),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}, sgd(0.9, True)),
    ("RMSprop", {}, rmsprop()),
    ("RMSprop", {"learning_rate": 0.05, "rho": 0.5, "epsilon": 0.3}, rmsprop(0.5, epsilon=0.3)),  # shows whether it is under the root
    ("RMSprop", {"rho": 0.0}, rmsprop(0.0)),
    ("RMSprop", {"learning_rate": 0.002, "momentum": 0.8, "centered": True}, rmsprop(momentum=0.8, centered=True)),
    ("Adagrad", {}, adagrad()),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.4, "epsilon": 0.2}, adagrad(0.4, 0.2)),
    ("Adadelta", {"learning_rate": 1.0}, adadelta()),
    ("Adam", {}, adam()),
    ("Adam", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 0.1, "amsgrad": True}, adam(0.8, 0.9, 0.1, True)),
    ("Adam", {"beta_1": 0.0, "beta_2": 0.0, "epsilon": 0.1}, adam(0.0, 0.0, 0.1)),
    ("AdamW", {}, adam(weight_decay=0.004)),
    ("Adamax", {}, adamax()),
    ("Nadam", {}, nadam()),
    ("Lamb", {}, lamb()),
    ("Lion", {}, lion()),
    ("Ftrl", {"learning_rate": 0.1}, ftrl()),
    (
        "Ftrl",
        {
            "learning_rate_power": -0.7,
            "l1_regularization_strength": 0.3,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.4,
        },
        ftrl(-0.7, 0.3, 0.2, 0.1, 0.4),
    ),
    ("Adafactor", {"learning_rate": 0.01}, adafactor()),
    ("Adafactor", {"learning_rate": 0.01, "beta_2_decay": -0.5, "clip_threshold": 0.6}, adafactor(-0.5, 0.6)),
    ("Muon", {}, muon()),
    ("Muon", {"nesterov": False}, muon(False)),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(TABLE)]


def problem(dtype: str = "float64", steps: int = STEPS) -> tuple[list[Array], list[list[Array]]]:
    """First weights, a matrix and a vector, and gradients for each step, of several sizes; numbers that float32 holds."""
    random = np.random.default_rng(1)
    shapes = [(4, 3), (3,)]
    first = [random.normal(size=shape).astype("float32").astype(dtype) for shape in shapes]
    scales = [1, 1e-2, 10, 1, -1]
    drawn = [[(random.normal(size=shape) * scales[t % 5]).astype("float32") for shape in shapes] for t in range(steps)]
    return first, [[g.astype(dtype) for g in gradients] for gradients in drawn]


def stepper(optimizers: Sequence[Optimizer], weights: Sequence[Sequence[gc.Variable]], backend: Any) -> Any:
    """One function that makes a step of each optimiser with weights of its own; those of one dtype have the same gradients."""
    updates: dict[Any, Any] = {}
    inputs = {(w.dtype, i): gc.input(f"g{i}_{w.dtype}", w.shape, w.dtype) for own in weights for i, w in enumerate(own)}
    for optimizer, own in zip(optimizers, weights, strict=True):
        updates |= optimizer.updates({w: inputs[w.dtype, i] for i, w in enumerate(own)})
    return gc.compile(list(inputs.values()), [], updates=updates, backend=backend)


@cache
def exact(row: int) -> list[Array]:
    """The weights after each step by the formula of a row of the table, in float64."""
    name, config, formula = TABLE[row]
    (weights, gradients), memories, after = problem(), [{}, {}], []
    rate = getattr(optimizers, name)(**config).learning_rate
    for t, given in enumerate(gradients, 1):
        weights = [formula(w, g, t, rate, s) for w, g, s in zip(weights, given, memories, strict=True)]
        after.append(weights)
    return [np.stack(values) for values in zip(*after, strict=True)]


@pytest.fixture(scope="module", params=BACKENDS)
def trained(request: pytest.FixtureRequest) -> dict[tuple[int, str], tuple[list[Array], int]]:
    """The weights after each step, and how many steps are counted, by the row and the dtype, of all rows in one function.

    On JAX one row alone is computed in float64: XLA needs seconds for each dtype.
    """
    if request.param == "jax":
        pytest.importorskip("jax")
    first, gradients = problem()
    wide = range(len(TABLE)) if request.param == "numpy" else [IDS.index("Adam-11")]
    keys = [*[(row, "float32") for row in range(len(TABLE))], *[(row, "float64") for row in wide]]
    every = [getattr(optimizers, TABLE[row][0])(**TABLE[row][1]) for row, _ in keys]
    weights = [[gc.variable(w.astype(dtype), f"w{i}") for i, w in enumerate(first)] for _, dtype in keys]
    step, after = stepper(every, weights, request.param), []
    for given in gradients:
        step(*[g.astype(dtype) for dtype in ("float32", "float64") for g in given])
        after.append([[w.value for w in own] for own in weights])
    stacked = [[np.stack([own[k][i] for own in after]) for i in range(len(first))] for k in range(len(keys))]
    return {key: (values, one.iterations) for key, values, one in zip(keys, stacked, every, strict=True)}


@pytest.mark.parametrize("row", range(len(TABLE)), ids=IDS)
def test_a_hundred_steps_are_the_formulas(row: int, trained: Any) -> None:
    for dtype, tolerance in (("float64", 1e-11), ("float32", 2e-4 if TABLE[row][0] == "Ftrl" else 2e-5)):
        if (row, dtype) in trained:
            found, iterations = trained[row, dtype]
            for values, expected in zip(found, exact(row), strict=True):
                assert values.dtype == dtype
                np.testing.assert_allclose(values, expected, rtol=tolerance, atol=tolerance)
            assert iterations == STEPS


def made(case: State, kind: Any) -> Any:
    config = dict(case["config"])
    if isinstance(rate := config.get("learning_rate"), list):
        config["learning_rate"] = getattr(schedules, rate[0])(**rate[1])
    return getattr(kind, case["class"])(**config)


@pytest.mark.parametrize("case", RECORD["cases"], ids=lambda case: f"{case['class']}-{','.join(case['config'])}")
def test_a_hundred_steps_are_those_of_keras(case: State) -> None:
    optimizer = made(case, optimizers)
    weights = {label: gc.variable(np.array(value), label) for label, value in RECORD["first"].items()}
    tolerance = 2e-7 if case["class"] == "Adafactor" else 1e-8  # of a hundred steps of some 0.05, recorded with nine digits
    for t, given in enumerate(RECORD["gradients"], 1):
        optimizer.apply_gradients([(np.array(given[label]), weight) for label, weight in weights.items()])
        for label, after in case["after"].get(str(t), {}).items():
            np.testing.assert_allclose(weights[label].value, after, rtol=tolerance, atol=tolerance, err_msg=f"{label}, step {t}")
    optimizer.finalize_variable_values(weights.values())
    for label, after in case["after"]["finalized"].items():
        np.testing.assert_allclose(weights[label].value, after, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_options_of_all_optimizers_on_both_backends(backend: str) -> None:
    """The cases of Keras that say how gradients are clipped, summed and averaged, in float32 in one function a backend."""
    if backend == "jax":
        pytest.importorskip("jax")
    cases = RECORD["cases"][25:]
    weights = [{label: gc.variable(np.array(value, "float32"), label) for label, value in RECORD["first"].items()} for _ in cases]
    step = stepper([made(case, optimizers) for case in cases], [list(own.values()) for own in weights], backend)
    for t, given in enumerate(RECORD["gradients"][:10], 1):
        step(*[np.array(g, "float32") for g in given.values()])
        for case, own in zip(cases, weights, strict=True):
            for label, after in case["after"].get(str(t), {}).items():
                np.testing.assert_allclose(own[label].value, after, rtol=2e-5, atol=2e-5, err_msg=f"{case['config']}, {label}, {t}")


@pytest.mark.parametrize("backend", BACKENDS)
def test_schedules_are_those_of_keras(backend: Any) -> None:
    if backend == "jax":
        pytest.importorskip("jax")
    cases, step = RECORD["schedules"], gc.input("step", (), "int32")
    every = [made(case, schedules) for case in cases]
    rates = gc.compile([step], [schedule(step) for schedule in every], backend=backend)
    found = np.stack([np.array(rates(np.int32(i)), "float32") for i in range(max(len(case["rates"]) for case in cases))], axis=1)
    for case, schedule, own in zip(cases, every, found, strict=True):
        name = f"{case['class']} {case['config']}"
        np.testing.assert_allclose(own[: len(case["rates"])], case["rates"], rtol=1e-5, atol=1e-7, err_msg=name)
        assert float(schedule(3)) == pytest.approx(case["rates"][3], rel=1e-5), name
        assert schedules.LearningRateSchedule.from_config.__func__(type(schedule), schedule.get_config()) == schedule, name  # type: ignore[attr-defined]


def test_restarts_come_at_their_steps() -> None:
    """At 2 + 4 + 8 ... steps the wave starts anew, where a logarithm may be rounded below the boundary."""
    for t_mul in (2.0, 3.0, 10.0):
        schedule = schedules.CosineDecayRestarts(1.0, 7, t_mul=t_mul)
        start, length = 0, 7
        while start < 10_000:
            assert float(schedule(start)) == pytest.approx(1.0), (t_mul, start)
            start, length = start + length, int(length * t_mul)
            assert float(schedule(start - 1)) < 0.1


@pytest.mark.parametrize("backend", BACKENDS)
def test_stairs_come_at_their_steps(backend: Any) -> None:
    """XLA multiplies by the reciprocal, and 49 times that of 49 is below 1."""
    if backend == "jax":
        pytest.importorskip("jax")
    steps = gc.input("steps", (2000,), "int32")
    lengths = [3, 7, 41, 49, 55, 100, 187]
    rates = [schedules.InverseTimeDecay(1.0, length, 1.0, staircase=True)(steps) for length in lengths]
    for length, found in zip(lengths, gc.compile([steps], rates, backend=backend)(np.arange(2000, dtype="int32")), strict=True):
        np.testing.assert_allclose(found, 1 / (1 + np.arange(2000) // length), rtol=1e-6)


def test_the_learning_rate_may_change_between_steps() -> None:
    w = gc.variable(np.zeros(2, "float32"), "w")
    optimizer = SGD(0.5)
    step = stepper([optimizer], [[w]], "numpy")
    step(np.ones(2, "float32"))
    optimizer.learning_rate = 0.25
    step(np.ones(2, "float32"))
    optimizer.learning_rate *= 0.5
    step(np.ones(2, "float32"))
    assert optimizer.learning_rate == 0.125
    assert optimizer.get_config()["learning_rate"] == 0.125
    np.testing.assert_array_equal(w.value, -0.875)


def test_steps_made_by_one_optimizer_share_its_state() -> None:
    w = gc.variable(np.zeros(2, "float32"), "w")
    optimizer = SGD(1.0, momentum=0.5)
    step = stepper([optimizer], [[w]], "numpy")
    step(np.ones(2, "float32"))
    optimizer.apply([np.ones(2)])
    stepper([optimizer], [[w]], "numpy")(np.zeros(2, "float32"))
    np.testing.assert_array_equal(w.value, -(1 + 1.5 + 0.75))
    assert optimizer.iterations == 3
    assert [v.label for v in optimizer.variables] == ["iterations", "learning_rate", "w/momentum"]


def test_several_variables_do_not_mix() -> None:
    for make in (lambda: RMSprop(0.1), lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.5)):
        x = gc.input("x", (2,))
        alone, together = [[gc.variable(np.array([value, 1.0], "float32"), "w") for value in (1.0, 2.0)] for _ in range(2)]
        for w in alone:
            step = gc.compile([x], [], updates=make().updates({w: gc.grad(gc.sum(gc.square(w * x)), w)}))
            step(np.array([1, 2], "float32"))
        loss = gc.sum(gc.square(together[0] * x)) + gc.sum(gc.square(together[1] * x))
        both = gc.compile([x], loss, updates=make().updates(dict(zip(together, gc.grad(loss, together), strict=True))))
        both(np.array([1, 2], "float32"))
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(one.value, other.value, rtol=1e-6)


@pytest.mark.parametrize("name", [cls.__name__ for cls in optimizers.OPTIMIZERS])
def test_bfloat16_weights_move_by_float32_slots(name: str) -> None:
    gradients = problem(steps=5)[1]
    wide, narrow = [[gc.variable(w, "w", dtype) for w in problem()[0]] for dtype in ("float32", "bfloat16")]
    for weights in (wide, narrow):
        optimizer = getattr(optimizers, name)(learning_rate=0.5)
        optimizer.build(weights)
        assert {slot.dtype for slot in optimizer.variables[1:]} == {"float32"}
        for given in gradients:
            optimizer.apply_gradients(zip(given, weights, strict=True))
    for one, other in zip(wide, narrow, strict=True):
        assert other.value.dtype.name == "bfloat16"
        assert np.abs(one.value - other.value.astype("float32")).max() < 0.1 * (1 + np.abs(one.value).max())


def test_slots_are_named_variables_of_the_weights_type() -> None:
    w = gc.variable(np.ones((2, 3), "float32"), "kernel")
    updates = RMSprop().updates({w: w * 2})
    slot = next(variable for variable in updates if variable.label == "kernel/velocity")
    assert (slot.shape, slot.dtype) == ((2, 3), "float32")
    assert not slot.value.any()


def test_plain_sgd_has_no_slots() -> None:
    w = gc.variable(np.ones(3, "float32"), "w")
    assert [variable.label for variable in SGD().updates({w: w})] == ["w", "iterations"]


def test_constant_gradients_do_not_make_a_centred_mean_square_negative() -> None:
    w = gc.variable(np.ones(5, "float32"), "w")
    optimizer = RMSprop(centered=True)
    for _ in range(100):
        optimizer.apply_gradients([(np.array([1e3, 333.3, 7e4, 1e-3, 0]), w)])
    assert np.isfinite(w.value).all()


def test_weights_may_be_kept_from_decaying() -> None:
    kernel, bias = gc.variable(np.ones(2, "float32"), "dense/kernel"), gc.variable(np.ones(2, "float32"), "dense/bias")
    by_name, by_itself = SGD(0.5, weight_decay=0.5), SGD(0.5, weight_decay=0.5)
    by_name.exclude_from_weight_decay(var_names=["bias"])
    by_itself.exclude_from_weight_decay(var_list=[kernel])
    for optimizer in (by_name, by_itself):
        optimizer.apply_gradients([(np.zeros(2), kernel), (np.zeros(2), bias)])
    np.testing.assert_array_equal(kernel.value, 0.75)
    np.testing.assert_array_equal(bias.value, 0.75)
    with pytest.raises(gc.errors.ArgumentError, match="there are steps"):
        by_name.exclude_from_weight_decay(var_names=["x"])


def test_a_global_norm_that_is_not_finite_shows() -> None:
    w = gc.variable(np.ones(2, "float32"), "w")
    SGD(global_clipnorm=1.0).apply_gradients([(np.array([np.inf, 1]), w)])
    assert np.isnan(w.value).all()
    zero = gc.variable(np.ones(2, "float32"), "zero")
    SGD(clipnorm=1.0).apply_gradients([(np.zeros(2), zero)])
    np.testing.assert_array_equal(zero.value, 1)


def test_the_loss_scale_leaves_out_steps() -> None:
    w = gc.variable(np.ones(2, "float32"), "w")
    optimizer = LossScaleOptimizer(SGD(0.5), initial_scale=8.0, dynamic_growth_steps=2)
    assert float(gc.evaluate(optimizer.scale_loss(gc.constant(2.0)))) == 16 == optimizer.scale_loss(2.0)
    for gradient, after, scale in [(8, 0.5, 8), (np.inf, 0.5, 4), (4, 0, 4), (4, -0.5, 8)]:
        optimizer.apply_gradients([(np.full(2, gradient), w)])
        np.testing.assert_array_equal(w.value, after)
        assert optimizer.scaling.scale.value == scale
    assert optimizer.iterations == 3
    optimizer.learning_rate = 0.1
    assert optimizer.inner_optimizer.learning_rate == 0.1
    again = LossScaleOptimizer.from_config(optimizer.get_config())
    assert again.inner_optimizer.get_config() == optimizer.inner_optimizer.get_config()


@pytest.mark.parametrize("cls", optimizers.OPTIMIZERS, ids=lambda cls: cls.__name__)
def test_names_and_configs(cls: type[Optimizer]) -> None:
    assert type(optimizers.get(cls.__name__)) is type(optimizers.get(cls.__name__.lower())) is cls
    optimizer = cls(learning_rate=schedules.CosineDecay(0.1, 10), clipnorm=1.0, name="mine")
    again = optimizers.get({"kind": "optimizer", "class_name": cls.__name__, "config": json.loads(json.dumps(optimizer.get_config()))})
    assert again.get_config() == optimizer.get_config()
    assert again != optimizer
    assert again.learning_rate == pytest.approx(0.1)


def test_one_may_write_ones_own() -> None:
    class Signs(Optimizer):
        """By the sign of the gradient."""

        def step(self, w: Any, g: Any, at: Any) -> Any:
            return w - at.rate * gc.sign(g)

    w = gc.variable(np.zeros(2, "float32"), "w")
    Signs(learning_rate=0.5, weight_decay=0.1).apply_gradients([(np.array([3.0, -2.0]), w)])
    np.testing.assert_array_equal(w.value, [-0.5, 0.5])


MISTAKES: list[Callable[[], object]] = [
    lambda: RMSprop(-1e-3),
    lambda: RMSprop(float("nan")),
    lambda: RMSprop(float("inf")),
    lambda: RMSprop("fast"),  # type: ignore[arg-type]
    lambda: RMSprop(rho=1.0),
    lambda: RMSprop(epsilon=-1e-7),
    lambda: RMSprop(epsilon=None),  # type: ignore[arg-type]
    lambda: SGD(-0.1),
    lambda: SGD(momentum=1.5),
    lambda: SGD(nesterov=True),
    lambda: SGD(clipnorm=1.0, clipvalue=1.0),
    lambda: SGD(global_clipnorm=0.0),
    lambda: SGD(weight_decay=-0.1),
    lambda: SGD(ema_momentum=1.1),
    lambda: SGD(ema_overwrite_frequency=0),
    lambda: SGD(gradient_accumulation_steps=1),
    lambda: SGD(gradient_accumulation_steps=2.5),  # type: ignore[arg-type]
    lambda: optimizers.AdamW(weight_decay=None),
    lambda: optimizers.Ftrl(learning_rate_power=0.5),
    lambda: Muon(ns_steps=-1),
    lambda: optimizers.get("rmsprob"),
    lambda: optimizers.get(3),
    lambda: optimizers.get(None),
    lambda: LossScaleOptimizer("sgd"),  # type: ignore[arg-type]
    lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
    lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
    lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]),
    lambda: setattr(SGD(), "learning_rate", -1.0),
    lambda: setattr(SGD(schedules.CosineDecay(0.1, 10)), "learning_rate", 0.1),
    lambda: Adam().apply([np.ones(2)]),
]


@pytest.mark.parametrize("make", MISTAKES, ids=range(len(MISTAKES)))
def test_what_does_not_fit_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(gc.errors.ArgumentError) as caught:
        make()
    assert caught.value.fits


def test_the_near_name_is_suggested() -> None:
    with pytest.raises(gc.errors.ArgumentError) as caught:
        optimizers.get("adamm")
    assert "'adam'" in caught.value.fits


def test_gradients_that_do_not_fit_are_refused() -> None:
    w, x, n = gc.variable(np.ones((2, 3), "float32"), "kernel"), gc.input("x", (2,)), gc.variable(np.ones(2, "int32"), "n")
    with pytest.raises(gc.errors.ShapeError, match="kernel"):
        SGD().updates({w: gc.sum(w)})
    with pytest.raises(gc.errors.ShapeError, match="kernel"):
        SGD().apply_gradients([(np.ones(3), w)])
    with pytest.raises(gc.errors.ArgumentError, match="no variable"):
        RMSprop().updates({x: x})  # type: ignore[dict-item]
    with pytest.raises(gc.errors.DTypeError, match="no floats"):
        SGD().updates({n: n})
    with pytest.raises(gc.errors.ArgumentError, match="no variable has a gradient"):
        SGD().apply_gradients([(None, w)])
    other = gc.variable(np.ones(2, "float32"), "other")
    with pytest.warns(UserWarning, match="kernel"):
        SGD(1.0).apply_gradients([(None, w), (gc.constant(np.ones(2, "float32")) * 2, other)])
    np.testing.assert_array_equal(other.value, -1)


def test_complex_weights_go_down() -> None:
    w = gc.variable(np.array([1 + 1j], "complex64"), "w")
    SGD(0.5, clipnorm=1.0).apply_gradients([(np.array([3 + 4j], "complex64"), w)])
    np.testing.assert_allclose(w.value, [1 + 1j - 0.5 * (0.6 + 0.8j)], rtol=1e-6)
