"""What the rules saved: for each use of one the nodes that went and those that came, each node counted once."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from graphc.core import Tensor, every_node
from graphc.core.sizes import Dim
from graphc.lower.cost import Work, work

if TYPE_CHECKING:
    from graphc.pipeline.report import Pass
    from graphc.rewrite import Application

LIMIT: Final = 400
"""So many nodes on both sides of a rewrite are looked at. What a rule replaces hangs together within a few steps."""


@dataclass(frozen=True)
class Saving:
    """Operations and bytes that a graph has fewer, as formulas of the named sizes; negative where it has more. They add up."""

    flops: Dim = 0
    nbytes: Dim = 0

    def __add__(self, other: Saving) -> Saving:
        return Saving(self.flops + other.flops, self.nbytes + other.nbytes)

    def __bool__(self) -> bool:
        return bool(self.flops != 0 or self.nbytes != 0)

    def __str__(self) -> str:
        return f"{self.flops} flops, {self.nbytes} bytes"


def replaced(before: Tensor, after: Tensor, still_there: Container[Tensor] = ()) -> tuple[list[Tensor], list[Tensor]]:
    """The nodes that only ``before`` is made of, and those that only ``after`` is made of, each from the top down.

    The nodes that are ``still_there`` are not entered.
    """
    old, new = {before}, {after}
    ends = [before], [after]
    while (ends[0] or ends[1]) and len(old) + len(new) < LIMIT:
        ends = (
            _below([x for x in ends[0] if x not in new and (x is before or x not in still_there)], old),
            _below([x for x in ends[1] if x not in old], new),
        )
    shared = old & new
    return _reached(before, old - shared), _reached(after, new - shared)


def _below(nodes: Iterable[Tensor], seen: set[Tensor]) -> list[Tensor]:
    found = list(dict.fromkeys(x for node in nodes for x in node.inputs if x not in seen))
    seen.update(found)
    return found


def _reached(top: Tensor, within: set[Tensor]) -> list[Tensor]:
    if top not in within:
        return []
    found = {top: None}
    waiting = [top]
    while waiting:
        fresh = [x for x in waiting.pop().inputs if x in within and x not in found]
        found.update(dict.fromkeys(fresh))
        waiting += fresh
    return list(found)


class Use(NamedTuple):
    """A use of a rule: the pass that it was in, and what it saved."""

    stage: str
    application: Application
    saved: Saving


def uses(passes: Sequence[Pass]) -> list[Use]:
    """Every use of a rule, in order. Nodes that others still read after the pass count for nothing, and new ones that were there before."""
    found: list[Use] = []
    for start, stage in pairwise(passes):
        if not stage.applied:
            continue
        there, stays = set(every_node(start.roots)), set(every_node(stage.roots))
        gone = set[Tensor]()
        for one in stage.applied:
            old, new = replaced(one.before, one.after, stays)
            lost = [node for node in old if node not in stays and node not in gone]
            come = [node for node in new if node not in there]
            gone.update(lost)
            there.update(come)
            found.append(Use(stage.name, one, _fewer(lost, come)))
    return found


def _fewer(lost: Iterable[Tensor], come: Iterable[Tensor]) -> Saving:
    old, new = sum(map(work, lost), Work()), sum(map(work, come), Work())
    return Saving(old.flops - new.flops, old.nbytes - new.nbytes)
