"""The numbers of a graph for given inputs: the value of every node, the gradient at each, and what each reversed edge brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from graphc.core import Bundle, Constant, Input, Tensor, Variable, describe, sizes, toposort
from graphc.core.errors import ArgumentError
from graphc.core.signature import Signature
from graphc.grad import reversed_graph
from graphc.pipeline import evaluate
from graphc.show import Extras, Unfolded

Array = np.ndarray[Any, Any]
_WRITTEN: Final = 4
"""Elements up to which an array is written out."""


@dataclass(frozen=True)
class Numbers:
    """Arrays by nodes of the graph itself, and for flows by (node, index). ``sizes`` are the numbers for named sizes."""

    values: Mapping[Tensor, Array] = field(default_factory=dict[Tensor, Array])
    gradients: Mapping[Tensor, Array] = field(default_factory=dict[Tensor, Array])
    shares: Mapping[tuple[Tensor, int], Array] = field(default_factory=dict[tuple[Tensor, int], Array])
    locals: Mapping[tuple[Tensor, int], Array] = field(default_factory=dict[tuple[Tensor, int], Array])
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])


def numbers_of(roots: Sequence[Tensor], targets: list[Tensor], values: Mapping[Any, Any]) -> Numbers:
    """Run the graph, and with ``targets`` its gradient, node by node on these values.

    ``values`` has an array for each input, by the input or by its name; it may have others for variables. Raises
    :class:`ArgumentError` for an input without a value and for what is no leaf of the graph, :class:`ShapeError` and
    :class:`DTypeError` for values that do not fit.
    """
    nodes = toposort(roots)
    given = _given(nodes, values)
    plain = [node for node in nodes if not isinstance(node.type, Bundle)]
    flows, cotangents = reversed_graph(roots[0], targets) if targets else ([], dict[Tensor, Tensor]())
    shares = {(flow.node, flow.index): flow.contribution for flow in flows}
    locals_ = {(flow.node, flow.index): flow.local for flow in flows if isinstance(flow.local, Tensor)}
    wanted = [*plain, *cotangents.values(), *shares.values(), *locals_.values()]
    found = dict(zip(wanted, evaluate(wanted, given, optimize=False), strict=True))
    return Numbers(
        {node: found[node] for node in plain},
        {node: found[g] for node, g in cotangents.items()},
        {key: found[share] for key, share in shares.items()},
        {key: found[local] for key, local in locals_.items()},
        {name: size for x, value in given.items() for name, size in _sizes(x, np.shape(value))},
    )


def _given(nodes: Sequence[Tensor], values: Mapping[Any, Any]) -> dict[Tensor, Any]:
    """The values by leaves, as arrays of their dtypes."""
    leaves = {node.label: node for node in nodes if isinstance(node, Input | Variable)}
    given: dict[Tensor, Any] = {}
    for key, value in values.items():
        x = leaves.get(key) if isinstance(key, str) else key
        if not isinstance(x, Input | Variable) or x not in nodes:
            raise ArgumentError(
                f"draw(values=...): {key!r} is no input of the graph", fits=", ".join([describe(leaf) for leaf in leaves.values()])
            )
        given[x] = value
    missing = [node for node in nodes if isinstance(node, Input) and node not in given]
    if missing:
        raise ArgumentError(
            "draw(values=...): an input has no value",
            given=[describe(node) for node in missing],
            fits="{input: array} with every input of the graph",
        )
    inputs = [x for x in given if isinstance(x, Input)]
    arrays, _ = Signature(inputs, ()).checked([given[x] for x in inputs])
    return {**given, **dict(zip(inputs, arrays, strict=True))}


def _sizes(x: Tensor, shape: tuple[int, ...]) -> list[tuple[str, int]]:
    names = [sizes.name_of(size) if sizes.is_size(size) else None for size in x.shape]
    return [(name, size) for name, size in zip(names, shape, strict=True) if name is not None]


# ---------------------------------------------------------------- text
def summary(array: Array) -> str:
    """A number, a few of them, or of more the shape, the mean and the norm."""
    if array.size == 1:
        return short(array.reshape(-1)[0])
    if 1 < array.size <= _WRITTEN and array.ndim <= 2:
        return _written(array)
    shape = "×".join(map(str, array.shape))
    if not array.size:
        return f"{shape}: empty"
    if array.dtype.kind in "biu":
        return f"{shape}: {short(array.min())} to {short(array.max())}"
    count = int(np.isnan(array).sum())
    wide = array.astype(complex if array.dtype.kind == "c" else float)
    told = f"{shape}: mean {short(wide.mean())}, norm {short(norm(array))}"
    return f"{told}, {count} NaN" if count else told


def _written(array: Any) -> str:
    return f"[{', '.join(map(_written, array))}]" if array.ndim else short(array)


def norm(array: Array) -> float:
    """The root of the sum of squares."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.sum(np.square(np.abs(array.astype(complex if array.dtype.kind == "c" else float))))))


def short(value: Any) -> str:
    """Three digits, and no more than it takes; no minus before a zero."""
    if np.asarray(value).dtype.kind == "c":
        return f"{complex(value):.3g}"
    if np.asarray(value).dtype.kind == "b":
        return str(bool(value)).lower()
    if np.isnan(float(value)):
        return "NaN"
    return f"{float(value) + 0.0:.3g}".replace("inf", "∞")


def told(numbers: Numbers, graph: Unfolded) -> Extras:
    """The numbers as text, for the drawn graph. Constants tell their own; of derivatives only single numbers are told."""

    def drawn(found: Mapping[Tensor, Array]) -> dict[Tensor, str]:
        return {graph.new.get(node, node): summary(array) for node, array in found.items() if not isinstance(node, Constant)}

    def flow(found: Mapping[tuple[Tensor, int], Array]) -> dict[tuple[Tensor, int], str]:
        return {(graph.new.get(node, node), i): summary(array) for (node, i), array in found.items()}

    single = {key: array for key, array in numbers.locals.items() if array.size == 1}
    return Extras(drawn(numbers.values), drawn(numbers.gradients), flow(numbers.shares), flow(single))
