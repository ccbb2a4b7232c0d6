"""Whether contestants compute the same: nothing is timed before that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.contestants import Contestant, Job
from benchmarks.workload import Array, Task


def evidence(contestant: Contestant, job: Job, task: Task) -> list[Array]:
    """Results of the first calls, one after another, and how far the parameters have moved, in float64."""
    results = [_flat(contestant, job.call()) for _ in range(task.checked_calls)]
    moved = [
        np.float64(contestant.numpy(now)).ravel() - np.float64(before).ravel()
        for now, before in zip(job.state(), task.parameters.values(), strict=False)
    ]
    return [*map(np.stack, zip(*results, strict=True)), *moved]


def _flat(contestant: Contestant, result: Any) -> list[Array]:
    """One array for each result of a tuple; the losses of several steps, a list, are one."""
    if isinstance(result, tuple):
        return [np.float64(contestant.numpy(value)).ravel() for value in result]
    if isinstance(result, list):
        return [np.float64([contestant.numpy(value) for value in result])]
    return [np.float64(contestant.numpy(result)).ravel()]


def disagreement(found: Sequence[Array], expected: Sequence[Array]) -> float:
    """The largest difference over the largest element, of the worst result; NaN and another form are infinite."""
    if len(found) != len(expected) or any(a.shape != b.shape for a, b in zip(found, expected, strict=True)):
        return np.inf
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        if a.size:
            difference = float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))
            worst = max(worst, difference if np.isfinite(difference) else np.inf)
    return worst
