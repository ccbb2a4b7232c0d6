"""Rules: a pattern, a name, a sentence and a safety class. Sets of rules add with ``+``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from graphc.core import OPS, Constant, Op, Tensor
from graphc.core.errors import ArgumentError, DeclarationError, near
from graphc.core.op import parameters_of
from graphc.core.pattern import Capture, Pattern, Var
from graphc.rewrite.match import Bound, match_attributes, matches, operation

SAFETIES: Final = {
    "exact": "same bits for every input, NaN, inf, -0.0, subnormals and empty arrays included",
    "rounding": "same up to a few units in the last place, and the same NaN and inf; the sign of a zero may differ",
    "overflow": "may remove an intermediate overflow or underflow, and adds none",
    "nan_unsafe": "assumes that no NaN and no inf occurs",
}
"""The safety classes, the strictest first, and what each promises."""

Body: TypeAlias = Callable[..., Any]
"""What a rule puts in the place of its match: a tensor, a number, or None to decline."""
Head: TypeAlias = Op | type[Tensor]
"""What a node is: its op, or the class of a leaf."""
Once: TypeAlias = Callable[[Tensor], bool]
"""Whether a node of the graph has one reader only."""
Leaf: TypeAlias = Callable[..., Tensor]
"""Makes an operand of a case: ``leaf(2, 3)`` is a float tensor, in each float dtype in turn, ``leaf(3, dtype="int32")`` of this one."""

_OFFERED: Final = {"node", "once"}
"""What a body may take beside the names of its pattern."""


class Rule:
    """One rewrite. ``cases`` are concrete instances for the tests, where none can be made from the pattern alone.

    ``reads`` are the heads of which an operand must have one, or every operand if it ``reads_all``; the pattern says it, unless it is
    but a variable. ``regroups`` says that products or sums are formed in another order: then the promise holds as long as neither
    order overflows or underflows on the way, and what is not finite stays so. ``only`` names the backend on which the rule pays, if it
    does on one alone: XLA fuses element by element, so that a pass over memory that NumPy is spared may be none there. A dataclass
    would be as long, and cost every start a millisecond.
    """

    def __init__(
        self,
        name: str,
        pattern: Pattern,
        safety: str,
        body: Body,
        sentence: str,
        group: str,
        cases: tuple[Callable[[Leaf], Tensor], ...] = (),
        reads: Iterable[Head] = (),
        reads_all: bool = False,
        regroups: bool = False,
        only: str = "",
    ) -> None:
        if safety not in SAFETIES:
            raise ArgumentError(f"the rule {name} has the safety {safety!r}{near(safety, SAFETIES)}", fits=", ".join(SAFETIES))
        if not sentence:
            raise ArgumentError(f"the rule {name} says nothing of itself", fits="a docstring of one sentence")
        self.name, self.pattern, self.safety, self.body, self.sentence, self.group = name, pattern, safety, body, sentence, group
        self.cases, self.reads, self.reads_all, self.regroups, self.only = cases, frozenset(reads), reads_all, regroups, only
        names = set(names_of(pattern))
        self.parameters: Final = self._checked_parameters(names | _OFFERED)
        # Laws and movements hold for complex numbers too; the algebra of roots, signs and stable forms need not.
        self.takes_complex: Final = group in ("laws", "movement", "fold", "product")
        self._offers: Final = tuple([name for name in sorted(_OFFERED) if name in self.parameters])
        self._unused: Final = tuple(sorted(names - self.parameters))
        self._same: Final = _repeated(pattern.operands)
        self._flat: Final = _flat(pattern)

    def _checked_parameters(self, names: set[str]) -> frozenset[str]:
        given = set(parameters_of(self.body))
        optional = {name for name in names if name.startswith("_")} | _OFFERED
        if given - names or names - optional - given:
            wanted = ", ".join(sorted(names - optional))
            asked = f"the rule {self.name} takes ({', '.join(sorted(given))}), its pattern {self.pattern!r} names ({wanted})"
            raise DeclarationError(asked, fits=wanted)
        return frozenset(given)

    def __call__(self, node: Tensor, bound: dict[str, Any], once: Once) -> Any:
        """What the rule makes of a match, or None if it declines. ``once`` tells which nodes are read but once."""
        if not self._offers and not self._unused:
            return self.body(**bound)
        given = dict(bound)
        if "node" in self._offers:
            given["node"] = node
        if "once" in self._offers:
            given["once"] = once
        for name in self._unused:
            del given[name]
        return self.body(**given)

    def bindings(self, node: Tensor) -> Iterable[Bound]:
        """Every way in which the pattern fits the node, given that its operands' heads do."""
        inputs = node.inputs
        for i, j in self._same:
            if inputs[i] is not inputs[j]:
                return ()
        if not self._flat:
            return matches(self.pattern, node) if self.pattern.op is None else operation(self.pattern, node, {})
        if len(self._flat) != len(inputs):
            return ()
        bound: Bound = dict(zip(self._flat, inputs, strict=True))
        if self.pattern.attributes:
            found = match_attributes(self.pattern, node, bound)
            return () if found is None else (found,)
        return (bound,)

    def may_fit(self, heads: tuple[Head, ...], commutative: bool) -> bool:
        """Whether it can match a node of its op whose operands have these heads."""
        if self.pattern.op is None:
            return self.reads.issuperset(heads) if self.reads_all else not self.reads or not self.reads.isdisjoint(heads)
        operands = self.pattern.operands
        if len(operands) != len(heads):
            return False
        return _fits(operands, heads) or (commutative and _fits(operands, heads[::-1]))

    def __repr__(self) -> str:
        return f"<rule {self.name}: {self.safety}>"


