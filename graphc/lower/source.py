"""Emitting source: a function ``make`` that allocates, and inside it ``step``, one line an operation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphc.core import Op, Subgraph, Tensor, bodies, every_node, sizes
from graphc.core.dtypes import itemsize
from graphc.core.errors import BackendError, ShapeError
from graphc.core.expr import Constant, Input
from graphc.lower.buffers import Plan, assign
from graphc.lower.names import Names
from graphc.lower.rows import Rows
from graphc.lower.schedule import Schedule, schedule_body, written_by
from graphc.lower.template import Written, call, helpers, imports, in_namespace, jax_dtype_source, literal, numpy_dtype_source, template_of


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
        self.ops: list[Op] = around.ops if around else _ops(schedule)
        self.sizes = around.sizes if around else size_names(schedule)
        self.names = self._fresh_names()
        self.written = around.written if around else Written(numpy_dtype_source if target == "numpy" else jax_dtype_source, {})
        self.name: dict[Tensor, str] = {}
        self.big: dict[Constant, str] = around.big if around else {}
        self.counters: dict[str, int] = around.counters if around else {}
        self._values = 0
        for leaf in (*schedule.inputs, *schedule.variables):
            self.name[leaf] = self.names.fresh(leaf.label, "x" if leaf in schedule.inputs else "w")

    def _fresh_names(self) -> Names:
        functions = [op.name for op in self.ops if op.helper or op.jax_helper]
        clash = sorted({*functions} & {*self.sizes})
        if clash:
            raise ShapeError(f"a size is called {clash[0]!r}, like a function of the emitted source", fits="another name")
        return Names([*self.sizes, *functions, "low", "high"])

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
        template = template_of(node, self.target)
        assert template is not None
        template = in_namespace(template, "np" if self.target == "numpy" else "jnp")
        return call(node, template, [self.name[x] for x in node.inputs], self.written)

    def constants(self) -> Iterable[str]:
        for c in self.schedule.constants:
            self.name[c] = self.big.get(c) or self.owned("c")
            if c.shape:
                self.big[c] = self.name[c]
            else:
                yield f"{self.name[c]} = {literal(c.value[()], c.dtype, self.dtype(c.dtype))}"

    def bodies(self) -> Iterable[Subgraph]:
        """The bodies that this function calls and that are not written yet."""
        for node in self.schedule.nodes:
            for body in bodies(node):
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


def _ops(schedule: Schedule) -> list[Op]:
    """Every op of the schedule and of the bodies in it."""
    nodes = schedule.nodes
    inner = [body.outputs for node in nodes for body in bodies(node)]
    return [node.op for node in (*nodes, *(x for outputs in inner for x in every_node(outputs))) if node.op is not None]


def _comment(line: str, node: Tensor, note: str = "") -> str:
    parts = [str(node.type), node.label or "", note, str(node.origin or "")]
    text = "  ".join(_plain(part) for part in parts if part)
    return f"{line:<48}  # {text}"


def _plain(text: str) -> str:
    """A comment ends with its line, whatever the user called things."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _indent(lines: Iterable[str], depth: int) -> str:
    return "".join(f"{'    ' * depth}{line}\n" if line else "\n" for line in lines)


def emit_numpy(schedule: Schedule, plan: Plan) -> Source:
    """The schedule as NumPy source that writes into the plan's buffers."""
    w = _Writer(schedule, "numpy")
    head, step = _numpy_function(w, plan, "step")
    return Source(_module(w, head, step), w.sizes, tuple(w.big))


