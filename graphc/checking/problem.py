"""A call as a value: a graph, and the values of its leaves. It can be computed on any road, cut up, and made smaller."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast

import numpy as np

from graphc.checking.rounding import Plain
from graphc.core import Bundle, Constant, Subgraph, Tensor, TensorType, Variable, constant, dtypes, sizes, toposort
from graphc.core.expr import Input
from graphc.core.record import Record
from graphc.core.sizes import Size
from graphc.lower import NumpyProgram
from graphc.lower.compute import Interpreter
from graphc.lower.targets.jax import JaxProgram

Program = NumpyProgram | JaxProgram
Compile = Callable[..., Any]
"""``graphc.compile`` with the options of the function that is checked."""


class Problem(Record):
    """A graph with values: the first ``outputs`` of the roots are results, the others new values of the variables ``updated``.

    ``values`` has one for each input and for each variable; ``sizes`` the numbers of the named sizes.
    """

    inputs: tuple[Input, ...]
    roots: tuple[Tensor, ...]
    outputs: int
    updated: tuple[Variable, ...]
    values: Mapping[Tensor, Any]
    sizes: Mapping[str, int]

    @property
    def arguments(self) -> list[Any]:
        """The values of the inputs in order."""
        return [self.values[x] for x in self.inputs]

    @property
    def updates(self) -> dict[Variable, Tensor]:
        """The new values of variables."""
        return dict(zip(self.updated, self.roots[self.outputs :], strict=True))

    @property
    def variables(self) -> list[Variable]:
        """The variables that it reads or updates."""
        read = [x for x in toposort(self.roots) if isinstance(x, Variable)]
        return list(dict.fromkeys([*read, *self.updated]))

    @cached_property
    def plain(self) -> Plain:
        """What the roots are, node by node."""
        return Plain(self.roots, self.values, self.sizes)

    def every(self) -> dict[Tensor, Any]:
        """The values of all nodes, node by node."""
        return Interpreter(self.sizes).every(self.roots, self.values)

    def interpreted(self, roots: Sequence[Tensor]) -> list[Any]:
        """The values of other roots over the same leaves, node by node."""
        return Interpreter(self.sizes).run(roots, self.values)

    def interpreted_nodes(self, root: Tensor) -> dict[Tensor, Any]:
        """The values of all nodes under another root over the same leaves."""
        return Interpreter(self.sizes).every([root], self.values)

    def compiled(self, compile: Compile, backend: Any) -> Any:
        """The function of the graph."""
        return compile(self.inputs, list(self.roots[: self.outputs]), self.updates, backend=backend)

    def run(self, program: Program) -> list[Any]:
        """What a program makes of these values, as arrays: results, and new values of variables, which keep the ones that they had."""
        with holding(self.variables, self.values):
            bound = tuple([self.sizes[name] for name in program.source.sizes])
            results = [np.asarray(value) for value in program.run(self.arguments, bound)]
            return results + [variable.value for variable in self.updated]


@contextmanager
def holding(variables: Sequence[Variable], values: Mapping[Tensor, Any]) -> Generator[None, None, None]:
    """In this block the variables have these values; then again what they had."""
    before = [variable.storage for variable in variables]
    try:
        for variable in variables:
            variable.storage = np.array(values[variable], dtypes.numpy_dtype(variable.dtype))
        yield
    finally:
        for variable, storage in zip(variables, before, strict=True):
            variable.storage = storage


# ---------------------------------------------------------------- smaller problems
def selected(problem: Problem, numbers: Sequence[int]) -> Problem:
    """The same with these roots alone."""
    roots = [problem.roots[i] for i in numbers]
    outputs = sum([i < problem.outputs for i in numbers])
    updated = [problem.updated[i - problem.outputs] for i in numbers if i >= problem.outputs]
    return _trimmed(problem, roots, outputs, updated)


def at_node(problem: Problem, roots: Sequence[Tensor]) -> Problem:
    """The same with these nodes for results, and no updates."""
    return _trimmed(problem, roots, len(roots), [])


def _trimmed(problem: Problem, roots: Sequence[Tensor], outputs: int, updated: Sequence[Variable]) -> Problem:
    """The roots and what they need; an input that names a size stays."""
    needed = {*toposort(roots), *updated}
    inputs = [x for x in problem.inputs if x in needed or any(not isinstance(size, int) for size in x.shape)]
    values = {x: value for x, value in problem.values.items() if x in needed or x in inputs}
    return Problem(tuple(inputs), tuple(roots), outputs, tuple(updated), values, problem.sizes)


def cut(problem: Problem, known: Mapping[Tensor, Any], kept: Sequence[Tensor]) -> Problem:
    """The same with only these nodes computed: others that they read are inputs, of the values that are known of them.

    So are variables that are not updated. Roots and the results that a kept ``part`` takes are computed as they must be.
    """
    own = {*kept, *problem.roots}
    new: dict[Tensor, Tensor] = {}
    values: dict[Tensor, Any] = {}
    inputs: list[Input] = []

    def leaf(node: Tensor) -> Tensor:
        stand_in: Any = node if isinstance(node, Input) else _input(node)
        inputs.append(stand_in)
        values[stand_in] = known[node] if node in known else problem.values[node]
        return stand_in

    for node in _needed(problem.roots, own):
        if isinstance(node, Constant) or node in problem.updated:
            new[node] = node
        elif node.op is not None and (node in own or isinstance(node.type, Bundle)):
            new[node] = node.op.apply(tuple([new[x] for x in node.inputs]), node.attrs, node)
            new[node].label = new[node].label or node.label
        else:
            new[node] = leaf(node)
    values |= {x: problem.values[x] for x in problem.updated}
    ordered = [x for x in problem.inputs if x in values] + [x for x in inputs if x not in problem.inputs]
    roots = tuple([new[root] for root in problem.roots])
    return Problem(tuple(ordered), roots, problem.outputs, problem.updated, values, problem.sizes)


def _needed(roots: Sequence[Tensor], own: set[Tensor]) -> list[Tensor]:
    """What is there when only ``own`` nodes, and the bundles that they read, are computed; in order."""
    reached: set[Tensor] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += node.inputs if node in own or isinstance(node.type, Bundle) else ()
    return [node for node in toposort(roots) if node in reached]


def _input(node: Tensor) -> Input:
    return _in_place_of(node, node.type)


def _in_place_of(node: Tensor, type: TensorType) -> Input:
    """An input that stands for this node."""
    found = Input(None, (), (), type)
    found.label, found.origin = node.label, node.origin
    return found


def resized(problem: Problem, change: Callable[[Any], Any], taken: Callable[[Any], Any]) -> Problem:
    """The same with other numbers for sizes: ``change`` of each size of a type and in an attribute, ``taken`` of each leaf's value."""
    new: dict[Tensor, Tensor] = {}
    values: dict[Tensor, Any] = {}
    for node in toposort([*problem.roots, *problem.updated, *problem.inputs]):
        if isinstance(node, Constant):
            new[node] = constant(taken(node.value), node.dtype) if node.shape else node
        elif node.op is None:
            value = taken(problem.values[node])
            type = TensorType(node.dtype, np.shape(value))
            new[node] = _variable(node, type, value) if isinstance(node, Variable) else _in_place_of(node, type)
            values[new[node]] = value
        else:
            attrs = tuple([_changed(value, change) for value in node.attrs])
            new[node] = node.op.apply(tuple([new[x] for x in node.inputs]), attrs, node)
            new[node].label = new[node].label or node.label
    inputs = tuple([cast("Input", new[x]) for x in problem.inputs])
    updated = tuple([cast("Variable", new[x]) for x in problem.updated])
    return Problem(inputs, tuple([new[root] for root in problem.roots]), problem.outputs, updated, values, {})


