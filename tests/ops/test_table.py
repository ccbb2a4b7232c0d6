"""What every op promises in its record, tried on every small call of it."""

import functools
import inspect
import itertools
import math
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, Op, Tensor, as_tensor, constant, dtypes, toposort
from graphc.core.errors import GraphcError
from graphc.core.graph import ancestors_through
from graphc.grad import carries, vjp
from graphc.lower import interpret, template
from graphc.lower.template import Written, fill, helpers, imports, numpy_dtype_source
from graphc.testing import Call, calls, check_op, gradient_problems, takes_integers_alone, value_problems

EXCUSED = {
    **dict.fromkeys(("scan", "cond", "while_loop", "checkpoint", "custom"), "a body is a graph: tests/grad/test_control.py"),
    "guard": "inserted by kinks='raise' alone, and tested in test_policy.py",
    "part": "it reads one of several results, and is tested with the ops that have several",
    "ties": "the gradient of max and min alone, tested with them: its y has to be the extremum of its x",
}
TABLE = [op for op in OPS.values() if op.name not in EXCUSED]
CALLS = [call for op in TABLE for call in calls(op)]
POINTWISE = [op for op in TABLE if op.pointwise and op.name not in ("cast", "where")]
DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool")
NOT_NUMPYS = {
    "fft",
    "logaddexp",  # rounds otherwise, and takes thirty times as long
    "place",
    "i0",  # another polynomial than SciPy's
    "sort",
    "argsort",
    "searchsorted",
    "einsum",
}  # NumPy's does something else, has no descending=, wants sorted values, or the subscripts first
OTHER_DTYPES = {
    "reciprocal": "1 / x of an integer is a float here; NumPy rounds it down to an integer",
    "logaddexp": "int8 beside uint8 meet in int16, hence float32; NumPy looks for a loop that holds both and finds float16",
    "hypot": "as logaddexp",
    "atan2": "as logaddexp",
    "round": "np.round of truth values is float16; here they are no numbers",
}
# Their value or derivative crosses 0 where its terms do not, so that no formula is right to units in the last place there.
CROSSING = {"silu", "mish", "logaddexp", "gelu", "sinc", "sinc_derivative", "polygamma", "sigmoid_crossentropy"}

every_op = pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
every_call = pytest.mark.parametrize("call", CALLS, ids=str)
every_pointwise = pytest.mark.parametrize("op", POINTWISE, ids=lambda op: op.name)


def run(call: Call, values: list[Any], inputs: list[Any] | None = None) -> Any:
    """What the source that is emitted for this one call returns."""
    inputs = inputs or call.inputs()
    return gc.compile(inputs, call.node(inputs), optimize=False)(*values)


def places(call: Call) -> list[str]:
    """The name of each operand of a call."""
    count = len(call.case.shapes) if call.case.through is None else len(call.operands(call.inputs()))
    return list(call.op.operands) if not call.op.variadic else [call.op.operands[0]] * count


def operands(call: Call, dtype: str = "float64", seed: int = 0) -> list[Any]:
    """What reaches the op: the values of a call, after what its case puts before them."""
    inputs = call.inputs(dtype)
    made = [as_tensor(x) for x in call.operands(inputs)]
    return [np.asarray(value) for value in interpret(made, dict(zip(inputs, call.values(dtype, seed), strict=True)))]


def alone(call: Call, values: list[Any]) -> tuple[list[Any], list[Tensor]]:
    """Inputs in the place of these operands, and the results of the op on them."""
    inputs = [gc.input(f"x{i}", value.shape, value.dtype.name) for i, value in enumerate(values)]
    result = call.op(inputs, **call.case.attributes) if call.op.variadic else call.op(*inputs, **call.case.attributes)
    return inputs, list(result) if isinstance(result, tuple) else [result]


def own(results: list[Tensor]) -> Tensor:
    """The node of which these are the results."""
    return results[0].inputs[0] if results[0].op is OPS["part"] else results[0]


def numpys(op: Op) -> Any:
    """NumPy's own function of the op's name."""
    return None if op.name in NOT_NUMPYS else getattr(np, op.name, None)


def call_numpy(call: Call, values: list[Any]) -> Any:
    """NumPy's own function on these values, with the call's attributes."""
    function = numpys(call.op)
    with np.errstate(all="ignore"):
        return function(values, **call.case.attributes) if call.op.variadic else function(*values, **call.case.attributes)


# ---------------------------------------------------------------- what the record says
@every_op
def test_is_documented(op: Op) -> None:
    assert op.__doc__, "the type rule needs a docstring"
    assert op.__doc__.strip().split("\n")[0].rstrip().endswith((".", ":")) or "\n" in op.__doc__


@every_op
def test_has_a_text_and_a_formula_for_every_operand(op: Op) -> None:
    for name in op.operands:
        assert f"${name}" in op.text, op.text
        assert f"${name}" in op.tex, op.tex


@every_op
def test_every_hole_of_a_formula_has_a_name(op: Op) -> None:
    holes = set(re.findall(r"\$([A-Za-z_]\w*)", op.text + " " + op.tex, re.ASCII))
    assert holes <= {*op.operands, *op.attributes}


@every_op
def test_has_cases(op: Op) -> None:
    assert calls(op), "declare cases=(case(...), ...)"


@every_op
def test_has_a_cost_that_is_a_size(op: Op) -> None:
    for call in calls(op):
        cost = op.count_flops(own(alone(call, operands(call))[1]))
        assert isinstance(cost, int)
        assert cost >= 0


@every_op
def test_has_a_form_on_both_targets(op: Op) -> None:
    assert op.emit is not None or op.expand is not None


@every_op
def test_has_a_gradient_or_a_reason(op: Op) -> None:
    no_float = not any(dtypes.is_float(x.dtype) for call in calls(op) for x in call.inputs())
    differentiable = any(call.differentiable(call.inputs()) for call in calls(op))
    assert differentiable or op.zero_gradient or no_float


@every_op
def test_kinks_come_with_their_policy(op: Op) -> None:
    assert bool(op.kink_note) == (op.kinks is not None or op.choice is not None)
    assert op.choice is None or op.reverse is not None


# ---------------------------------------------------------------- types
@every_call
def test_the_emitted_source_returns_the_declared_type(call: Call) -> None:
    for dtype in ("float32", "float64"):
        inputs = call.inputs(dtype)
        declared = call.node(inputs).type
        result = np.asarray(run(call, call.values(dtype), inputs))
        assert (result.dtype.name, result.shape) == (declared.dtype, declared.shape)


def _some(dtype: str, seed: int = 1) -> Any:
    return np.array([1, 0, 1] if dtype == "bool" else [1, 2, 3]).astype(dtypes.numpy_dtype(dtype)) * (
        np.asarray(seed).astype(dtypes.numpy_dtype(dtype))
    )


def _mixtures(op: Op) -> list[tuple[str, ...]]:
    count = len(op.operands)
    if count < 3:
        return list(itertools.product(DTYPES, repeat=count))
    return [*((a,) * count for a in DTYPES), *itertools.product(("int8", "float32", "float64"), repeat=count)]


def _attempt(function: Any, *values: Any) -> Any:
    """The dtype of the result, or the kind of error."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(*values)).dtype.name
    except TypeError:
        return TypeError


def _evaluated(op: Op, inputs: list[Any], *values: Any) -> Any:
    return gc.evaluate(op(*inputs), dict(zip(inputs, values, strict=True)), optimize=False)


@every_pointwise
def test_pointwise_ops_take_and_return_the_dtypes_that_numpy_does(op: Op) -> None:
    if numpys(op) is None or op.name in OTHER_DTYPES:
        pytest.skip(OTHER_DTYPES.get(op.name) or f"NumPy has no {op.name}; the emitted source is compared with the declared type elsewhere")
    wrong: list[str] = []
    for mixture in _mixtures(op):
        values = [_some(dtype) for dtype in mixture]
        inputs = [gc.input(name, (3,), dtype) for name, dtype in zip(op.operands, mixture, strict=True)]
        expected = _attempt(numpys(op), *values)
        if "bfloat16" in mixture and expected is not TypeError:  # ml_dtypes' own table is not NumPy's
            expected = _attempt(functools.partial(_evaluated, op, inputs), *values)
        declared = _attempt(lambda inputs=inputs: np.zeros(0, dtypes.numpy_dtype(op(*inputs).dtype)))
        if declared != expected:
            wrong.append(f"{mixture}: declared {declared}, NumPy {expected}")
    assert not wrong, "\n".join(wrong)


@every_pointwise
@pytest.mark.parametrize("dtype", DTYPES)
def test_pointwise_ops_emit_what_they_declare_for_every_dtype(op: Op, dtype: str) -> None:
    inputs = [gc.input(name, (3,), dtype) for name in op.operands]
    try:
        node = op(*inputs, **op.defaults)
    except gc.errors.DTypeError:
        return  # refused when it is built, as it should be if at all
    result = gc.compile(inputs, node, optimize=False)(*[_some(dtype) for _ in inputs])
    assert result.dtype == dtypes.numpy_dtype(node.dtype)


NUMPYS = [call for call in CALLS if numpys(call.op) is not None and not call.case.integers and not call.case.through and not call.case.seen]


@pytest.mark.parametrize("call", NUMPYS, ids=str)
def test_values_and_types_are_numpys_own(call: Call) -> None:
    for dtype in ("float32", "float64"):
        inputs, values = call.inputs(dtype), call.values(dtype)
        ours, theirs = run(call, values, inputs), call_numpy(call, values)
        assert np.shape(ours) == np.shape(theirs)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "uint8", "bool"])
@pytest.mark.parametrize("op", [op for op in TABLE if not op.pointwise], ids=lambda op: op.name)
def test_other_ops_declare_what_they_return_for_every_dtype(op: Op, dtype: str) -> None:
    for call in calls(op):
        inputs = call.inputs(dtype)
        try:
            node = call.node(inputs)
        except gc.errors.DTypeError:
            continue
        values = [np.abs(value).astype(value.dtype) if value.dtype != bool else value for value in call.values(dtype)]
        result = np.asarray(gc.compile(inputs, node)(*values))
        assert (result.dtype, result.shape) == (dtypes.numpy_dtype(node.dtype), node.shape), str(call)


@pytest.mark.parametrize(
    "op",
    [op for op in TABLE if not op.pointwise and len(op.promote) + op.variadic > 1 and not any(c.integers for c in op.cases)],
    ids=lambda op: op.name,
)
def test_operands_of_two_dtypes_meet_in_one(op: Op) -> None:
    call = calls(op)[0]
    inputs = [gc.input(x.label, x.shape, dtype) for x, dtype in zip(call.inputs(), ("float32", "float64"), strict=True)]
    for backend in ("numpy", "jax"):
        result = gc.compile(inputs, call.node(inputs), backend=backend)(*call.values())
        assert str(result.dtype) == call.node(inputs).dtype == call.node(call.inputs("float64")).dtype


# ---------------------------------------------------------------- values on every road
@every_call
def test_the_compiled_function_is_the_interpreter(call: Call) -> None:
    assert not list(value_problems(call))


@every_call
def test_buffers_and_writing_in_place_change_nothing(call: Call) -> None:
    """The call between two others of its result's type, so that it both takes a buffer and gives one up."""
    inputs, values = call.inputs(), call.values()
    node = call.node([gc.where(x, x, x) if x.dtype == "bool" else x + 0 for x in inputs])
    around = gc.logical_not(gc.logical_not(node)) if node.dtype == "bool" else gc.negative(gc.negative(node))
    compiled = gc.compile(inputs, [gc.sum(around), around], optimize=False)(*values)
    plain = interpret([gc.sum(around), around], dict(zip(inputs, values, strict=True)))
    for found, expected in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(found, expected)


