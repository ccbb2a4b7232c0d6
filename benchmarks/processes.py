"""What a process costs as a whole: importing the contestant's module, and W6 from the start of Python to its exit."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.contestants import absent, contestant, words
from benchmarks.worker import Settings
from benchmarks.workload import workloads

ROOT = Path(__file__).parent.parent
IMPORT = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"
WHOLE = "W6"


def imports(names: Sequence[str], settings: Settings) -> dict[str, float]:
    """Seconds for the import of each module in a fresh process."""
    own = {name: contestant(name).module for name in names}
    first = [name for name in names if name == next(one for one in names if own[one] == own[name])]  # of those that share a module
    return _rounds(first, settings, lambda name: float(_python("-c", IMPORT.format(own[name]))))


def whole(names: Sequence[str], settings: Settings) -> dict[str, float]:
    """Seconds from start to exit of a process that does one call of W6."""

    def run(name: str) -> float:
        began = time.perf_counter()
        _python("-m", "benchmarks.once", WHOLE, name, str(settings.threads), "tiny" if settings.tiny else "full")
        return time.perf_counter() - began

    workload = workloads()[WHOLE]
    able = [name for name in names if words(name) in workload.model and contestant(name).takes(workload.task(settings.tiny))]
    return _rounds(able, settings, run)


def _rounds(names: Sequence[str], settings: Settings, run: Callable[[str], float]) -> dict[str, float]:
    """Medians of runs in turns; the first round, which may compile bytecode, does not count."""
    times: dict[str, list[float]] = {name: [] for name in names if absent(name) is None}
    for turn in range(1 + settings.rounds):
        for name, values in times.items():
            seconds = run(name)
            if turn:
                values.append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def _python(*arguments: str) -> str:
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout
