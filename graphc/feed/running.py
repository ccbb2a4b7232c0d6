"""An epoch: a function over all batches of a data set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, Literal

from graphc.feed.batches import whole_number
from graphc.feed.calls import calls
from graphc.feed.interrupts import Interrupts
from graphc.feed.sums import Sums, Tally

Listener = Callable[[Tally], None]


def epoch(
    step: Callable[..., Any],
    batches: Iterable[Any],
    *,
    steps_per_call: int | Literal["epoch"] = 1,
    listen: Listener | None = None,
    pause: float = 0.0,
) -> Tally:
    """Call ``step`` on every batch and average what it returns, weighted by the rows of the batches.

    Args:
        step: a compiled function, or any function of the arrays of a batch; it returns numbers or arrays of one shape in all steps,
            one of them, or a list, tuple or dict, or None.
        batches: :class:`Batches`, or any iterable of batches, each an array or a tuple of arrays.
        steps_per_call: how many steps are one call, or ``"epoch"`` for all that have batches of one form. On JAX such a call is one
            loop on the device: :class:`Batches` are copied there once and stay there for later epochs; other batches are stacked on
            the host. Elsewhere it says only how often there is word for the listener. The results are the same.
        listen: called with the tally so far after calls and after the last one. Where results come late, as on JAX, the call has to
            wait for them.
        pause: seconds that go by at least from one such call to the next.

    Ctrl-C waits for the end of the call, so that all variables are from before or after it; a second one does not wait.
    Raises :class:`ArgumentError` for no batches or no such number of steps, and the errors of ``step``.
    """
    many = sys.maxsize if steps_per_call == "epoch" else whole_number("epoch: steps_per_call", steps_per_call, least=1)
    sums = Sums()
    heard, told = perf_counter(), 0
    with Interrupts() as interrupts:
        for call, arguments, rows, may_tell in calls(step, batches, many):
            interrupts.wait = True
            result: Any = call(*arguments)
            interrupts.wait = False
            interrupts.heed()
            sums.add(result, rows)
            if listen and may_tell and perf_counter() - heard >= pause:
                heard, told = perf_counter(), sums.steps
                listen(sums.tally())
    tally = sums.tally()
    if listen and told < tally.steps:
        listen(tally)
    return tally
