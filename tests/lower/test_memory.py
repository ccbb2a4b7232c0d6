"""The memory plan: no order, layout or recomputation changes a number, and what is alive at once never shares memory."""

import importlib.util
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core.errors import BackendError
from graphc.lower import NumpyProgram, interpret
from graphc.lower.arena import arena, layout
from graphc.lower.buffers import IDLE, assign
from graphc.lower.order import StepGraph, arranged, spared
from graphc.lower.planning import planned
from graphc.lower.rematerialise import AGAIN, recomputed, within_budget
from graphc.lower.schedule import read_by, written_by
from graphc.lower.targets.jax import JaxProgram
from graphc.memory import LINE

spec = importlib.util.spec_from_file_location("programs", Path(__file__).parents[1] / "test_random_programs.py")
assert spec is not None
assert spec.loader is not None
programs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(programs)


def in_order(schedule: Any) -> bool:
    known = {*schedule.inputs, *schedule.variables, *schedule.constants, *schedule.hoisted}
    for step in schedule.steps:
        if not known.issuperset(read_by(step)):
            return False
        known.update(written_by(step))
    return known.issuperset([*schedule.outputs, *schedule.updates.values()])


def deep(depth: int = 40) -> Any:
    """A deep network and its update step; every layer's update reads its neighbours' old weights."""
    rng = np.random.default_rng(0)
    x, t = gc.input("x", (8, 16)), gc.input("t", (8, 16))
    weights, h = [], x
    for i in range(depth):
        weights.append(gc.variable((rng.normal(size=(16, 16)) * 0.25).astype("float32"), f"w{i}"))
        h = gc.tanh(h @ weights[-1])
    gradients = gc.grad(gc.mean(gc.square(h - t)), weights)
    return gc.compile([x, t], h, {w: w - 0.1 * g for w, g in zip(weights, gradients, strict=True)}), weights


VALUES = [np.random.default_rng(1).normal(size=(8, 16)).astype("float32") for _ in range(2)]