@every_op
def test_jax_is_numpy_and_so_are_gradients(op: Op) -> None:
    """All calls of an op and their gradients in one jitted function."""
    inputs, values, outputs = [], [], []
    for call in calls(op):
        own = call.inputs()
        node = call.node(own)
        wrt = call.differentiable(own)
        outputs += [node, *(vjp(node, wrt, gc.ones_like(node), disconnected="zero") if wrt else [])]
        inputs += own
        values += call.values()
    ours = gc.compile(inputs, outputs)(*values)
    theirs = gc.compile(inputs, outputs, backend="jax")(*values)
    for numpy_value, jax_value in zip(ours, theirs, strict=True):
        assert str(jax_value.dtype) == numpy_value.dtype.name
        np.testing.assert_allclose(np.asarray(jax_value), numpy_value, rtol=1e-9, atol=1e-11)


def test_cross_entropies_are_those_of_scipy() -> None:
    """They have a form on no target, so that all roads above share one decomposition."""
    from scipy.special import log_softmax

    logits = np.random.default_rng(0).normal(size=(2, 4, 3))
    classes = np.array([[0, 1, 2, 2], [1, 1, 0, 2]])
    log = log_softmax(logits, axis=-1)
    expected = -np.take_along_axis(log, classes[..., None], axis=-1)[..., 0]
    x, labels = gc.input("x", logits.shape, "float64"), gc.input("labels", classes.shape, "int64")
    sparse = gc.sparse_categorical_crossentropy(labels, x, from_logits=True)
    dense = gc.categorical_crossentropy(gc.one_hot(labels, num_classes=3, dtype="float64"), x, from_logits=True)
    for found in gc.evaluate([sparse, dense], {x: logits, labels: classes}):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def _ties(x: Any, size: tuple[int, ...], strides: Any, padding: Any, dilation: Any) -> Any:
    """The shares, window by window."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-np.inf)
    counts = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(x.shape[1:-1], size, strides, dilation, strict=True)]
    found = np.zeros((x.shape[0], *counts, *size, x.shape[-1]))
    for b, c, *place in np.ndindex(x.shape[0], x.shape[-1], *counts):
        window = x[b][tuple([slice(p * s, p * s + k * d, d) for p, s, k, d in zip(place, strides, size, dilation, strict=True)])][..., c]
        found[(b, *place, ..., c)] = (window == window.max()) / np.count_nonzero(window == window.max())
    return found


def _random_words(key: Any, counter: Any, *, shape: Any = (), dtype: str = "uint32") -> Any:
    """By JAX's Threefry, whose blocks are words at two ends of its argument."""
    from jax.extend.random import threefry_2x32

    size = math.prod(shape)
    rows: list[Any] = []
    batch = np.broadcast_shapes(key.shape[:-1], counter.shape)
    keys, firsts = np.broadcast_to(key, (*batch, 2)), np.broadcast_to(counter, batch)
    for place in np.ndindex(batch):
        counts = firsts[place] + np.arange(size, dtype="uint64")
        high, low = (counts >> 32).astype("uint32"), counts.astype("uint32")
        words = np.asarray(threefry_2x32(keys[place], np.concatenate([high, low])))
        a, b = words[:size], words[size:]
        rows.append((a.astype("uint64") << 32 | b) if dtype == "uint64" else (a ^ b).astype(dtype))
    return np.reshape(rows, (*batch, *shape))


REFERENCES: dict[str, Any] = {
    "flat_index": lambda *indices, shape, axes: np.ravel_multi_index(indices, shape),
    "window_ties": _ties,
    "random_bits": _random_words,
    "winners": lambda indices, length: np.reshape([i not in indices.flat[k + 1 :] for k, i in enumerate(indices.flat)], indices.shape),
}
"""Ops without a gradient that NumPy has under another name, or not at all."""


@pytest.mark.parametrize("op", [op for op in TABLE if op.name in REFERENCES], ids=lambda op: op.name)
def test_values_are_those_of_another_form(op: Op) -> None:
    for call in calls(op):
        values = operands(call)
        np.testing.assert_array_equal(run(call, call.values()), REFERENCES[op.name](*values, **call.case.attributes))


def _functions(op: Op) -> set[str]:
    return set(re.findall(r"^def (\w+)\(", op.jax_helper, re.MULTILINE))


# By name, since the mutation test lets this module go through one op alone.
SHARING = [op for op in TABLE if any(_functions(op) & _functions(OPS[name]) for name in OPS if name != op.name)]


@pytest.mark.parametrize("op", SHARING, ids=lambda op: op.name)
def test_jax_is_numpy_where_no_other_op_brings_the_same_function(op: Op) -> None:
    for call in calls(op)[:2]:
        inputs, results = alone(call, operands(call))
        ours, theirs = [gc.compile(inputs, results, backend=backend)(*operands(call)) for backend in ("numpy", "jax")]
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(np.asarray(b), a, rtol=1e-9, atol=1e-11)


# ---------------------------------------------------------------- gradients
@every_call
def test_gradient_is_the_differences_at_orders_1_and_2(call: Call) -> None:
    assert not list(gradient_problems(call, order=2))


@every_call
def test_operands_without_a_gradient_are_flat(call: Call) -> None:
    if call.op.name == "stop_gradient":
        pytest.skip("it is not flat; that is what it is for")
    inputs, values = call.inputs(), call.values()
    run = gc.compile(inputs, call.node(inputs), optimize=False)
    if not dtypes.is_float(call.node(inputs).dtype):
        return
    for i, x in enumerate(inputs):
        if dtypes.is_float(x.dtype) and x not in call.differentiable(inputs):
            moved = [value + 1e-4 if i == j else value for j, value in enumerate(values)]
            np.testing.assert_array_equal(run(*moved), run(*values))


def test_some_gradient_was_compared() -> None:
    assert sum(bool(call.differentiable(call.inputs())) for call in CALLS) > 250


def _inexact(node: Tensor) -> bool:
    return dtypes.is_inexact(node.dtype)


def _inner(a: Any, b: Any) -> float:
    return float(np.sum((np.conj(a) * b).real))


@every_call
def test_jvp_is_the_transpose_of_vjp(call: Call) -> None:
    inputs, values, rng = call.inputs(), call.values(), np.random.default_rng(11)
    node, wrt = call.node(inputs), call.differentiable(inputs)
    if not wrt:
        return
    g, ts = rng.normal(size=node.shape), [rng.normal(size=x.shape) for x in wrt]
    run = gc.compile(inputs, [gc.jvp(node, wrt, ts), *vjp(node, wrt, g, disconnected="zero")], optimize=False)
    moved, *shares = run(*values)
    left, right = _inner(g, moved), sum(_inner(share, t) for share, t in zip(shares, ts, strict=True))
    rough = 1e-6 if node.dtype == "float32" else 1e-9  # a cast
    np.testing.assert_allclose(left, right, rtol=rough, atol=rough)


MAPPABLE = [call for call in CALLS if call.op.operands]


@pytest.mark.parametrize("call", MAPPABLE, ids=str)
def test_vmap_is_the_op_on_each_item(call: Call) -> None:
    """All operands mapped, and each of them alone; the axis of the items is the last."""
    items = [call.values(seed=seed) for seed in range(3)]
    count = len(items[0])
    for alone in [None, *range(count)] if count > 1 else [None]:
        mapped = [alone in (None, i) for i in range(count)]
        rows = [[item[i] if mapped[i] else items[0][i] for i in range(count)] for item in items]
        values = [np.stack([row[i] for row in rows], axis=-1) if mapped[i] else items[0][i] for i in range(count)]
        whole = [gc.input(name, value.shape, value.dtype) for name, value in zip(call.names, values, strict=True)]
        f = gc.vmap(lambda *xs: call.node(xs), in_axes=tuple([-1 if m else None for m in mapped]))
        found = gc.compile(whole, f(*whole), optimize=False)(*values)
        np.testing.assert_allclose(found, np.stack([run(call, row) for row in rows]), rtol=1e-12, atol=1e-13)


