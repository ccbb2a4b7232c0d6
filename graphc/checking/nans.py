"""The first node that makes a NaN or an inf: found node by node in the plain graph, when a call has made one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from graphc.checking.causes import likely
from graphc.checking.state import State
from graphc.checking.values import operand_lines, statistics
from graphc.core import Subgraph, Tensor, Variable, bodies, describe, sizes, toposort
from graphc.core.errors import NonFiniteError
from graphc.core.expr import Input
from graphc.core.signature import Signature
from graphc.lower import NumpyProgram
from graphc.lower.compute import Interpreter, JaxInterpreter, Sizes
from graphc.lower.nonfinite import FINITE, kind_of, maker, not_finite, place
from graphc.lower.targets.jax import JaxProgram

Run = Callable[[Sequence[Any], tuple[int, ...]], Sequence[Any]]
"""What a compiled function does with values and with the numbers of the named sizes."""


class Step(NamedTuple):
    """A call of a body: the node that it is of, the name of the attribute, and which call of it this is, from 0 on."""

    node: Tensor
    body: str
    number: int

    def __str__(self) -> str:
        assert self.node.op is not None
        where = f"{self.node.op.name}, {self.node.origin}" if self.node.origin else self.node.op.name
        if self.body in ("on_true", "on_false"):
            return f"in the branch {self.body} of {where}"
        attributes = self.node.attributes
        if self.node.op.name == "scan":
            item = f", item {attributes['length']} - {self.number + 1}" if attributes["reverse"] else ""
            return f"in step {self.number} of {attributes['length']}{item} of {where}"
        return f"in call {self.number} of {self.body} of {where}"


class Finding(NamedTuple):
    """The node that made a NaN or an inf, its operands' values and its own.

    ``steps`` are the calls of bodies in which it is, outermost first; ``forward`` has operands of the forward node, if it is of a gradient.
    """

    node: Tensor
    operands: tuple[Any, ...]
    value: Any
    steps: tuple[Step, ...]
    forward: tuple[tuple[Tensor, Any], ...]

    def error(self) -> NonFiniteError:
        """The error that tells of it: its attributes ``node`` and ``steps`` are those of the finding."""
        known = [f"operand of the forward node: {describe(x)}: {statistics(value)}" for x, value in self.forward]
        more = [*known, *map(str, reversed(self.steps)), *likely(self.node, self.operands, self.value)]
        error = not_finite(self.node, kind_of(self.value), operand_lines(self.node, self.operands), more)
        error.node, error.steps = self.node, self.steps
        return error


def find(roots: Sequence[Tensor], values: Mapping[Tensor, Any], interpreter: Interpreter) -> Finding | None:
    """The first node between leaves of these values and the roots that makes a NaN or an inf which reaches a root; None if none does."""
    return _found(interpreter, interpreter.every(roots, values), roots, ())


def explained(inputs: Sequence[Input], roots: Sequence[Tensor], values: Sequence[Any]) -> NonFiniteError | None:
    """The error that tells which node makes the roots NaN or infinite for these values of the inputs; None if none does.

    Variables have their present values. Errors are those of a call of a function of the inputs.
    """
    names = sorted({name for x in inputs for size in x.shape for name in sizes.names(size)})
    arrays, bound = Signature(inputs, names).checked(values)
    leaves: dict[Tensor, Any] = dict(zip(inputs, map(np.asarray, arrays), strict=True))
    leaves |= {x: x.value for x in toposort(roots) if isinstance(x, Variable)}
    found = find(roots, leaves, Interpreter(dict(zip(names, bound, strict=True))))
    return None if found is None else found.error()


def _found(interpreter: Interpreter, known: Mapping[Tensor, Any], roots: Sequence[Tensor], steps: tuple[Step, ...]) -> Finding | None:
    node = maker({node: kind_of(value) for node, value in known.items()}, roots)
    if node is None:
        return None
    operands = tuple([known[x] for x in node.inputs])
    inner = _Inside(interpreter, node, steps).first(operands) if bodies(node) else None
    if inner is not None:
        return inner
    around = node.forward.inputs if node.forward is not None else ()
    forward = tuple([(x, known[x]) for x in dict.fromkeys(around) if x in known and x not in node.inputs])
    return Finding(node, operands, known[node], steps, forward)


class _Stopped(Exception):  # noqa: N818  (it stops a loop, and is no error)
    def __init__(self, finding: Finding) -> None:
        self.finding = finding


class _Inside(Interpreter):
    """Computes one node again, and stops at the first call of a body whose results are worse than its arguments."""

    def __init__(self, interpreter: Interpreter, node: Tensor, steps: tuple[Step, ...]) -> None:
        super().__init__(interpreter.sizes)
        self._plain, self._node, self._steps = interpreter, node, steps
        self._names = {value: name for name, value in node.attributes.items() if isinstance(value, Subgraph)}
        self._calls: dict[Subgraph, int] = {}

    def first(self, operands: Sequence[Any]) -> Finding | None:
        """What is found inside, when the node is computed on these operands."""
        try:
            self.compute(self._node, operands)
        except _Stopped as stopped:
            return stopped.finding
        return None

    def call(self, node: Tensor, body: Subgraph, *arguments: Any) -> tuple[Any, ...]:
        """The results of a body, unless it makes a NaN or an inf."""
        number = self._calls[body] = self._calls.get(body, -1) + 1
        given: dict[Tensor, Any] = dict(zip(body.parameters, arguments, strict=True))
        known = self._plain.every(body.outputs, given)
        results = tuple([known[y] for y in body.outputs])
        if kind_of(results) > kind_of(tuple(arguments)):
            step = Step(node, self._names[body], number)
            finding = _found(self._plain, {**given, **known}, body.outputs, (*self._steps, step))
            if finding is not None:
                raise _Stopped(finding)
        return results


class NanWatch:
    """Runs a program, and raises :class:`NonFiniteError` in the place of results or new values of variables that it made NaN or infinite.

    The results are looked at after the call; what led to them is computed again, node by node, when they are not finite. Variables have
    their old values then.
    """

    def __init__(self, program: NumpyProgram | JaxProgram, declared: Sequence[Tensor], lowered: Sequence[Tensor]) -> None:
        self._program, self._graphs = program, (tuple(declared), tuple(lowered))
        self._state = State(program)

    def __call__(self, inputs: Sequence[Any], bound: tuple[int, ...]) -> Sequence[Any]:
        """The results of a call on these inputs, with these numbers for the named sizes."""
        before = self._state.taken()
        results = self._program.run(inputs, bound)
        if self._state.is_finite([*results, *self._state.updated()]):
            return results
        after = self._state.taken()
        self._state.bring_back(before)
        finding = self._finding(inputs, dict(zip(self._program.source.sizes, bound, strict=True)))
        if finding is not None:
            raise finding
        self._state.bring_back(after)
        return results

    def _finding(self, inputs: Sequence[Any], known: Sizes) -> NonFiniteError | None:
        """The error for values of these inputs; None where it was given, or asked for."""
        schedule = self._program.schedule
        leaves: dict[Tensor, Any] = dict(zip(schedule.inputs, map(np.asarray, inputs), strict=True))
        leaves |= self._state.values()
        interpreters: list[type[Interpreter]] = [Interpreter, *([JaxInterpreter] if isinstance(self._program, JaxProgram) else [])]
        for interpreter in interpreters:
            for graph in self._graphs:
                found = find(graph, leaves, interpreter(known))
                if found is not None:
                    return found.error()
        if any(kind_of(value) != FINITE for value in Interpreter(known).run(self._graphs[0], leaves)):
            return None
        given = [place(node) for node in self._graphs[0]]
        return NonFiniteError(
            "the compiled function made a NaN or an inf which its graph, node by node, does not make", given=given, fits="check=True"
        )