# ---------------------------------------------------------------- layout
@pytest.mark.parametrize("seed", range(20))
def test_buffers_that_are_in_use_together_do_not_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 40, 60)
    spans = [(int(a), int(a + n)) for a, n in zip(first, rng.integers(0, 15, 60), strict=True)]
    counts = [int(n) for n in rng.integers(0, 3000, 60)]
    offsets, total = layout(spans, counts)
    for i in range(60):
        assert offsets[i] % LINE == 0
        assert offsets[i] + counts[i] <= total
        for j in range(i):
            together = spans[i][0] <= spans[j][1] and spans[j][0] <= spans[i][1]
            overlap = offsets[i] < offsets[j] + counts[j] and offsets[j] < offsets[i] + counts[i]
            assert not (together and overlap and counts[i] and counts[j])
    used = [sum(-(-n // 64) * 64 for (a, b), n in zip(spans, counts, strict=True) if a <= step <= b) for step in range(60)]
    assert max(used) <= total <= 1.25 * max(used)


def test_an_arena_is_one_aligned_piece() -> None:
    a, b, c = arena((0, 3, (5, 7), np.float32), (2, 4, (3,), np.float64), (5, 5, (5, 7), np.int32))
    assert not np.shares_memory(a, b)
    assert np.shares_memory(a, c)
    assert all(x.ctypes.data % LINE == 0 for x in (a, b, c))
    assert arena() == []
    rows = [(0, 30, (4,), np.float32), *[(2 + 3 * i, 20 - 2 * i, (8,), np.float32) for i in range(4)], (1, 1, (2,), np.int32)]
    together = arena(rows[0], (2, 20, (8,), np.float32, 4, 3, -2), rows[-1])
    assert [(b.shape, b.dtype, b.ctypes.data - together[0].ctypes.data) for b in together] == [
        (b.shape, b.dtype, b.ctypes.data - apart[0].ctypes.data) for apart in [arena(*rows)] for b in apart
    ]
    assert arena((0, 0, (0, 4), np.float32))[0].shape == (0, 4)


# ---------------------------------------------------------------- order and plans
@pytest.mark.parametrize("seed", range(30))
def test_random_programs_are_the_same_in_another_order(seed: int) -> None:
    inputs, outputs, values = programs.program(seed)
    plain = interpret(outputs, dict(zip(inputs, values, strict=True)))
    schedule = gc.compile(inputs, outputs)._program.schedule
    graph = StepGraph(schedule, {})
    assert graph.weight(graph.listed()) >= graph.weight(min([range(len(graph.units)), graph.listed()], key=graph.weight))
    for change in (lambda s: arranged(s, {}), lambda s: spared(s, {})):
        ordered = change(schedule)
        assert in_order(ordered)
        assert not programs._differences(NumpyProgram(ordered, "step").run(values, ()), plain, "in order", 1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_values_of_one_buffer_are_not_alive_together(seed: int) -> None:
    inputs, outputs, _ = programs.program(seed)
    schedule = arranged(gc.compile(inputs, outputs)._program.schedule, {})
    plan = assign(schedule, idle=IDLE)
    made = {node: number for number, step in enumerate(schedule.steps) for node in written_by(step)}
    lives: dict[int, list[Any]] = {}
    for node, place in plan.place.items():
        lives.setdefault(place, []).append((made[node], plan.last_use[node], node in plan.in_place))
        first, last = plan.spans[place]
        assert first <= made[node]
        assert min(plan.last_use[node], len(schedule.steps)) <= last
    for spans in lives.values():
        spans.sort()
        for (_, end, _), (start, _, over) in itertools.pairwise(spans):
            assert end < start or (over and end == start)
    for number, nodes in plan.dropped.items():
        for step in schedule.steps[number + 1 :]:
            assert not {*nodes} & {*read_by(step)}


def test_updates_that_read_each_other_are_simultaneous_in_any_order() -> None:
    a, b, c = (gc.variable(np.full((3,), float(i)), name) for i, name in enumerate("abc"))
    run = gc.compile([], gc.sum(a), {a: b + 1.0, b: c * 2.0, c: a - b})
    schedule = arranged(run._program.schedule, {})
    assert in_order(schedule)
    NumpyProgram(schedule, "step").run([], ())
    assert [v.value[0] for v in (a, b, c)] == [2.0, 4.0, -1.0]


@pytest.mark.parametrize("depth", [2, 20, 400])  # few values, a searched order, and too many steps for one
def test_weights_are_updated_while_the_gradients_come(depth: int) -> None:
    run, weights = deep(depth)
    plan = assign(arranged(run._program.schedule, {}), idle=IDLE)
    assert len(plan.direct) == len(weights)
    assert sum(type.shape == (16, 16) for type in plan.buffers) <= 4


# ---------------------------------------------------------------- recomputation
@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("part", [0.8, 0.5])
def test_random_programs_are_the_same_recomputed(seed: int, part: float) -> None:
    inputs, outputs, values = programs.program(seed)
    plain = interpret(outputs, dict(zip(inputs, values, strict=True)))
    steps = spared(gc.compile(inputs, outputs)._program.schedule, {})
    top = StepGraph(steps, {}).peak_as_it_is()[0]
    for share in (1, 4):
        new = recomputed(steps, int(top * part), {}, run=top // share)
        if new is not None:
            assert in_order(new)
            assert not programs._differences(NumpyProgram(new, "step").run(values, ()), plain, "recomputed", 1e-9)


@pytest.mark.parametrize("part", [0.8, 0.5, 0.4])
def test_a_budget_is_met_with_the_same_bits(part: float) -> None:
    (plain, expected), (run, weights) = deep(), deep()
    whole = run._program.schedule
    budget = int(planned(whole, {}).footprint.peak * part)
    new = within_budget(whole, budget, {})
    assert planned(new, {}).footprint.peak <= budget
    assert any(node.op is AGAIN for node in new.steps)
    assert len(new.steps) < 2 * len(whole.steps)
    program = NumpyProgram(new, "step")
    for _ in range(3):
        assert np.array_equal(program.run(VALUES, ())[0], plain(*VALUES))
    for found, other in zip(weights, expected, strict=True):
        assert np.array_equal(found.value, other.value)


@pytest.mark.parametrize("budget", [None, 1 << 30, 1 << 22])
@pytest.mark.parametrize("options", [{}, {"without": ["fuse"]}, {"optimize": False}])
def test_what_is_left_out_is_left_out_under_a_budget_too(budget: int | None, options: dict[str, Any]) -> None:
    x = gc.input("x", (2000, 256))
    y = x
    for i in range(6):
        y = gc.tanh(y * (i + 2.0) + x)
    run = gc.compile(x, gc.sum(y, axis=0), memory_budget=budget, **options)
    assert ("by_rows(" in run.source) == (not options)


def test_a_budget_that_is_large_enough_changes_nothing() -> None:
    run, _ = deep()
    whole = run._program.schedule
    assert within_budget(whole, planned(whole, {}).footprint.peak, {}) is whole


def test_a_budget_that_cannot_be_met_says_what_could() -> None:
    run, _ = deep()
    with pytest.raises(BackendError) as caught:
        within_budget(run._program.schedule, 500, {})
    assert "memory_budget=500: a call needs at least" in caught.value.asked
    assert caught.value.given
    assert caught.value.fits.startswith("memory_budget=")


def test_jax_keeps_what_is_computed_again_apart() -> None:
    (plain, expected), (run, weights) = deep(), deep()
    whole = run._program.schedule
    new = within_budget(whole, planned(whole, {}).footprint.peak // 2, {})
    program = JaxProgram(new, "step")
    assert "optimization_barrier" in program.source.text
    np.testing.assert_allclose(program.run(VALUES, ())[0], plain(*VALUES), rtol=1e-5, atol=1e-6)
    for found, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(found.value, other.value, rtol=1e-5, atol=1e-6)
