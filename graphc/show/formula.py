"""A graph as a formula: text for a terminal, LaTeX for a notebook.

Parts that are read more than once, that have a label, or that would make a line too long are written by name and defined below::

    Xᵀ ((P - Y) W2ᵀ ⊙ 1[A > 0]) / n
    where P = softmax(H W2 + b2)  (n × 10)
          H = relu(A)             (n × 512)
          A = X W1 + b1           (n × 512)

Mathematics is written and not the order of the operations (``algebra``). A vector, a tensor of one axis, is a column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any, Final

from graphc.core import Bundle, Constant, Tensor, bodies
from graphc.core.sizes import Shape
from graphc.show.algebra import term_of
from graphc.show.bodies import Function, forget, is_choice, is_part, remembered, written_operands
from graphc.show.coefficient import ONE, Scale
from graphc.show.columns import Operand, aligned, standing
from graphc.show.mathml import mathml
from graphc.show.names import Namer, capital, plain_name, short_number, tex_name
from graphc.show.notation import ATOM, JUXTAPOSED, NOTATIONS, POWER, TEX, TEXT, Form, is_layout, leaf_number, see_through
from graphc.show.terms import Term, atom, leaf_term, shape_of, signed

WIDTH: Final = 72
"""Characters past which a line is broken, if it is a sum, or else hands its longest operands over to lines of their own."""
LINES: Final = 6
"""How many lines a sum may take before it hands terms over, too."""
PARTS: Final = 24
"""Definitions that are listed; the rest is counted."""
_SMALL: Final = 4  # a shared part of so few characters (Xᵀ, -x) is repeated
_CONDITION: Final = 6  # and so is a condition (x > 0)
_PLACEHOLDER: Final = "t00"
_NO_SCALES: Final[Mapping[Tensor, Scale]] = {}
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
        return {"text/plain": self.text, "text/latex": self._repr_latex_()}

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"

    @property
    def html(self) -> str:
        """MathML, which browsers show without any script."""
        return mathml(self.latex, alt=self.text)


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
    return single(y, names).form(TEXT).text


def expression(y: Tensor, names: Mapping[Tensor, str]) -> Term:
    """What ``y`` is, as one term of the other values that have names."""
    with _writing:
        return aligned(_expression(y, names), shape_of(y))


def factor(y: Tensor, names: Mapping[Tensor, str]) -> str:
    """``one_line`` as it stands in a product or below a fraction: in brackets unless it is of one piece."""
    form = single(y, names).form(TEXT)
    return f"({form.text})" if form.level >= JUXTAPOSED else form.text


def single(y: Tensor, names: Mapping[Tensor, str]) -> Term:
    """``y`` as one term of the values that have names, or as its own name."""
    root = see_through(y, names)
    with _writing:
        term = _leaf(root, names) if root in names else _expression(root, names)
    return standing(Operand(y, root, term)).term


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


def _parts(root: Tensor, given: Mapping[Tensor, str], width: int) -> dict[Tensor, Scale]:
    """The operators that are written by name: shared ones, those with a label, and what would make a line too long.

    A name that is not the user's stands for the term without the numbers and sizes that multiply it: those are the values.
    """
    order = inside(root, given)
    inner = [node for node in order if node.op is not None and (node is root or node not in given)]
    readers = Counter(x for node in inner for x in operands(node, given))
    entered = set(inner)
    terms = {node: _leaf(node, given) for node in order if node not in entered}
    named = _results(order, given) - {root}
    bundles = {part.inputs[0] for part in named}
    letters = {None, *given.values(), *(node.label for node in order)}
    for node in inner:
        terms[node] = term = _fitted(node, terms, named, given, width)
        size = len(term.times(_plain(term.scale).inverse()).form(TEXT).text)
        shared = readers[node] > 1 and size > (_SMALL if node.dtype != "bool" else _CONDITION)
        if node is not root and node not in bundles and (node.label or shared or capital(node) not in letters):
            named.add(node)
    return {node: ONE if node.label else _plain(terms[node].scale) for node in named}


def _plain(scale: Scale) -> Scale:
    """What of a scale is known without names: its number and its sizes."""
    factors, divisors = [tuple([one for one in group if one.positive]) for group in (scale.factors, scale.divisors)]
    return replace(scale, factors=factors, divisors=divisors) if scale.above else ONE


def _results(order: Iterable[Tensor], given: Collection[Tensor]) -> set[Tensor]:
    """Those of several results that get names: of loops all that are read, of other ops where more than one is."""
    found = [node for node in order if is_part(node) and node not in given and not is_layout(node) and not is_choice(node)]
    read = Counter(node.inputs[0] for node in found)
    return {node for node in found if read[node.inputs[0]] > 1 or bodies(node.inputs[0])}


def _fitted(node: Tensor, terms: Mapping[Tensor, Term], named: set[Tensor], given: Collection[Tensor], width: int) -> Term:
    """The node's term, its longest operands replaced by names until it is no wider than ``width``."""
    xs = operands(node, given)
    free = {x for x in xs if x.op is not None and x not in given and x not in named and not isinstance(x.type, Bundle)}
    long = sorted(free, key=lambda x: len(terms[x].form(TEXT).text))
    while True:
        known = {x: _placeholder(x, terms[x]) if x in named else terms[x] for x in xs}
        term = _term(node, known, given)
        room = width * LINES if _breaks(term, width) else width
        if len(term.form(TEXT).text) <= room or not long or len(terms[long[-1]].form(TEXT).text) <= len(_PLACEHOLDER):
            return term
        named.add(long.pop())


