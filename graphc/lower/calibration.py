"""Measuring the constants of :class:`~graphc.lower.machine.Machine`, on arrays like those that emitted source works on.

Of repeated measurements the smallest third's median is taken, in processor time of the one thread that works, so that a busy machine
disturbs little. Constants that are fits are fitted where they matter: half of the peak of a product, a cache by where it ends.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from graphc.lower.machine import REFERENCE, Machine
from graphc.parallel import one_blas_thread

ELEMENTS: Final = 1 << 14
"""Of an array of which several fit into a second-level cache."""
FAR: Final = 1 << 22
"""Elements of an array that does not fit."""
_BUDGET: Final = 0.03


def measure() -> Machine:
    """All constants, in a few seconds."""
    with np.errstate(all="ignore"), one_blas_thread:
        call = _microseconds(np.add, *_tiny(3))
        near = _bandwidth(ELEMENTS, call)
        far = min(near, _bandwidth(FAR, call))
        product = _product(512, 512)
        return Machine(
            call=call,
            function=_microseconds(np.sum, _tiny(1)[0], 0),
            routine=_microseconds(np.linalg.inv, np.eye(4, dtype="float32")),
            loop=_loop(),
            near=near,
            far=far,
            cache=_cache(call, near, far),
            root=_pair(_divide),
            exponential=_mean(_pair(np.exp), _pair(np.log), _pair(np.tanh)),
            circular=_pair(np.sin),
            choice=_mean(_pair(_clip), _pair(_both)),
            remainder=_pair(_remainder),
            special=_special(),
            narrow_types=_narrow_types(),
            gather=_gather(),
            scatter=_scatter(),
            product=product,
            thin=_thin(product),
            item=_item(),
            routines=_routines(),
            hand_over=_hand_over(),
        )


def _microseconds(function: Callable[..., Any], *arguments: Any, clock: Callable[[], int] = time.thread_time_ns) -> float:
    """What a call takes."""
    function(*arguments)
    calls, spent = 1, 0.0
    while True:
        spent = _timed(function, arguments, calls, clock)
        if spent > 2e-4 or calls > 1 << 14:
            break
        calls *= 4
    samples = [spent]
    while sum(samples) < _BUDGET or len(samples) < 5:
        samples.append(_timed(function, arguments, calls, clock))
    quick = sorted(samples)[: max(1, len(samples) // 3)]
    return max(1e-3, statistics.median(quick) / calls * 1e6)


def _timed(function: Callable[..., Any], arguments: tuple[Any, ...], calls: int, clock: Callable[[], int]) -> float:
    started = clock()
    for _ in range(calls):
        function(*arguments)
    return (clock() - started) * 1e-9


def _tiny(count: int) -> list[Any]:
    return [np.ones(4, "float32") for _ in range(count)]


def _between(count: int, dtype: str = "float32") -> Any:
    """Numbers between 1/2 and 1, at which most functions are themselves."""
    return np.random.default_rng(0).uniform(0.5, 1, count).astype(dtype)


def _spread(count: int) -> Any:
    """Numbers of both signs, at which functions with cases go through all of them."""
    return np.random.default_rng(0).uniform(-3, 3, count).astype("float32")


def _bandwidth(elements: int, call: float) -> float:
    x, y, out = (np.ones(elements, "float32") for _ in range(3))
    return 12 * elements / max(1e-2, _microseconds(np.add, x, y, out) - call)


def _cache(call: float, near: float, far: float) -> float:
    """The bytes up to which a call is nearer to ``near`` than to ``far``."""
    size = 1 << 15
    while size < FAR and _bandwidth(size, call) > (near * far) ** 0.5:
        size *= 2
    return 12.0 * size / 2**0.5  # between the last that did and the first that did not


def _pair(function: Callable[..., Any]) -> tuple[float, float]:
    """Nanoseconds an element in float32 and in float64."""
    return _element(function, "float32"), _element(function, "float64")


def _element(function: Callable[..., Any], dtype: str, count: int = ELEMENTS) -> float:
    x = _between(count, dtype)
    return 1e3 * _microseconds(function, x, np.empty_like(x)) / count


def _divide(x: Any, out: Any) -> None:
    np.divide(x, x, out)


def _clip(x: Any, out: Any) -> None:
    np.clip(x, 0.6, 0.9, out)


def _both(x: Any, out: Any) -> None:
    np.logical_and(x, x, out.view("bool")[: len(x)])


def _remainder(x: Any, out: Any) -> None:
    np.floor_divide(x, 0.3, out)


def _mean(*pairs: tuple[float, float]) -> tuple[float, float]:
    return statistics.mean(pair[0] for pair in pairs), statistics.mean(pair[1] for pair in pairs)


def _loop() -> float:
    """What a row costs more than its elements: rows of 8 against one row."""
    x, flat = np.ones((512, 16), "float32")[:, :8], np.ones(4096, "float32")
    return max(1e-3, (_microseconds(np.negative, x, np.empty((512, 8), "float32")) - _microseconds(np.negative, flat, flat)) / 512)


def _special() -> float:
    from scipy import special  # pyright: ignore[reportMissingTypeStubs]

    x = _spread(1024)
    return 1e3 * _microseconds(special.erf, x, np.empty_like(x)) / len(x) / 20  # the operations that erf is declared with


def _narrow_types() -> float:
    x = _between(ELEMENTS, "float16")
    return 1e3 * _microseconds(np.add, x, x, np.empty_like(x)) / ELEMENTS


def _gather() -> float:
    table, places = np.ones(1024, "float32"), np.random.default_rng(0).integers(0, 1024, ELEMENTS)
    return 1e3 * _microseconds(np.take, table, places) / ELEMENTS


def _scatter() -> float:
    table, places = np.zeros((64, 16), "float32"), np.random.default_rng(0).integers(0, 64, 1024)
    return 1e3 * _microseconds(np.add.at, table, places, np.ones((1024, 16), "float32")) / ELEMENTS


def _product(m: int, n: int) -> float:
    """Operations a microsecond."""
    x, y = np.ones((m, 512), "float32"), np.ones((512, n), "float32")
    return 2 * m * n * 512 / _microseconds(np.matmul, x, y, np.empty((m, n), "float32"))


def _thin(peak: float) -> float:
    """From the rate at a width of 8: ``rate = peak * 8 / (8 + thin)``."""
    return max(1.0, 8 * (peak / _product(512, 8) - 1))


def _item() -> float:
    x, out = np.ones((256, 4, 4), "float32"), np.empty((256, 4, 4), "float32")
    return _microseconds(np.matmul, x, x, out) / 256


def _routines() -> float:
    x = np.eye(96, dtype="float32") + np.float32(0.01)
    return 2 * 96**3 / _microseconds(np.linalg.inv, x)


def _hand_over() -> float:
    """There and back to a waiting thread by two locks, in time on the clock, since neither thread works."""
    go, done = threading.Lock(), threading.Lock()
    go.acquire()
    done.acquire()
    going = True

    def wait() -> None:
        while go.acquire() and going:
            done.release()

    helper = threading.Thread(target=wait, daemon=True)
    helper.start()

    def hand() -> None:
        go.release()
        done.acquire()

    try:
        return min(1e3, max(REFERENCE.hand_over / 4, _microseconds(hand, clock=time.perf_counter_ns)))
    finally:
        going = False
        go.release()
        helper.join()
