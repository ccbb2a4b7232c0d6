"""What leaves loops: the same values and gradients as without, less in a step, and nothing that a step allocates."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import every_node, toposort
from graphc.grad import loops
from graphc.lower import prune

rng = np.random.default_rng(3)


def _lstm(w: Any, u: Any, xs: Any, **how: Any) -> Any:
    def cell(carry: Any, x: Any) -> Any:
        h, c = carry
        i, f, g, o = gc.split(x @ w + h @ u, 4, axis=1)
        c = gc.sigmoid(f) * c + gc.sigmoid(i) * gc.tanh(g)
        return (gc.sigmoid(o) * gc.tanh(c), c), ()

    start = gc.zeros((xs.shape[1], u.shape[0]), "float64")
    (h, _), _ = gc.scan(cell, (start, start), xs, **how)
    return gc.sum(h * h)


def _gru(w: Any, u: Any, xs: Any, **how: Any) -> Any:
    def cell(h: Any, x: Any) -> Any:
        (xr, xz, xn), (hr, hz, hn) = gc.split(x @ w, 3, axis=1), gc.split(h @ u, 3, axis=1)
        z = gc.sigmoid(xz + hz)
        h = (1 - z) * gc.tanh(xn + gc.sigmoid(xr + hr) * hn) + z * h
        return h, gc.mean(h, axis=1)

    h, ys = gc.scan(cell, gc.zeros((xs.shape[1], u.shape[0]), "float64"), xs, **how)
    return gc.sum(h) + gc.sum(ys * ys)


def _checkpointed(w: Any, u: Any, xs: Any, **how: Any) -> Any:
    step = gc.checkpoint(lambda h, x: gc.tanh(x @ w[:, :2] + h @ u[:, :2]))
    h, ys = gc.scan(lambda h, x: (step(h, x), h), gc.zeros((xs.shape[1], 2), "float64"), xs, **how)
    return gc.sum(h * h) + gc.sum(ys)


def _shifted(w: Any, u: Any, xs: Any, **how: Any) -> Any:
    """Carries that change places, one that never changes, one that nobody reads, one that counts, and one that adds up."""

    def cell(carry: Any, x: Any) -> Any:
        a, b, same, idle, count, total = carry
        y = gc.sin(a * b) + gc.sum(same)
        return (b, y * x[0, 0], same, idle + y, count + 1, total + gc.exp(gc.sum(x) * 0.1) * y), (a, count)

    a = gc.ones((3,), "float64") * gc.sum(u)
    first = (a, a, w, a, gc.constant(0, "int32"), gc.zeros((3,), "float64"))
    (a, b, _, _, count, total), (before, counts) = gc.scan(cell, first, xs, **how)
    return gc.sum(a * b) + gc.sum(total * total) + gc.sum(before * gc.cast(counts + count, "float64")[:, None])


def _nested(w: Any, u: Any, xs: Any, **how: Any) -> Any:
    def outer(h: Any, x: Any) -> Any:
        inner, ys = gc.scan(lambda c, row: (gc.tanh(row @ w[:, :2] + c @ u[:, :2]), gc.sum(c)), h, x)
        return inner, gc.sum(ys)

    h, ys = gc.scan(outer, gc.ones((2,), "float64"), xs, **how)
    return gc.sum(h) + gc.sum(ys * ys)


CELLS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "lstm": (_lstm, 8, 2),
    "gru": (_gru, 6, 2),
    "checkpoint": (_checkpointed, 2, 2),
    "shifted": (_shifted, 2, 2),
    "nested": (_nested, 2, 2),
}
WAYS: dict[str, tuple[dict[str, Any], int]] = {
    "forwards": ({}, 4),
    "backwards": ({"reverse": True}, 4),
    "truncated": ({"truncate": 2}, 5),
    "one step": ({}, 1),
    "no step": ({}, 0),
}
every_cell = pytest.mark.parametrize("name", CELLS)


def _program(name: str, steps: Any, **how: Any) -> tuple[list[Any], Any]:
    cell, columns, units = CELLS[name]
    w, u = gc.input("w", (3, columns), "float64"), gc.input("u", (units, columns), "float64")
    xs = gc.input("xs", (steps, "batch", 3) if isinstance(steps, str) else (steps, 2, 3), "float64")
    return [w, u, xs], cell(w, u, xs, **how)


def _values(inputs: list[Any], steps: int) -> list[Any]:
    shapes = [x.shape for x in inputs[:2]] + [(steps, 2, 3)]
    return [rng.normal(size=shape) for shape in shapes]


@every_cell
@pytest.mark.parametrize("way", WAYS)
def test_gradients_of_two_orders_are_those_without_optimisation(name: str, way: str) -> None:
    how, steps = WAYS[way]
    inputs, y = _program(name, steps, **how)
    gradient = gc.grad(y, inputs[:2])
    second = gc.grad(gc.sum(gradient[1] * gradient[1]), inputs)
    outputs = [y, *gradient, *second, gc.jvp(y, inputs, [x * 0 + 0.3 for x in inputs])]
    values = _values(inputs, steps)
    for found, expected in zip(gc.compile(inputs, outputs)(*values), gc.compile(inputs, outputs, optimize=False)(*values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@every_cell
def test_both_backends_and_repeated_calls_agree(name: str) -> None:
    inputs, y = _program(name, 4)
    outputs = [y, *gc.grad(y, inputs)]
    ours, theirs = gc.compile(inputs, outputs), gc.compile(inputs, outputs, backend="jax")
    earlier: list[tuple[Any, Any]] = []
    for _ in range(3):
        values = _values(inputs, 4)
        found = ours(*values)
        earlier.append((found, [np.array(x) for x in found]))
        for one, other in zip(found, theirs(*values), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    for found, copies in earlier:
        for one, copy in zip(found, copies, strict=True):
            np.testing.assert_array_equal(one, copy, "a result was written by a later call")


@pytest.mark.parametrize("name", ["lstm", "gru", "shifted"])
def test_many_items_at_once(name: str) -> None:
    inputs, _ = _program(name, 3)
    cell = CELLS[name][0]
    stack = gc.input("stack", (2, 3, 2, 3), "float64")
    w, u, xs = inputs
    y = gc.vmap(lambda x: gc.grad(cell(w, u, xs), xs) if x is None else cell(w, u, x))(stack)
    g = gc.grad(gc.sum(y * y), [w, stack])
    values = [*_values(inputs, 3)[:2], rng.normal(size=(2, 3, 2, 3))]
    found = gc.compile([w, u, stack], [y, *g])(*values)
    for one, other in zip(found, gc.compile([w, u, stack], [y, *g], optimize=False)(*values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_named_sizes(name: str) -> None:
    inputs, y = _program(name, "time")
    outputs = [y, *gc.grad(y, inputs)]
    run, plain = gc.compile(inputs, outputs), gc.compile(inputs, outputs, optimize=False)
    for steps in (0, 1, 5):
        values = _values(inputs, steps)
        for one, other in zip(run(*values), plain(*values), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def _loop_bodies(source: str) -> list[str]:
    """The steps of the loops in emitted source."""
    return re.findall(r"^ +for .*? in (?:zip|range)\(.*:\n((?: {12}.*\n)+)", source, re.MULTILINE)


@pytest.mark.parametrize(("name", "products"), [("lstm", [1, 1]), ("gru", [1, 1])])
def test_a_step_does_what_depends_on_the_step_before_and_allocates_nothing(name: str, products: list[int]) -> None:
    inputs, y = _program(name, 6)
    steps = _loop_bodies(gc.compile(inputs, gc.grad(y, inputs[:2])).source)
    assert [len(re.findall(r"\b(?:dot|matmul)\(", step)) for step in steps] == products
    backward = steps[1]
    assert not re.search(r"tanh|exp|cosh|sigmoid", backward), "what does not depend on the carry is computed for all steps at once"
    made = [line for step in steps for line in step.splitlines() if re.match(r" +\w+ = ", line) and "[" not in line.partition("#")[0]]
    assert not made, "a step made new arrays"


def test_a_checkpoint_in_a_body_is_computed_again() -> None:
    inputs, y = _program("checkpoint", 4)
    gradient = gc.grad(y, inputs[:2])
    assert loops.keep(gradient) == gradient


def test_what_nobody_needs_again_is_not_kept() -> None:
    _, y = _program("lstm", 4)
    alone = prune(loops.keep([y]))
    (node,) = [node for node in every_node(alone) if node.op and node.op.name == "scan"]
    assert node.attributes["results"] == ()


def test_equal_slices_are_joined_where_they_touch() -> None:
    _, y = _program("lstm", 4)
    (node,) = [node for node in toposort(loops.lift(prune([y]))) if node.op and node.op.name == "scan"]
    sigmoids = [x for x in node.attributes["body"].nodes if x.op and x.op.name == "sigmoid"]
    assert sorted(x.shape[1] for x in sigmoids) == [2, 4]


def test_large_steps_stay_in_the_loop() -> None:
    """Stacks of large values cost memory, and calls on them gain nothing."""
    xs = gc.input("xs", (3, 400, 400))
    last, _ = gc.scan(lambda c, x: (c + gc.exp(x), None), gc.zeros((400, 400)), xs)
    (node,) = [node for node in toposort(loops.lift([last])) if node.op and node.op.name == "scan"]
    assert "exp" in {x.op.name for x in node.attributes["body"].nodes if x.op}


def _compiled(inputs: list[Any], outputs: list[Any]) -> Any:
    return gc.compile(inputs, outputs)  # the line that nothing which the program declares is from


def test_what_reads_a_loop_keeps_its_line_and_its_name() -> None:
    inputs, y = _program("gru", 4)
    total = gc.exp(y).named("total")
    source = _compiled(inputs, [gc.sin(total), *gc.grad(total, inputs[:2])]).source
    assert "total = exp(" in source
    declared = re.findall(r" = (loop\d+|exp|sin)\(.*test_loops\.py:(\d+)", source)
    assert {name for name, _ in declared} == {"loop0", "loop1", "exp", "sin"}
    assert str(_compiled.__code__.co_firstlineno + 1) not in {line for _, line in declared}
