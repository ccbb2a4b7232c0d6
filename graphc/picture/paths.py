"""The paths of a gradient: every reversed edge over which a part of ``∂y/∂w`` flows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from graphc.core import Tensor, describe
from graphc.core.errors import ArgumentError, GradientError
from graphc.core.graph import ancestors_through
from graphc.grad import Flow, carries, why_no_gradient
from graphc.picture.reversing import with_carries
from graphc.show import Unfolded, drawn_as


def pair(path: Any) -> tuple[Tensor, Tensor] | None:
    """The option as two tensors. Raises :class:`ArgumentError` for anything else."""
    if path is None:
        return None
    items = list(cast("Any", path)) if isinstance(path, tuple | list) else []
    if len(items) == 2 and all(isinstance(x, Tensor) for x in items):
        return items[0], items[1]
    raise ArgumentError(f"draw(path={path!r})", fits="path=(w, loss): two tensors of the graph, what is differentiated last")


def check(path: tuple[Tensor, Tensor], y: Tensor) -> None:
    """Raise :class:`GradientError` if no gradient flows along the path in a picture of ``y``."""
    w, top = path
    reason = why_no_gradient(top, w)
    if reason is None and top is not y and why_no_gradient(y, top) is not None:
        reason = "what is drawn does not depend on the second of them"
    if reason is None:
        return
    swapped = why_no_gradient(w, top) is None
    raise GradientError(
        f"draw(path=(w, loss)): no path, {reason}",
        given=[f"w: {describe(w)}", f"loss: {describe(top)}"],
        fits="path=(loss, w) turned round: path=(w, loss)" if swapped else "two tensors between which a gradient flows",
    )


def path_of(graph: Unfolded, flows: Sequence[Flow], w: Tensor, top: Tensor) -> tuple[set[tuple[Tensor, int]], set[Tensor], int | None]:
    """The flows on the way from ``top`` back to ``w``, the nodes that they join, and the number of paths; None where there are loops."""
    nodes = graph.nodes
    w, top = graph.new.get(w, w), graph.new.get(top, top)
    below = ancestors_through(nodes, with_carries(graph, [w]), carries)
    marked: set[tuple[Tensor, int]] = set()
    count = Counter({top: 1})
    on_path = {top}
    for flow in flows:
        x = flow.node.inputs[flow.index]
        if flow.node in on_path and x in below:
            marked.add((flow.node, flow.index))
            on_path.add(x)
            count[x] += count[flow.node]
    return marked, {drawn_as(node) for node in on_path}, None if graph.carried else count[w]
