"""Two graphs compared: what is equal is matched, what is not is named, in text and in pictures."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

import graphc as gc
from graphc.core import Tensor, toposort
from graphc.core.errors import ArgumentError
from graphc.show.matching import matched


def network(act=gc.relu, *, classes: int = 10, norm: bool = False, bias: bool = True) -> Tensor:
    x, t = gc.input("x", ("batch", 20)), gc.input("t", ("batch",), dtype="int32")
    w1, b1 = gc.variable(np.zeros((20, 30), "float32"), "w1"), gc.variable(np.zeros(30, "float32"), "b1")
    w2, b2 = gc.variable(np.zeros((30, classes), "float32"), "w2"), gc.variable(np.zeros(classes, "float32"), "b2")
    h = act(x @ w1 + b1).named("h")
    if norm:
        h = h / gc.sqrt(gc.mean(gc.square(h), axis=-1, keepdims=True) + 1e-6)
    logits = h @ w2 + b2 if bias else h @ w2
    return gc.mean(gc.sparse_categorical_crossentropy(t, logits.named("logits"), from_logits=True)).named("loss")


def weights(loss: Tensor) -> list[Tensor]:
    return [x for x in toposort([loss]) if isinstance(x, gc.Variable)]


def names(nodes) -> list[str]:
    return sorted(node.op.name if node.op else node.label or node.kind for node in nodes)


def test_equal_graphs_have_no_diff() -> None:
    a, b = network(), network()
    found = gc.diff(a, b)
    assert not found
    assert str(found) == "a and b are the same graph of 13 nodes"
    assert not gc.diff(a, a)
    assert not gc.diff([a, gc.exp(a)], (b, gc.exp(b)))
    assert not gc.diff(gc.grad(a, weights(a)), gc.grad(b, weights(b)))
    assert not gc.diff({"loss": a}, b)


def test_another_op() -> None:
    found = gc.diff(network(), network(gc.tanh))
    assert found
    ((x, y),) = found.changed
    assert (x.op.name, y.op.name) == ("relu", "tanh")
    assert found.reasons(x, y) == ["relu → tanh"]
    assert not found.added
    assert not found.removed


def test_nodes_between_two_others() -> None:
    found = gc.diff(network(), network(norm=True))
    assert names(found.added) == ["add", "constant", "divide", "mean", "sqrt", "square"]
    assert not found.removed
    assert [y.op.name for _, y in found.changed] == ["matmul"]
    back = gc.diff(network(norm=True), network())
    assert names(back.removed) == names(found.added)
    assert not back.added


def test_something_left_out() -> None:
    found = gc.diff(network(), network(bias=False))
    assert names(found.removed) == ["add", "b2"]
    assert not found.added


def test_types_attributes_labels_values_and_outputs() -> None:
    x, y = gc.input("x", (2, 3)), gc.input("x", (2, 4))
    assert gc.diff(gc.exp(x), gc.exp(y)).reasons(x, y) == ["f32[2, 3] → f32[2, 4]"]
    a, b = gc.sum(x, axis=0, keepdims=True), gc.sum(x, axis=0)
    assert "keepdims: True → False" in gc.diff(a, b).reasons(a, b)
    assert "another value" in str(gc.diff(x * 2.0, x * 3.0))
    one, other = gc.input("one", (2,)), gc.input("other", (2,))
    assert "called one → other" in str(gc.diff(gc.sin(one), gc.sin(other)))
    swapped = gc.diff([x, gc.exp(x)], [gc.exp(x), x])
    assert swapped
    assert not swapped.changed
    assert [line for line in str(swapped).splitlines() if "return" in line] == ["- return %0, %1", "+ return %1, %0"]
    zero, minus = gc.maximum(x, 0.0), gc.maximum(x, -0.0)
    assert gc.diff(zero, minus)


def test_operands_in_another_order() -> None:
    x, y = gc.input("x", (2,)), gc.input("y", (2,))
    found = gc.diff(x - y, y - x)
    assert [reason for a, b in found.changed for reason in found.reasons(a, b)] == ["other operands"]


def test_matching_is_one_to_one_and_of_one_op_where_it_can_be() -> None:
    pairs = [(network(), network(gc.tanh, norm=True)), (network(norm=True), network(classes=7)), (network(bias=False), network(gc.sin))]
    for a, b in pairs:
        first, second = gc.grad(a, weights(a)), gc.grad(b, weights(b))
        found = matched(first, second)
        assert len(set(found.values())) == len(found)
        assert set(found) <= set(toposort(first))
        assert set(found.values()) <= set(toposort(second))
        diff = gc.diff(first, second)
        counts = len(diff.same) + len(diff.changed)
        assert counts + len(diff.removed) == len(toposort(first))
        assert counts + len(diff.added) == len(toposort(second))
        assert len(diff.same) + len(diff.changed) > 0.5 * min(len(toposort(first)), len(toposort(second)))


def test_the_listing_is_unified() -> None:
    told = str(gc.diff(network(), network(gc.tanh, norm=True), names=("old", "new"))).splitlines()
    assert told[:2] == ["--- old: 13 nodes", "+++ new: 19 nodes"]
    assert "  … " in told[2]
    (relu,) = [i for i, line in enumerate(told) if "= relu(" in line]
    assert told[relu].startswith("- %")
    assert told[relu + 1].startswith("+ %")
    assert told[relu + 1].endswith("relu → tanh")
    assert told[-1].startswith("  return %")
    every = gc.diff(network(), network(gc.tanh)).listing(context=None)
    assert "…" not in every
    # every number that is read has a line
    defined = set(re.findall(r"^. (%\d+) ", every, re.MULTILINE))
    assert set(re.findall(r"%\d+", every)) == defined


def test_functions_are_compared_by_what_runs() -> None:
    x = gc.input("x", (3,))
    plain, unsafe = gc.compile(x, x * 0.0 + gc.exp(x)), gc.compile(x, x * 0.0 + gc.exp(x), unsafe_math=True)
    assert names(gc.diff(plain, unsafe).removed) == ["add", "constant", "multiply"]
    assert not gc.diff(plain, gc.compile(x, x * 0.0 + gc.exp(x)))


def test_loops_differ_in_their_bodies() -> None:
    xs, h0 = gc.input("xs", (5, 3)), gc.input("h", (3,))

    def loop(act):
        return gc.scan(lambda h, x: (act(h + x), h), h0, xs)[0]

    assert not gc.diff(loop(gc.tanh), loop(gc.tanh))
    told = str(gc.diff(loop(gc.tanh), loop(gc.sin))).splitlines()
    (head,) = [i for i, line in enumerate(told) if line.strip() == "body:"]
    assert "another body" in told[head - 1]
    inside = [line for line in told[head:] if line.startswith(("-         %", "+         %"))]
    assert ["tanh(" in inside[0], "sin(" in inside[1]] == [True, True]


@pytest.mark.parametrize("engine", [None, "plain"])
def test_pictures_mark_by_more_than_colour(engine) -> None:
    found = gc.diff(network(bias=True), network(gc.tanh, norm=True, bias=False))
    picture = found.draw(engine=engine)
    for sign in ("~ tanh", "+ square", "− add"):
        assert sign in picture.svg
    assert "dash" in picture.svg
    assert "6 nodes added, 2 removed" in picture.sketch.description
    assert found._repr_svg_() == found.svg
    dot = picture.dot
    assert "peripheries=2" in dot
    assert "dashed" in dot


def test_large_pictures_show_what_is_near() -> None:
    def chain(act):
        h = gc.input("x", (3,))
        for i in range(300):
            h = (act if i == 150 else gc.sin)(h)
        return h

    found = gc.diff(chain(gc.sin), chain(gc.cos))
    assert [y.op.name for _, y in found.changed] == ["cos"]
    sketch = found.draw(engine="plain").sketch
    assert len(sketch.nodes) == 5
    assert "296 that are the same are left out" in sketch.description
    assert len(found.draw(engine="plain", everything=True).sketch.nodes) == 301
    assert len(str(found).splitlines()) < 15


def test_it_is_linear() -> None:
    def chain(act):
        h = gc.input("x", (3,))
        for i in range(5_000):
            h = (act if i % 250 == 0 else gc.sin)(h)
        return h

    found = gc.diff(chain(gc.exp), chain(gc.cos))
    assert len(found.changed) == 20
    assert not found.added


@pytest.mark.parametrize("wrong", [3, "loss", [], [1, 2], None])
def test_what_is_no_graph(wrong) -> None:
    with pytest.raises(ArgumentError, match="is no graph"):
        gc.diff(gc.input("x"), wrong)


def test_rich_and_notebooks() -> None:
    found = gc.diff(network(), network(gc.tanh))
    out = io.StringIO()
    Console(file=out, width=200, color_system=None).print(found)
    assert "- %6" in out.getvalue()
    assert repr(found) == "<diff of a and b: 0 added, 0 removed, 1 changed, 12 the same>"
