"""The engine: it applies rules from the leaves up, until none fits. It does not recurse, and visits every node once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

from graphc.core import OPS, Op, Tensor, TensorType, derived_from, describe, dtypes, rebuild, toposort
from graphc.core.errors import RewriteError, ShapeError
from graphc.core.op import as_dtype, table
from graphc.core.sizes import broadcast
from graphc.rewrite.rule import Rule, RuleSet
from graphc.rewrite.table import DEFAULT

COMMUTATIVE: Final = frozenset(op for op in table() if "commutative" in op.laws)
"""The ops whose two operands may change places."""


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

    Two nodes of a commutative op that differ in the order of their operands become one, the first. ``budget`` bounds the rewrites
    that descend from one node, and, times the number of nodes, all of them. Raises :class:`RewriteError` when it is used up, naming
    the rules that chase each other, or when a rule changes a dtype.
    """
    roots = list(roots)
    nodes = toposort(roots)
    run = _Run(rules, budget, budget * max(len(nodes), 20), Counter(chain(roots, chain.from_iterable([node.inputs for node in nodes]))))
    for node in nodes:
        if node not in run.done:
            run.visit(node)
    return Simplified([run.done[root] for root in roots], tuple(run.applied))


class _Run:
    """The state of one call.

    ``done`` maps a node to its final form, ``trail`` a new node to the rules that led to it, ``readers`` counts the edges that leave
    a node, ``twins`` has the settled nodes of commutative ops by op and operands.
    """

    def __init__(self, rules: RuleSet, budget: int, total: int, readers: Counter[Tensor]) -> None:
        self.rules, self.budget, self.total, self.readers = rules, budget, total, readers
        self.done: Final[dict[Tensor, Tensor]] = {}
        self.becomes: Final[dict[Tensor, Tensor]] = {}
        self.trail: Final[dict[Tensor, tuple[Rule, ...]]] = {}
        self.twins: Final[dict[tuple[Op | None, Tensor, Tensor], Tensor]] = {}
        self.applied: Final[list[Application]] = []

    def visit(self, node: Tensor) -> None:
        """Settle a node whose operands are settled. Most stay as they are, so this is the short way of ``settle``."""
        done = self.done
        new = node
        if node.op is not None:
            inputs = tuple([done[x] for x in node.inputs])
            if inputs != node.inputs:
                new = self._rebuilt(node, inputs)
        if new not in done:
            found = self._fired(new, ()) if self.rules.candidates(new) else None
            if found is None:
                done[new] = self._first_twin(new)
            else:
                for waiting in (*self._follow(new, *found), new):
                    self.settle(waiting)
        done[node] = done[new]

    def once(self, node: Tensor) -> bool:
        """Whether one node alone reads this one, once. What a rule has just made counts as such."""
        return self.readers[node] < 2

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
        inputs = tuple([done[x] for x in node.inputs])
        trail = self.trail.get(node, ())
        found = self._fired(node, trail) if inputs == node.inputs else (self._rebuilt(node, inputs), trail)
        if found is None:
            done[node] = self._first_twin(node)
            return ()
        return self._follow(node, *found)

    def _follow(self, node: Tensor, new: Tensor, trail: tuple[Rule, ...]) -> Sequence[Tensor]:
        """``new`` takes the place of ``node``, as soon as it is settled."""
        self.readers[new] += self.readers[node]
        self._inherit(node, [new], trail)
        self.becomes[node] = new
        return (new,)

    def _rebuilt(self, node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
        """The node on settled operands."""
        with derived_from(node):
            new = rebuild(node, inputs)
        self.readers[new] += self.readers[node]
        return self._labelled(new, node)

    def _fired(self, node: Tensor, trail: tuple[Rule, ...]) -> tuple[Tensor, tuple[Rule, ...]] | None:
        """What the first rule that fits makes of the node, and the rules that led there."""
        found = self._apply(node)
        if found is None:
            return None
        self.applied.append(found)
        trail = (*trail, found.rule)
        if len(trail) > self.budget or len(self.applied) > self.total:
            raise _chase(trail, found.before, found.after)
        return found.after, trail

    def _first_twin(self, node: Tensor) -> Tensor:
        """The settled node that differs from this one in the order of two operands that may change places, or else itself."""
        op = node.op
        if op not in COMMUTATIVE:
            return node
        a, b = node.inputs
        twin = self.twins.get((op, b, a))
        if twin is None:
            self.twins[op, a, b] = node
            return node
        self.readers[twin] += self.readers[node]
        return self._labelled(twin, node)

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
        for rule in self.rules.candidates(node):
            if not rule.same_operands(node):
                continue
            for bound in rule.bindings(node):
                if not rule.takes_complex and any(map(_is_complex, (node, *bound.values()))):
                    continue
                with derived_from(node):
                    result = rule(node, bound, self.once)
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
