"""What the compiler did, stage by stage, and what the graph costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphc.core import Tensor, Variable
from graphc.core.sizes import Dim
from graphc.lower import Estimate, Footprint, NumpyProgram, Totals, dearest, totals
from graphc.pipeline.savings import Saving, Use, uses

if TYPE_CHECKING:
    from graphc.lower.targets.jax import JaxProgram
    from graphc.pipeline.explain import History
    from graphc.rewrite import Application, Saturated
    from graphc.show.page import Block, Page, Table


@dataclass(frozen=True)
class Pass:
    """One stage of a compilation: what it did to the number of nodes, how long it took, and the graph that it left.

    ``roots`` are the outputs and then the new values of variables. ``became`` are the walks of the stage, bodies of loops first: each has
    what took the place of nodes; what is in none stayed as it was, is gone, or is found by its place alone. ``applied`` are the rules
    that fired, in order.
    """

    name: str
    nodes: int
    seconds: float
    roots: tuple[Tensor, ...] = field(default=(), repr=False)
    became: tuple[Mapping[Tensor, Tensor], ...] = field(default=(), repr=False)
    applied: tuple[Application, ...] = field(default=(), repr=False)


@dataclass(frozen=True, repr=False)
class Report:
    """What the compiler did. ``print`` it, or show it in a notebook; the fields hold the same for programs.

    ``declared`` is the outputs, and the new values of the variables in ``updated``, as they were given.

    ``before`` and ``after`` are the totals of the graph as it was declared and as it runs: operations and bytes as formulas of the named
    sizes, and an estimate of the time. ``memory`` is what a call needs, at the sizes that came last; before the first call a name counts
    as one. ``buffer_bytes`` is a formula too. The last two are None where the backend plans memory. ``saturated`` is the result of
    ``saturate=True``.
    """

    backend: str
    passes: tuple[Pass, ...]
    applied: tuple[Application, ...]
    declared: tuple[Tensor, ...]
    lowered: tuple[Tensor, ...]
    program: NumpyProgram | JaxProgram
    saturated: Saturated | None = None
    updated: tuple[Variable, ...] = ()

    @property
    def rules(self) -> Counter[str]:
        """How often each rule fired."""
        return Counter(application.rule.name for application in self.applied)

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Every use of a rule, with the pass that it was in and what it saved."""
        return tuple(uses(self.passes))

    @cached_property
    def saved(self) -> dict[str, Saving]:
        """What each rule saved in all, the most frequent rules first; in the body of a loop, in one step."""
        found = {name: Saving() for name, _ in _ranked(self.rules)}
        for use in self.uses:
            found[use.application.rule.name] += use.saved
        return found

    @cached_property
    def history(self) -> History:
        """What became of each node."""
        from graphc.pipeline.explain import History

        return History(self)

    @property
    def seconds(self) -> dict[str, float]:
        """Time by pass."""
        return {stage.name: stage.seconds for stage in self.passes}

    @cached_property
    def before(self) -> Totals:
        """Operations, bytes and estimated time of the graph that was declared."""
        return totals(self.declared, Estimate())

    @cached_property
    def after(self) -> Totals:
        """The same of the graph that runs, node by node; loops over rows read and write less."""
        return totals(self.lowered, Estimate())

    @property
    def flops(self) -> Dim:
        """Floating-point operations of a call, as a formula of the named sizes."""
        return self.after.work.flops

    @property
    def nbytes(self) -> Dim:
        """Bytes read and written in a call, as a formula of the named sizes."""
        return self.after.work.nbytes

    @property
    def buffer_bytes(self) -> Dim | None:
        """Bytes of all buffers, before they share memory."""
        return self.program.buffer_bytes

    @property
    def memory(self) -> Footprint | None:
        """What a call needs beside inputs and variables, and what holds it when it is most."""
        return self.program.memory()

    def dearest(self, count: int = 10) -> list[str]:
        """The nodes that take longest by the estimate, with the user's lines."""
        return dearest(self.lowered, Estimate(), count)

    def __str__(self) -> str:
        return str(self.page)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from graphc.show.page import html

        return html(self.page.section)

    def __rich__(self) -> Any:
        return self.page.__rich__()

    @property
    def page(self) -> Page:
        """The report as a page."""
        from graphc.show.page import Code, Page, Section, Table

        blocks: list[Block] = [Table([self._row(stage) for stage in self.passes], right=frozenset({1, 2}))]
        if self.rules:
            blocks.append(Section("rules that fired, and what they saved", [self.rule_table()]))
        blocks += [str(self.saturated)] if self.saturated else []
        blocks.append(Table([["declared", *_words(self.before)], ["lowered", *_words(self.after)]]))
        blocks += [Code(f"placed on {self.program.placement}")] if not isinstance(self.program, NumpyProgram) else []
        blocks.append(Section("the dearest nodes", [Code("\n".join(self.dearest(5)))]))
        blocks += [Code(str(self.memory))] if self.memory else []
        return Page(Section(f"compiled for {self.backend}", blocks))

    def _row(self, stage: Pass) -> list[str]:
        return [stage.name, f"{stage.nodes} nodes", f"{1e3 * stage.seconds:.2f} ms"]

    def rule_table(self, *, sentences: bool = False) -> Table:
        """A row for each rule that fired: how often, its safety class, operations and bytes saved; and what it says of itself."""
        from graphc.show.page import Table

        safety = {one.rule.name: one.rule.safety for one in self.applied}
        told = {one.rule.name: one.rule.sentence.splitlines()[0] for one in self.applied}
        rows = [
            [f"{count} x", name, safety[name], *map(str, (saved.flops, saved.nbytes)), *([told[name]] if sentences else [])]
            for (name, count), saved in zip(_ranked(self.rules), self.saved.values(), strict=True)
        ]
        head = ["", "rule", "safety", "flops saved", "bytes saved", *(["what it does"] if sentences else [])]
        return Table(rows, head, frozenset({0, 3, 4}))


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _words(found: Totals) -> list[str]:
    flops, read, written = found.work
    return [f"{flops} flops,", f"{read} bytes read,", f"{written} written,", f"about {found.microseconds:.4g} us"]
