"""Loops, branches and calls as they are shown: in listings, in formulas and in pictures, on both layouts."""

import re
from itertools import combinations, product

import numpy as np
import pytest

import graphc as gc
from graphc.core import Origin, toposort
from graphc.core.errors import DrawError
from graphc.grad import flows
from graphc.picture import draw
from graphc.show import Cluster, Node, Sketch, to_dot, unfold
from graphc.show.layout import place
from graphc.show.plain import to_svg

x, w, flag = gc.input("x", (3,)), gc.input("w", (3, 3)), gc.input("flag", (), "bool")


@gc.custom_gradient
def straight(v):
    """The nearest whole numbers, through which the gradient passes as it is."""
    return gc.round(v), lambda g: g


@gc.checkpoint
def layer(v, weight):
    """One dense layer, computed again in the backward pass."""
    return gc.relu(v @ weight)


def network():
    """A recurrent network and its loss, as books have it; each node on a line of its own."""
    leaves = {name: gc.input(name, shape) for name, shape in {"h0": (4,), "xs": ("time", 3), "U": (3, 4), "W": (4, 4)}.items()}

    def step(h, item):
        new = gc.tanh(h @ leaves["W"] + item @ leaves["U"])
        return new, new

    loss = gc.mean(gc.sum(gc.square(gc.scan(step, leaves["h0"], leaves["xs"])[1]), axis=-1)).named("loss")
    for line, node in enumerate(toposort([loss]), 1):
        node.origin = Origin("rnn.py", line)
    return loss, leaves


def nested():
    """A loop in the step of another."""

    def row(total, items):
        total, partial = gc.scan(lambda a, b: (gc.sin(a * b), a), total, items)
        return total, gc.sum(partial)

    start, rows = gc.input("s0", ()), gc.input("rows", (4, 5))
    last, sums = gc.scan(row, start, rows, reverse=True)
    return gc.sum(sums) + last, [start, rows]


SHOWN = {
    "scan": lambda: network()[0],
    "scan of numbers": lambda: gc.scan(lambda c, i: (c + i, None), gc.input("c", ()), gc.input("items", (5,)))[0],
    "scan without sequences": lambda: gc.scan(lambda c, i: (c * 2, None), x, length=3)[0],
    "truncated": lambda: gc.sum(gc.scan(lambda c, i: (c * i, c), x, gc.input("xs", (6, 3)), truncate=2)[1]),
    "carry that stays": lambda: gc.scan(lambda c, i: (c, i), x, gc.input("xs", (2, 3)))[1],
    "carries that swap": lambda: sum(gc.scan(lambda c, i: ((c[1], c[0]), None), (x, gc.input("y", (3,))), length=3)[0]),
    "map": lambda: gc.map(gc.exp, w),
    "nested": lambda: nested()[0],
    "cond": lambda: gc.sum(gc.cond(flag, lambda v: gc.tanh(v @ w) * 2, lambda v: v, x)),
    "cond of two": lambda: gc.add(*gc.cond(gc.sum(x) > 0, lambda v: (v, v * 2), lambda v: (v * 3, v), x)),
    "cond of constants": lambda: gc.cond(flag, lambda: gc.ones((3,)), lambda: gc.zeros((3,))) + gc.ones((3,)),
    "while": lambda: gc.while_loop(lambda v: gc.sum(v) < 10, lambda v: v * 2, x),
    "checkpoint": lambda: gc.sum(layer(layer(x, w), gc.input("w2", (3, 3)))),
    "custom": lambda: gc.sum(straight(x * 2)),
    "cond in a scan": lambda: gc.scan(lambda c, i: (gc.cond(gc.sum(c) > 0, gc.sin, lambda v: v * i, c), None), x, w)[0],
    "qr": lambda: gc.sum(gc.multiply(*gc.qr(w))),
}
every_one = pytest.mark.parametrize("name", SHOWN)


def leaves_of(y):
    return [node for node in toposort([y]) if node.kind == "input" and node.dtype == "float32"]


def gradients(y):
    """The targets, unless no gradient passes."""
    return [] if any(node.op and node.op.name == "while_loop" for node in toposort([y])) else leaves_of(y)


# ---------------------------------------------------------------- golden pages
def test_network(golden):
    loss, leaves = network()
    golden("rnn.listing.txt", gc.listing([loss, gc.grad(loss, leaves["W"])]) + "\n")
    pages = [gc.formula(y) for y in (loss, gc.grad(loss, leaves["W"]))]
    golden("rnn.formula.txt", "\n\n".join([f"{page.text}\n\n{page.latex}" for page in pages]) + "\n")
    picture = draw(loss, wrt=[leaves[name] for name in ("h0", "U", "W")])
    golden("rnn.dot", picture.dot)


