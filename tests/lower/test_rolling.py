"""Equal layers as loops over stacked layers, and as calls of one function: the same values, and variables that stay what they are."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import graphc as gc
from graphc.lower import rolling
from graphc.lower.rolling import Calls, Loop
from graphc.lower.targets.jax.rolled import Item

Net = tuple[gc.Tensor, list[Any]]
"""What a net returns, and its variables."""
Updates = Mapping[Any, gc.Tensor]
RNG = np.random.default_rng(0)
X = gc.input("x", (4, 6))
BATCH = RNG.standard_normal((4, 6)).astype("float32")


def _lower_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small nets roll too, and whatever fits is a loop."""
    for name, value in {"LEAST": 3, "LEAST_CALLED": 3, "COMPILED_LOOP": 0.0, "CALLS": 0}.items():
        monkeypatch.setattr(rolling, name, value)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    _lower_thresholds(monkeypatch)


def _variable(name: str, *shape: int, seed: int = 0) -> Any:
    rng = np.random.default_rng([seed, *map(ord, name)])
    return gc.variable((rng.standard_normal(shape) * 0.4).astype("float32"), name)


# ---------------------------------------------------------------- nets
def dense(x: Any, depth: int = 6, act: Callable[[Any], Any] = gc.relu) -> Net:
    p = []
    for i in range(depth):
        p += [_variable(f"w{i}", 6, 6), _variable(f"b{i}", 6)]
        x = act(x @ p[-2] + p[-1])
    return x, p


def residual(x: Any) -> Net:
    p = []
    for i in range(6):
        p += [_variable(f"w{i}", 6, 6), _variable(f"b{i}", 6)]
        x = x + gc.tanh(x @ p[-2] + p[-1])
    return x, p


def norm(x: Any, scale: Any) -> Any:
    e = x - gc.mean(x, axis=-1, keepdims=True)
    return e / gc.sqrt(gc.mean(gc.square(e), axis=-1, keepdims=True) + 1e-5) * scale


def attention(x: Any) -> Net:
    p = []
    for i in range(4):
        q, k, v, o, s = one = [*[_variable(f"{name}{i}", 6, 6) for name in "qkvo"], _variable(f"s{i}", 6)]
        z = norm(x, s)
        x = x + gc.softmax((z @ q) @ gc.transpose(z @ k), axis=-1) @ (z @ v) @ o
        p += one
    return x, p


def shared(x: Any) -> Net:
    """One layer, several times over."""
    p = [_variable("w", 6, 6), _variable("b", 6)]
    for _ in range(6):
        x = gc.tanh(x @ p[0] + p[1])
    return x, p


def constants(x: Any) -> Net:
    """Layers with arrays and numbers of their own that no gradient is asked for."""
    p = []
    for i in range(6):
        scale = np.random.default_rng(i).standard_normal(6).astype("float32")
        p.append(_variable(f"w{i}", 6, 6))
        x = gc.tanh(x @ p[-1] * scale + np.float32(i + 0.5))
    return x, p


def two_runs(x: Any) -> Net:
    """Two kinds of layers, one after the other."""
    x, p = residual(x)
    y, q = dense(x, act=gc.sigmoid)
    return y, [*p, *q]


def skip(x: Any) -> Net:
    """Each layer reads the two before it."""
    p, before = [], x
    for i in range(8):
        p.append(_variable(f"w{i}", 6, 6))
        x, before = gc.tanh(x @ p[-1] + before), x
    return x, p


def mirrored(x: Any) -> Net:
    """Layers on the way up read what those on the way down made."""
    p, down = [], []
    for i in range(8):
        p.append(_variable(f"d{i}", 6, 6))
        x = gc.tanh(x @ p[-1])
        down.append(x)
    for i, y in enumerate(reversed(down)):
        p.append(_variable(f"u{i}", 6, 6))
        x = gc.tanh((x + y) @ p[-1])
    return x, p


def heads(x: Any) -> Net:
    """What every layer makes is read behind all of them."""
    p, total = [], 0.0
    for i in range(6):
        p.append(_variable(f"w{i}", 6, 6))
        x = gc.tanh(x @ p[-1])
        total = total + gc.sum(x)
    return x * total, p


def widths(x: Any) -> Net:
    """Layers that are alike but for their shapes."""
    p = []
    for i in range(5):
        p.append(_variable(f"w{i}", 6 + i, 7 + i))
        x = gc.relu(x @ p[-1])
    return x, p


NETS = {f.__name__: f for f in (dense, residual, attention, shared, constants, two_runs, skip, mirrored, heads, widths)}


