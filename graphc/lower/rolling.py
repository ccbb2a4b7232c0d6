"""Equal layers are written once: as a loop over stacked layers, or as a function that each layer calls.

XLA compiles what it is given: a net of 300 equal layers takes the time of 300 layers, unless it comes as one loop. Here the runs of
equal segments among the steps (:mod:`graphc.lower.repeats`) become steps of their own:

- A :class:`Loop` is a ``jax.lax.scan``. A value that each layer hands to the next is a carry; what is the same for all layers is read
  from around; what each layer has for itself is an item of a stack: of variables that live stacked on the device, of constants, or of
  what an earlier loop told of each of its layers. Nothing is stacked or taken apart in the call, because XLA takes seconds to compile that.
- :class:`Calls` are calls of one function, which is traced and lowered once and compiled in each place. That fits every run and costs
  nothing when it runs.

A loop copies the items of its stacks, so it pays where layers are small and many; see :func:`_pays`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import Any, Final

import numpy as np

from graphc.core import Bundle, Constant, Tensor, TensorType, Variable, constant, toposort
from graphc.core.sizes import typical
from graphc.lower.repeats import Repeat, repeats
from graphc.lower.schedule import Schedule

LEAST: Final = 64
"""Steps that equal layers have to save to be looked at."""
LEAST_CALLED: Final = 256
"""Steps that a function for a layer has to save."""
FEW: Final = 2
"""So many of a stack's values may come from elsewhere, or be read one by one."""
COMPILED_STEP: Final = 450e-6
"""Seconds that JAX and XLA need to trace, lower and compile a step."""
COMPILED_LOOP: Final = 0.05
"""Seconds that a loop takes to compile beyond the steps in it."""
CALLS: Final = 1000
"""How often a function is thought to be called, where time in calls is held against time to compile."""
COPIED: Final = 16e9
"""Bytes a second that a loop copies out of stacks and into them."""
CALLED: Final = 0.4e-6
"""Seconds that XLA takes to call a step, and a loop does not."""


class Stack(Variable):
    """Several variables of one type as one, whose first axis counts them."""

    __slots__ = ("variables",)
    variables: tuple[Variable, ...]


class Stacked(Tensor):
    """What a loop told of each layer, by the layers' indices. Its inputs are the values themselves, one for each layer."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """``stacked``."""
        return "stacked"


@dataclass(frozen=True)
class Carry:
    """A value that each layer hands to the next: ``before`` is what the first layer reads, ``after`` what it hands on, ``last`` what
    the last layer does, if that is a node. Without ``before`` only the value of the last layer is wanted, and the first reads zeros.
    """

    before: Tensor | None
    after: Tensor
    last: Tensor | None


@dataclass(frozen=True)
class Items:
    """A value that each layer has for itself: ``first`` is what the first layer reads. The layer of index i reads the item
    ``slope * i + shift`` of the stack, but for the indices in ``others``.
    """

    first: Tensor
    stack: Tensor
    slope: int
    shift: int
    others: Mapping[int, Tensor]

    def aligned(self, count: int) -> bool:
        """Whether each of so many layers reads the item of its index, and no item is left."""
        return (self.slope, self.shift, *self.stack.shape[:1]) == (1, 0, count) and not self.others


@dataclass(frozen=True)
class Loop:
    """Equal layers, one after another. ``nodes`` are the steps of the first.

    Layers have indices: in order, or from the last to the first where the loop is ``reverse``, so that two loops over the same layers
    agree. ``told`` are the nodes of the first layer of which each layer's value is kept, with their stacks; ``single`` are the items that
    somebody reads one by one.
    """

    nodes: tuple[Tensor, ...]
    count: int
    reverse: bool
    carries: tuple[Carry, ...]
    items: tuple[Items, ...]
    told: tuple[tuple[Tensor, Stacked], ...]
    single: Mapping[Tensor, tuple[Stacked, int]]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it reads, stacks among it."""
        made = set(self.nodes)
        first = {items.first for items in self.items}
        own = [x for node in self.nodes for x in node.inputs if x not in made and x not in first]
        stacks = [x for items in self.items for x in (items.stack, *items.others.values())]
        return tuple(dict.fromkeys([*own, *stacks]))


