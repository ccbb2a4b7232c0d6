"""Mixed precision: which op computes in what, the same numbers as hand-written JAX and PyTorch, and loss scaling through overflow."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, Op, dtypes, every_node, register
from graphc.core.errors import ArgumentError, DTypeError
from graphc.core.types import TensorType
from graphc.lower import interpret
from graphc.nn.optimizers import SGD
from graphc.precision import precision_of
from graphc.testing import calls

BACKENDS = ("numpy", "jax")
LOW = ("bfloat16", "float16")
EPSILON = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
rng = np.random.default_rng(0)


def normal(*shape: int, scale: float = 1.0, source: np.random.Generator = rng) -> Any:
    return (source.standard_normal(shape) * scale).astype("float32")


def far(found: Any, expected: Any) -> float:
    """The largest difference, over the largest number."""
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    return float(np.abs(found - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-30))


def dtype_of(y: Any, name: str) -> set[str]:
    """The dtypes of the results of this op in a graph, bodies too."""
    return {node.dtype for node in every_node([y]) if node.op is not None and node.op.name == name}


# ---------------------------------------------------------------- classes
@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_every_op_has_a_class(op: Op) -> None:
    assert precision_of(op) in ("low", "float32", "promote", "declared")


def test_the_classes_are_those_of_the_field() -> None:
    """The lists of PyTorch's autocast, as far as both have the op; there, what is on no list runs in what comes."""
    low = {"matmul", "einsum", "convolution"}
    wide = "acos asin cosh cumprod cumsum erfinv exp expm1 layer_norm log log10 log2 log1p log_softmax logsumexp norm prod power"
    wide += " reciprocal rsqrt sinh softmax softplus sum tan softmax_crossentropy sparse_softmax_crossentropy sigmoid_crossentropy"
    comes = "add subtract multiply divide relu tanh sigmoid silu gelu where maximum clip reshape transpose concatenate window_max argmax"
    assert {precision_of(OPS[name]) for name in low} == {"low"}
    assert {precision_of(OPS[name]) for name in wide.split()} == {"float32"}
    assert {precision_of(OPS[name]) for name in comes.split()} == {"promote"}
    assert precision_of(OPS["scan"]) == "declared"


def rule(x: TensorType) -> TensorType:
    return x


def fresh_op(**fields: Any) -> Op:
    try:
        return register("of_a_test", rule, promote=("x",), **fields)
    finally:
        OPS.pop("of_a_test", None)


def test_a_new_op_is_classified_by_its_record() -> None:
    rule.__annotations__["x"] = TensorType
    assert precision_of(fresh_op()) == "float32"
    assert precision_of(fresh_op(pointwise=True, partials=(1,))) == "float32"
    assert precision_of(fresh_op(pointwise=True, partials=(1,), linear=("x",))) == "promote"
    assert precision_of(fresh_op(flops=0)) == "promote"
    assert precision_of(fresh_op(precision="low")) == "low"
    with pytest.raises(TypeError, match="no precision 'hihg'"):
        precision_of(fresh_op(precision="hihg"))


@pytest.mark.parametrize("op", [op for op in OPS.values() if any(not c.case.through for c in calls(op))], ids=lambda op: op.name)
def test_what_is_delicate_is_computed_in_float32(op: Op) -> None:
    """On operands of 16 bits: what float32 has, rounded once; where the op computes in 16 bits, to a few roundings."""
    call = next(c for c in calls(op) if not c.case.through)
    for low in LOW:
        inputs = call.inputs(low)
        try:
            node = call.node(inputs)
        except DTypeError:
            continue  # it takes no numbers of 16 bits
        values = call.values(low)
        wide = [v.astype("float32") if dtypes.numpy_dtype(low) == v.dtype else v for v in values]
        there = call.inputs("float32")
        (expected,) = interpret([call.node(there)], dict(zip(there, wide, strict=True)))
        mixed = gc.mixed_precision(node, low)
        assert mixed.type is node.type
        found = np.asarray(gc.compile(inputs, mixed)(*values))
        if not dtypes.is_float(node.dtype):
            assert precision_of(op) == "promote" or np.array_equal(found, expected), op
            continue
        rounding = EPSILON[low] * (1.01 if precision_of(op) == "float32" else 16)
        scale = np.maximum(np.abs(expected), 0 if precision_of(op) == "float32" else np.abs(expected).max(initial=0))
        close = np.abs(found.astype("float32") - expected) <= rounding * scale + 1e-7
        assert (close | (np.isnan(expected) & np.isnan(found)) | (found == expected)).all(), (op, low, found, expected)


