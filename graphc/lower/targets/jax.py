"""The JAX target: the emitted source under ``jax.jit``. Variables stay on the device between calls."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from graphc.core import Tensor, every_node
from graphc.core.errors import BackendError, KinkError
from graphc.lower.loading import load
from graphc.lower.rematerialise import within_budget
from graphc.lower.schedule import Schedule
from graphc.lower.source import Source, emit_jax, size_names

_state = threading.Lock()
"""Held while a call reads and replaces variables: what one function donates, no other may be about to read."""
WIDE = ("float64", "int64", "uint64", "complex128")


def import_jax() -> Any:
    """The module jax, or an error that says how to get it."""
    try:
        import jax
    except ImportError as error:
        raise BackendError(
            f"backend='jax' needs JAX, which does not import: {error}",
            fits='pip install "graphc[jax]" for CPU, "graphc[cuda]" for NVIDIA GPUs, "graphc[tpu]" for TPUs; or backend="numpy"',
        ) from error
    return jax


class JaxProgram:
    """A schedule as a jitted function; XLA compiles it once for each combination of sizes."""

    def __init__(self, schedule: Schedule, title: str, budget: int | None = None) -> None:
        self._jax = import_jax()
        self.schedule = schedule = schedule if budget is None else _within(schedule, budget)
        self.source: Source = emit_jax(schedule)
        self._make = load(self.source.text, title)
        self._constants = [c.value for c in self.source.constants]
        self._steps: dict[tuple[int, ...], Any] = {}
        self._wide = any(node.dtype in WIDE for node in _nodes(schedule))
        self._donated = () if self.source.messages else _updated(schedule)

    @property
    def buffer_bytes(self) -> None:
        """XLA plans its own memory."""
        return

    def memory(self) -> None:
        """XLA plans its own memory."""
        return

    def run(self, inputs: Sequence[Any], sizes: tuple[int, ...]) -> Sequence[Any]:
        """The outputs as JAX arrays, after the updates are in the variables."""
        updated: Sequence[Any] = ()
        with self._precision(), _state:
            step = self._steps.get(sizes) or self._instance(sizes)
            state = [self._device(variable.storage) for variable in self.schedule.variables]
            try:
                outputs, updated, checks = step(*inputs, *state)
                self._check(checks)
                self._store(updated)
            except KeyboardInterrupt:
                self._store(updated)  # what was donated is gone: all variables are of before the call, or all of after it
                raise
        return outputs

    def _store(self, updated: Sequence[Any]) -> None:
        for variable, value in zip(self.schedule.updates, updated, strict=False):
            variable.storage = value

    def _instance(self, sizes: tuple[int, ...]) -> Any:
        self._steps[sizes] = step = self._jax.jit(self._make(*sizes, *self._constants), donate_argnums=self._donated)
        return step

    def _precision(self) -> Any:
        """64-bit types exist in JAX only where they are asked for; a graph that has them never runs in 32 bits."""
        if not self._wide:
            return nullcontext()
        if hasattr(self._jax, "enable_x64"):
            return self._jax.enable_x64(True)
        return importlib.import_module("jax.experimental").enable_x64()  # before JAX 0.8

    def _device(self, value: Any) -> Any:
        return value if isinstance(value, self._jax.Array) else self._jax.numpy.array(value)

    def _check(self, checks: Sequence[Any]) -> None:
        for failed, message in zip(checks, self.source.messages, strict=True):
            if bool(failed):
                raise KinkError(message)


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
