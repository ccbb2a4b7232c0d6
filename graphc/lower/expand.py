"""Ops that a target has no form for, taken apart into ops that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from graphc.core import Bundle, Tensor, derived_from, map_bodies, rebuild, toposort
from graphc.core.errors import BackendError
from graphc.lower.template import template_of


def expand(roots: Sequence[Tensor], target: str) -> list[Tensor]:
    """The roots in ops that the target emits. Raises :class:`BackendError` for an op that it neither has nor can take apart."""
    roots = list(roots)
    while True:
        before, roots = roots, _expanded_once(map_bodies(roots, lambda outputs: expand(outputs, target)), target)
        if roots == before:
            return roots


def _expanded_once(roots: Sequence[Tensor], target: str) -> list[Tensor]:
    new: dict[Tensor, Any] = {}  # for a node with several results that was taken apart, the tuple of them
    for node in toposort(roots):
        new[node] = _expanded(node, tuple([new[x] for x in node.inputs]), target)
    return [new[root] for root in roots]


def _expanded(node: Tensor, inputs: tuple[Any, ...], target: str) -> Any:
    if inputs and isinstance(inputs[0], tuple):
        return cast("Any", inputs[0])[node.attributes["index"]]
    if node.op is None or template_of(node, target) is not None:
        if inputs == node.inputs:
            return node
        with derived_from(node):
            return rebuild(node, inputs)
    if node.op.expand is None:
        raise BackendError(f"the op {node.op.name} has neither a {target} form nor a decomposition", fits="emit=, jax= or @op.decompose")
    with derived_from(node):
        result = node.op.expand(*inputs, **node.op.keywords(node))
    type = result.type if isinstance(result, Tensor) else Bundle(tuple([x.type for x in result]))
    if type is not node.type:
        raise BackendError(
            f"{node.op.name} decomposes into {type}", given=[f"the op's type: {node.type}"], fits="a decomposition of the same type"
        )
    if isinstance(result, Tensor) and node.label and not result.label:
        result.label = node.label
    return result