def _repeated(operands: tuple[Any, ...]) -> tuple[tuple[int, int], ...]:
    """The places of operands that have to be one node, since one variable stands for them."""
    names = [operand.name if isinstance(operand, Var) else None for operand in operands]
    return tuple([(names.index(name), i) for i, name in enumerate(names) if name is not None and names.index(name) < i])


def _flat(pattern: Pattern) -> tuple[str, ...]:
    """The names of the operands, if they are variables, each another one, in an order that matters: then there is one way to fit."""
    names = [x.name for x in pattern.operands if isinstance(x, Var) and not x.constant]
    plain = pattern.op is not None and "commutative" not in pattern.op.laws and len(set(names)) == len(pattern.operands)
    return tuple(names) if plain else ()


def _fits(operands: tuple[Any, ...], heads: tuple[Head, ...]) -> bool:
    return all(_may_be(operand, head) for operand, head in zip(operands, heads, strict=True))


def _may_be(operand: Any, head: Head) -> bool:
    if isinstance(operand, Var):
        return head is Constant or not operand.constant
    if isinstance(operand, Pattern):
        return head is operand.op
    return head is Constant or head is OPS["broadcast_to"]  # a literal: a constant, or a uniform one spread out


def names_of(pattern: Any) -> Iterator[str]:
    """The names that a match of this pattern binds, the anonymous ones (``_b``) included."""
    if isinstance(pattern, Var | Capture):
        yield pattern.name
    elif isinstance(pattern, Pattern):
        for part in (*pattern.operands, *pattern.attributes.values()):
            yield from names_of(part)


def rule(
    pattern: Any,
    *,
    safety: str,
    name: str = "",
    cases: Iterable[Callable[[Leaf], Tensor]] = (),
    reads: Iterable[Head] = (),
    reads_all: bool = False,
    regroups: bool = False,
    only: str = "",
) -> Callable[[Body], Rule]:
    """Make the function below a rule: its name and docstring are the rule's, its parameters the names in the pattern.

    It may also take ``node``, the whole match, and ``once``, a function that tells whether a node is read but once, and so goes with
    its reader. A name that begins with an underscore need not be taken. It returns what replaces the match (a smaller shape is
    broadcast back, a number gets the dtype), or None to decline. The other arguments are those of :class:`Rule`. Raises
    :class:`TypeError` if the parameters are not the pattern's names, :class:`ArgumentError` for an unknown safety class or no docstring.
    """

    def declare(body: Body) -> Rule:
        group = body.__module__.rpartition(".")[2]
        return Rule(
            name or body.__name__,
            pattern,
            safety,
            body,
            "\n".join([line.strip() for line in (body.__doc__ or "").strip().splitlines()]),
            group,
            tuple(cases),
            reads,
            reads_all,
            regroups,
            only,
        )

    return declare