# ---------------------------------------------------------------- graphs
def network() -> tuple[list[Any], Any, list[Any]]:
    """Inputs, loss and weights, which are the same each time."""
    x, t = gc.input("x", ("n", 12)), gc.input("t", ("n",), dtype="int32")
    own = np.random.default_rng(1)
    p = [gc.variable(normal(*shape, scale=0.3, source=own), name) for name, shape in {"w": (12, 8), "b": (8,), "v": (8, 5)}.items()]
    hidden = gc.tanh(x @ p[0] + p[1])
    return [x, t], gc.mean(gc.sparse_categorical_crossentropy(t, 0.5 * hidden @ p[2], from_logits=True)), p


def batch() -> tuple[Any, Any]:
    return normal(32, 12), rng.integers(0, 5, 32).astype("int32")


def by_hand(low: str, p: list[Any], x: Any, t: Any) -> Any:
    """The network as it is written in JAX for mixed precision."""
    import jax
    import jax.numpy as jnp

    def loss(p: Any) -> Any:
        w, b, v = [a.astype(low) for a in p]
        h = jnp.tanh(jnp.asarray(x).astype(low) @ w + b)
        logits = (jnp.asarray(0.5, low) * h) @ v
        logp = jax.nn.log_softmax(logits.astype(jnp.float32))
        return -jnp.mean(jnp.take_along_axis(logp, t[:, None], axis=1))

    value, gradients = jax.jit(jax.value_and_grad(loss))([jnp.asarray(a) for a in p])
    return value, *gradients


@pytest.mark.parametrize("first", ["mixed, then differentiated", "differentiated, then mixed"])
@pytest.mark.parametrize("low", LOW)
def test_agrees_with_hand_written_jax(low: Any, first: str) -> None:
    inputs, loss, p = network()
    values = batch()
    if first.startswith("mixed"):
        mixed = gc.mixed_precision(loss, low)
        results = [mixed, *gc.grad(mixed, p)]
    else:
        results = gc.mixed_precision([loss, *gc.grad(loss, p)], low)
    assert [y.dtype for y in results] == ["float32"] * 4
    expected = by_hand(low, [a.value for a in p], *values)
    for backend in BACKENDS:
        found = gc.compile(inputs, results, backend=backend)(*values)
        assert max(map(far, found, expected)) < 8 * EPSILON[low]
    # The scheme is not float32: its rounding is seen.
    plain = gc.compile(inputs, loss)(*values)
    assert far(found[0], plain) > 2.0**-24


def test_the_graph_says_what_is_computed_in_what() -> None:
    inputs, loss, p = network()
    mixed = gc.mixed_precision(loss)
    assert dtype_of(mixed, "matmul") == dtype_of(mixed, "tanh") == dtype_of(mixed, "add") == dtype_of(mixed, "multiply") == {"bfloat16"}
    assert dtype_of(mixed, "sparse_softmax_crossentropy") == dtype_of(mixed, "mean") == {"float32"}
    gradients = gc.grad(mixed, p)
    assert dtype_of(gc.mean(gradients[0]), "matmul") == {"bfloat16"}
    assert [g.type for g in gradients] == [w.type for w in p]
    source = gc.compile(inputs, mixed, backend="jax").source
    assert source.count("jnp.bfloat16") >= 4  # x, w, b, v


