"""Compiled functions: updates, outputs, buffers, threads, sizes. What they return is what the plain interpreter returns."""

import gc as collector
import inspect
import linecache
import threading
import traceback
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import Tensor
from graphc.core.expr import Input
from graphc.lower import assign, emit_numpy, expand, interpret, schedule
from graphc.lower.targets.numpy import KEPT
from graphc.pipeline import OPTIMISATIONS

both = pytest.mark.parametrize("backend", ["numpy", "jax"])
rng = np.random.default_rng(0)


def check(inputs: list[Input], outputs: list[Tensor], *values: Any) -> str:
    """The compiled function equals the interpreter, also with every buffer full of NaN. Returns the source without rewrites."""
    expected = interpret(outputs, dict(zip(inputs, values, strict=True)))
    source = ""
    for without in (["rules"], [], [*OPTIMISATIONS]):
        run = gc.compile(inputs, outputs, without=without)
        for _ in range(2):  # the second call finds used buffers
            for found, exact in zip(run(*values), expected, strict=True):
                np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-12)
        source = source or run.source
    for found, exact in zip(poisoned(inputs, outputs, values), expected, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-12)
    return source


class _Poison:
    """NumPy, but what ``empty`` returns is full of what no result should contain."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: Any, dtype: Any) -> Any:
        kind = np.dtype(dtype).kind
        return np.full(shape, np.nan if kind == "f" else True if kind == "b" else 77, dtype)


def poisoned(inputs: list[Input], outputs: list[Tensor], values: Any) -> Any:
    """The emitted source, run with buffers that start as NaN."""
    plan = schedule(inputs, expand(outputs, "numpy"), {})
    source = emit_numpy(plan, assign(plan))
    namespace: dict[str, Any] = {}
    exec(source.text, namespace)
    namespace["np"] = _Poison()
    step = namespace["make"](*[np.shape(values[0])[0]] * len(source.sizes), *[c.value for c in source.constants])
    return step(*values)


# ---------------------------------------------------------------- updates
@both
def test_updates_read_the_values_from_before_the_call(backend: str) -> None:
    a, b = gc.variable(np.float32([1, 2]), "a"), gc.variable(np.float32([3, 4]), "b")
    swap = gc.compile([], [a * 1, b], updates={a: b, b: a}, backend=backend)
    old_a, old_b = swap()
    np.testing.assert_array_equal(old_a, [1, 2])
    np.testing.assert_array_equal(old_b, [3, 4])
    np.testing.assert_array_equal(a.value, [3, 4])
    np.testing.assert_array_equal(b.value, [1, 2])
    swap()
    np.testing.assert_array_equal(a.value, [1, 2])


@both
def test_a_rotation_of_three_and_a_scale(backend: str) -> None:
    a, b, c = (gc.variable(np.float64([i]), name) for i, name in enumerate("abc"))
    turn = gc.compile([], [], updates={a: b * 2, b: c * 2, c: a * 2}, backend=backend)
    turn()
    turn()
    assert [float(v.value[0]) for v in (a, b, c)] == [8, 0, 4]


@both
def test_each_update_sees_the_old_values_whatever_the_order(backend: str) -> None:
    x = gc.input("x", (3,), "float64")
    w, m = gc.variable(np.ones(3), "w"), gc.variable(np.zeros(3), "m")
    step = gc.compile([x], [gc.sum(w), gc.sum(m)], updates={m: 0.9 * m + x, w: w - 0.1 * m}, backend=backend)
    values_w, values_m = np.ones(3), np.zeros(3)
    for point in rng.normal(size=(4, 3)):
        sums = step(point)
        np.testing.assert_allclose([float(s) for s in sums], [values_w.sum(), values_m.sum()])
        values_w, values_m = values_w - 0.1 * values_m, 0.9 * values_m + point
    np.testing.assert_allclose(w.value, values_w)
    np.testing.assert_allclose(m.value, values_m)


@both
@pytest.mark.parametrize("kept_first", [True, False])
def test_an_update_that_keeps_part_of_the_variable(kept_first: bool, backend: str) -> None:
    """``where`` writes its second branch first, so it must not write over a variable that is the first one."""
    c, x = gc.input("c", (4,), "bool"), gc.input("x", (4,), "float64")
    w = gc.variable(np.array([1.0, 2, 3, 4]), "w")
    gc.compile([c, x], [], updates={w: gc.where(c, w, x) if kept_first else gc.where(c, x, w)}, backend=backend)(
        [True, False, True, False], [9.0, 9, 9, 9]
    )
    np.testing.assert_array_equal(w.value, [1, 9, 3, 9] if kept_first else [9, 2, 9, 4])


@pytest.mark.parametrize(
    "build",
    [
        lambda w: w.T,
        lambda w: w + w.T,
        lambda w: w @ w,
        lambda w: w[::-1],
        lambda w: gc.where(w > w.T, w.T, w),
        lambda w: gc.where(w.T > 0, w, -w.T),
    ],
)
def test_an_update_that_reads_views_of_what_it_writes(build: Any) -> None:
    w = gc.variable(rng.normal(size=(3, 3)), "w")
    before = w.value
    (expected,) = interpret([build(w)], {w: before})
    for optimize in (False, True):
        w.assign(before)
        gc.compile([], [], updates={w: build(w)}, optimize=optimize)()
        np.testing.assert_allclose(w.value, expected)


def test_a_value_that_updates_two_variables_and_leaves() -> None:
    x = gc.input("x", (2,), "float64")
    a, b = gc.variable(np.zeros(2), "a"), gc.variable(np.zeros(2), "b")
    y = gc.exp(x) * 2
    out = gc.compile([x], y, updates={a: y, b: y})([0.0, 0.0])
    out[:] = 7
    a.value = a.value + 1
    np.testing.assert_array_equal(a.value, [3, 3])
    np.testing.assert_array_equal(b.value, [2, 2])


def test_an_update_to_a_constant_and_to_an_input() -> None:
    x = gc.input("x", (2,), "float64")
    a, b = gc.variable(np.ones(2), "a"), gc.variable(np.ones(2), "b")
    step = gc.compile([x], [], updates={a: gc.zeros((2,), "float64"), b: x})
    value = np.array([5.0, 6.0])
    step(value)
    value[:] = 0
    np.testing.assert_array_equal(a.value, [0, 0])
    np.testing.assert_array_equal(b.value, [5, 6])
    step(value)
    np.testing.assert_array_equal(b.value, [0, 0])


def test_a_variable_without_axes_counts_steps() -> None:
    n = gc.variable(0, "n")
    step = gc.compile([], n, updates={n: n + 1})
    assert [int(step()) for _ in range(3)] == [0, 1, 2]
    assert n.value == 3


@pytest.mark.parametrize(("value", "error"), [(np.zeros(3, "float32"), gc.errors.ShapeError), (np.zeros(2), gc.errors.DTypeError)])
def test_an_update_of_another_type_is_refused(value: Any, error: type[Exception]) -> None:
    w = gc.variable(np.zeros(2, "float32"), "w")
    with pytest.raises(error, match="updates: the new value of w"):
        gc.compile([], [], updates={w: gc.constant(value)})


# ---------------------------------------------------------------- outputs
def test_outputs_that_are_leaves_or_views_or_twice_the_same_share_nothing() -> None:
    x = gc.input("x", (2, 3), "float64")
    w = gc.variable(np.ones((2, 3)), "w")
    c = gc.constant(np.ones((2, 3)))
    y = gc.exp(x)
    outputs = [x, x, w, c, y, y, x.T, y.T, y[0], gc.broadcast_to(c[0], shape=(2, 3)), gc.stop_gradient(x)]
    value = np.zeros((2, 3))
    run = gc.compile([x], outputs)
    first, second = run(value), run(value)
    arrays = [*first, *second, value, w.storage, c.value]
    for i, a in enumerate(arrays):
        for b in arrays[i + 1 :]:
            assert not np.shares_memory(a, b)
    for array in (*first, *second):
        array[...] = -1  # each may be written
    np.testing.assert_array_equal(run(value)[4], np.ones((2, 3)))
    np.testing.assert_array_equal(w.value, np.ones((2, 3)))


@both
@pytest.mark.parametrize("structure", ["one", "list", "tuple", "dict", "empty"])
def test_outputs_come_in_the_structure_that_was_asked_for(structure: str, backend: str) -> None:
    x = gc.input("x", (2,))
    y, z = x + 1, x * 2
    asked = {"one": y, "list": [y, z], "tuple": (y, z), "dict": {"y": y, "z": z}, "empty": []}[structure]
    found = gc.compile(x, asked, backend=backend)([1, 2])
    if structure == "one":
        np.testing.assert_array_equal(found, [2, 3])
    else:
        assert type(found) is type(asked)
        assert len(found) == len(asked)


def test_results_on_numpy_are_numpys_even_for_a_jax_array() -> None:
    import jax.numpy as jnp

    x = gc.input("x", (2, 3))
    for found in gc.compile([x], [x, x[0] * 1, gc.sum(x, axis=0), x.T])(jnp.ones((2, 3))):
        assert type(found) is np.ndarray


def test_a_matrix_or_a_masked_array_is_taken_as_the_array_that_it_is() -> None:
    x = gc.input("x", (2, 2), "float64")
    run = gc.compile([x], x * x)
    found = run(np.ma.masked_array([[1.0, 2], [3, 4]], mask=[[True, False], [False, False]]))
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, [[1, 4], [9, 16]])


# ---------------------------------------------------------------- buffers
def test_chains_write_in_place() -> None:
    x = gc.input("x", (4, 3), "float64")
    y = x + 1.0
    for _ in range(10):
        y = gc.sin(y) * 1.5
    source = check([x], [gc.sum(y)], rng.normal(size=(4, 3)))
    assert "(buffer0,) = arena(" in source


def test_a_value_that_is_read_again_later_is_not_written_over() -> None:
    x = gc.input("x", (3,), "float64")
    a = gc.exp(x)
    b = gc.sin(a)
    c = gc.cos(b)
    check([x], [gc.sum(a * c + b), a - b], rng.normal(size=3))


HAZARDS: dict[str, Any] = {
    "an operand beside its transposition": lambda t: t + t.T,
    "an operand beside its reverse": lambda t: t * t[::-1],
    "shifted slices": lambda t: t[1:] - t[:-1],
    "a view that outlives a write": lambda t: gc.sum(gc.sin(t), axis=0) + gc.reshape(t, (-1,))[:3],
    "a transposed view, written, and read": lambda t: gc.exp(t.T) + gc.sum(t),
    "where over its own branch": lambda t: gc.where(t > 0, t.T, t),
    "where over the other branch": lambda t: gc.where(t > 0, t, t.T),
    "where of itself": lambda t: gc.where(t > 0, t, t),
    "clip by itself": lambda t: gc.clip(t, -gc.abs(t.T), gc.abs(t)),
    "softmax": lambda t: gc.softmax(t) * t,
    "a view of a view": lambda t: gc.expand_dims(t.T[1], axis=0) * t,
    "matmul with itself": lambda t: t @ t.T @ t,
    "a broadcast of a row": lambda t: gc.broadcast_to(t[0], shape=(3, 3)) - t,
    "a reduction kept": lambda t: gc.sum(t, axis=0, keepdims=True) + t,
    "concatenated with itself": lambda t: gc.concatenate([t, t.T]) * 2,
    "stop_gradient is a view": lambda t: gc.stop_gradient(t) * gc.sin(t) + t,
    "logic": lambda t: gc.cast(gc.logical_and(t > 0, gc.logical_not(t.T > 0)), "float64"),
    "where of truth values over its condition": lambda t: gc.cast(gc.where((t > 0)[::-1], gc.logical_not(t > 1), t > 0), "float64"),
    "where of truth values with itself": lambda t: gc.cast(gc.where(t > 0, (t > 0)[::-1], t > 0), "float64"),
}


@pytest.mark.parametrize("name", HAZARDS)
def test_views_and_writes_do_not_meet(name: str) -> None:
    x = gc.input("x", (3, 3), "float64")
    t = gc.exp(x) - 1.0
    y = HAZARDS[name](t)
    dx = gc.grad(gc.sum(gc.sin(y)), x, disconnected="zero")
    check([x], [gc.sum(gc.sin(y)), dx], rng.normal(size=(3, 3)))
    check([x], [y, t, y * 2], rng.normal(size=(3, 3)))


def test_inputs_that_may_not_be_written_are_not() -> None:
    x = gc.input("x", (3, 3), "float64")
    value = rng.normal(size=(3, 3))
    value.setflags(write=False)
    gc.compile([x], gc.grad(gc.sum(gc.tanh(x @ x)), x))(value)


def test_inputs_that_are_not_contiguous_are_read_as_they_are() -> None:
    x = gc.input("x", (3, 3), "float64")
    value = rng.normal(size=(6, 6))[::2, ::-2]
    found = gc.compile([x], gc.reshape(x, (9,)) * 2)(value)
    np.testing.assert_array_equal(found, value.reshape(9) * 2)


# ---------------------------------------------------------------- sizes
@both
def test_one_function_for_every_batch(backend: str) -> None:
    x = gc.input("x", ("batch", 3), "float64")
    w = gc.variable(rng.normal(size=(3, 2)), "w")
    y = gc.mean(gc.square(gc.tanh(x @ w) + gc.sum(x)))
    run = gc.compile([x], [y, gc.grad(y, w)], backend=backend)
    for batch in (1, 7, 128, 7, 1):
        value = rng.normal(size=(batch, 3))
        found, dw = run(value)
        hidden = np.tanh(value @ w.value)
        shifted = hidden + value.sum()
        np.testing.assert_allclose(found, np.mean(shifted**2))
        np.testing.assert_allclose(dw, value.T @ (2 * shifted / shifted.size * (1 - hidden**2)), rtol=1e-9, atol=1e-12)


@both
def test_an_empty_batch(backend: str) -> None:
    x = gc.input("x", ("batch", 3), "float64")
    w = gc.variable(np.ones((3, 2)), "w")
    total, average = gc.sum(x @ w), gc.mean(x @ w)
    found = gc.compile([x], [total, average, gc.grad(total, w)], backend=backend)(np.zeros((0, 3)))
    assert float(found[0]) == 0
    assert np.isnan(found[1])
    np.testing.assert_array_equal(found[2], np.zeros((3, 2)))


def test_buffers_are_kept_for_the_sizes_used_last() -> None:
    x = gc.input("x", ("n",))
    run = gc.compile([x], gc.sum(gc.exp(x) * x))
    made = run._program._made.steps
    for n in range(1, KEPT + 1):
        run(np.ones(n, "float32"))
    first = made[(1,)]
    run(np.ones(1, "float32"))
    run(np.ones(KEPT + 1, "float32"))
    assert len(made) == KEPT
    assert made[(1,)] is first  # used a moment ago, so another one went
    assert (2,) not in made


# ---------------------------------------------------------------- threads
@both
def test_eight_threads_get_what_one_gets(backend: str) -> None:
    x = gc.input("x", ("n", 16), "float64")
    run = gc.compile([x], gc.sum(gc.tanh(gc.sin(x) * 2 + x) @ gc.constant(rng.normal(size=(16, 16))), axis=1), backend=backend)
    points = [rng.normal(size=(n, 16)) for n in (64, 64, 64, 64, 65, 65, 66, 66)]
    expected = [np.asarray(run(point)) for point in points]
    wrong: list[int] = []

    def work(i: int) -> None:
        wrong.extend(i for _ in range(20) if not np.array_equal(np.asarray(run(points[i])), expected[i]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_on_jax_updates_take_the_variables_memory_and_other_functions_may_read_meanwhile() -> None:
    w, x = gc.variable(np.ones((3, 3), "float32"), name="w"), gc.input("x", (2, 3))
    grow = gc.compile([], gc.sum(w), {w: w + 1}, backend="jax")
    read = gc.compile(x, x @ w, backend="jax")
    grow()
    before = w.storage
    grow()
    assert before.is_deleted()
    failed: list[BaseException] = []

    def reads() -> None:
        try:
            for _ in range(200):
                read(np.ones((2, 3), "float32"))
        except RuntimeError as error:
            failed.append(error)

    threads = [threading.Thread(target=reads) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        grow()
    for thread in threads:
        thread.join()
    assert not failed
    np.testing.assert_array_equal(w.value, np.full((3, 3), 203))


@both
def test_updates_from_several_threads_are_all_counted(backend: str) -> None:
    n = gc.variable(np.zeros(50), "n")
    step = gc.compile([], [], updates={n: n + 1.0}, backend=backend)
    threads = [threading.Thread(target=lambda: [step() for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(n.value, np.full(50, 400.0))


# ---------------------------------------------------------------- names that mean harm
HOSTILE = [
    '"',
    "'",
    '"""',
    "a\nimport os",
    "; import os",
    "\\",
    "x #",
    "np",
    "def",
    "step",
    "None",
    "1x",
    "",
    "ß→",
    "\u2028x",
    "buffer0",
    "v0",
    "c0",
    "loop0",
    "state0",
    "stack0",
    "items0",
    "view0",
    "__import__('os')",
    "\r\n}",
]


