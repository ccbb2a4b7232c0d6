"""A graph with what its parts are called, and its nodes as a picture has them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from graphc.core import Constant, Tensor
from graphc.show.bodies import is_part
from graphc.show.formula import factor, one_line
from graphc.show.names import Namer, owned, plain_name
from graphc.show.notation import TEXT, leaf_number
from graphc.show.sketch import Node
from graphc.show.style import NodeKind
from graphc.show.template import split, symbol
from graphc.show.unfold import BYPASS, CHOICE, GROUP, PARAMETERS, Unfolded, drawn_as

TOOLTIP: Final = 400
"""Characters of a line of a tooltip."""


@dataclass(frozen=True)
class Extras:
    """What a picture shows beside the graph itself, by nodes of the drawn graph, and for flows by (node, index).

    ``values`` and ``gradients`` are texts of the numbers that nodes have and of those that reach them, ``shares`` of what an edge
    brings, ``locals`` of its derivative; ``notes`` are another line of a node, ``amounts`` what it is coloured by. ``path`` are the
    nodes, ``marked`` the flows that stand out.
    """

    values: Mapping[Tensor, str] = field(default_factory=dict[Tensor, str])
    gradients: Mapping[Tensor, str] = field(default_factory=dict[Tensor, str])
    shares: Mapping[tuple[Tensor, int], str] = field(default_factory=dict[tuple[Tensor, int], str])
    locals: Mapping[tuple[Tensor, int], str] = field(default_factory=dict[tuple[Tensor, int], str])
    notes: Mapping[Tensor, str] = field(default_factory=dict[Tensor, str])
    amounts: Mapping[Tensor, float] = field(default_factory=dict[Tensor, float])
    path: frozenset[Tensor] = frozenset()
    marked: frozenset[tuple[Tensor, int]] = frozenset()


@dataclass(frozen=True)
class Scene:
    """The graph with what its parts are called.

    ``ids`` tell all nodes apart, ``names`` are what is read: of ``encoder/dense/kernel`` the last word. ``values`` are the names without
    those of numbers, ``gradients`` the formulas of the cotangents, ``folded`` what is written into
    its readers or drawn as another node, ``cluster_of`` the frames of nodes, ``own`` the nodes that are no other graph's.
    """

    graph: Unfolded
    nodes: tuple[Tensor, ...]
    ids: Mapping[Tensor, str]
    names: Mapping[Tensor, str]
    values: Mapping[Tensor, str]
    folded: frozenset[Tensor]
    gradients: Mapping[Tensor, str]
    cluster_of: Mapping[Tensor, str]
    own: set[Tensor]
    extras: Extras

    @property
    def root(self) -> Tensor:
        """What gradients are of."""
        return self.graph.root

    @property
    def drawn(self) -> list[Tensor]:
        """The nodes that are drawn."""
        return [node for node in self.nodes if node not in self.folded]


def scene_of(
    graph: Unfolded, carrying: set[Tensor], cotangents: Mapping[Tensor, Tensor], cluster_of: Mapping[Tensor, str], extras: Extras
) -> Scene:
    """Name the parts of a graph. ``carrying`` are nodes that a reversed edge leads to, which are never written into their readers."""
    nodes = tuple(graph.nodes)
    ids = _value_names(graph.roots, nodes)
    names = {node: _short(drawn_as(node)) or name for node, name in ids.items()}
    values = {node: name for node, name in names.items() if node.label or not _is_number(node)}
    folded = _folded(graph.roots, nodes, carrying)
    gradients = _gradients(nodes, values, names[graph.root], cotangents)
    return Scene(graph, nodes, ids, names, values, folded, gradients, cluster_of, owned(nodes), extras)


def _value_names(roots: list[Tensor], nodes: tuple[Tensor, ...]) -> dict[Tensor, str]:
    """Labels where there are some; a root is a loss if it is a number."""
    namer = Namer.of(nodes)
    names = {node: namer.name(node) for node in nodes if node.label}
    for y in roots:
        if y not in names:
            names[y] = namer.unlike_others("loss" if not y.shape else "y")
    for node in nodes:
        if drawn_as(node) is not node:
            names[node] = names[drawn_as(node)]
        elif node not in names:
            names[node] = namer.name(node)
    return names


def _short(node: Tensor) -> str:
    """The last word of a weight's path, as the layer calls it."""
    word = node.label.rpartition("/")[2] if node.label and node.kind == "variable" else ""
    return plain_name(word) if word.strip() else ""