def test_convolutions_pools_and_attention() -> None:
    x = gc.input("x", ("n", 8, 8, 2))
    k, b = gc.variable(normal(3, 3, 2, 4, scale=0.3), "k"), gc.variable(normal(4), "b")
    q = gc.variable(normal(4, 4), "q")
    h = gc.max_pool(gc.relu(gc.conv(x, k) + b), 2)
    rows = gc.reshape(h, (-1, 9, 4))
    scores = gc.softmax(gc.einsum("nid,njd->nij", rows @ q, rows) / 2.0)
    y = gc.layer_norm(gc.einsum("nij,njd->nid", scores, rows) + rows)
    loss = gc.mean(gc.square(y * gc.cumsum(y, axis=1)))
    mixed = gc.mixed_precision(loss)
    names = ("convolution", "einsum", "matmul", "window_max", "relu", "reshape", "divide")
    assert {name: dtype_of(mixed, name) for name in names} == {name: {"bfloat16"} for name in names}
    names = ("softmax", "layer_norm", "square", "cumsum", "mean")
    assert {name: dtype_of(mixed, name) for name in names} == {name: {"float32"} for name in names}
    values = normal(3, 8, 8, 2)
    plain = gc.compile(x, [loss, *gc.grad(loss, [k, b, q])])(values)
    found = [gc.compile(x, [mixed, *gc.grad(mixed, [k, b, q])], backend=backend)(values) for backend in BACKENDS]
    assert max(map(far, found[0], found[1])) < 0.02
    assert max(map(far, found[0], plain)) < 0.1


def test_types_and_structure_of_outputs_stay() -> None:
    _, loss, p = network()
    found = gc.mixed_precision({"loss": loss, "products": (p[2] @ p[2].T, [p[0] @ p[2]])})
    assert found["loss"].dtype == found["products"][0].dtype == found["products"][1][0].dtype == "float32"
    assert gc.mixed_precision(p[0]) is p[0]


def test_twice_is_once() -> None:
    _, loss, p = network()
    mixed = gc.mixed_precision([loss, *gc.grad(loss, p)])
    assert all(again is once for again, once in zip(gc.mixed_precision(mixed), mixed, strict=True))


def test_other_dtypes_are_left_alone() -> None:
    x, z, i = gc.input("x", (3, 3), "float64"), gc.input("z", (3, 3), "complex64"), gc.input("i", (3, 3), "int32")
    for y in (gc.exp(x @ x), z @ z, i @ i, gc.input("y", (3, 3)) @ x):
        assert gc.mixed_precision(y) is y


def test_what_meets_bends_or_widens() -> None:
    x, r = gc.input("x", (4, 4)), gc.input("r", (4, 4))
    h, b = x @ x, gc.variable(normal(4), "b")
    for y in (h + b, h + gc.reshape(b, (4, 1)), h * 3, h * gc.ones((4, 4)), gc.where(x > 0, h, 0.0), h * gc.cast(x > 0, "float32")):
        assert gc.mixed_precision(gc.relu(y)).inputs[0].dtype == "bfloat16"
    for y in (h + r, h + gc.constant(normal(4)), h + gc.exp(h)):  # data of float32 keeps its digits
        assert dtype_of(gc.mixed_precision(gc.relu(y)), "relu") == {"float32"}
    masked = gc.where(x > 0, h, -1e9)
    assert dtype_of(gc.mixed_precision(masked, "bfloat16"), "where") == {"bfloat16"}
    assert dtype_of(gc.mixed_precision(masked, "float16"), "where") == {"float32"}  # -inf in float16
    assert dtype_of(gc.mixed_precision(gc.maximum(h, 1e-12), "float16"), "maximum") == {"float32"}  # 0 in float16


def test_bodies_of_loops_branches_and_checkpoints() -> None:
    x, w = gc.input("x", (5, 3, 4)), gc.variable(normal(4, 4, scale=0.5), "w")
    last, steps = gc.scan(lambda h, item: (gc.tanh(h @ w + item), gc.sum(h)), gc.zeros((3, 4)), x)
    y = gc.cond(gc.sum(last) > 100, lambda a: a, lambda a: gc.exp(a @ w), last)
    z = gc.checkpoint(lambda a: gc.tanh(a @ w))(y)
    loss = gc.mean(z) + gc.mean(steps)
    mixed = gc.mixed_precision(loss)
    assert dtype_of(mixed, "matmul") == {"bfloat16"}
    assert dtype_of(mixed, "exp") == {"float32"}
    values = normal(5, 3, 4)
    expected = gc.compile(x, [loss, gc.grad(loss, w)])(values)
    for results in ([mixed, gc.grad(mixed, w)], gc.mixed_precision([loss, gc.grad(loss, w)])):
        for backend in BACKENDS:
            found = gc.compile(x, results, backend=backend)(values)
            assert 0 < far(found[1], expected[1]) < 0.05


