"""A graph as it is drawn: what loops, branches and calls hold is unfolded once, in a frame of its own.

The unfolded graph is a graph, so that its gradient is drawn like any other: a loop's first carry goes into its step over a node,
an item of a sequence over another, and results come out over nodes that say which they are. These nodes have VJPs, and no value.
What a step hands on to the next is no edge of the graph but one of ``carried``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graphc.core import OPS, Op, Subgraph, Tensor, TensorType, bodies, constant, parts, rebuild, toposort
from graphc.show.bodies import Body, bodies_of, is_part, parameter_label
from graphc.show.sketch import Cluster

GROUP: Final = "unfolded"
"""The group of the ops that stand for the ways into and out of a body."""


def _way(name: str, text: str = "$x", *, operands: tuple[str, ...] = ("x",), back: Callable[..., Any] | None = None) -> Op:
    words = [f"${word[1:]}" if word.startswith("$") else rf"\text{{ {word} }}" for word in text.split()]
    tex = "".join(words)
    return Op(name, lambda *types: types[0], operands, len(operands) > 1, (), {}, text=text, tex=tex, group=GROUP, reverse=back)


def _node(op: Op, inputs: Sequence[Tensor], type: TensorType) -> Tensor:
    """A node that is no other's: not interned."""
    return Tensor(op, tuple(inputs), (), type)


def _to_operand(op: Op) -> Callable[..., tuple[Tensor]]:
    """The VJP that sends back what ``op`` makes of the cotangent."""

    def back(g: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor]:
        return (_node(op, [g], x.type),)

    return back


def _as_it_is(g: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor]:
    return (g,)


_SUMMED: Final = _way("summed", "Σₜ $x")
_AT_FIRST: Final = _way("at the first step", "$x at the first step")
_AT_LAST: Final = _way("at the last step", "$x at the last step")
_EACH: Final = _way("each", "every $x")
_OF_STEP: Final = _way("of the step", "$x[t]")

SHARED: Final = _way("shared", back=_to_operand(_SUMMED))
"""What every step of a loop reads. It is drawn as the operand itself, as an ``ARGUMENT`` is."""
ARGUMENT: Final = _way("argument", back=_as_it_is)
_FIRST: Final = _way("carry", "$x at the first step", back=_to_operand(_AT_FIRST))
_ITEM: Final = _way("item", "$x[t]", back=_to_operand(_EACH))
_STATE: Final = _way("carry", "$x at the first step")
_LAST: Final = _way("last", "last $x", back=_to_operand(_AT_LAST))
_ALL: Final = _way("all", "every $x", back=_to_operand(_OF_STEP))
_BEFORE: Final = _way("before", "every $x before its step", back=_to_operand(_OF_STEP))
_FINAL: Final = _way("final", "final $x")
_RESULT: Final = _way("result", back=_as_it_is)


def _chosen(g: Tensor, y: Tensor, condition: Tensor, one: Tensor, other: Tensor) -> tuple[Any, ...]:
    def where(holds: Tensor) -> Tensor:
        return OPS["multiply"](g, OPS["cast"](holds, dtype=g.dtype))

    return None, where(condition), where(OPS["logical_not"](condition))


CHOICE: Final = Op(
    "choice",
    lambda *types: types[1],
    ("condition", "one", "other"),
    False,
    (),
    {},
    text="($one if $condition else $other)",
    group=GROUP,
    reverse=_chosen,
)
"""A result of a branch: a choice between the results of two frames."""
BYPASS: Final = "bypass"
"""The name of the ops whose gradient does not go through their frame."""
PARAMETERS: Final = (_FIRST, _ITEM, _STATE)
"""The ways into a body that are drawn as its parameters."""


@dataclass
class Unfolded:
    """The drawn graph: ``roots`` and what else has no reader (``ends``), with the frame of each node that has one.

    ``new`` has the drawn node for each node of the graph itself, ``carried`` the pairs of a new carry and the carry of the next step.
    """

    roots: list[Tensor]
    new: Mapping[Tensor, Tensor] = field(default_factory=dict[Tensor, Tensor])
    frames: list[Cluster] = field(default_factory=list[Cluster])
    frame_of: dict[Tensor, str] = field(default_factory=dict[Tensor, str])
    carried: list[tuple[Tensor, Tensor]] = field(default_factory=list[tuple[Tensor, Tensor]])
    ends: list[Tensor] = field(default_factory=list[Tensor])

    @property
    def root(self) -> Tensor:
        """The first of the roots."""
        return self.roots[0]

    @property
    def nodes(self) -> list[Tensor]:
        """Every node in order."""
        return toposort([*self.roots, *self.ends])


