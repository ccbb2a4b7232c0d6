"""A graph as a formula: text for a terminal, LaTeX for a notebook.

Parts that are read more than once, that have a label, or that would make a line too long are written by name and defined below::

    loss = mean(-Σ₁ y ⊙ log(p))
    where p = softmax(h · W2 + b2)
          h = relu(x · W1 + b1)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, Final

from graphc.core import Bundle, Constant, Tensor, bodies
from graphc.show.bodies import Function, forget, is_choice, is_part, remembered, written_operands
from graphc.show.names import Namer, plain_name, short_number, tex_name
from graphc.show.notation import PRODUCT, TEX, TEXT, Form, Notation, is_layout, leaf_number, see_through
from graphc.show.writing import write

WIDTH: Final = 72
"""Characters past which a line hands its longest operands over to lines of their own."""
PARTS: Final = 24
"""Definitions that are listed; the rest is counted."""
_SMALL: Final = 4  # a shared part of so few characters (Xᵀ, -x) is repeated
_PLACEHOLDER: Final = Form("t00")
_writing: Final = RLock()


@dataclass(frozen=True, slots=True, repr=False)
class Formula:
    """A formula in both notations: ``str`` gives the text, ``latex`` LaTeX without dollars. Notebooks show the latter."""

    text: str
    latex: str

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text, "text/latex": f"$${self.latex}$$"}


def formula(y: Tensor, names: Mapping[Tensor, str] | None = None, *, width: int = WIDTH, parts: int = PARTS) -> Formula:
    """``y`` as a formula of its leaves.

    ``names`` gives values a name; what they are computed from is then left out. Lines get no longer than about ``width``
    characters, and at most ``parts`` definitions are listed under ``where``.
    """
    given = dict(names or {})
    own = plain_name(y.label) if y.label and (y.op is not None or isinstance(y, Constant)) else None
    title = given.pop(y, own)
    with _writing:
        forget()
        lines = _definitions(see_through(y, given), given, width, parts)
    return Formula(_as_text(title, lines), _as_latex(title, lines))


def one_line(y: Tensor, names: Mapping[Tensor, str]) -> str:
    """``y`` as a single expression of the values that have names, without definitions of parts; its own name if it has one."""
    return _single(y, names).text


def factor(y: Tensor, names: Mapping[Tensor, str]) -> str:
    """``one_line`` as it stands in a product or below a fraction: in brackets unless it is of one piece."""
    form = _single(y, names)
    return f"({form.text})" if form.level >= PRODUCT else form.text


def _single(y: Tensor, names: Mapping[Tensor, str]) -> Form:
    root = see_through(y, names)
    with _writing:
        return Form(names[root]) if root in names else _expression(root, names, TEXT)


# ---------------------------------------------------------------- which parts get names
def operands(node: Tensor, names: Collection[Tensor]) -> list[Tensor]:
    """What is written where the node's operands stand."""
    return [see_through(x, names) for x in written_operands(node)]


def inside(root: Tensor, names: Collection[Tensor]) -> list[Tensor]:
    """The nodes of one expression, each after its operands; nodes that have names are not entered, but for ``root``."""
    order: list[Tensor] = []
    done: set[Tensor] = set()
    stack = [root]
    while stack:
        node = stack[-1]
        waiting = [x for x in operands(node, names) if x not in done] if node not in done and (node is root or node not in names) else []
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        if node not in done:
            done.add(node)
            order.append(node)
    return order


def _parts(root: Tensor, given: Mapping[Tensor, str], width: int) -> set[Tensor]:
    """The operators that are written by name: shared ones, those with a label, and what would make a line too long."""
    order = inside(root, given)
    inner = [node for node in order if node.op is not None and (node is root or node not in given)]
    readers = Counter(x for node in inner for x in operands(node, given))
    entered = set(inner)
    forms = {node: _leaf(node, given, TEXT) for node in order if node not in entered}
    named = _results(order, given) - {root}
    bundles = {part.inputs[0] for part in named}
    for node in inner:
        form = _fitted(node, forms, named, given, width)
        forms[node] = form
        if node is not root and node not in bundles and (node.label or (readers[node] > 1 and len(form.text) > _SMALL)):
            named.add(node)
    return named


