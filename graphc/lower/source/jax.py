"""JAX source: a pure function of inputs and variables, one line an operation."""

from __future__ import annotations

from collections.abc import Iterable

from graphc.core import Subgraph, Tensor
from graphc.core.errors import BackendError
from graphc.lower.schedule import Schedule, schedule_body
from graphc.lower.source.writer import Source, Writer, comment, module


def emit_jax(schedule: Schedule) -> Source:
    """The schedule as JAX source, for ``jax.jit``: a pure function of inputs and variables."""
    w = Writer(schedule, "jax")
    head, lines = _lines(w)
    lines = ["checks = []", *lines]
    lines.append(f"return [{_names(w, schedule.outputs)}], [{_names(w, schedule.updates.values())}], checks")
    owned = [w.name[node] for node in schedule.constants]
    step = [f"def step({w.arguments(owned)}):", *(f"    {line}" for line in lines)]
    messages = tuple([node.attributes["message"] for node in (*schedule.hoisted, *schedule.steps) if node.op and node.op.name == "guard"])
    return Source(module(w, head, step), w.sizes, tuple(w.big), messages)


def _lines(w: Writer) -> tuple[list[str], list[str]]:
    head = [line for body in w.bodies() for line in _body(w, body)]
    head += w.constants()
    lines: list[str] = []
    for node in (*w.schedule.hoisted, *w.schedule.steps):
        text = w.expression(node)
        w.name[node] = w.local(node.label)
        assert node.op is not None
        lines.append(comment(f"{w.name[node]} = {text}", node, node.op.name))
    return head, lines


def _body(w: Writer, body: Subgraph) -> list[str]:
    if any(node.op and node.op.name == "guard" for node in body.nodes):
        raise BackendError("kinks='raise' inside a loop, a branch or a checkpoint has no JAX form", fits="kinks='nan', or backend='numpy'")
    ordered = schedule_body(body)
    inner = Writer(ordered, "jax", w)
    name = w.owned("body")
    head, lines = _lines(inner)
    w.written.functions[body] = name
    owned = [inner.name[node] for node in ordered.constants]
    lines.append(f"return [{_names(inner, ordered.outputs)}]")
    return [*head, "", f"def {name}({inner.arguments(owned)}):", *(f"    {line}" for line in lines), ""]


def _names(w: Writer, nodes: Iterable[Tensor]) -> str:
    return ", ".join(w.name[node] for node in nodes)
