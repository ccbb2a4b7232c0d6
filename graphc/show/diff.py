"""``diff``: two graphs compared by structure, as a listing and as a picture."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol, cast, runtime_checkable

from graphc.core import Bundle, Constant, Subgraph, Tensor, Variable, toposort
from graphc.core.errors import ArgumentError
from graphc.show.listing import row
from graphc.show.matching import matched
from graphc.show.names import plain_name, shown
from graphc.show.notation import leaf_number
from graphc.show.page import Code, rich_of
from graphc.show.picture import Picture
from graphc.show.sketch import Edge, Node, Sketch
from graphc.show.style import MARKS, Direction, Mark, NodeKind, ThemeName
from graphc.show.template import symbol, value_text

CONTEXT: Final = 3
"""Nodes around a difference that a listing has."""
_NEAR: Final = 2
_DRAWN: Final = 150
"""In pictures of more nodes only those are drawn that are so many edges from a difference."""


_Pair = tuple[Tensor | None, Tensor | None, Mark]


@runtime_checkable
class Compiled(Protocol):
    """A compiled function: ``lowered`` is the graph that runs."""

    @property
    def lowered(self) -> tuple[Tensor, ...]: ...  # noqa: D102


@dataclass(frozen=True, repr=False)
class Diff:
    """What tells two graphs apart. It is true if there is anything; what operators are called does not count.

    ``same`` has pairs of nodes that do the same to operands that stand for one another, ``changed`` pairs that stand for one another and do
    not; ``removed`` are nodes of the first graph that the second has nothing for, ``added`` those of the second.
    """

    first: tuple[Tensor, ...]
    second: tuple[Tensor, ...]
    pairs: Mapping[Tensor, Tensor]
    names: tuple[str, str] = ("a", "b")

    @cached_property
    def same(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Pairs of nodes that do the same to operands that stand for one another."""
        return tuple([(x, y) for x, y in self.pairs.items() if not self.reasons(x, y)])

    @cached_property
    def changed(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Pairs of nodes that stand for one another and are not the same."""
        return tuple([(x, y) for x, y in self.pairs.items() if self.reasons(x, y)])

    @cached_property
    def removed(self) -> tuple[Tensor, ...]:
        """The nodes of the first graph alone."""
        return tuple([x for x in toposort(self.first) if x not in self.pairs])

    @cached_property
    def added(self) -> tuple[Tensor, ...]:
        """The nodes of the second graph alone."""
        stand = set(self.pairs.values())
        return tuple([y for y in toposort(self.second) if y not in stand])

    @property
    def outputs_differ(self) -> bool:
        """Whether the results are other ones, or in another order."""
        return [self.pairs.get(x) for x in self.first] != list(self.second)

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed or self.added or self.outputs_differ)

    def reasons(self, x: Tensor, y: Tensor) -> list[str]:
        """What tells two nodes apart that stand for one another: ``relu → tanh``, ``axis: 0 → 1``, ``f32[2] → f32[3]``."""
        if x is y:
            return []
        found: list[str] = []
        if x.op is not y.op or x.kind != y.kind:
            found.append(f"{_what(x)} → {_what(y)}")
        elif x.op is not None:
            found += [_told(*change) for change in _attributes(x, y)]
        if x.type is not y.type:
            found.append(f"{x.type} → {y.type}")
        if x.op is None and x.label != y.label:
            found.append(f"called {x.label or 'nothing'} → {y.label or 'nothing'}")
        if isinstance(x, Constant) and isinstance(y, Constant) and x.type is y.type:
            found.append("another value")
        if [self.pairs.get(operand) for operand in x.inputs] != list(y.inputs):
            found.append("other operands")
        return found

    # ------------------------------------------------------------ text
    def __str__(self) -> str:
        return self.listing()

    def __repr__(self) -> str:
        counts = f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed, {len(self.same)} the same"
        return f"<diff of {self.names[0]} and {self.names[1]}: {counts}>"

    def listing(self, context: int | None = CONTEXT) -> str:
        """Both graphs in one listing, a node once if both have it; of equal ones those within ``context`` lines of a difference, or all.

        ``+`` is added, ``-`` removed; a changed node has a line of each, and says why. Numbers are those of the listing.
        """
        if not self:
            return f"{self.names[0]} and {self.names[1]} are the same graph of {len(self.same)} nodes"
        head = [f"--- {self.names[0]}: {len(self.same) + len(self.changed) + len(self.removed)} nodes"]
        head += [f"+++ {self.names[1]}: {len(self.same) + len(self.changed) + len(self.added)} nodes"]
        return "\n".join([*head, *_shortened(list(self._lines()), context)])

    def _lines(self) -> Iterator[str]:
        numbers = {node: f"%{i}" for i, (x, y) in enumerate(self._union) for node in (x, y) if node is not None}
        cells = [(sign, row(node, numbers), why, inside) for sign, node, why, inside in self._rows()]
        single = [cell for _, cell, _, inside in cells if not inside]
        widths = [max((len(cell[column]) for cell in single), default=0) for column in range(3)]
        for sign, (number, type, call), why, inside in cells:
            line = f"{sign} {number:<{widths[0]}} : {type:<{widths[1]}} = "
            yield line + (f"{call:<{min(60, widths[2])}}  # {why}" if why else call)
            for name, body in inside:
                yield f"      {name}:"
                yield from [f"{line[0]}         {line[2:]}" for line in body._lines()]
        for sign, roots in (("-", self.first), ("+", self.second)) if self.outputs_differ else ((" ", self.second),):
            yield f"{sign} return {', '.join(numbers[x] for x in roots)}"

    def _rows(self) -> Iterator[tuple[str, Tensor, str, list[tuple[str, Diff]]]]:
        """A sign, a node, a comment, and what tells apart the bodies of loops and branches."""
        for x, y in self._union:
            if x is None or y is None:
                node = x if x is not None else cast("Tensor", y)
                yield "-" if y is None else "+", node, _comment(node), []
            elif reasons := self.reasons(x, y):
                yield "-", x, _comment(x), []
                yield "+", y, ", ".join(filter(None, (_comment(y), *reasons))), list(self._bodies(x, y))
            else:
                yield " ", y, _comment(y), []

    def _bodies(self, x: Tensor, y: Tensor) -> Iterator[tuple[str, Diff]]:
        for name, one, other in _attributes(x, y) if x.op is y.op else ():
            if isinstance(one, Subgraph) and isinstance(other, Subgraph):
                yield name, Diff(one.outputs, other.outputs, matched(one.outputs, other.outputs), self.names)

    @cached_property
    def _union(self) -> list[tuple[Tensor | None, Tensor | None]]:
        """Every node or pair, in the order of the second graph; what is removed comes before what followed it."""
        back = {y: x for x, y in self.pairs.items()}
        left = iter(toposort(self.first))
        seen = set[Tensor]()
        found: list[tuple[Tensor | None, Tensor | None]] = []
        for y in toposort(self.second):
            x = back.get(y)
            if x is not None and x not in seen:
                for other in left:
                    seen.add(other)
                    if other is x:
                        break
                    if other not in self.pairs:
                        found.append((other, None))
            found.append((x, y))
        return [*found, *[(other, None) for other in left if other not in self.pairs]]

    # ------------------------------------------------------------ picture
    def draw(
        self,
        *,
        direction: Direction = "TB",
        theme: ThemeName = "light",
        title: str = "",
        engine: str | None = None,
        everything: bool | None = None,
    ) -> Picture:
        """Both graphs in one picture. What is added, removed or changed has a sign, a line and a colour of its own.

        Without ``everything`` a picture of more than 150 nodes leaves out what is over two edges from any difference. The other arguments
        are those of ``gc.draw``.
        """
        every: list[_Pair] = [(x, y, self._mark(x, y)) for x, y in self._union]
        if everything is None:
            everything = len(every) <= _DRAWN
        shown = every if everything else self._near(every)
        ids = {node: f"n{i}" for i, (x, y, _) in enumerate(every) for node in (x, y) if node is not None}
        nodes = tuple([self._node(ids, x, y, mark) for x, y, mark in shown])
        edges = self._edges(ids, {node.id for node in nodes})
        name = title or f"{self.names[0]} and {self.names[1]}"
        told = f"{len(self.added)} nodes added, {len(self.removed)} removed, {len(self.changed)} changed, {len(self.same)} the same."
        left = f" {len(every) - len(shown)} that are the same are left out." if len(shown) < len(every) else ""
        return Picture(Sketch(name, told + left, nodes, edges, theme=theme, direction=direction), engine=engine)

    @property
    def svg(self) -> str:
        """The picture as SVG text."""
        return self.draw().svg

    def _repr_svg_(self) -> str:
        return self.svg

    def __rich__(self) -> Any:
        return rich_of(Code(str(self)))

    def _mark(self, x: Tensor | None, y: Tensor | None) -> Mark:
        return "added" if x is None else "removed" if y is None else "changed" if self.reasons(x, y) else ""

    def _node(self, ids: Mapping[Tensor, str], x: Tensor | None, y: Tensor | None, mark: Mark) -> Node:
        node = y if y is not None else cast("Tensor", x)
        why = self.reasons(x, y) if x is not None and y is not None else []
        sign = f"{MARKS[mark].sign} " if mark else ""
        label = f"{plain_name(node.label)}: " if node.label and node.op is not None else ""
        head = f"{sign}{node.op.name}" if mark and node.op is not None else f"{sign}{_what(node)}"
        lines = (head, f"{label}{node.type}", *[reason for reason in why if reason != "other operands"][:2])
        told = f"{mark or 'the same'}{': ' if why else ''}{', '.join(why)}" + (f"\n{node.origin}" if node.origin else "")
        return Node(ids[node], lines, _kind(node, (*self.first, *self.second)), told, mark=mark)

    def _edges(self, ids: Mapping[Tensor, str], shown: set[str]) -> tuple[Edge, ...]:
        def edges(roots: tuple[Tensor, ...]) -> dict[tuple[str, str], None]:
            return {(ids[x], ids[node]): None for node in toposort(roots) for x in node.inputs if {ids[x], ids[node]} <= shown}

        old, new = edges(self.first), edges(self.second)
        both = [(end, "" if end in old else "added") for end in new] + [(end, "removed") for end in old if end not in new]
        return tuple([Edge(tail, head, mark=cast("Mark", mark), tooltip=mark or "the same") for (tail, head), mark in both])

    def _near(self, every: list[_Pair]) -> list[_Pair]:
        near = {node for x, y, mark in every if mark for node in (x, y) if node is not None}
        back = {y: x for x, y in self.pairs.items()}
        for _ in range(_NEAR):
            near |= {self.pairs[x] for x in near if x in self.pairs} | {back[x] for x in near if x in back}
            edges = [(x, node) for roots in (self.first, self.second) for node in toposort(roots) for x in node.inputs]
            near |= {x for x, node in edges if node in near} | {node for x, node in edges if x in near}
        return [one for one in every if one[0] in near or one[1] in near]


def _kind(node: Tensor, results: Collection[Tensor]) -> NodeKind:
    if node.op is not None:
        return "output" if node in results else "operator"
    return "constant" if isinstance(node, Constant) else "variable" if isinstance(node, Variable) else "input"


def _what(node: Tensor) -> str:
    """An operator's symbol, and a leaf's name."""
    if node.op is None:
        return plain_name(node.label) if node.label else leaf_number(node) or node.kind
    return node.op.name if isinstance(node.type, Bundle) else symbol(node)


def _attributes(x: Tensor, y: Tensor) -> Iterator[tuple[str, Any, Any]]:
    for name, one in x.attributes.items():
        other = y.attributes[name]
        if repr(one) != repr(other) or one != other:
            yield name, one, other


def _told(name: str, one: Any, other: Any) -> str:
    return f"another {name}" if isinstance(one, Subgraph) else f"{name}: {value_text(one)} → {value_text(other)}"


def _comment(node: Tensor) -> str:
    label = node.label if node.label and (node.op is not None or isinstance(node, Constant)) else ""
    return ", ".join(filter(None, (shown(label or ""), str(node.origin or ""))))


def _shortened(lines: list[str], context: int | None) -> list[str]:
    if context is None:
        return lines
    marked = [i for i, line in enumerate(lines) if not line.startswith(" ")]
    shown = sorted({j for i in marked for j in range(max(0, i - context), min(len(lines), i + context + 1))} | {len(lines) - 1})
    found: list[str] = []
    last = -1
    for i in shown:
        if i > last + 1:
            count = i - last - 1
            found.append(f"  … {count} node{'s' if count > 1 else ''} the same")
        found.append(lines[i])
        last = i
    return found


def diff(a: Any, b: Any, *, names: tuple[str, str] = ("a", "b")) -> Diff:
    """Compare two graphs: tensors, lists, tuples or dicts of them, models, or compiled functions, of which what runs is compared.

    Nodes are matched by what they are made of, by their labels and by their places (:mod:`graphc.show.matching`). What is compared is the
    structure: two variables of one name and type are the same whatever their values. ``names`` are what the graphs are called.

    ``print`` the result for a listing, ``.draw()`` it for a picture; it is false if the graphs are equal. Raises :class:`ArgumentError` for
    anything else.
    """
    first, second = _roots(a), _roots(b)
    return Diff(first, second, matched(first, second), names)


def _roots(graph: Any) -> tuple[Tensor, ...]:
    if isinstance(graph, Tensor):
        return (graph,)
    if isinstance(graph, Compiled):
        return graph.lowered
    if callable(getattr(graph, "graph", None)):  # a model: layers are above this package
        return _roots(graph.graph())
    items: list[Any] = []
    if isinstance(graph, Mapping):
        items = list(cast("Mapping[Any, Any]", graph).values())
    elif isinstance(graph, list | tuple):
        items = list(cast("Iterable[Any]", graph))
    if items and all(isinstance(item, Tensor) for item in items):
        return tuple(items)
    raise ArgumentError(
        f"diff: {graph!r:.80} is no graph", fits="a tensor, a list, tuple or dict of tensors, a model, or a compiled function"
    )
