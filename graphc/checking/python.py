"""A graph as a Python program that declares it: for reports of what went wrong, and for whoever wants to keep a graph as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np

from graphc import ops
from graphc.core import OPS, Constant, Op, Subgraph, Tensor, TensorType, Variable, bodies, sizes, toposort
from graphc.core.sizes import Dim, Size, Sliced
from graphc.core.subgraph import Parameter
from graphc.lower.names import Names
from graphc.ops.index import Index, Span
from graphc.symbolic.common import DECLARED

LITERAL: Final = 32
"""Arrays of up to so many elements are written as numbers."""
_OWN: Final = ("gc", "np", "inf", "nan", "values", "OPS", "Index", "Span", "Subgraph", "TensorType", "sizes")


def to_python(y: Any) -> str:
    """A program that declares the graph of ``y``, a tensor or a list, tuple or dict of them, and calls it ``y``.

    Inputs and variables are declared like these; variables have their present values. Equal graphs give the same text.
    """
    program = Program()
    roots = list(cast("Any", y.values() if isinstance(y, Mapping) else [y] if isinstance(y, Tensor) else y))
    names = program.declare(roots)
    if isinstance(y, Tensor):
        program.lines.append(f"y = {names[0]}")
    elif isinstance(y, Mapping):
        pairs = zip(cast("Mapping[Any, Any]", y), names, strict=True)
        program.lines.append(f"y = {{{', '.join(f'{key!r}: {name}' for key, name in pairs)}}}")
    else:
        program.lines.append(f"y = [{', '.join(names)}]")
    return program.text()


class Program:
    """The program as it grows. ``arrays`` are those that are too long for a literal, by the names under which it reads them.

    ``keeps`` says that there is a place for such arrays; without one they are written in full. ``origins`` adds the user's lines.
    """

    def __init__(self, *, keeps: bool = False, origins: bool = False) -> None:
        self.told = ""
        self.lines: list[str] = []
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.imports: set[str] = set()
        self._core: set[str] = set()
        self._declared: list[str] = []
        self._made = 0
        self._keeps, self._origins = keeps, origins
        self._names = Names(frozenset(_OWN))
        self._name: dict[Tensor, str] = {}
        self._sizes: dict[str, str] = {}
        self._bodies: dict[Subgraph, str] = {}

    def text(self) -> str:
        """The program, with its first words and its imports."""
        used = "\n".join(self.lines)
        numbers = sorted(set(re.findall(r"\b(?:inf|nan)\b", used)))
        core = [f"from graphc.core import {', '.join(sorted(self._core))}"] if self._core else []
        groups = [
            [f'"""{self.told}"""'] if self.told else [],
            [
                *([f"from math import {', '.join(numbers)}"] if numbers else []),
                *(["from pathlib import Path"] if self.arrays else []),
            ],
            ["import numpy as np"] if "np." in used else [],
            ["import graphc as gc", *core, *sorted(self.imports)],
            ['values = np.load(Path(__file__).with_suffix(".npz"))'] if self.arrays else [],
            list(dict.fromkeys(self._declared)),
            [*[f"{name} = sizes.named({size!r})" for size, name in self._sizes.items()], *self.lines],
        ]
        return "\n\n".join(["\n".join(group) for group in groups if group]) + "\n"

    def declare(self, roots: Sequence[Tensor]) -> list[str]:
        """Declare the graph of the roots, and return what they are called."""
        for node in toposort(roots):
            if node not in self._name:
                self._declare(node)
        return [self._name[root] for root in roots]

    def array(self, value: Any, name: str) -> str:
        """An array as an expression: in numbers if it is short, or one of the arrays beside the program."""
        array = np.asarray(value)
        dtype = _dtype(array)
        if array.size > LITERAL and self._keeps:
            key = name if name not in self.arrays else f"{name}_{len(self.arrays)}"
            self.arrays[key] = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
            return f"np.asarray(values[{key!r}], {dtype})"
        if array.size > 1 and _is_uniform(array):
            return f"np.full({array.shape}, {_number(array.flat[0])}, {dtype})"
        nested = _nested(array)
        return f"np.array({nested}, {dtype})" if array.size else f"np.zeros({array.shape}, {dtype})"

    def _declare(self, node: Tensor) -> None:
        if isinstance(node, Parameter):
            return  # its body declares it
        for body in bodies(node):
            self._body(body)
        if node.op is OPS["part"]:
            self._name[node] = f"{self._name[node.inputs[0]]}[{node.attributes['index']}]"
            return
        label = node.label if node.label and node.label.isidentifier() and node.label.isascii() else None
        name = self._names.fresh(label, f"v{self._made}")
        self._made += not label
        self._name[node] = name
        named = f".named({node.label!r})" if node.op and node.label else ""
        origin = f"  # {_plain(str(node.origin))}" if self._origins and node.origin else ""
        self.lines.append(f"{name} = {self._expression(node)}{named}{origin}")

    def _expression(self, node: Tensor) -> str:
        if isinstance(node, Constant):
            if not node.shape:
                return f"gc.constant({_number(node.value[()])}, {node.dtype!r})"
            return f"gc.constant({self.array(node.value, 'constant')}, {node.dtype!r})"
        if isinstance(node, Variable):
            return f"gc.variable({self.array(node.value, node.label or 'variable')}, {node.label!r}, {node.dtype!r})"
        if node.op is None:
            return f"gc.input({node.label or self._name[node]!r}, {self._value(node.shape)}, {node.dtype!r})"
        return self._call(node, node.op)

    def _call(self, node: Tensor, op: Op) -> str:
        operands = ", ".join([self._name[x] for x in node.inputs])
        keywords = [f"{name}={self._value(value)}" for name, value in node.attributes.items()]
        arguments = [f"[{operands}]" if op.variadic else operands, *keywords]
        return f"{self._op(op)}({', '.join([argument for argument in arguments if argument])})"

    def _op(self, op: Op) -> str:
        """What the op is called by its users, or its record where it has no name of its own."""
        for prefix, module in _modules():
            if op.name in module.__all__ and getattr(module, op.name) is op:
                return f"{prefix}.{op.name}"
        if op.name in DECLARED and DECLARED[op.name][0] is op:
            form, names, *_ = DECLARED[op.name][1]
            self._declared.append(f"gc.pointwise({op.name!r}, {str(form)!r}, operands=sympy.symbols({list(names)!r}))")
            self.imports.add("import sympy")
        elif not op.rule.__module__.startswith("graphc."):
            self.imports.add(f"import {op.rule.__module__}  # it declares {op.name}")
        self._core.add("OPS")
        return f"OPS[{op.name!r}]"

    def _body(self, body: Subgraph) -> None:
        if body in self._bodies:
            return
        self._core.add("Subgraph")
        types = ", ".join([self._value(p.type) for p in body.parameters])
        around = dict(self._name)
        name = self._names.fresh(None, f"body{len(self._bodies)}")
        inner = [self._names.fresh(None, f"p{i}") for i in range(len(body.parameters))]
        if inner:
            self.lines.append(f"{''.join(f'{p}, ' for p in inner).rstrip(' ')} = Subgraph([{types}], []).parameters")
        self._name.update(zip(body.parameters, inner, strict=True))
        outputs = self.declare(body.outputs)
        self.lines.append(f"{name} = Subgraph([{types}], [{', '.join(outputs)}])")
        self._bodies[body] = name
        self._name = around

    def _value(self, value: Any) -> str:
        """An attribute as an expression."""
        if isinstance(value, Subgraph):
            return self._bodies[value]
        if isinstance(value, TensorType):
            self._core.add("TensorType")
            return f"TensorType({value.dtype!r}, {self._value(value.shape)})"
        if isinstance(value, Index):
            self.imports.add("from graphc.ops.index import Index, Span")
            return f"Index({self._value(value.items)})"
        if isinstance(value, Span):
            return f"Span({value.start}, {value.stop}, {value.step})"
        if isinstance(value, tuple):
            items = [self._value(item) for item in cast("tuple[Any, ...]", value)]
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        if isinstance(value, Size):
            return self._size(value)
        return _number(value) if isinstance(value, float) else repr(value)

    def _size(self, size: Dim) -> str:
        if isinstance(size, int):
            return str(size)
        self._core.add("sizes")
        for name in sorted(sizes.names(size)):
            self._sizes.setdefault(name, self._names.fresh(name, "size"))
        terms = [([] if count == 1 and monomial else [str(count)], map(self._atom, monomial)) for monomial, count in size.terms]
        return " + ".join(["*".join([*count, *atoms]) for count, atoms in terms])

    def _atom(self, atom: str | Sliced) -> str:
        if isinstance(atom, str):
            return self._sizes[atom]
        return f"sizes.sliced({self._size(atom.length)}, {atom.start}, {atom.stop}, {atom.step})"


def _modules() -> Iterable[tuple[str, Any]]:
    """Where users find ops, and what they call the place."""
    return (("gc", ops), ("gc.linalg", ops.linalg), ("gc.fft", ops.fft), ("gc.random", ops.random))


def _dtype(array: np.ndarray[Any, Any]) -> str:
    return repr("float32" if array.dtype.name == "bfloat16" else array.dtype.name)


def _plain(text: str) -> str:
    """A comment ends with its line, whatever a file is called."""
    return "".join([c if c.isprintable() else "?" for c in text])


def _is_uniform(array: np.ndarray[Any, Any]) -> bool:
    return array.tobytes() == array.flat[0].tobytes() * array.size


def _nested(array: Any) -> str:
    return f"[{', '.join(map(_nested, array))}]" if np.ndim(array) else _number(np.asarray(array)[()])


def _number(value: Any) -> str:
    """A number as Python writes it; the names of inf and nan are imported."""
    plain: Any = np.asarray(value).item()
    if isinstance(plain, complex):
        return f"complex({plain.real!r}, {plain.imag!r})"
    return repr(plain if isinstance(plain, bool | int) else float(plain))
