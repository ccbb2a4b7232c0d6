"""``graphc bench``: how fast compiled graphs run on this machine, beside what the machine can do.

Without a script it times training steps of the book's network on each backend that is installed; with one, the compiled functions that
the script defines, on made-up values.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final, cast

import numpy as np

import graphc as gc
from graphc import script
from graphc.core import describe, dtypes, sizes
from graphc.core.errors import ArgumentError, BackendError
from graphc.nn import book, optimizers
from graphc.pipeline import BACKENDS, Backend, Function

BATCHES: Final = (1, 32, 128, 1024)
SHORTEST: Final = 1e-3
"""Seconds: shorter calls are timed several at a time."""


@dataclass(frozen=True)
class Request:
    """What ``graphc bench`` was asked to do; ``script`` may end in ``:name``. ``batches`` are for the book's network alone."""

    script: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    backends: tuple[Backend, ...] | None = None
    batches: tuple[int, ...] = BATCHES
    seconds: float = 1.0
    as_json: bool = False


@dataclass(frozen=True)
class Peaks:
    """What the machine reaches with all of its threads: float32 operations a second in a product of large matrices, and bytes a second,
    read and written, in a copy that no cache holds.
    """

    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Timing:
    """One function on values of one size. Times are seconds, ``median`` and ``fastest`` of a call; memory is in bytes.

    ``declared`` is what it took to build the graph, if that was measured, ``passes`` what the passes of the compiler took, ``first`` the
    first call. ``flops`` and ``nbytes`` are what the compiler says that a call computes and moves, ``buffers`` what it keeps memory for,
    if it plans that; ``peak`` is the most memory that the process has had meanwhile, where the system tells.
    """

    name: str
    backend: str
    sizes: Mapping[str, int]
    median: float
    fastest: float
    calls: int
    declared: float | None
    passes: Mapping[str, float]
    first: float
    flops: int
    nbytes: int
    buffers: int | None
    peak: int | None

    @property
    def compiled(self) -> float:
        """The time of all passes."""
        return sum(self.passes.values())


def run(request: Request, say: Callable[[str], None] = print) -> None:
    """Measure and ``say`` what came out: a table, or JSON. After Ctrl-C, what there is up to then, and :class:`KeyboardInterrupt`.

    Raises :class:`ArgumentError` for a script without compiled functions and for sizes that are not said, :class:`BackendError` for a
    backend that was asked for and is absent, and whatever the script raises.
    """
    found: list[Timing] = []
    skipped: list[str] = []
    peaks = None
    try:
        peaks = measured_peaks()
        for timing in _book(request, skipped) if request.script is None else _script(request):
            _watch(f"{timing.name} on {timing.backend}: {1e3 * timing.median:.3g} ms")
            found.append(timing)
    finally:
        _watch("")
        if peaks and (found or skipped):
            say(_json(found, peaks) if request.as_json else _text(found, peaks, skipped, passes=request.script is not None))


def _watch(line: str) -> None:
    """A word for whoever sits at the terminal; the next one takes its place."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


# ---------------------------------------------------------------- what is measured
def _book(request: Request, skipped: list[str]) -> Iterator[Timing]:
    for backend in request.backends or BACKENDS:
        try:
            gc.compile([], gc.constant(0.0), backend=backend)
        except BackendError as error:
            if request.backends:
                raise
            skipped.append(f"{backend}: {error}".splitlines()[0])
            continue
        for batch in request.batches:
            began = perf_counter()
            inputs, loss, updates = _network()
            declared = perf_counter() - began
            yield timed(gc.compile(inputs, loss, updates, backend=backend), "step", {"batch": batch}, request.seconds, declared)


def _network() -> tuple[list[gc.Input], gc.Tensor, optimizers.Updates]:
    network = book.network()
    image, label, loss = book.loss_of(network)
    weights = network.trainable_weights
    updates = optimizers.RMSprop().updates(dict(zip(weights, gc.grad(loss, weights), strict=True)))
    return [image, label], loss, updates


def _script(request: Request) -> Iterator[Timing]:
    assert request.script is not None
    for name, function in _functions(request.script).items():
        yield timed(function, name, request.sizes, request.seconds)


def _functions(name: str) -> dict[str, Function]:
    """The compiled functions that a script has under names of its module, or the one of them that is asked for."""
    found = script.run(name, "bench")
    functions = {key: value for key, value in found.values.items() if isinstance(value, Function)}
    if found.name is None and functions:
        return functions
    key, function = found.pick("bench", "compiled function", lambda value: isinstance(value, Function), "name = gc.compile(...)")
    return {key: function}


def timed(function: Function, name: str, known: Mapping[str, int], seconds: float, declared: float | None = None) -> Timing:
    """Call the function for about so many seconds on values that are made up, of the sizes that ``known`` names."""
    values = made_up(function, known)
    _forget_peak()
    began = perf_counter()
    _finished(function(*values))
    first = perf_counter() - began
    samples = list(_samples(lambda: _finished(function(*values)), seconds))
    report = function.report
    return Timing(
        name=name,
        backend=report.backend,
        sizes=dict(known),
        median=statistics.median(samples),
        fastest=min(samples),
        calls=len(samples),
        declared=declared,
        passes=report.seconds,
        first=first,
        flops=sizes.bind(report.flops, known),
        nbytes=sizes.bind(report.nbytes, known),
        buffers=None if report.buffer_bytes is None else sizes.bind(report.buffer_bytes, known),
        peak=peak_memory(),
    )


def made_up(function: Function, known: Mapping[str, int]) -> list[Any]:
    """A value for each input: normal numbers, False, and of integers 0, which is a legal label and a legal index everywhere.

    Raises :class:`ArgumentError` unless ``known`` says every named size and no other.
    """
    wanted = {name for x in function.inputs for size in x.shape for name in sizes.names(size)}
    if wanted != set(known):
        given = [describe(x) for x in function.inputs]
        raise ArgumentError(
            f"bench: the sizes given are {', '.join(sorted(known)) or 'none'}",
            given=given,
            fits=" ".join(f"--size {name}=N" for name in sorted(wanted)) or "no --size",
        )
    rng = np.random.default_rng(0)
    return [_value(rng, tuple([sizes.bind(size, known) for size in x.shape]), x.dtype) for x in function.inputs]


def _value(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    kind = dtypes.numpy_dtype(dtype)
    return rng.standard_normal(shape).astype(kind) if dtypes.is_inexact(dtype) else np.zeros(shape, kind)


# ---------------------------------------------------------------- clocks and memory
def _samples(call: Callable[[], Any], seconds: float) -> Iterator[float]:
    """Seconds a call, for about so many seconds, at least three times; the first calls warm up and count calls a sample."""
    spent = [_elapsed(call, 1) for _ in range(3)]
    calls = max(1, round(SHORTEST / max(1e-9, statistics.median(spent))))
    end, least = perf_counter() + seconds, 3
    while least > 0 or perf_counter() < end:
        yield _elapsed(call, calls) / calls
        least -= 1


def _elapsed(call: Callable[[], Any], times: int) -> float:
    began = perf_counter()
    for _ in range(times):
        call()
    return perf_counter() - began


def _finished(results: Any) -> None:
    """Wait for results that are still being computed."""
    if isinstance(results, Mapping):
        results = list(cast("Mapping[Any, Any]", results).values())
    for value in cast("Sequence[Any]", results) if isinstance(results, list | tuple) else [results]:
        if hasattr(value, "block_until_ready"):
            value.block_until_ready()


def measured_peaks() -> Peaks:
    """The peaks of this machine, measured in about half a second."""
    count, size = 1 << 24, 1024
    a, out = np.full((size, size), 0.5, "float32"), np.empty((size, size), "float32")
    x, y = np.full(count, 0.5, "float32"), np.zeros(count, "float32")
    product = min(_samples(lambda: np.matmul(a, a, out), 0.25))
    copy = min(_samples(lambda: np.copyto(y, x), 0.25))
    return Peaks(2 * size**3 / product, 2 * x.nbytes / copy)


def peak_memory() -> int | None:
    """The most memory that this process had since :func:`_forget_peak`, or, where the system cannot forget, since its start."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), None)
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # see proc(5)
    except OSError:
        return


