"""``python -m benchmarks.memory W1 W4``: the peak of memory that the plan predicts, beside what is allocated and what the process grows by.

Allocated is what is kept after the first call and the most that a later call has on top, of NumPy's own arrays (tracemalloc). The
growth of the process has the pages of the interpreter's own objects too, and of libraries that start up with the first call.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.contestants import contestant
from benchmarks.workload import workloads

ALL = ("W1", "W4", "W5", "W9")


def compiled(name: str) -> tuple[Any, Any]:
    """The function of a workload and the job that calls it."""
    workload, task, made = workloads()[name], None, []
    one = contestant("graphc")
    one.start(2)
    task = workload.task()
    own = one.compile
    one.compile = lambda *graph: made.append(own(*graph)) or made[-1]
    job = one.build(workload.model["graphc"], task)
    return made[0], job


def allocated(job: Any) -> int:
    """Bytes of arrays: those that stay, and the most that one call adds."""
    tracemalloc.start()
    job.call()
    arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    kept = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    job.call()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept + most - before


def growth(job: Any) -> int:
    """Bytes by which the process grows at most over some calls."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        job.call()
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def measured(name: str, kind: str) -> dict[str, int]:
    function, job = compiled(name)
    if kind == "growth":
        return {"growth": growth(job)}
    found = allocated(job)
    return {"predicted": function.report.memory.peak, "allocated": found}


def apart(name: str) -> dict[str, int]:
    """Both measurements, each in a process of its own."""
    found: dict[str, int] = {}
    for kind in ("allocated", "growth"):
        command = [sys.executable, "-m", "benchmarks.memory", name, "--one", kind]
        found |= json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.memory", description=__doc__)
    parser.add_argument("names", nargs="*", default=ALL, metavar="W1")
    parser.add_argument("--one", choices=("allocated", "growth"), help="measure this alone, in this process, and print JSON")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.names[0], asked.one)))
        return
    rows = []
    for name in asked.names:
        one = apart(name)
        sizes = [f"{one[kind] / 2**20:.2f}" for kind in ("predicted", "allocated", "growth")]
        rows.append([name, *sizes, f"{one['predicted'] / one['allocated']:.3f}"])
    print(tables.table(["MiB", "predicted", "allocated", "growth of the process", "predicted / allocated"], rows))


if __name__ == "__main__":
    main()
