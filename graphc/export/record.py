"""What a function is called with and returns, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from graphc.core import Input, Tensor, TensorType, dtypes, sizes
from graphc.core.errors import GraphcError
from graphc.core.sizes import Dim, Shape, Size
from graphc.export.errors import ExportError

LARGEST: Final = 1 << 62
"""Above all sizes that can be."""
Key = str | int | float | bool | None


@dataclass(frozen=True)
class Leaf:
    """An input, an output or a variable: its label and its type."""

    label: str | None
    shape: Shape
    dtype: str

    @classmethod
    def of(cls, node: Tensor, known: Mapping[str, int]) -> Leaf:
        """That of a node, where named sizes have these values."""
        return cls(node.label, tuple([_bound(size, known) for size in node.shape]), node.dtype)

    @property
    def type(self) -> TensorType:
        """The type."""
        return TensorType(self.dtype, self.shape)

    def input(self) -> Input:
        """A leaf of a graph, of this type."""
        node = Input(None, (), (), self.type)
        node.label = self.label
        return node


@dataclass(frozen=True)
class Record:
    """A function without what it computes.

    ``structure`` is "one", "list", "tuple" or "dict", whose ``keys`` are those of the outputs. ``names`` are the named sizes; ``updates``
    the places of the variables that are updated, in the order in which the program returns them. ``wide`` says that 64-bit types occur.
    """

    structure: str
    keys: tuple[Key, ...]
    inputs: tuple[Leaf, ...]
    outputs: tuple[Leaf, ...]
    variables: tuple[Leaf, ...]
    updates: tuple[int, ...]
    names: tuple[str, ...]
    wide: bool

    def json(self) -> str:
        """The record as text."""
        leaves = {name: [_written(leaf) for leaf in getattr(self, name)] for name in ("inputs", "outputs", "variables")}
        rest = {"structure": self.structure, "keys": self.keys, "updates": self.updates, "names": self.names, "wide": self.wide}
        return json.dumps(rest | leaves)

    @classmethod
    def of_json(cls, text: str) -> Record:
        """The record of a text. Raises :class:`ExportError` for one that is none, whatever it is."""
        try:
            return _read(json.loads(text))
        except (ValueError, TypeError, KeyError, RecursionError, GraphcError) as error:
            raise ExportError(
                "the file does not say what its function is called with",
                given=[f"{type(error).__name__}: {error}"],
                fits="a file made by Function.save",
            ) from error


def structure_of(outputs: Any) -> tuple[str, tuple[Key, ...]]:
    """How the outputs are put together. Raises :class:`ExportError` for keys that a file cannot hold."""
    if isinstance(outputs, Tensor):
        return "one", ()
    if not isinstance(outputs, Mapping):
        return ("tuple" if isinstance(outputs, tuple) else "list"), ()
    keys = tuple(cast("Mapping[Any, Any]", outputs))
    for key in keys:
        if not isinstance(key, Key):
            raise ExportError(
                f"an output is called {key!r}, which a file cannot hold", fits="strings, numbers, True, False and None as keys"
            )
    return "dict", keys


def structure_like(record: Record, outputs: Sequence[Tensor]) -> Any:
    """Outputs put together as the record says."""
    if record.structure == "one":
        return outputs[0]
    if record.structure == "dict":
        return dict(zip(record.keys, outputs, strict=True))
    return tuple(outputs) if record.structure == "tuple" else list(outputs)


# ---------------------------------------------------------------- sizes
def _bound(size: Dim, known: Mapping[str, int]) -> Dim:
    if isinstance(size, int):
        return size
    if sizes.names(size) <= known.keys():
        return sizes.bind(size, known)
    total: Dim = 0
    for atoms, count in size.terms:
        term: Dim = count
        for atom in atoms:
            if not isinstance(atom, str):
                raise ExportError(
                    f"the size {size} has no form in a file", fits=f"sizes= with numbers for {', '.join(sorted(sizes.names(size)))}"
                )
            term = term * (known[atom] if atom in known else sizes.named(atom))
        total = total + term
    return total


def _written(leaf: Leaf) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else [[list(atoms), count] for atoms, count in size.terms] for size in leaf.shape]
    return {"label": leaf.label, "shape": shape, "dtype": leaf.dtype}


# ---------------------------------------------------------------- reading
def _read(data: Any) -> Record:
    inputs, outputs, variables = (tuple([_leaf(item) for item in _list(data[name])]) for name in ("inputs", "outputs", "variables"))
    record = Record(
        data["structure"],
        tuple([_checked(key, Key) for key in _list(data["keys"])]),
        inputs,
        outputs,
        variables,
        tuple([_number(place) for place in _list(data["updates"])]),
        tuple([_checked(name, str) for name in _list(data["names"])]),
        _checked(data["wide"], bool),
    )
    named = {name for leaf in inputs for size in leaf.shape if isinstance(size, Size) for name in sizes.names(size)}
    counts = {"one": 1, "dict": len(record.keys), "list": len(outputs), "tuple": len(outputs)}
    if (
        counts[record.structure] != len(outputs)
        or len(set(record.keys)) < len(record.keys)
        or len(set(record.updates)) < len(record.updates)
        or any(place >= len(variables) for place in record.updates)
        or any(isinstance(size, Size) for leaf in variables for size in leaf.shape)
        or len(set(record.names)) < len(record.names)
        or set(record.names) != named
    ):
        raise ValueError("its parts contradict each other")
    return record


def _leaf(data: Any) -> Leaf:
    label = data["label"]
    dtype = _checked(data["dtype"], str)
    if dtype not in dtypes.DTYPES:
        raise ValueError(f"there is no dtype {dtype!r}")
    return Leaf(None if label is None else _checked(label, str), tuple([_size(size) for size in _list(data["shape"])]), dtype)


def _size(data: Any) -> Dim:
    if isinstance(data, int):
        return _number(data)
    total: Dim = 0
    for atoms, count in _list(data):
        term: Dim = _checked(count, int)
        for atom in _list(atoms):
            term = term * sizes.named(_checked(atom, str))
        total = total + term
    return total


def _number(data: Any) -> int:
    number = _checked(data, int)
    if not 0 <= number < LARGEST or isinstance(data, bool):
        raise ValueError(f"{number} is no size")
    return number


def _list(data: Any) -> list[Any]:
    return _checked(data, list)


def _checked(data: Any, kind: Any) -> Any:
    if not isinstance(data, kind):
        raise TypeError(f"{type(data).__name__} where {kind} belongs")
    return data