@both
@pytest.mark.parametrize("label", HOSTILE, ids=ascii)
def test_a_label_never_becomes_code(label: str, backend: str) -> None:
    x, z = gc.input(label, (2,), "float64"), gc.input(label, (2,), "float64")
    w = gc.variable(np.ones(2), label)
    y = (gc.exp(x) * w).named(label)
    run = gc.compile([x, z], [y + z * 2, gc.sum(y).named(label)], updates={w: (w + z).named(label)}, backend=backend)
    first, total = run([0.0, 0.0], [1.0, 2.0])
    np.testing.assert_array_equal(first, [3, 5])
    assert float(total) == 2
    np.testing.assert_array_equal(w.value, [2, 3])
    assert all("import os" not in line.split("#")[0] for line in run.source.splitlines())


@pytest.mark.parametrize("label", HOSTILE, ids=ascii)
def test_a_label_beside_a_loop_never_hides_what_the_loop_needs(label: str) -> None:
    x, start = gc.input("x", (5, 3), "float64"), gc.input(label, (3,), "float64")
    carry, kept = gc.scan(lambda c, item: (gc.tanh(c * 2 + item[::-1]).named(label), (c + item).named(label)), start, x)
    total = (gc.sum(kept) + gc.sum(carry)).named(label)
    check([x, start], [total, gc.grad(total, start)], rng.normal(size=(5, 3)), rng.normal(size=3))