# ---------------------------------------------------------------- updates
def sgd(p: Sequence[Any], gradients: Sequence[gc.Tensor]) -> Updates:
    return {w: w - 0.01 * g for w, g in zip(p, gradients, strict=True)}


def momentum(p: Sequence[Any], gradients: Sequence[gc.Tensor]) -> Updates:
    updates: dict[Any, gc.Tensor] = {}
    for w, g in zip(p, gradients, strict=True):
        v = gc.variable(np.zeros(w.shape, "float32"), f"{w.label}.v")
        updates[v] = 0.9 * v + g
        updates[w] = w - 0.01 * updates[v]
    return updates


def adam(p: Sequence[Any], gradients: Sequence[gc.Tensor]) -> Updates:
    step = gc.variable(np.float32(0), "step")
    updates: dict[Any, gc.Tensor] = {step: step + 1.0}
    for w, g in zip(p, gradients, strict=True):
        m, v = [gc.variable(np.zeros(w.shape, "float32"), f"{w.label}.{name}") for name in "mv"]
        updates |= {m: 0.9 * m + 0.1 * g, v: 0.99 * v + 0.01 * gc.square(g)}
        rate = 0.01 * gc.sqrt(1 - 0.99 ** updates[step]) / (1 - 0.9 ** updates[step])
        updates[w] = w - rate * updates[m] / (gc.sqrt(updates[v]) + 1e-3)
    return updates


def clipped(p: Sequence[Any], gradients: Sequence[gc.Tensor]) -> Updates:
    """All gradients are there before the first update."""
    length = gc.sqrt(sum([gc.sum(gc.square(g)) for g in gradients], gc.constant(np.float32(0))))
    return sgd(p, [g / gc.maximum(length, 1.0) for g in gradients])


def none(p: Sequence[Any], gradients: Sequence[gc.Tensor]) -> Updates:
    return {}


UPDATES = {f.__name__: f for f in (sgd, momentum, adam, clipped, none)}


def _step(net: str, update: str, **options: Any) -> tuple[gc.Function, list[Any]]:
    """A training step, or where nothing is updated the function of loss and gradients; and all variables."""
    y, p = NETS[net](X)
    loss = gc.mean(gc.square(y - 1.0))
    gradients = gc.grad(loss, p)
    updates = UPDATES[update](p, gradients)
    return gc.compile(X, loss if updates else [loss, *gradients], updates, **options), [*updates]


def _kinds(function: gc.Function) -> str:
    """The loops and the calls among the steps, in order, by a letter each."""
    return "".join([type(step).__name__[0] for step in function.report.program.schedule.steps if isinstance(step, Loop | Calls)])


def _values(result: Any) -> list[Any]:
    return [np.asarray(value) for value in (result if isinstance(result, list) else [result])]


ROLLED = {
    ("dense", "sgd"): "LL",
    ("residual", "sgd"): "LL",
    ("attention", "momentum"): "LL",
    ("shared", "momentum"): "CC",
    ("constants", "sgd"): "LL",
    ("two_runs", "sgd"): "LLLL",
    ("skip", "sgd"): "CC",
    ("mirrored", "momentum"): "LLLL",
    ("heads", "sgd"): "C",
    ("widths", "sgd"): "",
    ("dense", "adam"): "LL",
    ("residual", "clipped"): "LLLL",
    ("two_runs", "clipped"): "CCCCCC",
    ("residual", "none"): "CC",
}
"""What becomes of equal layers, forward, back, and where they are updated after that."""


@pytest.mark.parametrize(("net", "update"), ROLLED)
def test_values_are_those_without_rolling_and_those_of_numpy(net: str, update: str) -> None:
    ways = [_step(net, update, backend="jax"), _step(net, update)]
    assert _kinds(ways[0][0]) == ROLLED[net, update]
    if net == "skip":  # where there are calls, and the program without them is small
        ways.append(_step(net, update, backend="jax", without="rolling"))
        assert _kinds(ways[-1][0]) == ""
    for _ in range(2):
        _close(*[_values(function(BATCH)) for function, _ in ways])
    _close(*[[variable.value for variable in variables] for _, variables in ways])


def _close(first: Sequence[Any], *others: Sequence[Any]) -> None:
    for other in others:
        for one, same in zip(first, other, strict=True):
            np.testing.assert_allclose(one, same, rtol=1e-4, atol=1e-5)


