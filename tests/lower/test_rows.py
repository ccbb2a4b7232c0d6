"""Loops over rows: the same numbers as step by step, however the rows are cut and however many threads work."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import parallel
from graphc.core.sizes import TYPICAL
from graphc.lower import expand, interpret, rows, schedule
from graphc.lower.cost import NOMINAL

spec = importlib.util.spec_from_file_location("programs", Path(__file__).parents[1] / "test_random_programs.py")
assert spec is not None
assert spec.loader is not None
programs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(programs)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chance of a loop is taken, blocks are a few rows, and every block is a shard of its own."""
    monkeypatch.setattr(rows.Loops, "worth", lambda loops, known: tuple(range(len(loops.groups))))
    monkeypatch.setattr(parallel, "BLOCK_BYTES", 16)
    monkeypatch.setattr(parallel, "SHARD_MICROSECONDS", 1e-6)
    monkeypatch.setenv("GRAPHC_THREADS", "3")
    monkeypatch.setattr(parallel, "_pool", None)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", range(40))
def test_random_programs_are_the_same_by_rows(seed: int) -> None:
    inputs, outputs, values = programs.program(seed)
    plain = interpret(outputs, dict(zip(inputs, values, strict=True)))
    run = gc.compile(inputs, outputs)
    for _ in range(2):
        for found, expected in zip(run(*values), plain, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11, err_msg=run.source)


def _step(size: Any = "batch", without: Sequence[str] = ()) -> Any:
    """A network with one update step; the state is read and written by rows."""
    rng = np.random.default_rng(0)
    x, t = gc.input("x", (size, 20), "float64"), gc.input("t", (size, 4), "float64")
    w, v, b = (gc.variable(rng.normal(size=shape) * 0.3, name=name) for name, shape in (("w", (20, 8)), ("v", (8, 4)), ("b", (8,))))
    s = gc.variable(np.zeros((20, 8)), name="s")
    h = gc.relu(x @ w + b)
    loss = gc.mean(gc.categorical_crossentropy(t, h @ v, from_logits=True))
    dw, dv, db = gc.grad(loss, [w, v, b])
    rms = 0.9 * s + 0.1 * gc.square(dw)
    updates = {w: w - 0.1 * dw / (gc.sqrt(rms) + 1e-3), s: rms, v: v - 0.1 * dv, b: b - 0.1 * db}
    return gc.compile([x, t], [loss, h], updates, without=without), (w, v, b, s)


def test_a_name_counts_the_same_in_every_loop() -> None:
    """Whether the loop over ``n`` rows pays depends on ``n``, and not on the other loops, each of which is large enough by itself."""
    inputs = [gc.input(f"x{i}", (size, 256)) for i, size in enumerate(["n", *range(256, 276)])]
    outputs = [*inputs]
    for i in range(6):
        outputs = [gc.tanh(y * (i + 2.0) + x) for y, x in zip(outputs, inputs, strict=True)]
    loops = rows.Loops(schedule(inputs, expand(outputs, "numpy"), {}))
    assert loops.worth({"n": TYPICAL}) != loops.worth({"n": NOMINAL})
    assert loops.worth({}) == loops.worth({"n": TYPICAL})


@pytest.mark.usefixtures("eager")
def test_training_steps_are_the_same_by_rows_and_write_variables_in_place() -> None:
    rng = np.random.default_rng(1)
    batches = [(rng.normal(size=(n, 20)), np.eye(4)[rng.integers(0, 4, n)]) for n in (7, 7, 1, 16)]
    by_rows, state = _step()
    assert "by_rows(" in by_rows.source
    assert "copyto(w" not in by_rows.source, "the weights are written where they are"
    plain, expected_state = _step(without=["fuse"])
    assert "by_rows(" not in plain.source
    for x, t in batches:
        for found, expected in zip(by_rows(x, t), plain(x, t), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    for found, expected in zip(state, expected_state, strict=True):
        np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)


@pytest.mark.usefixtures("eager")
def test_the_bits_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    x, t = rng.normal(size=(33, 20)), np.eye(4)[rng.integers(0, 4, 33)]
    found: list[list[bytes]] = []
    for count in ("1", "2", "5"):
        monkeypatch.setenv("GRAPHC_THREADS", count)
        monkeypatch.setattr(parallel, "_pool", None)
        run, state = _step()
        outputs = run(x, t)
        found.append([np.asarray(a).tobytes() for a in (*outputs, *(s.value for s in state))])
    assert found[0] == found[1] == found[2]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("finish", "buffers"),
    [
        (lambda u, w: gc.exp(u + 1) @ w, 1),  # written over
        (lambda u, w: (gc.exp(u) * (u - 1)) @ w, 1),  # read again on the way, and written over at the end
        (lambda u, w: gc.exp(u + 1) @ (u.T @ w), 3),  # read again later
        (lambda u, w: gc.exp(u - gc.max(u, axis=0)) @ w, 1),  # the rows of another loop too, before
    ],
)
def test_a_loop_writes_over_what_nobody_reads_any_more(finish: Any, buffers: int) -> None:
    rng = np.random.default_rng(3)
    x, w = gc.input("x", (30, 30), "float64"), gc.input("w", (30, 30), "float64")
    values = [rng.normal(size=(30, 30)) * 0.3 for _ in range(2)]
    run, plain = (gc.compile([x, w], finish(x @ w, w), without=without) for without in ((), ["fuse"]))
    before = [value.copy() for value in values]
    np.testing.assert_allclose(run(*values), plain(*values), rtol=1e-12)
    assert "by_rows(" in run.source
    assert run.source.count("(30, 30), np.float64)") == buffers
    assert all(np.array_equal(value, old) for value, old in zip(values, before, strict=True))


def test_rows_are_cut_by_sizes_alone() -> None:
    for count in (0, 1, 5, 1000, 4097):
        cut = parallel.cut(count, 4000, 4000)
        assert sum(high - low for low, high in cut.shards) == count
        assert cut.block >= 1
    assert len(parallel.cut(1000, 40_000, 4000).shards) > 1
    assert len(parallel.cut(10, 40, 40).shards) == 1


@pytest.mark.usefixtures("eager")
def test_an_error_in_a_helper_reaches_the_caller_and_the_next_call_works() -> None:
    def body(low: int, high: int, *rest: Any) -> None:
        if low == 3:
            raise ZeroDivisionError

    run = parallel.by_rows(body, 6, 1, 1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            run()
    assert parallel.by_rows(lambda low, high: None, 6, 1, 1)() == ()


@pytest.mark.usefixtures("eager")
def test_two_threads_may_call_at_once() -> None:
    import threading

    x = np.random.default_rng(3).normal(size=(50, 20))
    h = gc.input("h", (50, 20), "float64")
    f = gc.compile([h], gc.sum(gc.exp(h) * gc.sin(h)))
    expected, wrong = f(x), list[Any]()

    def work() -> None:
        wrong.extend(value for value in (f(x) for _ in range(50)) if value != expected)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("error")
def test_helpers_are_as_silent_as_the_caller() -> None:
    x = gc.input("x", (40, 3), "float64")
    run = gc.compile([x], gc.sum(gc.log(x) / x))
    with np.errstate(all="warn"):
        assert np.isnan(run(np.zeros((40, 3)) * -1.0)) or np.isinf(run(np.zeros((40, 3))))