def _placeholder(node: Tensor, term: Term) -> Term:
    return atom(lambda notation: Form(_PLACEHOLDER), shape_of(node)).times(ONE if node.label else _plain(term.scale))


def _breaks(term: Term, width: int) -> bool:
    """Whether a line of it can be broken: a sum of terms of which two or so find room in a row."""
    return term.kind == "sum" and term.scale == ONE and all(len(part.form(TEXT).text) <= 2 * width // 3 for part in term.terms)


def _term(node: Tensor, terms: Mapping[Tensor, Term], names: Collection[Tensor]) -> Term:
    """An operator node as a term of those of its operands."""
    raw = written_operands(node) if not is_layout(node) else list(node.inputs)
    cores = [see_through(x, names) for x in raw]
    return term_of(node, [Operand(x, core, terms[core]) for x, core in zip(raw, cores, strict=True)])


# ---------------------------------------------------------------- the lines
@dataclass(frozen=True, slots=True)
class _Line:
    """A value's name, its expression in one row or several, and its shape, in both notations; a note in words has no name."""

    name: tuple[str, str]
    rows: tuple[tuple[str, str], ...]
    shape: tuple[str, str] = ("", "")


def _definitions(root: Tensor, given: Mapping[Tensor, str], width: int, parts: int) -> list[_Line]:
    """The root's line, then those of the parts in the order in which a reader meets them."""
    everything = inside(root, given)
    scales = _parts(root, given, width)
    defined = scales | {x: ONE for x in everything if _is_big(x) and x not in given}
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
        lines.append(_line(node, root, names, results, scales, width))
    left = len({_unit(x, defined) for x in defined if x is not root}) - (len(lines) - 1)
    return [*lines, _Line(("", ""), ((f"… and {left:,} more", rf"\text{{and {left:,} more}}"),))] if left else lines


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


def _line(
    node: Tensor, root: Tensor, names: Mapping[Tensor, str], results: Sequence[Tensor], scales: Mapping[Tensor, Scale], width: int
) -> _Line:
    name = ("", "") if node is root else _title(node, names, results)
    if _is_big(node):
        return _Line(name, ((f"constant {node.type}", rf"\text{{constant {node.type}}}"),))
    carry = remembered(node) if is_part(node) and node is not root else None
    if carry is not None:
        return _Line(name, (_history(node.inputs[0], carry, names),))
    term = _expression(node, names, scales)
    if node is not root and node in scales:
        term = term.times(scales[node].inverse())
    if isinstance(node.type, Bundle):
        return _Line(name, rows_of(term, width))
    return _Line(name, rows_of(aligned(term, node.shape), width), ("", "") if node is root else shape_text(node.shape))


def shape_text(shape: Shape) -> tuple[str, str]:
    """A shape as it stands beside a definition, in both notations; nothing for a single value."""
    if not shape:
        return "", ""
    texts = [str(size) for size in shape]
    pages = r" \times ".join(map(TEX.attribute, texts))
    return f"({' × '.join(texts)})", f"({pages})"


def rows_of(term: Term, width: int) -> tuple[tuple[str, str], ...]:
    """A term in both notations, as rows of about ``width`` characters where it is a sum."""
    text, tex = [term.form(notation).text for notation in NOTATIONS]
    if len(text) <= width or not _breaks(term, width):
        return ((text, tex),)
    rows: list[tuple[str, str]] = []
    for i, part in enumerate(term.terms):
        new = _signed(part, first=i == 0)
        if rows and len(rows[-1][0]) + len(new[0]) < width:
            rows[-1] = (f"{rows[-1][0]} {new[0]}", f"{rows[-1][1]} {new[1]}")
        else:
            rows.append(new)
    return tuple(rows)


def _signed(term: Term, first: bool) -> tuple[str, str]:
    """A term of a sum with its sign before it, in both notations."""
    if first:
        return term.form(TEXT).text, term.form(TEX).text
    text, tex = [" ".join(signed(term.form(notation), notation)) for notation in NOTATIONS]
    return text, tex


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


def _expression(root: Tensor, names: Mapping[Tensor, str], scales: Mapping[Tensor, Scale] = _NO_SCALES) -> Term:
    terms: dict[Tensor, Term] = {}
    for node in inside(root, names):
        named = node.op is None or (node is not root and (node in names or isinstance(node, Function)))
        terms[node] = _leaf(node, names).times(scales.get(node, ONE)) if named else _term(node, terms, names)
    return terms[root]


def _leaf(node: Tensor, names: Mapping[Tensor, str]) -> Term:
    if node in names:
        return _named(node, names[node])
    if isinstance(node, Constant):
        if leaf_number(node) is not None:
            return leaf_term(node)
        if _is_row(node):
            return atom(
                lambda notation: Form(f"[{', '.join(notation.number(short_number(value)).text for value in node.value)}]"), node.shape
            )
    return _named(node, plain_name(node.label) if node.label else node.kind)


def _named(node: Tensor, name: str) -> Term:
    level = POWER if "/" in name else ATOM  # a derivative is a fraction
    return atom(lambda notation: Form(notation.name(name), level), shape_of(node))


def _is_row(node: Tensor) -> bool:
    """A constant that is short enough to be written out."""
    return isinstance(node, Constant) and node.ndim == 1 and node.value.size <= 4


def _is_big(node: Tensor) -> bool:
    return isinstance(node, Constant) and leaf_number(node) is None and not _is_row(node)


# ---------------------------------------------------------------- layout
def _as_text(title: str | None, lines: list[_Line]) -> str:
    first, *rest = lines
    found = _hanging(f"{title} = " if title else "", [text for text, _ in first.rows])
    margin = "where "
    blocks: list[tuple[list[str], str]] = []
    for line in rest:
        head = f"{line.name[0]} = " if line.name[0] else ""
        blocks.append((_hanging(margin + head, [text for text, _ in line.rows]), line.shape[0]))
        margin = " " * len(margin)
    column = max((len(block[-1]) for block, shape in blocks if shape), default=0)
    for block, shape in blocks:
        found += [*block[:-1], f"{block[-1]:<{column}}  {shape}" if shape else block[-1]]
    return "\n".join(found)


def _hanging(head: str, rows: Sequence[str]) -> list[str]:
    """The rows, all but the first moved in by the length of the head."""
    return [(head if i == 0 else " " * len(head)) + row for i, row in enumerate(rows)]


def _as_latex(title: str | None, lines: list[_Line]) -> str:
    first, *rest = lines
    if not rest and len(first.rows) == 1:
        return f"{tex_name(title)} = {first.rows[0][1]}" if title else first.rows[0][1]
    rows = _aligned(f"{tex_name(title)} &= " if title else "& ", first)
    for i, line in enumerate(rest):
        rows += _aligned((r"\text{where}\quad " if i == 0 else "") + (f"{line.name[1]} &= " if line.name[1] else "& "), line)
    return r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}"


def _aligned(head: str, line: _Line) -> list[str]:
    found = [(head if i == 0 else r"& \quad ") + tex for i, (_, tex) in enumerate(line.rows)]
    if line.shape[1]:
        found[-1] += f" && {line.shape[1]}"
    return found
