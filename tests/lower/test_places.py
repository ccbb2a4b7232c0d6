"""Every value that is computed has a line of the source that runs, and that line says so."""

import numpy as np
import pytest

import graphc as gc
from graphc.core import Tensor


def rectangle(depth: int = 40) -> gc.Function:
    """Equal layers: their lines are one part."""
    x = gc.input("x", ("batch", 8))
    h, weights = x, []
    for i in range(depth):
        w = gc.variable(np.ones((8, 8), "float32"), f"w{i}")
        weights.append(w)
        h = gc.tanh(gc.tanh(h @ w) * 0.5 + h)
    loss = gc.mean(h)
    return gc.compile(x, loss, {w: w - g for w, g in zip(weights, gc.grad(loss, weights), strict=True)})


def by_rows() -> gc.Function:
    x = gc.input("x", ("batch", 4096))
    run = gc.compile(x, gc.sum(gc.tanh(gc.exp(x) * 2.0 + gc.sin(x)), axis=0))
    run(np.zeros((512, 4096), "float32"))
    return run


def loop(backend: str) -> gc.Function:
    xs, w = gc.input("xs", ("time", 3)), gc.variable(np.eye(3, dtype="float32"), "w")
    last, _ = gc.scan(lambda h, x: (gc.tanh(h @ w + x), h), gc.zeros(3), xs)
    return gc.compile(xs, last, {w: w - gc.grad(gc.sum(last), w)}, backend=backend)


@pytest.mark.parametrize("made", [rectangle, by_rows, lambda: loop("numpy"), lambda: loop("jax")], ids=["parts", "rows", "loop", "jax"])
def test_each_computed_node_has_its_lines(made) -> None:
    run = made()
    source = run.source.split("\n")
    places = run.report.program.places()
    for found in places.values():
        for place in found:
            assert source[place.line - 1].strip() == place.text
            assert place.name in run.source
            assert place.name in place.text or "part" in place.text or "rows" in place.text
    computed: list[Tensor] = [node for node in run.report.program.schedule.nodes if node.op.name not in ("part", "scan")]
    missing = [node for node in computed if node not in places]
    assert not [node for node in missing if run.report.backend == "numpy"], missing


def test_a_part_and_its_call_are_places_of_each_node_in_it() -> None:
    run = rectangle()
    assert " times\n" in run.source
    places = run.report.program.places()
    node = next(node for node in run.report.program.schedule.nodes if node.op.name == "tanh" and len(places[node]) > 1)
    inside, call = places[node][:2]
    assert inside.text.startswith("tanh(")
    assert "part" in call.text
    assert inside.name != call.name  # what the part calls it, and what step does


def test_looking_changes_nothing() -> None:
    run = rectangle(3)
    before = run.source
    run.report.program.places()
    assert run.source == before
    assert "\0" not in before
