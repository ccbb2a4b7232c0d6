"""What both targets share: names, and lines with the type and the user's line as a comment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from graphc.core import Op, Subgraph, Tensor, bodies, every_node, sizes
from graphc.core.errors import ShapeError
from graphc.core.expr import Constant
from graphc.core.sizes import Shape
from graphc.lower.loops import is_loop
from graphc.lower.names import CALLED, Names, Owned
from graphc.lower.schedule import Schedule
from graphc.lower.source.checks import Checks
from graphc.lower.source.lines import Form, Line
from graphc.lower.source.watching import IMPORT, MODULE, Watching
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
    pattern_of,
    template_of,
)


@dataclass(frozen=True)
class Source:
    """Emitted source. ``text`` defines ``make(*sizes, *constants)``, which returns ``step``.

    ``step(*inputs, *variables)`` returns the outputs; on JAX also the updated variables and the flags of ``checks``.
    """

    text: str
    sizes: tuple[str, ...]
    constants: tuple[Constant, ...]
    checks: Checks | None = None

    def __str__(self) -> str:
        return self.text


def size_names(schedule: Schedule) -> tuple[str, ...]:
    """The named sizes of the inputs, in the order in which they occur."""
    found: dict[str, None] = {}
    for node in schedule.inputs:
        for size in node.shape:
            found.update(dict.fromkeys(sorted(sizes.names(size))))
    return tuple(found)


Way = Literal["new", "into", "turned"]
"""What a line does with a value: it gives it a name, writes it into memory that has one, or copies a view into such memory."""
CLOSED_OVER = 256
"""How many names ``step`` takes from ``make`` as a closure."""
_CALLED_BY_LOOPS = ("list", "zip")


class Writer:
    """What both targets share: names, and lines with the type and the user's line as a comment.

    A function of a body, or of a block of rows, has a writer of its own, with names of its own; it shares what ``make`` owns.
    """

    def __init__(
        self, schedule: Schedule, target: str, around: Writer | None = None, *, threads: bool = True, watching: Watching = ""
    ) -> None:
        self.schedule, self.target = schedule, target
        self.watching: Watching = around.watching if around else watching
        self.inside = around is not None
        self.nodes = schedule.nodes
        every = () if around else _every(self.nodes)
        self.sizes = around.sizes if around else size_names(schedule)
        self.ops: tuple[Op, ...] = around.ops if around else tuple(dict.fromkeys([node.op for node in every if node.op]))
        self.functions: set[str] = around.functions if around else set()
        self.reserved: frozenset[str] = around.reserved if around else self._reserved(every)
        self.names = Names(self.reserved)
        self.written = around.written if around else Written(numpy_dtype_source if target == "numpy" else jax_dtype_source, {})
        self.name: dict[Tensor, str] = {}
        self.big: dict[Constant, str] = around.big if around else {}
        self.counters: dict[str, int] = around.counters if around else {}
        self.threads = around.threads if around else threads
        self.forms: dict[Any, Form] = around.forms if around else {}
        self._values = 0
        for leaf in (*schedule.inputs, *schedule.variables):
            self.name[leaf] = self.names.fresh(leaf.label, "x" if leaf in schedule.inputs else "w")

    def _reserved(self, every: Sequence[Tensor]) -> frozenset[str]:
        """What no value may be called: sizes, helpers, and NumPy's functions that are called by their names."""
        own = [name for op in self.ops for name in defined(op.helper if self.target == "numpy" else op.jax_helper)]
        if self.target == "numpy":
            own += [*CALLED, *[op.imports.split()[-1] for op in self.ops if op.imports]]
            own += _CALLED_BY_LOOPS if any(op.name == "scan" for op in self.ops) else ()
            own += (MODULE,) if self.watching else ()
        clash = sorted({*own} & {*self.sizes})
        if clash:
            raise ShapeError(f"a size is called {clash[0]!r}, like a function of the emitted source", fits="another name")
        called = _called(every) if self.target == "numpy" else ()
        return frozenset([*self.sizes, *own, *called, "low", "high"])

    def dtype(self, name: str) -> str:
        """The dtype as this target writes it."""
        return self.written.dtype(name)

    def owned(self, kind: Owned) -> str:
        """A name for something that ``make`` owns and every function in it may read."""
        while True:
            number = self.counters[kind] = self.counters.get(kind, -1) + 1
            if f"{kind}{number}" not in self.sizes:
                return f"{kind}{number}"

    def local(self, label: str | None = None) -> str:
        """A name for a value of this function."""
        self._values += 1
        return self.names.fresh(label, f"v{self._values - 1}")

    def expression(self, node: Tensor) -> str:
        """The node's value."""
        template = template_of(node, self.target)
        assert template is not None
        return self._filled(node, in_namespace(template, "np" if self.target == "numpy" else "jnp"))

    def by_name(self, node: Tensor) -> str:
        """The same in a function of NumPy source, where NumPy's functions have names of their own."""
        return self._filled(node, self._called(node, template_of(node, "numpy")))

    def _called(self, node: Tensor, template: str | None) -> str:
        assert template is not None
        bare, names = called_by_name(template)
        if not names.isdisjoint(self.sizes):
            return in_namespace(template, "np")
        self.functions |= names
        return bare

    def _filled(self, node: Tensor, template: str) -> str:
        return call(node, template, [self.name[x] for x in node.inputs], self.written)

    def line(self, node: Tensor, way: Way, target: str) -> Line:
        """The line of NumPy source that computes the node for ``target``."""
        # the attributes are written too: 0.0 and -0.0, 1 and True are equal
        attrs = node.attrs and (node.attrs, repr(node.attrs))
        key = (node.op, way, attrs, node.type, node.origin and node.origin[:2], *[x.type for x in node.inputs])
        form = self.forms.get(key) or self.forms.setdefault(key, self._form(node, way))
        return Line(form, form.pick([*[self.name[x] for x in node.inputs], target]), node.label, (node,))

    def _form(self, node: Tensor, way: Way) -> Form:
        op = node.op
        assert op is not None
        template = self._called(node, out_template(node) if way == "into" else template_of(node, "numpy"))
        text, order = pattern_of(node, template, self.written)
        target = len(node.inputs)
        if way == "new":
            if not op.view and (node.dtype == "bfloat16" or (node.dtype == "float16" and op.imports)):
                text = f"np.asarray({text}, {self.dtype(node.dtype)})"  # float32 is what comes where there is no loop for the dtype
            text, order = f"%s = {text}", [target, *order]
        elif way == "turned":
            text, order = f"np.copyto(%s, {text})", [target, *order]
        new = way == "new"
        return Form(text, node, op.name if new else "", order=order, defines=new, target=order.index(target))

    def plain(self, text: str, names: Iterable[str], node: Tensor | None = None, note: str = "", *, defines: int = 0) -> Line:
        """A line that is no call of an op: ``text`` has a hole ``%s`` for each name."""
        key = (text, note) if node is None else (text, note, node.type, node.origin and node.origin[:2])
        form = self.forms.get(key) or self.forms.setdefault(key, Form(text, node, note, defines=defines))
        return Line(form, tuple(names)) if node is None else Line(form, tuple(names), node.label, (node,))

    def constants(self) -> Iterable[str]:
        """The lines that make the scalar constants; arrays become parameters of ``make``."""
        for c in self.schedule.constants:
            self.name[c] = self.big.get(c) or self.owned("c")
            if c.shape:
                self.big[c] = self.name[c]
            else:
                value = literal(c.value[()], c.dtype, self.dtype(c.dtype))
                yield f"{self.name[c]} = {value if self.target == 'jax' else f'np.array({value})'}"

    def bodies(self) -> Iterable[Subgraph]:
        """The bodies that this function calls and that are not written yet."""
        for node in self.nodes:
            if node.attrs and not (self.target == "numpy" and is_loop(node)):
                for body in bodies(node):
                    if body not in self.written.functions:
                        yield body

    def parameters(self) -> str:
        """The parameters of ``make``."""
        return ", ".join([*self.sizes, *self.big.values()])

    def arguments(self, owned: list[str]) -> str:
        """The parameters of ``step``; what ``make`` owns is reached as a closure, or by default values where it is much.

        CPython compiles a closure over thousands of names in quadratic time.
        """
        bound = [f"{name}={name}" for name in owned] if len(owned) > CLOSED_OVER else []
        return ", ".join([*(self.name[leaf] for leaf in (*self.schedule.inputs, *self.schedule.variables)), *bound])


