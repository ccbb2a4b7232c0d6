"""The roads from a graph to its values, and what two of them promise to have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from graphc.checking.problem import Problem, Program
from graphc.checking.rounding import Difference, Promise
from graphc.core import Tensor, every_node
from graphc.core.record import Record
from graphc.lower import NumpyProgram
from graphc.lower.targets.jax import JaxProgram

LIBRARIES: Final = 4.0
"""By how many of an op's own units the functions of NumPy and XLA may differ."""
WIDE: Final = 2.0**13
"""The same of products on an accelerator, which computes them with ten bits unless it is asked for more."""
ROUNDED: Final = frozenset(
    (
        *("abs", "add", "ceil", "clip", "divide", "equal", "floor", "greater", "greater_equal", "less", "less_equal", "maximum", "minimum"),
        *("multiply", "negative", "not_equal", "reciprocal", "relu", "sign", "sqrt", "square", "subtract", "trunc", "where"),
    )
)
"""Pointwise ops of which IEEE 754 knows every bit, whatever the layout of the operands."""
REWRITING: Final = ("declared", "simplify", "polish", "expand", "prune", "schedule", "emit")
"""Passes that change nothing, or that apply rules and note each."""


class Road(Record):
    """A way to compute: a program, what it promises, and the report of the compilation that it comes from."""

    title: str
    kind: str
    program: Program
    report: Any
    promise: Promise

    def differences(self, problem: Problem, found: Sequence[Any] | None = None) -> tuple[int, Difference] | None:
        """The first root that is not what it is node by node, and how; ``found`` is what the program made of it, if that is known."""
        found = problem.run(self.program) if found is None else found
        for number, value in enumerate(found):
            one = problem.plain.difference(number, value, self.promise)
            if one is not None:
                return number, one
        return None


def roads_of(report: Any, *, free: bool = True) -> list[Road]:
    """The roads of one compilation: its program, and on NumPy the same with memory that is free filled with NaN."""
    program = report.program
    promise = promise_of(report)
    if isinstance(program, JaxProgram):
        return [Road("JAX", "backend", program, report, promise)]
    roads = [Road("the compiled function", "plan", program, report, promise)]
    if free:
        roads.append(Road("the compiled function with freed buffers full of NaN", "plan", program.watched("free"), report, promise))
    return roads


def promise_of(report: Any) -> Promise:
    """What a compilation promises to have in common with the plain graph."""
    safeties = {application.rule.safety for application in report.applied}
    found = promise_of_rules(safeties)
    program = report.program
    if isinstance(program, NumpyProgram):
        return found._replace(exact=safeties <= {"exact"} and _is_rounded(report))
    units = LIBRARIES
    if program.options.precision != "highest" and _on_accelerator(program):
        units *= WIDE
    return found._replace(units=units)


def promise_of_rules(safeties: Iterable[str]) -> Promise:
    """What rules of these classes promise to have in common, but for the bits."""
    found = set(safeties)
    return Promise(overflow="overflow" in found, finite_only="nan_unsafe" in found)


def _is_rounded(report: Any) -> bool:
    """Whether all that is computed has but one right result, and nothing but rules changed it."""
    before: Sequence[Tensor] = report.declared
    for stage in report.passes:
        if stage.name not in REWRITING and tuple(stage.roots) != tuple(before):
            return False
        before = stage.roots
    nodes = every_node([*report.declared, *report.lowered])
    return all(node.op is None or node.op.name in ROUNDED or (node.op.flops == 0 and bool(node.op.linear)) for node in nodes)


def _on_accelerator(program: JaxProgram) -> bool:
    from graphc.lower.targets.jax.devices import default_platform

    return default_platform() != "cpu"