# ---------------------------------------------------------------- what is said
def _json(found: Sequence[Timing], peaks: Peaks) -> str:
    return json.dumps({"machine": _machine(), "peaks": asdict(peaks), "timings": [asdict(timing) for timing in found]}, indent=2)


def _machine() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"graphc": gc.__version__, "python": platform.python_version(), "numpy": np.__version__, "processors": cores}


def _text(found: Sequence[Timing], peaks: Peaks, skipped: Sequence[str], passes: bool) -> str:
    machine = _machine()
    processors = machine.pop("processors")
    lines = [
        f"{', '.join(f'{name} {value}' for name, value in machine.items())}; {processors} processors",
        f"peaks: {peaks.flops / 1e9:.0f} GFLOP/s in products of float32 matrices, {peaks.bandwidth / 1e9:.1f} GB/s in copies",
        "",
        *([] if passes else ["the book's network, 784-512 relu-10 softmax: training steps with RMSprop", ""]),
        *_table([_row(timing, peaks) for timing in found]),
        *[f"\n{timing.name}, ms: {_stages(timing)}" for timing in found if passes],
        *[f"\nskipped {reason}" for reason in skipped],
    ]
    return "\n".join(lines)


def _row(timing: Timing, peaks: Peaks) -> dict[str, str]:
    row = {
        "function": timing.name,
        "backend": timing.backend,
        **{name: f"{size:,}" for name, size in timing.sizes.items()},
        "ms a call": _number(1e3 * timing.median),
        "fastest": _number(1e3 * timing.fastest),
    }
    if "batch" in timing.sizes:
        row["rows/s"] = f"{timing.sizes['batch'] / timing.median:,.0f}"
    if timing.flops:
        rate = timing.flops / timing.median
        row |= {"GFLOP/s": _number(rate / 1e9), "of peak": f"{rate / peaks.flops:.0%}"}
    if timing.nbytes:
        row["GB/s"] = _number(timing.nbytes / timing.median / 1e9)
    row |= {"compile ms": _number(1e3 * (timing.compiled + (timing.declared or 0))), "first call ms": _number(1e3 * timing.first)}
    if timing.buffers is not None:
        row["buffers MiB"] = _number(timing.buffers / 2**20)
    if timing.peak is not None:
        row["peak MiB"] = _number(timing.peak / 2**20)
    return row


def _stages(timing: Timing) -> str:
    return ", ".join(f"{name} {_number(1e3 * seconds)}" for name, seconds in timing.passes.items())


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}" if value >= 0.0995 else f"{value:.2g}"


def _table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Columns in the order in which rows bring them, numbers to the right; what a row does not have is blank."""
    head = list(dict.fromkeys(name for row in rows for name in row))
    lines = [head, *[[row.get(name, "") for name in head] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    words = ("function", "backend")
    return [
        "  ".join(cell.ljust(width) if name in words else cell.rjust(width) for name, cell, width in zip(head, line, widths, strict=True))
        for line in lines
    ]
