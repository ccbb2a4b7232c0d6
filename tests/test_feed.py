"""Batches of arrays, and epochs over them: with compiled functions and with plain ones, in order and shuffled, whole and broken off."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core.errors import ArgumentError, ShapeError
from graphc.feed import ADDED_AT_ONCE, Batches, Tally, epoch

posix = pytest.mark.skipif(os.name != "posix", reason="os.kill sends SIGINT on POSIX only")


def numbered(count: int, *shape: int, dtype: str = "float32") -> np.ndarray:
    size = int(np.prod(shape, dtype=int))
    return np.repeat(np.arange(count), size).reshape(count, *shape).astype(dtype)


# ---------------------------------------------------------------- batches
def test_in_order_a_batch_is_a_view() -> None:
    x, t = numbered(10, 3), numbered(10, dtype="int32")
    batches = Batches((x, t), 4)
    assert [len(a) for a, _ in batches] == [4, 4, 2]
    assert len(batches) == 3
    for a, b in batches:
        assert np.shares_memory(a, x)
        assert np.shares_memory(b, t)
    np.testing.assert_array_equal(np.concatenate([a for a, _ in batches]), x)


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize(
    "layout",
    [np.asarray, np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x.astype(">f4")],
    ids=["rows", "columns", "strided", "swapped"],
)
def test_shuffled_rows_stay_together(layout: Callable[..., Any], reuse: bool) -> None:
    x, t = layout(numbered(11, 3)), numbered(11, dtype="int32")
    batches = Batches([x, t], 4, shuffle=7)
    passes = []
    for _ in range(2):
        seen = []
        for a, b in batches.each(reuse=reuse):
            np.testing.assert_array_equal(a, np.repeat(b[:, None], 3, axis=1))
            assert a.dtype == x.dtype
            assert not np.shares_memory(a, x)
            seen.append(b.copy())
        assert [len(b) for b in seen] == [4, 4, 3]
        passes.append(np.concatenate(seen))
    np.testing.assert_array_equal(np.sort(passes), [np.arange(11)] * 2)
    assert not np.array_equal(*passes)


def test_memory_is_one_batch_where_it_is_reused_and_fresh_elsewhere() -> None:
    batches = Batches(numbered(100, 8), 10, shuffle=0)
    reused = [a.__array_interface__["data"][0] for (a,) in batches.each(reuse=True)]
    assert len(set(reused)) == 1
    kept = [a for (a,) in batches]
    np.testing.assert_array_equal(np.sort(np.concatenate(kept)[:, 0]), np.arange(100))


def test_a_seed_decides_the_orders() -> None:
    orders = {seed: [Batches(numbered(50), 50, shuffle=seed).order() for _ in range(2)] for seed in (3, 4)}
    np.testing.assert_array_equal(*orders[3])
    assert not np.array_equal(orders[3][0], orders[4][0])
    assert Batches(numbered(5), 2).order() is None
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(Batches(numbered(50), 50, shuffle=generator).order(), orders[3][0])


def test_a_batch_larger_than_the_set_is_the_set() -> None:
    for shuffle in (None, 0):
        assert [len(a) for (a,) in Batches(numbered(10, 2), 1000, shuffle=shuffle).each(reuse=True)] == [10]


@pytest.mark.parametrize("shuffle", [None, 0])
def test_a_mapped_file_is_not_read_as_a_whole(tmp_path: Path, shuffle: int | None) -> None:
    """A sparse file far larger than memory: whoever copies it, dies."""
    path = tmp_path / "large"
    rows, width = 1 << 20, 1 << 20  # 4 TB of float32
    with path.open("wb") as file:
        file.truncate(rows * width * 4)
    mapped = np.memmap(path, "float32", "r", shape=(rows, width))
    batches = Batches(mapped, 5, shuffle=shuffle)
    (first,) = next(batches.each(reuse=True))
    assert first.shape == (5, width)
    assert type(first) is np.ndarray
    assert not first.any()


@pytest.mark.parametrize(
    ("arrays", "size", "shuffle", "told"),
    [
        ((), 1, None, "no rows in common"),
        (np.zeros((0, 3)), 1, None, "float64 of shape (0, 3)"),
        ((np.zeros(3), np.zeros(2)), 1, None, "float64 of shape (2,)"),
        (np.float32(3), 1, None, "float32 of shape ()"),
        (np.zeros(3), 0, None, "size is 0"),
        (np.zeros(3), -1, None, "size is -1"),
        (np.zeros(3), 2.5, None, "size is 2.5"),
        (np.zeros(3), True, None, "size is True"),
        (np.zeros(3), 1, True, "shuffle is True"),
        (np.zeros(3), 1, -1, "shuffle is -1"),
        (np.zeros(3), 1, "yes", "shuffle is 'yes'"),
    ],
)
def test_bad_arguments_are_told(arrays: Any, size: Any, shuffle: Any, told: str) -> None:
    with pytest.raises(ArgumentError) as error:
        Batches(arrays, size, shuffle=shuffle)
    assert told in str(error.value)
    assert "fits" in str(error.value)


# ---------------------------------------------------------------- epochs
def counting() -> tuple[gc.Function, gc.Variable, gc.Variable]:
    """A step that adds the batch to one variable and 1 to another."""
    x = gc.input("x", ("batch", 2))
    total, steps = gc.variable(np.zeros(2, "float32"), "total"), gc.variable(np.float32(0), "steps")
    outputs = {"mean": gc.mean(x), "rows": gc.mean(x, axis=0)}
    return gc.compile(x, outputs, {total: total + gc.sum(x, axis=0), steps: steps + 1.0}), total, steps


@pytest.mark.parametrize("shuffle", [None, 3])
@pytest.mark.parametrize("count", [10, 3 * ADDED_AT_ONCE + 1])
def test_an_epoch_of_a_compiled_function(shuffle: int | None, count: int) -> None:
    step, total, steps = counting()
    x = np.stack([np.arange(count), -np.arange(count)], axis=1).astype("float32") + 1
    tally = epoch(step, Batches(x, 4, shuffle=shuffle))
    assert (tally.steps, tally.rows) == (-(-count // 4), count)
    assert steps.value == tally.steps
    np.testing.assert_array_equal(total.value, x.sum(axis=0))
    assert tally.means["mean"] == pytest.approx(x.mean())
    np.testing.assert_allclose(tally.means["rows"], x.mean(axis=0), rtol=1e-6)


def test_jax_computes_the_same() -> None:
    pytest.importorskip("jax")
    x, w = gc.input("x", ("batch", 3)), gc.variable(np.ones(3, "float32"), "w")
    loss = gc.mean(gc.square(x @ w - 1.0))
    data = np.random.default_rng(0).standard_normal((53, 3)).astype("float32")
    found = {}
    for backend in ("numpy", "jax"):
        w.assign(np.ones(3, "float32"))
        step = gc.compile(x, loss, {w: w - 0.1 * gc.grad(loss, w)}, backend=backend)
        found[backend] = epoch(step, Batches(data, 8, shuffle=1)).means, *w.value
    np.testing.assert_allclose(found["jax"], found["numpy"], rtol=1e-5)


@pytest.mark.parametrize("kind", [lambda a: a, lambda a: [a, 2 * a], lambda a: (a,), lambda a: {"loss": a}, lambda a: np.array([a, 1])])
def test_means_have_the_form_of_the_results(kind: Callable[[float], Any]) -> None:
    tally = epoch(lambda x: kind(float(x.mean())), Batches(np.arange(7.0), 3))
    expected = kind(3.0)
    assert type(tally.means) is type(expected) or isinstance(tally.means, float)
    np.testing.assert_equal(tally.means, expected)


def test_a_step_may_return_nothing() -> None:
    assert epoch(lambda x: None, Batches(np.arange(7.0), 3)) == Tally(3, 7, None)
    total = gc.variable(np.zeros(2, "float32"), "total")
    x = gc.input("x", ("batch", 2))
    assert epoch(gc.compile(x, [], {total: total + gc.sum(x, axis=0)}), Batches(np.ones((7, 2), "float32"), 3)) == Tally(3, 7, [])
    np.testing.assert_array_equal(total.value, [7, 7])


def test_any_iterable_of_batches_will_do() -> None:
    step, total, _ = counting()
    lists = [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]]
    batches = [np.float64(lists[0]), (np.float32(lists[1]),), (lists[0],)]
    assert epoch(step, iter(batches)).rows == 4
    np.testing.assert_array_equal(total.value, [10, 14])
    with pytest.raises(ArgumentError, match="no batch"):
        epoch(step, iter([]))


def test_dtypes_and_shapes_are_looked_at() -> None:
    step, total, steps = counting()
    with pytest.raises(ShapeError):
        epoch(step, Batches(np.zeros((4, 3), "float32"), 2))
    tally = epoch(step, Batches(np.ones((5, 2), "float64"), 2))  # cast, as in a call
    assert tally.means["mean"] == 1
    good, bad = np.ones((2, 2), "float32"), np.ones((2, 3), "float32")
    with pytest.raises(ShapeError):  # also of a later batch
        epoch(step, [good, good, bad])
    assert (steps.value, *total.value) == (5, 9, 9)


def test_the_bits_of_the_means_do_not_depend_on_who_listens() -> None:
    x = np.random.default_rng(0).standard_normal(1000).astype("float32")
    heard: list[Tally] = []
    alone = epoch(np.mean, Batches(x, 3))
    assert epoch(np.mean, Batches(x, 3), listen=heard.append) == alone == heard[-1]
    assert [tally.steps for tally in heard] == list(range(1, 335))
    assert heard[9].means == pytest.approx(x[:30].mean(), abs=1e-6)


def test_a_pause_keeps_the_last_word() -> None:
    heard: list[Tally] = []
    epoch(np.mean, Batches(np.arange(10.0), 3), listen=heard.append, pause=1e9)
    assert [tally.steps for tally in heard] == [4]


# ---------------------------------------------------------------- Ctrl-C
def interrupted(step: Callable[..., Any], batches: Any, **options: Any) -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            epoch(step, batches, **options)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@posix
def test_ctrl_c_waits_for_the_end_of_a_step() -> None:
    done: list[int] = []

    def step(x: np.ndarray) -> float:
        if x[0] == 6:
            ctrl_c()
        done.append(int(x[0]))
        return 0.0

    interrupted(step, Batches(np.arange(20), 3))
    assert done == [0, 3, 6]


@posix
def test_ctrl_c_in_the_last_step_is_not_lost() -> None:
    interrupted(lambda x: ctrl_c() or 0.0, Batches(np.arange(3), 3))


@posix
def test_a_second_ctrl_c_does_not_wait() -> None:
    done: list[str] = []

    def step(x: np.ndarray) -> None:
        ctrl_c()
        done.append("still here")
        ctrl_c()
        done.append("never")

    interrupted(step, Batches(np.arange(3), 3))
    assert done == ["still here"]


@posix
def test_ctrl_c_between_steps_comes_at_once() -> None:
    def batches() -> Any:
        yield (np.arange(3.0),)
        ctrl_c()
        raise AssertionError("not at once")

    interrupted(np.mean, batches())
    interrupted(np.mean, Batches(np.arange(3.0), 1), listen=lambda tally: ctrl_c())


def test_epochs_run_in_other_threads() -> None:
    found: list[Tally] = []
    thread = threading.Thread(target=lambda: found.append(epoch(np.mean, Batches(np.arange(4.0), 2))))
    thread.start()
    thread.join()
    assert found == [Tally(2, 4, 1.5)]


def test_an_error_of_a_step_leaves_the_handler_as_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        epoch(lambda x: 1 / 0, Batches(np.arange(3), 1))
    assert signal.getsignal(signal.SIGINT) is before


# ---------------------------------------------------------------- many steps in a call
def fitted(backend: Any) -> tuple[gc.Function, list[gc.Variable]]:
    """A step that trains a small network, with momentum; it counts its steps, and reads a variable that it does not update."""
    x, t = gc.input("x", ("batch", 5)), gc.input("t", ("batch",), "int32")
    rng = np.random.default_rng(4)
    w, b = gc.variable(rng.standard_normal((5, 3)), "w", "float32"), gc.variable(np.ones(3, "float32"), "b")
    v, rate, steps = (
        gc.variable(np.zeros((5, 3), "float32"), "v"),
        gc.variable(np.float32(0.1), "rate"),
        gc.variable(np.float32(0), "steps"),
    )
    loss = gc.mean(gc.square(gc.sum(gc.tanh(x @ w) * b, axis=1) - gc.cast(t, "float32")))
    dw, db = gc.grad(loss, [w, b])
    updates = {v: 0.9 * v - rate * dw, w: w + 0.9 * v - rate * dw, b: b - rate * db, steps: steps + 1.0}
    return gc.compile([x, t], {"loss": loss, "products": gc.mean(x @ w, axis=0)}, updates, backend=backend), [w, b, v, rate, steps]


@pytest.fixture(scope="module")
def on_jax() -> tuple[gc.Function, list[gc.Variable]]:
    """That step, compiled once for tests that do not mind what is in its variables."""
    pytest.importorskip("jax")
    return fitted("jax")


ROWS = 61
DATA = (np.random.default_rng(0).standard_normal((ROWS, 5)).astype("float32"), (np.arange(ROWS) % 3).astype("int32"))


def trained(
    fit: tuple[gc.Function, list[gc.Variable]], batches: Callable[[], Any], many: Any, epochs: int = 2
) -> tuple[list[Tally], list[np.ndarray], list[int]]:
    """What epochs return, leave in the variables and tell; the variables then have the values that they had before."""
    step, variables = fit
    before = [variable.value for variable in variables]
    heard: list[int] = []
    given = batches()
    tallies = [epoch(step, given, steps_per_call=many, listen=lambda tally: heard.append(tally.steps)) for _ in range(epochs)]
    after = [variable.value for variable in variables]
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    return tallies, after, heard


def same(found: Any, expected: Any) -> None:
    (tallies, values, _), (wanted, state, _) = found, expected
    for tally, want in zip(tallies, wanted, strict=True):
        assert (tally.steps, tally.rows) == (want.steps, want.rows)
        for name, mean in want.means.items():
            np.testing.assert_allclose(tally.means[name], mean, rtol=1e-6)
    for value, want in zip(values, state, strict=True):
        np.testing.assert_array_equal(value, want)


@pytest.mark.parametrize(
    ("shuffle", "told"),
    [(None, {4: [4, 6, 7], "epoch": [6, 7]}), (3, {4: [4, 6, 7], 50: [6, 7]})],
    ids=["in order", "shuffled"],
)
def test_many_steps_a_call_on_jax_do_what_single_ones_do(on_jax: Any, shuffle: int | None, told: dict[Any, list[int]]) -> None:
    def batches() -> Batches:
        return Batches(DATA, 10, shuffle=shuffle)  # 6 whole batches and one of 1 row

    one = trained(on_jax, batches, 1)
    assert one[2] == [*range(1, 8)] * 2
    for many, heard in told.items():
        found = trained(on_jax, batches, many)
        same(found, one)
        assert found[2] == heard * 2


@pytest.mark.parametrize("many", [3, "epoch"])
def test_many_steps_a_call_on_numpy_are_a_loop(many: Any) -> None:
    fit = fitted("numpy")
    one = trained(fit, lambda: Batches(DATA, 8, shuffle=1), 1)
    found = trained(fit, lambda: Batches(DATA, 8, shuffle=1), many)
    same(found, one)
    assert found[2] == ([3, 6, 8] if many == 3 else [8]) * 2


def test_other_batches_are_stacked_while_they_have_one_form(on_jax: Any) -> None:
    memory = np.empty((10, 5), "float32")

    def batches() -> Any:
        for rows in (slice(0, 10), slice(10, 20), slice(20, 30)):
            memory[:] = DATA[0][rows]  # the same memory each time
            yield memory, DATA[1][rows]
        for rows in (slice(30, 40), slice(40, 50)):
            yield DATA[0][rows].astype("float64"), DATA[1][rows]  # is cast
        yield DATA[0][50:60].tolist(), DATA[1][50:60].tolist()
        yield DATA[0][60:], DATA[1][60:]

    def copied() -> Any:
        return [tuple(np.array(value) if isinstance(value, np.ndarray) else value for value in batch) for batch in batches()]

    one = trained(on_jax, copied, 1, epochs=1)
    for many, heard in ((2, [2, 3, 5, 6, 7]), ("epoch", [3, 5, 6, 7])):
        found = trained(on_jax, batches, many, epochs=1)
        same(found, one)
        assert found[2] == heard


def test_data_is_put_on_the_device_once_and_goes_with_the_batches(on_jax: Any) -> None:
    jax = pytest.importorskip("jax")
    import gc as collector

    step, _ = on_jax
    x, t = step.inputs
    other = gc.compile([x, t], gc.sum(x) + gc.cast(gc.sum(t), "float32"), backend="jax")
    rows = DATA[0].astype("float64")
    batches = Batches((rows, DATA[1]), 10, shuffle=0)
    epoch(step, batches, steps_per_call="epoch")
    (held,) = batches.held.values()
    assert [(value.dtype, value.shape) for value in held] == [("float32", (61, 5)), ("int32", (61,))]
    rows[:] = np.nan  # is not seen any more
    assert np.isfinite(epoch(step, batches, steps_per_call=4).means["loss"])
    epoch(other, batches, steps_per_call="epoch")
    assert len(batches.held) == 1
    before = len(jax.live_arrays())
    del batches, held
    collector.collect()
    assert len(jax.live_arrays()) <= before - 2


def test_a_batch_that_is_the_set_is_one_step(on_jax: Any) -> None:
    step, (*_, steps) = on_jax
    steps.assign(np.float32(0))
    for size in (61, 100):
        assert epoch(step, Batches(DATA, size), steps_per_call="epoch").rows == 61
    assert steps.value == 2


@pytest.mark.parametrize("many", [0, -1, 2.5, True, "all", None])
def test_a_number_of_steps_that_makes_no_sense(many: Any) -> None:
    with pytest.raises(ArgumentError, match="steps_per_call is"):
        epoch(np.mean, Batches(np.arange(3.0), 1), steps_per_call=many)


def test_bad_data_is_told_before_anything_runs_on_the_device(on_jax: Any) -> None:
    step, (*_, steps) = on_jax
    steps.assign(np.float32(0))
    with pytest.raises(ShapeError):
        epoch(step, Batches((np.zeros((20, 4), "float32"), DATA[1][:20]), 4), steps_per_call=2)
    with pytest.raises(ArgumentError):
        epoch(step, Batches(DATA[0], 4), steps_per_call=2)
    assert steps.value == 0


def test_steps_that_may_fail_are_taken_one_by_one() -> None:
    pytest.importorskip("jax")
    x, w = gc.input("x", ("batch",)), gc.variable(np.float32(0), "w")
    loss = gc.mean(gc.abs(x - w))
    step = gc.compile(x, loss, {w: w - gc.grad(loss, w, kinks="raise")}, backend="jax")
    with pytest.raises(gc.errors.KinkError):
        epoch(step, [np.float32([1]), np.float32([3]), np.float32([2])], steps_per_call=3)
    assert w.value == 2  # two steps were done


def test_64_bit_graphs_stay_in_64_bits() -> None:
    pytest.importorskip("jax")
    x, w = gc.input("x", ("batch",), "float64"), gc.variable(np.float64(1 / 3), "w", "float64")
    step = gc.compile(x, gc.sum(x) * w, {w: w + gc.sum(x) / 3e9}, backend="jax")
    data = np.arange(1.0, 13.0)
    many = epoch(step, Batches(data, 2), steps_per_call=4)
    value = w.value
    w.assign(np.float64(1 / 3))
    assert many == epoch(step, Batches(data, 2))
    assert value == w.value
    assert value != np.float64(np.float32(value))


@posix
def test_ctrl_c_waits_for_the_end_of_a_call_of_many_steps() -> None:
    pytest.importorskip("jax")
    step, (*_, steps) = fitted("jax")

    class Interrupting(gc.Function):
        """Ctrl-C comes while the second call runs."""

        calls = 0

        def repeated(self, *values: Any) -> Any:
            call = super().repeated(*values)

            def called(data: Any, index: Any) -> Any:
                self.calls += 1
                if self.calls == 2:
                    ctrl_c()
                return call(data, index)

            called.hold = call.hold  # type: ignore[attr-defined]
            return called

    step.__class__ = Interrupting
    interrupted(step, Batches(DATA, 8), steps_per_call=3)
    assert steps.value == 6  # and every variable has a value