def test_a_layer_is_written_once_and_the_source_stands_alone(training: Any) -> None:
    function, plain, *_ = training
    text = function.source
    assert text.count("jnp.matmul") == 2  # in the loop, and in the layer that is left
    assert "# each of 5 equal layers\n" in text
    assert "# each of 5 equal layers, the last one first\n" in text
    assert re.search(r"= jax\.lax\.scan\(layer0, .*\bw0_to_w4\b", text)
    function(BATCH)  # which brings the stacks to the device
    plain(BATCH)
    (loss,), *_ = _alone(function)
    assert float(loss) == pytest.approx(float(plain(BATCH)), rel=1e-5)


def _alone(function: gc.Function) -> Any:
    """The results of the function's source as text that runs by itself."""
    program = function.report.program
    space: dict[str, Any] = {}
    exec(function.source, space)
    return jax.jit(space["make"](*program._constants))(BATCH, *[variable.storage for variable in program.schedule.variables])


def test_calls_are_of_one_function_and_stand_alone() -> None:
    function, _ = _step("shared", "none", backend="jax")
    text = function.source
    assert text.count("jnp.tanh(") == 1
    assert re.search(r"@jax\.jit\n +def layer0\(.*\): +# each of 6 equal layers", text)
    (loss, *_), *_ = _alone(function)
    assert float(loss) == pytest.approx(float(_step("shared", "none")[0](BATCH)[0]), rel=1e-5)


