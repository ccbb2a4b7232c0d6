"""Equality saturation: every rule is tried everywhere, nothing is thrown away, and the cheapest graph is taken in the end.

:func:`simplify` replaces what a rule matches, so that what a rule does may keep another from firing, and rules have to go one way.
Here rules add equals instead. An e-graph keeps classes of equal nodes whose operands are classes (Willsey, Nandi, Wang, Flatt,
Tatlock and Panchekha, "egg: fast and extensible equality saturation", POPL 2021). It grows until nothing new comes or a limit is
reached, and then the cheapest graph that can be found is taken out of it. The rules are those of ``simplify``, with their
conditions, since each match is shown to them as a plain node; ``EXPLORING`` has more, that lead to dearer graphs on the way.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from graphc.core import Constant, Op, Tensor, derived_from, dtypes, toposort
from graphc.core.pattern import Pattern, Var
from graphc.ops import matmul, square, transpose
from graphc.rewrite.engine import Application, may_apply, replacement
from graphc.rewrite.match import is_literal
from graphc.rewrite.rule import Rule, RuleSet, rule
from graphc.rewrite.rules.common import x, y, z

Cost = Callable[[Tensor], float]
"""What a node costs by itself. It may look at the types of the operands, and at what they are."""


# ---------------------------------------------------------------- rules that cost something first
@rule(x * (y * z), safety="rounding", regroups=True)
def product_regrouped(node: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor | None:
    """Factors are multiplied in any order."""
    return (x * y) * z if dtypes.is_float(node.dtype) else None


@rule(x * (y + z), safety="rounding", regroups=True)
def product_of_sum(node: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor | None:
    """A factor of a sum is a factor of its terms."""
    return x * y + x * z if dtypes.is_float(node.dtype) else None


@rule(square(x), safety="exact")
def square_spelt_out(x: Tensor) -> Tensor | None:
    """A square is a product, which may have a factor in common with others."""
    return x * x if dtypes.is_float(x.dtype) else None


def _are_matrices(*tensors: Tensor) -> bool:
    return all(a.ndim == 2 and dtypes.is_float(a.dtype) for a in tensors)


@rule(matmul(matmul(x, y), z), safety="rounding", regroups=True, cases=(lambda leaf: leaf(2, 3) @ leaf(3, 4) @ leaf(4, 2),))
def chain_regrouped_to_the_right(x: Tensor, y: Tensor, z: Tensor) -> Tensor | None:
    """``(x y) z`` is ``x (y z)``."""
    return matmul(x, matmul(y, z)) if _are_matrices(x, y) and z.ndim < 3 else None


@rule(matmul(x, matmul(y, z)), safety="rounding", regroups=True, cases=(lambda leaf: leaf(2, 3) @ (leaf(3, 4) @ leaf(4, 2)),))
def chain_regrouped_to_the_left(x: Tensor, y: Tensor, z: Tensor) -> Tensor | None:
    """``x (y z)`` is ``(x y) z``."""
    return matmul(matmul(x, y), z) if _are_matrices(x, y) and z.ndim < 3 else None


@rule(matmul(x, y + z), safety="rounding", regroups=True, cases=(lambda leaf: leaf(2, 3) @ (leaf(3, 4) + leaf(3, 4)),))
def left_product_of_sum(x: Tensor, y: Tensor, z: Tensor) -> Tensor | None:
    """``x (y + z)`` is ``x y + x z``."""
    return matmul(x, y) + matmul(x, z) if _are_matrices(x, y, z) and y.type is z.type else None


@rule(matmul(x + y, z), safety="rounding", regroups=True, cases=(lambda leaf: (leaf(2, 3) + leaf(2, 3)) @ leaf(3, 4),))
def right_product_of_sum(x: Tensor, y: Tensor, z: Tensor) -> Tensor | None:
    """``(x + y) z`` is ``x z + y z``."""
    return matmul(x, z) + matmul(y, z) if _are_matrices(x, y, z) and x.type is y.type else None


@rule(transpose(matmul(x, y), axes=(1, 0)), safety="rounding", cases=(lambda leaf: (leaf(2, 3) @ leaf(3, 4)).T,))
def transpose_of_product(x: Tensor, y: Tensor) -> Tensor | None:
    """``(x y)ᵀ`` is ``yᵀ xᵀ``."""
    return matmul(transpose(y), transpose(x)) if _are_matrices(x, y) else None


EXPLORING: Final = RuleSet(value for value in list(vars().values()) if isinstance(value, Rule))
"""Rules whose result may be dearer than what they match. None of them may be given to ``simplify``."""


# ---------------------------------------------------------------- the result
class Saturated(NamedTuple):
    """The cheapest roots found, of the same types, and what led there.

    ``applied`` are the applications whose nodes are in the new graph; ``tried`` counts all that added something, by rule.
    ``stopped`` says why it ended: ``"saturated"``, ``"nodes"`` or ``"seconds"``. Costs are those of the cost function.
    """

    roots: list[Tensor]
    applied: tuple[Application, ...]
    tried: Counter[str]
    nodes: int
    classes: int
    rounds: int
    stopped: str
    cost_before: float
    cost: float

    @property
    def counts(self) -> dict[str, int]:
        """How often each rule fired for what is in the new graph, the most frequent first."""
        return dict(Counter(one.rule.name for one in self.applied).most_common())

    def __str__(self) -> str:
        lines = [
            f"{self.nodes} nodes in {self.classes} classes after {self.rounds} rounds ({self.stopped})",
            f"cost {self.cost_before:.6g} before, {self.cost:.6g} after",
        ]
        return "\n".join([*lines, *(f"{count:5}  {name}" for name, count in self.counts.items())])


def saturate(roots: Sequence[Tensor], rules: RuleSet, cost: Cost, *, nodes: int = 1_000, seconds: float = 10.0) -> Saturated:
    """The cheapest graph that the rules (and ``EXPLORING``) lead to, within so many nodes of the e-graph and so much time.

    The graph is taken as it is where nothing cheaper is found, but for what a rule replaces by something more stable. Half of the time
    is kept for the choice. A result that ``stopped`` for ``"seconds"`` may be another one on a machine that is less quick.
    """
    deadline = time.perf_counter() + seconds / 2
    graph = _EGraph(roots)
    stopped, rounds = graph.grow(rules + EXPLORING, nodes, deadline)
    choice = _Choice(graph, roots, cost, deadline + seconds / 2)
    choice.improve()
    new, applied = choice.built(roots)
    return Saturated(new, applied, graph.tried, graph.size, len(graph.members), rounds, stopped, choice.before, choice.total)


# ---------------------------------------------------------------- the graph of equals
class _Enode(NamedTuple):
    """An op on classes, or a leaf."""

    op: Op | None
    attrs: tuple[Any, ...]
    operands: tuple[int, ...]
    leaf: Tensor | None

    @property
    def head(self) -> Any:
        """What a rule's index knows of it."""
        return self.op or type(self.leaf)


