"""Emitting source: a function ``make`` that allocates, and inside it ``step``, one line an operation."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphc.core import Op, Subgraph, Tensor, TensorType, bodies, every_node, sizes
from graphc.core.errors import BackendError, ShapeError
from graphc.core.expr import Constant, Input
from graphc.lower.buffers import IDLE, Plan, assign
from graphc.lower.factors import small_right_factors
from graphc.lower.loops import LoopPlan, Stack, is_loop, plan_loop
from graphc.lower.names import Names
from graphc.lower.rows import Rows, work_of_a_row
from graphc.lower.schedule import Schedule, schedule_body, written_by
from graphc.lower.template import (
    Written,
    call,
    called_by_name,
    defined,
    helpers,
    imports,
    in_namespace,
    jax_dtype_source,
    literal,
    numpy_dtype_source,
    out_template,
    template_of,
)


@dataclass(frozen=True)
class Source:
    """Emitted source. ``text`` defines ``make(*sizes, *constants)``, which returns ``step``.

    ``step(*inputs, *variables)`` returns the outputs; on JAX also the updated variables and the checks.
    """

    text: str
    sizes: tuple[str, ...]
    constants: tuple[Constant, ...]
    messages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


def size_names(schedule: Schedule) -> tuple[str, ...]:
    """The named sizes of the inputs, in the order in which they occur."""
    found: dict[str, None] = {}
    for node in schedule.inputs:
        for size in node.shape:
            found.update(dict.fromkeys(sorted(sizes.names(size))))
    return tuple(found)


CLOSED_OVER = 256
"""How many names ``step`` takes from ``make`` as a closure."""


class _Writer:
    """What both targets share: names, and lines with the type and the user's line as a comment.

    A function of a body, or of a block of rows, has a writer of its own, with names of its own; it shares what ``make`` owns.
    """

    def __init__(self, schedule: Schedule, target: str, around: _Writer | None = None) -> None:
        self.schedule, self.target = schedule, target
        self.sizes = around.sizes if around else size_names(schedule)
        self.ops: tuple[Op, ...] = around.ops if around else tuple(dict.fromkeys([node.op for node in _every(schedule) if node.op]))
        self.functions: set[str] = around.functions if around else set()
        self.reserved: frozenset[str] = around.reserved if around else self._reserved()
        self.names = Names(self.reserved)
        self.written = around.written if around else Written(numpy_dtype_source if target == "numpy" else jax_dtype_source, {})
        self.name: dict[Tensor, str] = {}
        self.big: dict[Constant, str] = around.big if around else {}
        self.counters: dict[str, int] = around.counters if around else {}
        self.threads = around is None or around.threads
        self._values = 0
        for leaf in (*schedule.inputs, *schedule.variables):
            self.name[leaf] = self.names.fresh(leaf.label, "x" if leaf in schedule.inputs else "w")

    def _reserved(self) -> frozenset[str]:
        """What no value may be called: sizes, helpers, and NumPy's functions that are called by their names."""
        helpers = [name for op in self.ops for name in defined(op.helper if self.target == "numpy" else op.jax_helper)]
        clash = sorted({*helpers} & {*self.sizes})
        if clash:
            raise ShapeError(f"a size is called {clash[0]!r}, like a function of the emitted source", fits="another name")
        called = _called(self.schedule) if self.target == "numpy" else ()
        return frozenset([*self.sizes, *helpers, *called, "low", "high"])

    def dtype(self, name: str) -> str:
        return self.written.dtype(name)

    def owned(self, letter: str) -> str:
        """A name for something that ``make`` owns and every function in it may read."""
        while True:
            number = self.counters[letter] = self.counters.get(letter, -1) + 1
            if f"{letter}{number}" not in self.sizes:
                return f"{letter}{number}"

    def local(self, label: str | None = None) -> str:
        """A name for a value of this function."""
        self._values += 1
        return self.names.fresh(label, f"v{self._values - 1}")

    def expression(self, node: Tensor) -> str:
        """The node's value."""
        template = template_of(node, self.target)
        assert template is not None
        return self._filled(node, in_namespace(template, "np" if self.target == "numpy" else "jnp"))

    def by_name(self, node: Tensor, into: str = "") -> str:
        """The same in a function of NumPy source, where NumPy's functions have names of their own; or the call that writes ``into``."""
        template = out_template(node) if into else template_of(node, "numpy")
        assert template is not None
        bare, names = called_by_name(template)
        if names.isdisjoint(self.sizes):
            self.functions |= names
            return self._filled(node, bare, into)
        return self._filled(node, in_namespace(template, "np"), into)

    def _filled(self, node: Tensor, template: str, into: str = "") -> str:
        return call(node, template, [self.name[x] for x in node.inputs], self.written, out=into)

    def constants(self) -> Iterable[str]:
        for c in self.schedule.constants:
            self.name[c] = self.big.get(c) or self.owned("c")
            if c.shape:
                self.big[c] = self.name[c]
            else:
                value = literal(c.value[()], c.dtype, self.dtype(c.dtype))
                yield f"{self.name[c]} = {value if self.target == 'jax' else f'np.array({value})'}"

    def bodies(self) -> Iterable[Subgraph]:
        """The bodies that this function calls and that are not written yet."""
        for node in self.schedule.nodes:
            for body in () if self.target == "numpy" and is_loop(node) else bodies(node):
                if body not in self.written.functions:
                    yield body

    def parameters(self) -> str:
        return ", ".join([*self.sizes, *self.big.values()])

    def arguments(self, owned: list[str]) -> str:
        """The parameters of ``step``; what ``make`` owns is reached as a closure, or by default values where it is much.

        CPython compiles a closure over thousands of names in quadratic time.
        """
        bound = [f"{name}={name}" for name in owned] if len(owned) > CLOSED_OVER else []
        return ", ".join([*(self.name[leaf] for leaf in (*self.schedule.inputs, *self.schedule.variables)), *bound])


