"""Runs a program, and everything that is to be equal to it, and compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from graphc.checking.blame import Culprit, culprit
from graphc.checking.ddmin import Clock
from graphc.checking.options import Check
from graphc.checking.problem import Compile, Problem
from graphc.checking.reduce import failing, smaller
from graphc.checking.reproduce import script, write
from graphc.checking.roads import Road, roads_of
from graphc.checking.rounding import Difference
from graphc.checking.state import State
from graphc.checking.values import operand_lines
from graphc.core import Tensor
from graphc.core.errors import BackendError, CheckError, GraphcError
from graphc.lower import NumpyProgram
from graphc.lower.nonfinite import place, told
from graphc.lower.targets.jax import JaxProgram

_TITLES = {
    "rules": "the graph as the rules rewrote it",
    "plan": "the order, the memory or the source of the NumPy function",
    "backend": "JAX",
}


class CheckWatch:
    """Runs a program, and raises :class:`CheckError` where results or new values of variables are not those of the plain graph.

    Each call is computed node by node, with the memory of the plan filled with NaN wherever it is free, and on the other backend.
    ``compile`` and its ``options`` are those with which the program was made. Variables have their old values when it raises.
    """

    def __init__(
        self,
        program: NumpyProgram | JaxProgram,
        report: Any,
        run: Callable[..., Sequence[Any]],
        check: Check,
        compile: Compile,
        options: Mapping[str, Any],
    ) -> None:
        self._program, self._report, self._run, self._check = program, report, run, check
        self._plain_compile, self._options = compile, dict(options)
        self._state = State(program)
        self._calls: Counter[tuple[int, ...]] = Counter()

    def __call__(self, inputs: Sequence[Any], bound: tuple[int, ...]) -> Sequence[Any]:
        """The results of a call on these inputs, with these numbers for the named sizes."""
        self._calls[bound] += 1
        if (self._calls[bound] - 1) % self._check.every:
            return self._run(inputs, bound)
        problem = self._problem(inputs, bound)
        before = self._state.taken()
        results = self._run(inputs, bound)
        try:
            self._compare(problem, [*map(np.asarray, results), *[x.value for x in problem.updated]])
        except GraphcError:
            self._state.bring_back(before)
            raise
        return results

    def _problem(self, inputs: Sequence[Any], bound: tuple[int, ...]) -> Problem:
        report, schedule = self._report, self._program.schedule
        values: dict[Tensor, Any] = dict(zip(schedule.inputs, map(np.asarray, inputs), strict=True)) | self._state.values()
        known = dict(zip(self._program.source.sizes, bound, strict=True))
        outputs = len(report.declared) - len(report.updated)
        return Problem(schedule.inputs, report.declared, outputs, report.updated, values, known)

    def _compare(self, problem: Problem, found: Sequence[Any]) -> None:
        try:
            problem.plain  # noqa: B018  (computed now, so that what it raises is told)
        except (ArithmeticError, LookupError, ValueError) as error:
            raise CheckError(
                "compile(..., check=True): the plain graph raises an error which the compiled function does not",
                given=[f"{type(error).__name__}: {error}"],
                fits="values for which neither does",
            ) from error
        first, *others = roads_of(self._report)
        self._judge(problem, first, first.differences(problem, found))
        for road in (*others, *self._others):
            try:
                differences = road.differences(problem)
            except (ArithmeticError, LookupError, RuntimeError, ValueError) as error:  # JAX's own are RuntimeErrors
                raise self._raised(road, error) from error
            self._judge(problem, road, differences)

    def _raised(self, road: Road, error: Exception) -> CheckError:
        found = CheckError(
            f"compile(..., check=True): {road.title} raises an error where the plain graph has values",
            given=[f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"],
            fits="values on every road; gc.Check(other_backend=False) checks one backend alone",
        )
        found.road = road.kind
        return found

    @cached_property
    def _others(self) -> list[Road]:
        """The roads of the other backend; none where it is not installed, or has no form for the graph."""
        if not self._check.other_backend:
            return []
        report, schedule = self._report, self._program.schedule
        count = len(report.declared) - len(report.updated)
        updates = dict(zip(report.updated, report.declared[count:], strict=True))
        try:
            made = self._compile(schedule.inputs, list(report.declared[:count]), updates, backend=self._other_backend)
        except BackendError:
            return []
        return roads_of(made.report)

    @property
    def _other_backend(self) -> Any:
        from graphc.backends import Jax

        return "numpy" if isinstance(self._program, JaxProgram) else Jax(precision="highest")

    def _compile(self, *arguments: Any, **keywords: Any) -> Any:
        return self._plain_compile(*arguments, **self._options, **keywords)

    def _judge(self, problem: Problem, road: Road, found: tuple[int, Difference] | None) -> None:
        if found is None:
            return
        number, apart = found
        who = culprit(problem, number, road, apart)
        if who is not None:
            raise self._error(problem, number, road, apart, who)

    def _error(self, problem: Problem, number: int, road: Road, apart: Difference, who: Culprit) -> CheckError:
        given = [
            f"it differs in {_TITLES[who.road]}: {who.difference}",
            "the first node that differs:",
            *told(who.node, operand_lines(who.node, who.operands) if who.operands else [f"operand: {place(x)}" for x in who.node.inputs]),
            *who.notes,
        ]
        path = self._script(problem, number, road, who)
        if path is not None:
            given.append(f"a program that shows it: {path}")
        error = CheckError(
            f"compile(..., check=True): {_root(problem, number)} of {road.title} is not that of the plain graph: {apart}",
            given=given,
            fits="one value on every road; it is a mistake of graphc's, or of a rule or an op that was added to it",
        )
        error.road, error.node, error.rule, error.script = who.road, who.node, who.rule, path
        return error

    def _script(self, problem: Problem, number: int, road: Road, who: Culprit) -> Any:
        if not self._check.script:
            return None
        program = road.report.program
        backend: Any = program.options if isinstance(program, JaxProgram) else "numpy"
        found = smaller(problem, number, who, failing(who.road, self._compile, backend), Clock(self._check.seconds))
        text = f"Two ways to compute this graph differ, in {_TITLES[who.road]}. Running it raises graphc's CheckError."
        own = "numpy" if isinstance(self._program, NumpyProgram) else backend
        return write(script(found or problem, text, self._options, own), self._check.folder)


def _root(problem: Problem, number: int) -> str:
    if number >= problem.outputs:
        return f"the new value of {place(problem.updated[number - problem.outputs])}"
    return f"output {number}, {place(problem.roots[number])}"
