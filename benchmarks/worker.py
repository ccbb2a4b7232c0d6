"""A contestant in a process of its own, which works only while it is asked to, so that contestants can take turns.

So each has its own threads and its own peak of memory, and none is in another's way.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.agreement import evidence
from benchmarks.contestants import Job, contestant, words
from benchmarks.floor import FLOORS, floor
from benchmarks.workload import workloads

SHORTEST = 1e-3  # seconds: shorter calls are timed several at a time
REST = 2e-3
LONGEST_REST = 0.2
LONGEST_WARM_UP = 5.0  # seconds: who takes longer for the first call is sampled without more of them


Sample = tuple[float, float]
"""Seconds a call, and the share of them for which threads were ready to run and did not."""


@dataclass(frozen=True)
class Settings:
    """Of a whole run. ``patience`` is for how many seconds a contestant may compile, ``rounds`` how often processes are started."""

    seconds: float = 5.0
    threads: int = 2
    tiny: bool = False
    patience: float = 100.0
    rounds: int = 7


class NoResultError(Exception):
    """Why a contestant has no number."""


def fix_threads(count: int) -> None:
    """For this process's children: so many processors, and no library starts more threads."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(count)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


class Worker:
    """The parent's end. ``first`` is the time from the declaration to the first result, in seconds."""

    def __init__(self, workload: str, who: str, settings: Settings) -> None:
        context = multiprocessing.get_context("spawn")
        self._patience = 10 * settings.patience
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, workload, who, settings), daemon=True)
        self._process.start()
        theirs.close()
        self._receive(self._patience)  # imported, and the data made
        self.first: float = self._receive(settings.patience)

    def ask(self, what: str, *arguments: Any) -> Any:
        self._connection.send((what, arguments))
        return self._receive(self._patience)

    def _receive(self, patience: float) -> Any:
        try:
            if not self._connection.poll(patience):
                raise NoResultError(f"no result after {patience:.0f} s")
            answer = self._connection.recv()
        except EOFError:
            answer = NoResultError("the process died")
        except NoResultError as late:
            answer = late
        if isinstance(answer, NoResultError):
            self.close()
            raise answer
        return answer

    def close(self) -> None:
        self._process.terminate()
        self._process.join()


def _serve(connection: Connection, workload: str, who: str, settings: Settings) -> None:
    try:
        _answer(connection, workload, who, settings)
    except EOFError:
        return  # the parent is gone
    except NoResultError as error:
        connection.send(error)
    except Exception as error:
        first_line = f"{type(error).__name__}: {error}".splitlines()[0]
        connection.send(NoResultError(first_line[:160]))


def _answer(connection: Connection, name: str, who: str, settings: Settings) -> None:
    workload = workloads()[name]
    if who in FLOORS:
        call = floor(who, workload, settings.tiny)
        if call is None:
            raise NoResultError("nothing of that kind")
        connection.send(True)
        first = 0.0
        connection.send(first)
        commands: dict[str, Callable[..., Any]] = {}
    else:
        task, one = workload.task(settings.tiny), contestant(who)
        if words(who) not in workload.model or not one.takes(task):
            raise NoResultError("not written")
        one.start(settings.threads)
        connection.send(True)
        began = time.perf_counter()
        job = one.build(workload.model[words(who)], task)
        call = job.call
        result = call()
        first = time.perf_counter() - began
        connection.send(first)
        # What has no state is compared by the result at hand; else by a job of its own, from its first step on.
        replay = (lambda: Job(lambda: result)) if task.fresh else lambda: one.build(workload.model[words(who)], task)
        commands = {"evidence": lambda: evidence(one, replay(), task)}
    commands |= {"sample": Sampler(call, first), "peak": peak}
    while True:
        what, arguments = connection.recv()
        connection.send(commands[what](*arguments))


class Sampler:
    """Times calls, for about so many seconds. ``first`` is what the first call took."""

    def __init__(self, call: Callable[[], Any], first: float) -> None:
        self._call = call
        self._calls = 1 if first > LONGEST_WARM_UP else 0

    def __call__(self, seconds: float) -> list[Sample]:
        self._calls = self._calls or self._calibrated()
        end = time.perf_counter() + seconds
        samples = [self._sample()]
        while time.perf_counter() < end:
            samples.append(self._sample())
        rest()
        return samples

    def _calibrated(self) -> int:
        """The number of calls in a sample, from a few that warm up."""
        times = []
        for _ in range(3):
            began = time.perf_counter()
            self._call()
            times.append(time.perf_counter() - began)
            if sum(times) > 1:
                break
        return max(1, round(SHORTEST / statistics.median(times)))

    def _sample(self) -> Sample:
        queued, began = waited(), time.perf_counter()
        for _ in range(self._calls):
            self._call()
        seconds = time.perf_counter() - began
        return seconds / self._calls, (waited() - queued) / seconds


def rest() -> None:
    """Wait until this process's threads are still, so that the next contestant has the processors to itself.

    OpenBLAS's threads turn for about 30 ms after a product, as long as a turn may be.
    """
    end = time.perf_counter() + LONGEST_REST
    busy = True
    while busy and time.perf_counter() < end:
        spent = time.process_time()
        time.sleep(REST)
        busy = time.process_time() - spent > REST / 10


def waited() -> float:
    """Seconds that this process's threads have spent in the run queue, where the system tells; else 0."""
    total = 0
    for path in Path("/proc/self/task").glob("*/schedstat"):
        try:
            total += int(path.read_text().split()[1])
        except (OSError, IndexError):  # a thread that has just ended
            continue
    return total / 1e9


def peak() -> float:
    """The most memory that this process had, in bytes. ``ru_maxrss`` may be that of the process which started it."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if os.uname().sysname == "Darwin" else 1024)