def _every(schedule: Schedule) -> Iterator[Tensor]:
    """Every node of the schedule and of the bodies in it."""
    for node in schedule.nodes:
        yield node
        for body in bodies(node):
            yield from every_node(body.outputs)


def _called(schedule: Schedule) -> set[str]:
    """The functions of NumPy that the templates call."""
    templates: dict[str, None] = {}
    plain: set[Op] = set()
    for node in _every(schedule):
        if node.op is None or node.op in plain:
            continue
        templates.update(dict.fromkeys([t for t in (template_of(node, "numpy"), out_template(node)) if t]))
        if not callable(node.op.emit) and not callable(node.op.out):
            plain.add(node.op)
    return {name for template in templates for name in called_by_name(template)[1]}


def _comment(line: str, node: Tensor, note: str = "") -> str:
    origin = node.origin
    parts = [_written_type(node.type), node.label, note, origin and _written_origin(origin)]
    return f"{line:<48}  # {_plain('  '.join([part for part in parts if part]))}"


@functools.lru_cache(maxsize=4096)
def _written_type(type: TensorType) -> str:
    return str(type)


@functools.lru_cache(maxsize=4096)
def _written_origin(origin: Any) -> str:
    return str(origin)


def _plain(text: str) -> str:
    """A comment ends with its line, whatever the user called things."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _indent(lines: Iterable[str], depth: int) -> str:
    return "".join(f"{'    ' * depth}{line}\n" if line else "\n" for line in lines)


def emit_numpy(schedule: Schedule, plan: Plan, *, threads: bool = True) -> Source:
    """The schedule as NumPy source that writes into the plan's buffers; its loops over rows use one thread or as many as pay."""
    w = _Writer(schedule, "numpy")
    w.threads = threads
    head, step = _numpy_function(w, plan, "step")
    return Source(_module(w, head, step), w.sizes, tuple(w.big))


