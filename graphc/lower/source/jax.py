"""JAX source: a pure function of inputs and variables, one line an operation."""

from __future__ import annotations

from collections.abc import Iterable

from graphc.core import Subgraph, Tensor
from graphc.core.errors import BackendError
from graphc.lower.rolling import Calls, Loop, Stack
from graphc.lower.schedule import Schedule, schedule_body
from graphc.lower.source.checks import Checks
from graphc.lower.source.rolled import call_lines, function_lines, loop_lines, node_line
from graphc.lower.source.writer import Source, Writer, module

_IMPORTS = "import jax\nimport jax.numpy as jnp\n"
_WIDE = "# It has types of 64 bits. Where graphc does not run it, set jax.config.update('jax_enable_x64', True) first.\n"


def emit_jax(schedule: Schedule, precision: str | None = None, check: bool = False, wide: bool = False) -> Source:
    """The schedule as JAX source, for ``jax.jit``: a pure function of inputs and variables.

    ``precision`` is that of products, as JAX names it; with ``check`` each index is compared with its bounds, and each value asked whether
    it is finite. ``wide`` says that there are 64-bit types, which JAX has only where it was told so.
    """
    w = Writer(schedule, "jax")
    checks = Checks(check)
    start = checks.start((*schedule.inputs, *schedule.variables), w.name)
    head, lines = _lines(w, checks)
    lines.insert(0, start)
    lines.append(f"return [{_names(w, schedule.outputs)}], [{_names(w, schedule.updates.values())}], checks")
    owned = [w.name[node] for node in schedule.constants]
    step = [f"def step({w.arguments(owned)}):", *(f"    {line}" for line in lines)]
    if precision is not None:
        step.insert(0, f"@jax.default_matmul_precision({precision!r})")
    text = module(w, head, step)
    if check:
        text = text.replace(_IMPORTS, f"{_IMPORTS}\nfrom graphc.lower.targets.jax import checking\n", 1)
    if wide:
        text = _WIDE + text
    return Source(text, w.sizes, tuple(w.big), checks or None)


def _lines(w: Writer, checks: Checks, in_body: bool = False) -> tuple[list[str], list[str]]:
    head = [line for body in w.bodies() for line in _body(w, body, checks)]
    head += w.constants()
    w.name |= {
        x: f"{w.name[stack]}[{i}]" for stack in w.schedule.variables if isinstance(stack, Stack) for i, x in enumerate(stack.variables)
    }
    lines: list[str] = []
    for node in w.schedule.hoisted:
        lines += _computed(w, node, checks, in_body)
    for step in w.schedule.steps:
        if isinstance(step, Loop):
            lines += loop_lines(w, w.owned("layer"), step)
        elif isinstance(step, Calls):
            name = w.owned("layer")
            head += function_lines(w, name, step)
            lines += call_lines(w, name, step)
        else:
            lines += _computed(w, step, checks, in_body)
    return head, lines


def _computed(w: Writer, node: Tensor, checks: Checks, in_body: bool) -> list[str]:
    return [node_line(w, node), *checks.lines(node, w.name, in_body)]


def _body(w: Writer, body: Subgraph, checks: Checks) -> list[str]:
    if any(node.op and node.op.name == "guard" for node in body.nodes):
        raise BackendError("kinks='raise' inside a loop, a branch or a checkpoint has no JAX form", fits="kinks='nan', or backend='numpy'")
    ordered = schedule_body(body)
    inner = Writer(ordered, "jax", w)
    name = w.owned("body")
    mark = checks.mark()
    head, lines = _lines(inner, checks, in_body=True)
    checks.body(body, mark)
    w.written.functions[body] = name
    owned = [inner.name[node] for node in ordered.constants]
    lines.append(f"return [{_names(inner, ordered.outputs)}]")
    return [*head, "", f"def {name}({inner.arguments(owned)}):", *(f"    {line}" for line in lines), ""]


def _names(w: Writer, nodes: Iterable[Tensor]) -> str:
    return ", ".join(w.name[node] for node in nodes)