def _results(order: Iterable[Tensor], given: Collection[Tensor]) -> set[Tensor]:
    """Those of several results that get names: of loops all that are read, of other ops where more than one is."""
    found = [node for node in order if is_part(node) and node not in given and not is_layout(node) and not is_choice(node)]
    read = Counter(node.inputs[0] for node in found)
    return {node for node in found if read[node.inputs[0]] > 1 or bodies(node.inputs[0])}


def _fitted(node: Tensor, forms: Mapping[Tensor, Form], named: set[Tensor], given: Collection[Tensor], width: int) -> Form:
    """The node's form, its longest operands replaced by names until it is no wider than ``width``."""
    xs = operands(node, given)
    free = {x for x in xs if x.op is not None and x not in given and x not in named and not isinstance(x.type, Bundle)}
    long = sorted(free, key=lambda x: len(forms[x].text))
    while True:
        form = write(node, [_PLACEHOLDER if x in named else forms[x] for x in xs], TEXT)
        if len(form.text) <= width or not long or len(forms[long[-1]].text) <= len(_PLACEHOLDER.text):
            return form
        named.add(long.pop())


# ---------------------------------------------------------------- the lines
@dataclass(frozen=True, slots=True)
class _Line:
    """A value's name and its expression, in both notations; a note in words has no name."""

    name: str
    tex_name: str
    text: str
    latex: str


def _definitions(root: Tensor, given: Mapping[Tensor, str], width: int, parts: int) -> list[_Line]:
    """The root's line, then those of the parts in the order in which a reader meets them."""
    everything = inside(root, given)
    defined = _parts(root, given, width) | {x for x in everything if _is_big(x) and x not in given}
    known = {*given, *defined}
    results = [x for x in everything if x in defined and is_part(x)]
    namer = Namer.of((x for x in everything if x not in given), given.values())
    names = dict(given)
    queue, lines = [root], list[_Line]()
    for node in queue:
        if len(lines) > parts:
            break
        if isinstance(node, Function):
            _name_parameters(node, names, namer)
        met = [x for x in inside(node, known) if x is not root and x not in names and _has_name(x, known)]
        met = list(_with_siblings(met, results))
        names.update((x, namer.name(x)) for x in dict.fromkeys(met) if x not in names)
        queue += dict.fromkeys(unit for x in met if x in defined and (unit := _unit(x, defined)) not in queue)
        lines.append(_line(node, root, names, results))
    left = len({_unit(x, defined) for x in defined - {root}}) - (len(lines) - 1)
    return [*lines, _Line("", "", f"… and {left:,} more", rf"\text{{and {left:,} more}}")] if left else lines


def _unit(node: Tensor, defined: Collection[Tensor]) -> Tensor:
    """The node on whose line this one is defined: the results of one op share one."""
    return node.inputs[0] if node in defined and is_part(node) and _shares_a_line(node) else node


def _shares_a_line(part: Tensor) -> bool:
    return remembered(part) is None and not is_layout(part) and not is_choice(part)


def _with_siblings(met: Iterable[Tensor], results: Sequence[Tensor]) -> Iterator[Tensor]:
    for x in met:
        yield from [y for y in results if y.inputs[0] is x.inputs[0]] if is_part(x) and x in results else [x]


def _name_parameters(function: Function, names: dict[Tensor, str], namer: Namer) -> None:
    """Parameters keep their names where they may hide others: in a body that reads nothing else."""
    own = Namer() if function.shadows else namer
    names.update((x, own.name(x)) for x in function.bound if x not in names)


def _has_name(node: Tensor, known: Collection[Tensor]) -> bool:
    return node in known or (node.op is None and leaf_number(node) is None and not _is_row(node))


