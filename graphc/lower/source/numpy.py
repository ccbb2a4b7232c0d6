"""NumPy source: steps that write into buffers, loops over rows, and loops over time, each as a function."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from graphc.core import Subgraph, Tensor, TensorType
from graphc.core.expr import Input
from graphc.lower.buffers import IDLE, Plan, assign
from graphc.lower.factors import small_right_factors
from graphc.lower.loops import is_loop, plan_loop
from graphc.lower.rows import Rows, work_of_a_row
from graphc.lower.schedule import Schedule, schedule_body
from graphc.lower.source import watching
from graphc.lower.source.lines import Line, comment
from graphc.lower.source.memory import LoopMemory
from graphc.lower.source.parts import with_parts
from graphc.lower.source.watching import Watching
from graphc.lower.source.writer import Source, Writer, module, written_shape

RUN = 4
"""So many buffers at equal steps are one row of the arena."""


def emit_numpy(schedule: Schedule, plan: Plan, *, threads: bool = True, beside: Watching = "") -> Source:
    """The schedule as NumPy source that writes into the plan's buffers; its loops over rows use one thread or as many as pay.

    ``beside`` is what it does beside its work, for checks: :mod:`graphc.lower.source.watching`.
    """
    w = Writer(schedule, "numpy", threads=threads, watching=beside)
    head, step = _function(w, plan, "step")
    return Source(module(w, head, step), w.sizes, tuple(w.big))


def _function(w: Writer, plan: Plan, name: str) -> tuple[list[str], list[str]]:
    """What ``make`` does for a function before the first call, and the function."""
    head, buffers = _head(w, plan)
    made, lines = _steps(w, plan, buffers)
    lines = [*watching.at_start(w, buffers), *lines, *_end(w, plan)]
    owned = dict.fromkeys([*(w.name[node] for node in (*w.schedule.constants, *w.schedule.hoisted)), *buffers])
    parts, lines = with_parts(w, lines)
    read = {x for line in lines for x in line.names}
    head += [*made, *parts]
    return head, [f"def {name}({w.arguments([x for x in owned if x in read])}):", *(f"    {line.written()}" for line in lines)]


def _head(w: Writer, plan: Plan) -> tuple[list[str], list[str]]:
    """What ``make`` computes and allocates for a function, and the names of its buffers."""
    head = [line for body in w.bodies() for line in _body(w, body)]
    head += w.constants()
    for node in w.schedule.hoisted:
        if is_loop(node):
            made, function = _loop(w, node, ())
            head += made
            text = f"{function}({', '.join([w.name[x] for x in node.inputs])})"
        else:
            text = w.expression(node)
        w.name[node] = w.owned("c")
        head.append(comment(f"{w.name[node]} = {text}", node, origin=w.schedule.lines.get(node)))
    buffers = [w.owned("buffer") for _ in plan.buffers]
    if buffers:
        head.append(f"({', '.join(buffers)},) = arena(")
        head += [f"    ({row})," for row in _arena_rows(w, plan)]
        head.append(")")
    return head, buffers


def _arena_rows(w: Writer, plan: Plan) -> Iterator[str]:
    """Spans, shapes and dtypes for the arena. Buffers of one type whose spans follow one another at equal steps are one row."""
    start, count = 0, len(plan.buffers)
    kinds = {type: f"{written_shape(type.shape)}, {w.dtype(type.dtype)}" for type in dict.fromkeys(plan.buffers)}
    steps = [(plan.buffers[i - 1], *(y - x for x, y in zip(plan.spans[i - 1], plan.spans[i], strict=True))) for i in range(1, count)]
    while start < count:
        kind, stop = plan.buffers[start], start + 1
        while stop < count and plan.buffers[stop] is kind and steps[stop - 1] == steps[start]:
            stop += 1
        stop = stop if stop - start >= RUN else start + 1
        more = f", {stop - start}, {steps[start][1]}, {steps[start][2]}" if stop - start > 1 else ""
        yield f"{plan.spans[start][0]}, {plan.spans[start][1]}, {kinds[kind]}{more}"
        start = stop


def _steps(w: Writer, plan: Plan, buffers: list[str]) -> tuple[list[str], list[Line]]:
    """What the steps need in ``make``, and their lines."""
    head: list[str] = []
    lines: list[Line] = []
    turned = small_right_factors(w.schedule)
    scratch: dict[TensorType, str] = {}
    for number, step in enumerate(w.schedule.steps):
        lines += watching.before(w, number, step)
        if isinstance(step, Rows):
            made, more = _rows(w, plan, buffers, step)
            head += made
            lines += more
        elif step in turned:
            if step.type not in scratch:
                scratch[step.type] = w.owned("turned")
                head.append(f"{scratch[step.type]} = empty_aligned({written_shape(step.shape)}, {w.dtype(step.dtype)})")
            lines.append(w.line(step, "turned", scratch[step.type]))
            w.name[step] = scratch[step.type]
        elif is_loop(step):
            leaving = [y.attributes["index"] for y in w.schedule.outputs if y.inputs and y.inputs[0] is step]
            made, line = _loop_step(w, step, leaving)
            head += made
            lines.append(line)
        else:
            lines.append(_line(w, plan, buffers, step))
        lines += watching.after(w, number, step, plan, buffers)
        if number in plan.dropped:
            names = [w.name[node] for node in plan.dropped[number]]
            lines.append(w.plain(f"del {_holes(names)}", names))
    return head, lines


def _holes(names: Collection[str]) -> str:
    return ", ".join(["%s"] * len(names))


def _rows(w: Writer, plan: Plan, buffers: list[str], loop: Rows) -> tuple[list[str], list[Line]]:
    """A loop over rows: the function of a block, which ``make`` defines, and the lines of the call."""
    leaves = dict(zip((*loop.sliced, *loop.whole), loop.inner.inputs, strict=True))
    values = loop.inner.outputs
    targets: dict[Tensor, Any] = {}
    into: dict[Tensor, str] = {}
    lines: list[Line] = []
    for node, value in zip(loop.kept, values, strict=False):
        over = _written_over(loop, node, plan)
        if over is not None:
            targets[leaves[over]] = value
            w.name[node] = w.name[over]
            continue
        variable = plan.direct.get(node)
        leaf: Any = Input(None, (), (), value.type)
        leaf.label = node.label or "out"
        targets[leaf] = value
        if variable is not None:
            into[leaf] = w.name[variable]
        elif node in plan.place:
            into[leaf] = buffers[plan.place[node]]
        else:
            into[leaf] = w.local(node.label)
            text = f"%s = empty_aligned({written_shape(node.shape)}, {w.dtype(node.dtype)})"
            lines.append(w.plain(text, [into[leaf]], node, defines=1))
        w.name[node] = into[leaf]
    for node in loop.kept:
        if node in plan.direct:
            w.name[node] = w.name[plan.direct[node]]
    given = [*loop.inner.inputs, *into]
    block = replace(loop.inner, inputs=tuple(given), outputs=values[len(loop.kept) :], updates=targets)
    function, head = _block_function(w, loop, block, [*loop.inner.inputs[: len(loop.sliced)], *into])
    totals = [w.local(node.label) for node in loop.sums]
    w.name.update(zip(loop.sums, totals, strict=True))
    arrays = [*(w.name[x] for x in (*loop.sliced, *loop.whole)), *into.values()]
    result = f"{_holes(totals)}{',' if len(totals) == 1 else ''} = " if totals else ""
    text = f"{result}%s({_holes(arrays)})"
    first = (*loop.kept, *loop.sums)[0]
    note = f"{len(loop.nodes)} ops by rows"
    call = w.plain(text, [*totals, function, *arrays], first, note, defines=len(totals))
    return head, [*lines, call._replace(nodes=loop.nodes, called=tuple([w.name.get(node, "") for node in loop.nodes]))]


def _written_over(loop: Rows, node: Tensor, plan: Plan) -> Tensor | None:
    """The operand whose rows become those of a result: the variable that it is the new value of, or one whose buffer it takes."""
    if node in plan.direct:
        return plan.direct[node] if plan.direct[node] in loop.sliced else None
    return next((x for x in loop.sliced if plan.place.get(x) == plan.place[node]), None) if node in plan.in_place else None


def _block_function(w: Writer, loop: Rows, block: Schedule, by_rows: Sequence[Tensor]) -> tuple[str, list[str]]:
    name = w.owned("rows")
    inner = Writer(block, "numpy", w)
    for c in block.constants:
        inner.name[c] = w.name[c]
    plan = assign(block)
    buffers = [inner.names.fresh(None, f"t{i}") for i in range(len(plan.buffers))]
    totals = [inner.names.fresh(None, f"total{i}") for i in range(len(loop.sums))]
    parameters = ["low", "high", *buffers, *totals, *(inner.name[x] for x in block.inputs)]
    lines = [f"{inner.name[x]} = {inner.name[x]}[low:high]" for x in by_rows]
    whole = dict(zip(loop.on_block, loop.nodes, strict=True))
    for number, node in enumerate(block.steps):
        lines.append(_line(inner, plan, buffers, node)._replace(nodes=(whole[node],)).written())
        lines += [line.written() for line in watching.after(inner, number, node, plan, buffers)]
    lines += [f"np.copyto({inner.name[leaf]}, {inner.name[value]})" for leaf, value in block.updates.items() if value not in plan.direct]
    lines += [f"np.add({total}, {inner.name[node]}, out={total})" for total, node in zip(totals, block.outputs, strict=True)]
    scratches = [f"({written_shape(type.shape[1:])}, {w.dtype(type.dtype)})" for type in plan.buffers]
    sums = [f"({written_shape(node.shape)}, {w.dtype(node.dtype)})" for node in loop.sums]
    work = ", ".join(map(str, work_of_a_row(block.steps)))
    limit = "" if w.threads else ", threads=1"
    return name, [
        "",
        f"def {name}({', '.join(parameters)}):",
        *(f"    {line}" for line in lines),
        "",
        f"{name} = by_rows({name}, {loop.size}, {work}, [{', '.join(scratches)}], [{', '.join(sums)}]{limit})",
    ]


def _body(w: Writer, body: Subgraph) -> list[str]:
    ordered = schedule_body(body)
    inner = Writer(ordered, "numpy", w)
    name = w.owned("body")
    head, function = _function(inner, assign(ordered, idle=IDLE), name)
    w.written.functions[body] = name
    return [*head, "", *function, ""]


def _line(w: Writer, plan: Plan, buffers: list[str], node: Tensor) -> Line:
    into = w.name[plan.direct[node]] if node in plan.direct else buffers[plan.place[node]] if node in plan.place else None
    target = into or w.local(node.label)
    line = w.line(node, "into" if into else "new", target)
    w.name[node] = target
    return line


def _end(w: Writer, plan: Plan) -> list[Line]:
    """Outputs first, so that they keep the old values, then the variables that were not written directly, then the return."""
    lines: list[Line] = []
    taken: set[Tensor] = set()
    results: list[str] = []
    leaving = set(w.schedule.outputs)
    fresh = {node for nodes in w.schedule.written for node in nodes if node in leaving and plan.root[node] is node}
    for node in w.schedule.outputs:
        if node in fresh and node not in taken:
            taken.add(node)
            results.append(w.name[node])
            continue
        copy = w.local()
        lines.append(_copy(w, copy, node, "an output shares no memory"))
        results.append(copy)
    lines += _stores(w, plan)
    return [*lines, w.plain(f"return ({_holes(results)}{',' if len(results) == 1 else ''})", results)]


def _copy(w: Writer, name: str, node: Tensor, why: str) -> Line:
    return w.plain("%s = np.array(%s)", [name, w.name[node]], node, why, defines=1)


def _stores(w: Writer, plan: Plan) -> list[Line]:
    """The updates that were not computed straight into their places."""
    lines: list[Line] = []
    copies: list[tuple[Tensor, str]] = []
    for variable, value in w.schedule.updates.items():
        if plan.direct.get(value) is variable:
            continue
        name = w.name[value]
        if plan.root[value] in w.schedule.updates:
            name = w.local()
            lines.append(_copy(w, name, value, "read before it is written"))
        copies.append((variable, name))
    return lines + [w.plain("np.copyto(%s, %s)", [w.name[variable], name], variable) for variable, name in copies]


def _loop_step(w: Writer, node: Tensor, leaving: Collection[int]) -> tuple[list[str], Line]:
    """A scan as a step: what ``make`` defines for it, and the line of the call."""
    made, function = _loop(w, node, leaving)
    operands = [w.name[x] for x in node.inputs]
    w.name[node] = w.local(node.label)
    return made, w.plain(f"%s = %s({_holes(operands)})", [w.name[node], function, *operands], node, "loop", defines=1)


def _loop(w: Writer, node: Tensor, leaving: Collection[int]) -> tuple[list[str], str]:
    """A scan: the function of the whole loop, which ``make`` defines, and its name."""
    loop = plan_loop(node, leaving)
    inner = Writer(loop.step, "numpy", w)
    plan = assign(loop.step)
    given = [inner.names.fresh(None, f"x{i}") for i in range(len(node.inputs))]
    head, buffers = _head(inner, plan)
    memory = LoopMemory(inner, loop, dict(zip(loop.carries, given, strict=False)), buffers)
    factors = {x for step in loop.step.steps if step.op is not None and step.op.name == "matmul" for x in step.inputs}
    for x, argument in zip((*loop.items, *loop.steady), given[len(loop.carries) :], strict=True):
        if x in loop.items:
            memory.each[inner.name[x]] = f"{argument}[::-1]" if loop.reverse else argument
        else:  # a product whose factor lies in strides takes twice as long, in every step
            memory.before.append(f"{inner.name[x]} = {f'np.ascontiguousarray({argument})' if x in factors else argument}")
    steps: list[Line] = []
    for number, step in enumerate(loop.step.steps):
        if is_loop(step):
            made, line = _loop_step(inner, step, ())
            head += made
            steps.append(line)
        elif not memory.views(step):
            steps.append(_line(inner, plan, buffers, step))
        steps += watching.after(inner, number, step, plan, buffers)
    steps += _stores(inner, plan)
    if loop.numbers:
        numbers = [inner.name[x] for x in loop.numbers]
        text = f"{_holes(numbers)} = {', '.join(['%s[()]'] * len(numbers))}"
        steps.append(inner.plain(text, [*numbers, *[inner.name[y] for y in loop.numbers.values()]], defines=len(numbers)))
    parts, steps = with_parts(inner, steps)
    each = memory.each
    over = f"for {', '.join(each)}, in zip({', '.join(each.values())}):" if each else f"for _ in range({loop.length}):"
    name = w.owned("loop")
    inside = [line.written() for line in steps] or ["pass"]
    lines = [*memory.before, over, *(f"    {line}" for line in inside), memory.returned(leaving)]
    return [*head, *memory.head, *parts, "", f"def {name}({', '.join(given)}):", *(f"    {line}" for line in lines), ""], name