class RuleSet:
    """Rules in the order in which they are tried. ``a + b`` has those of both; printing it lists them."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules: Final = tuple(dict.fromkeys(rules))
        twice = sorted(name for name, count in Counter(one.name for one in self.rules).items() if count > 1)
        if twice:
            raise ArgumentError(f"two rules are called {twice[0]!r}", fits="a name of its own for each rule")
        self._index: Final[dict[Op, tuple[Rule, ...]]] = {}
        self._candidates: Final[dict[tuple[Any, ...], tuple[Rule, ...]]] = {}

    def __add__(self, other: RuleSet | Rule) -> RuleSet:
        return RuleSet((*self.rules, *(other if isinstance(other, RuleSet) else (other,))))

    def __sub__(self, names: Iterable[str]) -> RuleSet:
        """The set without the rules of these names. Raises :class:`ArgumentError` for a name that no rule has."""
        dropped = {names} if isinstance(names, str) else set(names)
        if strange := sorted(dropped - set(self._names())):
            asked = f"there is no rule {strange[0]!r}{near(strange[0], self._names())}"
            raise ArgumentError(asked, fits="names that the printed set lists")
        return RuleSet([one for one in self.rules if one.name not in dropped])

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def __getitem__(self, name: str) -> Rule:
        """The rule of this name. Raises :class:`ArgumentError` if there is none."""
        for one in self.rules:
            if one.name == name:
                return one
        raise ArgumentError(f"there is no rule {name!r}{near(name, self._names())}", fits="a name that the printed set lists")

    def _names(self) -> list[str]:
        return [one.name for one in self.rules]

    def within(self, *safeties: str) -> RuleSet:
        """The rules of these safety classes. Raises :class:`ArgumentError` for another one."""
        if strange := sorted(set(safeties) - set(SAFETIES)):
            raise ArgumentError(f"there is no safety class {strange[0]!r}{near(strange[0], SAFETIES)}", fits=", ".join(SAFETIES))
        return RuleSet([one for one in self.rules if one.safety in safeties])

    def without(self, *groups: str) -> RuleSet:
        """The rules that are not of these groups."""
        return RuleSet([one for one in self.rules if one.group not in groups])

    def on(self, backend: str) -> RuleSet:
        """The rules that may pay on this backend."""
        return RuleSet([one for one in self.rules if one.only in ("", backend)])

    def at(self, op: Op) -> tuple[Rule, ...]:
        """The rules that may fire at a node of ``op``."""
        found = self._index.get(op)
        if found is None:
            found = tuple([one for one in self.rules if one.pattern.op is op or one.pattern.op is None])
            self._index[op] = found
        return found

    def candidates(self, node: Tensor) -> tuple[Rule, ...]:
        """The rules that may fire at this node, as its op and those of its operands tell."""
        op = node.op
        if op is None:
            return ()
        key = (op, *[x.op or x.__class__ for x in node.inputs])
        found = self._candidates.get(key)
        if found is None:
            heads, commutative = key[1:], "commutative" in op.laws
            found = self._candidates[key] = tuple([one for one in self.at(op) if one.may_fit(heads, commutative)])
        return found

    def __str__(self) -> str:
        width = max([len(one.name) for one in self.rules], default=0)
        return "\n".join(f"{one.name:{width}}  {one.safety:10}  {one.sentence.splitlines()[0]}" for one in self.rules)

    __repr__ = __str__
