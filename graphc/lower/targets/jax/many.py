"""Many steps in one call: one ``lax.scan`` over data that is on the device, with the variables as its carry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.core.errors import BackendError
from graphc.core.signature import Signature
from graphc.lower.schedule import Schedule
from graphc.lower.targets.jax.devices import import_jax

if TYPE_CHECKING:
    from graphc.lower.targets.jax.program import JaxProgram

Step = Callable[..., Any]


def scanned(step: Step, schedule: Schedule, taken: Callable[..., Sequence[Any]]) -> Step:
    """A function that does ``step`` once for each item of an index, as one ``lax.scan``.

    ``step(*inputs, *variables)`` is what the emitted ``make`` returns. The function takes ``(index, *data, *variables)``, where
    ``taken(item, *data)`` is the batch of a step, and returns the outputs of all steps, stacked, the last values of the variables that
    are updated, and no checks.
    """
    lax = import_jax().lax
    read = len(schedule.variables)
    places = [schedule.variables.index(variable) for variable in schedule.updates]

    def steps(index: Any, *arguments: Any) -> Any:
        data, variables = arguments[: len(arguments) - read], list(arguments[len(arguments) - read :])

        def one(carry: Sequence[Any], item: Any) -> Any:
            now = list(variables)
            for place, value in zip(places, carry, strict=True):
                now[place] = value
            outputs, updated, _ = step(*taken(item, *data), *now)
            # The carry of a scan keeps its type, down to whether a dtype is weak.
            return [lax.convert_element_type(new, old.dtype) for new, old in zip(updated, carry, strict=True)], outputs

        updated, outputs = lax.scan(one, [variables[place] for place in places], index)
        return outputs, updated, []

    return steps


def gathered(rows: Any, *data: Any) -> Sequence[Any]:
    """The batch of these rows."""
    return [values.at[rows].get(mode="promise_in_bounds") for values in data]


def sliced(size: int) -> Callable[..., Sequence[Any]]:
    """The batch of ``size`` rows from a row on."""
    lax = import_jax().lax

    def taken(first: Any, *data: Any) -> Sequence[Any]:
        return [lax.dynamic_slice_in_dim(values, first, size) for values in data]

    return taken


def unstacked(batch: Sequence[Any]) -> Sequence[Any]:
    """The batch that is an item of stacks of batches."""
    return batch


class Many:
    """Many steps of a program in one call. XLA compiles each combination of sizes, number of steps and way to take batches once."""

    def __init__(self, program: JaxProgram) -> None:
        self._jax, self._program = import_jax(), program
        self._steps: dict[Any, Step] = {}

    def hold(self, arrays: Sequence[Any], held: dict[Any, Any], signature: Signature) -> Sequence[Any]:
        """The arrays in the dtypes of the inputs and on the device: out of ``held``, or copied and put into it.

        Raises :class:`BackendError` where the device has no room for them.
        """
        options = self._program.options
        key = options.device, tuple((options.mesh or {}).items()), tuple([x.dtype for x in signature.inputs])
        if key not in held:
            values = signature.cast(arrays)
            try:
                with self._program.precision():
                    held[key] = self._jax.block_until_ready([self._copied(value) for value in values])
            except self._jax.errors.JaxRuntimeError as error:
                raise BackendError(
                    f"epoch: the device has no room for the data, {sum(value.nbytes for value in values)} bytes",
                    given=[str(error).splitlines()[0]],
                    fits="another device; or iter(batches), which brings some batches at a time",
                ) from error
        return held[key]

    def _copied(self, value: Any) -> Any:
        return self._jax.numpy.asarray(self._program.placement.data(np.array(value)))

    def indexed(self, data: Sequence[Any], index: Any, sizes: tuple[int, ...], rows: int) -> Sequence[Any]:
        """The stacked outputs of a step for each line of ``index``: its rows of the data, or the first of its ``rows`` rows."""
        if index.ndim == 2:
            return self._program.call(lambda: (self._step(sizes, gathered, 1 + len(data)), (index, *data)))
        return self._program.call(lambda: (self._step(sizes, sliced(rows), 1 + len(data), rows), (index, *data)))

    def stacked(self, stacks: Sequence[Any], sizes: tuple[int, ...]) -> Sequence[Any]:
        """The stacked outputs of a step for each batch of the stacks."""
        return self._program.call(lambda: (self._step(sizes, unstacked, 1), (tuple(stacks),)))

    def _step(self, sizes: tuple[int, ...], taken: Callable[..., Sequence[Any]], before: int, rows: int = 0) -> Step:
        """The compiled function; ``before`` arguments come before the variables."""
        key = sizes, before, rows
        if key not in self._steps:
            program, schedule = self._program, self._program.schedule
            known = dict(zip(program.source.sizes, sizes, strict=True))
            placement = program.placement

            def batch(item: Any, *data: Any) -> Sequence[Any]:
                return placement.batch(taken(item, *data), known)

            steps = scanned(program.bare(sizes), schedule, batch)
            donated = [before + i for i, variable in enumerate(schedule.variables) if variable in schedule.updates]
            layouts = placement.jit_arguments(known, scanned=True)
            self._steps[key] = self._jax.jit(steps, donate_argnums=donated, **layouts)
        return self._steps[key]