def test_products_and_sums_of_16_bits_add_up_in_float32() -> None:
    for low in LOW:
        x, y = gc.input("x", ("n", 4), low), gc.input("y", (4, "n"), low)
        ones = np.ones((3000, 4)).astype(dtypes.numpy_dtype(low))
        results = [y @ x, gc.sum(x, axis=0), gc.sum(x), gc.sum(gc.tanh(x) - gc.tanh(x) + x, axis=0)]
        for backend in BACKENDS:
            found = gc.compile([x, y], results, backend=backend)(ones, ones.T)
            assert [a.dtype.name for a in found] == [low] * 4
            assert max(far(a, b) for a, b in zip(found, (3000, 3000, 12000, 3000), strict=True)) <= EPSILON[low]


def test_bad_arguments() -> None:
    x = gc.input("x", (2, 2))
    with pytest.raises(DTypeError, match="mixed_precision: dtype='float32'"):
        gc.mixed_precision(x @ x, "float32")
    with pytest.raises(DTypeError, match="no dtype 'fp8'"):
        gc.mixed_precision(x @ x, "fp8")
    for option, value in {"init_scale": math.nan, "growth_factor": 1, "backoff_factor": 1.0, "growth_interval": 0}.items():
        with pytest.raises(ArgumentError, match=f"LossScale: {option} is {value}"):
            gc.LossScale(**{option: value})


# ---------------------------------------------------------------- loss scaling
def expected_scales(finite: list[bool], scale: float, interval: int) -> list[tuple[float, int]]:
    """What ``torch.amp.GradScaler`` has after each step, as the page of ``torch.amp`` tells it."""
    found, good = [], 0
    for fine in finite:
        if not fine:
            scale, good = scale * 0.5, 0
        elif good + 1 == interval:
            scale, good = (scale * 2 if scale * 2 <= np.finfo("float32").max else scale), 0
        else:
            good += 1
        found.append((scale, good))
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_scale_goes_up_and_down(backend: Any) -> None:
    """Gradients are ``x``; they are finite unless the scale carries ``x`` out of float16, or x is no number."""
    x, w = gc.input("x", (4,)), gc.variable(np.zeros(4, "float32"), "w")
    scaling = gc.LossScale(init_scale=2.0**14, growth_interval=2)
    loss = gc.sum(gc.cast(gc.cast(w, "float16") * gc.cast(x, "float16"), "float32"))
    (gradient,) = scaling.grad(loss, [w])
    assert scaling.grad(loss, w).type is w.type
    step = gc.compile(x, loss, scaling.updates({w: w - gradient}, [gradient]), backend=backend)
    scale, good = 2.0**14, 0
    total, grown = np.zeros(4), 0
    for size in (1, 1, 1, 1, 1, 1, 3, 1, math.nan, 1, math.inf, 1, 1, 1):
        value = np.full(4, size, "float32")
        finite = math.isfinite(size) and size * scale < 65520
        before = w.value
        step(value)
        ((scale, counted),) = expected_scales([finite], scale, 2 - good)
        good = 0 if not finite or good + 1 == 2 else good + 1
        grown += finite and counted == 0
        assert (float(scaling.scale.value), int(scaling.good_steps.value)) == (scale, good)
        total -= value if finite else 0
        assert np.array_equal(w.value, total if finite else before)
    assert grown > 2


def test_the_scale_never_becomes_infinite() -> None:
    x, w = gc.input("x", ()), gc.variable(np.float32(0), "w")
    scaling = gc.LossScale(init_scale=2.0**126, growth_interval=1)
    gradient = scaling.grad(x * w, w)
    step = gc.compile(x, gradient, scaling.updates({w: w - gradient}, [gradient]))
    assert [float(step(np.float32(0.25))) for _ in range(4)] == [0.25] * 4
    assert float(scaling.scale.value) == 2.0**127
    assert float(w.value) == -1