# ---------------------------------------------------------------- memory
@every_call
def test_shares_memory_only_if_a_view(call: Call) -> None:
    from graphc.lower.compute import compute

    inputs = call.inputs()
    node = call.node(inputs)
    values = interpret(node.inputs, dict(zip(inputs, call.values(), strict=True)))  # what the inputs have become on their way to the op
    result = compute(node, values)
    shared = any(np.shares_memory(result, value) for value in values)
    assert call.op.view or not shared


@every_call
def test_outputs_are_fresh_and_inputs_unwritten(call: Call) -> None:
    inputs, values = call.inputs(), call.values()
    before = [value.copy() for value in values]
    for value in values:
        value.setflags(write=False)
    node = call.node(inputs)
    results = gc.compile(inputs, [node, node, *inputs])(*values)
    for value, copy in zip(values, before, strict=True):
        np.testing.assert_array_equal(value, copy)
    for a, b in itertools.combinations([*results, *values], 2):
        assert a is b or not np.shares_memory(a, b)
    assert len({id(result) for result in results if result.size and result.shape}) == sum(bool(r.size and r.shape) for r in results)


@pytest.mark.parametrize("op", [op for op in TABLE if op.view], ids=lambda op: op.name)
def test_a_view_does_share_memory(op: Op) -> None:
    from graphc.lower.compute import compute

    shared: list[bool] = []
    for call in calls(op):
        inputs, values = call.inputs(), call.values()
        operands = interpret(call.operands(inputs), dict(zip(inputs, values, strict=True)))
        result = op(call.operands(inputs), **call.case.attributes) if op.variadic else op(*call.operands(inputs), **call.case.attributes)
        shared.append(np.shares_memory(compute(result, operands), operands[0]))
    assert any(shared)


# ---------------------------------------------------------------- laws
def _law_operands(op: Op) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    if op.pointwise and takes_integers_alone(op):
        return [rng.integers(-100, 100, 4) for _ in range(3)]
    if op.compute is not None and op.compute("float64") == "bool":
        return [np.array([True, True, False, False]), np.array([True, False, True, False]), np.array([False, True, True, False])]
    low, high = op.domain[0]
    return [rng.uniform(low, high, 4) for _ in range(3)]


