"""The same source and the same numbers in each process: whatever the seed of Python's hashes, and however many threads there are.

``python tests/reliability/bits.py`` compiles and runs every workload of the benchmarks and every example that needs no data set, in
processes with other hash seeds and other numbers of threads, of graphc's and of BLAS's, under ``GRAPHC_DETERMINISTIC=1``. It prints for
how many programs the source was the same bytes, for how many the numbers were the same bits, and each one where they were not; it ends
with 1 if there is one. ``--tiny`` takes the workloads alone, at their tiny sizes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLES = ("backprop_graph", "custom_op", "linear_classifier", "lstm_sequence", "second_order", "autoencoder", "transformer_block")
SOURCES, BITS = "sources", "bits"
STEPS = 3


def _digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()[:16]


def workloads(tiny: bool) -> dict[str, tuple[str, str]]:
    """For each workload a digest of what is emitted for it, and one of its state after some steps."""
    import numpy as np

    from benchmarks.memory import asked_of, compiled
    from benchmarks.workload import workloads as known

    found: dict[str, tuple[str, str]] = {}
    for name in known():
        try:
            function, job = compiled(name, asked_of(name, tiny))
        except KeyError:
            continue  # it has no model of graphc's
        results = [job.call() for _ in range(STEPS)]
        state = [np.asarray(value) for value in [*_flat(results), *job.state()] if value is not None]
        found[name] = _digest(function.source.encode()), _digest(*[value.tobytes() for value in state])
    return found


def _flat(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _flat(item)] if isinstance(value, list | tuple) else [value]


def examples() -> dict[str, tuple[str, str]]:
    """For each example a digest of all sources that it makes, and one of what it prints."""
    from graphc.pipeline.function import Function

    made: list[str] = []
    first = Function.__init__

    def watched(self: Any, *arguments: Any) -> None:
        first(self, *arguments)
        made.append(self.source)

    Function.__init__ = watched  # type: ignore[method-assign]
    found: dict[str, tuple[str, str]] = {}
    for name in EXAMPLES:
        made.clear()
        printed = StringIO()
        sys.argv = [name]
        with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(printed):
            runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
        numbers = re.sub(r"\d[\d.]*\s?[mun]?s\b(/\w+)?", "", printed.getvalue())  # times differ
        found[name] = _digest(*[source.encode() for source in made]), _digest(numbers.encode())
    return found


def in_a_process(arguments: Sequence[str], **environment: str) -> dict[str, tuple[str, str]]:
    """What a process with these variables finds."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    child = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "GRAPHC_DETERMINISTIC": "1", **environment}
    command = [sys.executable, __file__, "--here", *arguments]
    return json.loads(subprocess.run(command, env=child, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def differing(found: Sequence[tuple[str, dict[str, tuple[str, str]]]]) -> tuple[list[str], list[str]]:
    """The programs whose sources differ, and those whose numbers do, with the process that is unlike the first."""
    (_, first), *others = found
    apart: tuple[list[str], list[str]] = [], []
    for told, other in others:
        for name in first:
            for kind in (0, 1):
                if first[name][kind] != other[name][kind]:
                    apart[kind].append(f"{name} ({told})")
    return apart


PROCESSES = [
    {"PYTHONHASHSEED": "0", "GRAPHC_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    {"PYTHONHASHSEED": "1", "GRAPHC_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"},
    {"PYTHONHASHSEED": "2", "GRAPHC_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"},
    {"PYTHONHASHSEED": "3", "GRAPHC_THREADS": "3", "OPENBLAS_NUM_THREADS": "1"},
]


def main() -> int:
    """Compare the processes, or be one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--here", action="store_true", help="in this process, which is what the processes do")
    given = parser.parse_args()
    if given.here:
        print(json.dumps(workloads(given.tiny) | ({} if given.tiny else examples())))
        return 0
    arguments = ["--tiny"] if given.tiny else []
    found = [(" ".join([f"{name}={value}" for name, value in one.items()]), in_a_process(arguments, **one)) for one in PROCESSES]
    count = len(found[0][1])
    sources, bits = differing(found)
    print(f"{count} programs in {len(found)} processes: sources differ in {len(sources)}, numbers in {len(bits)}")
    for line in [*[f"source: {one}" for one in sources], *[f"numbers: {one}" for one in bits]]:
        print(line)
    return int(bool(sources or bits))


if __name__ == "__main__":
    sys.exit(main())
