"""``fn.explain`` and ``fn.report`` tell what happened, and what they say adds up."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

import graphc as gc
from graphc.core import every_node
from graphc.core.errors import ArgumentError
from graphc.lower import Estimate, totals
from graphc.pipeline.savings import Saving


def variable(*shape: int, name: str = "w") -> gc.Variable:
    return gc.variable(np.ones(shape, "float32"), name)


def classifier(backend: str = "numpy") -> gc.Function:
    x, t = gc.input("x", ("batch", 20)), gc.input("t", ("batch",), dtype="int32")
    w1, w2 = variable(20, 30, name="w1"), variable(30, 10, name="w2")
    h = gc.relu(x @ w1).named("h")
    p = gc.softmax(h @ w2).named("p")
    loss = gc.mean(gc.sparse_categorical_crossentropy(t, p)).named("loss")
    return gc.compile([x, t], [loss, p], {w: w - 0.1 * g for w, g in zip((w1, w2), gc.grad(loss, [w1, w2]), strict=True)}, backend=backend)


def lstm(backend: str = "numpy") -> gc.Function:
    xs, wx, wh = gc.input("xs", (8, 2, 4)), variable(4, 64, name="wx"), variable(16, 64, name="wh")

    def step(carry, x):
        h, c = carry
        z = (x @ wx + h @ wh).named("z")
        i, f, o, g = (z[:, 16 * k : 16 * k + 16] for k in range(4))
        c = gc.sigmoid(f) * c + gc.sigmoid(i) * gc.tanh(g)
        return (gc.sigmoid(o) * gc.tanh(c), c), gc.sigmoid(o) * gc.tanh(c)

    _, ys = gc.scan(step, (gc.zeros((2, 16)), gc.zeros((2, 16))), xs)
    loss = gc.mean(gc.square(ys)).named("loss")
    return gc.compile(xs, loss, {w: w - g for w, g in zip((wx, wh), gc.grad(loss, [wx, wh]), strict=True)}, backend=backend)


MADE = {"classifier": classifier, "classifier on jax": lambda: classifier("jax"), "lstm": lstm, "lstm on jax": lambda: lstm("jax")}


@pytest.fixture(scope="module")
def functions() -> dict[str, gc.Function]:
    return {name: make() for name, make in MADE.items()}


@pytest.mark.parametrize("name", MADE)
def test_every_declared_node_is_accounted_for(functions, name) -> None:
    run = functions[name]
    lowered = set(every_node(run.lowered))
    lines = run.source.split("\n")
    for node in every_node(run.report.declared):
        found = run.explain(node)
        assert found.end is None or found.end in lowered
        assert (found.end is None) <= any(event.how in ("gone", "swallowed") for event in found.events)
        assert found.whole or any(event.how in ("gone", "swallowed") for event in found.events)
        if found.whole and found.end is not None:
            assert found.end.type is node.type or found.events
        assert all(0 < line <= len(lines) for line in found.lines)
        assert found._repr_html_().startswith("<div>")
        assert str(found).splitlines()[0].startswith(str(node.type))


@pytest.mark.parametrize("name", MADE)
def test_what_the_rules_saved_adds_up(functions, name) -> None:
    report = functions[name].report
    assert sum(report.saved.values(), Saving()) == sum([use.saved for use in report.uses], Saving())
    assert len(report.uses) == len(report.applied)
    if name.startswith("lstm"):
        return  # what is in a body counts once here, and so often as it runs there
    for before, stage in zip(report.passes, report.passes[1:], strict=False):
        if stage.applied:
            old, new = (totals(one.roots, Estimate()).work for one in (before, stage))
            saved = sum([use.saved for use in report.uses if use.stage == stage.name], Saving())
            assert (saved.flops, saved.nbytes) == (old.flops - new.flops, old.nbytes - new.nbytes)


def test_a_rule_at_the_node() -> None:
    x = gc.input("x", (3,))
    y = gc.log(1.0 + x).named("y")
    run = gc.compile(x, y)
    (event,) = run.explain(y).events
    assert (event.how, event.use.rule.name, event.before.op.name, event.after.op.name) == ("rewritten", "log_one_plus", "log", "log1p")
    told = str(run.explain("y"))
    for words in ("log(1 + x)", "log1p(x)", "rounding", "law: log(add(1, x))", "saves 3 flops, 28 bytes", "it ends as", "| "):
        assert words in told


def test_a_node_that_a_rule_made_unnecessary() -> None:
    x = gc.input("x", (3, 4))
    p = gc.softmax(x).named("p")
    run = gc.compile(x, gc.log(p).named("y"))
    found = run.explain(p)
    assert found.events[0].how == "swallowed"
    assert not found.whole
    assert "log_of_softmax" in str(found)
    assert "is part of" in str(found)


def test_a_node_that_a_rule_saw_and_others_read() -> None:
    x = gc.input("x", (3, 4))
    p = gc.softmax(x).named("p")
    run = gc.compile(x, [gc.log(p), p])
    found = run.explain(p)
    assert "matched" in [event.how for event in found.events]
    assert found.whole


def test_what_is_dropped_is_dropped_by_the_rule_above() -> None:
    x = gc.input("x", (3,))
    deep = gc.sin(gc.cos(x)).named("deep")
    run = gc.compile(x, gc.where(gc.constant(True), x * 2.0, gc.exp(deep)).named("y"))
    found = run.explain(deep)
    assert found.events[-1].how in ("swallowed", "gone")
    assert not found.whole or found.end is None


def test_what_the_backend_takes_apart(functions) -> None:
    (event,) = functions["classifier"].explain("p").events
    assert (event.stage, event.how) == ("expand", "taken apart")
    assert not functions["classifier on jax"].explain("p").events


def test_where_it_lives(functions) -> None:
    run = functions["classifier"]
    told = str(run.explain("h"))
    (line,) = run.explain("h").lines
    assert f"{line} | {run.source.splitlines()[line - 1].strip()}" in told
    assert re.search(r"memory: buffer\d+, f32\[batch, 30\], 120\*batch bytes", told)
    assert "XLA plans its memory" in str(functions["classifier on jax"].explain("h"))
    update = run.report.declared[-1]
    assert "memory: that of the variable w2" in str(run.explain(update))
    assert "which a call reads" in str(run.explain("w1"))


def test_names_of_ops_and_rules(functions) -> None:
    run = functions["classifier"]
    assert str(run.explain("matmul")).startswith("5 nodes are called matmul")
    rule = next(iter(run.report.rules))
    assert str(run.explain(rule)).startswith(f"{rule} fired ")


def test_without_a_node_every_rule(functions) -> None:
    run = functions["classifier"]
    told = str(run.explain())
    for name, count in run.report.rules.items():
        assert f"{count} x  {name}" in told
    assert str(gc.compile([], gc.constant(1.0)).explain()) == "compiled for numpy: no rule fired"


@pytest.mark.parametrize(
    ("what", "told"),
    [("los", "is 'loss' meant?"), ("softmx", "'softmax'"), (3, "that is no node"), (gc.input("stranger"), "not compiled from this node")],
)
def test_what_is_not_there(functions, what, told) -> None:
    with pytest.raises(ArgumentError, match="explain") as error:
        functions["classifier"].explain(what)
    assert told in str(error.value)


def test_the_report_names_rules_with_safety_and_savings(functions) -> None:
    report = functions["classifier"].report
    assert "flops saved  bytes saved" in str(report)
    for use in report.uses:
        rule = use.application.rule
        assert re.search(rf"\d+ x  {rule.name} +{rule.safety} +{re.escape(str(report.saved[rule.name].flops))} ", str(report))


def test_pages_show_themselves(functions) -> None:
    run = functions["classifier"]
    assert "<details><summary><b>the source that runs" in run._repr_html_()
    assert "<script" not in run._repr_html_()
    out = io.StringIO()
    console = Console(file=out, width=160, color_system=None)
    for one in (run, run.report, run.explain("p"), run.explain()):
        console.print(one)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert "f32[batch, 10]   operator 'p', test_explain.py:" in out.getvalue()
    assert all(line.strip() in "\n".join(lines) for line in str(run.explain("p")).splitlines() if "before" in line)


def test_source_is_a_string_that_shows_itself(functions) -> None:
    source = functions["classifier"].source
    assert repr(source) == source == str(source)
    assert source._repr_html_().startswith("<pre")
    assert "&#x27;unsafe&#x27;" in source._repr_html_()
    out = io.StringIO()
    Console(file=out, width=200, color_system=None).print(source)
    assert "def make(" in out.getvalue()


def test_text_of_the_user_is_text_in_a_page() -> None:
    x = gc.input("<b>x</b>", (3,))
    run = gc.compile(x, gc.exp(x).named("<i>&"))
    html = run.explain("<i>&")._repr_html_()
    assert "<i>" not in html
    assert "&lt;i&gt;&amp;" in html
