"""The engine: it applies rules from the leaves up, until none fits. It does not recurse, and visits every node once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from graphc.core import OPS, Op, Tensor, TensorType, derived_from, describe, dtypes, toposort
from graphc.core.errors import RewriteError, ShapeError
from graphc.core.graph import on_others
from graphc.core.op import as_dtype, table
from graphc.core.sizes import broadcast
from graphc.rewrite.match import Bound
from graphc.rewrite.rule import Once, Rule, RuleSet
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


class Known(NamedTuple):
    """What a run found out: the ``final`` form of each node, and for a node what its rules were told of its operands' readers."""

    rules: frozenset[Rule]
    final: dict[Tensor, Tensor]
    told: dict[Tensor, list[tuple[Tensor, bool]]]


class Simplified(NamedTuple):
    """The new roots, of the same types, and every rule that fired, in order.

    ``known`` is for a later call with some of these rules: which nodes it need not try again.
    """

    roots: list[Tensor]
    applied: tuple[Application, ...]
    known: Known

    @property
    def changed(self) -> dict[Tensor, Tensor]:
        """The final form of each node that did not stay as it was."""
        return {node: final for node, final in self.known.final.items() if final is not node}

    @property
    def counts(self) -> dict[str, int]:
        """How often each rule fired, the most frequent first."""
        return dict(Counter(one.rule.name for one in self.applied).most_common())

    def __str__(self) -> str:
        return "\n".join(f"{count:5}  {name}" for name, count in self.counts.items()) or "no rule fired"


def simplify(
    roots: Sequence[Tensor],
    rules: RuleSet = DEFAULT,
    *,
    budget: int = 50,
    known: Known | None = None,
    first: Sequence[Application] = (),
) -> Simplified:
    """Rewrite the graph under ``roots`` until no rule fits any more.

    Two nodes of a commutative op that differ in the order of their operands become one, the first. ``budget`` bounds the rewrites
    that descend from one node, and, times the number of nodes, all of them. ``known`` comes from an earlier call with at least these
    rules: what that left as it is, is only tried again where a rule declined for the number of readers, and that has changed. ``first``
    are rewrites of nodes of the graph that are done before any other.
    Raises :class:`RewriteError` when the budget is used up, naming the rules that chase each other, or when a rule changes a dtype.
    """
    roots = list(roots)
    nodes = toposort(roots)
    readers = dict(Counter(chain(roots, chain.from_iterable([node.inputs for node in nodes]))))
    run = _Run(rules, budget, budget * max(len(nodes), 20), readers)
    if known is not None and known.rules.issuperset(rules):
        run.earlier = known
    run.has_complex = any(dtypes.is_complex(type.dtype) for type in {node.type for node in nodes})
    starting = {one.before: one for one in first}
    for one in first:
        run.start(one)
    with run.line:
        for node in nodes:
            if node in starting:
                run.settle(starting[node].after)
                run.done[node] = run.done[starting[node].after]
            elif node not in run.done:
                run.visit(node)
    return Simplified([run.done[root] for root in roots], tuple(run.applied), Known(frozenset(rules), run.done, run.told))


