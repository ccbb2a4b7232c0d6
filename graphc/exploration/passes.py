"""The passes of a compilation as an exhibit has them: every node once, in the passes where it is, with what it became in the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from linecache import getline
from os.path import basename
from typing import Final

from graphc.core import Constant, Tensor, Variable, bodies, toposort
from graphc.lower import Estimate
from graphc.lower.cost import totals, work
from graphc.pipeline import Pass, Report
from graphc.pipeline.savings import replaced
from graphc.rewrite import Rule
from graphc.show import explorer
from graphc.show.bodies import Body, bodies_of, is_part, parameter_label
from graphc.show.formula import one_line
from graphc.show.matching import matched_with_bodies
from graphc.show.names import Namer, plain_name
from graphc.show.notation import is_layout, leaf_number
from graphc.show.template import symbol

Frame = tuple[int, int] | None
"""The body that a node is in: the loop or branch, by its place among the nodes, and which of its bodies."""
Key = tuple[Frame, Tensor]
_FORMULA: Final = 600
"""Characters of a formula; the rest is left out."""
_REWRITTEN: Final = 160
"""The same where a rule is told."""
_UNSEEN: Final = ("schedule", "emit")
"""Stages that leave the graph as it is."""
SENTENCES: Final = {
    "declared": "The graph as it was written, gradients and new values of variables among it.",
    "keep": "What a backward loop would compute again is kept by the forward loop.",
    "simplify": "Rules rewrite the graph until none fits any more, from the leaves up.",
    "saturate": "Equality saturation: all rewrites at once, and then the cheapest of the graphs that they lead to.",
    "prune": "Results that nobody reads are dropped, and what they alone were made of.",
    "lift": "What does not depend on the step is computed for all steps at once, outside of the loop.",
    "sharing": "Functions of one operand share their exponentials.",
    "expand": "What the backend has no form for is taken apart into what it has.",
    "polish": "The rules once more, but for those that put pieces together.",
    "xla": "Spellings that XLA compiles to quicker programs.",
}


class Passes:
    """The nodes of all passes of a compilation.

    ``nodes`` and ``groups`` are those of the exhibit, ``passes`` too; ``keys`` has the place of each node in each body.
    """

    def __init__(self, report: Report) -> None:
        self.stages = [stage for stage in report.passes if stage.name not in _UNSEEN]
        self.declared, self.updated = report.declared, report.updated
        self.nodes: list[explorer.Node] = []
        self.groups: list[explorer.Group] = []
        self.origins: dict[explorer.Origin, int] = {}
        self.rules: dict[Rule, int] = {}
        self.keys: dict[Key, int] = {}
        self.tensors: list[Key] = []
        self.passes: list[explorer.Pass] = []
        self._group_of: dict[tuple[object, ...], int] = {}
        self._estimate = Estimate()
        self._namer = Namer()
        for place, stage in enumerate(self.stages):
            self._add(place, stage)
        self._tell_roles()

    @property
    def last(self) -> dict[Tensor, tuple[int, ...]]:
        """The places of each node of the last pass; a node of a body that is used twice has two."""
        found: dict[Tensor, tuple[int, ...]] = {}
        for place in self.passes[-1].nodes:
            node = self.tensors[place][1]
            found[node] = (*found.get(node, ()), place)
        return found

    def at(self, node: Tensor) -> int | None:
        """The place of a node that is in no body."""
        return self.keys.get((None, node))

    # -- one pass ------------------------------------------------------------------------------------
    def _add(self, place: int, stage: Pass) -> None:
        before, old = (self.passes[-1], self.stages[place - 1]) if place else (None, None)
        name = "lowered" if stage is self.stages[-1] and place else stage.name
        title = name if name == stage.name else f"{stage.name}: lowered"
        own = explorer.Pass(name, title, SENTENCES.get(stage.name, ""), [])
        if before is not None and old is not None and stage.roots == old.roots:
            own.nodes, own.work = before.nodes, before.work
        else:
            known = len(self.nodes)
            self._enter(stage.roots, None, {}, (), own.nodes)
            if before is not None and old is not None:
                self._follow(own, before, old, stage)
            self._name(own.nodes, known, own.became)
            for one in range(known, len(self.nodes)):
                self._describe(one)
            own.work = str(totals(stage.roots, self._estimate))
        if before is not None:
            self._compare(own, before, stage)
        self.passes.append(own)

    def _enter(self, roots: Sequence[Tensor], frame: Frame, given: Mapping[Tensor, str], around: tuple[str, ...], order: list[int]) -> None:
        """The nodes under these roots, each body behind the node that holds it."""
        nodes = toposort(roots)
        first: dict[Tensor, Tensor] = {}
        for node in nodes:
            for x in node.inputs:
                first.setdefault(x, node)
        for node in nodes:
            key = (frame, node)
            if key not in self.keys:
                self.keys[key] = len(self.nodes)
                self.tensors.append(key)
                self.nodes.append(self._made(key, first, given, around))
            place = self.keys[key]
            order.append(place)
            if node.attrs and bodies(node):
                self._enter_bodies(node, place, order)

    def _enter_bodies(self, node: Tensor, place: int, order: list[int]) -> None:
        found = bodies_of(node)
        own = self.nodes[place]
        scope = _scope(node)
        if own.body is None:
            own.body = self._group(("body", place), explorer.Group(self._loop_title(node), "loop", own.group, place))
        for i, body in enumerate(found):
            if len(found) > 1:
                self._group(("body", place, i), explorer.Group(body.name.replace("_", " "), "body", own.body))
            labels: dict[Tensor, str] = {p: _parameter_name(node, body, j) for j, p in enumerate(body.graph.parameters)}
            self._enter(body.graph.outputs, (place, i), labels, scope, order)
            for j, p in enumerate(body.graph.parameters):  # some are read by no node
                if ((place, i), p) in self.keys and body.roles[j] == "carry" and j < len(body.graph.outputs):
                    after = self.keys[(place, i), body.graph.outputs[j]]
                    pair = (after, self.keys[(place, i), p])
                    if pair not in own.carried and after != pair[1]:
                        own.carried = (*own.carried, pair)

    def _loop_title(self, node: Tensor) -> str:
        assert node.op is not None
        length = node.attributes.get("length")
        return node.op.name if length is None else f"{node.op.name} × {length}"

    def _made(self, key: Key, first: Mapping[Tensor, Tensor], given: Mapping[Tensor, str], around: tuple[str, ...]) -> explorer.Node:
        frame, node = key
        kind = "parameter" if node in given else _kind(node)
        number = leaf_number(node) if not node.label else None
        hidden = number is not None or (not node.label and is_layout(node) and self.nodes[self.keys[frame, node.inputs[0]]].is_hidden)
        inputs = tuple([self.keys[frame, x] for x in node.inputs])
        shown = explorer.Node(given.get(node, ""), kind, str(node.type), inputs=inputs, is_hidden=hidden)
        shown.group = self._group_at(node, first, frame, around)
        shown.headline = self._headline(node, frame) if node.op is not None else (node.label or "") if kind != "parameter" else ""
        shown.op = node.op.name if node.op is not None else ""
        if kind == "parameter":  # one leaf for all bodies, which may have been made for another
            return shown
        shown.is_reversed = node.forward is not None
        if node.origin is not None:
            origin = explorer.Origin(basename(node.origin.file), node.origin.line, getline(node.origin.file, node.origin.line).strip())
            shown.origin = self.origins.setdefault(origin, len(self.origins))
        return shown

    def _group_at(self, node: Tensor, first: Mapping[Tensor, Tensor], frame: Frame, around: tuple[str, ...]) -> int:
        """The group of a node: that of its scope.

        Variables, which layers make before a model calls them, are in the group of their first reader, and so is what is made of constants.
        """
        while node in first and (isinstance(node, Variable | Constant) or (node.origin is None and node.op is not None)):
            node = first[node]
        scope = _scope(node)
        if frame is not None:
            common = 0
            while common < len(around) and scope[common : common + 1] == around[common : common + 1]:
                common += 1
            scope = scope[common:]
        kind = "reversed" if node.forward is not None else "scope"
        found = -1
        if frame is not None:
            found = self._group_of.get(("body", *frame), self._group_of.get(("body", frame[0]), -1))
        for depth, name in enumerate(scope):
            title = f"∂ {name}" if kind == "reversed" and not depth else name
            found = self._group((found, kind, title), explorer.Group(title, kind, found))
        return found

    def _group(self, key: tuple[object, ...], group: explorer.Group) -> int:
        if key not in self._group_of:
            self._group_of[key] = len(self.groups)
            self.groups.append(group)
        return self._group_of[key]

    def _headline(self, node: Tensor, frame: Frame) -> str:
        """The op's symbol, with the numbers that it reads."""
        if is_part(node):
            return f"{symbol(node.inputs[0])}[{node.attrs[0]}]"
        numbers = [leaf_number(x) if not x.label else None for x in node.inputs]
        if len(numbers) != 2 or numbers.count(None) != 1:
            return symbol(node)
        left, right = (number or "" for number in numbers)
        return f"{left} {symbol(node)} {right}".strip()

    # -- names ---------------------------------------------------------------------------------------
    def _name(self, order: Sequence[int], known: int, became: Mapping[int, int]) -> None:
        """Names for what is new: that of the node that it was, if it is the same operation still, or its label, or a number."""
        used = {self.nodes[place].name for place in order if place < known}
        was = {new: old for old, new in became.items() if self.nodes[old].op == self.nodes[new].op}
        for place in order:
            node, shown = self.tensors[place][1], self.nodes[place]
            if place < known:
                continue
            if shown.is_hidden and node.op is None:
                shown.name = leaf_number(node) or ""
                continue
            wish = self.nodes[was[place]].name if place in was else shown.name or (plain_name(node.label) if node.label else "")
            shown.name = wish if wish and wish not in used else self._namer.unlike_others(wish) if wish else self._namer.name(node)
            self._namer.taken.add(shown.name)
            used.add(shown.name)

    def _describe(self, place: int) -> None:
        """What needs the names of others: the formula; and the cost."""
        (frame, node), shown = self.tensors[place], self.nodes[place]
        if shown.is_reversed and node.forward is not None:
            shown.forward = self.keys.get((frame, node.forward))
        if node.op is None:
            return
        names = {x: self.nodes[self.keys[frame, x]].name for x in node.inputs if not self.nodes[self.keys[frame, x]].is_hidden}
        text = one_line(node, names)
        shown.formula = text if len(text) <= _FORMULA else f"{text[:_FORMULA]}…"
        done, microseconds = work(node), self._estimate(node)
        shown.microseconds = float(f"{microseconds:.3g}")
        if microseconds or done.flops or done.nbytes:
            shown.cost = (str(done.flops), str(done.nbytes), f"{microseconds:.3g} µs")

    # -- what became of what -------------------------------------------------------------------------
    def _follow(self, own: explorer.Pass, before: explorer.Pass, old: Pass, stage: Pass) -> None:
        """Find the node that took the place of each node of the pass before that is not in this one."""
        order = set(own.nodes)
        there = {self.tensors[place][1] for place in order}
        by_place: Mapping[Tensor, Tensor] | None = None
        frames: dict[int, int] = {}
        for place in before.nodes:
            frame, node = self.tensors[place]
            new = node
            for walk in stage.became:
                new = walk.get(new, new)
            by_walk = new in there
            if not by_walk:
                by_place = matched_with_bodies(old.roots, stage.roots) if by_place is None else by_place
                new = by_place.get(new, by_place.get(node, new))
            around = frame if frame is None else (frames.get(frame[0], frame[0]), frame[1])
            at = self.keys.get((around, new))
            if at is None or at not in order:
                continue
            if self.nodes[place].body is not None:
                frames[place] = at
            if at != place:
                own.became[place] = at
                own.guessed += [] if by_walk else [place]

    def _compare(self, own: explorer.Pass, before: explorer.Pass, stage: Pass) -> None:
        """Tell what is new, what is gone, and the rules that did it."""
        here, old = set(own.nodes), set(before.nodes)
        made = self._applications(own, before, stage) if stage.applied else set[Tensor]()
        same = {new for was, new in own.became.items() if self._is_same(was, new)}
        own.changed = [
            place
            for place in own.nodes
            if not self.nodes[place].is_hidden and place not in old and (place not in same or self.tensors[place][1] in made)
        ]
        own.gone = [place for place in before.nodes if place not in here and place not in own.became and not self.nodes[place].is_hidden]

    def _is_same(self, was: int, new: int) -> bool:
        """Whether it is the same operation, on operands that may have changed."""
        one, other = self.tensors[was][1], self.tensors[new][1]
        return one.op is other.op and one.type is other.type

    def _applications(self, own: explorer.Pass, before: explorer.Pass, stage: Pass) -> set[Tensor]:
        """Tell the rules that fired; returns the nodes that they made."""
        old, places = self._by_tensor(before.nodes), self._by_tensor(own.nodes)
        made: set[Tensor] = set()
        names = {self.tensors[place][1]: self.nodes[place].name for place in (*before.nodes, *own.nodes) if self._is_named(place)}
        for one in stage.applied:
            rule = self.rules.setdefault(one.rule, len(self.rules))
            fresh = [x for x in replaced(one.before, one.after)[1] if x not in old]
            made.update(fresh)
            after = one.after
            for walk in stage.became:
                after = walk.get(after, after)
            new = dict.fromkeys(place for x in fresh for place in places.get(x, ()))
            was, now = _formula(one.before, names), _formula(one.after, names)
            at, there = _first(old.get(one.before)), _first(places.get(after))
            own.applications.append(explorer.Application(rule, was, now, at, there, tuple(new)))
        return made

    def _is_named(self, place: int) -> bool:
        """Whether formulas call the node by its name; numbers are written as they are."""
        return not self.nodes[place].is_hidden

    def _by_tensor(self, places: Iterable[int]) -> dict[Tensor, list[int]]:
        found: dict[Tensor, list[int]] = defaultdict(list)
        for place in places:
            found[self.tensors[place][1]].append(place)
        return found

    def _tell_roles(self) -> None:
        """Which nodes are results, and which new values of variables."""
        for own, stage in zip(self.passes, self.stages, strict=True):
            results, here = len(stage.roots) - len(self.updated), set(own.nodes)
            for i, root in enumerate(stage.roots):
                place = self.at(root)
                if place is not None and place in here:
                    label = None if i < results else self.updated[i - results].label
                    self.nodes[place].role = "output" if i < results else f"new value of {label}" if label else "new value"


def _first(places: Sequence[int] | None) -> int | None:
    return places[0] if places else None


def _formula(node: Tensor, names: dict[Tensor, str]) -> str:
    """A node of operands that have names, whether it has one or not."""
    own = names.pop(node, None)
    text = one_line(node, names)
    if own is not None:
        names[node] = own
    return text if len(text) <= _REWRITTEN else f"{text[:_REWRITTEN]}…"


def _scope(node: Tensor) -> tuple[str, ...]:
    return node.origin.scope if node.origin is not None else ()


def _kind(node: Tensor) -> str:
    if node.op is not None:
        return "operator"
    return "constant" if isinstance(node, Constant) else "variable" if isinstance(node, Variable) else "input"


def _parameter_name(node: Tensor, body: Body, place: int) -> str:
    source = body.sources[place]
    return parameter_label(body.roles[place], None if source is None else node.inputs[source].label)
