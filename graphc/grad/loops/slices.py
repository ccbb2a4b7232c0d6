"""One call instead of several: the same op, element by element, of slices that lie side by side in one tensor.

    sigmoid(z[:, :64]), sigmoid(z[:, 64:128])    becomes    y = sigmoid(z[:, :128]); y[:, :64], y[:, 64:]

The gates of a recurrent layer are such slices. In a loop, whose steps are small, calls are what costs.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from graphc.core import Tensor, toposort
from graphc.grad.loops.loop import SMALL, Loop, elements
from graphc.ops.shape import narrow


def join(loop: Loop, free: Callable[[Tensor], bool]) -> None:
    """Join the slices in the body of a loop, but those that are ``free`` of the carry."""
    while True:
        new: dict[Tensor, Tensor] = {}
        for members in _families(loop, free).values():
            for run in _runs(members):
                new |= _joined(run)
        if not new:
            return
        loop.replace(new)


def _families(loop: Loop, free: Callable[[Tensor], bool]) -> dict[Any, list[Tensor]]:
    """Nodes of the same op on slices of the same tensors."""
    families: dict[Any, list[Tensor]] = {}
    for node in toposort(loop.outputs):
        if node.op is None or not node.op.pointwise or not node.inputs or free(node) or elements(node) > SMALL:
            continue
        if all(x.op is narrow and x.type is node.inputs[0].type and x.attrs == node.inputs[0].attrs for x in node.inputs):
            sources = tuple([x.inputs[0] for x in node.inputs])
            if all(x.shape == sources[0].shape for x in sources):
                families.setdefault((node.op, node.attrs, sources, node.inputs[0].attributes["axis"]), []).append(node)
    return families


def _runs(members: list[Tensor]) -> list[list[Tensor]]:
    """Those that follow one another without a gap, two or more."""
    known = [node for node in members if isinstance(_start(node), int) and isinstance(_length(node), int)]
    known.sort(key=_start)
    runs = [known[:1]]
    for before, node in pairwise(known):
        if _start(before) + _length(before) == _start(node):
            runs[-1].append(node)
        else:
            runs.append([node])
    return [run for run in runs if len(run) > 1]


def _start(node: Tensor) -> Any:
    return node.inputs[0].attributes["start"]


def _length(node: Tensor) -> Any:
    return node.inputs[0].attributes["length"]


def _joined(run: list[Tensor]) -> dict[Tensor, Tensor]:
    first, op = run[0], run[0].op
    assert op is not None
    axis, start = first.inputs[0].attributes["axis"], _start(first)
    total = sum(map(_length, run))
    whole = op.apply(tuple([narrow(x.inputs[0], axis=axis, start=start, length=total) for x in first.inputs]), first.attrs)
    return {node: narrow(whole, axis=axis, start=_start(node) - start, length=_length(node)) for node in run}