class _EGraph:
    """Classes of equal nodes.

    ``members`` has the nodes of each class, with where they came from (None: the graph as it was), ``stand_in`` the one tensor by which
    rules see a class, ``barred`` the nodes that a rule has found to be worse than their equals for what they do to values.
    """

    def __init__(self, roots: Sequence[Tensor]) -> None:
        self.parent: Final[list[int]] = []
        self.members: Final[dict[int, dict[_Enode, Application | None]]] = {}
        self.stand_in: Final[dict[int, Tensor]] = {}
        self.barred: set[_Enode] = set()
        self.tried: Final[Counter[str]] = Counter()
        self._class_of: dict[_Enode, int] = {}
        self._known: Final[dict[Tensor, int]] = {}
        self._seen: Final[set[tuple[Rule, Tensor]]] = set()
        for root in roots:
            self.add(root, None)

    @property
    def size(self) -> int:
        """How many nodes."""
        return len(self._class_of)

    def find(self, number: int) -> int:
        """The class that this one is part of by now."""
        parent = self.parent
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    def add(self, root: Tensor, source: Application | None) -> int:
        """The class of a tensor, with all that it is made of."""
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = () if node in self._known else [x for x in node.inputs if x not in self._known]
            if not waiting:
                stack.pop()
                if node not in self._known:
                    self._known[node] = self._added(node, source)
            stack.extend(waiting)
        return self.find(self._known[root])

    def _added(self, node: Tensor, source: Application | None) -> int:
        enode = self.enode(node)
        found = self._class_of.get(enode)
        if found is None:
            found = len(self.parent)
            self.parent.append(found)
            self._class_of[enode] = found
            self.members[found] = {enode: source}
            self.stand_in[found] = node
        return found

    def enode(self, node: Tensor) -> _Enode:
        """The node with classes for its operands, which are known."""
        operands = tuple([self.find(self._known[x]) for x in node.inputs])
        return _Enode(node.op, node.attrs, operands, node if node.op is None else None)

    def tensor(self, enode: _Enode) -> Tensor:
        """The node on the stand-ins of its operands' classes."""
        return self._applied(enode, [self.stand_in[self.find(i)] for i in enode.operands])

    def over(self, enode: _Enode, inputs: Sequence[Tensor]) -> Tensor:
        """The node on these operands."""
        if enode.leaf is not None:
            return enode.leaf
        assert enode.op is not None
        return enode.op.apply(tuple(inputs), enode.attrs)

    def _applied(self, enode: _Enode, inputs: Sequence[Tensor]) -> Tensor:
        node = self.over(enode, inputs)
        self.add(node, None)
        return node

    def merge(self, a: int, b: int) -> None:
        """Two classes are one; afterwards ``rebuild``."""
        a, b = sorted((self.find(a), self.find(b)))
        if a == b:
            return
        self.parent[b] = a
        self.members[a] = self.members.pop(b) | self.members[a]
        other = self.stand_in.pop(b)
        if isinstance(other, Constant):  # rules look for constants
            self.stand_in[a] = other

    def rebuild(self) -> None:
        """Nodes that have become equal since their operands have are in one class again, until nothing changes."""
        changed = True
        while changed:
            changed = False
            self._class_of, self.barred = {}, {self._canonical(enode) for enode in self.barred}
            for number in list(self.members):
                if number not in self.members:
                    continue
                sources: dict[_Enode, Application | None] = {}
                for enode, source in self.members[number].items():
                    new = self._canonical(enode)
                    sources[new] = sources[new] and source if new in sources else source
                self.members[number] = sources
                for enode in sources:
                    known = self._class_of.setdefault(enode, number)
                    if self.find(known) != self.find(number):
                        self.merge(known, number)
                        changed = True

    def _canonical(self, enode: _Enode) -> _Enode:
        return enode._replace(operands=tuple(map(self.find, enode.operands)))

    # ------------------------------------------------------------ growing
    def grow(self, rules: RuleSet, nodes: int, deadline: float) -> tuple[str, int]:
        """Apply the rules until nothing new comes; why it stopped and after how many rounds."""
        rounds = 0
        while True:
            rounds += 1
            found: list[tuple[int, Application]] = []
            for match in self._matches(rules):
                found.append(match)
                if len(found) > nodes or time.perf_counter() > deadline:
                    break
            grown = False
            for number, application in found:
                grown |= self._equate(number, application)
                if self.size > nodes:
                    break
            self.rebuild()
            if time.perf_counter() > deadline:
                return "seconds", rounds
            if self.size > nodes:
                return "nodes", rounds
            if not grown:
                return "saturated", rounds

    def _equate(self, number: int, application: Application) -> bool:
        size, new = self.size, self.add(application.after, application)
        if application.rule.group == "stable" or application.rule.safety == "overflow":
            self.barred.add(self.enode(application.before))
        if size == self.size and self.find(number) == new:
            return False
        self.merge(number, new)
        self.tried[application.rule.name] += 1
        return True

    def _matches(self, rules: RuleSet) -> Iterator[tuple[int, Application]]:
        for number, members in list(self.members.items()):
            for enode in list(members):
                if enode.op is None or enode in self.barred:
                    continue
                for one in rules.at(enode.op):
                    for witness in self._witnesses(one, enode):
                        for application in self._applications(one, witness):
                            yield number, application

    def _applications(self, one: Rule, witness: Tensor) -> Iterator[Application]:
        """What the rule makes of a node that it has not seen yet. Readers do not count here: the choice knows them."""
        if (one, witness) in self._seen:
            return
        self._seen.add((one, witness))
        assert witness.op is not None
        if not one.may_fit(tuple([x.op or type(x) for x in witness.inputs]), "commutative" in witness.op.laws):
            return
        for bound in one.bindings(witness):
            with derived_from(witness):
                after = replacement(one, witness, bound, lambda _: True) if may_apply(one, witness, bound) else None
            if after is not None:
                yield Application(one, witness, after)

    def _witnesses(self, one: Rule, enode: _Enode) -> Iterable[Tensor]:
        """The node with, below it, members of its operands' classes such as the pattern asks for."""
        pattern = one.pattern
        if pattern.op is not None:
            return self._shaped(pattern, enode)
        ways = [self._with_heads(self.find(i), one.reads) for i in enode.operands]
        return [self._applied(enode, inputs) for inputs in itertools.product(*ways)]

    def _with_heads(self, number: int, heads: frozenset[Any]) -> list[Tensor]:
        found = [self.tensor(enode) for enode in list(self.members[number]) if enode.head in heads]
        return list(dict.fromkeys([self.stand_in[number], *found]))

    def _shaped(self, pattern: Pattern, enode: _Enode) -> list[Tensor]:
        assert enode.op is not None
        if len(pattern.operands) != len(enode.operands):
            return []
        orders = [pattern.operands]
        if "commutative" in enode.op.laws and not all(isinstance(part, Var) and not part.constant for part in pattern.operands):
            orders.append(pattern.operands[::-1])
        found: dict[Tensor, None] = {}
        for order in orders:
            ways = [self._of_class(part, self.find(i)) for part, i in zip(order, enode.operands, strict=True)]
            found.update(dict.fromkeys(self._applied(enode, inputs) for inputs in itertools.product(*ways)))
        return list(found)

    def _of_class(self, part: Any, number: int) -> list[Tensor]:
        """The tensors of a class that a part of a pattern may match: one where it is a variable."""
        stand_in = self.stand_in[number]
        if isinstance(part, Var):
            return [stand_in] if not part.constant or isinstance(stand_in, Constant) else []
        members = list(self.members[number])
        if isinstance(part, Pattern):
            return [node for enode in members if enode.op is part.op for node in self._shaped(part, enode)]
        found = [self.tensor(enode) for enode in members if enode.leaf is not None or (enode.op and enode.op.name == "broadcast_to")]
        return [node for node in found if is_literal(node, part)][:1]


