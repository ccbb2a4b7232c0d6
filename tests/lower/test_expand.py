"""Taking ops apart."""

import numpy as np

import graphc as gc
from graphc.core import bodies, every_node, toposort
from graphc.lower import expand, interpret
from graphc.lower.template import template_of


def _is_emitted(roots) -> bool:
    return all(node.op is None or template_of(node, "numpy") is not None for node in every_node(roots))


def test_what_a_decomposition_makes_is_taken_apart_too() -> None:
    x = gc.input("x", (2, 3))
    roots = expand([gc.logsumexp(gc.softmax(x), axis=1), gc.var(x)], "numpy")
    assert _is_emitted(roots)
    values = np.arange(6, dtype="float32").reshape(2, 3)
    softmax = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    found = interpret(roots, {x: values})
    np.testing.assert_allclose(found[0], np.log(np.exp(softmax).sum(axis=1)), rtol=1e-6)
    np.testing.assert_allclose(found[1], values.var(), rtol=1e-6)


def test_a_decomposition_may_make_what_the_graph_has_as_well() -> None:
    x = gc.input("x", (2, 3))
    whole = gc.softmax(x)
    pieces = toposort(expand([whole], "numpy"))
    both = expand([whole, *[gc.square(node) for node in pieces]], "numpy")
    assert both[0] is pieces[-1]
    assert _is_emitted(both)


def test_what_the_target_has_stays_the_same_node() -> None:
    x = gc.input("x", (2, 3))
    root = gc.exp(x) + gc.tanh(x)
    assert expand([root, x], "numpy") == [root, x]


def test_bodies_are_taken_apart() -> None:
    x = gc.input("x", (4, 3))
    _, ys = gc.scan(lambda carry, item: (carry + gc.softmax(item), carry), gc.zeros((3,)), x)
    (root,) = expand([gc.sum(ys)], "numpy")
    assert any(bodies(node) for node in toposort([root]))
    assert _is_emitted([root])


def test_labels_stay() -> None:
    x = gc.input("x", (2, 3))
    hidden = gc.softmax(x).named("hidden")
    loss = gc.exp(hidden).named("loss")
    (root,) = expand([loss], "numpy")
    assert root.label == "loss"
    assert root.inputs[0].label == "hidden"