@pytest.mark.parametrize("name", ["arena", "by_rows", "list", "zip", "special"])
def test_a_size_is_not_called_like_what_the_source_calls(name: str) -> None:
    x = gc.input("x", (name, 3), "float64")
    carry, _ = gc.scan(lambda c, item: (gc.erf(c) + item, c), gc.zeros((3,), "float64"), x)
    with pytest.raises(gc.errors.ShapeError, match=f"a size is called '{name}'"):
        gc.compile([x], carry)


@pytest.mark.parametrize("name", ["list", "zip", "special"])
def test_a_size_may_be_called_like_what_this_source_does_not_call(name: str) -> None:
    x = gc.input("x", (name, 3), "float64")
    check([x], [gc.sum(gc.exp(x) * 2, axis=0)], rng.normal(size=(2, 3)))


def test_a_message_of_a_guard_is_quoted() -> None:
    x = gc.input('"""\n', (), "float64")
    y = gc.abs(x).named("'''")
    run = gc.compile([x], gc.grad(y, x, kinks="raise"))
    assert run(2.0) == 1
    with pytest.raises(gc.errors.KinkError):
        run(0.0)


# ---------------------------------------------------------------- source
def test_a_traceback_shows_the_emitted_line() -> None:
    x, i = gc.input("x", (3,)), gc.input("i", (2,), "int32")
    run = gc.compile([x, i], gc.take(x, i) * 2)
    try:
        run([1, 2, 3], np.int32([0, 9]))
    except IndexError as error:
        text = "".join(traceback.format_exception(error))
    assert "take(x, i, axis=0)" in text
    assert "test_functions.py:" in text.split("take(x, i, axis=0)")[1].splitlines()[0]