# ---------------------------------------------------------------- the choice
_LEAST: Final = 1e-6
"""Added to the cost of each node where every class is looked at by itself, so that a node is dearer than what it reads."""


class _Choice:
    """Which node of each class to compute, so that all roots together cost the least, what several read counted once.

    It begins with the graph as it was, or, if that is cheaper, with the least cost of each class by itself, and then exchanges one node at
    a time as long as the whole gets cheaper. (The least of all is NP-hard.)
    """

    def __init__(self, graph: _EGraph, roots: Sequence[Tensor], cost: Cost, deadline: float) -> None:
        self.graph, self.deadline = graph, deadline
        self.roots = [graph.add(root, None) for root in roots]
        self.members = {number: self._allowed(number) for number in graph.members}
        self.cost = {enode: cost(graph.tensor(enode)) for members in self.members.values() for enode in members}
        self.chosen = {number: members[0] for number, members in self.members.items()}
        self.before = 0.0
        for node in toposort(roots):
            enode = graph.enode(node)
            self.cost[enode] = cost(node)
            self.before += self.cost[enode]
            if enode not in graph.barred:
                self.chosen[graph.find(graph.add(node, None))] = enode
        self.total = self._total(self.chosen)

    def _allowed(self, number: int) -> list[_Enode]:
        members = [enode for enode in self.graph.members[number] if number not in enode.operands]
        return [enode for enode in members if enode not in self.graph.barred] or members

    def improve(self) -> None:
        """Make the choice cheaper."""
        trees = self._trees()
        total = self._total(trees)
        if total < self.total:
            self.chosen, self.total = trees, total
        else:
            self.chosen = trees | self._reached(self.chosen)
        while self._exchange():
            pass

    def _trees(self) -> dict[int, _Enode]:
        """For each class the node that is least with all below it, as if nothing were shared."""
        least: dict[int, float] = {}
        chosen: dict[int, _Enode] = {}
        changed = True
        while changed:
            changed = False
            for number, members in self.members.items():
                for enode in members:
                    below = [least.get(i, float("inf")) for i in enode.operands]
                    total = self.cost[enode] + sum(below) + _LEAST
                    if total < least.get(number, float("inf")) * (1 - 1e-9):
                        least[number], chosen[number], changed = total, enode, True
        return chosen

    def _exchange(self) -> bool:
        better = False
        for number in list(self._reached(self.chosen)):
            for enode in self.members[number]:
                if time.perf_counter() > self.deadline:
                    return False
                before = self.chosen[number]
                if enode == before:
                    continue
                self.chosen[number] = enode
                total = self._total(self.chosen)
                if total < self.total * (1 - 1e-9):
                    self.total, better = total, True
                else:
                    self.chosen[number] = before
        return better

    def _total(self, chosen: dict[int, _Enode]) -> float:
        """The cost of the graph; infinite if it runs in a circle."""
        reached = self._reached(chosen)
        return sum([self.cost[enode] for enode in reached.values()]) if reached else float("inf")

    def _reached(self, chosen: dict[int, _Enode]) -> dict[int, _Enode]:
        """The nodes of the graph by class, each after its operands; none if it runs in a circle."""
        done: dict[int, _Enode] = {}
        open_: set[int] = set()
        stack = list(self.roots)
        while stack:
            number = stack[-1]
            if number in done:
                stack.pop()
                continue
            enode = chosen[number]
            waiting = [i for i in enode.operands if i not in done]
            if not waiting:
                done[number] = enode
                open_.discard(number)
                stack.pop()
                continue
            if number in open_:  # it was left for its operands, and one of them waits for it
                return {}
            open_.add(number)
            stack.extend(waiting)
        return done

    def built(self, roots: Sequence[Tensor]) -> tuple[list[Tensor], tuple[Application, ...]]:
        """The graph, and the applications that its new nodes come from."""
        new: dict[int, Tensor] = {}
        applied: dict[Application, None] = {}
        for number, enode in self._reached(self.chosen).items():
            source = self.graph.members[number].get(enode)
            if source is not None:
                applied[source] = None
            stand_in = self.graph.stand_in[number]
            with derived_from(source.before if source else stand_in):
                new[number] = node = self.graph.over(enode, [new[i] for i in enode.operands])
            if stand_in.label and not node.label and node.op is not None:
                node.label = stand_in.label
        return [new[number] for number in self.roots], tuple(applied)
