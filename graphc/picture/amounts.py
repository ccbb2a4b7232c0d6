"""What nodes are coloured by: gradient norms, NaNs, time, operations, bytes, dead units."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from graphc.core import Bundle, Constant, Input, Tensor, bodies, dtypes, parts, toposort
from graphc.lower import Estimate
from graphc.lower.cost import NOMINAL, work
from graphc.picture.numbers import Array, Numbers, norm
from graphc.picture.options import Quantity
from graphc.pipeline import compile
from graphc.show.scale import with_prefix

_ROUNDS: Final = 5
"""How often a node is run to take its time; the shortest counts."""


@dataclass(frozen=True)
class Amounts:
    """An amount for each node that has one, what it is, and how it is written in a node and in the legend."""

    title: str
    of: Mapping[Tensor, float]
    write: Callable[[float], str]


def amounts_of(quantity: Quantity, roots: Sequence[Tensor], numbers: Numbers | None) -> Amounts:
    """The amounts of the nodes of a graph; without ``numbers`` by the cost model."""
    nodes = [node for node in toposort(roots) if node.op is not None]
    if quantity in ("flops", "bytes") or (quantity == "time" and numbers is None):
        return _modelled(quantity, nodes, None if numbers is None else numbers.sizes)
    assert numbers is not None
    if quantity == "time":
        taken = {node: _measured(node, numbers) for node in nodes if node.op is not None and node.op.name != "part"}
        return Amounts("time, measured node by node", {node: x for node, x in taken.items() if x is not None}, _microseconds)
    if quantity == "gradient norm":
        return Amounts("norm of the gradient", {node: norm(g) for node, g in numbers.gradients.items()}, "{:.3g}".format)
    values = {node: array for node, array in numbers.values.items() if dtypes.is_inexact(node.dtype) and not isinstance(node, Constant)}
    if quantity == "nan":
        return Amounts("number of NaN", {node: float(np.isnan(array).sum()) for node, array in values.items()}, "{:.0f} NaN".format)
    dead = {node: _dead(array) for node, array in values.items() if node.op is not None and node.ndim > 1}
    return Amounts("share of units that are 0 in every row", dead, "{:.0%} dead".format)


def _dead(array: Array) -> float:
    """The share of the last axis that is 0 everywhere along the others."""
    units: Array = array.reshape(-1, array.shape[-1])
    alive = int(np.count_nonzero(np.count_nonzero(units, axis=0)))
    return 1.0 - alive / units.shape[1] if units.size else 0.0


# ---------------------------------------------------------------- the cost model
def _modelled(quantity: Quantity, nodes: Sequence[Tensor], known: Mapping[str, int] | None) -> Amounts:
    estimate = Estimate(known or {})
    sizes = "" if known is not None or not any(_has_names(node) for node in nodes) else f", named sizes taken for {NOMINAL}"
    if quantity == "time":
        return Amounts(f"time by the cost model{sizes}", {node: estimate(node) for node in nodes}, _microseconds)
    if quantity == "flops":
        done = {node: float(estimate.number(work(node).flops)) for node in nodes}
        return Amounts(f"operations by the cost model{sizes}", done, lambda x: f"{with_prefix(x)} flops")
    moved = {node: float(estimate.number(work(node).nbytes)) for node in nodes}
    return Amounts(f"bytes read and written by the cost model{sizes}", moved, lambda x: f"{_spaced(x)}B")


def _spaced(amount: float) -> str:
    text = with_prefix(amount)
    return text if " " in text else f"{text} "


def _microseconds(amount: float) -> str:
    return f"{amount:.3g} µs"


def _has_names(node: Tensor) -> bool:
    types = node.type.parts if isinstance(node.type, Bundle) else (node.type,)
    return any(not isinstance(size, int) for type in types for size in type.shape)


# ---------------------------------------------------------------- the clock
def _measured(node: Tensor, numbers: Numbers) -> float | None:
    """Microseconds of one node on NumPy by itself; None where it reads several results at once, 0 where it is made once for all calls."""
    if any(isinstance(x.type, Bundle) for x in node.inputs):
        return None
    operands = list(dict.fromkeys(node.inputs))
    if not any(x.kind != "constant" for x in toposort([node]) if x.op is None):
        return 0.0
    stand_in = {x: Input(None, (), (), x.type) for x in operands}
    # An input of the result's type, which nobody reads, has the named sizes that the operands lack.
    like = [] if isinstance(node.type, Bundle) else [node]
    leaves = [*stand_in.values(), *[Input(None, (), (), x.type) for x in like]]
    assert node.op is not None
    body = node.op.apply(tuple([stand_in[x] for x in node.inputs]), node.attrs)
    outputs = parts(body) if isinstance(body.type, Bundle) else body
    step = compile(leaves, outputs, optimize=bool(bodies(node)))
    values = [np.asarray(numbers.values[x]) for x in (*operands, *like)]
    run = step.prepared(*values)
    return min(_seconds(run, values) for _ in range(_ROUNDS)) * 1e6


def _seconds(run: Callable[..., Any], values: Sequence[Any]) -> float:
    start = time.perf_counter()
    run(*values)
    return time.perf_counter() - start
