"""What of an explored graph is a gradient, and of what: the root, and the cotangents of the nodes above which it was taken."""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from graphc.core import Bundle, Tensor, dtypes, toposort
from graphc.core.graph import ancestors_through
from graphc.exploration.passes import Passes
from graphc.grad import Flow, carries, reversed_graph
from graphc.show import explorer
from graphc.show.formula import one_line

_TRIED: Final = 8
"""Numbers that may be the root; of those above the last differentiated node the first ones are looked at."""
_FORMULA: Final = 400
"""Characters of a formula; the rest is left out."""


def root_of(declared: Sequence[Tensor]) -> Tensor | None:
    """The number whose gradient is in the graph, if one is.

    A node of a gradient says to which forward node it belongs. Above the last of these there may be others, whose gradient is made of
    constants alone and belongs to none: the root is the first number above it from which a sweep makes a node that the graph has.
    """
    order = toposort(declared)
    there = set(order)
    differentiated = {node.forward for node in order if node.forward is not None}
    below = [node for node in order if node in differentiated and node.forward is None][-1:]
    above = ancestors_through([node for node in order if node.forward is None], below, carries)
    numbers = [node for node in order if node in above and not isinstance(node.type, Bundle) and node.shape == ()]
    for root in numbers[:_TRIED] if below else []:
        if reversed_graph(root, below)[1].get(below[0]) in there:
            return root
    return None


def gradient_of(passes: Passes, root: Tensor | None, wrt: Sequence[Tensor]) -> explorer.Gradient | None:
    """The cotangents of what lies between the root and the leaves, by the sweep that made them: equal nodes are one node.

    Without ``wrt`` it is with respect to those floats among inputs and variables whose gradient the graph has.
    """
    if root is None or passes.at(root) is None:
        return None
    targets = list(wrt) or _leaves(root)
    if not targets:
        return None
    flows, cotangents = reversed_graph(root, targets)
    if not wrt:
        found = {x for x in targets if x in cotangents and passes.at(cotangents[x]) is not None}
        active = ancestors_through(toposort([root]), found, carries)
        flows = [flow for flow in flows if flow.node in active and flow.node.inputs[flow.index] in active]
        cotangents = {x: g for x, g in cotangents.items() if x in active}
    return _told(passes, root, flows, cotangents)


def _told(passes: Passes, root: Tensor, flows: Sequence[Flow], cotangents: Mapping[Tensor, Tensor]) -> explorer.Gradient | None:
    """Each cotangent in terms of values and of the cotangents nearer to the root, over whose nodes it comes."""
    places = {x: place for x in toposort([root]) if (place := passes.at(x)) is not None}
    values = {x: passes.nodes[place].name for x, place in places.items() if not passes.nodes[place].is_hidden}
    nearer: dict[Tensor, str] = {}
    names = ChainMap(nearer, values)
    over: dict[Tensor, list[tuple[int, str]]] = defaultdict(list)
    for flow in flows:
        if flow.node in places:
            local = flow.local if flow.local is None or isinstance(flow.local, int) else one_line(flow.local, values)
            over[flow.node.inputs[flow.index]].append((places[flow.node], "" if local is None else _short(str(local))))
    of: dict[int, explorer.Cotangent] = {}
    for x, cotangent in cotangents.items():
        if x in values:
            of[places[x]] = explorer.Cotangent(_short(one_line(cotangent, names)), passes.at(cotangent), tuple(over[x]))
            if cotangent.op is not None and cotangent not in names:
                nearer[cotangent] = f"∂{values[root]}/∂{values[x]}"
    return explorer.Gradient(places[root], of) if root in values and of else None


def _short(text: str) -> str:
    return text if len(text) <= _FORMULA else f"{text[:_FORMULA]}…"


def _leaves(root: Tensor) -> list[Tensor]:
    order = toposort([root])
    leaves = [x for x in order if x.kind in ("input", "variable") and dtypes.is_inexact(x.dtype)]
    active = ancestors_through(order, leaves, carries)
    return leaves if root in active else []
