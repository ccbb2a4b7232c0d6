"""One interleaved run: contestants take turns, so that noise hits them alike, and what waited for a processor is dropped."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.agreement import Evidence, disagreement
from benchmarks.contestants import absent
from benchmarks.floor import FLOORS
from benchmarks.worker import NoResultError, Sample, Settings, Worker
from benchmarks.workload import Workload

ROUNDS = 20
QUEUED = 0.05  # of its time a sample may have waited


@dataclass
class Measurement:
    """Of one contestant on one workload. Times are seconds a call, ``peak`` is bytes; ``reason`` says why there is no number.

    Medians that differ by less than the sum of their ``notch`` may be equal.
    """

    median: float | None = None
    notch: float = 0.0
    first: float | None = None
    busy: float | None = None
    peak: float | None = None
    samples: int = 0
    kept: int = 0
    difference: float | None = None
    reason: str | None = None


def measure(workload: Workload, names: Sequence[str], settings: Settings, *, busy: bool = False) -> dict[str, Measurement]:
    """Every contestant on one workload: started, compared with the reference, then timed in turns; if ``busy``, once more beside a
    foreign process.
    """
    found = {name: Measurement() for name in (*names, *FLOORS)}
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        say(f"{workload.name}: reference")
        expected = _expected(workload, settings)
        for name in found:
            say(f"{workload.name}: {name}")
            try:
                workers[name] = _started(workload, name, settings)
                stack.callback(workers[name].close)
                found[name].first = workers[name].first
                if name not in FLOORS:
                    found[name].difference = _compared(workload, workers[name].ask("evidence"), expected)
            except NoResultError as error:
                found[name].reason = str(error)
                workers.pop(name, None)
        say(f"{workload.name}: {len(workers)} take turns")
        samplers = {name: partial(worker.ask, "sample") for name, worker in workers.items()}
        for name, samples in interleaved(samplers, settings.seconds).items():
            kept = undisturbed(samples)
            found[name].median, found[name].notch = statistics.median(kept), notch(kept)
            found[name].samples, found[name].kept = len(samples), len(kept)
        if busy:
            with foreign_process():
                for name, samples in interleaved(samplers, settings.seconds).items():
                    found[name].busy = statistics.median([seconds for seconds, _ in samples])
        for name, worker in workers.items():
            found[name].peak = worker.ask("peak")
    return found


def say(line: str) -> None:
    """Progress, for whoever watches."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="\r", file=sys.stderr, flush=True)


def _started(workload: Workload, name: str, settings: Settings) -> Worker:
    reason = None if name in FLOORS else absent(name)
    if reason:
        raise NoResultError(reason)
    return Worker(workload.name, name, settings)


def _compared(workload: Workload, found: Evidence, expected: Evidence) -> float:
    """How far the results are from the reference's. Raises if that, or what the parameters have done, is too far."""
    results, moves = map(disagreement, found, expected)
    if results > workload.rtol or moves > workload.drift:
        raise NoResultError(f"results {results:.1e} and steps {moves:.1e} away from the reference")
    return results


def _expected(workload: Workload, settings: Settings) -> Evidence:
    worker = Worker(workload.name, "reference", settings)
    try:
        return worker.ask("evidence")
    finally:
        worker.close()


def interleaved(samplers: Mapping[str, Callable[[float], list[Sample]]], seconds: float) -> dict[str, list[Sample]]:
    """Samples of each, about ``seconds`` of them, in turns whose order rotates; slow ones have fewer turns, at least one."""
    samples: dict[str, list[Sample]] = {name: [] for name in samplers}
    spent = dict.fromkeys(samplers, 0.0)
    names = list(samplers)
    for turn in range(ROUNDS):
        start = turn % max(1, len(names))
        for name in names[start:] + names[:start]:
            if spent[name] < seconds * (turn + 1) / ROUNDS:
                fresh = samplers[name](seconds / ROUNDS)
                samples[name] += fresh
                spent[name] += max(seconds / ROUNDS, sum(seconds for seconds, _ in fresh))
    return samples


def undisturbed(samples: Sequence[Sample]) -> list[float]:
    """Those that hardly waited for a processor; of a contestant whose own threads queue for one another, the better half."""
    limit = max(QUEUED, statistics.median([queued for _, queued in samples]))
    return [seconds for seconds, queued in samples if queued <= limit]


def notch(samples: Sequence[float]) -> float:
    """Half of the interval in which the median lies, as box plots have it (McGill, Tukey and Larsen, 1978).

    Samples of one turn are alike, so that there are no more independent ones than turns.
    """
    if len(samples) < 2:
        return 0.0
    low, _, high = statistics.quantiles(samples, n=4)
    return 1.57 * (high - low) / min(len(samples), ROUNDS) ** 0.5


@contextlib.contextmanager
def foreign_process() -> Iterator[None]:
    """Another program that keeps one processor busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
