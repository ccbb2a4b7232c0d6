"""``draw``: forward and reversed edges in one picture, with numbers, colours and a path where they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from graphc.core import Tensor, Variable, dtypes, toposort
from graphc.core.errors import ArgumentError
from graphc.grad import why_no_gradient
from graphc.picture.amounts import Amounts, amounts_of
from graphc.picture.numbers import Numbers, numbers_of, told
from graphc.picture.options import OF_VALUES, Level, Quantity, check, refuse_unknown
from graphc.picture.paths import check as check_path
from graphc.picture.paths import pair, path_of
from graphc.picture.program import lowered, program_of
from graphc.picture.reversing import flows_of
from graphc.picture.reversing import told as as_told
from graphc.picture.subject import Subject, report_of, subject_of
from graphc.show import Extras, Picture, Sketch, Unfolded, backprop_sketch, fold, unfold
from graphc.show.scale import scale_of
from graphc.show.scene import partial
from graphc.show.style import Direction, ThemeName

__all__ = ["draw"]


def draw(
    y: Any,
    wrt: Tensor | Sequence[Tensor] = (),
    *,
    level: Level = "ops",
    depth: int | None = None,
    direction: Direction = "TB",
    theme: ThemeName = "light",
    values: Mapping[Any, Any] | None = None,
    color_by: Quantity | None = None,
    path: tuple[Tensor, Tensor] | None = None,
    title: str = "",
    engine: str | None = None,
    **misspelt: Any,
) -> Picture:
    """Draw the graph of ``y``, and with ``wrt`` the reversed graph over which its gradient flows.

    Forward edges are solid. For every forward edge from A to B that carries gradient there is a dashed edge from B to A, labelled
    with the local derivative of B with respect to A; the gradient of ``y`` is the product along a reversed path, summed over paths,
    which join at a "+". What a loop, a branch or a call holds is drawn in a frame, once: a dotted edge leads from the end of a step to
    the start of the next, and a dashed one back. So is what was made in a group (``gc.scope``, a layer of a model).

    Args:
        y: a tensor, a list or dict of them, a compiled function (the graph that was declared), or a model (its prediction).
        wrt: the inputs and variables to differentiate with respect to.
        level: ``"ops"``; ``"layers"`` folds each group into a node with its weights; ``"program"`` is what a compiled function runs: its
            steps, loops over rows, and the memory of each value.
        depth: how many groups deep ``"layers"`` stay open; without it the innermost ones are folded.
        direction: where forward edges run to: ``"TB"``, down, ``"LR"``, to the right, ``"BT"`` or ``"RL"``.
        theme: ``"light"`` or ``"dark"``.
        values: an array for each input, by the input or its name: edges then have their numbers, forward the value, in reverse
            the gradient.
        color_by: ``"gradient norm"``, ``"nan"`` (how many), ``"dead units"`` (the share of units that are 0 in every row), which need
            ``values``; ``"time"``, measured node by node with ``values`` and else by the cost model; ``"flops"`` or ``"bytes"``, by the
            cost model. The legend has the scale.
        path: ``(w, loss)`` marks every reversed path whose product is a part of the gradient of ``loss`` with respect to ``w``.
        title: what the picture is of, for who does not see it.
        engine: a Graphviz binary, ``"pygraphviz"`` or ``"plain"``; without any the picture is laid out plainly, with a warning that says
            what to install.
        **misspelt: anything else, which is refused with the name that is meant.

    Returns:
        a :class:`Picture`: ``.save("file.svg")`` (or .png, .pdf, .dot), ``.svg``, ``.dot``; a notebook shows it.

    Raises:
        ArgumentError: an option or a choice that does not exist, values that are missing. ShapeError, DTypeError: values that do not fit.
        GradientError: a ``path`` where there is none.
    """
    refuse_unknown(misspelt)
    quantity = check(level, direction, theme, color_by, depth)
    if quantity in OF_VALUES and values is None:
        raise ArgumentError(f"draw(color_by={quantity!r}) without values", fits="values={input: array} too")
    targets = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    between = pair(path)
    if level == "program":
        drawing = _of_program(y, [*targets, *(between or ())])
    else:
        drawing = _of_graph(subject_of(y, targets or list(between or ())), targets, between, quantity)
    drawing.number(values, quantity)
    sketch = drawing.sketch(title)
    if level == "layers":
        sketch = fold(sketch, depth, _COMBINED.get(quantity or "", math.fsum))
    if drawing.amounts is not None:
        sketch = _coloured(sketch, drawing.amounts)
    # Without a description it is made anew.
    return Picture(replace(sketch, theme=theme, direction=direction, path=drawing.told, description=""), engine=engine)


@dataclass
class _Drawing:
    """What is drawn: the graph over frames, what flows back in it, and what is shown beside it."""

    subject: Subject
    graph: Unfolded
    targets: list[Tensor]
    extras: Extras
    layers: bool = True
    path: tuple[Tensor, Tensor] | None = None
    told: str = ""
    amounts: Amounts | None = None

    def number(self, values: Mapping[Any, Any] | None, quantity: Quantity | None) -> None:
        """Show the numbers, and the amounts that nodes are coloured by."""
        numbers: Numbers | None = None
        roots = self.subject.roots
        if values is not None:
            numbers = numbers_of(roots, self.targets, values)
            shown = told(numbers, self.graph)
            self.extras = replace(shown, notes=self.extras.notes, path=self.extras.path, marked=self.extras.marked)
        if quantity is not None:
            self.amounts = amounts_of(quantity, roots, numbers)
            drawn = {self.graph.new.get(node, node): amount for node, amount in self.amounts.of.items()}
            self.extras = replace(self.extras, amounts=drawn)

    def sketch(self, title: str) -> Sketch:
        """The picture before it is coloured."""
        name = title or self.subject.title or "graph"
        if not self.targets:
            return backprop_sketch(self.graph, [], title=name, extras=self.extras, layers=self.layers)
        flows, cotangents = flows_of(self.graph, self.subject.roots[0], self.targets)
        if self.path is not None:
            marked, nodes, count = path_of(self.graph, flows, *self.path)
            self.extras = replace(self.extras, marked=frozenset(marked), path=frozenset(nodes))
            self.told = _path_told(self.path, count)
        return backprop_sketch(self.graph, [as_told(flow, cotangents) for flow in flows], cotangents, title=name, extras=self.extras)


def _of_graph(subject: Subject, targets: list[Tensor], path: tuple[Tensor, Tensor] | None, quantity: Quantity | None) -> _Drawing:
    y = subject.roots[0]
    if path is not None:
        check_path(path, y)
        targets = targets if path[0] in targets else [*targets, path[0]]
    if quantity == "gradient norm" and not targets:
        targets = [x for x in toposort([y]) if isinstance(x, Variable) and dtypes.is_inexact(x.dtype) and why_no_gradient(y, x) is None]
    graph = unfold(subject.roots)
    notes = _updated(graph, subject)
    return _Drawing(subject, graph, targets, Extras(notes=notes), path=path)


def _of_program(y: Any, differentiated: list[Tensor]) -> _Drawing:
    report = report_of(y)
    if report is None:
        raise ArgumentError(f"draw({y!r}, level='program')", fits="a compiled function: gc.compile(...)")
    if differentiated:
        raise ArgumentError("draw(level='program'): wrt and path are about the graph that was declared", fits="level='ops'")
    roots, updates = lowered(report)
    subject = Subject(roots, f"the program of a function on {report.backend}", updates)
    graph, memory = program_of(report, roots)
    for node, note in _updated(graph, subject).items():
        memory[node] = f"{note}, {memory[node]}" if node in memory else note
    return _Drawing(subject, graph, [], Extras(notes=memory), layers=False)


def _updated(graph: Unfolded, subject: Subject) -> dict[Tensor, str]:
    """Lead new values of variables on to the next call, and say in a note which ones they are."""
    notes: dict[Tensor, str] = {}
    known = set(graph.nodes)
    for new, variable in (subject.updates or {}).items():
        after, before = graph.new.get(new, new), graph.new.get(variable, variable)
        notes[after] = f"new {variable.label}"
        if before in known and after is not before:
            graph.carried.append((after, before))
    return notes


def _path_told(path: tuple[Tensor, Tensor], count: int | None) -> str:
    w, y = (x.label or x.kind for x in path)
    gradient = partial(y, w)
    if count == 1:
        return f"the path whose product is {gradient}"
    return f"{'paths' if count is None else f'{count} paths'} whose products add up to {gradient}"


def _coloured(sketch: Sketch, amounts: Amounts) -> Sketch:
    """The nodes with their amounts in words, and a scale for their colours."""
    found = [node.amount for node in sketch.nodes if node.amount is not None]
    nodes = [node if node.amount is None else replace(node, lines=(*node.lines, amounts.write(node.amount))) for node in sketch.nodes]
    return replace(sketch, nodes=tuple(nodes), scale=scale_of(amounts.title, found, amounts.write))


def _root_of_squares(amounts: Sequence[float]) -> float:
    return math.hypot(*amounts)


def _mean(amounts: Sequence[float]) -> float:
    return math.fsum(amounts) / len(amounts)


_COMBINED: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {"gradient norm": _root_of_squares, "dead units": _mean}
"""How the amounts of a layer's nodes become one; all others add up."""