FORMULAS = {
    "scan of numbers": "scan(step, c, items)[0]\nwhere step(c_t, item) = c_t + item",
    "scan without sequences": "scan(step, x, length=3)[0]\nwhere step(x_t) = 2 x_t",
    "map": "scan(step, w)\nwhere step(w_t) = exp(w_t)",
    "cond": "Σ (2 tanh(wᵀ x) if flag else x)",
    "cond of two": "(x if t1 else 3 x) + (2 x if t1 else x)\nwhere t1 = Σ x > 0",
    "while": "while_loop(test, step, x)\nwhere test(x_t) = Σ x_t < 10\n      step(x_t) = 2 x_t",
    "checkpoint": "Σ checkpoint(f, checkpoint(f, x, w), w2)\nwhere f(x, w2) = relu(w2ᵀ x)",
    "custom": "Σ custom(f, pullback, 2 x)\nwhere f(x) = round(x)\n      pullback(x, g) = g",
    "carries that swap": "t1 + t2\nwhere t1, t2 = scan(step, x, y, length=3)\n      step(x_t, y_t) = (y_t, x_t)",
    "qr": "Σ t1 ⊙ t2\nwhere t1, t2 = qr(w)",
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    assert str(gc.formula(SHOWN[name]())) == FORMULAS[name]


@every_one
def test_formulas_of_values_and_gradients(name):
    y = SHOWN[name]()
    total = y if not y.shape else gc.sum(y)
    for node in (y, *gc.grad(total, gradients(y), disconnected="zero")):
        found = gc.formula(node)
        assert not re.search(r"<\w+ |\$", found.text + found.latex)
        assert found.text == gc.formula(node).text
        assert found.latex.count("{") == found.latex.count("}")


def test_a_function_is_named_after_what_it_is_called_with_whoever_was_there_first():
    kept = gc.formula(layer(gc.input("other", (3,)), gc.input("weights", (3, 3))))
    assert "f(x, w) = relu(wᵀ x)" in str(gc.formula(layer(x, w)))
    assert "f(other, weights)" in str(kept)


COMPLEX = {1 - 2j: ("1 - 2i", r"1 - 2\mathrm{i}"), 2j: ("2i", r"2\mathrm{i}"), -1j: ("-i", r"-\mathrm{i}"), 3 + 0j: ("3", "3")}


@pytest.mark.parametrize("value", COMPLEX)
def test_complex_numbers(value):
    found = gc.formula(gc.constant(np.complex64(value)))
    assert (found.text, found.latex) == COMPLEX[value]


def test_complex_factors_have_brackets():
    z = gc.input("z", (3,), "complex64")
    assert str(gc.formula(z * (1 - 2j))) == "(1 - 2i) z"
    assert gc.formula(z * (1 + 1e-7j)).latex == r"\left(1 + 10^{-7}\mathrm{i}\right) \, z"
    assert "constant -i" in gc.listing(z * -1j)


# ---------------------------------------------------------------- listings
def test_a_body_that_comes_twice_is_listed_once():
    lines = gc.listing(SHOWN["checkpoint"]()).splitlines()
    assert [line.strip() for line in lines if "body" in line] == [
        "body(argument p0: f32[3], argument p1: f32[3, 3]):",
        "body: that of %2.body",
    ]


def test_bodies_in_bodies_have_numbers_and_columns_of_their_own():
    lines = gc.listing(nested()[0]).splitlines()
    depths = [len(line) - len(line.lstrip()) for line in lines if line.lstrip().startswith("%0 ")]
    assert depths == [0, 8, 16]
    assert lines[-1].startswith("return %")


@every_one
def test_listings_are_the_same_every_time(name):
    text = gc.listing(SHOWN[name]())
    assert text == gc.listing(SHOWN[name]())
    assert "<subgraph" not in text


# ---------------------------------------------------------------- pictures
@every_one
def test_pictures(name):
    y = SHOWN[name]()
    sketch = draw(y, wrt=gradients(y)).sketch
    calls = [node for node in toposort([y]) if node.op and node.op.name in ("scan", "while_loop", "cond", "checkpoint", "custom")]
    assert bool(sketch.clusters) == bool(calls)
    ids = {node.id for node in sketch.nodes}
    assert all({edge.tail, edge.head} <= ids for edge in sketch.edges)
    assert any(edge.kind == "reversed" for edge in sketch.edges) == bool(gradients(y))
    assert to_dot(sketch) == to_dot(draw(y, wrt=gradients(y)).sketch)
    assert "nan" not in to_svg(sketch)


def labels(sketch):
    return {(edge.tail, edge.head): edge.label for edge in sketch.edges if edge.kind == "reversed"}


def test_the_gradient_of_a_loop_goes_from_step_to_step():
    loss, leaves = network()
    for wrt in ("W", "h0"):
        sketch = draw(loss, wrt=leaves[wrt]).sketch
        assert labels(sketch)["h", "+ h′"] == "g_next"
        assert [(edge.tail, edge.head) for edge in sketch.edges if edge.kind == "carried"] == [("h′", "h")]
        after = next(node for node in sketch.nodes if node.id == "h′")
        assert "∂loss/∂h′ = g_next + " in after.tooltip
    assert ("h", "h0") not in labels(draw(loss, wrt=leaves["W"]).sketch)
    assert labels(draw(loss, wrt=leaves["h0"]).sketch)["h", "h0"] == "∂h/∂h0: g ↦ g at the first step"


def test_branches_send_back_under_their_condition():
    found = labels(draw(SHOWN["cond"](), wrt=[x, w]).sketch)
    assert {"1[flag]", "1[not flag]"} <= {label.partition(" = ")[2] for label in found.values()}


def test_a_gradient_of_its_own_goes_past_the_frame():
    sketch = draw(SHOWN["custom"](), wrt=x).sketch
    inside = {node.id for node in sketch.nodes if node.cluster}
    assert inside
    assert not inside & {end for ends in labels(sketch) for end in ends}


def test_several_results_send_back_together():
    found = labels(draw(SHOWN["qr"](), wrt=w).sketch)
    assert any(": g0, g1 ↦ " in label for label in found.values())


def test_a_graph_without_bodies_is_itself():
    y = gc.sum(gc.exp(x))
    assert unfold(y).root is y


def test_a_node_of_the_graph_after_a_loop_may_be_a_target():
    loss, _ = network()
    inner = loss.inputs[0]
    assert labels(draw(loss, wrt=inner).sketch)


def test_what_constants_make_is_outside_where_it_is_read_outside():
    sketch = draw(SHOWN["cond of constants"]()).sketch
    ones = [node for node in sketch.nodes if not node.cluster and node.kind != "output" and "broadcast" in node.lines[0]]
    assert ones


# ---------------------------------------------------------------- frames
@every_one
def test_frames_hold_their_own_nodes_and_no_others(name):
    y = SHOWN[name]()
    sketch = draw(y, wrt=gradients(y)).sketch
    placed = place(sketch)
    parents = {cluster.id: cluster.parent for cluster in sketch.clusters}

    def around(cluster):
        return {cluster} | around(parents[cluster]) if cluster else set()

    for (cluster, frame), (node, box) in product(
        zip(sketch.clusters, placed.frames, strict=True), zip(sketch.nodes, placed.boxes, strict=True)
    ):
        aside = abs(frame.x - box.x) >= (frame.width + box.width) / 2 or abs(frame.y - box.y) >= (frame.height + box.height) / 2
        within = abs(frame.x - box.x) <= (frame.width - box.width) / 2 and abs(frame.y - box.y) <= (frame.height - box.height) / 2
        assert within if cluster.id in around(node.cluster) else aside
    for one, other in combinations(placed.boxes, 2):
        assert abs(one.x - other.x) >= (one.width + other.width) / 2 or abs(one.y - other.y) >= (one.height + other.height) / 2


@every_one
def test_edges_meet_their_nodes_across_frames(name):
    y = SHOWN[name]()
    sketch = draw(y, wrt=gradients(y)).sketch
    placed = place(sketch)
    boxes = {node.id: box for node, box in zip(sketch.nodes, placed.boxes, strict=True)}
    for edge, way in zip(sketch.edges, placed.ways, strict=True):
        for (across, down), box in ((way[0], boxes[edge.tail]), (way[-1], boxes[edge.head])):
            assert abs(across - box.x) <= box.width / 2 + 1e-9
            assert abs(down - box.y) == pytest.approx(box.height / 2)


@pytest.mark.parametrize(
    ("nodes", "clusters", "words"),
    [
        ((Node("a", (), cluster="cluster_1"),), (), "unknown clusters: 'cluster_1'"),
        ((), (Cluster("cluster_0", "a", "cluster_1"),), "unknown clusters: 'cluster_1'"),
        ((), (Cluster("cluster_0", "a"), Cluster("cluster_0", "b")), "given twice: 'cluster_0'"),
    ],
)
def test_clusters_that_make_no_sense_are_refused(nodes, clusters, words):
    with pytest.raises(DrawError) as caught:
        Sketch("mine", "", nodes, (), clusters)
    assert words in caught.value.given[0]


def test_the_carries_of_a_step_keep_their_names_in_the_next():
    y = gc.add(*gc.scan(lambda c, i: ((c[1], c[0] * i), None), (x * 2, x * 3), w)[0])
    sketch = draw(y, wrt=x).sketch
    assert [(edge.tail, edge.head) for edge in sketch.edges if edge.kind == "carried"] == [("c_2", "c"), ("c_2′", "c_2")]


def test_a_flow_through_several_results_has_a_cotangent_for_each():
    q, r = gc.qr(w)
    found = {flow.node: flow for flow in flows(gc.sum(q), [w])}
    assert [g.type for g in found[q.inputs[0]].cotangent] == [q.type, r.type]
    assert found[q].contribution.type is q.type
    assert found[q.inputs[0]].contribution.type is w.type
