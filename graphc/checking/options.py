"""How a function is checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from graphc.core.errors import ArgumentError


@dataclass(frozen=True, kw_only=True)
class Check:
    """How ``compile(..., check=gc.Check(...))`` checks; ``check=True`` is short for ``gc.Check()``.

    Args:
        every: check the first call for each combination of sizes, and then one call of so many; 1 checks all.
        other_backend: run on the other backend too, JAX or NumPy, if it is installed and has a form for the graph.
        script: write a small program that shows a difference.
        folder: where to; a folder of its own among the temporary files if it is not given.
        seconds: how long to look for a smaller program.

    Raises :class:`ArgumentError` for values that have no meaning.
    """

    every: int = 1
    other_backend: bool = True
    script: bool = True
    folder: str | os.PathLike[str] | None = None
    seconds: float = 20.0

    def __post_init__(self) -> None:
        if type(self.every) is not int or self.every < 1:
            raise ArgumentError(f"Check: every={self.every!r}", fits="a whole number of calls, 1 or more")
        if not self.seconds >= 0:
            raise ArgumentError(f"Check: seconds={self.seconds!r}", fits="0 or more")


def check_options(check: Any) -> Check | None:
    """The options that ``check=`` stands for; None for False. Raises :class:`ArgumentError` for anything else."""
    if isinstance(check, Check):
        return check
    if not isinstance(check, bool):
        raise ArgumentError(f"compile: check={check!r}", fits="True, False or gc.Check(...)")
    return Check() if check else None
