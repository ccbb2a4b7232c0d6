"""A graph and the same graph reversed, in one picture.

Forward edges are solid. For each forward edge from A to B that carries gradient there is a dashed edge from B to A, with the
derivative of B with respect to A: a partial derivative where the op is pointwise, else the map that takes a cotangent ``g`` of B
to one of A (a product ``g · W1ᵀ`` is shown as its factor ``W1ᵀ``). The gradient of the root is the product along a reversed path,
summed over paths.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from graphc.core import Bundle, Constant, Tensor, describe
from graphc.core.errors import DrawError
from graphc.show.bodies import is_part
from graphc.show.formula import factor, inside, one_line
from graphc.show.names import Namer, owned
from graphc.show.notation import leaf_number, see_through
from graphc.show.sketch import Edge, Node, Sketch
from graphc.show.style import NodeKind
from graphc.show.template import symbol
from graphc.show.unfold import BYPASS, CHOICE, GROUP, PARAMETERS, SHARED, Unfolded, drawn_as, drawn_inputs, unfold

NEXT: Final = "g_next"
"""What the gradient of a carry in the next step is called."""
_LABEL: Final = 40
"""Characters of an edge's label; the tooltip has all of it."""
_TOOLTIP: Final = 400
"""Characters of a line of a tooltip."""


@dataclass(frozen=True)
class Reversed:
    """What the edge from ``node.inputs[index]`` to ``node`` carries back.

    Attributes:
        node: the reader, B.
        index: which of its inputs is A.
        local: the partial derivative of a pointwise op; a number where it is that everywhere.
        probe: for other ops, what reaches A when the cotangent of B is an input labelled ``g``; where B has several results, they
            are ``g0``, ``g1``...
    """

    node: Tensor
    index: int
    local: Tensor | int | None
    probe: Tensor | None


def backprop_sketch(
    y: Tensor | Unfolded, flow: Iterable[Reversed], cotangents: Mapping[Tensor, Tensor] | None = None, *, title: str = "graph"
) -> Sketch:
    """The graph of ``y``, and over it the edges on which its gradient flows.

    What loops, branches and calls hold is drawn in frames; flows inside of them are flows of ``unfold(y)``, which is then given.

    ``cotangents`` are the derivatives of ``y`` with respect to nodes of its graph, which tooltips then show. Without any ``flow``
    it is the forward graph alone. Numbers are written into the nodes that read them.
    Raises :class:`DrawError` for a flow over an edge that the graph does not have, or that comes twice.
    """
    scene = _scene(unfold(y) if isinstance(y, Tensor) else y, tuple(flow), cotangents or {})
    backward = [_backward_edge(edge, scene) for edge in scene.flow if drawn_as(edge.node) is edge.node]
    nodes = tuple([_node(node, scene) for node in scene.drawn])
    edges = (*_forward_edges(scene), *_carried_edges(scene), *backward, *_carried_back(scene))
    return Sketch(title, nodes=nodes, edges=edges, clusters=tuple(scene.graph.frames))


# ---------------------------------------------------------------- what is drawn
@dataclass(frozen=True)
class _Scene:
    """The graph with what its parts are called.

    ``values`` are the names without those of numbers, ``gradients`` the formulas of the cotangents, ``paths`` how many edges bring
    a gradient to a node, ``own`` the nodes that are no other graph's.
    """

    graph: Unfolded
    flow: tuple[Reversed, ...]
    nodes: tuple[Tensor, ...]
    names: Mapping[Tensor, str]
    values: Mapping[Tensor, str]
    folded: frozenset[Tensor]
    gradients: Mapping[Tensor, str]
    paths: Counter[Tensor]
    own: set[Tensor]

    @property
    def root(self) -> Tensor:
        return self.graph.root

    @property
    def drawn(self) -> list[Tensor]:
        return [node for node in self.nodes if node not in self.folded]


def _scene(graph: Unfolded, flow: tuple[Reversed, ...], cotangents: Mapping[Tensor, Tensor]) -> _Scene:
    y, nodes = graph.root, tuple(graph.nodes)
    _check(y, flow, nodes)
    names = _value_names(y, nodes)
    values = {node: name for node, name in names.items() if node.label or not _is_number(node)}
    paths = Counter(drawn_as(edge.node.inputs[edge.index]) for edge in flow if drawn_as(edge.node) is edge.node)
    folded = _folded(y, nodes, set(paths))
    return _Scene(graph, flow, nodes, names, values, folded, _gradients(nodes, values, names[y], cotangents), paths, owned(nodes))


def _check(y: Tensor, flow: tuple[Reversed, ...], nodes: tuple[Tensor, ...]) -> None:
    known = set(nodes)
    for (node, index), count in Counter((edge.node, edge.index) for edge in flow).items():
        if node in known and 0 <= index < len(node.inputs) and count == 1:
            continue
        wrong = f"{count} flows" if count > 1 else "a flow"
        raise DrawError(
            f"backprop_sketch({y!r}): {wrong} over input {index} of {node!r}",
            given=[describe(node)],
            fits="one flow an edge of the graph of y",
        )


