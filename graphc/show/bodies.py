"""What is shown of loops, branches and calls: the bodies among a node's attributes, and what their parameters and results are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from graphc.core import OPS, Bundle, Op, Subgraph, Tensor, bodies, input

_IMPLIED: Final = frozenset({"carries", "sequences", "results", "own"})
"""Attributes that the parameters and the types tell already."""
_STATE: Final = re.compile(r"([^\W\d][\w.]*?)_?0")
_PLURAL: Final = re.compile(r"([^\W\d](?:[\w.]*[^\Ws])?)s")
_WORD: Final = re.compile(r"[^\W\d][\w.]*")


@dataclass(frozen=True, slots=True)
class Body:
    """A graph among a node's attributes.

    ``roles`` says of each parameter what it is: ``carry``, ``item`` (of a sequence), ``read`` (by every step), ``argument`` or
    ``cotangent``; ``sources`` which operand of the node it comes from, None for a cotangent.
    """

    name: str
    graph: Subgraph
    roles: tuple[str, ...]
    sources: tuple[int | None, ...]


def bodies_of(node: Tensor) -> list[Body]:
    """The bodies of a node in the order of its attributes."""
    return [_body(node, name, value) for name, value in node.attributes.items() if isinstance(value, Subgraph)]


def _body(node: Tensor, name: str, graph: Subgraph) -> Body:
    places, operands = range(len(graph.parameters)), len(node.inputs)
    carries, sequences = node.attributes.get("carries"), node.attributes.get("sequences", 0)
    if carries is not None:
        roles = ["carry" if i < carries else "item" if i < carries + sequences else "read" for i in places]
        return Body(name, graph, tuple(roles), tuple(places))
    # The first operand of cond is the condition, and no body gets it.
    shift = operands - len(places) if name in ("on_true", "on_false") else 0
    sources = [i + shift if i + shift < operands else None for i in places]
    return Body(name, graph, tuple(["cotangent" if i is None else "argument" for i in sources]), tuple(sources))


def shown_attributes(node: Tensor) -> dict[str, Any]:
    """The attributes of a node but for its bodies, and for what is plain beside them."""
    if not bodies(node):
        return node.attributes
    return {name: value for name, value in node.attributes.items() if not isinstance(value, Subgraph) and name not in _IMPLIED}


def parameter_label(role: str, label: str | None) -> str:
    """What a parameter is called after the operand that it comes from: ``h`` for ``h0``, ``x`` for an item of ``xs``."""
    plain = label if label and _WORD.fullmatch(label) else ""
    if role in ("carry", "item"):
        stem = (_STATE if role == "carry" else _PLURAL).fullmatch(plain)
        return stem[1] if stem else f"{plain}_t" if plain else "c" if role == "carry" else "x"
    return "g" if role == "cotangent" else plain or "x"


def remembered(part: Tensor) -> int | None:
    """The carry whose value before each step this result of a loop is; None for any other result."""
    loop = part.inputs[0]
    history: tuple[int, ...] | None = loop.attributes.get("history")
    if history is None:
        return None
    place = part.attrs[0] - (len(loop.type.parts) - len(history)) if isinstance(loop.type, Bundle) else -1
    return history[place] if place >= 0 else None


def is_part(node: Tensor) -> bool:
    """Whether the node is one of several results."""
    return node.op is not None and node.op.name == "part"


# ---------------------------------------------------------------- as formulas write them
def _tuple(text: str, tex: str) -> Op:
    return Op("tuple", lambda *xs: xs[0], ("xs",), True, (), {}, text=text, tex=tex)


_ONE: Final = _tuple("$xs", "$xs")
_SEVERAL: Final = _tuple("($xs)", r"\left($xs\right)")


class Function(Tensor):
    """A body as formulas write it: its results as a tuple of expressions. ``bound`` are its parameters.

    What every step of a loop reads is no parameter: the body reads the operand itself.
    """

    __slots__ = ("bound", "shadows")
    bound: tuple[Tensor, ...]
    shadows: bool

    def __init__(self, label: str, bound: Sequence[Tensor], outputs: Sequence[Tensor], shadows: bool) -> None:
        super().__init__(_ONE if len(outputs) == 1 else _SEVERAL, tuple(outputs), (), Bundle(tuple([y.type for y in outputs])))
        self.label, self.bound, self.shadows = label, tuple(bound), shadows


_made: WeakValueDictionary[tuple[Any, ...], Function] = WeakValueDictionary()
_functions: WeakKeyDictionary[Tensor, tuple[Function, ...]] = WeakKeyDictionary()
_choices: WeakKeyDictionary[Tensor, Tensor] = WeakKeyDictionary()


def written_as(node: Tensor) -> Tensor:
    """The node as whose op a formula writes this one: a result of ``cond`` is a choice between two expressions."""
    if not is_choice(node):
        return node
    if node not in _choices:
        chosen, *operands = node.inputs[0].inputs
        place: int = node.attrs[0]
        branches = [body(*operands)[place] for body in bodies(node.inputs[0])]
        _choices[node] = OPS["where"].apply((chosen, *branches), ())
    return _choices[node]


def written_operands(node: Tensor) -> list[Tensor]:
    """What a formula writes between the brackets of a call: for a loop its bodies, its first carry and its sequences."""
    node = written_as(node)
    if node.op is None or not node.attrs or not bodies(node):
        return list(node.inputs)
    if node not in _functions:
        bound: dict[int, Tensor] = {}
        _functions[node] = tuple([_function(node, body, bound) for body in bodies_of(node)])
    read = {i for body in bodies_of(node) for i, role in zip(body.sources, body.roles, strict=True) if role == "read"}
    return [*_functions[node], *[x for i, x in enumerate(node.inputs) if i not in read]]


def forget() -> None:
    """Let the next formula name its functions afresh, so that it is the same text always."""
    _made.clear()
    _functions.clear()


def _function(node: Tensor, body: Body, bound: dict[int, Tensor]) -> Function:
    loops = bool({"carry", "item"} & set(body.roles))
    label = body.name if body.name == "test" else "step" if loops else "pullback" if body.name == "backward" else "f"
    reads = tuple([node.inputs[i] for i, role in zip(body.sources, body.roles, strict=True) if i is not None and role == "read"])
    key = (label, body.graph, body.roles, reads)
    found = _made.get(key)
    if found is None:
        found = _made[key] = _instance(node, body, label, bound)
    return found


def _instance(node: Tensor, body: Body, label: str, bound: dict[int, Tensor]) -> Function:
    """``bound`` has the parameters of the node's other bodies by their operands: the test of a loop is about the same carry."""
    arguments: list[Tensor] = []
    for i, (role, source) in enumerate(zip(body.roles, body.sources, strict=True)):
        if source is None or role != "read":
            own = stand_in(node, body, i)
            arguments.append(own if source is None or role != "carry" else bound.setdefault(source, own))
        else:
            arguments.append(node.inputs[source])
    own = [x for x, role in zip(arguments, body.roles, strict=True) if role != "read"]
    return Function(label, own, body.graph(*arguments), shadows=not {"carry", "item"} & set(body.roles))


def stand_in(node: Tensor, body: Body, place: int) -> Tensor:
    """A leaf for a parameter of a body, with its name."""
    source, type = body.sources[place], body.graph.parameters[place].type
    return input(parameter_label(body.roles[place], None if source is None else node.inputs[source].label), type.shape, type.dtype)


def is_choice(node: Tensor) -> bool:
    """Whether the node is a result of ``cond``."""
    producer = node.inputs[0].op if is_part(node) else None
    return producer is not None and producer.name == "cond"
