"""The engine: it applies rules from the leaves up, until none fits. It does not recurse, and visits every node once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graphc.core import OPS, Tensor, TensorType, derived_from, describe, dtypes, rebuild, toposort
from graphc.core.errors import RewriteError, ShapeError
from graphc.core.op import as_dtype
from graphc.core.sizes import broadcast
from graphc.rewrite.match import matches
from graphc.rewrite.rule import Rule, RuleSet
from graphc.rewrite.table import DEFAULT


class Application(NamedTuple):
    """One use of a rule: the node before and the node that took its place."""

    rule: Rule
    before: Tensor
    after: Tensor

    def __str__(self) -> str:
        return f"{self.rule.name}: {self.before!r} -> {self.after!r}"


@dataclass(frozen=True)
class Simplified:
    """The new roots, of the same types, and every rule that fired, in order."""

    roots: list[Tensor]
    applied: tuple[Application, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How often each rule fired, the most frequent first."""
        return dict(Counter(one.rule.name for one in self.applied).most_common())

    def __str__(self) -> str:
        return "\n".join(f"{count:5}  {name}" for name, count in self.counts.items()) or "no rule fired"


def simplify(roots: Sequence[Tensor], rules: RuleSet = DEFAULT, *, budget: int = 50) -> Simplified:
    """Rewrite the graph under ``roots`` until no rule fits any more.

    ``budget`` bounds the rewrites that descend from one node, and, times the number of nodes, all of them. Raises
    :class:`RewriteError` when it is used up, naming the rules that chase each other, or when a rule changes a dtype.
    """
    roots = list(roots)
    nodes = toposort(roots)
    run = _Run(rules, budget, budget * max(len(nodes), 20))
    for node in nodes:
        run.settle(node)
    return Simplified([run.done[root] for root in roots], tuple(run.applied))


class _Run:
    """The state of one call. ``done`` maps a node to its final form, ``trail`` a new node to the rules that led to it."""

    def __init__(self, rules: RuleSet, budget: int, total: int) -> None:
        self.rules, self.budget, self.total = rules, budget, total
        self.done: Final[dict[Tensor, Tensor]] = {}
        self.becomes: Final[dict[Tensor, Tensor]] = {}
        self.trail: Final[dict[Tensor, tuple[Rule, ...]]] = {}
        self.applied: Final[list[Application]] = []

    def settle(self, root: Tensor) -> None:
        """Find the final form of ``root``, and of all that the rules make on the way."""
        stack = [root]
        while stack:
            node = stack[-1]
            following = () if node in self.done else self._step(node)
            if not following:
                stack.pop()
            stack.extend(following)

    def _step(self, node: Tensor) -> Sequence[Tensor]:
        """Settle the node, or name the nodes that have to be settled before it."""
        successor = self.becomes.pop(node, None)
        if successor is not None:
            self.done[node] = self.done[successor]
            return ()
        done = self.done
        waiting = [x for x in node.inputs if x not in done]
        if waiting:
            return self._inherit(node, waiting, self.trail.get(node, ()))
        new, rules = self._successor(node)
        if new is node:
            done[node] = node
            return ()
        self._inherit(node, [new], rules)
        self.becomes[node] = new
        return (new,)

    def _successor(self, node: Tensor) -> tuple[Tensor, tuple[Rule, ...]]:
        """The node on settled inputs, or else what the first rule that fits makes of it, or else itself."""
        trail = self.trail.get(node, ())
        inputs = tuple([self.done[x] for x in node.inputs])
        if inputs != node.inputs:
            with derived_from(node):
                return self._labelled(rebuild(node, inputs), node), trail
        found = self._apply(node)
        if found is None:
            return node, trail
        self.applied.append(found)
        trail = (*trail, found.rule)
        if len(trail) > self.budget or len(self.applied) > self.total:
            raise _chase(trail, found.before, found.after)
        return found.after, trail

    def _inherit(self, node: Tensor, following: list[Tensor], trail: tuple[Rule, ...]) -> list[Tensor]:
        if not trail:
            return following
        for new in following:
            if new in self.becomes or new is node:  # it waits for this very node
                raise _chase(trail, node, new)
            if new not in self.done:
                self.trail[new] = trail
        return following

    def _apply(self, node: Tensor) -> Application | None:
        if node.op is None:
            return None
        present = {x.op or type(x) for x in node.inputs}
        for rule in self.rules.at(node.op):
            if rule.reads and rule.reads.isdisjoint(present):
                continue
            for bound in matches(rule.pattern, node):
                if not rule.takes_complex and any(map(_is_complex, (node, *bound.values()))):
                    continue
                with derived_from(node):
                    result = rule(node, bound)
                    after = None if result is None else _fit(rule, node, result)
                if after is not None and after is not node:
                    return Application(rule, node, self._labelled(after, node))
        return None

    def _labelled(self, new: Tensor, old: Tensor) -> Tensor:
        """The user's name goes on to a node that is new to the graph; those that it had before keep their own."""
        if old.label and not new.label and new.op is not None and new not in self.done:
            new.label = old.label
        return new


def _is_complex(value: Any) -> bool:
    return isinstance(value, Tensor) and dtypes.is_complex(value.dtype)


def _fit(rule: Rule, node: Tensor, result: Any) -> Tensor:
    """The result as a node of the type of what it replaces."""
    after = result if isinstance(result, Tensor) else as_dtype(result, node.dtype)
    if after.type is node.type:
        return after
    if after.dtype != node.dtype or not _broadcasts(after.type, node.type):
        raise RewriteError(
            f"the rule {rule.name} made {after.type} of {node.type}",
            given=[f"before: {describe(node)}", f"after:  {describe(after)}"],
            fits="the dtype of the node, and its shape or one that broadcasts to it",
        )
    return OPS["broadcast_to"](after, shape=node.shape)


def _broadcasts(small: TensorType, large: TensorType) -> bool:
    try:
        return broadcast([small.shape, large.shape]) == large.shape
    except ShapeError:
        return False


def _chase(trail: tuple[Rule, ...], before: Tensor, after: Tensor) -> RewriteError:
    names = list(dict.fromkeys(rule.name for rule in reversed(trail)))[:2]
    who = f"the rules {names[1]} and {names[0]} chase each other" if len(names) > 1 else f"the rule {names[0]} feeds itself"
    return RewriteError(
        f"simplify: {who}, {len(trail)} rewrites from one node on",
        given=[f"before: {describe(before)}", f"after:  {describe(after)}"],
        fits="rules that each make a graph cheaper, or move it one way only; a larger budget= if they do",
    )