def test_named_sizes_and_float64() -> None:
    x = gc.input("x", ("batch", 6), "float64")
    p = [gc.variable(RNG.standard_normal((6, 6)) / 3, f"w{i}") for i in range(8)]
    y = x
    for w in p:
        y = y + gc.tanh(y @ w)
    loss = gc.mean(gc.square(y))
    ways = [gc.compile(x, [loss, *gc.grad(loss, [x])], backend=backend) for backend in ("jax", "numpy")]
    assert _kinds(ways[0]) == "LL"
    for size in (3, 5):
        values = RNG.standard_normal((size, 6))
        for one, other in zip(*[_values(way(values)) for way in ways], strict=True):
            assert one.dtype == "float64"
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_derivatives_of_second_order() -> None:
    y, _ = dense(X, 8, gc.tanh)
    v = gc.input("v", X.shape)
    product = gc.hvp(gc.sum(gc.square(y)), X, v)
    ways = [gc.compile([X, v], product, backend=backend) for backend in ("jax", "numpy")]
    assert "L" in _kinds(ways[0])
    first, other = [np.asarray(way(BATCH, BATCH[::-1].copy())) for way in ways]
    np.testing.assert_allclose(first, other, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- variables
Training = tuple[gc.Function, gc.Function, gc.Tensor, list[Any], list[Any]]


@pytest.fixture(scope="module")
def compiled() -> Training:
    """A step that rolls, the same on NumPy, what the rolled one's net returns, and the variables of both."""
    (y, p), (z, q) = dense(X, act=gc.tanh), dense(X, act=gc.tanh)
    steps = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        _lower_thresholds(monkeypatch)
        for out, variables, backend in ((y, p, "jax"), (z, q, "numpy")):
            loss = gc.mean(gc.square(out - 1.0))
            steps.append(gc.compile(X, loss, sgd(variables, gc.grad(loss, variables)), backend=backend))
    assert _kinds(steps[0]) == "LL"
    return (*steps, y, p, q)


@pytest.fixture
def training(compiled: Training) -> Training:
    """The compiled steps, with the variables as they were at first."""
    *_, p, q = compiled
    for new, *variables in zip(dense(X)[1], p, q, strict=True):
        for variable in variables:
            variable.assign(new.value)
    return compiled


def _same(p: Sequence[Any], q: Sequence[Any]) -> None:
    _close([one.value for one in p], [other.value for other in q])


def test_variables_in_a_stack_are_read_and_assigned_one_by_one(training: Any) -> None:
    step, plain, _, p, q = training
    for i in range(3):
        assert float(step(BATCH)) == pytest.approx(float(plain(BATCH)), rel=1e-4)
        assert isinstance(p[2].storage, Item)
        _same(p, q)
        for variables in (p, q):
            variables[4 + i].assign(np.full(variables[4 + i].shape, 0.1 * i, "float32"))
        _same(p, q)


def test_an_item_is_a_copy_that_later_steps_leave_as_it_is(training: Any) -> None:
    step, _, _, p, _ = training
    step(BATCH)
    value = p[2].value
    before = value.copy()
    step(BATCH)
    np.testing.assert_array_equal(value, before)
    assert not np.array_equal(p[2].value, before)


def test_functions_share_variables_of_which_each_has_stacks_of_its_own(training: Any) -> None:
    step, plain, y, p, q = training
    predict, plain_predict = gc.compile(X, y, backend="jax"), gc.compile(X, y)
    single = gc.compile(X, X @ p[2], backend="jax")
    numpy = gc.compile([], [], {p[6]: p[6] * 0.5, p[9]: p[9] + 1.0})
    mirror = gc.compile([], [], {q[6]: q[6] * 0.5, q[9]: q[9] + 1.0})
    assert _kinds(predict) == "L"
    for _ in range(2):
        step(BATCH), plain(BATCH)
        predicted, one = predict(BATCH), single(BATCH)  # before NumPy reads them
        np.testing.assert_allclose(predicted, plain_predict(BATCH), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(one, BATCH @ q[2].value, rtol=1e-4, atol=1e-5)
        numpy(), mirror()
        np.testing.assert_allclose(predict(BATCH), plain_predict(BATCH), rtol=1e-5, atol=1e-6)
        _same(p, q)
    predict(BATCH)
    stacks = [x for f in (step, predict) for x in f.report.program.schedule.variables if hasattr(x, "array")]
    assert [x.array is None for x in stacks] == [True, True, False, False]  # nobody's values are not kept


def test_many_steps_in_a_call(training: Any) -> None:
    step, plain, _, p, q = training
    data = RNG.standard_normal((12, 6)).astype("float32")
    gc.epoch(step, gc.Batches([data], 4), steps_per_call="epoch")
    gc.epoch(plain, gc.Batches([data], 4))
    _same(p, q)


def test_saved_functions_have_the_user_s_variables(training: Any, tmp_path: Path) -> None:
    step, plain, _, p, _ = training
    step(BATCH), plain(BATCH)
    loaded = gc.load(step.save(tmp_path / "step.gc"))
    assert [variable.label for variable in loaded.variables] == [variable.label for variable in p]
    assert float(loaded(BATCH)) == pytest.approx(float(plain(BATCH)), rel=1e-5)


def test_on_a_mesh_and_on_a_device_that_was_asked_for(training: Any) -> None:
    _, plain, y, p, q = training
    loss = gc.mean(gc.square(y - 1.0))
    updates = sgd(p, gc.grad(loss, p))
    kinds = {}
    for options in (gc.Jax(device="cpu"), gc.Jax(mesh={"data": 1})):
        step = gc.compile(X, loss, updates, backend=options)
        kinds[str(options.mesh)] = _kinds(step)
        for _ in range(2):
            assert float(step(BATCH)) == pytest.approx(float(plain(BATCH)), rel=1e-4)
        _same(p, q)
    assert kinds == {"None": "LL", "{'data': 1}": "CC"}


def test_a_call_that_fails_leaves_the_stacks_as_they_were(training: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    step, plain, _, p, q = training
    step(BATCH), plain(BATCH)
    with pytest.raises(gc.errors.GraphcError):
        step(BATCH[:, :3])
    step(BATCH), plain(BATCH)
    _same(p, q)


# ---------------------------------------------------------------- where it is not done
def test_what_does_not_roll(monkeypatch: pytest.MonkeyPatch) -> None:
    for more in ({"backend": gc.Jax(check=True)}, {"backend": "jax", "optimize": False}, {"backend": "jax", "without": "rolling"}):
        assert _kinds(_step("dense", "sgd", **more)[0]) == ""
    monkeypatch.undo()
    assert _kinds(_step("dense", "sgd", backend="jax")[0]) == ""


@pytest.mark.parametrize(("units", "kinds"), [(8, "LL"), (512, "C")])
def test_loops_are_for_layers_whose_copies_cost_less_than_their_compilation(
    units: int, kinds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    x = gc.input("x", ("batch", units))
    y, p = x, []
    weights = np.zeros((units, units), "float32")
    for i in range(60):
        p.append(gc.variable(weights, f"w{i}"))
        y = gc.relu(y @ p[-1] + 1.0)
    loss = gc.mean(y)
    function = gc.compile(x, loss, sgd(p, gc.grad(loss, p)), backend="jax")
    assert _kinds(function) == kinds


def test_equal_layers_are_compiled_once() -> None:
    """The program for XLA is of the same size whatever the depth."""

    def size(depth: int) -> int:
        y, p = dense(X, depth)
        loss = gc.mean(gc.square(y))
        return len(gc.compile(X, loss, sgd(p, gc.grad(loss, p)), backend="jax").hlo().splitlines())

    assert size(30) == size(10)
