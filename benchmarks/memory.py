"""``python -m benchmarks.memory W1 W4``: the peak of memory that the plan predicts, beside what is allocated and what the process grows by.

Allocated is NumPy's own arrays that are kept after the first call (tracemalloc), and the most that a later call has on top. The
growth of the process has the pages of the interpreter's own objects too, and of libraries that start up with the first call.

``--budget`` compares a function with one that was given half of its peak as ``memory_budget``, instead.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.contestants import Graphc, Job
from benchmarks.timing import interleaved, say, undisturbed
from benchmarks.worker import Sampler, fix_threads, peak
from benchmarks.workload import Task, workloads

THREADS = 2
PEAKS, BUDGETS = ("W1", "W4", "W5", "W9"), ("compile-100", "compile-1000")
COMPARED_CALLS = 16
MIB = 2**20


class Kept(Graphc):
    """Keeps the function that it compiles."""

    function: Any = None

    def compile(self, *graph: Any) -> Any:
        self.function = super().compile(*graph)
        return self.function


def asked_of(name: str, tiny: bool) -> Task:
    """A step of the workload, compiled once."""
    return replace(workloads()[name].task(tiny), fresh=False)


def compiled(name: str, task: Task, **options: Any) -> tuple[Any, Job]:
    """The function of a workload, compiled with these options, and the job that calls it."""
    one = Kept(**options)
    one.start(THREADS)
    job = one.build(workloads()[name].model["graphc"], task)
    return one.function, job


def allocated(job: Job) -> int:
    """Bytes of arrays: those that stay, and the most that one call adds. The job has done no step yet."""
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


def planned(name: str, tiny: bool, _: float) -> dict[str, float]:
    function, job = compiled(name, asked_of(name, tiny))
    found = allocated(job)
    return {"predicted": function.report.memory.peak, "allocated": found}


def growth(name: str, tiny: bool, _: float) -> dict[str, float]:
    """Bytes by which the process grows at most over some calls."""
    _, job = compiled(name, asked_of(name, tiny))
    before = peak()
    for _ in range(3):
        job.call()
    return {"growth": peak() - before}


def budget(name: str, tiny: bool, seconds: float) -> dict[str, float]:
    """Bytes and seconds of a function, and ``"halved"`` with half of its peak for a budget; and whether both compute the same bits."""
    task, found = asked_of(name, tiny), {}
    samplers: dict[str, Callable[[float], Any]] = {}
    states: list[Sequence[Any]] = []
    options: dict[str, int] = {}
    for which in ("plain", "halved"):
        function, job = compiled(name, task, **options)
        found |= {f"{which} allocated": allocated(job), f"{which} predicted": function.report.memory.peak}
        began = time.perf_counter()
        _, job = compiled(name, task, **options)
        job.call()
        found[f"{which} first"] = first = time.perf_counter() - began
        for _ in range(COMPARED_CALLS - 1):
            job.call()
        states.append([value.copy() for value in job.state()])
        samplers[which] = Sampler(job.call, first)
        options = {"memory_budget": found["plain predicted"] // 2}
    found["same"] = all(np.array_equal(a, b) for a, b in zip(*states, strict=True))
    for which, samples in interleaved(samplers, seconds).items():
        found[which] = statistics.median(undisturbed(samples))
    return found


KINDS: dict[str, Callable[[str, bool, float], dict[str, float]]] = {"allocated": planned, "growth": growth, "budget": budget}


def apart(name: str, kinds: Sequence[str], asked: argparse.Namespace) -> dict[str, float]:
    """These measurements, each in a process of its own."""
    found: dict[str, float] = {}
    for kind in kinds:
        say(f"{name}: {kind}")
        command = [sys.executable, "-m", "benchmarks.memory", name, "--one", kind, "--seconds", str(asked.seconds)]
        command += ["--tiny"] if asked.tiny else []
        found |= json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def peaks(asked: argparse.Namespace) -> str:
    rows = []
    for name in asked.names or PEAKS:
        one = apart(name, ("allocated", "growth"), asked)
        sizes = [f"{one[kind] / MIB:.2f}" for kind in ("predicted", "allocated", "growth")]
        rows.append([name, *sizes, f"{one['predicted'] / one['allocated']:.3f}"])
    return tables.table(["MiB", "predicted", "allocated", "growth of the process", "predicted / allocated"], rows)


def budgets(asked: argparse.Namespace) -> str:
    rows = []
    for name in asked.names or BUDGETS:
        one = apart(name, ("budget",), asked)
        sizes = [f"{one[f'{which} {kind}'] / MIB:.2f}" for kind in ("predicted", "allocated") for which in ("plain", "halved")]
        shares = [one["halved predicted"] / one["plain predicted"], one["halved"] / one["plain"]]
        firsts = [tables.number(one[f"{which} first"]) for which in ("plain", "halved")]
        title = f"{name}: {workloads()[name].title}"
        rows.append([title, *sizes, *[f"{share:.3f}" for share in shares], *firsts, "yes" if one["same"] else "no"])
    head = ["predicted, MiB", "with half of it", "allocated, MiB", "with half", "reached / predicted", "a call / without"]
    head += ["first result, s", "with half", f"same bits after {COMPARED_CALLS} steps"]
    return tables.table(["", *head], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.memory", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="W1", help=f"workloads ({', '.join(PEAKS)}; of budgets {', '.join(BUDGETS)})")
    parser.add_argument("--budget", action="store_true", help="a memory budget of half the peak, beside none")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="of samples for each function, with --budget (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: to see that it works")
    parser.add_argument("--one", choices=KINDS, help="measure this alone, in this process, and print JSON")
    tables.add_markdown(parser)
    asked = parser.parse_args(arguments)
    if asked.one:
        print(json.dumps(KINDS[asked.one](asked.names[0], asked.tiny, asked.seconds)))
        return
    fix_threads(THREADS)
    text = (budgets if asked.budget else peaks)(asked)
    tables.publish(f"{text}\n\n{tables.about(['graphc'], THREADS)}", "budget" if asked.budget else "memory", asked.markdown)


if __name__ == "__main__":
    main()