def _law_holds(op: Op, law: Any, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    name, number = law if isinstance(law, tuple) else (law, None)
    sides = {
        "commutative": lambda: (op(a, b), op(b, a)),
        "associative": lambda: (op(op(a, b), c), op(a, op(b, c))),
        "involution": lambda: (op(op(a)), a),
        "idempotent": lambda: (op(a, a), a) if len(op.operands) == 2 else (op(op(a)), op(a)),
        "unit": lambda: (gc.stack([op(a, number), op(number, a)]), gc.stack([a, a])),
        "right unit": lambda: (op(a, number), a),
        "zero": lambda: (gc.stack([op(a, number), op(number, a)]), gc.full((2, 4), number, a.dtype)),
    }
    return sides[name]()


LAWS = [pytest.param(op, law, id=f"{op.name}-{law}") for op in TABLE for law in op.laws]


@pytest.mark.parametrize(("op", "law"), LAWS)
def test_declared_laws_hold(op: Op, law: Any) -> None:
    values = _law_operands(op)
    tensors = [gc.input(name, (4,), value.dtype) for name, value in zip("abc", values, strict=True)]
    sides = list(_law_holds(op, law, *tensors))
    assert law == "commutative" or {side.dtype for side in sides} == {tensors[0].dtype}
    left, right = gc.evaluate(sides, dict(zip(tensors, values, strict=True)), optimize=False)
    np.testing.assert_allclose(left, right, rtol=1e-13)


LINEAR = [
    pytest.param(call, place, id=f"{call}-{place}")
    for call in CALLS
    for place, name in enumerate(places(call) if call.op.linear else [])
    if name in call.op.linear
]


@pytest.mark.parametrize(("call", "place"), LINEAR)
def test_linear_operands_are_linear(call: Call, place: int) -> None:
    """With the others held, since some ops are linear in all of them together (add), some in each (matmul): the weights sum to 1."""
    values, other = operands(call), operands(call, seed=1)[place]
    inputs, results = alone(call, values)
    compiled = gc.compile(inputs, results, optimize=False)

    def at(value: Any) -> Any:
        return compiled(*values[:place], value, *values[place + 1 :])

    for near in (3, -40):
        for mixed, one, two in zip(at(near * values[place] + (1 - near) * other), at(values[place]), at(other), strict=True):
            np.testing.assert_allclose(mixed, near * one + (1 - near) * two, rtol=1e-6, atol=1e-6)


# ---------------------------------------------------------------- accuracy
def _magnitudes(op: Op, index: int, rng: np.random.Generator, count: int = 400) -> Any:
    """Half from the domain, half of every magnitude that float32 has."""
    low, high = op.domain[index]
    inside = rng.uniform(low, high, count)
    everywhere = 10.0 ** rng.uniform(-30, 30, count) * rng.choice([-1, 1], count)
    return rng.permutation(np.concatenate([inside, everywhere])).astype(np.float32)


def _units_apart(found: Any, exact: Any, floor: float) -> Any:
    """Errors in units in the last place of float32 (of ``floor`` at least), where float32 holds the exact value at full precision."""
    tiny, huge = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    with np.errstate(all="ignore"):
        kept = np.isfinite(exact) & ((np.abs(exact) > tiny) | (exact == 0)) & (np.abs(exact) < huge)
        units = np.abs(found.astype(np.float64) - exact) / np.spacing(np.maximum(np.abs(exact), floor).astype(np.float32)).astype(
            np.float64
        )
    return np.where(kept, np.nan_to_num(units, nan=math.inf), 0)


def _in(dtype: str, op: Op, values: list[Any], build: Any) -> Any:
    inputs = [gc.input(name, value.shape, dtype) for name, value in zip(op.operands, values, strict=True)]
    node = build(op(*inputs, **op.defaults), inputs)
    return gc.compile(inputs, node)(*[value.astype(dtype) for value in values])


@functools.cache
def worst_units(op: Op, operand: int | None) -> tuple[float, tuple[Any, ...]]:
    """The largest error of float32 in units in the last place, of the value or of a partial derivative, and where it is."""
    rng = np.random.default_rng(5)
    values = [_magnitudes(op, min(i, len(op.domain) - 1), rng) for i in range(len(op.operands))]

    def build(y: Tensor, inputs: list[Any]) -> Tensor:
        return y if operand is None else vjp(y, inputs[operand], gc.ones_like(y), disconnected="zero")

    floor = 0.5 if op.name in CROSSING else 0.0
    units = _units_apart(_in("float32", op, values, build), _in("float64", op, values, build), floor)
    place = int(np.argmax(units))
    return float(units[place]), tuple(value[place] for value in values)


SMOOTH = [op for op in POINTWISE if op.operands and any(partial is not None for partial in op.partials)]


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_float32_is_right_to_the_declared_units(op: Op) -> None:
    units, place = worst_units(op, None)
    assert units <= op.ulps, f"{units:.1f} units at {place}"


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_partial_derivatives_do_not_cancel_in_float32(op: Op) -> None:
    for i, partial in enumerate(op.partials):
        if callable(partial):
            units, place = worst_units(op, i)
            assert units <= 4 * op.ulps, f"{units:.1f} units in the derivative by {op.operands[i]} at {place}"


@every_call
def test_float32_is_near_float64_whatever_the_op(call: Call) -> None:
    """For sums the unit is that of the largest element, since they may cancel."""
    exact, found = np.asarray(run(call, call.values())), np.asarray(run(call, call.values("float32"), call.inputs("float32")))
    if not dtypes.is_float(exact.dtype.name) or not exact.size:
        return
    unit = np.finfo(np.float32).eps * max(1.0, float(np.max(np.abs(exact))))
    assert float(np.max(np.abs(found - exact))) <= 2 * call.op.ulps * unit


# ---------------------------------------------------------------- SymPy
SYMBOLIC = [op for op in TABLE if op.sympy]


def _symbolic(op: Op) -> tuple[Any, list[Any], dict[Any, Any]]:
    import sympy

    operands = [sympy.Symbol(name, real=True) for name in op.operands]
    attributes = {sympy.Symbol(name, real=True): value for name, value in op.defaults.items()}
    known = {str(symbol): symbol for symbol in (*operands, *attributes)}
    return sympy.sympify(op.sympy, locals=known), operands, attributes


def _points(op: Op) -> list[list[float]]:
    rng = np.random.default_rng(7)
    steps = 3 if all(partial == 0 for partial in op.partials) else 0  # of what is flat between its jumps another one
    return [[steps + float(rng.uniform(*op.domain[min(i, len(op.domain) - 1)])) for i in range(len(op.operands))] for _ in range(3)]


@pytest.mark.parametrize("op", SYMBOLIC, ids=lambda op: op.name)
def test_the_sympy_form_is_the_op_and_its_derivatives_the_partials(op: Op) -> None:
    import sympy

    form, symbols, attributes = _symbolic(op)
    for point in _points(op):
        inputs = [gc.input(name, (), "float64") for name in op.operands]
        node = op(*inputs, **op.defaults)
        wrt = [x for x, partial in zip(inputs, op.partials, strict=True) if partial not in (None, 0)]  # SymPy has no number for 0 of a step
        found = gc.evaluate([node, *vjp(node, wrt, 1.0, disconnected="zero")], dict(zip(inputs, point, strict=True)))
        at = dict(zip(symbols, point, strict=True)) | attributes
        exact = [form, *(sympy.diff(form, symbols[inputs.index(x)]) for x in wrt)]
        np.testing.assert_allclose([float(v) for v in found], [float(e.subs(at).evalf()) for e in exact], rtol=1e-12, atol=1e-14)


# ---------------------------------------------------------------- nothing is left out: what is true of an op, it says
NOT_LINEAR = {
    "complex": "what is linear adds and moves numbers; this makes numbers of another kind",
    "cast": "to whole numbers it is not",
    "conj": "i x becomes -i x",
    "nan_to_num": "of NaN and inf it is not",
}
LAWLESS = {
    ("hypot", "associative"): "but it rounds, and no rule would make use of it",
    ("reciprocal", "involution"): "it rounds",
    ("stop_gradient", "involution"): "not in a gradient",
    ("stop_gradient", "idempotent"): "not in a gradient",
    ("nan_to_num", "involution"): "not of NaN and inf",
    ("xlog1py", ("zero", 0)): "not where a is inf",
    ("bitwise_and", ("unit", -1)): "-1 is no uint8",
    ("bitwise_or", ("zero", -1)): "-1 is no uint8",
    ("logical_and", ("zero", 0)): "a rule of its own has it",
    ("logical_or", ("zero", 1)): "a rule of its own has it",
}
"""Laws that hold for the numbers of a test, and may not be declared."""
UNORDERED = {"less", "less_equal", "greater", "greater_equal"}
WITHOUT_SYMPY = {
    **dict.fromkeys(("mod", "floor_divide", "round", "trunc", "clip"), "SymPy has no number for the derivative of a step"),
    **dict.fromkeys(("nan_to_num", "stop_gradient"), "of numbers alone they are x"),
    **dict.fromkeys(("sinc_derivative", "zeta"), "SymPy's derivative by an order that is a whole number is none"),
}
FREE = {"cast", "bitcast", "stop_gradient", "one_hot"}
WITHOUT_OUT = {"concatenate", "argmax", "argmin", "diagonals", "take", "trace"}
FRACTIONS = {
    "mean",
    "lstsq",
    "solve",
    "solve_triangular",
    "det_curvature",
    "softmax_crossentropy",
    "irfft",
    "window_max_gradient",
    "window_max_tangent",
}
"""Linear ops that divide, or take exponentials of what they are not linear in."""
WIDER = {"zeta": "in half precision it is computed in float32 and stays there"}
NEVER_SEEN_TO_RAISE = {"getitem": "a named size may be too small for it", "qr": "LAPACK refuses what no array can be"}
LOOPED = {"one_hot", "top_k"}, {"searchsorted", "dynamic_slice", "dynamic_update_slice"}
"""Ops that are taken apart when they are mapped, and those that a loop goes over."""
PLAIN = [op for op in POINTWISE if set(op.attributes) <= set(op.defaults)]


def _direct(op: Op) -> list[Call]:
    """The calls whose operands and result are looked at as they are, if they are floats and there is something in them."""
    found = [call for call in calls(op) if op.operands and call.case.through is None and call.case.seen is None]
    nodes = [(call, call.node(call.inputs())) for call in found]
    return [call for call, node in nodes if node.op is op and dtypes.is_float(node.dtype) and node.size]


def _floats(call: Call) -> list[int]:
    return [i for i, x in enumerate(call.inputs()) if dtypes.is_float(x.dtype)]


def _respelt(value: Any) -> Any:
    """The same attribute in other numbers and truth values, NumPy's dtypes, and lists."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, int):
        return np.int64(value)
    if isinstance(value, str) and value in DTYPES and value != "bfloat16":
        return np.dtype(value)
    if isinstance(value, float):
        return np.float64(value)
    return [_respelt(item) for item in value] if isinstance(value, tuple) else {"backward": None}.get(value, value)


@every_call
def test_another_spelling_of_an_attribute_comes_to_the_same(call: Call) -> None:
    types = tuple([as_tensor(x).type for x in call.operands(call.inputs())])
    for name, value in (call.op.defaults | dict(call.case.attributes)).items():
        canonical = call.op.canonical[name]
        if canonical.__name__ != "_as_is" and name != "index":
            assert repr(canonical(_respelt(value), types)) == repr(canonical(value, types))  # not ==, for which True is 1


@every_op
def test_defaults_are_those_that_the_signature_shows(op: Op) -> None:
    shown = {name: parameter.default for name, parameter in op.__signature__.parameters.items() if name in op.attributes}
    assert op.defaults == {name: default for name, default in shown.items() if default is not inspect.Parameter.empty}


@every_op
def test_an_op_without_a_gradient_passes_none(op: Op) -> None:
    assert not op.zero_gradient or not any(call.differentiable(call.inputs()) for call in calls(op))


# What a call may do for the values that it gets
def _extremes(inputs: list[Any]) -> Iterator[list[Any]]:
    """Values for the inputs, all floats the same and all integers."""
    for real, whole in itertools.product((math.nan, math.inf, 0.0, -1.0, 0.37), (-(10**6), -1, 0, 1, 10**6)):
        yield [np.full(x.shape, {"f": real, "c": real, "b": whole > 0}.get(np.dtype(x.dtype).kind, whole)).astype(x.dtype) for x in inputs]


def _may_raise(call: Call, dtype: str) -> bool:
    try:
        operands = call.operands(call.inputs(dtype))
        inputs = [gc.input(f"x{i}", x.shape, x.dtype) for i, x in enumerate(operands)]
        result = call.op(inputs, **call.case.attributes) if call.op.variadic else call.op(*inputs, **call.case.attributes)
    except GraphcError:
        return False
    compiled = gc.compile(inputs, list(result) if isinstance(result, tuple) else result, optimize=False)
    for values in _extremes(inputs):
        try:
            compiled(*values)
        except (ValueError, IndexError):
            return True
    return False


@every_op
def test_raises_if_and_only_if_it_says_so(op: Op) -> None:
    """What is taken apart raises where its pieces say so."""
    raised = any(_may_raise(call, dtype) for call in calls(op) for dtype in ("float64", "int64"))
    assert op.raises == (op.name in NEVER_SEEN_TO_RAISE or (raised and op.expand is None))


# Linear operands
def _is_linear(call: Call, moved: list[int]) -> bool:
    """In these operands together, with the others held, near and far."""
    values, others = operands(call), operands(call, seed=1)
    inputs, results = alone(call, values)
    compiled = gc.compile(inputs, results, optimize=False)

    def at(weight: float) -> Any:
        return compiled(*[weight * x + (1 - weight) * y if i in moved else x for i, (x, y) in enumerate(zip(values, others, strict=True))])

    try:
        found = [at(weight) for weight in (0.0, 1.0, 3.0, -40.0)]
    except np.linalg.LinAlgError:
        return False
    return all(
        np.allclose(far, 3 * one - 2 * zero, rtol=1e-6, atol=1e-6) and np.allclose(back, 41 * zero - 40 * one, rtol=1e-6, atol=1e-6)
        for zero, one, far, back in zip(*found, strict=True)
    )


def _numbers(values: list[Any]) -> list[int]:
    """The places of those that can carry a gradient."""
    return [i for i, value in enumerate(values) if dtypes.is_inexact(value.dtype.name)]


@every_op
def test_what_is_linear_says_so(op: Op) -> None:
    """Pointwise ops if they are in all operands together, the others in each that they are linear in."""
    if op.name in NOT_LINEAR or op.zero_gradient:
        assert not op.linear
        return
    found = [(call, operands(call)) for call in calls(op) if call.node(call.inputs()).size and op.operands]
    found = [(call, values) for call, values in found if all(_inexact(y) for y in alone(call, values)[1])]
    for name in op.operands:
        named = [(call, _numbers(values), [i for i, other in enumerate(places(call)) if other == name]) for call, values in found]
        if not all(set(own) <= set(numbers) for _, numbers, own in named):
            assert name not in op.linear, name
            continue
        linear = bool(named) and all(
            _is_linear(call, moved) for call, numbers, own in named for moved in ([numbers] if op.pointwise else [[place] for place in own])
        )
        assert name in op.linear if linear else not op.pointwise or name not in op.linear, name


@pytest.mark.parametrize("op", [op for op in TABLE if op.pointwise and op.reverse], ids=lambda op: op.name)
def test_partials_are_those_of_the_vjp(op: Op) -> None:
    """What an op that has both says of its gradient without its VJP."""
    reaching = [len(call.differentiable(call.inputs())) for call in calls(op)]
    reverse, op.reverse = op.reverse, None
    try:
        assert [len(call.differentiable(call.inputs())) for call in calls(op)] == reaching
        assert not [problem for call in calls(op) for problem in gradient_problems(call, order=1)]
    finally:
        op.reverse = reverse


# Buffers
def _written_over(op: Op, place: int, dtype: str) -> list[bool]:
    """Whether the statement that writes into a buffer is right if that is the operand's own; nothing where the two have other types."""
    rng = np.random.default_rng(0)
    inputs = [gc.input(name, (64,), "bool" if (op.name, name) == ("where", "c") else dtype) for name in op.operands]
    try:
        node = op(*inputs, **op.defaults)
    except GraphcError:
        return []
    if node.inputs != tuple(inputs) or node.dtype != inputs[place].dtype:
        return []
    values = [rng.uniform(0.2, 2.7, 64).astype("int64" if dtype == "bool" else dtype).astype(x.dtype) for x in inputs]
    (expected,) = interpret([node], dict(zip(inputs, values, strict=True)))
    names = {"np": np} | dict(zip(op.operands, values, strict=True))
    holes = {name: name for name in op.operands} | {name: repr(value) for name, value in op.defaults.items()}
    with np.errstate(all="ignore"):
        exec(imports([op]) + helpers([op]) + fill(op.out or "", holes | {"out": op.operands[place]}), names)
    return [np.array_equal(values[place], expected, equal_nan=True)]


@pytest.mark.parametrize("op", [op for op in [*PLAIN, OPS["where"]] if op.out and op in TABLE], ids=lambda op: op.name)
def test_writes_over_the_operands_that_it_may(op: Op) -> None:
    allowed = op.operands if op.inplace is None else op.inplace
    for i, name in enumerate(op.operands):
        right = [found for dtype in ("float64", "int64", "bool") for found in _written_over(op, i, dtype)]
        if name in allowed:
            assert all(right), name
        elif right and (op.name, name) != ("where", "c"):  # a condition is of the result's dtype only where all is bool
            assert not all(right), name


def _called(op: Op) -> Any:
    """The function of NumPy that the source of the op is a call of, if it is nothing else."""
    from scipy import special

    called = re.fullmatch(r"(xp|special)\.(\w+)\(([^()]*)\)", str(op.emit))
    return called and getattr(np if called[1] == "xp" else special, called[2])


def _takes_out(function: Any) -> bool:
    if isinstance(function, np.ufunc) or not callable(function):
        return isinstance(function, np.ufunc)
    try:
        return "out" in inspect.signature(function).parameters
    except ValueError:  # a function in C of NumPy before 2.4
        return "out=None" in (function.__doc__ or "")


def _helper_takes_out(op: Op) -> bool:
    """Whether the source of the op is a call of a function of its own that can write into memory that is there."""
    called = re.match(r"(\w+)\(", str(op.emit))
    return called is not None and re.search(rf"^def {called[1]}\(.*\bout=None", op.helper, re.MULTILINE) is not None


@pytest.mark.parametrize(
    "op",
    [
        op
        for op in TABLE
        if (_takes_out(_called(op)) and op.name not in WITHOUT_OUT) or _helper_takes_out(op) or op.name in ("cast", "where")
    ],
    ids=lambda op: op.name,
)
def test_what_numpy_writes_into_buffers_is(op: Op) -> None:
    call = calls(op)[0]
    assert op.out or call.op.name not in ("cast", "where")
    assert op.out or call.node(call.inputs("int32" if op.pointwise and takes_integers_alone(op) else "float32")).dtype == "bool"


@pytest.mark.parametrize("call", [call for call in CALLS if call.op.out and not call.op.pointwise], ids=str)
def test_what_is_written_into_memory_that_is_there_is_what_is_returned(call: Call) -> None:
    values = operands(call)
    inputs, (y,) = alone(call, values)
    (expected,) = interpret([y], dict(zip(inputs, values, strict=True)))
    names = [f"x{i}" for i in range(len(values))]
    statement = template.call(y, template.in_namespace(template.out_template(y), "np"), names, Written(numpy_dtype_source, {}), out="out")
    found = np.full(expected.shape, 7).astype(expected.dtype)
    with np.errstate(all="ignore"):
        exec(imports([call.op]) + helpers([call.op]) + statement, {"np": np, "out": found} | dict(zip(names, values, strict=True)))
    np.testing.assert_array_equal(found, expected)


# Costs
def _moves(call: Call) -> bool:
    """Whether each element of the result is one of an operand, or 0 or 1."""
    values = call.values()
    return bool(np.all(np.isin(run(call, values), np.concatenate([[0.0, 1.0], *[value.ravel() for value in values]]))))


@every_op
def test_arithmetic_costs_something_and_moving_nothing(op: Op) -> None:
    """An op that is linear and returns what it is given moves it; max and where return it as well, and compare."""
    direct = _direct(op)
    free = all(op.count_flops(call.node(call.inputs())) == 0 for call in direct)
    if direct and not op.pointwise and op.name not in FREE:
        given = {x.label for x in direct[0].inputs() if x.dtype == "float64"}
        assert free == (all(map(_moves, direct)) and (op.variadic or given <= set(op.linear)))
    elif direct:
        assert free == (op.name in FREE)


@pytest.mark.parametrize("op", [op for op in TABLE if op.expand], ids=lambda op: op.name)
def test_costs_a_third_more_than_the_pieces_at_most(op: Op) -> None:
    """Half at least, of the largest call. What NumPy does in one go is free."""
    costs: list[tuple[int, int]] = []
    for call in calls(op):
        node = own(alone(call, operands(call))[1])
        made = op.expand(*node.inputs, **op.keywords(node)) if op.expand else ()
        pieces = toposort(list(made) if isinstance(made, tuple) else [made])
        costs.append((sum(piece.op.count_flops(piece) for piece in pieces if piece.op and piece not in node.inputs), op.count_flops(node)))
        assert costs[-1][1] <= 1.34 * costs[-1][0], str(call)
    pieces, cost = max(costs)
    assert cost >= 0.5 * pieces or op.name in FREE


def _read(node: Tensor) -> float:
    return node.inputs[0].size


def _written(node: Tensor) -> float:
    return node.inputs[1].size


def _each(count: float) -> Any:
    return lambda node: count * node.size


def _cubes(count: float) -> Any:
    """A multiple of m n n, for matrices of m by n (Golub and Van Loan, 2013, and Higham, 2008, Table C.1)."""
    return lambda node: count * node.inputs[0].size * node.inputs[0].shape[-1]


def _triangular(node: Tensor) -> float:
    return node.size * node.inputs[0].shape[-1]


def _transform(node: Tensor) -> float:
    """Five n log n; a real signal half of it."""
    signal = node if not dtypes.is_complex(node.dtype) else node.inputs[0]
    axes = node.attributes.get("axes") or (node.attributes.get("axis"),)
    length = math.prod(signal.shape[axis] for axis in axes)
    return (5 if dtypes.is_complex(signal.dtype) else 2.5) * signal.size * math.log2(length)


def _sorting(node: Tensor) -> float:
    return node.inputs[0].size * math.log2(max(2, node.inputs[0].shape[node.attributes["axis"]]))


_SVD = 21
WORK: dict[str, Any] = {
    **dict.fromkeys(["sum", "max", "min", "argmax", "argmin", "any", "all", "prod", "cumsum", "cumprod", "cummax", "cummin"], _read),
    **dict.fromkeys(("add_at", "add_along_axis", "overlap_add"), _read),
    **dict.fromkeys(("max_at", "min_at"), _written),
    **dict.fromkeys(("window_sum", "window_max"), lambda node: node.size * math.prod(node.attributes["size"])),
    **dict.fromkeys(("conj", "angle", "where"), _each(1)),
    **dict.fromkeys(("clip", "recurrence"), _each(2)),
    "norm": lambda node: 5 * _read(node),  # abs, max, /, square, sum
    "window_ties": _each(5),
    **dict.fromkeys(
        ("window_max_gradient", "window_max_tangent"), lambda node: 2 * node.inputs[2].size * math.prod(node.attributes["size"])
    ),
    "logcumsumexp": _each(10),  # logaddexp
    "trace": lambda node: node.size * node.inputs[0].shape[node.attributes["axis1"]],
    **dict.fromkeys(("matmul", "moved_product"), lambda node: 2 * node.size * node.inputs[0].shape[-1]),
    "turned_product": lambda node: 2 * node.size * node.inputs[0].shape[-2 if node.attributes["left"] else -1],
    "convolution": lambda node: 2 * node.size * math.prod(node.inputs[1].shape[:-1]),
    "convolution_kernel_gradient": lambda node: 2 * node.inputs[1].size * math.prod(node.shape[:-1]),
    "random_bits": _each(20 * 5 + 6 * 2),  # rounds of five, and keys
    **dict.fromkeys(("sort", "argsort"), _sorting),
    "searchsorted": lambda node: node.size * math.log2(1 + _read(node)),
    **dict.fromkeys(("fft", "rfft", "irfft"), _transform),
    "solve": lambda node: _cubes(2 / 3)(node) + 2 * _triangular(node),
    "solve_triangular": _triangular,
    "inv": _cubes(2),
    **dict.fromkeys(("det", "slogdet"), _cubes(2 / 3)),
    "cholesky": _cubes(1 / 3),
    "qr": _cubes(8 / 3),
    "svd": _cubes(_SVD),
    "svdvals": _cubes(8 / 3),
    "lstsq": _cubes(_SVD),
    "pinv": _cubes(_SVD + 2),
    "cofactors": _cubes(_SVD + 2 * 2 / 3 + 2),
    "det_curvature": _cubes(_SVD + 2 * 2 / 3 + 4 * 2),
    "eigh": _cubes(9),
    "eigvalsh": _cubes(4 / 3),
    "expm": _cubes(6 * 2 + 8 / 3 + 3 * 2),  # six products, a system, and a matrix squared three times
    **dict.fromkeys(["erf", "erfc", "erfinv", "ndtr", "lgamma", "digamma", "i0", "i1"], _each(20)),  # SciPy's series, in round numbers
    **dict.fromkeys(("zeta", "bessel_i"), _each(40)),
    "betaln": _each(3 * 20),
    "polygamma_rise": _each(3 * 40),
}
"""What ops with a form of their own cost, counted apart from their records. Pointwise ones cost a unit for each sign in their source,
and what is neither here nor pointwise is free: it moves or makes numbers."""


def _signs(node: Tensor) -> float:
    return node.size * len(re.findall(r"xp\.\w+\(| (?:[-+*/]|==) ", str(node.op and node.op.emit)))


@pytest.mark.parametrize("op", [op for op in TABLE if op.expand is None], ids=lambda op: op.name)
def test_costs_what_is_counted_by_half(op: Op) -> None:
    """Of the largest call between two thirds and one and a half."""
    nodes = [own(alone(call, operands(call))[1]) for call in calls(op)]
    counted, cost = max((WORK.get(op.name, _signs if op.pointwise else _each(0))(node), op.count_flops(node)) for node in nodes)
    assert counted / 1.501 <= cost <= 1.501 * counted


@pytest.mark.parametrize("op", [op for op in TABLE if op.linear and not op.pointwise and op.group != "fft"], ids=lambda op: op.name)
def test_costs_what_the_jacobian_does_at_most(op: Op) -> None:
    """A sum adds once for each entry that is not 0, a product of two operands multiplies as well; unless there is padding in all calls."""
    found: list[bool] = []
    for call in _direct(op):
        inputs, values, floats = call.inputs(), call.values(), _floats(call)
        cost = op.count_flops(call.node(inputs))
        if cost and op.name not in ("add_at", "add_along_axis") and all(call.names[i].rstrip("0123456789") in op.linear for i in floats):
            compiled = gc.compile(inputs, call.node(inputs), optimize=False)
            found.append(cost <= _entries(compiled, values, floats[0]) * min(2, len(floats)))
    assert not found or any(found)


def _entries(compiled: Any, values: list[Any], place: int) -> int:
    """How many entries of the Jacobian by this operand are not 0."""
    found = 0
    for index in np.ndindex(values[place].shape):
        moved = [value.copy() for value in values]
        moved[place][index] += 1
        found += int(np.count_nonzero(np.abs(compiled(*moved) - compiled(*values)) > 1e-12))
    return found


# Units
def _units(call: Call) -> float:
    exact, found = np.asarray(run(call, call.values())), np.asarray(run(call, call.values("float32"), call.inputs("float32")))
    if not dtypes.is_float(exact.dtype.name) or not exact.size:
        return 0.0
    return float(np.max(np.abs(found - exact)) / (np.finfo(np.float32).eps * max(1.0, float(np.max(np.abs(exact))))))


@every_op
def test_units_are_not_lax(op: Op) -> None:
    """Twenty times what is seen at most; 64 for what adds up rounding errors, whose small calls show few."""
    assert op.ulps >= 0.5, "float32 itself is not better"
    if op in SMOOTH:
        seen = max([worst_units(op, None)[0], *[worst_units(op, i)[0] / 4 for i, partial in enumerate(op.partials) if callable(partial)]])
        assert op.ulps <= max(4, 20 * seen)
    else:
        assert op.ulps <= max(64, 20 * max(map(_units, calls(op))))


# Kinks
_GRIDS = {
    1: [np.linspace(-6, 6, 49)],
    2: [np.array([-2, -1, 0, 0.5, 1, 2])] * 2,
    3: [np.array([-2, -1, -0.5, 0, 0.5, 1, 2]), np.array([-1.0, 0]), np.array([1.0, 2])],
}


def _bends(at: Any, points: Any, direction: Any) -> tuple[Any, Any]:
    """Where two slopes meet, and where the function jumps or is not defined on both sides.

    The second difference of a smooth function falls to a quarter when the step is halved, at a kink to a half.
    """
    far, near = (np.array([at(points + k * h * direction) for k in (-1, 0, 1)]) for h in (1e-6, 5e-7))
    second = np.abs(far[0] - 2 * far[1] + far[2]), np.abs(near[0] - 2 * near[1] + near[2])
    broken = ~np.isfinite(far).all(axis=0) | (np.ptp(far, axis=0) > 1e-3)
    return ~broken & (second[0] > 1e-8) & (second[1] > 0.375 * second[0]), broken


def _holes(op: Op, points: Any) -> Any:
    """Where a slope is a number, and beside it as large as the point is near."""
    inputs = [gc.input(name, (len(points),), "float64") for name in op.operands]
    y = op(*inputs, **op.defaults)
    slopes = gc.compile(inputs, vjp(y, inputs, gc.ones_like(y), disconnected="zero"), optimize=False)
    with np.errstate(all="ignore"):
        here, beside = [np.abs(slopes(*(points + step).T)).max(axis=0) for step in (0, 1e-7)]
    return (here < 1e2) & (beside > 1e5)


@pytest.mark.parametrize("op", [op for op in SMOOTH if None not in op.partials], ids=lambda op: op.name)
def test_kinks_are_where_two_slopes_meet(op: Op) -> None:
    points = np.array(list(itertools.product(*_GRIDS[len(op.operands)])))
    met, broken, declared = np.zeros((3, len(points)), bool)
    for attributes in [dict(call.case.attributes) for call in calls(op)]:
        inputs = [gc.input(name, (len(points),), "float64") for name in op.operands]
        compiled = gc.compile(inputs, op(*inputs, **attributes), optimize=False)
        with np.errstate(all="ignore"):
            for direction in itertools.product((0.0, 1.0, -1.0), repeat=len(op.operands)):
                here, there = _bends(lambda p, f=compiled: f(*p.T), points, np.array(direction))
                met, broken = met | here, broken | there
        if op.kinks:
            declared = declared | gc.compile(inputs, op.kinks(*inputs, **op.defaults | attributes), optimize=False)(*points.T)
    assert not np.any(met & ~declared), points[met & ~declared]
    assert not np.any(declared & ~met & ~broken), points[declared & ~met & ~broken]
    holes = _holes(op, points)
    assert not np.any(holes & ~declared), points[holes & ~declared]


# Laws
def _numerically(op: Op, law: Any) -> bool:
    values = _law_operands(op)
    tensors = [gc.input(name, (4,), value.dtype) for name, value in zip("abc", values, strict=True)]
    try:
        left, right = _law_holds(op, law, *tensors)
    except GraphcError:
        return False
    if left.dtype != right.dtype or (law != "commutative" and left.dtype != tensors[0].dtype):
        return False
    found = gc.evaluate([left, right], dict(zip(tensors, values, strict=True)), optimize=False)
    return bool(np.all(np.isfinite(found)) and np.allclose(*found, rtol=1e-13, atol=0))


@pytest.mark.parametrize("op", [op for op in PLAIN if len(op.operands) < 3], ids=lambda op: op.name)
def test_every_law_that_holds_is_declared(op: Op) -> None:
    if len(op.operands) == 1:
        laws: list[Any] = ["involution", "idempotent"]
    else:
        numbers = (0, 1) if _law_operands(op)[0].dtype == bool else (0, 1, -1)
        laws = ["commutative", "associative", "idempotent", *itertools.product(("unit", "right unit", "zero"), numbers)]
    known = {*op.laws, *[law for name, law in LAWLESS if name == op.name]}
    for law in laws:
        assert law not in op.laws or (op.name, law) not in LAWLESS, law
        implied = law[0] == "right unit" and ("unit", law[1]) in known
        assert law in known or implied or not _numerically(op, law), law


@pytest.mark.parametrize("op", [op for op in TABLE if op.group == "complex_numbers" and len(op.operands) == 1], ids=lambda op: op.name)
def test_laws_of_complex_numbers_are_declared(op: Op) -> None:
    z = np.array([1 + 2j, -0.5 - 3j, 0.25j, 4])
    x = gc.input("z", z.shape, "complex128")
    inverse = dtypes.is_complex(op(x).dtype) and np.array_equal(gc.evaluate(op(op(x)), {x: z}, optimize=False), z)
    assert inverse == ("involution" in op.laws)


# Dtypes
def _computed_in(op: Op, mixture: tuple[str, ...]) -> Any:
    """The dtypes that the operands of a node have, or the kind of error."""
    inputs = [gc.input(name, (), dtype) for name, dtype in zip(op.operands, mixture, strict=True)]
    try:
        return {x.dtype for x in op(*inputs, **op.defaults).inputs}
    except gc.errors.DTypeError:
        return gc.errors.DTypeError


@pytest.mark.parametrize("op", PLAIN, ids=lambda op: op.name)
def test_kernels_see_the_one_dtype_that_compute_says(op: Op) -> None:
    for mixture in itertools.product(("bool", "int8", "int64", "float32", "complex64"), repeat=len(op.operands)):
        try:
            met = functools.reduce(dtypes.promote, mixture)
            expected: Any = {op.compute(met) if op.compute else met}
        except gc.errors.DTypeError:
            expected = gc.errors.DTypeError
        found = _computed_in(op, mixture)
        assert found in (expected, gc.errors.DTypeError), mixture


@pytest.mark.parametrize("op", [op for op in PLAIN if numpys(op) and op.name not in OTHER_DTYPES], ids=lambda op: op.name)
def test_whole_numbers_that_no_float_holds_are_numpys(op: Op) -> None:
    values = [np.array([2**53 + 1, 2**53, 3]), np.array([2**53, 2**53 + 1, 2]), np.array([2**53 + 3, 2**53 + 2, 5])][: len(op.operands)]
    inputs = [gc.input(name, (3,), "int64") for name in op.operands]
    if not op.zero_gradient or op(*inputs).dtype == "bool":
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(_evaluated(op, inputs, *values), numpys(op)(*values))


@every_op
def test_floats_keep_their_width(op: Op) -> None:
    """float16 and bfloat16 become float32 where they come near complex numbers, which have no half."""
    for call in _direct(op) if "dtype" not in op.attributes and op.name not in WIDER else []:
        for dtype in ("float16", "bfloat16", "float32"):
            allowed = {dtype, "float32"} if op.group in ("complex_numbers", "fft") else {dtype}
            try:
                found = call.node(call.inputs(dtype)).dtype
            except gc.errors.DTypeError:
                continue
            assert found in allowed


@pytest.mark.parametrize("call", [call for call in NUMPYS if call.op.name not in OTHER_DTYPES], ids=str)
@pytest.mark.parametrize("dtype", ["float16", "int8", "int32", "uint8", "bool"])
def test_small_calls_return_numpys_dtypes(call: Call, dtype: str) -> None:
    values = [np.abs(value).astype(value.dtype) if value.dtype != bool else value for value in call.values(dtype)]
    ours = _attempt(lambda: np.zeros(0, dtypes.numpy_dtype(call.node(call.inputs(dtype)).dtype)))
    try:
        assert ours == _attempt(lambda: call_numpy(call, values))
    except np.linalg.LinAlgError:  # the values are no matrix that has an inverse
        return


NOT_POINTWISE = [op for op in TABLE if not op.pointwise and op.operands]


def _real(node: Tensor) -> str:
    return dtypes.real(node.dtype)


@pytest.mark.parametrize("op", NOT_POINTWISE, ids=lambda op: op.name)
@pytest.mark.parametrize("other", ["float32", "int32"])
def test_numbers_of_two_dtypes_are_refused_or_meet(op: Op, other: str) -> None:
    for call in calls(op):
        values = operands(call)
        numbers = _numbers(values)
        for place in numbers if len(numbers) > 1 else []:
            mixed = [value.astype(other) if i == place else value for i, value in enumerate(values)]
            try:
                inputs, results = alone(call, mixed)
            except GraphcError:
                continue
            assert {own(results).inputs[i].dtype for i in numbers} == {"float64"}
            for found, result in zip(gc.compile(inputs, results)(*mixed), results, strict=True):
                assert found.dtype == result.dtype
                assert _real(result) == "float64" or not _inexact(result)


@every_op
def test_results_and_kernels_are_as_wide_as_the_operands(op: Op) -> None:
    for call, dtype in itertools.product(calls(op), ("float32", "float64")):
        values = operands(call, dtype)
        inputs, results = alone(call, values)
        assert not op.operands or {_real(x) for x in own(results).inputs if _inexact(x)} <= {dtype}
        for found, result in zip(gc.compile(inputs, results, optimize=False)(*values), results, strict=True):
            assert (found.dtype.name, found.shape) == (result.dtype, result.shape)


@pytest.mark.parametrize("op", [op for op in NOT_POINTWISE if op.group == "fft"], ids=lambda op: op.name)
def test_complex_signals_are_refused_or_computed(op: Op) -> None:
    for call in calls(op):
        values = [value + 1j for value in operands(call)]
        try:
            inputs, results = alone(call, values)
        except gc.errors.DTypeError:
            continue
        assert gc.compile(inputs, results)(*values)[0].dtype == results[0].dtype


@pytest.mark.parametrize("op", NOT_POINTWISE, ids=lambda op: op.name)
def test_whole_numbers_give_what_floats_do(op: Op) -> None:
    """Or they are refused. Sums and products of them are whole numbers."""
    for call, dtype in itertools.product(calls(op), ("int32", "bool") if op.group == "pooling" else ("int32",)):
        values = [value.real for value in operands(call)]
        numbers = _numbers(values)
        floats = [
            (np.round(3 * value) if dtype == "int32" else np.float64(value > 0)) if i in numbers else value
            for i, value in enumerate(values)
        ]
        whole = [value.astype(dtype) if i in numbers else value for i, value in enumerate(floats)]
        try:
            inputs, results = alone(call, whole)
            found, expected = gc.compile(inputs, results)(*whole), gc.compile(*alone(call, floats))(*floats)
        except (GraphcError, np.linalg.LinAlgError):
            continue
        for result, ours, theirs in zip(results, found, expected, strict=True):
            assert ours.dtype == result.dtype
            rough = 1e-3 if ours.dtype == "float16" else 1e-9
            np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=rough, atol=rough)  # vectors have any sign
            assert not op.linear or op.name in FRACTIONS or not dtypes.is_float(result.dtype), str(call)


@pytest.mark.parametrize("op", [op for op in [*PLAIN, OPS["where"]] if op in TABLE and op.operands], ids=lambda op: op.name)
def test_complex_numbers_are_refused_or_have_a_gradient(op: Op) -> None:
    """Along a direction: by differences, forward, and backward."""
    rng = np.random.default_rng(2)
    inputs = [gc.input(name, (3,), "bool" if name == "c" else "complex128") for name in op.operands]
    try:
        node = op(*inputs, **op.defaults)
    except gc.errors.DTypeError:
        return
    wrt = [x for x in inputs if node in ancestors_through(toposort([node]), [x], carries) and dtypes.is_inexact(x.dtype)]
    if not wrt:
        assert op.name not in UNORDERED
        gc.compile(inputs, node, optimize=False)(*[np.array([0.5 + 1j, -2j, 3])] * len(inputs))
        return
    values = [rng.uniform(0.3, 0.9, 3) + 1j * rng.uniform(0.1, 0.6, 3) if _inexact(x) else np.array([True, False, True]) for x in inputs]
    ways = [rng.normal(size=3) + 1j * rng.normal(size=3) for _ in wrt]
    g = rng.normal(size=3) + (1j * rng.normal(size=3) if dtypes.is_complex(node.dtype) else 0)
    run = gc.compile(inputs, [node, gc.jvp(node, wrt, ways), *vjp(node, wrt, g)], optimize=False)
    _, forward, *backward = run(*values)

    def at(step: float) -> Any:
        return run(*[value + step * ways[wrt.index(x)] if x in wrt else value for x, value in zip(inputs, values, strict=True)])[0]

    np.testing.assert_allclose(forward, (at(1e-6) - at(-1e-6)) / 2e-6, rtol=1e-6, atol=1e-8)
    assert math.isclose(_inner(g, forward), sum(_inner(share, way) for share, way in zip(backward, ways, strict=True)), rel_tol=1e-9)


