"""Walks over graphs. None of them recurses, so that a chain of 100,000 nodes is as good as one of ten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphc.core.expr import Tensor
from graphc.core.origin import derived_from


def toposort(roots: Iterable[Tensor]) -> list[Tensor]:
    """Every node that the roots need, each once and after its inputs, in the order in which a depth-first walk ends."""
    order: list[Tensor] = []
    done: set[Tensor] = set()
    stack = list(roots)[::-1]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        waiting = [x for x in node.inputs if x not in done]
        if waiting:
            stack.extend(reversed(waiting))
            continue
        done.add(node)
        order.append(node)
        stack.pop()
    return order


def consumers(nodes: Iterable[Tensor]) -> dict[Tensor, list[Tensor]]:
    """For each node those that read it, each once, in the order of ``nodes``."""
    readers: dict[Tensor, list[Tensor]] = {}
    for node in nodes:
        readers.setdefault(node, [])
        for x in dict.fromkeys(node.inputs):
            readers.setdefault(x, []).append(node)
    return readers


def ancestors_through(nodes: Iterable[Tensor], sources: Iterable[Tensor], carries: Callable[[Tensor, int], bool]) -> set[Tensor]:
    """Those of the sorted ``nodes`` that a source reaches over edges ``(node, input index)`` that ``carries`` allows."""
    reached = set(sources)
    for node in nodes:
        if any(x in reached and carries(node, i) for i, x in enumerate(node.inputs)):
            reached.add(node)
    return reached


def rebuild(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    """The same operation on other inputs."""
    return node if node.op is None or inputs == node.inputs else node.op.apply(inputs, node.attrs)


def substitute(roots: Iterable[Tensor], replacements: Mapping[Tensor, Any]) -> list[Tensor]:
    """The roots with nodes replaced; a replacement must have the type of what it replaces."""
    roots = list(roots)
    new: dict[Tensor, Tensor] = dict(replacements)
    for node in toposort(roots):
        if node not in new:
            with derived_from(node):
                new[node] = rebuild(node, tuple([new[x] for x in node.inputs]))
            new[node].label = new[node].label or node.label
    return [new[root] for root in roots]
