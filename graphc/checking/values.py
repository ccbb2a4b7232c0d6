"""Values in words: what an error says of an array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.core import Tensor, describe
from graphc.lower.compute import is_several

SHOWN = 6
"""Arrays of up to so many elements are shown as they are."""


def statistics(value: Any) -> str:
    """Shape, least, largest and mean element, and how many are NaN, inf, zero or negative; of several results each."""
    if is_several(value):
        return "; ".join([statistics(part) for part in value])
    array = np.asarray(value)
    if array.size <= SHOWN:
        return _listed(array)
    shape = "x".join(map(str, array.shape))
    if array.dtype == bool:
        return f"{shape}, {int(array.sum())} of {array.size} hold"
    return ", ".join([shape, *_ends(array), *_counts(array)])


def _listed(array: np.ndarray[Any, Any]) -> str:
    return np.array2string(array, separator=", ", precision=8, floatmode="maxprec").replace("\n", "")


def _ends(array: np.ndarray[Any, Any]) -> Iterator[str]:
    """The ends and the mean of the finite elements; of complex numbers their absolute values."""
    wide = np.abs(array) if array.dtype.kind == "c" else array.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    if finite.size:
        for name, found in (("min", finite.min()), ("max", finite.max()), ("mean", finite.mean())):
            yield f"{name} {found:.6g}"


def _counts(array: np.ndarray[Any, Any]) -> Iterator[str]:
    """How many elements are of each kind that is there at all."""
    with np.errstate(all="ignore"):
        negative = np.zeros(1, bool) if array.dtype.kind == "c" else array < 0
        kinds = {"NaN": np.isnan(array), "inf": np.isinf(array), "zero": array == 0, "negative": negative}
    for name, found in kinds.items():
        if found.any():
            yield f"{int(found.sum())} {name}"


def operand_lines(node: Tensor, values: Sequence[Any]) -> Iterator[str]:
    """A line for each operand of a node: its slot, what it is, and its value in words. An operand that is there twice has two slots."""
    assert node.op is not None
    names = [f"{node.op.operands[0]}[{i}]" for i in range(len(values))] if node.op.variadic else node.op.operands
    slots: dict[Tensor, list[str]] = {}
    for name, x in zip(names, node.inputs, strict=True):
        slots.setdefault(x, []).append(name)
    known: Mapping[Tensor, Any] = dict(zip(node.inputs, values, strict=True))
    for x, own in slots.items():
        yield f"operand {' and '.join(own)}: {describe(x)}: {statistics(known[x])}"


def at(index: Sequence[int]) -> str:
    """A place in an array, as brackets say it; nothing for a number."""
    return f"[{', '.join(map(str, index))}]" if len(index) else ""
