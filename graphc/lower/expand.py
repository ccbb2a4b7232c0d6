"""Ops that a target has no form for, taken apart into ops that it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from graphc.core import Bundle, Subgraph, Tensor, derived_from, toposort
from graphc.core.errors import BackendError
from graphc.lower.template import template_of


def expand(roots: Sequence[Tensor], target: str, became: list[Mapping[Tensor, Tensor]] | None = None) -> list[Tensor]:
    """The roots in ops that the target emits; ``became`` is told what took the place of nodes, those of bodies first.

    Raises :class:`BackendError` for an op that it neither has nor can take apart.
    """
    roots = list(roots)
    run = _Expansion(target, became)
    for node in toposort(roots):
        run.expand(node)
    if became is not None:
        became.append({node: new for node, new in run.new.items() if new is not node and isinstance(new, Tensor)})
    return [run.new[root] for root in roots]


class _Expansion:
    """The state of one call: ``new`` has the final form of each node; for several results that were taken apart, the tuple of them."""

    def __init__(self, target: str, became: list[Mapping[Tensor, Tensor]] | None) -> None:
        self.target, self.became = target, became
        self.new: dict[Tensor, Any] = {}
        self.bodies: dict[Subgraph, Subgraph] = {}

    def expand(self, node: Tensor) -> None:
        """Find the final form of a node whose inputs have theirs."""
        if node not in self.new:
            self.new[node] = self._expanded(node)

    def _settled(self, root: Tensor) -> Any:
        """The final form of ``root``, in a decomposition. It recurses from an op into its own one, not from a node into its inputs."""
        new = self.new
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [] if node in new else [x for x in node.inputs if x not in new]
            if waiting:
                stack += reversed(waiting)
            else:
                self.expand(stack.pop())
        return new[root]

    def _expanded(self, node: Tensor) -> Any:
        op = node.op
        if op is None:
            return node
        inputs = tuple([self.new[x] for x in node.inputs])
        if inputs and isinstance(inputs[0], tuple):
            return cast("Any", inputs[0])[node.attributes["index"]]
        if template_of(node, self.target) is not None:
            return self._rebuilt(node, inputs)
        if op.expand is None:
            raise BackendError(
                f"the op {op.name} has neither a {self.target} form nor a decomposition", fits="emit=, jax= or @op.decompose"
            )
        with derived_from(node):
            result = op.expand(*inputs, **op.keywords(node))
        several = not isinstance(result, Tensor)
        type = Bundle(tuple([x.type for x in result])) if several else result.type
        if type is not node.type:
            raise BackendError(
                f"{op.name} decomposes into {type}", given=[f"the op's type: {node.type}"], fits="a decomposition of the same type"
            )
        return tuple([self._settled(x) for x in result]) if several else self._settled(_labelled(result, node))

    def _rebuilt(self, node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
        """The node on the final forms of its inputs and bodies, which is its own final form."""
        op, attrs = node.op, node.attrs
        assert op is not None
        if attrs and any(value.__class__ is Subgraph for value in attrs):
            attrs = tuple([self._body(value) if isinstance(value, Subgraph) else value for value in attrs])
        if inputs == node.inputs and attrs == node.attrs:
            return node
        result = _labelled(op.apply(inputs, attrs, node), node)
        self.new[result] = result
        return result

    def _body(self, body: Subgraph) -> Subgraph:
        found = self.bodies.get(body)
        if found is None:
            found = self.bodies[body] = body.transformed(lambda outputs: expand(outputs, self.target, self.became))
        return found


def _labelled(new: Tensor, old: Tensor) -> Tensor:
    if old.label and not new.label:
        new.label = old.label
    return new
