"""Where a training is: what ``fit`` needs, beside the variables, to go on with the same bits as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Position:
    """A place between two batches.

    Args:
        epoch: how many epochs are done.
        steps: how many batches of the next one are done.
        seed: what decides the orders of the samples, or None where they come as they lie.
        drawn: the epoch that the order of the samples was drawn in; of epochs that are cut short one may go over several.
        used: how many batches came in that order; 0 where there is none yet.
        totals: what the batches of the epoch came to so far, for its figures.
        callbacks: for each callback that has a state the name of its class, and the state.
    """

    epoch: int
    steps: int = 0
    seed: int | None = None
    drawn: int = 0
    used: int = 0
    totals: Mapping[str, Array] = field(default_factory=dict[str, Array])
    callbacks: tuple[tuple[str, Mapping[str, Any]], ...] = ()
