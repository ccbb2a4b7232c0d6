"""What the compiler did, stage by stage, and what the graph costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from graphc.core import Tensor, Variable
from graphc.core.sizes import Dim
from graphc.lower import Estimate, Footprint, JaxProgram, NumpyProgram, Totals, dearest, totals

if TYPE_CHECKING:
    from graphc.rewrite import Application, Saturated


@dataclass(frozen=True)
class Pass:
    """One stage of a compilation: what it did to the number of nodes, and how long it took."""

    name: str
    nodes: int
    seconds: float


@dataclass(frozen=True)
class Report:
    """What the compiler did. ``print`` it; the fields hold the same for programs.

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
        lines = [f"compiled for {self.backend}"]
        lines += [f"  {stage.name:<10} {stage.nodes:>7} nodes  {1e3 * stage.seconds:8.2f} ms" for stage in self.passes]
        lines += ["rules that fired:"] + [
            f"  {count:>4} x {name}" for name, count in sorted(self.rules.items(), key=lambda item: (-item[1], item[0]))
        ]
        lines += [str(self.saturated)] if self.saturated else []
        lines += [f"declared: {self.before}", f"lowered:  {self.after}"]
        lines += [f"placed on {self.program.placement}"] if isinstance(self.program, JaxProgram) else []
        lines += ["the dearest nodes:", *self.dearest(5)]
        return "\n".join([*lines, *([str(self.memory)] if self.memory else [])])