OR = {"recurrence", "einsum", "add_at", "add_along_axis", "moved_product", "turned_product"}
"""They add truth values up as NumPy does, whose sum of two of them is their or."""
PREDICATES = [
    op
    for op in PLAIN
    if op.name not in UNORDERED and not takes_integers_alone(op) and op(*[np.zeros(2)] * len(op.operands)).dtype == "bool"
]


@pytest.mark.parametrize("op", PREDICATES, ids=lambda op: op.name)
def test_predicates_take_complex_numbers_as_they_are(op: Op) -> None:
    values = [np.array([math.nan + 1j, 2j, 1 - math.inf * 1j, 0]), np.array([1j, 2j, 0, 0])][: len(op.operands)]
    inputs = [gc.input(name, (4,), "complex128") for name in op.operands]
    np.testing.assert_array_equal(_evaluated(op, inputs, *values), numpys(op)(*values))


@pytest.mark.parametrize("op", [op for op in TABLE if op.operands and (not op.pointwise or op in PLAIN)], ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_what_is_moved_keeps_its_dtype_and_what_is_added_up_is_no_truth_value(op: Op, dtype: str) -> None:
    for call in calls(op) if "dtype" not in op.attributes and numpys(op) is None else []:
        floats = operands(call, "float32")
        if any(np.iscomplexobj(value) for value in floats):
            continue
        others = [value.astype(dtype) if i in _numbers(floats) else value for i, value in enumerate(floats)]
        try:
            kept, found = alone(call, floats)[1][0].dtype, alone(call, others)[1][0].dtype
        except (GraphcError, ValueError):
            continue
        if _numbers(floats) and kept == "float32":
            assert found == dtype if op.flops == 0 else op.name in OR or not (op.linear and found == "bool")


# vmap and SymPy
@pytest.mark.parametrize("op", [op for op in TABLE if op.operands and not op.pointwise], ids=lambda op: op.name)
def test_stays_one_op_when_it_is_mapped(op: Op) -> None:
    for call in [call for call in MAPPABLE if call.op is op]:
        stacks = [gc.input(x.label, (3, *x.shape), x.dtype) for x in call.inputs()]
        mapped = gc.vmap(lambda *xs, call=call: call.node(xs))(*stacks)
        ops = [node.op for node in toposort([mapped])]
        assert (op in ops) == (op.name not in {*LOOPED[0], *LOOPED[1]})
        assert (OPS["scan"] in ops) == (op.name in LOOPED[1])


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_smooth_ops_have_a_sympy_form(op: Op) -> None:
    assert bool(op.sympy) != (op.name in WITHOUT_SYMPY)


# Formulas
WORDS = set(re.findall(r"\S+", "if else and or not xor i log exp max min arg tr adj arange H I_ σ Φ ψ ζ Σ Π"))
WORDS |= {"onehot", "softmax", "crossentropy", "sech²"}
_BOUND = [
    (4, r" (==|!=|<=|>=|<|>|and|or|xor) |^not |^\\neg | (=|\\ne|\\le|\\ge|\\wedge|\\vee) "),
    (3, r" [+\-&|^] | << | >> |\\mathbin|\\mid |\\ll |\\gg "),
    (2, r" [⊙/·∗⋆] | \\odot | \\, | \\ast | \\star |^[-~ΣΠ] ?\$|^\{\\sim\}|^\\(sum|prod|log) \$|\^\{[^}]*\} \$"),
    (1, r"^√|\$\w+(²|ᵀ|⁻¹|⁺|\^)"),
]


def _outside(template: str) -> str:
    """The template without what stands in brackets."""
    while True:
        rest = re.sub(r"\\begin.*\\end|\([^()]*\)|\[[^\[\]]*\]|(?<!\^)(?<!_)\{(?!\\sim)[^{}]*\}|⌊[^⌋]*⌋", "", template)
        if rest == template:
            return rest
        template = rest


def _binds(template: str) -> int:
    return next((level for level, signs in _BOUND if re.search(signs, _outside(template))), 0)


@every_op
def test_a_formula_binds_as_its_weakest_sign(op: Op) -> None:
    assert op.binds == max(_binds(op.text), _binds(op.tex)), (_binds(op.text), _binds(op.tex))


@every_op
def test_a_formula_says_the_name_and_the_operands_in_order(op: Op) -> None:
    assert set(re.findall(r"(?<![$\w])[a-zA-Zα-ωΑ-Ω]\w*", op.text)) <= WORDS | {op.name}
    if re.match(r"\w+\(", op.text):
        assert [hole for hole in re.findall(r"\$(\w+)", op.text) if hole in op.operands] == list(op.operands)


@pytest.mark.parametrize("op", NOT_POINTWISE, ids=lambda op: op.name)
def test_a_formula_has_the_operands_in_order(op: Op) -> None:
    """Of pointwise ones the sense is tested."""
    if op.name == "sparse_softmax_crossentropy":  # an index stands behind what it picks from
        assert op.text.endswith("[$labels]")
        return
    assert list(dict.fromkeys(hole for hole in re.findall(r"\$(\w+)", op.text, re.ASCII) if hole in op.operands)) == list(op.operands)


@pytest.mark.parametrize("op", [op for op in TABLE if op.name == "complex"], ids=lambda op: op.name)
def test_the_formula_of_a_complex_number_is_one(op: Op) -> None:
    assert eval(op.text.replace("i $b", "1j * b").replace("$a", "a"), {"a": 1.5, "b": -2.0}) == gc.evaluate(op(1.5, -2.0))


_SIGNS = {"⊙": "*", "²": "**2", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "σ": "expit", "Φ": "ndtr", "ψ": "digamma"}


@pytest.mark.parametrize(
    "op", [op for op in PLAIN if not re.match(rf"{op.name}\(|crossentropy|\S*\$n|ζ|σ'", op.text)], ids=lambda op: op.name
)
def test_a_formula_that_is_read_back_is_the_op(op: Op) -> None:
    """The signs as Python has them, one number at a time."""
    from scipy import special

    text = re.sub(r"√\$(\w+)", r"sqrt($\1)", op.text)
    text = text.replace("sech²($x)", "(1 / cosh($x)²)")
    text = re.sub(r"\|(\$\w+)\|", r"abs(\1)", text).replace(" xor ", " != ")
    for sign, spelling in _SIGNS.items():
        text = text.replace(sign, spelling)
    text = re.sub(r"(?<=\w)\^(?=[\w$(])", "**", text).replace("$", "")
    operands = [(value % 7 if value.dtype == np.int64 else value)[:2].tolist() for value in _law_operands(op)]
    names = (
        {name: getattr(np, name) for name in ("sqrt", "log", "exp", "floor", "ceil", "cosh")}
        | vars(special)
        | {"max": max, "min": min, "abs": abs}
    )
    for values in zip(*operands[: len(op.operands)], strict=True):
        expected = gc.evaluate(op(*[constant(value) for value in values]))
        np.testing.assert_allclose(eval(text, names, dict(zip(op.operands, values, strict=True))), expected, rtol=1e-6)


# ---------------------------------------------------------------- illegal calls
def _three_parts(error: GraphcError, name: str) -> bool:
    return error.asked.startswith(f"{name}(") and bool(error.given) and bool(error.fits)


BROADCASTING = [op for op in POINTWISE if len(op.operands) > 1]


@pytest.mark.parametrize("op", BROADCASTING, ids=lambda op: op.name)
def test_sizes_that_do_not_broadcast_are_refused(op: Op) -> None:
    inputs = [gc.input(name, (2 + i,), "int32" if takes_integers_alone(op) else "float32") for i, name in enumerate(op.operands)]
    with pytest.raises(gc.errors.ShapeError) as caught:
        op(*inputs)
    assert _three_parts(caught.value, op.name)
    assert "sizes 2 and 3" in str(caught.value)
    assert "test_table.py:" in str(caught.value)


@every_op
def test_a_misspelt_attribute_is_named(op: Op) -> None:
    call = calls(op)[0]
    inputs = call.operands(call.inputs())
    wrong = (next(iter(op.attributes)) if op.attributes else "axis") + "s"
    with pytest.raises((gc.errors.ArgumentError, TypeError), match=wrong):
        op(list(inputs) if op.variadic else inputs[0], **{wrong: 0}) if op.operands else op(**{wrong: 0})


AXES = [op for op in TABLE if "axis" in op.attributes and op.cases and op.name not in ("narrow", "widen", "add_at")]


@pytest.mark.parametrize("op", AXES, ids=lambda op: op.name)
def test_an_axis_that_is_not_there_is_refused(op: Op) -> None:
    call = next(call for call in calls(op) if call.case.shapes[0])
    attributes = dict(call.case.attributes) | {"axis": 7}
    inputs = call.operands(call.inputs())
    with pytest.raises(gc.errors.ArgumentError, match="there is no axis 7") as caught:
        op(list(inputs), **attributes) if op.variadic else op(*inputs, **attributes)
    assert _three_parts(caught.value, op.name)


@pytest.mark.parametrize("op", [op for op in TABLE if any(c.integers for c in op.cases)], ids=lambda op: op.name)
def test_indices_that_are_floats_are_refused(op: Op) -> None:
    call = calls(op)[0]
    inputs = [gc.input(x.label, x.shape, "float32") for x in call.inputs()]
    with pytest.raises((gc.errors.DTypeError, gc.errors.ShapeError)) as caught:
        call.node(inputs)
    assert _three_parts(caught.value, op.name)


@every_op
def test_what_is_no_tensor_is_refused(op: Op) -> None:
    if not op.operands:
        pytest.skip("it takes no tensor")
    call = calls(op)[0]
    bad = [object() for _ in call.operands(call.inputs())]
    with pytest.raises(gc.errors.GraphcError):
        op(bad, **call.case.attributes) if op.variadic else op(*bad, **call.case.attributes)


def test_check_op_passes_for_a_good_op_and_fails_for_a_wrong_partial() -> None:
    good = check_op(OPS["tanh"])
    assert good
    assert "0 failures" in str(good)
    exp = OPS["exp"]
    partials, exp.partials = exp.partials, (lambda y, x: x,)
    try:
        bad = check_op(exp)
    finally:
        exp.partials = partials
    assert not bad
    assert "most likely at fault: exp" in str(bad)


# ---------------------------------------------------------------- indices and memory
INDEXED = [call for call in CALLS if "indices" in call.op.operands and (call.op.raises or call.op.name == "flat_index")]


@pytest.mark.parametrize("call", INDEXED, ids=str)
def test_indices_are_good_up_to_their_bounds_and_no_further(call: Call) -> None:
    inputs, values = call.inputs(), call.values()
    assert call.op.bounds is not None
    found = list(call.op.bounds(call.node(inputs)))
    assert [index for index, _ in found] == [x for x, name in zip(inputs, call.names, strict=True) if name.startswith("indices")]
    for index, size in found:
        place = next(i for i, x in enumerate(inputs) if x is index)
        for number, fits in ((size - 1, True), (-size, True), (size, False), (-size - 1, False)):
            tried = [value.copy() for value in values]
            tried[place].flat[:1] = number
            if fits or not tried[place].size or not call.op.raises:
                run(call, tried)
            else:
                with pytest.raises(IndexError):
                    run(call, tried)


@pytest.mark.parametrize("op", [OPS["getitem"]], ids=["getitem"])
def test_whole_numbers_of_an_index_are_held_against_named_sizes(op: Op) -> None:
    y = gc.input("x", ("n", 4, "m"))[2, :, -1]
    n, m = y.inputs[0].shape[0], y.inputs[0].shape[2]
    assert y.op is op
    assert op.bounds is not None
    assert list(op.bounds(y)) == [(2, n), (-1, m)]


_PLAIN = {"strides": (1, 1), "padding": ((0, 0),) * 2, "input_dilation": (1, 1), "kernel_dilation": (1, 1), "groups": 1}
LARGE: dict[str, tuple[Any, ...]] = {
    "convolution": ((8, 64, 64, 8), (3, 3, 8, 128), _PLAIN | {"strides": (2, 2)}),
    "convolution_kernel_gradient": ((8, 64, 64, 8), (8, 62, 62, 128), _PLAIN | {"taps": (3, 3)}),
    "max": ((20_000, 16), {"axis": -1}),
    "min": ((100, 200, 16), {"axis": -1, "keepdims": True}),
}
"""For each op that needs memory while it works, shapes of operands with which that is far more than what Python needs."""


@pytest.mark.parametrize("op", [op for op in TABLE if op.scratch or op.name in LARGE], ids=lambda op: op.name)
def test_what_a_call_allocates_beside_operands_and_result_is_foreseen(op: Op) -> None:
    *shapes, attributes = LARGE[op.name]
    inputs = [gc.input(name, shape) for name, shape in zip(op.operands, shapes, strict=True)]
    y = op(*inputs, **attributes)
    step = gc.compile(inputs, y)
    values = [np.ones(shape, np.float32) for shape in shapes]
    step(*values)
    tracemalloc.start()
    try:
        result = step(*values)
        allocated = tracemalloc.get_traced_memory()[1] - result.nbytes
    finally:
        tracemalloc.stop()
    assert op.scratch is not None
    assert 0.5 < allocated / op.scratch(y) < 1.1
