"""GradientTape: what was computed is recorded, as calls of closed graphs, and its gradient is a call of a closed graph again.

A gradient is made by ``gc.vjp`` of the recorded graph, in which every value that was computed is an input afterwards, since it is known.
The graph of a gradient is kept by the structure of what was recorded, so that a loop makes it once; and since it is a call like any other,
a tape around records it, which is what makes gradients of gradients.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, NamedTuple, cast

import numpy as np

import graphc as gc
from graphc.compat.tensorflow.dtypes import name_of
from graphc.compat.tensorflow.eager import Call, apply, call_of
from graphc.compat.tensorflow.recording import recording
from graphc.compat.tensorflow.tensor import Reference, Tensor, convert, read, tensor_of, variable_of
from graphc.core import Subgraph, TensorType, Variable, dtypes, substitute, toposort, tree
from graphc.core import Tensor as Node
from graphc.core.errors import ArgumentError, GraphcError
from graphc.core.subgraph import Parameter, parameter

KEPT: Final = 512
"""Structures of recorded graphs whose gradients are kept."""


class TapeError(GraphcError, RuntimeError):
    """A tape that is asked for what it has not, or has no longer."""


class UnconnectedGradients:
    """What ``gradient`` gives where no path leads from the source to the target."""

    NONE = "none"
    ZERO = "zero"


class _Record(NamedTuple):
    call: Call
    operands: Sequence[Tensor]
    results: Sequence[Tensor]


class _Structure(NamedTuple):
    """What a gradient depends on besides values: values have numbers, in the order in which they come up."""

    steps: tuple[tuple[Call, tuple[int, ...], tuple[int, ...]], ...]
    types: tuple[TensorType, ...]
    targets: tuple[int, ...]
    seeded: tuple[bool, ...]
    sources: tuple[tuple[int, ...], ...]


class _Trace(NamedTuple):
    """What was recorded of some targets and sources: its structure, and the values by their numbers."""

    structure: _Structure
    tensors: list[Tensor]


class _Plan(NamedTuple):
    """The call that computes derivatives, what it reads (numbers of values, or below zero of seeds), and which sources have one."""

    call: Call | None
    reads: tuple[int, ...]
    connected: tuple[bool, ...]


class GradientTape:
    """Records what is computed in its block, for gradients with respect to what it watches: trainable variables that are read.

    Args:
        persistent: whether more than one gradient may be asked for; what was recorded is kept until the tape goes.
        watch_accessed_variables: False watches only what ``watch`` names.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent, self._all_variables = bool(persistent), bool(watch_accessed_variables)
        self._used = False
        self.reset()

    def reset(self) -> None:
        """Forget what was recorded."""
        self._records: list[_Record] = []
        self._known: dict[int, Tensor] = {}
        self._named: set[Variable] = set()
        self._snapshots: dict[Variable, list[Tensor]] = {}

    def __enter__(self) -> GradientTape:
        if self in recording.tapes:
            raise TapeError("the tape is recording already", fits="a tape of its own for a block within")
        recording.tapes.append(self)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop()

    def _stop(self) -> None:
        if self in recording.tapes:
            recording.tapes.remove(self)

    @contextmanager
    def stop_recording(self) -> Generator[None, None, None]:
        """In this block the tape hears nothing. Raises :class:`TapeError` if it does not record."""
        if self not in recording.tapes:
            raise TapeError("stop_recording() of a tape that does not record", fits="a call within the block of the tape")
        place = recording.tapes.index(self)
        recording.tapes.remove(self)
        try:
            yield
        finally:
            recording.tapes.insert(place, self)

    # ------------------------------------------------------------ what it hears
    def watch(self, tensor: Any) -> None:
        """Record what is computed from this tensor or variable, or from these. Raises :class:`ArgumentError` for anything else."""
        for leaf in tree.flatten(tensor)[0]:
            if isinstance(leaf, Variable | Reference):
                self._named.add(variable_of(leaf))
            elif isinstance(leaf, Tensor):
                self._hold(leaf)
            else:
                raise ArgumentError(f"watch({leaf!r})", given=[f"of type {type(leaf).__name__}"], fits="a tensor: tf.constant(...)")

    def watched_variables(self) -> tuple[Any, ...]:
        """The variables that were read and are watched, in the order of the first reading."""
        return tuple([getattr(variable, "owner", variable) for variable in self._snapshots])

    def record(self, call: Call, operands: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        """A call was made: kept if it depends on what is watched."""
        known = self._known
        if any(id(x) in known for x in operands):
            self._records.append(_Record(call, operands, results))
            for y in results:
                self._hold(y)

    def accessed(self, variable: Variable, snapshot: Tensor) -> None:
        """A variable was read."""
        if (self._all_variables and getattr(variable, "trainable", True)) or variable in self._named:
            seen = self._snapshots.setdefault(variable, [])
            if not any(snapshot is one for one in seen):
                seen.append(snapshot)
                self._hold(snapshot)

    def _hold(self, tensor: Tensor) -> None:
        if dtypes.is_inexact(tensor.type.dtype):
            self._known[id(tensor)] = tensor

    # ------------------------------------------------------------ what it gives
    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: Any = UnconnectedGradients.NONE
    ) -> Any:
        """The gradient of the sum of ``target`` with respect to each of ``sources``, in their structure.

        ``output_gradients`` weighs the elements of the target. A source that no path leads to from the target has None, or zeros if
        ``unconnected_gradients`` is ``"zero"``. A tape that is not persistent gives one gradient.

        Raises :class:`TapeError` for a second one, :class:`ArgumentError` for a source that is no tensor and no variable.
        """
        zeros = _wants_zeros(unconnected_gradients)
        wanted, refill = tree.flatten(sources)
        _check_sources(wanted)
        targets = [_target(y) for y in tree.flatten(target)[0]]
        seeds = _seeds(output_gradients, targets)
        found = self._derived("gradient", targets, wanted, seeds)
        return refill([_zeros_of(x) if zeros and g is None else g for x, g in zip(wanted, found, strict=True)])

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
        parallel_iterations: Any = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The derivative of each element of ``target`` with respect to each of each source: the target's axes, then the source's.

        The last two arguments do nothing. Raises as :meth:`gradient` does.
        """
        zeros = _wants_zeros(unconnected_gradients)
        wanted, refill = tree.flatten(sources)
        _check_sources(wanted)
        y = _target(target)
        found = self._derived("jacobian", [y], wanted, [None])
        return refill([_zeros_of(x, y.shape) if zeros and d is None else d for x, d in zip(wanted, found, strict=True)])

    def graph(self, target: Any, sources: Any = None) -> Any:
        """What was recorded of a target as a graph of graphc: to be drawn, listed, differentiated or compiled.

        Variables are its leaves; numbers are constants; other tensors are inputs, those that are watched, and given in ``sources``, too.
        With ``sources`` the result is the graph and the nodes that the sources are in it, in their structure:

        >>> loss_graph, (x_node,) = tape.graph(loss, [x])
        >>> gc.draw(loss_graph, wrt=[x_node])
        """
        wanted, refill = tree.flatten(sources)
        trace = self._trace([_target(target)], wanted)
        nodes = self._leaves(trace)
        for call, operands, results in trace.structure.steps:
            for place, node in zip(results, call.subgraph(*[nodes[i] for i in operands]), strict=True):
                nodes[place] = node
        (y,) = [nodes[place] for place in trace.structure.targets]
        if sources is None:
            return y
        return y, refill([self._node(x, places, nodes) for x, places in zip(wanted, trace.structure.sources, strict=True)])

    def _node(self, source: Any, places: tuple[int, ...], nodes: dict[int, Node]) -> Node:
        if isinstance(source, Variable | Reference):
            return variable_of(source)
        if not places:
            raise ArgumentError("graph: the target does not depend on a source", given=[repr(source)], fits="a source that is watched")
        return nodes[places[0]]

    def _leaves(self, trace: _Trace) -> dict[int, Node]:
        variables = {id(value): variable for variable, values in self._snapshots.items() for value in values}
        computed = {place for _, _, results in trace.structure.steps for place in results}
        nodes: dict[int, Node] = {}
        for place, x in enumerate(trace.tensors):
            if place not in computed:
                alone = x.array.size == 1 and id(x) not in self._known
                leaf = gc.constant(x.array) if alone else gc.input(f"x{place}", x.array.shape, x.type.dtype)
                nodes[place] = variables.get(id(x), leaf)
        return nodes

    def _derived(self, kind: Literal["gradient", "jacobian"], targets: list[Tensor], sources: list[Any], seeds: list[Any]) -> list[Any]:
        if self._used:
            raise TapeError(
                "a tape gives one gradient, and this one has given it", fits="tf.GradientTape(persistent=True), or one call for all sources"
            )
        if not self._persistent:
            self._stop()
        trace = self._trace(targets, sources, seeds)
        if not self._persistent:
            self._used = True
            self.reset()
        plan = _plan(kind, trace.structure)
        operands = [trace.tensors[place] if place >= 0 else seeds[-1 - place] for place in plan.reads]
        results = iter(apply(plan.call, operands) if plan.call else ())
        return [next(results) if connected else None for connected in plan.connected]

    def _trace(self, targets: list[Tensor], sources: list[Any], seeds: Sequence[Any] | None = None) -> _Trace:
        records = self._records_of(targets)
        places: dict[int, int] = {}
        tensors: list[Tensor] = []

        def place_of(x: Tensor) -> int:
            place = places.setdefault(id(x), len(tensors))
            if place == len(tensors):
                tensors.append(x)
            return place

        steps = [(call, tuple(map(place_of, operands)), tuple(map(place_of, results))) for call, operands, results in records]
        ends = tuple(map(place_of, targets))
        leaves = [[x] if isinstance(x, Tensor) else self._snapshots.get(variable_of(x), []) for x in sources]
        found = [tuple([places[id(x)] for x in own if id(x) in places and id(x) in self._known]) for own in leaves]
        types = tuple([x.type for x in tensors])
        return _Trace(_Structure(tuple(steps), types, ends, tuple([s is not None for s in seeds or targets]), tuple(found)), tensors)

    def _records_of(self, targets: list[Tensor]) -> list[_Record]:
        """The records that the targets depend on, in order."""
        needed = {id(y) for y in targets}
        chosen: list[_Record] = []
        for record in reversed(self._records):
            if any(id(y) in needed for y in record.results):
                chosen.append(record)
                needed.update([id(x) for x in record.operands])
        return chosen[::-1]


@functools.lru_cache(maxsize=KEPT)
def _plan(kind: Literal["gradient", "jacobian"], structure: _Structure) -> _Plan:
    """The derivatives of the recorded graph, as a closed graph of the values that were computed."""
    count = len(structure.types)
    nodes, values, roles = _rebuilt(structure)
    seeds = [parameter(2 * count + i, structure.types[place]) for i, place in enumerate(structure.targets)]
    ends: list[tuple[Node, Any]] = []
    for place, seeded, seed in zip(structure.targets, structure.seeded, seeds, strict=True):
        y = nodes[place]
        if dtypes.is_inexact(y.dtype):
            ends.append((y, seed if seeded else gc.ones_like(y)))
    found = [_total(kind, ends, [roles[place] for place in places]) for places in structure.sources]
    derivatives = substitute([d for d in found if d is not None], values)
    used = [x for x in toposort(derivatives) if isinstance(x, Parameter)]
    types = [x.type for x in used]
    call = call_of(Subgraph(types, substitute(derivatives, {x: parameter(i, x.type) for i, x in enumerate(used)})))
    numbers: dict[Node, int] = {parameter(i, type): i for i, type in enumerate(structure.types)}
    numbers |= {seed: -1 - i for i, seed in enumerate(seeds)}
    reads = tuple([numbers[x] for x in used])
    return _Plan(call if derivatives else None, reads, tuple([d is not None for d in found]))


def _rebuilt(structure: _Structure) -> tuple[dict[int, Node], dict[Node, Node], dict[int, Node]]:
    """The nodes of the recorded values; what they are when they are known; and, for each source, the leaf that it is differentiated by.

    A source that was computed gets a summand, which is zero, so that it is a leaf of its own and what it was computed from is too.
    """
    count = len(structure.types)
    sources = {place for places in structure.sources for place in places}
    computed = {place for _, _, results in structure.steps for place in results}
    nodes: dict[int, Node] = {i: parameter(i, type) for i, type in enumerate(structure.types) if i not in computed}
    roles: dict[int, Node] = dict(nodes)
    values: dict[Node, Node] = {}
    for call, operands, results in structure.steps:
        for place, node in zip(results, call.subgraph(*[nodes[i] for i in operands]), strict=True):
            if place in sources:
                roles[place] = parameter(count + place, node.type)
                node = cast("Node", node + roles[place])
            nodes[place] = node
            if node.op is not None:
                values[node] = parameter(place, node.type)
    return nodes, values, roles


def _total(kind: str, ends: list[tuple[Node, Any]], leaves: list[Node]) -> Node | None:
    """The sum of the derivatives of all targets by all leaves that a source is, or None if no path leads there."""
    paths = [(y, x, seed) for y, seed in ends for x in leaves if gc.why_no_gradient(y, x) is None]
    shares: list[Any] = [gc.vjp(y, x, seed) if kind == "gradient" else gc.jacobian(y, x) for y, x, seed in paths]
    return functools.reduce(lambda a, b: a + b, shares) if shares else None


def _target(y: Any) -> Tensor:
    if isinstance(y, Variable | Reference):
        return read(variable_of(y))
    if not isinstance(y, Tensor):
        raise ArgumentError(f"the target is {y!r}", given=[f"of type {type(y).__name__}"], fits="a tensor that was computed under the tape")
    return y


def _check_sources(sources: list[Any]) -> None:
    for x in sources:
        if not isinstance(x, Tensor | Variable | Reference):
            raise ArgumentError(f"a source is {x!r}", given=[f"of type {type(x).__name__}"], fits="tensors that are watched, and variables")


def _seeds(output_gradients: Any, targets: list[Tensor]) -> list[Tensor | None]:
    if output_gradients is None:
        return [None] * len(targets)
    given = tree.flatten(output_gradients)[0] if len(targets) > 1 else [output_gradients]
    if len(given) != len(targets):
        raise ArgumentError(f"{len(given)} output_gradients for {len(targets)} targets", fits="one for each target")
    return [_seed(g, y) for g, y in zip(given, targets, strict=True)]


def _seed(value: Any, y: Tensor) -> Tensor:
    seed = convert(value, like=y.type.dtype)
    if seed.type is not y.type:
        raise ArgumentError("output_gradients is not of the target's type", given=[f"{seed.type} for {y.type}"], fits=str(y.type))
    return seed


def _wants_zeros(choice: Any) -> bool:
    if choice not in (UnconnectedGradients.NONE, UnconnectedGradients.ZERO):
        raise ArgumentError(f"unconnected_gradients={choice!r}", fits="'none' or 'zero'")
    return choice == UnconnectedGradients.ZERO


def _zeros_of(source: Any, leading: tuple[Any, ...] = ()) -> Tensor:
    return tensor_of(np.zeros((*leading, *source.shape), dtypes.numpy_dtype(name_of(source.dtype))))