def _variable(node: Tensor, type: TensorType, value: Any) -> Variable:
    found = Variable(None, (), (), type)
    found.label, found.origin, found.storage = node.label, node.origin, np.array(value)
    return found


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """An attribute with other sizes in it; bodies of loops and branches too."""
    if isinstance(value, TensorType):
        return _changed_type(value, change)
    if isinstance(value, tuple):
        return tuple([_changed(item, change) for item in cast("tuple[Any, ...]", value)])
    if isinstance(value, Subgraph):
        return _changed_body(value, change)
    return change(value) if isinstance(value, Size) or type(value) is int else value


def _changed_type(type: TensorType, change: Callable[[Any], Any]) -> TensorType:
    return type.with_shape(tuple([change(size) for size in type.shape]))


def _changed_body(body: Subgraph, change: Callable[[Any], Any]) -> Subgraph:
    types = [_changed_type(p.type, change) for p in body.parameters]
    new: dict[Tensor, Tensor] = dict(zip(body.parameters, Subgraph(types, ()).parameters, strict=True))
    for node in body.nodes:
        if node.op is not None:
            attrs = tuple([_changed(value, change) for value in node.attrs])
            new[node] = node.op.apply(tuple([new[x] for x in node.inputs]), attrs, node)
        else:
            new.setdefault(node, node)
    return Subgraph(types, [new[y] for y in body.outputs])


def bound(problem: Problem) -> Problem:
    """The same with numbers in the place of named sizes."""
    return resized(problem, lambda size: sizes.bind(size, problem.sizes), lambda value: value)