def _value_names(y: Tensor, nodes: tuple[Tensor, ...]) -> dict[Tensor, str]:
    """Labels where there are some; the root is a loss if it is a number."""
    namer = Namer.of(nodes)
    names = {node: namer.name(node) for node in nodes if node.label}
    if y not in names:
        names[y] = namer.unlike_others("loss" if not y.shape else "y")
    for node in nodes:
        if drawn_as(node) is not node:
            names[node] = names[drawn_as(node)]
        elif node not in names:
            names[node] = namer.name(node)
    return names


def _folded(y: Tensor, nodes: tuple[Tensor, ...], carrying: set[Tensor]) -> frozenset[Tensor]:
    """Numbers that every reader can show in its own symbol, as in ``* 0.5``."""
    numbers = {node for node in nodes if not node.label and _is_number(node) and node not in carrying and node is not y}
    shown = {node: set(node.inputs) & numbers if _is_infix(node) else set[Tensor]() for node in nodes}
    elsewhere = {x for node in nodes for x in node.inputs if x in numbers and x not in shown[node]}
    return frozenset(numbers - elsewhere) | {node for node in nodes if drawn_as(node) is not node}


def _is_number(node: Tensor) -> bool:
    return node.ndim == 0 and (leaf_number(node) is not None or (node.op is not None and not node.inputs))


def _is_infix(node: Tensor) -> bool:
    """Whether the node stands between its operands, of which one at least is no number."""
    return len(node.inputs) == 2 and node.op is not None and node.op.binds > 0 and not all(map(_is_number, node.inputs))


def _gradients(
    nodes: tuple[Tensor, ...], values: Mapping[Tensor, str], root: str, cotangents: Mapping[Tensor, Tensor]
) -> dict[Tensor, str]:
    """For each value the gradient with respect to it, in terms of values and of gradients nearer to the root."""
    nearer: dict[Tensor, str] = {}
    names = ChainMap(nearer, {**values})
    found: dict[Tensor, str] = {}
    for node in reversed(nodes):
        cotangent = cotangents.get(node)
        if cotangent is None or node not in values or drawn_as(node) is not node:
            continue
        found[node] = one_line(cotangent, names)
        if cotangent.op is not None and cotangent not in names:
            nearer[cotangent] = _partial(root, values[node])
    return found


def _partial(of: str, by: str) -> str:
    return f"∂{of}/∂{by}"


# ---------------------------------------------------------------- nodes
def _node(node: Tensor, scene: _Scene) -> Node:
    cluster = scene.graph.frame_of.get(node, "")
    return Node(scene.names[node], _lines(node, scene), _kind(node, scene), _node_tooltip(node, scene), cluster)


def _kind(node: Tensor, scene: _Scene) -> NodeKind:
    if node.op in PARAMETERS:
        return "parameter"
    if node.op is not None:
        return "output" if node is scene.root else "operator"
    return "constant" if isinstance(node, Constant) else "variable" if node.kind == "variable" else "input"


def _lines(node: Tensor, scene: _Scene) -> tuple[str, ...]:
    if node.op is None:
        return (leaf_number(node) or scene.names[node], str(node.type))
    if node.op in PARAMETERS:
        return (scene.names[node], f"{node.op.name}: {node.type}")
    return (_headline(node, scene), f"{scene.names[node]}: {node.type}")


_HEADLINES: Final = {CHOICE.name: "cond", BYPASS: "result", "result": "result"}


def _headline(node: Tensor, scene: _Scene) -> str:
    """The op's symbol, with the numbers that it reads."""
    if is_part(node):
        return f"{symbol(node.inputs[0])}[{node.attrs[0]}]"
    if node.op is not None and node.op.name in _HEADLINES:
        return _HEADLINES[node.op.name]
    if node.op is not None and node.op.group == GROUP:
        return one_line(node, {x: scene.values[x] for x in node.inputs if x in scene.values})
    if not _is_infix(node) or not any(x in scene.folded for x in node.inputs if _is_number(x)):
        return symbol(node)
    left, right = (factor(x, {}) if x in scene.folded else "" for x in node.inputs)
    return f"{left} {_plain_sign(symbol(node))} {right}".strip()


def _plain_sign(sign: str) -> str:
    return "*" if sign == "⊙" else sign


def _node_tooltip(node: Tensor, scene: _Scene) -> str:
    name = scene.names[node]
    lines = [f"{name}: {node.type}"]
    if node.op is not None:
        lines.append(f"{name} = {one_line(node, {x: scene.values[x] for x in node.inputs if x in scene.values})}")
    if node.origin is not None and node in scene.own:
        lines.append(str(node.origin))
    if node in scene.gradients:
        lines.append(f"gradient of {scene.names[scene.root]}: {_partial(scene.names[scene.root], name)} = {scene.gradients[node]}")
    return "\n".join(_shortened(line, _TOOLTIP) for line in lines)


