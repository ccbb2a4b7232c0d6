"""Nodes: hash-consing, weakness, the user's lines, and chains that are too long to recurse over."""

import gc as collector
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core import Origin, Tensor, consumers, derived_from, expr, rebuild, substitute, toposort
from graphc.core.types import TensorType


def here() -> int:
    """The line that calls this."""
    return sys._getframe(1).f_lineno


# ---------------------------------------------------------------- identity
def test_the_same_expression_is_the_same_object() -> None:
    x, y = gc.input("x", (3,)), gc.input("y", (3,))
    assert x + y is x + y
    assert gc.sum(x * y, axis=0) is gc.sum(x * y, axis=-1)
    assert gc.sum(x) is gc.sum(x, axis=None, keepdims=False)
    assert x + 1 is x + np.float32(1)
    assert gc.transpose(gc.exp(x)) is gc.exp(x).T


def test_what_differs_in_anything_is_another_object() -> None:
    x, y = gc.input("x", (3, 3)), gc.input("y", (3, 3))
    assert x + y is not y + x
    assert gc.sum(x, axis=0) is not gc.sum(x, axis=1)
    assert gc.leaky_relu(x, negative_slope=0.1) is not gc.leaky_relu(x, negative_slope=0.2)
    assert gc.input("x", (3, 3)) is not x
    assert gc.variable(np.zeros(2)) is not gc.variable(np.zeros(2))


def test_constants_are_shared_by_value_dtype_shape_and_sign() -> None:
    assert gc.constant([1.0, 2.0]) is gc.constant(np.array([1.0, 2.0]))
    assert gc.constant(np.arange(1000.0)) is gc.constant(np.arange(1000.0))
    different = [gc.constant(0.0), gc.constant(-0.0), gc.constant(0.0, "float32"), gc.constant([0.0]), gc.constant(0), gc.constant([[0.0]])]
    assert len({id(c) for c in different}) == len(different)