def _every(nodes: Sequence[Tensor]) -> Sequence[Tensor]:
    """The nodes, and every node of the bodies in them."""
    inside = [body for node in nodes if node.attrs for body in bodies(node)]
    return [*nodes, *[node for body in inside for node in every_node(body.outputs)]]


def _called(nodes: Sequence[Tensor]) -> set[str]:
    """The functions of NumPy that the templates call."""
    seen: set[Any] = set()
    names: set[str] = set()
    for node in nodes:
        op = node.op
        if op is None or op in seen:
            continue
        if callable(op.emit) or callable(op.out):
            key = (op, node.attrs, *[x.type for x in node.inputs])
            if key in seen:
                continue
            seen.add(key)
        else:
            seen.add(op)
        for template in (template_of(node, "numpy"), out_template(node)):
            if template:
                names |= called_by_name(template)[1]
    return names


def _indent(lines: Iterable[str], depth: int) -> str:
    return "".join(f"{'    ' * depth}{line}\n" if line else "\n" for line in lines)


def module(w: Writer, head: list[str], step: list[str]) -> str:
    """The whole text: imports, helpers and ``make``, which does ``head``, defines ``step`` and returns it."""
    make = f"def make({w.parameters()}):\n{_indent(head, 1)}\n{_indent(step, 1)}\n    return step\n"
    return _header(w, make) + make


def _header(w: Writer, text: str) -> str:
    """Imports and helpers, as far as the text needs them."""
    needed = helpers(w.ops, w.target, text)
    if w.target == "numpy":
        code = needed + text
        bfloat16 = "from ml_dtypes import bfloat16\n" if "bfloat16" in code else ""
        called = [f"from {module} import {name}\n" for name, module in CALLED.items() if f"= {name}(" in code]
        own = "".join(sorted([*called, *([IMPORT] if w.watching else [])]))
        own = own and f"\n{own}"
        names = sorted(w.functions)
        names = "".join(f"from numpy import {', '.join(names[i : i + 12])}\n" for i in range(0, len(names), 12))
        return f"{imports(w.ops, code)}import numpy as np\n{bfloat16}{names}{own}\n\n{needed}"
    return "import jax\nimport jax.numpy as jnp\n\n\n" + needed


def written_shape(shape: Shape) -> str:
    """A shape as a tuple of sizes."""
    return "(" + ", ".join(map(str, shape)) + (",)" if len(shape) == 1 else ")")