def _numpy_function(w: _Writer, plan: Plan, name: str) -> tuple[list[str], list[str]]:
    """What ``make`` does for a function before the first call, and the function."""
    head = [line for body in w.bodies() for line in _numpy_body(w, body)]
    head += w.constants()
    head += [_comment(f"{_hoisted_name(w, node)} = {w.expression(node)}", node) for node in w.schedule.hoisted]
    buffers = [w.owned("buffer") for _ in plan.buffers]
    for buffer, type in zip(buffers, plan.buffers, strict=True):
        head.append(f"{buffer} = np.empty({_shape(type.shape)}, {w.dtype(type.dtype)})")
    lines: list[str] = []
    for step in w.schedule.steps:
        if isinstance(step, Rows):
            made, line = _numpy_rows(w, plan, buffers, step)
            head += made
            lines += line
        else:
            lines.append(_numpy_line(w, plan, buffers, step))
    lines += _numpy_end(w, plan)
    owned = [*(w.name[node] for node in (*w.schedule.constants, *w.schedule.hoisted)), *buffers]
    return head, [f"def {name}({w.arguments(owned)}):", *(f"    {line}" for line in lines)]


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
    widths = list(dict.fromkeys(_row_bytes(node) for node in block.steps))
    widest = max([width for width in widths if isinstance(width, int)], default=0)
    named = [str(width) for width in widths if not isinstance(width, int)]
    touched: sizes.Dim = 0
    for node in block.steps:
        touched = _row_bytes(node) + touched
    width = f"max({widest}, {', '.join(named)})" if named else str(widest)
    return name, [
        "",
        f"def {name}({', '.join(parameters)}):",
        *(f"    {line}" for line in lines),
        "",
        f"{name} = by_rows({name}, {loop.size}, {touched}, {width}, [{', '.join(scratches)}], [{', '.join(sums)}])",
    ]


def _row_bytes(node: Tensor) -> sizes.Dim:
    return sizes.product(node.shape[1:]) * itemsize(node.dtype) if node.ndim else 0


def _numpy_body(w: _Writer, body: Subgraph) -> list[str]:
    ordered = schedule_body(body)
    inner = _Writer(ordered, "numpy", w)
    name = w.owned("body")
    head, function = _numpy_function(inner, assign(ordered), name)
    w.written.functions[body] = name
    return [*head, "", *function, ""]


def _module(w: _Writer, head: list[str], step: list[str]) -> str:
    make = f"def make({w.parameters()}):\n" + _indent(head, 1)
    return f"{_header(w)}{make}\n{_indent(step, 1)}\n    return step\n"


def _header(w: _Writer) -> str:
    if w.target == "numpy":
        nodes = every_node([*w.schedule.outputs, *w.schedule.updates.values()])
        bfloat16 = "from ml_dtypes import bfloat16\n" if any(node.dtype == "bfloat16" for node in nodes) else ""
        loops = "\nfrom graphc.parallel import by_rows\n" if any(isinstance(step, Rows) for step in w.schedule.steps) else ""
        return f"import numpy as np\n{bfloat16}{imports(w.ops)}{loops}\n\n{helpers(w.ops)}"
    return "import jax\nimport jax.numpy as jnp\n\n\n" + helpers(w.ops, "jax")


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
        text = w.expression(node)
        if not op.view and (node.dtype == "bfloat16" or (node.dtype == "float16" and op.imports)):
            text = f"np.asarray({text}, {w.dtype(node.dtype)})"  # float32 is what comes where there is no loop for the dtype, as for matmul
        w.name[node] = w.local(node.label)
        return _comment(f"{w.name[node]} = {text}", node, op.name)
    assert op.out is not None
    line = call(node, op.out, [w.name[x] for x in node.inputs], w.written, out=into)
    w.name[node] = into
    return _comment(line, node)


def _numpy_end(w: _Writer, plan: Plan) -> list[str]:
    """Outputs first, so that they keep the old values, then the variables that were not written directly, then the return."""
    lines: list[str] = []
    taken: set[Tensor] = set()
    results: list[str] = []
    fresh = {node for step in w.schedule.steps for node in written_by(step) if node in w.schedule.outputs and plan.root[node] is node}
    for node in w.schedule.outputs:
        if node in fresh and node not in taken:
            taken.add(node)
            results.append(w.name[node])
            continue
        copy = w.local()
        lines.append(_comment(f"{copy} = np.array({w.name[node]})", node, "an output shares no memory"))
        results.append(copy)
    stores = [(variable, value) for variable, value in w.schedule.updates.items() if value not in plan.direct]
    copies: list[tuple[Tensor, str]] = []
    for variable, value in stores:
        name = w.name[value]
        if plan.root[value].kind == "variable":
            name = w.local()
            lines.append(_comment(f"{name} = np.array({w.name[value]})", value, "read before it is written"))
        copies.append((variable, name))
    lines += [_comment(f"np.copyto({w.name[variable]}, {name})", variable) for variable, name in copies]
    return [*lines, f"return ({', '.join(results)}{',' if len(results) == 1 else ''})"]


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