def test_a_constant_is_a_copy_that_cannot_be_written() -> None:
    array = np.arange(3.0)
    c = gc.constant(array)
    array[0] = 9
    assert c.value[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        c.value[0] = 1


def test_types_are_shared() -> None:
    assert TensorType("float32", (2, 3)) is TensorType("float32", (2, 3))
    assert gc.input("x", ("n",)).type is gc.input("y", ("n",)).type


def test_threads_that_build_the_same_expression_get_the_same_node() -> None:
    x = gc.input("x", (3,))
    found: list[list[Tensor]] = []
    barrier = threading.Barrier(8)

    def build() -> None:
        barrier.wait()
        found.append([gc.exp(x * float(i)) for i in range(300)])

    threads = [threading.Thread(target=build) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for nodes in zip(*found, strict=True):
        assert len({id(node) for node in nodes}) == 1


def test_nodes_cannot_be_compared_counted_or_asked_for_truth_by_mistake() -> None:
    x = gc.input("x", ("n",))
    assert (x == gc.input("x", ("n",))) is False
    assert len({x, x}) == 1
    with pytest.raises(gc.errors.ArgumentError, match="has no value yet"):
        bool(x > 0)
    with pytest.raises(TypeError, match="no length"):
        len(x)


# ---------------------------------------------------------------- weakness
def test_the_table_of_nodes_does_not_keep_them_alive() -> None:
    x = gc.input("x", (3,))
    collector.collect()
    before = len(expr._nodes)
    for i in range(10_000):
        gc.exp(x + float(i)) * x
    collector.collect()
    assert len(expr._nodes) <= before + 2


def test_nodes_die_by_reference_counting_alone() -> None:
    collector.collect()
    collector.disable()
    try:
        before = len(expr._nodes)
        x = gc.input("x", (3,))
        y = gc.sum(gc.tanh(x) * x)
        dx = gc.grad(y, x)
        assert len(expr._nodes) > before
        del y, dx
        assert len(expr._nodes) == before
    finally:
        collector.enable()


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize(
    "of",
    [lambda x, zero: gc.nan_to_num(x, nan=zero), lambda x, zero: gc.pad(x, ((1, 1),), constant_values=zero)],
    ids=["attribute", "constant"],
)
def test_the_sign_of_a_zero_counts(of: Any, backend: Any) -> None:
    x = gc.input("x", (1,))
    above, below = of(x, 0.0), of(x, -0.0)
    assert above is not below
    assert of(x, -0.0) is below
    results = gc.compile([x], [above, below], backend=backend)([np.nan])
    assert [bool(np.signbit(y[0])) for y in results] == [False, True]


# ---------------------------------------------------------------- origins
def test_a_node_knows_the_users_line() -> None:
    line = here() + 1
    x = gc.input("x", (3,))
    after = here() + 1
    y = gc.softplus(x)
    assert (x.origin.line, y.origin.line) == (line, after)
    assert x.origin.file == __file__
    assert str(y.origin) == f"test_nodes.py:{after}"


def test_nodes_made_inside_graphc_carry_the_users_line() -> None:
    x = gc.input("x", (3, 2))
    line = here() + 1
    v = gc.var(x, axis=0)
    assert {node.origin.line for node in toposort([v]) if node is not x} == {line}


def test_what_is_made_of_constants_alone_has_the_line_of_no_graph() -> None:
    x = gc.input("x", ("n", 3))
    one = gc.grad(gc.sum(x), x)
    graph = [gc.constant(1.0), gc.zeros((3,)), gc.mean(x).inputs[0], *toposort([one])]
    closed = [node for node in graph if node is not x]
    assert {(node.origin, node.forward) for node in closed if x not in toposort([node])} == {(None, None)}


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_what_is_made_of_constants_alone_is_emitted_with_the_line_of_its_first_reader(backend: str) -> None:
    other, x = gc.input("x", ("n",)), gc.input("x", ("n",))
    kept = gc.mean(other)  # a graph that shares the number of elements
    line = here() + 1
    step = gc.compile(x, gc.mean(gc.exp(x)), backend=backend)
    assert kept.op is gc.mean
    made = [text for text in step.source.splitlines() if "# f32" in text]
    assert made
    assert all(f"test_nodes.py:{line}" in text for text in made)


def test_a_block_goes_on_from_node_to_node() -> None:
    x = gc.input("x", (3,))
    nodes = [gc.exp(x), gc.log(x)]
    nodes.append(gc.grad(gc.sum(gc.tanh(x)), x))
    with derived_from() as line:
        outside = here() + 1
        assert gc.sin(x).origin.line == outside
        for node in nodes:
            line.goes_on_to(node)
            made = gc.cos(node)
            assert (made.origin, made.forward) == (node.origin, node.forward)


def test_gradient_nodes_know_their_forward_node_and_its_line() -> None:
    x = gc.input("x", (3,))
    forward_line = here() + 1
    y = gc.tanh(x)
    loss = gc.sum(y)
    dx = gc.grad(loss, x)
    before = set(toposort([loss]))
    new = [node for node in toposort([dx]) if node not in before]
    assert {node.forward for node in new if node.origin is not None} <= {loss, y}
    assert dx.forward is y
    assert dx.origin.line == forward_line


def test_a_second_gradient_belongs_to_the_nodes_of_the_first() -> None:
    x = gc.input("x", ())
    y = gc.exp(x) * x
    first = gc.grad(y, x)
    second = gc.grad(first, x)
    assert second.forward is not None
    assert second.origin is not None


# ---------------------------------------------------------------- walks
def test_toposort_puts_inputs_first_and_each_node_once() -> None:
    x = gc.input("x", (2, 2))
    a = gc.exp(x)
    b = a @ a + x
    order = toposort([b, a])
    assert len(order) == len(set(order)) == 4
    place = {node: i for i, node in enumerate(order)}
    assert all(place[i] < place[node] for node in order for i in node.inputs)


def test_consumers_lists_each_reader_once() -> None:
    x = gc.input("x", (3,))
    y = x * x
    z = gc.exp(x)
    readers = consumers(toposort([y, z]))
    assert readers[x] == [y, z]
    assert readers[y] == []


def test_substitute_rebuilds_what_depends_and_nothing_else() -> None:
    x, z = gc.input("x", (3,)), gc.input("z", (3,))
    kept = gc.exp(z)
    (new,) = substitute([gc.sin(x) * kept], {x: z})
    assert new is gc.sin(z) * kept
    assert rebuild(kept, (z,)) is kept


# ---------------------------------------------------------------- long chains
def test_a_long_chain_builds_differentiates_compiles_runs_and_is_freed() -> None:
    program = Path(__file__).with_name("long_chain.py")
    command, environment = [sys.executable, program, "--nodes", "20000"], os.environ | {"PYTHONPATH": str(program.parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("20,000 nodes: build ")


def test_freeing_a_chain_of_100_000_nodes_does_not_overflow_the_stack() -> None:
    program = (
        "import graphc as gc\ny = gc.input('x', ())\nfor i in range(100_000):\n    y = -y if i % 2 else gc.sin(y)\ndel y\nprint('freed')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "freed", done.stderr[-2000:]


# ---------------------------------------------------------------- groups
def test_nodes_know_their_groups_and_so_do_those_of_gradients() -> None:
    x = gc.input("x", (3,))
    with gc.scope("encoder"):
        h = gc.tanh(x * 2)
        with gc.scope("attention"):
            a = gc.softmax(h)
    y = gc.sum(a * gc.square(x))
    assert (h.origin.scope, a.origin.scope, y.origin.scope) == (("encoder",), ("encoder", "attention"), ())
    assert gc.tanh(x * 2) is h  # equal nodes are one, made where it was made first
    made = [node for node in toposort([gc.grad(y, x)]) if node.forward is h]
    assert made
    assert {node.origin.scope for node in made} == {("encoder",)}


def test_a_group_with_a_line_of_its_own_lends_it_to_nodes_that_no_line_of_the_users_makes_within() -> None:
    x, line = gc.input("x", (3,)), Origin("model.py", 7)
    with gc.scope("dense", origin=line):
        assert gc.exp(x).origin == (__file__, here(), ("dense",))  # this file is a user's
    layer, made = nn.layers.Dense(2, name="dense"), here()
    with nn.Forward():
        y = layer(gc.input("rows", ("batch", 3)))
    assert {(node.origin.line, node.origin.scope) for node in toposort([y]) if node.op} == {(made, ("dense",))}


def test_a_layer_that_is_called_twice_makes_two_groups() -> None:
    model = nn.Sequential([nn.layers.Dense(2, name="first"), nn.layers.Dense(2, name="second")], name="mlp")
    with nn.Forward():
        twice = model(model(gc.input("rows", ("batch", 2))))
    groups = {node.origin.scope for node in toposort([twice]) if node.op}
    assert groups == {(mlp, layer) for mlp in ("mlp", "mlp (2)") for layer in ("first", "second")}


def test_loss_metrics_and_optimizer_are_groups() -> None:
    model = nn.Sequential([nn.layers.Dense(2, name="only")], name="mlp")
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"), verbose=0)
    report = model.training.latest().function.report
    groups = {node.origin.scope for node in toposort(report.declared) if node.op and node.origin}
    assert groups >= {("mlp", "only"), ("loss",), ("metrics", "mae"), ("sgd",)}
