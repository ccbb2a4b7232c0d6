"""Many steps of a compiled function as one call, for the batches of an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.core.signature import Signature, structured

if TYPE_CHECKING:
    from graphc.lower.targets.jax import Many


class Repeated:
    """Many steps as one call, for batches of so many rows and of these sizes."""

    def __init__(self, signature: Signature, structure: Any, many: Many, sizes: tuple[int, ...], rows: int) -> None:
        self._signature, self._structure, self._many = signature, structure, many
        self._sizes, self._rows = sizes, rows

    def hold(self, arrays: Sequence[Any], held: dict[Any, Any]) -> Sequence[Any]:
        """The arrays, in the dtypes of the inputs, where steps read them: out of ``held``, or copied there and put into it."""
        return self._many.hold(arrays, held, self._signature)

    def __call__(self, data: Sequence[Any], index: np.ndarray[Any, Any] | None) -> Any:
        """The outputs of the steps, stacked, after their updates are in the variables.

        ``index`` has the rows of ``data`` for each step, ``(steps, rows)``, or the first row of each, ``(steps,)``; if there is none,
        ``data`` is the batches themselves, stacked.
        """
        if index is None:
            return structured(self._structure, self._many.stacked(self._signature.cast(data), self._sizes))
        return structured(self._structure, self._many.indexed(data, index, self._sizes, self._rows))