def _numpy_function(w: _Writer, plan: Plan, name: str) -> tuple[list[str], list[str]]:
    """What ``make`` does for a function before the first call, and the function."""
    head, buffers = _numpy_head(w, plan)
    made, lines = _numpy_steps(w, plan, buffers)
    lines += _numpy_end(w, plan)
    owned = [*(w.name[node] for node in (*w.schedule.constants, *w.schedule.hoisted)), *buffers]
    return [*head, *made], [f"def {name}({w.arguments(owned)}):", *(f"    {line}" for line in lines)]


def _numpy_head(w: _Writer, plan: Plan) -> tuple[list[str], list[str]]:
    """What ``make`` computes and allocates for a function, and the names of its buffers."""
    head = [line for body in w.bodies() for line in _numpy_body(w, body)]
    head += w.constants()
    for node in w.schedule.hoisted:
        made, text = _numpy_loop(w, node, ()) if is_loop(node) else ([], w.expression(node))
        head += [*made, _comment(f"{_hoisted_name(w, node)} = {text}", node)]
    buffers = [w.owned("buffer") for _ in plan.buffers]
    if buffers:
        head.append(f"({', '.join(buffers)},) = arena(")
        for (first, last), type in zip(plan.spans, plan.buffers, strict=True):
            head.append(f"    ({first}, {last}, {_shape(type.shape)}, {w.dtype(type.dtype)}),")
        head.append(")")
    return head, buffers


def _numpy_steps(w: _Writer, plan: Plan, buffers: list[str]) -> tuple[list[str], list[str]]:
    """What the steps need in ``make``, and their lines."""
    head: list[str] = []
    lines: list[str] = []
    turned = small_right_factors(w.schedule)
    scratch: dict[TensorType, str] = {}
    for number, step in enumerate(w.schedule.steps):
        if isinstance(step, Tensor) and step in turned:
            if step.type not in scratch:
                scratch[step.type] = w.owned("turned")
                head.append(f"{scratch[step.type]} = np.empty({_shape(step.shape)}, {w.dtype(step.dtype)})")
            lines.append(_comment(f"np.copyto({scratch[step.type]}, {w.by_name(step)})", step))
            w.name[step] = scratch[step.type]
        elif isinstance(step, Rows):
            made, line = _numpy_rows(w, plan, buffers, step)
            head += made
            lines += line
        elif is_loop(step):
            leaving = [y.attributes["index"] for y in w.schedule.outputs if y.inputs and y.inputs[0] is step]
            made, text = _numpy_loop(w, step, leaving)
            head += made
            w.name[step] = w.local(step.label)
            lines.append(_comment(f"{w.name[step]} = {text}", step, "loop"))
        else:
            lines.append(_numpy_line(w, plan, buffers, step))
        if number in plan.dropped:
            lines.append(f"del {', '.join([w.name[node] for node in plan.dropped[number]])}")
    return head, lines