def test_float16_gradients_vanish_without_a_scale() -> None:
    x, w = gc.input("x", (8, 4)), gc.variable(normal(4, 3), "w")
    loss = 1e-7 * gc.sum(gc.mixed_precision(gc.square(x @ w), "float16"))
    values, scaling = normal(8, 4), gc.LossScale()
    plain, scaled, exact = gc.compile(x, [gc.grad(loss, w), scaling.grad(loss, w), gc.grad(1e-7 * gc.sum(gc.square(x @ w)), w)])(values)
    assert far(scaled, exact) < 0.01 < far(plain, exact)


@pytest.mark.parametrize(("low", "backend"), [("bfloat16", "numpy"), ("float16", "numpy"), ("float16", "jax")])
def test_training(low: Any, backend: Any) -> None:
    """The same losses as in float32, to a per cent, with a scale that overflows at first."""
    values = batch()

    def losses(dtype: str | None) -> list[float]:
        inputs, loss, p = network()
        scaling = gc.LossScale(init_scale=2.0**24, growth_interval=10)
        loss = gc.mixed_precision(loss, dtype) if dtype else loss
        gradients = scaling.grad(loss, p) if dtype == "float16" else gc.grad(loss, p)
        updates = SGD(0.5).updates(dict(zip(p, gradients, strict=True)))
        step = gc.compile(inputs, loss, scaling.updates(updates, gradients) if dtype == "float16" else updates, backend=backend)
        return [float(step(*values)) for _ in range(60)]

    plain, mixed = losses(None), losses(low)
    skipped = sum(a == b for a, b in pairwise(mixed))
    assert (skipped >= 3) == (low == "float16")
    assert mixed[-1] < 0.8 * mixed[0]
    assert abs(mixed[-1] - plain[-1 - skipped]) < 0.01 * plain[-1]


# ---------------------------------------------------------------- PyTorch
def test_agrees_with_pytorchs_autocast_and_scaler() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    inputs, loss, p = network()
    values = batch()
    weights = [torch.tensor(a.value, requires_grad=True) for a in p]
    x, t = torch.tensor(values[0]), torch.tensor(values[1]).long()
    with torch.autocast("cpu", torch.bfloat16):
        w, b, v = weights
        hidden = torch.tanh(torch.nn.functional.linear(x, w.T, b))
        theirs = torch.nn.functional.cross_entropy(0.5 * hidden @ v, t)
    theirs.backward()
    mixed = gc.mixed_precision(loss)
    ours = gc.compile(inputs, [mixed, *gc.grad(mixed, p)])(*values)
    expected = [theirs.detach().numpy(), *[weight.grad.numpy() for weight in weights]]
    assert max(map(far, ours, expected)) < 8 * EPSILON["bfloat16"]

    usual, default = gc.LossScale(), torch.amp.GradScaler("cpu")
    factors = usual.growth_factor, usual.backoff_factor, usual.growth_interval
    assert usual.init_scale == default.get_scale()
    assert factors == (default.get_growth_factor(), default.get_backoff_factor(), default.get_growth_interval())

    theirs = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
    scaling = gc.LossScale(init_scale=2.0**10, growth_interval=3)
    a, weight = gc.input("a", ()), gc.variable(np.float32(1), "weight")
    gradient = scaling.grad(a * weight, weight)
    step = gc.compile(a, a * weight, scaling.updates({weight: weight - 0.1 * gradient}, [gradient]))
    parameter = torch.ones((), requires_grad=True)
    optimizer = torch.optim.SGD([parameter], 0.1)
    for value in (1, 2, 3, 1, math.inf, 1, 1, math.nan, math.nan, 1, 1, 1, 1, 2):
        step(np.float32(value))
        optimizer.zero_grad()
        theirs.scale(torch.tensor(float(value)) * parameter).backward()
        theirs.step(optimizer)
        theirs.update()
        assert (float(scaling.scale.value), int(scaling.good_steps.value)) == (theirs.get_scale(), theirs._get_growth_tracker())
        assert far(weight.value, parameter.detach().numpy()) < 1e-6