def test_source_leaves_the_linecache_with_its_function() -> None:
    x = gc.input("x", (3,))
    run = gc.compile([x], x + 1)
    mine = [file for file in linecache.cache if file.startswith("<graphc")]
    assert mine
    del run
    collector.collect()
    assert len([file for file in linecache.cache if file.startswith("<graphc")]) < len(mine)


def helper_of(run: gc.Function, name: str, *values: Any) -> Any:
    """A helper, as the function has it after a call with these values."""
    run(*values)
    return run._program._made.last.__globals__[name]  # type: ignore[union-attr]


def test_a_helper_is_compiled_once_and_shows_its_lines() -> None:
    x, y = gc.input("x", (2, 3)), gc.input("y", ("n", 4))
    first = helper_of(gc.compile([x], gc.sum(x, axis=0)), "sum_first", np.ones((2, 3), "float32"))
    second = helper_of(gc.compile([y], gc.sum(y, axis=0)), "sum_first", np.ones((5, 4), "float32"))
    assert first.__code__ is second.__code__
    assert first.__globals__ is not second.__globals__
    assert inspect.getsource(first).startswith("def sum_first(")


def test_lines_keep_their_numbers_behind_helpers() -> None:
    x = gc.input("x", (2, 3))
    run = gc.compile([x], gc.sum(x, axis=0))
    run(np.ones((2, 3), "float32"))
    step = run._program._made.last  # type: ignore[union-attr]
    assert run.source.splitlines()[step.__code__.co_firstlineno - 1] == "    def step(x):"
    assert "sum_first(x" in inspect.getsource(step)