class _Run:
    """The state of one call.

    ``done`` maps a node to its final form, ``trail`` a new node to the rules that led to it, ``readers`` counts the edges that leave
    a node, ``twins`` has the settled nodes of commutative ops by op and operands, ``told`` what rules were told of readers.
    """

    def __init__(self, rules: RuleSet, budget: int, total: int, readers: dict[Tensor, int]) -> None:
        self.rules, self.budget, self.total, self.readers = rules, budget, total, readers
        self.done: Final[dict[Tensor, Tensor]] = {}
        self.becomes: Final[dict[Tensor, Tensor]] = {}
        self.trail: Final[dict[Tensor, tuple[Rule, ...]]] = {}
        self.twins: Final[dict[tuple[Op | None, Tensor, Tensor], Tensor]] = {}
        self.applied: Final[list[Application]] = []
        self.told: Final[dict[Tensor, list[tuple[Tensor, bool]]]] = {}
        self.earlier: Known | None = None
        self.has_complex = True
        self.line: Final = derived_from()
        self._asking: Tensor | None = None

    def visit(self, node: Tensor) -> None:
        """Settle a node whose operands are settled. Most stay as they are, so this is the short way of ``settle``."""
        done = self.done
        new = node
        for x in node.inputs:
            if done[x] is not x:
                new = self._rebuilt(node, tuple([done[x] for x in node.inputs]))
                break
        if new not in done:
            found = self._fired(new, ())
            if found is not None:
                for waiting in (*self._follow(new, *found), new):
                    self.settle(waiting)
            elif new.op in COMMUTATIVE:
                done[new] = self._first_twin(new)
            else:
                done[new] = new
        done[node] = done[new]

    def start(self, one: Application) -> None:
        """Let the second node of ``one`` take the place of the first, with its readers and its name."""
        for x in one.before.inputs:
            self.readers[x] -= 1
        for x in one.after.inputs if one.after not in self.readers else ():
            self.readers[x] = self.readers.get(x, 0) + 1
        self._reads_instead(one.after, one.before)
        self._labelled(one.after, one.before)
        self.applied.append(one)

    def _is_settled(self, node: Tensor, earlier: Known) -> bool:
        """Whether an earlier run tried the rules on this node, found none, and would find none now; what they were told is kept then."""
        if earlier.final.get(node) is not node:
            return False
        told = earlier.told.get(node)
        if told is None:
            return True
        for x, answer in told:
            if self._is_read_once(x) is not answer:
                return False
        self.told[node] = told
        return True

    def _is_read_once(self, node: Tensor) -> bool:
        return self.readers.get(node, 0) < 2

    def once(self, node: Tensor) -> bool:
        """Whether one node alone reads this one, once. What a rule has just made counts as such."""
        answer = self._is_read_once(node)
        if self._asking is not None:
            self.told.setdefault(self._asking, []).append((node, answer))
        return answer

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
        self._reads_instead(new, node)
        self._inherit(node, [new], trail)
        self.becomes[node] = new
        return (new,)

    def _rebuilt(self, node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
        """The node on settled operands."""
        new = on_others(node, inputs)
        self._reads_instead(new, node)
        return self._labelled(new, node)

    def _reads_instead(self, new: Tensor, old: Tensor) -> None:
        """Who reads the old node will read the new one."""
        self.readers[new] = self.readers.get(new, 0) + self.readers.get(old, 0)

    def _fired(self, node: Tensor, trail: tuple[Rule, ...]) -> tuple[Tensor, tuple[Rule, ...]] | None:
        """What the first rule that fits makes of the node, and the rules that led there."""
        if self.earlier is not None and self._is_settled(node, self.earlier):
            return None
        rules = self.rules.candidates(node)
        found = self._apply(node, rules) if rules else None
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
        self._reads_instead(twin, node)
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

    def _apply(self, node: Tensor, rules: Sequence[Rule]) -> Application | None:
        self._asking = node
        self.line.goes_on_to(node)
        for rule in rules:
            for bound in rule.bindings(node):
                if self.has_complex and not may_apply(rule, node, bound):
                    continue
                after = replacement(rule, node, bound, self.once)
                if after is not None:
                    return Application(rule, node, self._labelled(after, node))
        return None

    def _labelled(self, new: Tensor, old: Tensor) -> Tensor:
        """The user's name goes on to a node that is new to the graph; those that it had before keep their own."""
        if old.label and not new.label and new.op is not None and new not in self.done:
            new.label = old.label
        return new


def may_apply(rule: Rule, node: Tensor, bound: Bound) -> bool:
    """Whether neither the node nor anything in the match is complex, unless the rule holds for complex numbers too."""
    return rule.takes_complex or not any(map(_is_complex, (node, *bound.values())))


def _is_complex(value: Any) -> bool:
    return isinstance(value, Tensor) and dtypes.is_complex(value.dtype)


def replacement(rule: Rule, node: Tensor, bound: Bound, once: Once) -> Tensor | None:
    """What the rule makes of a match, as a node of the type of ``node``; None if it declines or makes the node itself."""
    result = rule(node, bound, once)
    if result is None:
        return None
    after = _fitted(rule, node, result)
    return None if after is node else after


def _fitted(rule: Rule, node: Tensor, result: Any) -> Tensor:
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