def _folded(roots: list[Tensor], nodes: tuple[Tensor, ...], carrying: set[Tensor]) -> frozenset[Tensor]:
    """Numbers that every reader can show in its own symbol, as in ``* 0.5``."""
    numbers = {node for node in nodes if not node.label and _is_number(node) and node not in carrying and node not in roots}
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
            nearer[cotangent] = partial(root, values[node])
    return found


def partial(of: str, by: str) -> str:
    """A partial derivative as it is written."""
    return f"∂{of}/∂{by}"


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


# ---------------------------------------------------------------- nodes
def picture_of(node: Tensor, scene: Scene) -> Node:
    """A node of the graph as a node of a sketch."""
    extras = scene.extras
    return Node(
        scene.ids[node],
        _lines(node, scene),
        _kind(node, scene),
        _tooltip(node, scene),
        scene.cluster_of.get(node, ""),
        extras.amounts.get(node),
        "path" if node in extras.path else "",
    )


def _kind(node: Tensor, scene: Scene) -> NodeKind:
    if node.op in PARAMETERS:
        return "parameter"
    if node.op is None:
        return "constant" if isinstance(node, Constant) else "variable" if node.kind == "variable" else "input"
    return "output" if node in scene.graph.roots else "operator" if node.forward is None else "gradient"


def _lines(node: Tensor, scene: Scene) -> tuple[str, ...]:
    name, extras = scene.names[node], scene.extras
    if node.op is None:
        lines = [leaf_number(node) or name, str(node.type)]
    elif node.op in PARAMETERS:
        lines = [name, f"{node.op.name}: {node.type}"]
    else:
        lines = [_headline(node, scene), f"{name}: {node.type}"]
    if node in scene.graph.roots and node in extras.values:
        lines.append(f"= {extras.values[node]}")
    return (*lines, *([extras.notes[node]] if node in extras.notes else []))


_HEADLINES: Final = {CHOICE.name: "cond", BYPASS: "result", "result": "result"}


def _headline(node: Tensor, scene: Scene) -> str:
    """The op's symbol, with the numbers that it reads."""
    if is_part(node):
        return f"{symbol(node.inputs[0])}[{node.attrs[0]}]"
    if node.op is not None and node.op.name in _HEADLINES:
        return _HEADLINES[node.op.name]
    if node.op is not None and node.op.group == GROUP:
        return one_line(node, {x: scene.values[x] for x in node.inputs if x in scene.values})
    if not _is_infix(node) or not any(x in scene.folded for x in node.inputs if _is_number(x)):
        return _sign(node)
    left, right = (factor(x, {}) if x in scene.folded else "" for x in node.inputs)
    return f"{left} {_printed(symbol(node), times=True)} {right}".strip()


def _sign(node: Tensor) -> str:
    """The op's symbol: of one operand around an x where it is no call, as in ``√x``, ``|x|`` and ``x²``."""
    assert node.op is not None
    literals, slots = split(TEXT.template(node.op))
    around = "".join(literals).replace(" ", "")
    if len(slots) != 1 or not around or any(c.isalpha() and c.isascii() for c in around) or around == "Σ":
        return _printed(symbol(node), times=not node.shape)
    return "−" if around == "-" else "x".join(literals).strip()


def _printed(sign: str, *, times: bool) -> str:
    """A sign as a book prints it: a minus, and a cross for a product with a number."""
    return "−" if sign == "-" else "×" if times and sign in ("⊙", "*") else sign


def _tooltip(node: Tensor, scene: Scene) -> str:
    name, extras = scene.names[node], scene.extras
    lines = [f"{scene.ids[node]}: {node.type}"]
    if node.op is not None:
        lines.append(f"{name} = {one_line(node, {x: scene.values[x] for x in node.inputs if x in scene.values})}")
    if node in extras.values:
        lines.append(f"value: {extras.values[node]}")
    if node.origin is not None and node in scene.own:
        lines.append(str(node.origin))
    if node in scene.gradients:
        head = partial(scene.names[scene.root], name)
        lines.append(f"gradient of {scene.names[scene.root]}: {head} = {scene.gradients[node]}")
    if node in extras.gradients:
        lines.append(f"gradient: {extras.gradients[node]}")
    return "\n".join(shortened(line, TOOLTIP) for line in lines)
