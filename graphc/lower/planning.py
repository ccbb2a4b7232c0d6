"""What is run at given sizes: loops over rows where they pay, then an order, then buffers.

``dropped`` names what is left out: ``"fuse"``, ``"order"``, ``"reuse"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from graphc.lower.buffers import IDLE, Plan, assign
from graphc.lower.footprint import Footprint, footprint
from graphc.lower.order import arranged
from graphc.lower.rows import Loops, Rows
from graphc.lower.schedule import Schedule


@dataclass(frozen=True)
class Planned:
    """A schedule with its loops and its order, the plan of its memory, and what it needs."""

    schedule: Schedule
    plan: Plan
    footprint: Footprint


def planned(schedule: Schedule, known: Mapping[str, int], dropped: frozenset[str] = frozenset()) -> Planned:
    """Choose loops, order and buffers for these sizes, and say how much memory they need."""
    loops = Loops(schedule)
    steps, plan = settled(loops.fused(worth(loops, known, dropped)), known, dropped)
    return Planned(steps, plan, footprint(steps, plan, known))


def worth(loops: Loops, known: Mapping[str, int], dropped: frozenset[str]) -> tuple[int, ...]:
    """The numbers of the loops that are made."""
    return () if "fuse" in dropped else loops.worth(known)


def settled(steps: Schedule, known: Mapping[str, int], dropped: frozenset[str]) -> tuple[Schedule, Plan]:
    """The steps, loops among them, in the order in which they are run, and the buffers that they write into."""
    if "order" not in dropped:
        inside = [replace(step, inner=arranged(step.inner, known)) if isinstance(step, Rows) else step for step in steps.steps]
        steps = arranged(replace(steps, steps=tuple(inside)), known)
    return steps, assign(steps, reuse="reuse" not in dropped, idle=IDLE)