def _numpy_rows(w: _Writer, plan: Plan, buffers: list[str], loop: Rows) -> tuple[list[str], list[str]]:
    """A loop over rows: the function of a block, which ``make`` defines, and the lines of the call."""
    leaves = dict(zip((*loop.sliced, *loop.whole), loop.inner.inputs, strict=True))
    values = loop.inner.outputs
    targets: dict[Tensor, Any] = {}
    into: dict[Tensor, str] = {}
    lines: list[str] = []
    for node, value in zip(loop.kept, values, strict=False):
        variable = plan.direct.get(node)
        if variable is not None and variable in loop.sliced:
            targets[leaves[variable]] = value
            continue
        leaf: Any = Input(None, (), (), value.type)
        leaf.label = node.label or "out"
        targets[leaf] = value
        if variable is not None:
            into[leaf] = w.name[variable]
        elif node in plan.place:
            into[leaf] = buffers[plan.place[node]]
        else:
            into[leaf] = w.local(node.label)
            lines.append(_comment(f"{into[leaf]} = np.empty({_shape(node.shape)}, {w.dtype(node.dtype)})", node))
        w.name[node] = into[leaf]
    for node in loop.kept:
        if node in plan.direct:
            w.name[node] = w.name[plan.direct[node]]
    given = [*loop.inner.inputs, *into]
    block = replace(loop.inner, inputs=tuple(given), outputs=values[len(loop.kept) :], updates=targets)
    function, head = _block_function(w, loop, block, [*loop.inner.inputs[: len(loop.sliced)], *into])
    totals = [w.local(node.label) for node in loop.sums]
    w.name.update(zip(loop.sums, totals, strict=True))
    arrays = ", ".join([*(w.name[x] for x in (*loop.sliced, *loop.whole)), *into.values()])
    text = f"{function}({arrays})"
    result = f"{', '.join(totals)}{',' if len(totals) == 1 else ''} = " if totals else ""
    first = (*loop.kept, *loop.sums)[0]
    return head, [*lines, _comment(f"{result}{text}", first, f"{len(loop.nodes)} ops by rows")]


def _block_function(w: _Writer, loop: Rows, block: Schedule, by_rows: Sequence[Tensor]) -> tuple[str, list[str]]:
    name = w.owned("rows")
    inner = _Writer(block, "numpy", w)
    for c in block.constants:
        inner.name[c] = w.name[c]
    plan = assign(block)
    buffers = [inner.names.fresh(None, f"t{i}") for i in range(len(plan.buffers))]
    totals = [inner.names.fresh(None, f"total{i}") for i in range(len(loop.sums))]
    parameters = ["low", "high", *buffers, *totals, *(inner.name[x] for x in block.inputs)]
    lines = [f"{inner.name[x]} = {inner.name[x]}[low:high]" for x in by_rows]
    lines += [_numpy_line(inner, plan, buffers, node) for node in block.steps]
    lines += [f"np.copyto({inner.name[leaf]}, {inner.name[value]})" for leaf, value in block.updates.items() if value not in plan.direct]
    lines += [f"np.add({total}, {inner.name[node]}, out={total})" for total, node in zip(totals, block.outputs, strict=True)]
    scratches = [f"({_shape(type.shape[1:])}, {w.dtype(type.dtype)})" for type in plan.buffers]
    sums = [f"({_shape(node.shape)}, {w.dtype(node.dtype)})" for node in loop.sums]
    work = ", ".join(map(str, work_of_a_row(block.steps)))
    limit = "" if w.threads else ", threads=1"
    return name, [
        "",
        f"def {name}({', '.join(parameters)}):",
        *(f"    {line}" for line in lines),
        "",
        f"{name} = by_rows({name}, {loop.size}, {work}, [{', '.join(scratches)}], [{', '.join(sums)}]{limit})",
    ]


def _numpy_body(w: _Writer, body: Subgraph) -> list[str]:
    ordered = schedule_body(body)
    inner = _Writer(ordered, "numpy", w)
    name = w.owned("body")
    head, function = _numpy_function(inner, assign(ordered, idle=IDLE), name)
    w.written.functions[body] = name
    return [*head, "", *function, ""]


def _module(w: _Writer, head: list[str], step: list[str]) -> str:
    make = f"def make({w.parameters()}):\n{_indent(head, 1)}\n{_indent(step, 1)}\n    return step\n"
    return _header(w, make) + make


def _header(w: _Writer, text: str) -> str:
    """Imports and helpers, as far as the text needs them."""
    needed = helpers(w.ops, w.target, text)
    if w.target == "numpy":
        code = needed + text
        bfloat16 = "from ml_dtypes import bfloat16\n" if "bfloat16" in code else ""
        loops = "from graphc.parallel import by_rows\n" if "= by_rows(" in code else ""
        memory = "from graphc.lower.arena import arena\n" if "= arena(" in code else ""
        own = f"\n{memory}{loops}" if memory or loops else ""
        names = sorted(w.functions)
        names = "".join(f"from numpy import {', '.join(names[i : i + 12])}\n" for i in range(0, len(names), 12))
        return f"{imports(w.ops, needed + text)}import numpy as np\n{bfloat16}{names}{own}\n\n{needed}"
    return "import jax\nimport jax.numpy as jnp\n\n\n" + needed


