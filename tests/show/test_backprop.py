"""The reversed graph: an edge for each edge that carries gradient, and what is written on it."""

from collections import Counter
from functools import reduce

import pytest

from graphc import ops as gc
from graphc.core import Input, constant, input
from graphc.core.errors import DrawError
from graphc.grad import flows
from graphc.show import Picture, Reversed, backprop_sketch, to_dot


def reversed_edges(y, wrt):
    """What the gradient engine hands over, and the cotangent of every node on the way."""
    edges, arriving = [], {y: [gc.ones(y.shape, y.dtype)]}
    for flow in flows(y, wrt):
        edges.append(Reversed(flow.node, flow.index, flow.local, None if flow.local is not None else _probe(flow)))
        arriving.setdefault(flow.node.inputs[flow.index], []).append(flow.contribution)
    return edges, {node: reduce(gc.add, parts) for node, parts in arriving.items()}


def _probe(flow):
    g = Input(None, (), (), flow.node.type)
    g.label = "g"
    return flow.node.op.reverse(g, flow.node, *flow.node.inputs, **flow.node.attributes)[flow.index]


def sketch(y, wrt):
    edges, cotangents = reversed_edges(y, wrt)
    return backprop_sketch(y, edges, cotangents, title="picture")


def by_hand(y, *partials):
    """Flows into the operands of one pointwise node."""
    return [Reversed(y, i, local, None) for i, local in enumerate(partials)]


def labels(drawn):
    return [edge.label for edge in drawn.edges if edge.kind == "reversed"]


def ends(drawn, kind):
    return Counter((edge.tail, edge.head) for edge in drawn.edges if edge.kind == kind)


def node(drawn, name):
    return next(x for x in drawn.nodes if x.id == name)


def test_book(golden, book):
    golden("book.dot", to_dot(sketch(book["loss"], [book[name] for name in ("x", "W1", "b1", "W2", "b2")])))


def test_book_twice_is_the_same_text(book):
    wrt = [book["W1"], book["b2"]]
    assert to_dot(sketch(book["loss"], wrt)) == to_dot(sketch(book["loss"], wrt))


def test_book_has_the_derivatives_of_the_book(book):
    found = labels(sketch(book["loss"], [book[name] for name in ("x", "W1", "b1", "W2", "b2")]))
    for label in ("∂t1/∂x = W1ᵀ", "∂t1/∂W1 = xᵀ", "∂h/∂t2 = 1[t2 > 0]", "∂t4/∂b2 = 1", "∂t5/∂p = 1 / p", "∂p/∂t4: g ↦ p ⊙ (g - Σ₁ g ⊙ p)"):
        assert label in found


def test_each_carrying_edge_has_one_reversed_edge(book):
    wrt = [book[name] for name in ("x", "W1", "b1", "W2", "b2")]
    drawn = sketch(book["loss"], wrt)
    carried = {(head, tail) for tail, head in ends(drawn, "forward")} - {("t6", "y")}
    assert ends(drawn, "reversed") == Counter(carried)
    assert len(carried) == len(flows(book["loss"], wrt)) == 15


def test_only_paths_to_the_targets_are_reversed(book):
    drawn = sketch(book["loss"], [book["b2"]])
    assert {head for _, head in ends(drawn, "reversed")} == {"b2", "t4", "p", "t5", "t6", "t7", "t8"}


def test_tooltips_have_the_chain_rule(book):
    drawn = sketch(book["loss"], [book["W1"], book["b1"]])
    assert node(drawn, "W1").tooltip.splitlines() == ["W1: f32[784, 512]", "mlp.py:3", "gradient of loss: ∂loss/∂W1 = xᵀ ∂loss/∂t2"]
    assert "gradient of loss: ∂loss/∂b1 = Σ₀ ∂loss/∂t2" in node(drawn, "b1").tooltip
    assert node(drawn, "h").tooltip.splitlines()[1] == "h = relu(t2)"
    assert "gradient of loss: ∂loss/∂t2 = ∂loss/∂h ⊙ 1[t2 > 0]" in node(drawn, "t2").tooltip


def test_an_operand_that_is_read_twice_has_two_edges():
    x = input("x", (3,))
    drawn = sketch(gc.sum(x * x), [x])
    assert ends(drawn, "forward")["x", "t1"] == ends(drawn, "reversed")["t1", "+ x"] == 2
    assert labels(drawn) == ["∂loss/∂t1 = 1", "∂t1/∂x = x", "∂t1/∂x = x", ""]
    assert "one of 2 edges whose gradients add up at x" in drawn.edges[-2].tooltip


def test_where_paths_join_there_is_a_plus():
    x = input("x", (3,))
    drawn = sketch(gc.sum(gc.sin(x) + gc.exp(x)), [x])
    assert node(drawn, "+ x").kind == "sum"
    assert {head for _, head in ends(drawn, "reversed")} >= {"+ x", "x"}
    assert [edge.tooltip for edge in drawn.edges if edge.tail == "+ x"] == ["∂loss/∂x: the sum over 2 edges"]