def drawn_as(node: Tensor) -> Tensor:
    """What a body reads from outside is drawn outside."""
    while node.op is SHARED or node.op is ARGUMENT:
        node = node.inputs[0]
    return node


def drawn_inputs(node: Tensor) -> tuple[Tensor, ...]:
    """The operands to which a forward edge is drawn: a gradient of its own goes past the frame, and no value does."""
    return node.inputs[:1] if node.op is not None and node.op.name == BYPASS else node.inputs


def unfold(y: Tensor | Sequence[Tensor]) -> Unfolded:
    """The graph of ``y``, or of several results, with every body in a frame. Without any it is the graph itself."""
    roots = [y] if isinstance(y, Tensor) else list(y)
    found = Unfolded(roots)
    work = _Unfolding(found)
    found.roots, found.new = work.copied(roots, {}, "", None)
    _let_out(found)
    return found


def _let_out(found: Unfolded) -> None:
    """What is made of constants alone is one node wherever it is written: it stays in a frame only if all who read it are there."""
    order = found.nodes
    inside: set[Tensor] = set()
    for node in order:
        if (node.op is not None and node.op.group == GROUP) or not inside.isdisjoint(node.inputs):
            inside.add(node)
    for root in found.roots:
        if root not in inside:
            found.frame_of.pop(root, None)
    for node in reversed(order):
        for x in node.inputs:
            if x not in inside and found.frame_of.get(x) != found.frame_of.get(node):
                found.frame_of.pop(x, None)


