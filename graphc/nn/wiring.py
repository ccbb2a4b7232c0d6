"""A functional model as what JSON can hold: its layers by their configs, and the calls and operations between inputs and outputs."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

from graphc.core import OPS, Constant, Op, Tensor, constant, dtypes, sizes, toposort, tree
from graphc.core.errors import ArgumentError
from graphc.core.record import Record
from graphc.core.sizes import Dim, Size
from graphc.nn.configured import Objects, packed, unpacked
from graphc.nn.functional import Call, InputLayer, Network, Symbol
from graphc.nn.layer import Layer
from graphc.ops.index import Index, Span

_RECORDS: Final[dict[str, Any]] = {cls.__name__: cls for cls in (Index, Span)}
"""Attributes that say which elements are read or written."""


def written(network: Network) -> dict[str, Any]:
    """``layers``, ``nodes`` in an order in which they can be made, ``inputs`` and ``outputs``.

    A node is an input, a call of a layer, one of its outputs, an operation, or a constant. Raises :class:`ArgumentError` for what has no
    such form: a variable that belongs to no layer, an operation with a body.
    """
    writer = _Writer(network.layers)
    inputs = writer.structure(network.inputs)
    for call in network.calls:
        writer.call(call)
    outputs = writer.structure(network.outputs)
    return {"layers": [packed(layer) for layer in network.layers], "nodes": writer.nodes, "inputs": inputs, "outputs": outputs}


class _Writer:
    def __init__(self, layers: list[Layer]) -> None:
        self.layers, self.nodes = layers, list[dict[str, Any]]()
        self._calls: dict[Call, int] = {}
        self._places: dict[Tensor, int] = {}

    def structure(self, value: Any) -> Any:
        """Arguments or outputs, with the places of nodes for tensors."""
        if isinstance(value, Tensor):
            return {"node": self.tensor(value)}
        if isinstance(value, Mapping):
            return {"dict": [[packed(key), self.structure(item)] for key, item in cast("Mapping[Any, Any]", value).items()]}
        if isinstance(value, list | tuple):
            items = [self.structure(item) for item in cast("list[Any]", value)]
            return {"list" if isinstance(value, list) else "tuple": items}
        return {"value": packed(value)}

    def call(self, call: Call) -> int:
        """The place of a call."""
        if call not in self._calls:
            args, kwargs = self.structure(call.args), self.structure(call.kwargs)
            self._calls[call] = self._add({"call": self.layers.index(call.layer), "args": args, "kwargs": kwargs})
        return self._calls[call]

    def tensor(self, tensor: Tensor) -> int:
        """The place of a tensor, and of all that it needs."""
        for node in toposort([tensor]):
            if node not in self._places:
                self._places[node] = self._add(self._node(node))
        return self._places[tensor]

    def _add(self, node: dict[str, Any]) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _node(self, node: Tensor) -> dict[str, Any]:
        if isinstance(node, Symbol):
            if isinstance(node.call.layer, InputLayer) or node.call.layer not in self.layers:
                return {"input": self.layers.index(node.call.layer)}
            place = tree.flatten(node.call.outputs)[0].index(node)
            return {"output": place, "of": self.call(node.call)}
        if isinstance(node, Constant):
            return {"constant": packed(node.value), "dtype": node.dtype}
        if node.op is None:
            raise ArgumentError(f"{node!r} lies between the layers of a model and belongs to none", fits="add_weight of a layer")
        attributes = [_attribute(node.op.name, value) for value in node.attrs]
        return {"op": node.op.name, "inputs": [self._places[x] for x in node.inputs], "attributes": attributes}


def _attribute(op: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return {"tuple": [_attribute(op, item) for item in cast("tuple[Any, ...]", value)]}
    if isinstance(value, Size):
        terms = [[list(monomial), count] for monomial, count in value.terms]
        if all(isinstance(atom, str) for monomial, _ in value.terms for atom in monomial):
            return {"size": terms}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if type(value).__name__ in _RECORDS and isinstance(value, Record):
        fields = {name: _attribute(op, getattr(value, name)) for name in type(value).__annotations__}
        return {"record": type(value).__name__, "fields": fields}
    raise ArgumentError(f"{op} between the layers of a model has an attribute without a form in a config, {value!r}", fits="a layer for it")


def read(config: Mapping[str, Any], custom_objects: Objects | None = None) -> tuple[Any, Any]:
    """The inputs and outputs of the model with this config, made anew."""
    reader = _Reader([unpacked(layer, custom_objects) for layer in config["layers"]])
    for node in config["nodes"]:
        reader.add(node)
    return reader.structure(config["inputs"]), reader.structure(config["outputs"])


class _Reader:
    def __init__(self, layers: list[Any]) -> None:
        self.layers, self.made = layers, list[Any]()

    def structure(self, value: Mapping[str, Any]) -> Any:
        ((kind, held),) = value.items()
        match kind:
            case "node":
                return self.made[held]
            case "dict":
                return {unpacked(key): self.structure(item) for key, item in held}
            case "list":
                return [self.structure(item) for item in held]
            case "tuple":
                return tuple([self.structure(item) for item in held])
            case _:
                return unpacked(held)

    def add(self, node: Mapping[str, Any]) -> None:
        self.made.append(self._made(node))

    def _made(self, node: Mapping[str, Any]) -> Any:
        if "input" in node:
            layer = self.layers[node["input"]]
            return layer.output
        if "call" in node:
            return self.layers[node["call"]](*self.structure(node["args"]), **self.structure(node["kwargs"]))
        if "of" in node:
            return tree.flatten(self.made[node["of"]])[0][node["output"]]
        if "constant" in node:
            return constant(unpacked(node["constant"]), dtypes.canonical(node["dtype"]))
        inputs = tuple([self.made[x] for x in node["inputs"]])
        if node["op"] not in OPS or not all(isinstance(x, Tensor) for x in inputs):
            raise ArgumentError(f"a config has the operation {node['op']!r} on {len(inputs)} inputs", fits="operations on tensors")
        return OPS[node["op"]].remade(inputs, _attributes(OPS[node["op"]], node["attributes"]))


def _attributes(op: Op, written: Any) -> tuple[Any, ...]:
    """Attributes from a file, each of the kind that the op declares: what they hold gets into source that is run."""
    hints = _hints(op)
    if len(written) != len(hints):
        raise ArgumentError(f"a config gives {op.name} {len(written)} attributes", fits=", ".join(hints) or "none")
    values = tuple(map(_read_attribute, written))
    for (name, hint), value in zip(hints.items(), values, strict=True):
        if not _is_a(value, hint):
            raise ArgumentError(f"a config gives {op.name} {name}={value!r}", fits=f"{name}: {hint}")
    return values


@functools.cache
def _hints(op: Op) -> dict[str, Any]:
    hints = inspect.get_annotations(op.rule, eval_str=True)
    return {name: hints[name] for name in op.attributes}


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a value is what an annotation of an attribute says. Bodies and types have no form in a file."""
    if hint is Dim:
        return type(value) is int or isinstance(value, Size)
    if hint in (Any, float):
        return type(value) in (int, float)
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return _is_a(value, arguments[0])
    if kind is Literal:
        return value in arguments
    if kind in (Union, types.UnionType):
        return any(_is_a(value, one) for one in arguments)
    if kind is tuple:
        items = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else None
        kinds = arguments[:1] * len(items or ()) if arguments[-1] is ... else arguments
        return items is not None and len(kinds) == len(items) and all(map(_is_a, items, kinds))
    return hint in (bool, int, str, types.NoneType, *_RECORDS.values()) and type(value) is hint


def _read_attribute(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    held = cast("dict[str, Any]", value)
    if "record" in held:
        return _read_record(_RECORDS[held["record"]], held["fields"])
    if "tuple" in held:
        return tuple(map(_read_attribute, held["tuple"]))
    return sizes.total(
        [functools.reduce(lambda term, atom: term * sizes.named(atom), names, _whole(count)) for names, count in held["size"]]
    )


def _read_record(kind: Any, fields: Mapping[str, Any]) -> Any:
    """An index, of whole numbers, spans and None; it is written into source as it is."""
    if kind is Span:
        return Span(**{name: None if bound is None else _whole(bound) for name, bound in fields.items()})
    items = _read_attribute(fields["items"])
    if set(fields) != {"items"} or not isinstance(items, tuple):
        raise ArgumentError(f"a config has the index {fields!r}", fits="items, a tuple")
    whole = cast("tuple[Any, ...]", items)
    return Index(tuple([item if item is None or isinstance(item, Span) else _whole(item) for item in whole]))


def _whole(value: Any) -> Any:
    if type(value) is not int:
        raise ArgumentError(f"a config has {value!r} where a whole number belongs", fits="a file that graphc wrote")
    return value
