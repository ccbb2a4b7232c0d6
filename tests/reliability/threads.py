"""Threads and processes at once on the same functions, variables, files and caches.

``python tests/reliability/threads.py --times 200`` prints how many calls from how many threads gave the bits of one thread, how many
updates from how many functions were all counted, how many functions threads compiled at once, what children by fork and by spawn
computed, and how many processes shared each cache and folder; it ends with 1 if one of them did not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gc

Work = Callable[[int], None]


def at_once(count: int, work: Work) -> None:
    """Run ``work(i)`` in so many threads, which start together. Raises what one of them raised."""
    start, errors = threading.Barrier(count), list[BaseException]()

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a thread hangs"
    for error in errors:
        raise error


# ---------------------------------------------------------------- one process
def rows(backend: str = "numpy") -> Any:
    """A function whose rows go to threads of graphc's own, and one whose product goes to those of BLAS."""
    x = gc.input("x", ("n", 64))
    w = gc.constant(np.linspace(-1, 1, 64 * 64, dtype="float32").reshape(64, 64))
    return gc.compile([x], [gc.sum(gc.tanh(gc.sin(x) * 2 + x) * gc.exp(-x * x), axis=1), gc.sum(gc.tanh(x @ w))], backend=backend)


def same_bits(times: int, threads: int = 8, backend: str = "numpy") -> int:
    """Calls of one function from many threads, each with sizes of its own in its turn: the bits are those of one thread."""
    run = rows(backend)
    points = [np.random.default_rng(i).normal(size=(2000 + 500 * (i % 3), 64)).astype("float32") for i in range(threads)]
    expected = [[np.asarray(y) for y in run(point)] for point in points]

    def work(number: int) -> None:
        for turn in range(times):
            i = (number + turn) % threads
            for y, other in zip(run(points[i]), expected[i], strict=True):
                assert np.array_equal(np.asarray(y), other), f"thread {number}, call {turn}: other bits"

    at_once(threads, work)
    return threads * times


def counted(times: int, threads: int = 6, backend: str = "numpy") -> int:
    """Updates by several functions that share variables, each pair one more than the last; none may be lost."""
    a, b, c = (gc.variable(np.zeros(2000), name) for name in "abc")
    shared = [
        gc.compile([], [], updates={a: a + 1.0, b: b + 1.0}, backend=backend),
        gc.compile([], [], updates={b: b + 1.0}, backend=backend),
    ]
    shared += [
        gc.compile([], [], updates={c: c + 1.0}, backend=backend),
        gc.compile([], [], updates={c: c + 1.0, a: a + 1.0}, backend=backend),
    ]
    at_once(threads, lambda number: [shared[(number + turn) % 4]() for turn in range(4 * times)] and None)
    for variable, share in ((a, 2), (b, 2), (c, 2)):
        found = np.unique(variable.value)
        assert found.tolist() == [threads * times * share], f"{variable.label}: {found} after {threads * times * share} updates"
    return threads * times * 4


def compiled(times: int, threads: int = 6) -> int:
    """Graphs that share nodes, built, differentiated and compiled by many threads at once."""

    def work(number: int) -> None:
        for turn in range(times):
            x = gc.input("x", ("n", 3), "float64")
            y = gc.sum(gc.softmax(gc.tanh(x * (turn % 3 + 1)) + gc.constant([0.5, 1.0, number], "float64")) ** 2)
            value, slope = gc.compile([x], [y, gc.grad(y, x)])(np.ones((2, 3)))
            assert np.isfinite(value), "no number"
            assert slope.shape == (2, 3), "another shape"

    at_once(threads, work)
    return threads * times


# ---------------------------------------------------------------- fork and spawn
_parent: dict[str, Any] = {}


def in_a_child(folder: str) -> str:
    """What a child does that was spawned: it compiles and runs anew."""
    run = rows()
    point = np.random.default_rng(0).normal(size=(4000, 64)).astype("float32")
    return json.dumps([float(np.sum(y, dtype="float64")) for y in run(point)])


def forked(times: int) -> int:
    """Children by ``os.fork`` while other threads call functions, build graphs and hold locks: each computes what its parent does.

    The other threads stay out of BLAS: OpenBLAS has locks of its own, and hangs in the child of a process that was inside it.
    """
    run, n, x = rows(), gc.variable(np.zeros(50), "n"), gc.input("x", (4000, 64))
    spread = gc.compile([x], gc.tanh(gc.sin(x) * 2 + x) * gc.exp(-x * x))
    step = gc.compile([], n * 2, updates={n: n + 1.0})
    point = np.random.default_rng(0).normal(size=(4000, 64)).astype("float32")
    expected, going = [np.asarray(y) for y in run(point)], [True]

    def busy(number: int) -> None:
        while going[0]:
            if number == 0:
                spread(point)
            elif number == 1:
                step()
            else:
                gc.sum(gc.exp(gc.input("x", (3,)) * time.perf_counter()))

    others = [threading.Thread(target=busy, args=(i,)) for i in range(3)]
    for other in others:
        other.start()
    try:
        for number in range(times):
            assert _child(run, step, point, expected) == 0, f"child {number} failed or hung"
    finally:
        going[0] = False
        for other in others:
            other.join()
    return times


def _child(run: Any, step: Any, point: Any, expected: Any) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork with threads, which is what this is about
        pid = os.fork()
    if not pid:
        status = 1
        try:
            fresh = gc.input("x", (3,))
            made = gc.compile([fresh], gc.sum(gc.exp(fresh)))(np.zeros(3, "float32"))
            step()
            same = all(np.array_equal(y, other) for y, other in zip(run(point), expected, strict=True))
            status = 0 if same and made == 3 else 2
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    for _ in range(200):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.05)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return -1