# ---------------------------------------------------------------- edges
_BRANCHES: Final = ("if", "true", "false")


def _forward_edges(scene: _Scene) -> list[Edge]:
    names = scene.names
    return [
        Edge(names[x], names[node], _BRANCHES[i] if node.op is CHOICE else "", tooltip=f"{names[x]}: {x.type} into {names[node]}")
        for node in scene.drawn
        for i, x in enumerate(map(drawn_as, drawn_inputs(node)))
        if x not in scene.folded
    ]


def _carried_edges(scene: _Scene) -> list[Edge]:
    names = scene.names
    return [
        Edge(names[after], names[before], "", "carried", f"{names[after]} is {names[before]} of the next step")
        for after, before in scene.graph.carried
    ]


def _carried_back(scene: _Scene) -> list[Edge]:
    """The gradient of a carry goes to the step before."""
    names = scene.names
    return [
        Edge(names[before], names[after], NEXT, "reversed", f"{NEXT}: the gradient of {names[before]} in the step that follows")
        for after, before in scene.graph.carried
        if before in scene.gradients
    ]


def _backward_edge(edge: Reversed, scene: _Scene) -> Edge:
    source, target = scene.names[edge.node], scene.names[edge.node.inputs[edge.index]]
    return Edge(source, target, _label(edge, scene), "reversed", _edge_tooltip(edge, scene))


def _label(edge: Reversed, scene: _Scene) -> str:
    if is_part(edge.node):
        return ""
    head = _partial(scene.names[edge.node], scene.names[edge.node.inputs[edge.index]])
    return _shortened(f"{head}{_derivative(edge, scene)}", _LABEL)


def _edge_tooltip(edge: Reversed, scene: _Scene) -> str:
    source, x = edge.node, edge.node.inputs[edge.index]
    head = _partial(scene.names[source], scene.names[x])
    derivative = _derivative(edge, scene)
    lines = [f"{head}{derivative}"]
    if edge.probe is not None and "↦" not in derivative:
        lines.append(f"{_cotangents(edge)} ↦ {one_line(edge.probe, scene.values)}")
    if x.op is SHARED:
        lines.append("summed over the steps")
    if edge.probe is None and not is_part(source) and x.shape != source.shape:
        lines.append(f"summed over the axes along which {scene.names[x]}: {x.type} is repeated")
    if scene.paths[drawn_as(x)] > 1:
        lines.append(f"one of {scene.paths[drawn_as(x)]} edges whose gradients add up at {scene.names[x]}")
    return "\n".join(_shortened(line, _TOOLTIP) for line in lines)


def _derivative(edge: Reversed, scene: _Scene) -> str:
    """`` = W1ᵀ``, as the books have it, where the derivative is a factor; else ``: g ↦ ...``, what it makes of a cotangent."""
    if isinstance(edge.local, Tensor):
        return f" = {one_line(edge.local, scene.values)}"
    if edge.probe is None:
        return "" if edge.local is None else f" = {edge.local}"
    g = _placeholder(edge.probe, scene)
    factor = None if g is None else _multiplier(edge.probe, g, scene)
    return f": {_cotangents(edge)} ↦ {one_line(edge.probe, scene.values)}" if factor is None else f" = {factor}"


def _cotangents(edge: Reversed) -> str:
    """``g``, or ``g0, g1`` where the op has several results."""
    count = len(edge.node.type.parts) if isinstance(edge.node.type, Bundle) else 1
    return "g" if count == 1 else ", ".join([f"g{i}" for i in range(count)])


def _multiplier(probe: Tensor, g: Tensor, scene: _Scene) -> str | None:
    """What ``g`` is multiplied by: ``W1ᵀ`` in ``g · W1ᵀ``, ``1 / n`` in ``g / n``, 1 in ``g`` itself."""
    node = see_through(probe)
    if node is g:
        return "1"
    if node.op is None:
        return None
    xs = [see_through(x) for x in node.inputs]
    if xs.count(g) != 1 or any(g in inside(x, scene.values) for x in xs if x is not g):
        return None
    others = [x for x in xs if x is not g]
    if node.op.name == "divide":
        return f"1 / {factor(others[0], scene.values)}" if xs[0] is g else None
    if node.op.name in ("matmul", "multiply"):
        return one_line(others[0], scene.values)
    return "-1" if node.op.name == "negative" else None


def _placeholder(probe: Tensor, scene: _Scene) -> Tensor | None:
    """The input ``g`` of a probe that is none of the graph's own."""
    return next((x for x in inside(probe, scene.values) if x.kind == "input" and x.label == "g" and x not in scene.names), None)


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
