"""What a loop tells once: a stack of slices of what it tells anyway is a slice of that stack.

    told: z[:, :64], concatenate([a, b])  and also z, a, b      becomes      told: z, concatenate([a, b]), and slices of their stacks

XLA's loops write every stack, one copy a step, and slices of a stack cost it nothing, since they fuse with what reads them. NumPy reads
stacks of their own quicker, so this is done for XLA alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from graphc.core import Tensor, map_bodies, parts, rebuild
from graphc.core.sizes import Dim
from graphc.grad.loops.loop import Loop, has_loops, with_loops
from graphc.ops.shape import concatenate, narrow


class _Slice(NamedTuple):
    """Where a value lies in another."""

    whole: Tensor
    axis: int
    start: Dim
    length: Dim


def tell_once(roots: Sequence[Tensor]) -> list[Tensor]:
    """The roots with loops that tell no slice of what else they tell, in bodies too."""
    return _told_once(map_bodies(roots, _told_once)) if has_loops(roots) else list(roots)


def _told_once(roots: Sequence[Tensor]) -> list[Tensor]:
    return with_loops(roots, _results)


def _results(node: Tensor, operands: tuple[Tensor, ...]) -> Sequence[Tensor]:
    """The results of the loop on these operands, those that it does not tell any more as slices of others."""
    loop = Loop.of(node, operands)
    slices, told = _slices(loop.told), loop.told
    if not slices:
        return parts(rebuild(node, operands))
    loop.told = [y for y in dict.fromkeys(told) if y not in slices]
    built = loop.built()
    lasts, stacks = built[: len(loop.carries)], dict(zip(loop.told, built[len(loop.carries) :], strict=True))
    for y, (whole, axis, start, length) in slices.items():
        stacks[y] = narrow(stacks[whole], axis=axis + 1, start=start, length=length)
    return [*lasts, *[stacks[y] for y in told]]


def _slices(told: Sequence[Tensor]) -> dict[Tensor, _Slice]:
    """Those of the values that lie in another one, which stays."""
    among, found, staying = set(told), dict[Tensor, _Slice](), set[Tensor]()
    for part, place in [one for y in told for one in _known(y)]:
        both = {part, place.whole}
        if len(both) == 2 and both <= among and both.isdisjoint(found) and part not in staying:
            found[part] = place
            staying.add(place.whole)
    return found


def _known(y: Tensor) -> list[tuple[Tensor, _Slice]]:
    """What is known to lie in another value by looking at ``y``: itself, if it is a slice, or what it puts side by side."""
    if y.op is narrow:
        a = y.attributes
        return [(y, _Slice(y.inputs[0], a["axis"], a["start"], a["length"]))]
    if y.op is not concatenate:
        return []
    found: list[tuple[Tensor, _Slice]] = []
    axis: int = y.attributes["axis"]
    start: Dim = 0
    for x in y.inputs:
        found.append((x, _Slice(y, axis, start, x.shape[axis])))
        start = start + x.shape[axis]
    return found