def test_the_source_is_a_program_of_its_own() -> None:
    x = gc.input("x", ("n", 2))
    run = gc.compile([x], gc.sum(gc.exp(x) * 2, axis=0))
    namespace: dict[str, Any] = {}
    exec(run.source, namespace)
    np.testing.assert_allclose(namespace["make"](3)(np.ones((3, 2), "float32"))[0], run(np.ones((3, 2), "float32")))


def test_every_line_of_a_step_has_its_type_and_the_users_line() -> None:
    x = gc.input("x", ("n", 2))
    run = gc.compile([x], gc.grad(gc.sum(gc.exp(x) * 2), x))
    steps = [line for line in run.source.split("def step")[1].splitlines()[1:] if line.strip() and "return" not in line]
    assert all("# f32[" in line and "test_functions.py:" in line for line in steps)


def test_jax_helpers_are_in_the_source_once() -> None:
    x = gc.input("x", (3, 2))
    y = gc.max(x, axis=0) * gc.max(x, axis=1)[:2]
    source = gc.compile([x], gc.grad(gc.sum(y), x), backend="jax").source
    assert source.count("def ties(") == 1


# ---------------------------------------------------------------- literals in source
@both
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "int64", "float16", "bfloat16", "float32", "float64"])
def test_scalar_constants_survive_the_source(dtype: str, backend: str) -> None:
    floats = [0.1, -0.0, 1e-7, np.inf, -np.inf, np.nan, 3.0]
    values = {"bool": [True, False], "int8": [-128, 127], "uint64": [2**64 - 1], "int64": [-(2**63), 2**63 - 1]}.get(dtype, floats)
    constants = [gc.constant(value, dtype) for value in values]
    x = gc.input("x", (), dtype)
    zero = np.zeros((), gc.core.dtypes.numpy_dtype(dtype))
    found = gc.compile([x], [gc.where(gc.equal(x, x), c, x) for c in constants], backend=backend, optimize=False)(zero)
    for got, c in zip(found, constants, strict=True):
        both_nan = bool(np.isnan(float(got)) and np.isnan(float(c.value)))
        assert both_nan or np.asarray(got).tobytes() == c.value.tobytes()


def test_a_call_that_fails_leaves_every_variable_as_it_was() -> None:
    x, i = gc.input("x", (3,)), gc.input("i", (2,), "int32")
    w, v = gc.variable(np.ones(3, "float32"), name="w"), gc.variable(np.zeros(2, "float32"), name="v")
    step = gc.compile([x, i], [], {w: w - x, v: v + gc.take(w * x, i)})
    with pytest.raises(IndexError):
        step(np.ones(3, "float32"), [0, 5])
    assert (w.value == 1).all()
    assert (v.value == 0).all()
    step(np.ones(3, "float32"), [0, 2])
    assert (w.value == 0).all()
    assert (v.value == 1).all()


def test_a_negative_power_of_an_integer_fails_before_any_update() -> None:
    n = gc.input("n", (2,), "int64")
    w, v = gc.variable(np.zeros(2, "int64"), name="w"), gc.variable(np.zeros(2, "int64"), name="v")
    step = gc.compile(n, [], {w: w + n, v: v + gc.power(2, n)})
    with pytest.raises(ValueError, match="negative"):
        step([1, -1])
    assert (w.value == 0).all()
    step([1, 2])
    assert (v.value == [2, 4]).all()
