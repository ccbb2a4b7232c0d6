"""Rows done in blocks that stay in the cache, and shards of them on several threads: what emitted NumPy source calls.

How rows are cut depends on the sizes alone and never on how many threads there are, so that every machine adds up in the same order.
NumPy's loops release the interpreter's lock, so plain threads suffice; handing a shard over costs about ten microseconds.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from graphc.memory import empty_aligned

BLOCK_BYTES: Final = 1 << 19
"""Bytes of one array's rows in a block. A smaller one stays in a core's second-level cache with more of its kind, but a call on it is
so short that two threads often want the interpreter's lock at once, and who has to wait for it sleeps for longer than a call takes."""
SHARD_MICROSECONDS: Final = 100.0
"""The least work worth a thread."""
FEWEST_SHARDS, MOST_SHARDS = 4, 16
"""Into how many shards work that is enough for threads is cut, at least, whatever the blocks are, and at most."""
BYTES_A_MICROSECOND: Final = 8e3


class Cut(NamedTuple):
    """How rows are cut: into shards, one at a time a thread, and each shard into blocks."""

    shards: tuple[tuple[int, int], ...]
    block: int


def cut(rows: int, row_bytes: int, widest: int) -> Cut:
    """Shards, a power of two of them, and blocks, of rows that write ``row_bytes`` each, and ``widest`` into one array."""
    work = rows * row_bytes / BYTES_A_MICROSECOND
    wanted = 1 << (max(FEWEST_SHARDS, _blocks(rows, widest)) - 1).bit_length()
    most = max(1, min(MOST_SHARDS, rows, int(work // SHARD_MICROSECONDS)))
    count = min(wanted, 1 << (most.bit_length() - 1))
    edges = [rows * i // count for i in range(count + 1)]
    shards = tuple(itertools.pairwise(edges))
    tallest = max([high - low for low, high in shards], default=0)
    return Cut(shards, max(1, -(-tallest // _blocks(tallest, widest))))


def _blocks(rows: int, widest: int) -> int:
    """Into how many blocks rows of so many bytes are cut, one at least."""
    return max(1, -(-rows * widest // BLOCK_BYTES))


Memory = Sequence[tuple[tuple[int, ...], Any]]
"""Shapes and dtypes of arrays."""


def by_rows(
    body: Callable[..., None],
    rows: int,
    row_bytes: int,
    widest: int,
    buffers: Memory = (),
    totals: Memory = (),
    threads: int | None = None,
) -> Callable[..., tuple[Any, ...]]:
    """The function that calls ``body(low, high, *buffers, *totals, *arrays)`` for every block of rows and returns the totals, added up.

    ``buffers`` are given without their first axis, the rows of a block. How the rows are cut is :func:`cut`'s, and does not
    depend on ``threads``, by default :func:`available`.
    """
    plan = cut(rows, row_bytes, widest)
    count = len(plan.shards)
    own = [
        tuple([empty_aligned((min(plan.block, rows), *shape), dtype) for shape, dtype in buffers])
        for _ in range(min(count, threads or available()))
    ]
    sums = [tuple([np.zeros(shape, dtype) for shape, dtype in totals]) for _ in range(count)]
    if count == 1 and plan.block >= rows:

        def whole(*arrays: Any) -> tuple[Any, ...]:
            for total in sums[0]:
                total[...] = 0
            body(0, rows, *own[0], *sums[0], *arrays)
            return tuple([_added((total,)) for total in sums[0]])

        return whole

    def run(*arrays: Any) -> tuple[Any, ...]:
        def shard(number: int, worker: int) -> None:
            low, high = plan.shards[number]
            for total in sums[number]:
                total[...] = 0
            for start in range(low, high, plan.block):
                stop = min(start + plan.block, high)
                scratch = own[worker]
                if stop - start < plan.block:
                    scratch = [buffer[: stop - start] for buffer in scratch]
                body(start, stop, *scratch, *sums[number], *arrays)

        _run(shard, count, len(own))
        return tuple([_added(parts) for parts in zip(*sums, strict=True)])

    return run


def _added(parts: Sequence[np.ndarray[Any, Any]]) -> Any:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total if total.shape else total[()]


# ---------------------------------------------------------------- threads
def available() -> int:
    """How many threads work on one call: the cores that this process may use, or ``GRAPHC_THREADS``; one inside :class:`Alone`."""
    if _here.alone:
        return 1
    return _asked(os.environ.get("GRAPHC_THREADS", "")) or _cores()


@functools.lru_cache(maxsize=8)
def _asked(given: str) -> int | None:
    """The number in ``GRAPHC_THREADS``; None, with a warning, if it is none."""
    if given.strip().isdigit():
        return max(1, int(given))
    if given:
        warnings.warn(f"GRAPHC_THREADS is {given!r} and no whole number: every core is used", RuntimeWarning, stacklevel=3)
    return None


class _Here(threading.local):
    alone = 0


_here: Final = _Here()


class Alone:
    """In a block of this, loops over rows run on the calling thread: BLAS's threads turn on the other processors, waiting for work."""

    def __enter__(self) -> None:
        _here.alone += 1

    def __exit__(self, *error: object) -> None:
        _here.alone -= 1


@functools.cache
def _cores() -> int:
    return len(_processors()) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _processors() -> frozenset[int]:
    """Those that this process may use."""
    return frozenset(os.sched_getaffinity(0))


# ---------------------------------------------------------------- BLAS
@functools.cache
def _blas() -> list[Any]:
    """The BLAS libraries that are loaded, found once: to set their threads takes a microsecond."""
    controller: Any = importlib.import_module("threadpoolctl").ThreadpoolController()  # it looks through every library of the process
    return [library for library in controller.lib_controllers if library.user_api == "blas"]


def deterministic() -> bool:
    """Whether the bits of results may not depend on how many threads BLAS has: ``GRAPHC_DETERMINISTIC=1``, and its products take one.

    With another number of threads BLAS adds up a large product in another order. All else has the same bits anyway.
    """
    return os.environ.get("GRAPHC_DETERMINISTIC", "") not in ("", "0")


class _OneBlasThread:
    """In a block of this, BLAS works on the thread that calls it, and not with threads of its own beside ours."""

    def __init__(self) -> None:
        self.lock, self.depth, self.before = threading.Lock(), 0, []

    def __enter__(self) -> None:
        with self.lock:
            self.depth += 1
            if self.depth == 1:
                self.before = [(library, library.get_num_threads()) for library in _blas()]
                for library, _ in self.before:
                    library.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.depth -= 1
            if not self.depth:
                for library, number in self.before:
                    library.set_num_threads(number)

    def forget(self) -> None:
        """Begin anew, in a forked child: the threads that were in such blocks are not there."""
        self.lock, depth, self.depth = threading.Lock(), self.depth, 0
        if depth:
            for library, number in self.before:
                library.set_num_threads(number)


one_blas_thread: Final = _OneBlasThread()


class _Pool:
    """Helper threads that wait for shards. One call uses them at a time; another that comes meanwhile works alone."""

    def __init__(self, helpers: int) -> None:
        self.busy = threading.Lock()
        self.helpers = [_Helper(i + 1) for i in range(helpers)]


class _Helper:
    """A thread woken and waited for by two locks, the cheapest hand-over that Python has."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.go, self.done = threading.Lock(), threading.Lock()
        self.go.acquire()
        self.done.acquire()
        self.work: Callable[[int], None] = lambda worker: None
        self.error: BaseException | None = None
        self.kept_off = -1
        self.thread = threading.Thread(target=self._loop, name=f"graphc-{number}", daemon=True)
        self.thread.start()

    def _loop(self) -> None:
        while True:
            self.go.acquire()
            try:
                with np.errstate(all="ignore"):  # as where the caller works: each thread has settings of its own
                    self.work(self.number)
            except BaseException as error:  # the caller raises it
                self.error = error
            self.work = lambda worker: None
            self.done.release()


_pool: _Pool | None = None
_making = threading.Lock()


def _shared_pool() -> _Pool:
    global _pool
    with _making:
        if _pool is None:
            _pool = _Pool(available() - 1)
        return _pool


def _forget() -> None:
    """A forked child has none of its parent's threads, and whoever of them held a lock never lets it go."""
    global _pool, _making
    _pool, _making = None, threading.Lock()
    one_blas_thread.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _run(shard: Callable[[int, int], None], count: int, workers: int) -> None:
    pool = _shared_pool() if workers > 1 else None
    if pool is None or not pool.busy.acquire(blocking=False):
        for number in range(count):
            shard(number, 0)
        return
    try:
        _share(shard, count, pool.helpers[: workers - 1])
    finally:
        pool.busy.release()


@functools.cache
def _processor() -> Callable[[], int] | None:
    """The function of the C library that tells on which processor the caller runs, where there is one."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), "sched_getcpu", None)


def _keep_off(helpers: Sequence[_Helper]) -> None:
    """Bid the helpers run elsewhere than the caller: Linux wakes a thread where its waker runs, and moves it milliseconds later."""
    processor = _processor()
    if processor is None:
        return
    here = processor()
    for helper in helpers:
        if helper.kept_off != here:
            elsewhere = _processors() - {here}
            if elsewhere:
                os.sched_setaffinity(helper.thread.native_id or 0, elsewhere)
            helper.kept_off = here


def _share(shard: Callable[[int, int], None], count: int, helpers: Sequence[_Helper]) -> None:
    numbers = itertools.count()  # next() of it is one step under the interpreter's lock

    def work(worker: int) -> None:
        for number in iter(numbers.__next__, None):
            if number >= count:
                return
            shard(number, worker)

    _keep_off(helpers)
    for helper in helpers:
        helper.work = work
        helper.go.release()
    try:
        work(0)
    finally:  # nobody may still write when the caller goes on, whatever happened
        for helper in helpers:
            helper.done.acquire()
    for helper in helpers:
        error, helper.error = helper.error, None
        if error is not None:
            raise error