def _hoisted_name(w: _Writer, node: Tensor) -> str:
    w.name[node] = w.owned("c")
    return w.name[node]


def _shape(shape: tuple[sizes.Dim, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + (",)" if len(shape) == 1 else ")")


def _numpy_line(w: _Writer, plan: Plan, buffers: list[str], node: Tensor) -> str:
    op = node.op
    assert op is not None
    into = w.name[plan.direct[node]] if node in plan.direct else buffers[plan.place[node]] if node in plan.place else None
    if into is None:
        text = w.by_name(node)
        if not op.view and (node.dtype == "bfloat16" or (node.dtype == "float16" and op.imports)):
            text = f"np.asarray({text}, {w.dtype(node.dtype)})"  # float32 is what comes where there is no loop for the dtype, as for matmul
        w.name[node] = w.local(node.label)
        return _comment(f"{w.name[node]} = {text}", node, op.name)
    line = w.by_name(node, into)
    w.name[node] = into
    return _comment(line, node)


def _numpy_end(w: _Writer, plan: Plan) -> list[str]:
    """Outputs first, so that they keep the old values, then the variables that were not written directly, then the return."""
    lines: list[str] = []
    taken: set[Tensor] = set()
    results: list[str] = []
    leaving = set(w.schedule.outputs)
    fresh = {node for step in w.schedule.steps for node in written_by(step) if node in leaving and plan.root[node] is node}
    for node in w.schedule.outputs:
        if node in fresh and node not in taken:
            taken.add(node)
            results.append(w.name[node])
            continue
        copy = w.local()
        lines.append(_comment(f"{copy} = np.array({w.name[node]})", node, "an output shares no memory"))
        results.append(copy)
    lines += _numpy_stores(w, plan)
    return [*lines, f"return ({', '.join(results)}{',' if len(results) == 1 else ''})"]


def _numpy_stores(w: _Writer, plan: Plan) -> list[str]:
    """The updates that were not computed straight into their places."""
    lines: list[str] = []
    copies: list[tuple[Tensor, str]] = []
    for variable, value in w.schedule.updates.items():
        if plan.direct.get(value) is variable:
            continue
        name = w.name[value]
        if plan.root[value] in w.schedule.updates:
            name = w.local()
            lines.append(_comment(f"{name} = np.array({w.name[value]})", value, "read before it is written"))
        copies.append((variable, name))
    return lines + [_comment(f"np.copyto({w.name[variable]}, {name})", variable) for variable, name in copies]


# ---------------------------------------------------------------- loops
def _numpy_loop(w: _Writer, node: Tensor, leaving: Collection[int]) -> tuple[list[str], str]:
    """A scan: the function of the whole loop, which ``make`` defines, and the call."""
    loop = plan_loop(node, leaving)
    inner = _Writer(loop.step, "numpy", w)
    plan = assign(loop.step)
    given = [inner.names.fresh(None, f"x{i}") for i in range(len(node.inputs))]
    head, buffers = _numpy_head(inner, plan)
    memory = _LoopMemory(inner, loop, dict(zip(loop.carries, given, strict=False)), buffers)
    factors = {x for step in loop.step.steps if step.op is not None and step.op.name == "matmul" for x in step.inputs}
    for x, argument in zip((*loop.items, *loop.steady), given[len(loop.carries) :], strict=True):
        if x in loop.items:
            memory.each[inner.name[x]] = f"{argument}[::-1]" if loop.reverse else argument
        else:  # a product whose factor lies in strides takes twice as long, in every step
            memory.before.append(f"{inner.name[x]} = {f'np.ascontiguousarray({argument})' if x in factors else argument}")
    steps: list[str] = []
    for step in loop.step.steps:
        if is_loop(step):
            made, text = _numpy_loop(inner, step, ())
            head += made
            inner.name[step] = inner.local(step.label)
            steps.append(_comment(f"{inner.name[step]} = {text}", step, "loop"))
        elif not memory.views(step):
            steps.append(_numpy_line(inner, plan, buffers, step))
    steps += _numpy_stores(inner, plan)
    if loop.numbers:
        values = ", ".join(f"{inner.name[y]}[()]" for y in loop.numbers.values())
        steps.append(f"{', '.join(inner.name[x] for x in loop.numbers)} = {values}")
    each = memory.each
    over = f"for {', '.join(each)}, in zip({', '.join(each.values())}):" if each else f"for _ in range({loop.length}):"
    name = w.owned("loop")
    lines = [*memory.before, over, *(f"    {line}" for line in steps or ["pass"]), memory.returned(leaving)]
    return [*head, *memory.head, "", f"def {name}({', '.join(given)}):", *(f"    {line}" for line in lines), ""], (
        f"{name}({', '.join(w.name[x] for x in node.inputs)})"
    )


class _LoopMemory:
    """The memory of a loop as source: ``head`` is what ``make`` does for it, ``before`` what a call does before the first step.

    ``each`` are the variables of the loop and what they run over. Views of memory that stays where it is are made once: ``lists`` has
    the lists that ``make`` holds of the items, by the variables that run over them, and ``whole`` the buffers.
    """

    def __init__(self, w: _Writer, loop: LoopPlan, first: dict[Tensor, str], buffers: list[str]) -> None:
        self.w, self.loop = w, loop
        self.head: list[str] = []
        self.before: list[str] = []
        self.each: dict[str, str] = {}
        self.lists: dict[str, str] = {}
        self.stack: dict[Tensor, str] = {}
        self.fixed = set(buffers)
        self.whole = set(buffers)
        for x in loop.numbers:
            self.before.append(f"{w.name[x]} = np.asarray({first[x]})[()]")
        for x in loop.states:
            w.name[x] = self._made(x.type, "state")
            self.before.append(f"np.copyto({w.name[x]}, {first[x]})")
            self.fixed.add(w.name[x])
            self.whole.add(w.name[x])
        for stack in loop.stacks:
            self._stack(stack, first)

    def _made(self, type: TensorType, letter: str) -> str:
        name = self.w.owned(letter)
        self.head.append(f"{name} = np.empty({_shape(type.shape)}, {self.w.dtype(type.dtype)})")
        return name

    def _stack(self, stack: Stack, first: dict[Tensor, str]) -> None:
        w = self.w
        if stack.fresh:
            name = w.local("stack")
            self.before.append(f"{name} = np.empty({_shape(stack.type.shape)}, {w.dtype(stack.type.dtype)})")
        else:
            name = self._made(stack.type, "stack")
        self.stack[stack.target] = name
        reverse = self.loop.reverse
        if stack.before is None:
            items = f"{name}[::-1]" if reverse else name
            self._run(stack.target, items if stack.target.shape else f"{items}[:, None]", stack.fresh)
            return
        self.before.append(f"np.copyto({name}[{-1 if reverse else 0}], {first[stack.before]})")
        self._run(stack.before, f"{name}[:0:-1]" if reverse else f"{name}[:-1]", stack.fresh)
        self._run(stack.target, f"{name}[-2::-1]" if reverse else f"{name}[1:]", stack.fresh)

    def _run(self, leaf: Tensor, items: str, fresh: bool) -> None:
        variable = self.w.name[leaf]
        self.each[variable] = items
        if not fresh:
            self.lists[variable] = self.each[variable] = self.w.owned("items")
            self.head.append(f"{self.lists[variable]} = list({items})")
            self.whole.add(variable)

    def views(self, node: Tensor) -> bool:
        """Write a view of memory that stays where it is so that it is made once, if the node is one."""
        op, w = node.op, self.w
        if op is None or not node.inputs:
            return False
        x = w.name[node.inputs[0]]
        if op.name not in ("narrow", "transpose") and not (op.name == "reshape" and x in self.whole):
            return False
        if x in self.lists:
            variable, items = w.local(node.label), w.owned("items")
            self.head.append(_comment(f"{items} = [{w.by_name(node)} for {x} in {self.lists[x]}]", node, op.name))
            w.name[node], self.lists[variable], self.each[variable] = variable, items, items
        elif x in self.fixed:
            view = w.owned("view")
            self.head.append(_comment(f"{view} = {w.by_name(node)}", node, op.name))
            w.name[node] = view
            self.fixed.add(view)
        else:
            return False
        return True

    def returned(self, leaving: Collection[int]) -> str:
        """The line that returns the results; what leaves the function shares no memory with anything."""
        texts: list[str] = []
        taken: set[Tensor] = set()
        reverse = self.loop.reverse
        for i, (where, x) in enumerate(self.loop.results):
            name = self.w.name[x] if where in ("state", "number") else self.stack[x]
            trail = any(stack.target is x and stack.before is not None for stack in self.loop.stacks)
            if where == "last":
                name += "[0]" if reverse else "[-1]"
            elif trail:
                name += "[1:]" if reverse == (where == "before") else "[:-1]"
            alone = where == "number" or (where == "after" and not trail and x not in taken)
            texts.append(name if i not in leaving or alone else f"np.array({name})")
            taken.add(x)
        return f"return ({''.join(f'{text}, ' for text in texts)})"


def emit_jax(schedule: Schedule) -> Source:
    """The schedule as JAX source, for ``jax.jit``: a pure function of inputs and variables."""
    w = _Writer(schedule, "jax")
    head, lines = _jax_lines(w)
    lines = ["checks = []", *lines]
    lines.append(f"return [{_names(w, schedule.outputs)}], [{_names(w, schedule.updates.values())}], checks")
    owned = [w.name[node] for node in schedule.constants]
    step = [f"def step({w.arguments(owned)}):", *(f"    {line}" for line in lines)]
    messages = tuple([node.attributes["message"] for node in (*schedule.hoisted, *schedule.steps) if node.op and node.op.name == "guard"])
    return Source(_module(w, head, step), w.sizes, tuple(w.big), messages)


def _jax_lines(w: _Writer) -> tuple[list[str], list[str]]:
    head = [line for body in w.bodies() for line in _jax_body(w, body)]
    head += w.constants()
    lines: list[str] = []
    for node in (*w.schedule.hoisted, *w.schedule.steps):
        text = w.expression(node)
        w.name[node] = w.local(node.label)
        assert node.op is not None
        lines.append(_comment(f"{w.name[node]} = {text}", node, node.op.name))
    return head, lines


def _jax_body(w: _Writer, body: Subgraph) -> list[str]:
    if any(node.op and node.op.name == "guard" for node in body.nodes):
        raise BackendError("kinks='raise' inside a loop, a branch or a checkpoint has no JAX form", fits="kinks='nan', or backend='numpy'")
    ordered = schedule_body(body)
    inner = _Writer(ordered, "jax", w)
    name = w.owned("body")
    head, lines = _jax_lines(inner)
    w.written.functions[body] = name
    owned = [inner.name[node] for node in ordered.constants]
    lines.append(f"return [{_names(inner, ordered.outputs)}]")
    return [*head, "", f"def {name}({inner.arguments(owned)}):", *(f"    {line}" for line in lines), ""]


def _names(w: _Writer, nodes: Iterable[Tensor]) -> str:
    return ", ".join(w.name[node] for node in nodes)
