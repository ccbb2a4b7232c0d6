"""The tables, as Markdown that reads well in a terminal, and the line for the history."""

from __future__ import annotations

import argparse
import datetime as dt
import math
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from benchmarks.contestants import own, versions
from benchmarks.floor import FLOORS
from benchmarks.timing import Measurement
from benchmarks.worker import Settings
from benchmarks.workload import Workload

BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"
BASE, TUNED = "jax", "tuned"

Results = Mapping[str, Mapping[str, Measurement]]
"""By workload, then by contestant."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Text left, numbers right, columns aligned."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    numbers = [False, *[True] * (len(head) - 1)]
    rule = ["-" * (width - 1) + ":" if right else "-" * width for width, right in zip(widths, numbers, strict=True)]
    lines.insert(1, rule)
    return "\n".join(
        "| " + " | ".join(cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(line, widths, numbers, strict=True)) + " |"
        for line in lines
    )


def number(value: float | None) -> str:
    """Three digits at most."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}" if value >= 0.0995 else f"{value:.2g}"


def ratio(value: float | None, base: float | None) -> str:
    return number(value / base) if value is not None and base else ""


def by_contestant(results: Results, workloads: Mapping[str, Workload], names: Sequence[str], cell: Callable[..., str]) -> str:
    """A row for each workload, a column for each contestant that has any number."""
    shown = [name for name in names if any(name in found and found[name].median is not None for found in results.values())]
    rows = []
    for key, found in results.items():
        rows.append([f"{key}: {workloads[key].title}", *[cell(found.get(name, Measurement()), found) for name in shown]])
    return table(["", *shown], rows)


def ablated(results: Results, workloads: Mapping[str, Workload], names: Sequence[str], field: Literal["median", "first"]) -> str:
    """Ratios to the first of ``names``, with the geometric mean; ``~`` marks those that noise may have made."""
    first, *others = names
    others = [name for name in others if any(getattr(found.get(name), field, None) for found in results.values())]
    rows, logs = [], {name: [] for name in others}
    for key, found in results.items():
        base, cells = found.get(first, Measurement()), []
        for name in others:
            one = found.get(name, Measurement())
            a, b = getattr(one, field), getattr(base, field)
            cells.append(relative(one, base, field))
            logs[name] += [math.log(a / b)] if a and b else []
        rows.append([f"{key}: {workloads[key].title}", *cells])
    means = [number(math.exp(sum(values) / len(values))) + " " for values in logs.values()]
    return table(["", *others], [*rows, ["geometric mean", *means]])


def relative(one: Measurement, base: Measurement, field: Literal["median", "first"]) -> str:
    """The ratio of two measurements, with ``~`` where noise may have made the difference; nothing where one has no number."""
    a, b = getattr(one, field), getattr(base, field)
    if not a or not b:
        return ""
    noisy = field == "median" and abs(a - b) < one.notch + base.notch
    return ratio(a, b) + ("~" if noisy else " ")


def base_of(found: Mapping[str, Measurement]) -> str:
    """Whom the ratios refer to: ``jax.jit``, or the first that has a number."""
    able = [name for name, one in found.items() if one.median is not None]
    return BASE if BASE in able or not able else able[0]


def speed(results: Results, workloads: Mapping[str, Workload], names: Sequence[str]) -> str:
    def cell(one: Measurement, found: Mapping[str, Measurement]) -> str:
        base = found[base_of(found)].median if base_of(found) in found else None
        return ratio(one.median, base)

    return by_contestant(results, workloads, names, cell)


def standing(results: Results, workloads: Mapping[str, Workload]) -> str:
    """graphc on NumPy beside the best peer, tuned NumPy, and the floor, in milliseconds and as ratios."""
    rows = []
    for key, found in results.items():
        ours = found.get("graphc", Measurement()).median
        others = {name: one.median for name, one in found.items() if name not in (*FLOORS, TUNED) and not own(name)}
        peers = {name: median for name, median in others.items() if median is not None}
        best = min(peers, key=peers.__getitem__) if peers else ""
        gemms, copies = found["gemms"].median, found["copies"].median
        tuned = found.get(TUNED, Measurement()).median
        floor = (gemms or 0) + (copies or 0)
        milliseconds = [number(None if x is None else 1e3 * x) for x in (ours, peers.get(best), tuned, gemms, copies)]
        ratios = [ratio(ours, x) for x in (peers.get(best), tuned, gemms, floor)]
        rows.append([f"{key}: {workloads[key].title}", *milliseconds, best, *ratios])
    head = [
        "",
        "graphc ms",
        "best peer ms",
        "tuned ms",
        "GEMMs ms",
        "copies ms",
        "best peer",
        "/ best peer",
        "/ tuned",
        "/ GEMMs",
        "/ floor",
    ]
    return table(head, rows)


def first_results(results: Results, workloads: Mapping[str, Workload], names: Sequence[str]) -> str:
    return by_contestant(results, workloads, names, lambda one, _: number(one.first))


def medians(results: Results, workloads: Mapping[str, Workload], names: Sequence[str]) -> str:
    return by_contestant(results, workloads, names, lambda one, _: number(one.median))


def peaks(results: Results, workloads: Mapping[str, Workload], names: Sequence[str]) -> str:
    return by_contestant(results, workloads, names, lambda one, _: number(one.peak and one.peak / 2**20))


def contention(found: Mapping[str, Measurement]) -> str:
    rows = [
        [name, number(1e3 * one.median), number(1e3 * one.busy), ratio(one.busy, one.median)]
        for name, one in found.items()
        if name not in FLOORS and one.median is not None and one.busy is not None
    ]
    return table(["", "alone, ms", "beside, ms", "ratio"], rows)


def absences(results: Results) -> str:
    """Who has no number, where, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for key, found in results.items():
        for name, one in found.items():
            if one.reason and name not in FLOORS:
                reasons.setdefault((name, one.reason), []).append(key)
    return "\n".join(f"- {name}: {reason} ({', '.join(keys)})" for (name, reason), keys in reasons.items())


def machine(names: Sequence[str], threads: int) -> dict[str, Any]:
    """What the numbers depend on; nothing that tells whose machine it is."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "processors": os.cpu_count(),
        "threads": threads,
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": versions(names),
    }


def about(names: Sequence[str], threads: int) -> str:
    """The same as a line under tables."""
    found = machine(names, threads)
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    return f"{found['processor']}, {threads} threads, Python {found['python']}, {packages}."


def history(results: Results, extra: Mapping[str, Any], names: Sequence[str], settings: Settings) -> dict[str, Any]:
    """One line of the history: everything in seconds and bytes."""
    measured = {
        key: {name: {field: value for field, value in asdict(one).items() if value not in (None, 0)} for name, one in found.items()}
        for key, found in results.items()
    }
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {"when": now, "machine": machine(names, settings.threads), "workloads": measured, **extra}


def add_markdown(parser: argparse.ArgumentParser) -> None:
    """The option of every command whose tables stand in a page."""
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables between their markers in this page")


def publish(text: str, section: str, page: Path | None) -> None:
    """Print the tables, and put them between the markers of their section of a page; at its end where it has none."""
    print(text)
    if page is None:
        return
    begin, end = BEGIN.format(section), END.format(section)
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    if begin not in old:
        old += f"{begin}\n{end}\n"
    before, rest = old.split(begin, 1)
    page.write_text(f"{before}{begin}\n{text}\n{rest[rest.index(end) :]}", encoding="utf-8")
