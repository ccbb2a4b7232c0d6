"""Mistakes that are put into graphc on purpose. ``python wrong.py KIND SCRIPT ...`` runs scripts, each with its mistake, and without it."""

import runpy
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import graphc as gc
from graphc import rewrite
from graphc.core import OPS
from graphc.core.pattern import Var
from graphc.lower import buffers
from graphc.pipeline import road

X = Var("x")


@contextmanager
def wrong_rule(safety: str = "rounding") -> Generator[None, None, None]:
    """A rule whose result is off by a thousandth."""

    @rewrite.rule(gc.log(1 + X), safety=safety)
    def wrong_log(x: Any) -> Any:
        """A wrong rule."""
        return gc.log1p(x * 1.001)

    with mock.patch.object(rewrite, "DEFAULT", rewrite.RuleSet([wrong_log]) + rewrite.DEFAULT):
        road._rules.cache_clear()
        yield
    road._rules.cache_clear()


@contextmanager
def wrong_plan() -> Generator[None, None, None]:
    """A plan that takes the buffer of ``exp`` after its first reader."""
    right = buffers._last_uses

    def too_early(schedule: Any, owner: Any) -> Any:
        last = right(schedule, owner)
        for number, nodes in enumerate(schedule.written):
            last.update({node: number + 1 for node in nodes if node.op.name == "exp" and number + 1 < last[node] < buffers.END})
        return last

    with mock.patch.object(buffers, "_last_uses", too_early):
        yield


@contextmanager
def unused_memory() -> Generator[None, None, None]:
    """A source that reads memory which nobody wrote: right for as long as it happens to hold 0, as new memory does."""
    with mock.patch.object(OPS["tanh"], "out", "np.add(np.tanh($x), $out, out=$out)"):
        yield


@contextmanager
def wrong_source() -> Generator[None, None, None]:
    """An op whose form that writes into a buffer is another function."""
    with mock.patch.object(OPS["tanh"], "out", "np.sinh($x, out=$out)"):
        yield


@contextmanager
def wrong_jax() -> Generator[None, None, None]:
    """An op whose form on JAX is off by a thousandth."""
    with mock.patch.object(OPS["erf"], "jax", "jax.scipy.special.erf($x * 1.001)"):
        yield


MISTAKES = {"rule": wrong_rule, "plan": wrong_plan, "memory": unused_memory, "source": wrong_source, "jax": wrong_jax}


def outcome(script: str) -> str:
    """What comes of a script: the name of its error, or "fine"."""
    try:
        runpy.run_path(script, run_name="__main__")
    except gc.errors.GraphcError as error:
        return type(error).__name__
    return "fine"


def main() -> None:
    """Run the scripts that are named."""
    for kind, script in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        with MISTAKES[kind]():
            with_it = outcome(script)
        print("outcome", kind, with_it, outcome(script))


if __name__ == "__main__":
    main()
