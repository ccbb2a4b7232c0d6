"""The values of a program's variables: taken before a call, looked at after it, and brought back where a check fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.core import Tensor, Variable
from graphc.lower import NumpyProgram
from graphc.lower.nonfinite import FINITE, kind_of
from graphc.lower.targets.jax import JaxProgram


class State:
    """The variables of a program. On JAX arrays are never written, so that keeping them takes no copies: the program leaves them alone."""

    def __init__(self, program: NumpyProgram | JaxProgram) -> None:
        self._program = program
        plain = program.plain if isinstance(program, JaxProgram) else program.schedule
        self.variables: tuple[Variable, ...] = plain.variables
        self.changing: tuple[Variable, ...] = tuple(plain.updates)
        if isinstance(program, JaxProgram):
            program.keep_state()

    def taken(self) -> list[Any]:
        """What the variables hold that a call changes; what is in NumPy's memory is copied, since it is written there."""
        return [x.value if isinstance(x.storage, np.ndarray) else x.storage for x in self.changing]

    def bring_back(self, before: Sequence[Any]) -> None:
        """Make these the values of the variables that a call changes."""
        for variable, storage in zip(self.changing, before, strict=True):
            variable.storage = storage

    def updated(self) -> list[Any]:
        """The present values of the variables that a call changes, where they are."""
        return [x.storage for x in self.changing]

    def values(self) -> dict[Tensor, Any]:
        """The present values of all variables."""
        return {x: x.value for x in self.variables}

    def is_finite(self, values: Sequence[Any]) -> bool:
        """Whether there is no NaN and no inf in them; of arrays of JAX that is asked on the device."""
        if isinstance(self._program, JaxProgram):
            return self._program.is_finite(values)
        return all(kind_of(value) == FINITE for value in values)
