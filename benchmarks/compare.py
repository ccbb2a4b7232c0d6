"""``python -m benchmarks.compare OLD W1 W3``: this checkout beside the one in the folder ``OLD``, in processes that take turns.

What a change earns is asked so: figures of two runs differ by more than most changes earn. Calls follow one another without a rest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

TURNS = 9
SECONDS = 0.25
"""Of a turn."""
NAP = 0.15
"""Seconds between turns, in which OpenBLAS's threads go to sleep."""


class Checkout:
    """A process with graphc, and the workloads, as they are in this folder."""

    def __init__(self, folder: Path, workload: str, threads: int, tiny: bool) -> None:
        self.name = f"{workload} in {folder}"
        command = [sys.executable, __file__, "--serve", workload, "--threads", str(threads), *(["--tiny"] if tiny else [])]
        environment = os.environ | {"PYTHONPATH": str(folder)}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.answer()

    def answer(self) -> float:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with {self.process.wait()}")
        return float(line)

    def turn(self) -> float:
        """The median of the calls of a turn, in seconds."""
        assert self.process.stdin is not None
        time.sleep(NAP)
        self.process.stdin.write("go\n")
        return self.answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def serve(workload: str, threads: int, tiny: bool) -> None:
    """Answer each line on the standard input with the median of a turn."""
    sys.path.insert(0, os.getcwd())
    from benchmarks.contestants import contestant
    from benchmarks.worker import fix_threads
    from benchmarks.workload import workloads

    fix_threads(threads)
    one, found = contestant("graphc"), workloads()[workload]
    one.start(threads)
    job = one.build(found.model["graphc"], found.task(tiny))
    for _ in range(3):
        job.call()
    print(0.0, flush=True)
    for _ in sys.stdin:
        samples: list[float] = []
        end = time.perf_counter() + SECONDS
        while not samples or time.perf_counter() < end:
            began = time.perf_counter()
            job.call()
            samples.append(time.perf_counter() - began)
        print(statistics.median(samples), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.compare", description=__doc__)
    parser.add_argument("old", type=Path, nargs="?", help="another checkout")
    parser.add_argument("names", nargs="*", metavar="W1", help="workloads (W1 W3 W4 W5 W8 W9)")
    parser.add_argument("--turns", type=int, default=TURNS, metavar="N", help="of each (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="processors and threads for both (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: to see that it works")
    parser.add_argument("--serve", metavar="W1", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.serve:
        serve(asked.serve, asked.threads, asked.tiny)
        return
    if asked.old is None or not (asked.old / "benchmarks").is_dir():
        parser.error(f"{asked.old} is no checkout of graphc")
    from benchmarks import tables

    rows: list[list[str]] = []
    for name in asked.names or ["W1", "W3", "W4", "W5", "W8", "W9"]:
        both = [Checkout(folder, name, asked.threads, asked.tiny) for folder in (Path(__file__).parents[1], asked.old.resolve())]
        turns = [[one.turn() for one in both] for _ in range(asked.turns)]
        for one in both:
            one.close()
        new, old = (statistics.median(times) for times in zip(*turns, strict=True))
        rows.append([name, tables.number(1e3 * new), tables.number(1e3 * old), tables.ratio(new, old)])
    print(tables.table(["", "here, ms", "there, ms", "here / there"], rows))


if __name__ == "__main__":
    main()
