"""What the explorer shows, as plain values: nodes, groups, passes, source, memory. It knows no graph and no compiler.

Nodes, groups and origins are known by their places in the lists. A node may be in several passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

GroupKind = Literal["scope", "reversed", "loop", "body"]


@dataclass(slots=True)
class Node:
    """A node: ``headline`` is what stands in its box, ``name`` what formulas call it.

    ``kind`` is a kind of :data:`graphc.show.style.NODES`. ``cost`` are the texts of operations, bytes and time. ``is_reversed`` says that
    it belongs to a gradient, and ``forward`` whose. ``body`` is the group of the graph that it repeats or chooses, ``carried`` are the
    pairs of a new carry there and the carry of the next step. ``is_hidden`` are numbers, which their readers show.
    """

    name: str
    kind: str
    type: str
    headline: str = ""
    op: str = ""
    formula: str = ""
    inputs: tuple[int, ...] = ()
    group: int = -1
    origin: int | None = None
    cost: tuple[str, str, str] | None = None
    microseconds: float = 0.0
    role: str = ""
    is_reversed: bool = False
    forward: int | None = None
    body: int | None = None
    carried: tuple[tuple[int, int], ...] = ()
    is_hidden: bool = False

    def record(self) -> dict[str, Any]:
        """What the page reads, without what is not so."""
        always = {"n": self.name, "k": self.kind, "t": self.type, "i": self.inputs, "g": self.group}
        places = {"l": self.origin, "of": self.forward, "body": self.body}
        others = {
            "o": self.headline,
            "op": self.op,
            "f": self.formula,
            "c": self.cost,
            "us": self.microseconds,
            "out": self.role,
            "b": int(self.is_reversed),
            "carried": self.carried,
            "hidden": int(self.is_hidden),
        }
        said = {key: place for key, place in places.items() if place is not None}
        return always | said | {key: value for key, value in others.items() if value}


@dataclass(frozen=True, slots=True)
class Group:
    """A group of nodes, or the body of ``node``; ``parent`` is the group around it, -1 for none."""

    name: str
    kind: GroupKind
    parent: int = -1
    node: int | None = None

    def record(self) -> dict[str, Any]:
        """What the page reads."""
        found: dict[str, Any] = {"name": self.name, "kind": self.kind, "parent": self.parent}
        return found if self.node is None else found | {"node": self.node}


@dataclass(frozen=True, slots=True)
class Origin:
    """A line of the user's program, and its text where that can be read."""

    file: str
    line: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of rewriting: its name, its safety class, and what it does."""

    name: str
    safety: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Application:
    """A use of a rule (by its place): what was there and what came, as formulas and as nodes, and all nodes that came with it.

    The nodes are None where they were there only between two uses of rules.
    """

    rule: int
    old: str
    new: str
    before: int | None
    after: int | None
    made: tuple[int, ...] = ()


@dataclass(slots=True)
class Pass:
    """The graph after a pass: its nodes in order; those that are new, those that are gone, and what other nodes became.

    ``guessed`` are the nodes of the pass before whose successors are known by their places alone.
    """

    name: str
    title: str
    sentence: str
    nodes: list[int]
    work: str = ""
    changed: list[int] = field(default_factory=list[int])
    gone: list[int] = field(default_factory=list[int])
    became: dict[int, int] = field(default_factory=dict[int, int])
    guessed: list[int] = field(default_factory=list[int])
    applications: list[Application] = field(default_factory=list[Application])

    def record(self) -> dict[str, Any]:
        """What the page reads."""
        return {
            "name": self.name,
            "title": self.title,
            "does": self.sentence,
            "work": self.work,
            "nodes": self.nodes,
            "changed": self.changed,
            "gone": self.gone,
            "became": {str(old): new for old, new in self.became.items()},
            "guessed": self.guessed,
            "rules": [[one.rule, one.before, one.after, one.made, one.old, one.new] for one in self.applications],
        }


@dataclass(frozen=True, slots=True)
class Cotangent:
    """The derivative of the root by a node: as a formula, and as a node.

    ``over`` are the readers from which it comes, with the local derivative where there is one.
    """

    formula: str
    node: int | None
    over: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Gradient:
    """The root that was differentiated, and the cotangents of nodes of the first pass."""

    root: int
    of: Mapping[int, Cotangent]

    def record(self) -> dict[str, Any]:
        """What the page reads."""
        return {"root": self.root, "of": {str(x): {"f": g.formula, "id": g.node, "via": g.over} for x, g in self.of.items()}}


@dataclass(frozen=True, slots=True)
class Held:
    """A value in memory: its steps, bytes and place, and what the memory is called."""

    node: int
    first: int
    last: int
    nbytes: int
    begin: int
    where: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory over the steps of a call: values, bytes in use, and the nodes that each step computes; ``note`` says what it is of."""

    values: Sequence[Held]
    used: Sequence[int]
    steps: Sequence[tuple[int, ...]]
    note: str

    @property
    def peak(self) -> int:
        """The step in which most is in use."""
        return max(range(len(self.used)), key=self.used.__getitem__)

    def record(self) -> dict[str, Any]:
        """What the page reads."""
        values = [(one.node, one.first, one.last, one.nbytes, one.begin, one.where) for one in self.values]
        return {"values": values, "use": self.used, "steps": self.steps, "peak": self.peak}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """All of it. ``lines`` has the nodes that a line of the source computes, of the last pass; ``summary`` is a sentence."""

    title: str
    summary: str
    nodes: Sequence[Node]
    groups: Sequence[Group]
    origins: Sequence[Origin]
    rules: Sequence[Rule]
    passes: Sequence[Pass]
    source: str
    lines: Mapping[int, tuple[int, ...]]
    gradient: Gradient | None = None
    memory: Memory | None = None

    def record(self) -> dict[str, Any]:
        """What the page reads."""
        return {
            "nodes": [node.record() for node in self.nodes],
            "groups": [group.record() for group in self.groups],
            "origins": [(origin.file, origin.line, origin.text) for origin in self.origins],
            "rules": [{"name": rule.name, "safety": rule.safety, "does": rule.sentence} for rule in self.rules],
            "passes": [one.record() for one in self.passes],
            "lines": sorted(self.lines.items()),
            "grad": None if self.gradient is None else self.gradient.record(),
            "memory": None if self.memory is None else self.memory.record(),
        }
