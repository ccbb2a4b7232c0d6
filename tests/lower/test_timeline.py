"""Memory over the steps of a call: what is held when, and where."""

import numpy as np

import graphc as gc


def test_values_that_overlap_in_time_lie_apart():
    x, w = gc.input("x", ("n", 64)), gc.variable(np.ones((64, 64), "float32"), "w")
    h = gc.tanh(x @ w)
    fn = gc.compile([x], gc.sum(gc.tanh(h @ w) * h + h @ w.T))
    fn(np.zeros((50, 64), "float32"))
    timeline = fn.report.program.timeline()
    assert len(timeline.used) == len(timeline.steps) == len(fn.report.program.planned[0].steps)
    held = {one.node: one for one in timeline.values}
    assert held[h].nbytes == 50 * 64 * 4
    assert h in timeline.steps[held[h].first]
    for i, one in enumerate(timeline.values):
        for other in timeline.values[i + 1 :]:
            apart = one.last <= other.first or other.last < one.first  # a step that works in place ends one and begins the other
            beside = one.begin + one.nbytes <= other.begin or other.begin + other.nbytes <= one.begin
            assert apart or beside


def test_a_value_in_the_place_of_its_operand_is_held_too():
    x = gc.input("x", (100, 100))
    y = gc.tanh(gc.exp(x))
    fn = gc.compile([x], [gc.sum(y), gc.sum(y * y, axis=0)], without="fuse")
    in_place = {node.op.name for node in fn.report.program.planned[1].in_place}
    assert in_place == {"tanh", "square"}
    timeline = fn.report.program.timeline()
    assert [one.node.op.name for one in timeline.values if one.buffer == 0] == ["exp", "tanh", "square"]
    assert all(40_000 <= used < 41_000 for used in timeline.used)
    node, size = fn.report.memory.holders[0]
    assert (node.op.name, size) == ("square", 40_000)
