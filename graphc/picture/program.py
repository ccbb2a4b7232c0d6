"""The lowered program of a compiled function: its steps, loops over rows as frames, and where each value lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.core import Tensor, Variable
from graphc.core.expr import Constant
from graphc.lower import NumpyProgram, Plan, Schedule
from graphc.pipeline.report import Report
from graphc.show import Cluster, Unfolded


def lowered(report: Report) -> tuple[tuple[Tensor, ...], Mapping[Tensor, Variable]]:
    """The results of the program that runs, at the sizes that came last, and the variables that some of them are new values of."""
    plan = report.program.planned[0] if isinstance(report.program, NumpyProgram) else report.program.schedule
    new = {node: variable for variable, node in plan.updates.items()}
    return tuple(dict.fromkeys([*plan.outputs, *plan.updates.values()])), new


def program_of(report: Report, roots: Sequence[Tensor]) -> tuple[Unfolded, dict[Tensor, str]]:
    """The program as a graph with a frame for each loop over rows, and a note for each value: the memory that it lives in.

    On JAX, where XLA fuses and plans memory, it is the lowered graph alone.
    """
    graph = Unfolded(list(roots))
    if not isinstance(report.program, NumpyProgram):
        return graph, {}
    schedule, plan = report.program.planned
    for step in schedule.steps:
        if not isinstance(step, Tensor):
            frame = Cluster(f"cluster_{len(graph.frames)}", f"a loop over the rows of {step.size}: {len(step.nodes)} steps")
            graph.frames.append(frame)
            graph.frame_of.update(dict.fromkeys(step.nodes, frame.id))
    if schedule.hoisted:
        frame = Cluster(f"cluster_{len(graph.frames)}", "computed once, when the sizes are known")
        graph.frames.append(frame)
        graph.frame_of.update(dict.fromkeys(schedule.hoisted, frame.id))
    return graph, {node: note for node in graph.nodes if (note := _memory(node, schedule, plan))}


def _memory(node: Tensor, schedule: Schedule, plan: Plan) -> str:
    """Where a value lives, in words."""
    if node.op is None or isinstance(node, Constant) or node in schedule.hoisted:
        return ""
    if node in plan.direct:
        return f"in the memory of {plan.direct[node].label}"
    inside = [step for step in schedule.steps if not isinstance(step, Tensor) and node in step.nodes]
    if inside and node not in (*inside[0].kept, *inside[0].sums):
        return "a block of rows"
    root = plan.root.get(node, node)
    if root is not node:
        return "a view"
    if node in plan.place:
        return f"buffer {plan.place[node]}{', over its operand' if node in plan.in_place else ''}"
    return "a result" if node in schedule.outputs else "memory of its own"