@pytest.mark.parametrize(
    ("build", "label"),
    [
        (gc.exp, "∂y/∂x = y"),
        (gc.sin, "∂y/∂x = cos(x)"),
        (lambda x: -x, "∂y/∂x = -1"),
        (lambda x: x + 1, "∂y/∂x = 1"),
        (lambda x: x * 0.5, "∂y/∂x = 0.5"),
        (lambda x: gc.sum(x, axis=0), "∂y/∂x = 1"),
        (lambda x: gc.mean(x, axis=0), "∂y/∂x = 1 / 3"),
        (lambda x: x @ constant([[1.0, 2.0]], "float32"), "∂y/∂x = c0ᵀ"),
        (lambda x: x.T, "∂y/∂x: g ↦ gᵀ"),
        (lambda x: gc.reshape(x, (3,)), "∂y/∂x = 1"),
        (lambda x: x[1:], "∂y/∂x: g ↦ place(g, shape=(3, 1), index…"),
    ],
)
def test_labels(build, label):
    x = input("x", (3, 1))
    assert labels(sketch(build(x), [x])) == [label]


def test_a_mean_over_several_named_sizes():
    x = input("x", ("n", 4))
    edge = sketch(gc.mean(x), [x]).edges[-1]
    assert edge.label == "∂loss/∂x = 1 / (4 n)"
    assert edge.tooltip.splitlines()[1] == "g ↦ g / (4 n)"


def test_a_long_label_is_whole_in_the_tooltip():
    x = input("x", (3,))
    y = gc.silu(x)
    edge = backprop_sketch(y, by_hand(y, gc.sigmoid(x) + x * gc.sin(x) * gc.cos(x) * gc.exp(x))).edges[-1]
    assert edge.label == "∂y/∂x = σ(x) + x ⊙ sin(x) ⊙ cos(x) ⊙ ex…"
    assert edge.tooltip == "∂y/∂x = σ(x) + x ⊙ sin(x) ⊙ cos(x) ⊙ exp(x)"


def test_numbers_are_written_into_their_readers():
    x = input("x", (3,))
    drawn = backprop_sketch(1 - x * 0.5, [])
    assert [n.lines[0] for n in drawn.nodes] == ["x", "× 0.5", "1 −"]
    assert len(drawn.edges) == 2


def test_numbers_in_nodes_keep_their_brackets():
    x = input("x", ("n", 4))
    drawn = backprop_sketch(x * -2.0 / gc.number(x.size, "float32"), [])
    assert [n.lines[0] for n in drawn.nodes] == ["x", "× (-2)", "/ (4 n)"]


def test_other_numbers_are_nodes():
    x = input("x", (3,))
    drawn = backprop_sketch(gc.maximum(x, 7) + constant(7.0, "float32"), [])
    assert [(n.lines[0], n.kind) for n in drawn.nodes] == [("x", "input"), ("7", "constant"), ("maximum", "operator"), ("+", "output")]
    assert len(drawn.edges) == 4


def test_without_flows_it_is_the_forward_graph(book):
    drawn = backprop_sketch(book["loss"], [])
    assert ends(drawn, "reversed") == Counter()
    assert [n.kind for n in drawn.nodes].count("variable") == 4
    assert node(drawn, "loss").kind == "output"


def test_flows_made_by_hand():
    a, b = input("a", (3,)), input("b", (3,))
    y = (a * b).named("y")
    assert labels(backprop_sketch(y, by_hand(y, b, a))) == ["∂y/∂a = b", "∂y/∂b = a"]
    y = a / b
    quotient = by_hand(y, *[partial(y, a, b) for partial in y.op.partials])
    assert labels(backprop_sketch(y, quotient)) == ["∂y/∂a = 1 / b", "∂y/∂b = -y / b"]


def test_the_placeholder_is_not_the_users_g():
    g, w = input("g", (2, 3)), input("w", (3, 4))
    assert labels(sketch(g @ w, [g, w])) == ["∂y/∂g = wᵀ", "∂y/∂w = gᵀ"]


@pytest.mark.parametrize(
    ("indices", "reason"), [([0, 0], "2 flows over input 0"), ([5], "a flow over input 5"), ([-1], "a flow over input -1")]
)
def test_flows_that_are_not_one_an_edge_are_refused(indices, reason):
    a, b = input("a", (3,)), input("b", (3,))
    y = a * b
    with pytest.raises(DrawError, match=f"backprop_sketch.*{reason}.*multiply") as caught:
        backprop_sketch(y, [Reversed(y, i, b, None) for i in indices])
    assert caught.value.fits == "one flow an edge of the graph of y"


def test_a_flow_of_another_graph_is_refused():
    a, b = input("a", (3,)), input("b", (3,))
    with pytest.raises(DrawError, match="a flow over input 0"):
        backprop_sketch(a + b, by_hand(a * b, b))


def test_labels_that_are_no_names_are_drawn():
    x = input('x "<&>\n', (3,))
    drawn = sketch(gc.sum(gc.exp(x)), [x])
    assert Picture(drawn).svg.count("<g ") > 3


def test_a_deep_graph():
    y = x = input("x", (3,))
    for _ in range(2_000):
        y = gc.sin(y)
    assert len(sketch(y, [x]).edges) == 4_000