@dataclass(frozen=True)
class Calls:
    """Equal layers as calls of one function: ``arguments`` and ``results`` by layer. ``nodes`` are the steps of the first."""

    nodes: tuple[Tensor, ...]
    arguments: tuple[tuple[Tensor, ...], ...]
    results: tuple[tuple[Tensor, ...], ...]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What the layers read and do not make."""
        made = {node for layer in self.results for node in layer}
        return tuple(dict.fromkeys([x for layer in self.arguments for x in layer if x not in made]))


@dataclass(frozen=True, eq=False)
class _Layers:
    """A run of equal segments. ``made`` are the nodes by their place in the segment, ``reads`` what comes from outside of it, each for
    every layer.
    """

    repeat: Repeat
    layers: tuple[tuple[Tensor, ...], ...]
    made: tuple[tuple[Tensor, ...], ...] = field(init=False)
    reads: tuple[tuple[Tensor, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        first, own = self.layers[0], set(self.layers[0])
        places: dict[Tensor, tuple[int, int]] = {}
        for k, node in enumerate(first):
            for m, x in enumerate(node.inputs):
                if x not in own:
                    places.setdefault(x, (k, m))
        object.__setattr__(self, "made", tuple(zip(*self.layers, strict=True)))
        object.__setattr__(self, "reads", tuple([tuple([layer[k].inputs[m] for layer in self.layers]) for k, m in places.values()]))

    @property
    def count(self) -> int:
        return self.repeat.count

    @property
    def uniform(self) -> bool:
        """Whether what the layers read is of the same types."""
        return all(x.type is values[0].type for values in self.reads for x in values)


def rolled(schedule: Schedule, stack: Callable[[Sequence[Variable]], Stack] | None) -> Schedule:
    """The schedule with its equal layers as loops and calls; as it is where there are none.

    ``stack`` makes the variable that has several others for its items; without it there are no loops.
    """
    whole, schedule = schedule, replace(schedule, steps=_soon(schedule.steps))
    found = _found(schedule)
    if not found:
        return whole
    loops = {layers: layers for layers in found if stack}
    while True:
        fitted = _Fitted(schedule, list(loops.values()), stack)
        if not fitted.unfit and sum(fitted.gained.values()) >= 0:
            return fitted.schedule([loops.get(layers, layers) for layers in found])
        unfit = fitted.unfit or {min(fitted.gained, key=fitted.gained.__getitem__)}
        fit = {whole: fitted.trimmed.get(layers, layers) for whole, layers in loops.items()}
        loops = {whole: layers for whole, layers in fit.items() if layers not in unfit}


def _soon(steps: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The steps in another order, in which the updates of a layer come as soon as its gradients are there, so that equal layers are
    equal segments: of the results, those come first that a list schedule has first which always does what least depends on.
    """
    number = {node: i for i, node in enumerate(steps)}
    readers: list[list[int]] = [[] for _ in steps]
    waiting = [0] * len(steps)
    height = [0] * len(steps)
    for i in range(len(steps) - 1, -1, -1):
        for x in steps[i].inputs:
            j = number.get(x)
            if j is not None:
                readers[j].append(i)
                waiting[i] += 1
                height[j] = max(height[j], height[i] + 1)
    ready = [(height[i], i) for i in range(len(steps)) if not waiting[i]]
    heapify(ready)
    results: list[Tensor] = []
    while ready:
        _, i = heappop(ready)
        if not readers[i]:
            results.append(steps[i])
        for j in readers[i]:
            waiting[j] -= 1
            if not waiting[j]:
                heappush(ready, (height[j], j))
    return tuple([node for node in toposort(results) if node in number])


def _found(schedule: Schedule) -> list[_Layers]:
    items = [(_key(node), (*node.inputs, node)) for node in schedule.steps]
    found = [_layers(schedule, repeat) for repeat in repeats(items, LEAST)]
    return [layers for layers in found if layers.uniform]


def _layers(schedule: Schedule, repeat: Repeat) -> _Layers:
    return _Layers(repeat, tuple([tuple(schedule.steps[i : i + repeat.period]) for i in repeat.starts]))


