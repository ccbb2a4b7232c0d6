"""Whether contestants compute the same: nothing is timed before that is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.contestants import Contestant, Job
from benchmarks.workload import Array, Task

Evidence = tuple[list[Array], list[Array]]
"""What the first calls return, one after another, and how far the parameters have moved then."""


def evidence(contestant: Contestant, job: Job, task: Task) -> Evidence:
    """Of a job that has done no step yet, in float64."""
    results = [_flat(contestant, job.call(), task) for _ in range(task.checked_calls)]
    moved = [
        np.float64(contestant.numpy(now)).ravel() - np.float64(before).ravel()
        for now, before in zip(job.state(), task.parameters.values(), strict=False)
    ]
    return list(map(np.stack, zip(*results, strict=True))), moved


def _flat(contestant: Contestant, result: Any, task: Task) -> list[Array]:
    """One array for each result of a tuple; of the losses of several steps the mean, weighted by the rows of the batches."""
    if isinstance(result, tuple):
        return [np.float64(contestant.numpy(value)).ravel() for value in result]
    losses = [contestant.numpy(value) for value in result] if isinstance(result, list) else contestant.numpy(result)
    values = np.float64(losses).ravel()
    if 1 < task.steps == values.size:
        rows = [len(batch[0]) for batch in itertools.islice(itertools.cycle(task.batches), task.steps)]
        values = np.average(values, weights=rows, keepdims=True)
    return [values]


def disagreement(found: Sequence[Array], expected: Sequence[Array]) -> float:
    """The norm of the difference over the norm, of the worst array; NaN and another form are infinite.

    A norm, not an element: where a relu's input is 0 but for rounding, single gradients go either way.
    """
    if len(found) != len(expected) or any(a.shape != b.shape for a, b in zip(found, expected, strict=True)):
        return np.inf
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        if a.size:
            difference = float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30))
            worst = max(worst, difference if np.isfinite(difference) else np.inf)
    return worst
