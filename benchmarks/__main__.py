"""``python -m benchmarks``: what graphc takes for each workload beside its peers."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import processes, tables, targets
from benchmarks.contestants import EVERYTHING, ONE_THREAD, PEERS, WITHOUT, absent, own
from benchmarks.tables import Results
from benchmarks.timing import measure
from benchmarks.worker import Settings, fix_threads
from benchmarks.workload import Workload, workloads

OURS = ("graphc", "graphc-jax")
PROCESS = ("import", "process")
BUSY = "contention"
FULL = {"peers": PEERS, "seconds": 5.0, "patience": 100.0, "rounds": 7}
QUICK = {"peers": ("jax", "jax-scan", "numpy", "tuned"), "seconds": 0.5, "patience": 40.0, "rounds": 2}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write what was asked for. 1 if a contestant of ours computed something else than the reference."""
    asked = parser().parse_args(arguments)
    began, usual = time.perf_counter(), QUICK if asked.quick else FULL
    seconds, patience = asked.seconds or usual["seconds"], asked.patience or usual["patience"]
    settings = Settings(seconds, asked.threads, asked.tiny, patience, 1 if asked.tiny else usual["rounds"])
    fix_threads(settings.threads)
    chosen, processed = select(asked.only)
    names = ["graphc", *lacking()] if asked.ablate else [*OURS, *(asked.peers or usual["peers"])]

    results = {}
    for workload in chosen.values():
        busy = workload.name == "W1" and BUSY in processed and not asked.ablate
        results[workload.name] = measure(workload, [*names, *([ONE_THREAD] if busy else [])], settings, busy=busy)
    extra: dict[str, Any] = {}
    if not asked.ablate:
        extra |= {"import": processes.imports(names, settings)} if "import" in processed else {}
        extra |= {"process": processes.whole(names, settings)} if "process" in processed else {}

    took = time.perf_counter() - began
    parts = ablation(results, chosen, names) if asked.ablate else report(results, chosen, names, extra)
    missing = tables.absences(results)
    parts += [f"Without a number:\n\n{missing}"] if missing else []
    text = "\n\n".join([*parts, footnote(names, settings, took)])
    tables.publish(text, "ablation" if asked.ablate else "benchmarks", asked.markdown)
    if asked.json:
        with asked.json.open("a", encoding="utf-8") as file:
            file.write(json.dumps(tables.history(results, {**extra, "targets": targets.found(results, extra)}, names, settings)) + "\n")
    ours = [one for found in results.values() for name, one in found.items() if own(name) and absent(name) is None]
    return int(any(one.reason for one in ours))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", type=_names, metavar="W1,W3", help="workloads, and import, process, contention; W1* takes its variants too (all)")
    add("--peers", type=_peers, metavar="NAMES", help=f"of {','.join(PEERS)} (all); absent ones are skipped")
    add("--seconds", type=float, metavar="S", help=f"of samples for each contestant on each workload ({FULL['seconds']:g})")
    add("--threads", type=int, default=2, metavar="N", help="processors and threads for everyone (%(default)s)")
    add("--patience", type=float, metavar="S", help=f"in which a first result has to come ({FULL['patience']:g})")
    add("--quick", action="store_true", help=f"some minutes: peers {','.join(QUICK['peers'])}, {QUICK['seconds']:g} s of samples")
    add("--ablate", action="store_true", help="graphc alone, with each optimisation left out in turn")
    add("--tiny", action="store_true", help="tiny sizes: to see that it works")
    add("--json", type=Path, metavar="FILE", help="append a line with all numbers")
    tables.add_markdown(parser)
    return parser


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    known = [*workloads(), *PROCESS, BUSY]
    for name in names:
        if not fnmatch.filter(known, name):
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return names


def _peers(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PEERS)}")
    return names


def select(only: Sequence[str] | None) -> tuple[dict[str, Workload], set[str]]:
    """The workloads and what else is measured, by names and patterns; ``contention`` is of W1 and brings it."""
    patterns = ["*"] if only is None else only
    others = {name for pattern in patterns for name in fnmatch.filter((*PROCESS, BUSY), pattern)}
    wanted = [*patterns, "W1"] if BUSY in others else patterns
    return {name: one for name, one in workloads().items() if any(fnmatch.fnmatch(name, pattern) for pattern in wanted)}, others


def lacking() -> list[str]:
    """graphc without each of its optimisations, and without everything."""
    from graphc.pipeline import OPTIMISATIONS

    return [f"graphc{WITHOUT}{switch}" for switch in (*OPTIMISATIONS, EVERYTHING)]


def report(results: Results, every: dict[str, Workload], names: Sequence[str], extra: dict[str, Any]) -> list[str]:
    """All tables, each under a line that says what its numbers are."""
    fast = {key: found for key, found in results.items() if every[key].section == "speed"}
    compiled = {key: found for key, found in results.items() if every[key].section == "compile"}
    parts = []

    def add(title: str, text: str) -> None:
        parts.append(f"**{title}**\n\n{text}")

    if fast:
        base = "jax.jit" if tables.BASE in names else names[0]
        add(f"Time over that of `{base}` in the same run (medians; below 1 is faster)", tables.speed(fast, every, names))
        add("graphc on NumPy beside the best peer and the physical floor", tables.standing(fast, every))
        add("Seconds from the declaration to the first result, modules imported", tables.first_results(fast, every, names))
        add("Peak memory of the process, MiB", tables.peaks(fast, every, names))
    if compiled:
        add("Seconds from the declaration to the first result, by depth", tables.medians(compiled, every, names))
    if any(one.busy for found in results.values() for one in found.values()):
        add("W1 beside a foreign process that keeps one processor busy", tables.contention(results["W1"]))
    for key, title in (("import", "Seconds to import"), ("process", "Seconds for W6 as a whole process, start to exit")):
        if key in extra:
            add(title, tables.table(["", *extra[key]], [["seconds", *map(tables.number, extra[key].values())]]))
    reached = targets.shown(results, extra)
    if reached:
        add("Targets", reached)
    return parts


def ablation(results: Results, every: dict[str, Workload], names: Sequence[str]) -> list[str]:
    """What each optimisation earns, and what it costs while compiling."""
    return [
        "**Time of a call over that with everything on (above 1: what the optimisation earns; ~: it may be noise)**",
        tables.ablated(results, every, names, "median"),
        "**Time to first result over that with everything on (below 1: what it costs)**",
        tables.ablated(results, every, names, "first"),
    ]


def footnote(names: Sequence[str], settings: Settings, took: float) -> str:
    minutes, seconds = divmod(round(took), 60)
    lasted = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return (
        f"{tables.about([name for name in names if absent(name) is None], settings.threads)} Contestants take turns in one run of "
        f"{settings.seconds:g} s each; samples that waited for a processor are dropped; results agree with a float64 reference first. "
        f"The run took {lasted}."
    )


if __name__ == "__main__":
    sys.exit(main())
