"""What nodes cost: formulas against hand counts, and estimates that are in the right order."""

import pytest

import graphc as gc
from graphc.core import input, sizes, toposort
from graphc.core.op import table
from graphc.lower import cost
from graphc.lower.cost import Estimate, Work, dearest, is_view, totals, ways, work
from graphc.lower.machine import REFERENCE
from graphc.testing import calls

N, M, K = (sizes.named(name) for name in ("n", "m", "k"))
x, y, v = input("x", ("n", "m")), input("y", ("m", "k")), input("v", ("m",))
image = input("image", (4, 8, 8, 3))
places = input("places", (5,), "int32")


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (x, Work()),
        (x.T, Work()),
        (x + x, Work(N * M, 4 * N * M, 4 * N * M)),
        (x * v, Work(N * M, 4 * N * M + 4 * M, 4 * N * M)),
        (x * gc.broadcast_to(v, x.shape), Work(N * M, 4 * N * M + 4 * M, 4 * N * M)),
        (x > 0, Work(N * M, 4 * N * M + 4, N * M)),
        (x.astype("float64"), Work(0, 4 * N * M, 8 * N * M)),
        (x @ y, Work(2 * N * M * K, 4 * N * M + 4 * M * K, 4 * N * K)),
        (x @ x.T, Work(2 * N * N * M, 8 * N * M, 4 * N * N)),
        (gc.take(x, places, axis=0), Work(0, 20 * M + 20, 20 * M)),
        (gc.reshape(x, (-1,)), Work()),
        (gc.reshape(x.T, (-1,)), Work(0, 4 * N * M, 4 * N * M)),
    ],
    ids=lambda value: "" if isinstance(value, Work) else repr(value),
)
def test_work_is_as_counted_by_hand(node, expected):
    assert work(node) == expected


def test_work_of_what_is_taken_apart_is_that_of_the_pieces():
    node = gc.softmax(x)
    assert work(node).flops == node.op.count_flops(node)
    pieces = toposort([node.op.expand(x, axis=(1,))])
    assert work(node).nbytes == cost.total(pieces).nbytes


def test_a_loop_costs_its_body_so_often():
    def step(carry, item):
        return carry + gc.exp(item), carry

    items = input("items", (10, 1000))
    outputs = gc.scan(step, input("start", (1000,)), items)
    (loop,) = [node for node in toposort([outputs[0]]) if node.op is not None and node.op.name == "scan"]
    assert work(loop).flops == loop.op.count_flops(loop)
    (body,) = cost.bodies(loop)
    estimate = Estimate(constants=REFERENCE)
    assert estimate(loop) == pytest.approx(10 * estimate.total(body.outputs) + REFERENCE.call)


def test_only_a_reshape_of_strides_is_a_copy():
    assert is_view(gc.reshape(x, (-1,)))
    assert not is_view(gc.reshape(x.T, (-1,)))
    assert not is_view(x + x)


def estimated(node, **known):
    return Estimate(known, REFERENCE)(node)


@pytest.mark.parametrize(
    ("cheap", "dear"),
    [
        (x.T, x + x),
        (x + x, gc.exp(x)),
        (gc.exp(x), gc.mod(x, 3.0)),
        (gc.square(x), gc.sin(x.astype("float64"))),
        (gc.sum(x, axis=0), gc.max(x, axis=0)),
        (x @ y[:, :1], x @ y),
        (gc.exp(x), gc.softplus(x)),
        (gc.sum(x), gc.sort(x)),
        (x + x, gc.erf(x)),
    ],
    ids=repr,
)
def test_what_is_dearer_is_estimated_so(cheap, dear):
    known = {"n": 500, "m": 300, "k": 200}
    assert estimated(cheap, **known) < estimated(dear, **known)


def test_an_estimate_is_the_overhead_of_a_small_call_and_the_bytes_of_a_large_one():
    assert estimated(x + x, n=1, m=1) == pytest.approx(REFERENCE.call, rel=0.05)
    big = 10_000
    assert estimated(x + x, n=big, m=big) == pytest.approx(8 * big * big / REFERENCE.far, rel=0.05)


def test_names_without_a_number_are_taken_for_the_nominal_one():
    assert estimated(x @ y) == estimated(x @ y, n=cost.NOMINAL, m=cost.NOMINAL, k=cost.NOMINAL)


def test_every_call_of_every_op_has_an_estimate_and_work_that_is_no_less_than_nothing():
    estimate = Estimate(constants=REFERENCE)
    for op in table():
        for call in calls(op):
            root = call.node(call.inputs("float32"))
            assert 0 <= estimate.total([root]) < 1e6, str(call)
            assert all(sizes.bind(part, {}) >= 0 for part in totals([root], estimate).work), str(call)


def _chain(rows, links):
    a = input("a", (rows, 256))
    nodes = [gc.tanh(a)]
    for i in range(links):
        nodes.append(nodes[-1] * (i + 2.0) + a)
    return [node for node in toposort([nodes[-1]]) if node.op is not None], nodes[-1]


@pytest.mark.parametrize(("rows", "loop", "threads"), [(16, False, False), (20_000, True, True)])
def test_loops_and_threads_pay_for_what_is_large(rows, loop, threads):
    nodes, last = _chain(rows, 6)
    found = ways(nodes, [last], rows, Estimate(constants=REFERENCE), threads=2)
    assert (found.loop_pays, found.threads < 0.9 * found.blocks) == (loop, threads)


def test_threads_never_pay_where_there_is_one():
    nodes, last = _chain(20_000, 6)
    found = ways(nodes, [last], 20_000, Estimate(constants=REFERENCE))
    assert found.threads == found.blocks


def test_the_totals_and_the_dearest_nodes_are_for_reading():
    estimate = Estimate({"n": 100, "m": 100, "k": 100}, REFERENCE)
    graph = [gc.exp(x) @ y]
    assert str(totals(graph, estimate)).startswith("2*k*m*n + m*n flops, ")
    first, second = dearest(graph, estimate)
    assert "matmul f32[n, k]  test_cost.py:" in first
    assert "exp f32[n, m]" in second
    assert len(dearest(graph, estimate, 1)) == 1