def spawned(times: int) -> int:
    """Children by ``multiprocessing`` with spawn: they compute what this process does."""
    expected = in_a_child("")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(in_a_child, [""] * times)
    assert found == [expected] * times, "a child has other bits"
    return times


# ---------------------------------------------------------------- processes that share folders
SHARING = {
    "calibrations": """
from pathlib import Path
from graphc.lower import machine
import warnings; warnings.simplefilter("error")
for i in range(times):
    machine.save(machine.REFERENCE._replace(call=0.1 + number + i), path / "machine.json")
    assert machine.load(path / "machine.json").call >= 0.1
""",
    "models": """
import numpy as np
from graphc import nn
model = nn.Sequential([nn.Input((4,)), nn.layers.Dense(64), nn.layers.Dense(1)])
model.compile("adam", "mse")
for i in range(times):
    model.set_weights([np.full(w.shape, number * 1000 + i, "float32") for w in model.weights])
    model.save(path / "model")
    found = np.concatenate([w.ravel() for w in nn.load_model(path / "model").get_weights()])
    assert len(set(found.tolist())) == 1, "halves of two files"
""",
    "functions": """
import numpy as np, graphc as gc
w = gc.variable(np.zeros((50, 50), "float32"), "w")
run = gc.compile([], gc.sum(w), backend="jax")
for i in range(max(1, times // 4)):
    w.assign(np.full((50, 50), number * 1000 + i, "float32"))
    run.save(path / "function", platforms="cpu")
    assert len(np.unique(gc.load(path / "function").variables[0].value)) == 1, "halves of two files"
""",
    "compilations": """
import numpy as np, graphc as gc
for i in range(max(1, times // 4)):
    x = gc.input("x", (8,))
    run = gc.compile(x, gc.sum(gc.tanh(x * (1 + i % 5))), backend=gc.Jax(cache=str(path / "jax")))
    assert abs(float(run(np.ones(8, "float32"))) - 8 * np.tanh(1 + i % 5)) < 1e-5
""",
    "data sets": """
import gzip, hashlib, http.server, os, threading
import numpy as np
from graphc.nn.datasets.idx import encode_idx
from graphc.nn.datasets.locate import Catalogue, load_set
from graphc.nn.datasets.record import Part
from graphc.nn.datasets.sources import Mirror
rng = np.random.default_rng(0)
arrays = {"train_images": rng.integers(0, 256, (300, 28, 28), np.uint8), "train_labels": rng.integers(0, 10, 300, np.uint8)}
arrays |= {"test_images": rng.integers(0, 256, (100, 28, 28), np.uint8), "test_labels": rng.integers(0, 10, 100, np.uint8)}
files = {name: encode_idx(array) for name, array in arrays.items()}
parts = tuple([Part(name, name, arrays[name].shape, hashlib.sha256(data).hexdigest()) for name, data in files.items()])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        data = gzip.compress(files[self.path.strip("/").removesuffix(".gz")], mtime=0)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["XDG_CACHE_HOME"] = str(path)
for i in range(max(1, times // 4)):
    os.environ["XDG_CACHE_HOME"] = str(path / str(i))
    found = load_set(Catalogue("small", parts, (Mirror(f"http://127.0.0.1:{server.server_port}/"),)), None, progress=False)
    assert np.array_equal(found.train_images, arrays["train_images"])
    assert not list((path / str(i)).rglob("*.part")), "litter"
""",
}
"""What each of several processes does to one folder, ``path``, so many ``times``; they know their ``number``."""


def shared(name: str, times: int, processes: int = 3) -> int:
    """Run one of ``SHARING`` in several processes at once."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1", "no_proxy": "127.0.0.1"}
        head = f"from pathlib import Path\npath, times, number = Path({folder!r}), {times}, "
        commands = [[sys.executable, "-c", f"{head}{number}\n{SHARING[name]}"] for number in range(processes)]
        children = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for command in commands]
        for child in children:
            _, told = child.communicate(timeout=600)
            assert child.returncode == 0, told[-2000:]
        assert not list(Path(folder).rglob("*.draft")), "litter"
    return processes * times


def main() -> int:
    """Do all of it, and tell of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100)
    times = parser.parse_args().times
    bad = 0
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    tried: list[tuple[str, Callable[[], int]]] = [
        ("children by fork, amid 3 busy threads", lambda: forked(times)),  # before JAX starts threads: it does not live through a fork
        ("calls from 8 threads gave the bits of one (numpy)", lambda: same_bits(times)),
        ("calls from 8 threads gave the bits of one (jax)", lambda: same_bits(times, backend="jax")),
        ("updates by 4 functions from 6 threads were all counted (numpy)", lambda: counted(10 * times)),
        ("updates by 4 functions from 6 threads were all counted (jax)", lambda: counted(times, backend="jax")),
        ("graphs compiled by 6 threads at once", lambda: compiled(times)),
        ("children by spawn", lambda: spawned(max(2, times // 25))),
        *[(f"turns of 3 processes on the same {name}", lambda name=name: shared(name, times)) for name in SHARING],
    ]
    for told, run in tried:
        try:
            print(f"{run():7} {told}", flush=True)
        except (AssertionError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            bad += 1
            print(f" FAILED {told}: {error}", flush=True)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
