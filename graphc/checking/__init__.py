"""Watching compiled functions: every way to compute a call compared, and the first node found that makes a NaN or an inf."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphc.checking.nans import Finding, NanWatch, Step, explained, find
from graphc.checking.options import Check, check_options
from graphc.checking.python import to_python
from graphc.lower import NumpyProgram
from graphc.lower.targets.jax import JaxProgram

__all__ = ["Check", "Finding", "Step", "check_options", "explained", "find", "to_python", "watcher"]

Run = Callable[..., Sequence[Any]]


def watcher(
    check: Check | None, debug_nans: bool, compile: Callable[..., Any], options: Mapping[str, Any]
) -> Callable[[NumpyProgram | JaxProgram, Any], Run]:
    """What ``Function.watch`` takes: from a program and its report to what runs in the program's place.

    ``compile`` and ``options`` are those with which the program was made.
    """

    def watch(program: NumpyProgram | JaxProgram, report: Any) -> Run:
        run: Run = NanWatch(program, report.declared, report.lowered) if debug_nans else program.run
        if check is None:
            return run
        from graphc.checking.watch import CheckWatch

        return CheckWatch(program, report, run, check, compile, options)

    return watch
