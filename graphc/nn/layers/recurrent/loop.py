"""The loop of a cell over the steps: one ``gc.scan``.

Products with what comes in need no step before, so those of all steps are one product ahead of the loop; only the products with the state
are within. Cells that are stacked are one loop after the other, each over all steps, which gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import graphc as gc
from graphc.core import Tensor, as_tensor, toposort, tree
from graphc.core.errors import ArgumentError
from graphc.nn.forward import Forward, the_pass
from graphc.nn.layer import Layer
from graphc.nn.layers.common import listed
from graphc.nn.layers.recurrent.cells import Cell, StackedRNNCells, States, output_size


@dataclass(frozen=True)
class Loop:
    """How a cell goes over ``(steps, batch, ...)``. ``mask`` is ``(steps, batch, 1)``, and tells which steps count."""

    mask: Tensor | None
    training: bool
    reverse: bool
    unroll: bool
    zero_output: bool

    def through(self, cell: Any, xs: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        """The output of the last step, those of all steps, and the last states."""
        if type(cell) is not StackedRNNCells:
            return self._of(cell, xs, states)
        last = xs
        after: States = []
        for one, before in zip(cell.cells, states, strict=True):
            last, xs, new = self._of(one, xs, before)
            after.append(new)
        return last, xs, after

    def _of(self, cell: Any, xs: Tensor, states: States) -> tuple[Tensor, Tensor, States]:
        xs, step, is_state = self._steps(cell, xs)
        # The last output is carried where it is not the first state.
        first = (states,) if is_state else (states, gc.zeros((xs.shape[1], output_size(cell)), dtype=cell.dtype))

        def body(carry: Any, items: Any) -> Any:
            before, *outputs = carry
            output, new = step(items[0], before)
            if len(items) > 1:
                new = _zipped(lambda after, earlier: _chosen(items[1], after, earlier), new, before)
                previous = gc.zeros_like(output) if self.zero_output else outputs[0] if outputs else before[0]
                output = _chosen(items[1], output, previous)
            return (new, output) if outputs else (new,), output

        (after, *outputs), ys = self._run(body, first, [xs] if self.mask is None else [xs, self.mask])
        return outputs[0] if outputs else after[0], ys, after

    def _steps(self, cell: Any, xs: Tensor) -> tuple[Tensor, Callable[[Tensor, States], tuple[Tensor, States]], bool]:
        """What to loop over, the step, and whether its output is the first state."""
        if not isinstance(cell, Cell) or type(cell).call is not Cell.call:
            return xs, self._guarded(cell), False
        of_inputs, of_states = cell.drawn(xs.shape[1:], self.training)

        def step(projected: Tensor, states: States) -> tuple[Tensor, States]:
            new = cell.step(projected, states, of_states)
            return new[0], new

        return cell.project(xs, of_inputs), step, not self.zero_output

    def _guarded(self, cell: Any) -> Callable[[Tensor, States], tuple[Tensor, States]]:
        """The call of any cell. What it registers in the pass has to be the same in each step, since a loop is registered once."""
        forward = the_pass("a cell")

        def step(item: Tensor, states: States) -> tuple[Tensor, States]:
            updates, losses = dict(forward.updates), len(forward.losses)
            output, new = cell(item, states)
            if not self.unroll:
                _refuse_changes(cell, forward, updates, losses, [item, *tree.flatten(states)[0]])
            return output, listed(new)

        return step

    def _run(self, body: Callable[..., Any], first: Any, xs: list[Tensor]) -> Any:
        if not self.unroll or xs[0].shape[0] == 0:
            return gc.scan(body, first, xs, reverse=self.reverse)
        steps = range(cast("int", xs[0].shape[0]))
        carry = first
        ys: list[Tensor] = []
        for i in reversed(steps) if self.reverse else steps:
            carry, y = body(carry, [x[i] for x in xs])
            ys.append(y)
        return carry, gc.stack(ys[::-1] if self.reverse else ys)


def _chosen(counts: Tensor, after: Tensor, before: Tensor) -> Tensor:
    """``after`` in the samples that count, ``(batch, 1)``, else ``before``."""
    return gc.where(counts if after.ndim == 2 else gc.reshape(counts, (after.shape[0], *(1,) * (after.ndim - 1))), after, before)


def _zipped(function: Callable[[Tensor, Tensor], Tensor], one: Any, other: Any) -> Any:
    leaves, rebuilt = tree.flatten(one)
    return rebuilt([function(as_tensor(a), b) for a, b in zip(leaves, tree.flatten(other)[0], strict=True)])


def _refuse_changes(cell: Layer, forward: Forward, updates: Mapping[Any, Any], losses: int, read: Sequence[Any]) -> None:
    new = [value for variable, value in forward.updates.items() if updates.get(variable) is not value] + forward.losses[losses:]
    if new and not set(toposort(new)).isdisjoint(read):
        raise ArgumentError(
            f"{cell.name}: a step updates a variable, or adds a loss, by what it computes",
            fits="a cell whose steps change nothing but states; or unroll=True",
        )