def _line(node: Tensor, root: Tensor, names: Mapping[Tensor, str], results: Sequence[Tensor]) -> _Line:
    name, tex = ("", "") if node is root else _title(node, names, results)
    if _is_big(node):
        return _Line(name, tex, f"constant {node.type}", rf"\text{{constant {node.type}}}")
    carry = remembered(node) if is_part(node) and node is not root else None
    if carry is not None:
        return _Line(name, tex, *_history(node.inputs[0], carry, names))
    return _Line(name, tex, _expression(node, names, TEXT).text, _expression(node, names, TEX).text)


def _title(node: Tensor, names: Mapping[Tensor, str], results: Sequence[Tensor]) -> tuple[str, str]:
    """What stands left of the equals sign: a name, a function of its parameters, or the names of several results."""
    if isinstance(node, Function):
        bound = [names[x] for x in node.bound]
        return f"{names[node]}({', '.join(bound)})", f"{tex_name(names[node])}({', '.join(map(tex_name, bound))})"
    if not isinstance(node.type, Bundle) or node in names:
        return names[node], tex_name(names[node])
    read = {x.attrs[0]: names[x] for x in results if x.inputs[0] is node and remembered(x) is None}
    count = len(node.type.parts) - len(node.attributes.get("history", ()))
    found = [read.get(i, "_") for i in range(count)]
    return ", ".join(found), ", ".join([r"\_" if name == "_" else tex_name(name) for name in found])


def _history(loop: Tensor, carry: int, names: Mapping[Tensor, str]) -> tuple[str, str]:
    """In words: what a carry was before each step."""
    x = next(x for x in written_operands(loop) if isinstance(x, Function)).bound[carry]
    name = names.get(x) or plain_name(x.label or "")
    return f"every {name} before its step", rf"\text{{every }} {tex_name(name)} \text{{ before its step}}"


def _expression(root: Tensor, names: Mapping[Tensor, str], notation: Notation) -> Form:
    forms: dict[Tensor, Form] = {}
    for node in inside(root, names):
        named = node.op is None or (node is not root and (node in names or isinstance(node, Function)))
        forms[node] = _leaf(node, names, notation) if named else write(node, [forms[x] for x in operands(node, names)], notation)
    return forms[root]


def _leaf(node: Tensor, names: Mapping[Tensor, str], notation: Notation) -> Form:
    if node in names:
        return Form(notation.name(names[node]))
    number = leaf_number(node)
    if number is not None:
        return notation.number(number)
    if isinstance(node, Constant) and _is_row(node):
        return Form(f"[{', '.join(notation.number(short_number(value)).text for value in node.value)}]")
    return Form(notation.name(plain_name(node.label) if node.label else node.kind))


def _is_row(node: Tensor) -> bool:
    """A constant that is short enough to be written out."""
    return isinstance(node, Constant) and node.ndim == 1 and node.value.size <= 4


def _is_big(node: Tensor) -> bool:
    return isinstance(node, Constant) and leaf_number(node) is None and not _is_row(node)


# ---------------------------------------------------------------- layout
def _as_text(title: str | None, lines: list[_Line]) -> str:
    first, *rest = lines
    margin = "where "
    found = [f"{title} = {first.text}" if title else first.text]
    for line in rest:
        found.append(margin + (f"{line.name} = {line.text}" if line.name else line.text))
        margin = " " * len(margin)
    return "\n".join(found)


def _as_latex(title: str | None, lines: list[_Line]) -> str:
    first, *rest = lines
    head = f"{tex_name(title)} &= {first.latex}" if title else f"& {first.latex}"
    if not rest:
        return head.replace("&= ", "= ", 1) if title else first.latex
    rows = [f"{line.tex_name} &= {line.latex}" if line.name else f"& {line.latex}" for line in rest]
    rows[0] = r"\text{where}\quad " + rows[0]
    return r"\begin{aligned} " + r" \\ ".join([head, *rows]) + r" \end{aligned}"
