"""Malformed files, by coverage: an error of ours or a right result, never another exception, a crash, a hang, much memory, or code that
is run.

``python tests/fuzz/files.py --times 2000`` tries so many files of each kind that graphc reads, and prints for each kind how many were
read, how many were refused, how many lines and steps between lines were reached, and every file that did anything else: its reader, its
seed, what happened. ``--only model`` tries one kind; a failing file is kept in ``--keep FOLDER``.

Whole files are changed: their bits, and their parts (the JSON within, the lengths, the shapes), with lengths and digests made anew.
What comes to lines in an order that no file came to before is changed further.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # these files are read by path, since tests are no package

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GRAPHC_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from cover import Coverage  # noqa: E402
from mutate import CANARY, bytes_changed, tree_changed  # noqa: E402
from readers import READERS, Reader  # noqa: E402

from graphc.core.errors import GraphcError  # noqa: E402
from graphc.lower.machine import MachineWarning  # noqa: E402
from graphc.nn.saving import SavingWarning  # noqa: E402

SECONDS = 10.0
"""Processor time that a file may take."""
MEMORY = 1 << 30
"""Bytes that the process may take beyond those that it has before the first file."""
GROWTH = 200_000
"""Kilobytes by which one file may raise the peak of memory."""
RUNS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.",
    "socket.",
    "shutil.",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "ctypes.dlopen",
)
"""Audit events of what no reader does."""


class HangError(BaseException):
    """The time is up; no handler in between takes it for an error of the file."""


class RanError(BaseException):
    """A file made graphc do what a reader does not do."""


@dataclass
class Tally:
    """What came of the files of one kind."""

    read: int = 0
    refused: int = 0
    steps: int = 0
    failures: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        files = self.read + self.refused + len(self.failures)
        return f"{files} files: {self.read} read, {self.refused} refused, {len(self.failures)} failed; {self.steps} steps between lines"


_watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise RanError(f"a file was opened for writing: {arguments[0]!r}")
    if event.startswith(RUNS):
        raise RanError(f"{event}{arguments!r:.200}")
    if event == "import" and CANARY in str(arguments[0]):
        raise RanError(f"{arguments[0]} was imported")


@contextmanager
def watched(seconds: float = SECONDS) -> Iterator[None]:
    """Within it a hang raises, and so does what no reader does."""
    global _watching

    def stop(number: int, frame: Any) -> None:
        raise HangError(f"more than {seconds:g} s")

    earlier = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    _watching = True
    try:
        yield
    finally:
        _watching = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, earlier)


def inputs(reader: Reader, rng: random.Random) -> Iterator[tuple[bytes, Any]]:
    """Files without end, each with a function that is told whether it did something new."""
    corpus: list[Any] = list(reader.wholes())
    blobs: list[bytes] = [reader.encoded(tree) for tree in corpus]
    wholes = len(corpus)
    for content in list(blobs):
        yield content, lambda: None
    while True:
        if rng.random() < 0.25:
            content = bytes_changed(rng.choice(blobs), rng)
            yield content, lambda content=content: blobs.append(content)
            continue
        tree = tree_changed(rng.choice(corpus[:wholes] if rng.random() < 0.5 else corpus), rng)
        try:
            content = reader.encoded(tree)
        except (ArithmeticError, AttributeError, KeyError, MemoryError, OSError, RuntimeError, TypeError, ValueError):
            continue  # a tree that has no file
        if rng.random() < 0.05:
            content = bytes_changed(content, rng)
        yield content, lambda tree=tree: corpus.append(tree)


def tried(reader: Reader, path: Path, cover: Coverage, tally: Tally) -> str:
    """Read one file; what went wrong, or nothing."""
    before, seen = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(cover.seen)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # a number for which its dtype has no room is inf, as everywhere in NumPy
            warnings.filterwarnings("ignore", "overflow encountered in cast", RuntimeWarning)
            for kind in (MachineWarning, SavingWarning):
                warnings.simplefilter("ignore", kind)
            with watched():
                cover.run(lambda: reader.read(path))
        tally.read += 1
    except GraphcError as error:
        tally.refused += 1
        if isinstance(error.__cause__, MemoryError):
            return f"memory ran out: {error}"
    except (Exception, HangError, RanError) as error:  # whatever it is, it is a failure
        return f"{type(error).__name__}: {error}"
    finally:
        tally.steps = len(cover.seen)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return f"the peak of memory rose by {grown} kB" if grown > GROWTH and seen else ""


def run(name: str, times: int, seed: int = 0, keep: Path | None = None) -> Tally:
    """Try so many files of a kind in this process."""
    reader, rng, tally = READERS[name], random.Random(f"{seed} {name}"), Tally()
    cover = Coverage(reader.files)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for number, (content, fresh) in zip(range(times), inputs(reader, rng), strict=False):
            target = path if keep is None else keep / f"{name.replace(' ', '-')}-{seed}-{number}"
            target.write_bytes(content)
            steps = tally.steps
            wrong = tried(reader, target, cover, tally)
            if tally.steps > steps:
                fresh()
            if wrong:
                tally.failures.append(f"{name}, seed {seed}, file {number}: {wrong[:400]}")
            elif keep is not None:
                target.unlink()
    return tally


def bounded() -> None:
    """Bound the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> int:
    """Each kind in a process of its own, so that a crash is seen and is that kind's alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=READERS, action="append")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--here", action="store_true", help="in this process, which is what the processes do")
    given = parser.parse_args()
    bad = 0
    for name in given.only or READERS:
        if given.here:
            warm(name)
            bounded()
            tally = run(name, given.times, given.seed, given.keep)
            print("\n".join([f"{name}: {tally}", *tally.failures]), flush=True)
            bad += len(tally.failures)
            continue
        with tempfile.TemporaryDirectory() as folder:
            keep = ["--keep", str(given.keep or folder)]
            command = [sys.executable, __file__, "--here", "--only", name, "--times", str(given.times), "--seed", str(given.seed), *keep]
            status = subprocess.run(command, check=False).returncode
            if status not in (0, 1):
                bad += 1
                left = sorted(Path(given.keep or folder).glob(f"{name.replace(' ', '-')}-*"), key=lambda path: path.stat().st_mtime)
                print(f"{name}: the process ended with status {status} at {left[-1].name if left else 'its first file'}", flush=True)
        bad += status == 1
    return min(bad, 1)


def warm(name: str) -> None:
    """Read a whole file of the kind, so that modules are imported and libraries loaded before what is read is watched."""
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tree in reader.wholes():
            (Path(folder) / "file").write_bytes(reader.encoded(tree))
            try:
                reader.read(Path(folder) / "file")
            except GraphcError:
                continue  # not every one of the trees is of a file that is whole


if __name__ == "__main__":
    sys.exit(main())