def _key(node: Tensor) -> Any:
    """What a step is but for its operands. A check stays where it is, since its condition is a result of the function."""
    if node.op is not None and node.op.name == "guard":
        return node
    return node.op, node.type, node.attrs and (node.attrs, repr(node.attrs))  # 0.0 and -0.0 are equal, and so are 1 and True


def _gained(layers: _Layers, copied: Iterable[TensorType]) -> float:
    """The time to compile that a loop saves, less the time that its copies take in all the calls to come.

    On a processor with JAX 0.10, 300 dense layers of 64 took 0.2 of the time to compile and 0.9 of the time to run; layers of 512 took
    twice the time to run, for the copies of their weights.
    """
    copies = sum([typical(type.nbytes) for type in copied]) / COPIED
    lost = layers.count * (copies - layers.repeat.period * CALLED)
    return layers.repeat.saved * COMPILED_STEP - COMPILED_LOOP - CALLS * lost


class _Fitted:
    """Loops for some of the runs, fitted to one another: each stack that one reads is there before it. ``unfit`` are those for which that
    fails; then nothing else counts.
    """

    def __init__(self, schedule: Schedule, loops: Sequence[_Layers], stack: Callable[[Sequence[Variable]], Stack] | None = None) -> None:
        self._schedule, self._stack = schedule, stack
        self.unfit: set[_Layers] = set()
        self.gained: dict[_Layers, float] = {}
        self.trimmed: dict[_Layers, _Layers] = {}
        self._reverse: dict[_Layers, bool] = {}
        self._carries: dict[_Layers, list[Carry]] = {}
        self._sequences: dict[_Layers, list[tuple[Tensor, ...]]] = {}
        self._items: dict[_Layers, list[Items]] = {}
        self._told: dict[_Layers, dict[int, Stacked]] = {}
        self._where: dict[Tensor, tuple[Any, int]] = {}
        self._stacks: list[Stack] = []
        self._updates: dict[Variable, Stacked] = {}
        self._grouped: dict[Variable, Stack] = {}
        self._constants: dict[Constant, None] = {}
        self._singly: set[Tensor] = set()
        self._loops: dict[_Layers, Loop] = {}
        inside = {node for layers in loops for layer in layers.layers for node in layer}
        for layers in loops:
            self._sort(layers)
        self._turn(loops)
        for layers in loops:
            self._update(layers)
        self._read_singly([x for node in schedule.steps if node not in inside for x in node.inputs])
        self._read_singly([x for node in schedule.hoisted for x in node.inputs])
        self._read_singly([*schedule.outputs, *[value for variable, value in schedule.updates.items() if variable not in self._grouped]])
        for layers in loops:
            self._items[layers] = [items for values in self._sequences[layers] if (items := self._item(layers, values))]
        for layers in loops:
            self._finish(layers)

    def _read_singly(self, nodes: Iterable[Tensor]) -> None:
        self._singly.update(nodes)

    def _sort(self, layers: _Layers) -> None:
        """Carries, what all layers read, and what each has for itself."""
        source = {node: (p, j) for p, nodes in enumerate(layers.made) for j, node in enumerate(nodes)}
        carries: list[Carry] = []
        self._carries[layers] = carries
        self._told[layers] = {}
        sequences: list[tuple[Tensor, ...]] = []
        for values in layers.reads:
            if all(x is values[0] for x in values):
                self._read_singly(values[:1])
            elif values[1] in source:
                made = layers.made[source[values[1]][0]]
                carries.append(Carry(values[0], made[0], made[-1]))
                if values[1:] != made[:-1]:
                    self.unfit.add(layers)
            elif values[0].type.__class__ is Bundle or any(x in source for x in values):
                self.unfit.add(layers)
            else:
                sequences.append(values)
        late = _late(sequences)
        carries += [Carry(values[0], early[0], None) for values, early in late.items()]
        self._read_singly([carry.before for carry in carries if carry.before is not None])
        self._sequences[layers] = [values for values in sequences if values not in late]

    def _turn(self, loops: Sequence[_Layers]) -> None:
        """Give the layers indices, by those of what they read."""
        index: dict[Tensor, int] = {}
        for layers in loops:
            known = [[index[x] for x in values if x in index] for values in self._sequences[layers]]
            known = [places for places in known if len(places) > 1]
            self._reverse[layers] = reverse = bool(known) and known[0][0] > known[0][-1]
            for values in (*layers.made, *self._sequences[layers]):
                for i, x in enumerate(reversed(values) if reverse else values):
                    index.setdefault(x, i)

    def _by_index(self, layers: _Layers, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(reversed(values)) if self._reverse[layers] else tuple(values)

    def _update(self, layers: _Layers) -> None:
        """Variables that all layers update are one, which is the stack of its items."""
        updated: dict[Tensor, list[Variable]] = {}
        for variable, value in self._schedule.updates.items():
            updated.setdefault(value, []).append(variable)
        for p, made in enumerate(layers.made):
            nodes = self._by_index(layers, made)
            self._where |= {node: ((layers, p), i) for i, node in enumerate(nodes)}
            variables = [updated.get(node, []) for node in nodes]
            if len({len(some) for some in variables}) == 1:
                for some in zip(*variables, strict=True):
                    self._updates[self._group(some)] = self._tell(layers, p)

    def _group(self, variables: tuple[Variable, ...]) -> Stack:
        assert self._stack is not None
        node = self._stack(variables)
        self._stacks.append(node)
        self._grouped |= dict.fromkeys(variables, node)
        self._where |= {variable: (node, i) for i, variable in enumerate(variables)}
        return node

    def _tell(self, layers: _Layers, place: int) -> Stacked:
        """The stack of what the layers make at this place."""
        told = self._told[layers]
        if place not in told:
            nodes = self._by_index(layers, layers.made[place])
            type = nodes[0].type
            told[place] = Stacked(None, nodes, (), type.with_shape((len(nodes), *type.shape)), nodes[0])
        return told[place]

    def _item(self, layers: _Layers, values: Sequence[Tensor]) -> Items | None:
        """The stack that has these values, but for a few, and where."""
        first = values[0]
        ordered = self._by_index(layers, values)
        if all(isinstance(x, Constant) for x in ordered):
            return Items(first, self._stacked_constants(ordered), 1, 0, {})
        if not any(x in self._where for x in ordered) and all(isinstance(x, Variable) and x not in self._schedule.updates for x in ordered):
            self._group(tuple([x for x in ordered if isinstance(x, Variable)]))
        line = _line([self._where.get(x) for x in ordered])
        if line is None:
            self.unfit.add(layers)
            return None
        base, slope, shift = line
        others = {i: x for i, x in enumerate(ordered) if self._where.get(x) != (base, slope * i + shift)}
        if len(others) > FEW or first.type.__class__ is Bundle:
            self.unfit.add(layers)
            return None
        if others and isinstance(base, Variable) and self._updates.get(base) not in self._told[layers].values():
            self._trim(layers, others)
        self._read_singly(others.values())
        return Items(first, base if isinstance(base, Variable) else self._tell(*base), slope, shift, others)

    def _trim(self, layers: _Layers, others: Mapping[int, Tensor]) -> None:
        """Leave out the layers at the ends whose variable is not in the stack that the others are in."""
        low = next(i for i in range(layers.count) if i not in others)
        high = next(i for i in range(layers.count) if layers.count - 1 - i not in others)
        front, back = (high, low) if self._reverse[layers] else (low, high)
        repeat = layers.repeat
        rest = Repeat(repeat.start + front * repeat.period, repeat.period, repeat.count - front - back)
        if len(others) == low + high and rest.count > 1:
            self.unfit.add(layers)
            self.trimmed[layers] = _layers(self._schedule, rest)

    def _stacked_constants(self, values: Sequence[Tensor]) -> Constant:
        stacked = constant(np.stack([x.value for x in values if isinstance(x, Constant)]), values[0].dtype)
        self._constants[stacked] = None
        return stacked

    def _finish(self, layers: _Layers) -> None:
        told, made = self._told[layers], layers.made
        carries = list(self._carries[layers])
        carried = {carry.last for carry in carries}
        single: dict[Tensor, tuple[Stacked, int]] = {}
        for p, nodes in enumerate(made):
            asked = [node for node in nodes if node in self._singly and node not in carried]
            if asked == [nodes[-1]] and p not in told:
                carries.append(Carry(None, nodes[0], nodes[-1]))
            elif len(asked) > FEW:
                self.unfit.add(layers)
            else:
                single |= {node: (self._tell(layers, p), self._where[node][1]) for node in asked}
        for node in self._stacks_of(layers):
            if sum([variable in self._singly for variable in node.variables]) > FEW:
                self.unfit.add(layers)
        stacks = tuple([(made[p][0], stack) for p, stack in told.items()])
        items = tuple(self._items[layers])
        copied = [x.first.type for x in items if not isinstance(x.stack, Constant)]
        copied += [node.type for node, _ in stacks]
        if any(type.__class__ is Bundle for type in copied):
            self.unfit.add(layers)
        else:
            self.gained[layers] = _gained(layers, copied)
        self._loops[layers] = Loop(layers.layers[0], layers.count, self._reverse[layers], tuple(carries), items, stacks, single)

    def _stacks_of(self, layers: _Layers) -> set[Stack]:
        """The stacks of variables that these layers read or update."""
        read = {items.stack for items in self._items[layers]}
        told = set(self._told[layers].values())
        return {node for node in self._stacks if node in read or self._updates.get(node) in told}

    def schedule(self, found: Sequence[_Layers]) -> Schedule:
        """The schedule with these runs as loops, and the others as calls."""
        whole = self._schedule
        outside = _read_outside(whole, found)
        steps: list[Any] = []
        done = 0
        for layers in found:
            steps += whole.steps[done : layers.repeat.start]
            steps += [self._loops[layers]] if layers in self._loops else _calls(layers, outside)
            done = layers.repeat.stop
        steps += whole.steps[done:]
        variables = tuple(dict.fromkeys([self._grouped.get(variable, variable) for variable in whole.variables]))
        updates: dict[Variable, Tensor] = {}
        for variable, value in whole.updates.items():
            group = self._grouped.get(variable, variable)
            updates[group] = self._updates.get(group, value)
        used = self._singly if self._loops else set(whole.constants)
        constants = (*[c for c in whole.constants if c in used], *self._constants)
        return replace(whole, variables=variables, constants=constants, steps=tuple(steps), updates=updates)


def _late(sequences: Sequence[tuple[Tensor, ...]]) -> dict[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The sequences in which each layer reads what the layer before it read in another one."""
    by_start: dict[tuple[Tensor, ...], tuple[Tensor, ...]] = {values[:-1]: values for values in sequences}
    late: dict[tuple[Tensor, ...], tuple[Tensor, ...]] = {}
    for values in sequences:
        early = by_start.get(values[1:])
        if early is not None and early is not values and early not in late and values not in late.values():
            late[values] = early
    return late


def _line(places: Sequence[tuple[Any, int] | None]) -> tuple[Any, int, int] | None:
    """The stack, the slope and the shift that say where most of the values are: value i is its item ``slope * i + shift``."""
    votes: Counter[tuple[Any, int, int]] = Counter()
    for i, place in enumerate(places):
        if place is not None:
            stack, item = place
            votes[stack, 1, item - i] += 1
            votes[stack, -1, item + i] += 1
    return votes.most_common(1)[0][0] if votes else None


def _read_outside(schedule: Schedule, found: Sequence[_Layers]) -> set[Tensor]:
    """What is read outside of the layer that makes it."""
    layer = {node: (number, j) for number, layers in enumerate(found) for j, nodes in enumerate(layers.layers) for node in nodes}
    read = {x for node in schedule.steps for x in node.inputs if layer.get(x) != layer.get(node)}
    return read | {*schedule.outputs, *schedule.updates.values()}


def _calls(layers: _Layers, outside: set[Tensor]) -> list[Any]:
    if layers.repeat.saved < LEAST_CALLED:
        return [node for layer in layers.layers for node in layer]
    results = [nodes for nodes in layers.made if any(node in outside for node in nodes)]
    arguments = [values for values in layers.reads if not (isinstance(values[0], Constant) and all(x is values[0] for x in values))]
    return [Calls(layers.layers[0], _by_layer(arguments, layers.count), _by_layer(results, layers.count))]


def _by_layer(values: Sequence[tuple[Tensor, ...]], count: int) -> tuple[tuple[Tensor, ...], ...]:
    return tuple(zip(*values, strict=True)) if values else ((),) * count