class _Unfolding:
    def __init__(self, found: Unfolded) -> None:
        self.found = found
        self.labels = Counter[str]()

    def _unlike_others(self, label: str) -> str:
        self.labels[label] += 1
        return label if self.labels[label] == 1 else f"{label}_{self.labels[label]}"

    def copied(
        self, outputs: Sequence[Tensor], given: Mapping[Tensor, Tensor], frame: str, call: Tensor | None
    ) -> tuple[list[Tensor], dict[Tensor, Tensor]]:
        """The outputs over other leaves, what is new in them in this frame; ``call`` is the node whose body it is."""
        new = dict(given)
        opened: dict[Tensor, Callable[[int], Tensor]] = {}
        for node in toposort(outputs):
            if node in new:
                continue
            if node.attrs and bodies(node):
                opened[node] = self._opened(node, [new[x] for x in node.inputs], frame)
                continue
            if is_part(node) and node.inputs[0] in opened:
                new[node] = opened[node.inputs[0]](node.attrs[0])
            else:
                new[node] = rebuild(node, tuple([new[x] for x in node.inputs]))
            if new[node] is not node:
                new[node].label, new[node].forward = node.label, node.forward
                new[node].origin = call.origin if call is not None else node.origin
            if frame:
                self.found.frame_of.setdefault(new[node], frame)
        return [new[y] for y in outputs], new

    def _frame(self, title: str, parent: str) -> str:
        cluster = Cluster(f"cluster_{len(self.found.frames)}", title, parent)
        self.found.frames.append(cluster)
        return cluster.id

    def _opened(self, node: Tensor, inputs: list[Tensor], frame: str) -> Callable[[int], Tensor]:
        """Unfold the bodies of this node; the function gives its results."""
        assert node.op is not None
        kinds = {"scan": self._scan, "while_loop": self._while, "cond": self._cond, "custom": self._custom}
        return kinds.get(node.op.name, self._call)(node, inputs, frame)

    def _inside(self, node: Tensor, body: Body, inputs: Sequence[Tensor], frame: str, ways: Mapping[str, Op]) -> tuple[list[Tensor], ...]:
        """The parameters and the results of a body that is unfolded in a frame."""
        entered = [self._entered(body, i, inputs[source or 0], frame, ways) for i, source in enumerate(body.sources)]
        return entered, self._filled(node, body.graph, entered, frame)

    def _filled(self, node: Tensor, graph: Subgraph, entered: Sequence[Tensor], frame: str) -> list[Tensor]:
        return self.copied(graph.outputs, dict(zip(graph.parameters, entered, strict=True)), frame, node)[0]

    def _entered(self, body: Body, place: int, operand: Tensor, frame: str, ways: Mapping[str, Op]) -> Tensor:
        way = _node(ways[body.roles[place]], [operand], body.graph.parameters[place].type)
        if way.op in PARAMETERS:
            way.label = self._unlike_others(parameter_label(body.roles[place], drawn_as(operand).label))
        way.origin = way.forward = None
        self.found.frame_of[way] = frame
        return way

    def _left(self, op: Op, inputs: Sequence[Tensor], type: TensorType, frame: str) -> Tensor:
        way = _node(op, inputs, type)
        if frame:
            self.found.frame_of[way] = frame
        return way

    def _carry_on(self, entered: Sequence[Tensor], outputs: Sequence[Tensor], carries: int) -> None:
        for before, after in zip(entered[:carries], outputs, strict=False):
            if drawn_as(after) is after and after.op is not None and after.op.group != GROUP and not after.label:
                after.label = f"{before.label}′"
            self.found.carried.append((after, before))
            self.found.ends += [after, before]

    def _scan(self, node: Tensor, inputs: list[Tensor], frame: str) -> Callable[[int], Tensor]:
        carries: int = node.attributes["carries"]
        history: tuple[int, ...] = node.attributes["history"]
        inner = self._frame(_loop_title(node), frame)
        entered, outputs = self._inside(node, bodies_of(node)[0], inputs, inner, {"carry": _FIRST, "item": _ITEM, "read": SHARED})
        self._carry_on(entered, outputs, carries)
        types = [part.type for part in parts(node)]

        def result(i: int) -> Tensor:
            if i >= len(outputs):
                return self._left(_BEFORE, [entered[history[i - len(outputs)]]], types[i], frame)
            return self._left(_LAST if i < carries else _ALL, [outputs[i]], types[i], frame)

        return result

    def _while(self, node: Tensor, inputs: list[Tensor], frame: str) -> Callable[[int], Tensor]:
        carries = node.attributes["carries"]
        test, body = bodies_of(node)
        inner = self._frame("while", frame)
        entered, outputs = self._inside(node, body, inputs, inner, {"carry": _STATE, "read": SHARED})
        self._carry_on(entered, outputs, carries)
        self.found.ends += self._filled(node, test.graph, entered, self._frame("as long as", inner))
        return lambda i: self._left(_FINAL, [outputs[i]], outputs[i].type, frame)

    def _cond(self, node: Tensor, inputs: list[Tensor], frame: str) -> Callable[[int], Tensor]:
        found = [
            self._inside(node, body, inputs, self._frame(f"cond: {body.name.removeprefix('on_')}", frame), {"argument": ARGUMENT})[1]
            for body in bodies_of(node)
        ]
        return lambda i: self._left(CHOICE, [inputs[0], *(outputs[i] for outputs in found)], found[0][i].type, frame)

    def _call(self, node: Tensor, inputs: list[Tensor], frame: str) -> Callable[[int], Tensor]:
        assert node.op is not None
        title = "checkpoint: computed again in reverse" if node.op.name == "checkpoint" else node.op.name
        outputs = self._inside(node, bodies_of(node)[0], inputs, self._frame(title, frame), {"argument": ARGUMENT})[1]
        return lambda i: self._left(_RESULT, [outputs[i]], outputs[i].type, frame)

    def _custom(self, node: Tensor, inputs: list[Tensor], frame: str) -> Callable[[int], Tensor]:
        body, backward = bodies_of(node)
        outputs = self._inside(node, body, inputs, self._frame("a gradient of its own", frame), {"argument": ARGUMENT})[1]

        def result(i: int) -> Tensor:
            def back(g: Tensor, y: Tensor, out: Tensor, *operands: Tensor) -> tuple[Any, ...]:
                cotangents = [g if j == i else _zeros(x) for j, x in enumerate(outputs)]
                shares = backward.graph(*operands, *cotangents)
                return (None, *shares, *[None] * (len(operands) - len(shares)))

            op = Op(BYPASS, lambda *types: types[0], ("xs",), True, (), {}, text="custom($xs)", group=GROUP, reverse=back)
            return self._left(op, [outputs[i], *inputs], outputs[i].type, frame)

        return result


def _zeros(x: Tensor) -> Tensor:
    return OPS["broadcast_to"](constant(0, x.dtype), shape=x.shape)


def _loop_title(node: Tensor) -> str:
    length, truncate = node.attributes["length"], node.attributes["truncate"]
    steps = f", {length} step{'s' if length != 1 else ''}" if isinstance(length, int) else f" over {length}"
    way = "scan backwards" if node.attributes["reverse"] else "scan"
    return f"{way}{steps}" + ("" if truncate is None else f", truncated every {truncate}")
