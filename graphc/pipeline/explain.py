"""``fn.explain``: what became of a node of the declared graph, stage by stage, down to the lines and the memory of the emitted source."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

from graphc.core import Tensor, consumers, describe, every_node
from graphc.core.errors import ArgumentError
from graphc.core.graph import on_others
from graphc.lower import Estimate, Places
from graphc.lower.cost import is_view, work
from graphc.lower.names import is_owned
from graphc.lower.rows import Rows
from graphc.lower.targets.jax import JaxProgram
from graphc.pipeline.savings import Saving, replaced
from graphc.show.formula import one_line
from graphc.show.listing import call_text
from graphc.show.matching import matched_with_bodies
from graphc.show.names import Namer, shown
from graphc.show.page import Block, Code, Page, Section, html

if TYPE_CHECKING:
    from graphc.pipeline.report import Pass, Report
    from graphc.rewrite import Application

SHOWN: Final = 8
"""How many of several nodes, lines or tenants of a buffer are named."""
_LONGEST: Final = 160
"""Characters of a formula."""
How = Literal["rewritten", "matched", "swallowed", "replaced", "taken apart", "merged", "gone"]
"""What happened to a node.

``rewritten``: a rule put another node in its place. ``matched``: a rule that fired at one of its readers saw it, and others still read
it. ``swallowed``: such a rule, and nobody reads it any more. ``replaced``: a pass that is no set of rules put another in its place.
``taken apart``: the backend has no form for it. ``merged``: it is another node that does the same. ``gone``: nobody reads it.
"""


@dataclass(frozen=True)
class Event:
    """Something that happened to a node in a pass; with the rule that did it, if one did, and what that saved."""

    stage: str
    how: How
    before: Tensor
    after: Tensor | None = None
    use: Application | None = None
    saved: Saving | None = None


@dataclass(frozen=True, repr=False)
class Explanation:
    """What became of a node: its ``events`` in order, and ``end``, the node of the lowered graph that it is, or is part of; None if gone.

    ``whole`` tells whether ``end`` is its value, and not one that the value was only needed for. ``print`` it, or show it in a notebook.
    """

    node: Tensor
    events: tuple[Event, ...]
    end: Tensor | None
    whole: bool
    history: History

    @property
    def lines(self) -> tuple[int, ...]:
        """The numbers of the emitted lines that compute it, from 1."""
        return () if self.end is None else tuple([place.line for place in self.history.places.get(self.end, ())])

    @property
    def page(self) -> Page:
        """The explanation as a page."""
        return Page(Section(describe(self.node), list(_blocks(self))))

    def __str__(self) -> str:
        return str(self.page)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html(self.page.section)

    def __rich__(self) -> Any:
        return self.page.__rich__()


# ---------------------------------------------------------------- what happened
class History:
    """What a compilation did to each node, found out from its report."""

    def __init__(self, report: Report) -> None:
        self.report, self.passes = report, report.passes
        self._placed: tuple[Any, Places] = None, {}
        self._stages = {id(stage): _Stage(before, stage) for before, stage in pairwise(self.passes)}

    @cached_property
    def saved(self) -> Mapping[Application, Saving]:
        """What each use of a rule saved."""
        return {use.application: use.saved for use in self.report.uses}

    @property
    def places(self) -> Places:
        """Where values are in the emitted source, which is written again for sizes at which other loops pay."""
        source = self.report.program.source
        if self._placed[0] is not source:
            self._placed = source, self.report.program.places()
        return self._placed[1]

    @cached_property
    def declared(self) -> list[Tensor]:
        """The nodes that were declared, those in bodies among them."""
        return every_node(self.report.declared)

    @cached_property
    def known(self) -> frozenset[Tensor]:
        """The same as a set."""
        return frozenset(self.declared)

    @cached_property
    def labels(self) -> dict[Tensor, str]:
        """What the user calls declared nodes."""
        return {x: _label(x) for x in self.declared if x.label}

    def of(self, node: Tensor) -> Explanation:
        """What became of a node; one that the compiler made is followed from there on."""
        events: list[Event] = []
        now: Tensor | None = node
        whole, started = True, node in self.known
        for stage in self.passes[1:]:
            about = self._stages[id(stage)]
            if not started:
                started = node in about.nodes
                events += about.made(node)
                continue
            if now is None:
                break
            now, kept, found = about.through(now)
            whole = whole and kept
            events += found
        told = [Event(e.stage, e.how, e.before, e.after, e.use, self.saved.get(e.use) if e.use else None) for e in events]
        return Explanation(node, tuple(told), now, whole, self)

    def named(self, name: str) -> list[Tensor]:
        """The declared nodes of this label, or else of this op. Raises :class:`ArgumentError` if there are none."""
        labelled = [node for node in self.declared if node.label == name]
        found = labelled or [node for node in self.declared if node.op is not None and node.op.name == name]
        if found:
            return found
        labels = [node.label for node in self.declared if node.label]
        ops = [node.op.name for node in self.declared if node.op is not None]
        known = list(dict.fromkeys([*labels, *ops, *self.report.rules]))
        near = difflib.get_close_matches(name, known, 3)
        given = [f"is {' or '.join(map(repr, near))} meant?"] if near else []
        fits = "a node of the declared graph, its label, an op, or a rule that fired"
        raise ArgumentError(f"explain({name!r}): no node and no rule is called so", given=given, fits=f"{fits}: {_several(known)}")


class _Stage:
    """A pass: how to get from a node before it to the one after."""

    def __init__(self, before: Pass, stage: Pass) -> None:
        self.before, self.stage = before, stage

    @cached_property
    def nodes(self) -> set[Tensor]:
        return set(every_node(self.stage.roots))

    @cached_property
    def fired(self) -> dict[Tensor, Application]:
        return {one.before: one for one in self.stage.applied}

    @cached_property
    def results(self) -> dict[Tensor, Application]:
        return {x: one for one in reversed(self.stage.applied) for x in replaced(one.before, one.after)[1]}

    @cached_property
    def seen(self) -> dict[Tensor, Application]:
        """For what rules matched beside the node in whose place they put another: the rule that did."""
        return {x: one for one in reversed(self.stage.applied) for x in replaced(one.before, one.after)[0] if x is not one.before}

    @cached_property
    def readers(self) -> dict[Tensor, list[Tensor]]:
        return consumers(every_node([*self.before.roots, *[one.before for one in self.stage.applied]]))

    @cached_property
    def by_place(self) -> dict[Tensor, Tensor]:
        return matched_with_bodies(self.before.roots, self.stage.roots)

    def made(self, node: Tensor) -> list[Event]:
        """What made a node that was not there before."""
        use = self.results.get(node)
        return [] if use is None else [Event(self.stage.name, "rewritten", use.before, use.after, use)]

    def through(self, node: Tensor) -> tuple[Tensor | None, bool, list[Event]]:
        """What the node is after the pass, whether that is its value still, and what happened."""
        last, forms, events = node, [node], list[Event]()
        for walk in self.stage.became:
            if last in walk:
                for use in self._uses(last, walk):
                    events.append(Event(self.stage.name, "rewritten", use.before, use.after, use))
                    forms += [use.before, use.after]
                last = walk[last]
                forms.append(last)
        if last in self.nodes:
            return last, True, [*events, *self._otherwise(node, last, events), *self._matched(forms)]
        twin = self.by_place.get(last, self.by_place.get(node))
        use = next((self.seen[x] for x in reversed(forms) if x in self.seen), None)
        if use is None and (twin is None or twin.op is not node.op):
            use = self._dropped(forms)
        if use is not None:
            return self._final(use.after), False, [*events, Event(self.stage.name, "swallowed", use.before, use.after, use)]
        if twin is not None:
            return twin, True, [*events, *self._otherwise(node, twin, events)]
        return None, False, [*events, Event(self.stage.name, "gone", node)]

    def _uses(self, node: Tensor, walk: Mapping[Tensor, Tensor]) -> Iterator[Application]:
        """The rules that fired at the node, one after the other."""
        seen = set[Tensor]()
        while node not in seen:
            seen.add(node)
            settled = node if node.op is None else on_others(node, tuple([walk.get(x, x) for x in node.inputs]))
            use = self.fired.get(settled) or self.fired.get(node)
            if use is None:
                return
            yield use
            node = use.after

    def _final(self, node: Tensor) -> Tensor | None:
        for walk in self.stage.became:
            node = walk.get(node, node)
        return node if node in self.nodes else None

    def _otherwise(self, node: Tensor, new: Tensor, events: list[Event]) -> list[Event]:
        """What no rule did: another op stands in the place of the node, or a node of the same op that was there already."""
        if events or new is node or (new.op is node.op and new.type is node.type):
            return []
        how: How = "taken apart" if self.stage.name == "expand" else "merged" if new.op is None else "replaced"
        return [Event(self.stage.name, how, node, new)]

    def _matched(self, forms: list[Tensor]) -> list[Event]:
        used = dict.fromkeys(self.seen[x] for x in forms if x in self.seen)
        return [Event(self.stage.name, "matched", use.before, use.after, use) for use in used]

    def _dropped(self, forms: list[Tensor]) -> Application | None:
        """The rule that dropped what reads the node, however far above."""
        seen, waiting = set(forms), list(forms)
        for node in waiting:
            use = self.fired.get(node) or self.seen.get(node)
            if use is not None and node not in forms:
                return use
            fresh = [x for x in self.readers.get(node, ()) if x not in seen and x not in self.nodes]
            seen.update(fresh)
            waiting += fresh
        return None


# ---------------------------------------------------------------- how it is told
_TOLD: Final[dict[How, str]] = {
    "rewritten": "a rule fired at it",
    "matched": "a rule that fired at a reader matched it; others still read it",
    "swallowed": "a rule that fired at a reader made it unnecessary",
    "replaced": "another node stands in its place",
    "taken apart": "the backend has no form for it whole",
    "merged": "it is computed already",
    "gone": "nobody reads it any more",
}


def _blocks(found: Explanation) -> Iterator[Block]:
    node = found.node
    if node.op is not None:
        labels = {**found.history.labels}
        labels.pop(node, None)
        yield Code(_short(one_line(node, labels)))
    if node.forward is not None:
        yield f"of the gradient of {describe(node.forward)}"
    for event in found.events:
        yield _of_event(event)
    if not found.events and node.op is not None:
        yield "no rule changed it"
    yield _of_end(found)


def _of_event(event: Event) -> Section:
    use = event.use
    if use is None:
        return Section(f"{event.stage}: {event.how}: {_TOLD[event.how]}", [] if event.after is None else [_before_and_after(event)])
    lines: list[Block] = [use.rule.sentence.replace("\n", " "), _before_and_after(event)]
    if event.saved is not None and event.saved:
        lines.append(f"saves {event.saved}")
    return Section(f"{event.stage}: {event.how} by {use.rule.name} ({use.rule.safety}): {_TOLD[event.how]}", [*lines, _law(use)])


def _law(use: Application) -> str:
    from graphc.rewrite import SAFETIES

    pattern = repr(use.rule.pattern)
    promise = f"{use.rule.safety}: {SAFETIES[use.rule.safety]}"
    return promise if use.rule.pattern.op is None else f"law: {_short(pattern)}\n{promise}"


def _before_and_after(event: Event) -> Code:
    """Both in terms of what they share, and what that is where it has no name of its own."""
    assert event.after is not None
    if event.use is None and event.after.op is event.before.op:
        rows = [("before", str(event.before.type)), ("after", str(event.after.type))]
        return Code("\n".join(f"{word:<6}  {_short(text)}" for word, text in rows))
    old, new = replaced(event.before, event.after)
    inner = {*old, *new} or {event.before}
    edge = [x for node in (*reversed(old), *reversed(new)) for x in node.inputs if x not in inner]
    shared = [x for x in dict.fromkeys(edge) if x.op is not None or x.label]
    namer = Namer.of([*shared, *inner])
    names = {x: namer.name(x) for x in shared}
    rows = [("before", call_text(event.before, names)), ("after", call_text(event.after, names))]
    rows += [("where", f"{names[x]} is {describe(x)}") for x in shared if not x.label][:SHOWN]
    return Code("\n".join(f"{word:<6}  {_short(text)}" for word, text in rows))


def _of_end(found: Explanation) -> Section:
    end = found.end
    if end is None:
        return Section("nothing of it runs")
    if end.op is None:
        return Section(f"it ends as {describe(end)}, which a call {_BRINGS.get(end.kind, 'has')}")
    blocks: list[Block] = []
    places = found.history.places.get(end, ())
    if places:
        blocks.append(Code("\n".join(f"{place.line:>5} | {place.text}" for place in places[:SHOWN])))
    blocks += [text for text in (_memory(end, found.history), _cost(end, found.history)) if text]
    return Section(f"it {'ends as' if found.whole else 'is part of'} {describe(end)}", blocks)


_BRINGS: Final = {"input": "brings", "variable": "reads", "constant": "has", "parameter": "brings"}


def _memory(node: Tensor, history: History) -> str:
    """Where the value lives."""
    program = history.report.program
    if isinstance(program, JaxProgram):
        return "XLA plans its memory"
    steps, plan = program.planned
    if node in plan.direct:
        return f"memory: that of the variable {plan.direct[node].label}"
    place = plan.place.get(node)
    if place is not None:
        name = next((spot.name for spot in history.places.get(node, ()) if is_owned(spot.name)), "a buffer")
        others = [x for x, other in plan.place.items() if other == place and x is not node]
        shared = f", shared with {_several([x.label or (x.op.name if x.op else '') for x in others])}" if others else ""
        return f"memory: {name}, {plan.buffers[place]}, {plan.buffers[place].nbytes} bytes{shared}"
    if is_view(node):
        return "memory: a view of its operand"
    if any(isinstance(step, Rows) and node in step.nodes for step in steps.steps):
        return "memory: a block of rows at a time, in the cache"
    return "memory: allocated in each call"


def _cost(node: Tensor, history: History) -> str:
    estimate = Estimate()
    taken, whole = estimate(node), history.report.after.microseconds
    done = work(node)
    share = f", {taken / whole:.1%} of a call" if whole else ""
    return f"cost: {done.flops} flops, {done.nbytes} bytes, about {taken:.3g} us{share}"


def _label(x: Tensor) -> str:
    return shown(x.label or "")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"


def _several(names: Iterable[str]) -> str:
    found = [f"{name} ({count} times)" if count > 1 else name for name, count in Counter(names).items()]
    return ", ".join([*found[:SHOWN], *([f"{len(found) - SHOWN} more"] if len(found) > SHOWN else [])])


# ---------------------------------------------------------------- the ways to ask
def explain(report: Report, what: Tensor | str | None) -> Explanation | Page:
    """What became of a node or of the nodes of a name; without either, every rule that fired."""
    if what is None:
        return _overview(report)
    history = report.history
    if isinstance(what, str):
        if what in report.rules and not any(node.label == what for node in history.declared):
            return _of_rule(what, history)
        nodes = history.named(what)
    else:
        nodes = [_known(what, history)]
    if len(nodes) == 1:
        return history.of(nodes[0])
    shown = [history.of(node).page.section for node in nodes[:SHOWN]]
    more = [f"and {len(nodes) - SHOWN} more: name one by its label"] if len(nodes) > SHOWN else []
    return Page(Section(f"{len(nodes)} nodes are called {what}", [*shown, *more]))


def _known(node: Any, history: History) -> Tensor:
    if not isinstance(node, Tensor):
        raise ArgumentError(f"explain({node!r}): that is no node", fits="a tensor of the declared graph, its label, an op, or a rule")
    if node in history.known or any(node in every_node(stage.roots) for stage in history.passes):
        return node
    raise ArgumentError(
        f"explain({node!r}): the function was not compiled from this node", given=[describe(node)], fits="a node of its graph, or None"
    )


def _overview(report: Report) -> Page:
    if not report.rules:
        return Page(Section(f"compiled for {report.backend}: no rule fired"))
    total = sum(report.saved.values(), Saving())
    title = f"compiled for {report.backend}: {len(report.applied)} rewrites by {len(report.rules)} rules, which save {total}"
    hint = 'explain("rule") shows each of its uses, explain(node) what became of a node'
    return Page(Section(title, [report.rule_table(sentences=True), hint]))


def _of_rule(name: str, history: History) -> Page:
    own = [use for use in history.report.uses if use.application.rule.name == name]
    rule = own[0].application.rule
    blocks: list[Block] = [rule.sentence.replace("\n", " "), _law(own[0].application)]
    for use in own[:SHOWN]:
        event = Event(use.stage, "rewritten", use.application.before, use.application.after, use.application, use.saved)
        lines: list[Block] = [_before_and_after(event), *([f"saves {use.saved}"] if use.saved else [])]
        blocks.append(Section(f"{use.stage}: at {describe(use.application.before)}", lines))
    more = [f"and {len(own) - SHOWN} more"] if len(own) > SHOWN else []
    return Page(Section(f"{name} fired {f'{len(own)} times' if len(own) > 1 else 'once'}", [*blocks, *more]))
