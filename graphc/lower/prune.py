"""Results that nobody reads: an op with several may leave them out, and then what they alone were made of goes too."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.core import Bundle, Tensor, derived_from, map_bodies, parts, rebuild, toposort


def prune(roots: Sequence[Tensor]) -> list[Tensor]:
    """The roots without results that nobody reads, in bodies too."""
    roots = list(roots)
    while True:
        order = toposort(roots)
        if not any(node.type.__class__ is Bundle for node in order):
            return map_bodies(roots, prune)
        before, roots = roots, _pruned_once(roots, order)
        if roots == before:
            return map_bodies(roots, prune)


def _pruned_once(roots: list[Tensor], order: list[Tensor]) -> list[Tensor]:
    read: dict[Tensor, set[int]] = {}
    for node in order:
        if node.inputs and isinstance(node.inputs[0].type, Bundle):
            read.setdefault(node.inputs[0], set()).add(node.attributes["index"])
    new: dict[Tensor, Tensor] = {}
    for node in order:
        if node not in new:
            with derived_from(node):
                new[node] = rebuild(node, tuple([new[x] for x in node.inputs]))
        slim = node.op.prune(new[node], read[node]) if node in read and node.op is not None and node.op.prune else None
        if slim is not None:
            results, places = parts(node), slim[1]
            new |= dict(zip([results[i] for i in places], parts(slim[0]), strict=True))
    return [new[root] for root in roots]
