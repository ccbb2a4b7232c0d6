"""The JAX target: the emitted source under ``jax.jit``. Variables stay on the device between calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np

from graphc.backends import Jax
from graphc.core import Tensor, describe, every_node
from graphc.core.dtypes import numpy_dtype
from graphc.core.errors import BackendError
from graphc.core.sizes import bind
from graphc.lower.buffers import assign
from graphc.lower.footprint import Timeline, timeline
from graphc.lower.loading import load
from graphc.lower.rematerialise import within_budget
from graphc.lower.rolling import rolled
from graphc.lower.schedule import Schedule
from graphc.lower.source import Checks, Places, Source, places, size_names
from graphc.lower.source.jax import emit_jax
from graphc.lower.targets.jax.cache import keep_compiled
from graphc.lower.targets.jax.devices import default_platform, import_jax
from graphc.lower.targets.jax.many import Many
from graphc.lower.targets.jax.placement import ManyProcesses, place
from graphc.lower.targets.jax.rolled import stacked

_state = threading.Lock()
"""Held while a call reads and replaces variables: what one function donates, no other may be about to read."""
WIDE = ("float64", "int64", "uint64", "complex128")


class JaxProgram:
    """A schedule as a jitted function; XLA compiles it once for each combination of sizes."""

    def __init__(
        self, schedule: Schedule, title: str, budget: int | None = None, options: Jax | None = None, *, rolling: bool = True
    ) -> None:
        import_jax()  # before the source imports it, whose error would not say what to install
        options = options or Jax()
        self.plain = schedule = schedule if budget is None else _within(schedule, budget)
        schedule = _rolled(schedule, options) if rolling else schedule
        wide = any(node.dtype in WIDE for node in _nodes(schedule))
        source = emit_jax(schedule, options.precision, options.check, wide)
        self._make = load(source.text, title)
        self._constants = [c.value for c in source.constants]
        self._ready(schedule, source, options, wide=wide)

    def _ready(self, schedule: Schedule, source: Source, options: Jax, *, wide: bool) -> None:
        """Make ready for calls; ``wide`` says that 64-bit types occur."""
        self._jax = import_jax()
        self.schedule, self.source, self.options, self.wide = schedule, source, options, wide
        self.placement = place(options, schedule)
        if options.cache:
            keep_compiled(options.cache)
        self._steps: dict[tuple[int, ...], Any] = {}
        self._last: tuple[int, ...] = ()
        self._donated = () if source.checks else _updated(schedule)

    def places(self) -> Places:
        """Where values are in the source."""
        return places(lambda: emit_jax(self.schedule, self.options.precision, self.options.check, self.wide))

    @property
    def buffer_bytes(self) -> None:
        """XLA plans its own memory."""
        return

    def memory(self) -> None:
        """XLA plans its own memory."""
        return

    @property
    def known(self) -> dict[str, int]:
        """The sizes that came last, by name; none before the first call."""
        return dict(zip(self.source.sizes, self._last, strict=False))

    def timeline(self) -> Timeline:
        """When each value is needed, at these sizes: what XLA, which plans memory after it has fused, starts from."""
        return timeline(self.plain, assign(self.plain, reuse=False), self.known)

    def run(self, inputs: Sequence[Any], sizes: tuple[int, ...]) -> Sequence[Any]:
        """The outputs as JAX arrays, after the updates are in the variables."""
        self._last = sizes
        return self.placement.outputs(self.call(lambda: self._placed(inputs, sizes)))

    def _placed(self, inputs: Sequence[Any], sizes: tuple[int, ...]) -> tuple[Any, Sequence[Any]]:
        """The jitted step, and the inputs where it reads them."""
        placement = self.placement
        sizes = placement.sizes(inputs, sizes, self.source.sizes)
        return self._steps.get(sizes) or self._instance(sizes), [placement.input(i, value) for i, value in enumerate(inputs)]

    def lowered(self, sizes: tuple[int, ...] | None = None) -> Any:
        """The program for XLA (``jax.stages.Lowered``) for these sizes, or those of the last call; None if there was none."""
        sizes = self._last if sizes is None else sizes
        if len(sizes) < len(self.source.sizes):
            return None
        known = dict(zip(self.source.sizes, sizes, strict=True))
        shapes = [tuple([bind(size, known) for size in x.shape]) for x in self.schedule.inputs]
        zeros = [np.zeros((), numpy_dtype(x.dtype)) for x in self.schedule.inputs]
        with self.precision(), _state:
            step, values = self._placed([np.broadcast_to(zero, shape) for zero, shape in zip(zeros, shapes, strict=True)], sizes)
            return step.lower(*values, *self.placement.state())

    def call(self, prepared: Callable[[], tuple[Any, Sequence[Any]]]) -> Sequence[Any]:
        """The outputs of a compiled step on values and on the variables, both as JAX arrays, after the updates are in the variables.

        ``prepared()`` gives the step and the values, where JAX has the types that the graph needs.
        """
        updated: Sequence[Any] = ()
        with self.precision(), _state:
            step, values = prepared()
            state = self.placement.state()
            try:
                outputs, updated, flags = step(*values, *state)
                if self.source.checks is not None:
                    unchecked, updated = updated, ()
                    self._check(self.source.checks, flags)
                    updated = unchecked
                self._store(updated)
            except ValueError as error:
                if "incompatible devices" not in str(error):
                    raise
                raise self._apart(values, state) from error
            except KeyboardInterrupt:
                self._store(updated)  # what was donated is gone: all variables are of before the call, or all of after it
                raise
        return outputs

    def bare(self, sizes: tuple[Any, ...]) -> Callable[..., Any]:
        """The emitted function of inputs and variables for these sizes, for JAX to trace.

        Raises :class:`BackendError` where JAX has no device for its constants.
        """
        default_platform()
        return self._make(*sizes, *self._constants)

    @cached_property
    def many(self) -> Many | None:
        """Many steps in one call; None where a check may fail after some of them, and where each process has a part of the data."""
        return None if self.source.checks or isinstance(self.placement, ManyProcesses) else Many(self)

    def keep_state(self) -> None:
        """From now on leave the arrays of variables as they are in a call, so that they can be brought back after it."""
        self._donated = ()
        self._steps.clear()

    def is_finite(self, values: Sequence[Any]) -> bool:
        """Whether there is no NaN and no inf in results and in what variables hold, asked where they are."""
        from graphc.lower.targets.jax import checking

        with self.precision():
            return checking.kind_of([getattr(value, "array", value) for value in values]) == checking.FINITE

    def _store(self, updated: Sequence[Any]) -> None:
        for variable, value in zip(self.schedule.updates, updated, strict=False):
            self.placement.store(variable, value)

    def _instance(self, sizes: tuple[int, ...]) -> Any:
        known = dict(zip(self.source.sizes, sizes, strict=True))
        layouts = self.placement.jit_arguments(known)
        step = self._jax.jit(self.bare(sizes), donate_argnums=self._donated, **layouts)
        self._steps[sizes] = step
        return step

    def precision(self) -> Any:
        """64-bit types exist in JAX only where they are asked for; a graph that has them never runs in 32 bits."""
        return self._jax.enable_x64(True) if self.wide else nullcontext()

    def _apart(self, values: Sequence[Any], state: Sequence[Any]) -> BackendError:
        """The error for inputs and variables that lie on several devices, of which none was asked for."""
        leaves = [*self.schedule.inputs, *self.schedule.variables]
        arrays = [*values, *state] if len(values) + len(state) == len(leaves) else []
        placed = [(leaf, array) for leaf, array in zip(leaves, arrays, strict=False) if isinstance(array, self._jax.Array)]
        return BackendError(
            "the inputs and variables lie on different devices",
            given=[f"{describe(leaf)}: {array.device}" for leaf, array in placed],
            fits='gc.Jax(device="gpu:0"), which brings all of them there',
        )

    def _check(self, checks: Checks, flags: Sequence[Any]) -> None:
        """Raise what the flags of a call stand for."""
        reported: list[int] = []
        if checks.reports:
            from graphc.lower.targets.jax import checking

            reported = checking.reported()
        results = [*self.schedule.outputs, *self.schedule.updates.values()]
        error = checks.error(self._jax.device_get(flags), reported, results)
        if error is not None:
            raise error


def _rolled(schedule: Schedule, options: Jax) -> Schedule:
    """Equal layers as loops and calls; on a mesh as calls alone, since a variable has a layout of its own there."""
    return schedule if options.check else rolled(schedule, stacked if options.mesh is None else None)


def _within(schedule: Schedule, budget: int) -> Schedule:
    names = size_names(schedule)
    if names:
        raise BackendError(
            f"memory_budget= on JAX, where the size {names[0]!r} is a name", fits="numbers for all sizes; or backend='numpy'"
        )
    return within_budget(schedule, budget, {})


def _updated(schedule: Schedule) -> tuple[int, ...]:
    """The places of the variables that are updated among the arguments: their memory may take the new values.

    Where a check may fail after the call they keep it, since then they keep their values.
    """
    first = len(schedule.inputs)
    return tuple([first + i for i, variable in enumerate(schedule.variables) if variable in schedule.updates])


def _nodes(schedule: Schedule) -> list[Tensor]:
    return [*schedule.inputs, *schedule.variables, *every_node([*schedule.outputs, *schedule.updates.values()])]
