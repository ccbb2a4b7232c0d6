"""Walks over graphs. None of them recurses, so that a chain of 100,000 nodes is as good as one of ten."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from graphc.core.expr import Tensor, intern

_orders: ContextVar[dict[str, list[Tensor]] | None] = ContextVar("orders", default=None)


@contextmanager
def order_remembered() -> Generator[None, None, None]:
    """In this block the order of the last graph that was sorted is at hand: the stages of a compiler ask for one order often."""
    token = _orders.set({"roots": [], "order": []})
    try:
        yield
    finally:
        _orders.reset(token)


def toposort(roots: Iterable[Tensor]) -> list[Tensor]:
    """Every node that the roots need, each once and after its inputs, in the order in which a depth-first walk ends."""
    roots = list(roots)
    last = _orders.get()
    if last is None:
        return _sorted(roots)
    if last["roots"] != roots:
        last["roots"], last["order"] = roots, _sorted(roots)
    return list(last["order"])


def _sorted(roots: list[Tensor]) -> list[Tensor]:
    order: list[Tensor] = []
    done: set[Tensor] = set()
    for root in roots:
        stack = [root]
        while stack:
            node = stack.pop()
            if node in done:
                continue
            if done.issuperset(node.inputs):
                done.add(node)
                order.append(node)
            else:  # it comes up again after those that it waits for
                stack.append(node)
                stack += node.inputs[::-1]
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
        if not reached.isdisjoint(node.inputs) and any(x in reached and carries(node, i) for i, x in enumerate(node.inputs)):
            reached.add(node)
    return reached


def rebuild(node: Tensor, inputs: tuple[Tensor, ...], attrs: tuple[Any, ...] | None = None) -> Tensor:
    """The same operation on other inputs, or with other attributes too; it keeps the line and the name of ``node``."""
    attrs = node.attrs if attrs is None else attrs
    if node.op is None or (inputs == node.inputs and attrs == node.attrs):
        return node
    found = node.op.apply(inputs, attrs, node)
    found.label = found.label or node.label
    return found


def on_others(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    """The same operation on other inputs, each of the type of the one that it replaces, so that the type is known."""
    assert node.op is not None
    return intern(node.op, inputs, node.attrs, node.type, node)


def substitute(roots: Iterable[Tensor], replacements: Mapping[Tensor, Any]) -> list[Tensor]:
    """The roots with nodes replaced; a replacement must have the type of what it replaces."""
    roots = list(roots)
    new: dict[Tensor, Tensor] = dict(replacements)
    for node in toposort(roots):
        if node not in new:
            new[node] = rebuild(node, tuple([new[x] for x in node.inputs]))
    return [new[root] for root in roots]
